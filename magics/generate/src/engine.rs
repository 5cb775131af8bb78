//! The engine: one thread that owns a model and serves everybody.

mod embed;
mod metrics;
mod pace;
mod sequence;
mod serve;
mod settings;
mod step;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use embed::EmbedJob;
pub use metrics::{Metrics, Outcomes, StepTime};
use sequence::Sequence;
use serve::Server;
pub use settings::EngineSettings;
use tokio::sync::{mpsc, watch};

use crate::grammar::Grammars;
use crate::{Class, Event, Forward, GenerateError, Pooling, Refused, Request, Text, sample};

/// Commands that may wait besides requests.
const SPARE_COMMANDS: usize = 64;

/// A model that runs, and takes requests from any thread. Dropping it ends its thread; what was under way fails.
pub struct Engine {
    text: Arc<Text>,
    grammars: Grammars,
    shared: Arc<Shared>,
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    vocabulary: usize,
    context: usize,
    max_queued: usize,
    n_submitted: AtomicU64,
}

/// What the engine's thread and its users both see.
struct Shared {
    metrics: Mutex<Metrics>,
    /// Requests that were taken and have not run yet.
    n_queued: AtomicUsize,
    /// Requests that were taken and have not ended.
    n_open: watch::Sender<usize>,
    draining: AtomicBool,
    /// Why the thread has ended, once it has.
    ended: Mutex<Option<String>>,
}

impl Shared {
    /// One request has ended.
    fn close_one(&self) {
        // When the thread has ended, the count is zero already.
        self.n_open
            .send_modify(|n_open| *n_open = n_open.saturating_sub(1));
    }
}

enum Command {
    Submit(Box<Sequence>),
    Embed(EmbedJob),
}

/// What happens to one request. Dropping it cancels the request: its slot is free at the next step.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    ended: bool,
}

impl Events {
    /// The next event; nothing after `Done` or `Failed`.
    pub async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = self.receiver.recv().await;
        Some(self.note(event))
    }

    /// Like [`Events::next`], for a thread that may block; not to be called from asynchronous code.
    pub fn next_blocking(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = self.receiver.blocking_recv();
        Some(self.note(event))
    }

    /// Notes the end. An engine that ends just when a request is handed in has nobody left to tell its reader.
    fn note(&mut self, event: Option<Event>) -> Event {
        let event = event.unwrap_or(Event::Failed(GenerateError::Stopped));
        self.ended = !matches!(event, Event::Token(_));
        event
    }
}

