//! From glyphs to words, from words to columns, from columns to lines in reading order.
//!
//! Columns are found by the white between them: a region is cut where a gutter runs down between enough lines on both
//! sides, and lines that cross it (titles, wide figures) cut the gutter into stretches (after Breuel, 2002).

use super::glyphs::{Glyph, Style, UNKNOWN};

/// A word on a page.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) x0: f32,
    pub(super) x1: f32,
    /// The baseline, downwards.
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Characters of formulas.
    pub(super) n_math: usize,
    /// True for a word that stands against the one before it without a blank.
    pub(super) joined: bool,
    pub(super) upright: bool,
}

impl Word {
    pub(super) fn top(&self) -> f32 {
        self.y - 0.75 * self.size
    }

    pub(super) fn bottom(&self) -> f32 {
        self.y + 0.22 * self.size
    }
}

/// Words on one baseline.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    pub(super) x0: f32,
    pub(super) x1: f32,
    pub(super) y: f32,
    /// Size of most of its characters.
    pub(super) size: f32,
}

/// A column of lines, from top to bottom.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    pub(super) lines: Vec<Line>,
    pub(super) x0: f32,
    pub(super) x1: f32,
}

/// Puts glyphs together to words: a new one starts after a gap, a blank or a change of line or size.
pub(super) fn words(glyphs: &[Glyph]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut last: Option<Glyph> = None;
    let mut blank = true;
    for glyph in glyphs {
        if glyph.c.is_whitespace() || glyph.c == '\0' {
            blank = true;
            continue;
        }
        let follows = last
            .as_ref()
            .map_or(Follows::Apart, |last| follows(last, glyph));
        if follows == Follows::Twice {
            continue;
        }
        match words.last_mut() {
            Some(word) if follows == Follows::Inside && !blank => extend(word, glyph),
            _ => words.push(start(glyph, follows == Follows::Touching && !blank)),
        }
        last = Some(*glyph);
        blank = false;
    }
    words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// In the same word.
    Inside,
    /// Without a blank, but raised, lowered or of another size.
    Touching,
    Apart,
    /// The same glyph once more, as programs do for bold.
    Twice,
}

fn follows(last: &Glyph, glyph: &Glyph) -> Follows {
    let size = last.size.max(glyph.size).max(0.1);
    let (gap, shift) = (glyph.x0 - last.x1, (glyph.y - last.y).abs());
    if last.upright != glyph.upright {
        return Follows::Apart;
    }
    if !glyph.upright {
        // Turned text: the line runs along y, so that only near glyphs are put together.
        return if (glyph.x0 - last.x0).abs() < 0.3 * size && shift < 1.2 * size {
            Follows::Inside
        } else {
            Follows::Apart
        };
    }
    if glyph.c == last.c && (glyph.x0 - last.x0).abs() < 0.12 * size && shift < 0.12 * size {
        return Follows::Twice;
    }
    if !(-0.35..0.16).contains(&(gap / size)) {
        return Follows::Apart;
    }
    if shift < 0.08 * size && (glyph.size / last.size - 1.0).abs() < 0.12 {
        return Follows::Inside;
    }
    // Small capitals and accents stand on the same line.
    if shift < 0.04 * size && glyph.size / last.size > 0.7 && glyph.size / last.size < 1.45 {
        return Follows::Inside;
    }
    if shift < 0.6 * size {
        Follows::Touching
    } else {
        Follows::Apart
    }
}

fn start(glyph: &Glyph, joined: bool) -> Word {
    let mut word = Word {
        text: String::new(),
        x0: glyph.x0,
        x1: glyph.x0,
        y: glyph.y,
        size: glyph.size,
        style: glyph.style,
        n_math: 0,
        joined,
        upright: glyph.upright,
    };
    extend(&mut word, glyph);
    word
}

fn extend(word: &mut Word, glyph: &Glyph) {
    add_character(&mut word.text, glyph.c);
    word.n_math += usize::from(glyph.style.math || glyph.c == UNKNOWN);
    word.x0 = word.x0.min(glyph.x0);
    word.x1 = word.x1.max(glyph.x1);
    word.size = word.size.max(glyph.size);
}

/// Adds a character; TeX sets an accent as a glyph of its own before the letter, which is put together here.
fn add_character(text: &mut String, c: char) {
    let combining = |accent: char| {
        Some(match accent {
            '´' | 'ˊ' => '\u{301}',
            '`' | 'ˋ' => '\u{300}',
            '¨' => '\u{308}',
            'ˆ' => '\u{302}',
            '˜' => '\u{303}',
            'ˇ' => '\u{30c}',
            '¯' | 'ˉ' => '\u{304}',
            '˚' => '\u{30a}',
            '˘' => '\u{306}',
            '˝' => '\u{30b}',
            '˙' => '\u{307}',
            '¸' => '\u{327}',
            _ => return None,
        })
    };
    let before = text.chars().next_back();
    if let Some(mark) = before.and_then(combining)
        && c.is_alphabetic()
        && let Some(whole) =
            unicode_normalization::char::compose(if c == 'ı' { 'i' } else { c }, mark)
    {
        text.pop();
        text.push(whole);
    } else {
        text.push(c);
    }
}

/// Cuts words into columns in reading order.
pub(super) fn columns(words: Vec<Word>, body: f32) -> Vec<Column> {
    let mut columns = Vec::new();
    cut(words, body, 0, &mut columns);
    columns
}

