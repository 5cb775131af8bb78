//! The pages of the cache: who holds which, which full ones are known by their contents, and which one to give up next.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use crate::PAGE;

/// Stands for all tokens up to the end of a full page: the first 128 bits of a SHA-256 chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest(u128);

impl Digest {
    /// That of no tokens.
    pub(crate) const START: Self = Self(0);

    /// That of the tokens before, followed by one page of `tokens`.
    pub(crate) fn then(self, tokens: &[u32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0.to_le_bytes());
        for token in tokens {
            hasher.update(token.to_le_bytes());
        }
        let bytes = hasher.finalize();
        let first = bytes
            .iter()
            .take(16)
            .fold(0, |sum, &byte| sum << 8 | u128::from(byte));
        Self(first)
    }
}

/// What a full page holds. The tokens are kept, so that even two equal digests can't mix two texts.
#[derive(Debug)]
struct Known {
    digest: Digest,
    before: Digest,
    tokens: Box<[u32]>,
}

/// All pages of the cache.
///
/// A page is free (nobody's, unknown), held (by one sequence, or by several if it is known), or idle (nobody's, but known:
/// the next sequence with the same beginning takes it up, unless it is given up before, least recently used first).
#[derive(Debug)]
pub(crate) struct Pages {
    holders: Vec<u32>,
    known: Vec<Option<Known>>,
    /// When the page became idle; the key in `idle`.
    since: Vec<u64>,
    free: Vec<u32>,
    idle: BTreeMap<u64, u32>,
    by_digest: HashMap<Digest, u32>,
    clock: u64,
    keeps: bool,
}

impl Pages {
    /// `n_pages` free pages; `keeps` says whether full ones are kept for others.
    pub(crate) fn new(n_pages: usize, keeps: bool) -> Self {
        Self {
            holders: vec![0; n_pages],
            known: (0..n_pages).map(|_| None).collect(),
            since: vec![0; n_pages],
            free: (0..n_pages as u32).rev().collect(),
            idle: BTreeMap::new(),
            by_digest: HashMap::new(),
            clock: 0,
            keeps,
        }
    }

    /// All there are.
    pub(crate) fn total(&self) -> usize {
        self.holders.len()
    }

    /// Those that [`Pages::take`] can give.
    pub(crate) fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// Whether full pages are kept for others.
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// A page for one writer; gives up the idle page that was used longest ago if none is free.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let page = match self.free.pop() {
            Some(page) => page,
            None => self.idle.pop_first()?.1,
        };
        self.forget(page);
        self.holders[page as usize] = 1;
        Some(page)
    }

    /// One more hold of the page that has exactly these tokens after `before`.
    pub(crate) fn share(&mut self, before: Digest, digest: Digest, tokens: &[u32]) -> Option<u32> {
        let page = self.find(before, digest, tokens)?;
        if self.holders[page as usize] == 0 {
            self.idle.remove(&self.since[page as usize]);
        }
        self.holders[page as usize] += 1;
        Some(page)
    }

    /// Whether [`Pages::share`] would give a page, and whether that page is idle.
    pub(crate) fn peek(&self, before: Digest, digest: Digest, tokens: &[u32]) -> Option<bool> {
        let page = self.find(before, digest, tokens)?;
        Some(self.holders[page as usize] == 0)
    }

    /// Makes a full page known, so that nobody writes to it any more; the first one with these contents wins.
    pub(crate) fn publish(&mut self, page: u32, before: Digest, digest: Digest, tokens: &[u32]) {
        if !self.keeps || self.by_digest.contains_key(&digest) {
            return;
        }
        self.by_digest.insert(digest, page);
        self.known[page as usize] = Some(Known {
            digest,
            before,
            tokens: tokens.into(),
        });
    }

    /// Ends a sequence's hold of its pages. The last one becomes the first to be given up, because the ones before it
    /// are of use without it and not the other way round.
    pub(crate) fn release(&mut self, pages: &[u32]) {
        for &page in pages.iter().rev() {
            let place = page as usize;
            debug_assert!(self.holders[place] > 0, "page {page} is released twice");
            self.holders[place] -= 1;
            if self.holders[place] > 0 {
                continue;
            }
            if self.known[place].is_some() {
                self.clock += 1;
                self.since[place] = self.clock;
                self.idle.insert(self.clock, page);
            } else {
                self.free.push(page);
            }
        }
    }

    fn find(&self, before: Digest, digest: Digest, tokens: &[u32]) -> Option<u32> {
        debug_assert_eq!(tokens.len(), PAGE);
        let page = *self.by_digest.get(&digest)?;
        let known = self.known[page as usize].as_ref()?;
        (known.before == before && *known.tokens == *tokens).then_some(page)
    }

    fn forget(&mut self, page: u32) {
        if let Some(known) = self.known[page as usize].take() {
            self.by_digest.remove(&known.digest);
        }
    }
}
