//! What the running sequences do in the next step.

use std::collections::HashSet;
use std::time::Duration;

use super::{Id, Scheduler};
use crate::pages::Digest;
use crate::{Batch, Class, PAGE, Part};

/// Steps in a row for which batch answers pause while interactive prompts are under way.
const MAX_PAUSED: usize = 4;

/// One sequence's part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) id: Id,
    /// Tokens of this step.
    pub(crate) len: usize,
    /// Whether the step gives the logits for its next token.
    pub(crate) samples: bool,
    /// Whether the tokens are of a prompt (or of an answer that is computed again).
    pub(crate) prefills: bool,
}

/// The next step.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the batch's parts.
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) batch: Batch,
    /// Sequences that began to run.
    pub(crate) admitted: Vec<Id>,
}

/// The part of a plan that is not used up yet.
struct Room {
    tokens: usize,
    chosen: Vec<Chosen>,
    /// Pages that this step fills; who needs one of them waits for it.
    filling: HashSet<Digest>,
}

impl Scheduler {
    /// Chooses the next step. Batch prompts get at most `batch_chunk` tokens of it, so that a person who comes while it
    /// runs does not wait long.
    pub(crate) fn plan(&mut self, now: Duration, batch_chunk: usize) -> Plan {
        let admitted = self.admit(now);
        let urgent = self
            .running
            .iter()
            .any(|task| task.is_urgent() && !task.answers);
        let mut room = Room {
            tokens: self.limits.step_tokens,
            chosen: Vec::new(),
            filling: HashSet::new(),
        };
        self.choose(&mut room, now, usize::MAX, |urgent, answers| {
            urgent && answers
        });
        let pauses = urgent && self.n_paused < MAX_PAUSED;
        if !pauses {
            self.choose(&mut room, now, usize::MAX, |urgent, answers| {
                !urgent && answers
            });
        }
        self.choose(&mut room, now, usize::MAX, |urgent, answers| {
            urgent && !answers
        });
        if !urgent {
            self.choose(&mut room, now, batch_chunk, |urgent, answers| {
                !urgent && !answers
            });
        }
        self.n_paused = if pauses { self.n_paused + 1 } else { 0 };
        self.pack(room.chosen, admitted, now)
    }

    /// Gives parts to the running sequences for which `kind(is urgent, answers)` holds, `most` tokens in all.
    fn choose(
        &mut self,
        room: &mut Room,
        now: Duration,
        most: usize,
        kind: impl Fn(bool, bool) -> bool,
    ) {
        let ids: Vec<Id> = self
            .running
            .iter()
            .filter(|task| kind(task.is_urgent(), task.answers))
            .map(|task| task.id)
            .collect();
        let mut left = most;
        for id in ids {
            let chunk = left.min(room.tokens);
            if chunk == 0 {
                return;
            }
            left -= self.choose_one(room, now, id, chunk).min(left);
        }
    }

    /// Gives one sequence a part of at most `chunk` tokens; says how many they are.
    fn choose_one(&mut self, room: &mut Room, now: Duration, id: Id, chunk: usize) -> usize {
        let Some(place) = self.running.iter().position(|task| task.id == id) else {
            return 0;
        };
        let task = &mut self.running[place];
        if !task.answers {
            task.reuse(&mut self.pages);
            if let Some((_, digest)) = task.next_page()
                && room.filling.contains(&digest)
            {
                return 0;
            }
        }
        let pending = task.n_pending();
        let mut len = pending.min(chunk);
        let edge = (task.n_cached + len) / PAGE * PAGE;
        if len < pending && edge > task.n_cached {
            // A chunk that ends with a page leaves the rest open to be taken from the cache.
            len = edge - task.n_cached;
        }
        let (length, prefills) = (task.n_cached + len, !task.answers);
        if !self.cover(room, now, id, length) {
            return 0;
        }
        if let Some(task) = self.running.iter_mut().find(|task| task.id == id)
            && self.pages.keeps()
        {
            room.filling.extend(task.fills(len));
        }
        room.tokens -= len;
        room.chosen.push(Chosen {
            id,
            len,
            samples: len == pending,
            prefills,
        });
        len
    }

    /// Gets pages for the first `length` tokens of a sequence; others, or it itself, may have to make way.
    fn cover(&mut self, room: &mut Room, now: Duration, id: Id, length: usize) -> bool {
        loop {
            let Some(place) = self.running.iter().position(|task| task.id == id) else {
                return false;
            };
            let task = &mut self.running[place];
            if task.pages.len() >= length.div_ceil(PAGE) {
                return true;
            }
            let urgent = task.is_urgent();
            let alone = self.running.len() == 1;
            let reserve = if urgent || alone {
                0
            } else {
                self.limits.reserved_pages
            };
            let page = (self.pages.available() > reserve)
                .then(|| self.pages.take())
                .flatten();
            if let Some(page) = page {
                self.running[place].pages.push(page);
                continue;
            }
            let batch = self.youngest(|task| !task.is_urgent());
            let Some(victim) = batch.or_else(|| self.youngest(|_| true)) else {
                return false;
            };
            self.preempt(victim, now);
            if let Some(place) = room.chosen.iter().position(|chosen| chosen.id == victim) {
                room.tokens += room.chosen.remove(place).len;
            }
        }
    }

    fn pack(&mut self, chosen: Vec<Chosen>, admitted: Vec<Id>, now: Duration) -> Plan {
        let mut batch = Batch::default();
        for part in &chosen {
            let Some(task) = self.running.iter().find(|task| task.id == part.id) else {
                continue;
            };
            if task.class == Class::Batch {
                self.batch_moved = now;
            }
            let start = batch.tokens.len();
            let length = task.n_cached + part.len;
            batch
                .tokens
                .extend_from_slice(&task.tokens[task.n_cached..length]);
            batch.parts.push(Part {
                start,
                len: part.len,
                length,
                pages: task.pages[..length.div_ceil(PAGE)].to_vec(),
            });
            if part.samples {
                batch.rows.push(start + part.len - 1);
            }
        }
        Plan {
            chosen,
            batch,
            admitted,
        }
    }
}
