//! View → MIME bundle: the only place that makes HTML.
//!
//! Every bundle has `text/plain`; `text/html` is static first and upgraded by a script where scripts run;
//! `image/svg+xml` is there where the view is a picture. No bundle holds `application/json`, which JupyterLab
//! would prefer to the HTML.

pub(crate) mod chart;
pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod link;
pub(crate) mod progress;
pub(crate) mod warnings;

mod answer;
mod chart_bars;
mod chart_bins;
mod chart_draw;
mod chart_frame;
mod chart_heat;
mod chart_legend;
mod chart_pie;
mod chart_points;
mod chart_read;
mod chart_scale;
mod chart_shape;
mod chart_tick;
mod chart_words;
mod cloud;
mod figure;
mod graph;
mod graph_data;
mod graph_fit;
mod graph_labels;
mod graph_scene;
mod graph_svg;
mod hits;
mod markdown;
mod palette;
mod reply;
mod table;

use mlk8s_catalog::view::View;
use serde_json::{Map, Value};

/// A view in the form of one frontend technology.
struct Drawn {
    html: String,
    svg: Option<String>,
}

/// The MIME bundle of `view`; empty for [`View::Nothing`].
pub(crate) fn bundle(view: &View) -> Map<String, Value> {
    let mut bundle = Map::new();
    if matches!(view, View::Nothing) {
        return bundle;
    }
    bundle.insert("text/plain".to_owned(), text(view).into());
    match view {
        View::Nothing | View::Text(_) => {}
        View::Markdown(text) => {
            bundle.insert("text/markdown".to_owned(), text.as_str().into());
        }
        rich => {
            let drawn = draw(rich);
            bundle.insert("text/html".to_owned(), drawn.html.into());
            if let Some(svg) = drawn.svg {
                bundle.insert("image/svg+xml".to_owned(), svg.into());
            }
        }
    }
    bundle
}

/// Adds forms that only the kernel can make to a bundle of a Rust cell: charts and graphs are drawn.
pub(crate) fn enrich(bundle: &mut Map<String, Value>) {
    chart::enrich(bundle);
    graph::enrich(bundle);
}

/// The words of `view`; those of charts are known only where they are drawn.
fn text(view: &View) -> String {
    match view {
        View::Chart(plot) => chart::words(plot),
        View::Stack(views) => {
            let parts: Vec<String> = views
                .iter()
                .map(text)
                .filter(|text| !text.is_empty())
                .collect();
            parts.join("\n\n")
        }
        other => other.text(),
    }
}

fn draw(view: &View) -> Drawn {
    let html = |html| Drawn { html, svg: None };
    match view {
        View::Nothing => html(String::new()),
        View::Text(text) => html(format!("<pre>{}</pre>", escape::text(text))),
        View::Remark(text) => html(table::remark(text)),
        View::Markdown(text) => html(markdown::html(text)),
        View::Table(table) => html(table::html(table)),
        View::Answer(answer) => html(answer::html(answer)),
        View::Graph(graph) => graph::draw(graph),
        View::Cloud(cloud) => cloud::draw(cloud),
        View::Hits(hits) => html(hits::html(hits)),
        View::Replies(replies) => html(reply::html(replies)),
        View::Chart(plot) => chart::draw(plot),
        View::Stack(views) => stack(views),
    }
}

/// The views one below the other; the picture counts as a picture of its own only when it is the only one.
fn stack(views: &[View]) -> Drawn {
    let mut parts: Vec<Drawn> = views.iter().map(draw).collect();
    let svg = match parts.as_mut_slice() {
        [only] => only.svg.take(),
        _ => None,
    };
    let html: Vec<String> = parts
        .into_iter()
        .map(|part| part.html)
        .filter(|html| !html.is_empty())
        .collect();
    Drawn {
        html: html.join("\n"),
        svg,
    }
}

#[cfg(test)]
mod tests;
