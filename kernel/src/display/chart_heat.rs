//! Heat maps, and the scales that give numbers a colour.

use std::fmt::Write;

use serde_json::Value;

use super::chart_bars::called;
use super::chart_read::{self, Datum, Trace};
use super::chart_scale::{Kind, Scale};
use super::chart_shape::Shape;
use super::{chart_tick, escape};

/// The most cells that show their number.
const WORDS: usize = 400;

/// Scales by plotly's names; the first is the one without a name.
const SCALES: [(&str, &[&str]); 9] = [
    (
        "Viridis",
        &[
            "#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725",
        ],
    ),
    (
        "Cividis",
        &[
            "#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838",
        ],
    ),
    (
        "Blues",
        &[
            "#f3f7fc", "#c6dbef", "#85bcdb", "#4a98c9", "#1f6fb3", "#08306b",
        ],
    ),
    (
        "Greens",
        &[
            "#f4faf2", "#c7e9c0", "#8ed08b", "#4bb062", "#17813c", "#00441b",
        ],
    ),
    (
        "Reds",
        &[
            "#fff5f0", "#fcbba1", "#fb7a5a", "#e53228", "#b11218", "#67000d",
        ],
    ),
    (
        "Greys",
        &[
            "#f7f7f7", "#d0d0d0", "#a0a0a0", "#707070", "#404040", "#101010",
        ],
    ),
    (
        "RdBu",
        &[
            "#053061", "#4393c3", "#d1e5f0", "#f7f7f7", "#fddbc7", "#d6604d", "#67001f",
        ],
    ),
    (
        "Hot",
        &[
            "#0b0000", "#900000", "#ff4500", "#ffb000", "#fff070", "#ffffff",
        ],
    ),
    (
        "YlOrRd",
        &[
            "#800026", "#e31a1c", "#fc4e2a", "#feb24c", "#fed976", "#ffffcc",
        ],
    ),
];

/// Numbers with a colour each, or colours one by one.
pub(crate) struct Colours {
    values: Vec<Datum>,
    names: Vec<Option<String>>,
    stops: Vec<[f64; 3]>,
    /// The numbers at both ends of the scale.
    pub(crate) ends: [f64; 2],
}

impl Colours {
    /// The colours of `values`, when there is a list of them, after what `holder` says about the scale.
    pub(crate) fn of(holder: &Value, values: &Value) -> Option<Self> {
        let list = values.as_array()?;
        let names = list.iter().map(chart_read::colour).collect();
        let values = chart_read::data(values);
        Some(Self::new(holder, values, names, ["cmin", "cmax"]))
    }

    fn new(
        holder: &Value,
        values: Vec<Datum>,
        names: Vec<Option<String>>,
        keys: [&str; 2],
    ) -> Self {
        let numbers = || values.iter().filter_map(Datum::number);
        let low = numbers().fold(f64::INFINITY, f64::min);
        let high = numbers().fold(f64::NEG_INFINITY, f64::max);
        let [low, high] = if low <= high { [low, high] } else { [0.0, 1.0] };
        let mut stops = stops(&holder["colorscale"]);
        if holder["reversescale"] == true {
            stops.reverse();
        }
        let ends = [
            holder[keys[0]].as_f64().unwrap_or(low),
            holder[keys[1]].as_f64().unwrap_or(high),
        ];
        Self {
            values,
            names,
            stops,
            ends,
        }
    }

    /// The colour of number `i` of the list.
    pub(crate) fn at(&self, i: usize) -> Option<String> {
        match self.names.get(i) {
            Some(Some(name)) => Some(name.clone()),
            _ => self
                .values
                .get(i)?
                .number()
                .map(|number| hex(self.mix(number))),
        }
    }

