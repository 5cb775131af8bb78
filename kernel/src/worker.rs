//! The thread that owns the session: takes cells one after the other and runs their segments.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use mlk8s_catalog::ALL;
use mlk8s_catalog::call::{Call, Cancel};
use mlk8s_catalog::error::{ErrorKind, MagicError};
use mlk8s_catalog::magic::{Entry, Form};
use mlk8s_catalog::session::Session;
use mlk8s_catalog::view::View;
use serde_json::{Map, Value, json};

use crate::cell::{self, Segment};
use crate::display;
use crate::handler::execute::ExecuteRequest;
use crate::handler::inspect;
use crate::kernel::{self, Kernel, locked};
use crate::language::{Failure, Sink as _};
use crate::outbox::{Origin, object};
use crate::reporter::{CellOutput, Reporter};
use crate::value;
use crate::wire::Object;

/// A cell that is to be run.
pub(crate) struct Execution {
    /// Who asked.
    pub(crate) origin: Origin,
    /// What for.
    pub(crate) request: ExecuteRequest,
}

/// Runs cells.
pub(crate) struct Worker {
    kernel: Arc<Kernel>,
    session: Session,
    /// Number of the latest cell that counts.
    count: i64,
}

/// What a segment yields.
enum Yield {
    Nothing,
    /// Something to show below the cell.
    Shown(Object),
    /// Something to show beside the notebook.
    Page(Object),
}

/// One cell while it runs.
struct Running<'a> {
    origin: &'a Origin,
    request: &'a ExecuteRequest,
    cancel: Cancel,
    pages: Vec<Value>,
    /// Text of the result, for the history.
    output: Option<String>,
}

