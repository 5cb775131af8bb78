//! The picture of a plotly chart: traces become shapes, shapes find their axes, all of it becomes one SVG.

use std::fmt::Write;

use serde_json::Value;

use super::chart_bars::{self, Bars};
use super::chart_frame::Frame;
use super::chart_heat::{self, Heat};
use super::chart_legend::Entry;
use super::chart_pie;
use super::chart_points::{self, Boxes};
use super::chart_read::{self, Datum, Trace};
use super::chart_scale::Scale;
use super::chart_shape::{self, Shape};
use super::{chart_words, escape};

/// Kinds of traces that have axes, in plotly's words.
const WITH_AXES: [&str; 6] = ["bar", "box", "heatmap", "histogram", "scatter", "scattergl"];

/// A drawn chart.
pub(crate) struct Picture {
    pub(crate) svg: String,
    pub(crate) width: u32,
    /// One line for each trace that is drawn, or that is not.
    pub(crate) lines: Vec<String>,
    /// What is not drawn here, in plotly's words.
    pub(crate) undrawn: Vec<String>,
}

/// A trace with its values read.
enum Layer<'a> {
    Heat(&'a Trace<'a>, Heat),
    Boxes(&'a Trace<'a>, Boxes),
    Points(&'a Trace<'a>, [Vec<Datum>; 2]),
}

/// Draws the chart that `plot` describes.
pub(crate) fn picture(plot: &Value) -> Picture {
    let mut traces = chart_read::traces(plot);
    let mut undrawn: Vec<String> = Vec::new();
    let pies = traces.first().is_some_and(|trace| trace.kind == "pie");
    traces.retain(|trace| {
        let reason = refusal(trace, pies);
        undrawn.extend(reason.clone().filter(|reason| !undrawn.contains(reason)));
        reason.is_none()
    });
    let layout = &plot["layout"];
    let title = chart_read::title(&layout["title"]);
    let title = if title.is_empty() {
        "Chart".to_owned()
    } else {
        title
    };
    let mut frame = Frame::new(layout, legend(&traces, layout, pies));
    if !undrawn.is_empty() && !traces.is_empty() {
        frame.bottom -= 20.0;
    }
    let mut body = String::new();
    let lines = match (traces.is_empty(), pies) {
        (true, _) => Vec::new(),
        (_, true) => round(&mut body, &traces, &frame),
        _ => with_axes(&mut body, &traces, layout, &mut frame),
    };
    let mut svg = String::new();
    frame.open(&mut svg, &title);
    svg.push_str(&body);
    note(&mut svg, &frame, &undrawn, traces.is_empty());
    svg.push_str("</svg>\n");
    Picture {
        svg,
        width: frame.width as u32,
        lines,
        undrawn,
    }
}

/// Why a trace is not drawn.
fn refusal(trace: &Trace<'_>, pies: bool) -> Option<String> {
    let known = WITH_AXES.contains(&trace.kind) || trace.kind == "pie";
    if !known {
        return Some(format!("a trace of type `{}`", escape::cut(trace.kind, 40)));
    }
    if (trace.kind == "pie") != pies {
        return Some("a pie beside axes".to_owned());
    }
    let further = ["xaxis", "yaxis"].map(|key| trace.json[key].as_str().unwrap_or(""));
    let further = further.iter().any(|name| name.len() > 1);
    further.then(|| "a trace on a second pair of axes".to_owned())
}

fn legend(traces: &[Trace<'_>], layout: &Value, pies: bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    if pies {
        let parts = traces.iter().flat_map(chart_pie::parts);
        for part in parts {
            if !entries.iter().any(|entry| entry.name == part.label) {
                entries.push(Entry {
                    name: part.label,
                    colour: part.colour,
                    line: false,
                });
            }
        }
    } else {
        let shown = traces
            .iter()
            .filter(|t| t.json["showlegend"] != false && t.kind != "heatmap");
        entries.extend(shown.map(|trace| Entry {
            name: trace.name.clone(),
            colour: trace.colour.clone(),
            line: trace.kind.starts_with("scatter") && !trace.word("/mode").starts_with("markers"),
        }));
        // Boxes are named at their axis.
        if traces
            .iter()
            .all(|t| t.kind == "box" && t.json["x"].is_null() != t.json["y"].is_null())
        {
            entries.clear();
        }
    }
    let wanted = layout["showlegend"].as_bool().unwrap_or(entries.len() > 1);
    if wanted { entries } else { Vec::new() }
}

