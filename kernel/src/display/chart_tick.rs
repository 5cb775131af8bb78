//! Ticks of an axis: where they are and what they say.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Where, in the coordinates of the axis.
    pub(crate) at: f64,
    /// What it says.
    pub(crate) label: String,
}

/// At most about `wanted` round numbers between `low` and `high`.
pub(crate) fn linear(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let step = round_step((high - low) / wanted.max(1) as f64);
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil();
    let count = ((high / step + 1e-9).floor() - first).clamp(0.0, 100.0) as usize;
    let decimals = decimals(step);
    (0..=count)
        .map(|i| (first + i as f64) * step)
        .map(|at| Tick {
            at,
            label: number(at, decimals),
        })
        .collect()
}

/// Powers of ten between the logarithms `low` and `high`, with what lies between them where there is room.
pub(crate) fn log(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let decades = (high - low).max(0.0);
    let every = (decades / wanted.max(1) as f64).ceil().max(1.0);
    let parts: &[f64] = match wanted as f64 / decades.max(0.1) {
        room if room >= 9.0 => &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        room if room >= 2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let mut ticks = Vec::new();
    let mut power = (low / every).floor() * every;
    while power <= high && ticks.len() < 200 {
        for part in parts {
            let at = power + part.log10();
            if at >= low - 1e-9 && at <= high + 1e-9 {
                let value = 10_f64.powf(power) * part;
                ticks.push(Tick {
                    at,
                    label: short(value),
                });
            }
        }
        power += every;
    }
    ticks
}

/// Round dates between two moments, in seconds since 1970.
pub(crate) fn date(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    const STEPS: [f64; 17] = [
        1.0,
        5.0,
        15.0,
        30.0,
        60.0,
        300.0,
        900.0,
        1800.0,
        3600.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        604_800.0,
        1_209_600.0,
        2_419_200.0,
    ];
    const MONTH: f64 = 30.44 * 86_400.0;
    let rough = (high - low) / wanted.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let moments = match STEPS[..16].iter().find(|&&step| step >= rough) {
        Some(step) => every(low, high, *step),
        None => months(low, high, rough / MONTH),
    };
    let step = moments.get(1).map_or(rough, |next| next - moments[0]);
    let mut year = None;
    let mut ticks = Vec::new();
    for at in moments {
        let Some(moment) = moment(at) else { continue };
        let (main, below) = match step {
            s if s < 60.0 => ("%H:%M:%S", "%b %-d, %Y"),
            s if s < 86_400.0 => ("%H:%M", "%b %-d, %Y"),
            s if s < 27.0 * 86_400.0 => ("%b %-d", "%Y"),
            s if s < 360.0 * 86_400.0 => ("%b", "%Y"),
            _ => ("%Y", ""),
        };
        let mut label = moment.format(main).to_string();
        let below = moment.format(below).to_string();
        if !below.is_empty() && year.as_ref() != Some(&below) {
            label = format!("{label}\n{below}");
            year = Some(below);
        }
        ticks.push(Tick { at, label });
    }
    ticks
}

fn every(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first + 1.0).clamp(0.0, 100.0) as usize;
    (0..count).map(|i| (first + i as f64) * step).collect()
}

/// The first of every so many months.
fn months(low: f64, high: f64, rough: f64) -> Vec<f64> {
    let step = match [1.0, 2.0, 3.0, 6.0, 12.0]
        .iter()
        .find(|&&step| step >= rough)
    {
        Some(step) => *step as i32,
        None => (round_step(rough / 12.0).max(1.0) * 12.0) as i32,
    };
    let Some(start) = moment(low) else {
        return Vec::new();
    };
    let mut month = (start.year() * 12 + start.month0().cast_signed()).div_euclid(step) * step;
    let mut out = Vec::new();
    while out.len() < 100 {
        let day = NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1);
        let Some(at) = day.and_then(|day| day.and_hms_opt(0, 0, 0)) else {
            break;
        };
        let at = at.and_utc().timestamp() as f64;
        if at > high {
            break;
        }
        if at >= low {
            out.push(at);
        }
        month += step;
    }
    out
}

