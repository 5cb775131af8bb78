//! The kernel: what its threads share, how they start, how it ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use mlk8s_catalog::call::Cancel;
use mlk8s_catalog::session::{Session, Value};
use tokio::runtime::Handle;

use crate::dispatch::dispatch;
use crate::history::History;
use crate::language::Language;
use crate::outbox::{Origin, Outbox, State, object};
use crate::runtime_dir::RuntimeDir;
use crate::settings::Settings;
use crate::wire::{Channel, Incoming, Object, Wire};
use crate::worker::{Execution, Worker};

/// Cells that may wait to be run.
const CELLS: usize = 4096;
/// Questions beside the cells that may wait for their answers.
const QUESTIONS: usize = 64;

/// What the threads of the kernel share.
pub(crate) struct Kernel {
    /// The way out.
    pub(crate) outbox: Outbox,
    /// Rust cells.
    pub(crate) language: Language,
    /// What was typed.
    pub(crate) history: Mutex<History>,
    /// Cells that wait to be run.
    pub(crate) cells: Sender<Execution>,
    /// Stops the cell that is running.
    pub(crate) running: Mutex<Option<Cancel>>,
    /// Where the cell that is running waits for what the user types.
    pub(crate) asking: Mutex<Option<Sender<String>>>,
    /// Questions about code.
    questions: Sender<Question>,
    /// Questions about code that need no rust-analyzer: they do not wait while it thinks.
    quick: Sender<Question>,
    /// Questions about the history, and its changes in their order.
    records: Sender<Question>,
    /// The session's values, for completion while a cell owns the session.
    values: Mutex<BTreeMap<String, Value>>,
    settings: Settings,
    end: Sender<()>,
}

type Question = Box<dyn FnOnce(&Kernel) + Send>;

/// Starts every thread of the kernel; what is sent on the receiver ends it.
pub(crate) fn start(
    settings: &Settings,
    runtime_dir: &RuntimeDir,
    cells_dir: &RuntimeDir,
    wire: Wire,
    runtime: &Handle,
) -> (Arc<Kernel>, Receiver<()>) {
    let Wire {
        shell,
        control,
        stdin,
        out,
    } = wire;
    let (cells, waiting_cells) = bounded(CELLS);
    let (questions, waiting_questions) = bounded::<Question>(QUESTIONS);
    let (quick, waiting_quick) = bounded::<Question>(QUESTIONS);
    let (records, waiting_records) = bounded::<Question>(QUESTIONS);
    let (end, ended) = bounded(1);
    let spill_dirs = vec![
        settings.work_dir.join("mlk8s-output"),
        settings.state_dir.join("output"),
    ];
    let outbox = Outbox::start(out, runtime.clone(), spill_dirs);
    let nobody = Arc::new(Object::new());
    outbox.status(&nobody, State::Starting);
    // A server to which no frontend is connected learns only from this that there is nothing to keep the pod for.
    outbox.status(&nobody, State::Idle);
    let kernel = Arc::new(Kernel {
        outbox,
        language: Language::start(cells_dir.path().to_owned(), settings.work_dir.clone()),
        history: Mutex::new(History::open(&settings.state_dir)),
        cells,
        running: Mutex::new(None),
        asking: Mutex::new(None),
        questions,
        quick,
        records,
        values: Mutex::default(),
        settings: settings.clone(),
        end,
    });
    let worker = Worker::new(Arc::clone(&kernel), session(settings, runtime_dir.path()));
    std::thread::spawn(move || worker.run(&waiting_cells));
    for waiting in [waiting_questions, waiting_quick, waiting_records] {
        let theirs = Arc::clone(&kernel);
        std::thread::spawn(move || waiting.iter().for_each(|question| question(&theirs)));
    }
    for (channel, incoming) in [(Channel::Shell, shell), (Channel::Control, control)] {
        let (kernel, runtime) = (Arc::clone(&kernel), runtime.clone());
        std::thread::spawn(move || listen(&kernel, channel, incoming, &runtime));
    }
    let (theirs, runtime) = (Arc::clone(&kernel), runtime.clone());
    std::thread::spawn(move || hear_answers(&theirs, stdin, &runtime));
    (kernel, ended)
}

fn session(settings: &Settings, runtime_dir: &Path) -> Session {
    let mut session = Session::new(
        runtime_dir.to_owned(),
        settings.work_dir.clone(),
        settings.state_dir.clone(),
    );
    session.set_who(settings.who());
    if let Some(articles) = &settings.articles {
        session.set_default_articles(articles.clone());
    }
    for place in &settings.models {
        session.look_for_models_in(place.clone());
    }
    session.set_workers(settings.programs.clone());
    session.set_batch(settings.batch.clone());
    session.set_notebook(settings.notebook.clone());
    session.set_hub(crate::settings::of_hub);
    session.set_cuda_libraries(settings.cuda.clone());
    for python in &settings.pythons {
        session.look_for_models_of(python.clone());
    }
    session
}

