//! Limits on what may be spent, kept in a file and checked in the ledger before each call.

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike as _, Local, NaiveTime, TimeZone as _};
use serde::{Deserialize, Serialize};

use crate::error::LlmError;
use crate::ledger::Limit;

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From when it was set until it is set anew.
    Total,
    /// From midnight to midnight, where the kernel runs.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
    /// One long work, such as one `%kg build`, or one cell.
    Run,
}

impl Period {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Period::Total => "total",
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
            Period::Run => "run",
        }
    }
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The limit in US dollars.
    pub usd: f64,
    /// What it is for.
    pub per: Period,
    /// When it was set, in milliseconds since 1970.
    pub set_at: i64,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per {
            Period::Total => write!(f, "${:.2} in all", self.usd),
            per => write!(f, "${:.2} per {}", self.usd, per.name()),
        }
    }
}

impl Budget {
    /// When what counts begins, in milliseconds since 1970.
    pub fn since(&self, now: DateTime<Local>) -> i64 {
        let today = now.date_naive();
        let first = match self.per {
            Period::Total => return self.set_at,
            Period::Run => return 0,
            Period::Day => today,
            Period::Week => {
                today - chrono::Days::new(u64::from(today.weekday().num_days_from_monday()))
            }
            Period::Month => today.with_day(1).unwrap_or(today),
        };
        let midnight = first.and_time(NaiveTime::MIN);
        // Where clocks are set forward at midnight the day begins with the first minute there is.
        Local.from_local_datetime(&midnight).earliest().map_or_else(
            || midnight.and_utc().timestamp_millis(),
            |at| at.timestamp_millis(),
        )
    }

    /// What the ledger is to check for a call that is part of `run`.
    pub fn limit(&self, now: DateTime<Local>, run: &str) -> Limit {
        Limit {
            name: self.per.name().to_owned(),
            usd: self.usd,
            since_ms: self.since(now),
            run: (self.per == Period::Run).then(|| run.to_owned()),
            user: None,
        }
    }
}

/// All budgets, one of each period at most.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    file: PathBuf,
    all: Vec<Budget>,
}

impl Budgets {
    /// Those in the directory `state`.
    pub fn open(state: &Path) -> Result<Budgets, LlmError> {
        let file = state.join("budgets.json");
        let all = crate::settings::read(&file)?;
        Ok(Budgets { file, all })
    }

    /// All of them.
    pub fn all(&self) -> &[Budget] {
        &self.all
    }

    /// Sets the budget of a period.
    pub fn set(&mut self, usd: f64, per: Period) -> Result<(), LlmError> {
        self.all.retain(|old| old.per != per);
        self.all.push(Budget {
            usd,
            per,
            set_at: chrono::Utc::now().timestamp_millis(),
        });
        self.save()
    }

    /// Lifts the budget of a period; says whether there was one.
    pub fn lift(&mut self, per: Period) -> Result<bool, LlmError> {
        let before = self.all.len();
        self.all.retain(|old| old.per != per);
        self.save()?;
        Ok(self.all.len() < before)
    }

    fn save(&self) -> Result<(), LlmError> {
        crate::settings::write(&self.file, &self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_at_midnight() {
        let now = Local.with_ymd_and_hms(2026, 11, 25, 15, 30, 0).unwrap(); // a Wednesday
        let since = |per| {
            let budget = Budget {
                usd: 1.0,
                per,
                set_at: 5,
            };
            Local
                .timestamp_millis_opt(budget.since(now))
                .unwrap()
                .format("%m-%d %H:%M")
                .to_string()
        };
        assert_eq!(since(Period::Day), "11-25 00:00");
        assert_eq!(since(Period::Week), "11-23 00:00");
        assert_eq!(since(Period::Month), "11-01 00:00");
        let total = Budget {
            usd: 1.0,
            per: Period::Total,
            set_at: 5,
        };
        assert_eq!(total.since(now), 5);
    }

    #[test]
    fn budgets_are_kept_one_of_a_period() {
        let state = tempfile::tempdir().unwrap();
        let mut budgets = Budgets::open(state.path()).unwrap();
        budgets.set(10.0, Period::Day).unwrap();
        budgets.set(2.5, Period::Day).unwrap();
        budgets.set(1.0, Period::Run).unwrap();
        let mut again = Budgets::open(state.path()).unwrap();
        let shown: Vec<String> = again.all().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["$2.50 per day", "$1.00 per run"]);
        assert!(again.lift(Period::Run).unwrap() && !again.lift(Period::Run).unwrap());
    }
}
