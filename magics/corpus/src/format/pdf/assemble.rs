//! From the blocks of the pages to one text: paragraphs go on over columns and pages, what interrupts them follows them.

use std::ops::Range;

use super::blocks::{self, Block};
use super::columns;
use super::furniture::{Furniture, PageWords};
use super::lines::{self, Line};
use super::roles::numbered;
use super::words::Word;
use crate::clean::Role;

/// The text of a file with what is known about stretches of it.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    pub(super) text: String,
    pub(super) title: Option<String>,
    pub(super) marks: Vec<(Range<usize>, Role)>,
}

/// Lays out all pages.
pub(super) fn assemble(pages: Vec<PageWords>, furniture: Vec<Vec<Furniture>>) -> Assembled {
    let body = lines::common_size(pages.iter().flat_map(|page| &page.words));
    let columns = columns::columns(pages.into_iter().map(|page| page.words).collect(), body);
    let leading = blocks::leading(columns.iter().flatten(), body);
    let mut pages: Vec<Vec<Block>> = Vec::new();
    for columns in columns {
        pages.push(
            columns
                .into_iter()
                .flat_map(|column| blocks::blocks(column, body, leading))
                .collect(),
        );
    }
    let mut writer = Writer::default();
    if let Some(first) = pages.first_mut() {
        let title = title(first, body);
        authors(first, title.as_ref().map_or(0, |(end, _)| *end));
        writer.out.title = title.map(|(_, text)| text);
    }
    for (page, furniture) in pages.into_iter().zip(furniture) {
        for block in page {
            writer.block(block);
        }
        writer
            .later
            .extend(furniture.into_iter().map(Later::Furniture));
    }
    writer.close();
    writer.out
}

/// The largest text on the upper part of the first page, and the block after it; its blocks become headings.
fn title(page: &mut [Block], body: f32) -> Option<(usize, String)> {
    let upper = page.len().div_ceil(2).max(6).min(page.len());
    let largest = page[..upper].iter().map(Block::size).fold(0.0, f32::max);
    if largest < 1.15 * body {
        return None;
    }
    let is_title = |block: &Block| {
        block.size() > 0.96 * largest
            && block.text().chars().filter(|c| c.is_alphabetic()).count() > 3
    };
    let first = page[..upper].iter().position(is_title)?;
    let end = first
        + page[first..upper]
            .iter()
            .take_while(|block| is_title(block))
            .count();
    for block in &mut page[first..end] {
        block.role = Some(Role::Heading);
    }
    let title = page[first..end]
        .iter()
        .map(Block::text)
        .collect::<Vec<_>>()
        .join(" ");
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    (title.chars().count() < 400).then_some((end, title))
}

/// What stands between the title and the abstract or the first part: names, institutes, addresses, and their footnotes.
fn authors(page: &mut [Block], title_end: usize) {
    for block in page
        .iter_mut()
        .filter(|block| block.role == Some(Role::Footnote))
    {
        if block.text().starts_with(['*', '∗', '†', '‡', '§', '¶']) {
            block.role = Some(Role::Authors);
        }
    }
    let starts = |block: &Block| is_part(&block.text()) || starts_abstract(&block.text());
    let Some(end) = page[title_end..].iter().position(starts) else {
        return;
    };
    let between = &mut page[title_end..title_end + end];
    if between.iter().map(|block| block.lines.len()).sum::<usize>() <= 40 {
        for block in between {
            block.role = Some(Role::Authors);
        }
    }
}

fn is_part(text: &str) -> bool {
    let name = numbered(text).1.trim_end_matches(['.', ':']).to_lowercase();
    matches!(
        name.as_str(),
        "abstract" | "introduction" | "summary" | "1 introduction" | "keywords"
    )
}

fn starts_abstract(text: &str) -> bool {
    let start: String = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .take(9)
        .collect::<String>()
        .to_lowercase();
    start.starts_with("abstract")
}

/// What waits until the open paragraph ends.
enum Later {
    Block(Block),
    Furniture(Furniture),
}

#[derive(Default)]
struct Writer {
    out: Assembled,
    /// The last line of the running text, while its paragraph may go on.
    open: Option<Line>,
    later: Vec<Later>,
}

