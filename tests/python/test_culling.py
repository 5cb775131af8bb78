"""What a culler sees: it ends notebooks in which nobody works, by what the real Jupyter server says of our kernel."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest
import websocket
from client import ENDLESS, KERNEL, SECONDS, wait_until
from openai_server import Server

TOKEN = "culling-tests"
# A culler looks once a minute; whatever moves within this time would keep every pod alive.
STILL_S = 8
ANSWER_S = 60


class Api:
    """The interface of a Jupyter server, as cullers and JupyterLab use it."""

    def __init__(self, address):
        self.address = address

    def ask(self, method, path, content=None):
        """The answer to a request."""
        request = urllib.request.Request(
            f"{self.address}api/{path}",
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def kernels(self):
        """All that the culler asks for."""
        return self.ask("GET", "kernels")

    @contextmanager
    def kernel(self):
        """The identity of a new kernel, to which nobody is connected."""
        identity = self.ask("POST", "kernels", {"name": KERNEL})["id"]
        yield identity
        self.ask("DELETE", f"kernels/{identity}")

    @contextmanager
    def frontend(self, kernel):
        """A connection as an open tab has it."""
        socket = websocket.create_connection(
            f"{self.address.replace('http', 'ws', 1)}api/kernels/{kernel}/channels?session_id=culling",
            header=[f"Authorization: token {TOKEN}"],
            timeout=SECONDS,
        )
        yield Frontend(socket)
        socket.close()


class Frontend:
    """Sends requests and reads what comes."""

    def __init__(self, socket):
        self.socket = socket
        self.n_sent = 0

    def send(self, kind, content, channel="shell"):
        """The identity of a request that is sent."""
        self.n_sent += 1
        header = {"msg_id": f"request-{self.n_sent}", "msg_type": kind, "session": "culling"}
        header.update(username="", version="5.3", date=datetime.now(timezone.utc).isoformat())
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        self.socket.send(json.dumps(message))
        return header["msg_id"]

    def execute(self, code):
        """Sends a cell."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return self.send("execute_request", {**content, "allow_stdin": False, "stop_on_error": True})

    def until(self, request, wanted):
        """The next message that came of the request and is wanted."""
        while True:
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") == request and wanted(message):
                return message

    def until_idle(self, request):
        """Waits until everything that came of the request has come."""
        self.until(request, lambda message: message["content"].get("execution_state") == "idle")

    def until_shown(self, request, text):
        """Waits until a cell shows this."""
        self.until(request, lambda message: text in message["content"].get("text", ""))


def answers(api):
    """Whether the server listens by now."""
    try:
        return bool(api.ask("GET", "status"))
    except urllib.error.URLError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Jupyter server without JupyterLab, and a model behind it that answers when it is told to."""
    home = tmp_path_factory.mktemp("server")
    with Server(models=("test-model",), slots=0) as model:
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={home}"]
        variables = {**os.environ, "JUPYTER_TOKEN": TOKEN, "JUPYTER_CONFIG_DIR": str(home / "config")}
        variables.update(OPENAI_BASE_URL=model.url, OPENAI_API_KEY="unused")
        log = home / "log"
        with log.open("w") as stderr:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, env=variables)
        try:
            wait_until(lambda: process.poll() is not None or re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()))
            found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())
            assert found, log.read_text()
            api = Api(found.group(0))
            # It tells its address before it listens there.
            wait_until(lambda: process.poll() is not None or answers(api))
            yield api, model
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture
def api(server):
    return server[0]


@pytest.fixture
def model(server):
    return server[1]


@pytest.fixture
def kernel(api):
    with api.kernel() as identity:
        yield identity


def state(api):
    """The state of the one kernel."""
    [kernel] = api.kernels()
    return kernel["execution_state"]


def last_activity(api):
    """When the one kernel did something."""
    [kernel] = api.kernels()
    return moment(kernel["last_activity"])


def moment(text):
    """A time as the server writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def last_seen_active(kernels, now, before):
    """When the culling controller of Kubeflow Notebooks v1 takes a notebook to have been active, after one look.

    Any kernel that is not idle counts as active now; else the newest activity of all does; without kernels, nothing new
    is known. Source: components/notebook-controller/controllers/culling_controller.go of kubeflow/notebooks.
    """
    if not kernels:
        return before
    if any(kernel["execution_state"] != "idle" for kernel in kernels):
        return now
    return max(moment(kernel["last_activity"]) for kernel in kernels)


