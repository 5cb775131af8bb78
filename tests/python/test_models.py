"""Models behind an endpoint: asked, compared, counted, limited, stopped, and read for a graph."""

import http.server
import json
import os
import random
import re
import signal
import sqlite3
import threading
import time

import psutil
import pytest
from client import STOPPED_S, wait_until
from openai_server import Server

KILLS = 20
QUESTION = "%%ask\nWhat is a knowledge graph?"
# What the model reads is what is counted here: no vectors.
BUILD = "%kg build docs --as kg --engine endpoint --words 60 --words-only"


@pytest.fixture
def server():
    with Server(token_s=0.0) as server:
        yield server


@pytest.fixture
def known(kernels, server, tmp_path):
    """A kernel with a state of its own that knows the server as `house`."""
    return begin(kernels, server, tmp_path)


def begin(kernels, server, state, **env):
    kernel = kernels(env={"MLK8S_STATE": str(state), "OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **env})
    assert kernel.run(f"%endpoint add house {server.url} --model test-model").ok
    return kernel


def rows(kernel, what):
    """A column of the ledger, oldest call first."""
    assert kernel.run("%prompts --since all").ok
    return column(kernel, f'prompts.column("{what}")?')


def column(kernel, code):
    """The values of a column of a frame, as texts."""
    each = 'match v { AnyValue::String(s) => s.to_owned(), AnyValue::Float64(x) => format!("{x:e}"), v => v.to_string() }'
    talk = kernel.run(f'for v in {code}.as_materialized_series().iter() {{ println!("{{}}", {each}); }}')
    assert talk.ok, talk
    return talk.stdout.splitlines()


@pytest.fixture
def library(tmp_path):
    """Documents of many sentences that state something."""
    folder = tmp_path / "library"
    folder.mkdir()
    people = ["Ada Lovelace", "Charles Babbage", "Grace Hopper", "Alan Turing", "Emmy Noether", "Kurt Goedel"]
    things = ["the engine", "a program", "the compiler", "a machine", "the theorem", "a proof", "the algebra"]
    for n in range(12):
        lines = [f"# Notes {n}", ""]
        for m in range(24):
            who, what = people[(n + m) % len(people)], things[(2 * n + m) % len(things)]
            lines.append(f"{who} wrote {what} of number {n * 24 + m}. It was read by many people in the town.")
        (folder / f"notes{n}.md").write_text("\n".join(lines) + "\n")
    return folder


def posts(server):
    return [request for request in server.requests if request.path.endswith("completions")]


def test_an_answer_is_shown_as_it_is_written_and_is_a_text_in_rust(known, server):
    server.change(token_s=0.02)
    talk = known.run(QUESTION)
    assert talk.ok, talk
    written = [content["data"]["text/plain"] for content in talk.of("display_data", "update_display_data")]
    assert len(written) >= 3 and all(b.startswith(a[:-1]) for a, b in zip(written, written[1:]))
    # What was shown meanwhile gives way to the result.
    assert talk.of("clear_output") == [{"wait": True}]
    assert "<strong>always</strong>" in talk.data["text/html"] and "tokens" in talk.result
    assert known.value("answer.starts_with(\"A question\")") == "true"
    assert talk.seconds < 30


def test_the_conversation_goes_on_until_it_begins_anew(known, server):
    known.run("%%ask --system Brief.\nFirst?")
    known.run("%%ask\nSecond?")
    roles = [message["role"] for message in posts(server)[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    known.run("%%ask --fresh\nThird?")
    assert len(posts(server)[-1].body["messages"]) == 1


def test_values_stand_in_the_question(known, server):
    assert known.run('let city = "Bern"; let n = vec![1, 2];').ok
    talk = known.run("%%ask --as first\nWhere is {city}, with {n} and {unknown}?")
    assert talk.ok and "no variable `{unknown}`" in talk.shown and "{n}`" not in talk.shown, talk
    assert posts(server)[-1].body["messages"][-1]["content"] == "Where is Bern, with [1, 2] and {unknown}?"
    assert known.run("%%ask\nMore of: {first}").ok
    assert "Where is Bern" in posts(server)[-1].body["messages"][-1]["content"]


def test_what_a_model_writes_does_not_act(known, server):
    evil = "Well: <script>alert(1)</script> ![x](http://evil.example/p.png) [y](javascript:alert(1)) \x1b[31m"
    server.change(scripts=[("evil", evil)])
    talk = known.run("%%ask\nBe evil")
    html = talk.data["text/html"]
    assert "&lt;script&gt;" in html and "<img" not in html and "javascript:" not in html
    assert "\x1b" not in talk.result + html


def test_a_schema_is_asked_for_and_done_without(known, server, tmp_path):
    schema = {"type": "object", "properties": {"triples": {"type": "array"}}, "required": ["triples"]}
    (tmp_path / "t.json").write_text(json.dumps(schema))
    cell = f"%%ask --json-schema {tmp_path / 't.json'}\nAda wrote a program."
    assert known.run(cell).ok
    assert posts(server)[-1].body["response_format"]["json_schema"]["schema"] == schema
    server.change(no_json_schema=True)
    talk = known.run(cell)
    assert talk.ok and posts(server)[-1].body["response_format"] == {"type": "json_object"}
    n = len(posts(server))
    # It is remembered.
    assert known.run(cell).ok and len(posts(server)) == n + 1
    (tmp_path / "bad.json").write_text("{")
    assert known.run(f"%%ask --json-schema {tmp_path / 'bad.json'}\nx").ename == "InputError"


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "overloaded", "drop", "cut"])
def test_what_fails_once_is_asked_again(known, server, fault):
    server.change(retry_after_s=0)
    server.plan(fault)
    talk = known.run(QUESTION)
    assert talk.ok, talk
    assert len(posts(server)) == 2 and "2 attempts" in talk.result
    assert rows(known, "status") == ["failed", "done"]
    assert rows(known, "attempt") == ["1", "2"]


def test_a_refusal_says_what_to_do(known, server):
    talk = known.run("%%ask none-such\nHello")
    assert talk.ename == "EndpointError" and "404" in talk.error["evalue"] and "%endpoint check" in talk.traceback
    server.change(key="sk-right")
    talk = known.run(QUESTION)
    assert talk.ename == "EndpointError" and "401" in talk.error["evalue"]
    assert len(posts(server)) == 2


def test_keys_are_read_and_never_shown(kernels, server, tmp_path):
    server.change(key="sk-right")
    kernel = begin(kernels, server, tmp_path / "state", HOUSE_KEY="sk-right")
    (tmp_path / "key").write_text("sk-right\n")
    said = []
    for option in ("--key-env HOUSE_KEY", f"--key-file {tmp_path / 'key'}"):
        said.append(kernel.run(f"%endpoint add house {server.url} --model test-model {option}"))
        assert said[-1].ok
        said += [kernel.run("%endpoint check"), kernel.run(QUESTION)]
        assert said[-1].ok and said[-2].ok
    assert not any("sk-right" in talk.shown for talk in said)
    for file in (tmp_path / "state").rglob("*"):
        assert not file.is_file() or b"sk-right" not in file.read_bytes()
    # Cells do not see it either.
    assert kernel.value('std::env::var("HOUSE_KEY").is_err()') == "true"
    talk = kernel.run("%endpoint add bad https://user:pass@host/v1")
    assert talk.ename == "UsageError" and "--key-env" in talk.traceback


def test_a_server_without_a_list_of_models_does(known, server):
    server.change(models=None)
    assert "no list of models" in known.run("%endpoint check").result
    assert known.run(QUESTION).ok


def test_total_max_tokens_counts_the_request(known, server):
    assert known.run(f"%endpoint add old {server.url} --model test-model --total-max-tokens").ok
    known.run("%%ask @old --max-tokens 30\nHello there")
    assert posts(server)[-1].body["max_tokens"] > 30
    known.run("%%ask @house --max-tokens 30\nHello there")
    assert posts(server)[-1].body["max_tokens"] == 30


def test_a_call_is_stopped_and_set_down(known, server):
    server.change(latency_s=60)
    cell = known.send(QUESTION)
    wait_until(lambda: posts(server))
    assert known.stop(cell) < STOPPED_S and cell.ename == "Interrupted"
    server.change(latency_s=0)
    assert rows(known, "status") == ["stopped"]
    wait_until(lambda: posts(server)[0].left)
    assert known.run(QUESTION).ok


def test_a_plain_completion_is_asked_for(known, server):
    assert known.run("%%ask --plain --max-tokens 40\nOnce upon a time").ok
    assert posts(server)[-1].path.endswith("/v1/completions")
    assert posts(server)[-1].body["prompt"] == "Once upon a time"


def test_several_models_side_by_side(known, server):
    talk = known.run("%%compare test-model @house none-such\nHello")
    assert talk.ok and talk.data["text/html"].count("mlk8s-columns") >= 1
    assert "none-such@house" in talk.result and "tokens/s" in talk.result


def test_answers_are_marked_and_exported(known, tmp_path):
    known.run(QUESTION)
    assert known.run("%rate last 5 --comment good").ok
    assert known.run("%rate last 6").ename == "UsageError"
    # The table shows the last digits of a call's number only, and they do; long texts can be opened.
    talk = known.run("%prompts")
    [number] = rows(known, "id")
    assert number[-8:] in talk.result and number not in talk.result
    assert known.run(f"%rate {number[-8:]} 4").ok and rows(known, "score") == ["4"]
    assert "<details><summary>A question that begins with" in talk.data["text/html"]
    assert known.run("%rate last 5 --comment good").ok
    assert known.run("%rate 00000000 3").ename == "NotFound"
    # One digit is the end of a sixteenth of all numbers, and was meant as something else.
    for slip in (number[-1], "1", "no-such"):
        talk = known.run(f"%rate {slip} 3")
        assert talk.ename == "UsageError" and "at least 6 digits" in talk.traceback, talk
    assert known.run(f"%prompts export {tmp_path / 'good.jsonl'}").ok
    [chat] = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant"]
    assert rows(known, "comment") == ["good"]


def test_calls_without_usage_are_counted_here(known, server):
    server.change(faults=[("wrong_usage", 1.0)])
    talk = known.run(QUESTION)
    assert "counted here" in talk.result
    assert rows(known, "counted_by") == ["o200k_base"]


def paid(kernel, server):
    """Makes the server one that is paid by the token, at the price of a real model."""
    server.change(models=("gpt-4o-mini", "test-model"))
    assert kernel.run(f"%endpoint add api {server.url} --paid --model gpt-4o-mini").ok
    assert kernel.run("%endpoint use api").ok


def test_what_was_spent_is_known_to_the_digit(known, server):
    paid(known, server)
    for n in range(3):
        assert known.run(f"%%ask --fresh\nQuestion {n}").ok
    tokens = zip(rows(known, "prompt_tokens"), rows(known, "completion_tokens"))
    wanted = sum(int(prompt) * 0.15e-6 + int(completion) * 0.6e-6 for prompt, completion in tokens)
    assert sum(map(float, rows(known, "paid_usd"))) == pytest.approx(wanted, rel=1e-9)
    talk = known.run("%cost --since 1h --than gpt-4o,gpt-4o-mini")
    assert "at gpt-4o " in talk.result and "gpt-4o-mini" in talk.result
    assert known.run("%cost --than gtp-4o").ename == "NotFound"
    assert "<figure" in talk.data["text/html"]


def test_a_budget_is_never_passed(known, server):
    paid(known, server)
    assert known.run("%budget 0.002usd").ok
    for _ in range(100):
        talk = known.run("%%ask --fresh --max-tokens 1000\nTell me more")
        if not talk.ok:
            break
    assert talk.ename == "BudgetError" and "%budget" in talk.traceback
    spent = sum(map(float, rows(known, "paid_usd")))
    assert 0 < spent <= 0.002
    n = len(posts(server))
    assert known.run(QUESTION).ename == "BudgetError" and len(posts(server)) == n
    assert known.run("%budget --off").ok and known.run(QUESTION).ok
    # What nobody knows the price of is not sent where there is a budget.
    assert known.run("%budget 5usd").ok
    assert known.run("%%ask test-model@api\nHello").ename == "BudgetError"


def test_texts_are_left_out_when_that_is_wanted(kernels, server, tmp_path):
    kernel = begin(kernels, server, tmp_path, MLK8S_LEDGER_REDACT="1")
    assert kernel.run("%%ask\nSomething private").ok
    assert rows(kernel, "request") == [""] and rows(kernel, "response") == [""]
    assert int(rows(kernel, "prompt_tokens")[0]) > 0


def test_a_model_reads_the_documents(known, server, library):
    assert known.run(f"%corpus {library} --as docs").ok
    talk = known.run(BUILD)
    assert talk.ok, talk
    n = len(posts(server))
    assert n > 3 and "triples found in their sentence" in talk.result
    assert set(column(known, 'triples.column("engine")?')) == {"model"}
    # Every triple stands in its sentence.
    supported = (
        'triples.clone().lazy().select([col("sentence").str().contains_literal(col("subject"))'
        '.and(col("sentence").str().contains_literal(col("object"))).all(true)]).collect()?.to_string()'
    )
    assert "true" in known.value(supported)
    # A second time nothing is paid.
    assert known.run(BUILD).ok and len(posts(server)) == n
    assert known.run(BUILD.replace("--as kg", "--as other")).ok and len(posts(server)) == n
    # Both engines in one graph.
    assert known.run(BUILD.replace("--as kg", "--as both --clauses")).ok and len(posts(server)) == n
    engines = known.value('both_triples.column("engine")?.n_unique()?')
    assert engines == "2"


def test_no_passage_is_lost_to_a_bad_server(known, server, library):
    assert known.run(f"%corpus {library} --as docs").ok
    share = {"broken_json": 0.1, "rate_limit": 0.05, "server_error": 0.05, "drop": 0.05, "cut": 0.05, "length": 0.05}
    server.change(faults=tuple(share.items()), retry_after_s=0)
    talk = known.run(BUILD)
    assert talk.ok, talk
    numbers = dict(line.rsplit(None, 1) for line in talk.result.splitlines() if line.startswith("passages"))
    chunks = set(rows(known, "chunk"))
    assert sum(map(int, numbers.values())) == len(chunks)


def test_a_budget_ends_a_build_and_keeps_what_is_done(known, server, library):
    paid(known, server)
    assert known.run(f"%corpus {library} --as docs").ok
    assert known.run("%budget 0.003usd").ok
    talk = known.run(f"{BUILD} --concurrency 2 --max-tokens 400")
    assert talk.ename == "BudgetError" and "passages" in talk.error["evalue"], talk
    spent = sum(map(float, rows(known, "paid_usd")))
    assert 0 < spent <= 0.003
    n = len(posts(server))
    assert known.run("%budget --off").ok
    assert known.run(f"{BUILD} --max-tokens 400").ok
    done = [status for status in rows(known, "status") if status == "done"]
    assert len(done) == len(posts(server)) and len(posts(server)) > n


def test_somebody_is_asked_before_much_is_paid(known, server, library):
    paid(known, server)
    assert known.run(f"%corpus {library} --as docs").ok
    build = BUILD.replace("60", "20")
    cell = known.send(build, allow_stdin=True)
    question = known.prompt(cell)["prompt"]
    assert "calls of gpt-4o-mini@api" in question and "$" in question
    n_read = len(posts(server))
    assert f"judged by {n_read} passages" in question and n_read <= 16
    known.answer("n")
    known.finish(cell)
    assert cell.ename == "Interrupted" and len(posts(server)) == n_read
    # Nobody is there at night: it goes on, and takes what was said within 15 %.
    announced = float(re.search(r"about \$([0-9.e-]+)", question)[1])
    before = sum(map(float, rows(known, "paid_usd")))
    talk = known.run(build)
    assert talk.ok
    cost = sum(map(float, rows(known, "paid_usd"))) - before
    assert abs(announced - cost) <= 0.15 * cost, (announced, cost)
    assert not re.search("judged|guess", talk.shown)


def test_what_a_model_takes_from_the_prompt_is_not_taken_for_text(known, server, tmp_path):
    (tmp_path / "note.md").write_text("# Note\n\nAda Lovelace wrote a program. It was long.\n")
    leak = "(Philz, is, coffee shop)\n(Ada Lovelace, wrote, a program)\n(Alice, is mother of, Bob)\n"
    server.change(scripts=[("Ada Lovelace", f"{leak}Text:\nCarl sold a boat.\nTriplets:\n(Carl, sold, a boat)\n")])
    assert known.run(f"%corpus {tmp_path / 'note.md'} --as docs").ok
    for prompt, leaked in (("llama-index", 2), ("mpt-long", 2), ("kron", 2), ("alpaca", 2), ("lines", 0)):
        talk = known.run(f"%kg build docs --as kg --engine endpoint --prompt {prompt}")
        assert talk.ok, talk
        counts = dict(re.findall(r"^(.*\S)\s+(\d+)$", talk.result, re.MULTILINE))
        assert int(counts.get("examples of the prompt that came back", 0)) == leaked, talk.result
        assert counts["triples of made-up passages"] == "1"
        assert column(known, 'triples.column("subject")?') == ["Ada Lovelace"], prompt


def test_triples_are_marked_and_become_lessons(known, server, library, tmp_path):
    assert known.run(f"%corpus {library} --as docs").ok and known.run("%kg build docs --as kg").ok
    assert known.run("%rate 0 5 --kg kg").ok and known.run("%rate 3 1 --kg kg --comment wrong").ok
    assert set(column(known, 'triples.column("mark")?')[:4]) == {"5", "0", "1"}
    # Marks are kept when the graph is built anew.
    assert known.run("%kg build docs --as kg").ok
    assert column(known, 'triples.column("mark")?')[:4].count("5") == 1
    talk = known.run(f"%prompts export {tmp_path / 'lessons.jsonl'} --kg kg")
    assert talk.ok and "1 chats" in talk.result, talk
    [chat] = [json.loads(line) for line in (tmp_path / "lessons.jsonl").read_text().splitlines()]
    subject = column(known, 'triples.column("subject")?')[0]
    assert subject in chat["messages"][-1]["content"] and subject in chat["messages"][-2]["content"]
    assert "none with the number" in known.run("%rate 99999 1 --kg kg").traceback


def test_a_killed_build_goes_on_where_it_was(kernels, server, tmp_path, library):
    server.change(latency_s=0.05)
    state = tmp_path / "state"
    kernel = begin(kernels, server, state)
    moments = random.Random(4)
    for _ in range(KILLS):
        kernel.run(f"%corpus {library} --as docs")
        before = len(posts(server))
        kernel.send(f"{BUILD} --concurrency 2")
        wait_until(lambda: len(posts(server)) > before)
        # The moment is the matter.
        time.sleep(moments.uniform(0, 0.25))
        os.kill(kernel.process.pid, signal.SIGKILL)
        psutil.wait_procs([kernel.process], timeout=10)
        kernel = begin(kernels, server, state)
    kernel.run(f"%corpus {library} --as docs")
    assert kernel.run(f"{BUILD} --concurrency 2").ok
    asked = {}
    for request in posts(server):
        text = request.body["messages"][-1]["content"]
        asked[text] = asked.get(text, 0) + 1
    again = sum(n - 1 for n in asked.values())
    # Two were under way at each kill.
    assert again <= KILLS * 2, asked
    fingerprint = 'triples.select(["subject", "relation", "object", "sentence"])?.to_string()'
    resumed = kernel.value(fingerprint), kernel.value("(kg.node_count(), kg.edge_count())")
    other = begin(kernels, server, tmp_path / "other")
    other.run(f"%corpus {library} --as docs")
    assert other.run(BUILD).ok
    assert (other.value(fingerprint), other.value("(kg.node_count(), kg.edge_count())")) == resumed


def test_a_graph_guides_the_answer(known, server, articles):
    assert known.run(f"%corpus {articles} --as docs").ok and known.run("%kg build docs --as kg").ok
    server.requests.clear()
    talk = known.run("%%ask --kg kg --compare\nWhat did Marie Curie discover?")
    assert talk.ok, talk
    assert len(posts(server)) == 2
    html = talk.data["text/html"]
    assert "alone" in html and "guided by" in html and "mlk8s-columns" in html
    # Its answer cites what it was shown, and that is below it.
    assert "[1]" in talk.result.split("guided by")[1]
    assert known.run("%%ask --kg kg --evidence\nWho wrote a program?").ok and len(posts(server)) == 2


def test_what_is_full_is_named_and_the_good_half_is_shown(known, server, articles):
    assert known.run(f"%corpus {articles} --as docs").ok and known.run("%kg build docs --as kg").ok
    server.change(context=200)
    # The passages do not fit, the question alone does: the good half is shown, the other says what to type.
    talk = known.run("%%ask --kg kg --compare --max-tokens 100\nWhat did Marie Curie discover?")
    assert talk.ok, talk
    alone, guided = talk.result.split("guided by")
    assert "A question that begins with" in alone and "maximum context length is 200" in guided
    assert "--passages 2" in guided and "--context" in guided and "`answer` is left as it was" in guided
    assert "<code>--passages 2</code>" in talk.data["text/html"]
    assert not known.run("answer").ok
    # Without a comparison there is nothing good to show.
    talk = known.run("%%ask --kg kg --max-tokens 100\nWhat did Marie Curie discover?")
    assert talk.ename == "EndpointError" and "--passages 2" in talk.traceback
    # A limit that is too large by itself is named with one that fits; a long conversation begins anew.
    talk = known.run("%%ask\nHello?")
    [fits] = re.findall(r"--max-tokens (\d+)", talk.traceback)
    assert talk.ename == "EndpointError" and "--passages" not in talk.traceback
    assert known.run(f"%%ask --max-tokens {fits}\nHello?").ok
    for _ in range(9):
        talk = known.run("%%ask --max-tokens 60\nAnd now?")
    assert not talk.ok and "--fresh" in talk.traceback, talk


def test_where_the_server_stops_for_want_of_room_it_is_not_the_limit(known, server):
    server.plan("length")
    talk = known.run("%%ask --max-tokens 500\nTell me more")
    assert "before the 500 of" in talk.result and "had no more room" in talk.result
    # No rate is made of three tokens.
    talk = known.run("%%ask --fresh --max-tokens 3\nTell me more")
    assert "`--max-tokens N` allows more" in talk.result and "tokens/s" not in talk.result


def test_the_log_of_the_original_is_taken_over_and_sums_to_the_digit(known, tmp_path):
    log = tmp_path / "log.db"
    with sqlite3.connect(log) as store:
        store.execute(
            "CREATE TABLE llm_inference_log (id INTEGER PRIMARY KEY, user_id TEXT, datetime_captured TEXT, "
            "model_id TEXT, request TEXT, response TEXT, inference_time INTEGER, entities TEXT, score INTEGER)"
        )
        for n in range(200):
            usage = {"prompt_tokens": 331 + 7 * n, "completion_tokens": 54 + n, "total_tokens": 385 + 8 * n}
            if n % 50 == 49:
                usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            response = json.dumps({"choices": [{"text": "x", "finish_reason": "stop"}], "usage": usage})
            row = (n + 1, "007", "2023-07-20 10:00:00+00", "camel-5b", json.dumps({"prompt": "p"}), response, 3)
            store.execute("INSERT INTO llm_inference_log VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)", row)
    metered = [n for n in range(200) if n % 50 != 49]
    wanted = sum((331 + 7 * n) * 0.03 / 1000 + (54 + n) * 0.06 / 1000 for n in metered)
    cell = f"%cost --since all --import {log} --than gpt-4 --prices 2023-07-22 --as-counted"
    talk = known.run(cell)
    assert talk.ok, talk
    assert "200 calls taken over" in talk.result and f"${wanted:.4f}" in talk.result
    assert "4 calls have no tokens" in talk.result
    assert "0 calls taken over, 200 were there" in known.run(cell).result
    assert "no call" in known.run("%cost --since 7d").result
    out = tmp_path / "out.db"
    known.run(QUESTION)
    assert known.run(f"%cost --export {out}").ok
    with sqlite3.connect(out) as store:
        [(model, response)] = store.execute("SELECT model_id, response FROM llm_inference_log").fetchall()
    assert model == "test-model" and json.loads(response)["usage"]["prompt_tokens"] > 0


def test_several_kernels_share_a_ledger_in_postgresql(kernels, server, tmp_path, postgres):
    both = [begin(kernels, server, tmp_path / f"state{n}", MLK8S_LEDGER=postgres, MLK8S_USER=f"u{n}") for n in range(2)]
    for kernel in both:
        paid(kernel, server)
    cells = [kernel.send(f"%%ask --fresh\nQuestion {n}") for n in range(5) for kernel in both]
    for n, cell in enumerate(cells):
        assert both[n % 2].finish(cell).ok, cell
    assert sorted(rows(both[0], "user")) == ["u0"] * 5 + ["u1"] * 5
    # The budget of one counts what the other spends, and a kill loses nothing.
    os.kill(both[1].process.pid, signal.SIGKILL)
    assert both[0].run("%budget 0.0000001usd --per day").ok
    assert both[0].run(QUESTION).ename == "BudgetError"
    assert len(rows(both[0], "id")) == 10
    talk = begin(kernels, server, tmp_path / "gone", MLK8S_LEDGER="postgres://u:secret@127.0.0.1:1/x").run(QUESTION)
    assert not talk.ok and "secret" not in talk.shown and "MLK8S_LEDGER" in talk.traceback


def test_a_model_mends_the_last_cell_that_failed(known, server):
    assert known.run("%fix").ename == "NotFound"
    assert known.run('let n: i32 = "4";').ename == "CompileError"
    server.change(scripts=[("mismatched types", "It was a text:\n```rust\nlet n: i32 = 4;\nn\n```\nNow it is not.")])
    talk = known.run("%fix")
    assert talk.ok, talk
    said = posts(server)[-1].body["messages"][-1]["content"]
    assert 'let n: i32 = "4";' in said and "\x1b" not in said
    [payload] = talk.reply["content"]["payload"]
    assert payload == {"source": "set_next_input", "text": "let n: i32 = 4;\nn", "replace": False}
    assert known.value(payload["text"]) == "4"
    # Answers of other cells are no conversation of it.
    known.run("%%ask\nHello")
    assert len(posts(server)[-1].body["messages"]) == 1


@pytest.fixture
def opencost():
    """A server that answers as OpenCost does, and remembers what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            parts = {"cpuCost": 0.5, "ramCost": 0.25, "pvCost": 0.125, "pvs": None}
            days = [
                {
                    "kuberay": {**parts, "gpuCost": 22.8, "totalCost": 23.675, "window": {"start": f"2026-11-0{n}T00:00:00Z"}},
                    "<b>jupyter": {**parts, "gpuCost": 0, "totalCost": 1.0, "window": {"start": f"2026-11-0{n}T00:00:00Z"}},
                    "__idle__": {**parts, "gpuCost": 0, "totalCost": 0.875},
                }
                for n in (1, 2)
            ]
            body = json.dumps({"code": 200, "status": "success", "data": days}).encode()
            self.send_response(200 if "/allocation?" in self.path else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/model", asked
        server.shutdown()


def test_the_cluster_has_its_price(known, opencost):
    url, asked = opencost
    talk = known.run(f"%cost cluster --opencost {url} --since 7d --aggregate controller")
    assert talk.ok, talk
    assert "/model/allocation?window=" in asked[0] and "aggregate=controller" in asked[0] and "step=1d" in asked[0]
    assert "$47.3500" in talk.result and "$51.1000" in talk.result and "__idle__" in talk.result
    assert "&lt;b&gt;jupyter" in talk.data["text/html"] and "<figure" in talk.data["text/html"]
    assert known.run(QUESTION).ok
    both = known.run(f"%cost compare --opencost {url}")
    assert both.ok and "the whole cluster" in both.data["text/html"]
    # Without anybody who counts there is this machine.
    alone = known.run("%cost cluster --since 1h")
    assert alone.ok and "cores" in alone.result and "--opencost" in alone.result
    assert known.run("%cost cluster --opencost http://127.0.0.1:1").ename == "EndpointError"
