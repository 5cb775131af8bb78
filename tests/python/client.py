"""A frontend for the tests: it keeps every message, holds each against the protocol, and waits for messages only."""

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import psutil
import zmq
from jupyter_client.manager import KernelManager
from jupyter_kernel_test.msgspec_v5 import schema_fragments, validate_message

KERNEL = "mlk8s-rust"
# Whatever has no promised limit gets this; a first cell may wait for the kernel to warm up.
SECONDS = 120
# Questions beside the cells wait for nothing but the machine.
ANSWER_S = 30
# A machine that is busy with other things is slower than what we promise, but not by more than this.
SLACK = 3
# What an interrupt stops must have ended by then.
STOPPED_S = 1.0 * SLACK
# The kernel must have gone by then.
GONE_S = 2.5 * SLACK
GLANCE_S = 0.02
# A cell that runs until it is stopped, and says when it has begun.
ENDLESS = 'println!("begun"); let mut n = 0_u64; loop { n = std::hint::black_box(n.wrapping_add(1)); }'

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Talk:
    """A request and everything that came of it."""

    def __init__(self, message):
        self.id = message["header"]["msg_id"]
        self.sent = time.monotonic()
        self.messages = []
        self.prompts = []
        self.reply = None
        self.idle = False
        self.ended = None

    def of(self, *kinds):
        """The contents of the messages of these types, in their order."""
        return [message["content"] for message in self.messages if message["msg_type"] in kinds]

    def stream(self, name):
        """All text on `stdout` or `stderr`."""
        return "".join(content["text"] for content in self.of("stream") if content["name"] == name)

    @property
    def stdout(self):
        return self.stream("stdout")

    @property
    def stderr(self):
        return self.stream("stderr")

    @property
    def data(self):
        """The bundle of the result; nothing where there is none."""
        results = self.of("execute_result")
        return results[-1]["data"] if results else {}

    @property
    def result(self):
        """The result as text."""
        return self.data.get("text/plain")

    @property
    def error(self):
        """The one error, or nothing; it must be that of the reply."""
        errors = self.of("error")
        assert len(errors) <= 1, errors
        if errors and self.reply:
            for key in ("ename", "evalue", "traceback"):
                assert self.reply["content"][key] == errors[0][key], self
        return errors[0] if errors else None

    @property
    def ename(self):
        return self.error and self.error["ename"]

    @property
    def traceback(self):
        """The traceback without colours."""
        return COLOURS.sub("", "\n".join(self.error["traceback"]))

    @property
    def shown(self):
        """Everything a person reads, so far."""
        texts = [content["text"] for content in self.of("stream")]
        for content in self.of("display_data", "update_display_data", "execute_result"):
            texts.extend(text for text in content["data"].values() if isinstance(text, str))
        if self.error:
            texts.append(self.error["evalue"] + "\n" + self.traceback)
        return COLOURS.sub("", "\n".join(texts))

    @property
    def ok(self):
        return self.reply["content"]["status"] == "ok"

    @property
    def seconds(self):
        """From the request to the end."""
        return self.ended - self.sent

    def __repr__(self):
        lines = [f"{message['msg_type']}: {str(message['content'])[:2000]}" for message in self.messages]
        return "\n".join([*lines, f"reply: {str(self.reply and self.reply['content'])[:2000]}"])


