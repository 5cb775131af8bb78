//! `%kg build --engine endpoint`: a model reads the passages, many at once, and no answer is paid for twice.

mod preview;
mod prompt;
mod reading;
mod tally;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use mlk8s_corpus::Document;
use mlk8s_graph::statement::{self, Passage, Statement};
use mlk8s_graph::{Stated, Store};
use mlk8s_llm::LlmError;
use mlk8s_llm::call::{Answer, Call as ModelCall, Schema};
use mlk8s_llm::row::Class;

use super::super::ask::dollars;
use super::build::Build;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::models;
use crate::view::Table;
pub(super) use prompt::Prompt;
use tally::Tally;

/// How often a passage whose answer is no list is asked about again.
const AGAIN: usize = 2;
/// How long finished documents wait for others before they are stored.
const COMMIT_AFTER: Duration = Duration::from_secs(1);
/// Calls from which on somebody is asked before they are paid for.
const MANY: usize = 10;

/// A passage on its way.
struct Task {
    document: usize,
    passage: usize,
    tries: usize,
}

/// A document whose passages are on their way.
struct Waiting<'a> {
    document: &'a Document,
    passages: Vec<Passage>,
    left: usize,
    failed: usize,
    statements: Vec<(std::ops::Range<usize>, Vec<Statement>)>,
}

/// What a build by a model led to.
pub(super) struct Built {
    pub(super) added: usize,
    pub(super) skipped: usize,
    pub(super) table: Table,
}

/// Everything that a build needs while answers come.
struct Work<'a> {
    build: &'a Build,
    pattern: ModelCall,
    method: String,
    waiting: Vec<Waiting<'a>>,
    tasks: RefCell<VecDeque<Task>>,
    ready: Vec<usize>,
    committed: Instant,
    tally: Tally,
    n_passages: usize,
    finished: usize,
    added: usize,
    stopped: Option<MagicError>,
}

/// Reads the documents of `corpus` that are not stored yet.
pub(super) fn read(
    build: &Build,
    store: &mut Store,
    corpus: &[Document],
    call: &mut Call,
) -> Result<Built, MagicError> {
    let (endpoint, model) = call.session.models.find(build.model.as_deref())?;
    let run = format!(
        "kg {} {}",
        build.name,
        chrono::Local::now().format("%Y-%m-%d %H:%M:%S")
    );
    let mut pattern = models::call(
        endpoint,
        &model,
        Vec::new(),
        call.session.models.about(&run),
        build.timeout,
    );
    pattern.class = Class::Batch;
    pattern.stream = false;
    pattern.reuse = true;
    pattern.temperature = Some(0.0);
    pattern.max_tokens = Some(build.max_tokens);
    if build.prompt == Prompt::Short {
        pattern.schema = Some(Schema {
            name: "triples".to_owned(),
            schema: statement::schema(),
        });
    }
    if let Some(n) = build.concurrency {
        pattern.endpoint.concurrency = n;
    }
    let beside = if build.clauses { " with clauses" } else { "" };
    let prompt = build
        .prompt
        .to_possible_value()
        .map_or(String::new(), |value| value.get_name().to_owned());
    let method = format!(
        "model {model}, prompt {prompt}, {} words{beside} {}",
        build.words,
        env!("CARGO_PKG_VERSION")
    );
    let pending = store.pending(corpus, &method);
    let skipped = corpus.len() - pending.len();
    let mut work = Work::new(build, pattern, method, pending);
    work.preview(call)?;
    store.begin_run(&work.method, corpus.len(), skipped)?;
    work.run(store, call)?;
    if let Some(error) = work.stopped.take() {
        return Err(error);
    }
    Ok(Built {
        added: work.added,
        skipped,
        table: work.table(),
    })
}

