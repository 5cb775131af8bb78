//! Dots, lines and words of scatter charts, and boxes.

use super::chart_bars::called;
use super::chart_heat::Colours;
use super::chart_read::{self, Datum, Trace};
use super::chart_scale::Scale;
use super::chart_shape::Shape;

/// From this many points on, a line carries no invisible dots for tooltips.
const HIDDEN: usize = 1000;

/// Places of a scatter trace; the missing half is counted from 0.
pub(crate) fn places(trace: &Trace<'_>) -> [Vec<Datum>; 2] {
    let [mut x, mut y] = [trace.data("x"), trace.data("y")];
    let counted = |n: usize| (0..n).map(|i| Datum::Number(i as f64)).collect();
    if x.is_empty() {
        x = counted(y.len());
    } else if y.is_empty() {
        y = counted(x.len());
    }
    [x, y]
}

/// The line, dots and words of a scatter trace.
pub(crate) fn scatter(
    trace: &Trace<'_>,
    [xs, ys]: &[Vec<Datum>; 2],
    x: &Scale,
    y: &Scale,
) -> Vec<Shape> {
    let points: Vec<Option<[f64; 2]>> = xs
        .iter()
        .zip(ys)
        .map(|(a, b)| Some([x.place(a)?, y.place(b)?]))
        .collect();
    let usual = if points.len() < 20 {
        "lines+markers"
    } else {
        "lines"
    };
    let mode = trace.json["mode"].as_str().unwrap_or(usual);
    let mut out = Vec::new();
    let filled = trace.word("/fill").starts_with("toz");
    if mode.contains("lines") || filled {
        out.push(line(trace, &points, mode.contains("lines"), filled));
    }
    let markers = mode.contains("markers");
    if markers || (mode.contains("lines") && points.len() <= HIDDEN) {
        dots(&mut out, trace, &points, markers, [x, y]);
    }
    if mode.contains("text") {
        words(&mut out, trace, &points, markers);
    }
    out
}

fn line(trace: &Trace<'_>, points: &[Option<[f64; 2]>], seen: bool, filled: bool) -> Shape {
    let colour = chart_read::colour(&trace.json["line"]["color"]);
    let width = trace.number("/line/width").unwrap_or(2.0).clamp(0.3, 20.0);
    let points = match trace.word("/line/shape") {
        "hv" => steps(points, false),
        "vh" => steps(points, true),
        _ if trace.json["connectgaps"] == true => {
            points.iter().copied().flatten().map(Some).collect()
        }
        _ => points.to_vec(),
    };
    Shape::Line {
        points,
        stroke: colour.unwrap_or_else(|| trace.colour.clone()),
        width: if seen { width } else { 0.0 },
        dash: match trace.word("/line/dash") {
            "dot" => "2 5",
            "dash" => "8 6",
            "longdash" => "14 7",
            "dashdot" => "9 5 2 5",
            "longdashdot" => "14 6 2 6",
            _ => "",
        },
        curved: trace.word("/line/shape") == "spline",
        base: filled.then_some(0.0),
    }
}

/// Corners between the points, first along one axis, then along the other.
fn steps(points: &[Option<[f64; 2]>], upright_first: bool) -> Vec<Option<[f64; 2]>> {
    let mut out = Vec::with_capacity(points.len() * 2);
    let mut last: Option<[f64; 2]> = None;
    for point in points {
        if let (Some([x0, y0]), Some([x1, y1])) = (last, *point) {
            out.push(Some(if upright_first { [x0, y1] } else { [x1, y0] }));
        }
        out.push(*point);
        last = *point;
    }
    out
}

