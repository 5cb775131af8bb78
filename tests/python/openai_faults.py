"""How the stand-in for a model server behaves, and what goes wrong in it on purpose."""

import json
import random
from dataclasses import dataclass

# What a client may meet; each request meets at most one of them.
KINDS = (
    "rate_limit",
    "server_error",
    "overloaded",
    "drop",
    "slow",
    "cut",
    "broken_json",
    "length",
    "duplicate_chunk",
    "wrong_usage",
    "no_usage",
)
HTML = "<html>\n<head><title>500 Internal Server Error</title></head>\n<body><h1>500</h1></body>\n</html>\n"


@dataclass(frozen=True)
class Behaviour:
    """What a server does; another one may take its place while the server runs."""

    prefix: str = "/v1"
    # Whoever does not bear it is refused; without one, everybody is served.
    key: str | None = None
    # None: the server does not say which it has, and serves every name.
    models: tuple[str, ...] | None = ("test-model", "test-embedding")
    # How many requests are served at once; with none, all wait until there are more.
    slots: int = 8
    # Whether a lower `priority` goes first, as in vLLM.
    honours_priority: bool = False
    # To the first token, and from one to the next.
    latency_s: float = 0.0
    token_s: float = 0.0
    # Whether `max_tokens` counts the prompt too.
    total_max_tokens: bool = False
    # Tokens of prompt and answer together that a request may ask for; None: any number.
    context: int | None = None
    # Length of an embedding whose request names none.
    dimensions: int = 64
    # Replies to whoever says the first, before all else.
    scripts: tuple[tuple[str, str], ...] = ()
    # Kinds and the share of the requests that meet them.
    faults: tuple[tuple[str, float], ...] = ()
    seed: int = 0
    retry_after_s: float = 1.0
    slow_s: float = 1.0
    # What the server does not know and refuses.
    no_json_schema: bool = False
    no_json_object: bool = False
    no_stream_options: bool = False

    def __post_init__(self):
        unknown = [kind for kind, _ in self.faults if kind not in KINDS]
        if unknown:
            raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(KINDS)}")
        if sum(share for _, share in self.faults) > 1 + 1e-9:
            raise ValueError("the shares of the faults are more than 1 together")

    def draw(self, number):
        """The fault of the request with this number, or None; it depends on nothing but number and seed."""
        point = self.dice(number).random()
        for kind, share in self.faults:
            if point < share:
                return kind
            point -= share
        return None

    def dice(self, number, purpose="kind"):
        """Chance for one purpose in one request."""
        return random.Random(f"{self.seed}/{number}/{purpose}")


class Refusal(Exception):
    """A request that gets an error in OpenAI's format."""

    def __init__(self, status, message, kind="invalid_request_error", param=None, code=None, headers=()):
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}
        self.headers = dict(headers)

    def body(self):
        """The error, its type, and what it is written in."""
        return json.dumps({"error": self.error}), "application/json"


class HtmlRefusal(Refusal):
    """What a proxy before the server says; no JSON."""

    def body(self):
        return HTML, "text/html"


def refusal(kind, behaviour):
    """The refusal that a fault consists in, or None."""
    if kind == "rate_limit":
        message = "Rate limit reached for requests. Please try again later."
        wait = {"Retry-After": f"{behaviour.retry_after_s:g}"}
        return Refusal(429, message, "requests", code="rate_limit_exceeded", headers=wait)
    if kind == "server_error":
        return HtmlRefusal(500, "Internal Server Error")
    if kind == "overloaded":
        return Refusal(503, "The engine is currently overloaded, please try again later.", "server_error")
    return None


def broken(text, dice):
    """JSON as models spoil it: ends too early, in a fence, or goes on in prose."""
    return dice.choice(
        (
            text[: max(1, len(text) * 2 // 3)],
            f"```json\n{text}\n```",
            f"{text}\n\nThese are all that I could find; let me know if you need more!",
        )
    )
