//! The whole engine over the toy model.

mod company;
mod failing;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use crate::toy::{self, Toy};
use crate::{Class, Done, Engine, EngineSettings, Event, Events, GenerateError, Piece, Request};

/// A toy's engine. `n_pages` pages of cache; the toy has 8 bytes a token.
pub(super) fn engine(toy: Toy, n_pages: usize, change: impl FnOnce(&mut EngineSettings)) -> Engine {
    let mut settings = EngineSettings {
        cache_bytes: (n_pages * 32 * 8) as u64,
        max_sequences: 8,
        step_tokens: 64,
        ..EngineSettings::default()
    };
    change(&mut settings);
    Engine::start(Box::new(toy), toy::text(), settings).unwrap()
}

/// A prompt of `n_tokens` printable bytes that `seed` determines.
pub(super) fn prompt(seed: u64, n_tokens: usize) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n_tokens)
        .map(|_| rng.u32(u32::from(b'a')..=u32::from(b'z')))
        .collect()
}

pub(super) fn batch(prompt: Vec<u32>, max_tokens: usize) -> Request {
    Request {
        class: Class::Batch,
        ..Request::new(prompt, max_tokens)
    }
}

/// All events up to the end.
pub(super) fn read(mut events: Events) -> (Vec<Piece>, Result<Done, GenerateError>) {
    let mut pieces = Vec::new();
    loop {
        match events.next_blocking().expect("an end") {
            Event::Token(piece) => pieces.push(piece),
            Event::Done(done) => return (pieces, Ok(done)),
            Event::Failed(error) => return (pieces, Err(error)),
        }
    }
}

pub(super) fn tokens(pieces: &[Piece]) -> Vec<u32> {
    pieces.iter().map(|piece| piece.token).collect()
}

pub(super) fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// The answer to one request in an engine of its own, with plenty of everything and no prefix cache.
pub(super) fn alone(request: Request) -> (Vec<u32>, Done) {
    let engine = engine(Toy::new(512), 200, |settings| settings.prefix_cache = false);
    let (pieces, done) = read(engine.submit(request).unwrap());
    (tokens(&pieces), done.unwrap())
}

/// Waits until `holds` does, as the engine's own thread brings it about.
pub(super) fn wait(engine: &Engine, holds: impl Fn(&crate::Metrics) -> bool) {
    for _ in 0..200_000 {
        if holds(&engine.metrics()) {
            return;
        }
        std::thread::yield_now();
    }
    let ticks = std::sync::mpsc::channel::<()>().1;
    for _ in 0..1000 {
        if holds(&engine.metrics()) {
            return;
        }
        let _ = ticks.recv_timeout(Duration::from_millis(10));
    }
    panic!("it never came: {:?}", engine.metrics());
}

pub(super) fn shared_log(toy: &Toy) -> Arc<std::sync::Mutex<Vec<crate::Batch>>> {
    Arc::clone(&toy.log)
}

#[test]
fn an_engine_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<crate::Text>();
}
