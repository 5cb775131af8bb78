//! The bundle's HTML for pictures: static first, upgraded by a script where scripts run.
//!
//! A figure has to work in four places: JupyterLab that trusts the notebook (scripts run), JupyterLab that does not
//! (script, style and inline SVG are removed, the `data:` image stays), exported HTML without a network, and a
//! static preview.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::escape;

/// What figures and tables look like; every rule is limited to our own classes.
pub(crate) const STYLE: &str = include_str!("figure.css");

/// A picture with what surrounds it.
pub(crate) struct Figure<'a> {
    /// The picture.
    pub(crate) svg: &'a str,
    /// What it shows, for people who cannot see it.
    pub(crate) alt: &'a str,
    /// HTML of the caption.
    pub(crate) caption: String,
    /// Heading and HTML of a part that can be opened.
    pub(crate) details: Option<(&'static str, String)>,
    /// Data for the script.
    pub(crate) live: Option<Live<'a>>,
}

/// What makes a figure react.
pub(crate) struct Live<'a> {
    /// A script that defines a function of the figure's element and the data.
    pub(crate) script: &'a str,
    /// The data.
    pub(crate) data: Value,
    /// Rules for what the script makes.
    pub(crate) style: &'a str,
}

/// The HTML of `figure`; the same content always gives the same HTML.
pub(crate) fn html(figure: &Figure<'_>, width: u32) -> String {
    let data = figure.live.as_ref().map(|live| escape::json(&live.data));
    let id = identifier(&[figure.svg, &figure.caption, data.as_deref().unwrap_or("")]);
    let more = figure.live.as_ref().map_or("", |live| live.style);
    let mut out = format!(
        "<figure class=\"mlk8s-figure\" id=\"{id}\" data-mlk8s=\"{id}\">\n<style>{STYLE}{more}</style>\n"
    );
    let _ = writeln!(
        out,
        "<img class=\"mlk8s-static\" width=\"{width}\" alt=\"{}\" src=\"data:image/svg+xml;base64,{}\">",
        escape::text(figure.alt),
        STANDARD.encode(figure.svg),
    );
    let _ = writeln!(out, "<figcaption>{}</figcaption>", figure.caption);
    if let Some((heading, inside)) = &figure.details {
        let _ = writeln!(
            out,
            "<details><summary>{heading}</summary>{inside}</details>"
        );
    }
    if let (Some(live), Some(data)) = (&figure.live, data) {
        let _ = writeln!(
            out,
            "<script type=\"application/json\" class=\"mlk8s-data\">{data}</script>"
        );
        let _ = write!(
            out,
            "</figure>\n<script>{}</script>",
            squeeze(live.script).replace("FIGURE_ID", &id)
        );
    } else {
        out.push_str("</figure>");
    }
    out
}

/// The script without what only its readers need: indentation and lines of comment.
fn squeeze(script: &str) -> String {
    let lines: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect();
    lines.join("\n")
}

/// An identifier that follows from the content.
pub(crate) fn identifier(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("mlk8s-{}", &hex::encode(hash.finalize())[..12])
}
