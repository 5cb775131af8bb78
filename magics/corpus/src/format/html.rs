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
    page.end();
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
    /// The cells of the open table.
    cells: Vec<String>,
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
        if element.name == "table" && !self.is_in(element::Sort::Table) {
            self.end_table();
        }
    }

    /// Closes what the page has left open.
    fn end(&mut self) {
        self.end_block();
        while !self.stack.is_empty() {
            self.pop();
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
        if self.is_in(Sort::Table) {
            let cell = self.text.split_off(self.start);
            self.cells
                .extend((!cell.trim().is_empty()).then(|| cell.trim().to_owned()));
            return;
        }
        let end = self.text.trim_end().len().max(self.start);
        self.text.truncate(end);
        let content = self.text[self.start..end].trim_start_matches(['•', ' ']);
        if content.is_empty() {
            self.text.truncate(self.start);
        } else {
            let role = if self.is_in(Sort::Heading) {
                self.heading.get_or_insert_with(|| content.to_owned());
                Some(Role::Heading)
            } else if self.is_in(Sort::Listing) {
                Some(Role::Code)
            } else {
                None
            };
            self.block(self.start..end, role);
            self.text.push_str("\n\n");
        }
        self.start = self.text.len();
        self.link_chars = 0;
    }

    fn block(&mut self, range: std::ops::Range<usize>, role: Option<Role>) {
        use element::Sort;
        self.blocks.push(Block {
            range,
            boilerplate: self.is_in(Sort::Boilerplate)
                || self.is_in(Sort::Header) && !self.is_in(Sort::Main),
            in_main: self.is_in(Sort::Main),
            link_chars: self.link_chars,
            role,
        });
    }

    /// Writes the cells of a table that has ended: a table of numbers as one block, the text of a layout as paragraphs.
    fn end_table(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let n_words: usize = cells
            .iter()
            .map(|cell| cell.split_whitespace().count())
            .sum();
        let is_layout = n_words >= 12 * cells.len();
        let blocks = if is_layout {
            cells
        } else {
            vec![cells.join(" | ")]
        };
        self.notes.retain(|note| note.end <= self.start);
        for block in blocks.iter().filter(|block| !block.is_empty()) {
            self.text.push_str(block);
            self.block(
                self.start..self.text.len(),
                (!is_layout).then_some(Role::Cells),
            );
            self.text.push_str("\n\n");
            self.start = self.text.len();
        }
        self.link_chars = 0;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clean::Draft;

    fn cleaned(html: &str) -> (Option<String>, String) {
        let found = read(html.as_bytes()).unwrap();
        (
            found.title,
            Draft::new(&found.original, found.marks)
                .clean(&BTreeSet::new())
                .0,
        )
    }

    #[track_caller]
    fn check(html: &str, wanted: &str) {
        assert_eq!(cleaned(html).1, wanted);
    }

    #[test]
    fn the_text_of_the_article_stays() {
        let page = "<html><head><title>Cats | A site</title><style>p{}</style></head><body><header><a href=/>A site</a></header>\
            <nav><ul><li><a>Home</a><li><a>More</a></ul></nav><main><header><h1>Cats</h1></header>\
            <p>Cats are <b>animals</b>.\n  They sleep.<sup>1</sup></p><script>var x = '<p>no</p>';</script><ul><li>one<li>two</ul></main>\
            <aside>Read also</aside><footer>Copyright</footer></body></html>";
        assert_eq!(
            cleaned(page),
            (
                Some("Cats".to_owned()),
                "Cats\n\nCats are animals. They sleep.\n\n• one\n\n• two".to_owned()
            )
        );
    }

    #[test]
    fn tags_in_text_are_text() {
        let page = "<title>A <script>alert(1)</script> title</title><p>2 &lt; 3 &amp; <i>4 &gt; 3</i>&nbsp;!</p>";
        assert_eq!(
            cleaned(page),
            (
                Some("A <script>alert(1)</script> title".to_owned()),
                "2 < 3 & 4 > 3 !".to_owned()
            )
        );
    }

    #[test]
    fn soup_is_eaten() {
        check(
            "<p>one<p>two<br>three<div>four</p></div>five",
            "one\n\ntwo three\n\nfour\n\nfive",
        );
        check("text without any tag", "text without any tag");
        check(
            "<nav><p>all of the page is in a nav that nobody closed",
            "all of the page is in a nav that nobody closed",
        );
        check(&format!("{}deep", "<div>".repeat(100_000)), "deep");
    }

    #[test]
    fn tables_of_numbers_go_and_tables_for_layout_stay() {
        check(
            "<p>Before.</p><table><tr><td>1<td>2<tr><td>3<td>4</table><p>After.</p>",
            "Before.\n\nAfter.",
        );
        let long = "this is a whole sentence that somebody laid out with a table in the old days of the web.";
        check(&format!("<table><tr><td>{long}</td></tr></table>"), long);
    }

    #[test]
    fn a_page_without_text_is_empty() {
        assert_eq!(
            read(b"<html><script>x</script></html>").unwrap_err(),
            Reason::Empty
        );
    }
}
