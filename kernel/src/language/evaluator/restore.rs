//! Values from files: those of magics, and those that were kept when the process ended.

use mlk8s_catalog::session::{Import, ImportKind};

use super::{Evaluator, Failure, Kept, Notes, Sink, Variable};

impl Evaluator {
    /// Starts a new process after the old one has ended, and gives it what was kept; `failure` then says so.
    pub(super) fn bring_back(&mut self, failure: Failure) -> Failure {
        self.hear_late();
        let kept: Vec<(String, Kept)> = self
            .notes
            .variables
            .iter()
            .filter_map(|(name, variable)| Some((name.clone(), variable.kept.clone()?)))
            .collect();
        let back = match self.process.restart(&kept, &self.shared) {
            Ok(back) => back,
            Err(error) => {
                self.notes.variables.clear();
                return failure.also(&format!(
                    "it could not be started again: {error}; `:restart` tries again"
                ));
            }
        };
        let lost: Vec<String> = self
            .notes
            .variables
            .keys()
            .filter(|name| !back.contains_key(*name))
            .cloned()
            .collect();
        for name in &lost {
            self.notes.variables.remove(name);
            self.gone.insert(
                name.clone(),
                format!("`{name}` was lost when the process ended; run its cell again"),
            );
        }
        let quoted = |names: &[String]| {
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let restored: Vec<String> = back.keys().cloned().collect();
        let failure = failure.also("the process was started again; functions and types are kept");
        let failure = if restored.is_empty() {
            failure
        } else {
            failure.also(&format!(
                "as they were before this cell: {}",
                quoted(&restored)
            ))
        };
        if lost.is_empty() {
            return failure;
        }
        failure.also(&format!("lost: {}", quoted(&lost)))
    }

    /// Makes variables of values of magics, without compiling anything.
    pub(super) fn import(&mut self, imports: &[Import], sink: &dyn Sink) -> Result<(), Failure> {
        if imports.is_empty() {
            return Ok(());
        }
        let values: Vec<(String, Kept)> = imports
            .iter()
            .map(|import| {
                let key = match import.kind {
                    ImportKind::Frame => "DataFrame",
                    ImportKind::Graph => "KnowledgeGraph",
                    ImportKind::Clusters => "Clusters",
                    ImportKind::Text => "text",
                };
                (
                    import.name.clone(),
                    Kept {
                        key: key.to_owned(),
                        path: import.path.clone(),
                    },
                )
            })
            .collect();
        let loaded = match self.process.load(&values, &self.shared) {
            Ok(loaded) => loaded,
            Err(error) => {
                let failure = Failure::crashed(&error.to_string());
                return Err(self.bring_back(failure));
            }
        };
        for (name, kept) in values {
            match loaded.get(&name) {
                Some(Ok(about)) => {
                    let kind = match kept.key.as_str() {
                        "text" => "::std::string::String".to_owned(),
                        key => format!("::mlk8s_prelude::cell::{key}"),
                    };
                    self.gone.remove(&name);
                    let variable = Variable {
                        kind,
                        mutable: false,
                        about: about.clone(),
                        kept: Some(kept),
                    };
                    self.notes.variables.insert(name, variable);
                }
                Some(Err(why)) => {
                    sink.stderr(&format!("`{name}` is not there in Rust cells: {why}\n"));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Takes note of what the process said since the last cell.
    pub(in crate::language) fn hear_late(&mut self) {
        for (name, kept) in self.process.kept_lately() {
            if let Some(variable) = self.notes.variables.get_mut(&name) {
                variable.kept = kept;
            }
        }
    }

    /// Forgets everything but the dependencies.
    pub(in crate::language) fn clear(&mut self) -> Result<(), Failure> {
        self.notes = Notes::default();
        self.gone.clear();
        self.forget.clear();
        self.process
            .restart(&[], &self.shared)
            .map_err(|error| Failure::start(&error.to_string()))?;
        Ok(())
    }
}
