//! Charts of plotly for places without plotly: a picture, a figure with tooltips, and words.

use serde_json::{Map, Value, json};

use super::chart_draw::{self, Picture};
use super::figure::{self, Figure, Live};
use super::{chart_read, escape};

/// What the crate `plotly` shows at the end of a cell.
const PLOTLY: &str = "application/vnd.plotly.v1+json";
/// The script that puts the picture into the page and adds the tooltips; it has no dependencies and needs no network.
const SCRIPT: &str = concat!(
    "(function () {\n\"use strict\";\n",
    include_str!("page.js"),
    include_str!("chart.js"),
    "})();"
);
/// What the picture looks like in the page: the parts that have one of our classes take the page's colours.
const LIVE_STYLE: &str = include_str!("chart.css");

/// What puts a picture into the page, where it has the colours of the page's theme.
pub(super) fn live() -> Live<'static> {
    Live {
        script: SCRIPT,
        data: json!({"chart": 1}),
        style: LIVE_STYLE,
    }
}

/// Adds a picture, HTML and text to a bundle that holds plotly's description of a chart only.
pub(crate) fn enrich(bundle: &mut Map<String, Value>) {
    if bundle.contains_key("text/html") {
        return;
    }
    let plot = match bundle.get(PLOTLY) {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(plot) => plot.clone(),
        None => return,
    };
    let picture = chart_draw::picture(&plot);
    let title = chart_read::title(&plot["layout"]["title"]);
    let text = text(&title, &picture);
    let html = html(&text, &picture);
    bundle.insert("text/html".to_owned(), html.into());
    bundle.insert("text/plain".to_owned(), text.into());
    bundle.insert("image/svg+xml".to_owned(), picture.svg.into());
}

/// The chart as a view of ours.
pub(super) fn draw(plot: &Value) -> super::Drawn {
    let picture = chart_draw::picture(plot);
    let text = text(&chart_read::title(&plot["layout"]["title"]), &picture);
    super::Drawn {
        html: html(&text, &picture),
        svg: Some(picture.svg),
    }
}

/// The chart in words.
pub(super) fn words(plot: &Value) -> String {
    text(
        &chart_read::title(&plot["layout"]["title"]),
        &chart_draw::picture(plot),
    )
}

fn text(title: &str, picture: &Picture) -> String {
    let title = if title.is_empty() { "Chart" } else { title };
    let mut lines = vec![title.to_owned()];
    lines.extend(picture.lines.iter().map(|line| format!("  {line}")));
    if !picture.undrawn.is_empty() {
        lines.extend(chart_draw::missing(&picture.undrawn).map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

fn html(text: &str, picture: &Picture) -> String {
    let caption = if picture.undrawn.is_empty() {
        String::new()
    } else {
        let [what, how] = chart_draw::missing(&picture.undrawn);
        let command = "<code>pip install plotly</code>";
        let how = escape::text(&how).replace("`pip install plotly`", command);
        format!("{}; {how}", escape::text(&what))
    };
    let figure = Figure {
        svg: &picture.svg,
        alt: text,
        caption,
        details: None,
        live: Some(live()),
    };
    figure::html(&figure, picture.width)
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
