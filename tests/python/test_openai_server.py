"""The stand-in for a model server, as OpenAI's own client sees it."""

import http.client
import json
import math
import operator
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pydantic
import pytest
from client import wait_until
from openai_faults import KINDS, Behaviour
from openai_server import Server

MODEL = "test-model"
ADA = "Ada Lovelace wrote the first program. Quiet, isn't it? Zürich was founded by Romans."
# What a schema asks for, and what comes of `ADA`.
TRIPLES = [
    {"subject": "Ada Lovelace", "predicate": "wrote", "object": "the first program"},
    {"subject": "Zürich", "predicate": "was", "object": "founded by Romans"},
]
Triple = pydantic.create_model("Triple", subject=(str, ...), predicate=(str, ...), object=(str, ...))
Found = pydantic.create_model("Found", triples=(list[Triple], ...))
JSON = {"type": "json_object"}
USAGE = {"include_usage": True}


@pytest.fixture
def server():
    with Server(key="secret", retry_after_s=0.01) as running:
        yield running


def connect(url):
    """A client that gives up at once; its proxy settings are not those of the machine."""
    plain = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=url, api_key="secret", max_retries=0, http_client=plain)


@pytest.fixture
def client(server):
    with connect(server.url) as made:
        yield made


def chat(client, text="Why is the sky blue?", **options):
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)


def said(client, text="Why is the sky blue?", **options):
    return chat(client, text, **options).choices[0].message.content


