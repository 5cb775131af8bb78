//! A client that shows everything: status, headers, and pieces as they come.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A client of one server.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) base: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// A complete response.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Of the error object, its parameter and code.
    pub(super) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        assert!(
            error["message"].is_string() && error["type"].is_string(),
            "{error}"
        );
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        (self.status, word(&error["param"]), word(&error["code"]))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A response whose pieces come one by one.
pub(super) struct Open {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    body: Incoming,
    text: String,
}

impl Open {
    /// The data of the next event; `None` at the end.
    pub(super) async fn event(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                match event.trim_end().strip_prefix("data: ") {
                    Some(data) => return Some(data.to_owned()),
                    None => continue,
                }
            }
            let frame = self.body.frame().await?.unwrap();
            let data: Bytes = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// All events that are still to come.
    pub(super) async fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

impl Client {
    pub(super) fn with(&self, name: &'static str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name, value.to_owned()));
        client
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.whole("GET", path, String::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.whole("POST", path, body.to_string()).await
    }

    pub(super) async fn whole(&self, method: &str, path: &str, body: String) -> Reply {
        let open = self.send(method, path, Body::from(body)).await;
        let bytes = open.body.collect().await.unwrap().to_bytes();
        Reply {
            status: open.status,
            headers: open.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) async fn open(&self, path: &str, body: &Value) -> Open {
        self.send("POST", path, Body::from(body.to_string())).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Body) -> Open {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("host", "localhost");
        if !self.headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = sender
            .send_request(request.body(body).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Open {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            text: String::new(),
        }
    }
}
