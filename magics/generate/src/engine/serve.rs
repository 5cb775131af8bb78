//! The engine's thread: commands in, steps run, and everybody told in the end.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::embed::EmbedJob;
use super::pace::Pace;
use super::{Command, EngineSettings, Sequence, Shared, lock};
use crate::pages::Pages;
use crate::schedule::{Chosen, Id, Limits, Scheduler, Task};
use crate::{Class, FinishReason, Forward, GenerateError, Text};

/// Steps between two looks at whether waiting readers are still there; those of running sequences are looked at in every
/// step.
const STEPS_PER_SWEEP: u64 = 16;

/// How long after an interactive request more of them are reckoned with.
const PRESENCE: Duration = Duration::from_mins(1);

/// Times that a step may be longer while nobody is there.
const UNATTENDED: u32 = 3;

/// Everything that the engine's thread owns.
pub(super) struct Server {
    pub(super) model: Box<dyn Forward>,
    pub(super) vocabulary: usize,
    pub(super) text: Arc<Text>,
    pub(super) settings: EngineSettings,
    pub(super) scheduler: Scheduler,
    /// All but those in `current`.
    pub(super) sequences: HashMap<Id, Box<Sequence>>,
    /// Those that have a part in the step that runs.
    pub(super) current: Vec<(Chosen, Box<Sequence>)>,
    pub(super) jobs: Vec<EmbedJob>,
    pub(super) pace: Pace,
    pub(super) pool: ThreadPool,
    pub(super) shared: Arc<Shared>,
    pub(super) n_stuck: usize,
    /// When an interactive request came last.
    last_person: Option<Duration>,
    commands: Receiver<Command>,
    began: Instant,
    n_rounds: u64,
}

