"""Executes a notebook, writes it with its outputs and as HTML, and says on the way how far it is.

    python execute.py NOTEBOOK EXECUTED REPORT

Standard output carries one JSON object per line: a cell that starts, what it shows while it runs, the
error of a cell that fails, the files that were written. The exit status is 1 when a cell fails; the
notebook is written up to there, the report is not.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary

SHOWN_WHILE_RUNNING = ("stream", "display_data", "update_display_data")
STARTUP_SECONDS = 120


def tell(event, **fields):
    """Writes one event."""
    print(json.dumps({"event": event, **fields}), flush=True)


class TellingClient(NotebookClient):
    """Executes cells and tells what they show, as they show it."""

    async def async_execute_cell(self, cell, cell_index, *args, **kwargs):
        if cell.cell_type == "code" and cell.source.strip():
            tell("cell", cell=cell_index + 1, of=len(self.nb.cells), source=cell.source)
        return await super().async_execute_cell(cell, cell_index, *args, **kwargs)

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in SHOWN_WHILE_RUNNING:
            content = msg["content"]
            text = content.get("text") or content.get("data", {}).get("text/plain", "")
            lines = [line for line in text.splitlines() if line.strip()]
            if lines:
                tell("shows", text=lines[-1])
        return super().process_message(msg, cell, cell_index)


def failed_cell(notebook):
    """The number and the cell that ended in an error, or nothing."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return number, cell, output
    return None


def tell_failure(notebook, error):
    """Tells which cell failed, and with what."""
    failed = failed_cell(notebook)
    if failed is None:
        tell("dead", evalue=str(error) or type(error).__name__)
        return
    number, cell, output = failed
    tell(
        "error",
        cell=number,
        source=cell.source,
        ename=output.ename,
        evalue=output.evalue,
        traceback=output.traceback,
    )


def main(source, executed, report):
    """Executes `source`; the exit status of the program."""
    notebook = nbformat.read(source, as_version=4)
    client = TellingClient(
        notebook,
        timeout=None,
        startup_timeout=STARTUP_SECONDS,
        resources={"metadata": {"path": str(Path(source).parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError, RuntimeError) as error:
        tell_failure(notebook, error)
        return 1
    finally:
        nbformat.write(notebook, executed)
    # JupyterLab runs the scripts of interactive figures only in notebooks that are signed.
    NotebookNotary().sign(notebook)
    # Nothing is fetched from elsewhere: the report opens without a network.
    exporter = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="")
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": Path(source).stem}})
    Path(report).write_text(html, encoding="utf-8")
    tell("done", report=str(report), executed=str(executed))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
