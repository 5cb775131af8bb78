//! A cell and what earlier cells left behind → the text of a crate, with the way back from each place in it.
//!
//! ```text
//! use …prelude…;   items of earlier cells;   items of this cell
//! pub extern "C-unwind" fn mlk8s_cell_7() {
//!     let mut x: Vec<i32> = take("x");           variables that the cell uses
//!     let done = guard(|| {                      borrows them, so that a panic leaves them whole
//!         …the statements, as they were typed…
//!         result(bundle_of!((x.len())));         its last expression
//!         put("y", y);                           what it binds; rustc tells the type of each
//!         Ok(())
//!     });
//!     put("x", x);
//! }
//! ```

mod back;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::notes::Notes;
use super::source::Source;
use back::{Back, way_back};

/// Where the runtime of cells is.
const RUNTIME: &str = "::mlk8s_prelude::cells";
/// Warnings that say nothing in a notebook.
const QUIET: &str = "#![allow(dead_code, unused_imports, unused_macros, unused_parens, unreachable_code, \
    unused_must_use, unused_mut, unused_assignments, non_snake_case, clippy::all)]\n";
/// What is known about a cell from compiling it before.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Variables of earlier cells that the cell uses up.
    pub(super) moved: BTreeSet<String>,
    /// Names that cannot outlive the cell, because they borrow from it.
    pub(super) unkept: BTreeSet<String>,
}

/// The text of a crate.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) text: String,
    pieces: Vec<Piece>,
    sources: Vec<Arc<str>>,
    /// The lines that keep a variable: place in the text, name, whether it is one of an earlier cell.
    puts: Vec<(Range<usize>, String, bool)>,
    /// The lines that take a variable.
    takes: Vec<(Range<usize>, String)>,
    /// Variables that the cell takes from the session.
    pub(super) taken: Vec<String>,
}

/// A part of the text that comes from elsewhere.
#[derive(Debug)]
struct Piece {
    start: usize,
    length: usize,
    /// Index of the source: 0 is the cell.
    source: usize,
    /// Where the part begins there.
    from: usize,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The cell itself, or an item of an earlier one.
    pub(super) text: Arc<str>,
    pub(super) is_cell: bool,
    pub(super) at: usize,
}

/// The function that is called to run cell `number`.
pub(super) fn symbol(number: usize) -> String {
    format!("mlk8s_cell_{number}")
}

/// Makes a crate of `source`.
pub(super) fn compose(
    number: usize,
    source: &Source,
    notes: &Notes,
    hints: &Hints,
    has_tokio: bool,
) -> Composed {
    let mut out = Composed {
        sources: vec![source.text.as_str().into()],
        ..Composed::default()
    };
    out.text.push_str(QUIET);
    for attribute in &source.attributes {
        out.copy(0, &source.text, attribute.clone(), &[]);
        out.text.push('\n');
    }
    out.text.push_str("use ::mlk8s_prelude::cell::*;\n");
    for old in notes.items_beside(source) {
        let index = out.sources.len();
        out.sources.push(Arc::clone(&old.text));
        out.copy(index, &old.text, 0..old.text.len(), &old.loops);
        out.text.push('\n');
    }
    for item in &source.items {
        out.copy(0, &source.text, item.place.clone(), &source.loops);
        out.text.push('\n');
    }
    out.function(number, source, notes, hints, has_tokio);
    out
}

