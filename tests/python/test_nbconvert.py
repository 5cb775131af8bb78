"""Notebooks executed through `jupyter nbconvert`, as people do it in scripts."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import NOTEBOOKS, notebook
from openai_server import Server

OFFLINE = ["--HTMLExporter.mathjax_url=", "--HTMLExporter.require_js_url="]


def nbconvert(*arguments, env=None):
    """The finished process."""
    return subprocess.run(
        [sys.executable, "-m", "nbconvert", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **(env or {})},
    )


def write(tmp_path, *sources):
    """The path of a new notebook with these cells."""
    path = tmp_path / "n.ipynb"
    nbformat.write(notebook(*sources), path)
    return path


def test_a_figure_reaches_the_report(tmp_path, articles):
    path = write(
        tmp_path,
        f"%corpus {articles} --as docs",
        "%kg build docs --as kg",
        "%kg show kg",
    )
    done = nbconvert("--execute", "--to", "html", *OFFLINE, path)
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "n.html").read_text()
    assert "data:image/svg+xml;base64," in html
    assert "Marie Curie" in html


@pytest.mark.parametrize("cell", ["%kg show nothing", "let x: u32 = \"text\";", 'panic!("boom")'])
def test_a_failing_cell_fails_the_program(tmp_path, cell):
    done = nbconvert("--execute", "--to", "html", write(tmp_path, "1 + 1", cell))
    assert done.returncode != 0
    assert not (tmp_path / "n.html").exists()
    assert "CellExecutionError" in done.stderr


def test_the_first_notebook_runs_on_the_articles_of_a_person(tmp_path, articles):
    done = nbconvert(
        "--execute",
        "--to",
        "notebook",
        "--output-dir",
        tmp_path,
        NOTEBOOKS / "01_make_sense_of_articles.ipynb",
        env={"MLK8S_ARTICLES": str(articles), "MLK8S_STATE": str(tmp_path / "state")},
    )
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "01_make_sense_of_articles.ipynb", as_version=4)
    assert "Marie Curie" in str(executed.cells)


@pytest.mark.parametrize("name", ["02_ask_and_compare.ipynb", "03_what_it_costs.ipynb"])
def test_the_notebooks_about_models_run_against_a_stand_in(tmp_path, name):
    # The notebook looks for `articles` beside itself, and writes there.
    folder = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    with Server(models=("test-model",)) as server:
        env = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "unused", "MLK8S_STATE": str(tmp_path / "state")}
        done = nbconvert("--execute", "--to", "html", "--output-dir", tmp_path, folder / name, env=env)
        assert done.returncode == 0, done.stderr
        assert len(server.requests) > 2
    page = (tmp_path / name).with_suffix(".html").read_text()
    assert "test-model" in page and "unused" not in page


@pytest.mark.parametrize(
    ("name", "found"),
    [("05_survey.ipynb", "% of the people are where they belong"), ("06_search.ipynb", "by words and by meaning")],
)
def test_the_notebooks_about_groups_and_search_run(tmp_path, name, found):
    folder = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    env = {"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": ""}
    done = nbconvert("--execute", "--to", "html", "--output-dir", tmp_path, folder / name, env=env)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / name).with_suffix(".html").read_text()
    assert found in page and "svg+xml" in page


def test_the_notebook_about_loading_a_model_runs(tmp_path):
    folder = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    env = {"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "HF_HUB_OFFLINE": "1"}
    name = folder / "04_load_a_model.ipynb"
    done = nbconvert("--execute", "--to", "html", "--output-dir", tmp_path, name, env=env)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / name.name).with_suffix(".html").read_text()
    assert "tokens a second" in page and page.count("memory given back") == 2
    assert "I am a tiny language model of 394 thousand numbers" in page
