//! What models said: their Markdown without anything that acts or fetches, and what it took.

use std::fmt::Write as _;

use mlk8s_catalog::view::ReplyView;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::{answer, escape, figure};

/// The HTML of `replies`, side by side when there are several.
pub(crate) fn html(replies: &[ReplyView]) -> String {
    let id = figure::identifier(&[&format!("{replies:?}")]);
    let mut out = format!(
        "<section class=\"mlk8s-answer\"><style>{}</style>\n",
        figure::STYLE
    );
    let several = replies.len() > 1;
    if several {
        out.push_str("<div class=\"mlk8s-columns\">");
    }
    for (index, reply) in replies.iter().enumerate() {
        if several {
            out.push_str("<div>");
        }
        one(&mut out, reply, &format!("{id}-{index}-"));
        if several {
            out.push_str("</div>");
        }
    }
    if several {
        out.push_str("</div>");
    }
    out.push_str("</section>");
    out
}

fn one(out: &mut String, reply: &ReplyView, prefix: &str) {
    if !reply.title.is_empty() {
        let _ = writeln!(out, "<h5>{}</h5>", escape::text(&reply.title));
    }
    out.push_str(&harmless(&reply.markdown));
    if !reply.warning.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"mlk8s-remark\"><strong>{}</strong></p>",
            escape::prose(&reply.warning)
        );
    }
    if !reply.hint.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"mlk8s-remark\">{}</p>",
            escape::prose(&reply.hint)
        );
    }
    if !reply.sources.is_empty() {
        out.push_str(&answer::evidence(&reply.sources, prefix));
    }
    if !reply.footer.is_empty() {
        let _ = writeln!(out, "<p><small>{}</small></p>", escape::text(&reply.footer));
    }
}

/// Markdown as HTML. HTML inside is shown as text, and pictures become their words: fetching one would tell a stranger
/// that, and what, somebody reads here. Links must say where they lead.
fn harmless(markdown: &str) -> String {
    let text = markdown.replace(
        |c: char| c.is_control() && c != '\n' && c != '\t',
        "\u{fffd}",
    );
    let mut skipped_links = 0_usize;
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(&text, options).filter_map(move |event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        Event::Start(Tag::Image { .. }) => Some(Event::Text(CowStr::Borrowed("picture: "))),
        Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link { ref dest_url, .. }) if !leads_outside(dest_url) => {
            skipped_links += 1;
            None
        }
        Event::End(TagEnd::Link) if skipped_links > 0 => {
            skipped_links -= 1;
            None
        }
        other => Some(other),
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out.replace(
        "<a href=",
        "<a rel=\"noopener noreferrer\" target=\"_blank\" href=",
    )
}

fn leads_outside(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://") || lower.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_model_writes_acts() {
        let html = harmless(
            "**a** <script>alert(1)</script> ![x](http://evil/p.png) [b](javascript:alert(1)) [c](https://d)",
        );
        assert!(
            html.contains("<strong>a</strong>") && html.contains("&lt;script&gt;"),
            "{html}"
        );
        assert!(
            !html.contains("<img") && !html.contains("javascript"),
            "{html}"
        );
        assert!(
            html.contains("picture: x") && html.contains("href=\"https://d\">c</a>"),
            "{html}"
        );
    }

    #[test]
    fn several_stand_side_by_side() {
        let reply = |title: &str| ReplyView {
            title: title.to_owned(),
            markdown: "yes".to_owned(),
            ..ReplyView::default()
        };
        assert!(html(&[reply("<m>"), reply("n")]).contains("mlk8s-columns"));
        assert!(html(&[reply("<m>")]).contains("<h5>&lt;m&gt;</h5>"));
    }
}
