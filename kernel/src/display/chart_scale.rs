//! An axis: which values it holds and where they lie.

use std::collections::HashMap;

use serde_json::Value;

use super::chart_read::{self, Datum};
use super::chart_tick::{self, Tick};

/// What an axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Linear,
    Log,
    Date,
    Category,
}

/// An axis from values to pixels.
pub(crate) struct Scale {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    /// Both ends, in the coordinates of the axis.
    pub(crate) ends: [f64; 2],
    /// Both ends in pixels.
    pub(crate) pixels: [f64; 2],
    /// Names in their order.
    pub(crate) names: Vec<String>,
    places: HashMap<String, usize>,
    /// Whether the ticks are to be seen.
    pub(crate) seen: bool,
    /// Whether lines cross the chart.
    pub(crate) grid: bool,
    /// Text before and after each number.
    around: [String; 2],
    given: Option<Vec<Tick>>,
}

impl Scale {
    /// The axis that `layout` describes, for these values.
    pub(crate) fn new(layout: &Value, values: &[&[Datum]]) -> Self {
        let kind = kind(layout, values);
        let mut scale = Self {
            kind,
            title: chart_read::title(&layout["title"]),
            ends: [0.0, 1.0],
            pixels: [0.0, 1.0],
            names: Vec::new(),
            places: HashMap::new(),
            seen: layout["visible"] != false && layout["showticklabels"] != false,
            grid: layout["showgrid"] != false && layout["visible"] != false,
            around: ["tickprefix", "ticksuffix"]
                .map(|key| layout[key].as_str().unwrap_or("").to_owned()),
            given: None,
        };
        if kind == Kind::Category {
            scale.collect(layout, values);
        }
        scale.given = scale.given_ticks(layout);
        scale
    }

    fn collect(&mut self, layout: &Value, values: &[&[Datum]]) {
        let order = chart_read::data(&layout["categoryarray"]);
        let all = order.iter().chain(values.iter().copied().flatten());
        for name in all.filter_map(Datum::name) {
            if !self.places.contains_key(&name) {
                self.places.insert(name.clone(), self.names.len());
                self.names.push(name);
            }
        }
        let order = layout["categoryorder"].as_str().unwrap_or("");
        if order.starts_with("category") {
            self.names.sort();
            if order.ends_with("descending") {
                self.names.reverse();
            }
            let places = self.names.iter().cloned().enumerate();
            self.places = places.map(|(i, name)| (name, i)).collect();
        }
    }

    /// The ticks that the layout names one by one.
    fn given_ticks(&self, layout: &Value) -> Option<Vec<Tick>> {
        let at = chart_read::data(&layout["tickvals"]);
        let labels = chart_read::data(&layout["ticktext"]);
        let ticks: Vec<Tick> = at
            .iter()
            .enumerate()
            .filter_map(|(i, value)| {
                Some(Tick {
                    at: self.place(value)?,
                    label: labels.get(i).unwrap_or(value).name()?,
                })
            })
            .collect();
        (!ticks.is_empty()).then_some(ticks)
    }

    /// Where `value` lies, in the coordinates of the axis.
    pub(crate) fn place(&self, value: &Datum) -> Option<f64> {
        match self.kind {
            Kind::Linear => value.number(),
            Kind::Log => value.number().filter(|n| *n > 0.0).map(f64::log10),
            Kind::Date => value.date(),
            Kind::Category => self.places.get(&value.name()?).map(|&i| i as f64),
        }
    }

    /// Where a computed number lies; below every value where a logarithm has none.
    pub(crate) fn lift(&self, number: f64) -> f64 {
        match self.kind {
            Kind::Log if number > 0.0 => number.log10(),
            Kind::Log => f64::NEG_INFINITY,
            _ => number,
        }
    }

    /// What lies at `at`, in words.
    pub(crate) fn word(&self, at: f64) -> String {
        let word = match self.kind {
            Kind::Linear => chart_tick::short(at),
            Kind::Log => chart_tick::short(10_f64.powf(at)),
            Kind::Date => return chart_tick::moment_name(at),
            Kind::Category => {
                let name = self.names.get(at.round().max(0.0) as usize);
                return name.cloned().unwrap_or_default();
            }
        };
        format!("{}{word}{}", self.around[0], self.around[1])
    }

