"""Our side: a worker process, and a client of the standard library for it."""

import http.client
import json
import os
import subprocess
import threading
import time


class Worker:
    """`mlk8s-worker serve` with a model; gone when the block ends."""

    def __init__(self, program, model, *options):
        begun = time.perf_counter()
        command = [program, "serve", model, "--threads", "2", "--parent", str(os.getpid()), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            said = json.loads(line)
            if "failed" in said:
                raise SystemExit(f"the worker failed: {line}")
            if "ready" in said:
                self.about = said["ready"]
                break
        else:
            raise SystemExit("the worker ended before it was ready")
        self.ready_s = time.perf_counter() - begun
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

        self.command = program, model, *options

    def another(self, *options):
        """One more of its kind, with more options."""
        return Worker(*self.command, *options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def open(self, path, body=None, headers=None):
        """A response whose body is still to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.about["port"], timeout=600)
        method = "GET" if body is None else "POST"
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status} {response.read().decode()}")
        return response

    def answer(self, prompt, n_tokens, headers=None, **more):
        """How the text goes on: all of the answer at once."""
        body = {"prompt": prompt, "max_tokens": n_tokens, "temperature": 0, "ignore_eos": True, **more}
        return json.load(self.open("/v1/completions", body, headers))

    def stream(self, prompt, n_tokens, headers=None, **more):
        """Seconds to the first piece, seconds from there to the last, and how many tokens there were."""
        body = {"prompt": prompt, "max_tokens": n_tokens, "temperature": 0, "ignore_eos": True, "stream": True,
                "stream_options": {"include_usage": True}, **more}
        begun = time.perf_counter()
        first = last = None
        n = 0
        for line in self.open("/v1/completions", body, headers):
            if not line.startswith(b"data: {"):
                continue
            piece = json.loads(line[6:])
            if piece.get("usage"):
                n = piece["usage"]["completion_tokens"]
            elif piece["choices"] and piece["choices"][0]["text"]:
                last = time.perf_counter()
                first = first or last
        return first - begun, last - first, n

    def meter(self, name):
        """A number of /metrics."""
        for line in self.open("/metrics").read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise SystemExit(f"no `{name}` among the metrics")

    def cpu(self):
        """Seconds of processor that the process has used."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes of the process that are in memory."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


def at_once(jobs, n_clients):
    """Runs the jobs, each client taking the next when it has done one; gives seconds and results in the order of the jobs."""
    results, waiting, lock = [None] * len(jobs), iter(enumerate(jobs)), threading.Lock()

    def client():
        while True:
            with lock:
                at, job = next(waiting, (None, None))
            if job is None:
                return
            results[at] = job()

    clients = [threading.Thread(target=client) for _ in range(n_clients)]
    begun = time.perf_counter()
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    seconds = time.perf_counter() - begun
    if any(result is None for result in results):
        raise SystemExit("a client failed")
    return seconds, results
