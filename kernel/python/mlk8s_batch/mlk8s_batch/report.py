"""The report: a page with everything in it, whose figures are there without a script and without a network."""

import logging

from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary

from .record import write

# What the page would else fetch from elsewhere.
FETCHED = ("mathjax_url", "require_js_url", "mermaid_js_url", "mermaid_layout_elk_js_url", "jupyter_widgets_base_url")


def page(notebook, path, title):
    """Writes the notebook as HTML."""
    options = {name: "" for name in FETCHED if HTMLExporter.class_traits().get(name)}
    exporter = HTMLExporter(template_name="lab", **options)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    write(path, html)


def sign(notebook):
    """Lets the JupyterLab of this person run the scripts of interactive figures, which it does only where it trusts."""
    try:
        NotebookNotary().sign(notebook)
    except Exception as error:
        # A home that cannot be written to is no reason to lose a night's work.
        logging.getLogger(__name__).info("the notebook could not be signed: %s", error)
