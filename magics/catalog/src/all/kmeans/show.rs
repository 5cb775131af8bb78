//! What groups look like: a table, a curve over the numbers of groups, and a map.

use std::sync::Arc;

use mlk8s_clustering::{Fit, Silent, pca, scan};
use serde_json::{Value, json};

use super::report::Report;
use crate::error::MagicError;
use crate::names::ValueName;
use crate::rows::{Points, Rows, shortened};
use crate::view::{Column, Table, ToView, View};

/// Numbers of groups that an axis names one by one.
const TICKS: usize = 14;
/// Rows that the axes of the map are computed of.
const MAPPED: usize = 20_000;
/// Dots of the map.
const DOTS: usize = 2000;
/// Groups in the table.
const GROUPS: usize = 50;
/// Groups that have a colour of their own on the map.
const COLOURS: usize = 20;
/// Characters of a typical row, and of a column's name.
const WORDS: usize = 60;

/// Groups of rows, measured.
pub(in super::super) struct Grouped {
    name: ValueName,
    rows: Arc<Rows>,
    fit: Fit,
    scan: Option<scan::Scan>,
    report: Report,
    notes: Vec<String>,
    map: Option<Map>,
}

/// Places of some rows on a plane.
struct Map {
    rows: Vec<usize>,
    places: Vec<f32>,
    shares: Vec<f64>,
}

impl Grouped {
    pub(super) fn new(
        name: ValueName,
        rows: Arc<Rows>,
        fit: Fit,
        scan: Option<scan::Scan>,
        report: Report,
        notes: Vec<String>,
    ) -> Result<Grouped, MagicError> {
        let map = map(&rows)?;
        Ok(Grouped {
            name,
            rows,
            fit,
            scan,
            report,
            notes,
            map,
        })
    }

    fn table(&self) -> Table {
        let fit = &self.fit;
        let n = fit.labels.len();
        let mut order: Vec<usize> = (0..fit.k).collect();
        order.sort_by_key(|&c| std::cmp::Reverse(fit.sizes[c]));
        let has_labels = !self.rows.labels.is_empty();
        let has_names = !self.rows.names.is_empty();
        let mut columns = vec![
            Column::number("cluster"),
            Column::number("rows"),
            Column::number("share"),
        ];
        if !self.report.of_cluster.is_empty() {
            columns.push(Column::number("silhouette"));
        }
        if has_names {
            columns.push(Column::text("set apart by"));
        }
        if has_labels {
            columns.push(Column::text("typical"));
        }
        let rows = order.iter().take(GROUPS).map(|&c| {
            let mut row = vec![
                c.to_string(),
                fit.sizes[c].to_string(),
                format!("{:.1} %", 100.0 * fit.sizes[c] as f64 / n.max(1) as f64),
            ];
            if let Some(silhouette) = self.report.of_cluster.get(c) {
                row.push(decimal(*silhouette));
            }
            if has_names {
                row.push(self.apart(c));
            }
            if has_labels {
                row.push(self.typical(c));
            }
            row
        });
        Table {
            title: format!(
                "{}: {} of {}",
                self.name,
                plural(fit.k, "group"),
                plural(n, "row")
            ),
            rows: rows.collect(),
            columns,
            note: self.note(),
        }
    }

    /// The columns in which a group differs most from the rest.
    fn apart(&self, cluster: usize) -> String {
        let (answers, factors) = match &self.rows.points {
            Points::Codes(codes) => (true, codes.factors().unwrap_or_default()),
            Points::Dense { .. } => (false, [].as_slice()),
        };
        let told = self
            .report
            .apart
            .get(cluster)
            .into_iter()
            .flatten()
            .map(|difference| {
                let (shift, scale) = self
                    .rows
                    .standard
                    .get(difference.column)
                    .copied()
                    .unwrap_or((0.0, 1.0));
                // What an encoding has stretched is told as the share of rows that it was.
                let factor = f64::from(factors.get(difference.column).copied().unwrap_or(1.0));
                let [mean, rest] = [difference.mean, difference.rest]
                    .map(|x| x / factor * f64::from(scale) + f64::from(shift));
                let name = self
                    .rows
                    .names
                    .get(difference.column)
                    .map_or("", String::as_str);
                let name = shortened(name, WORDS);
                if answers && name.contains('=') {
                    format!("{name} {:.0} % ({:.0} %)", 100.0 * mean, 100.0 * rest)
                } else {
                    format!("{name} {} ({})", short(mean), short(rest))
                }
            });
        told.collect::<Vec<_>>().join("; ")
    }

