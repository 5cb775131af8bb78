"""What stays from cell to cell, and what a person is told when a cell is wrong."""

import pytest


def run(kernel, *cells):
    """Runs cells that must succeed; the last one."""
    for code in cells:
        talk = kernel.run(code)
        assert talk.ok, talk
    return talk


def test_the_last_expression_is_shown_unless_it_is_nothing(rust):
    assert rust.value("1 + 1") == "2"
    assert rust.value('vec![("a", 1.5)]') == '[("a", 1.5)]'
    assert rust.value("#[derive(Debug)] struct Point { x: i32 }\nPoint { x: 1 }") == "Point { x: 1 }"
    for code in ("1 + 1;", "()", "let unused = 5;", "for _ in 0..3 {}", "fn nothing() {}", "", "// a remark"):
        assert rust.value(code) is None, code


def test_variables_and_items_stay(rust):
    run(rust, "let a = 41;", 'let (b, c) = (1.5, vec!["x".to_owned()]);')
    run(rust, "let mut d = std::collections::HashMap::<i32, f64>::new();")
    run(rust, "fn double(n: i32) -> i32 { 2 * n }", "use std::collections::BTreeSet;", "d.insert(a, b);")
    assert rust.value("double(a) + 1") == "83"
    assert rust.value("(b, c.len(), d[&41])") == "(1.5, 1, 1.5)"
    assert rust.value("BTreeSet::from([2, 1])") == "{1, 2}"
    run(rust, 'let a = "now a text";', "let mut c = c; c.push(String::new());")
    assert rust.value("(a, c.len())") == '("now a text", 2)'


def test_what_a_cell_moves_is_gone_but_frames_stay(rust):
    run(rust, "let moved = vec![1]; let stays = 2;", "drop(moved);")
    gone = rust.run("moved")
    assert gone.ename == "CompileError" and "moved" in gone.traceback
    assert rust.value("stays") == "2"
    run(rust, 'let sales = df!("region" => ["north", "south"], "amount" => [10, 32])?;')
    run(rust, 'let plan = sales.lazy().select([col("amount").sum()]);', "let total = plan.collect()?;")
    assert rust.value("sales.height()") == "2"
    assert "42" in run(rust, "plan.collect()?").data["text/plain"]
    run(rust, 'let series = Series::new("s".into(), [1, 2, 3]);', "let taken = series;")
    assert rust.value("(series.len(), taken.len(), total.height())") == "(3, 3, 1)"


def test_a_name_may_be_given_again(rust):
    for n in range(1, 4):
        run(rust, f'let frame = df!("a" => vec![1; {n}])?;')
        assert rust.value("frame.height()") == str(n)
    run(rust, "let frame = frame.lazy();", "let frame = frame.collect()?;")
    assert rust.value("frame.height()") == "3"
    run(rust, "fn f() -> i32 { 1 }", "fn f() -> i32 { 2 }", "struct S(i32);", "struct S(f64);")
    assert rust.value("f() as f64 + S(0.5).0") == "2.5"


def test_a_panic_keeps_the_variables(rust):
    run(rust, 'let kept = vec![1, 2, 3]; let name = String::from("é");')
    talk = rust.run("let n = kept.len();\nlet empty: Vec<i32> = Vec::new();\nempty[n]")
    assert talk.ename == "Panic"
    assert "index out of bounds" in talk.error["evalue"]
    assert rust.value("(kept.len(), name)") == '(3, "é")'


def test_a_question_mark_on_an_error_is_one(rust):
    run(rust, "let kept = 5;")
    talk = rust.run('let text = std::fs::read_to_string("/no/such/file")?;\ntext.len()')
    assert talk.ename == "Error"
    assert "No such file" in talk.error["evalue"]
    assert rust.run('"x".parse::<i32>()?').ename == "Error"
    assert rust.value('kept + "37".parse::<i32>()?') == "42"


@pytest.mark.parametrize(
    ("code", "line", "at"),
    [
        ('let x: u32 = "text";', 'let x: u32 = "text";', '"text"'),
        ('let größe = 1;\nlet x: u32 = "é→😀"; // Zahl', 'let x: u32 = "é→😀"; // Zahl', '"é→😀"'),
        ('let ü = "ö"; let x: u32 = "text";', 'let ü = "ö"; let x: u32 = "text";', '"text"'),
    ],
)
def test_a_compile_error_shows_the_source_with_carets(rust, code, line, at):
    talk = rust.run(code)
    assert talk.ename == "CompileError" and "mismatched types" in talk.error["evalue"]
    shown = talk.traceback.splitlines()
    pairs = [(text, below) for text, below in zip(shown, shown[1:]) if line in text and "^" in below]
    assert pairs, talk.traceback
    for text, below in pairs:
        assert below.index("^") == text.index(at), talk.traceback


def test_many_mistakes_are_one_error(rust):
    talk = rust.run('let x: u32 = "a";\nlet y: u32 = "b";\nnowhere();')
    assert talk.ename == "CompileError" and len(talk.of("error")) == 1
    assert '"a"' in talk.traceback and '"b"' in talk.traceback and "nowhere" in talk.traceback
    assert rust.run("let unfinished = (").ename == "CompileError"


def test_commands(rust):
    run(rust, 'let counted = 5_u8; let named = String::from("n");')
    shown = run(rust, ":vars").shown
    assert "counted" in shown and "u8" in shown and "named" in shown
    assert "u8" in run(rust, ":type counted").shown
    assert run(rust, ":opt 2", "(0..100_u64).sum::<u64>()").result == "4950"
    run(rust, ":opt 0")
    assert "shell é" in run(rust, "!echo shell é").shown
    assert ":dep" in run(rust, ":help").shown
    run(rust, ":clear")
    assert rust.run("counted").ename == "CompileError"
    run(rust, "let counted = 6;", ":restart")
    assert rust.value("40 + 2") == "42"


def crate(folder, name, body):
    """A crate of our own, for which nothing is fetched."""
    (folder / name / "src").mkdir(parents=True)
    (folder / name / "src/lib.rs").write_text(body)
    (folder / name / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
    return folder / name


def test_a_crate_comes_in(rust, tmp_path):
    path = crate(tmp_path, "greeting", 'pub fn greet(name: &str) -> String { format!("Hello {name}") }')
    run(rust, "let before = 1;")
    added = run(rust, f':dep greeting = {{ path = "{path}" }}')
    assert "greeting" in added.shown
    assert rust.value('(greeting::greet("Ada"), before)') == '("Hello Ada", 1)'
    broken = crate(tmp_path, "broken", "pub fn f() -> i32 { true }")
    talk = rust.run(f':dep broken = {{ path = "{broken}" }}\nbroken::f()')
    assert talk.error and "mismatched types" in talk.shown
    assert rust.value('greeting::greet("Bob")') == '"Hello Bob"'


def test_polars_is_the_one_that_is_there(rust):
    talk = run(rust, ':dep polars = "0.55"')
    lines = [line for line in talk.shown.splitlines() if line.strip()]
    assert len(lines) == 1 and "polars" in lines[0] and "prelude" in lines[0], talk
    assert rust.value('let frame: polars::prelude::DataFrame = df!("a" => [1])?; frame.height()') == "1"
