"""The protocol beyond what the conformance suite asks: counts, silence, history, positions, and no waiting."""

import pytest
import zmq
from client import ANSWER_S, ENDLESS

REQUESTS = [
    ("kernel_info_request", {}),
    ("is_complete_request", {"code": "1 + 1"}),
    ("complete_request", {"code": "%lsm", "cursor_pos": 4}),
    ("inspect_request", {"code": "%lsmagic", "cursor_pos": 3, "detail_level": 0}),
    ("history_request", {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}),
    ("comm_info_request", {}),
]


def states(talk):
    """The states that were published for a request."""
    return [content["execution_state"] for content in talk.of("status")]


@pytest.mark.parametrize(("kind", "content"), REQUESTS)
def test_every_request_is_busy_then_idle(rust, kind, content):
    talk = rust.ask(kind, content)
    assert states(talk) == ["busy", "idle"]
    assert talk.reply["msg_type"] == kind.replace("request", "reply")
    assert talk.reply["parent_header"]["msg_id"] == talk.id


@pytest.mark.parametrize("kind", ["kernel_info_request", "interrupt_request", "debug_request", "usage_request"])
def test_control_is_busy_then_idle_too(rust, kind):
    debug = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
    talk = rust.ask(kind, debug if kind == "debug_request" else {}, channel="control")
    assert states(talk) == ["busy", "idle"]


def test_requests_of_an_unknown_kind_do_no_harm(rust):
    talk = rust.post("make_coffee_request", {"sugar": True})
    rust.until(lambda: talk.idle)
    talk = rust.post("comm_open", {"comm_id": "1", "target_name": "nobody", "data": {}})
    rust.until(lambda: talk.idle)
    assert [content["comm_id"] for content in talk.of("comm_close")] == ["1"]
    assert rust.ask("kernel_info_request").ok


def test_nothing_waits_for_a_running_cell(rust):
    rust.await_analyst()
    cell = rust.send(ENDLESS)
    rust.until_shown(cell, "begun")
    for kind, content in REQUESTS:
        assert rust.ask(kind, content).reply["content"].get("status") != "error", kind
    assert rust.completes("String::fr")
    assert cell.ended is None
    rust.stop(cell)


def test_the_heart_beats_while_a_cell_runs(rust):
    cell = rust.send(ENDLESS)
    rust.until_shown(cell, "begun")
    socket = zmq.Context.instance().socket(zmq.REQ)
    try:
        socket.connect(rust.client._make_url("hb"))
        for beat in (b"one", b"\x00\xff", b""):
            socket.send(beat)
            assert socket.poll(ANSWER_S * 1000), "no answer"
            assert socket.recv() == beat
    finally:
        socket.close(linger=0)
    rust.stop(cell)


def test_counts_begin_with_one_and_silent_cells_have_none(kernels):
    kernel = kernels()
    assert kernel.run("%lsmagic").reply["content"]["execution_count"] == 1
    silent = kernel.run('println!("not to be seen"); 1', silent=True)
    assert silent.ok and not silent.of("execute_input", "execute_result", "stream"), silent
    aside = kernel.run("1 + 1", store_history=False)
    assert aside.result == "2"
    second = kernel.run("1 + 2")
    assert second.reply["content"]["execution_count"] == 2
    assert second.of("execute_input") == [{"code": "1 + 2", "execution_count": 2}]
    tail = {"hist_access_type": "tail", "n": 9, "raw": True, "output": False}
    history = kernel.ask("history_request", tail).reply["content"]["history"]
    assert [line[2] for line in history][-2:] == ["%lsmagic", "1 + 2"]


def test_expressions_of_the_user(rust):
    talk = rust.run("let base = 20;", user_expressions={"sum": "base + 1", "wrong": "nothing", "text": '"é"'})
    assert talk.ok
    expressions = talk.reply["content"]["user_expressions"]
    assert expressions["sum"]["status"] == "ok"
    assert expressions["sum"]["data"]["text/plain"] == "21"
    assert expressions["text"]["data"]["text/plain"] == '"é"'
    assert expressions["wrong"]["status"] == "error"
    assert expressions["wrong"]["ename"] == "CompileError"
    assert not talk.of("error", "execute_result")


def test_a_failure_aborts_what_waits_unless_it_is_told_not_to(rust):
    first, second = rust.send('panic!("first")'), rust.send("1 + 1")
    rust.finish(first)
    rust.finish(second)
    assert first.ename == "Panic"
    content = second.reply["content"]
    assert (content["status"], content["ename"]) == ("error", "Aborted")
    assert not second.of("execute_input", "execute_result", "error")
    first, second = rust.send('panic!("first")', stop_on_error=False), rust.send("1 + 1")
    rust.finish(first)
    rust.finish(second)
    assert first.ename == "Panic" and second.result == "2"


def test_the_history_survives_the_kernel(kernels, tmp_path):
    state = {"MLK8S_STATE": str(tmp_path / "state")}
    first = kernels(env=state)
    for code in ("%lsmagic", "1 + 41", "1 + 41"):
        first.run(code)
    first.end()
    second = kernels(env=state)
    second.run("%help")
    found = second.ask(
        "history_request",
        {"hist_access_type": "search", "pattern": "1 + ?1", "raw": True, "output": True, "unique": True},
    )
    [[session, line, [code, output]]] = found.reply["content"]["history"]
    assert (session, line, code, output) == (1, 3, "1 + 41", "42")
    ranged = {"hist_access_type": "range", "session": -1, "start": 1, "stop": 3, "raw": True, "output": False}
    found = second.ask("history_request", ranged)
    assert found.reply["content"]["history"] == [[1, 1, "%lsmagic"], [1, 2, "1 + 41"]]


@pytest.mark.parametrize("before", ['let s = "a"; ', 'let s = "😀"; ', 'let s = "e\u0301𝒳"; '])
def test_positions_count_code_points(rust, before):
    rust.await_analyst()
    code = before + "s.is_em"
    reply = rust.ask("complete_request", {"code": code, "cursor_pos": len(code)}).reply["content"]
    start, end = reply["cursor_start"], reply["cursor_end"]
    completed = {code[:start] + match + code[end:] for match in reply["matches"]}
    assert any(text.startswith(before + "s.is_empty") for text in completed), reply
    text = "é" * 5 + ";\n%lsm"
    reply = rust.ask("complete_request", {"code": text, "cursor_pos": len(text)}).reply["content"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (len(text) - 4, len(text))


def test_subshells_are_there_exactly_if_they_are_promised(rust):
    promised = "kernel subshells" in rust.ask("kernel_info_request").reply["content"]["supported_features"]
    if not promised:
        asked = rust.post("create_subshell_request", channel="control")
        rust.until(lambda: asked.idle)
        assert asked.reply is None or not asked.ok
        return
    subshell = rust.ask("create_subshell_request", channel="control").reply["content"]["subshell_id"]
    cell = rust.send(ENDLESS)
    rust.until_shown(cell, "begun")
    code = {"code": "%lsmagic", "silent": False, "store_history": False, "allow_stdin": False}
    aside = rust.finish(rust.post("execute_request", code, subshell_id=subshell))
    assert aside.ok and cell.ended is None
    assert aside.reply["parent_header"]["subshell_id"] == subshell
    rust.stop(cell)
    assert rust.ask("delete_subshell_request", {"subshell_id": subshell}, channel="control").ok
