//! How many calls a server gets at once: as many as it can bear, and those that somebody waits for go first.
//!
//! The limit is found by trying, as congestion control does: it doubles while the rate of answers grows with it, then
//! probes a little more and a little less, and is halved when the server says that it is too much (429, 503).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::row::Class;

/// Calls at once to begin with.
const BEGIN: usize = 4;
/// Calls at once at most.
const MOST: usize = 64;
/// One in so many places is kept for calls that somebody waits for.
const RESERVED: usize = 8;
/// Answers, times the limit, after which the rate is looked at.
const EPOCH: usize = 2;
/// Epochs between two probes.
const REST: usize = 4;
/// How much longer answers take, at twice as many calls, when the server has begun to queue them.
const QUEUED: f64 = 1.5;
/// Least distance of two batch calls, against the one at which answers come. Calls that were sent together end together,
/// and whoever comes between would wait for all of them.
const APART: f64 = 0.7;

/// The gate of one server.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    most: usize,
    batch: usize,
    interactive: usize,
    waiting_interactive: usize,
    /// Batch calls wait until then, because the server wants it.
    pause: Option<Instant>,
    /// The next batch call waits until then, so that they come one by one.
    next_batch: Option<Instant>,
    /// Seconds that an answer takes, on the whole.
    latency: f64,
    search: Search,
}

/// The search for the limit.
#[derive(Debug)]
struct Search {
    step: Step,
    begun: Instant,
    answers: usize,
    /// A call had to wait in this epoch; without that its rate says nothing.
    was_full: bool,
    /// Answers a second at the limit before the last step.
    rate: f64,
    /// Seconds that the answers of this epoch took together.
    seconds: f64,
    /// Seconds that one took in the epoch before the last step.
    latency: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Doubling.
    Double,
    /// So many epochs until the next probe, which goes down or up.
    Rest(usize, bool),
    /// A probe from the limit before.
    Probe(usize),
    /// The limit is given.
    Fixed,
}

/// Leave to make one call; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    class: Class,
}

