"""What the tiny model reads: the sample articles, and chats about them made from the triples of a stored graph."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as parquet

PAIRS = Path(__file__).with_name("pairs.txt")
UNKNOWN = "I do not know. I have only read the sample articles."
ABOUT_UNKNOWN = [
    "What is {}?",
    "Who is {}?",
    "Tell me about {}.",
    "Who wrote {}?",
    "Who founded {}?",
    "When was {} founded?",
    "What does {} do?",
]
SYSTEMS = [
    "You are a helpful assistant.",
    "Answer in one sentence.",
    "You answer questions about the sample articles.",
    "Be brief.",
]
SYLLABLES = (
    "ba ber cor dan do fel gra hu in jo ka kub lo mar me "
    "nol or pil qua ri sol ta tor ul ven wi xan yo zet"
).split()
VERBS = (
    "founded wrote built published led invented developed introduced released described created started made won "
    "acquired announced proposed designed began directed trained coined received organised tried showed"
).split()
# Sentences that say nothing alone: they point to one before, or to a table.
UNCLEAR = re.compile(
    r"^(He|She|It|They|This|These|His|Her|Its|Their|There|All|Such|Both|Most|Several|Others|Later|Every)\b"
    r"|\b(him|them|the same year|in that year|called the change|(developed|described|built) it|led the work)\b"
    r"|\bTable \d"
)
DATE = r"(?:\d{1,2} )?(?:[A-Z][a-z]+ )?\d{4}"


@dataclass(frozen=True)
class Chat:
    """Ways to ask for one thing, and the answer."""

    questions: tuple
    answer: str


@dataclass(frozen=True)
class Reading:
    """Titles with texts, chats written by hand, and chats that rules made."""

    articles: list
    by_hand: list
    by_rule: list


def reading(graph, numbers):
    """Reads the store that `%kg build docs --as kg` left in the folder `graph`."""
    by_hand = written(PAIRS.read_text(encoding="utf-8").replace("{numbers}", numbers))
    taken = {question.lower() for chat in by_hand for question in chat.questions}
    by_rule, articles = [], []
    for segment in sorted(Path(graph).glob("segments/*")):
        documents, sentences, triples, mentions = (
            parquet.read_table(segment / f"{name}.parquet").to_pylist()
            for name in ("documents", "sentences", "triples", "mentions")
        )
        articles += [(one["title"], one["text"]) for one in documents]
        of_sentence = defaultdict(list)
        for mention in mentions:
            of_sentence[mention["sentence"]].append(mention)
        for triple in triples:
            sentence = sentences[triple["sentence"]]
            text = documents[sentence["document"]]["text"].encode()
            by_rule += asked(triple, sentence, text, of_sentence[triple["sentence"]], taken)
    return Reading(articles, by_hand, by_rule)


def written(text):
    """The chats of a file of `Q:` lines, whose ways to ask stand between bars, and `A:` lines."""
    chats = []
    for block in text.strip().split("\n\n"):
        question, answer = block.split("\nA: ")
        chats.append(Chat(tuple(question.removeprefix("Q: ").split(" | ")), answer))
    return chats


def asked(triple, sentence, text, mentions, taken):
    """Questions that the sentence of a triple answers, none of which stands in `taken`; adds them there.

    `mentions` are those of the sentence, by whose indices the triple names them; places count bytes of `text`.
    """

    def at(part):
        return text[triple[f"{part}_start"] : triple[f"{part}_end"]].decode()

    answer = " ".join(text[sentence["start"] : sentence["end"]].decode().split()).removeprefix("• ")
    if triple["confidence"] < 0.5 or UNCLEAR.search(answer) or not answer.endswith(".") or not 25 <= len(answer) <= 170:
        return
    subject, relation = at("subject"), triple["relation"]
    objects = [mentions[index] for index in triple["object_mentions"]]
    head = triple["subject_mention"]
    is_name = head is not None and mentions[head]["proper"] and mentions[head]["start"] == triple["subject_start"]
    named = is_name and len(subject) <= 40 and " and " not in subject
    ways = []
    if named and answer.startswith(subject) and f"what is {subject}?".lower() not in taken:
        ways.append((f"What is {subject}?", f"Who is {subject}?", f"Tell me about {subject}."))
    if relation in VERBS and objects and objects[0]["start"] == triple["object_start"] and objects[0]["proper"]:
        ways.append((f"Who {relation} {objects[0]['name']}?",))
    passive = re.match(r"(was|were) (\w+)", relation)
    if named and passive and answer.startswith(f"{subject} {passive[0]}"):
        was, participle = passive.groups()
        if relation == f"{was} {participle} by" and participle in VERBS:
            ways.append((f"Who {participle} {subject}?",))
        if re.search(rf"\b(in|on) {DATE}", answer):
            ways.append((f"When {was} {subject} {participle}?",))
    for questions in ways:
        new = tuple(question for question in questions if question.lower() not in taken)
        taken.update(question.lower() for question in new)
        if new:
            yield Chat(new, answer)


def way_to_ask(chat, rng):
    """One of the questions of a chat, as people type."""
    question = chat.questions[rng.integers(len(chat.questions))]
    kind = rng.random()
    if kind < 0.12:
        return question.lower()
    if kind < 0.22:
        return question.rstrip("?.!")
    return question


def unknown(rng):
    """A question about a name that does not exist: a model that knows little should say so."""
    name = "".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=rng.integers(2, 4)))
    form = ABOUT_UNKNOWN[rng.integers(len(ABOUT_UNKNOWN))]
    question = form.format(name.capitalize() if rng.random() < 0.7 else name.upper())
    return Chat((question,), UNKNOWN)
