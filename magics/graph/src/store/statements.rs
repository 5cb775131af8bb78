//! Documents whose triples a model found: they come one by one, as its answers do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use mlk8s_corpus::{Document, Unwatched};

use super::manifest::Run;
use super::{Store, now};
use crate::error::GraphError;
use crate::extract::{Analysed, analyse, digest};
use crate::statement::{Statement, Support, attach};

/// A document with what a model stated about its passages.
#[derive(Debug)]
pub struct Stated<'a> {
    /// The document.
    pub document: &'a Document,
    /// Statements by the sentences that the model was shown.
    pub statements: Vec<(Range<usize>, Vec<Statement>)>,
    /// Every passage has an answer; a document that lacks some is asked about again by the next build.
    pub is_complete: bool,
}

impl Store {
    /// The documents of `corpus` that are not stored as `method` would store them.
    pub fn pending<'a>(&self, corpus: &'a [Document], method: &str) -> Vec<&'a Document> {
        let stored: BTreeMap<&str, &str> = self
            .documents
            .iter()
            .map(|document| (document.id.as_str(), document.digest.as_str()))
            .collect();
        let is_new = |document: &&Document| {
            let wanted = method_digest(method, document);
            stored.get(document.id.as_str()) != Some(&wanted.as_str())
        };
        corpus.iter().filter(is_new).collect()
    }

    /// Notes in the books that a build by `method` begins, of `wanted` documents of which `skipped` are there.
    pub fn begin_run(
        &mut self,
        method: &str,
        wanted: usize,
        skipped: usize,
    ) -> Result<(), GraphError> {
        let _lock = self.begin_writing()?;
        self.manifest.runs.push(Run {
            started: now(),
            latest: now(),
            added: 0,
            skipped,
            wanted,
            method: method.to_owned(),
        });
        self.manifest.write(&self.dir)
    }

    /// Stores documents with the statements that a model made about them, in place of older versions; with `clauses`
    /// beside what the rules for clauses find.
    pub fn add_stated(
        &mut self,
        all: &[Stated<'_>],
        method: &str,
        clauses: bool,
    ) -> Result<Support, GraphError> {
        let _lock = self.begin_writing()?;
        let replaced: BTreeSet<String> = self
            .documents
            .iter()
            .map(|document| document.id.clone())
            .collect();
        let mut support = Support::default();
        let mut batch: Vec<(Analysed, String)> = Vec::new();
        for stated in all {
            // Nobody stops a watch that looks away.
            let Some(mut analysed) = analyse(stated.document, &Unwatched) else {
                continue;
            };
            if !clauses {
                for sentence in &mut analysed.sentences {
                    sentence.triples.clear();
                }
            }
            for (passage, statements) in &stated.statements {
                let more = attach(&mut analysed, passage, statements);
                support.supported += more.supported;
                support.unsupported += more.unsupported;
            }
            let mut digest = method_digest(method, stated.document);
            if !stated.is_complete {
                digest.push_str(", incomplete");
            }
            batch.push((analysed, digest));
        }
        self.commit(batch, &replaced)?;
        self.compact()?;
        Ok(support)
    }
}

fn method_digest(method: &str, document: &Document) -> String {
    format!("{method}: {}", digest(document))
}
