//! One sequence, as the scheduler sees it.

use std::time::Duration;

use super::Id;
use crate::pages::{Digest, Pages};
use crate::{Class, PAGE};

/// A sequence: its tokens, how many of them the cache holds, and in which pages.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: Id,
    pub(crate) class: Class,
    pub(crate) client: String,
    /// Prompt and answer so far.
    pub(crate) tokens: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    pub(crate) n_cached: usize,
    pub(crate) pages: Vec<u32>,
    /// Tokens of the prompt that others had computed before.
    pub(crate) n_reused: usize,
    pub(crate) n_preemptions: usize,
    /// Whether the prompt is in the cache, so that the next step gives a token.
    pub(super) answers: bool,
    /// Place among all arrivals.
    pub(super) order: u64,
    pub(super) waits_since: Duration,
    /// A batch sequence that runs as if it were interactive, because batch stood still for too long.
    pub(super) aged: bool,
    n_prompt: usize,
    /// Of the full pages of `tokens`, as far as they were asked for.
    digests: Vec<Digest>,
    n_published: usize,
}

impl Task {
    pub(crate) fn new(id: Id, class: Class, client: String, prompt: Vec<u32>) -> Self {
        Self {
            id,
            class,
            client,
            n_prompt: prompt.len(),
            tokens: prompt,
            n_cached: 0,
            pages: Vec::new(),
            n_reused: 0,
            n_preemptions: 0,
            answers: false,
            order: 0,
            waits_since: Duration::ZERO,
            aged: false,
            digests: Vec::new(),
            n_published: 0,
        }
    }

    /// Whether it goes before batch sequences and is never preempted for one.
    pub(crate) fn is_urgent(&self) -> bool {
        self.class == Class::Interactive || self.aged
    }

    /// Tokens that the model has not seen yet.
    pub(super) fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Pages for the tokens that it has.
    pub(super) fn n_pages(&self) -> usize {
        self.tokens.len().div_ceil(PAGE)
    }

    /// Takes up the pages that the cache has of what comes next. At least one token is left for the model, because its
    /// logits are wanted.
    pub(super) fn reuse(&mut self, pages: &mut Pages) {
        if !pages.keeps() || !self.n_cached.is_multiple_of(PAGE) {
            return;
        }
        while let Some((before, digest)) = self.next_page() {
            let range = self.n_cached..self.n_cached + PAGE;
            let Some(page) = pages.share(before, digest, &self.tokens[range]) else {
                return;
            };
            self.pages.push(page);
            self.n_cached += PAGE;
            self.n_published = self.pages.len();
            if self.n_preemptions == 0 && self.n_cached <= self.n_prompt {
                self.n_reused += PAGE;
            }
        }
    }

    /// Pages that are to be had for the tokens known, beyond those that others hold already.
    pub(super) fn n_wanted(&mut self, pages: &Pages) -> usize {
        let total = self.n_pages();
        if !pages.keeps() {
            return total - self.pages.len();
        }
        let mut held = 0;
        for place in self.pages.len()..(self.tokens.len() - 1) / PAGE {
            let (before, digest) = (self.digest(place), self.digest(place + 1));
            match pages.peek(
                before,
                digest,
                &self.tokens[place * PAGE..(place + 1) * PAGE],
            ) {
                Some(idle) => held += usize::from(!idle),
                None => break,
            }
        }
        total - self.pages.len() - held
    }

    /// What stands for the tokens before the next page and with it, if `n_cached` is at the edge of a page that can be
    /// shared whole.
    pub(super) fn next_page(&mut self) -> Option<(Digest, Digest)> {
        let place = self.n_cached / PAGE;
        if !self.n_cached.is_multiple_of(PAGE) || (place + 1) * PAGE >= self.tokens.len() {
            return None;
        }
        Some((self.digest(place), self.digest(place + 1)))
    }

    /// The digests of the pages that `len` more tokens fill.
    pub(super) fn fills(&mut self, len: usize) -> impl Iterator<Item = Digest> + '_ {
        let range = self.n_cached / PAGE..(self.n_cached + len) / PAGE;
        range.map(|place| self.digest(place + 1))
    }

    /// Makes the full pages known that were not before.
    pub(super) fn publish(&mut self, pages: &mut Pages) {
        if !pages.keeps() {
            return;
        }
        for place in self.n_published..self.n_cached / PAGE {
            let (before, digest) = (self.digest(place), self.digest(place + 1));
            let tokens = &self.tokens[place * PAGE..(place + 1) * PAGE];
            pages.publish(self.pages[place], before, digest, tokens);
            self.n_published = place + 1;
        }
    }

    /// Forgets what the cache had of it; its pages were released.
    pub(super) fn start_over(&mut self, now: Duration) {
        self.pages.clear();
        self.n_cached = 0;
        self.n_published = 0;
        self.n_preemptions += 1;
        self.answers = false;
        self.aged = false;
        self.waits_since = now;
    }

    /// That of the first `n_pages` pages.
    fn digest(&mut self, n_pages: usize) -> Digest {
        while self.digests.len() < n_pages {
            let place = self.digests.len();
            let before = self.digests.last().copied().unwrap_or(Digest::START);
            let tokens = &self.tokens[place * PAGE..(place + 1) * PAGE];
            self.digests.push(before.then(tokens));
        }
        match n_pages {
            0 => Digest::START,
            n => self.digests[n - 1],
        }
    }
}
