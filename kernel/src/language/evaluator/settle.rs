//! After a cell has ended: the books, and the verdict.

use super::{Ended, Evaluation, Evaluator, Failure, Ready, Source, Variable, compile, file};

impl Evaluator {
    /// Brings the books up to date with what a cell has left behind.
    pub(super) fn settle(&mut self, source: &Source, ready: &Ready, ended: &Ended) {
        for name in &ready.composed.taken {
            if !ended.all.contains(name) {
                self.notes.variables.remove(name);
                self.gone.insert(
                    name.clone(),
                    format!("`{name}` was moved by an earlier cell; `clone()` it there to keep it"),
                );
            }
        }
        for name in &ready.used_up {
            self.gone.insert(
                name.clone(),
                format!("`{name}` was moved by the cell that made it"),
            );
        }
        for name in ready.hints.unkept.difference(&ready.used_up) {
            self.gone.insert(
                name.clone(),
                format!("`{name}` ended with its cell: it borrowed from something there"),
            );
        }
        for (name, about) in &ended.touched {
            // The kernel keeps no book on what it put there itself.
            let binding = source.bindings.iter().find(|binding| binding.name == *name);
            let kind = ready.compiled.kinds.get(name);
            let (Some(kind), true) = (
                kind,
                binding.is_some() || self.notes.variables.contains_key(name),
            ) else {
                continue;
            };
            if !compile::has_name(kind) {
                self.forget.push(name.clone());
                self.notes.variables.remove(name);
                self.gone.insert(
                    name.clone(),
                    format!("`{name}` ended with its cell: its type has no name"),
                );
                continue;
            }
            let old = self
                .notes
                .variables
                .get(name)
                .map(|variable| variable.mutable);
            let mutable = binding
                .map(|binding| binding.mutable)
                .or(old)
                .unwrap_or_default();
            self.gone.remove(name);
            let variable = Variable {
                kind: kind.clone(),
                mutable,
                about: about.clone(),
                kept: None,
            };
            self.notes.variables.insert(name.clone(), variable);
        }
    }

    pub(super) fn judge(&mut self, ready: &Ready, ended: Ended) -> Result<Evaluation, Failure> {
        match ended.how.as_str() {
            "done" => {
                let bundle = ended.shown.map(|mut bundle| {
                    crate::display::enrich(&mut bundle);
                    bundle
                        .entry("text/plain")
                        .or_insert_with(|| "(shown in a notebook only)".into());
                    bundle
                });
                Ok(Evaluation { bundle })
            }
            "left" => Err(Failure::left(&ended.message)),
            "interrupted" => Err(Failure::interrupted(
                "it stopped at the next turn of a loop: all variables are kept",
            )),
            "refused" => Err(Failure::refused()),
            _ => {
                let place = self.panic_place(ready, &ended.place);
                let lost: Vec<String> = ready
                    .composed
                    .taken
                    .iter()
                    .filter(|name| !ended.all.contains(name))
                    .map(|name| format!("`{name}`"))
                    .collect();
                let failure = Failure::panicked(&ended.message, place);
                Err(if lost.is_empty() {
                    failure.also("all variables of earlier cells are kept")
                } else {
                    failure.also(&format!(
                        "the cell had moved {}; all other variables are kept",
                        lost.join(", ")
                    ))
                })
            }
        }
    }

    /// Line, column and text of the place `cell_7.rs:3:9` in what the user typed.
    fn panic_place(&self, ready: &Ready, place: &str) -> Option<(usize, usize, String)> {
        let mut parts = place.rsplitn(3, ':');
        let (column, line, name) = (parts.next()?, parts.next()?, parts.next()?);
        if !name.ends_with(&file(self.number)) {
            return None;
        }
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let text = &ready.composed.text;
        let before: usize = text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let in_line = text[before..]
            .char_indices()
            .nth(column - 1)
            .map_or(0, |(at, _)| at);
        let origin = ready.composed.origin(before + in_line)?;
        let typed = &origin.text[..origin.at];
        let line = typed.matches('\n').count() + 1;
        let column = typed.rsplit('\n').next()?.chars().count() + 1;
        let text = origin.text.lines().nth(line - 1)?.to_owned();
        Some((line, column, text))
    }
}