class Kernel:
    """A running kernel and our connection to it."""

    def __init__(self, folder, env=None, wrap=(), transport="tcp"):
        # What the kernel makes elsewhere than here would be left behind; sockets need a short path.
        self.temporary = Path(tempfile.mkdtemp(prefix="m"))
        self.log = (self.temporary.parent / (self.temporary.name + ".log")).open("w+")
        where = {"transport": "ipc", "ip": str(self.temporary / "s")} if transport == "ipc" else {}
        self.manager = KernelManager(kernel_name=KERNEL, **where)
        spec = self.manager.kernel_spec
        spec.argv = [*wrap, *spec.argv]
        variables = {**os.environ, "TMPDIR": str(self.temporary), **(env or {})}
        self.manager.start_kernel(cwd=str(folder), env=variables, stderr=self.log)
        self.process = psutil.Process(self.manager.provisioner.pid)
        self.client = self.manager.client()
        self.client.start_channels()
        self.talks = {}
        self.others = []
        self.late = []
        self.channels = {
            channel.socket: channel
            for channel in (getattr(self.client, f"{name}_channel") for name in ("iopub", "shell", "control", "stdin"))
        }
        self.poller = zmq.Poller()
        for socket in self.channels:
            self.poller.register(socket, zmq.POLLIN)
        # Whoever is welcomed misses nothing from then on.
        self.until(lambda: any(message["msg_type"] == "iopub_welcome" for message in self.others))

    # Requests.

    def post(self, kind, content=None, channel="shell", **header):
        """Sends a request."""
        message = self.client.session.msg(kind, content or {})
        message["header"].update(header)
        getattr(self.client, f"{channel}_channel").send(message)
        talk = self.talks[message["header"]["msg_id"]] = Talk(message)
        return talk

    def send(self, code, **options):
        """Sends a cell."""
        defaults = {"silent": False, "store_history": True, "user_expressions": {}}
        defaults.update(allow_stdin=False, stop_on_error=True)
        return self.post("execute_request", {"code": code, **defaults, **options})

    def run(self, code, seconds=SECONDS, **options):
        """A cell from its request to its end."""
        return self.finish(self.send(code, **options), seconds)

    def ask(self, kind, content=None, channel="shell", seconds=ANSWER_S):
        """A request from its sending to its end."""
        return self.finish(self.post(kind, content, channel), seconds)

    def value(self, code):
        """The result of an expression as text."""
        talk = self.run(code)
        assert talk.ok, talk
        return talk.result

    def interrupt(self):
        """Asks for an interrupt, as JupyterLab does."""
        return self.post("interrupt_request", channel="control")

    def stop(self, talk):
        """Interrupts `talk`; the seconds until it has ended."""
        asked = self.interrupt()
        self.finish(talk)
        self.finish(asked)
        return talk.ended - asked.sent

    def await_analyst(self):
        """Waits until Rust can be completed: its types are read in the background, and until then nothing is known."""
        wait_until(lambda: self.completes("String::fr"))

    def completes(self, code):
        """What completion offers at the end of the code."""
        request = {"code": code, "cursor_pos": len(code)}
        return self.ask("complete_request", request, seconds=SECONDS).reply["content"]["matches"]

    # Waiting.

    def finish(self, talk, seconds=SECONDS):
        """Waits until `talk` has its reply and is idle."""
        self.until(lambda: talk.ended is not None, seconds, talk)
        return talk

    def until_shown(self, talk, text, seconds=SECONDS):
        """Waits until a running cell has shown `text`."""
        self.until(lambda: text in talk.shown or talk.ended is not None, seconds, talk)
        assert text in talk.shown, talk

    def until(self, found, seconds=SECONDS, about=""):
        """Takes messages until `found` holds."""
        deadline = time.monotonic() + seconds
        while not found():
            left = deadline - time.monotonic()
            ready = dict(self.poller.poll(min(1, left) * 1000)) if left > 0 else {}
            for socket in ready:
                self.take(self.channels[socket].get_msg(timeout=0))
            assert ready or self.alive(), f"the kernel is dead\n{about}"
            assert ready or left > 0, f"nothing came for {seconds} s\n{about}"

    def prompt(self, talk):
        """The next question of a running cell."""
        self.until(lambda: talk.prompts or talk.ended is not None, about=talk)
        assert talk.prompts, talk
        return talk.prompts.pop(0)

    def answer(self, value):
        """What the person types."""
        self.client.input(value)

    def take(self, message):
        """Puts a message where it belongs."""
        check(message)
        talk = self.talks.get(message["parent_header"].get("msg_id"))
        if talk is None:
            self.others.append(message)
            return
        message["arrived"] = time.monotonic()
        if message["msg_type"].endswith("_reply"):
            assert talk.reply is None, f"two replies:\n{talk}\n{message}"
            talk.reply = message
        elif message["msg_type"] == "input_request":
            talk.prompts.append(message["content"])
        elif talk.idle:
            self.late.append(message)
        else:
            talk.messages.append(message)
            talk.idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        if talk.idle and talk.reply is not None:
            talk.ended = message["arrived"]

    # The process.

    def alive(self):
        """Whether the kernel's process runs."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def family(self):
        """The kernel's process and all that came of it, also those that have left it."""
        mine = {self.process, *self.process.children(recursive=True)} if self.alive() else set()
        for process in psutil.process_iter():
            try:
                if str(self.temporary) in "".join(process.environ().values()):
                    mine.add(process)
            except psutil.Error:
                continue
        return mine

    def compilers(self):
        """The compilers that work for the kernel."""
        return [process for process in self.family() if "rustc" in name_of(process)]

    def belongings(self):
        """The directories of ours that the family uses in memory."""
        found = set()
        for process in self.family():
            for link in Path(f"/proc/{process.pid}/fd").glob("*"):
                try:
                    target = Path(os.readlink(link))
                except OSError:
                    continue
                found.update(path for path in target.parents if path.parent == Path("/dev/shm"))
        return found

    def end(self):
        """Ends the kernel, whatever its state, and shows its log to the test's report."""
        if self.log.closed:
            return
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=not self.alive())
        self.manager.cleanup_resources()
        for process in self.family():
            # Only a test that has failed leaves some.
            process.kill()
        self.log.seek(0)
        print(self.log.read())
        self.log.close()
        Path(self.log.name).unlink()
        shutil.rmtree(self.temporary, ignore_errors=True)


def check(message):
    """Holds `message` against the protocol."""
    # The suite's schema wants a number where the protocol has a truth value.
    if message["msg_type"] in schema_fragments and message["msg_type"] != "input_request":
        validate_message(message)


def name_of(process):
    """The name of a process; nothing, if it has just ended."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def wait_until(found, seconds=SECONDS):
    """Looks until `found` holds: for what no message tells."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(GLANCE_S)
