//! `%%compare`: the same question to several models, side by side.

use clap::Parser;
use mlk8s_llm::Piece;
use mlk8s_llm::call::{Answer, Call as ModelCall, Role};

use super::ask::{dollars, footer, message, question, reply, without_answer};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::models;
use crate::view::{Column, ReplyView, Table, ToView, View};

/// Ask several models the question in the cell, side by side
#[derive(Debug, Parser)]
pub(super) struct Compare {
    /// The models: MODEL, MODEL@ENDPOINT or @ENDPOINT
    #[arg(required = true, num_args = 1..)]
    models: Vec<String>,
    /// Instructions for the models
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Randomness, 0 for none
    #[arg(long, value_name = "N", default_value = "0")]
    temperature: f32,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value = "1024")]
    max_tokens: u32,
    /// Seconds that an answer may take
    #[arg(long, value_name = "S", default_value = "600")]
    timeout: u64,
}

/// What each of them said.
pub(super) struct Compared(View);

impl Magic for Compare {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%%compare --help\nWhat is a knowledge graph?",
        about: "what can be typed; two models of two servers: `%%compare small@house gpt-5-nano@openai`",
        shows: "side by side",
    }];
    type Outcome = Compared;

    fn run(self, call: &mut Call) -> Result<Compared, MagicError> {
        let question = question(call)?;
        let mut wanted = Vec::new();
        for name in &self.models {
            let (endpoint, model) = call.session.models.find(Some(name))?;
            let system = self.system.iter().map(|text| message(Role::System, text));
            let messages = system.chain([message(Role::User, &question)]).collect();
            let about = call.session.models.about("");
            let mut one = models::call(endpoint, &model, messages, about, self.timeout);
            one.temperature = Some(self.temperature);
            one.max_tokens = Some(self.max_tokens);
            wanted.push(one);
        }
        let client = call.session.models.client()?;
        let cancel = call.cancel.clone();
        let stop = || cancel.is_raised();
        let hear = |_: Piece<'_>| {};
        let answers: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = wanted
                .iter()
                .map(|one| scope.spawn(|| client.ask(one, &stop, &hear)))
                .collect();
            asked
                .into_iter()
                .map(|answer| answer.join().unwrap_or(Err(mlk8s_llm::LlmError::Cancelled)))
                .collect()
        });
        if answers.iter().all(Result::is_err) {
            let failed = answers.into_iter().find_map(Result::err);
            let nobody = MagicError::new(ErrorKind::Endpoint, "nobody answered");
            return Err(failed.map_or(nobody, MagicError::from));
        }
        let done = answers.iter().filter_map(|answer| answer.as_ref().ok());
        let ids: Vec<String> = done.map(|answer| answer.id.clone()).collect();
        call.session.models.answered.extend(ids);
        let rows = wanted
            .iter()
            .zip(&answers)
            .map(|(one, answer)| row(one, answer));
        let table = Table {
            columns: vec![
                Column::text("model"),
                Column::number("first token"),
                Column::number("all"),
                Column::number("tokens/s"),
                Column::number("tokens"),
                Column::number("cost"),
                Column::text("end"),
            ],
            rows: rows.collect(),
            ..Table::default()
        };
        let replies = wanted
            .iter()
            .zip(&answers)
            .map(|(one, answer)| view(one, answer));
        Ok(Compared(View::Stack(vec![
            View::Replies(replies.collect()),
            View::Table(table),
        ])))
    }
}

fn name(one: &ModelCall) -> String {
    format!("{}@{}", one.model, one.endpoint.name)
}

fn row(one: &ModelCall, answer: &Result<Answer, mlk8s_llm::LlmError>) -> Vec<String> {
    let seconds = |time: std::time::Duration| format!("{:.2} s", time.as_secs_f64());
    match answer {
        Ok(answer) => vec![
            name(one),
            seconds(answer.first),
            seconds(answer.total),
            answer
                .rate()
                .map_or_else(String::new, |rate| format!("{rate:.0}")),
            format!("{} + {}", answer.usage.prompt, answer.usage.completion),
            match answer.usd {
                Some(usd) => dollars(usd),
                None if one.endpoint.local => "by the hour".to_owned(),
                None => "unknown".to_owned(),
            },
            answer.finish_reason.clone(),
        ],
        Err(error) => {
            let nothing = String::new;
            vec![
                name(one),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                // A cell of a table has no code.
                error.to_string().replace('`', ""),
            ]
        }
    }
}

fn view(one: &ModelCall, answer: &Result<Answer, mlk8s_llm::LlmError>) -> ReplyView {
    match answer {
        Ok(answer) => ReplyView {
            title: name(one),
            footer: footer(one, answer),
            ..reply(one, answer)
        },
        Err(error) => ReplyView {
            title: name(one),
            ..without_answer(error.to_string(), error.hint())
        },
    }
}

impl ToView for Compared {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}
