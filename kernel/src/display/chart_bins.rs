//! Bins of histograms.

use std::collections::HashMap;

use super::chart_bars::Bars;
use super::chart_read::{Datum, Trace};
use super::chart_tick;

/// The most bins of a histogram.
const BINS: usize = 200;

/// Bins that all histograms share.
pub(crate) struct Bins {
    first: f64,
    step: f64,
    count: usize,
    dates: bool,
}

fn values(trace: &Trace<'_>) -> Vec<Datum> {
    trace.data(if trace.lies() { "y" } else { "x" })
}

/// The bins of all histograms together; none when they count names.
pub(crate) fn bins(traces: &[Trace<'_>]) -> Option<Bins> {
    let histograms: Vec<&Trace<'_>> = traces.iter().filter(|t| t.kind == "histogram").collect();
    let all: Vec<Datum> = histograms.iter().flat_map(|trace| values(trace)).collect();
    let numbers: Vec<f64> = all.iter().filter_map(Datum::number).collect();
    let present = all.iter().filter(|value| **value != Datum::Missing).count();
    let dates = numbers.len() < present;
    let numbers: Vec<f64> = if dates {
        all.iter().filter_map(Datum::date).collect()
    } else {
        numbers
    };
    if numbers.is_empty() || numbers.len() < present {
        return None;
    }
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let asked = |key: &str| histograms.iter().find_map(|trace| trace.number(key));
    let wanted = asked("/nbinsx").or_else(|| asked("/nbinsy"));
    let wanted = wanted.unwrap_or_else(|| (numbers.len() as f64).sqrt().clamp(5.0, 60.0));
    let size = asked("/xbins/size").or_else(|| asked("/ybins/size"));
    let spread = if high > low { high - low } else { 1.0 };
    let step = size
        .filter(|size| *size > 0.0)
        .unwrap_or_else(|| chart_tick::round_step(spread / wanted.max(1.0)))
        .max(spread / BINS as f64);
    let start = asked("/xbins/start").or_else(|| asked("/ybins/start"));
    let first = start.unwrap_or_else(|| (low / step + 1e-9).floor() * step);
    let count =
        (((high - first) / step + 1e-9).floor() + 1.0).clamp(1.0, 2.0 * BINS as f64) as usize;
    Some(Bins {
        first,
        step,
        count,
        dates,
    })
}

/// How many values are in each bin, or of each name.
pub(crate) fn count<'a>(trace: &'a Trace<'a>, bins: Option<&Bins>) -> Bars<'a> {
    let values = values(trace);
    let total = values
        .iter()
        .filter(|v| **v != Datum::Missing)
        .count()
        .max(1) as f64;
    let (at, mut long): (Vec<Datum>, Vec<f64>) = match bins {
        Some(bins) => {
            let mut counts = vec![0.0; bins.count];
            for value in &values {
                let number = if bins.dates {
                    value.date()
                } else {
                    value.number()
                };
                let bin = number.map(|n| ((n - bins.first) / bins.step + 1e-9).floor());
                if let Some(bin) = bin.filter(|bin| *bin >= 0.0 && *bin < bins.count as f64) {
                    counts[bin as usize] += 1.0;
                }
            }
            let middle = |i: usize| bins.first + (i as f64 + 0.5) * bins.step;
            let at = (0..bins.count).map(|i| {
                if bins.dates {
                    Datum::Text(chart_tick::moment_name(middle(i)))
                } else {
                    Datum::Number(middle(i))
                }
            });
            (at.collect(), counts)
        }
        None => by_name(&values),
    };
    let scale = match trace.word("/histnorm") {
        "percent" => 100.0 / total,
        "probability" => 1.0 / total,
        "density" => 1.0 / bins.map_or(1.0, |bins| bins.step),
        "probability density" => 1.0 / total / bins.map_or(1.0, |bins| bins.step),
        _ => 1.0,
    };
    for count in &mut long {
        *count *= scale;
    }
    if trace.json["cumulative"]["enabled"] == true {
        let mut sum = 0.0;
        for count in &mut long {
            sum += *count;
            *count = sum;
        }
    }
    Bars {
        trace,
        lies: trace.lies(),
        at,
        long: long.into_iter().map(Datum::Number).collect(),
        thick: bins.map(|bins| bins.step),
    }
}

fn by_name(values: &[Datum]) -> (Vec<Datum>, Vec<f64>) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut at, mut counts) = (Vec::new(), Vec::new());
    for name in values.iter().filter_map(Datum::name) {
        let place = *places.entry(name.clone()).or_insert(at.len());
        if place == at.len() {
            at.push(Datum::Text(name));
            counts.push(0.0);
        }
        counts[place] += 1.0;
    }
    (at, counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counts(data: &serde_json::Value) -> Vec<f64> {
        let plot = json!({"data": [data]});
        let traces = super::super::chart_read::traces(&plot);
        let bars = count(&traces[0], bins(&traces).as_ref());
        bars.long.iter().filter_map(Datum::number).collect()
    }

    #[test]
    fn every_value_is_in_one_bin() {
        let values = json!([0, 0.5, 1, 1.5, 2, 9.99, 10, null]);
        let found = counts(&json!({"type": "histogram", "x": values, "nbinsx": 5}));
        assert_eq!(format!("{found:?}"), "[4.0, 1.0, 0.0, 0.0, 1.0, 1.0]");
    }

    #[test]
    fn names_and_dates_are_counted_too() {
        let names = counts(&json!({"type": "histogram", "x": ["a", "b", "a"]}));
        assert_eq!(format!("{names:?}"), "[2.0, 1.0]");
        let dates = json!(["2024-01-01", "2024-01-02", "2024-01-31"]);
        let dates = counts(&json!({"type": "histogram", "x": dates}));
        assert!((dates.iter().sum::<f64>() - 3.0).abs() < 1e-9, "{dates:?}");
    }

    #[test]
    fn counts_can_be_shares() {
        let found =
            counts(&json!({"type": "histogram", "x": ["a", "b", "a", "a"], "histnorm": "percent"}));
        assert_eq!(format!("{found:?}"), "[75.0, 25.0]");
    }
}
