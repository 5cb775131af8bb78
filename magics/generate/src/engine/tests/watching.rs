//! Queues, readers that go away, draining, embedding, and what the metrics say meanwhile.

use super::{alone, batch, engine, prompt, read, tokens, wait};
use crate::toy::Toy;
use crate::{Class, Constraint, FinishReason, Pooling, Refused, Request};

#[test]
fn ten_thousand_requests_wait_and_are_all_answered() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(64).gated(steps), 64, |settings| {
        settings.max_queued = 10_000;
    });
    // It goes before the engine does, whatever fails: the engine ends after its step.
    let gate = gate;
    let request = |place: u64| batch(prompt(place, 3), 2);
    let first = engine.submit(request(0)).unwrap();
    wait(&engine, |metrics| metrics.queued == 0);
    let all: Vec<_> = (0..10_000)
        .map(|place| engine.submit(request(place)).unwrap())
        .collect();
    let refused = engine.submit(request(0)).map(|_| ());
    assert!(
        matches!(refused, Err(Refused::QueueFull { queued: 10_000 })),
        "{refused:?}"
    );
    drop(gate);
    for events in std::iter::once(first).chain(all) {
        read(events).1.unwrap();
    }
    wait(&engine, |metrics| metrics.running == 0);
    let metrics = engine.metrics();
    assert_eq!(metrics.outcomes.stop + metrics.outcomes.length, 10_001);
    assert_eq!(
        (metrics.queued, metrics.waiting_batch, metrics.pages_used),
        (0, 0, 0)
    );
}

#[test]
fn a_reader_that_goes_away_frees_its_slot_at_the_next_step() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(512).gated(steps), 100, |settings| {
        settings.max_sequences = 2;
    });
    let mut long = Request::new(prompt(1, 10), 400);
    long.ignore_eos = true;
    let mut gone = engine.submit(long.clone()).unwrap();
    let stays = engine.submit(long.clone()).unwrap();
    let waits = engine.submit(Request::new(prompt(2, 10), 2)).unwrap();
    gate.send(()).unwrap();
    gate.send(()).unwrap();
    gone.next_blocking();
    drop(gone);
    // The step that was planned before, and the one in which the waiting request has the slot.
    gate.send(()).unwrap();
    gate.send(()).unwrap();
    wait(&engine, |metrics| {
        metrics.outcomes.cancelled == 1 && metrics.queued == 0
    });
    drop(gate);
    read(waits).1.unwrap();
    drop(stays);
    wait(&engine, |metrics| {
        metrics.running == 0 && metrics.pages_used == 0
    });
}

#[test]
fn those_who_go_away_while_they_wait_are_forgotten() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(512).gated(steps), 100, |settings| {
        settings.max_sequences = 1;
    });
    let mut long = Request::new(prompt(1, 10), 400);
    long.ignore_eos = true;
    let long = engine.submit(long).unwrap();
    for place in 0..100 {
        drop(engine.submit(batch(prompt(place, 10), 400)).unwrap());
    }
    drop(gate);
    read(long).1.unwrap();
    wait(&engine, |metrics| {
        metrics.outcomes.cancelled == 100 && metrics.queued == 0
    });
}

#[test]
fn draining_finishes_what_was_taken_and_refuses_the_rest() {
    let engine = engine(Toy::new(512), 100, |settings| settings.max_sequences = 2);
    let all: Vec<_> = (0..6)
        .map(|place| engine.submit(batch(prompt(place, 10), 50)).unwrap())
        .collect();
    engine.drain();
    assert_eq!(
        engine.submit(Request::new(vec![1], 1)).map(|_| ()),
        Err(Refused::Draining)
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(engine.drained());
    for events in all {
        read(events).1.unwrap();
    }
}

#[test]
fn times_and_counts_are_those_of_the_request() {
    let engine = engine(Toy::new(512), 100, |_| ());
    let mut request = Request::new(prompt(1, 40), 25);
    request.ignore_eos = true;
    let (pieces, done) = read(engine.submit(request).unwrap());
    let done = done.unwrap();
    assert_eq!(
        (done.prompt_tokens, done.completion_tokens, pieces.len()),
        (40, 25, 25)
    );
    assert_eq!(done.reason, FinishReason::Length);
    assert!(done.queued <= done.first_token && done.first_token <= done.total);
    wait(&engine, |metrics| metrics.steps == 25);
    let metrics = engine.metrics();
    assert_eq!((metrics.prefilled_tokens, metrics.decoded_tokens), (40, 25));
    assert_eq!(metrics.last_steps.len(), 25);
}

#[test]
fn vectors_are_the_same_alone_and_beside_those_who_generate() {
    let quiet = engine(Toy::new(512), 100, |_| ());
    let inputs: Vec<_> = (0..12)
        .map(|place| prompt(place, 7 + 23 * place as usize))
        .collect();
    for pooling in [Pooling::Last, Pooling::Mean] {
        let expected: Vec<_> = inputs
            .iter()
            .flat_map(|input| {
                quiet
                    .embed(vec![input.clone()], Class::Interactive, pooling)
                    .unwrap()
            })
            .collect();
        let busy = engine(Toy::new(512), 16, |settings| settings.max_sequences = 4);
        let requests = (0..8).map(|place| batch(prompt(place, 60), 60));
        let events: Vec<_> = requests
            .map(|request| busy.submit(request).unwrap())
            .collect();
        assert_eq!(
            busy.embed(inputs.clone(), Class::Batch, pooling).unwrap(),
            expected
        );
        for (place, events) in events.into_iter().enumerate() {
            assert_eq!(
                tokens(&read(events).0),
                alone(batch(prompt(place as u64, 60), 60)).0
            );
        }
    }
    assert!(
        quiet
            .embed(vec![vec![]], Class::Batch, Pooling::Last)
            .is_err()
    );
    assert!(
        quiet
            .embed(vec![vec![1; 513]], Class::Batch, Pooling::Last)
            .is_err()
    );
    assert_eq!(quiet.embed(vec![], Class::Batch, Pooling::Last), Ok(vec![]));
}

#[test]
fn constrained_answers_parse_and_keep_their_form() {
    let engine = engine(Toy::new(512), 100, |_| ());
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer", "minimum": 0, "maximum": 99},
            "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}},
        "required": ["kind", "age", "tags"], "additionalProperties": false,
    });
    let requests = (0..20).map(|place| Request {
        constraint: Some(Constraint::JsonSchema(schema.clone())),
        logprobs: Some(2),
        ..batch(prompt(place, 10 + place as usize), 400)
    });
    let events: Vec<_> = requests
        .map(|request| engine.submit(request).unwrap())
        .collect();
    for events in events {
        let (pieces, done) = read(events);
        assert_eq!(done.unwrap().reason, FinishReason::Stop);
        let value: serde_json::Value = serde_json::from_str(&super::text(&pieces)).unwrap();
        assert!(["cat", "dog"].contains(&value["kind"].as_str().unwrap()));
        assert!(value["age"].as_u64().unwrap() <= 99);
        assert!(value["tags"].as_array().unwrap().len() <= 3);
    }
    let mut cut = Request::new(prompt(1, 5), 6);
    cut.constraint = Some(Constraint::JsonSchema(schema));
    assert_eq!(
        read(engine.submit(cut).unwrap()).1.unwrap().reason,
        FinishReason::Length
    );
    let mut bad = Request::new(prompt(1, 5), 6);
    bad.constraint = Some(Constraint::Regex("(".into()));
    assert!(matches!(
        engine.submit(bad).map(|_| ()),
        Err(Refused::BadConstraint { .. })
    ));
}
