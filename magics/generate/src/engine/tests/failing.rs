//! What goes wrong concerns only those whom it concerns, and everybody is told.

use super::{alone, batch, engine, prompt, read, tokens, wait};
use crate::toy::{BROKEN, PANICS, Toy};
use crate::{FinishReason, GenerateError, Refused, Request};

#[test]
fn a_step_that_fails_fails_only_the_sequence_to_blame() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(512).gated(steps), 100, |_| ());
    let good: Vec<_> = (0..3)
        .map(|place| engine.submit(Request::new(prompt(place, 10), 30)).unwrap())
        .collect();
    let bad = engine
        .submit(Request::new(vec![97, BROKEN, 98], 30))
        .unwrap();
    drop(gate);
    assert!(matches!(read(bad).1, Err(GenerateError::Step { .. })));
    for (place, events) in good.into_iter().enumerate() {
        let (pieces, done) = read(events);
        assert_eq!(
            tokens(&pieces),
            alone(Request::new(prompt(place as u64, 10), 30)).0
        );
        done.unwrap();
    }
    assert_eq!(engine.metrics().outcomes.failed, 1);
}

#[test]
fn out_of_memory_fails_the_youngest_batch_sequence_and_the_rest_goes_on() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(512).with_room_for(3).gated(steps), 100, |_| ());
    let first = engine.submit(batch(prompt(1, 10), 30)).unwrap();
    let second = engine.submit(batch(prompt(2, 10), 30)).unwrap();
    let people: Vec<_> = (3..5)
        .map(|place| engine.submit(Request::new(prompt(place, 10), 30)).unwrap())
        .collect();
    drop(gate);
    assert!(matches!(
        read(second).1,
        Err(GenerateError::OutOfMemory { .. })
    ));
    assert_eq!(tokens(&read(first).0), alone(batch(prompt(1, 10), 30)).0);
    for (place, events) in (3..5).zip(people) {
        assert_eq!(
            tokens(&read(events).0),
            alone(Request::new(prompt(place, 10), 30)).0
        );
    }
}

#[test]
fn a_panic_of_the_model_is_told_to_everybody() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(512).gated(steps), 100, |settings| {
        settings.max_sequences = 2;
    });
    let requests = (0..10).map(|place| batch(prompt(place, 10), 30));
    let mut all: Vec<_> = requests
        .map(|request| engine.submit(request).unwrap())
        .collect();
    all.push(engine.submit(Request::new(vec![PANICS], 30)).unwrap());
    drop(gate);
    let mut n_panicked = 0;
    for events in all {
        match read(events).1 {
            Err(GenerateError::Panicked { reason }) => {
                assert!(reason.contains("told to panic"), "{reason}");
                n_panicked += 1;
            }
            outcome => assert!(outcome.is_ok()),
        }
    }
    assert!(n_panicked > 1);
    match engine.submit(Request::new(vec![1], 1)).map(|_| ()) {
        Err(Refused::Stopped { reason }) => assert!(reason.contains("told to panic"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(
        engine
            .embed(vec![vec![1]], crate::Class::Batch, crate::Pooling::Last)
            .is_err()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(engine.drained());
}

#[test]
fn dropping_the_engine_fails_what_is_under_way() {
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(Toy::new(10_000).gated(steps), 700, |settings| {
        settings.max_sequences = 2;
    });
    let requests = (0..10).map(|place| Request {
        ignore_eos: true,
        ..batch(prompt(place, 10), 9000)
    });
    let all: Vec<_> = requests
        .map(|request| engine.submit(request).unwrap())
        .collect();
    for _ in 0..3 {
        gate.send(()).unwrap();
    }
    wait(&engine, |metrics| metrics.steps == 3);
    let ends = std::thread::spawn(move || drop(engine));
    drop(gate);
    ends.join().unwrap();
    let outcomes = all.into_iter().map(|events| read(events).1);
    let n_stopped = outcomes
        .filter(|outcome| *outcome == Err(GenerateError::Stopped))
        .count();
    assert!(n_stopped >= 8, "{n_stopped}");
}

#[test]
fn impossible_requests_are_refused_with_numbers() {
    let engine = engine(Toy::new(100), 8, |settings| settings.max_sequences = 2);
    let refused = |request| engine.submit(request).map(|_| ()).unwrap_err();
    assert_eq!(
        refused(Request::new(prompt(1, 90), 11)),
        Refused::TooLong {
            prompt: 90,
            max_tokens: 11,
            context: 100
        }
    );
    assert_eq!(
        refused(Request::new(vec![], 1)),
        Refused::Empty { what: "prompt" }
    );
    assert_eq!(
        refused(Request::new(vec![1], 0)),
        Refused::Empty { what: "answer" }
    );
    assert_eq!(
        refused(Request::new(vec![1, 300], 1)),
        Refused::UnknownToken {
            token: 300,
            vocabulary: 300
        }
    );
    let mut request = Request::new(vec![1], 1);
    request.stop = vec![String::new()];
    assert_eq!(
        refused(request),
        Refused::Empty {
            what: "stop string"
        }
    );
    let mut request = Request::new(vec![1], 1);
    request.sampling.temperature = f32::NAN;
    assert!(matches!(
        refused(request),
        Refused::BadSampling {
            setting: "temperature",
            ..
        }
    ));
    // A cache smaller than the context is the limit then.
    let small = super::engine(Toy::new(512), 2, |settings| settings.max_sequences = 2);
    assert_eq!(small.context(), 64);
    let (_, done) = read(small.submit(batch(prompt(1, 40), 24)).unwrap());
    assert!(matches!(
        done.unwrap().reason,
        FinishReason::Length | FinishReason::Stop
    ));
}

#[test]
fn a_cache_for_nobody_is_refused() {
    let settings = crate::EngineSettings {
        cache_bytes: 1000,
        ..crate::EngineSettings::default()
    };
    let refused = crate::Engine::start(Box::new(Toy::new(100)), crate::toy::text(), settings);
    assert_eq!(
        refused.map(|_| ()).unwrap_err(),
        GenerateError::CacheTooSmall {
            bytes: 1000,
            pages: 3,
            needed: 16
        }
    );
}
