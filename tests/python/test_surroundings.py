"""The kernel in its surroundings: how it leaves, and what it does without a home, a network or good intentions."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from client import ENDLESS, GONE_S, name_of, wait_until
from test_interrupt import SLOW_TO_COMPILE

# Turns the loopback device of a new network on: request SIOCSIFFLAGS, flag IFF_UP.
LOOPBACK = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 1))"
# Compiles for some seconds.
LONG_COMPILE = SLOW_TO_COMPILE.replace("4_000_000_000", "2_000_000")


def start_work(kernel, work):
    """Brings the kernel into a state in which it is to leave."""
    if work == "a loop":
        kernel.until_shown(kernel.send(ENDLESS), "begun")
    elif work == "a compile":
        kernel.send(SLOW_TO_COMPILE)
        wait_until(kernel.compilers)
    elif work == "a question":
        kernel.prompt(kernel.send('input("?")', allow_stdin=True))
    elif work == "a process":
        cell = kernel.send('println!("begun"); std::process::Command::new("sleep").arg("600").status()?;')
        kernel.until_shown(cell, "begun")
        wait_until(lambda: any(name_of(process) == "sleep" for process in kernel.family()))


def check_nothing_is_left(kernel, family, belongings):
    """No process and no directory of the kernel is there any more."""
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    assert alive == []
    assert [path for path in belongings if path.exists()] == []
    assert os.listdir(kernel.temporary) == []


@pytest.mark.parametrize("work", ["nothing", "a loop", "a compile", "a question", "a process"])
@pytest.mark.parametrize("how", ["SIGTERM", "shutdown_request"])
def test_it_leaves_in_time_and_nothing_behind(kernels, work, how):
    kernel = kernels()
    assert kernel.run('let kept = df!("a" => [1])?;').ok
    start_work(kernel, work)
    family, belongings = kernel.family(), kernel.belongings()
    assert len(family) > 1
    asked = time.monotonic()
    if how == "SIGTERM":
        kernel.process.terminate()
    else:
        talk = kernel.post("shutdown_request", {"restart": False}, channel="control")
        kernel.until(lambda: talk.reply, about=talk)
        assert talk.reply["content"] == {"status": "ok", "restart": False}
    wait_until(lambda: not kernel.alive(), GONE_S)
    assert time.monotonic() - asked < GONE_S
    check_nothing_is_left(kernel, family, belongings)


def test_nothing_runs_on_when_the_kernel_is_killed(kernels):
    kernel = kernels()
    assert kernel.run("1 + 1").ok
    start_work(kernel, "a loop")
    family, belongings = kernel.family(), kernel.belongings()
    kernel.process.kill()
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    assert alive == []
    # It could not tidy up; the next one does.
    kernels().run("1 + 1")
    assert [path for path in belongings if path.exists()] == []


def test_ctrl_c_in_the_terminal_during_a_build_is_no_end(kernels):
    kernel = kernels()
    assert kernel.run("let kept = 5;").ok
    cell = kernel.send(LONG_COMPILE)
    wait_until(kernel.compilers)
    # The terminal sends it to the whole group, and Jupyter its message, or not.
    os.killpg(os.getpgid(kernel.process.pid), signal.SIGINT)
    kernel.finish(cell)
    assert cell.result == "2000000" or cell.ename == "Interrupted", cell
    assert kernel.value("kept + 1") == "6"
    os.killpg(os.getpgid(kernel.process.pid), signal.SIGINT)
    assert kernel.value("kept + 2") == "7"


def test_jupyter_restarts_it(kernels):
    kernel = kernels()
    assert kernel.run("let before = 1;").ok
    talk = kernel.post("shutdown_request", {"restart": True}, channel="control")
    kernel.until(lambda: talk.reply, about=talk)
    assert talk.reply["content"] == {"status": "ok", "restart": True}
    wait_until(lambda: not kernel.alive(), GONE_S)


def names_a_command(words):
    """Whether the command runs here."""
    try:
        return subprocess.run([*words, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def in_namespace(flag, script):
    """Words before a command that run `script` in a namespace of its own first; skips where that is not allowed."""
    for user in ([], ["--map-root-user"]):
        words = ["unshare", flag, *user, "sh", "-c", f'{script} && exec "$@"', "sh"]
        if names_a_command(words):
            return words
    pytest.skip(f"`unshare {flag}` is not allowed here")


def test_a_home_that_cannot_be_written(kernels, tmp_path):
    home = Path.home()
    script = f"mount --bind {home} {home} && mount -o remount,bind,ro {home} && ! touch {home}/x 2>/dev/null"
    environment = dict.fromkeys(("MLK8S_STATE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), "")
    kernel = kernels(wrap=in_namespace("--mount", script), env=environment)
    assert kernel.value("40 + 2") == "42"
    assert kernel.value('df!("a" => [1, 2])?.height()') == "2"
    assert kernel.run("%lsmagic").ok
    # Without a place on the disk the history is kept in memory.
    tail = {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}
    history = kernel.ask("history_request", tail).reply["content"]["history"]
    assert [line[2] for line in history][-1] == "%lsmagic"
    long = kernel.run('for n in 0..100_000 { println!("{n:0100}"); }')
    assert long.ok and kernel.value("1 + 1") == "2"


def test_no_network(kernels, tmp_path, articles):
    kernel = kernels(wrap=in_namespace("--net", f'{sys.executable} -c "{LOOPBACK}"'), transport="ipc")
    assert kernel.run('std::net::TcpStream::connect("1.1.1.1:53")?;').ename == "Error"
    assert kernel.value("40 + 2") == "42"
    assert kernel.value('df!("a" => [1, 2])?.height()') == "2"
    for code in (f"%corpus {articles} --as docs", "%kg build docs --as kg"):
        assert kernel.run(code).ok
    assert kernel.value("docs.height()") == "2"
    failed = kernel.run(':dep no_such_crate_anywhere = "1"')
    assert failed.error, failed
    assert kernel.value("40 + 2") == "42"


def test_a_folder_that_brings_settings_of_evcxr_is_not_obeyed(kernels, tmp_path):
    planted, folder = tmp_path / "planted", tmp_path / "downloaded"
    (planted / "src").mkdir(parents=True)
    folder.mkdir()
    (planted / "src/lib.rs").write_text("pub fn planted() -> i32 { 7 }")
    (planted / "build.rs").write_text(f'fn main() {{ std::fs::write("{tmp_path}/owned", "x").unwrap(); }}')
    (planted / "Cargo.toml").write_text('[package]\nname = "planted"\nversion = "0.1.0"\nedition = "2021"\n')
    settings = f'[evcxr]\ntmpdir = "{tmp_path}/stolen"\nprelude = "fn foreign() -> i32 {{ 7 }}"\nopt_level = "3"\n'
    settings += f'[dependencies]\nplanted = {{ path = "{planted}" }}\n'
    (folder / "evcxr.toml").write_text(settings)
    (folder / "init.evcxr").write_text(f'std::fs::write("{tmp_path}/owned", "x").unwrap();')
    kernel = kernels(folder)
    assert kernel.value("40 + 2") == "42"
    assert kernel.value('df!("a" => [1])?.height()') == "1"
    for code in ("foreign()", "planted::planted()"):
        assert kernel.run(code).ename == "CompileError"
    assert not (tmp_path / "stolen").exists() and not (tmp_path / "owned").exists()


def test_a_folder_that_brings_settings_of_cargo_is_not_obeyed(kernels, tmp_path):
    folder, wrapper = tmp_path / "downloaded", tmp_path / "wrapper"
    (folder / ".cargo").mkdir(parents=True)
    wrapper.write_text(f'#!/bin/sh\ntouch {tmp_path}/owned\nexec "$@"\n')
    wrapper.chmod(0o755)
    (folder / ".cargo/config.toml").write_text(f'[build]\nrustc-wrapper = "{wrapper}"\nrustc = "{wrapper}"\n')
    kernel = kernels(folder)
    assert kernel.value("40 + 2") == "42"
    assert kernel.value('df!("a" => [1])?.height()') == "1"
    assert not (tmp_path / "owned").exists()


def test_a_project_for_another_toolchain_does_not_change_ours(kernels, tmp_path):
    # Only the one that has compiled the prelude can compile cells.
    (tmp_path / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.0.0"\n')
    kernel = kernels()
    assert kernel.value("40 + 2") == "42"
    assert kernel.value('df!("a" => [1])?.height()') == "1"


def test_settings_that_cannot_be_read_are_not_even_read(kernels, tmp_path):
    (tmp_path / "evcxr.toml").write_text("this is [ no toml")
    assert kernels().value("40 + 2") == "42"


SECRETS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD")


def test_cells_see_no_keys(kernels):
    kernel = kernels(env={**dict.fromkeys(SECRETS, "xyzzy-secret"), "MY_SETTING": "plain"})
    assert kernel.process.environ()["OPENAI_API_KEY"] == "xyzzy-secret"
    assert kernel.value('std::env::var("MY_SETTING")?') == '"plain"'
    for name in SECRETS:
        assert kernel.value(f'std::env::var("{name}").is_err()') == "true", name
    assert kernel.run('std::env::var("OPENAI_API_KEY")?').ename == "Error"
    talk = kernel.run('for (name, value) in std::env::vars() { println!("{name}={value}"); }')
    assert talk.ok and "xyzzy" not in talk.shown


def listening(process):
    """Where a process takes connections; nowhere, if it has just ended."""
    try:
        return {one.laddr for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


def test_what_the_kernel_makes_is_private(kernels):
    kernel = kernels()
    assert kernel.run("let x = 1;").ok
    ours = [path for path in kernel.temporary.iterdir() if path.name.startswith("mlk8s-")]
    for path in [*kernel.belongings(), *ours]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    # Jupyter writes this one; we must not loosen it.
    assert stat.S_IMODE(os.stat(kernel.manager.connection_file).st_mode) & 0o077 == 0
    connection = json.loads(Path(kernel.manager.connection_file).read_text())
    addresses = set().union(*map(listening, kernel.family()))
    assert {address.port for address in addresses} == {connection[key] for key in connection if key.endswith("_port")}
    assert {address.ip for address in addresses} == {"127.0.0.1"}


def test_another_rust_is_named_before_a_cell_fails_of_it(kernels, tmp_path):
    rustc = tmp_path / "rustc"
    libraries = tmp_path / "lib"
    libraries.mkdir()
    rustc.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "rustc 1.2.3 (other)" || printf "{tmp_path}\\n{libraries}\\n"\n')
    rustc.chmod(0o755)
    kernel = kernels(env={"RUSTC": str(rustc)})
    talk = kernel.run("1 + 1")
    assert not talk.ok
    assert "is rustc 1.2.3 (other), and this kernel was built by rustc 1." in talk.traceback
    assert "rustup toolchain install 1." in talk.traceback
    assert kernel.run("%help").ok
