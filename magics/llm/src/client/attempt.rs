//! The attempts of one call: each waits at the gate, is set down in the ledger, is sent, and is settled.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Learnt, Piece, Shared};
use crate::call::{Answer, Call, Form, Usage};
use crate::endpoint::{Endpoint, Urgency};
use crate::error::LlmError;
use crate::failure::{Cause, Failure};
use crate::http::{self, Reply};
use crate::row::{Class, Row, Status};

/// Attempts of a call that somebody waits for, and of one of many.
const ATTEMPTS: [u32; 2] = [4, 8];
/// Pause before the second attempt; it doubles with each.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause of our own choice.
const LONGEST: Duration = Duration::from_secs(20);
/// The longest pause that the server may ask for while somebody waits, and of a call of many.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_mins(5)];

impl Shared {
    /// Sends `call` until it is answered or there is no sense in it any more.
    pub(super) async fn attempts(
        &self,
        call: &Call,
        on_piece: &(dyn Fn(Piece<'_>) + Sync),
    ) -> Result<Answer, LlmError> {
        let wished = Instant::now();
        let (worst, tokens) = (self.worst_case(call), counted(call));
        let key = call.endpoint.key()?;
        let url = format!("{}/{}", call.endpoint.url, call.kind.path());
        let gate = self.gate(&call.endpoint);
        let class = usize::from(call.class == Class::Batch);
        let mut attempt = 1;
        loop {
            let pass = gate.enter(call.class).await;
            let learnt = self.learnt(call);
            let body = call.body(learnt.form, learnt.usage_in_stream, tokens);
            let mut row = self.new_row(call, &call.told(&body), attempt, wished);
            row.reserved_usd = worst.unwrap_or(0.0);
            let (begun, limits) = (row.clone(), self.limits(call, worst)?);
            self.desk
                .ask(move |ledger| ledger.begin(&begun, &limits))
                .await?;
            let open = OpenRow::new(self, call, row);
            let on_text = |text: &str| {
                open.hear(text);
                on_piece(Piece::Text(text));
            };
            let sent = http::post(
                &self.http,
                &url,
                key.as_ref(),
                &body,
                call.timeout,
                &on_text,
            )
            .await;
            drop(pass);
            let failure = match sent {
                Ok(reply) => {
                    gate.answered(reply.total);
                    return Ok(open.settle(reply, wished, attempt));
                }
                Err(failure) => failure,
            };
            open.fail(&failure);
            if let Some(less) = without(call, learnt, &failure) {
                self.learn(call, less);
                continue;
            }
            if !call.endpoint.is_there() {
                return Err(LlmError::Ended {
                    endpoint: call.endpoint.name.clone(),
                });
            }
            let pause = pause(attempt, failure.wait);
            if failure.is_overload() {
                gate.overloaded(failure.wait.unwrap_or(pause).min(LONGEST));
            }
            if !failure.passes() || attempt >= ATTEMPTS[class] || pause > PATIENCE[class] {
                return Err(error(&call.endpoint, call.timeout, failure));
            }
            if !failure.text.is_empty() {
                on_piece(Piece::Again);
            }
            super::pass(pause).await;
            attempt += 1;
        }
    }

    fn new_row(&self, call: &Call, request: &str, attempt: u32, wished: Instant) -> Row {
        Row {
            id: Uuid::now_v7().to_string(),
            at: chrono::Utc::now().timestamp_millis(),
            user: call.about.user.clone(),
            session: call.about.session.clone(),
            cell: call.about.cell,
            run: call.about.run.clone(),
            chunk: call.about.chunk.clone(),
            class: call.class,
            endpoint: call.endpoint.name.clone(),
            model: call.model.clone(),
            kind: call.kind.name().to_owned(),
            request: self.text(request),
            attempt: i64::from(attempt),
            queue_ms: milliseconds(wished.elapsed()),
            max_tokens: call.max_tokens.map_or(0, i64::from),
            price_list: self
                .price(call)
                .map_or_else(String::new, |(_, list)| list.to_owned()),
            ..Row::default()
        }
    }

    /// The response as the ledger has it; vectors say nothing to a reader and are left out.
    fn response(&self, call: &Call, text: &str, answer: &Answer) -> String {
        let text = if call.kind.makes_vectors() { "" } else { text };
        self.text(&response(text, &answer.finish_reason, answer.usage))
    }

    /// `text`, unless texts are left out of the ledger.
    fn text(&self, text: &str) -> String {
        if self.places.redact {
            String::new()
        } else {
            text.to_owned()
        }
    }

    /// Sets down that an earlier answer was used.
    pub(super) async fn note_reuse(&self, call: &Call, known: Answer) -> Result<Answer, LlmError> {
        let request = call.told(&call.body(Form::JsonSchema, true, 0));
        let row = Row {
            status: Status::Cached,
            response: self.response(call, &known.text, &known),
            finish_reason: known.finish_reason.clone(),
            prompt_tokens: signed(known.usage.prompt),
            completion_tokens: signed(known.usage.completion),
            counted_by: known.counted_by.clone(),
            ..self.new_row(call, &request, 1, Instant::now())
        };
        let answer = Answer {
            id: row.id.clone(),
            usd: known.usd.map(|_| 0.0),
            reused: true,
            queued: Duration::ZERO,
            first: Duration::ZERO,
            total: Duration::ZERO,
            attempts: 0,
            ..known
        };
        self.desk.ask(move |ledger| ledger.end(&row)).await?;
        Ok(answer)
    }
}

/// Tokens of the request, where the server's limit counts them.
fn counted(call: &Call) -> usize {
    if call.endpoint.total_max_tokens {
        Shared::tokens(call)
    } else {
        0
    }
}

/// A row whose call is under way. When it is dropped before it is settled, the call was stopped.
struct OpenRow<'a> {
    shared: &'a Shared,
    call: &'a Call,
    row: Mutex<Option<Row>>,
    /// What came of the text.
    text: Mutex<String>,
    sent: Instant,
}

impl<'a> OpenRow<'a> {
    fn new(shared: &'a Shared, call: &'a Call, row: Row) -> OpenRow<'a> {
        OpenRow {
            shared,
            call,
            row: Mutex::new(Some(row)),
            text: Mutex::default(),
            sent: Instant::now(),
        }
    }

