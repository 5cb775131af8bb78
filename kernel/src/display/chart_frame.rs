//! Where a chart's parts go: margins, axes with their words, title and legend.

use std::fmt::Write;

use serde_json::Value;

use super::chart_legend::{Entry, Legend};
use super::chart_scale::{Kind, Scale};
use super::chart_tick::Tick;
use super::chart_words::{cut, lines, whole, width};
use super::{chart_read, escape};

/// Size of the words at ticks and in the legend.
pub(crate) const SMALL: f64 = 12.0;
/// Size of the title.
const LARGE: f64 = 17.0;

/// The area inside the axes, and what lies around it.
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    title: Vec<String>,
    legend: Legend,
    /// How the words below the chart are written.
    below: Below,
    /// The words at both axes.
    ticks: [Vec<Tick>; 2],
}

/// The words below the chart: in lines of at most this width, or turned.
#[derive(Clone, Copy, PartialEq)]
enum Below {
    Level(f64),
    Turned,
}

impl Frame {
    /// The card with its title and legend; the axes take their room later.
    pub(crate) fn new(layout: &Value, entries: Vec<Entry>) -> Self {
        let side = |key: &str, usual: f64, least: f64| {
            layout[key]
                .as_f64()
                .map_or(usual, |side| side.clamp(least, 3000.0))
        };
        let (wide, high) = (side("width", 720.0, 200.0), side("height", 420.0, 140.0));
        let title = lines(
            &chart_read::title(&layout["title"]),
            LARGE * 1.1,
            wide - 40.0,
            2,
        );
        let top = if title.is_empty() {
            22.0
        } else {
            26.0 + 21.0 * title.len() as f64
        };
        let mut frame = Self {
            width: wide,
            height: high,
            left: 22.0,
            right: wide - 24.0,
            top,
            bottom: high - 18.0,
            title,
            legend: Legend {
                entries,
                beside: None,
            },
            below: Below::Level(0.0),
            ticks: [Vec::new(), Vec::new()],
        };
        frame.legend.room(wide, &mut frame.top, &mut frame.right);
        frame
    }

    /// Leaves room for the words of both axes, then tells the axes their pixels.
    pub(crate) fn axes(&mut self, x: &mut Scale, y: &mut Scale, bar: bool) {
        if bar {
            self.right -= 66.0;
        }
        if !x.title.is_empty() {
            self.bottom -= 22.0;
        }
        if !y.title.is_empty() {
            self.left += 22.0;
        }
        let tall = self.bottom - 24.0 - self.top;
        let mut along = y.ticks(((tall / 46.0) as usize).clamp(2, 12));
        let limit = self.width * 0.36;
        for tick in &mut along {
            tick.label = tick.label.replace('\n', ", ");
        }
        let widest = along
            .iter()
            .map(|t| width(&t.label, SMALL))
            .fold(0.0, f64::max);
        self.left += widest.min(limit) + 10.0;
        let mut wanted = ((self.right - self.left) / 78.0) as usize;
        let mut across = x.ticks(wanted.clamp(2, 14));
        let fits = |ticks: &[Tick]| {
            let widest = ticks
                .iter()
                .flat_map(|t| t.label.lines())
                .map(|l| width(l, SMALL));
            (widest.fold(0.0, f64::max) + 12.0) * ticks.len() as f64
                <= self.right - self.left + 30.0
        };
        while x.kind != Kind::Category && wanted > 2 && !fits(&across) {
            wanted -= 1;
            across = x.ticks(wanted);
        }
        self.below_room(&mut across);
        x.pixels = [self.left, self.right];
        y.pixels = [self.bottom, self.top];
        // Names at the left that would lie on one another are left out evenly.
        let every = (along.len() as f64 * 13.0 / (self.bottom - self.top))
            .ceil()
            .max(1.0);
        let keep = along.len() > 1 && y.kind == Kind::Category;
        let mut i = 0;
        along.retain(|_| {
            i += 1;
            !keep || (i - 1) % every as usize == 0
        });
        self.ticks = [across, along];
    }

    /// Decides how the words below are written and takes their room.
    fn below_room(&mut self, ticks: &mut Vec<Tick>) {
        let room = (self.right - self.left) / ticks.len().max(1) as f64;
        let widest = ticks
            .iter()
            .flat_map(|tick| tick.label.lines())
            .map(|line| width(line, SMALL))
            .fold(0.0, f64::max);
        let limit = room - 8.0;
        let wraps = |tick: &Tick| {
            let parts = lines(&tick.label, SMALL, limit, 3);
            parts
                .iter()
                .all(|part| width(part, SMALL) <= limit && !part.ends_with('…'))
        };
        if widest <= limit || (limit > 44.0 && ticks.iter().all(wraps)) {
            let most = ticks
                .iter()
                .map(|tick| rows(tick, limit))
                .max()
                .unwrap_or(0);
            self.below = Below::Level(limit);
            self.bottom -= 8.0 + 14.0 * most as f64;
            return;
        }
        let every = (16.0 / room).ceil().max(1.0) as usize;
        let mut i = 0;
        ticks.retain(|_| {
            i += 1;
            (i - 1) % every == 0
        });
        self.below = Below::Turned;
        let reach = (self.height * 0.34).min(150.0);
        for tick in ticks.iter_mut() {
            let flat = tick.label.replace('\n', " ");
            tick.label = flat;
        }
        let widest = ticks
            .iter()
            .map(|t| width(&t.label, SMALL))
            .fold(0.0, f64::max);
        self.bottom -= 14.0 + (widest * 0.64).min(reach);
    }

