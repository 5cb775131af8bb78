//! The scheduler, step by step.

use std::time::Duration;

use super::{Id, Limits, Plan, Scheduler, Task};
use crate::pages::Pages;
use crate::{Class, PAGE};

/// A scheduler with a clock and a model that does nothing.
struct Bench {
    scheduler: Scheduler,
    now: Duration,
    n_submitted: Id,
}

impl Bench {
    fn new(n_pages: usize, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits {
            max_sequences: 4,
            reserved_slots: 1,
            reserved_pages: 2,
            step_tokens: 64,
            ageing: Duration::from_secs(10),
        };
        change(&mut limits);
        Self {
            scheduler: Scheduler::new(limits, Pages::new(n_pages, true)),
            now: Duration::ZERO,
            n_submitted: 0,
        }
    }

    /// A prompt of which no other shares a page.
    fn submit(&mut self, class: Class, client: &str, n_tokens: usize) -> Id {
        let id = self.n_submitted;
        self.submit_tokens(class, client, vec![1000 + id as u32; n_tokens])
    }

    fn submit_tokens(&mut self, class: Class, client: &str, tokens: Vec<u32>) -> Id {
        let id = self.n_submitted;
        self.n_submitted += 1;
        self.scheduler
            .submit(Task::new(id, class, client.into(), tokens), self.now);
        id
    }

    /// Plans and runs a step; gives (sequence, tokens) of its parts.
    fn step(&mut self) -> Vec<(Id, usize)> {
        let plan = self.plan();
        for chosen in &plan.chosen {
            self.scheduler.computed(chosen);
            if chosen.samples {
                self.scheduler.append(chosen.id, 7);
            }
        }
        self.now += Duration::from_millis(1);
        plan.chosen
            .iter()
            .map(|chosen| (chosen.id, chosen.len))
            .collect()
    }

    fn plan(&mut self) -> Plan {
        let plan = self.scheduler.plan(self.now, usize::MAX);
        assert!(plan.batch.tokens.len() <= self.scheduler.limits.step_tokens);
        assert_eq!(plan.chosen.len(), plan.batch.parts.len());
        let running = self.scheduler.running();
        assert!(running.len() <= self.scheduler.limits.max_sequences);
        for (chosen, part) in plan.chosen.iter().zip(&plan.batch.parts) {
            let task = running
                .iter()
                .find(|task| task.id == chosen.id)
                .expect("it runs");
            assert_eq!(part.length, task.n_cached + chosen.len);
            assert_eq!(part.pages.len(), part.length.div_ceil(PAGE));
        }
        plan
    }

    fn running(&self) -> Vec<Id> {
        self.scheduler
            .running()
            .iter()
            .map(|task| task.id)
            .collect()
    }
}

#[test]
fn a_long_prompt_goes_in_chunks_and_answers_go_first() {
    let mut bench = Bench::new(40, |_| ());
    let short = bench.submit(Class::Batch, "a", 10);
    assert_eq!(bench.step(), [(short, 10)]);
    let long = bench.submit(Class::Batch, "a", 150);
    // 63 tokens are left; whole pages of them are taken.
    assert_eq!(bench.step(), [(short, 1), (long, 32)]);
    assert_eq!(bench.step(), [(short, 1), (long, 32)]);
    assert_eq!(bench.step(), [(short, 1), (long, 32)]);
    assert_eq!(bench.step(), [(short, 1), (long, 54)]);
    assert_eq!(bench.step(), [(short, 1), (long, 1)]);
}

#[test]
fn an_interactive_prompt_has_the_step_for_itself() {
    let mut bench = Bench::new(40, |_| ());
    let first = bench.submit(Class::Batch, "a", 10);
    bench.step();
    let second = bench.submit(Class::Batch, "a", 200);
    bench.step();
    let person = bench.submit(Class::Interactive, "b", 20);
    assert_eq!(bench.step(), [(person, 20)]);
    assert_eq!(bench.step(), [(person, 1), (first, 1), (second, 32)]);
}

#[test]
fn batch_answers_pause_only_for_a_few_steps() {
    let mut bench = Bench::new(100, |_| ());
    let batch = bench.submit(Class::Batch, "a", 10);
    bench.step();
    let person = bench.submit(Class::Interactive, "b", 1000);
    for _ in 0..4 {
        assert_eq!(bench.step(), [(person, 64)]);
    }
    assert_eq!(bench.step(), [(batch, 1), (person, 32)]);
    assert_eq!(bench.step(), [(person, 64)]);
}