    fn hear(&self, text: &str) {
        let mut heard = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_str(text);
    }

    fn take(&self) -> Option<Row> {
        self.row
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// What `usage` costs.
    fn usd(&self, usage: Usage) -> Option<f64> {
        let cheap =
            self.call.endpoint.urgency == Urgency::ServiceTier && self.call.class == Class::Batch;
        self.shared
            .price(self.call)
            .map(|(price, _)| crate::price::cost(price, &usage, cheap))
    }

    /// What the server counted, or, when it counted nothing, what we do.
    fn usage(&self, counted: Option<Usage>, text: &str) -> (Usage, String) {
        if let Some(usage) = counted.filter(|usage| usage.prompt + usage.completion > 0) {
            return (usage, "server".to_owned());
        }
        // Vectors are no tokens, though they come as a text.
        let text = if self.call.kind.makes_vectors() {
            ""
        } else {
            text
        };
        let (completion, encoding) = crate::count::tokens(&self.call.model, text);
        let usage = Usage {
            prompt: Shared::tokens(self.call) as u64,
            cached: 0,
            completion: completion as u64,
        };
        (usage, encoding.to_owned())
    }

    fn write(&self, row: Row) {
        self.shared.desk.end(row);
    }

    fn settle(&self, reply: Reply, wished: Instant, attempts: u32) -> Answer {
        let (usage, counted_by) = self.usage(reply.usage, &reply.text);
        let usd = self.usd(usage);
        let mut answer = Answer {
            finish_reason: reply.finish_reason,
            usage,
            counted_by,
            usd,
            queued: wished.elapsed().saturating_sub(reply.total),
            first: reply.first,
            total: reply.total,
            attempts,
            truncated: reply.truncated,
            ..Answer::default()
        };
        if let Some(row) = self.take() {
            answer.id.clone_from(&row.id);
            self.write(Row {
                status: Status::Done,
                response: self.shared.response(self.call, &reply.text, &answer),
                finish_reason: answer.finish_reason.clone(),
                first_ms: milliseconds(reply.first),
                total_ms: milliseconds(reply.total),
                prompt_tokens: signed(usage.prompt),
                cached_tokens: signed(usage.cached),
                completion_tokens: signed(usage.completion),
                counted_by: answer.counted_by.clone(),
                paid_usd: usd.unwrap_or(0.0),
                ..row
            });
        }
        answer.text = reply.text;
        answer
    }

    /// Sets down a failure; what had come of the answer is paid for.
    fn fail(&self, failure: &Failure) {
        let cause = match failure.cause {
            Cause::Status(status) => status.to_string(),
            Cause::Connection => "no connection".to_owned(),
            Cause::Timeout => "too slow".to_owned(),
            Cause::Garbled => "no answer".to_owned(),
        };
        let error = format!("{cause}: {}", failure.message);
        self.end(Status::Failed, &failure.text, error);
    }

    fn end(&self, status: Status, text: &str, error: String) {
        let Some(row) = self.take() else { return };
        let mut row = Row {
            status,
            error,
            total_ms: milliseconds(self.sent.elapsed()),
            response: self.shared.text(text),
            ..row
        };
        if !text.is_empty() {
            let (usage, counted_by) = self.usage(None, text);
            row.prompt_tokens = signed(usage.prompt);
            row.completion_tokens = signed(usage.completion);
            row.counted_by = counted_by;
            row.paid_usd = self.usd(usage).unwrap_or(0.0);
        }
        self.write(row);
    }
}

impl Drop for OpenRow<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut *self.text.lock().unwrap_or_else(PoisonError::into_inner));
        self.end(Status::Stopped, &text, String::new());
    }
}

