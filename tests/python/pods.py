"""Containers for the tests, run as Kubeflow runs pods, and the Jupyter server in them, as its clients see it."""

import ctypes
import http.cookiejar
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest
import websocket
from conftest import ROOT
from jupyter_client.kernelspec import KernelSpecManager

# podman, or docker with its daemon; `cargo devbox image test --engine docker` says so.
ENGINE = os.environ.get("MLK8S_IMAGE_ENGINE", "podman")
NEEDED = {"podman": ("podman", "runc", "debootstrap"), "docker": ("docker", "debootstrap")}[ENGINE]
# Podman, if asked for a root that cannot be written, adds places that can; docker does not.
READ_ONLY = ("--read-only", "--read-only-tmpfs=false") if ENGINE == "podman" else ("--read-only",)
PREFIX = "/notebook/team-a/nb1"
# A pod that Kubernetes restricts; the volume of an empty claim with fsGroup 100 is `claim`.
RESTRICTED = ("--cap-drop", "all", "--security-opt", "no-new-privileges", "--group-add", "100", "--shm-size", "256m")
# Images and layers are kept beside the environment: outside of the checkout where that is. Docker keeps its own.
STORE = Path(os.environ.get("MLK8S_IMAGE_STORE", Path(sys.prefix).parent / "images"))
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
READY_S = 120
BUILD_S = 1800
ENGINE_S = 300
CELL_S = 300
CLONE_NEWNET = 0x40000000


def refusal():
    """Why containers cannot be tested here, or nothing."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"images are not tested: no {', '.join(missing)} (Debian: apt-get install {' '.join(NEEDED)})"
    if os.geteuid() != 0:
        return "images are not tested: debootstrap and networks of containers need root"
    return None


def require():
    """Skips where containers cannot be tested, but fails where nobody would notice a skip."""
    why = refusal()
    if why and os.environ.get("CI", "false") != "false" and os.geteuid() == 0:
        pytest.fail(why)
    if why:
        pytest.skip(why)


def build(*names):
    """Builds images of what `cargo devbox` has built on this machine."""
    program = Path(KernelSpecManager().get_kernel_spec("mlk8s-rust").argv[0]).with_name("devbox")
    STORE.mkdir(parents=True, exist_ok=True)
    command = [program, "image", "build", *names, "--here", "--no-build", "--engine", ENGINE]
    if ENGINE == "podman":
        command += ["--store", STORE]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "MLK8S_STATE": str(STORE / "state")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def image(name):
    """What an image of ours is called."""
    return f"{'localhost/' if ENGINE == 'podman' else ''}mlk8s/{name}:{VERSION}"


def engine(*words, check=True):
    """The finished process of podman on our store, or of docker."""
    settings = {"CONTAINERS_CONF": STORE / "containers.conf", "CONTAINERS_STORAGE_CONF": STORE / "storage.conf"}
    done = subprocess.run(
        [ENGINE, *map(str, words)],
        # Where memory ran out, conmon leaves a file called `oom` in the folder that it was started in.
        cwd=STORE,
        env={**os.environ, **{name: str(path) for name, path in settings.items()}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENGINE_S,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def claim(folder, owner=(0, 100), mode=0o2775):
    """An empty volume, as a new claim looks with fsGroup 100."""
    folder.mkdir()
    os.chown(folder, *owner)
    folder.chmod(mode)
    return folder


class Pod:
    """A running container of the notebook image."""

    def __init__(self, *options, name="notebook", command=(), prefix=PREFIX):
        self.id = None
        self.prefix = prefix
        if prefix:
            options = (*options, "-e", f"NB_PREFIX={prefix}")
        started = time.monotonic()
        # Only the network of its own: nothing is fetched from anywhere.
        run = ["run", "--detach", "--network", "none", "--no-healthcheck", *RESTRICTED, *options]
        self.id = engine(*run, image(name), *command).stdout.strip()
        self.started = started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        engine("rm", "--force", *(("--time", "0") if ENGINE == "podman" else ()), self.id, check=False)

    def execute(self, *command, check=True):
        """What a command in the container prints."""
        done = engine("exec", self.id, *command, check=False)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout

    @property
    def log(self):
        done = engine("logs", self.id, check=False)
        return done.stdout + done.stderr

    def inspect(self, field):
        """A field of the state, as text."""
        return engine("inspect", "--format", "{{.State." + field + "}}", self.id).stdout.strip()

    def wait(self):
        """The exit status."""
        return int(engine("wait", self.id).stdout)

    def server(self, port=8888, **options):
        """The server in it, when it answers; how long that took is in `ready_s`."""
        forward = Forward(int(self.inspect("Pid")), port)
        server = Server(f"http://127.0.0.1:{forward.port}{self.prefix.rstrip('/')}", **options)
        deadline = time.monotonic() + READY_S
        while server.status("/api") != 200:
            assert self.inspect("Running") == "true", self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)
        self.ready_s = time.monotonic() - self.started
        return server


class Played(Pod):
    """The notebook's pod of our manifests, run by `podman play kube`; a container of one is called like both."""

    def __init__(self, manifest, name):
        self.manifest, self.prefix, self.id = manifest, PREFIX, f"{name}-{name}"
        self.started = time.monotonic()
        engine("play", "kube", "--network", "none", manifest)

    def __exit__(self, *_):
        engine("play", "kube", "--down", self.manifest, check=False)