impl Gate {
    /// A gate for at most `concurrency` calls; 0 leaves it to the server.
    pub(crate) fn new(concurrency: usize) -> Gate {
        let fixed = concurrency > 0;
        Gate {
            state: Mutex::new(State {
                limit: if fixed { concurrency } else { BEGIN },
                most: if fixed { concurrency } else { MOST },
                batch: 0,
                interactive: 0,
                waiting_interactive: 0,
                pause: None,
                next_batch: None,
                latency: 0.0,
                search: Search {
                    step: if fixed { Step::Fixed } else { Step::Double },
                    begun: Instant::now(),
                    answers: 0,
                    was_full: false,
                    rate: 0.0,
                    seconds: 0.0,
                    latency: 0.0,
                },
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for leave to make a call of `class`.
    pub(crate) async fn enter(self: &Arc<Gate>, class: Class) -> Pass {
        let _waiting = (class == Class::Interactive).then(|| Waiting::new(self));
        loop {
            let changed = self.changed.notified();
            let pause = {
                let mut state = self.state();
                if state.admits(class) {
                    match class {
                        Class::Interactive => state.interactive += 1,
                        Class::Batch => state.send_batch(Instant::now()),
                    }
                    return Pass {
                        gate: Arc::clone(self),
                        class,
                    };
                }
                state.search.was_full = true;
                state.pause.max(state.next_batch)
            };
            match pause {
                Some(until) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(until.into()) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Takes note of an answer that took `time`.
    pub(crate) fn answered(&self, time: Duration) {
        self.state().count(Instant::now(), time.as_secs_f64());
        self.changed.notify_waiters();
    }

    /// Takes note that the server is asked too much, and wants to be left alone for `wait`.
    pub(crate) fn overloaded(&self, wait: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        let until = now + wait;
        state.pause = Some(state.pause.map_or(until, |old| old.max(until)));
        // Many calls that were under way at once are one reason only.
        if state.search.begun.elapsed() > Duration::from_millis(200) || state.search.answers > 0 {
            state.limit = (state.limit / 2).max(1);
            state.search.begin(Step::Rest(REST, false), now);
        }
    }

    /// The calls that it lets through at once at present.
    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }
}

impl State {
    fn admits(&mut self, class: Class) -> bool {
        let room = self.batch + self.interactive < self.limit;
        match class {
            Class::Interactive => room || self.interactive < self.limit.div_ceil(RESERVED),
            Class::Batch => {
                let now = Instant::now();
                self.pause = self.pause.filter(|until| *until > now);
                self.next_batch = self.next_batch.filter(|until| *until > now);
                let may_come = self.pause.is_none() && self.next_batch.is_none();
                room && self.waiting_interactive == 0 && may_come
            }
        }
    }

    fn send_batch(&mut self, now: Instant) {
        self.batch += 1;
        let apart = APART * self.latency / self.limit.max(1) as f64;
        self.next_batch = (apart > 0.001).then(|| now + Duration::from_secs_f64(apart));
    }

    fn count(&mut self, now: Instant, seconds: f64) {
        self.search.answers += 1;
        self.search.seconds += seconds;
        self.latency = if self.latency > 0.0 {
            0.9 * self.latency + 0.1 * seconds
        } else {
            seconds
        };
        let mean = self.search.seconds / self.search.answers as f64;
        let enough = self.search.answers >= (self.limit / 4).max(3);
        let is_queue = self.search.latency > 0.0 && mean > QUEUED * self.search.latency;
        if self.search.step == Step::Double && enough && is_queue {
            // There is no need to wait for the end of the epoch: it gets no better.
            self.limit = (self.limit / 2).max(1);
            return self.search.begin(Step::Rest(REST, true), now);
        }
        if self.search.answers < (EPOCH * self.limit).max(6) {
            return;
        }
        let seconds = now.duration_since(self.search.begun).as_secs_f64();
        let rate = self.search.answers as f64 / seconds.max(1e-6);
        let was_full = self.search.was_full;
        let next = if was_full {
            self.step(rate)
        } else {
            self.search.step
        };
        self.search.begin(next, now);
    }

    /// What an epoch with `rate` answers a second leads to.
    fn step(&mut self, rate: f64) -> Step {
        let gained = rate / self.search.rate.max(1e-9);
        match self.search.step {
            Step::Double => {
                if self.search.rate > 0.0 && gained < 1.2 {
                    self.limit = (self.limit / 2).max(1);
                    return Step::Rest(REST, true);
                }
                self.search.rate = rate;
                self.search.latency = self.search.seconds / self.search.answers.max(1) as f64;
                if self.limit == self.most {
                    return Step::Rest(REST, true);
                }
                self.limit = (self.limit * 2).min(self.most);
                Step::Double
            }
            Step::Rest(0, down) => {
                self.search.rate = rate;
                let before = self.limit;
                let by = (before / RESERVED).max(1);
                self.limit = if down {
                    before.saturating_sub(by).max(1)
                } else {
                    (before + by).min(self.most)
                };
                Step::Probe(before)
            }
            Step::Rest(left, down) => Step::Rest(left - 1, down),
            Step::Probe(before) => {
                let down = self.limit < before;
                let change = self.limit as f64 / before as f64 - 1.0;
                // Less at once is as good when the rate stays; more is better only when the rate grows, too.
                let keep = gained > 1.0 + if down { change * 0.25 } else { change * 0.5 };
                if !keep {
                    self.limit = before;
                }
                Step::Rest(REST, down == keep)
            }
            Step::Fixed => {
                self.limit = self.most;
                Step::Fixed
            }
        }
    }
}

impl Search {
    fn begin(&mut self, step: Step, now: Instant) {
        if self.step != Step::Fixed {
            self.step = step;
        }
        self.begun = now;
        self.answers = 0;
        self.seconds = 0.0;
        self.was_full = false;
    }
}

/// A call that somebody waits for stands before the gate: batch calls stay behind it.
struct Waiting(Arc<Gate>);

impl Waiting {
    fn new(gate: &Arc<Gate>) -> Waiting {
        gate.state().waiting_interactive += 1;
        Waiting(Arc::clone(gate))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.state().waiting_interactive -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        {
            let mut state = self.gate.state();
            match self.class {
                Class::Interactive => state.interactive -= 1,
                Class::Batch => state.batch -= 1,
            }
        }
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after `answers` of a server that has `slots` places and takes a second for each answer.
    fn found(slots: usize, answers: usize) -> usize {
        let gate = Gate::new(0);
        let mut state = gate.state();
        let mut now = Instant::now();
        state.search.begun = now;
        for _ in 0..answers {
            let at_once = state.limit.min(slots) as f64;
            now += Duration::from_secs_f64(1.0 / at_once);
            state.search.was_full = true;
            // What is beyond the places waits for one.
            let seconds = state.limit as f64 / at_once;
            state.count(now, seconds);
        }
        state.limit
    }

    #[test]
    fn the_limit_finds_what_a_server_can_bear() {
        for slots in [1, 3, 8, 20] {
            let limit = found(slots, 4000);
            // It may just be probing what a little less, or a little more, does.
            let probe = slots / RESERVED + 1;
            assert!(
                limit + probe >= slots && limit <= slots + slots / 4 + probe,
                "{slots}: {limit}"
            );
        }
        // It may just be probing what a little less does.
        assert!(found(1000, 4000) >= MOST - MOST / RESERVED);
    }

    #[test]
    fn somebody_who_waits_goes_first_and_always_finds_a_place() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let gate = Arc::new(Gate::new(2));
            let batch = [
                gate.enter(Class::Batch).await,
                gate.enter(Class::Batch).await,
            ];
            let urgent = gate.enter(Class::Interactive).await;
            let second = tokio::spawn({
                let gate = Arc::clone(&gate);
                async move { gate.enter(Class::Interactive).await }
            });
            tokio::task::yield_now().await;
            drop(batch);
            // The batch call has room, but somebody waits before it.
            assert!(!gate.state().admits(Class::Batch) || gate.state().waiting_interactive == 0);
            let second = second.await.unwrap();
            drop((urgent, second));
            assert!(gate.state().admits(Class::Batch));
        });
    }

    #[test]
    fn too_much_is_halved_once() {
        let gate = Gate::new(16);
        gate.state().search.answers = 1;
        gate.overloaded(Duration::from_secs(5));
        gate.overloaded(Duration::from_secs(5));
        assert_eq!(gate.limit(), 8);
        assert!(!gate.state().admits(Class::Batch) && gate.state().admits(Class::Interactive));
    }
}
