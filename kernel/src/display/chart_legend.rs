//! The legend of a chart: in one row above it, or beside it.

use std::fmt::Write;

use super::chart_frame::SMALL;
use super::chart_words::{cut, whole, width};
use super::escape;

/// Pixels of a sign and the gaps around it.
const SIGN: f64 = 44.0;

/// A name in the legend, with its colour and whether it is a line.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) colour: String,
    pub(crate) line: bool,
}

/// Names of traces or parts, and where they stand.
pub(crate) struct Legend {
    pub(crate) entries: Vec<Entry>,
    /// Beside the chart, of this width; otherwise in one row above it.
    pub(crate) beside: Option<f64>,
}

impl Legend {
    /// Takes room from the top or the right of a card.
    pub(crate) fn room(&mut self, wide: f64, top: &mut f64, right: &mut f64) {
        let names = self.entries.iter().map(|entry| width(&entry.name, SMALL));
        let names: Vec<f64> = names.collect();
        if names.is_empty() {
            return;
        }
        let row: f64 = names.iter().map(|name| name + SIGN).sum();
        if row < wide - 60.0 && names.len() <= 6 {
            *top += 24.0;
        } else {
            let widest = names.into_iter().fold(0.0, f64::max);
            let room = widest.min(wide * 0.28) + 38.0;
            self.beside = Some(room);
            *right -= room;
        }
    }

    /// Draws it `above` the chart or between its two heights.
    pub(crate) fn draw(&self, out: &mut String, above: f64, wide: f64, [top, bottom]: [f64; 2]) {
        let mut at = match self.beside {
            Some(room) => [wide - room - 4.0, top + 8.0],
            None => [22.0, above],
        };
        for (i, entry) in self.entries.iter().enumerate() {
            let more = self.entries.len() - i;
            if self.beside.is_some() && at[1] > bottom - 16.0 && more > 1 {
                let [x, y] = [at[0], at[1] + 4.0];
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"mlk8s-soft\" fill=\"#5b6673\">and {more} more</text>"
                );
                return;
            }
            self.one(out, entry, at);
            match self.beside {
                Some(_) => at[1] += 20.0,
                None => at[0] += width(&entry.name, SMALL) + SIGN,
            }
        }
    }

    fn one(&self, out: &mut String, entry: &Entry, [x, y]: [f64; 2]) {
        let (shift, wide, high, round) = if entry.line {
            (0.0, 16.0, 3.0, 1.5)
        } else {
            (2.0, 11.0, 11.0, 2.5)
        };
        let name = match self.beside {
            Some(room) => cut(&entry.name, SMALL, room - 32.0),
            None => entry.name.clone(),
        };
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{wide}\" height=\"{high}\" rx=\"{round}\" fill=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"mlk8s-word\" fill=\"#3d4852\"{}>{}</text>",
            x + shift,
            y - high / 2.0,
            entry.colour,
            x + 21.0,
            y + 4.2,
            whole(&name, &entry.name),
            escape::text(&name)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_stand_beside_the_chart_and_the_rest_is_counted() {
        let entry = |i: usize| Entry {
            name: format!("name <{i}>"),
            colour: "#123456".to_owned(),
            line: i == 0,
        };
        let mut legend = Legend {
            entries: (0..9).map(entry).collect(),
            beside: None,
        };
        let (mut top, mut right) = (20.0, 700.0);
        legend.room(720.0, &mut top, &mut right);
        assert!(legend.beside.is_some() && right < 650.0 && top < 21.0);
        let mut out = String::new();
        legend.draw(&mut out, 0.0, 720.0, [20.0, 120.0]);
        assert!(
            out.contains("name &lt;3&gt;") && out.contains("and 5 more"),
            "{out}"
        );
    }
}
