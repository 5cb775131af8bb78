//! HTML: the text of a page by blocks, with what stands around the article marked as boilerplate.

mod element;

use std::convert::Infallible;

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use self::element::Element;
use super::Extracted;
use super::text::decode;
use crate::clean::Role;
use crate::document::{Kind, Reason};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 512;

/// Reads a page: scripts and styles are no text; navigation, banners and footers are text marked as boilerplate.
pub(crate) fn read(bytes: &[u8]) -> Result<Extracted, Reason> {
    let (source, remarks) = decode(bytes);
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    for token in Tokenizer::new_with_emitter(&source, emitter) {
        let token: Result<Token, Infallible> = token;
        match token {
            Ok(Token::StartTag(tag)) => page.open(&tag),
            Ok(Token::EndTag(tag)) => page.close(&String::from_utf8_lossy(&tag.name)),
            Ok(Token::String(text)) => page.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    page.end_block();
    if page.text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    let title = page.best_title();
    let marks = page.marks();
    Ok(Extracted {
        marks,
        ..Extracted::plain(Kind::Html, title, page.text, remarks)
    })
}

/// A paragraph, heading, item or table of a page.
#[derive(Debug, Clone)]
struct Block {
    range: std::ops::Range<usize>,
    boilerplate: bool,
    in_main: bool,
    link_chars: usize,
    role: Option<Role>,
}

#[derive(Default)]
struct Page {
    text: String,
    blocks: Vec<Block>,
    notes: Vec<std::ops::Range<usize>>,
    stack: Vec<Element>,
    /// Open elements of each sort.
    depth: [u32; element::N_SORTS],
    /// Where the open block starts.
    start: usize,
    link_chars: usize,
    cells: usize,
    title: String,
    heading: Option<String>,
}

impl Page {
    fn is_in(&self, sort: element::Sort) -> bool {
        self.depth[sort as usize] > 0
    }

    fn open(&mut self, tag: &StartTag<()>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        let attribute = |key: &[u8]| {
            tag.attributes
                .get(key)
                .map(|value| String::from_utf8_lossy(value).to_lowercase())
        };
        if name == "br" {
            self.line_feed();
        }
        let element = Element::new(
            &name,
            attribute(b"role").as_deref(),
            attribute(b"class").as_deref(),
            attribute(b"id").as_deref(),
        );
        let hidden = attribute(b"aria-hidden").as_deref() == Some("true")
            || tag.attributes.contains_key(&b"hidden"[..]);
        let Some(mut element) = element else { return };
        element.skipped |= hidden;
        if element.is_block {
            // A paragraph, item or cell that is not closed ends where the next one begins.
            if self
                .stack
                .last()
                .is_some_and(|last| last.closes_before(&name))
            {
                self.pop();
            }
            self.end_block();
        }
        if tag.self_closing || element.is_void || self.stack.len() >= MAX_DEPTH {
            return;
        }
        if name == "li" {
            self.text.push_str("• ");
        }
        for sort in &element.sorts() {
            self.depth[*sort as usize] += 1;
        }
        self.stack.push(element);
    }

    fn close(&mut self, name: &str) {
        let Some(at) = self.stack.iter().rposition(|element| element.name == name) else {
            return;
        };
        if self.stack[at..].iter().any(|element| element.is_block) {
            self.end_block();
        }
        while self.stack.len() > at {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(element) = self.stack.pop() else {
            return;
        };
        if element.is_block {
            self.end_block();
        }
        for sort in &element.sorts() {
            self.depth[*sort as usize] -= 1;
        }
    }

    fn text(&mut self, text: &str) {
        use element::Sort;
        if self.is_in(Sort::Title) && !self.is_in(Sort::Skipped) {
            self.title.push_str(text);
            return;
        }
        if self.is_in(Sort::Skipped) {
            return;
        }
        let from = self.text.len();
        if self.is_in(Sort::Listing) {
            self.text.push_str(text);
        } else {
            self.collapsed(text);
        }
        let added = &self.text[from..];
        if self.is_in(Sort::Link) {
            self.link_chars += added.trim().len();
        }
        let note = self.is_in(Sort::Raised)
            && !added.trim().is_empty()
            && added
                .chars()
                .all(|c| c.is_ascii_digit() || "[],*†‡ ".contains(c));
        if note {
            let range = from..self.text.len();
            self.notes.push(range);
        }
    }

    /// Adds text with every run of blanks as one blank.
    fn collapsed(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() || c == '\u{a0}' {
                self.text.push(if c == '\u{a0}' { ' ' } else { c });
            } else if self.text.len() > self.start && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    fn line_feed(&mut self) {
        if self.text.len() > self.start && !self.is_in(element::Sort::Skipped) {
            self.text.push('\n');
        }
    }

    /// Ends the open block, if it has any text.
    fn end_block(&mut self) {
        use element::Sort;
        if self.is_in(Sort::Table) && self.text.len() > self.start {
            // The rows of a table are lines of one block.
            if !self.text.ends_with(['\n', '|']) {
                self.text.push_str(" |");
            }
            self.cells += 1;
            return;
        }
        let end = self.text.trim_end().len().max(self.start);
        self.text.truncate(end);
        let content = self.text[self.start..end].trim_start_matches(['•', ' ']);
        if content.is_empty() {
            self.text.truncate(self.start);
        } else {
            let n_words = content
                .split_whitespace()
                .filter(|word| *word != "|")
                .count();
            let role = if self.is_in(Sort::Heading) {
                self.heading.get_or_insert_with(|| content.to_owned());
                Some(Role::Heading)
            } else if self.is_in(Sort::Listing) {
                Some(Role::Code)
            } else {
                (self.cells > 2 && n_words < 12 * self.cells).then_some(Role::Cells)
            };
            self.blocks.push(Block {
                range: self.start..end,
                boilerplate: self.is_in(Sort::Boilerplate)
                    || self.is_in(Sort::Header) && !self.is_in(Sort::Main),
                in_main: self.is_in(Sort::Main),
                link_chars: self.link_chars,
                role,
            });
            self.text.push_str("\n\n");
        }
        self.start = self.text.len();
        self.link_chars = 0;
        self.cells = 0;
    }

    /// The title of the page, or its first heading where the title is the heading and more (the name of the site).
    fn best_title(&self) -> Option<String> {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        match &self.heading {
            Some(heading) if title.is_empty() || title.starts_with(heading.as_str()) => {
                Some(heading.clone())
            }
            _ => (!title.is_empty()).then_some(title),
        }
    }

    fn marks(&self) -> Vec<(std::ops::Range<usize>, Role)> {
        let total = |test: &dyn Fn(&Block) -> bool| {
            self.blocks
                .iter()
                .filter(|block| test(block))
                .map(|block| block.range.len())
                .sum::<usize>()
        };
        let all = total(&|_| true);
        let main_counts = total(&|block| block.in_main && !block.boilerplate) * 4 > all;
        let outside = |block: &Block| {
            block.boilerplate
                || main_counts && !block.in_main
                || block.link_chars * 10 > block.range.len() * 7 && block.range.len() < 300
        };
        // A page that is boilerplate through and through is rather one whose tags are not closed.
        let trust = total(&outside) * 10 < all * 9;
        let mut marks: Vec<_> = self
            .notes
            .iter()
            .map(|range| (range.clone(), Role::NoteMark))
            .collect();
        for block in &self.blocks {
            let role = if trust && outside(block) {
                Some(Role::Boilerplate)
            } else {
                block.role
            };
            marks.extend(role.map(|role| (block.range.clone(), role)));
        }
        marks.sort_by_key(|(range, _)| range.start);
        marks
    }
}