    fn typical(&self, cluster: usize) -> String {
        let rows = self.report.typical.get(cluster).into_iter().flatten();
        let words: Vec<String> = rows
            .map(|row| shortened(&self.rows.label(*row), WORDS))
            .collect();
        words.join(" · ")
    }

    fn note(&self) -> String {
        let mut parts = Vec::new();
        if self.fit.k > GROUPS {
            parts.push(format!("the largest {GROUPS} are listed"));
        }
        if let Some(scan) = &self.scan {
            parts.push(chosen(scan, self.fit.k));
        }
        let cost = self.report.cost.clone();
        parts.push(format!(
            "{}, {}",
            cost.unwrap_or_else(|| format!("inertia {}", short(self.fit.inertia))),
            plural(self.fit.iterations, "iteration")
        ));
        if self.report.silhouette.is_finite() {
            parts.push(format!(
                "silhouette {}{}",
                decimal(self.report.silhouette),
                self.report.basis
            ));
        }
        if self.report.apart.iter().any(|apart| !apart.is_empty()) && !self.rows.names.is_empty() {
            parts.push("in brackets: all other rows".to_owned());
        }
        parts.extend(self.notes.iter().cloned());
        parts.push(format!(
            "in Rust cells `{0}.assignments` has the group of each row, and `{0}.predict(&frame)` finds that of others",
            self.name
        ));
        parts.join("; ")
    }

    fn chart(&self, map: &Map) -> Value {
        let shown = self.fit.k.min(COLOURS);
        let mut order: Vec<usize> = (0..self.fit.k).collect();
        order.sort_by_key(|&c| std::cmp::Reverse(self.fit.sizes[c]));
        let mut traces: Vec<Value> = order[..shown]
            .iter()
            .map(|&c| self.trace(map, &c.to_string(), &|label| label == c as u32))
            .collect();
        if self.fit.k > shown {
            let rest = &order[shown..];
            traces.push(self.trace(map, "all others", &|label| rest.contains(&(label as usize))));
        }
        let axis = |at: usize| {
            let share = map.shares.get(at).copied().unwrap_or(0.0);
            format!("principal axis {} ({:.0} %)", at + 1, 100.0 * share)
        };
        let shown = if map.rows.len() < self.fit.labels.len() {
            format!(", {} of {} rows", map.rows.len(), self.fit.labels.len())
        } else {
            String::new()
        };
        json!({
            "data": traces,
            "layout": {
                "title": { "text": format!("{} on a plane{shown}", self.name) }, "hovermode": "closest",
                "xaxis": { "title": { "text": axis(0) } }, "yaxis": { "title": { "text": axis(1) } },
            },
        })
    }

    fn trace(&self, map: &Map, name: &str, belongs: &dyn Fn(u32) -> bool) -> Value {
        let (mut x, mut y, mut text) = (Vec::new(), Vec::new(), Vec::new());
        for (at, &row) in map.rows.iter().enumerate() {
            if belongs(self.fit.labels[row]) {
                x.push(map.places[2 * at]);
                y.push(map.places[2 * at + 1]);
                text.push(self.rows.label(row));
            }
        }
        json!({
            "type": "scatter", "mode": "markers", "name": name, "x": x, "y": y, "text": text,
            "hovertemplate": "%{text}<extra>cluster %{fullData.name}</extra>", "marker": { "size": 6 },
        })
    }
}

