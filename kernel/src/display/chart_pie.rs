//! Pies, and pies with a hole.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::fmt::Write;

use super::chart_read::{self, Datum, Trace};
use super::chart_words::attribute;
use super::{chart_tick, escape, palette};

/// A part of a pie.
pub(crate) struct Part {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) colour: String,
}

/// The parts of a trace, the largest first unless it says otherwise.
pub(crate) fn parts(trace: &Trace<'_>) -> Vec<Part> {
    let labels = trace.data("labels");
    let values = trace.data("values");
    let mut parts: Vec<Part> = Vec::new();
    for i in 0..labels.len().max(values.len()) {
        let label = labels.get(i).and_then(Datum::name);
        let label = label.unwrap_or_else(|| i.to_string());
        let value = if values.is_empty() {
            Some(1.0)
        } else {
            values.get(i).and_then(Datum::number)
        };
        let Some(value) = value.filter(|value| *value > 0.0) else {
            continue;
        };
        match parts.iter_mut().find(|part| part.label == label) {
            Some(part) => part.value += value,
            None => parts.push(Part {
                label,
                value,
                colour: String::new(),
            }),
        }
    }
    let own: Vec<Option<String>> = trace.json["marker"]["colors"]
        .as_array()
        .map_or_else(Vec::new, |list| {
            list.iter().map(chart_read::colour).collect()
        });
    for (i, part) in parts.iter_mut().enumerate() {
        let ours = palette::COMMUNITIES
            .get(i)
            .copied()
            .unwrap_or(palette::REST);
        let own = own.get(i).cloned().flatten();
        part.colour = own.unwrap_or_else(|| ours.to_owned());
    }
    if trace.json["sort"] != false {
        parts.sort_by(|a, b| b.value.total_cmp(&a.value));
    }
    parts
}

/// Draws a pie around a middle, with a share on each part that has room for it.
pub(crate) fn draw(out: &mut String, trace: &Trace<'_>, [cx, cy]: [f64; 2], radius: f64) {
    let parts = parts(trace);
    let total: f64 = parts.iter().map(|part| part.value).sum();
    let hole = trace.number("/hole").unwrap_or(0.0).clamp(0.0, 0.95) * radius;
    let mut turn = 0.0;
    for part in &parts {
        let share = part.value / total;
        let percent = percent(share);
        let tip = format!(
            "{}\n{} · {percent}",
            part.label,
            chart_tick::short(part.value)
        );
        let _ = writeln!(
            out,
            "<path d=\"{}\" fill=\"{}\" class=\"mlk8s-gap\" stroke=\"#fcfcfd\" stroke-width=\"1.5\" fill-rule=\"evenodd\" data-tip=\"{}\"/>",
            wedge([cx, cy], [hole, radius], turn, share),
            part.colour,
            attribute(&tip)
        );
        if share >= 0.035 {
            let at = f64::midpoint(hole.max(radius * 0.35), radius);
            let [x, y] = point([cx, cy], at, turn + share / 2.0);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#fff\" stroke=\"#1d2530\" stroke-opacity=\".35\" \
                 stroke-width=\"2\" paint-order=\"stroke\" font-weight=\"600\" pointer-events=\"none\">{percent}</text>",
                y + 4.0
            );
        }
        turn += share;
    }
    if hole > 0.0 && trace.named {
        let name = escape::cut(&trace.name, (hole / 4.0) as usize);
        let _ = writeln!(
            out,
            "<text x=\"{cx:.1}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"mlk8s-ink\" fill=\"#1d2530\" font-size=\"13\">{}</text>",
            cy + 4.0,
            escape::text(&name)
        );
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || (percent - percent.round()).abs() < 0.05 {
        format!("{percent:.0}%")
    } else {
        format!("{percent:.1}%")
    }
}

/// A point of the circle, clockwise from the top; `turn` 1 is once around.
fn point([cx, cy]: [f64; 2], radius: f64, turn: f64) -> [f64; 2] {
    let angle = turn * TAU - FRAC_PI_2;
    [cx + radius * angle.cos(), cy + radius * angle.sin()]
}

fn wedge(middle: [f64; 2], [hole, radius]: [f64; 2], turn: f64, share: f64) -> String {
    // One arc cannot end where it starts, so a whole circle is two.
    let halves = if share > 0.999 { 2 } else { 1 };
    let mut path = String::new();
    for (r, way) in [(radius, 1.0), (hole, -1.0)] {
        let start = if way > 0.0 { turn } else { turn + share };
        let [x, y] = point(middle, r, start);
        let _ = write!(
            path,
            "{}{x:.2} {y:.2}",
            if path.is_empty() || halves == 2 {
                'M'
            } else {
                'L'
            }
        );
        for i in 1..=halves {
            let step = share * f64::from(i) / f64::from(halves);
            let [x, y] = point(middle, r, start + way * step);
            let large = i32::from(halves == 1 && share > 0.5);
            let _ = write!(
                path,
                "A{r:.2} {r:.2} 0 {large} {} {x:.2} {y:.2}",
                i32::from(way > 0.0)
            );
        }
        if hole <= 0.0 {
            let _ = write!(
                path,
                "{}",
                if halves == 1 {
                    format!("L{:.2} {:.2}", middle[0], middle[1])
                } else {
                    String::new()
                }
            );
            break;
        }
    }
    path + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_with_one_label_are_one() {
        let plot = json!({"data": [{"type": "pie", "labels": ["a", "b", "a", "c"], "values": [1, 5, 2, -1]}]});
        let parts = parts(&chart_read::traces(&plot)[0]);
        let shown: Vec<String> = parts
            .iter()
            .map(|p| format!("{} {}", p.label, p.value))
            .collect();
        assert_eq!(shown, ["b 5", "a 3"]);
    }

    #[test]
    fn a_whole_pie_is_drawn_too() {
        let plot = json!({"data": [{"type": "pie", "labels": ["</svg>"], "values": [1]}]});
        let mut out = String::new();
        draw(
            &mut out,
            &chart_read::traces(&plot)[0],
            [100.0, 100.0],
            50.0,
        );
        assert_eq!(out.matches('A').count(), 2, "{out}");
        assert!(out.contains("100%") && !out.contains("</svg>"));
    }
}
