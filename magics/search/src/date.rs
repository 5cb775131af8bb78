//! Points in time for filters, to the second, in UTC.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::SearchError;

const DAY: i64 = 86_400;

/// Seconds since the start of 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date(pub i64);

impl Date {
    /// Reads `2024-05-01`, `2024-05-01T12:30`, `2024-05-01 12:30:00` or the same with a `Z` at the end.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let read = || {
            let text = text.trim().trim_end_matches('Z');
            let (day, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
            let mut parts = day.splitn(3, '-');
            let mut part = |len: usize| {
                let digits = parts.next()?;
                (digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit()))
                    .then(|| digits.parse::<i64>().ok())?
            };
            let (year, month, day) = (part(4)?, part(2)?, part(2)?);
            let days = days_from_civil(year, month, day);
            // The way back tells whether the calendar has such a day.
            (civil_from_days(days) == (year, month, day)).then_some(days * DAY + seconds(clock)?)
        };
        read().map(Self).ok_or_else(|| SearchError::Date {
            text: text.to_owned(),
        })
    }
}

/// Seconds since midnight of `12:30` or `12:30:59`, with or without a fraction.
fn seconds(clock: &str) -> Option<i64> {
    let whole = clock.split('.').next()?;
    let mut total = 0;
    let parts: Vec<&str> = whole.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for (part, (most, scale)) in parts.iter().zip([(23, 3600), (59, 60), (59, 1)]) {
        let n: i64 = (part.len() == 2).then(|| part.parse().ok())??;
        if !(0..=most).contains(&n) {
            return None;
        }
        total += n * scale;
    }
    Some(total)
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since 1970-01-01; the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        match self.0.rem_euclid(DAY) {
            0 => Ok(()),
            s => write!(f, "T{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        assert_eq!(Date::parse("1970-01-01").unwrap(), Date(0));
        assert_eq!(Date::parse("2000-03-01").unwrap(), Date(951_868_800));
        assert_eq!(
            Date::parse("2024-02-29T23:59:58Z").unwrap(),
            Date(1_709_251_198)
        );
        for text in ["1899-12-31", "2024-05-01", "2024-05-01T12:30:00"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for days in -200_000..200_000 {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2023-02-29",
            "2024-13-01",
            "24-01-01",
            "2024-1-1",
            "2024-01-01T25:00",
            "2024-01-01Tx",
        ] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }
}