fn listen(kernel: &Arc<Kernel>, channel: Channel, mut incoming: Incoming, runtime: &Handle) {
    while let Some(message) = runtime.block_on(incoming.next()) {
        dispatch(kernel, channel, message);
    }
    kernel.end();
}

/// Takes what users type when a cell has asked for it.
fn hear_answers(kernel: &Kernel, mut incoming: Incoming, runtime: &Handle) {
    while let Some(message) = runtime.block_on(incoming.next()) {
        let value = message
            .content
            .get("value")
            .and_then(|value| value.as_str());
        let asking = locked(&kernel.asking).take();
        if let (Some(value), Some(asking)) = (value, asking) {
            // A cell that was stopped meanwhile no longer waits.
            let _ = asking.send(value.to_owned());
        }
    }
}

impl Kernel {
    /// Answers `origin` with what `work` yields, between busy and idle.
    pub(crate) fn answer(&self, origin: &Origin, work: impl FnOnce() -> Object) {
        self.attend(origin, || {
            // A fault of ours in one request must not end the thread that takes them.
            let content = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| internal_error());
            self.outbox.reply(origin, content);
        });
    }

    /// Does `work` for `origin`, between busy and idle.
    pub(crate) fn attend(&self, origin: &Origin, work: impl FnOnce()) {
        self.outbox.status(&origin.header, State::Busy);
        work();
        self.outbox.status(&origin.header, State::Idle);
    }

    /// Answers `origin` on the thread for questions about code; when too many wait, it is told so.
    pub(crate) fn answer_aside(
        &self,
        origin: &Origin,
        work: impl FnOnce(&Kernel) -> Object + Send + 'static,
    ) {
        self.answer_on(&self.questions, origin, work);
    }

    /// Answers `origin` on the thread for questions about code that never waits for rust-analyzer.
    pub(crate) fn answer_soon(
        &self,
        origin: &Origin,
        work: impl FnOnce(&Kernel) -> Object + Send + 'static,
    ) {
        self.answer_on(&self.quick, origin, work);
    }

    /// Answers `origin` on the thread of the history, which nothing else delays.
    pub(crate) fn answer_from_history(
        &self,
        origin: &Origin,
        work: impl FnOnce(&Kernel) -> Object + Send + 'static,
    ) {
        self.answer_on(&self.records, origin, work);
    }

    fn answer_on(
        &self,
        thread: &Sender<Question>,
        origin: &Origin,
        work: impl FnOnce(&Kernel) -> Object + Send + 'static,
    ) {
        let theirs = origin.clone();
        let question: Question =
            Box::new(move |kernel: &Kernel| kernel.answer(&theirs, || work(kernel)));
        if thread.try_send(question).is_err() {
            self.answer(origin, || failure("Busy", "too many requests wait", &[]));
        }
    }

    /// Changes the history on its thread, so that no cell waits for the disk unless [`QUESTIONS`] wait already: what was
    /// typed first is kept first.
    pub(crate) fn keep(&self, change: impl FnOnce(&History) + Send + 'static) {
        let question: Question = Box::new(move |kernel: &Kernel| change(&locked(&kernel.history)));
        // Its thread lives as long as the kernel.
        let _ = self.records.send(question);
    }

    /// Says which values the session has.
    pub(crate) fn set_values(&self, values: BTreeMap<String, Value>) {
        *locked(&self.values) = values;
    }

    /// A session whose values and places are those of the real one, for completion.
    pub(crate) fn shadow(&self) -> Session {
        // Nothing is given to Rust cells, and no Python is asked for models.
        let settings = Settings {
            pythons: Vec::new(),
            ..self.settings.clone()
        };
        let mut session = session(&settings, Path::new(""));
        for (name, value) in locked(&self.values).iter() {
            session.put(name, value.clone(), Vec::new());
        }
        session
    }

    /// Names of the session's values that begin with `begun`.
    pub(crate) fn values_like(&self, begun: &str) -> Vec<String> {
        let values = locked(&self.values);
        let names = values.keys().filter(|name| name.starts_with(begun));
        names.cloned().collect()
    }

    /// Stops what the cell that is running does.
    pub(crate) fn interrupt(&self) {
        if let Some(cancel) = locked(&self.running).as_ref() {
            cancel.raise();
        }
        self.language.interrupt();
        // Whoever waits for what the user types gets nothing, and knows by now that it is to stop.
        locked(&self.asking).take();
    }

    /// Ends the kernel; what is already on its way still leaves.
    pub(crate) fn end(&self) {
        // The end may already be under way.
        let _ = self.end.try_send(());
    }
}

/// What `mutex` guards; a panic elsewhere leaves it usable, because every change is one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The content of a reply to a request that failed.
pub(crate) fn failure(ename: &str, evalue: &str, traceback: &[String]) -> Object {
    object(
        serde_json::json!({ "status": "error", "ename": ename, "evalue": evalue, "traceback": traceback }),
    )
}

fn internal_error() -> Object {
    failure(
        "InternalError",
        "the kernel made a mistake; its log says more",
        &[],
    )
}
