//! What a chart is made of: rectangles, lines, dots and words in the coordinates of its axes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chart_scale::Scale;
use super::chart_words::attribute;
use super::escape;

/// From this many shapes on, each one is drawn without its own tooltip.
pub(crate) const MANY: usize = 4000;

/// From this many shapes on, dots that look the same are one path.
const CROWD: usize = 20_000;

/// A thing to draw; places are in the coordinates of the axes, sizes in pixels.
pub(crate) enum Shape {
    Rect {
        x: [f64; 2],
        y: [f64; 2],
        fill: String,
        opacity: f64,
        /// Whether it has a rim in the colour of its inside.
        rim: bool,
        tip: String,
    },
    Line {
        /// Gaps are `None`.
        points: Vec<Option<[f64; 2]>>,
        stroke: String,
        width: f64,
        dash: &'static str,
        curved: bool,
        /// Whether the area down to this height is filled.
        base: Option<f64>,
    },
    Dot {
        at: [f64; 2],
        radius: f64,
        fill: String,
        opacity: f64,
        tip: String,
    },
    Word {
        at: [f64; 2],
        /// Pixels to the right and down.
        shift: [f64; 2],
        anchor: &'static str,
        text: String,
        /// `None` for the ink of the chart.
        fill: Option<&'static str>,
    },
}

/// The smallest and largest finite coordinate of `shapes` along axis 0 or 1.
pub(crate) fn extent(shapes: &[Shape], axis: usize) -> [f64; 2] {
    let mut ends = [f64::INFINITY, f64::NEG_INFINITY];
    let mut see = |at: f64| {
        if at.is_finite() {
            ends = [ends[0].min(at), ends[1].max(at)];
        }
    };
    for shape in shapes {
        match shape {
            Shape::Rect { x, y, .. } => [x, y][axis].iter().for_each(|at| see(*at)),
            Shape::Line { points, base, .. } => {
                points.iter().flatten().for_each(|point| see(point[axis]));
                base.iter().filter(|_| axis == 1).for_each(|at| see(*at));
            }
            Shape::Dot { at, .. } | Shape::Word { at, .. } => see(at[axis]),
        }
    }
    ends
}

/// The radius of the largest dot.
pub(crate) fn largest(shapes: &[Shape]) -> f64 {
    let radii = shapes.iter().map(|shape| match shape {
        Shape::Dot { radius, .. } => *radius,
        _ => 0.0,
    });
    radii.fold(0.0, f64::max)
}

/// Draws `shapes`, in their order.
pub(crate) fn draw(out: &mut String, shapes: &[&Shape], x: &Scale, y: &Scale) {
    let tips = shapes.len() <= MANY;
    let crowded = shapes.len() > CROWD;
    for shape in shapes {
        match shape {
            Shape::Dot { .. } if crowded => {}
            Shape::Rect { .. } => rect(out, shape, x, y, tips),
            Shape::Line { .. } => line(out, shape, x, y),
            Shape::Dot {
                at,
                radius,
                fill,
                opacity,
                tip,
            } => {
                let _ = write!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"{fill}\"",
                    x.pixel(at[0]),
                    y.pixel(at[1]),
                );
                finish(out, *opacity, if tips { tip } else { "" });
            }
            Shape::Word {
                at,
                shift,
                anchor,
                text,
                fill,
            } => {
                let ink = fill.map_or_else(
                    || "class=\"mlk8s-word\" fill=\"#3d4852\"".to_owned(),
                    |fill| format!("fill=\"{fill}\""),
                );
                let _ = writeln!(
                    out,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {ink} pointer-events=\"none\">{}</text>",
                    x.pixel(at[0]) + shift[0],
                    y.pixel(at[1]) + shift[1],
                    escape::text(text),
                );
            }
        }
    }
    if crowded {
        crowd(out, shapes, x, y);
    }
}

/// Very many dots, as round ends of lines without length.
fn crowd(out: &mut String, shapes: &[&Shape], x: &Scale, y: &Scale) {
    let mut paths: BTreeMap<(&str, u32, u32), String> = BTreeMap::new();
    for shape in shapes {
        if let Shape::Dot {
            at,
            radius,
            fill,
            opacity,
            ..
        } = shape
        {
            let look = (
                fill.as_str(),
                (radius * 20.0) as u32,
                (opacity * 100.0) as u32,
            );
            let path = paths.entry(look).or_default();
            let _ = write!(path, "M{:.1} {:.1}h0", x.pixel(at[0]), y.pixel(at[1]));
        }
    }
    for ((fill, width, opacity), path) in paths {
        let _ = writeln!(
            out,
            "<path d=\"{path}\" stroke=\"{fill}\" stroke-width=\"{:.1}\" stroke-linecap=\"round\" opacity=\"{:.2}\"/>",
            f64::from(width) / 10.0,
            f64::from(opacity) / 100.0
        );
    }
}