class Forward:
    """Lets clients here reach a port of a container, as `kubectl port-forward` does.

    A socket belongs to the network that its thread was in when it was made: one thread enters that of the container.
    """

    def __init__(self, pid, port):
        self.pid, self.to = pid, port
        self.waiting = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        for work in (self.connect, self.accept):
            threading.Thread(target=work, daemon=True).start()

    def accept(self):
        while True:
            self.waiting.put(self.listener.accept()[0])

    def connect(self):
        with open(f"/proc/{self.pid}/ns/net") as network:
            assert ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET) == 0
        while True:
            client = self.waiting.get()
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source, target):
    """Passes on what comes, until either side ends."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server:
    """A Jupyter server, used as a browser uses it: with its cookie against forged requests, or with a token."""

    def __init__(self, address, token=None):
        self.address = address
        self.token = token
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, path, method="GET", content=None):
        """The answer to a request; an `HTTPError` where it is refused."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"token {self.token}"
        elif method != "GET":
            headers["X-XSRFToken"] = self.xsrf()
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        return self.opener.open(request, timeout=60)

    def xsrf(self):
        if not any(cookie.name == "_xsrf" for cookie in self.cookies):
            self.opener.open(self.address + "/lab", timeout=60).read()
        return next(cookie.value for cookie in self.cookies if cookie.name == "_xsrf")

    def status(self, path):
        """The status of an answer; 0 where there is none."""
        try:
            return self.open(path).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def ask(self, path, method="GET", content=None):
        """The answer as data."""
        body = self.open("/api/" + path, method, content).read()
        return json.loads(body) if body else None

    def kernel(self):
        """A new kernel."""
        return Channels(self, self.ask("kernels", "POST", {"name": "mlk8s-rust"})["id"])


class Channels:
    """A kernel behind the websocket of a Jupyter server."""

    def __init__(self, server, kernel):
        self.server, self.kernel = server, kernel
        headers = [f"Authorization: token {server.token}"] if server.token else []
        address = server.address.replace("http", "ws", 1) + f"/api/kernels/{kernel}/channels?session_id=tests"
        self.socket = websocket.create_connection(address, timeout=CELL_S, header=headers)

    def send(self, kind, content):
        """Sends a request; yields its number."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": kind, "username": "", "session": "tests", "version": "5.3", "date": ""}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        return number

    def start(self, code):
        """Has a cell begun; yields its number."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return self.send("execute_request", {**content, "allow_stdin": False, "stop_on_error": True})

    def replies(self, number):
        """What comes of a request, until it has been dealt with."""
        reply = idle = False
        while not (reply and idle):
            text = self.socket.recv()
            message = json.loads(text)
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            reply = reply or message["channel"] == "shell"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            yield kind, content

    def run(self, code):
        """The outputs of a cell, as a notebook keeps them."""
        kinds = ("stream", "display_data", "execute_result", "error")
        return [{"output_type": kind, **content} for kind, content in self.replies(self.start(code)) if kind in kinds]

    def state(self):
        """How the server, and so a culler, sees this kernel."""
        return self.server.ask(f"kernels/{self.kernel}")

    def close(self):
        self.socket.close()
        self.server.ask(f"kernels/{self.kernel}", "DELETE")
