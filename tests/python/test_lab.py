"""JupyterLab in a headless browser: the graph is there, reacts, and needs no network."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import NOTEBOOKS, ROOT, SCREENS, notebook
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import expect, sync_playwright

TOKEN = "browser-tests"
FIRST = "01_make_sense_of_articles.ipynb"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
# All cells of the first notebook, on a busy machine with two cores.
RUN_ALL_MS = 900_000
APPEARS_MS = 120_000

OPEN = """path => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.context?.path === path && panel.content.widgets?.length > 0;
}"""

CONNECTED = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""

FINISHED = """() => {
    const cells = [...document.querySelectorAll('.jp-CodeCell')];
    const prompts = cells.map(c => c.querySelector('.jp-InputArea-prompt').textContent.trim());
    const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
    return failed !== null || (prompts.length > 0 && prompts.every(p => /^\\[\\d+\\]:$/.test(p)));
}"""


@pytest.fixture(scope="module")
def page_of(chromium):
    """Opens pages, each of which remembers what it asked of other machines."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 2400})

        def open_page(url):
            page = context.new_page()
            page.outside = []
            page.on("request", lambda request: note_outside(page, request.url))
            page.goto(url)
            return page

        yield open_page
        browser.close()


def note_outside(page, url):
    """Remembers requests that leave this machine."""
    if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|file:|about:", url):
        page.outside.append(url)


def free_port():
    """A port that nobody listens on; JupyterLab takes another one if that changes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks: its address, and the folder."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={free_port()}"]
    command += [f"--ServerApp.root_dir={home}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "JUPYTER_TOKEN": TOKEN, "JUPYTER_CONFIG_DIR": str(home / "config")},
    )
    log = []
    try:
        for line in server.stderr:
            log.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if found:
                break
        else:
            pytest.fail("JupyterLab did not start:\n" + "".join(log))
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        yield found.group(0), folder
    finally:
        server.terminate()
        server.wait(timeout=60)
    drain.wait(timeout=60)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A small notebook with a drawn graph, executed here and hence not trusted by JupyterLab."""
    folder = tmp_path_factory.mktemp("executed")
    articles = folder / "articles"
    articles.mkdir()
    (articles / "a.md").write_text(
        "# Marie Curie\n\nMarie Curie discovered polonium in Paris. Pierre Curie married Marie Curie. "
        "Marie Curie won the Nobel Prize in 1903.\n"
    )
    nb = notebook("%corpus articles --as docs", "%kg build docs --as kg", "%kg show kg")
    client = NotebookClient(nb, timeout=300, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def open_notebook(page_of, url, path):
    """A page with the notebook `path` of the server's folder."""
    # A workspace of its own, or JupyterLab would open what the test before left open.
    page = page_of(f"{url}lab/workspaces/{Path(path).stem}/tree/notebooks/{path}?token={TOKEN}")
    page.wait_for_function(OPEN, arg=f"notebooks/{path}", timeout=APPEARS_MS)
    # Before that, JupyterLab has no kernel to send cells to, and drops them.
    page.evaluate(CONNECTED)
    return page


def run_all(page):
    """Runs all cells through the menu; waits until each has its number."""
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    page.wait_for_function(FINISHED, timeout=RUN_ALL_MS)
    errors = page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()
    assert errors == []


def shot(page, name):
    """Keeps a picture for people."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


def live_graph(page):
    """The first figure of the page whose script has drawn entities."""
    figure = page.locator("figure.mlk8s-figure", has=page.locator(".mlk8s-live svg circle[cx]")).first
    expect(figure).to_be_visible(timeout=APPEARS_MS)
    figure.scroll_into_view_if_needed()
    return figure


def check_reacts(figure):
    """An entity that is clicked tells its relations, a relation its sentences; the search finds."""
    expect(figure.locator("img.mlk8s-static")).to_be_hidden()
    entities = figure.locator(".mlk8s-live svg circle[cx]")
    assert entities.count() >= 2
    panel = figure.locator(".mlk8s-panel")
    expect(panel).to_be_hidden()
    # The entity with the most relations is drawn last, on top of the others.
    entities.last.click(force=True)
    expect(panel.locator(".mlk8s-head")).to_be_visible()
    name = panel.locator(".mlk8s-head").inner_text().strip()
    panel.locator(".mlk8s-row").first.click()
    expect(panel.locator("blockquote").first).to_be_visible()
    expect(panel.locator("blockquote cite").first).not_to_be_empty()
    panel.get_by_title("Close").click()
    expect(panel).to_be_hidden()
    search = figure.get_by_label("Search entities")
    search.fill(name)
    expect(figure.locator(".mlk8s-list [role=option]").first).to_contain_text(name)
    search.press("Enter")
    expect(panel.locator(".mlk8s-head")).to_have_text(name)


def test_the_first_notebook_in_the_browser(lab, page_of):
    url, _ = lab
    page = open_notebook(page_of, url, FIRST)
    run_all(page)
    check_reacts(live_graph(page))
    shot(page, "lab-first-notebook")
    assert page.outside == []
    page.close()


def test_an_untrusted_notebook_shows_the_static_picture(lab, page_of, executed):
    url, folder = lab
    nbformat.write(executed, folder / "untrusted.ipynb")
    page = open_notebook(page_of, url, "untrusted.ipynb")
    picture = page.locator('.jp-OutputArea-output figure img[src^="data:image/svg+xml"]').first
    expect(picture).to_be_visible(timeout=APPEARS_MS)
    assert picture.evaluate("img => img.naturalWidth") > 0
    assert page.locator(".jp-OutputArea-output script").count() == 0
    shot(page, "lab-untrusted")
    assert page.outside == []
    page.close()


def test_the_report_is_alive_without_a_network(page_of, executed, tmp_path):
    exporter = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="")
    report = tmp_path / "report.html"
    report.write_text(exporter.from_notebook_node(executed)[0], encoding="utf-8")
    page = page_of(report.as_uri())
    check_reacts(live_graph(page))
    shot(page, "report")
    assert page.outside == []
    page.close()