impl Composed {
    fn function(
        &mut self,
        number: usize,
        source: &Source,
        notes: &Notes,
        hints: &Hints,
        has_tokio: bool,
    ) {
        let name = symbol(number);
        self.line(&format!(
            "#[unsafe(no_mangle)] pub extern \"C-unwind\" fn {name}() {{"
        ));
        let mut back = Vec::new();
        for (name, variable) in notes.used_by(source) {
            self.taken.push(name.to_owned());
            let start = self.text.len();
            self.line(&format!(
                "#[allow(unused_mut)] let {}{name}: {} = {RUNTIME}::take({name:?});",
                if variable.mutable { "mut " } else { "" },
                variable.kind
            ));
            self.takes.push((start..self.text.len(), name.to_owned()));
            let bound = source.bindings.iter().any(|binding| binding.name == name);
            let way = way_back(name, &variable.kind, bound, source, hints);
            if matches!(way, Back::Copy | Back::CopyOnFailure) {
                self.line(&format!(
                    "let mlk8s_copy_of_{name} = ::core::clone::Clone::clone(&{name});"
                ));
            }
            back.push((name, way));
        }
        if has_tokio {
            self.line(&format!(
                "let mlk8s_tokio = {RUNTIME}::lasting(|| ::tokio::runtime::Runtime::new()\
                 .expect(\"tokio starts\")); let _mlk8s_in_tokio = mlk8s_tokio.enter();"
            ));
        }
        let (before, after) = match (source.awaits, has_tokio) {
            (false, _) => (String::new(), String::new()),
            (true, true) => ("mlk8s_tokio.block_on(async {".to_owned(), "})".to_owned()),
            (true, false) => (format!("{RUNTIME}::block_on(async {{"), "})".to_owned()),
        };
        self.line(&format!(
            "let mlk8s_done = {RUNTIME}::guard(|| -> ::core::result::Result<(), {RUNTIME}::Left> {{ {before}"
        ));
        self.statements(source);
        for binding in source
            .bindings
            .iter()
            .filter(|binding| !hints.unkept.contains(&binding.name))
        {
            self.put(&binding.name, &binding.name, false);
        }
        self.line(&format!(
            "::core::result::Result::<(), {RUNTIME}::Left>::Ok(()) {after} }});"
        ));
        self.put_back(&back);
        self.line("let _ = mlk8s_done; }");
    }

    fn put_back(&mut self, back: &[(&str, Back)]) {
        for (name, way) in back {
            match way {
                Back::Value => self.put(name, name, true),
                Back::Copy => self.put(name, &format!("mlk8s_copy_of_{name}"), true),
                // The cell binds the name anew: the old value is only there again when the cell failed.
                Back::ValueOnFailure => {
                    self.text.push_str("if !mlk8s_done { ");
                    self.put(name, name, true);
                    self.line("}");
                }
                Back::CopyOnFailure => {
                    self.text.push_str("if !mlk8s_done { ");
                    self.put(name, &format!("mlk8s_copy_of_{name}"), true);
                    self.line("}");
                }
                Back::Gone => {}
            }
        }
    }

    fn put(&mut self, name: &str, value: &str, is_old: bool) {
        let start = self.text.len();
        self.line(&format!("{RUNTIME}::put({name:?}, {value});"));
        self.puts
            .push((start..self.text.len(), name.to_owned(), is_old));
    }

    /// The statements between the items, and the last expression.
    fn statements(&mut self, source: &Source) {
        let mut holes: Vec<Range<usize>> =
            source.items.iter().map(|item| item.place.clone()).collect();
        holes.extend(source.attributes.iter().cloned());
        holes.sort_by_key(|hole| hole.start);
        let end = source
            .value
            .as_ref()
            .map_or(source.text.len(), |value| value.start);
        let mut at = 0;
        for hole in holes.into_iter().filter(|hole| hole.start < end) {
            self.copy(0, &source.text, at..hole.start, &source.loops);
            at = hole.end;
        }
        self.copy(0, &source.text, at..end, &source.loops);
        self.text.push('\n');
        if let Some(value) = &source.value {
            self.text
                .extend([RUNTIME, "::result(::mlk8s_prelude::bundle_of!(("]);
            self.copy(0, &source.text, value.clone(), &source.loops);
            self.text.push_str(")));");
            let after = value.end..source.text.len();
            self.copy(0, &source.text, after, &[]);
            self.text.push('\n');
        }
    }

    /// Copies `range` of the source and puts a look at the interrupt into each loop.
    fn copy(&mut self, source: usize, text: &str, range: Range<usize>, loops: &[usize]) {
        let mut at = range.start;
        for &open in loops
            .iter()
            .filter(|&&open| range.start < open && open <= range.end)
        {
            self.copy_plain(source, text, at..open);
            self.text.extend([RUNTIME, "::poll();"]);
            at = open;
        }
        self.copy_plain(source, text, at..range.end);
    }

