//! From lines to paragraphs, captions, headings, formulas and tables.

use super::lines::{Column, Line, Word};
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
    /// The page, from 0.
    pub(super) page: usize,
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

    fn words(&self) -> impl Iterator<Item = &Word> {
        self.lines.iter().flat_map(|line| &line.words)
    }

    /// The share of characters for which `test` holds for their word.
    fn share(&self, test: impl Fn(&Word) -> bool) -> f32 {
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
pub(super) fn blocks(column: Column, page: usize, body: f32, leading: f32) -> Vec<Block> {
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
                page,
                column: (left, right),
            }),
        }
    }
    for block in &mut blocks {
        block.role = role(block, body);
    }
    footnotes(&mut blocks, body);
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
    let text = line_text(line);
    let label_of = |line: &Line| {
        let text = line_text(line);
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

fn is_centred(line: &Line, left: f32, right: f32) -> bool {
    let (before, after) = (line.x0 - left, right - line.x1);
    before > 8.0 && (before - after).abs() < 0.1 * (right - left)
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

/// `Figure 3:`, `Fig. 3.`, `TABLE II`.
pub(super) fn is_caption(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "Figure",
        "Fig.",
        "FIGURE",
        "FIG.",
        "Table",
        "TABLE",
        "Tab.",
        "Algorithm",
        "Listing",
        "Scheme",
        "Plate",
        "Chart",
        "Box",
    ];
    WORDS.iter().any(|word| {
        let Some(rest) = text.strip_prefix(word) else {
            return false;
        };
        let rest = rest.trim_start();
        let number = rest.trim_start_matches(|c: char| {
            c.is_ascii_digit() || matches!(c, 'I' | 'V' | 'X' | 'S' | 'A' | 'B')
        });
        let n_digits = rest.len() - number.len();
        (1..=5).contains(&n_digits)
            && (number.is_empty()
                || number.starts_with([':', '.', '|', '—', '–'])
                || number.starts_with(" –"))
            || (1..=5).contains(&n_digits)
                && word.chars().all(|c| c.is_uppercase() || c == '.')
                && number.starts_with(' ')
    })
}

fn role(block: &Block, body: f32) -> Option<Role> {
    let text = block.text();
    if is_caption(&text) {
        return Some(Role::Caption);
    }
    if is_heading(block, &text, body) {
        return Some(Role::Heading);
    }
    let prose = prose(&text);
    if is_formula(block, &text, prose) {
        return Some(Role::Formula);
    }
    (prose < 0.22 && !is_prose_line(&text)).then_some(Role::Cells)
}

/// Whether a block is a displayed formula: mostly signs and letters of formulas, hardly a word.
fn is_formula(block: &Block, text: &str, prose: f32) -> bool {
    let math: usize = block.words().map(|word| word.n_math).sum();
    let total: usize = block.words().map(|word| word.text.chars().count()).sum();
    let share = math as f32 / (total as f32).max(1.0);
    let signs = text.contains(['=', '≤', '≥', '∑', '∈', '√', '∫', '≈', '→']);
    block.lines.len() <= 6 && (share > 0.45 && prose < 0.3 || share > 0.2 && signs && prose < 0.2)
}

/// The share of words that are of ordinary language: letters only, two or more, mostly small.
fn prose(text: &str) -> f32 {
    let (mut plain, mut total) = (0_usize, 0_usize);
    for word in text.split_whitespace() {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        total += 1;
        let ordinary = core.chars().count() >= 2
            && core
                .chars()
                .all(|c| c.is_alphabetic() || matches!(c, '-' | '’' | '\''));
        let small = core.chars().skip(1).all(|c| !c.is_uppercase());
        plain += usize::from(ordinary && small);
    }
    plain as f32 / total.max(1) as f32
}

/// A line with a full stop and words before it is never taken for cells of a table.
fn is_prose_line(text: &str) -> bool {
    text.split_whitespace().count() >= 4
        && text.ends_with(['.', '!', '?', ',', ';', ':'])
        && prose(text) > 0.4
}

/// Names of parts that papers do without a number.
const PARTS: &[&str] = &[
    "abstract",
    "introduction",
    "references",
    "bibliography",
    "conclusion",
    "conclusions",
    "discussion",
    "results",
    "methods",
    "acknowledgements",
    "acknowledgments",
    "acknowledgement",
    "acknowledgment",
    "appendix",
    "summary",
    "keywords",
    "related work",
    "background",
    "evaluation",
    "literature cited",
    "works cited",
];

fn is_heading(block: &Block, text: &str, body: f32) -> bool {
    let n_chars = text.chars().count();
    if block.lines.len() > 3 || n_chars > 140 || n_chars < 3 || !text.contains(char::is_alphabetic)
    {
        return false;
    }
    let plain = text.trim_end_matches(['.', ':']).to_lowercase();
    let (number, title) = numbered(text);
    if PARTS.contains(&plain.as_str()) || number && PARTS.contains(&title.to_lowercase().as_str()) {
        return true;
    }
    let larger = block.size() > 1.12 * body;
    let bold = block.share(|word| word.style.bold) > 0.8;
    let italic = block.share(|word| word.style.italic) > 0.8;
    let starts_large = title.starts_with(char::is_uppercase);
    let ends_sentence = text.ends_with('.') && !number;
    if larger || bold {
        return !ends_sentence && prose(title) > 0.3;
    }
    let narrow = block.lines.len() == 1 && n_chars < 70;
    let capitals = title
        .chars()
        .filter(|c| c.is_alphabetic())
        .all(char::is_uppercase);
    number
        && starts_large
        && narrow
        && !text.ends_with(['.', ',', ';'])
        && (italic || capitals || is_centred(&block.lines[0], block.column.0, block.column.1))
}

/// `3.2 Name`, `IV. Name`, `A. Name`: whether there is a number, and what follows it.
pub(super) fn numbered(text: &str) -> (bool, &str) {
    let Some((number, title)) = text.split_once(' ') else {
        return (false, text);
    };
    let core = number.trim_end_matches(['.', ')']);
    let decimal = !core.is_empty()
        && core.split('.').all(|part| {
            !part.is_empty() && part.len() <= 2 && part.chars().all(|c| c.is_ascii_digit())
        });
    let roman = !core.is_empty()
        && core.len() < number.len()
        && core.chars().all(|c| matches!(c, 'I' | 'V' | 'X'));
    let letter =
        core.len() == 1 && core.len() < number.len() && core.starts_with(char::is_uppercase);
    if decimal || roman || letter {
        (true, title.trim())
    } else {
        (false, text)
    }
}

/// Marks the small print at the foot of a column that starts with a raised sign.
fn footnotes(blocks: &mut [Block], body: f32) {
    for block in blocks.iter_mut().rev() {
        let small = block.size() < 0.93 * body;
        let first = block.lines.first().and_then(|line| line.words.first());
        let sign = first.is_some_and(|word| {
            word.text.starts_with(|c: char| {
                c.is_ascii_digit() || matches!(c, '*' | '∗' | '†' | '‡' | '§')
            })
        });
        let raised = first.is_some_and(|word| {
            block.lines[0]
                .words
                .get(1)
                .is_some_and(|next| word.size < 0.95 * next.size || next.joined)
        });
        match block.role {
            None | Some(Role::Cells) if small && sign && raised => {
                block.role = Some(Role::Footnote)
            }
            None if small => {}
            Some(Role::Footnote) => {}
            _ => break,
        }
    }
}