fn moment(seconds: f64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(seconds.floor() as i64, 0).map(|at| at.naive_utc())
}

/// A moment in words, as exact as it needs to be.
pub(crate) fn moment_name(seconds: f64) -> String {
    let form = if seconds.rem_euclid(86_400.0) == 0.0 {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    moment(seconds).map_or_else(String::new, |at| at.format(form).to_string())
}

/// The next number above `rough` that is 1, 2 or 5 times a power of ten.
pub(crate) fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let part = rough / power;
    let round = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|r| part <= r * 1.000_1);
    round.unwrap_or(10.0) * power
}

fn decimals(step: f64) -> usize {
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

/// A number with thousands apart; big and small ones shorter.
fn number(value: f64, decimals: usize) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.1e}").replace(".0e", "e").replace('-', "−");
    }
    for (unit, letter) in [(1e12, "T"), (1e9, "B"), (1e6, "M")] {
        if size >= unit {
            return grouped(&trim(&format!("{:.3}", value / unit))) + letter;
        }
    }
    grouped(&format!(
        "{:.decimals$}",
        if value == 0.0 { 0.0 } else { value }
    ))
}

/// A value as a reader wants it: enough digits and no more.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 1e-4) {
        return number(value, 0);
    }
    let digits = if size >= 1000.0 {
        1
    } else if size >= 0.1 {
        3
    } else {
        5
    };
    grouped(&trim(&format!("{value:.digits$}")))
}

fn trim(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// Digits in threes where there are more than four.
fn grouped(text: &str) -> String {
    let zero = text.chars().all(|c| "-0.".contains(c));
    let text = if zero {
        text.trim_start_matches('-')
    } else {
        text
    };
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("−", rest));
    let (whole, part) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 && whole.len() > 4 {
            out.push(',');
        }
        out.push(digit);
    }
    out + part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> String {
        let labels: Vec<String> = ticks
            .iter()
            .map(|tick| tick.label.replace('\n', "/"))
            .collect();
        labels.join(" ")
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&linear(0.0, 104.0, 6)), "0 20 40 60 80 100");
        assert_eq!(labels(&linear(-0.3, 0.31, 6)), "−0.2 0.0 0.2");
        assert_eq!(
            labels(&linear(0.0, 25_000.0, 5)),
            "0 5000 10,000 15,000 20,000 25,000"
        );
        assert_eq!(labels(&linear(0.0, 3e6, 4)), "0 1M 2M 3M");
        assert!(linear(1.0, 1.0, 5).is_empty());
    }

    #[test]
    fn logarithms_show_their_powers() {
        assert_eq!(labels(&log(0.0, 6.0, 6)), "1 10 100 1000 10,000 100,000 1M");
        assert_eq!(labels(&log(0.0, 2.0, 6)), "1 2 5 10 20 50 100");
    }

    #[test]
    fn dates_say_their_year_once() {
        let day = 86_400.0;
        assert_eq!(
            labels(&date(0.0, 3.0 * day, 4)),
            "Jan 1/1970 Jan 2 Jan 3 Jan 4"
        );
        assert_eq!(labels(&date(0.0, 364.0 * day, 4)), "Jan/1970 Apr Jul Oct");
        assert_eq!(
            labels(&date(0.0, 7200.0, 4)),
            "00:00/Jan 1, 1970 00:30 01:00 01:30 02:00"
        );
        assert_eq!(
            labels(&date(0.0, 3653.0 * day, 5)),
            "1970 1972 1974 1976 1978 1980"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1_234.56), "1234.6");
        assert_eq!(short(0.1 + 0.2), "0.3");
        assert_eq!(short(-0.000_000_1), "−1e−7");
        assert_eq!(short(-0.0), "0");
        assert_eq!(short(-2_500_000.0), "−2.5M");
        assert_eq!(short(-12_345.0), "−12,345");
        assert_eq!(moment_name(86_400.0), "1970-01-02");
    }
}
