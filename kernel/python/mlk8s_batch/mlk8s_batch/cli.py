"""`mlk8s-batch`: executes a notebook without a browser, and leaves it with its outputs, a report and a record."""

import argparse
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from . import __version__, parameters, record, report
from .execution import Execution, Limits
from .fault import Fault
from .progress import progress
from .record import Status

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
STATUSES = """\
exit status:
  0    all cells were executed, or were before (--resume)
  1    a cell failed
  2    nothing was executed, because something is wrong with what was asked; or results could not be written
  3    the kernel died
  124  the run, or a cell, took longer than it may
  130  interrupted (SIGINT, SIGTERM, SIGHUP)

environment:
  MLK8S_PARAM_name  the parameter `name`; `--param` goes before it, and it before `--params-file`
  MLK8S_RUNS        where runs are kept, if `--out` does not say it
  NO_COLOR          no colours

DIR/NOTEBOOK-TIME/ holds executed.ipynb, report.html and run.json; kernel.log, where the kernel wrote one.
"""


def arguments(words):
    """What was asked."""
    parser = argparse.ArgumentParser(
        prog="mlk8s-batch",
        description="Executes a notebook without a browser; leaves it with its outputs, as a page, and a record.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("notebook", type=Path, metavar="NOTEBOOK")
    add("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; may be repeated")
    add("--params-file", metavar="FILE", help="parameters as YAML or JSON; `-` is the standard input")
    runs = os.environ.get("MLK8S_RUNS") or "runs"
    add("--out", type=Path, default=Path(runs), metavar="DIR", help=f"where runs are kept [{runs.replace('%', '%%')}]")
    add("--name", type=name, help="DIR/NOTEBOOK-NAME instead of DIR/NOTEBOOK-TIME")
    add("--into", type=Path, metavar="DIR", help="exactly this folder, which is empty or missing")
    add("--timeout", type=seconds, metavar="S", help="the most the run may take: seconds, or 30m, 8h")
    add("--cell-timeout", type=seconds, metavar="S", help="the most a cell may take")
    add("--resume", action="store_true", help="do nothing where this run was finished before")
    add("--kernel", metavar="NAME", help="another kernel than the notebook names")
    add("--cwd", type=Path, metavar="DIR", help="where cells run [the notebook's folder]")
    add("--events", action="store_true", help="tell what happens as JSON lines on the standard output")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    asked = parser.parse_args(words)
    if asked.into and asked.name:
        parser.error("`--into` names the folder already; leave `--name` out")
    return asked


def seconds(text):
    """A stretch of time in seconds."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not parts or float(parts[1]) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no stretch of time; write seconds, or 30m, 8h")
    return float(parts[1]) * UNITS[parts[2]]


def name(text):
    """The name of a run, which becomes part of the name of a folder."""
    if not text or text.startswith(".") or any(char in "/\\" or not char.isprintable() for char in text):
        raise argparse.ArgumentTypeError(f"`{text}` is no name for a folder")
    return text


def main(words=None):
    """The program; its exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = arguments(words)
    tell = progress(asked.events)
    try:
        return run(asked, tell).code
    except Fault as fault:
        print(f"error: {fault}", file=sys.stderr)
        if fault.hint:
            print(f" hint: {fault.hint}", file=sys.stderr)
        return Status.UNWRITABLE.code
    except KeyboardInterrupt:
        # Before the first cell there is nothing to save.
        return Status.INTERRUPTED.code


def run(asked, tell):
    """Executes the notebook, unless that was done before; what became of it."""
    notebook = read(asked.notebook)
    kernel, spec = kernel_of(notebook, asked.kernel)
    found = parameters.given(asked.params_file, asked.param)
    values = parameters.inject(notebook, spec.language, kernel, found)
    if asked.cwd and not asked.cwd.is_dir():
        raise Fault(f"there is no folder `{asked.cwd}`", "look at `--cwd`")
    stem = asked.notebook.stem
    digest = record.digest(notebook, values, kernel)
    folder, finished = record.open_folder(asked, stem, digest)
    if finished:
        tell.nothing_to_do(folder, finished)
        print_folder(asked, folder)
        return Status.FINISHED
    begun = time.monotonic()
    said = {
        "notebook": str(asked.notebook.absolute()),
        "digest": digest,
        "parameters": values,
        "kernel": {"name": kernel},
        "started": record.now(),
        "status": Status.RUNNING.word,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    cwd = (asked.cwd or asked.notebook.parent).absolute()
    limits = Limits(asked.timeout, asked.cell_timeout)
    execution = Execution(notebook, kernel, cwd, limits, folder, said, tell)
    said.update(cells=len(execution.numbers), cells_done=0)
    tell.start(asked.notebook.name, len(execution.numbers), folder.path, kernel)
    clear(folder, said)
    status = execution.run()
    return finish(asked, folder, notebook, said, status, begun, tell)


def clear(folder, said):
    """Nothing of an earlier try is to be taken for this one's."""
    try:
        for old in (folder.report, folder.executed):
            old.unlink(missing_ok=True)
        folder.write_record(said)
    except OSError as error:
        raise Fault(f"`{folder.path}` cannot be written to: {error.strerror}", "name another folder") from None


def finish(asked, folder, notebook, said, status, begun, tell):
    """Writes what there is, however it ended."""
    took = time.monotonic() - begun
    said.update(status=status.word, exit=status.code, ended=record.now(), seconds=round(took, 1))
    said.pop("cell", None)
    report.sign(notebook)
    try:
        record.write(folder.executed, nbformat.writes(notebook))
        if folder.log.exists() and not folder.log.stat().st_size:
            folder.log.unlink()
        folder.write_record(said)
        report.page(notebook, folder.report, asked.notebook.stem)
    except Exception as error:
        # Whatever an output holds that nbconvert cannot stand, or a full disk: the exit status must tell.
        print(f"error: the results in `{folder.path}` are not complete: {error}", file=sys.stderr)
        status = status if status.code else Status.UNWRITABLE
    tell.done(status, took, folder)
    print_folder(asked, folder)
    return status


def print_folder(asked, folder):
    """The one line on the standard output, for scripts."""
    if not asked.events:
        print(folder.path)


def read(path):
    """The notebook at `path`."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except OSError as error:
        raise Fault(f"the notebook `{path}` cannot be read: {error.strerror}", "look at the path") from None
    except Exception as error:
        # nbformat has a dozen ways to say that it is none.
        raise Fault(f"`{path}` is no notebook: {str(error).splitlines()[0][:200]}", "open it in JupyterLab") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def kernel_of(notebook, wanted):
    """The name of the kernel, and its specification."""
    kernel = wanted or notebook.metadata.get("kernelspec", {}).get("name")
    if not kernel:
        raise Fault("the notebook names no kernel", "name one: `--kernel mlk8s-rust`")
    specs = KernelSpecManager()
    try:
        return kernel, specs.get_kernel_spec(kernel)
    except NoSuchKernel:
        there = parameters.names(sorted(specs.find_kernel_specs())) or "none"
        raise Fault(f"there is no kernel `{kernel}`; installed: {there}", "`mlk8s-kernel install`") from None