impl ToView for Grouped {
    fn to_view(&self) -> View {
        let mut views = vec![View::Table(self.table())];
        if let Some(scan) = &self.scan {
            views.extend(curves(scan).map(View::Chart));
        }
        if let Some(map) = &self.map {
            views.push(View::Chart(self.chart(map)));
        }
        View::Stack(views)
    }
}

/// Why so many groups were made.
fn chosen(scan: &scan::Scan, k: usize) -> String {
    let knee = match scan.knee {
        Some(knee) => format!("; the inertia bends at {knee}"),
        None => String::new(),
    };
    let why = if scan.best_silhouette == Some(k) {
        "whose silhouette is the best"
    } else {
        "where the inertia bends"
    };
    let (from, to) = (scan.tried.first(), scan.tried.last());
    let range = from.zip(to).map_or(String::new(), |(from, to)| {
        format!(" of {}..{}", from.k, to.k)
    });
    format!("k = {k}{range}, {why}{knee}")
}

/// Inertia and silhouette over the number of groups.
fn curves(scan: &scan::Scan) -> [Value; 2] {
    let ks: Vec<usize> = scan.tried.iter().map(|tried| tried.k).collect();
    // There are no groups and a half.
    let ticks = if ks.len() <= TICKS {
        json!(ks)
    } else {
        Value::Null
    };
    let curve = |name: &str, values: Vec<Value>| {
        json!({
            "data": [{ "type": "scatter", "mode": "lines+markers", "name": name, "x": ks, "y": values }],
            "layout": {
                "title": { "text": format!("{name} by number of groups") }, "height": 260,
                "xaxis": { "title": { "text": "groups" }, "tickvals": ticks }, "yaxis": { "title": { "text": name } },
            },
        })
    };
    let finite = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    [
        curve(
            "inertia",
            scan.tried
                .iter()
                .map(|tried| finite(tried.inertia))
                .collect(),
        ),
        curve(
            "silhouette",
            scan.tried
                .iter()
                .map(|tried| finite(tried.silhouette))
                .collect(),
        ),
    ]
}

/// The places of evenly chosen rows on the plane on which they differ most.
fn map(rows: &Rows) -> Result<Option<Map>, MagicError> {
    let n = rows.n_rows();
    if n < 3 || rows.dims() < 2 {
        return Ok(None);
    }
    let every = |most: usize| -> Vec<usize> {
        let taken = n.min(most);
        (0..taken).map(|at| at * n / taken).collect()
    };
    let mapped = every(MAPPED);
    let found = match &rows.points {
        Points::Dense { values, dims } => {
            let chosen: Vec<f32> = mapped
                .iter()
                .flat_map(|row| &values[row * dims..(row + 1) * dims])
                .copied()
                .collect();
            pca::map(&mlk8s_clustering::Dense::new(chosen, *dims)?, 2, 0, &Silent)?
        }
        Points::Codes(codes) => pca::map(&codes.select(&mapped), 2, 0, &Silent)?,
    };
    let step = mapped.len().div_ceil(DOTS);
    let (mut chosen, mut places) = (Vec::new(), Vec::new());
    for (at, row) in mapped.iter().enumerate().step_by(step) {
        chosen.push(*row);
        places.extend(&found.coordinates[at * found.components..][..2]);
    }
    Ok(Some(Map {
        rows: chosen,
        places,
        shares: found.explained,
    }))
}

pub(super) fn plural(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// A number with as many digits as one can read.
pub(super) fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        "0".to_owned()
    } else if !(0.001..1e7).contains(&size) {
        format!("{x:.3e}")
    } else if size >= 1000.0 {
        format!("{x:.0}")
    } else if size >= 10.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.3}")
    }
}

fn decimal(x: f64) -> String {
    if x.is_finite() {
        format!("{x:.2}")
    } else {
        String::new()
    }
}
