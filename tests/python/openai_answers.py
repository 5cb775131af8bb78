"""What the stand-in for a model server says: the same to the same question, always."""

import base64
import functools
import hashlib
import json
import math
import re
import struct
import time
from dataclasses import dataclass, field

from openai_requests import pieces

VERBS = frozenset(
    """is are was were has have had uses use used builds build built makes made writes wrote founded leads led owns
    owned runs ran creates created develops developed invented discovered contains contain includes include lives lived
    works worked becomes became belongs needs supports produces produced published joined won gave takes took shows
    showed knows knew called holds held started ended causes caused requires describes teaches taught studied met
    married bought sold""".split()
)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
AROUND = " \t.,;:!?\"'()*#>-"
PASSAGE = re.compile(r"^\s*\[(\d+)\]\s*(.+)$", re.MULTILINE)
WORD = re.compile(r"\w+")
# How much of a question or of a passage comes back in the answer.
QUESTION_WORDS = 6
PASSAGE_WORDS = 12
MOST_CHARACTERS = 120
# Places of a vector that a word changes.
PLACES = 8
# Tokens of a prompt are kept in blocks of so many.
BLOCK = 64


def answer(ask, scripts):
    """The whole text of the answer."""
    for said, reply in scripts:
        if said in ask.question:
            return reply
    asked = [content for role, content in ask.messages if role != "assistant"]
    if ask.wants_json or any(re.search(r"\btriples\b", text, re.IGNORECASE) for text in asked):
        return json.dumps({"triples": triples(ask.question)}, ensure_ascii=False)
    passages = dict(reversed(PASSAGE.findall(ask.question)))
    if "1" in passages:
        return citing(passages)
    words = opening(ask.question, QUESTION_WORDS) or "nothing"
    return (
        f"A question that begins with “{words}” is **always** answered by this one sentence, which has about thirty "
        "words, knows nothing of the matter, and ends like all others."
    )


