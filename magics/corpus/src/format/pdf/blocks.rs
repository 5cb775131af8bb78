//! From lines to paragraphs, captions, headings, formulas and tables.

use super::lines::{Column, Line};
use super::roles::{footnotes, is_caption, is_formula_line, is_row, labels, role};
use super::words::Word;
use crate::clean::Role;
use crate::sentence::starts_item;

/// Lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) lines: Vec<Line>,
    /// `None` for running text.
    pub(super) role: Option<Role>,
    /// True when the first line is set in.
    pub(super) indented: bool,
    pub(super) column: (f32, f32),
}

impl Block {
    /// The text of its lines, joined by blanks.
    pub(super) fn text(&self) -> String {
        self.lines
            .iter()
            .map(line_text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(super) fn size(&self) -> f32 {
        super::lines::common_size(self.lines.iter().flat_map(|line| &line.words))
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &Word> {
        self.lines.iter().flat_map(|line| &line.words)
    }

    /// The share of characters for which `test` holds for their word.
    pub(super) fn share(&self, test: impl Fn(&Word) -> bool) -> f32 {
        let total: usize = self.words().map(|word| word.text.len()).sum();
        let part: usize = self
            .words()
            .filter(|word| test(word))
            .map(|word| word.text.len())
            .sum();
        part as f32 / (total as f32).max(1.0)
    }
}

/// The text of a line, with a blank between words that do not touch.
pub(super) fn line_text(line: &Line) -> String {
    let mut text = String::new();
    for word in &line.words {
        if !text.is_empty() && !word.joined {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

/// The distance of lines of running text.
pub(super) fn leading<'c>(columns: impl Iterator<Item = &'c Column>, body: f32) -> f32 {
    let mut distances: Vec<f32> = columns
        .flat_map(|column| column.lines.windows(2))
        .filter(|pair| pair.iter().all(|line| (line.size - body).abs() < 0.6))
        .map(|pair| pair[1].y - pair[0].y)
        .filter(|distance| (0.8 * body..2.5 * body).contains(distance))
        .collect();
    distances.sort_by(f32::total_cmp);
    distances
        .get(distances.len() / 2)
        .copied()
        .unwrap_or(1.2 * body)
}

/// Groups the lines of a column into blocks and says what each is.
pub(super) fn blocks(column: Column, body: f32, leading: f32) -> Vec<Block> {
    let (left, right) = (typical_left(&column), column.x1);
    let mut blocks: Vec<Block> = Vec::new();
    for line in column.lines {
        let indented = line.x0 > left + 0.6 * body;
        match blocks.last_mut() {
            Some(block) if !breaks(block, &line, left, right, leading) => block.lines.push(line),
            _ => blocks.push(Block {
                lines: vec![line],
                role: None,
                indented,
                column: (left, right),
            }),
        }
    }
    for block in &mut blocks {
        block.role = role(block, body);
    }
    footnotes(&mut blocks, body);
    labels(&mut blocks);
    blocks
}

/// Where most lines of a column begin.
fn typical_left(column: &Column) -> f32 {
    let mut starts: Vec<f32> = column.lines.iter().map(|line| line.x0).collect();
    starts.sort_by(f32::total_cmp);
    starts.get(starts.len() / 8).copied().unwrap_or(column.x0)
}

/// Whether a line starts a new block after the lines of `block`.
fn breaks(block: &Block, line: &Line, left: f32, right: f32, leading: f32) -> bool {
    let (Some(first), Some(last)) = (block.lines.first(), block.lines.last()) else {
        return true;
    };
    let size = last.size.max(line.size);
    let distance = line.y - last.y;
    let scale = (size / 10.0).max(0.5);
    if distance > 1.32 * leading.max(1.05 * size) || distance < 0.3 * size {
        return true;
    }
    if (last.size - line.size).abs() > 0.09 * size || is_bold(last) != is_bold(line) {
        return true;
    }
    if is_formula_line(last) != is_formula_line(line) || is_row(last) != is_row(line) {
        return true;
    }
    let text = line_text(line);
    let label_of = |line: &Line| {
        let text = line
            .words
            .iter()
            .take(3)
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        starts_item(&text)
            || text.starts_with('[') && text[1..].starts_with(|c: char| c.is_ascii_digit())
    };
    if starts_item(&text) && (line.x0 <= first.x0 + 2.0 * scale) || is_label(&text) {
        return true;
    }
    if is_caption(&text) && distance > 1.1 * leading {
        return true;
    }
    let ends = line_text(last).ends_with(['.', '!', '?', ':', '”', '"']);
    let short = last.x1 < right - 0.2 * (right - left);
    let step = line.x0 - last.x0;
    if label_of(first) {
        return step < -2.0 * scale && ends;
    }
    // A first line is set in by about one em; lines that are centred start anywhere.
    if step > 6.0 * scale
        && step < 26.0 * scale
        && line.x0 - left < 30.0 * scale
        && !is_centred(line, left, right)
    {
        return ends
            || !last.words.is_empty() && last.x1 < right - 4.0 * scale
            || !text.starts_with(char::is_lowercase);
    }
    short && ends && !text.starts_with(char::is_lowercase)
}

pub(super) fn is_centred(line: &Line, left: f32, right: f32) -> bool {
    let (before, after) = (line.x0 - left, right - line.x1);
    before > 8.0 && after > 8.0 && (before - after).abs() < 0.1 * (right - left)
}

fn is_bold(line: &Line) -> bool {
    let total: usize = line.words.iter().map(|word| word.text.len()).sum();
    let bold: usize = line
        .words
        .iter()
        .filter(|word| word.style.bold)
        .map(|word| word.text.len())
        .sum();
    bold * 10 > total * 8
}

/// `[12] …` at the start of a reference.
fn is_label(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else {
        return false;
    };
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < rest.len() && digits.starts_with("] ")
}
