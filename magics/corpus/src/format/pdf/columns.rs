//! Columns in reading order, found by the white between them.
//!
//! A region is cut where a gutter runs down between enough lines on both sides; lines that cross it (titles, wide
//! figures) cut the gutter into stretches (after Breuel, "Two geometric algorithms for layout analysis", 2002).

use super::lines::{Column, column};
use super::words::Word;

/// Places at which a gutter is looked for: every two points on paper, however far apart a broken file puts its words.
const MAX_TRIES: usize = 400;
/// Deepest nesting of columns in columns.
const MAX_DEPTH: u32 = 8;
/// A region with more words than any sheet of paper holds is not cut.
const MAX_WORDS: usize = 30_000;

/// Cuts the words of every page into columns in reading order.
///
/// A gutter that cuts many lines somewhere in the file is believed elsewhere at the same place on less evidence: three
/// lines beside a table at the end of a paper are a column too.
pub(super) fn columns(pages: Vec<Vec<Word>>, body: f32) -> Vec<Vec<Column>> {
    let mut finder = Finder {
        body,
        known: None,
        found: Vec::new(),
    };
    for page in &pages {
        finder.cut(page.iter().collect(), 0, &mut |_| {});
    }
    finder.known = commonest(&finder.found, 0.6 * body);
    let lay_out = |page: Vec<Word>| {
        let mut columns = Vec::new();
        finder.cut(page.iter().collect(), 0, &mut |words| {
            columns.push(column(words.into_iter().cloned().collect()));
        });
        columns
    };
    pages.into_iter().map(lay_out).collect()
}

/// The gutter with the most lines beside it, together with those that are near it.
fn commonest(gutters: &[Gutter], near: f32) -> Option<f32> {
    let lines_near = |x: f32| {
        gutters
            .iter()
            .filter(|other| (other.x - x).abs() < near)
            .map(|other| other.score)
            .sum::<f32>()
    };
    let best = gutters
        .iter()
        .max_by(|a, b| lines_near(a.x).total_cmp(&lines_near(b.x)))?;
    (lines_near(best.x) > 12.0).then_some(best.x)
}

/// Looks for gutters.
struct Finder {
    /// Size of the running text.
    body: f32,
    /// Where most columns of the file are parted.
    known: Option<f32>,
    found: Vec<Gutter>,
}

impl Finder {
    /// Cuts a region at its best gutter, and the parts again; gives the columns in reading order.
    fn cut<'w>(
        &mut self,
        mut words: Vec<&'w Word>,
        depth: u32,
        column: &mut dyn FnMut(Vec<&'w Word>),
    ) {
        if words.is_empty() {
            return;
        }
        let gutter = if depth < MAX_DEPTH && words.len() < MAX_WORDS {
            self.gutter(&words)
        } else {
            None
        };
        let Some(gutter) = gutter else {
            column(words);
            return;
        };
        self.found.push(gutter);
        let below = words
            .extract_if(.., |word| word.top() >= gutter.bottom)
            .collect();
        let above = words
            .extract_if(.., |word| word.bottom() <= gutter.top)
            .collect();
        let right = words
            .extract_if(.., |word| f32::midpoint(word.x0, word.x1) > gutter.x)
            .collect();
        for part in [above, words, right, below] {
            self.cut(part, depth + 1, column);
        }
    }

    /// The best gutter of a region: the one with the most lines on its poorer side.
    fn gutter(&self, words: &[&Word]) -> Option<Gutter> {
        let left = words.iter().map(|word| word.x0).fold(f32::MAX, f32::min);
        let right = words.iter().map(|word| word.x1).fold(f32::MIN, f32::max);
        let mut sorted: Vec<&Word> = words.to_vec();
        sorted.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
        let mut best: Option<Gutter> = None;
        let step = (0.7 * (right - left) / MAX_TRIES as f32).max(2.0);
        let n_tries = (0.7 * (right - left) / step) as usize;
        for x in (0..n_tries.min(MAX_TRIES))
            .map(|index| left + 0.15 * (right - left) + index as f32 * step)
        {
            if let Some(found) = self.stretch(&sorted, x)
                && best.is_none_or(|best| found.score > best.score)
            {
                best = Some(found);
            }
        }
        best
    }