    fn copy_plain(&mut self, source: usize, text: &str, range: Range<usize>) {
        self.pieces.push(Piece {
            start: self.text.len(),
            length: range.len(),
            source,
            from: range.start,
        });
        self.text.push_str(&text[range]);
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Where byte `at` of the text comes from, if somebody typed it.
    pub(super) fn origin(&self, at: usize) -> Option<Origin> {
        let piece = self.pieces.iter().rfind(|piece| {
            piece.start <= at && at <= piece.start + piece.length && piece.length > 0
        })?;
        Some(Origin {
            text: Arc::clone(&self.sources[piece.source]),
            is_cell: piece.source == 0,
            at: piece.from + at - piece.start,
        })
    }

    /// The variable that is kept at byte `at`, and whether it is one of an earlier cell.
    pub(super) fn kept_at(&self, at: usize) -> Option<(&str, bool)> {
        self.puts
            .iter()
            .find(|(place, ..)| place.contains(&at))
            .map(|(_, name, is_old)| (name.as_str(), *is_old))
    }

    /// The variable that is taken at byte `at`.
    pub(super) fn taken_at(&self, at: usize) -> Option<&str> {
        let found = self.takes.iter().find(|(place, _)| place.contains(&at));
        found.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::notes::Variable;

    fn composed(text: &str) -> Composed {
        let mut notes = Notes::default();
        for (name, kind) in [
            ("x", "std::vec::Vec<i32>"),
            ("df", "mlk8s_prelude::cell::DataFrame"),
        ] {
            let variable = Variable {
                kind: kind.to_owned(),
                mutable: true,
                ..Variable::default()
            };
            notes.variables.insert(name.to_owned(), variable);
        }
        notes.take_items(&Source::parse("fn g() { loop {} }"));
        compose(7, &Source::parse(text), &notes, &Hints::default(), false)
    }

    #[test]
    fn a_cell_becomes_a_function() {
        let text = "use std::fs;\nlet y = x.len();\nfor i in 0..y { g() }\ny + 1";
        let out = composed(text);
        for part in [
            "fn g() { loop {::mlk8s_prelude::cells::poll();} }",
            "\nuse std::fs;\n",
            "let mut x: std::vec::Vec<i32> = ::mlk8s_prelude::cells::take(\"x\");",
            "for i in 0..y {::mlk8s_prelude::cells::poll(); g() }",
            "result(::mlk8s_prelude::bundle_of!((y + 1)));",
            "put(\"y\", y);",
            "put(\"x\", x);",
        ] {
            assert!(out.text.contains(part), "{part}\n{}", out.text);
        }
        assert_eq!(out.taken, ["x"]);
        assert!(!out.text.contains("df"));
    }

    #[test]
    fn every_place_leads_back() {
        let text = "let y = x.len();\nfor i in 0..y { g(i) }";
        let out = composed(text);
        let at = out.text.find("g(i)").unwrap();
        let origin = out.origin(at).unwrap();
        assert_eq!(
            (origin.is_cell, origin.at),
            (true, text.find("g(i)").unwrap())
        );
        let put = out.text.find("put(\"y\"").unwrap();
        assert_eq!(out.origin(put), None);
        assert_eq!(out.kept_at(put), Some(("y", false)));
        let earlier = out.origin(out.text.find("fn g()").unwrap() + 1).unwrap();
        assert_eq!((earlier.is_cell, earlier.at), (false, 1));
    }

    #[test]
    fn a_frame_that_is_bound_anew_is_there_again_when_the_cell_fails() {
        let out = composed("let df = df!(\"a\" => [1])?;");
        let copy = "let mlk8s_copy_of_df = ";
        let back = "if !mlk8s_done { ::mlk8s_prelude::cells::put(\"df\", mlk8s_copy_of_df)";
        assert!(
            out.text.contains(copy) && out.text.contains(back),
            "{}",
            out.text
        );
    }

    #[test]
    fn a_frame_survives_lazy() {
        let out = composed("df.lazy().collect()?");
        assert!(
            out.text.contains("put(\"df\", mlk8s_copy_of_df)"),
            "{}",
            out.text
        );
    }
}
