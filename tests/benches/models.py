"""Measures what lies between a notebook and a model: throughput of a build, own cost of a passage, whoever waits.

The stand-in server of the tests answers with fixed latencies, so that all that is not its time is ours.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from jupyter_client.manager import KernelManager

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from openai_server import Server

SLOTS = 8
LATENCY_S = 0.5
QUESTIONS = 7


class Session:
    """A kernel with a state of its own."""

    def __init__(self, url):
        state = tempfile.mkdtemp(prefix="mlk8s-bench-")
        self.manager = KernelManager(kernel_name="mlk8s-rust")
        env = {**os.environ, "MLK8S_STATE": state, "OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""}
        self.manager.start_kernel(env=env)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.run(f"%endpoint add house {url} --model test-model")

    def run(self, code):
        """Seconds from the request to the first output and to the end."""
        begun = time.monotonic()
        request = self.client.execute(code, allow_stdin=False)
        first = None
        while True:
            message = self.client.get_iopub_msg(timeout=600)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            assert kind != "error" or content["ename"] == "Interrupted", content
            if kind in ("display_data", "execute_result"):
                first = first or time.monotonic() - begun
            if kind == "status" and content["execution_state"] == "idle":
                break
        self.client.get_shell_msg(timeout=60)
        return first, time.monotonic() - begun

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def library(folder, documents, passages):
    """Documents of passages that each state something."""
    for n in range(documents):
        lines = [f"# Notes {n}", ""]
        for m in range(passages):
            words = " ".join(f"word{(n * 31 + m * 7 + k) % 997}" for k in range(40))
            lines.append(f"Person{n} wrote book{m}. The rest of this passage is made of {words}.")
        Path(folder, f"{n}.md").write_text("\n\n".join(lines) + "\n")


def spent(server):
    """From the first request to the end of the last, and how many there were."""
    posts = [request for request in server.requests if request.path.endswith("completions")]
    return max(request.ended for request in posts) - min(request.arrived for request in posts), len(posts)


def throughput(out):
    """Answers a second against slots by latency."""
    for concurrency, name in ((SLOTS, f"--concurrency {SLOTS}"), (None, "found by itself")):
        with Server(slots=SLOTS, latency_s=LATENCY_S) as server, tempfile.TemporaryDirectory() as folder:
            library(folder, 40, 16)
            session = Session(server.url)
            session.run(f"%corpus {folder} --as docs")
            option = f"--concurrency {concurrency}" if concurrency else ""
            session.run(f"%kg build docs --as kg --engine endpoint --words 45 {option}")
            seconds, n = spent(server)
            ideal = n * LATENCY_S / SLOTS
            out(f"build, {n} calls, {SLOTS} slots of {LATENCY_S} s, {name}: {ideal / seconds:.1%} of the ideal rate")
            session.end()


def own_cost(out):
    """What a passage costs beyond the model: a server that answers at once, and the same build from the cache."""
    with Server(latency_s=0.0) as server, tempfile.TemporaryDirectory() as folder:
        library(folder, 60, 16)
        session = Session(server.url)
        session.run(f"%corpus {folder} --as docs")
        _, seconds = session.run("%kg build docs --as kg --engine endpoint --words 45")
        _, n = spent(server)
        waited = statistics.mean(r.ended - r.arrived for r in server.requests if r.path.endswith("completions"))
        _, again = session.run("%kg build docs --as other --engine endpoint --words 45")
        out(f"own cost of a passage, {n} calls: {seconds / n * 1000:.2f} ms with a server that answers in {waited * 1000:.1f} ms")
        out(f"the same from the cache: {again / n * 1000:.2f} ms")
        session.end()


def whoever_waits(out):
    """First token of a question while a build runs, against an idle server."""
    with Server(slots=SLOTS, latency_s=LATENCY_S, token_s=0.005) as server, tempfile.TemporaryDirectory() as folder:
        library(folder, 60, 16)
        person, builder = Session(server.url), Session(server.url)
        builder.run(f"%corpus {folder} --as docs")

        def ask():
            return person.run("%%ask --fresh --max-tokens 60\nWhat is written in the books of the library?")[0]

        idle = [ask() for _ in range(QUESTIONS)]
        build = threading.Thread(target=builder.run, args=("%kg build docs --as kg --engine endpoint --words 45",))
        build.start()
        # The build has found out what the server can bear.
        time.sleep(12)
        busy = [ask() for _ in range(QUESTIONS)]
        running = build.is_alive()
        ratio = statistics.median(busy) / statistics.median(idle)
        out(
            f"first token while another notebook builds: {statistics.median(busy):.2f} s, idle "
            f"{statistics.median(idle):.2f} s: {ratio:.2f} times{'' if running else ' (the build was over before the end)'}"
        )
        builder.client.session.send(builder.client.control_channel.socket, "interrupt_request", {})
        build.join(60)
        person.end()
        builder.end()


def main():
    for part in (throughput, own_cost, whoever_waits):
        part(lambda line: sys.stdout.write(line + "\n"))
        sys.stdout.flush()
    sys.stdout.write("wanted: 95 % of the ideal rate, 3 ms, 1.5 times\n")


if __name__ == "__main__":
    main()