    /// The card, the title and the legend.
    pub(crate) fn open(&self, out: &mut String, title: &str) {
        let (w, h) = (self.width, self.height);
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" \
             font-family=\"Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif\" \
             font-size=\"{SMALL}\">\n<title>{}</title>\n\
             <rect x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\" class=\"mlk8s-card\" fill=\"#fcfcfd\" stroke=\"#e4e7eb\"/>",
            escape::text(title),
            w - 1.0,
            h - 1.0
        );
        for (i, line) in self.title.iter().enumerate() {
            let _ = writeln!(
                out,
                "<text x=\"22\" y=\"{:.1}\" font-size=\"{LARGE}\" font-weight=\"600\" class=\"mlk8s-ink\" fill=\"#1d2530\">{}</text>",
                32.0 + 21.0 * i as f64,
                escape::text(line)
            );
        }
        let above = if self.title.is_empty() {
            26.0
        } else {
            36.0 + 21.0 * self.title.len() as f64
        };
        self.legend
            .draw(out, above, self.width, [self.top, self.bottom]);
    }

    /// Lines across the chart, below everything else.
    pub(crate) fn grid(&self, out: &mut String, x: &Scale, y: &Scale) {
        out.push_str("<g class=\"mlk8s-rule\" stroke=\"#e6e9ed\" stroke-width=\"1\">\n");
        let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
            let _ = writeln!(out, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
        };
        if x.grid && x.kind != Kind::Category {
            for at in self.ticks[0].iter().map(|tick| x.pixel(tick.at)) {
                line(at, self.top, at, self.bottom);
            }
        }
        if y.grid && y.kind != Kind::Category {
            for at in self.ticks[1].iter().map(|tick| y.pixel(tick.at)) {
                line(self.left, at, self.right, at);
            }
        }
        out.push_str("</g>\n");
    }

    /// The axes and their words, above everything else.
    pub(crate) fn words(&self, out: &mut String, x: &Scale, y: &Scale) {
        let zero = |scale: &Scale, usual: f64| {
            let inside = scale.kind == Kind::Linear && scale.ends[0] < 0.0 && scale.ends[1] > 0.0;
            if inside { scale.pixel(0.0) } else { usual }
        };
        let _ = writeln!(
            out,
            "<path d=\"M{:.1} {h:.1}L{:.1} {h:.1}M{v:.1} {:.1}L{v:.1} {:.1}\" stroke=\"#8d97a3\" fill=\"none\"/>\n<g class=\"mlk8s-soft\" fill=\"#5b6673\">",
            self.left,
            self.right,
            self.top,
            self.bottom,
            h = zero(y, self.bottom),
            v = zero(x, self.left)
        );
        for tick in &self.ticks[0] {
            self.word_below(out, x.pixel(tick.at), tick);
        }
        let limit = self.width * 0.36;
        for tick in &self.ticks[1] {
            let shown = cut(&tick.label, SMALL, limit);
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"{}>{}</text>",
                self.left - 8.0,
                y.pixel(tick.at) + 4.2,
                whole(&shown, &tick.label),
                escape::text(&shown)
            );
        }
        out.push_str("</g>\n");
        self.titles(out, x, y);
    }

    fn word_below(&self, out: &mut String, x: f64, tick: &Tick) {
        let y = self.bottom + 17.0;
        let Below::Level(limit) = self.below else {
            let reach = ((self.height * 0.34).min(150.0)) / 0.64;
            // The first words must not leave the card at its left.
            let shown = cut(&tick.label, SMALL, reach.min((x - 8.0) / 0.77));
            let y = y - 5.0;
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\" transform=\"rotate(-40 {:.1} {y:.1})\"{}>{}</text>",
                x + 4.0,
                x + 4.0,
                whole(&shown, &tick.label),
                escape::text(&shown)
            );
            return;
        };
        let parts = tick
            .label
            .lines()
            .flat_map(|line| lines(line, SMALL, limit, 3));
        for (i, part) in parts.enumerate() {
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 14.0 * i as f64,
                escape::text(&part)
            );
        }
    }

    fn titles(&self, out: &mut String, x: &Scale, y: &Scale) {
        let [middle, half] = [
            f64::midpoint(self.left, self.right),
            f64::midpoint(self.top, self.bottom),
        ];
        let shown = |title: &str, room: f64| escape::text(&cut(title, 13.0, room));
        if !x.title.is_empty() {
            let _ = writeln!(
                out,
                "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"13\" class=\"mlk8s-word\" fill=\"#3d4852\">{}</text>",
                self.height - 14.0,
                shown(&x.title, self.right - self.left)
            );
        }
        if !y.title.is_empty() {
            let _ = writeln!(
                out,
                "<text x=\"22\" y=\"{half:.1}\" text-anchor=\"middle\" font-size=\"13\" class=\"mlk8s-word\" fill=\"#3d4852\" transform=\"rotate(-90 22 {half:.1})\">{}</text>",
                shown(&y.title, self.bottom - self.top)
            );
        }
    }
}

fn rows(tick: &Tick, limit: f64) -> usize {
    tick.label
        .lines()
        .map(|line| lines(line, SMALL, limit, 3).len())
        .sum()
}
