//! Markdown of our own as HTML, for places where it stands beside other views.

use pulldown_cmark::{Event, Options, Parser};

/// The HTML of `markdown`; HTML inside it is shown as text.
pub(crate) fn html(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn markup_inside_is_text() {
        assert_eq!(
            html("# a\n\n`b` <script>x</script>"),
            "<h1>a</h1>\n<p><code>b</code> &lt;script&gt;x&lt;/script&gt;</p>\n"
        );
    }
}