def is_culled(api, idle_s):
    """Whether that controller would now stop the notebook, if it allowed so many seconds without activity."""
    now = datetime.now(timezone.utc)
    seen = last_seen_active(api.kernels(), now, before=now)
    return (now - seen).total_seconds() > idle_s


def stays(read, seconds=STILL_S):
    """What `read` gives, all the time."""
    first = read()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert read() == first
        time.sleep(0.25)
    return first


def test_a_kernel_that_has_done_nothing_is_idle_though_nobody_is_connected(api, kernel):
    wait_until(lambda: state(api) == "idle", ANSWER_S)
    assert stays(lambda: (state(api), last_activity(api)))[0] == "idle"
    assert is_culled(api, idle_s=STILL_S / 2)


def test_a_long_magic_keeps_the_notebook_and_its_end_lets_it_go(api, model, kernel):
    with api.frontend(kernel) as frontend:
        before = datetime.now(timezone.utc)
        request = frontend.execute("%%ask\nWho are you?")
        wait_until(lambda: model.n_waiting)
        assert stays(lambda: state(api)) == "busy"
        assert not is_culled(api, idle_s=STILL_S / 2)
        model.change(slots=8)
        frontend.until_idle(request)
        model.change(slots=0)
    # The tab is closed: nobody is there any more.
    wait_until(lambda: state(api) == "idle", ANSWER_S)
    assert last_activity(api) > before
    assert not is_culled(api, idle_s=STILL_S * 100)
    stays(lambda: (state(api), last_activity(api)))
    assert is_culled(api, idle_s=STILL_S / 2)


def test_a_long_cell_keeps_the_notebook_even_with_the_tab_closed(api, kernel):
    with api.frontend(kernel) as frontend:
        frontend.until_shown(frontend.execute(ENDLESS), "begun")
    assert stays(lambda: state(api)) == "busy"
    assert not is_culled(api, idle_s=STILL_S / 2)
    api.ask("POST", f"kernels/{kernel}/interrupt")
    wait_until(lambda: state(api) == "idle", ANSWER_S)


@pytest.mark.parametrize(
    ("kind", "content", "channel"),
    [
        ("complete_request", {"code": "%co", "cursor_pos": 3}, "shell"),
        ("inspect_request", {"code": "%corpus", "cursor_pos": 4, "detail_level": 0}, "shell"),
        ("is_complete_request", {"code": "let x = 1;"}, "shell"),
        ("kernel_info_request", {}, "control"),
        ("usage_request", {}, "control"),
    ],
)
def test_a_question_beside_a_long_cell_does_not_make_the_notebook_look_idle(api, kernel, kind, content, channel):
    with api.frontend(kernel) as frontend:
        frontend.until_shown(frontend.execute(ENDLESS), "begun")
        frontend.until_idle(frontend.send(kind, content, channel))
        assert stays(lambda: state(api), seconds=2) == "busy"
        api.ask("POST", f"kernels/{kernel}/interrupt")
    wait_until(lambda: state(api) == "idle", ANSWER_S)


def test_nothing_moves_once_questions_are_answered(api, kernel):
    with api.frontend(kernel) as frontend:
        frontend.until_idle(frontend.execute("let x = 1;"))
        for kind, content in [
            ("complete_request", {"code": "x.", "cursor_pos": 2}),
            ("inspect_request", {"code": "%corpus", "cursor_pos": 4, "detail_level": 0}),
            ("is_complete_request", {"code": "let x = 1;"}),
            ("history_request", {"hist_access_type": "tail", "n": 5, "output": False, "raw": True}),
            ("comm_info_request", {}),
            ("kernel_info_request", {}),
        ]:
            frontend.until_idle(frontend.send(kind, content))
        wait_until(lambda: state(api) == "idle", ANSWER_S)
        # An open tab in which nobody types is no activity.
        stays(lambda: (state(api), last_activity(api)))
        assert is_culled(api, idle_s=STILL_S / 2)


def test_the_rule_itself():
    now = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    old = {"execution_state": "idle", "last_activity": "2026-01-01T10:00:00.000000Z"}
    newer = {"execution_state": "idle", "last_activity": "2026-01-01T11:00:00.000000Z"}
    assert last_seen_active([old, newer], now, before=None) == moment(newer["last_activity"])
    assert last_seen_active([old, {**newer, "execution_state": "starting"}], now, before=None) == now
    assert last_seen_active([], now, before=now) == now
