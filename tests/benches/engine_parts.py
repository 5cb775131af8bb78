"""What is measured of an engine, each against llama.cpp or against itself."""

import http.client
import json
import math
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from engine_model import END, KEYS, LAYERS
from engine_worker import at_once

BYTE_TOKENS = 256
TRIPLES = {
    "type": "array", "minItems": 100,
    "items": {"type": "object", "additionalProperties": False, "required": ["subject", "predicate", "object"],
              "properties": {name: {"type": "string", "maxLength": 40} for name in ("subject", "predicate", "object")}},
}
WORDS = {"type": "array", "minItems": 100, "items": {"type": "string"}}
# Bytes of keys and values of a token, in 32 bits.
TOKEN_BYTES = LAYERS * 2 * KEYS * 4
MINILM_TEXTS = 1000


def prompts(seed, lengths):
    """Tokens of words; no two prompts begin the same."""
    drawn = random.Random(seed)
    return [[drawn.randrange(BYTE_TOKENS, END) for _ in range(n)] for n in lengths]


def median(values):
    return statistics.median(values)


def p95(values):
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def turns(rounds, ours, theirs, clocks, cold=1):
    """Work a second, by either in turns, whoever is first: the median rates, and the ratio's median, least and most.

    `ours` and `theirs` give (work, seconds). Also the ratio of work for a second of processor, by `clocks`: where others use the
    machine, too, that tells more of the two than their turns of good and bad luck. The first `cold` rounds do not count.
    """
    found = []
    for at in range(rounds + cold):
        run = {}
        for who in (0, 1) if at % 2 else (1, 0):
            used = clocks[who]()
            work, seconds = (ours, theirs)[who](at)
            run[who] = work / seconds, work / max(clocks[who]() - used, 0.01)
        if at >= cold:
            found.append((*run[0], *run[1]))
    ratios = [mine / other for mine, _, other, _ in found]
    return {
        "ours": median([mine for mine, *_ in found]), "theirs": median([other for *_, other, _ in found]), "ratio": median(ratios),
        "ends": (min(ratios), max(ratios)), "cpu": median([mine / other for _, mine, _, other in found]),
    }


class Report:
    """Lines of figures."""

    def line(self, what, ours, theirs, unit, wanted, ratio=None, ends=None, cpu=None):
        """One figure."""
        spread = f" ({ends[0]:.2f}–{ends[1]:.2f}), by processor time {cpu:.2f}" if ends else ""
        self.say(f"{what:50} {ours:9.2f} {theirs:9.2f} {unit:8} ratio {ratio or ours / theirs:.2f}{spread}, wanted {wanted}; "
                 f"load {os.getloadavg()[0]:.1f}")

    def say(self, words):
        sys.stdout.write(words + "\n")
        sys.stdout.flush()


def decoding(worker, llama, report, rounds=5):
    """Tokens a second of one answer, from its first token on."""
    clocks = worker.cpu, time.process_time
    before, after = 16, 64

    def ours(at):
        _, seconds, n = worker.stream(prompts(at, [before])[0], after)
        return n - 1, seconds

    def theirs(at):
        tokens, _, seconds = llama.answer(prompts(at, [before])[0], after)
        return len(tokens) - 1, seconds

    found = turns(rounds, ours, theirs, clocks)
    report.line("decode, batch 1", unit="tok/s", wanted="≥ 1.0", **found)


def prefilling(worker, llama, report, rounds=5):
    """Tokens a second of a prompt of 512 tokens."""
    clocks = worker.cpu, time.process_time
    def ours(at):
        return 512, worker.stream(prompts(100 + at, [512])[0], 1)[0]

    def theirs(at):
        return 512, llama.answer(prompts(100 + at, [512])[0], 1)[1]

    found = turns(rounds, ours, theirs, clocks)
    report.line("prefill, 512 tokens", unit="tok/s", wanted="≥ 0.8", **found)


def clients(worker, llama, n_clients, report, rounds=3, n_requests=32):
    """Tokens of answers a second when so many clients ask, one question after the other; as many slots on either side."""
    clocks = worker.cpu, time.process_time
    def requests(at):
        drawn = random.Random(at)
        lengths = [drawn.randrange(16, 257) for _ in range(n_requests)]
        return [(prompt, drawn.randrange(24, 73)) for prompt in prompts(1000 * n_clients + at, lengths)]

    def ours(at):
        asked = requests(at)
        seconds, _ = at_once([lambda p=p, n=n: worker.answer(p, n) for p, n in asked], n_clients)
        return sum(n for _, n in asked), seconds

    def theirs(at):
        asked = requests(at)
        return sum(n for _, n in asked), llama.serve(asked)

    found = turns(rounds, ours, theirs, clocks)
    report.line(f"{n_clients} clients, prompts 16–256, answers 24–72", unit="tok/s", wanted="≥ 1.2", **found)


def extraction(worker, report, chunk, answer, rounds=1):
    """64 requests for triples that begin with the same 400 tokens, with and without the prefix cache."""
    with worker.another("--no-prefix-cache") as plain:
        def rate(at, of):
            opening = prompts(5000 + at, [400])[0]
            asked = [opening + prompts(7000 + 64 * at + i, [chunk])[0] for i in range(64)]
            seconds, answers = at_once([lambda p=p: of.answer(p, answer, {"x-priority": "batch"}) for p in asked], 64)
            cached = [each["usage"]["prompt_tokens_details"]["cached_tokens"] for each in answers]
            if (sum(cached) > 32 * 64) != (of is worker):
                raise SystemExit(f"tokens from the prefix cache: {sum(cached)}")
            return 64, seconds

        clocks = worker.cpu, plain.cpu
        found = turns(rounds, lambda at: rate(at, worker), lambda at: rate(at, plain), clocks, cold=0)
    report.line(f"64 × (400 shared + {chunk} + {answer}), without cache", unit="req/s", wanted="≥ 3", **found)


