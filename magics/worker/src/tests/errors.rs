//! What is refused, and with which status, parameter and code.

use serde_json::{Value, json};

use super::client::Reply;
use super::house::{House, Plan, and, chat};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// Fields with values that cannot be, and what the answer calls the field.
fn wrong_values() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "temperature": 3 }), "temperature"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "top_p": 0 }), "top_p"),
        (json!({ "top_k": 1.5 }), "top_k"),
        (json!({ "n": 9 }), "n"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "stop": [""] }), "stop"),
        (json!({ "stop": 7 }), "stop"),
        (json!({ "stop": "a".repeat(1025) }), "stop"),
        (json!({ "user": "a".repeat(257) }), "user"),
        (json!({ "logit_bias": { "99999": 1 } }), "logit_bias"),
        (json!({ "stream": "yes" }), "stream"),
        (json!({ "stream_options": 1 }), "stream_options"),
        (json!({ "logit_bias": { "a": 1 } }), "logit_bias"),
        (json!({ "logit_bias": { "1": 101 } }), "logit_bias"),
        (json!({ "top_logprobs": 2 }), "top_logprobs"),
        (
            json!({ "logprobs": true, "top_logprobs": 21 }),
            "top_logprobs",
        ),
        (
            json!({ "response_format": { "type": "xml" } }),
            "response_format.type",
        ),
        (
            json!({ "response_format": { "type": "json_schema" } }),
            "response_format.json_schema.schema",
        ),
        (json!({ "guided_regex": "(" }), "guided_regex"),
        (
            json!({ "guided_regex": "a", "guided_grammar": "start: \"a\"" }),
            "guided_grammar",
        ),
        (json!({ "priority": "high" }), "priority"),
        (json!({ "service_tier": 1 }), "service_tier"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": null }), "messages"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_field_is_named() {
    let house = Plan::default().open().await;
    let unsupported = [
        (json!({ "tools": [{ "type": "function" }] }), "tools"),
        (json!({ "functions": [{ "name": "f" }] }), "functions"),
        (json!({ "tool_choice": "auto" }), "tool_choice"),
        (json!({ "audio": { "voice": "a" } }), "audio"),
        (json!({ "modalities": ["text", "audio"] }), "modalities"),
        (json!({ "guided_choice": ["a"] }), "guided_choice"),
        (json!({ "best_of": 3 }), "best_of"),
    ];
    for (more, param) in unsupported {
        let reply = house.client.post(CHAT, &and(chat("hi"), more)).await;
        assert_eq!(
            reply.error(),
            (400, param.into(), "unsupported_parameter".into())
        );
    }
    for (more, param) in wrong_values() {
        let reply = house
            .client
            .post(CHAT, &and(chat("hi"), more.clone()))
            .await;
        assert_eq!(
            reply.error(),
            (400, param.into(), "invalid_value".into()),
            "{more}"
        );
    }
    // What nobody knows is ignored, and so is what asks for nothing.
    let odd = json!({ "store": true, "metadata": {}, "tools": [], "tool_choice": "none", "modalities": ["text"],
        "parallel_tool_calls": false, "user": null, "max_tokens": 1 });
    assert_eq!(
        house.client.post(CHAT, &and(chat("hi"), odd)).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_endpoint_has_refusals_of_its_own() {
    let house = Plan::default().open().await;
    let ask = async |body: Value| house.client.post(TEXT, &body).await.error();
    assert_eq!(ask(json!({ "prompt": "a", "echo": true })).await.1, "echo");
    assert_eq!(
        ask(json!({ "prompt": "a", "suffix": "z" })).await.1,
        "suffix"
    );
    assert_eq!(ask(json!({})).await.1, "prompt");
    assert_eq!(ask(json!({ "prompt": [[]] })).await.1, "prompt[0]");
    assert_eq!(
        ask(json!({ "prompt": "" })).await,
        (400, "prompt".into(), "invalid_value".into())
    );
    assert_eq!(
        ask(json!({ "prompt": [9999] })).await,
        (400, "prompt".into(), "invalid_value".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_context_is_told_in_numbers() {
    let house = Plan::default().open().await;
    let long = chat(&"a".repeat(600));
    let reply = house
        .client
        .post(CHAT, &and(long, json!({ "max_tokens": 10 })))
        .await;
    assert_eq!(
        reply.error(),
        (400, "messages".into(), "context_length_exceeded".into())
    );
    assert_eq!(
        reply.json()["error"]["message"],
        "the model's context is 512 tokens, and 626 were asked for: 616 in the prompt and 10 in the answer"
    );
    // Without a limit there must be room for one token; with too large a one it is the limit's fault.
    assert_eq!(
        house
            .client
            .post(CHAT, &chat(&"a".repeat(496)))
            .await
            .status,
        400
    );
    assert_eq!(
        house
            .client
            .post(CHAT, &chat(&"a".repeat(480)))
            .await
            .status,
        200
    );
    let greedy = and(chat("hi"), json!({ "max_tokens": 500 }));
    assert_eq!(
        house.client.post(CHAT, &greedy).await.error().2,
        "context_length_exceeded"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_addresses_and_bodies_are_told() {
    let house = Plan::default().open().await;
    let client = &house.client;
    let other = and(chat("hi"), json!({ "model": "gpt-5" }));
    let reply = client.post(CHAT, &other).await;
    assert_eq!(
        reply.error(),
        (404, "model".into(), "model_not_found".into())
    );
    assert!(reply.body.contains("`toy` is loaded"));
    assert_eq!(
        client.get("/v1/models/org/other").await.error().2,
        "model_not_found"
    );
    assert_eq!(client.get("/v1/nothing").await.error().2, "unknown_url");
    assert_eq!(client.get(CHAT).await.error().2, "method_not_allowed");
    assert_eq!(
        client.whole("POST", CHAT, "{".into()).await.error(),
        (400, "body".into(), "invalid_value".into())
    );
    assert_eq!(
        client.whole("POST", CHAT, "[]".into()).await.error().1,
        "body"
    );
    let deep = "[".repeat(10_000);
    assert_eq!(client.whole("POST", CHAT, deep).await.error().1, "body");
    let form = client.with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        form.post(CHAT, &chat("hi")).await.error().2,
        "unsupported_media_type"
    );
    let vendor = client.with("content-type", "application/json; charset=utf-8");
    assert_eq!(vendor.post(CHAT, &chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_without_a_template_does_not_chat() {
    let plan = Plan {
        has_template: false,
        ..Plan::default()
    };
    let house = plan.open().await;
    let reply = house.client.post(CHAT, &chat("hi")).await;
    assert_eq!(reply.error().1, "messages");
    assert!(reply.body.contains("template"), "{}", reply.body);
    assert_eq!(
        house
            .client
            .post(TEXT, &json!({ "prompt": "a" }))
            .await
            .status,
        200
    );
}

async fn ask(house: &House, content: &str) -> Reply {
    house.client.post(CHAT, &chat(content)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_the_model_are_told_and_a_panic_is_for_good() {
    let house = Plan::default().open().await;
    assert_eq!(
        ask(&house, "~").await.error(),
        (500, "-".into(), "engine_failed".into())
    );
    let full = ask(&house, "|").await;
    assert_eq!(full.error(), (503, "-".into(), "out_of_memory".into()));
    assert!(!full.header("retry-after").is_empty());
    assert_eq!(ask(&house, "hi").await.status, 200);
    assert_eq!(house.client.get("/health").await.status, 200);
    let broken = ask(&house, "^").await;
    assert_eq!(broken.status, 500);
    assert!(broken.body.contains("told to panic"), "{}", broken.body);
    let health = house.client.get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (503, &json!("failed"))
    );
    assert!(health.body.contains("told to panic"), "{}", health.body);
    assert_eq!(ask(&house, "hi").await.status, 500);
    assert!(house.meter("mlk8s_ready").await < 0.5);
}