impl Server {
    pub(super) fn new(
        model: Box<dyn Forward>,
        text: Arc<Text>,
        settings: EngineSettings,
        n_pages: usize,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Result<Self, GenerateError> {
        let limits = Limits {
            max_sequences: settings.max_sequences,
            reserved_slots: settings.reserved_interactive,
            reserved_pages: settings.reserved_pages(n_pages),
            step_tokens: settings.step_tokens,
            ageing: settings.ageing,
        };
        let pool = ThreadPoolBuilder::new()
            .num_threads(settings.threads.unwrap_or(0))
            .thread_name(|index| format!("engine-{index}"))
            .build()
            .map_err(|error| GenerateError::Model {
                reason: format!("no threads for it: {error}"),
            })?;
        Ok(Self {
            vocabulary: model.shape().vocabulary,
            scheduler: Scheduler::new(limits, Pages::new(n_pages, settings.prefix_cache)),
            pace: Pace::new(settings.step_time, settings.step_tokens),
            model,
            text,
            settings,
            sequences: HashMap::new(),
            current: Vec::new(),
            jobs: Vec::new(),
            pool,
            shared,
            n_stuck: 0,
            last_person: None,
            commands,
            began: Instant::now(),
            n_rounds: 0,
        })
    }

    /// Serves until the engine is dropped or the model panics; whatever is open then, fails.
    pub(super) fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let error = match outcome {
            Ok(()) => GenerateError::Stopped,
            Err(panic) => GenerateError::Panicked {
                reason: message(panic.as_ref()),
            },
        };
        *lock(&self.shared.ended) = Some(error.to_string());
        for (_, sequence) in std::mem::take(&mut self.current) {
            self.close_failed(&sequence, &error);
        }
        for (_, sequence) in std::mem::take(&mut self.sequences) {
            self.close_failed(&sequence, &error);
        }
        for job in self.jobs.drain(..) {
            job.answer(Err(error.clone()));
        }
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Submit(sequence) => self.close_failed(&sequence, &error),
                Command::Embed(job) => job.answer(Err(error.clone())),
            }
        }
        let shared = Arc::clone(&self.shared);
        // From here on nothing can be handed in; what slipped in before is gone with the channel.
        drop(self);
        shared.n_open.send_replace(0);
    }

    fn serve(&mut self) {
        while self.receive() {
            self.drop_gone();
            self.embed_some();
            self.step();
            self.report();
        }
        self.report();
    }

    /// Takes the commands that came; waits for one if there is nothing to do. False when the engine is dropped.
    fn receive(&mut self) -> bool {
        if self.scheduler.is_idle() && self.jobs.is_empty() {
            match self.commands.recv() {
                Ok(command) => self.obey(command),
                Err(_) => return false,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(mut sequence) => {
                if let Some(task) = sequence.task.take() {
                    if task.class == Class::Interactive {
                        self.last_person = Some(self.now());
                    }
                    self.scheduler.submit(task, self.now());
                    self.sequences.insert(sequence.id, sequence);
                }
            }
            Command::Embed(job) => self.jobs.push(job),
        }
    }

    /// Ends the sequences that nobody reads any more.
    fn drop_gone(&mut self) {
        self.n_rounds += 1;
        let running: Vec<Id> = self
            .scheduler
            .running()
            .iter()
            .map(|task| task.id)
            .collect();
        for id in running {
            if self
                .sequences
                .get(&id)
                .is_some_and(|sequence| sequence.is_gone())
            {
                self.finish(id, Ok(FinishReason::Cancelled));
            }
        }
        if self.n_rounds.is_multiple_of(STEPS_PER_SWEEP) {
            let sequences = &self.sequences;
            let gone = self.scheduler.finish_waiting(|task| {
                sequences
                    .get(&task.id)
                    .is_some_and(|sequence| sequence.is_gone())
            });
            for task in gone {
                if let Some(sequence) = self.sequences.remove(&task.id) {
                    self.close(&sequence, &Ok(FinishReason::Cancelled));
                }
            }
        }
    }

    /// Ends a sequence and tells its reader.
    pub(super) fn finish(&mut self, id: Id, outcome: Result<FinishReason, GenerateError>) {
        if let Some(sequence) = self.sequences.remove(&id) {
            self.finish_sequence(&sequence, outcome);
        }
    }

    /// As [`Server::finish`], for one that is not among the others.
    pub(super) fn finish_sequence(
        &mut self,
        sequence: &Sequence,
        outcome: Result<FinishReason, GenerateError>,
    ) {
        let task = self.scheduler.finish(sequence.id);
        if let Some(task) = &task {
            lock(&self.shared.metrics).cached_tokens += task.n_reused as u64;
        }
        // The books first: whoever reads the last event finds everything settled.
        self.close(sequence, &outcome);
        match outcome {
            Ok(reason) => sequence.done(reason, task.as_ref()),
            Err(error) => sequence.fail(error),
        }
    }

    fn close_failed(&self, sequence: &Sequence, error: &GenerateError) {
        self.close(sequence, &Err(error.clone()));
        sequence.fail(error.clone());
    }

    /// Enters how a sequence ended.
    fn close(&self, sequence: &Sequence, outcome: &Result<FinishReason, GenerateError>) {
        if !sequence.has_started() {
            self.shared.n_queued.fetch_sub(1, Ordering::SeqCst);
        }
        {
            let outcomes = &mut lock(&self.shared.metrics).outcomes;
            match outcome {
                Ok(FinishReason::Stop) => outcomes.stop += 1,
                Ok(FinishReason::Length) => outcomes.length += 1,
                Ok(FinishReason::Cancelled) => outcomes.cancelled += 1,
                Err(_) => outcomes.failed += 1,
            }
        }
        self.shared.close_one();
    }

    /// How long a step should take, whoever may come.
    pub(super) fn step_time(&self) -> Duration {
        let is_near = |last| self.now().saturating_sub(last) < PRESENCE;
        // Whoever reads a long answer is there, too.
        let reads = |task: &Task| task.class == Class::Interactive;
        if self.last_person.is_some_and(is_near) || self.scheduler.running().iter().any(reads) {
            self.settings.step_time
        } else {
            self.settings.step_time.saturating_mul(UNATTENDED)
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn report(&self) {
        let mut metrics = lock(&self.shared.metrics);
        metrics.running = self.scheduler.running().len();
        metrics.waiting_interactive = self.scheduler.n_waiting(Class::Interactive);
        metrics.waiting_batch = self.scheduler.n_waiting(Class::Batch);
        metrics.pages_used = self.scheduler.pages().total() - self.scheduler.pages().available();
        metrics.preemptions = self.scheduler.n_preemptions();
    }
}

/// A panic's words.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".into())
}