def whoever_waits(idle_worker, report, probes=40):
    """First token of a person's question while 64 batch requests are under way, and when nobody else asks."""
    over = threading.Event()

    def first(at):
        return worker.stream(prompts(20_000 + at, [64])[0], 4, {"x-priority": "interactive"})[0]

    def batch(number):
        drawn = random.Random(number)
        try:
            while True:
                worker.answer(prompts(drawn.random(), [drawn.randrange(64, 257)])[0], 48, {"x-priority": "batch"})
        except (OSError, http.client.HTTPException):
            # The worker ends with the measurement, and what is under way with it.
            if not over.is_set():
                raise

    with idle_worker.another() as worker:
        first(-1)
        idle = [first(at) for at in range(probes)]
        others = [threading.Thread(target=batch, args=(number,)) for number in range(64)]
        for each in others:
            each.start()
        time.sleep(5)
        busy = [first(1000 + at) for at in range(probes)]
        under_way = worker.meter("mlk8s_requests_under_way")
        over.set()
        worker.process.kill()
        for each in others:
            each.join()
    if under_way < 60:
        raise SystemExit(f"only {under_way} requests were under way")
    report.line("first token, 64 batch requests, p95", p95(busy) * 1e3, p95(idle) * 1e3, "ms", "≤ 2")
    report.line("the same, median", median(busy) * 1e3, median(idle) * 1e3, "ms", "–")


def constrained(worker, report, rounds=4):
    """Tokens a second under a schema, and free."""
    clocks = worker.cpu, worker.cpu
    def one(at, **more):
        _, seconds, n = worker.stream(prompts(at, [64])[0], 64, temperature=1, seed=at, **more)
        return n - 1, seconds

    def eight(at, **more):
        asked = prompts(30_000 + at, [64] * 8)
        jobs = [lambda p=p, i=i: worker.answer(p, 48, temperature=1, seed=i, **more) for i, p in enumerate(asked)]
        seconds, answers = at_once(jobs, 8)
        return sum(each["usage"]["completion_tokens"] for each in answers), seconds

    for name, run in (("1", one), ("8", eight)):
        for kind, schema in (("strings", WORDS), ("triples", TRIPLES)):
            form = {"response_format": {"type": "json_schema", "json_schema": {"name": kind, "schema": schema}}}
            found = turns(rounds, lambda at: run(at, **form), run, clocks)
            report.line(f"schema ({kind}) against free, {name} at once", unit="tok/s", wanted="≥ 0.9", **found)


def embeddings(worker, model, folder, report, rounds=3):
    """Texts a second over HTTP, against ONNX Runtime without any server."""
    spent, equal = [0.0], []
    clocks = worker.cpu, lambda: spent[0]
    words = "the graph of documents answers a question about machines that learn to read and people who write them".split()
    drawn = random.Random(3)
    # Short ones are more frequent.
    texts = [" ".join(drawn.choices(words, k=3 + int(57 * drawn.random() ** 3))) for _ in range(MINILM_TEXTS)]
    file = Path(folder, "texts.txt")
    file.write_text("\n".join(texts) + "\n")

    def ours(_at):
        shares = [texts[at:at + 128] for at in range(0, len(texts), 128)]
        body = {"encoding_format": "base64"}
        jobs = [lambda s=s: json.load(worker.open("/v1/embeddings", {**body, "input": s})) for s in shares]
        seconds, _ = at_once(jobs, 4)
        return len(texts), seconds

    def theirs(_at):
        command = [sys.executable, str(Path(__file__).with_name("embed_texts.py")), model, str(file), "2", "3"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        best, told = json.loads(lines[0]), json.loads(lines[1])
        equal.append(len(texts) / best["median_s"])
        spent[0] += told["cpu_s"]
        return len(texts), told["median_s"]

    found = turns(rounds, ours, theirs, clocks)
    report.line("MiniLM over HTTP, ONNX Runtime, sorted and padded", unit="texts/s", wanted="≥ 1.0", **found)
    report.line("the same, its best case: groups of equal length", found["ours"], median(equal), "texts/s", "–")


def memory(worker, path, cache_bytes, report):
    """Memory of the process against what it must have: weights and cache."""
    file = Path(path).stat().st_size
    pages = int(cache_bytes // (TOKEN_BYTES * 32))
    granted = pages * TOKEN_BYTES * 32
    busy = worker.memory()
    # A moment after the last answer, the worker gives back what it no longer needs.
    time.sleep(5)
    used = worker.memory()
    mebi = 1 << 20
    report.line("memory, against weights and cache", used / mebi, (file + granted) / mebi, "MiB", "≤ 1.15")
    report.say(f"  weights {file / mebi:.0f} MiB, cache {granted / mebi:.0f} MiB; right after the last answer {busy / mebi:.0f} MiB; "
               f"without the cache {(used - granted) / file:.2f} × the weights")
