//! What is too large, too many, too slow or too long.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::house::{Plan, and, chat};
use crate::Limits;

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_not_read() {
    let plan = Plan {
        limits: Limits {
            body_bytes: 1000,
            ..Limits::default()
        },
        ..Plan::default()
    };
    let house = plan.open().await;
    let large = chat(&"a".repeat(2000));
    assert_eq!(
        house.client.post(CHAT, &large).await.error(),
        (413, "-".into(), "request_too_large".into())
    );
    // Without a length in front it is found out on the way.
    let parts = large.to_string().into_bytes();
    let parts: Vec<Result<Bytes, std::io::Error>> = parts
        .chunks(100)
        .map(|part| Ok(Bytes::copy_from_slice(part)))
        .collect();
    let open = house
        .client
        .send("POST", CHAT, Body::from_stream(stream::iter(parts)))
        .await;
    assert_eq!(open.status, 413);
    assert_eq!(house.client.post(CHAT, &chat("hi")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_when_to_come_back() {
    let plan = Plan {
        gated: true,
        slots: 1,
        max_queued: 1,
        ..Plan::default()
    };
    let mut house = plan.open().await;
    let ask = and(chat("A"), json!({ "stream": true, "max_tokens": 3 }));
    let mut running = house.client.open(CHAT, &ask).await;
    // When its first token is there, the first request has left the queue.
    house.step(1);
    let first = [running.event().await, running.event().await];
    assert!(first.iter().all(Option::is_some));
    let mut waiting = house.client.open(CHAT, &ask).await;
    assert_eq!(waiting.status, 200);
    let refused = house.client.post(CHAT, &ask).await;
    assert_eq!(refused.error(), (429, "-".into(), "queue_full".into()));
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    house.gate = None;
    for open in [&mut running, &mut waiting] {
        assert_eq!(open.events().await.last().unwrap(), "[DONE]");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long_is_given_up() {
    let plan = Plan {
        gated: true,
        limits: Limits {
            time: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Plan::default()
    };
    let house = plan.open().await;
    let reply = house.client.post(CHAT, &chat("A")).await;
    assert_eq!(reply.error(), (504, "-".into(), "timeout".into()));
    assert_eq!(reply.header("x-should-retry"), "false");
    let mut open = house
        .client
        .open(CHAT, &and(chat("A"), json!({ "stream": true })))
        .await;
    let events = open.events().await;
    assert!(
        events.last().unwrap().contains("\"code\":\"timeout\""),
        "{events:?}"
    );
    // Both have made room.
    house.step(20);
    house.until("mlk8s_sequences_running", 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_is_not_waited_for() {
    let plan = Plan {
        limits: Limits {
            slow: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Plan::default()
    };
    let house = plan.open().await;
    // Half a head, for ever.
    let mut stream = TcpStream::connect(house.client.address).await.unwrap();
    stream
        .write_all(b"POST /v1/completions HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(
        rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
        "{rest:?}"
    );
    // Half a body, for ever.
    let mut stream = TcpStream::connect(house.client.address).await.unwrap();
    let head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
    house.server.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_refused_but_health_is_told() {
    let plan = Plan {
        gated: true,
        limits: Limits {
            connections: 2,
            ..Limits::default()
        },
        ..Plan::default()
    };
    let mut house = plan.open().await;
    let ask = and(chat("A"), json!({ "stream": true, "max_tokens": 2 }));
    let mut first = house.client.open(CHAT, &ask).await;
    let mut second = house.client.open(CHAT, &ask).await;
    let third = house.client.post(CHAT, &ask).await;
    assert_eq!(
        third.error(),
        (503, "-".into(), "too_many_connections".into())
    );
    assert_eq!(house.client.get("/health").await.status, 200);
    house.gate = None;
    for open in [&mut first, &mut second] {
        assert_eq!(open.events().await.last().unwrap(), "[DONE]");
    }
}
