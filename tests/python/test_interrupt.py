"""Interrupts: whatever runs has ended within a second, the session goes on, and its values are there."""

import random
import time

import pytest
from client import ENDLESS, STOPPED_S, wait_until

SLOW_TO_COMPILE = (
    "#[allow(long_running_const_eval)] const SLOW: u64 = "
    "{ let mut n = 0_u64; while n < 4_000_000_000 { n += 1; } n }; SLOW"
)
SLEEP = 'println!("begun"); std::thread::sleep(std::time::Duration::from_secs(600));'
READ = (
    "use std::io::Read; let (mut one, _other) = std::os::unix::net::UnixStream::pair()?; "
    'println!("begun"); one.read(&mut [0])?;'
)
WORK = (
    'let mut all = Vec::new(); println!("begun"); for n in 0_u64.. { all.push(n); if all.len() > 99 { all.clear(); } }'
)
PAUSE = "std::thread::sleep(std::time::Duration::from_millis(5));"
FLOOD = 'println!("begun"); loop { println!("{}", "x".repeat(50)); }'

# Values of known types, and what they are.
KNOWN = {
    "flag": ("true", "true"),
    "number": ("-41_i64", "-41"),
    "ratio": ("1.5_f64", "1.5"),
    "letter": ("'é'", "'é'"),
    "text": ('String::from("Größe")', '"Größe"'),
    "list": ("vec![1.5, 2.5]", "[1.5, 2.5]"),
    "texts": ('vec![String::from("a"), String::from("b")]', '["a", "b"]'),
}
FRAME = 'df!("name" => ["Ada", "Bob"], "n" => [1, 2])?'


def remember(kernel):
    """Gives the kernel a value of each known type, and one of a type that nobody else knows."""
    for name, (value, _) in KNOWN.items():
        assert kernel.run(f"let {name} = {value};").ok
    assert kernel.run(f'let frame = {FRAME}; let series = Series::new("s".into(), [1, 2, 3]);').ok
    assert kernel.run("struct Odd(i32); let odd = Odd(7);").ok


def check_known(kernel):
    """The known values are there."""
    for name, (_, shown) in KNOWN.items():
        assert kernel.value(name) == shown, name
    assert kernel.value("(frame.height(), frame.width(), series.len())") == "(2, 2, 3)"


def begin(kernel, code):
    """A cell that has begun its work."""
    cell = kernel.send(code)
    kernel.until_shown(cell, "begun")
    return cell


@pytest.mark.parametrize("code", [ENDLESS, WORK, FLOOD], ids=["loop", "for", "print"])
def test_a_loop_stops_and_everything_is_there(rust, code):
    remember(rust)
    cell = begin(rust, code)
    assert rust.stop(cell) < STOPPED_S
    assert cell.ename == "Interrupted"
    check_known(rust)
    assert rust.value("odd.0") == "7"


@pytest.mark.parametrize("code", [SLEEP], ids=["sleep"])
def test_a_cell_that_waits_stops_and_says_what_survived(rust, code):
    remember(rust)
    cell = begin(rust, code)
    assert rust.stop(cell) < STOPPED_S
    assert cell.ename == "Interrupted"
    for name in [*KNOWN, "frame", "series"]:
        assert name in cell.traceback, cell.traceback
    check_known(rust)
    assert rust.run("let again = 1; again + 1").result == "2"


def test_an_interrupted_loop_says_that_the_variables_survived(rust):
    remember(rust)
    cell = begin(rust, ENDLESS)
    rust.stop(cell)
    assert "variables" in cell.traceback, cell.traceback


def test_a_compile_stops(rust):
    remember(rust)
    cell = rust.send(SLOW_TO_COMPILE)
    wait_until(rust.compilers)
    assert rust.stop(cell) < STOPPED_S
    assert cell.ename == "Interrupted"
    wait_until(lambda: not rust.compilers(), STOPPED_S)
    check_known(rust)
    assert rust.value("odd.0") == "7"


def test_a_compile_stops_at_any_moment(rust):
    remember(rust)
    for n in range(60):
        cell = rust.send(SLOW_TO_COMPILE)
        rust.until(lambda cell=cell: cell.of("execute_input"))
        # From before the compiler starts to where it works.
        time.sleep(n * 0.002)
        assert rust.stop(cell) < STOPPED_S, n
        assert cell.ename == "Interrupted"
    wait_until(lambda: not rust.compilers(), STOPPED_S)
    check_known(rust)
    assert rust.value("odd.0") == "7"


def test_a_magic_stops(rust, tmp_path):
    remember(rust)
    folder = tmp_path / "articles"
    folder.mkdir()
    for n in range(20_000):
        (folder / f"{n}.md").write_text("# A title\n\nA sentence about a thing.\n")
    cell = rust.send(f"%corpus {folder}")
    rust.until(lambda: cell.of("execute_input"))
    assert rust.stop(cell) < STOPPED_S
    assert cell.ename == "Interrupted"
    check_known(rust)
    assert rust.value("odd.0") == "7"


def test_a_pending_question_stops(rust):
    remember(rust)
    cell = rust.send('input("Are you there? ")', allow_stdin=True)
    rust.prompt(cell)
    assert rust.stop(cell) < STOPPED_S
    assert cell.ename == "Interrupted"
    check_known(rust)


def test_an_interrupt_of_nothing_is_nothing(rust):
    remember(rust)
    for _ in range(3):
        talk = rust.finish(rust.interrupt())
        assert talk.ok and not talk.of("error", "stream")
    check_known(rust)
    assert rust.value("odd.0") == "7"


def test_an_interrupt_stops_the_cells_that_wait(rust):
    cell = rust.send(ENDLESS)
    waiting = [rust.send(f"let never{n} = 1;") for n in range(3)]
    rust.until_shown(cell, "begun")
    rust.stop(cell)
    for talk in waiting:
        assert rust.finish(talk).reply["content"]["ename"] == "Aborted"
    assert rust.value("1 + 1") == "2"


def test_impatience_does_no_harm(rust):
    remember(rust)
    cell = begin(rust, SLEEP)
    asked = [rust.interrupt() for _ in range(10)]
    rust.finish(cell)
    for talk in asked:
        rust.finish(talk)
    assert cell.ename == "Interrupted"
    check_known(rust)


def test_50_interrupts_at_random_moments(rust, articles):
    moments = random.Random(8)
    assert rust.run('let kept = String::from("kept");').ok
    cells = [
        "1 + 1",
        ENDLESS,
        WORK,
        SLEEP,
        READ,
        FLOOD,
        SLOW_TO_COMPILE,
        'let sum: i64 = df!("n" => [1_i64, 2])?.column("n")?.i64()?.sum().unwrap_or(0); sum',
        "for n in progress(0..1_000_000) { std::hint::black_box(n); }",
        f'let live = display!(Html("<b>x</b>".into())); loop {{ live.update(&Html("y".into())); {PAUSE} }}',
        f"%corpus {articles} --as docs",
        "%lsmagic",
        'let x: u32 = "wrong";',
        'panic!("oh")',
    ]
    for turn in range(50):
        code = moments.choice(cells)
        cell = rust.send(code)
        # The moment is the matter; nothing is ordered by it.
        time.sleep(moments.uniform(0, 1.5))
        asked = rust.interrupt()
        rust.finish(cell)
        rust.finish(asked)
        assert cell.ended - asked.sent < STOPPED_S, (turn, cell)
        assert rust.value("40 + 2") == "42", (turn, code)
        assert rust.value("kept") == '"kept"', (turn, code)
