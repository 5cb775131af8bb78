"""Clients that are stuck, killed, broken or hostile: the others notice nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zmq
from client import ENDLESS
from jupyter_client.blocking import BlockingKernelClient

# Reads the connection file named first, says so once it is welcomed, and names the type of what it gets then.
SUBSCRIBER = """
import json, sys, zmq
connection = json.load(open(sys.argv[1]))
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.RCVHWM, 0)
socket.connect(f"tcp://{connection['ip']}:{connection['iopub_port']}")
socket.subscribe(b"")
socket.recv_multipart()
print("welcomed", flush=True)
while socket.poll(100_000):
    frames = socket.recv_multipart()
    print(json.loads(frames[frames.index(b"<IDS|MSG>") + 2])["msg_type"], flush=True)
print("silence", flush=True)
"""
# More than what the buffers of the system hold for a client that reads nothing.
PICTURES = 'for n in 0..48 { display!(Html(format!("{n} {}", "x".repeat(1_000_000)))); }'


@pytest.fixture
def subscriber(rust):
    """Starts processes that listen to what the kernel publishes."""
    started = []

    def start():
        command = [sys.executable, "-c", SUBSCRIBER, rust.manager.connection_file]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "welcomed\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def pictures(talk):
    """The numbers of the pictures that arrived whole."""
    texts = [content["data"]["text/html"] for content in talk.of("display_data")]
    assert all(len(text) > 1_000_000 for text in texts)
    return [int(text.split()[0]) for text in texts]


def test_a_stopped_subscriber_neither_blocks_nor_robs_the_others(rust, subscriber):
    before, stopped, after = subscriber(), subscriber(), subscriber()
    os.kill(stopped.pid, signal.SIGSTOP)
    talk = rust.run(PICTURES)
    assert talk.ok and pictures(talk) == list(range(48))
    for other in (before, after):
        types = []
        while types.count("display_data") < 48:
            types.append(other.stdout.readline().strip())
            assert types[-1] not in ("silence", ""), types
    for n in range(20):
        assert rust.run(f'println!("{{}}", "y".repeat(100_000)); {n}').result == str(n)
    # Killed while it has everything before it.
    stopped.kill()
    stopped.wait()
    assert rust.value("1 + 1") == "2"


def test_a_stopped_subscriber_that_goes_on_is_no_danger(rust, subscriber):
    stopped = subscriber()
    os.kill(stopped.pid, signal.SIGSTOP)
    assert rust.run(PICTURES).ok
    os.kill(stopped.pid, signal.SIGCONT)
    assert rust.value("1 + 1") == "2"


def test_clients_that_are_killed_in_the_middle(rust, subscriber):
    killed = [subscriber() for _ in range(3)]
    cell = rust.send(f"for _ in 0..3 {{ {PICTURES} }}")
    for client in killed:
        rust.until(lambda: len(cell.of("display_data")) > 5 or cell.ended)
        client.kill()
    rust.finish(cell)
    assert pictures(cell) == list(range(48)) * 3
    assert rust.value("1 + 1") == "2"


def signed(kernel, kind, content):
    """The frames of a request, as they go over the wire."""
    session = kernel.client.session
    return [bytes(frame) for frame in session.serialize(session.msg(kind, content))]


def spoil(frames):
    """What may become of a good message on its way."""
    mark, signature, *parts = frames
    forged = [mark, b"0" * 64, *parts]
    return {
        "another signature": forged,
        "no signature": [mark, b"", *parts],
        "half a signature": [mark, signature[:32], *parts],
        "signature that is no text": [mark, b"\xff" * 64, *parts],
        "another content": [mark, signature, *parts[:-1], b'{"code": "std::process::exit(1)"}'],
        "no mark": [signature, *parts],
        "only a mark": [mark],
        "nothing": [b""],
        "truncated": [mark, signature, *parts[:2]],
        "half a header": [mark, signature, parts[0][: len(parts[0]) // 2], *parts[1:]],
        "garbage": [bytes(range(256)) * 40],
        "many frames": [b"x"] * 500,
        "a large frame": [mark, signature, b"[" * 5_000_000],
    }


SPOILT = sorted(spoil([b"mark", b"ab", b"{}", b"{}", b"{}", b"{}"]))


@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_message_is_skipped(rust, channel, how):
    code = {"code": "std::process::exit(1)", "silent": False, "store_history": True, "user_expressions": {}}
    # With this answer, whatever a new kernel says by itself is here.
    rust.ask("kernel_info_request")
    n_others = len(rust.others)
    frames = spoil(signed(rust, "execute_request", code))[how]
    getattr(rust.client, f"{channel}_channel").socket.send_multipart(frames)
    assert rust.ask("kernel_info_request").reply["content"]["implementation"] == "mlk8s"
    assert rust.ask("kernel_info_request", channel="control").reply["content"]["status"] == "ok"
    assert len(rust.others) == n_others, rust.others[n_others:]


@pytest.mark.parametrize(
    "parts",
    [
        [b"null", b"null", b"null", b"null"],
        [b"[]", b"[]", b"[]", b"[]"],
        [b"{}", b"{}", b"{}", b"{}"],
        [b'{"msg_type": 5}', b"{}", b"{}", b"{}"],
        [b'{"msg_type": "execute_request", "msg_id": "a"}', b"{}", b"{}", b"[]"],
        [b"\xff\xfe", b"\xff", b"", b"{"],
        [b"[" * 100_000, b"{}", b"{}", b"{}"],
    ],
)
def test_rightly_signed_nonsense_is_survived(rust, parts):
    session = rust.client.session
    rust.client.shell_channel.socket.send_multipart([b"<IDS|MSG>", session.sign(parts), *parts])
    assert rust.ask("kernel_info_request").reply["content"]["implementation"] == "mlk8s"


@pytest.mark.parametrize("content", [{}, {"code": None}, {"code": 5}, {"code": ["1"]}, {"code": "1", "silent": "yes"}])
def test_a_cell_that_is_none_has_an_answer(rust, content):
    talk = rust.ask("execute_request", content)
    assert talk.reply["content"]["status"] in ("ok", "error")
    assert rust.value("1 + 1") == "2"


@pytest.mark.parametrize("position", [-1, 999, None, "two"])
def test_a_position_that_is_none_does_no_harm(rust, position):
    rust.await_analyst()
    for kind in ("complete_request", "inspect_request"):
        talk = rust.ask(kind, {"code": "😀.is_em", "cursor_pos": position, "detail_level": 0})
        assert talk.reply["content"]["status"] in ("ok", "error")


def test_what_is_no_zeromq_at_all_is_turned_away(rust):
    connection = json.loads(Path(rust.manager.connection_file).read_text())
    raw = [zmq.Context.instance().socket(zmq.STREAM) for _ in range(5)]
    names = ("shell", "control", "stdin", "iopub", "hb")
    try:
        for socket, name in zip(raw, names):
            socket.connect(f"tcp://127.0.0.1:{connection[name + '_port']}")
            peer = socket.getsockopt(zmq.ROUTING_ID)
            socket.send_multipart([peer, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"\xff" * 1000])
        assert rust.ask("kernel_info_request").reply["content"]["implementation"] == "mlk8s"
        assert rust.run("1 + 1").result == "2"
    finally:
        for socket in raw:
            socket.close(linger=0)


def reply_to(client, asked):
    """The reply to a request of a plain client."""
    while True:
        reply = client.get_shell_msg(timeout=60)
        if reply["parent_header"]["msg_id"] == asked:
            return reply["content"]


def test_two_clients_at_once(rust):
    # With a session of its own, as every tab of a browser has.
    other = BlockingKernelClient(connection_file=rust.manager.connection_file)
    other.load_connection_file()
    other.start_channels()
    try:
        other.wait_for_ready(timeout=60)
        cell = rust.send(ENDLESS)
        rust.until_shown(cell, "begun")
        # The other's questions are not held up, and each gets its own answers.
        assert reply_to(other, other.kernel_info())["implementation"] == "mlk8s"
        waiting = other.execute("20 + 1", stop_on_error=False)
        # One socket keeps its order: with this answer, the kernel has the cell.
        reply_to(other, other.kernel_info())
        rust.stop(cell)
        # What was behind the cell that was stopped is not run, whoever sent it.
        assert reply_to(other, waiting)["ename"] == "Aborted"
        assert reply_to(other, other.execute("20 + 1"))["status"] == "ok"
    finally:
        other.stop_channels()
    assert rust.value("1 + 1") == "2"