/// Whether an answer means yes; nothing does not.
fn is_yes(answer: Option<&str>) -> bool {
    answer.is_some_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

impl Worker {
    /// A worker on `session`.
    pub(crate) fn new(kernel: Arc<Kernel>, session: Session) -> Worker {
        Worker {
            kernel,
            session,
            count: 0,
        }
    }

    /// Runs `cells` as they come.
    pub(crate) fn run(mut self, cells: &Receiver<Execution>) {
        for execution in cells {
            let kernel = Arc::clone(&self.kernel);
            let mut refused = Vec::new();
            kernel.attend(&execution.origin, || {
                let content = self.execute(&execution);
                let failed = content
                    .get("status")
                    .is_some_and(|status| status == "error");
                if failed && execution.request.stop_on_error {
                    // Before the answer: a cell that comes after it is a new beginning.
                    refused.extend(cells.try_iter());
                }
                kernel.outbox.reply(&execution.origin, content);
            });
            self.abort(refused);
        }
    }

    /// Refuses cells that waited behind one that failed.
    fn abort(&self, refused: Vec<Execution>) {
        for Execution { origin, .. } in refused {
            self.kernel.answer(&origin, || {
                let mut content = kernel::failure("Aborted", "a cell before this one failed", &[]);
                content.insert("execution_count".to_owned(), self.count.into());
                content
            });
        }
    }

    fn execute(&mut self, execution: &Execution) -> Object {
        let Execution { origin, request } = execution;
        // Before anything is heard of the cell: whoever has seen that it runs can stop it.
        let cancel = Cancel::default();
        *locked(&self.kernel.running) = Some(cancel.clone());
        if request.counts() {
            self.count += 1;
        }
        if !request.silent {
            let content = json!({ "code": request.code, "execution_count": self.count });
            self.kernel
                .outbox
                .publish("execute_input", &origin.header, object(content));
        }
        if request.counts() {
            let (line, code) = (self.count, request.code.clone());
            self.kernel.keep(move |history| history.keep(line, &code));
        }
        let mut running = Running {
            origin,
            request,
            cancel,
            pages: Vec::new(),
            output: None,
        };
        let done = self.run_segments(&mut running);
        let mut content = match done {
            Ok(()) => self.conclude(&running),
            Err(failure) => {
                let error = json!({ "ename": failure.ename, "evalue": failure.evalue, "traceback": failure.traceback });
                self.kernel
                    .outbox
                    .publish("error", &origin.header, object(error));
                kernel::failure(&failure.ename, &failure.evalue, &failure.traceback)
            }
        };
        *locked(&self.kernel.running) = None;
        content.insert("execution_count".to_owned(), self.count.into());
        content
    }

    fn run_segments(&mut self, running: &mut Running<'_>) -> Result<(), Failure> {
        let segments = cell::split(&running.request.code);
        for (index, segment) in segments.iter().enumerate() {
            if running.cancel.is_raised() {
                return Err(stopped());
            }
            let done = catch_unwind(AssertUnwindSafe(|| self.run_segment(segment, running)));
            self.kernel.set_values(self.session.values().clone());
            if let Some(code) = self.session.take_next_input() {
                running
                    .pages
                    .push(json!({ "source": "set_next_input", "text": code, "replace": false }));
            }
            match done.unwrap_or_else(|_| Err(internal_failure()))? {
                Yield::Nothing => {}
                Yield::Shown(bundle) => self.show(running, &bundle, index + 1 == segments.len()),
                Yield::Page(bundle) => running
                    .pages
                    .push(json!({ "source": "page", "data": bundle, "start": 0 })),
            }
        }
        Ok(())
    }

    fn show(&self, running: &mut Running<'_>, data: &Object, is_last: bool) {
        if running.request.silent || data.is_empty() {
            return;
        }
        let parent = &running.origin.header;
        let mut content = object(json!({ "data": data, "metadata": {}, "transient": {} }));
        if !is_last {
            return self.kernel.outbox.publish("display_data", parent, content);
        }
        running.output = data
            .get("text/plain")
            .and_then(Value::as_str)
            .map(str::to_owned);
        content.insert("execution_count".to_owned(), self.count.into());
        self.kernel
            .outbox
            .publish("execute_result", parent, content);
    }

    fn run_segment(
        &mut self,
        segment: &Segment<'_>,
        running: &Running<'_>,
    ) -> Result<Yield, Failure> {
        match segment {
            Segment::Rust(code) => self.evaluate(code, running).inspect_err(|failure| {
                if failure.ename != "Interrupted" {
                    let error = display::warnings::without_colours(&failure.traceback.join("\n"));
                    self.session.set_failed(code, error);
                }
            }),
            Segment::Line { name, arguments } => {
                self.magic(name, Form::Line, arguments, None, running)
            }
            Segment::Cell {
                name,
                arguments,
                body,
            } => self.magic(name, Form::Cell, arguments, Some(body), running),
            Segment::Misplaced { name } => {
                let message = format!("`%%{name}` must be the first line of its cell");
                let error = MagicError::new(ErrorKind::Usage, message)
                    .with_hint("give it a cell of its own");
                Err(failure_of(&error))
            }
            Segment::MagicHelp { name, verb } => {
                let entry = named(name).map_err(|error| failure_of(&error))?;
                let words: Vec<String> = verb.iter().map(|&verb| verb.to_owned()).collect();
                Ok(Yield::Page(display::bundle(&View::Text(
                    entry.help(&words),
                ))))
            }
            Segment::Help { name, code } => match inspect::find(&self.kernel, name, name.len()) {
                Some(bundle) => Ok(Yield::Page(bundle)),
                None => self.evaluate(code, running),
            },
        }
    }

    fn evaluate(&mut self, code: &str, running: &Running<'_>) -> Result<Yield, Failure> {
        let output = CellOutput::new(&self.kernel, running.origin, running.request);
        let imports = self.session.take_imports();
        let evaluated = self
            .kernel
            .language
            .evaluate(code, &imports, &running.cancel, &output);
        let bundle = evaluated?.bundle;
        Ok(bundle.map_or(Yield::Nothing, Yield::Shown))
    }

    fn magic(
        &mut self,
        name: &str,
        form: Form,
        arguments: &str,
        body: Option<&str>,
        running: &Running<'_>,
    ) -> Result<Yield, Failure> {
        let entry = mlk8s_catalog::find(name, form).map_err(|error| failure_of(&error))?;
        let reporter = Reporter::new(
            &self.kernel.outbox,
            &running.origin.header,
            running.request.silent,
        );
        self.session.set_cell(self.count);
        let kernel = Arc::clone(&self.kernel);
        let output = CellOutput::new(&kernel, running.origin, running.request);
        let confirm = |question: &str| {
            let asks = running.request.allow_stdin;
            asks.then(|| {
                is_yes(
                    output
                        .input(&format!("{question} [y/N] "), false)
                        .as_deref(),
                )
            })
        };
        let variable = |name: &str| value::text(&kernel, name, &running.cancel);
        let handed = self.session.handed();
        let frame = |name: &str| value::frame(&kernel, name, &handed, &running.cancel);
        let frames = || kernel.language.frames().into_keys().collect();
        let mut call = Call {
            session: &mut self.session,
            body,
            cancel: running.cancel.clone(),
            progress: &reporter,
            variable: &variable,
            frame: &frame,
            frames: &frames,
            confirm: &confirm,
            // What runs notebooks by themselves answers no questions.
            is_watched: running.request.allow_stdin,
        };
        let result = entry.run(arguments, &mut call);
        reporter.finish(result.is_ok());
        let view = result.map_err(|error| failure_of(&error))?;
        let bundle = display::bundle(&view);
        Ok(if bundle.is_empty() {
            Yield::Nothing
        } else {
            Yield::Shown(bundle)
        })
    }

    /// The reply to a cell that succeeded.
    fn conclude(&mut self, running: &Running<'_>) -> Object {
        if let Some(output) = running.output.clone().filter(|_| running.request.counts()) {
            let line = self.count;
            self.kernel
                .keep(move |history| history.keep_output(line, &output));
        }
        let expressions: Map<String, Value> = running
            .request
            .user_expressions
            .iter()
            .map(|(name, code)| (name.clone(), self.expression(code, running).into()))
            .collect();
        object(json!({ "status": "ok", "user_expressions": expressions, "payload": running.pages }))
    }

    fn expression(&mut self, code: &Value, running: &Running<'_>) -> Object {
        let evaluated = match code.as_str() {
            Some(code) => self.evaluate(code, running),
            None => Err(Failure::new(
                "TypeError",
                "an expression must be a text",
                "",
            )),
        };
        match evaluated {
            Ok(Yield::Shown(data)) => {
                object(json!({ "status": "ok", "data": data, "metadata": {} }))
            }
            Ok(_) => object(json!({ "status": "ok", "data": {}, "metadata": {} })),
            Err(failure) => kernel::failure(&failure.ename, &failure.evalue, &failure.traceback),
        }
    }
}

/// The magic called `name`, however it is typed.
pub(crate) fn named(name: &str) -> Result<&'static Entry, MagicError> {
    match ALL.iter().find(|entry| entry.name == name) {
        Some(entry) => Ok(entry),
        None => mlk8s_catalog::find(name, Form::Line),
    }
}

fn failure_of(error: &MagicError) -> Failure {
    let display::error::Report {
        ename,
        evalue,
        traceback,
    } = display::error::report(error);
    Failure::with_report(ename, evalue, traceback)
}

fn stopped() -> Failure {
    failure_of(&MagicError::new(
        ErrorKind::Interrupted,
        "the cell was stopped",
    ))
}

fn internal_failure() -> Failure {
    let error = MagicError::new(
        ErrorKind::Internal,
        "the magic made a mistake of its own and was ended",
    );
    failure_of(&error.with_hint("the session goes on; the log of the kernel says where"))
}
