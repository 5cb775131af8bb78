"""What a run says on its way: a line that keeps up, lines of a log, or events for another program."""

import json
import os
import re
import shutil
import sys
import time

from .record import Status

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
TRACEBACK_LINES = 40
# Room is left for what a cell shows.
SOURCE_COLUMNS = 40


def duration(seconds):
    """A stretch of time as a person says it."""
    whole = int(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def head(text):
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def shortened(text, columns=SOURCE_COLUMNS):
    """The text in so many columns."""
    return text if len(text) <= columns else text[: columns - 1] + "…"


def last(text):
    """The last line that says something, without colours."""
    lines = re.split(r"[\r\n]", COLOURS.sub("", text))
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Quiet:
    """Writes to a stream; when nobody reads any more, there is nobody left to tell."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        """Writes at once."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.write = lambda text: None


class Lines:
    """For people: one updating line on a terminal, in a log one line for each cell."""

    def __init__(self, stream):
        self._out = Quiet(stream)
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._terminal and not os.environ.get("NO_COLOR")
        self._begun = self._cell_begun = time.monotonic()
        self._place = "starting the kernel"
        self._shows = ""

    def start(self, name, n_cells, folder, kernel):
        """The run begins."""
        self._line(f"`{name}`: {n_cells} cells, kernel {kernel}, into `{folder}`")

    def cell(self, number, of, source):
        """A cell begins."""
        self._cell_begun = time.monotonic()
        self._place = f"cell {number} of {of}  {shortened(head(source))}"
        self._shows = ""
        self.tick()

    def shows(self, text):
        """A cell shows something while it runs."""
        self._shows = text

    def cell_done(self):
        """A cell has ended."""
        if self._terminal:
            self.tick()
        else:
            self._line(self._status(self._cell_begun))

    def tick(self):
        """Time has passed."""
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            text = "".join(char if char.isprintable() else " " for char in self._status(self._begun))
            self._out.write("\r\x1b[K" + shortened(text, columns - 1))

    def error(self, number, of, source, ename, evalue, traceback):
        """A cell has failed."""
        lines = [line for entry in traceback for line in entry.splitlines()]
        for line in lines[:TRACEBACK_LINES]:
            self._line(line if self._colour else COLOURS.sub("", line))
        self._line(f"cell {number} of {of} failed, `{head(source)}`: {ename}: {head(evalue)}")

    def stopped(self, why, place, more):
        """The run ends before its end for another reason."""
        for line in more:
            self._line(COLOURS.sub("", line))
        self._line(f"{why}, {place}")

    def done(self, status, seconds, folder):
        """The run has ended."""
        self._line(f"{status.word} after {duration(seconds)}")
        for path in (folder.report, folder.executed):
            if path.exists():
                self._line(f"  {path}")

    def nothing_to_do(self, folder, record):
        """The run was finished before."""
        self._line(f"finished already, at {record.get('ended')}: `{folder.path}`")

    def _status(self, since):
        shows = f" · {self._shows}" if self._shows else ""
        return f"{duration(time.monotonic() - since):>12}  {self._place}{shows}"

    def _line(self, text):
        self._out.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")


class Events:
    """For programs: a JSON object for each thing that happens, one a line."""

    def __init__(self, stream):
        self._out = Quiet(stream)

    def _tell(self, event, **fields):
        self._out.write(json.dumps({"event": event, **fields}) + "\n")

    def start(self, name, n_cells, folder, kernel):
        """The run begins."""
        self._tell("start", notebook=name, cells=n_cells, folder=str(folder), kernel=kernel)

    def cell(self, number, of, source):
        """A cell begins."""
        self._tell("cell", cell=number, of=of, source=source)

    def shows(self, text):
        """A cell shows something while it runs."""
        self._tell("shows", text=text)

    def cell_done(self):
        """A cell has ended; the next event says so."""

    def tick(self):
        """Time has passed, which the reader sees for itself."""

    def error(self, number, of, source, ename, evalue, traceback):
        """A cell has failed."""
        self._tell("error", cell=number, of=of, source=source, ename=ename, evalue=evalue, traceback=traceback)

    def stopped(self, why, place, more):
        """The run ends before its end for another reason."""
        self._tell("dead", evalue=f"{why}, {place}", log=more)

    def done(self, status, seconds, folder):
        """The run has ended."""
        self._tell(
            "done",
            status=status.word,
            exit=status.code,
            seconds=round(seconds, 1),
            folder=str(folder.path),
            report=str(folder.report),
            executed=str(folder.executed),
        )

    def nothing_to_do(self, folder, record):
        """The run was finished before."""
        self._tell("already", ended=record.get("ended"))
        self.done(Status.FINISHED, record.get("seconds", 0), folder)


def progress(events):
    """What tells how far the run is."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no word for something is no reason to end.
        stream.reconfigure(errors="backslashreplace")
    return Events(sys.stdout) if events else Lines(sys.stderr)