impl Writer {
    fn block(&mut self, block: Block) {
        match block.role {
            None if self.goes_on(&block) => {
                self.out.text.push('\n');
                self.lines(&block);
                self.open = block.lines.into_iter().next_back();
            }
            None => {
                self.close();
                self.lines(&block);
                self.open = block.lines.into_iter().next_back();
            }
            Some(Role::Formula) if self.open.is_some() => {
                self.out.text.push('\n');
                let start = self.out.text.len();
                self.lines(&block);
                self.out
                    .marks
                    .push((start..self.out.text.len(), Role::Formula));
            }
            Some(Role::Heading | Role::Authors) => {
                self.close();
                self.marked(&block);
            }
            Some(_) => self.later.push(Later::Block(block)),
        }
    }

    /// Whether a block continues the open paragraph: that one has no end yet, and the block has no beginning.
    fn goes_on(&self, block: &Block) -> bool {
        let (Some(last), Some(first)) = (&self.open, block.lines.first()) else {
            return false;
        };
        if (last.size - first.size).abs() > 0.1 * last.size {
            return false;
        }
        let (before, after) = (blocks::line_text(last), blocks::line_text(first));
        let small = after.starts_with(|c: char| c.is_lowercase());
        if before.ends_with(['.', '!', '?', '”', '"']) {
            return false;
        }
        small || !block.indented && !before.ends_with(':') && !crate::sentence::starts_item(&after)
    }

    /// Ends the open paragraph and writes what has waited for it.
    fn close(&mut self) {
        self.open = None;
        for later in std::mem::take(&mut self.later) {
            match later {
                Later::Block(block) => self.marked(&block),
                Later::Furniture(furniture) => {
                    let start = self.gap();
                    self.out.text.push_str(&furniture.text);
                    self.out
                        .marks
                        .push((start..self.out.text.len(), furniture.role));
                }
            }
        }
        self.gap();
    }

    /// An empty line, unless the text begins here; gives where the text goes on.
    fn gap(&mut self) -> usize {
        if !self.out.text.is_empty() && !self.out.text.ends_with("\n\n") {
            self.out.text.push_str("\n\n");
        }
        self.out.text.len()
    }

    fn marked(&mut self, block: &Block) {
        let start = self.gap();
        self.lines(block);
        if let Some(role) = block.role {
            self.out.marks.push((start..self.out.text.len(), role));
        }
        self.gap();
    }

    fn lines(&mut self, block: &Block) {
        for (index, line) in block.lines.iter().enumerate() {
            if index > 0 {
                self.out.text.push('\n');
            }
            for (index, word) in line.words.iter().enumerate() {
                let before = index.checked_sub(1).map(|before| &line.words[before]);
                self.word(word, before, line);
            }
        }
    }

    fn word(&mut self, word: &Word, before: Option<&Word>, line: &Line) {
        let raised = word.size < 0.85 * line.size && word.y < line.y - 0.15 * line.size;
        let Some(before) = before else {
            let start = self.out.text.len();
            self.out.text.push_str(&word.text);
            if raised && is_note_mark(&word.text) {
                self.out
                    .marks
                    .push((start..self.out.text.len(), Role::NoteMark));
            }
            return;
        };
        if !word.joined {
            self.out.text.push(' ');
        }
        let start = self.out.text.len();
        let after_formula =
            before.n_math > 0 || before.text.ends_with(|c: char| c.is_ascii_digit());
        if raised && after_formula && word.joined {
            self.out.text.push('^');
        }
        self.out.text.push_str(&word.text);
        if raised && !after_formula && is_note_mark(&word.text) {
            self.out
                .marks
                .push((start..self.out.text.len(), Role::NoteMark));
        }
    }
}

/// Digits, letters of affiliations and the signs of footnotes.
fn is_note_mark(text: &str) -> bool {
    text.chars().count() <= 8
        && text.chars().all(|c| {
            c.is_ascii_digit()
                || matches!(
                    c,
                    ',' | '*' | '∗' | '†' | '‡' | '§' | '¶' | '[' | ']' | '–' | '-'
                )
        })
}