#[test]
fn batch_leaves_slots_and_pages_alone() {
    let mut bench = Bench::new(12, |_| ());
    for _ in 0..5 {
        bench.submit(Class::Batch, "a", 40);
    }
    bench.step();
    assert_eq!(
        bench.running(),
        [0, 1, 2],
        "one slot is for interactive ones"
    );
    let person = bench.submit(Class::Interactive, "b", 40);
    bench.step();
    assert_eq!(bench.running(), [0, 1, 2, person]);
    let mut large = Bench::new(12, |_| ());
    large.submit(Class::Batch, "a", 5 * PAGE);
    large.submit(Class::Batch, "a", 5 * PAGE);
    large.step();
    assert_eq!(large.running(), [0], "two pages are for interactive ones");
}

#[test]
fn the_youngest_batch_sequence_makes_way_and_comes_back() {
    let mut bench = Bench::new(12, |limits| limits.step_tokens = 512);
    let old = bench.submit(Class::Batch, "a", 3 * PAGE);
    let young = bench.submit(Class::Batch, "b", 3 * PAGE);
    bench.step();
    assert_eq!(bench.running(), [old, young]);
    let person = bench.submit(Class::Interactive, "c", 6 * PAGE);
    bench.step();
    assert_eq!(bench.running(), [old, person]);
    assert_eq!(bench.scheduler.n_preemptions(), 1);
    bench.scheduler.finish(person);
    let steps = bench.step();
    assert_eq!(bench.running(), [old, young]);
    // Its pages were not needed by anybody else: only the answer's token and the rest of a page is computed again.
    assert!(steps.contains(&(young, 1)), "{steps:?}");
    let task = bench.scheduler.finish(young).unwrap();
    assert_eq!((task.n_preemptions, task.tokens.len()), (1, 3 * PAGE + 2));
    bench.scheduler.finish(old);
    assert_eq!(bench.scheduler.pages().available(), 12);
}

#[test]
fn batch_never_takes_from_interactive() {
    let mut bench = Bench::new(8, |limits| limits.reserved_pages = 0);
    let person = bench.submit(Class::Interactive, "a", 3 * PAGE - 1);
    let batch = bench.submit(Class::Batch, "b", 3 * PAGE - 1);
    for _ in 0..=2 * PAGE {
        bench.step();
    }
    // Eight pages are not enough for both any more.
    for _ in 0..PAGE {
        let parts = bench.step();
        assert!(parts.iter().any(|&(id, _)| id == person));
    }
    assert_eq!(bench.running(), [person]);
    assert_eq!(bench.scheduler.n_waiting(Class::Batch), 1);
    bench.scheduler.finish(person);
    bench.step();
    assert_eq!(bench.running(), [batch]);
}

#[test]
fn batch_does_not_starve() {
    let mut bench = Bench::new(40, |limits| limits.max_sequences = 2);
    let mut people: Vec<Id> = (0..2)
        .map(|_| bench.submit(Class::Interactive, "a", 10))
        .collect();
    bench.step();
    let batch = bench.submit(Class::Batch, "b", 10);
    let other = bench.submit(Class::Batch, "b", 10);
    let mut admitted_after = None;
    for _ in 0..30_000 {
        // One goes, the next one has come already.
        people.push(bench.submit(Class::Interactive, "a", 10));
        let goes = bench
            .running()
            .into_iter()
            .find(|id| people.contains(id))
            .unwrap();
        bench.scheduler.finish(goes);
        bench.step();
        if bench.running().contains(&batch) {
            admitted_after = Some(bench.now);
            break;
        }
    }
    let waited = admitted_after.expect("it runs in the end");
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_millis(10_010),
        "{waited:?}"
    );
    // It keeps its slot against any number of people, and only one does.
    for _ in 0..100 {
        bench.submit(Class::Interactive, "a", 10);
        bench.step();
        assert!(bench.running().contains(&batch) && !bench.running().contains(&other));
    }
}

#[test]
fn a_batch_prompt_gets_through_while_there_are_always_people() {
    let mut bench = Bench::new(100, |_| ());
    let batch = bench.submit(Class::Batch, "b", 300);
    bench.step();
    let mut person = bench.submit(Class::Interactive, "a", 40);
    for _ in 0..20_000 {
        let parts = bench.step();
        if bench
            .scheduler
            .running()
            .iter()
            .any(|task| task.id == batch && task.answers)
        {
            assert!(bench.now > Duration::from_secs(10));
            return;
        }
        if parts.iter().any(|&(id, _)| id == person) {
            bench.scheduler.finish(person);
            person = bench.submit(Class::Interactive, "a", 40);
        }
    }
    panic!("the batch prompt never got through");
}

