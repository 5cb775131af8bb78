"""Crashes of user code: the cause is named, the next cell works, and what is known comes back."""

import errno
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from client import ENDLESS, wait_until
from test_interrupt import KNOWN, check_known, remember

MIB = 1 << 20
# The kernel, the compiler and the prelude need room; what a cell hoards beyond it must not fit.
LIMIT = 3072 * MIB
# It ends by itself, so that a limit that fails to hold is no danger to the machine.
HOARD = f"let mut all = Vec::new(); while all.len() < {LIMIT * 3 // 2 >> 24} {{ all.push(vec![1_u8; 16 << 20]); }}"
HIDDEN = "std::hint::black_box"
DEEP = (
    "fn deep(n: u64) -> u64 { let pad = std::hint::black_box([n; 64]); pad[0] + deep(pad[1] + 1) }\n"
    "std::hint::black_box(deep(0))"
)
CRASHES = {
    "null": (f"unsafe {{ std::ptr::write_volatile({HIDDEN}(std::ptr::null_mut::<u8>()), 1) }}", "segmentation fault"),
    "wild": (f"unsafe {{ std::ptr::write_volatile({HIDDEN}(64 as *mut u64), 1) }}", "segmentation fault"),
    "abort": ("std::process::abort()", "abort"),
    "stack": (DEEP, "stack overflow"),
    "exit": ("std::process::exit(3)", "exit code 3"),
    "thread": ("std::thread::spawn(|| std::process::abort()).join().ok();", "abort"),
    "panic while panicking": (
        'struct Bad; impl Drop for Bad { fn drop(&mut self) { panic!("two") } }\nlet _bad = Bad; panic!("one");',
        "abort",
    ),
}


def check_crash(talk, cause):
    """The error names the cause and what became of the values."""
    assert talk.ename == "Crash", talk
    assert cause in talk.error["evalue"].lower(), talk
    lost = [line for line in talk.traceback.splitlines() if "odd" in line]
    assert lost, talk.traceback
    assert not any(name in line.replace(",", " ").split() for line in lost for name in KNOWN), talk.traceback


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_names_its_cause_and_loses_little(rust, name):
    code, cause = CRASHES[name]
    remember(rust)
    check_crash(rust.run(code), cause)
    assert rust.value("40 + 2") == "42"
    check_known(rust)
    assert rust.run("odd.0").ename == "CompileError"


def test_what_was_shown_before_a_crash_is_there(rust):
    talk = rust.run('println!("before"); print!("half"); display!(Html("<b>x</b>".into())); std::process::abort()')
    assert talk.ename == "Crash"
    assert talk.stdout == "before\nhalf"
    assert talk.of("display_data")[0]["data"]["text/html"] == "<b>x</b>"


def test_items_and_graphs_survive_a_crash(rust, articles):
    for code in (f"%corpus {articles} --as docs", "%kg build docs --as kg"):
        assert rust.run(code).ok
    assert rust.run("fn double(n: i32) -> i32 { 2 * n }").ok
    nodes = rust.value("kg.node_count()")
    assert rust.run("std::process::abort()").ename == "Crash"
    assert rust.value("double(21)") == "42"
    assert rust.value("(docs.height(), kg.node_count())") == f"(2, {nodes})"


def child(kernel):
    """The process in which cells run."""
    return int(kernel.value("std::process::id()"))


def test_a_kill_from_outside_while_a_cell_runs(rust):
    remember(rust)
    pid = child(rust)
    assert pid != rust.process.pid
    cell = rust.send(ENDLESS)
    rust.until_shown(cell, "begun")
    os.kill(pid, signal.SIGKILL)
    check_crash(rust.finish(cell), "killed")
    check_known(rust)
    assert child(rust) != pid


def test_a_kill_from_outside_while_nothing_runs(rust):
    remember(rust)
    os.kill(child(rust), signal.SIGKILL)
    told = rust.run("40 + 2")
    # The loss is told once at most, and the cell after that works.
    assert told.result == "42" or told.ename == "Crash", told
    assert rust.value("40 + 2") == "42"
    check_known(rust)


def test_crash_after_crash(rust):
    remember(rust)
    for _ in range(5):
        assert rust.run("std::process::abort()").ename == "Crash"
    check_known(rust)


def test_a_crash_aborts_the_cells_that_wait(rust):
    cell, waiting = rust.send("std::process::abort()"), rust.send("1 + 1")
    assert rust.finish(cell).ename == "Crash"
    assert rust.finish(waiting).reply["content"]["ename"] == "Aborted"
    assert rust.value("1 + 1") == "2"


def memory_groups():
    """Where a group with a limit may be made: its folder, its limit, and what keeps it from swapping."""
    with open("/proc/self/cgroup") as file:
        ours = dict(line.strip().split(":", 2)[1:] for line in file)
    name, root = f"mlk8s-test-{os.getpid()}", Path("/sys/fs/cgroup")
    if "" in ours:
        yield root / ours[""].lstrip("/") / name, "memory.max", ("memory.swap.max", 0)
    if "memory" in ours:
        folder = root / "memory" / ours["memory"].lstrip("/") / name
        yield folder, "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", LIMIT)


def set_limit(group, limit, swap):
    """Whether the new group has its limit and processes may enter it."""
    if not (group / limit).exists():
        return False
    try:
        (group / limit).write_text(str(LIMIT))
        if (group / swap[0]).exists():
            (group / swap[0]).write_text(str(swap[1]))
    except OSError:
        return False
    return subprocess.run([*enter(group), "true"], stderr=subprocess.DEVNULL).returncode == 0


def enter(group):
    """Words before a command that put it, and all that comes of it, into the group."""
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]


def removed(group):
    """Whether the group is gone; the system keeps it while its last process is being buried."""
    try:
        group.rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


@pytest.fixture
def limited():
    """Words before a command that leave it no more memory than LIMIT."""
    for group, limit, swap in memory_groups():
        try:
            group.mkdir()
        except OSError:
            continue
        if set_limit(group, limit, swap):
            yield enter(group)
            wait_until(lambda: removed(group))
            return
        group.rmdir()
    pytest.skip("no cgroup for memory can be made here")


def test_no_memory_is_left_in_the_cgroup(limited, kernels):
    kernel = kernels(wrap=limited)
    remember(kernel)
    check_crash(kernel.run(HOARD), "out of memory")
    assert kernel.value("40 + 2") == "42"
    check_known(kernel)
    kernel.end()


def test_no_memory_is_left_for_the_process(kernels):
    kernel = kernels()
    remember(kernel)
    pid = child(kernel)
    resource.prlimit(pid, resource.RLIMIT_AS, (64 << 30, 64 << 30))
    talk = kernel.run("let all: Vec<u8> = Vec::with_capacity(128 << 30); all.capacity()")
    # The allocator itself gives up.
    assert talk.ename == "Crash", talk
    assert any(cause in talk.error["evalue"].lower() for cause in ("abort", "out of memory"))
    check_known(kernel)
