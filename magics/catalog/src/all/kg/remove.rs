//! `%kg remove`: takes documents out of a graph.

use std::sync::Arc;

use clap::Args;
use mlk8s_graph::Store;

use super::{meaning, publish, stats};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;
use crate::view::View;

/// Take documents out of a graph; what is left is exactly the graph of the others
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the graph
    #[arg(default_value = "kg")]
    kg: ValueName,
    /// Title of the documents to remove; `*` stands for anything, case does not matter
    #[arg(long, value_name = "PATTERN")]
    title: String,
}

impl Remove {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let (dir, _) = call.session.graph(self.kg.as_str())?;
        let mut store = Store::open(&dir)?;
        let doomed: Vec<(String, String)> = store
            .documents()
            .iter()
            .filter(|document| matches(&self.title, &document.title))
            .map(|document| (document.id.clone(), document.title.clone()))
            .collect();
        if doomed.is_empty() {
            let titles: Vec<_> = store
                .documents()
                .iter()
                .map(|d| format!("`{}`", d.title))
                .take(5)
                .collect();
            let message = format!(
                "no document of `{}` has a title like `{}`",
                self.kg, self.title
            );
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint(format!("titles are {} …", titles.join(", "))));
        }
        let ids: Vec<String> = doomed.iter().map(|(id, _)| id.clone()).collect();
        store.remove(&ids)?;
        let index = Arc::new(store.load()?);
        publish(call.session, &self.kg, dir.clone(), Arc::clone(&index))?;
        let remark = meaning::prune(&self.kg, &dir, &index, call)?;
        let titles: Vec<_> = doomed.iter().map(|(_, title)| title.as_str()).collect();
        let mut table = stats::sizes(&index, &dir);
        table.title = format!("{}: removed {}", self.kg, titles.join("; "));
        table.note = remark.unwrap_or_default();
        Ok(View::Table(table))
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any stretch; case does not matter.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(previous) = last.replace(piece) {
            let Some(at) = rest.find(previous) else {
                return false;
            };
            rest = &rest[at + previous.len()..];
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => rest.ends_with(last),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("graph*", "Graphs of words"));
        assert!(matches("*OF*", "Graphs of words"));
        assert!(matches("graphs of words", "Graphs of words"));
        assert!(matches("g*o*s", "Graphs of words"));
        assert!(!matches("graph", "Graphs of words"));
        assert!(!matches("*x*", "Graphs of words"));
    }
}
