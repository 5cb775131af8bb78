//! Bars beside, above or over one another; those of histograms too.

use std::collections::HashMap;

use serde_json::Value;

use super::chart_bins;
use super::chart_read::{self, Datum, Trace};
use super::chart_scale::{Kind, Scale};
use super::chart_shape::Shape;

/// The most bars that carry a word.
const WORDS: usize = 80;

/// The bars of one trace.
pub(crate) struct Bars<'a> {
    pub(crate) trace: &'a Trace<'a>,
    /// Whether they lie.
    pub(crate) lies: bool,
    /// Where they stand.
    pub(crate) at: Vec<Datum>,
    /// How long they are.
    pub(crate) long: Vec<Datum>,
    /// How thick each is, in the coordinates of the axis; bins have no gaps.
    pub(crate) thick: Option<f64>,
}

/// The bars of every trace that has bars.
pub(crate) fn read<'a>(traces: &'a [Trace<'a>]) -> Vec<Bars<'a>> {
    let bins = chart_bins::bins(traces);
    traces
        .iter()
        .filter_map(|trace| match trace.kind {
            "bar" => {
                let lies = trace.lies();
                let [at, long] = if lies { ["y", "x"] } else { ["x", "y"] };
                let long = trace.data(long);
                let mut at = trace.data(at);
                if at.is_empty() {
                    at = (0..long.len()).map(|i| Datum::Number(i as f64)).collect();
                }
                Some(Bars {
                    trace,
                    lies,
                    at,
                    long,
                    thick: None,
                })
            }
            "histogram" => Some(chart_bins::count(trace, bins.as_ref())),
            _ => None,
        })
        .collect()
}

/// How bars of several traces stand together.
struct Together {
    stack: bool,
    group: bool,
    width: f64,
    groups: usize,
    /// How far the bars reach at each place, up and down.
    sums: HashMap<u64, [f64; 2]>,
}

/// The rectangles of all `bars`.
pub(crate) fn shapes(bars: &[Bars<'_>], layout: &Value, x: &Scale, y: &Scale) -> Vec<Shape> {
    let histograms = bars.iter().all(|bar| bar.thick.is_some());
    let mode = layout["barmode"].as_str().unwrap_or("group");
    let mut together = Together {
        stack: matches!(mode, "stack" | "relative"),
        group: mode == "group",
        width: 1.0,
        groups: if mode == "group" {
            bars.len().max(1)
        } else {
            1
        },
        sums: HashMap::new(),
    };
    let gap = layout["bargap"].as_f64();
    let gap = gap
        .unwrap_or(if histograms { 0.04 } else { 0.24 })
        .clamp(0.0, 0.95);
    together.width = unit(bars, x, y) * (1.0 - gap);
    let overlaid = mode == "overlay" && bars.len() > 1;
    let mut out = Vec::new();
    for (i, bar) in bars.iter().enumerate() {
        let given =
            bar.trace.json["opacity"].is_number() || bar.trace.number("/marker/opacity").is_some();
        let opacity = if overlaid && !given {
            0.6
        } else {
            bar.trace.opacity()
        };
        one(&mut out, bar, &mut together, i, opacity, [x, y]);
    }
    out
}

fn one(
    out: &mut Vec<Shape>,
    bar: &Bars<'_>,
    together: &mut Together,
    i: usize,
    opacity: f64,
    [x, y]: [&Scale; 2],
) {
    let (across, along) = if bar.lies { (y, x) } else { (x, y) };
    let colours = bar.trace.json["marker"]["color"].as_array();
    let words = chart_read::data(&bar.trace.json["text"]);
    let slot = together.width / together.groups as f64;
    let place = if together.group { i as f64 } else { 0.0 };
    for (n, (at, long)) in bar.at.iter().zip(&bar.long).enumerate() {
        let (Some(at), Some(long)) = (across.place(at), value(along, long)) else {
            continue;
        };
        let from = if together.stack {
            let sums = together.sums.entry(at.to_bits()).or_insert([0.0; 2]);
            let sum = &mut sums[usize::from(long < 0.0)];
            *sum += long;
            *sum - long
        } else {
            0.0
        };
        let start = at - together.width / 2.0 + place * slot;
        let thick = [
            start,
            start + slot * if together.groups > 1 { 0.94 } else { 1.0 },
        ];
        let reach = [along.lift(from), along.lift(from + long)];
        let colour = colours.and_then(|list| chart_read::colour(list.get(n)?));
        let range = bar
            .thick
            .filter(|_| across.kind == Kind::Linear)
            .map(|step| {
                format!(
                    "{} – {}",
                    across.word(at - step / 2.0),
                    across.word(at + step / 2.0)
                )
            });
        let word = range.unwrap_or_else(|| across.word(at));
        let tip = format!("{}{word}\n{}", called(bar.trace), name_of(along, long));
        let (px, py) = if bar.lies {
            (reach, thick)
        } else {
            (thick, reach)
        };
        let fill = colour.unwrap_or_else(|| bar.trace.colour.clone());
        out.push(Shape::Rect {
            x: px,
            y: py,
            fill,
            opacity,
            rim: false,
            tip,
        });
        let text = words
            .get(if words.len() == 1 { 0 } else { n })
            .and_then(Datum::name);
        if let Some(text) =
            text.filter(|_| bar.at.len() <= WORDS && bar.trace.word("/textposition") != "none")
        {
            let middle = f64::midpoint(thick[0], thick[1]);
            out.push(label(
                bar.lies,
                middle,
                reach,
                together.stack,
                long < 0.0,
                text,
            ));
        }
    }
}

/// The word of a bar: beyond its end, or in its middle where another one stands on it.
fn label(
    lies: bool,
    middle: f64,
    reach: [f64; 2],
    inside: bool,
    down: bool,
    text: String,
) -> Shape {
    let end = if inside {
        f64::midpoint(reach[0], reach[1])
    } else {
        reach[1]
    };
    let (at, shift, anchor) = match (lies, inside, down) {
        (true, true, _) => ([end, middle], [0.0, 4.0], "middle"),
        (true, false, false) => ([end, middle], [5.0, 4.0], "start"),
        (true, false, true) => ([end, middle], [-5.0, 4.0], "end"),
        (false, true, _) => ([middle, end], [0.0, 4.0], "middle"),
        (false, false, false) => ([middle, end], [0.0, -5.0], "middle"),
        (false, false, true) => ([middle, end], [0.0, 14.0], "middle"),
    };
    Shape::Word {
        at,
        shift,
        anchor,
        text,
        fill: inside.then_some("#ffffff"),
    }
}

/// The length of a bar, before any logarithm.
fn value(along: &Scale, long: &Datum) -> Option<f64> {
    match along.kind {
        Kind::Linear | Kind::Log => long.number(),
        Kind::Date | Kind::Category => along.place(long),
    }
}

fn name_of(along: &Scale, long: f64) -> String {
    along.word(along.lift(long))
}

/// The name of a trace before a tip, when it has one.
pub(crate) fn called(trace: &Trace<'_>) -> String {
    if trace.named {
        format!("{}\n", trace.name)
    } else {
        String::new()
    }
}

/// The smallest distance between two places of bars.
fn unit(bars: &[Bars<'_>], x: &Scale, y: &Scale) -> f64 {
    if let Some(step) = bars.iter().find_map(|bar| bar.thick) {
        return step;
    }
    let mut places: Vec<f64> = bars
        .iter()
        .flat_map(|bar| {
            let across = if bar.lies { y } else { x };
            bar.at.iter().filter_map(|at| across.place(at))
        })
        .collect();
    places.sort_by(f64::total_cmp);
    let steps = places.windows(2).map(|two| two[1] - two[0]);
    let least = steps
        .filter(|step| *step > 1e-12)
        .fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rects(plot: &Value) -> Vec<[f64; 4]> {
        let traces = chart_read::traces(plot);
        let bars = read(&traces);
        let lists = |lies: bool| -> Vec<&[Datum]> {
            bars.iter()
                .map(|b| {
                    if b.lies == lies {
                        &b.at[..]
                    } else {
                        &b.long[..]
                    }
                })
                .collect()
        };
        let x = Scale::new(&plot["layout"]["xaxis"], &lists(false));
        let y = Scale::new(&plot["layout"]["yaxis"], &lists(true));
        let found = shapes(&bars, &plot["layout"], &x, &y);
        found
            .iter()
            .filter_map(|shape| match shape {
                Shape::Rect { x, y, .. } => {
                    Some([x[0], x[1], y[0], y[1]].map(|n| (n * 100.0).round() / 100.0))
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn stacked_bars_stand_on_one_another() {
        let data =
            json!([{"type": "bar", "x": ["a"], "y": [2]}, {"type": "bar", "x": ["a"], "y": [3]}]);
        let stacked = rects(&json!({"data": data, "layout": {"barmode": "stack"}}));
        assert_eq!(stacked, [[-0.38, 0.38, 0.0, 2.0], [-0.38, 0.38, 2.0, 5.0]]);
        let beside = rects(&json!({"data": data, "layout": {}}));
        assert!(
            beside[0][1] < beside[1][0] && beside[1][2] == 0.0,
            "{beside:?}"
        );
    }

    #[test]
    fn bars_can_lie() {
        let data = json!([{"type": "bar", "orientation": "h", "x": [4], "y": ["a"]}]);
        assert_eq!(rects(&json!({"data": data})), [[0.0, 4.0, -0.38, 0.38]]);
    }
}
