//! `%rate`: marks on answers and triples, for whoever wants to learn from them.

use clap::Parser;

use super::kg::marks;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::view::{ToView, View};

/// Digits of the end of a number that mean a call: fewer are a slip, such as the row of a table.
const LEAST: usize = 6;

/// Mark an answer or a triple, from 1 for bad to 5 for good
#[derive(Debug, Parser)]
pub(super) struct Rate {
    /// The answer: `last`, or the number that `%prompts` shows, whole or its last six digits or more; with `--kg` the row of a triple in the frame of triples
    answer: String,
    /// The mark
    #[arg(value_parser = clap::value_parser!(i64).range(1..=5))]
    mark: i64,
    /// The graph whose triple is marked
    #[arg(long, value_name = "NAME")]
    kg: Option<ValueName>,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

/// What was marked.
pub(super) struct Marked(String);

impl Magic for Rate {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%rate --help",
            about: "what can be typed; the last answer was good: `%rate last 5`",
            shows: "Mark an answer",
        },
        Example {
            after: &["%corpus articles --as docs", "%kg build docs --as kg"],
            cell: "%rate 0 1 --kg kg",
            about: "the first triple of a graph is wrong; the column `mark` of its triples says so from now on",
            shows: "marked with 1",
        },
    ];
    type Outcome = Marked;

    fn run(self, call: &mut Call) -> Result<Marked, MagicError> {
        if let Some(kg) = &self.kg {
            let row = self.answer.parse().map_err(|_| {
                MagicError::new(
                    ErrorKind::Usage,
                    format!("`{}` is no number of a triple", self.answer),
                )
                .with_hint("triples have the numbers of their rows in the frame of triples, from 0")
            })?;
            let triple = marks::mark(kg.as_str(), row, self.mark, &self.comment, call)?;
            return Ok(Marked(format!("marked with {}: {triple}", self.mark)));
        }
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
            numbered(&self.answer, call)?
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

/// The number of the call whose last digits are `end`.
fn numbered(end: &str, call: &mut Call) -> Result<String, MagicError> {
    let wanted = ending(end)?;
    let client = call.session.models.client()?;
    let mut found = client.ledger(move |ledger| ledger.calls_ending(&wanted))?;
    match found.len() {
        0 => {
            let message = format!("no call has the number `{end}`");
            Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint("`%prompts` shows calls with their numbers; `last` is the last answer"))
        }
        1 => Ok(found.remove(0)),
        n => {
            let message = format!("{n} calls have numbers that end with `{end}`");
            let hint = format!("more digits tell them apart: the newest is `{}`", found[0]);
            Err(MagicError::new(ErrorKind::Usage, message).with_hint(hint))
        }
    }
}

/// What was typed as the end of a number, if numbers end so.
fn ending(typed: &str) -> Result<String, MagicError> {
    let end = typed.trim_start_matches('…').to_ascii_lowercase();
    let n_digits = end.chars().filter(char::is_ascii_hexdigit).count();
    if n_digits >= LEAST && end.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Ok(end);
    }
    let message = format!("`{typed}` is no number of a call");
    Err(MagicError::new(ErrorKind::Usage, message).with_hint(format!(
        "numbers end like `4f07c2b9`, as `%prompts` shows them, and at least {LEAST} digits of that end are needed; `last` \
         is the last answer, and `--kg NAME` marks a triple by its row"
    )))
}

impl ToView for Marked {
    fn to_view(&self) -> View {
        View::Text(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_number_is_no_slip() {
        for (typed, end) in [
            ("4f07c2b9", "4f07c2b9"),
            ("…4F07C2B9", "4f07c2b9"),
            ("7c2b90", "7c2b90"),
            (
                "0199c1f2-4b7e-7d3a-9c55-1c2f4f07c2b9",
                "0199c1f2-4b7e-7d3a-9c55-1c2f4f07c2b9",
            ),
        ] {
            assert_eq!(ending(typed).unwrap(), end);
        }
        for typed in ["1", "17", "c2b9", "-----1", "", "…", "lsat", "%%%%%%"] {
            let error = ending(typed).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage, "{typed}");
            assert!(error.hint.contains("`4f07c2b9`"), "{}", error.hint);
        }
    }
}
