"""Parameters of a run: where they come from, whether the notebook has them, and the cell that is injected."""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml

from . import translator
from .fault import Fault
from .values import Word, recorded, typed

PREFIX = "MLK8S_PARAM_"
TAG = "parameters"
INJECTED = "injected-parameters"


class Given(NamedTuple):
    """A value and who gave it."""

    value: object
    origin: str


def given(file, words):
    """All parameters by name: those of the file, over them those of the environment, over them `name=value` words."""
    found = {name: Given(value, f"from `{file}`") for name, value in (from_file(file) if file else {}).items()}
    for variable, value in os.environ.items():
        if variable.startswith(PREFIX) and variable != PREFIX:
            found[variable[len(PREFIX) :]] = Given(Word(value), f"from the variable {variable}")
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise Fault(f"`--param {word}` is not `name=value`", "write for instance `--param limit=10`")
        found[name] = Given(Word(value), "from `--param`")
    return found


def from_file(file):
    """The map in a file of YAML or JSON; `-` is the standard input."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text) if file.endswith(".json") else yaml.safe_load(text)
    except OSError as error:
        raise Fault(f"the parameters in `{file}` cannot be read: {error.strerror}", "look at `--params-file`") from None
    except (ValueError, yaml.YAMLError) as error:
        raise Fault(f"`{file}` is neither YAML nor JSON: {' '.join(str(error).split())}", "mend it") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Fault(f"`{file}` holds no map of names to values", "write lines such as `limit: 10`")
    return {str(name): value for name, value in found.items()}


def inject(notebook, language, kernel, found):
    """Puts a cell with the values behind the one tagged `parameters`; the values, in words that JSON has."""
    if not found:
        return {}
    at = tagged(notebook, TAG)
    if at is None:
        raise Fault(
            f"the notebook has no cell tagged `{TAG}`, so that {names(found)} cannot be set",
            f"give the cell with the defaults the tag `{TAG}` (JupyterLab: Property Inspector, Cell Tags)",
        )
    words = language_of(language, kernel)
    declared = words.declarations(notebook.cells[at].source)
    unknown = [] if declared is None else [name for name in found if name not in declared]
    if unknown:
        raise Fault(
            f"the notebook has no parameter {names(unknown)} ({found[unknown[0]].origin})",
            f"it has {names(declared)}" if declared else f"its cell tagged `{TAG}` declares none; write `let name: T = …;`",
        )
    kinds = {name: (declared or {}).get(name, {}).get("type") for name in found}
    values = {name: typed(name, one.value, kinds[name], one.origin) for name, one in found.items()}
    cell = nbformat.v4.new_code_cell(words.codify(values, declared), metadata={"tags": [INJECTED]})
    before = tagged(notebook, INJECTED)
    if before is None:
        notebook.cells.insert(at + 1, cell)
    else:
        notebook.cells[before] = cell
    return recorded(values)


def tagged(notebook, tag):
    """Where the first cell with this tag is."""
    found = (at for at, cell in enumerate(notebook.cells) if tag in cell.metadata.get("tags", []))
    return next(found, None)


def names(found):
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in found)


class Papermill:
    """Languages other than Rust, as papermill writes them."""

    def __init__(self, translator):
        self._translator = translator

    def declarations(self, source):
        """What the cell declares, or nothing where papermill cannot tell."""
        try:
            found = self._translator.inspect(nbformat.v4.new_code_cell(source))
        except NotImplementedError:
            return None
        # The names of types are Python's, and papermill itself does not hold values against them.
        return {one.name: {} for one in found}

    def codify(self, values, _declared):
        """The cell to inject."""
        return self._translator.codify(values)


def language_of(language, kernel):
    """What reads and writes parameters in the language of the kernel."""
    if language.lower() == "rust":
        return translator
    try:
        from papermill.exceptions import PapermillException
        from papermill.translators import papermill_translators
    except ImportError:
        raise Fault(f"parameters in {language} need papermill", "`pip install papermill`") from None
    try:
        return Papermill(papermill_translators.find_translator(kernel, language))
    except PapermillException as error:
        raise Fault(f"papermill cannot write parameters in {language}: {error}", "run it without parameters") from None
