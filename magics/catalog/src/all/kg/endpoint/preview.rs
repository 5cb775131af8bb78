//! What a build by a model will take: calls, tokens, cost, time, before it begins.

use std::collections::BTreeSet;
use std::time::Duration;

use mlk8s_llm::call::Call as ModelCall;
use mlk8s_llm::count;
use mlk8s_llm::ledger::Filter;
use mlk8s_llm::row::{Row, Status};

use super::super::super::ask::dollars;
use super::super::super::cost::texts;
use super::{MANY, Work, prompt};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::view::View;

/// Tokens of an answer for each token of text, where nothing is known.
const ANSWER_SHARE: f64 = 1.0;
/// Passages that a model reads first, so that the preview of its first build is more than a guess.
const SAMPLE: usize = 16;
/// Calls of a run from which on its pace says something.
const PACED: usize = 4;

/// What is still to be asked.
struct Open {
    questions: Vec<ModelCall>,
    prompt_tokens: u64,
    text_tokens: u64,
}

/// What earlier answers of a model say about those to come.
#[derive(Default)]
struct Past {
    /// Tokens of an answer for each token of a passage.
    share: Option<f64>,
    /// Share of a question's tokens that the server had from earlier ones.
    cached: f64,
    /// Tokens of a question as the server counts them for each that we count.
    counted: Option<f64>,
    /// Time that a passage of a run takes, many being asked about at once.
    pace: Option<Duration>,
}

impl Work<'_> {
    /// Says what the work will take, and asks whether to go on where that costs something.
    pub(super) fn preview(&self, call: &mut Call) -> Result<(), MagicError> {
        let mut open = self.open(call)?;
        let mut past = self.past(call)?;
        let mut basis = String::new();
        if past.share.is_none() && open.questions.len() >= MANY {
            let n_read = sample(&open, call)?;
            past = self.past(call)?;
            open = self.open(call)?;
            basis = format!(" (judged by {n_read} passages that were read first)");
        }
        if past.share.is_none() {
            " (a first guess: this model has read nothing yet)".clone_into(&mut basis);
        }
        let prompt = open.prompt_tokens as f64 * past.counted.unwrap_or(1.0);
        let usage = mlk8s_llm::price::Usage {
            prompt: prompt as u64,
            cached: (prompt * past.cached) as u64,
            completion: (open.text_tokens as f64 * past.share.unwrap_or(ANSWER_SHARE)) as u64,
        };
        let client = call.session.models.client()?;
        let today = chrono::Local::now().date_naive();
        let price = client.prices().find(&self.pattern.model, today);
        let price = price.filter(|_| !self.pattern.endpoint.local);
        let usd = price.map(|(_, price)| mlk8s_llm::price::cost(price, &usage, false));
        let cost = match usd {
            Some(usd) => format!("about {}", dollars(usd)),
            None if self.pattern.endpoint.local => "paid by the hour".to_owned(),
            None => "price unknown".to_owned(),
        };
        let n_open = open.questions.len();
        let known = self.n_passages - n_open;
        let kept = if known > 0 {
            format!(", {known} answers are here already")
        } else {
            String::new()
        };
        let pace = past.pace.filter(|_| n_open > 0);
        let time = pace.map_or(String::new(), |pace| {
            format!(", about {}", roughly(pace * n_open as u32))
        });
        let words = format!(
            "{} documents, {n_open} calls of {}@{}{kept}: {} tokens of questions, about {} of answers, {cost}{time}{basis}",
            self.waiting.len(),
            self.pattern.model,
            self.pattern.endpoint.name,
            usage.prompt,
            usage.completion
        );
        call.progress.live(&View::Text(words.clone()));
        let costs = usd.is_none_or(|usd| usd > 0.0) && !self.pattern.endpoint.local;
        if costs
            && n_open >= MANY
            && !self.build.yes
            && (call.confirm)(&format!("{words}. Go on?")) == Some(false)
        {
            return Err(MagicError::new(ErrorKind::Interrupted, "no more was sent")
                .with_hint("`--yes` goes on without asking"));
        }
        Ok(())
    }

    /// The questions that have no answer yet.
    fn open(&self, call: &mut Call) -> Result<Open, MagicError> {
        let client = call.session.models.client()?;
        let mut open = Open {
            questions: Vec::new(),
            prompt_tokens: 0,
            text_tokens: 0,
        };
        for task in self.tasks.borrow().iter() {
            if call.cancel.is_raised() {
                return Err(MagicError::new(ErrorKind::Interrupted, "nothing was sent"));
            }
            let question = self.question(task);
            if client.has_answer(&question) {
                continue;
            }
            let passage = &self.waiting[task.document].passages[task.passage].text;
            let prompt = count::messages(&question.model, &question.texts()).0;
            open.prompt_tokens += prompt as u64;
            open.text_tokens += count::tokens(&question.model, passage).0 as u64;
            open.questions.push(question);
        }
        Ok(open)
    }

    /// What this model's latest answers to questions about passages say.
    fn past(&self, call: &mut Call) -> Result<Past, MagicError> {
        let client = call.session.models.client()?;
        let filter = Filter {
            model: Some(self.pattern.model.clone()),
            limit: Some(200),
            newest_first: true,
            ..Filter::default()
        };
        let mut rows = client.ledger(move |ledger| ledger.rows(&filter))?;
        rows.retain(|row| row.run.starts_with("kg ") && row.status == Status::Done);
        let (mut text, mut answer) = (0.0, 0.0);
        let (mut ours, mut theirs) = (0.0, 0.0);
        for row in &rows {
            let (said, _) = texts(row);
            if let Some((_, question)) = said.last() {
                text += count::tokens(&row.model, prompt::passage(question)).0 as f64;
                answer += row.completion_tokens as f64;
                let said: Vec<(&str, &str)> = said
                    .iter()
                    .map(|(role, text)| (role.as_str(), text.as_str()))
                    .collect();
                ours += count::messages(&row.model, &said).0 as f64;
                theirs += row.prompt_tokens as f64;
            }
        }
        // The first questions of all have nothing before them.
        let later = &rows[..rows.len().div_ceil(2)];
        let sum = |take: fn(&Row) -> i64| later.iter().map(take).sum::<i64>() as f64;
        Ok(Past {
            cached: sum(|row| row.cached_tokens) / sum(|row| row.prompt_tokens).max(1.0),
            share: (text > 0.0).then(|| answer / text),
            counted: (ours > 0.0).then(|| theirs / ours),
            pace: pace(&rows),
        })
    }
}

