"""Notebooks executed through nbclient."""

import pytest
from conftest import notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

# A first cell may wait for the kernel to warm up.
SECONDS = 300


def execute(nb, folder, **options):
    """The notebook with its outputs."""
    client = NotebookClient(nb, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}, **options)
    return client.execute()


def text_of(cell):
    """All text a cell shows."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(parts)


def test_rust_and_magics_share_values(tmp_path, articles):
    nb = execute(
        notebook(
            "let x = 41;",
            'println!("from rust"); x + 1',
            f"%corpus {articles} --as docs",
            "docs.height()",
            "%kg build docs --as kg",
            "kg.node_count() > 0 && kg.edge_count() > 0",
            "triples.height() > 0",
        ),
        tmp_path,
    )
    assert "from rust" in text_of(nb.cells[1]) and "42" in text_of(nb.cells[1])
    assert text_of(nb.cells[3]) == "2"
    assert text_of(nb.cells[5]) == "true"
    assert text_of(nb.cells[6]) == "true"
    counts = [cell.execution_count for cell in nb.cells]
    assert counts == list(range(1, len(nb.cells) + 1))


def test_a_failing_cell_stops_with_its_error(tmp_path):
    nb = notebook("let x: u32 = \"text\";", 'println!("never")')
    with pytest.raises(CellExecutionError) as failure:
        execute(nb, tmp_path)
    assert "E0308" in str(failure.value)
    [error] = nb.cells[0].outputs
    assert error.output_type == "error"
    assert error.ename and error.evalue
    assert any("mismatched types" in line for line in error.traceback)
    assert nb.cells[1].outputs == []


def test_errors_that_are_allowed_do_not_stop(tmp_path):
    nb = execute(notebook("%no_such_magic", "1 + 1"), tmp_path, allow_errors=True)
    assert nb.cells[0].outputs[0].output_type == "error"
    assert text_of(nb.cells[1]) == "2"


def test_a_panic_is_one_error_and_the_session_goes_on(tmp_path):
    nb = execute(notebook("let keep = 7;", 'panic!("boom")', "keep"), tmp_path, allow_errors=True)
    errors = [output for output in nb.cells[1].outputs if output.output_type == "error"]
    assert len(errors) == 1
    assert "boom" in str(nb.cells[1].outputs)
    assert text_of(nb.cells[2]) == "7"


def test_streams_keep_their_order(tmp_path):
    nb = execute(notebook("for n in 0..500 { println!(\"{n}\"); }"), tmp_path)
    text = "".join(output.text for output in nb.cells[0].outputs if output.name == "stdout")
    assert text.split() == [str(n) for n in range(500)]
