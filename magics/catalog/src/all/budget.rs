//! `%budget`: limits on what may be spent, checked before each call of a model.

use clap::{Parser, ValueEnum};
use mlk8s_llm::budget::{Budgets, Period};

use super::ask::dollars;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};

/// Set a limit on what may be spent; a call that could pass it is not sent
#[derive(Debug, Parser)]
pub(super) struct Budget {
    /// The limit, such as `10usd` or `2.50`; without one the budgets are shown
    limit: Option<String>,
    /// What the limit is for
    #[arg(long, value_name = "PERIOD", default_value = "total")]
    per: Per,
    /// Lift the budget of this period
    #[arg(long, conflicts_with = "limit")]
    off: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Per {
    /// From now on
    Total,
    /// Each day
    Day,
    /// Each week, from Monday
    Week,
    /// Each month
    Month,
    /// Each long work
    Run,
}

/// The budgets and what is left of each.
pub(super) struct Shown(Table);

impl Magic for Budget {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%budget 10usd --per month",
            about: "never more than 10 dollars in a month",
            shows: "$10",
        },
        Example {
            after: &["%budget 10usd --per month"],
            cell: "%budget",
            about: "all budgets, and what is left",
            shows: "month",
        },
        Example {
            after: &["%budget 10usd --per month"],
            cell: "%budget --off --per month",
            about: "no limit any more",
            shows: "no budget",
        },
    ];
    type Outcome = Shown;

    fn run(self, call: &mut Call) -> Result<Shown, MagicError> {
        let mut budgets = Budgets::open(call.session.models.state())?;
        let per = match self.per {
            Per::Total => Period::Total,
            Per::Day => Period::Day,
            Per::Week => Period::Week,
            Per::Month => Period::Month,
            Per::Run => Period::Run,
        };
        if self.off && !budgets.lift(per)? {
            let message = format!("there is no budget for `{}`", per.name());
            return Err(
                MagicError::new(ErrorKind::NotFound, message).with_hint("`%budget` shows all")
            );
        }
        if let Some(limit) = &self.limit {
            budgets.set(amount(limit)?, per)?;
        }
        let client = call.session.models.client()?;
        let mut rows = Vec::new();
        for budget in budgets.all() {
            let mut row = vec![budget.per.name().to_owned(), dollars(budget.usd)];
            if budget.per == Period::Run {
                row.extend(["each begins anew".to_owned(), String::new()]);
            } else {
                let since = budget.since(chrono::Local::now());
                let spent = client.ledger(move |ledger| ledger.spent(since, None, None))?;
                row.extend([dollars(spent), dollars((budget.usd - spent).max(0.0))]);
            }
            rows.push(row);
        }
        let note = if rows.is_empty() {
            "there is no budget: calls are limited by nothing; `%budget 10usd --per month` sets one"
        } else {
            "before each call its worst case is held against all of these; what calls under way can cost is set aside"
        };
        Ok(Shown(Table {
            title: "budgets".to_owned(),
            columns: vec![
                Column::text("per"),
                Column::number("limit"),
                Column::number("spent or set aside"),
                Column::number("left"),
            ],
            rows,
            note: note.to_owned(),
        }))
    }
}

/// An amount of US dollars as people write it.
fn amount(text: &str) -> Result<f64, MagicError> {
    let lower = text.trim().to_lowercase();
    let number = lower
        .trim_start_matches('$')
        .trim_end_matches("usd")
        .trim_end_matches('$')
        .trim();
    match number.parse::<f64>() {
        Ok(usd) if usd.is_finite() && usd >= 0.0 => Ok(usd),
        _ => Err(MagicError::new(
            ErrorKind::Usage,
            format!("`{text}` is no amount of US dollars"),
        )
        .with_hint("write `10usd`, `$10` or `2.50`")),
    }
}

impl ToView for Shown {
    fn to_view(&self) -> View {
        View::Table(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for text in ["10usd", "$10", "10", "10 USD", "10.00$"] {
            assert!((amount(text).unwrap() - 10.0).abs() < 1e-9, "{text}");
        }
        for text in ["ten", "-1", "nan", "10eur", ""] {
            assert!(amount(text).is_err(), "{text}");
        }
    }
}