/// The response as the protocol has it, for whoever reads the ledger with other tools.
fn response(text: &str, finish_reason: &str, usage: Usage) -> String {
    serde_json::json!({
        "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": finish_reason }],
        "usage": {
            "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
        },
    })
    .to_string()
}

/// What to do without when the server does not know a field of the request.
fn without(call: &Call, learnt: Learnt, failure: &Failure) -> Option<Learnt> {
    if !matches!(failure.cause, Cause::Status(400 | 404 | 415 | 422 | 501)) {
        return None;
    }
    let message = failure.message.to_lowercase();
    if learnt.usage_in_stream && call.stream && message.contains("stream_options") {
        return Some(Learnt {
            usage_in_stream: false,
            ..learnt
        });
    }
    let about_form = [
        "response_format",
        "json_schema",
        "json_object",
        "schema",
        "grammar",
    ];
    if call.schema.is_none() || !about_form.iter().any(|word| message.contains(word)) {
        return None;
    }
    let form = match learnt.form {
        Form::JsonSchema => Form::JsonObject,
        Form::JsonObject => Form::Free,
        Form::Free => return None,
    };
    Some(Learnt { form, ..learnt })
}

/// How long to wait after `attempt` attempts; by chance, so that many that failed together do not come back together.
fn pause(attempt: u32, wanted: Option<Duration>) -> Duration {
    let own = PAUSE
        .saturating_mul(1 << (attempt - 1).min(10))
        .min(LONGEST);
    let own = own.mul_f64(0.5 + fastrand::f64() / 2.0);
    wanted.map_or(own, |wanted| wanted + own.mul_f64(0.1))
}

pub(super) fn error(endpoint: &Endpoint, timeout: Duration, failure: Failure) -> LlmError {
    let endpoint_name = endpoint.name.clone();
    match failure.cause {
        Cause::Status(status) => LlmError::Refused {
            endpoint: endpoint_name,
            status,
            message: failure.message,
        },
        Cause::Connection => LlmError::Unreachable {
            endpoint: endpoint_name,
            url: endpoint.url.clone(),
            why: failure.message,
        },
        Cause::Timeout => LlmError::Timeout {
            endpoint: endpoint_name,
            seconds: timeout.as_secs(),
        },
        Cause::Garbled => LlmError::Garbled {
            endpoint: endpoint_name,
            why: format!("`{}`", failure.message),
        },
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
