//! Many calls at once: as many as the gate lets through, results in the order in which they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::{Client, GLANCE};
use crate::call::{Answer, Call};
use crate::error::LlmError;

/// Calls that stand at the gate at most.
pub(super) const STANDING: usize = 96;

impl Client {
    /// Makes all `calls` and hands each result over, on this thread; `calls` may yield more after a result has come. When
    /// `each` says no, nothing more is sent; what is under way is waited for, because it is paid for. When `stop` says so,
    /// that is given up, too.
    pub fn ask_many<K: Send + 'static>(
        &self,
        calls: impl IntoIterator<Item = (K, Call)>,
        stop: &(dyn Fn() -> bool + Sync),
        each: &mut dyn FnMut(K, Result<Answer, LlmError>) -> bool,
    ) {
        self.ask_standing(STANDING, calls, stop, each);
    }

    /// As [`Client::ask_many`], with at most `most` calls in memory.
    pub(super) fn ask_standing<K: Send + 'static>(
        &self,
        most: usize,
        calls: impl IntoIterator<Item = (K, Call)>,
        stop: &(dyn Fn() -> bool + Sync),
        each: &mut dyn FnMut(K, Result<Answer, LlmError>) -> bool,
    ) {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut calls = calls.into_iter();
        let mut goes_on = true;
        self.runtime.block_on(async {
            let mut standing = JoinSet::new();
            loop {
                // In each turn: where answers come quickly, the glance below never has its time.
                if goes_on && stop() {
                    stopping.store(true, Ordering::SeqCst);
                    goes_on = false;
                }
                while goes_on && standing.len() < most {
                    let Some((key, call)) = calls.next() else {
                        break;
                    };
                    let (shared, stopping) = (Arc::clone(&self.shared), Arc::clone(&stopping));
                    standing.spawn(async move {
                        let stop = || stopping.load(Ordering::SeqCst);
                        let answer = shared.answer(&call, &stop, &|_| {}).await;
                        (key, answer)
                    });
                }
                let done = tokio::select! {
                    done = standing.join_next() => done,
                    () = super::pass(GLANCE) => continue,
                };
                match done {
                    Some(Ok((key, answer))) => goes_on &= each(key, answer),
                    // One that panicked has no result; the others have.
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        });
    }
}