fn cut(mut words: Vec<Word>, body: f32, depth: u32, columns: &mut Vec<Column>) {
    if words.is_empty() {
        return;
    }
    let gutter = if depth < 8 {
        gutter(&words, body)
    } else {
        None
    };
    let Some(gutter) = gutter else {
        columns.push(column(words));
        return;
    };
    let below = words
        .extract_if(.., |word| word.top() >= gutter.bottom)
        .collect();
    let above = words
        .extract_if(.., |word| word.bottom() <= gutter.top)
        .collect();
    let right = words
        .extract_if(.., |word| (word.x0 + word.x1) / 2.0 > gutter.x)
        .collect();
    for part in [above, words, right, below] {
        cut(part, body, depth + 1, columns);
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

/// The best gutter of a region: the one with the most lines on its poorer side.
fn gutter(words: &[Word], body: f32) -> Option<Gutter> {
    let left = words.iter().map(|word| word.x0).fold(f32::MAX, f32::min);
    let right = words.iter().map(|word| word.x1).fold(f32::MIN, f32::max);
    let mut sorted: Vec<&Word> = words.iter().collect();
    sorted.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
    let mut best: Option<Gutter> = None;
    let mut x = left + 0.15 * (right - left);
    while x < left + 0.85 * (right - left) {
        if let Some(found) = stretch(&sorted, x, body)
            && best.is_none_or(|best| found.score > best.score)
        {
            best = Some(found);
        }
        x += 2.0;
    }
    best
}

/// The best stretch of white around `x`, between words that cross it.
fn stretch(sorted: &[&Word], x: f32, body: f32) -> Option<Gutter> {
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
        if let Some(found) = weigh(&sorted[from..to], x, body)
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
fn weigh(words: &[&Word], x: f32, body: f32) -> Option<Gutter> {
    let (first, last) = (words.first()?, words.last()?);
    let side = |is_left: bool| {
        let side = words
            .iter()
            .filter(move |word| ((word.x0 + word.x1) / 2.0 <= x) == is_left);
        let (mut n_lines, mut y, mut ink, mut x0, mut x1) = (0, f32::MIN, 0.0, f32::MAX, f32::MIN);
        for word in side {
            if word.y > y + 0.5 * body {
                n_lines += 1;
                y = word.y;
            }
            ink += word.x1 - word.x0;
            x0 = x0.min(word.x0);
            x1 = x1.max(word.x1);
        }
        let fill = ink / ((x1 - x0).max(1.0) * (n_lines as f32).max(1.0));
        (n_lines, fill, x0, x1)
    };
    let (left, right) = (side(true), side(false));
    let n_lines = left.0.min(right.0);
    let enough = n_lines >= 4 && left.1.min(right.1) > 0.4;
    if !enough {
        return None;
    }
    let middle = (left.3 + right.2) / 2.0;
    let top = words
        .iter()
        .map(|word| word.top())
        .fold(first.top(), f32::min);
    let bottom = words
        .iter()
        .map(|word| word.bottom())
        .fold(last.bottom(), f32::max);
    // The wider the white, the better, but lines count more.
    let score = n_lines as f32 + ((right.2 - left.3) / body).clamp(0.0, 3.0) * 0.1;
    Some(Gutter {
        x: middle,
        top,
        bottom,
        score,
    })
}

/// Puts the words of a column into lines; raised and lowered words join the line that they overlap most.
fn column(mut words: Vec<Word>) -> Column {
    words.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
    let mut lines: Vec<Line> = Vec::new();
    let (large, small): (Vec<Word>, Vec<Word>) = {
        let sizes = common_size(words.iter());
        words
            .into_iter()
            .partition(|word| word.size >= 0.82 * sizes)
    };
    for word in large {
        match lines.last_mut() {
            Some(line) if (word.y - line.y).abs() < 0.3 * word.size.max(line.size) => {
                line.words.push(word)
            }
            _ => lines.push(Line {
                y: word.y,
                size: word.size,
                words: vec![word],
                ..Line::default()
            }),
        }
    }
    let mut rest: Vec<Line> = Vec::new();
    for word in small {
        let middle = word.y - 0.3 * word.size;
        let host = lines.iter_mut().find(|line| {
            let near = line.words.iter().any(|other| {
                word.x0 - other.x1 < 2.0 * other.size && other.x0 - word.x1 < 2.0 * other.size
            });
            middle > line.y - 0.95 * line.size && middle < line.y + 0.3 * line.size && near
        });
        match (host, rest.last_mut()) {
            (Some(line), _) => line.words.push(word),
            (None, Some(line)) if (word.y - line.y).abs() < 0.3 * word.size => {
                line.words.push(word)
            }
            (None, _) => rest.push(Line {
                y: word.y,
                size: word.size,
                words: vec![word],
                ..Line::default()
            }),
        }
    }
    lines.append(&mut rest);
    lines.sort_by(|a, b| a.y.total_cmp(&b.y));
    for line in &mut lines {
        finish(line);
    }
    let x0 = lines.iter().map(|line| line.x0).fold(f32::MAX, f32::min);
    let x1 = lines.iter().map(|line| line.x1).fold(f32::MIN, f32::max);
    Column { lines, x0, x1 }
}

fn finish(line: &mut Line) {
    line.words.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    line.x0 = line
        .words
        .iter()
        .map(|word| word.x0)
        .fold(f32::MAX, f32::min);
    line.x1 = line
        .words
        .iter()
        .map(|word| word.x1)
        .fold(f32::MIN, f32::max);
    line.size = common_size(line.words.iter());
}

/// The size of most characters, to a tenth of a point.
pub(super) fn common_size<'w>(words: impl Iterator<Item = &'w Word>) -> f32 {
    let mut sizes = std::collections::BTreeMap::new();
    for word in words {
        *sizes
            .entry((word.size * 10.0).round() as i32)
            .or_insert(0_usize) += word.text.len();
    }
    sizes
        .iter()
        .max_by_key(|(size, count)| (**count, **size))
        .map_or(10.0, |(size, _)| *size as f32 / 10.0)
}