def raw(server, path, body=None):
    """What goes over the wire, without a client's help."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Authorization": "Bearer secret"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read().decode()


def test_models(server, client):
    assert [model.id for model in client.models.list()] == ["test-model", "test-embedding"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="other", prompt="Hello")
    assert caught.value.code == "model_not_found"
    server.change(models=None)
    with pytest.raises(openai.NotFoundError):
        client.models.list()
    assert client.completions.create(model="other", prompt="Hello").model == "other"


def test_chat(server, client):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky so very blue?"}]
    first, second = (client.chat.completions.create(model=MODEL, messages=messages) for _ in range(2))
    choice = first.choices[0]
    assert "Why is the sky so very" in choice.message.content
    assert (first.object, choice.message.role, choice.finish_reason) == ("chat.completion", "assistant", "stop")
    assert first.usage.prompt_tokens == (3 + 3) + (7 + 3)
    assert first.usage.completion_tokens == math.ceil(len(choice.message.content) / 4)
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert second.choices == first.choices
    assert second.id != first.id
    record = server.requests[0]
    assert (record.path, record.status, record.fault) == ("/v1/chat/completions", 200, None)
    assert record.body["messages"] == messages
    assert record.headers["Authorization"] == "Bearer secret"
    assert record.arrived <= record.first_token <= record.ended <= server.requests[1].arrived


def test_streamed_chat_is_the_same_in_parts(client):
    whole = said(client)
    *parts, last = chat(client, stream=True, stream_options=USAGE)
    assert (parts[0].choices[0].delta.role, parts[0].choices[0].delta.content) == ("assistant", "")
    texts = [part.choices[0].delta.content for part in parts]
    assert "".join(texts) == whole
    assert {len(text) for text in texts[1:-1]} == {4}
    assert [part.choices[0].finish_reason for part in parts] == [None] * (len(parts) - 1) + ["stop"]
    assert {part.usage for part in parts} == {None}
    assert (last.choices, last.usage.completion_tokens) == ([], len(parts) - 1)
    heads = {(part.id, part.object, part.created) for part in [*parts, last]}
    assert heads == {(last.id, "chat.completion.chunk", last.created)}


def test_the_wire_has_events_and_characters_as_they_are(server):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Grüße, 世界"}], "stream": True, "unheard_of": 1}
    events = raw(server, "/chat/completions", body).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    assert "Grüße, 世界" in "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)


def test_completions(client):
    options = {"model": MODEL, "prompt": "Once upon a time"}
    whole = client.completions.create(**options, max_tokens=500)
    assert (whole.object, whole.choices[0].finish_reason) == ("text_completion", "stop")
    assert "Once upon a time" in whole.choices[0].text
    *parts, last = client.completions.create(**options, max_tokens=500, stream=True, stream_options=USAGE)
    assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text
    assert parts[-1].choices[0].finish_reason == "stop"
    assert last.usage.completion_tokens == whole.usage.completion_tokens == len(parts)
    # OpenAI writes little when nobody says how much.
    assert client.completions.create(**options).usage.completion_tokens == 16


def test_embeddings(client):
    texts = ["the cat sat", "The cat sat!", "entirely different matters"]
    options = {"model": "test-embedding", "input": texts}
    plain = client.embeddings.create(**options, encoding_format="float")
    # The client asks for base64 of its own accord.
    packed = client.embeddings.create(**options)
    vectors = [one.embedding for one in plain.data]
    for vector, same in zip(vectors, packed.data, strict=True):
        assert vector == pytest.approx(same.embedding)
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1, 1])
    assert vectors[0] == vectors[1]
    assert abs(sum(map(operator.mul, vectors[0], vectors[2]))) < 0.5
    assert plain.usage.prompt_tokens == 3 + 3 + 7
    short = client.embeddings.create(**options, dimensions=8)
    assert {len(one.embedding) for one in short.data} == {8}


def test_a_wrong_key_is_refused(server, client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="guessed").models.list()
    assert caught.value.code == "invalid_api_key"
    assert server.requests[0].status == 401


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "nobody", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ({"stream_options": USAGE}, "stream_options"),
        ({"model": ""}, "model"),
    ],
)
def test_wrong_requests_are_refused(client, options, param):
    right = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**right, **options})
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


@pytest.mark.parametrize(("path", "status"), [("/chat/completions", 405), ("/chat", 404)])
def test_wrong_addresses_are_refused(server, path, status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        raw(server, path)
    with caught.value as answer:
        assert answer.code == status
        assert json.load(answer)["error"]["message"]


def test_limits_and_stops(server, client):
    whole = said(client)
    short = chat(client, max_tokens=5)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == (whole[:20], "length")
    assert said(client, max_completion_tokens=5) == whole[:20]
    stopped = chat(client, stop=["never said", " always"]).choices[0]
    assert stopped.finish_reason == "stop"
    assert said(client, stop="**") == whole[: whole.index("**")]
    server.change(total_max_tokens=True)
    assert said(client, "Four", max_tokens=4 + 5) == said(client, "Four")[:20]
    with pytest.raises(openai.BadRequestError):
        chat(client, "Four", max_tokens=4)


def test_a_prefix_is_remembered(client):
    rules = {"role": "system", "content": "Obey. " * 100}
    cached = []
    for question in ("One?", "Two?", "Obey?"):
        answer = client.chat.completions.create(model=MODEL, messages=[rules, {"role": "user", "content": question}])
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
    assert cached == [0, 128, 128]


def test_json_is_triples(client):
    messages = [{"role": "user", "content": f"Is this read? It has a verb.\nText:\n{ADA}"}]
    found = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Found)
    assert found.choices[0].message.parsed.model_dump()["triples"] == TRIPLES
    assert json.loads(said(client, ADA, response_format=JSON)) == {"triples": TRIPLES}
    assert json.loads(said(client, f"List the triples. Text:\n{ADA}")) == {"triples": TRIPLES}
    assert json.loads(said(client, "Nothing here", response_format=JSON)) == {"triples": []}


def test_passages_are_cited_and_scripts_go_first(server, client):
    prompt = "Who?\n\n[1] Ada wrote the first program.\n[2] Babbage built the engine."
    assert said(client, prompt) == "Ada wrote the first program [1]. Moreover, Babbage built the engine [2]."
    assert said(client, prompt.split("\n[2]")[0]) == "Ada wrote the first program [1]."
    server.change(scripts=(("Who?", "Nobody."),))
    assert said(client, prompt) == "Nobody."


def test_formats_that_a_server_does_not_know(server, client):
    schema = {"type": "json_schema", "json_schema": {"name": "found", "schema": {"type": "object"}}}
    server.change(no_json_schema=True, no_stream_options=True)
    with pytest.raises(openai.BadRequestError):
        chat(client, response_format=schema)
    assert json.loads(said(client, ADA, response_format=JSON))
    server.change(no_json_object=True)
    with pytest.raises(openai.BadRequestError):
        chat(client, response_format=JSON)
    with pytest.raises(openai.BadRequestError):
        chat(client, stream=True, stream_options=USAGE)
    assert len(list(chat(client, stream=True))) > 2


REFUSALS = [
    ("rate_limit", 429, openai.RateLimitError),
    ("server_error", 500, openai.InternalServerError),
    ("overloaded", 503, openai.InternalServerError),
    ("drop", None, openai.APIConnectionError),
]


@pytest.mark.parametrize(("kind", "status", "error"), REFUSALS)
def test_refusals(server, client, kind, status, error):
    server.plan(kind, kind)
    with pytest.raises(error) as caught:
        chat(client)
    if kind == "rate_limit":
        assert caught.value.response.headers["Retry-After"] == "0.01"
    assert said(client.with_options(max_retries=1))
    assert [(record.status, record.fault) for record in server.requests] == [(status, kind)] * 2 + [(200, None)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_raises(server, client, stream):
    server.plan("cut")
    parts = []
    with pytest.raises(openai.APIConnectionError):
        answer = chat(client, stream=stream)
        parts.extend(answer)
    assert bool(parts) == stream
    assert not any(part.choices[0].finish_reason for part in parts)
    assert server.requests[0].fault == "cut"
    assert said(client)


def test_broken_json(server, client):
    right, texts = json.dumps({"triples": TRIPLES}, ensure_ascii=False), set()
    for _ in range(20):
        server.plan("broken_json")
        texts.add(said(client, ADA, response_format=JSON))
    assert len(texts) == 3
    for text in texts:
        with pytest.raises(ValueError, match=r"Expecting|Extra|Unterminated"):
            json.loads(text)
        assert right in text or right.startswith(text)
    server.plan("broken_json")
    said(client)
    assert server.requests[-1].fault is None


def test_spoiled_answers(server, client):
    whole = said(client)
    server.plan("length", "wrong_usage", "no_usage", "duplicate_chunk", "duplicate_chunk", "no_usage")
    short = chat(client).choices[0]
    assert (short.finish_reason, whole.startswith(short.message.content)) == ("length", True)
    assert chat(client).usage.total_tokens == 0
    assert chat(client).usage is None
    parts = list(chat(client, stream=True))
    assert len(parts) == math.ceil(len(whole) / 4) + 2
    assert sum(parts[n] == parts[n + 1] for n in range(len(parts) - 1)) == 1
    assert said(client) == whole
    assert all(part.choices for part in chat(client, stream=True, stream_options=USAGE))
    kinds = [record.fault for record in server.requests]
    assert kinds == [None, "length", "wrong_usage", "no_usage", "duplicate_chunk", None, "no_usage"]


def test_time_passes_as_told(server, client):
    server.change(latency_s=0.05, token_s=0.01, slow_s=0.1)
    server.plan(None, "slow")
    assert list(chat(client, stream=True, max_tokens=6))
    assert said(client, max_tokens=6)
    for record, latency_s in zip(server.requests, (0.05, 0.15), strict=True):
        assert record.first_token - record.arrived >= latency_s - 0.005
        assert record.ended - record.first_token >= 5 * 0.01 - 0.005
    assert server.requests[1].fault == "slow"


@pytest.mark.parametrize(("honours", "order"), [(True, [-1, 0, 3, 5]), (False, [5, 0, 3, -1])])
def test_who_waits_longest_or_is_most_urgent_goes_first(server, client, honours, order):
    server.change(slots=0, honours_priority=honours)
    with ThreadPoolExecutor() as threads:
        running = []
        for n, priority in enumerate((5, None, 3, -1)):
            extra = {} if priority is None else {"priority": priority}
            running.append(threads.submit(said, client, extra_body=extra))
            wait_until(lambda n=n: server.n_waiting == n + 1)
        server.change(slots=1)
        assert all(one.result() for one in running)
    served = sorted(server.requests, key=lambda record: record.first_token)
    assert [record.body.get("priority", 0) for record in served] == order
    assert all(served[n].ended <= served[n + 1].first_token for n in range(3))
    assert server.most_at_once == 4


def test_whoever_leaves_takes_no_slot(server, client):
    # The second token would come long after the test.
    server.change(slots=1, token_s=60)
    with chat(client, stream=True) as stream:
        next(stream)
    wait_until(lambda: server.requests[0].left)
    server.change(slots=0)
    waiting = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"model": "test-embedding", "input": "Hello"})
    waiting.request("POST", "/v1/embeddings", body, {"Authorization": "Bearer secret"})
    wait_until(lambda: server.n_waiting == 1)
    waiting.close()
    wait_until(lambda: server.requests[1].left)
    server.change(slots=1, token_s=0)
    assert said(client)
    assert [(record.left, record.status) for record in server.requests] == [(True, 200), (True, None), (False, 200)]
    assert server.most_at_once == 1


def test_the_end_of_the_server_ends_what_waits():
    with ThreadPoolExecutor() as threads:
        with Server(slots=0) as server:
            waiting = threads.submit(said, connect(server.url))
            wait_until(lambda: server.n_waiting == 1)
        with pytest.raises(openai.APIConnectionError):
            waiting.result()
    assert server.requests[0].left


def test_chance_depends_on_number_and_seed_alone():
    shares = Behaviour(faults=(("slow", 0.25), ("cut", 0.25)))
    kinds = [shares.draw(number) for number in range(1000)]
    assert kinds == [shares.draw(number) for number in range(1000)]
    assert 400 < kinds.count(None) < 600
    assert 200 < kinds.count("cut") < 300
    assert kinds != [Behaviour(faults=shares.faults, seed=1).draw(number) for number in range(1000)]
    with pytest.raises(ValueError, match="no such fault"):
        Behaviour(faults=(("sulks", 0.5),))
    with pytest.raises(ValueError, match="more than 1"):
        Behaviour(faults=tuple((kind, 0.5) for kind in KINDS))


def test_a_port_that_is_taken(server):
    with pytest.raises(OSError, match="in use"):
        Server(port=server.port).__enter__()


def test_as_a_program():
    program = Path(__file__).parent / "openai_server.py"
    options = ["--prefix", "/openai/v1", "--key", "secret", "--slots", "2", "--fault", "wrong_usage=1"]
    options += ["--script", "Who=Nobody.", "--models", f"{MODEL},b"]
    with subprocess.Popen([sys.executable, program, *options], stdout=subprocess.PIPE, text=True) as running:
        try:
            url = running.stdout.readline().strip()
            assert url.endswith("/openai/v1")
            with connect(url) as client:
                assert [model.id for model in client.models.list()] == [MODEL, "b"]
                answer = chat(client, "Who?")
            assert (answer.choices[0].message.content, answer.usage.total_tokens) == ("Nobody.", 0)
            running.send_signal(signal.SIGTERM)
            assert (running.stdout.read(), running.wait()) == ("", 0)
        finally:
            running.kill()
