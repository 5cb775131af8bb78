"""What /proc tells of a kernel's processes: who descends from it, how busy they are, what its compilers take."""

import os
import re
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path

COMPILERS = {"rustc", "cc", "gcc", "clang", "collect2", "ld", "lld", "mold", "wild"}
LOOKS_EVERY_S = 0.004
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def available():
    """Whether this system has what we read."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def descendants(pid):
    """The process and everything it has started, as far as it still lives."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        found.append(parent)
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            waiting.extend(int(child) for child in _read(path).split())
    return found


def started_at(pid):
    """When the process began, in ticks; tells it from a later one with the same number."""
    fields = _stat(pid)
    return fields[19] if fields else None


def cpu_seconds(pid):
    """What the process and its living descendants have used."""
    stats = [_stat(each) for each in descendants(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS_PER_S


def wait_until_idle(pid, patience_s):
    """Waits until the process and its descendants do next to nothing for a second."""
    end = time.monotonic() + patience_s
    quiet, before = 0, cpu_seconds(pid)
    while quiet < 2 and time.monotonic() < end:
        time.sleep(0.5)
        now = cpu_seconds(pid)
        quiet = quiet + 1 if abs(now - before) < 0.03 else 0
        before = now


def kill_survivors(family):
    """Ends those of `family`, pairs of a process and its start, that are still there."""
    for pid, started in family:
        if started is not None and started_at(pid) == started:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class CompilerMemory(threading.Thread):
    """The most that compiler and linker below a process held at one moment: the sum of their VmHWM, in MiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.parts = pid, 0.0, {}
        self._done = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self.join()

    def run(self):
        """Looks until it is told to stop."""
        while not self._done.wait(LOOKS_EVERY_S):
            parts = defaultdict(float)
            for pid in descendants(self.pid):
                name = _program(pid)
                if COMPILERS.intersection(re.split(r"[-.]", name)):
                    parts[name] += _high_water_mib(pid)
            if sum(parts.values()) > self.peak:
                self.peak, self.parts = sum(parts.values()), dict(parts)


def _high_water_mib(pid):
    found = re.search(r"VmHWM:\s+(\d+) kB", _read(f"/proc/{pid}/status"))
    return int(found.group(1)) / 1024 if found else 0.0


def _program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold blanks itself; none for one that has ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields if fields and fields[0] != "Z" else []


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""
