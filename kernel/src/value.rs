//! What a variable of Rust cells holds, as text or as a table, for magics that want it in theirs.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::Map;

use crate::kernel::Kernel;
use crate::language::Sink;
use mlk8s_catalog::call::Cancel;

/// The text of the variable `name`: by `Display`, else by `Debug`; `None` when there is no such variable.
pub(crate) fn text(kernel: &Kernel, name: &str, cancel: &Cancel) -> Option<String> {
    if !kernel.language.knows(name) {
        return None;
    }
    ["{}", "{:?}"].into_iter().find_map(|form| {
        let caught = Caught::default();
        let code = format!("print!(\"{form}\", {name});");
        let done = kernel.language.evaluate(&code, &[], cancel, &caught);
        done.ok().map(|_| caught.0.into_inner())
    })
}

/// The table that the variable `name` is, as an Arrow file in `dir`; `None` when there is no such variable.
pub(crate) fn frame(
    kernel: &Kernel,
    name: &str,
    dir: &Path,
    cancel: &Cancel,
) -> Option<Result<PathBuf, String>> {
    if !kernel.language.knows(name) {
        return None;
    }
    if let Err(error) = std::fs::create_dir_all(dir) {
        return Some(Err(format!("cannot use `{}`: {error}", dir.display())));
    }
    let path = dir.join(format!("{name}.arrow"));
    let text = path.display().to_string();
    let code = format!("::mlk8s_prelude::hand_over(&{name}, {text:?})?;");
    let done = kernel
        .language
        .evaluate(&code, &[], cancel, &Caught::default());
    Some(match done {
        Ok(_) => Ok(path),
        Err(failure) if failure.evalue.contains("HandOver") => {
            Err(kernel.language.kind(name).map_or_else(
                || "it is of another type".to_owned(),
                |kind| format!("it is of the type `{kind}`"),
            ))
        }
        Err(failure) => Err(failure.evalue),
    })
}

/// Catches what is printed, and shows nothing.
#[derive(Default)]
struct Caught(RefCell<String>);

impl Sink for Caught {
    fn stdout(&self, text: &str) {
        self.0.borrow_mut().push_str(text);
    }

    fn stderr(&self, _text: &str) {}

    fn display(&self, _update: bool, _id: &str, _data: Map<String, serde_json::Value>) {}

    fn clear(&self, _wait: bool) {}

    fn warn(&self, _n: usize, _text: &str) {}

    fn input(&self, _prompt: &str, _password: bool) -> Option<String> {
        None
    }
}
