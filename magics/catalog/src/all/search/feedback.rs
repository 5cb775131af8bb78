//! `%search feedback`: marks on hits, kept in the ledger; they count when the same is looked for again.

use clap::{Args, ValueEnum};
use mlk8s_llm::ledger::Mark;

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::view::View;

/// What marks of hits are called in the ledger.
const KIND: &str = "search";
/// Marks of a good hit, of one that is nothing, and of a bad one, as `%rate` counts.
const MARKS: [i64; 3] = [5, 0, 1];

/// Mark hits of the last search as good or bad
#[derive(Debug, Args)]
pub(super) struct Feedback {
    /// What they were
    verdict: Verdict,
    /// Their numbers, as they were shown
    #[arg(required = true, value_name = "N")]
    ranks: Vec<usize>,
}

/// What a hit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// What was looked for
    Good,
    /// Something else
    Bad,
    /// Takes a mark back
    None,
}

/// Marks on hits of one question.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) good: Vec<String>,
    pub(super) bad: Vec<String>,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.good.is_empty() && self.bad.is_empty()
    }
}

/// The marks on hits of `query` in `index`.
pub(super) fn marks(index: &str, query: &str, call: &mut Call) -> Result<Marks, MagicError> {
    let about = about(index, query);
    let client = call.session.models.client()?;
    let found = client.ledger(move |ledger| ledger.marks(KIND, Some(&about)))?;
    let of = |wanted: i64| {
        let items = found.iter().filter(|mark| mark.mark == wanted);
        items.map(|mark| mark.item.clone()).collect()
    };
    Ok(Marks {
        good: of(MARKS[0]),
        bad: of(MARKS[2]),
    })
}

/// The same question, whatever its case and blanks.
fn about(index: &str, query: &str) -> String {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    format!("{index}\n{}", words.join(" "))
}

impl Feedback {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let searched = &call.session.searched;
        let n_hits = searched.hits.len();
        let Some(index) = searched.index.clone().filter(|_| n_hits > 0) else {
            let message = "nothing was found in this session that could be marked";
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint("`%search query what you look for` finds something"));
        };
        if let Some(rank) = self.ranks.iter().find(|rank| !(1..=n_hits).contains(rank)) {
            let message = format!("there is no hit {rank}: the last search had {n_hits}");
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint("hits have the numbers that they were shown with, from 1"));
        }
        let mark = MARKS[match self.verdict {
            Verdict::Good => 0,
            Verdict::None => 1,
            Verdict::Bad => 2,
        }];
        let about = about(&index, &searched.query);
        let items: Vec<String> = self
            .ranks
            .iter()
            .map(|rank| searched.hits[rank - 1].clone())
            .collect();
        let user = call.session.models.about("").user;
        let n = items.len();
        let client = call.session.models.client()?;
        client.ledger(move |ledger| {
            items.into_iter().try_for_each(|item| {
                ledger.set_mark(&Mark {
                    at: 0,
                    user: user.clone(),
                    kind: KIND.to_owned(),
                    about: about.clone(),
                    item,
                    mark,
                    comment: String::new(),
                })
            })
        })?;
        let hits = if n == 1 {
            "1 hit".to_owned()
        } else {
            format!("{n} hits")
        };
        let how = match self.verdict {
            Verdict::Good => "marked as good; the same search finds them first from now on",
            Verdict::Bad => "marked as bad; the same search finds them last from now on",
            Verdict::None => "without a mark again",
        };
        Ok(View::Text(format!("{hits} {how}")))
    }
}
