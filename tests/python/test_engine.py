"""Models in processes of their own: loaded, asked by notebooks and by OpenAI's client, killed, unloaded."""

import contextlib
import json
import re
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
import psutil
import pytest
from client import STOPPED_S, name_of, wait_until
from conftest import NOTEBOOKS
from hub import Hub

TINY = NOTEBOOKS / "models" / "tiny"
LOAD = f"%model load {TINY} --as tiny"
QUESTION = [{"role": "user", "content": "Who are you?"}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"type": "integer"}},
    "required": ["name", "size"],
    "additionalProperties": False,
}


@pytest.fixture
def started(kernels, tmp_path):
    """Starts kernels that share what they know of models."""

    def start(**env):
        places = {"MLK8S_STATE": str(tmp_path / "state"), "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
        return kernels(env={**places, "HF_HUB_OFFLINE": "1", **env})

    return start


@pytest.fixture
def loaded(started):
    """A kernel that has loaded the tiny model."""
    kernel = started()
    talk = kernel.run(LOAD)
    assert talk.ok, talk
    return kernel


def workers(kernel):
    """The processes of models that the kernel has started."""
    return [child for child in kernel.process.children(recursive=True) if name_of(child) == "mlk8s-worker"]


def record(tmp_path, name="tiny"):
    """What is known of a loaded model."""
    return json.loads((tmp_path / "state" / "workers" / f"{name}.json").read_text())


@pytest.fixture
def client(loaded, tmp_path):
    """OpenAI's own client, connected to the loaded model."""
    plain = openai.DefaultHttpxClient(trust_env=False)
    key = (tmp_path / "state" / "workers" / "tiny.key").read_text().strip()
    with openai.OpenAI(base_url=record(tmp_path)["url"], api_key=key, max_retries=0, http_client=plain) as made:
        yield made


def chat(client, messages=QUESTION, **options):
    options.setdefault("temperature", 0)
    return client.chat.completions.create(model="tiny", messages=messages, max_tokens=40, **options)


def test_a_loaded_model_is_an_endpoint_like_any_other(loaded, started):
    assert "tiny" in loaded.run("%model ls").result
    answer = loaded.run("%%ask --temperature 0\nWho are you?")
    assert answer.ok, answer
    # It is asked where no model is named, also by another notebook.
    other = started()
    assert other.run("%endpoint list").result.count("in use") == 1
    again = other.run("%%ask --temperature 0\nWho are you?")
    assert again.ok, again
    assert other.value("answer.clone()") == loaded.value("answer.clone()")
    assert loaded.run("%prompts --since all").ok
    assert loaded.value('prompts.column("model")?.str()?.get(0).unwrap()') == '"tiny"'
    assert int(loaded.value('prompts.column("completion_tokens")?.sum_reduce()?.value().try_extract::<i64>()?')) > 0


def test_unloading_gives_the_memory_back(loaded):
    (process,) = workers(loaded)
    had = process.memory_info().rss
    shown = loaded.run("%model unload tiny")
    assert shown.ok, shown
    told = float(re.search(r"([\d.]+) MiB", shown.result)[1])
    assert abs(told - had / 2**20) < 0.2 * told
    assert not psutil.pid_exists(process.pid)
    gone = loaded.run("%%ask\nWho are you?")
    assert not gone.ok and "no endpoint" in str(gone.error), gone


def test_a_model_that_is_killed_takes_nothing_with_it(loaded, tmp_path):
    assert loaded.run("let kept = 5;").ok
    (process,) = workers(loaded)
    # It has the question and does not get to answer it.
    process.suspend()
    asked = loaded.send("%%ask\nWho are you?")
    port = int(record(tmp_path)["url"].split(":")[2].split("/")[0])
    lines = loaded.process.net_connections
    wait_until(lambda: any(line.raddr and line.raddr.port == port for line in lines()))
    process.send_signal(signal.SIGKILL)
    loaded.finish(asked)
    assert not asked.ok and "has ended" in str(asked.error), asked
    assert loaded.value("kept + 1") == "6"
    again = loaded.run(LOAD)
    assert again.ok, again
    assert loaded.run("%%ask\nWho are you?").ok


def test_two_models_are_asked_by_their_names_and_their_hours_stay_when_they_are_gone(loaded):
    assert loaded.run(f"%model load {TINY} --as other").ok
    for name in ("tiny", "other"):
        assert loaded.run(f"%%ask {name}\nWho are you?").ok, name
    assert loaded.run("%%compare tiny other\nWho are you?").ok
    own = r"own machine, (-?\d+\.\d+) busy hours\s+\$(\d\S*)"
    before = re.search(own, loaded.run("%cost").result)
    assert before and float(before[2]) > 0
    assert loaded.run("%model unload tiny").ok and loaded.run("%model unload other").ok
    after = re.search(own, loaded.run("%cost").result)
    assert after and after[0] == before[0], (before, after)


def test_models_end_with_their_notebook(loaded):
    (process,) = workers(loaded)
    loaded.process.kill()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_a_second_one_of_that_name_and_one_that_is_not_there_are_refused(loaded, tmp_path):
    twice = loaded.run(LOAD)
    assert not twice.ok and "--as NAME" in str(twice.error)
    nowhere = loaded.run("%model load no/such-model")
    assert not nowhere.ok and "HF_HUB_OFFLINE" in str(nowhere.error), nowhere
    (tmp_path / "models").mkdir(exist_ok=True)
    mistyped = loaded.run("%model load models/no-such-model")
    assert not mistyped.ok and "has no `no-such-model`" in str(mistyped.error), mistyped
    unknown = loaded.run("%model unload other")
    assert not unknown.ok and "`tiny`" in str(unknown.error)


def test_what_is_mistyped_is_told_at_once(started, tmp_path):
    (tmp_path / "models" / "small").mkdir(parents=True)
    # Where nothing listens there is a hub that cannot be reached.
    kernel = started(HF_HUB_OFFLINE="", HF_ENDPOINT="http://127.0.0.1:1", HF_HOME=str(tmp_path / "hf"))
    for typed, said in (
        ("./modles/small", "did you mean `./models/small`"),
        ("modles/small", "did you mean `models/small`"),
        ("models/smal", "`%model info models/smal@main` asks the hub"),
        ("./models/none", "in `./models` there is `small`"),
        ("some/deep/path", "where the notebook is there is"),
        ("smoll", "names no model"),
    ):
        talk = kernel.run(f"%model load {typed}")
        assert not talk.ok and said in talk.traceback.replace("\x1b", ""), talk
        assert talk.seconds < STOPPED_S, talk
    # Where somebody waits, who can be asked.
    talk = kernel.run("%model load some/model", allow_stdin=True)
    assert talk.ename == "InputError" and "127.0.0.1:1 cannot be reached" in talk.traceback, talk
    assert talk.seconds < 2 * STOPPED_S and "%model ls" in talk.traceback


def test_a_hub_that_comes_up_late_is_waited_for_where_nobody_waits(started, tmp_path):
    asked = []

    class Late(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Late, bind_and_activate=False) as hub:
        hub.server_bind()
        address = f"http://127.0.0.1:{hub.server_port}"
        kernel = started(HF_HUB_OFFLINE="", HF_ENDPOINT=address, HF_HOME=str(tmp_path / "hf"))
        # As programs do that run notebooks by themselves: they cannot be asked.
        cell = kernel.send("%model load some/model")
        time.sleep(3)
        assert cell.reply is None, cell
        hub.server_activate()
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        kernel.finish(cell)
        hub.shutdown()
    assert asked and not cell.ok and "cannot be reached" not in cell.traceback, cell


def test_the_model_of_another_notebook_is_not_ended_without_a_word(started, tmp_path):
    first = started(JPY_SESSION_NAME="work/mine.ipynb")
    talk = first.run(LOAD)
    # What is told of its memory is told with its conditions.
    assert talk.ok and re.search(r"MiB now, up to [\d.]+ MiB more when 8 conversations are full", talk.result), talk
    assert "when all are full" in first.run(f"%model info {TINY}").result
    other = started()
    assert "of the notebook `work/mine.ipynb`" in other.run("%model ls").data["text/html"]
    talk = other.run("%model unload tiny")
    assert not talk.ok and "loaded by the notebook `work/mine.ipynb`" in talk.traceback, talk
    assert "%model unload tiny --yes" in talk.traceback and len(workers(first)) == 1
    # A frontend that can ask does.
    cell = other.send("%model unload tiny", allow_stdin=True)
    assert "work/mine.ipynb" in other.prompt(cell)["prompt"]
    other.answer("no")
    other.finish(cell)
    assert not cell.ok and len(workers(first)) == 1
    assert other.run("%model unload tiny --yes").ok
    # Its number stays until its kernel has heard of it.
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in workers(first))
    assert first.run(LOAD).ok and first.run("%model unload").ok


