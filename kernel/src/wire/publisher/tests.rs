//! What subscribers see of the publisher.

use super::*;

use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};

const GREETING: &[u8] = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const READY: &[u8] = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A publisher that loses patience soon.
fn publisher() -> Publisher {
    let limits = Limits {
        full: 8 << 10,
        patience: Duration::from_millis(20),
    };
    Publisher::new(Codec::new(""), limits)
}

/// A subscriber that has said that it wants everything; the pipe to it holds little.
async fn subscriber(publisher: &Publisher) -> DuplexStream {
    let (theirs, mut ours) = tokio::io::duplex(256);
    tokio::spawn(publisher.clone().serve(theirs));
    ours.write_all(GREETING).await.unwrap();
    ours.write_all(READY).await.unwrap();
    let mut greeting = [0; 64];
    ours.read_exact(&mut greeting).await.unwrap();
    assert_eq!(frame(&mut ours).await[..6], *b"\x05READY");
    ours.write_all(b"\0\x01\x01").await.unwrap();
    ours
}

async fn frame(stream: &mut DuplexStream) -> Vec<u8> {
    let flags = stream.read_u8().await.unwrap();
    let length = match flags & 2 {
        0 => u64::from(stream.read_u8().await.unwrap()),
        _ => stream.read_u64().await.unwrap(),
    };
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// The frames of the welcome: topic, delimiter, signature and four parts.
async fn welcome(stream: &mut DuplexStream) -> String {
    let mut last = Vec::new();
    for _ in 0..7 {
        last = frame(stream).await;
    }
    String::from_utf8(last).unwrap()
}

fn message(n: usize) -> [Bytes; 2] {
    [
        Bytes::from_static(b"stream"),
        Bytes::from(vec![n as u8; 1024]),
    ]
}

#[test]
fn the_first_subscriber_is_welcomed_and_gets_what_came_before_it() {
    runtime().block_on(async {
        let publisher = publisher();
        publisher.publish(&message(7)).await;
        let mut first = subscriber(&publisher).await;
        assert_eq!(welcome(&mut first).await, "{\"subscription\":\"\"}");
        assert_eq!(frame(&mut first).await, b"stream");
        assert_eq!(frame(&mut first).await, vec![7; 1024]);
        let mut second = subscriber(&publisher).await;
        welcome(&mut second).await;
        publisher.publish(&message(8)).await;
        for peer in [&mut first, &mut second] {
            assert_eq!(frame(peer).await, b"stream");
            assert_eq!(frame(peer).await, vec![8; 1024]);
        }
    });
}

#[test]
fn one_that_stands_still_neither_stops_nor_robs_the_others() {
    runtime().block_on(async {
        let publisher = publisher();
        let mut still = subscriber(&publisher).await;
        welcome(&mut still).await;
        let mut reader = subscriber(&publisher).await;
        welcome(&mut reader).await;
        let reading = tokio::spawn(async move {
            for n in 0..100 {
                assert_eq!(frame(&mut reader).await, b"stream");
                assert_eq!(frame(&mut reader).await, vec![n; 1024]);
            }
        });
        for n in 0..100 {
            publisher.publish(&message(n)).await;
        }
        reading.await.unwrap();
        // It goes on where it stopped, without what did not fit.
        assert_eq!(frame(&mut still).await, b"stream");
        assert_eq!(frame(&mut still).await, vec![0; 1024]);
    });
}

#[test]
fn strangers_are_turned_away() {
    runtime().block_on(async {
        let publisher = publisher();
        for first in [b"GET / HTTP/1.1\r\n\r\n".repeat(8), GREETING.to_vec()] {
            let (theirs, mut ours) = tokio::io::duplex(1024);
            let serving = tokio::spawn(publisher.clone().serve(theirs));
            ours.write_all(&first).await.unwrap();
            ours.write_all(b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH")
                .await
                .unwrap();
            serving.await.unwrap();
        }
        assert!(publisher.shared.lock().peers.is_empty());
    });
}

#[test]
fn a_flush_waits_for_what_is_under_way() {
    runtime().block_on(async {
        let publisher = publisher();
        let mut peer = subscriber(&publisher).await;
        welcome(&mut peer).await;
        publisher.publish(&message(1)).await;
        let reading = tokio::spawn(async move { [frame(&mut peer).await, frame(&mut peer).await] });
        publisher.flush(Duration::from_mins(1)).await;
        assert!(
            publisher
                .shared
                .lock()
                .peers
                .iter()
                .all(|peer| peer.waiting == 0)
        );
        assert_eq!(reading.await.unwrap()[1], vec![1; 1024]);
    });
}
