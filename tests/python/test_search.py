"""Search by words and by meaning, vectors of texts, and marks: with the real MiniLM, and with one behind an endpoint."""

import json
import math
import os
import signal
from pathlib import Path

import psutil
import pytest
from conftest import NOTES
from openai_server import Server
from test_models import begin, column, posts, rows

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def library(kernels, notes, tmp_path):
    """A kernel with an index of the notes, by words and by meaning."""
    kernel = kernels(env={"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""})
    assert kernel.run(f"%corpus {notes} --as docs").ok
    talk = kernel.run("%search build docs --as library")
    assert talk.ok, talk
    assert "5 passages" in talk.result and "by words and by meaning" in talk.result
    return kernel


def first(kernel, cell):
    talk = kernel.run(cell)
    assert talk.ok, talk
    return kernel.value('hits.column("title")?.str()?.get(0).unwrap()').strip('"')


def test_what_is_said_in_other_words_is_found_by_meaning(library):
    for query, title in (
        ("a scientist finds a shining substance", "Radium"),
        ("recipe from the bakery", "Bread"),
        ("what happens in the brain when one rests", "Sleep"),
        ("early machine for calculation", "Engine"),
    ):
        assert first(library, f"%search query {query} --mode vectors") == title, query
    talk = library.run("%search query which element glows --top 2")
    html = talk.data["text/html"]
    assert "<mark>element</mark>" in html and "<mark>glows</mark>" in html
    assert first(library, "%search query radium") == "Radium"
    assert first(library, "%search query '\"make a dough\"' --mode words") == "Bread"
    assert first(library, """%search query "make a dough" --mode words --where 'kind = "markdown"'""") == "Bread"
    assert "nothing found" in library.run('%search query "dough a make" --mode words').result
    assert library.value("hits.width()") == "9"


def test_only_what_is_new_is_read_and_what_is_gone_is_removed(library, notes):
    (notes / "bread.md").unlink()
    (notes / "paper.md").write_text("# Paper\n\nThe Chinese made paper from bark and rags.\n")
    assert library.run(f"%corpus {notes} --as docs").ok
    talk = library.run("%search build docs --as library")
    counts = dict(line.rsplit(None, 1) for line in talk.result.splitlines() if line.strip() and line.split()[-1].isdigit())
    assert counts["of which new or changed"] == "1" and counts["removed"] == "1" and counts["passages"] == "5", talk
    assert first(library, "%search query something to write letters on --mode vectors") == "Paper"


def test_what_a_build_replaces_is_said_and_adding_is_easy(library, tmp_path):
    assert library.run('let notes = df!("text" => ["a worm that glows", "a fish that sings"])?;').ok
    # Nothing in common: what is there is named, and what can be typed.
    talk = library.run("%search build notes --as library")
    assert talk.ename == "UsageError" and "5 items of other texts" in talk.traceback, talk
    assert all(word in talk.traceback for word in ("--add", "--replace", "--as NAME"))
    assert sum(f"`{name.title()}`" in talk.traceback for name in NOTES) == 3
    assert first(library, "%search query radium --in library") == "Radium"
    talk = library.run("%search build notes --as library --add")
    assert talk.ok and "gone" not in talk.result, talk
    assert first(library, "%search query radium --in library") == "Radium"
    # Another frame with as many rows takes the place of none of them.
    assert library.run('let more = df!("text" => ["a stone that sleeps", "a cloud that reads"])?;').ok
    assert library.run("%search build more --as library --add").ok
    listed = library.run("%search list")
    [line] = [line for line in listed.result.splitlines() if line.startswith("library")]
    assert "by words and meaning (minilm)" in line and line.split().count("9") == 2, listed
    talk = library.run("%search build notes --as library")
    assert talk.ok and "7 items were in the index and are not among these, so they are gone" in talk.result, talk
    assert library.run("%search build docs --as library --replace").ok
    assert "5" in library.run("%search list").result
    assert library.run("%search remove library").ok
    assert "%search build" in library.run("%search list").result


def test_a_killed_replacement_leaves_what_was_there(kernels, tmp_path):
    state = {"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""}
    fresh = (
        'let fresh = df!("id" => (0..1500).map(|n| n.to_string()).collect::<Vec<_>>(), '
        '"text" => (0..1500).map(|n| format!("a new thing {n}")).collect::<Vec<_>>())?;'
    )
    kernel = kernels(env=state)
    assert kernel.run('let old = df!("id" => ["0", "1", "2"], "text" => ["an old song", "an old town", "an old ship"])?;').ok
    assert kernel.run("%search build old --as kept").ok
    for _ in range(2):
        kernel = kernels(env=state)
        assert kernel.run(fresh).ok
        cell = kernel.send("%search build fresh --as kept")
        kernel.until_shown(cell, "texts")
        os.kill(kernel.process.pid, signal.SIGKILL)
        psutil.wait_procs([kernel.process], timeout=10)
        kernel = kernels(env=state)
        assert kernel.run("%search query old --in kept").ok
        assert kernel.value("hits.height()") == "3"
    assert kernel.run(fresh).ok
    talk = kernel.run("%search build fresh --as kept")
    assert talk.ok and "1500" in talk.result, talk
    assert kernel.run("%search query old --in kept --mode words").ok and kernel.value("hits.height()") == "0"
    # Nothing waits any more; the claim is a file that stays.
    assert [path.suffix for path in (tmp_path / "state" / "search").glob(".*")] in ([], [".lock"])


def test_an_index_that_is_open_follows_what_becomes_of_it(library, kernels, tmp_path):
    assert first(library, "%search query what glows --in library") == "Radium"
    other = kernels(env={"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""})
    assert other.run('let notes = df!("text" => ["a worm that glows"], "title" => ["Worm"])?;').ok
    assert other.run("%search build notes --as library --add").ok
    hits = "hits.column(\"title\")?.str()?.iter().flatten().any(|title| title == \"Worm\")"
    assert library.run("%search query what glows --in library").ok
    assert library.value(hits) == "true"
    assert other.run("%search remove library").ok
    assert "no index called `library`" in library.run("%search query what glows --in library").traceback
    assert other.run("%search build notes --words-only --as library").ok
    assert library.run("%search query what glows --in library").ok
    assert library.value("hits.height()") == "1"


def test_marks_change_what_comes_first(library):
    before = first(library, "%search query water and salt of the sea")
    shown = library.run("%search query water and salt of the sea")
    assert shown.ok
    assert library.run("%search feedback bad 1").ok and library.run("%search feedback good 2").ok
    second = library.value('hits.column("title")?.str()?.get(1).unwrap()').strip('"')
    assert first(library, "%search query Water and salt of the SEA") == second != before
    assert first(library, "%search query water and salt of the sea --without-marks") == before
    assert "no hit 99" in library.run("%search feedback good 99").traceback


def test_frames_are_searched_and_filtered(library):
    assert library.run(
        'let books = df!("id" => ["a", "b", "c"], "title" => ["One", "Two", "Three"], '
        '"text" => ["a cat sleeps on the mat", "a dog sleeps in its basket", "a cat hunts mice"], '
        '"year" => [1990i64, 2005, 2020], "kind" => ["tale", "tale", "report"])?;'
    ).ok
    assert library.run("%search build books --as books").ok
    assert first(library, "%search query cat --in books --where 'year >= 2000'") == "Three"
    assert first(library, "%search query cat --in books --where 'kind = \"tale\"'") == "One"
    wrong = library.run("%search query cat --in books --where 'jahr >= 2000'")
    assert "jahr" in wrong.traceback and "`year`" in wrong.traceback
    assert not library.run("%search query cat --in books --where 'year >='").ok
    # A session later the index is still there.
    assert "there is no index called `nothing`" in library.run("%search query cat --in nothing").traceback
    assert "`books`" in library.run("%search query cat --in nothing").traceback
    assert library.run("%search remove books").ok
    assert not library.run("%search query cat --in books").ok


def test_questions_are_no_syntax(library):
    for query in ("what's (radium)?", "AND OR NOT", "C++ & friends: a/b", "*", "~", "' \"", "\\"):
        talk = library.run(f"%search query {query}")
        assert talk.ok or talk.ename == "UsageError", talk


def test_documents_become_vectors_and_groups(library):
    talk = library.run("%embed docs --as vectors")
    assert talk.ok and "384" in talk.result, talk
    assert library.value('vectors.column("vector")?.list()?.get_as_series(0).unwrap().len()') == "384"
    assert library.run("%kmeans vectors -k 2 --metric cosine --as topics").ok
    assert library.value("topics.sizes.iter().sum::<usize>()") == "5"
    assert library.run('let words = vec!["king".to_string(), "queen".to_string(), "banana".to_string()];').ok
    assert library.run("%embed words --as fruit").ok
    near = (
        "let (v, d) = vectors_of(fruit.column(\"vector\")?)?; "
        "let dot = |a: usize, b: usize| (0..d).map(|i| v[a * d + i] * v[b * d + i]).sum::<f32>();\n"
        "dot(0, 1) > dot(0, 2) + 0.2"
    )
    assert library.value(near) == "true"


def test_vectors_are_those_of_the_model(library):
    golden = json.loads((FIXTURES / "minilm.json").read_text())
    texts = ", ".join(f"String::from({json.dumps(text, ensure_ascii=False)})" for text in golden["texts"])
    assert library.run(f"let texts = vec![{texts}];").ok
    assert library.run("%embed texts --as found").ok
    numbers = library.run('println!("{}", serde_json::to_string(&vectors_of(found.column("vector")?)?.0)?);')
    values = json.loads(numbers.stdout)
    for n, wanted in enumerate(golden["vectors"]):
        got = values[n * len(wanted) : (n + 1) * len(wanted)]
        lengths = math.hypot(*got) * math.hypot(*wanted)
        assert sum(a * b for a, b in zip(got, wanted)) / lengths >= 0.9999, golden["texts"][n]
        assert max(abs(a - b) for a, b in zip(got, wanted)) <= 5e-4


def test_a_model_that_is_not_here_is_named(library):
    talk = library.run("%embed docs --model nothing")
    assert talk.ename == "NotFound" and "pip install" in talk.traceback
    assert "config.json" in library.run(f"%embed docs --model {os.path.dirname(__file__)}").traceback


def test_an_endpoint_makes_vectors_once(kernels, notes, tmp_path):
    with Server(models=("test-model", "embedder")) as server:
        kernel = begin(kernels, server, tmp_path / "state")
        assert kernel.run(f"%corpus {notes} --as docs").ok
        talk = kernel.run("%embed docs --model embedder@house --as vectors")
        assert talk.ok, talk
        asked = [request for request in server.requests if request.path.endswith("embeddings")]
        assert len(asked) == 1
        assert rows(kernel, "kind") == ["embedding"] and int(rows(kernel, "prompt_tokens")[0]) > 20
        # A second time nothing is asked.
        assert kernel.run("%embed docs --model embedder@house --as vectors").ok
        assert len([request for request in server.requests if request.path.endswith("embeddings")]) == 1
        assert kernel.run("%search build docs --model embedder@house --as far").ok
        assert first(kernel, "%search query radium --in far") == "Radium"
        assert set(column(kernel, 'prompts.column("response")?')) != {""} and not posts(server)


def test_a_killed_build_leaves_an_index(kernels, notes, tmp_path):
    state = {"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""}
    for n in range(600):
        (notes / f"more{n}.md").write_text(f"# More {n}\n\nNumber {n} says that {n * 7919 % 1000} things are near.\n")
    for _ in range(3):
        kernel = kernels(env=state)
        assert kernel.run(f"%corpus {notes} --as docs").ok
        cell = kernel.send("%search build docs --as big")
        kernel.until_shown(cell, "texts")
        os.kill(kernel.process.pid, signal.SIGKILL)
        psutil.wait_procs([kernel.process], timeout=10)
    kernel = kernels(env=state)
    assert kernel.run(f"%corpus {notes} --as docs").ok
    assert "605 passages" in kernel.run("%search build docs --as big").result
    assert first(kernel, "%search query radium --in big") == "Radium"
