//! Answers piece by piece, exactly as OpenAI's clients want them.

use serde_json::{Value, json};

use super::client::Open;
use super::house::{Plan, and, chat};

const CHAT: &str = "/v1/chat/completions";

async fn pieces(mut open: Open) -> Vec<Value> {
    assert_eq!(open.status, 200);
    assert_eq!(open.headers["content-type"], "text/event-stream");
    let mut events = open.events().await;
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_a_role_texts_a_reason_and_the_usage() {
    let house = Plan::default().open().await;
    let more =
        json!({ "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 3 });
    let pieces = pieces(house.client.open(CHAT, &and(chat("hi"), more)).await).await;
    for piece in &pieces {
        assert_eq!(piece["object"], "chat.completion.chunk");
        assert_eq!(piece["id"], pieces[0]["id"]);
        assert_eq!(piece["model"], "toy");
    }
    let choices: Vec<&Value> = pieces.iter().map(|piece| &piece["choices"][0]).collect();
    assert_eq!(
        choices[0]["delta"],
        json!({ "role": "assistant", "content": "", "refusal": null })
    );
    let texts: Vec<_> = choices[1..4]
        .iter()
        .map(|choice| &choice["delta"]["content"])
        .collect();
    assert_eq!(texts, ["a", "b", "c"]);
    assert!(
        choices[..4]
            .iter()
            .all(|choice| choice["finish_reason"].is_null())
    );
    assert_eq!(choices[4]["delta"], json!({}));
    assert_eq!(choices[4]["finish_reason"], "length");
    assert_eq!(pieces.len(), 6);
    assert_eq!(pieces[5]["choices"], json!([]));
    assert_eq!(pieces[5]["usage"]["prompt_tokens"], 18);
    assert_eq!(pieces[5]["usage"]["completion_tokens"], 3);
    assert!(
        pieces[..5]
            .iter()
            .all(|piece| piece.get("usage") == Some(&Value::Null))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_options_no_piece_tells_the_usage() {
    let house = Plan::default().open().await;
    let body = json!({ "prompt": "w", "stream": true, "logprobs": 0 });
    let pieces = pieces(house.client.open("/v1/completions", &body).await).await;
    assert!(pieces.iter().all(|piece| piece.get("usage").is_none()));
    let text: String = pieces
        .iter()
        .map(|piece| piece["choices"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, "xyz");
    assert_eq!(
        pieces[1]["choices"][0]["logprobs"]["text_offset"],
        json!([1])
    );
    assert_eq!(
        pieces.last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_answers_share_a_stream() {
    let house = Plan::default().open().await;
    let more = json!({ "stream": true, "n": 3, "stop": "d" });
    let pieces = pieces(house.client.open(CHAT, &and(chat("hi"), more)).await).await;
    for index in 0..3 {
        let own = pieces
            .iter()
            .map(|piece| &piece["choices"][0])
            .filter(|choice| choice["index"] == index);
        let own: Vec<&Value> = own.collect();
        let text: String = own
            .iter()
            .filter_map(|choice| choice["delta"]["content"].as_str())
            .collect();
        assert_eq!(text, "abc");
        let reasons: Vec<_> = own
            .iter()
            .filter_map(|choice| choice["finish_reason"].as_str())
            .collect();
        assert_eq!(reasons, ["stop"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_mid_stream_is_told_and_the_stream_is_not_done() {
    let plan = Plan {
        gated: true,
        ..Plan::default()
    };
    let mut house = plan.open().await;
    let more = json!({ "stream": true });
    let mut open = house.client.open(CHAT, &and(chat("A~"), more)).await;
    house.gate = None;
    assert_eq!(open.status, 200);
    let events = open.events().await;
    assert!(events[0].contains("assistant"));
    let error: Value = serde_json::from_str(&events[1]).unwrap();
    assert_eq!(error["error"]["type"], "server_error");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("told to fail")
    );
    assert_eq!(events.len(), 2);
    house.until("mlk8s_requests_total{endpoint=\"chat/completions\",status=\"500\",class=\"interactive\"}", 1.0).await;
    // The others go on.
    assert_eq!(house.client.post(CHAT, &chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_several_bytes_come_whole() {
    let house = Plan::default().open().await;
    let more = json!({ "stream": true, "guided_regex": "süß→😀" });
    let pieces = pieces(house.client.open(CHAT, &and(chat("hi"), more)).await).await;
    let texts: Vec<&str> = pieces
        .iter()
        .filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(texts, ["", "s", "ü", "ß", "→", "😀"]);
}
