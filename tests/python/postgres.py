"""A PostgreSQL server of our own: real, on a free port, gone with the tests."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name):
    """Where a program of PostgreSQL is; Debian keeps them off the path."""
    found = [folder / name for folder in PROGRAMS if (folder / name).exists()]
    return str(found[0]) if found else shutil.which(name)


def is_there():
    """Whether a server can be started here."""
    return bool(program("initdb")) and (os.getuid() != 0 or has_user())


def has_user():
    """Whether there is somebody whom root can start it as: it refuses to run as root."""
    try:
        return bool(pwd.getpwnam("postgres"))
    except KeyError:
        return False


@contextlib.contextmanager
def server():
    """A running server; yields its URL."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    before = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        before = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(name, *arguments):
        command = [*before, program(name), *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgres://tests:unused@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
