//! The thread that owns the ledger: calls hand their rows over and go on when they are written.

use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

use crate::error::LlmError;
use crate::ledger::{Ledger, LedgerError};

type Job = Box<dyn FnOnce(&mut Result<Ledger, LedgerError>) + Send>;

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
        std::thread::spawn(move || {
            let mut ledger = None;
            for job in waiting {
                // One that could not be opened is tried again: its server may be back.
                if !matches!(ledger, Some(Ok(_))) {
                    ledger = Some(Ledger::open(&target));
                }
                if let Some(ledger) = &mut ledger {
                    job(ledger);
                }
            }
        });
        Desk { jobs }
    }

    /// What `work` yields.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LlmError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |ledger| {
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
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Has `work` done without waiting for it.
    pub(crate) fn post(&self, work: impl FnOnce(&mut Ledger) + Send + 'static) {
        let job: Job = Box::new(move |ledger| {
            if let Ok(ledger) = ledger {
                work(ledger);
            }
        });
        // The thread ends with the program only.
        let _ = self.jobs.send(job);
    }

    /// Returns when everything that was posted is done.
    pub(crate) async fn flush(&self) {
        // What cannot be written was told where it was asked for.
        let _ = self.ask(|_| Ok(())).await;
    }
}
