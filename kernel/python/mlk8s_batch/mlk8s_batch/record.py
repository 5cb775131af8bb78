"""The folder of a run: the executed notebook, the report and `run.json`, none of them ever half written."""

import enum
import fcntl
import hashlib
import json
import os
import tempfile
from contextlib import suppress
from datetime import datetime, timezone

from .fault import Fault

RECORD = "run.json"
EXECUTED = "executed.ipynb"
REPORT = "report.html"
LOG = "kernel.log"


class Status(enum.Enum):
    """What became of a run, and the exit status of the program that says so."""

    RUNNING = "running", None
    FINISHED = "finished", 0
    FAILED = "failed", 1
    UNWRITABLE = "unwritable", 2
    DEAD = "kernel died", 3
    TIMEOUT = "timed out", 124
    INTERRUPTED = "interrupted", 130

    def __init__(self, word, code):
        self.word = word
        self.code = code


class Folder:
    """The folder of one run, which nobody else writes to as long as we live."""

    def __init__(self, path):
        self.path = path
        self.executed = path / EXECUTED
        self.report = path / REPORT
        self.log = path / LOG
        self._lock = None

    def lock(self):
        """Makes the folder ours, or says that it is somebody's."""
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"the run `{self.path}` is under way"
            raise Fault(message, "wait for it, or give this one another `--name`") from None
        except OSError:
            # Some network file systems have no locks; there, two runs of one name are the person's own affair.
            pass

    def is_locked(self):
        """Whether somebody is at it."""
        with suppress(OSError):
            here = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.flock(here, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(here)
        return False

    def record(self):
        """What `run.json` says; nothing where there is none that can be read."""
        try:
            found = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write_record(self, record):
        """Writes `run.json`."""
        write(self.path / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def write(path, text):
    """Writes a file so that whoever looks, or whenever the machine stops, it is the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp keeps files from others; reports are to be read.
        os.chmod(name, 0o666 & ~umask())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def umask():
    """The rights that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(notebook, parameters, kernel):
    """Tells runs apart: by what would be executed, not by what the notebook happens to show."""
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    text = json.dumps([cells, parameters, kernel], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def now():
    """The moment, as `run.json` has it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def new_folder(out, stem, name):
    """A folder that was not there before: `stem`, a hyphen, and `name` or the time in UTC."""
    out.mkdir(parents=True, exist_ok=True)
    if name:
        return made(out / f"{stem}-{name}", is_new=True)
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for n in range(1, 1000):
        with suppress(FileExistsError):
            return made(out / f"{stem}-{time}{f'-{n}' if n > 1 else ''}", is_new=True)
    raise Fault(f"`{out}` has a thousand runs of this second", "name another folder in `--out`")


def made(path, is_new=False):
    """The folder at `path`, made where it is missing."""
    path.mkdir(parents=True, exist_ok=not is_new)
    folder = Folder(path)
    folder.lock()
    return folder


def open_folder(arguments, stem, wanted):
    """The folder for this run, and the record of a finished one, if there is nothing left to do."""
    out = arguments.out.absolute()
    try:
        if arguments.into or (arguments.name and (out / f"{stem}-{arguments.name}").exists()):
            path = arguments.into.absolute() if arguments.into else out / f"{stem}-{arguments.name}"
            return named(path, arguments.resume, wanted)
        if arguments.resume:
            earlier = [one for one in map(Folder, out.glob(f"{glob_escaped(stem)}-*")) if is_of(one, wanted)]
            for one in earlier:
                if is_finished(one):
                    return one, one.record()
                if one.is_locked():
                    raise Fault(f"the run `{one.path}` is under way", "wait for it, or leave `--resume` out")
        return new_folder(out, stem, arguments.name), None
    except FileExistsError as error:
        raise Fault(f"`{error.filename}` is there already", "name another folder or `--name`") from None
    except OSError as error:
        where = error.filename or out
        raise Fault(f"`{where}` cannot be written to: {error.strerror}", "name another folder in `--out`") from None


def named(path, resume, wanted):
    """The folder with just this path, which holds nothing, or the run that is to be resumed."""
    folder = made(path)
    record = folder.record()
    if record is None:
        foreign = [one.name for one in path.iterdir() if not one.name.startswith(f".{RECORD}")]
        if foreign:
            raise Fault(f"`{path}` is not empty: there is `{sorted(foreign)[0]}`", "name another folder")
        return folder, None
    if not resume:
        raise Fault(f"there is a run in `{path}`", "`--resume` goes on with it; another `--name` keeps both")
    if record.get("digest") != wanted:
        raise Fault(
            f"the run in `{path}` is one of another notebook, or has other parameters",
            "give this one another `--name`",
        )
    return folder, record if is_finished(folder) else None


def is_of(folder, wanted):
    """Whether the folder holds a run of this notebook with these parameters."""
    record = folder.record()
    return record is not None and record.get("digest") == wanted


def is_finished(folder):
    """Whether nothing is left to do there."""
    record = folder.record()
    complete = record is not None and record.get("status") == Status.FINISHED.word
    return complete and folder.executed.is_file() and folder.report.is_file()


def glob_escaped(text):
    """The text as a pattern that fits only itself."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)