    fn mix(&self, number: f64) -> [f64; 3] {
        let [low, high] = self.ends;
        let share = if high > low {
            ((number - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.5
        };
        let at = share * (self.stops.len() - 1) as f64;
        let (a, b) = (
            self.stops[at.floor() as usize],
            self.stops[at.ceil() as usize],
        );
        [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * at.fract())
    }
}

/// The colours of a scale: by its name, or as a list of places and colours that lie evenly.
fn stops(scale: &Value) -> Vec<[f64; 3]> {
    let own: Vec<[f64; 3]> = scale
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stop| rgb(stop.as_str().or_else(|| stop[1].as_str())?))
        .collect();
    if own.len() > 1 {
        return own;
    }
    let name = scale.as_str().unwrap_or("");
    let found = SCALES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let colours = found.unwrap_or(&SCALES[0]).1;
    colours.iter().filter_map(|colour| rgb(colour)).collect()
}

fn rgb(text: &str) -> Option<[f64; 3]> {
    if let Some(digits) = text.strip_prefix('#').filter(|digits| digits.len() == 6) {
        let all = u32::from_str_radix(digits, 16).ok()?;
        return Some([16, 8, 0].map(|shift| f64::from(all >> shift & 255)));
    }
    let inside = text.split_once('(')?.1.trim_end_matches(')');
    let mut parts = inside
        .split(',')
        .map(|part| part.trim().parse::<f64>().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

fn hex(rgb: [f64; 3]) -> String {
    let [r, g, b] = rgb.map(|part| part.clamp(0.0, 255.0).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A heat map ready to draw.
pub(crate) struct Heat {
    pub(crate) x: Vec<Datum>,
    pub(crate) y: Vec<Datum>,
    colours: Colours,
    columns: usize,
}

/// The cells of a trace; places that are missing are counted from 0.
pub(crate) fn read(trace: &Trace<'_>) -> Heat {
    let rows: Vec<Vec<Datum>> = trace.json["z"]
        .as_array()
        .map_or_else(Vec::new, |rows| rows.iter().map(chart_read::data).collect());
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let counted = |mut own: Vec<Datum>, n: usize| {
        own.truncate(n);
        own.extend((own.len()..n).map(|i| Datum::Number(i as f64)));
        own
    };
    let mut values = vec![Datum::Missing; columns * rows.len()];
    for (r, row) in rows.iter().enumerate() {
        values[r * columns..r * columns + row.len()].clone_from_slice(row);
    }
    Heat {
        x: counted(trace.data("x"), columns),
        y: counted(trace.data("y"), rows.len()),
        colours: Colours::new(trace.json, values, Vec::new(), ["zmin", "zmax"]),
        columns,
    }
}

/// The cells, with their numbers where the trace asks for them.
pub(crate) fn shapes(trace: &Trace<'_>, heat: &Heat, x: &Scale, y: &Scale) -> Vec<Shape> {
    let (across, along) = (edges(x, &heat.x), edges(y, &heat.y));
    let mut out = Vec::new();
    let mut words = Vec::new();
    let template = trace.word("/texttemplate").contains("%{z");
    for (i, value) in heat.colours.values.iter().enumerate() {
        let (column, row) = (i % heat.columns, i / heat.columns);
        let Some(number) = value.number() else {
            continue;
        };
        let (Some(px), Some(py)) = (across[column], along[row]) else {
            continue;
        };
        let mix = heat.colours.mix(number);
        let middle = |ends: [f64; 2]| f64::midpoint(ends[0], ends[1]);
        let names = [(x, &heat.x[column]), (y, &heat.y[row])].map(|(scale, at)| {
            scale
                .place(at)
                .map_or_else(String::new, |at| scale.word(at))
        });
        let shown = chart_tick::short(number);
        out.push(Shape::Rect {
            x: px,
            y: py,
            fill: hex(mix),
            opacity: 1.0,
            rim: false,
            tip: format!("{}{} · {}\n{shown}", called(trace), names[0], names[1]),
        });
        if template && heat.colours.values.len() <= WORDS {
            let light = 0.3 * mix[0] + 0.59 * mix[1] + 0.11 * mix[2] > 140.0;
            words.push(Shape::Word {
                at: [middle(px), middle(py)],
                shift: [0.0, 4.0],
                anchor: "middle",
                text: shown,
                fill: Some(if light { "#1d2530" } else { "#ffffff" }),
            });
        }
    }
    out.extend(words);
    out
}

/// Both edges of each row or column: half way to its neighbours.
fn edges(scale: &Scale, places: &[Datum]) -> Vec<Option<[f64; 2]>> {
    let at: Vec<Option<f64>> = places.iter().map(|place| scale.place(place)).collect();
    let usual = if scale.kind == Kind::Date {
        86_400.0
    } else {
        1.0
    };
    let step = |i: usize| Some(at.get(i + 1).copied().flatten()? - at[i]?);
    (0..at.len())
        .map(|i| {
            let before = i.checked_sub(1).and_then(step);
            let after = step(i);
            let [left, right] =
                [before.or(after), after.or(before)].map(|s| s.unwrap_or(usual) / 2.0);
            Some([at[i]? - left, at[i]? + right])
        })
        .collect()
}

/// The scale of colours at the right of the chart.
pub(crate) fn bar(out: &mut String, heat: &Heat, title: &str, left: f64, [top, bottom]: [f64; 2]) {
    const PIECES: usize = 48;
    let [low, high] = heat.colours.ends;
    let tall = (bottom - top) / PIECES as f64;
    for i in 0..PIECES {
        let share = 1.0 - (i as f64 + 0.5) / PIECES as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{:.2}\" width=\"14\" height=\"{:.2}\" fill=\"{}\" shape-rendering=\"crispEdges\"/>",
            top + i as f64 * tall,
            tall + 0.4,
            hex(heat.colours.mix(low + share * (high - low)))
        );
    }
    for tick in chart_tick::linear(low, high, 6) {
        let y = bottom - (tick.at - low) / (high - low) * (bottom - top);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"mlk8s-soft\" fill=\"#5b6673\">{}</text>",
            left + 20.0,
            y + 4.0,
            escape::text(&tick.label)
        );
    }
    if !title.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{left:.1}\" y=\"{:.1}\" class=\"mlk8s-word\" fill=\"#3d4852\">{}</text>",
            top - 9.0,
            escape::text(&escape::cut(title, 12))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_the_colours_of_their_scale() {
        let values = json!([0, 5, 10, "red"]);
        let colours = Colours::of(
            &json!({"colorscale": [[0, "#000000"], [1, "rgb(200,100,0)"]]}),
            &values,
        );
        let colours = colours.unwrap();
        assert_eq!(colours.at(0).as_deref(), Some("#000000"));
        assert_eq!(colours.at(1).as_deref(), Some("#643200"));
        assert_eq!(colours.at(3).as_deref(), Some("red"));
        assert_eq!(colours.at(4), None);
    }

    #[test]
    fn rows_may_differ_in_length() {
        let plot = json!({"data": [{"type": "heatmap", "z": [[1, 2, 3], [null], []], "y": ["a", "b", "c"]}]});
        let traces = chart_read::traces(&plot);
        let heat = read(&traces[0]);
        let x = Scale::new(&json!({}), &[&heat.x]);
        let y = Scale::new(&json!({}), &[&heat.y]);
        let shapes = shapes(&traces[0], &heat, &x, &y);
        assert_eq!(shapes.len(), 3);
        assert!(
            matches!(&shapes[2], Shape::Rect { fill, tip, .. } if fill == "#fde725" && tip == "2 · a\n3")
        );
    }
}
