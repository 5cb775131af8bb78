"""Much of everything: cells that are large, cells that are many, kernels that are more than one."""

import psutil
from client import SLACK

MIB = 1 << 20
# What 60 small cells may add to the memory of all processes: each leaves its library loaded.
GROWTH = 60 * 3 * MIB


def test_cells_of_10_mb(rust):
    assert rust.value(f'"{"x" * 10_000_000}".len()') == "10000000"
    assert rust.value("// " + "y" * 10_000_000 + "\n40 + 2") == "42"
    lines = "\n".join(f"// line {n}" for n in range(200_000))
    assert rust.value(f"{lines}\n40 + 2") == "42"
    broken = rust.run(f'{lines}\nlet x: u32 = "text";')
    assert broken.ename == "CompileError" and "200001" in broken.traceback
    assert rust.run("%lsmagic " + "z" * 10_000_000).error
    assert rust.value("1 + 1") == "2"


def test_1000_magics(kernels):
    kernel = kernels()
    waiting = [kernel.send("%lsmagic") for _ in range(500)]
    for n, talk in enumerate(waiting, start=1):
        assert kernel.finish(talk).reply["content"]["execution_count"] == n
    for n in range(501, 1001):
        talk = kernel.run("%lsmagic")
        assert talk.ok and talk.reply["content"]["execution_count"] == n
    assert kernel.value("40 + 2") == "42"


def test_60_rust_cells(kernels):
    kernel = kernels()
    for n in range(5):
        assert kernel.run(f"let x{n} = {n};").ok
    kernel.await_analyst()
    files, memory = footprint(kernel)
    for n in range(5, 60):
        assert kernel.run(f"let x{n} = {n}; x{n - 1} + x{n}").result == str(2 * n - 1)
    assert kernel.value(" + ".join(f"x{n}" for n in range(60))) == str(sum(range(60)))
    files_after, memory_after = footprint(kernel)
    # Nothing is opened for each cell and kept.
    assert files_after < files + 20
    assert memory_after < memory + GROWTH * SLACK


def footprint(kernel):
    """Open files and memory of the kernel's processes."""
    files = memory = 0
    for process in kernel.family():
        try:
            files, memory = files + process.num_fds(), memory + process.memory_info().rss
        except psutil.NoSuchProcess:
            # A compiler that has just ended.
            continue
    return files, memory


def test_5000_displays(rust):
    talk = rust.run("for n in 0..5000 { display!(n); }")
    assert [content["data"]["text/plain"] for content in talk.of("display_data")] == [str(n) for n in range(5000)]


def test_threads_that_print_together(rust):
    thread = 'std::thread::spawn(move || for n in 0..500 { println!("{t} {n}"); })'
    code = f"let all: Vec<_> = (0..8).map(|t| {thread}).collect(); for one in all {{ one.join().ok(); }}"
    talk = rust.run(code)
    lines = talk.stdout.splitlines()
    assert len(lines) == 4000
    for thread in range(8):
        assert [line for line in lines if line.startswith(f"{thread} ")] == [f"{thread} {n}" for n in range(500)]


def test_two_kernels_at_once(kernels, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    both = [kernels(folder) for folder in folders]
    for turn in range(3):
        waiting = [kernel.send(f"let mine{turn} = {turn} + {n};") for n, kernel in enumerate(both)]
        for kernel, talk in zip(both, waiting):
            assert kernel.finish(talk).ok
    assert [kernel.value("mine0 + mine1 + mine2") for kernel in both] == ["3", "6"]
    assert both[0].run("std::process::abort()").ename == "Crash"
    both[0].end()
    assert both[1].value("mine2") == "3"