impl<'a> Work<'a> {
    fn new(
        build: &'a Build,
        pattern: ModelCall,
        method: String,
        pending: Vec<&'a Document>,
    ) -> Work<'a> {
        let waiting: Vec<Waiting<'_>> = pending
            .into_iter()
            .map(|document| {
                let passages = statement::passages(document, build.words);
                Waiting {
                    document,
                    left: passages.len(),
                    passages,
                    failed: 0,
                    statements: Vec::new(),
                }
            })
            .collect();
        let tasks: VecDeque<Task> = waiting
            .iter()
            .enumerate()
            .flat_map(|(document, one)| {
                (0..one.passages.len()).map(move |passage| Task {
                    document,
                    passage,
                    tries: 0,
                })
            })
            .collect();
        // A document without a sentence is done before anything is asked.
        let ready = (0..waiting.len())
            .filter(|&i| waiting[i].left == 0)
            .collect();
        Work {
            build,
            pattern,
            method,
            n_passages: tasks.len(),
            waiting,
            tasks: RefCell::new(tasks),
            ready,
            committed: Instant::now(),
            tally: Tally::default(),
            finished: 0,
            added: 0,
            stopped: None,
        }
    }

    /// The question about a passage.
    fn question(&self, task: &Task) -> ModelCall {
        let one = &self.waiting[task.document];
        let text = &one.passages[task.passage].text;
        let mut question = self.pattern.clone();
        question.messages = self.build.prompt.messages(text, self.build.most);
        if task.tries > 0 {
            // The same question would have the same answer.
            question.temperature = Some(0.3);
        }
        question.about.chunk = format!("{}/{}", one.document.id, task.passage);
        question
    }

    fn run(&mut self, store: &mut Store, call: &mut Call) -> Result<(), MagicError> {
        let client = call.session.models.client()?;
        let cancel = call.cancel.clone();
        let progress = call.progress;
        let total = self.n_passages;
        let mut failure: Option<MagicError> = None;
        {
            let this = RefCell::new(&mut *self);
            let next = || {
                let this = this.borrow();
                let task = this.tasks.borrow_mut().pop_front()?;
                let question = this.question(&task);
                Some((task, question))
            };
            let mut each = |task: Task, answer: Result<Answer, LlmError>| {
                let mut this = this.borrow_mut();
                let goes_on = this.take(&client, &task, answer);
                let title = this.waiting[task.document].document.title.clone();
                let spent = this.tally.usd;
                let what = if spent > 0.0 {
                    format!("{} · {title}", dollars(spent))
                } else {
                    title
                };
                progress.report(this.finished, total, &what);
                if this.committed.elapsed() >= COMMIT_AFTER
                    && let Err(error) = this.commit(store)
                {
                    failure = Some(error);
                    return false;
                }
                goes_on
            };
            client.ask_many(std::iter::from_fn(next), &|| cancel.is_raised(), &mut each);
        }
        // What is finished is stored, whatever ended the work.
        self.commit(store)?;
        if let Some(error) = failure {
            return Err(error);
        }
        if self.stopped.is_none() && cancel.is_raised() {
            self.stopped = Some(MagicError::new(
                ErrorKind::Interrupted,
                self.so_far("stopped"),
            ));
        }
        if let Some(error) = self.stopped.take() {
            let hint = format!(
                "{}what is done is kept, also single answers; run the cell again to go on from there",
                if error.hint.is_empty() {
                    String::new()
                } else {
                    format!("{}; ", error.hint)
                }
            );
            self.stopped = Some(error.with_hint(hint));
        }
        Ok(())
    }

    fn so_far(&self, how: &str) -> String {
        let mut out = format!(
            "{how} after {} of {} passages",
            self.finished, self.n_passages
        );
        if self.tally.usd > 0.0 {
            // Writing to a string cannot fail.
            let _ = write!(out, ", {} spent", dollars(self.tally.usd));
        }
        out
    }

    /// Takes an answer; says whether more is to be sent.
    fn take(
        &mut self,
        client: &mlk8s_llm::Client,
        task: &Task,
        answer: Result<Answer, LlmError>,
    ) -> bool {
        let answer = match answer {
            Ok(answer) => answer,
            Err(
                error @ (LlmError::Budget { .. } | LlmError::NoPrice { .. } | LlmError::Cancelled),
            ) => {
                if self.stopped.is_none() && !matches!(error, LlmError::Cancelled) {
                    let mut stopped = MagicError::from(error);
                    stopped.message = format!("{}; {}", self.so_far("stopped"), stopped.message);
                    self.stopped = Some(stopped);
                }
                return false;
            }
            // Nothing that is asked of a server that refuses everybody will be answered.
            Err(
                error @ (LlmError::Refused {
                    status: 401 | 403 | 404,
                    ..
                }
                | LlmError::NoKey { .. }
                | LlmError::Ledger { .. }),
            ) => {
                self.stopped.get_or_insert_with(|| MagicError::from(error));
                return false;
            }
            Err(error) => {
                self.finish(task, None);
                *self.tally.failed.entry(error.to_string()).or_default() += 1;
                return true;
            }
        };
        self.tally.usd += answer.usd.unwrap_or(0.0);
        self.tally.tokens += answer.usage.prompt + answer.usage.completion;
        self.tally.from_cache += usize::from(answer.reused);
        let asked = self.question(task);
        let question = asked.messages.last().map_or("", |last| &last.content);
        let passage = &self.waiting[task.document].passages[task.passage].text;
        let reading = reading::read(self.build.prompt, question, passage, &answer.text);
        let is_cut = answer.finish_reason == "length";
        if !reading.is_list && task.tries < AGAIN {
            client.forget(&asked);
            self.tally.asked_again += 1;
            self.tasks.borrow_mut().push_front(Task {
                tries: task.tries + 1,
                ..*task
            });
            return true;
        }
        self.tally.cut += usize::from(is_cut);
        self.tally.count(&reading);
        if !reading.is_list {
            *self
                .tally
                .failed
                .entry("the answer is no list of triples".to_owned())
                .or_default() += 1;
            self.finish(task, None);
            return true;
        }
        if reading.statements.is_empty() {
            self.tally.empty += 1;
        } else {
            self.tally.done += 1;
        }
        self.finish(task, Some(reading.statements));
        true
    }

    fn finish(&mut self, task: &Task, statements: Option<Vec<Statement>>) {
        self.finished += 1;
        let one = &mut self.waiting[task.document];
        one.left -= 1;
        match statements {
            Some(statements) => {
                let sentences = one.passages[task.passage].sentences.clone();
                one.statements.push((sentences, statements));
            }
            None => one.failed += 1,
        }
        if one.left == 0 {
            self.ready.push(task.document);
        }
    }

    /// Stores the documents whose passages are all answered.
    fn commit(&mut self, store: &mut Store) -> Result<(), MagicError> {
        self.committed = Instant::now();
        let ready = std::mem::take(&mut self.ready);
        if ready.is_empty() {
            return Ok(());
        }
        let stated: Vec<Stated<'_>> = ready
            .iter()
            .map(|&i| {
                let one = &mut self.waiting[i];
                let mut statements = std::mem::take(&mut one.statements);
                // In the order of the text, whatever the order of the answers: the same graph each time.
                statements.sort_by_key(|(sentences, _)| sentences.start);
                Stated {
                    document: one.document,
                    statements,
                    is_complete: one.failed == 0,
                }
            })
            .collect();
        let support = store.add_stated(&stated, &self.method, self.build.clauses)?;
        self.added += ready.len();
        self.tally.support.supported += support.supported;
        self.tally.support.unsupported += support.unsupported;
        Ok(())
    }
}
