//! A link to a file, for output that is too long to be shown.

use std::path::Path;

use serde_json::{Map, Value};

use super::escape;

/// The MIME bundle of a link to the file at `path`. Frontends serve what is below the notebook's directory.
pub(crate) fn bundle(path: &Path) -> Map<String, Value> {
    let here = std::env::current_dir().unwrap_or_default();
    let target = match path.strip_prefix(&here) {
        Ok(below) => below.display().to_string(),
        Err(_) => format!("file://{}", path.display()),
    };
    let name = path.display().to_string();
    let mut bundle = Map::new();
    bundle.insert(
        "text/plain".to_owned(),
        format!("the whole output: {name}").into(),
    );
    let html = format!(
        "<p>The whole output: <a href=\"{}\" target=\"_blank\">{}</a></p>",
        escape::text(&target),
        escape::text(&name)
    );
    bundle.insert("text/html".to_owned(), html.into());
    bundle
}
