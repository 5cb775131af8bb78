//! Markdown: `CommonMark` with tables, and the title of the front matter.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Extracted;
use super::text::decode;
use crate::clean::Role;
use crate::document::{Kind, Reason};

/// Reads Markdown: one paragraph a block; code is left as it is, raw HTML is kept as text without its tags.
pub(crate) fn read(bytes: &[u8]) -> Result<Extracted, Reason> {
    let (source, remarks) = decode(bytes);
    let (front, body) = front_matter(&source);
    let mut writer = Writer::default();
    for event in Parser::new_ext(
        body,
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH,
    ) {
        writer.event(event);
    }
    if writer.text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    let title = front.or(writer.title);
    Ok(Extracted {
        marks: writer.marks,
        ..Extracted::plain(Kind::Markdown, title, writer.text, remarks)
    })
}

/// The title of a front matter between lines of `---`, and what follows it.
fn front_matter(source: &str) -> (Option<String>, &str) {
    let inside = source
        .strip_prefix("---\n")
        .or_else(|| source.strip_prefix("---\r\n"));
    let Some((front, body)) = inside.and_then(|rest| rest.split_once("\n---")) else {
        return (None, source);
    };
    let body = body.split_once('\n').map_or("", |(_, body)| body);
    let title = front
        .lines()
        .find_map(|line| line.strip_prefix("title:"))
        .map(|title| {
            let title = title.trim();
            let quoted = ['"', '\'']
                .iter()
                .find_map(|quote| title.strip_prefix(*quote)?.strip_suffix(*quote));
            quoted.unwrap_or(title).to_owned()
        });
    (title, body)
}

#[derive(Default)]
struct Writer {
    text: String,
    title: Option<String>,
    marks: Vec<(std::ops::Range<usize>, Role)>,
    heading: Option<usize>,
    code: Option<usize>,
    table: Option<usize>,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => self.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.gap(),
            Event::Html(html) | Event::InlineHtml(html) => self.text.push_str(&without_tags(&html)),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.gap();
                self.heading = Some(self.text.len());
            }
            Tag::Item => {
                self.gap();
                self.text.push_str("• ");
            }
            Tag::Table(_) => {
                self.gap();
                self.table = Some(self.text.len());
            }
            Tag::CodeBlock(_) => {
                self.gap();
                self.code = Some(self.text.len());
            }
            Tag::TableRow | Tag::TableHead | Tag::Paragraph
                if self.table.is_none() && !self.text.ends_with("• ") =>
            {
                self.gap();
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                if let Some(start) = self.heading.take() {
                    self.title
                        .get_or_insert_with(|| self.text[start..].trim().to_owned());
                    self.marks.push((start..self.text.len(), Role::Heading));
                }
                self.gap();
            }
            TagEnd::TableCell => self.text.push_str(" | "),
            TagEnd::TableRow | TagEnd::TableHead => {
                self.text
                    .truncate(self.text.trim_end_matches([' ', '|']).len());
                self.text.push('\n');
            }
            TagEnd::Table => {
                if let Some(start) = self.table.take() {
                    self.marks.push((start..self.text.len(), Role::Cells));
                }
                self.gap();
            }
            TagEnd::CodeBlock => {
                if let Some(start) = self.code.take() {
                    self.marks.push((start..self.text.len(), Role::Code));
                }
                self.gap();
            }
            TagEnd::Paragraph
            | TagEnd::Item
            | TagEnd::List(_)
            | TagEnd::BlockQuote(_)
            | TagEnd::FootnoteDefinition => self.gap(),
            _ => {}
        }
    }

    fn gap(&mut self) {
        let end = self.text.trim_end_matches('\n').len();
        if end > 0 {
            self.text.truncate(end);
            self.text.push_str("\n\n");
        }
    }
}

/// The text of a piece of raw HTML.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn blocks_become_paragraphs() {
        let source = "---\ntitle: \"The title\"\nauthor: me\n---\n# Heading\n\nA *para*\nwith [a link](x).\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn main() {}\n```\n\n> quoted <b>text</b>\n";
        let found = read(source.as_bytes()).unwrap();
        assert_eq!(found.title.as_deref(), Some("The title"));
        expect![[r"
            Heading

            A para
            with a link.

            • one

            • two

            a | b
            1 | 2

            fn main() {}

            quoted text

        "]]
        .assert_eq(&found.original);
        let marked: Vec<_> = found
            .marks
            .iter()
            .map(|(range, role)| (*role, found.original[range.clone()].trim()))
            .collect();
        assert_eq!(
            marked,
            [
                (Role::Heading, "Heading"),
                (Role::Cells, "a | b\n1 | 2"),
                (Role::Code, "fn main() {}")
            ]
        );
    }

    #[test]
    fn the_first_heading_is_the_title() {
        assert_eq!(
            read(b"Text\n\n## A <script> title\n")
                .unwrap()
                .title
                .as_deref(),
            Some("A  title")
        );
        assert_eq!(read(b"\n \n").unwrap_err(), Reason::Empty);
        assert_eq!(
            read("> ".repeat(20_000).as_bytes()).unwrap_err(),
            Reason::Empty
        );
    }
}