#[test]
fn clients_take_turns_by_what_they_have_had() {
    let mut bench = Bench::new(100, |_| ());
    for _ in 0..20 {
        bench.submit(Class::Batch, "greedy", 30);
    }
    for _ in 0..4 {
        bench.submit(Class::Batch, "modest", 30);
    }
    let mut order = Vec::new();
    for _ in 0..60 {
        bench.step();
        let ids = bench.running();
        order.extend(
            ids.iter()
                .copied()
                .filter(|id| !order.contains(id))
                .collect::<Vec<_>>(),
        );
        // Each answers for three steps.
        for id in ids {
            let task = bench
                .scheduler
                .running()
                .iter()
                .find(|task| task.id == id)
                .unwrap();
            if task.tokens.len() > 33 {
                bench.scheduler.finish(id);
            }
        }
    }
    let place = |id: Id| order.iter().position(|&other| other == id).unwrap();
    assert!(
        place(23) <= 8,
        "the modest client's last came at place {}",
        place(23)
    );
    // First come first served within a client.
    assert!(order.iter().filter(|&&id| id < 20).is_sorted());
    // A newcomer starts level with the others, not with a claim to all that they have had.
    let newcomers: Vec<Id> = (0..8)
        .map(|_| bench.submit(Class::Batch, "new", 30))
        .collect();
    let more: Vec<Id> = (0..8)
        .map(|_| bench.submit(Class::Batch, "greedy", 30))
        .collect();
    bench.step();
    let ids = bench.running();
    assert!(ids.iter().any(|id| newcomers.contains(id)), "{ids:?}");
    assert!(more.iter().all(|id| !newcomers.contains(id)));
}

#[test]
fn who_needs_a_page_that_is_being_filled_waits_for_it() {
    let mut bench = Bench::new(40, |_| ());
    let tokens = |end: u32| [vec![5; 4 * PAGE], vec![end; 3]].concat();
    let first = bench.submit_tokens(Class::Batch, "a", tokens(1));
    let second = bench.submit_tokens(Class::Batch, "b", tokens(2));
    assert_eq!(bench.step(), [(first, 64)]);
    assert_eq!(bench.step(), [(first, 64)]);
    assert_eq!(bench.step(), [(first, 3), (second, 3)]);
    let task = bench.scheduler.finish(second).unwrap();
    assert_eq!(task.n_reused, 4 * PAGE);
}

#[test]
fn random_traffic_ends_with_all_pages_free() {
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bench = Bench::new(rng.usize(8..30), |limits| {
            limits.step_tokens = rng.usize(33..200);
            limits.ageing = Duration::from_millis(rng.u64(1..50));
        });
        let n_pages = bench.scheduler.pages().total();
        let mut open = Vec::new();
        let mut n_rounds = 0;
        while n_rounds < 300 || !open.is_empty() {
            n_rounds += 1;
            assert!(n_rounds < 20_000, "seed {seed}: it does not come to an end");
            if n_rounds < 300 && rng.u32(..3) == 0 {
                let class = if rng.bool() {
                    Class::Batch
                } else {
                    Class::Interactive
                };
                let stem = rng.u32(..3);
                let prompt = vec![stem; rng.usize(1..(n_pages - 2) * PAGE / 2)];
                open.push(bench.submit_tokens(class, ["a", "b", "c"][rng.usize(..3)], prompt));
            }
            let parts = bench.step();
            for (id, _) in parts {
                let ends = rng.u32(..8) == 0;
                let full = bench
                    .scheduler
                    .running()
                    .iter()
                    .any(|task| task.id == id && task.tokens.len() >= n_pages * PAGE / 2);
                if ends || full {
                    bench.scheduler.finish(id).unwrap();
                    open.retain(|&other| other != id);
                }
            }
            if rng.u32(..20) == 0 && !open.is_empty() {
                let id = open.swap_remove(rng.usize(..open.len()));
                bench.scheduler.finish(id).unwrap();
            }
        }
        assert!(bench.scheduler.is_idle());
        assert_eq!(bench.scheduler.pages().available(), n_pages);
    }
}
