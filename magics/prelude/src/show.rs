//! How data frames and graphs look at the end of a cell.

use std::fmt::Write as _;

use mlk8s_values::{Clusters, KnowledgeGraph};
use plotly::Plot;
use polars::prelude::{AnyValue, Column, DataFrame, IntoColumn, PolarsResult, Series};

use crate::bundle::Bundle;

/// Rows that are shown.
const ROWS: usize = 20;
/// Columns that are shown.
const COLUMNS: usize = 40;
/// Characters of a cell that are shown; the rest is in its tooltip.
const CELL: usize = 80;
/// Entities in the summary of a graph.
const HUBS: usize = 10;

/// A value that knows what it looks like in a notebook.
pub trait Show {
    /// The value in its forms; `text/plain` is among them.
    fn bundle(&self) -> Bundle;
}

impl Show for DataFrame {
    fn bundle(&self) -> Bundle {
        both(&self.to_string(), &frame_html(self))
    }
}

impl Show for Series {
    fn bundle(&self) -> Bundle {
        let rows = self.len();
        let html = grid(
            &[self.clone().into_column()],
            rows,
            &format!("series of {}", plural(rows, "value", "values")),
        );
        both(&self.to_string(), &html)
    }
}

impl Show for KnowledgeGraph {
    fn bundle(&self) -> Bundle {
        crate::graphs::knowledge(self, &graph_text(self))
    }
}

impl Show for Clusters {
    fn bundle(&self) -> Bundle {
        let sizes = Column::new(
            "rows".into(),
            self.sizes.iter().map(|n| *n as u64).collect::<Vec<_>>(),
        );
        let number = Column::new("cluster".into(), (0..self.k() as u32).collect::<Vec<_>>());
        let text = clusters_text(self);
        let html = grid(&[number, sizes], self.k(), &text);
        both(&format!("{text}\nsizes: {:?}", self.sizes), &html)
    }
}

/// What clusters are, in one line.
pub(crate) fn clusters_text(clusters: &Clusters) -> String {
    format!(
        "{} of {}, inertia {:.6}",
        plural(clusters.k(), "cluster", "clusters"),
        plural(clusters.assignments.len(), "row", "rows"),
        clusters.inertia
    )
}

impl Show for Plot {
    /// The description of the chart; the kernel draws it where there is no plotly.
    fn bundle(&self) -> Bundle {
        let chart = serde_json::from_str(&self.to_json()).unwrap_or_default();
        Bundle::default().with_json("application/vnd.plotly.v1+json", chart)
    }
}

/// Types that everybody uses: that the compiler finds their form here, and does not have to look through every
/// `Debug` of every crate, makes a small cell quicker.
macro_rules! show_debug {
    ($($type:ty),* $(,)?) => {
        $(impl Show for $type {
            fn bundle(&self) -> Bundle {
                Bundle::plain(crate::cells::debug_text(&self))
            }
        })*
    };
}

macro_rules! show_numbers {
    ($($type:ty),*) => { show_debug!($($type, Vec<$type>, Option<$type>),*); };
}

show_numbers!(
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64
);
show_debug!(
    bool,
    char,
    String,
    Vec<String>,
    Option<String>,
    Option<bool>,
    Vec<bool>,
    str,
    Vec<&str>
);

impl<T: Show + ?Sized> Show for &T {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }
}

impl Show for Bundle {
    fn bundle(&self) -> Bundle {
        self.clone()
    }
}

fn both(plain: &str, html: &str) -> Bundle {
    Bundle::plain(plain).with("text/html", html)
}

fn frame_html(frame: &DataFrame) -> String {
    let (rows, columns) = frame.shape();
    let shape = format!(
        "{} × {}",
        plural(rows, "row", "rows"),
        plural(columns, "column", "columns")
    );
    grid(frame.columns(), rows, &shape)
}

