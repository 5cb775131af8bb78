//! What a variable of Rust cells holds, as text, for magics that want it in theirs.

use std::cell::RefCell;

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