/// The dots; a line without markers has invisible ones that carry the tooltips.
fn dots(
    out: &mut Vec<Shape>,
    trace: &Trace<'_>,
    points: &[Option<[f64; 2]>],
    seen: bool,
    [x, y]: [&Scale; 2],
) {
    let marker = &trace.json["marker"];
    let sizes = chart_read::data(&marker["size"]);
    let texts = ["hovertext", "text"].map(|key| chart_read::data(&trace.json[key]));
    let texts = texts.into_iter().find(|list| !list.is_empty());
    let colours = Colours::of(marker, &marker["color"]);
    let crowd = if points.len() > 400 { 4.5 } else { 7.0 };
    for (i, at) in points.iter().enumerate() {
        let Some(at) = *at else { continue };
        let size = sizes.get(if sizes.len() == 1 { 0 } else { i });
        let size = size.and_then(Datum::number).unwrap_or(crowd);
        let text = texts.as_ref().and_then(|list| list.get(i)?.name());
        let text = text.map_or_else(String::new, |text| format!("{text}\n"));
        let words = [x.word(at[0]), y.word(at[1])];
        let fill = colours.as_ref().and_then(|colours| colours.at(i));
        let fill = fill.unwrap_or_else(|| trace.colour.clone());
        out.push(Shape::Dot {
            at,
            radius: if seen {
                (size / 2.0).clamp(0.5, 80.0)
            } else {
                7.0
            },
            fill: if seen { fill } else { "transparent".to_owned() },
            opacity: if size > 14.0 && trace.number("/marker/opacity").is_none() {
                0.75 * trace.opacity()
            } else {
                trace.opacity()
            },
            tip: format!("{}{text}({}, {})", called(trace), words[0], words[1]),
        });
    }
}

fn words(out: &mut Vec<Shape>, trace: &Trace<'_>, points: &[Option<[f64; 2]>], markers: bool) {
    let texts = trace.data("text");
    let place = trace.word("/textposition");
    let anchor = match place {
        place if place.ends_with("left") => "end",
        place if place.ends_with("right") => "start",
        _ => "middle",
    };
    let right = match anchor {
        "end" => -7.0,
        "start" => 7.0,
        _ => 0.0,
    };
    let down = match place {
        place if place.starts_with("top") => -8.0,
        place if place.starts_with("bottom") => 16.0,
        "" if markers => -8.0,
        _ => 4.0,
    };
    let sizes = chart_read::data(&trace.json["marker"]["size"]);
    let way = if down < 0.0 {
        -1.0
    } else {
        f64::from(u8::from(down > 8.0))
    };
    for (i, at) in points.iter().enumerate() {
        let size = sizes.get(if sizes.len() == 1 { 0 } else { i });
        let size = size.and_then(Datum::number).filter(|_| markers);
        let beyond = (size.unwrap_or(0.0) / 2.0 - 4.0).clamp(0.0, 80.0);
        let text = texts.get(if texts.len() == 1 { 0 } else { i });
        let (Some(at), Some(text)) = (*at, text.and_then(Datum::name)) else {
            continue;
        };
        out.push(Shape::Word {
            at,
            shift: [right + beyond * right / 7.0, down + beyond * way],
            anchor,
            text,
            fill: None,
        });
    }
}

/// The boxes of a trace: where each stands and its values.
pub(crate) struct Boxes {
    pub(crate) lies: bool,
    pub(crate) groups: Vec<(Datum, Vec<Datum>)>,
}

/// One box for each place, or one named like the trace.
pub(crate) fn boxes(trace: &Trace<'_>) -> Boxes {
    let lies = trace.lies();
    let [at, values] = if lies { ["y", "x"] } else { ["x", "y"] };
    let (at, values) = (trace.data(at), trace.data(values));
    let mut groups: Vec<(Datum, Vec<Datum>)> = Vec::new();
    for (i, value) in values.into_iter().enumerate() {
        let place = match at.get(i) {
            Some(place) => place.clone(),
            None => Datum::Text(trace.name.clone()),
        };
        match groups.iter_mut().find(|(known, _)| *known == place) {
            Some((_, group)) => group.push(value),
            None => groups.push((place, vec![value])),
        }
    }
    Boxes { lies, groups }
}

/// Quartiles, whiskers up to 1.5 interquartile ranges (Tukey, Exploratory Data Analysis, 1977), and what lies outside.
/// `slot` is this trace's number among those that share the places.
pub(crate) fn box_shapes(
    trace: &Trace<'_>,
    boxes: &Boxes,
    slot: (usize, usize),
    x: &Scale,
    y: &Scale,
) -> Vec<Shape> {
    let (across, along) = if boxes.lies { (y, x) } else { (x, y) };
    let width = 0.6 / slot.1.max(1) as f64;
    let mut out = Vec::new();
    for (place, values) in &boxes.groups {
        let mut numbers: Vec<f64> = values.iter().filter_map(|v| along.place(v)).collect();
        let Some(at) = across.place(place).filter(|_| !numbers.is_empty()) else {
            continue;
        };
        numbers.sort_by(f64::total_cmp);
        let middle = at - 0.3 + (slot.0 as f64 + 0.5) * width;
        one_box(
            &mut out,
            trace,
            &numbers,
            [middle, width * 0.44],
            boxes.lies,
            along,
        );
    }
    out
}

