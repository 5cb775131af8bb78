//! Whole answers: what they say, and that they count right.

use serde_json::{Value, json};

use super::house::{Plan, and, chat};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_is_listed() {
    let house = Plan::default().open().await;
    let list = house.client.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "toy");
    assert_eq!(list["data"][0]["max_model_len"], 512);
    let one = house.client.get("/v1/models/toy").await.json();
    assert_eq!(one, list["data"][0]);
    assert_eq!(one["summary"]["architecture"], "toy");
    let health = house.client.get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("ok"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_answered_in_openais_form() {
    let house = Plan::default().open().await;
    let mut answer = house.client.post(CHAT, &chat("hello")).await.json();
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    for field in ["id", "created", "system_fingerprint"] {
        answer.as_object_mut().unwrap().remove(field);
    }
    // "user=hello\n" and "assistant:", a token for each letter; the letters, and the token that ends them.
    let wanted = json!({
        "object": "chat.completion",
        "model": "toy",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "abcdefghijklmnopqrstuvwxyz", "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": 21, "completion_tokens": 27, "total_tokens": 48,
            "prompt_tokens_details": { "cached_tokens": 0 },
        },
    });
    assert_eq!(answer, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_stops_end_an_answer_and_say_so() {
    let house = Plan::default().open().await;
    let cases = [
        (json!({ "max_tokens": 3 }), "abc", "length", 3),
        (
            json!({ "max_completion_tokens": 2, "max_tokens": 9 }),
            "ab",
            "length",
            2,
        ),
        (json!({ "stop": "ef" }), "abcd", "stop", 6),
        (
            json!({ "stop": ["xx", "c"], "temperature": 0 }),
            "ab",
            "stop",
            3,
        ),
        (
            json!({ "max_tokens": 26 }),
            "abcdefghijklmnopqrstuvwxyz",
            "length",
            26,
        ),
        (
            json!({ "guided_regex": "[x-z]{2}", "seed": 5 }),
            "xx",
            "stop",
            0,
        ),
    ];
    for (more, text, reason, tokens) in cases {
        let answer = house
            .client
            .post(CHAT, &and(chat("hi"), more.clone()))
            .await;
        let answer = answer.json();
        let choice = &answer["choices"][0];
        if more["guided_regex"].is_null() {
            assert_eq!(choice["message"]["content"], text, "{more}");
            assert_eq!(answer["usage"]["completion_tokens"], tokens, "{more}");
        } else {
            let text = choice["message"]["content"].as_str().unwrap();
            assert!(
                text.len() == 2 && text.bytes().all(|c| (b'x'..=b'z').contains(&c)),
                "{text}"
            );
        }
        assert_eq!(choice["finish_reason"], reason, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_the_form_that_was_asked_for() {
    let house = Plan::default().open().await;
    let schema = json!({ "type": "json_schema", "json_schema": {
        "name": "mood", "strict": true, "schema": { "type": "string", "enum": ["good"] },
    }});
    let forms = [
        (json!({ "response_format": schema }), "\"good\""),
        (json!({ "guided_json": { "const": 7 } }), "7"),
        (json!({ "guided_grammar": "start: \"no\"" }), "no"),
        (
            json!({ "response_format": { "type": "text" }, "max_tokens": 1 }),
            "a",
        ),
    ];
    for (form, wanted) in forms {
        let answer = house
            .client
            .post(CHAT, &and(chat("well?"), form.clone()))
            .await;
        assert_eq!(
            answer.json()["choices"][0]["message"]["content"],
            wanted,
            "{form}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_answers_count_their_prompt_once() {
    let house = Plan::default().open().await;
    let answer = house
        .client
        .post(CHAT, &and(chat("hi"), json!({ "n": 3, "max_tokens": 2 })))
        .await;
    let answer = answer.json();
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["message"]["content"], "ab");
    }
    assert_eq!(answer["usage"]["prompt_tokens"], 18);
    assert_eq!(answer["usage"]["completion_tokens"], 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_is_cached_and_told() {
    let house = Plan::default().open().await;
    let long = and(chat(&"so it goes. ".repeat(10)), json!({ "max_tokens": 1 }));
    let cached = |answer: Value| {
        answer["usage"]["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
    };
    let first = house.client.post(CHAT, &long).await.json();
    let second = house.client.post(CHAT, &long).await.json();
    assert_eq!(
        first["usage"]["prompt_tokens"],
        second["usage"]["prompt_tokens"]
    );
    assert_eq!((cached(first), cached(second)), (0, 128));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_go_on() {
    let house = Plan::default().open().await;
    let ask = |prompt: Value, more: Value| and(json!({ "model": "toy", "prompt": prompt }), more);
    let one = house
        .client
        .post(TEXT, &ask(json!("w"), json!({})))
        .await
        .json();
    assert_eq!(one["object"], "text_completion");
    assert!(one["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(one["choices"][0]["text"], "xyz");
    assert_eq!(one["choices"][0]["finish_reason"], "stop");
    // 16 tokens unless more are asked for.
    let long = house
        .client
        .post(TEXT, &ask(json!("Z"), json!({})))
        .await
        .json();
    assert_eq!(long["choices"][0]["text"], "ABCDEFGHIJKLMNOP");
    assert_eq!(long["choices"][0]["finish_reason"], "length");
    let several = ask(
        json!(["a", [b'd', b'e']]),
        json!({ "n": 2, "max_tokens": 2 }),
    );
    // A list is texts or tokens, each of its own.
    let several = house.client.post(TEXT, &several).await.json();
    let texts: Vec<&str> = several["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["bc", "bc", "fg", "fg"]);
    assert_eq!(several["usage"]["prompt_tokens"], 3);
    assert_eq!(several["usage"]["completion_tokens"], 8);
    let tokens = ask(json!([b'd', b'e']), json!({ "max_tokens": 1 }));
    assert_eq!(
        house.client.post(TEXT, &tokens).await.json()["choices"][0]["text"],
        "f"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probabilities_come_in_both_forms() {
    let house = Plan::default().open().await;
    let more = json!({ "max_tokens": 2, "logprobs": true, "top_logprobs": 2 });
    let answer = house.client.post(CHAT, &and(chat("hi"), more)).await.json();
    let told = answer["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["token"], "b");
    assert_eq!(told[1]["bytes"], json!([b'b']));
    assert!(told[1]["logprob"].as_f64().unwrap().abs() < 1e-3);
    assert_eq!(told[1]["top_logprobs"][0]["token"], "b");
    assert_eq!(told[1]["top_logprobs"][1]["token"], "!");
    let body = json!({ "prompt": "ab", "max_tokens": 3, "logprobs": 1 });
    let answer = house.client.post(TEXT, &body).await.json();
    let told = &answer["choices"][0]["logprobs"];
    assert_eq!(told["tokens"], json!(["c", "d", "e"]));
    assert_eq!(told["text_offset"], json!([0, 1, 2]));
    assert_eq!(told["token_logprobs"].as_array().unwrap().len(), 3);
    assert!(told["top_logprobs"][0]["c"].is_number());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_path_comes_before_everything() {
    let plan = Plan {
        base: "/openai",
        ..Plan::default()
    };
    let house = plan.open().await;
    for path in ["/health", "/metrics", "/v1/models", "/v1/models/toy"] {
        assert_eq!(house.client.get(path).await.status, 200, "{path}");
    }
    assert_eq!(house.client.post(CHAT, &chat("hi")).await.status, 200);
    let mut bare = house.client.clone();
    bare.base = "";
    let (status, _, code) = bare.get("/v1/models").await.error();
    assert_eq!((status, code.as_str()), (404, "unknown_url"));
}
