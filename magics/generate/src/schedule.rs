//! Which sequences run, and what each does in the next step: a pure data structure, moved on by the engine.

mod admit;
mod plan;
mod queue;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use plan::{Chosen, Plan};
use queue::{Accounts, Queue};
pub(crate) use task::Task;

use crate::Class;
use crate::pages::Pages;

/// Names a sequence within an engine.
pub(crate) type Id = u64;

/// What the scheduler may hand out.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Sequences that run at once.
    pub(crate) max_sequences: usize,
    /// Slots that batch sequences leave alone.
    pub(crate) reserved_slots: usize,
    /// Pages that batch sequences leave alone.
    pub(crate) reserved_pages: usize,
    /// Tokens of a step.
    pub(crate) step_tokens: usize,
    /// How long batch may stand still before one of its sequences runs as if it were interactive.
    pub(crate) ageing: Duration,
}

/// Continuous batching with chunked prompts, two classes, and preemption by recomputing.
///
/// In each step, tokens of running answers go first and chunks of prompts fill the rest. Interactive sequences go before
/// batch ones everywhere: while an interactive prompt is under way, batch prompts wait and batch answers pause for a few
/// steps; interactive sequences have slots and pages of their own, and take those of the youngest batch sequence when
/// that is not enough. That sequence starts over later, from what the prefix cache still has of it.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    pages: Pages,
    accounts: Accounts,
    interactive: Queue,
    batch: Queue,
    /// In the order of their admission.
    running: Vec<Task>,
    n_arrived: u64,
    /// When a batch sequence last had a part in a step.
    batch_moved: Duration,
    /// Steps in a row for which batch answers paused.
    n_paused: usize,
    n_preemptions: u64,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits, pages: Pages) -> Self {
        Self {
            limits,
            pages,
            accounts: Accounts::default(),
            interactive: Queue::default(),
            batch: Queue::default(),
            running: Vec::new(),
            n_arrived: 0,
            batch_moved: Duration::ZERO,
            n_paused: 0,
            n_preemptions: 0,
        }
    }

    /// Puts a new sequence at the end of its client's line. `now` runs from any fixed moment on, here and elsewhere.
    pub(crate) fn submit(&mut self, mut task: Task, now: Duration) {
        self.accounts.open(&task.client);
        task.order = self.n_arrived;
        task.waits_since = now;
        self.n_arrived += 1;
        self.queue_mut(task.class).push_back(task);
    }

    /// Enters that `chosen` was computed: its tokens are in the cache, and full pages become known.
    pub(crate) fn computed(&mut self, chosen: &Chosen) {
        let Some(task) = self.running.iter_mut().find(|task| task.id == chosen.id) else {
            return;
        };
        task.n_cached += chosen.len;
        task.publish(&mut self.pages);
        if task.n_cached == task.tokens.len() {
            task.answers = true;
        }
    }

    /// Adds a token to a running sequence's text.
    pub(crate) fn append(&mut self, id: Id, token: u32) {
        if let Some(task) = self.running.iter_mut().find(|task| task.id == id) {
            task.tokens.push(token);
            self.accounts.charge(&task.client, 1);
        }
    }

    /// Ends a sequence, wherever it is: its slot and pages are free at once.
    pub(crate) fn finish(&mut self, id: Id) -> Option<Task> {
        if let Some(place) = self.running.iter().position(|task| task.id == id) {
            let task = self.running.remove(place);
            self.pages.release(&task.pages);
            self.accounts.close(&task.client);
            return Some(task);
        }
        self.finish_waiting(|task| task.id == id).pop()
    }

    /// Ends the waiting sequences for which `gone` holds.
    pub(crate) fn finish_waiting(&mut self, mut gone: impl FnMut(&Task) -> bool) -> Vec<Task> {
        let mut removed = self.interactive.remove(&mut gone);
        removed.extend(self.batch.remove(&mut gone));
        for task in &removed {
            self.accounts.close(&task.client);
        }
        removed
    }

    /// Sequences that run, in the order of their admission.
    pub(crate) fn running(&self) -> &[Task] {
        &self.running
    }

    /// Sequences of `class` that wait.
    pub(crate) fn n_waiting(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.len(),
            Class::Batch => self.batch.len(),
        }
    }

    /// Whether nothing runs and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.interactive.len() + self.batch.len() == 0
    }

    pub(crate) fn n_preemptions(&self) -> u64 {
        self.n_preemptions
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(crate) fn pages_mut(&mut self) -> &mut Pages {
        &mut self.pages
    }

    /// Makes the youngest batch sequence give up its slot and pages.
    pub(crate) fn preempt_youngest_batch(&mut self, now: Duration) -> Option<Id> {
        let id = self.youngest(|task| !task.is_urgent())?;
        self.preempt(id, now);
        Some(id)
    }

    /// The running sequence that arrived last, among those that `among` names.
    fn youngest(&self, among: impl Fn(&Task) -> bool) -> Option<Id> {
        let tasks = self.running.iter().filter(|task| among(task));
        tasks.max_by_key(|task| task.order).map(|task| task.id)
    }

    /// Sends a running sequence back to the head of its line; what it has said so far stays said.
    fn preempt(&mut self, id: Id, now: Duration) {
        let Some(place) = self.running.iter().position(|task| task.id == id) else {
            return;
        };
        let mut task = self.running.remove(place);
        self.pages.release(&task.pages);
        task.start_over(now);
        self.n_preemptions += 1;
        self.queue_mut(task.class).push_front(task);
    }

    fn queue_mut(&mut self, class: Class) -> &mut Queue {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Batch => &mut self.batch,
        }
    }
}
