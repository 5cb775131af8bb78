"""How the stand-in for a model server treats one request, and the queue in which requests wait."""

import asyncio
import heapq
import json
import time
from dataclasses import dataclass

import openai_requests
import tornado.web
from openai_answers import Reply, answer, embeddings
from openai_faults import Refusal, broken, refusal
from tornado.iostream import StreamClosedError

READERS = {
    "/chat/completions": openai_requests.read_chat,
    "/completions": openai_requests.read_completion,
    "/embeddings": openai_requests.read_embed,
}
MODELS = "/models"


@dataclass
class Record:
    """A request and what came of it; times are those of `time.monotonic`."""

    path: str
    headers: dict
    body: object
    arrived: float
    first_token: float | None = None
    ended: float | None = None
    # None: no answer was begun.
    status: int | None = None
    # Only what took effect: a chunk cannot come twice where nothing is streamed.
    fault: str | None = None
    # Whether the client went before the end.
    left: bool = False


class Handler(tornado.web.RequestHandler):
    """One request."""

    def initialize(self, server):
        self.server = server
        self.task = None
        self.has_slot = False

    def prepare(self):
        self.behaviour = self.server.behaviour
        try:
            body = json.loads(self.request.body)
        except ValueError:
            body = None
        self.record = Record(self.request.path, dict(self.request.headers), body, time.monotonic())
        self.server.requests.append(self.record)
        self.server.n_open += self.request.method == "POST"
        self.server.most_at_once = max(self.server.most_at_once, self.server.n_open)
        # Otherwise a small part of an answer waits for the client to confirm the one before.
        self.request.connection.stream.set_nodelay(True)
        self.set_header("x-request-id", f"req_{len(self.server.requests)}")

    async def handle(self):
        """Answers, unless the client leaves before."""
        self.task = asyncio.ensure_future(self.answer())
        try:
            await self.task
        except Refusal as error:
            self.refuse(error)
        except (asyncio.CancelledError, StreamClosedError):
            self.record.left = True
            self.end()

    get = post = put = patch = delete = handle

    def on_connection_close(self):
        if self.task is not None:
            self.task.cancel()

    def on_finish(self):
        self.end()

    def end(self):
        """Comes before the last byte: whoever has that must find the request ended and its slot free."""
        if self.record.ended is not None:
            return
        self.record.ended = time.monotonic()
        self.server.n_open -= self.request.method == "POST"
        if self.has_slot:
            self.server.slots.give_back()

    def refuse(self, error):
        """Answers with an error."""
        body, kind = error.body()
        self.set_status(error.status)
        self.set_header("Content-Type", kind)
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.record.status = error.status
        self.end()
        self.finish(body)

    async def answer(self):
        """Does what the request asks for."""
        behaviour = self.behaviour
        if behaviour.key is not None and self.request.headers.get("Authorization") != f"Bearer {behaviour.key}":
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        path = self.request.path.removeprefix(behaviour.prefix)
        known = self.request.path.startswith(behaviour.prefix) and (path in READERS or path == MODELS)
        if not known or (path == MODELS and behaviour.models is None):
            raise Refusal(404, f"Invalid URL ({self.request.method} {self.request.path})", code="unknown_url")
        if self.request.method != ("GET" if path == MODELS else "POST"):
            raise Refusal(405, f"Not allowed to {self.request.method} on {self.request.path}")
        if path == MODELS:
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in behaviour.models]
            await self.send({"object": "list", "data": models})
            return
        await self.generate(path)

    async def generate(self, path):
        """Answers a request to a model."""
        number, fault = self.server.draw()
        error = refusal(fault, self.behaviour)
        if error is not None or fault == "drop":
            self.record.fault = fault
        if error is not None:
            raise error
        if fault == "drop":
            self.hang_up()
            return
        ask = READERS[path](self.request.body, self.behaviour)
        await self.server.slots.take(ask.priority, number)
        self.has_slot = True
        reply = None if isinstance(ask, openai_requests.Embed) else self.reply(ask, number, fault)
        if fault in ("slow", "cut"):
            self.record.fault = fault
        await asyncio.sleep(self.behaviour.latency_s + (self.behaviour.slow_s if fault == "slow" else 0))
        self.record.first_token = time.monotonic()
        if reply is None:
            if fault in ("wrong_usage", "no_usage"):
                self.record.fault = fault
            await self.send(embeddings(ask, fault), cut=fault == "cut")
        elif ask.stream:
            await self.stream(reply, number, fault)
        else:
            await self.wait_for_token(len(reply.pieces) - 1)
            await self.send(reply.body(), cut=fault == "cut")

    def reply(self, ask, number, fault):
        """The answer to a request for text, with what is wrong in it."""
        text = answer(ask, self.behaviour.scripts)
        if fault == "broken_json" and text[:1] in ("{", "["):
            text = broken(text, self.behaviour.dice(number, fault))
            self.record.fault = fault
        reply = Reply(ask, number, text, self.server.prefixes.shared(ask))
        if fault == "length" and len(reply.pieces) > 1:
            reply.keep(len(reply.pieces) // 2)
            self.record.fault = fault
        if fault in ("wrong_usage", "no_usage") and (ask.include_usage or not ask.stream):
            self.record.fault = reply.usage_fault = fault
        return reply

    async def stream(self, reply, number, fault):
        """Sends an answer as server-sent events."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.record.status = 200
        chunks = reply.chunks()
        if fault == "duplicate_chunk":
            self.record.fault = fault
            twice = self.behaviour.dice(number, fault).randrange(len(chunks))
            chunks.insert(twice, chunks[twice])
        cut_at = len(chunks) // 2 if fault == "cut" else None
        for n, (token, chunk) in enumerate(chunks):
            await self.wait_for_token(token)
            event = b"data: " + encoded(chunk) + b"\n\n"
            if n == cut_at:
                self.write(event[: len(event) // 2])
                await self.flush()
                self.hang_up()
                return
            self.write(event)
            await self.flush()
        self.end()
        self.finish("data: [DONE]\n\n")

    async def wait_for_token(self, n):
        """Waits until it is time for the token `n`, counted from 0."""
        left = self.record.first_token + n * self.behaviour.token_s - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    async def send(self, body, cut=False):
        """Sends a whole answer; cut, its length is announced but half of it comes."""
        raw = encoded(body)
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Length", str(len(raw)))
        self.record.status = 200
        if cut:
            self.write(raw[: len(raw) // 2])
            await self.flush()
            self.hang_up()
            return
        self.end()
        self.finish(raw)

    def hang_up(self):
        """Closes the connection, whatever was promised."""
        self.end()
        self.detach().close()


class Slots:
    """The places of requests that are served at once, and the queue for them."""

    def __init__(self, server):
        self.server = server
        self.n_taken = 0
        self.queue = []

    def __len__(self):
        return sum(not turn.done() for _, _, turn in self.queue)

    async def take(self, priority, number):
        """Waits for a place: lower priorities first, then lower numbers."""
        turn = asyncio.get_running_loop().create_future()
        urgency = priority if self.server.behaviour.honours_priority else 0
        heapq.heappush(self.queue, (urgency, number, turn))
        self.fill()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self):
        """Frees a place."""
        self.n_taken -= 1
        self.fill()

    def fill(self):
        """Gives the free places to those whose turn it is."""
        while self.queue and self.n_taken < self.server.behaviour.slots:
            turn = heapq.heappop(self.queue)[-1]
            if not turn.done():
                self.n_taken += 1
                turn.set_result(None)


def encoded(value):
    """JSON as it goes over the wire, with characters as they are."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
