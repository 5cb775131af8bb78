//! What a block is: caption, heading, formula, table, footnote, or running text.

use super::blocks::{Block, is_centred, line_text};
use super::lines::Line;
use super::words::Word;
use crate::clean::Role;

/// Mostly signs and letters of formulas.
pub(super) fn is_formula_line(line: &Line) -> bool {
    let math: usize = line.words.iter().map(|word| word.n_math).sum();
    let total: usize = line
        .words
        .iter()
        .map(|word| word.text.chars().count())
        .sum();
    let text = line_text(line);
    math * 10 > total * 4 && prose(&text) < 0.3 || text.contains(SIGNS) && long_words(&text) < 0.2
}

/// The share of words of three letters or more.
fn long_words(text: &str) -> f32 {
    let is_long = |word: &&str| {
        word.chars().filter(|c| c.is_alphabetic()).count() >= 3
            && word
                .chars()
                .all(|c| c.is_alphabetic() || c.is_ascii_punctuation())
    };
    text.split_whitespace().filter(is_long).count() as f32
        / text.split_whitespace().count().max(1) as f32
}

/// Signs that make a line without words a formula.
const SIGNS: [char; 9] = ['=', '≤', '≥', '∑', '∈', '√', '∫', '≈', '→'];

/// A row of a table: white between its words that no justified line has.
pub(super) fn is_row(line: &Line) -> bool {
    let starts = gaps(line).filter(|(_, gap)| *gap > 1.0).count();
    (starts >= 2 || gaps(line).any(|(_, gap)| gap > 2.2)) && !is_stretched(line)
}

/// The white before each word but the first, in font sizes, and where the word begins.
fn gaps(line: &Line) -> impl Iterator<Item = (f32, f32)> {
    let apart = |pair: &&[Word]| !pair[1].joined;
    line.words
        .windows(2)
        .filter(apart)
        .map(|pair| (pair[1].x0, (pair[1].x0 - pair[0].x1) / line.size))
}

/// A line of words that was stretched to the width of its column: all its blanks are alike.
fn is_stretched(line: &Line) -> bool {
    let (least, most) = gaps(line).fold((f32::MAX, 0.0_f32), |(least, most), (_, gap)| {
        (least.min(gap), most.max(gap))
    });
    most < 1.7 * least.max(0.1) && prose(&line_text(line)) > 0.5
}

/// Lines whose second cells begin at one place, after white that a justified line does not have: a table of words.
fn is_aligned(lines: &[Line]) -> bool {
    let lines = &lines[..lines.len().min(100)];
    let starts: Vec<Vec<f32>> = lines.iter().map(cell_starts).collect();
    let shared = |x: f32| {
        starts
            .iter()
            .filter(|line| line.iter().any(|start| (start - x).abs() < 1.5))
            .count()
    };
    let most = starts
        .iter()
        .flatten()
        .take(500)
        .map(|x| shared(*x))
        .max()
        .unwrap_or(0);
    lines.len() >= 3 && most * 10 >= lines.len() * 7
}

/// Where words begin after wide white.
fn cell_starts(line: &Line) -> Vec<f32> {
    if is_stretched(line) {
        return Vec::new();
    }
    gaps(line)
        .filter(|(_, gap)| *gap > 0.9)
        .map(|(x, _)| x)
        .collect()
}

/// White between two words that is wider than in a justified line.
fn has_gap(line: &Line) -> bool {
    line.words
        .windows(2)
        .any(|pair| pair[1].x0 - pair[0].x1 > 0.9 * line.size)
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

pub(super) fn role(block: &Block, body: f32) -> Option<Role> {
    let text = block.text();
    if is_caption(&text) {
        return Some(Role::Caption);
    }
    if !text.contains(char::is_alphanumeric) {
        return Some(Role::Cells);
    }
    let prose = prose(&text);
    if is_formula(block, &text, prose) {
        return Some(Role::Formula);
    }
    if is_heading(block, &text, body) {
        return Some(Role::Heading);
    }
    let n_rows = block.lines.iter().filter(|line| is_row(line)).count();
    let n_words = text.split_whitespace().count();
    let label = block.size() < 0.87 * body
        && n_words < 5 * block.lines.len()
        && !text.ends_with(['.', '!', '?', ',', ';', ':', '-']);
    (prose < 0.22 && !is_prose_line(&text)
        || n_rows * 2 > block.lines.len()
        || is_aligned(&block.lines)
        || label)
        .then_some(Role::Cells)
}

/// Whether a block is a displayed formula: mostly signs and letters of formulas, hardly a word.
fn is_formula(block: &Block, text: &str, prose: f32) -> bool {
    let math: usize = block.words().map(|word| word.n_math).sum();
    let total: usize = block.words().map(|word| word.text.chars().count()).sum();
    let share = math as f32 / (total as f32).max(1.0);
    let signs = text.contains(SIGNS);
    block.lines.len() <= 6 && (share > 0.45 && prose < 0.3 || signs && long_words(text) < 0.2)
}

/// The share of letters among the characters that are no blanks.
fn letters(text: &str) -> f32 {
    let all = text.chars().filter(|c| !c.is_whitespace()).count();
    text.chars().filter(|c| c.is_alphabetic()).count() as f32 / all.max(1) as f32
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
    if block.lines.len() > 3 || !(3..=140).contains(&n_chars) || !text.contains(char::is_alphabetic)
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
        return !ends_sentence && letters(title) > 0.6;
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
pub(super) fn footnotes(blocks: &mut [Block], body: f32) {
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
                block.role = Some(Role::Footnote);
            }
            None if small => {}
            Some(Role::Footnote) => {}
            _ => break,
        }
    }
}

/// A few words without an end, next to a figure or a table, belong to it.
pub(super) fn labels(blocks: &mut [Block]) {
    let inside = |block: Option<&Block>| {
        block.is_some_and(|block| matches!(block.role, Some(Role::Cells | Role::Caption)))
    };
    for index in 0..blocks.len() {
        let text = blocks[index].text();
        let few =
            text.split_whitespace().count() <= 3 && !text.ends_with(['.', '!', '?', ',', ';', ':']);
        let near = inside(index.checked_sub(1).map(|before| &blocks[before]))
            || inside(blocks.get(index + 1));
        let spaced = blocks[index].lines.len() == 1
            && has_gap(&blocks[index].lines[0])
            && !text.ends_with(['.', '!', '?', ',', ';', ':', '-']);
        if blocks[index].role.is_none() && (few || spaced) && near {
            blocks[index].role = Some(Role::Cells);
        }
    }
}
