//! What commands list: variables, items, crates.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Evaluator, escape, plain, prelude, short};

impl Evaluator {
    pub(super) fn variables(&self) -> Map<String, Value> {
        let rows: Vec<(&String, String, String)> = self
            .notes
            .variables
            .iter()
            .map(|(name, variable)| {
                let about = variable.about["text"].as_str().unwrap_or_default();
                (name, short(&variable.kind), about.to_owned())
            })
            .collect();
        if rows.is_empty() {
            return plain("there are no variables".to_owned());
        }
        let width = rows
            .iter()
            .map(|(name, ..)| name.chars().count())
            .max()
            .unwrap_or(0);
        let kinds = rows
            .iter()
            .map(|(_, kind, _)| kind.chars().count())
            .max()
            .unwrap_or(0);
        let lines: Vec<String> = rows
            .iter()
            .map(|(name, kind, about)| {
                format!("{name:width$}  {kind:kinds$}  {about}")
                    .trim_end()
                    .to_owned()
            })
            .collect();
        let mut html = String::from(
            "<table class=\"dataframe\"><thead><tr><th>Variable</th><th>Type</th><th>Value</th></tr></thead><tbody>",
        );
        for (name, kind, about) in &rows {
            // Writing to a string cannot fail, here and below.
            let _ = write!(
                html,
                "<tr><td>{}</td><td><code>{}</code></td><td style=\"text-align:left\">{}</td></tr>",
                escape(name),
                escape(kind),
                escape(about)
            );
        }
        let mut bundle = plain(lines.join("\n"));
        bundle.insert("text/html".to_owned(), (html + "</tbody></table>").into());
        bundle
    }

    pub(super) fn items(&self) -> String {
        let lines: Vec<&str> = self
            .notes
            .items
            .iter()
            .filter_map(|item| {
                item.text
                    .lines()
                    .find(|line| !line.trim_start().starts_with("#["))
            })
            .collect();
        if lines.is_empty() {
            "nothing is defined".to_owned()
        } else {
            lines.join("\n")
        }
    }

    pub(super) fn crates(&self) -> String {
        let held = format!("in the prelude: {}", prelude::HELD.join(", "));
        let own: Vec<String> = self
            .dependencies
            .iter()
            .map(|(name, what)| format!("{name} = {what}"))
            .collect();
        [own, vec![held]].concat().join("\n")
    }
}
