//! Which waiting sequences begin to run.

use std::time::Duration;

use super::{Id, Scheduler};
use crate::Class;

impl Scheduler {
    /// Lets sequences in as long as there are slots and pages for them. Gives the ones let in.
    pub(super) fn admit(&mut self, now: Duration) -> Vec<Id> {
        let mut admitted = Vec::new();
        let blocked = self.admit_aged(now, &mut admitted);
        while !blocked && self.admit_interactive(now, &mut admitted) {}
        while self.admit_batch(now, &mut admitted) {}
        admitted
    }

    /// When batch stood still for too long, lets its oldest running or longest waiting sequence go on as if it were
    /// interactive, one at a time. Says whether interactive ones have to wait until it is in.
    fn admit_aged(&mut self, now: Duration, admitted: &mut Vec<Id>) -> bool {
        if now.saturating_sub(self.batch_moved) < self.limits.ageing
            || self.running.iter().any(|task| task.aged)
        {
            return false;
        }
        let oldest = self.running.iter_mut().filter(|task| !task.is_urgent());
        if let Some(oldest) = oldest.min_by_key(|task| task.order) {
            oldest.aged = true;
            return false;
        }
        let Some((since, client)) = self.batch.longest_waiting() else {
            return false;
        };
        let still = now.saturating_sub(since.max(self.batch_moved));
        if still < self.limits.ageing {
            return false;
        }
        let has_slot = self.running.len() < self.limits.max_sequences;
        if has_slot && self.wanted(Class::Batch, &client) <= self.n_unclaimed() {
            self.start(Class::Batch, &client, now, true, admitted);
            return false;
        }
        still >= self.limits.ageing * 2
    }

    fn admit_interactive(&mut self, now: Duration, admitted: &mut Vec<Id>) -> bool {
        let Some(client) = self.interactive.next_client(&self.accounts) else {
            return false;
        };
        let wanted = self.wanted(Class::Interactive, &client);
        let batch = self.running.iter().filter(|task| !task.is_urgent());
        let (n_batch, held) = batch.fold((0, 0), |(n, held), task| (n + 1, held + task.n_pages()));
        if self.running.len() - n_batch >= self.limits.max_sequences
            || wanted > self.n_unclaimed() + held
        {
            return false;
        }
        while self.running.len() >= self.limits.max_sequences || wanted > self.n_unclaimed() {
            if self.preempt_youngest_batch(now).is_none() {
                return false;
            }
        }
        self.start(Class::Interactive, &client, now, false, admitted);
        true
    }

    fn admit_batch(&mut self, now: Duration, admitted: &mut Vec<Id>) -> bool {
        let n_batch = self.running.iter().filter(|task| !task.is_urgent()).count();
        let slots = self.limits.max_sequences - self.limits.reserved_slots;
        if n_batch >= slots || self.running.len() >= self.limits.max_sequences {
            return false;
        }
        let Some(client) = self.batch.next_client(&self.accounts) else {
            return false;
        };
        // Room for what the others say in the next steps, so that it needn't make way at once.
        let wanted = self.wanted(Class::Batch, &client) + self.running.len();
        if wanted + self.limits.reserved_pages > self.n_unclaimed() && !self.running.is_empty() {
            return false;
        }
        self.start(Class::Batch, &client, now, false, admitted);
        true
    }

    /// Pages that can be had beyond those that the running sequences still need for the tokens that they have.
    fn n_unclaimed(&self) -> usize {
        let claims = self
            .running
            .iter()
            .map(|task| task.n_pages().saturating_sub(task.pages.len()));
        self.pages.available().saturating_sub(claims.sum())
    }

    /// Pages that the first of `client`'s line needs for the tokens that it has.
    fn wanted(&mut self, class: Class, client: &str) -> usize {
        let queue = match class {
            Class::Interactive => &mut self.interactive,
            Class::Batch => &mut self.batch,
        };
        queue
            .first_mut(client)
            .map_or(0, |task| task.n_wanted(&self.pages))
    }

    fn start(
        &mut self,
        class: Class,
        client: &str,
        now: Duration,
        aged: bool,
        admitted: &mut Vec<Id>,
    ) {
        let Some(mut task) = self.queue_mut(class).pop(client) else {
            return;
        };
        task.aged = aged;
        task.reuse(&mut self.pages);
        if task.n_preemptions == 0 {
            self.accounts.charge(&task.client, task.n_pending());
        }
        if class == Class::Batch {
            self.batch_moved = now;
        }
        admitted.push(task.id);
        self.running.push(task);
    }
}