fn rect(out: &mut String, shape: &Shape, x: &Scale, y: &Scale, tips: bool) {
    let Shape::Rect {
        x: across,
        y: along,
        fill,
        opacity,
        rim,
        tip,
    } = shape
    else {
        return;
    };
    // A bar on a logarithmic axis begins infinitely far below it.
    let within = |scale: &Scale, at: f64| {
        let [from, to] = scale.pixels;
        scale.pixel(at).clamp(from.min(to), from.max(to))
    };
    let [left, right] = across.map(|at| within(x, at));
    let [top, bottom] = along.map(|at| within(y, at));
    let _ = write!(
        out,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"",
        left.min(right),
        top.min(bottom),
        (right - left).abs(),
        (bottom - top).abs(),
    );
    if *rim {
        let _ = write!(
            out,
            " stroke=\"{fill}\" stroke-width=\"1.4\" fill-opacity=\".35\""
        );
    } else {
        out.push_str(" shape-rendering=\"crispEdges\"");
    }
    finish(out, *opacity, if tips { tip } else { "" });
}

fn finish(out: &mut String, opacity: f64, tip: &str) {
    if opacity < 1.0 {
        let _ = write!(out, " opacity=\"{opacity:.2}\"");
    }
    if !tip.is_empty() {
        let _ = write!(out, " data-tip=\"{}\"", attribute(tip));
    }
    out.push_str("/>\n");
}

fn line(out: &mut String, shape: &Shape, x: &Scale, y: &Scale) {
    let Shape::Line {
        points,
        stroke,
        width,
        dash,
        curved,
        base,
    } = shape
    else {
        return;
    };
    let pixels: Vec<Option<[f64; 2]>> = points
        .iter()
        .map(|point| point.map(|[a, b]| [x.pixel(a), y.pixel(b)]))
        .collect();
    let runs: Vec<Vec<[f64; 2]>> = pixels
        .split(Option::is_none)
        .map(|run| run.iter().flatten().copied().collect())
        .collect();
    let mut path = String::new();
    for run in runs.iter().filter(|run| !run.is_empty()) {
        let start = path.len();
        trace(&mut path, run, *curved);
        if let (Some(base), Some([first, _]), Some([last, _])) = (base, run.first(), run.last()) {
            let _ = writeln!(
                out,
                "<path d=\"{}L{:.1} {b:.1}L{:.1} {b:.1}Z\" fill=\"{stroke}\" opacity=\".2\"/>",
                &path[start..],
                last,
                first,
                b = y.pixel(*base),
            );
        }
    }
    if path.is_empty() || *width <= 0.0 {
        return;
    }
    let _ = write!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width:.1}\" stroke-linejoin=\"round\" stroke-linecap=\"round\""
    );
    if !dash.is_empty() {
        let _ = write!(out, " stroke-dasharray=\"{dash}\"");
    }
    out.push_str("/>\n");
}

fn trace(path: &mut String, run: &[[f64; 2]], curved: bool) {
    let _ = write!(path, "M{:.1} {:.1}", run[0][0], run[0][1]);
    for i in 1..run.len() {
        let [from, to] = [run[i - 1], run[i]];
        if curved {
            let before = run[i.saturating_sub(2)];
            let after = run[(i + 1).min(run.len() - 1)];
            let near = |a: [f64; 2], b: [f64; 2], c: [f64; 2], way: f64| {
                [
                    a[0] + way * (c[0] - b[0]) / 6.0,
                    a[1] + way * (c[1] - b[1]) / 6.0,
                ]
            };
            let [one, two] = [near(from, before, to, 1.0), near(to, from, after, -1.0)];
            let _ = write!(
                path,
                "C{:.1} {:.1} {:.1} {:.1} ",
                one[0], one[1], two[0], two[1]
            );
        } else {
            path.push('L');
        }
        let _ = write!(path, "{:.1} {:.1}", to[0], to[1]);
    }
}
