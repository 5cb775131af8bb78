//! A server with a toy in it, at a port of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use mlk8s_generate::{Engine, EngineSettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Client;
use super::toy::{self, Toy};
use crate::{Keys, Limits, Served, Server, Vectors, listen, router};

/// How a server shall be.
pub(super) struct Plan {
    pub(super) keys: Keys,
    pub(super) limits: Limits,
    pub(super) base: &'static str,
    pub(super) context: usize,
    pub(super) slots: usize,
    pub(super) max_queued: usize,
    pub(super) gated: bool,
    pub(super) has_template: bool,
    pub(super) vectors: Option<Vectors>,
    pub(super) log: Option<PathBuf>,
    pub(super) loaded: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            keys: Keys::default(),
            limits: Limits {
                time: Duration::from_mins(1),
                ..Limits::default()
            },
            base: "",
            context: 512,
            slots: 8,
            max_queued: 1000,
            gated: false,
            has_template: true,
            vectors: None,
            log: None,
            loaded: true,
        }
    }
}

/// A server that runs.
pub(super) struct House {
    pub(super) server: Arc<Server>,
    pub(super) client: Client,
    /// Lets the model make a step; dropped, it makes them all.
    pub(super) gate: Option<Sender<()>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) listening: JoinHandle<()>,
}

impl Plan {
    pub(super) async fn open(self) -> House {
        let server = Server::new("toy", self.keys, self.limits, self.log.as_deref()).unwrap();
        let (gate, steps) = channel();
        let (gate, steps) = if self.gated {
            (Some(gate), Some(steps))
        } else {
            (None, None)
        };
        if self.loaded {
            let engine = Engine::start(
                Box::new(Toy::new(self.context, steps)),
                Arc::new(toy::text(self.has_template)),
                EngineSettings {
                    max_sequences: self.slots,
                    max_queued: self.max_queued,
                    cache_bytes: 1 << 20,
                    threads: Some(1),
                    ..EngineSettings::default()
                },
            );
            let summary = json!({ "architecture": "toy" });
            server.serve(Served::writer(engine.unwrap(), self.vectors, summary));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client {
            address: listener.local_addr().unwrap(),
            base: self.base,
            headers: Vec::new(),
        };
        let (stop, stopped) = watch::channel(false);
        let router = router(Arc::clone(&server), self.base);
        let listening = tokio::spawn(listen(listener, router, self.limits, stopped));
        House {
            server,
            client,
            gate,
            stop,
            listening,
        }
    }
}

impl House {
    /// Lets the model make `n` steps.
    pub(super) fn step(&self, n: usize) {
        for _ in 0..n {
            self.gate.as_ref().unwrap().send(()).unwrap();
        }
    }

    /// The value of a meter, by its name with labels.
    pub(super) async fn meter(&self, name: &str) -> f64 {
        let text = self.client.get("/metrics").await.body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a meter has a value.
    pub(super) async fn until(&self, name: &str, value: f64) {
        let mut clock = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..2000 {
            if (self.meter(name).await - value).abs() < 1e-9 {
                return;
            }
            clock.tick().await;
        }
        panic!("{name} is {} and not {value}", self.meter(name).await);
    }
}

/// A question of one turn.
pub(super) fn chat(content: &str) -> Value {
    json!({ "model": "toy", "messages": [{ "role": "user", "content": content }] })
}

/// `one` with the fields of `more`.
pub(super) fn and(mut one: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("no object: {more}")
    };
    one.as_object_mut().unwrap().extend(more);
    one
}