fn one_box(
    out: &mut Vec<Shape>,
    trace: &Trace<'_>,
    numbers: &[f64],
    [middle, half]: [f64; 2],
    lies: bool,
    along: &Scale,
) {
    let [q1, median, q3] = [0.25, 0.5, 0.75].map(|share| quantile(numbers, share));
    let reach = 1.5 * (q3 - q1);
    let within = |n: &&f64| **n >= q1 - reach && **n <= q3 + reach;
    let low = numbers.iter().find(within).copied().unwrap_or(q1).min(q1);
    let high = numbers.iter().rfind(within).copied().unwrap_or(q3).max(q3);
    let turn = |across: f64, along: f64| {
        if lies {
            [along, across]
        } else {
            [across, along]
        }
    };
    let colour = &trace.colour;
    let mut stroke = |points: &[[f64; 2]], width: f64| {
        out.push(Shape::Line {
            points: points.iter().map(|p| Some(turn(p[0], p[1]))).collect(),
            stroke: colour.clone(),
            width,
            dash: "",
            curved: false,
            base: None,
        });
    };
    stroke(&[[middle, low], [middle, q1]], 1.4);
    stroke(&[[middle, q3], [middle, high]], 1.4);
    for end in [low, high] {
        stroke(
            &[[middle - half * 0.5, end], [middle + half * 0.5, end]],
            1.4,
        );
    }
    stroke(&[[middle - half, median], [middle + half, median]], 2.6);
    let word = |at| along.word(at);
    let (thick, long) = ([middle - half, middle + half], [q1, q3]);
    let (x, y) = if lies { (long, thick) } else { (thick, long) };
    let tip = format!(
        "{}{} values\nmedian {}\nquartiles {} – {}\nwhiskers {} – {}",
        called(trace),
        numbers.len(),
        word(median),
        word(q1),
        word(q3),
        word(low),
        word(high)
    );
    let fill = colour.clone();
    out.push(Shape::Rect {
        x,
        y,
        fill,
        opacity: 1.0,
        rim: true,
        tip,
    });
    for number in numbers.iter().filter(|n| !within(n)) {
        out.push(Shape::Dot {
            at: turn(middle, *number),
            radius: 2.6,
            fill: colour.clone(),
            opacity: 0.8,
            tip: format!("{}{}", called(trace), word(*number)),
        });
    }
}

/// The quantile of sorted numbers, between neighbours in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_box_has_its_quartiles_and_shows_what_lies_outside() {
        let plot = json!({"data": [{"type": "box", "name": "b", "y": [1, 2, 3, 4, 5, 100]}]});
        let traces = chart_read::traces(&plot);
        let found = boxes(&traces[0]);
        let x = Scale::new(&json!({}), &[&[found.groups[0].0.clone()]]);
        let y = Scale::new(&json!({}), &[&found.groups[0].1]);
        let shapes = box_shapes(&traces[0], &found, (0, 1), &x, &y);
        let tips: Vec<&str> = shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Rect { tip, .. } | Shape::Dot { tip, .. } => Some(tip.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            tips,
            [
                "b\n6 values\nmedian 3.5\nquartiles 2.25 – 4.75\nwhiskers 1 – 5",
                "b\n100"
            ]
        );
    }

    #[test]
    fn lines_break_where_a_value_is_missing() {
        let plot = json!({"data": [{"x": [1, null, 3], "y": [1, 2, 3], "mode": "lines"}]});
        let traces = chart_read::traces(&plot);
        let at = places(&traces[0]);
        let scales = [&at[0], &at[1]].map(|values| Scale::new(&json!({}), &[values]));
        let shapes = scatter(&traces[0], &at, &scales[0], &scales[1]);
        let Shape::Line { points, .. } = &shapes[0] else {
            panic!("a line");
        };
        assert_eq!(points[1], None);
        assert_eq!(
            steps(&[Some([0.0, 0.0]), Some([1.0, 2.0])], false)[1],
            Some([1.0, 0.0])
        );
    }
}