/// Has some passages read, evenly spread; their answers are kept and not asked for again.
fn sample(open: &Open, call: &mut Call) -> Result<usize, MagicError> {
    let client = call.session.models.client()?;
    let wanted = (open.questions.len() / MANY).clamp(4, SAMPLE);
    let chosen = spread(wanted, open.questions.len());
    let chosen = chosen.into_iter().map(|at| &open.questions[at]);
    let (cancel, progress) = (call.cancel.clone(), call.progress);
    let mut n_read = 0;
    // A failure is met again, and told, when the work itself begins.
    client.ask_many(
        chosen.map(|question| ((), question.clone())),
        &|| cancel.is_raised(),
        &mut |(), answer| {
            n_read += usize::from(answer.is_ok());
            progress.report(n_read, wanted, "passages read for a preview");
            answer.is_ok()
        },
    );
    if cancel.is_raised() {
        let message = format!("stopped after {n_read} passages that were read for a preview");
        return Err(
            MagicError::new(ErrorKind::Interrupted, message).with_hint("their answers are kept")
        );
    }
    Ok(n_read)
}

/// Some of `n` places, evenly spread but in no step that documents might have, too (by the golden ratio).
fn spread(wanted: usize, n: usize) -> BTreeSet<usize> {
    let place = |at: usize| ((at as f64 * 0.618_033_988_75).fract() * n as f64) as usize;
    (0..wanted).map(place).collect()
}

/// Time that a call of the latest run took on average, with as many at once as there were.
fn pace(rows: &[Row]) -> Option<Duration> {
    let latest = &rows.first()?.run;
    let run: Vec<&Row> = rows.iter().filter(|row| row.run == *latest).collect();
    let begin = run.iter().map(|row| row.at).min()?;
    let end = run.iter().map(|row| row.at + row.total_ms).max()?;
    let took = Duration::from_millis(u64::try_from(end - begin).ok()?);
    (run.len() >= PACED).then(|| took / run.len() as u32)
}

/// A duration in words that promise no more than they know.
fn roughly(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 90.0 {
        format!("{:.0} s", s.max(1.0))
    } else if s < 90.0 * 60.0 {
        format!("{:.0} min", s / 60.0)
    } else {
        format!("{:.1} h", s / 3600.0)
    }
}
