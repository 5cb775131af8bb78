//! An answer is the same alone and in any company.

use super::{alone, batch, engine, prompt, read, text, tokens};
use crate::toy::Toy;
use crate::{Class, FinishReason, Request, Sampling};

/// Requests of many lengths, around the edges of pages above all.
fn mixed(n: usize) -> Vec<Request> {
    let lengths = [1, 31, 32, 33, 63, 64, 65, 100, 130, 5];
    (0..n)
        .map(|place| {
            let length = lengths[place % lengths.len()];
            let mut request = Request::new(prompt(place as u64 % 7, length), 20 + place % 3 * 30);
            if place % 2 == 0 {
                request.class = Class::Batch;
            }
            request.client = format!("client {}", place % 4);
            if place % 3 == 0 {
                request.sampling = Sampling {
                    seed: Some(place as u64),
                    top_p: 0.9,
                    frequency_penalty: 0.3,
                    ..Sampling::default()
                };
            }
            request
        })
        .collect()
}

#[test]
fn answers_are_the_same_in_a_crowd_with_chunks_preemptions_and_the_prefix_cache() {
    let requests = mixed(40);
    let expected: Vec<_> = requests
        .iter()
        .map(|request| alone(request.clone()))
        .collect();
    let mut n_preempted = 0;
    let mut n_cached = 0;
    for (n_pages, step_tokens, prefix_cache) in [
        (200, 512, false),
        (200, 512, true),
        (200, 40, true),
        (20, 64, false),
        (20, 64, true),
        (8, 33, true),
    ] {
        let engine = engine(Toy::new(512), n_pages, |settings| {
            settings.step_tokens = step_tokens;
            settings.prefix_cache = prefix_cache;
        });
        let events: Vec<_> = requests
            .iter()
            .map(|request| engine.submit(request.clone()).unwrap())
            .collect();
        for (events, (tokens_alone, done_alone)) in events.into_iter().zip(&expected) {
            let (pieces, done) = read(events);
            let done = done.unwrap();
            assert_eq!(&tokens(&pieces), tokens_alone);
            assert_eq!(done.reason, done_alone.reason);
            assert_eq!(done.completion_tokens, done_alone.completion_tokens);
            n_preempted += done.preemptions;
            n_cached += done.cached_tokens;
        }
        let metrics = engine.metrics();
        assert_eq!(metrics.outcomes.stop + metrics.outcomes.length, 40);
        assert_eq!(metrics.queued, 0);
    }
    assert!(
        n_preempted > 0,
        "nothing had to make way: the test shows nothing about it"
    );
    assert!(
        n_cached > 0,
        "nothing was reused: the test shows nothing about it"
    );
}

#[test]
fn a_second_answer_takes_the_beginning_from_the_cache() {
    let engine = engine(Toy::new(512), 100, |_| ());
    let first = read(engine.submit(Request::new(prompt(1, 130), 10)).unwrap());
    let second = read(engine.submit(Request::new(prompt(1, 130), 10)).unwrap());
    assert_eq!(tokens(&first.0), tokens(&second.0));
    assert_eq!(first.1.unwrap().cached_tokens, 0);
    assert_eq!(second.1.unwrap().cached_tokens, 128);
    // A prompt of whole pages leaves the last one to the model, which has to give logits for its end.
    let third = read(engine.submit(Request::new(prompt(1, 128), 1)).unwrap());
    assert_eq!(third.1.unwrap().cached_tokens, 96);
    assert_eq!(engine.metrics().cached_tokens, 128 + 96);
}

#[test]
fn requests_that_come_together_compute_a_common_beginning_once() {
    let toy = Toy::new(512);
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(toy.gated(steps), 300, |settings| {
        settings.step_tokens = 64;
        settings.max_sequences = 16;
    });
    let shared = prompt(9, 400);
    let events: Vec<_> = (0..32)
        .map(|place| {
            let mut tokens = shared.clone();
            tokens.extend(prompt(place, 10));
            engine.submit(batch(tokens, 4)).unwrap()
        })
        .collect();
    drop(gate);
    for events in events {
        read(events).1.unwrap();
    }
    let prefilled = engine.metrics().prefilled_tokens;
    // 12 shared pages, and 26 tokens of each request's own; the first to come may have begun before the others came.
    assert!(
        prefilled <= 400 + 32 * 26 + 64,
        "{prefilled} tokens of prompts were computed"
    );
}

#[test]
fn the_same_seed_draws_the_same_text_and_another_one_does_not() {
    let drawn = |seed| {
        let mut request = Request::new(prompt(3, 20), 40);
        request.sampling = Sampling {
            seed: Some(seed),
            ..Sampling::default()
        };
        request.ignore_eos = true;
        alone(request).0
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn stop_strings_end_an_answer_wherever_tokens_break() {
    let engine = engine(Toy::new(512), 100, |_| ());
    let mut request = Request::new(prompt(5, 40), 60);
    request.ignore_eos = true;
    let (pieces, _) = read(engine.submit(request.clone()).unwrap());
    let whole = text(&pieces);
    let characters: Vec<char> = whole.chars().collect();
    for start in [0, 3, 17, 30] {
        let stop: String = characters[start..start + 4].iter().collect();
        request.stop = vec!["never said".into(), stop.clone()];
        let (pieces, done) = read(engine.submit(request.clone()).unwrap());
        assert_eq!(text(&pieces), whole[..whole.find(&stop).unwrap()]);
        assert_eq!(done.unwrap().reason, FinishReason::Stop);
    }
    request.stop = vec![format!("{whole} and more")];
    let (pieces, done) = read(engine.submit(request).unwrap());
    assert_eq!(text(&pieces), whole);
    assert_eq!(done.unwrap().reason, FinishReason::Length);
}

#[test]
fn an_interactive_prompt_goes_first_while_batch_requests_run() {
    let toy = Toy::new(512);
    let log = super::shared_log(&toy);
    let (gate, steps) = std::sync::mpsc::channel();
    let engine = engine(toy.gated(steps), 200, |_| ());
    let crowd: Vec<_> = (0..64)
        .map(|place| engine.submit(batch(prompt(place, 90), 100)).unwrap())
        .collect();
    for _ in 0..20 {
        gate.send(()).unwrap();
    }
    super::wait(&engine, |metrics| metrics.steps == 20);
    let mut person = engine.submit(Request::new(prompt(100, 50), 5)).unwrap();
    // The step that waits at the gate may have been planned without it; the next one is its own.
    gate.send(()).unwrap();
    gate.send(()).unwrap();
    assert!(matches!(
        person.next_blocking(),
        Some(crate::Event::Token(_))
    ));
    let steps = log.lock().unwrap();
    let own = steps[20..]
        .iter()
        .find(|step| step.tokens == prompt(100, 50));
    assert_eq!(own.expect("a step for it alone").parts.len(), 1);
    drop((steps, gate, crowd));
}