impl Engine {
    /// Makes room for the cache and starts the thread.
    pub fn start(
        mut model: Box<dyn Forward>,
        text: Arc<Text>,
        settings: EngineSettings,
    ) -> Result<Self, GenerateError> {
        let settings = settings.checked();
        let shape = *model.shape();
        let n_pages = settings.n_pages(&shape)?;
        model.reserve(n_pages)?;
        let context = shape.context.min(n_pages * crate::PAGE);
        let (commands, received) = sync_channel(settings.max_queued + SPARE_COMMANDS);
        let shared = Arc::new(Shared {
            metrics: Mutex::new(Metrics::new(n_pages)),
            n_queued: AtomicUsize::new(0),
            n_open: watch::Sender::new(0),
            draining: AtomicBool::new(false),
            ended: Mutex::new(None),
        });
        let max_queued = settings.max_queued;
        let server = Server::new(
            model,
            Arc::clone(&text),
            settings,
            n_pages,
            received,
            Arc::clone(&shared),
        )?;
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || server.run())
            .map_err(|error| GenerateError::Model {
                reason: format!("no thread for it: {error}"),
            })?;
        Ok(Self {
            grammars: Grammars::new(Arc::clone(&text)),
            text,
            shared,
            commands: Some(commands),
            thread: Some(thread),
            vocabulary: shape.vocabulary,
            context,
            max_queued,
            n_submitted: AtomicU64::new(0),
        })
    }

    /// Takes a request, or says why not. Compiles its constraint on the caller's thread, which can take tens of
    /// milliseconds the first time.
    pub fn submit(&self, request: Request) -> Result<Events, Refused> {
        self.check_open()?;
        self.check(&request)?;
        let guide = match &request.constraint {
            Some(constraint) => Some(
                self.grammars
                    .guide(constraint)
                    .map_err(|reason| Refused::BadConstraint { reason })?,
            ),
            None => None,
        };
        // Nobody reads faster than the engine writes, and the engine waits for nobody: everything fits.
        let (sender, receiver) = mpsc::channel(request.max_tokens + 2);
        let id = self.n_submitted.fetch_add(1, Ordering::Relaxed);
        let sequence = Sequence::new(id, request, guide, &self.text, sender);
        self.enqueue(sequence)?;
        Ok(Events {
            receiver,
            ended: false,
        })
    }

    /// The vectors of `inputs` (one row each), by an embedding model; blocks until they are there.
    pub fn embed(
        &self,
        inputs: Vec<Vec<u32>>,
        class: Class,
        pooling: Pooling,
    ) -> Result<Vec<Vec<f32>>, GenerateError> {
        self.embed_unless(inputs, class, pooling, Arc::default())
    }

    /// As [`Engine::embed`], until somebody raises `gone`: then the work ends within a step, with an error.
    pub fn embed_unless(
        &self,
        inputs: Vec<Vec<u32>>,
        class: Class,
        pooling: Pooling,
        gone: Arc<AtomicBool>,
    ) -> Result<Vec<Vec<f32>>, GenerateError> {
        if self.check_open().is_err() {
            return Err(GenerateError::Stopped);
        }
        for (index, input) in inputs.iter().enumerate() {
            if input.is_empty() || input.len() > self.context {
                return Err(GenerateError::Input {
                    index,
                    tokens: input.len(),
                    limit: self.context,
                });
            }
            if let Some(&token) = self.unknown(input) {
                return Err(GenerateError::UnknownToken {
                    index,
                    token,
                    vocabulary: self.vocabulary,
                });
            }
        }
        let (job, answer) = EmbedJob::new(inputs, class, pooling, gone);
        let commands = self.commands.as_ref().ok_or(GenerateError::Stopped)?;
        commands
            .send(Command::Embed(job))
            .map_err(|_| GenerateError::Stopped)?;
        answer.recv().unwrap_or(Err(GenerateError::Stopped))
    }

    /// How things stand.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = lock(&self.shared.metrics).clone();
        metrics.queued = self.shared.n_queued.load(Ordering::Relaxed);
        metrics
    }

    /// Takes nothing new from now on; what was taken is finished.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
    }

    /// Waits until everything that was taken has ended.
    pub async fn drained(&self) {
        let mut open = self.shared.n_open.subscribe();
        // The sender lives as long as `self`, so this can't fail.
        let _ = open.wait_for(|&n_open| n_open == 0).await;
    }

    /// The model's text.
    pub fn text(&self) -> &Arc<Text> {
        &self.text
    }

    /// Most tokens of a prompt and its answer: the model's context, or less where the cache is smaller.
    pub fn context(&self) -> usize {
        self.context
    }

    fn check_open(&self) -> Result<(), Refused> {
        if let Some(reason) = lock(&self.shared.ended).clone() {
            return Err(Refused::Stopped { reason });
        }
        if self.shared.draining.load(Ordering::SeqCst) {
            return Err(Refused::Draining);
        }
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Refused> {
        let empty = |what| Err(Refused::Empty { what });
        if request.prompt.is_empty() {
            return empty("prompt");
        }
        if request.max_tokens == 0 {
            return empty("answer");
        }
        if request.stop.iter().any(String::is_empty) {
            return empty("stop string");
        }
        if request.prompt.len().saturating_add(request.max_tokens) > self.context {
            return Err(Refused::TooLong {
                prompt: request.prompt.len(),
                max_tokens: request.max_tokens,
                context: self.context,
            });
        }
        if let Some(&token) = self.unknown(&request.prompt) {
            return Err(Refused::UnknownToken {
                token,
                vocabulary: self.vocabulary,
            });
        }
        sample::check(&request.sampling, self.vocabulary)
    }

    /// The first of `tokens` that the model does not have.
    fn unknown<'a>(&self, tokens: &'a [u32]) -> Option<&'a u32> {
        tokens
            .iter()
            .find(|&&token| token as usize >= self.vocabulary)
    }

    fn enqueue(&self, sequence: Sequence) -> Result<(), Refused> {
        let queued = &self.shared.n_queued;
        let full = |queued| Refused::QueueFull { queued };
        let room = |n: usize| (n < self.max_queued).then_some(n + 1);
        queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, room)
            .map_err(full)?;
        self.shared.n_open.send_modify(|n_open| *n_open += 1);
        let sent = match &self.commands {
            Some(commands) => commands
                .try_send(Command::Submit(Box::new(sequence)))
                .is_ok(),
            None => false,
        };
        if sent {
            return Ok(());
        }
        let n_queued = queued.fetch_sub(1, Ordering::SeqCst);
        self.shared.close_one();
        self.check_open()?;
        Err(full(n_queued))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told to everybody already.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