    /// Takes the ends from the layout, or else from the shapes with some `air`, a share of what lies between.
    pub(crate) fn fit(&mut self, layout: &Value, extent: [f64; 2], air: f64) {
        let [mut low, mut high] = extent;
        if !(low.is_finite() && high.is_finite()) {
            [low, high] = if self.kind == Kind::Log {
                [0.0, 1.0]
            } else {
                [0.0, 4.0]
            };
        }
        if self.kind == Kind::Category {
            let last = self.names.len() as f64 - 0.5;
            [low, high] = [low.min(-0.5), high.max(last)];
        } else {
            let [zero_low, zero_high] = [low == 0.0, high == 0.0];
            if high - low < 1e-12 * high.abs().max(low.abs()).max(1e-300) {
                let half = if self.kind == Kind::Date {
                    43_200.0
                } else {
                    low.abs().max(1.0) * 0.5
                };
                [low, high] = [low - half, high + half];
            }
            let more = air * (high - low);
            let bound = self.kind == Kind::Linear;
            low -= if bound && zero_low { 0.0 } else { more };
            high += if bound && zero_high { 0.0 } else { more };
        }
        if layout["rangemode"] == "tozero" && self.kind == Kind::Linear {
            [low, high] = [low.min(0.0), high.max(0.0)];
        }
        self.ends = [low, high];
        for (end, value) in chart_read::data(&layout["range"])
            .iter()
            .take(2)
            .enumerate()
        {
            // plotly gives logarithms and places of categories as numbers already.
            let at = match self.kind {
                Kind::Date => value.date(),
                _ => value.number(),
            };
            self.ends[end] = at.unwrap_or(self.ends[end]);
        }
        if layout["autorange"] == "reversed" {
            self.ends.reverse();
        }
        if self.ends[0].total_cmp(&self.ends[1]).is_eq() {
            self.ends[1] += 1.0;
        }
    }

    /// The pixel of `at`; far outside is not further than a little outside.
    pub(crate) fn pixel(&self, at: f64) -> f64 {
        let [low, high] = self.ends;
        let [from, to] = self.pixels;
        let share = ((at - low) / (high - low)).clamp(-20.0, 20.0);
        from + share * (to - from)
    }

    /// The ticks, about `wanted` of them where they are numbers, all of them where they are names.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<Tick> {
        if !self.seen {
            return Vec::new();
        }
        let [low, high] = [
            self.ends[0].min(self.ends[1]),
            self.ends[0].max(self.ends[1]),
        ];
        let mut ticks = match (&self.given, self.kind) {
            (Some(given), _) => given.clone(),
            (None, Kind::Linear) => chart_tick::linear(low, high, wanted),
            (None, Kind::Log) => chart_tick::log(low, high, wanted),
            (None, Kind::Date) => chart_tick::date(low, high, wanted),
            (None, Kind::Category) => self.named(),
        };
        ticks.retain(|tick| tick.at >= low - 1e-9 && tick.at <= high + 1e-9);
        if self.given.is_none() && matches!(self.kind, Kind::Linear | Kind::Log) {
            for tick in &mut ticks {
                tick.label = format!("{}{}{}", self.around[0], tick.label, self.around[1]);
            }
        }
        ticks
    }

    fn named(&self) -> Vec<Tick> {
        let names = self.names.iter().enumerate();
        names
            .map(|(i, name)| Tick {
                at: i as f64,
                label: name.clone(),
            })
            .collect()
    }
}

/// What the layout says, or else what the values look like.
fn kind(layout: &Value, values: &[&[Datum]]) -> Kind {
    match layout["type"].as_str().unwrap_or("-") {
        "linear" => return Kind::Linear,
        "log" => return Kind::Log,
        "date" => return Kind::Date,
        "category" | "multicategory" => return Kind::Category,
        _ => {}
    }
    let mut all = values.iter().copied().flatten();
    let mut some = all
        .clone()
        .filter(|value| **value != Datum::Missing)
        .peekable();
    if some.peek().is_none() {
        return Kind::Linear;
    }
    if some.all(|value| value.number().is_some()) {
        return Kind::Linear;
    }
    if all.all(|value| *value == Datum::Missing || value.date().is_some()) {
        return Kind::Date;
    }
    Kind::Category
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scale(layout: &Value, values: &Value) -> Scale {
        Scale::new(layout, &[&chart_read::data(values)])
    }

    #[test]
    fn the_values_say_what_an_axis_is() {
        let kind = |values| scale(&json!({}), &values).kind;
        assert_eq!(kind(json!([1, null, "2"])), Kind::Linear);
        assert_eq!(kind(json!(["2024-01-01", null])), Kind::Date);
        assert_eq!(kind(json!(["2024-01-01", "b"])), Kind::Category);
        assert_eq!(kind(json!([])), Kind::Linear);
        assert_eq!(scale(&json!({"type": "log"}), &json!([1])).kind, Kind::Log);
    }

    #[test]
    fn names_keep_their_order_and_one_place() {
        let scale = scale(&json!({}), &json!(["b", "a", "b"]));
        assert_eq!(scale.names, ["b", "a"]);
        assert_eq!(scale.place(&Datum::Text("a".to_owned())), Some(1.0));
        assert_eq!(scale.word(1.0), "a");
    }

    #[test]
    fn ends_have_air_and_survive_nonsense() {
        let mut one = scale(&json!({}), &json!([]));
        one.fit(&json!({}), [f64::INFINITY, f64::NEG_INFINITY], 0.05);
        assert!(one.ends[0] < one.ends[1]);
        one.fit(&json!({}), [0.0, 100.0], 0.05);
        assert_eq!(format!("{:?}", one.ends), "[0.0, 105.0]");
        one.fit(&json!({"range": [3, 1]}), [0.0, 100.0], 0.05);
        assert_eq!(format!("{:?}", one.ends), "[3.0, 1.0]");
        one.fit(&json!({}), [5.0, 5.0], 0.05);
        assert!(one.ends[0] < 5.0 && one.ends[1] > 5.0);
    }
}
