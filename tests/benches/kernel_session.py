"""A kernel that was started for measuring, driven by jupyter_client's blocking client like any other."""

import time
from queue import Empty

import kernel_processes as processes
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

PATIENCE_S = 1800
# libzmq looks 100 to 200 ms after a refused connection again: a die that would hide what the kernel does.
LOOKS_AGAIN_MS = 5


class Failed(Exception):
    """A kernel that did not do what was asked."""


class Session:
    """One kernel from its start to its end; times are in seconds."""

    def __init__(self, peer, scratch, stock=False):
        """Starts `peer`, which the kernelspec of its name describes.

        With `stock` as jupyter_client does by itself: it waits with its own `wait_for_ready` and its own patience.
        """
        context = zmq.Context()
        if not stock:
            context.setsockopt(zmq.RECONNECT_IVL, LOOKS_AGAIN_MS)
        specs = KernelSpecManager(kernel_dirs=[str(scratch / "kernels")], ensure_native_kernel=False)
        self.manager = KernelManager(kernel_name=peer.name, kernel_spec_manager=specs, context=context)
        self.peer, self.replies, self.version = peer, {}, None
        begun = time.perf_counter()
        with (scratch / f"{peer.name}.log").open("ab") as log:
            self.manager.start_kernel(cwd=str(scratch / "work"), stdout=log, stderr=log)
        self.client = self.manager.client(context=context)
        self.client.start_channels()
        try:
            if stock:
                self.client.wait_for_ready(timeout=PATIENCE_S)
            else:
                self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.ready = time.perf_counter() - begun

    @property
    def pid(self):
        """The process that we started."""
        return self.manager.provisioner.process.pid

    def _wait_until_ready(self):
        """Until a reply to kernel_info and any message on IOPub are here."""
        shell, iopub = self.client.shell_channel, self.client.iopub_channel
        poller = zmq.Poller()
        for channel in (shell, iopub):
            poller.register(channel.socket, zmq.POLLIN)
        self.client.kernel_info()
        replied = published = False
        asked = time.monotonic()
        while not (replied and published):
            came = dict(poller.poll(20))
            if shell.socket in came:
                content = shell.get_msg(timeout=1)["content"]
                self.version = f"{content.get('implementation')} {content.get('implementation_version')}"
                replied = True
            if iopub.socket in came:
                iopub.get_msg(timeout=1)
                published = True
            if not came and (replied or time.monotonic() - asked > 1):
                # What was published before the subscription arrived is lost: have it published again.
                self.client.kernel_info()
                asked = time.monotonic()
                if not self.manager.is_alive():
                    raise Failed("the kernel ended while it started")

    def run(self, code, shows=None):
        """How long `code` takes until reply and idle are here; its text must hold `shows`."""
        begun = time.perf_counter()
        text = self.finish(self.client.execute(code))
        took = time.perf_counter() - begun
        if shows is not None and shows not in text:
            raise Failed(f"`{code}` shows `{text[-200:]}` without `{shows}`")
        return took

    def begin(self, code, says):
        """Sends `code` and waits until it has written `says`."""
        request = self.client.execute(code)
        while True:
            message = self._published(request)
            if message["msg_type"] == "stream" and says in message["content"]["text"]:
                return request
            if message["content"].get("execution_state") == "idle":
                raise Failed(f"`{code}` did not say `{says}`")

    def finish(self, request):
        """Waits until reply and idle of `request` are here; what it showed."""
        text = ""
        while True:
            message = self._published(request)
            content = message["content"]
            text += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            if content.get("execution_state") == "idle":
                break
        content = self._reply(request)["content"]
        if content["status"] != "ok":
            raise Failed(f"{content.get('ename')}: {content.get('evalue')}")
        return text

    def complete(self, code):
        """How long the answer takes to what could follow at the end of `code`, and the answer."""
        begun = time.perf_counter()
        reply = self._reply(self.client.complete(code, len(code)))
        return time.perf_counter() - begun, reply["content"].get("matches", [])

    def settle(self, patience_s=180):
        """Waits until the kernel has done what it does in the background."""
        if processes.available():
            processes.wait_until_idle(self.pid, patience_s)
        else:
            time.sleep(5)

    def stop(self):
        """Ends the kernel as a frontend does, and then whatever it left running."""
        family = processes.descendants(self.pid) if self.manager.has_kernel else []
        family = [(pid, processes.started_at(pid)) for pid in family]
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()
        processes.kill_survivors(family)
        self.manager.context.destroy(linger=0)

    def _published(self, request):
        while True:
            message = self._next(self.client.get_iopub_msg)
            if message["parent_header"].get("msg_id") == request:
                return message

    def _reply(self, request):
        while request not in self.replies:
            message = self._next(self.client.get_shell_msg)
            self.replies[message["parent_header"].get("msg_id")] = message
        return self.replies.pop(request)

    def _next(self, receive):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                return receive(timeout=2)
            except Empty:
                if not self.manager.is_alive():
                    raise Failed("the kernel has ended") from None
        raise Failed(f"no answer for {PATIENCE_S} s")