def triples(text):
    """A triple for each sentence that has a verb we know, with something before and after it."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines, 1) if line.rstrip().endswith("Text:")]
    found = []
    for sentence in SENTENCE_END.split("\n".join(lines[starts[-1] if starts else 0 :])):
        words = sentence.split()
        for at in range(1, len(words) - 1):
            verb = words[at].strip(AROUND).lower()
            if verb in VERBS:
                subject, rest = (" ".join(part).strip(AROUND) for part in (words[:at], words[at + 1 :]))
                if subject and rest:
                    found.append({"subject": subject, "predicate": verb, "object": rest})
                break
    return found


def citing(passages):
    """One sentence from each of the first two passages."""
    said = f"{opening(passages['1'], PASSAGE_WORDS)} [1]."
    if "2" in passages:
        said += f" Moreover, {opening(passages['2'], PASSAGE_WORDS)} [2]."
    return said


def opening(text, n_words):
    """The first words."""
    return " ".join(text.split()[:n_words])[:MOST_CHARACTERS].strip(AROUND)


def vector(text, dimensions):
    """A unit vector; texts that share words are near each other."""
    sums = [0.0] * dimensions
    for word in WORD.findall(text.lower()) or [text]:
        for place, sign in changes(word):
            sums[place % dimensions] += sign
    length = math.sqrt(sum(value * value for value in sums))
    if length == 0:
        # Words may cancel each other out.
        sums[0] = length = 1.0
    return [value / length for value in sums]


@functools.lru_cache(maxsize=65536)
def changes(word):
    """Where a word changes a vector, and in which direction."""
    digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=4 * PLACES).digest()
    return tuple((number >> 1, 1.0 if number & 1 else -1.0) for number in struct.unpack(f"<{PLACES}I", digest))


class Prefixes:
    """The beginnings of earlier prompts, as a server that caches them has them."""

    def __init__(self):
        self.seen = set()

    def shared(self, ask):
        """How many tokens at the beginning an earlier request had too, in whole blocks; this one is kept."""
        tokens = ask.tokens
        digest, n_known, new = ask.model.encode(errors="replace"), 0, []
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            block = "\0".join(tokens[start : start + BLOCK]).encode(errors="replace")
            digest = hashlib.blake2b(digest + block, digest_size=16).digest()
            if digest in self.seen:
                n_known += 1
            else:
                new.append(digest)
        self.seen.update(new)
        return n_known * BLOCK


@dataclass
class Reply:
    """An answer in tokens, and the forms in which it goes out."""

    ask: object
    number: int
    text: str
    cached: int = 0
    created: int = field(default_factory=lambda: int(time.time()))
    pieces: list = field(init=False)
    finish: str = "stop"
    # What is wrong with the usage, if anything.
    usage_fault: str | None = None

    def __post_init__(self):
        found = [at for at in map(self.text.find, self.ask.stop) if at >= 0]
        self.pieces = pieces(self.text[: min(found)] if found else self.text)
        if self.ask.limit is not None:
            self.keep(self.ask.limit)

    def keep(self, n_tokens):
        """Leaves so many tokens, and says so if there were more."""
        if len(self.pieces) > n_tokens:
            self.pieces, self.finish = self.pieces[:n_tokens], "length"

    @property
    def head(self):
        """What every form begins with."""
        name, kind = ("chatcmpl", "chat.completion") if self.ask.chat else ("cmpl", "text_completion")
        if self.ask.chat and self.ask.stream:
            kind = "chat.completion.chunk"
        return {"id": f"{name}-{self.number:08}", "object": kind, "created": self.created, "model": self.ask.model}

    @property
    def usage(self):
        """The tokens of prompt and answer."""
        right = self.usage_fault != "wrong_usage"
        prompt, completion, cached = (len(self.ask.tokens), len(self.pieces), self.cached) if right else (0, 0, 0)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def body(self):
        """The answer in one."""
        text = "".join(self.pieces)
        said = {"message": {"role": "assistant", "content": text, "refusal": None}} if self.ask.chat else {"text": text}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": self.finish}
        body = {**self.head, "choices": [choice]}
        return body if self.usage_fault == "no_usage" else {**body, "usage": self.usage}

    def chunks(self):
        """The answer in parts, each with the number of the token that it waits for."""
        # Where the usage is asked for, all other chunks say that they have none.
        common = {**self.head, "usage": None} if self.ask.include_usage else self.head
        found = []
        if self.ask.chat:
            found.append((0, {**common, "choices": [self.choice({"role": "assistant", "content": ""}, None)]}))
        texts = self.pieces or [""]
        for n, text in enumerate(texts):
            finish = self.finish if n == len(texts) - 1 else None
            said = self.choice({"content": text}, finish) if self.ask.chat else self.choice(text, finish)
            found.append((n, {**common, "choices": [said]}))
        if self.ask.include_usage and self.usage_fault != "no_usage":
            found.append((len(texts) - 1, {**self.head, "choices": [], "usage": self.usage}))
        return found

    def choice(self, said, finish):
        """The only choice of a chunk."""
        return {"index": 0, "delta" if self.ask.chat else "text": said, "logprobs": None, "finish_reason": finish}


def embeddings(embed, fault):
    """The body that answers a request for embeddings."""
    data = []
    for n, text in enumerate(embed.inputs):
        packed = struct.pack(f"<{embed.dimensions}f", *vector(text, embed.dimensions))
        # Both forms hold the same numbers.
        said = base64.b64encode(packed).decode() if embed.base64 else struct.unpack(f"<{embed.dimensions}f", packed)
        data.append({"object": "embedding", "index": n, "embedding": said})
    body = {"object": "list", "data": data, "model": embed.model}
    if fault == "no_usage":
        return body
    n_tokens = 0 if fault == "wrong_usage" else sum(len(pieces(text)) for text in embed.inputs)
    return {**body, "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens}}