fn with_axes(
    out: &mut String,
    traces: &[Trace<'_>],
    layout: &Value,
    frame: &mut Frame,
) -> Vec<String> {
    let bars = chart_bars::read(traces);
    let layers: Vec<Layer<'_>> = traces.iter().filter_map(layer).collect();
    let mut values: [Vec<&[Datum]>; 2] = [Vec::new(), Vec::new()];
    let names: Vec<[Vec<Datum>; 2]> = layers.iter().map(places).collect();
    for bar in &bars {
        values[usize::from(bar.lies)].push(&bar.at);
        values[usize::from(!bar.lies)].push(&bar.long);
    }
    for both in &names {
        values[0].push(&both[0]);
        values[1].push(&both[1]);
    }
    let layouts = [&layout["xaxis"], &layout["yaxis"]];
    let mut x = Scale::new(layouts[0], &values[0]);
    let mut y = Scale::new(layouts[1], &values[1]);
    let shapes = shapes(&bars, &layers, layout, &x, &y);
    let heat = layers.iter().find_map(|layer| match layer {
        Layer::Heat(trace, heat) if trace.json["showscale"] != false => Some((trace, heat)),
        _ => None,
    });
    let air = if layers.iter().any(|layer| matches!(layer, Layer::Heat(..))) {
        0.0
    } else {
        0.04 + chart_shape::largest(&shapes).min(60.0) / 350.0
    };
    let written = [true, false].map(|lies| {
        bars.iter()
            .any(|bar| bar.lies == lies && !bar.trace.json["text"].is_null())
    });
    for (axis, scale) in [&mut x, &mut y].into_iter().enumerate() {
        let mut ends = chart_shape::extent(&shapes, axis);
        if written[axis] && ends[0] < ends[1] {
            let room = 0.09 * (ends[1] - ends[0]);
            ends = [
                ends[0] - if ends[0] < 0.0 { room } else { 0.0 },
                ends[1] + room,
            ];
        }
        scale.fit(layouts[axis], ends, air);
    }
    frame.axes(&mut x, &mut y, heat.is_some());
    frame.grid(out, &x, &y);
    inside(out, frame, &shapes, &x, &y);
    frame.words(out, &x, &y);
    if let Some((trace, heat)) = heat {
        let title = chart_read::title(&trace.json["colorbar"]["title"]);
        chart_heat::bar(
            out,
            heat,
            &title,
            frame.right + 14.0,
            [frame.top, frame.bottom],
        );
    }
    let counts = |trace: &Trace<'_>| {
        let n = ["x", "y", "z"].map(|key| trace.json[key].as_array().map_or(0, Vec::len));
        n.into_iter().max().unwrap_or(0)
    };
    let word =
        |trace: &Trace<'_>| format!("{}: {}, {} values", trace.name, trace.kind, counts(trace));
    let mut lines: Vec<String> = traces.iter().map(word).collect();
    for (name, scale) in [("x", &x), ("y", &y)] {
        lines.push(range(
            name,
            scale,
            chart_shape::extent(&shapes, usize::from(name == "y")),
        ));
    }
    lines
}

/// The axis in words.
fn range(axis: &str, scale: &Scale, [low, high]: [f64; 2]) -> String {
    let title = if scale.title.is_empty() {
        String::new()
    } else {
        format!(" ({})", scale.title)
    };
    if !scale.names.is_empty() {
        let some: Vec<String> = scale
            .names
            .iter()
            .take(6)
            .map(|name| escape::cut(name, 30))
            .collect();
        let more = if scale.names.len() > some.len() {
            ", …"
        } else {
            ""
        };
        return format!(
            "{axis}{title}: {} names: {}{more}",
            scale.names.len(),
            some.join(", ")
        );
    }
    if low > high {
        return format!("{axis}{title}: no values");
    }
    format!("{axis}{title}: {} to {}", scale.word(low), scale.word(high))
}

fn layer<'a>(trace: &'a Trace<'a>) -> Option<Layer<'a>> {
    match trace.kind {
        "heatmap" => Some(Layer::Heat(trace, chart_heat::read(trace))),
        "box" => Some(Layer::Boxes(trace, chart_points::boxes(trace))),
        "scatter" | "scattergl" => Some(Layer::Points(trace, chart_points::places(trace))),
        _ => None,
    }
}

/// The values of a layer along both axes.
fn places(layer: &Layer<'_>) -> [Vec<Datum>; 2] {
    match layer {
        Layer::Heat(_, heat) => [heat.x.clone(), heat.y.clone()],
        Layer::Points(_, places) => places.clone(),
        Layer::Boxes(_, boxes) => {
            let at = boxes.groups.iter().map(|group| group.0.clone()).collect();
            let values = boxes
                .groups
                .iter()
                .flat_map(|group| group.1.clone())
                .collect();
            if boxes.lies {
                [values, at]
            } else {
                [at, values]
            }
        }
    }
}

