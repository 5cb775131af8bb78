//! Stretches of time as people type them: `7d`, `12h`, `2026-11-01`.

use std::str::FromStr;

use chrono::{Local, NaiveDate, NaiveTime, TimeZone as _};

/// Since when, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    /// The moment.
    pub(super) ms: i64,
    /// As it was typed.
    pub(super) text: String,
}

impl Since {
    /// The stretch in words: `of the last 30d`, `since 2026-11-01`, `of all time`.
    pub(super) fn words(&self) -> String {
        match self.text.as_str() {
            "all" => "of all time".to_owned(),
            day if day.contains('-') => format!("since {day}"),
            stretch => format!("of the last {stretch}"),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        let made = |ms| Since {
            ms,
            text: text.to_owned(),
        };
        if text == "all" {
            return Ok(made(0));
        }
        let now = Local::now();
        if let Ok(date) = text.parse::<NaiveDate>() {
            let midnight = Local
                .from_local_datetime(&date.and_time(NaiveTime::MIN))
                .earliest();
            return Ok(made(midnight.map_or(0, |at| at.timestamp_millis())));
        }
        let unit = text.chars().last().unwrap_or(' ');
        let seconds: i64 = match unit {
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => 0,
        };
        let number = text[..text.len() - unit.len_utf8().min(text.len())].parse::<u32>();
        match number {
            Ok(n) if seconds > 0 => {
                Ok(made(now.timestamp_millis() - i64::from(n) * seconds * 1000))
            }
            _ => Err(
                "write `30m`, `12h`, `7d`, `4w`, a day such as `2026-11-01`, or `all`".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_read() {
        let now = Local::now().timestamp_millis();
        let ago = |text: &str| (now - text.parse::<Since>().unwrap().ms) / 1000;
        assert!((ago("7d") - 604_800).abs() <= 1);
        assert!((ago("90m") - 5400).abs() <= 1);
        assert!("2026-11-01".parse::<Since>().unwrap().ms > 0);
        assert_eq!("all".parse::<Since>().unwrap().ms, 0);
        for bad in ["", "d", "7", "7y", "-1d", "é"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }
}
