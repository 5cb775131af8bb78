"""Cells that ask the person."""

import pytest


def test_input_and_password(rust):
    cell = rust.send('let name = input("Name: what, then? "); format!("Hello {name}")', allow_stdin=True)
    assert rust.prompt(cell) == {"prompt": "Name: what, then? ", "password": False}
    rust.answer("Ada Lovelacé")
    assert rust.finish(cell).result == '"Hello Ada Lovelacé"'
    cell = rust.send('password("Secret:").len()', allow_stdin=True)
    assert rust.prompt(cell) == {"prompt": "Secret:", "password": True}
    rust.answer("xyzzy")
    assert rust.finish(cell).result == "5"
    assert "xyzzy" not in cell.shown


def test_plain_read_line_asks_too(rust):
    code = "let mut line = String::new(); std::io::stdin().read_line(&mut line)?; line.trim().to_owned()"
    cell = rust.send(code, allow_stdin=True)
    assert rust.prompt(cell)["password"] is False
    rust.answer("typed")
    assert rust.finish(cell).result == '"typed"'


def test_a_cell_may_ask_often(rust):
    code = "let mut sum = 0; for n in 0..3 { sum += input(&n.to_string()).parse::<i32>()?; } sum"
    cell = rust.send(code, allow_stdin=True)
    for n in range(3):
        assert rust.prompt(cell)["prompt"] == str(n)
        rust.answer(str(n + 1))
    assert rust.finish(cell).result == "6"


def test_what_was_shown_before_the_question_is_there_first(rust):
    cell = rust.send('print!("before"); input("?")', allow_stdin=True)
    rust.prompt(cell)
    rust.until_shown(cell, "before")
    rust.answer("")
    assert rust.finish(cell).result == '""'


@pytest.mark.parametrize(
    "code",
    ['input("Name? ")', 'password("Secret? ")', "std::io::stdin().read_line(&mut String::new())?;"],
)
def test_a_client_that_cannot_be_asked_is_told(rust, code):
    kept = rust.run("let kept = 7;")
    assert kept.ok
    talk = rust.run(code, allow_stdin=False)
    assert talk.ename == "InputRefused", talk
    assert not talk.prompts
    assert rust.value("kept") == "7"


def test_a_question_holds_up_nobody_and_can_be_stopped(rust):
    assert rust.run("let kept = 8;").ok
    cell = rust.send('input("Are you there? ")', allow_stdin=True)
    rust.prompt(cell)
    assert rust.ask("kernel_info_request").ok
    assert rust.ask("complete_request", {"code": "%lsm", "cursor_pos": 4}).ok
    rust.stop(cell)
    assert cell.ename == "Interrupted"
    # The answer comes too late, and is not taken for that of the next question.
    rust.answer("late")
    cell = rust.send('input("Again? ")', allow_stdin=True)
    assert rust.prompt(cell)["prompt"] == "Again? "
    rust.answer("in time")
    assert rust.finish(cell).result == '"in time"'
    assert rust.value("kept") == "8"