/// All shapes, those that cover much first.
fn shapes(
    bars: &[Bars<'_>],
    layers: &[Layer<'_>],
    layout: &Value,
    x: &Scale,
    y: &Scale,
) -> Vec<Shape> {
    let mut out = Vec::new();
    for layer in layers {
        if let Layer::Heat(trace, heat) = layer {
            out.extend(chart_heat::shapes(trace, heat, x, y));
        }
    }
    out.extend(chart_bars::shapes(bars, layout, x, y));
    let grouped = layout["boxmode"] == "group";
    let count = layers
        .iter()
        .filter(|layer| matches!(layer, Layer::Boxes(..)))
        .count();
    let mut number = 0;
    for layer in layers {
        match layer {
            Layer::Boxes(trace, boxes) => {
                let slot = if grouped { (number, count) } else { (0, 1) };
                number += 1;
                out.extend(chart_points::box_shapes(trace, boxes, slot, x, y));
            }
            Layer::Points(trace, places) => out.extend(chart_points::scatter(trace, places, x, y)),
            Layer::Heat(..) => {}
        }
    }
    out
}

/// The shapes, cut off a little outside the axes, but never their words.
fn inside(out: &mut String, frame: &Frame, shapes: &[Shape], x: &Scale, y: &Scale) {
    // A nested picture cuts off what lies outside without an identifier that could meet another figure's.
    let (left, top) = (frame.left - 6.0, frame.top - 6.0);
    let (wide, high) = (
        frame.right - frame.left + 12.0,
        frame.bottom - frame.top + 12.0,
    );
    let _ = writeln!(
        out,
        "<svg x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" viewBox=\"{left:.1} {top:.1} {wide:.1} {high:.1}\">"
    );
    let word = |shape: &&Shape| matches!(shape, Shape::Word { .. });
    let things = shapes.iter().filter(|shape| !word(shape));
    chart_shape::draw(out, &things.collect::<Vec<_>>(), x, y);
    out.push_str("</svg>\n");
    chart_shape::draw(out, &shapes.iter().filter(word).collect::<Vec<_>>(), x, y);
}

/// Pies beside one another.
fn round(out: &mut String, traces: &[Trace<'_>], frame: &Frame) -> Vec<String> {
    let across = (frame.right - frame.left) / traces.len() as f64;
    let tall = frame.bottom - frame.top - 8.0;
    let radius = (across.min(tall) / 2.0 - 6.0).max(10.0);
    let mut lines = Vec::new();
    for (i, trace) in traces.iter().enumerate() {
        let middle = [
            frame.left + (i as f64 + 0.5) * across,
            frame.top + 4.0 + tall / 2.0,
        ];
        chart_pie::draw(out, trace, middle, radius);
        let parts = chart_pie::parts(trace);
        let total: f64 = parts.iter().map(|part| part.value).sum();
        lines.push(format!("{}: pie, {} parts", trace.name, parts.len()));
        for part in parts.iter().take(12) {
            let label = escape::cut(&part.label, 40);
            lines.push(format!("  {label}: {:.1}%", 100.0 * part.value / total));
        }
    }
    lines
}

/// What is not drawn, and how it can be.
fn note(out: &mut String, frame: &Frame, undrawn: &[String], alone: bool) {
    let lines = match (undrawn.is_empty(), alone) {
        (false, _) => missing(undrawn),
        (true, true) => ["this chart has no traces".to_owned(), String::new()],
        (true, false) => return,
    };
    if alone {
        for (i, line) in lines.iter().enumerate() {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"13\" class=\"mlk8s-soft\" fill=\"#5b6673\">{}</text>",
                frame.width / 2.0,
                frame.height / 2.0 + 22.0 * i as f64,
                escape::text(line)
            );
        }
    } else {
        let room = frame.width - 44.0;
        let line = chart_words::cut(&lines.join("; "), 11.0, room);
        let _ = writeln!(
            out,
            "<text x=\"22\" y=\"{:.1}\" font-size=\"11\" class=\"mlk8s-warn\" fill=\"#8a5a00\">{}</text>",
            frame.height - 9.0,
            escape::text(&line)
        );
    }
}

/// Two sentences about what is not drawn.
pub(crate) fn missing(undrawn: &[String]) -> [String; 2] {
    [
        format!("not drawn here: {}", undrawn.join(", ")),
        "`pip install plotly` in the notebook's environment draws it".to_owned(),
    ]
}
