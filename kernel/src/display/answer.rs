//! Evidence for a question: guided by the graph and, beside it, what plain word search finds.
//!
//! The HTML reads well without any style: headings, lists, quotations and a table carry the meaning.

use std::fmt::Write;

use mlk8s_catalog::view::{AnswerView, EvidenceView, MarkedText, TripleView};

use super::{escape, figure};

/// Characters of a part of a triple that are shown.
const PART: usize = 160;
/// Bytes of a sentence that are shown; what is longer is a page that had no full stop.
const SENTENCE: usize = 2000;

/// The HTML of `answer`.
pub(crate) fn html(answer: &AnswerView) -> String {
    let id = figure::identifier(&[&format!("{answer:?}")]);
    let mut out = format!(
        "<section class=\"mlk8s-answer\"><style>{}</style>\n",
        figure::STYLE
    );
    let _ = writeln!(out, "<h4>{}</h4>", escape::text(&answer.question));
    if !answer.linked.is_empty() {
        let chips: Vec<String> = answer.linked.iter().map(|name| chip(name)).collect();
        let _ = writeln!(
            out,
            "<p class=\"mlk8s-linked\">Linked to {}</p>",
            chips.join(" ")
        );
    }
    if !answer.remark.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"mlk8s-remark\"><em>{}</em></p>",
            escape::text(&answer.remark)
        );
    }
    let guided = evidence(&answer.guided, &format!("{id}-g"));
    if answer.plain.is_empty() {
        out.push_str(&guided);
    } else {
        let plain = evidence(&answer.plain, &format!("{id}-p"));
        let _ = writeln!(
            out,
            "<div class=\"mlk8s-columns\"><div><h5>Guided by the graph</h5>{guided}</div>"
        );
        let _ = writeln!(
            out,
            "<div><h5>Plain word search (BM25)</h5>{plain}</div></div>"
        );
    }
    if !answer.triples.is_empty() {
        out.push_str(&triples(&answer.triples, &format!("{id}-g")));
    }
    out.push_str("</section>");
    out
}

fn chip(name: &str) -> String {
    format!(
        "<strong class=\"mlk8s-chip\">{}</strong>",
        escape::text(name)
    )
}

/// The pieces of evidence as a list numbered by citation; each can be linked to as `prefix` and its number.
pub(super) fn evidence(all: &[EvidenceView], prefix: &str) -> String {
    if all.is_empty() {
        return "<p><em>Nothing found.</em></p>".to_owned();
    }
    let mut out = String::from("<ol class=\"mlk8s-evidence\">\n");
    for piece in all {
        let number = piece.citation;
        let _ = write!(
            out,
            "<li id=\"{prefix}{number}\" value=\"{number}\"><p><strong>"
        );
        let _ = write!(out, "{}</strong>", escape::text(&piece.title));
        if !piece.source.is_empty() {
            let _ = write!(out, " <small>{}</small>", escape::text(&piece.source));
        }
        out.push_str("</p>\n");
        for sentence in &piece.sentences {
            let _ = writeln!(out, "<blockquote>{}</blockquote>", marked(sentence));
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>");
    out
}

/// The text with its marked stretches; a range that does not fit the text that is shown is passed over.
pub(super) fn marked(sentence: &MarkedText) -> String {
    let text = &sentence.text[..sentence.text.floor_char_boundary(SENTENCE)];
    let mut out = String::new();
    let mut at = 0;
    for range in &sentence.marked {
        let (Some(before), Some(inside)) = (text.get(at..range.start), text.get(range.clone()))
        else {
            continue;
        };
        let _ = write!(
            out,
            "{}<mark>{}</mark>",
            escape::text(before),
            escape::text(inside)
        );
        at = range.end;
    }
    out.push_str(&escape::text(text.get(at..).unwrap_or_default()));
    if text.len() < sentence.text.len() {
        out.push('…');
    }
    out
}

fn triples(all: &[TripleView], prefix: &str) -> String {
    let mut out = String::from(
        "<h5>Triples used</h5>\n<table border=\"1\" class=\"dataframe mlk8s-grid\"><thead><tr>",
    );
    for name in ["Subject", "Relation", "Object", "Evidence"] {
        let _ = write!(
            out,
            "<th class=\"mlk8s-t\" style=\"text-align:left\">{name}</th>"
        );
    }
    out.push_str("</tr></thead><tbody>\n");
    for triple in all {
        let citation = match triple.citation {
            0 => String::new(),
            n => format!("<a href=\"#{prefix}{n}\">[{n}]</a>"),
        };
        out.push_str("<tr>");
        let words = [&triple.subject, &triple.relation, &triple.object]
            .map(|part| escape::text(&escape::cut(part, PART)));
        for cell in words.iter().chain([&citation]) {
            let _ = write!(
                out,
                "<td class=\"mlk8s-t\" style=\"text-align:left\">{cell}</td>"
            );
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, marked: Vec<std::ops::Range<usize>>) -> EvidenceView {
        EvidenceView {
            citation: 2,
            title: "<script>alert(1)</script>".to_owned(),
            source: "a&b.pdf".to_owned(),
            sentences: vec![MarkedText {
                text: text.to_owned(),
                marked,
            }],
        }
    }

    #[test]
    fn marks_are_placed_between_escaped_text() {
        let sentence = MarkedText {
            text: "a<b é> c".to_owned(),
            marked: vec![0..3, 4..6, 5..99],
        };
        assert_eq!(
            marked(&sentence),
            "<mark>a&lt;b</mark> <mark>é</mark>&gt; c"
        );
    }

    #[test]
    fn two_searches_stand_side_by_side() {
        let answer = AnswerView {
            question: "who?".to_owned(),
            linked: vec!["\"x\"".to_owned()],
            guided: vec![piece("lamp", vec![])],
            plain: vec![piece("lens", vec![])],
            triples: vec![TripleView {
                citation: 2,
                ..TripleView::default()
            }],
            remark: String::new(),
        };
        let shown = html(&answer);
        assert!(shown.contains("mlk8s-columns"));
        assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!shown.contains("<script"));
        let target = shown
            .split("href=\"#")
            .nth(1)
            .and_then(|s| s.split('"').next())
            .unwrap();
        assert!(shown.contains(&format!("id=\"{target}\"")));
    }

    #[test]
    fn without_comparison_there_is_one_column() {
        let shown = html(&AnswerView {
            remark: "no entity is known".to_owned(),
            ..AnswerView::default()
        });
        assert!(
            !shown.contains("BM25</h5>")
                && shown.contains("Nothing found")
                && shown.contains("no entity")
        );
    }
}
