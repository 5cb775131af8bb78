"""Times our kernel, evcxr_jupyter and ipykernel by the same client in one run, in turns.

Prints one Markdown table on standard output and its progress on standard error. Its exit code is 0 unless something
that could be measured did not run; targets that are missed are said in the table.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import kernel_cells as cells
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from kernel_measurement import Measurement, Peer
from kernel_table import table

PACKAGES = ("jupyter_client", "ipykernel")
EVCXR_VERSION = "0.22.0"
PARTS = ("starts", "cold", "steady")
ABOUT = """\
Medians (least–most). Every kernel by the same client in the same run, in turns. `start → ready` begins before the
client starts the process and ends when a reply to `kernel_info` and a message on IOPub are here; a refused connection
is tried again every 5 ms. Cells end when reply and idle are here. Cold: the cache of files was emptied before the
start. Memory: the sum over all compiler processes that live at the same time, judged by the largest."""


def main():
    """Measures and prints; returns the exit code."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="mlk8s-bench-") as folder:
        scratch = Path(folder)
        settle_in(scratch)
        peers, notes = find_peers(arguments)
        write_kernelspecs(peers, scratch / "kernels")
        measurement = Measurement(peers, scratch, arguments.runs, say)
        leave_out(peers, measurement.figures, notes)
        begun, load = time.monotonic(), os.getloadavg()[0]
        measures = {"starts": measurement.starts, "cold": measurement.cold_starts, "steady": measurement.steady}
        for part in arguments.only or PARTS:
            measures[part]()
        words = [machine(), *measurement.versions.values(), f"load before {load:.1f}"]
        print(", ".join([*words, f"measured in {(time.monotonic() - begun) / 60:.0f} minutes"]), end="\n\n")
        if load > cores() / 2:
            print("**Others kept this machine busy: the figures are larger than they need to be.**\n")
        print(ABOUT, end="\n\n")
        print("\n".join(table(cells.ROWS, peers, measurement.figures)), flush=True)
    return 1 if measurement.figures.n_failed else 0


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", metavar="PROGRAM", help="our kernel (else the kernelspec mlk8s-rust)")
    parser.add_argument("--evcxr", metavar="PROGRAM", help="evcxr_jupyter (else it is looked for)")
    parser.add_argument("--evcxr-polars", action="store_true", help="have evcxr compile polars, which takes minutes")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="figures per median (7)")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.set_defaults(evcxr_polars=os.environ.get("MLK8S_BENCH_EVCXR_POLARS", "0") not in ("", "0"))
    return parser.parse_args()


def find_peers(arguments):
    """The kernels, ours first, and what is to be said about those that are not there."""
    if arguments.ours:
        argv = [str(Path(arguments.ours).resolve()), "--connection-file", "{connection_file}"]
    else:
        try:
            argv = KernelSpecManager().get_kernel_spec("mlk8s-rust").argv
        except NoSuchKernel:
            sys.exit("this Python knows no kernel `mlk8s-rust`: install it, or name the program with `--ours`")
    peers, notes = [Peer("mlk8s", argv, cells.OURS, "in scope")], []
    program = find_evcxr(arguments.evcxr)
    if program:
        argv = [str(program), "--control_file", "{connection_file}"]
        peers.append(Peer("evcxr_jupyter", argv, cells.EVCXR, "to be compiled" if arguments.evcxr_polars else None))
    else:
        root = Path(os.environ.get("MLK8S_STATE", ".mlk8s")) / "evcxr"
        command = f"cargo install evcxr_jupyter --version {EVCXR_VERSION} --locked --root {root}"
        notes.append(f"evcxr_jupyter: left out, it was not found; to have it: `{command}`")
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return [*peers, Peer("ipykernel", argv, cells.IPYTHON, None)], notes


def find_evcxr(named):
    """Where evcxr_jupyter is: named, on the path, or where our own advice has put it."""
    named = named or os.environ.get("MLK8S_EVCXR_JUPYTER") or shutil.which("evcxr_jupyter")
    if named:
        return Path(named).resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlk8s"
    places = [Path(os.environ.get("MLK8S_STATE", ".mlk8s")), cache]
    programs = (place / "evcxr/bin/evcxr_jupyter" for place in places)
    return next((program.resolve() for program in programs if program.is_file()), None)


def settle_in(scratch):
    """Nothing of the person's configuration and state counts, and nothing of ours stays behind."""
    own = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "MLK8S_STATE": "state",
        "TMPDIR": "tmp",
        "XDG_CONFIG_HOME": "config",
    }
    for folder in ("work", *own.values()):
        (scratch / folder).mkdir()
    os.environ.update({name: str(scratch / folder) for name, folder in own.items()})


def write_kernelspecs(peers, folder):
    """One kernelspec for each kernel, so that all are started alike."""
    for peer in peers:
        spec = {"argv": peer.argv, "display_name": peer.name, "language": "any", "interrupt_mode": "message"}
        (folder / peer.name).mkdir(parents=True)
        (folder / peer.name / "kernel.json").write_text(json.dumps(spec))


def leave_out(peers, figures, notes):
    """Says what is not measured, and why."""
    for note in notes:
        figures.note(note)
    for peer in peers:
        if peer.name == "evcxr_jupyter" and not peer.polars:
            for key in ("first polars", "polars", "polars without let", "memory", "complete"):
                figures.reason(key, peer, "left out")
            figures.note(
                "evcxr_jupyter with polars: left out, because it compiles polars in each session; with"
                " `MLK8S_BENCH_EVCXR_POLARS=1` it is measured, and the first cell once"
            )
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=False).stdout
    if not Path(sysroot.strip(), "lib/rustlib/src").exists():
        figures.note("completion of Rust's standard library needs `rustup component add rust-src`, which is not here")


def machine():
    """The machine and what was used, in one line."""
    cpu = read("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or platform.machine()
    memory = read("/proc/meminfo", r"MemTotal:\s*(\d+) kB")
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.split()
    words = [time.strftime("%Y-%m-%d"), cpu, f"{cores()} cores"]
    words += [f"{int(memory) / 2**20:.0f} GiB"] if memory else []
    words += [f"{platform.system()} {platform.release()}", " ".join(rustc[:2])]
    words += [f"Python {platform.python_version()}"]
    return "Machine: " + ", ".join([*words, *(f"{package} {version(package)}" for package in PACKAGES)])


def cores():
    """How many cores we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def read(path, pattern):
    """What `pattern` finds first in a file, if both are there."""
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found and found.group(1).strip()


def say(words):
    """Tells those who wait how far it is."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
