//! The thread that owns the ledger: calls hand their rows over and go on when they are written.

use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

use crate::error::LlmError;
use crate::ledger::{Ledger, LedgerError};
use crate::row::Row;

/// Calls that are ended in one transaction at most: others wait for it.
const MOST_ENDS: usize = 100;

type Work = Box<dyn FnOnce(&mut Result<Ledger, LedgerError>) + Send>;

/// What the ledger is to do.
enum Job {
    Work(Work),
    End(Box<Row>),
}

/// The way to the ledger.
#[derive(Debug)]
pub(crate) struct Desk {
    jobs: Sender<Job>,
}

impl Desk {
    /// A desk for the ledger `target`, which is opened when it is first wanted.
    pub(crate) fn new(target: &str) -> Desk {
        let (jobs, waiting) = channel::<Job>();
        let target = target.to_owned();
        std::thread::spawn(move || serve(&target, &waiting));
        Desk { jobs }
    }

    /// What `work` yields.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LlmError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |ledger| {
            let done = match ledger {
                Ok(ledger) => work(ledger).map_err(LlmError::from),
                Err(error) => Err(LlmError::Ledger {
                    message: error.to_string(),
                    hint: error.hint(),
                }),
            };
            // Whoever asked may have been stopped.
            let _ = answer.send(done);
        });
        let gone = || LlmError::Ledger {
            message: "the ledger's thread is gone".to_owned(),
            hint: "restart the kernel".to_owned(),
        };
        self.jobs.send(Job::Work(work)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Has it written what became of a call, without waiting for it.
    pub(crate) fn end(&self, row: Row) {
        // The thread ends with the program only.
        let _ = self.jobs.send(Job::End(Box::new(row)));
    }

    /// Returns when everything that was posted is done.
    pub(crate) async fn flush(&self) {
        // What cannot be written was told where it was asked for.
        let _ = self.ask(|_| Ok(())).await;
    }
}

/// Does one job after the other; calls that end meanwhile are written together.
fn serve(target: &str, waiting: &Receiver<Job>) {
    let (mut ledger, mut next) = (None, None);
    while let Some(job) = next.take().or_else(|| waiting.recv().ok()) {
        // One that could not be opened is tried again: its server may be back.
        let ledger = match ledger.take() {
            Some(Ok(opened)) => ledger.insert(Ok(opened)),
            _ => ledger.insert(Ledger::open(target)),
        };
        match job {
            Job::Work(work) => work(ledger),
            Job::End(row) => {
                let mut rows = vec![*row];
                while rows.len() < MOST_ENDS && next.is_none() {
                    match waiting.try_recv() {
                        Ok(Job::End(row)) => rows.push(*row),
                        Ok(other) => next = Some(other),
                        Err(_) => break,
                    }
                }
                if let Ok(ledger) = ledger {
                    // What is not written stays open there, and counts as dear as it could have been.
                    let _ = match rows.as_slice() {
                        [row] => ledger.end(row),
                        rows => ledger.end_all(rows),
                    };
                }
            }
        }
    }
}