def test_loading_can_be_interrupted(started, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    kernel = started(MLK8S_WORKER=str(slow))
    talk = kernel.send(LOAD)
    wait_until(lambda: any(name_of(process) == "sleep" for process in kernel.family()))
    assert kernel.stop(talk) < STOPPED_S
    assert talk.ename == "Interrupted"
    assert kernel.run("1 + 1").result == "2"


def test_a_model_comes_from_the_hub_though_the_line_breaks(started, tmp_path):
    with Hub(TINY, breaks=2) as hub:
        home = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "", "HF_TOKEN": "hf_secret"}
        kernel = started(**home)
        talk = kernel.run("%model load org/tiny --as hubbed")
        assert talk.ok, talk
        # What had come before the line broke was not asked for again, and the key went to the hub alone.
        weights = [asked for asked in hub.asked if asked[1].startswith("/weights/") and asked[0] == "GET"]
        assert [wanted is not None for _, _, wanted, _ in weights][1:] == [True, True]
        assert all(key is None for _, _, _, key in weights)
        assert any(key == "Bearer hf_secret" for _, _, _, key in hub.asked)
        assert kernel.run("%%ask --temperature 0\nWho are you?").ok
        assert "org/tiny" in kernel.run("%model ls").result
        assert kernel.run("%model unload").ok
    # The hub is gone; what is in the cache is enough.
    assert kernel.run("%model load org/tiny --as again").ok


