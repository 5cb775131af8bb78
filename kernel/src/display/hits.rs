//! What a search found: cards with the sentence that matches, its words marked, and small pictures.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlk8s_catalog::view::{HitView, HitsView};

use super::answer::marked;
use super::{escape, figure};

/// The HTML of `hits`.
pub(crate) fn html(hits: &HitsView) -> String {
    let mut out = format!(
        "<section class=\"mlk8s-answer\"><style>{}</style>\n<h4>{}</h4>\n",
        figure::STYLE,
        escape::text(&hits.question)
    );
    if hits.hits.is_empty() {
        out.push_str("<p><em>Nothing found.</em></p>");
    } else {
        out.push_str("<ol class=\"mlk8s-evidence\">\n");
        hits.hits.iter().for_each(|hit| card(&mut out, hit));
        out.push_str("</ol>\n");
    }
    let note = escape::prose(&hits.note);
    let _ = write!(
        out,
        "<p class=\"mlk8s-remark\"><small>{note}</small></p></section>"
    );
    out
}

fn card(out: &mut String, hit: &HitView) {
    let _ = write!(
        out,
        "<li value=\"{}\"><p><strong>{}</strong>",
        hit.rank,
        escape::text(&hit.title)
    );
    for words in [&hit.source, &hit.found] {
        if !words.is_empty() {
            let _ = write!(out, " <small>{}</small>", escape::text(words));
        }
    }
    out.push_str("</p>\n");
    if let Some(picture) = &hit.picture {
        let _ = writeln!(
            out,
            "<img alt=\"{}\" style=\"max-width:160px;max-height:160px\" src=\"data:image/png;base64,{}\">",
            escape::text(&hit.title),
            STANDARD.encode(picture)
        );
    } else {
        let _ = writeln!(out, "<blockquote>{}</blockquote>", marked(&hit.text));
    }
    out.push_str("</li>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::MarkedText;

    #[test]
    fn what_a_document_says_does_not_act() {
        let hit = HitView {
            rank: 3,
            title: "<img src=x onerror=alert(1)>".to_owned(),
            text: MarkedText {
                text: "radium <b>glows</b>".to_owned(),
                marked: std::iter::once(0..6).collect(),
            },
            ..HitView::default()
        };
        let picture = HitView {
            picture: Some(vec![1, 2, 3]),
            ..hit.clone()
        };
        let shown = html(&HitsView {
            question: "<script>".to_owned(),
            hits: vec![hit, picture],
            note: String::new(),
        });
        assert!(!shown.contains("<script") && !shown.contains("<img src=x"));
        assert!(shown.contains("<mark>radium</mark> &lt;b&gt;glows"));
        assert!(shown.contains("data:image/png;base64,AQID") && shown.contains("value=\"3\""));
        assert!(html(&HitsView::default()).contains("Nothing found"));
    }
}
