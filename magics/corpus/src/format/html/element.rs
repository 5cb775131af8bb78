//! What an element of a page means for its text.

/// What an open element makes of the text inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// No text for readers.
    Skipped,
    /// The title of the page.
    Title,
    /// Navigation and the like.
    Boilerplate,
    /// A header: of the page, or of the article.
    Header,
    /// The article.
    Main,
    Heading,
    Link,
    Listing,
    Table,
    Raised,
}

/// How many sorts there are.
pub(super) const N_SORTS: usize = 10;

/// An open element that matters.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) is_block: bool,
    pub(super) is_void: bool,
    pub(super) skipped: bool,
    sort: Option<Sort>,
}

/// Elements that set off their text.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Words in a class or id that name what stands around an article.
const AROUND: &[&str] = &[
    "nav",
    "navbar",
    "navigation",
    "menu",
    "sidebar",
    "breadcrumb",
    "breadcrumbs",
    "cookie",
    "cookies",
    "banner",
    "footer",
    "advert",
    "ads",
    "social",
    "share",
    "sharing",
    "related",
    "comments",
    "newsletter",
    "subscribe",
    "toc",
    "skip-link",
    "popup",
    "promo",
];

impl Element {
    /// `None` for elements that are only style.
    pub(super) fn new(
        name: &str,
        role: Option<&str>,
        class: Option<&str>,
        id: Option<&str>,
    ) -> Option<Self> {
        let named = |text: &str| text.split_whitespace().any(|word| AROUND.contains(&word));
        let around = matches!(
            role,
            Some("navigation" | "banner" | "contentinfo" | "complementary" | "search")
        ) || class.is_some_and(named)
            || id.is_some_and(named);
        let sort = match name {
            "script" | "style" | "noscript" | "template" | "svg" | "math" | "iframe" | "object"
            | "select" | "button" | "textarea" | "canvas" | "audio" | "video" | "head" => {
                Some(Sort::Skipped)
            }
            "title" => Some(Sort::Title),
            "body" | "html" => None,
            "nav" | "footer" | "aside" | "form" | "dialog" => Some(Sort::Boilerplate),
            "main" | "article" => Some(Sort::Main),
            _ if role == Some("main") => Some(Sort::Main),
            _ if around => Some(Sort::Boilerplate),
            "header" => Some(Sort::Header),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Some(Sort::Heading),
            "a" => Some(Sort::Link),
            "pre" | "listing" => Some(Sort::Listing),
            "table" => Some(Sort::Table),
            "sup" => Some(Sort::Raised),
            _ => None,
        };
        let is_block = BLOCKS.contains(&name);
        let is_void = matches!(
            name,
            "hr" | "br"
                | "img"
                | "input"
                | "link"
                | "meta"
                | "source"
                | "wbr"
                | "col"
                | "embed"
                | "area"
                | "base"
                | "track"
        );
        (is_block || sort.is_some()).then(|| Self {
            name: name.to_owned(),
            is_block,
            is_void,
            skipped: false,
            sort,
        })
    }

    pub(super) fn sorts(&self) -> Vec<Sort> {
        let skipped = (self.skipped && self.sort != Some(Sort::Skipped)).then_some(Sort::Skipped);
        self.sort
            .into_iter()
            .filter(|sort| *sort != Sort::Skipped || self.name != "head")
            .chain(skipped)
            .collect()
    }

    /// Whether the start of `next` ends this element, which may be left open.
    pub(super) fn closes_before(&self, next: &str) -> bool {
        match self.name.as_str() {
            "p" => BLOCKS.contains(&next),
            "li" => next == "li",
            "dt" | "dd" => matches!(next, "dt" | "dd"),
            "td" | "th" => matches!(next, "td" | "th" | "tr"),
            "tr" => next == "tr",
            "option" => next == "option",
            _ => false,
        }
    }
}