    /// The best stretch of white around `x`, between words that cross it.
    fn stretch(&self, sorted: &[&Word], x: f32) -> Option<Gutter> {
        let body = self.body;
        let half = 0.32 * body;
        let mut best: Option<Gutter> = None;
        let mut from = 0;
        let crosses = |word: &Word| word.x0 < x + half && word.x1 > x - half;
        for at in 0..=sorted.len() {
            if at < sorted.len() && !crosses(sorted[at]) {
                continue;
            }
            // A crossing line takes all its words with it, also those that stand before it in the order.
            let line_y = sorted
                .get(at)
                .map_or(f32::MAX, |word| word.y - 0.3 * word.size);
            let to = from + sorted[from..at].partition_point(|word| word.y < line_y);
            if let Some(found) = self.weigh(&sorted[from..to], x)
                && best.is_none_or(|best| found.score > best.score)
            {
                best = Some(found);
            }
            from = at + 1;
            while at < sorted.len()
                && from < sorted.len()
                && sorted[from].y < sorted[at].y + 0.3 * body
                && !crosses(sorted[from])
            {
                from += 1;
            }
        }
        best
    }

    /// Whether the words on both sides of `x` look like columns of text, and how good a cut it is.
    fn weigh(&self, words: &[&Word], x: f32) -> Option<Gutter> {
        let body = self.body;
        let words = without_tables(words, x, body);
        let known = self
            .known
            .is_some_and(|known| (known - x).abs() < 0.6 * body);
        let (left, right) = (
            Side::of(words, body, |middle| middle <= x),
            Side::of(words, body, |middle| middle > x),
        );
        if !left.is_text(body, known) || !right.is_text(body, known) {
            return None;
        }
        let top = words.iter().map(|word| word.top()).fold(f32::MAX, f32::min);
        let bottom = words
            .iter()
            .map(|word| word.bottom())
            .fold(f32::MIN, f32::max);
        // The wider the white, the better, but lines count more.
        let score = left.n_lines.min(right.n_lines) as f32
            + ((right.x0 - left.x1) / body).clamp(0.0, 3.0) * 0.1;
        Some(Gutter {
            x: f32::midpoint(left.x1, right.x0),
            top,
            bottom,
            score,
        })
    }
}

/// White that runs down between two columns.
#[derive(Debug, Clone, Copy)]
struct Gutter {
    x: f32,
    top: f32,
    bottom: f32,
    score: f32,
}

/// What stands on one side of a gutter.
struct Side {
    n_lines: usize,
    n_words: usize,
    ink: f32,
    x0: f32,
    x1: f32,
}

impl Side {
    fn of(words: &[&Word], body: f32, is_here: impl Fn(f32) -> bool) -> Self {
        let mut side = Self {
            n_lines: 0,
            n_words: 0,
            ink: 0.0,
            x0: f32::MAX,
            x1: f32::MIN,
        };
        let mut y = f32::MIN;
        for word in words
            .iter()
            .filter(|word| is_here(f32::midpoint(word.x0, word.x1)))
        {
            if word.y > y + 0.5 * body {
                side.n_lines += 1;
                y = word.y;
            }
            side.n_words += 1;
            side.ink += word.x1 - word.x0;
            side.x0 = side.x0.min(word.x0);
            side.x1 = side.x1.max(word.x1);
        }
        side
    }

    /// Columns of text have some lines, several words a line and little white; columns of a table have not.
    fn is_text(&self, body: f32, known: bool) -> bool {
        let width = self.x1 - self.x0;
        if known {
            return self.n_lines > 0 && width > 4.0 * body && self.n_words > self.n_lines;
        }
        self.n_lines >= 4
            && width > 10.0 * body
            && self.n_words as f32 > 2.5 * self.n_lines as f32
            && self.ink > 0.4 * width * self.n_lines as f32
    }
}

/// Leaves out rows at the top and the bottom that have several cells on both sides of `x`: a table over both columns.
fn without_tables<'a, 'w>(words: &'a [&'w Word], x: f32, body: f32) -> &'a [&'w Word] {
    let is_row = |row: &[&Word]| {
        let cells = |is_left: bool| {
            let mut side: Vec<&&Word> = row
                .iter()
                .filter(|word| (f32::midpoint(word.x0, word.x1) <= x) == is_left)
                .collect();
            side.sort_by(|a, b| a.x0.total_cmp(&b.x0));
            1 + side
                .windows(2)
                .filter(|pair| pair[1].x0 - pair[0].x1 > body)
                .count()
        };
        cells(true) >= 2 && cells(false) >= 2
    };
    let mut words = words;
    while let Some(first) = words.first() {
        let n_row = words.partition_point(|word| word.y < first.y + 0.3 * body);
        if !is_row(&words[..n_row]) {
            break;
        }
        words = &words[n_row..];
    }
    while let Some(last) = words.last() {
        let from = words.partition_point(|word| word.y <= last.y - 0.3 * body);
        if !is_row(&words[from..]) {
            break;
        }
        words = &words[..from];
    }
    words
}
