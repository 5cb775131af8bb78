"""What the suites of the Python clients share; `cargo devbox test` runs them in its own environment."""

import os
import shutil
from pathlib import Path

import nbformat
import postgres as postgresql
import pytest
from client import KERNEL, Kernel

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
KERNELSPEC = {"name": KERNEL, "display_name": "Rust (mlk8s)", "language": "rust"}
SCREENS = Path(os.environ.get("MLK8S_STATE", ROOT / ".mlk8s")) / "screens"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Notes that share no words: only their meaning leads from one to a question in other words.
NOTES = {
    "radium": "Marie Curie and her husband discovered radium in Paris. The element glows in the dark.",
    "engine": "Charles Babbage designed a mechanical computer. It was never finished in his lifetime.",
    "bread": "Flour, water and salt make a dough. The loaf is baked until its crust is brown.",
    "sleep": "Most people dream several times each night. They forget what they dreamt by breakfast.",
    "orbit": "The moon circles the earth once a month. Its gravity raises the tides of the sea.",
}


@pytest.fixture(scope="session", autouse=True)
def private_state(tmp_path_factory):
    """Kernels under test keep their graphs apart from those of the person."""
    before = os.environ.get("MLK8S_STATE")
    os.environ["MLK8S_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["MLK8S_STATE"]
    else:
        os.environ["MLK8S_STATE"] = before


@pytest.fixture(scope="session")
def chromium():
    """The browser; without one, skips, but fails where nobody would notice a skip."""
    named = os.environ.get("MLK8S_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found and Path(found).is_file():
        return found
    message = "no Chromium: install it (Debian: apt-get install chromium) or name one in MLK8S_CHROMIUM"
    if os.environ.get("CI", "false") != "false":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres():
    """The URL of a PostgreSQL server; without one, skips, but fails where nobody would notice a skip."""
    if not postgresql.is_there():
        message = "no PostgreSQL: install it (Debian: apt-get install postgresql)"
        if os.environ.get("CI", "false") != "false":
            pytest.fail(message)
        pytest.skip(message)
    with postgresql.server() as url:
        yield url


@pytest.fixture
def kernels(tmp_path):
    """Starts kernels, which end with the test."""
    started = []

    def start(folder=tmp_path, **options):
        started.append(Kernel(folder, **options))
        return started[-1]

    yield start
    for kernel in started:
        kernel.end()
    for kernel in started:
        assert kernel.late == [], "messages after idle"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Holds the one kernel of a file of tests."""
    holder = {}
    yield holder
    if holder:
        holder.pop("kernel").end()


@pytest.fixture
def rust(shared, tmp_path_factory):
    """A kernel that the tests of a file use one after the other; its values stay."""
    if "kernel" not in shared:
        shared["kernel"] = Kernel(tmp_path_factory.mktemp("work"))
    kernel = shared["kernel"]
    yield kernel
    late, kernel.late = kernel.late, []
    unfinished = [talk for talk in kernel.talks.values() if talk.ended is None]
    kernel.talks.clear()
    if unfinished or not kernel.alive():
        # The next test is not to suffer for this one.
        shared.pop("kernel").end()
    assert late == [], "messages after idle"


@pytest.fixture
def notes(tmp_path):
    """A folder with them."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n")
    return folder


@pytest.fixture
def articles(tmp_path):
    """A folder with two short articles that share an entity."""
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "a.md").write_text(
        "# Marie Curie\n\nMarie Curie discovered polonium in Paris. Marie Curie won the Nobel Prize in 1903.\n"
    )
    (folder / "b.txt").write_text(
        "Pierre Curie married Marie Curie. Pierre Curie taught physics at the Sorbonne. "
        "Marie Curie founded the Radium Institute in Paris.\n"
    )
    return folder


def notebook(*sources):
    """A notebook with these code cells, for our kernel."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC})
