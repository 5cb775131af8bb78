//! `%rate`: marks on answers, for whoever wants to learn from them.

use clap::Parser;

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{ToView, View};

/// Mark an answer, from 1 for bad to 5 for good
#[derive(Debug, Parser)]
pub(super) struct Rate {
    /// The answer: `last`, or the number that `%prompts` shows
    answer: String,
    /// The mark
    #[arg(value_parser = clap::value_parser!(i64).range(1..=5))]
    mark: i64,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

/// What was marked.
pub(super) struct Marked(String);

impl Magic for Rate {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%rate --help",
        about: "what can be typed; the last answer was good: `%rate last 5`",
        shows: "Mark an answer",
    }];
    type Outcome = Marked;

    fn run(self, call: &mut Call) -> Result<Marked, MagicError> {
        let id = if self.answer == "last" {
            call.session
                .models
                .answered
                .last()
                .cloned()
                .ok_or_else(|| {
                    MagicError::new(ErrorKind::NotFound, "no model has answered in this session")
                        .with_hint("`%prompts` shows earlier answers with their numbers")
                })?
        } else {
            self.answer.clone()
        };
        let (mark, comment, wanted) = (self.mark, self.comment.clone(), id.clone());
        let client = call.session.models.client()?;
        let found = client.ledger(move |ledger| ledger.mark(&wanted, mark, &comment))?;
        if !found {
            let message = format!("no call has the number `{id}`");
            return Err(MagicError::new(ErrorKind::NotFound, message).with_hint(
                "`%prompts` shows calls with their numbers; `last` is the last answer",
            ));
        }
        Ok(Marked(format!("marked with {mark}: {id}")))
    }
}

impl ToView for Marked {
    fn to_view(&self) -> View {
        View::Text(self.0.clone())
    }
}