/// The first rows of `columns` as a table with names, types and a line that tells the shape.
fn grid(columns: &[Column], rows: usize, shape: &str) -> String {
    let shown = &columns[..columns.len().min(COLUMNS)];
    let mut out = String::from("<table border=\"1\" class=\"dataframe\">\n<thead><tr>");
    for column in shown {
        let _ = write!(
            out,
            "<th style=\"{}\">{}<br><small style=\"font-weight:normal;opacity:.65\">{}</small></th>",
            align(column),
            escaped(&cut(column.name(), CELL)),
            escaped(&column.dtype().to_string()),
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in 0..rows.min(ROWS) {
        out.push_str("<tr>");
        for column in shown {
            out.push_str(&cell(column, row));
        }
        out.push_str("</tr>\n");
    }
    let mut hidden = Vec::new();
    if rows > ROWS {
        hidden.push(format!("the first {ROWS} rows"));
    }
    if columns.len() > COLUMNS {
        hidden.push(format!("the first {COLUMNS} columns"));
    }
    let hidden = if hidden.is_empty() {
        String::new()
    } else {
        format!("; shown are {}", hidden.join(" and "))
    };
    let _ = write!(
        out,
        "</tbody></table>\n<p><small>{shape}{hidden}</small></p>"
    );
    out
}

fn cell(column: &Column, row: usize) -> String {
    let text = value(column.get(row));
    let shown = cut(&text, CELL);
    let title = if shown == text {
        String::new()
    } else {
        format!(" title=\"{}\"", escaped(&cut(&text, 12 * CELL)))
    };
    let soft = if matches!(column.get(row), Ok(AnyValue::Null)) {
        ";opacity:.5"
    } else {
        ""
    };
    format!(
        "<td style=\"{}{soft}\"{title}>{}</td>",
        align(column),
        escaped(&shown)
    )
}

fn value(value: PolarsResult<AnyValue>) -> String {
    match value {
        Ok(AnyValue::Float64(number)) => float(number),
        Ok(AnyValue::Float32(number)) => float(f64::from(number)),
        Ok(value) => value.str_value().replace('\n', " "),
        Err(error) => error.to_string(),
    }
}

/// Six digits are enough to look at; the value itself keeps all.
fn float(number: f64) -> String {
    let size = number.abs();
    match size {
        s if s.is_nan() || s.is_infinite() || s == 0.0 => number.to_string(),
        s if !(1e-4..1e9).contains(&s) => format!("{number:.5e}"),
        s if s >= 1e6 => format!("{number:.1}"),
        _ => {
            let fixed = format!("{number:.6}");
            let short = fixed.trim_end_matches('0');
            if short.ends_with('.') {
                format!("{short}0")
            } else {
                short.to_owned()
            }
        }
    }
}

fn align(column: &Column) -> &'static str {
    if column.dtype().is_primitive_numeric() {
        "text-align:right"
    } else {
        "text-align:left"
    }
}

/// The entities with the most relations: name, relations, mentions.
fn hubs(graph: &KnowledgeGraph) -> Vec<(&str, usize, u32)> {
    let mut hubs: Vec<_> = graph
        .node_indices()
        .map(|node| {
            let degree = graph.neighbors_undirected(node).count();
            (graph[node].name.as_str(), degree, graph[node].mentions)
        })
        .collect();
    hubs.sort_by(|a, b| (b.1, b.2).cmp(&(a.1, a.2)).then(a.0.cmp(b.0)));
    hubs.truncate(HUBS);
    hubs
}

fn counts(graph: &KnowledgeGraph) -> String {
    let communities = graph
        .node_weights()
        .map(|entity| entity.community)
        .max()
        .map_or(0, |most| most as usize + 1);
    [
        plural(graph.node_count(), "entity", "entities"),
        plural(graph.edge_count(), "relation", "relations"),
        plural(communities, "community", "communities"),
    ]
    .join(", ")
}

fn graph_text(graph: &KnowledgeGraph) -> String {
    let mut out = format!("knowledge graph: {}", counts(graph));
    for (name, degree, mentions) in hubs(graph) {
        let name = cut(&name.replace(char::is_control, " "), 40);
        let _ = write!(
            out,
            "\n  {name:<40}  {degree:>6} relations  {mentions:>6} mentions"
        );
    }
    out
}

pub(crate) fn plural(n: usize, one: &str, many: &str) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if n == 1 { one } else { many })
}

/// `text` with at most `limit` characters, with an ellipsis where it was cut.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit - 1).collect();
    format!("{}…", kept.trim_end())
}

/// `text` for the content or a quoted attribute of HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_values::Entity;
    use polars::df;

    #[test]
    fn a_frame_is_escaped_cut_and_typed() {
        let long = format!("<script>{}", "x".repeat(100));
        let frame = df!("na<me" => [Some(long.as_str()), None], "n" => [1.0f64, 0.25]).unwrap();
        let html = frame_html(&frame);
        assert!(
            html.contains("<th style=\"text-align:left\">na&lt;me<br>"),
            "{html}"
        );
        assert!(
            html.contains(">str</small>") && html.contains(">f64</small>"),
            "{html}"
        );
        assert!(
            html.contains("title=\"&lt;script&gt;xxx") && html.contains("xx…</td>"),
            "{html}"
        );
        assert!(
            html.contains("<td style=\"text-align:right\">0.25</td>"),
            "{html}"
        );
        assert!(
            html.contains("null</td>") && html.contains("2 rows × 2 columns"),
            "{html}"
        );
        assert!(!html.contains("<script"));
    }

    #[test]
    fn a_long_frame_says_what_is_shown() {
        let frame = df!("a" => (0..1234).collect::<Vec<i32>>()).unwrap();
        let html = frame_html(&frame);
        assert_eq!(html.matches("<tr>").count(), 1 + ROWS);
        assert!(
            html.contains("1,234 rows × 1 column; shown are the first 20 rows"),
            "{html}"
        );
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.0, 1.0, 0.1 + 0.2, 1.5e-9, 1_234_567.25, f64::NAN]
            .map(float)
            .to_vec();
        assert_eq!(shown, ["0", "1.0", "0.3", "1.50000e-9", "1234567.2", "NaN"]);
    }

    #[test]
    fn a_graph_is_told_by_its_hubs() {
        let entity = |name: &str, community| Entity {
            name: name.to_owned(),
            aliases: Vec::new(),
            mentions: 2,
            documents: 1,
            community,
        };
        let mut graph = KnowledgeGraph::new();
        graph.add_node(entity("<b>lamp", 0));
        graph.add_node(entity("lens", 1));
        assert!(
            graph_text(&graph)
                .starts_with("knowledge graph: 2 entities, 0 relations, 2 communities\n  <b>lamp ")
        );
    }
}
