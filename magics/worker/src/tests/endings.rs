//! Clients that go away, models that are not there yet, servers that stop.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::house::{House, Plan, and, chat};

const CHAT: &str = "/v1/chat/completions";
const RUNNING: &str = "mlk8s_sequences_running";

async fn gated() -> House {
    let plan = Plan {
        gated: true,
        slots: 1,
        ..Plan::default()
    };
    plan.open().await
}

/// Sends a request over a connection of its own, which is in the caller's hands.
async fn raw(house: &House, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(house.client.address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream
}

/// Reads until `text` has come.
async fn read_to(stream: &mut TcpStream, text: &str) {
    let mut so_far = Vec::new();
    let mut bytes = [0; 512];
    while !String::from_utf8_lossy(&so_far).contains(text) {
        let n = stream.read(&mut bytes).await.unwrap();
        assert!(n > 0, "the end came before {text}");
        so_far.extend_from_slice(&bytes[..n]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gone_in_mid_stream_frees_its_slot_at_the_next_step() {
    let house = gated().await;
    let long = and(chat("A"), json!({ "stream": true, "max_tokens": 400 }));
    let mut stream = raw(&house, &long).await;
    house.step(3);
    read_to(&mut stream, "\"content\":\"c\"").await;
    house.until("mlk8s_steps", 3.0).await;
    drop(stream);
    house.server.idle().await;
    // The model is in its fourth step, or waits to begin it: with that one it is over.
    house.step(1);
    house.until(RUNNING, 0.0).await;
    assert!(house.meter("mlk8s_steps").await < 5.0);
    let gone =
        "mlk8s_requests_total{endpoint=\"chat/completions\",status=\"499\",class=\"interactive\"}";
    assert!((house.meter(gone).await - 1.0).abs() < 1e-9);
    // What was written for it is not forgotten.
    assert!((house.meter("mlk8s_tokens_total{kind=\"completion\"}").await - 3.0).abs() < 1e-9);
    // The one slot is free.
    let after = and(chat("hi"), json!({ "max_tokens": 2 }));
    house.step(10);
    assert_eq!(house.client.post(CHAT, &after).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gone_before_its_whole_answer_frees_its_slot_too() {
    let house = gated().await;
    let long = and(chat("A"), json!({ "max_tokens": 400 }));
    let stream = raw(&house, &long).await;
    house.step(2);
    house.until("mlk8s_steps", 2.0).await;
    drop(stream);
    house.server.idle().await;
    house.step(1);
    house.until(RUNNING, 0.0).await;
    assert!(house.meter("mlk8s_steps").await < 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_finishes_what_it_has() {
    let mut house = gated().await;
    let ask = and(chat("A"), json!({ "stream": true, "max_tokens": 5 }));
    let mut running = house.client.open(CHAT, &ask).await;
    let mut waiting = house.client.open(CHAT, &ask).await;
    house.server.drain();
    let refused = house.client.post(CHAT, &ask).await;
    assert_eq!(refused.error(), (503, "-".into(), "draining".into()));
    assert!(!refused.header("retry-after").is_empty());
    let health = house.client.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(
        (&health.json()["status"], &health.json()["under_way"]),
        (&json!("draining"), &json!(2))
    );
    let idle = tokio::time::timeout(Duration::from_millis(50), house.server.idle()).await;
    assert!(idle.is_err());
    house.gate = None;
    for open in [&mut running, &mut waiting] {
        assert_eq!(open.events().await.last().unwrap(), "[DONE]");
    }
    house.server.idle().await;
    // Connections that are kept alive end, and with them the server.
    house.stop.send_replace(true);
    (&mut house.listening).await.unwrap();
    assert!(TcpStream::connect(house.client.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_model_is_there_health_says_how_far_it_is() {
    let plan = Plan {
        loaded: false,
        ..Plan::default()
    };
    let house = plan.open().await;
    house.server.loading(30, 100);
    let health = house.client.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(
        health.json(),
        json!({ "status": "loading", "done": 30, "total": 100, "model": "toy" })
    );
    for reply in [
        house.client.get("/v1/models").await,
        house.client.post(CHAT, &chat("hi")).await,
    ] {
        assert_eq!(reply.error(), (503, "-".into(), "loading".into()));
    }
    assert!(house.meter("mlk8s_ready").await < 0.5);
    house.server.fail("the weights are damaged");
    let health = house.client.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["reason"]),
        (&json!("failed"), &json!("the weights are damaged"))
    );
    assert_eq!(house.client.post(CHAT, &chat("hi")).await.status, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_rests_when_nothing_is_under_way() {
    let mut house = gated().await;
    let ask = and(chat("a"), json!({ "stream": true, "max_tokens": 2 }));
    let mut open = house.client.open(CHAT, &ask).await;
    let server = std::sync::Arc::clone(&house.server);
    let rested = tokio::spawn(async move { server.rested(Duration::ZERO).await });
    house.step(1);
    assert!(open.event().await.is_some());
    assert!(!rested.is_finished());
    drop(house.gate.take());
    open.events().await;
    rested.await.unwrap();
}
