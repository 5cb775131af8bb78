"""`%batch`: a notebook that runs by itself, started from another one."""

import json

import nbformat
import pytest
from client import KERNEL, wait_until


def notebook(folder, *cells, name="night.ipynb"):
    """A notebook of these cells; the first one is that of its parameters."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": KERNEL, "display_name": "x", "language": "rust"}})
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, folder / name)


def runs(folder):
    """What is recorded of all runs below `folder`."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("runs/*/run.json"))]


@pytest.fixture
def kernel(kernels, tmp_path):
    """A kernel with a state of its own."""
    return kernels(env={"MLK8S_STATE": str(tmp_path / "state")})


def test_a_notebook_runs_with_its_parameters_and_leaves_a_report(kernel, tmp_path):
    notebook(tmp_path, "let limit: usize = 1;", "limit * 111")
    talk = kernel.run("%batch night.ipynb --param limit=6")
    assert talk.ok, talk
    assert "night.ipynb ran to its end" in talk.result
    (run,) = runs(tmp_path)
    assert run["status"] == "finished" and run["parameters"] == {"limit": 6}
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "666" in report.read_text()
    # It can be opened from here.
    assert f"(<{report.relative_to(tmp_path)}>)" in talk.shown, talk
    again = kernel.run("%batch night.ipynb --param limit=6 --resume")
    assert again.ok and "was done before" in again.result and len(runs(tmp_path)) == 1, again


def test_a_cell_that_fails_and_a_parameter_that_is_not_there_are_told(kernel, tmp_path):
    notebook(tmp_path, "let limit: usize = 1;", 'panic!("no more paper")')
    failed = kernel.run("%batch night.ipynb")
    assert not failed.ok and "cell 2" in failed.error["evalue"] and "no more paper" in failed.error["evalue"], failed
    assert "report.html" in failed.traceback, failed
    unknown = kernel.run("%batch night.ipynb -p limt=3")
    assert not unknown.ok and "`limt`" in str(unknown.error) and "`limit`" in str(unknown.error), unknown
    nowhere = kernel.run("%batch no.ipynb")
    assert not nowhere.ok and nowhere.ename == "NotFound", nowhere


def test_an_interrupt_stops_the_run_and_keeps_what_is_finished(kernel, tmp_path):
    notebook(tmp_path, "let limit: usize = 1;", "limit + 41", "loop { std::thread::park_timeout(std::time::Duration::from_millis(5)) }")
    talk = kernel.send("%batch night.ipynb")
    wait_until(lambda: any(run.get("cells_done", 0) >= 2 for run in runs(tmp_path)))
    kernel.stop(talk)
    assert talk.ename == "Interrupted", talk
    (run,) = runs(tmp_path)
    assert run["status"] == "interrupted", run
    (executed,) = tmp_path.glob("runs/*/executed.ipynb")
    assert "42" in executed.read_text()


def test_a_run_ends_with_the_kernel_that_wants_it(kernel, tmp_path):
    notebook(tmp_path, "let limit: usize = 1;", "loop { std::thread::park_timeout(std::time::Duration::from_millis(5)) }")
    kernel.send("%batch night.ipynb")
    wait_until(lambda: any(run.get("cells_done", 0) >= 1 for run in runs(tmp_path)))
    kernel.process.kill()
    wait_until(lambda: all(run["status"] == "interrupted" for run in runs(tmp_path)))


def test_a_notebook_that_runs_itself_comes_to_an_end(kernel, tmp_path):
    notebook(tmp_path, "let limit: usize = 1;", "%batch night.ipynb")
    talk = kernel.run("%batch night.ipynb")
    assert not talk.ok and "itself run by `%batch`" in talk.error["evalue"], talk
    assert len(runs(tmp_path)) == 1