def test_openai_s_client_is_answered(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    whole = chat(client)
    assert whole.choices[0].message.content and whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    pieces = list(chat(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content
    assert pieces[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert pieces[-1].usage.prompt_tokens_details.cached_tokens >= 0
    plain = client.completions.create(model="tiny", prompt="A knowledge graph", max_tokens=8, temperature=0)
    assert plain.usage.completion_tokens <= 8 and plain.choices[0].text


def test_many_clients_get_what_each_gets_alone(client):
    questions = [[{"role": "user", "content": f"What is {thing}?"}] for thing in ("a graph", "Kubeflow", "a GPU", "Rust")]
    alone = [chat(client, question).choices[0].message.content for question in questions]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda n: chat(client, questions[n % 4]).choices[0].message.content, range(24)))
    assert together == [alone[n % 4] for n in range(24)]


def test_answers_follow_a_schema(client):
    wanted = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}
    for seed in range(8):
        answer = client.chat.completions.create(
            model="tiny", messages=QUESTION, response_format=wanted, temperature=1, seed=seed, max_tokens=200
        )
        if answer.choices[0].finish_reason == "stop":
            found = json.loads(answer.choices[0].message.content)
            assert set(found) == {"name", "size"} and isinstance(found["size"], int) and len(found["name"]) <= 12


def test_what_cannot_be_done_is_said_in_the_protocol_s_words(client):
    with pytest.raises(openai.BadRequestError, match="tools"):
        chat(client, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    with pytest.raises(openai.BadRequestError, match="512"):
        chat(client, [{"role": "user", "content": "word " * 4000}])
    with pytest.raises(openai.NotFoundError, match="tiny"):
        client.chat.completions.create(model="other", messages=QUESTION)
    with pytest.raises(openai.AuthenticationError):
        chat(client.with_options(api_key="wrong"))


def test_a_client_that_goes_away_frees_its_place(client):
    for _ in range(30):
        stream = chat(client, [{"role": "user", "content": "Tell me everything."}], stream=True, temperature=1)
        next(iter(stream))
        stream.close()
    assert chat(client).choices[0].message.content


def test_minilm_is_loaded_as_an_endpoint(started):
    kernel = started()
    talk = kernel.run("%model load minilm")
    assert talk.ok, talk
    assert kernel.run('let words = df!("text" => ["a king", "a queen", "bread and butter"])?;').ok
    assert kernel.run("%embed words --model minilm@minilm --as there").ok
    assert kernel.run("%embed words --model minilm --as here").ok
    same = """let (a, b) = (there.column("vector")?.clone(), here.column("vector")?.clone());
let dot = |x: Series, y: Series| (x.f32().unwrap() * y.f32().unwrap()).sum().unwrap();
(0..3).map(|n| dot(a.list().unwrap().get_as_series(n).unwrap(), b.list().unwrap().get_as_series(n).unwrap())).fold(1f32, f32::min) > 0.9999"""
    assert kernel.value(same) == "true"


WORDS = 'let words = df!("text" => ["a king", "a queen", "bread and butter"])?;'


def test_vectors_come_from_a_process_that_starts_when_it_is_wanted(started):
    kernel, other = started(), started()
    for one in (kernel, other):
        assert one.run(WORDS).ok
        talk = one.run("%embed words")
        assert talk.ok, talk
    # Both notebooks have the same one, which is no endpoint.
    (process,) = workers(kernel)
    assert not workers(other) and "for vectors" in other.run("%model ls").result
    assert not kernel.run("%%ask\nWho are you?").ok
    # Whether it was killed or unloaded, the next use starts it again.
    process.kill()
    assert kernel.run("%embed words").ok
    (process,) = workers(kernel)
    assert kernel.run("%model unload").ok and not workers(kernel)
    assert kernel.run("%embed words").ok
    # One that is loaded by that name takes its place, and is an endpoint.
    assert kernel.run("%model load minilm").ok
    loaded = workers(kernel)
    assert len(loaded) == 1 and kernel.run("%embed words --model minilm@minilm").ok
    assert kernel.run("%embed words").ok and workers(kernel) == loaded


def test_a_process_that_dies_over_its_vectors_is_started_again(started, tmp_path):
    kernel = started()
    assert kernel.run(WORDS).ok and kernel.run("%embed words").ok
    (process,) = workers(kernel)
    process.suspend()
    talk = kernel.send("%embed words")
    port = int(record(tmp_path, "minilm")["url"].split(":")[2].split("/")[0])
    lines = kernel.process.net_connections
    wait_until(lambda: any(line.raddr and line.raddr.port == port for line in lines()))
    process.kill()
    kernel.finish(talk)
    assert talk.ok, talk
    assert [process] != workers(kernel)


def test_vectors_that_were_made_before_a_kill_are_not_made_again(started, tmp_path):
    many = 'let many = df!("text" => (0..1200).map(|n| format!("text {n} {}", "tells a story ".repeat(15))).collect::<Vec<_>>())?;'
    kernel = started()
    assert kernel.run(many).ok
    kernel.send("%embed many")
    folder = tmp_path / "state" / "vectors"

    def kept():
        (file,) = folder.glob("*.db")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            return store.execute("SELECT count(*) FROM answers").fetchone()[0]

    def some():
        # The file is not there at once, nor its table when it is.
        with contextlib.suppress(ValueError, sqlite3.OperationalError):
            return kept() >= 2

    wait_until(some)
    kernel.process.kill()
    kernel = started()
    assert kernel.run(many).ok
    talk = kernel.run("%embed many")
    assert talk.ok and int(re.search(r"(\d+) were there from before", talk.result)[1]) >= 2 * 64, talk
    # Once all are there, they are in the frame, and kept nowhere else.
    assert not list(folder.iterdir())
    assert kernel.value("vectors.height()") == "1200"


def test_a_model_that_only_writes_makes_no_vectors(started):
    kernel = started()
    assert kernel.run(WORDS).ok
    talk = kernel.run(f"%embed words --model {TINY}")
    assert not talk.ok and "writes text" in str(talk.error), talk
    assert not workers(kernel)
