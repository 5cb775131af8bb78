//! `%corpus`: reads documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use mlk8s_corpus::{CleaningStep, Document, RULES, ReadOptions};
use polars::df;
use polars::prelude::{DataFrame, PolarsResult};

use crate::call::{Call, Watcher};
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::near;
use crate::pattern::{self, Paths};
use crate::session::{Import, ImportKind, Session, Value};
use crate::view::{Column, Table, ToView, View};

/// Read documents: PDF, HTML, Markdown, text and JSON files, or folders
#[derive(Debug, Parser)]
pub(super) struct Corpus {
    /// Files, folders, and patterns such as `*.md` or `notes/**/*.txt`; without any, `MLK8S_ARTICLES` or else the folder `articles` beside the notebook
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name of the documents, for other magics and as a data frame in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "docs")]
    name: ValueName,
    /// A cleaning rule to leave out; the rules are listed with every result
    #[arg(long, value_name = "RULE")]
    skip_rule: Vec<String>,
}

/// The documents that were read and the name they got.
pub(super) struct Read {
    name: ValueName,
    corpus: Arc<mlk8s_corpus::Corpus>,
    /// What patterns among the paths matched.
    matched: Vec<String>,
}

impl Magic for Corpus {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%corpus articles --as docs",
            about: "read every document in a folder",
            shows: "documents",
        },
        Example {
            after: &[],
            cell: "%corpus articles/*.md --as notes",
            about: "read the files that a pattern matches",
            shows: "matched",
        },
        Example {
            after: &[],
            cell: "%corpus articles --as raw --skip-rule ligatures",
            about: "leave one cleaning rule out",
            shows: "documents",
        },
    ];
    type Outcome = Read;

    fn run(self, call: &mut Call) -> Result<Read, MagicError> {
        if let Some(unknown) = self
            .skip_rule
            .iter()
            .find(|name| RULES.iter().all(|rule| rule.name != **name))
        {
            let known: Vec<_> = RULES
                .iter()
                .map(|rule| format!("`{}`", rule.name))
                .collect();
            let message = format!("there is no cleaning rule called `{unknown}`");
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint(format!("the rules are {}", known.join(", "))));
        }
        let Paths { paths, matched } = match self.paths.as_slice() {
            [] => usual(call.session)?,
            given => pattern::paths(given, call.session, &call.cancel)?,
        };
        let options = ReadOptions {
            skip_rules: self.skip_rule.into_iter().collect(),
            ..ReadOptions::default()
        };
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
        };
        let corpus = Arc::new(mlk8s_corpus::read(&paths, &options, &watcher)?);
        if corpus.documents.is_empty() && corpus.unreadable.is_empty() {
            let message = format!("no document found in `{}`", paths[0].display());
            return Err(MagicError::new(ErrorKind::Input, message).with_hint(
                "PDF, HTML, Markdown, text and JSON files are read, in folders of any depth",
            ));
        }
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut frame(&corpus.documents)?)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path,
        };
        let value = Value::Documents(Arc::clone(&corpus));
        call.session.put(self.name.as_str(), value, vec![import]);
        Ok(Read {
            name: self.name,
            corpus,
            matched,
        })
    }
}

/// What is read when nothing is named.
fn usual(session: &Session) -> Result<Paths, MagicError> {
    let folder = session.default_articles();
    if folder.exists() {
        return Ok(Paths {
            paths: vec![folder],
            ..Paths::default()
        });
    }
    let there = near::there("", &near::entries(&session.resolve(Path::new(""))));
    let message = format!(
        "nothing was named, and there is no folder `{}`",
        folder.display()
    );
    Err(
        MagicError::new(ErrorKind::NotFound, message).with_hint(format!(
            "`%corpus notes` reads a folder, `%corpus *.md` the files of a pattern; {there}"
        )),
    )
}

/// One row a document: id, title, source, kind, pages, characters, words, text.
pub(crate) fn frame(documents: &[Document]) -> PolarsResult<DataFrame> {
    df!(
        "id" => documents.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(),
        "title" => documents.iter().map(|d| d.title.as_str()).collect::<Vec<_>>(),
        "source" => documents.iter().map(|d| d.source.display().to_string()).collect::<Vec<_>>(),
        "kind" => documents.iter().map(|d| d.kind.to_string()).collect::<Vec<_>>(),
        "pages" => documents.iter().map(|d| d.n_pages).collect::<Vec<_>>(),
        "characters" => documents.iter().map(|d| d.text.chars().count() as u64).collect::<Vec<_>>(),
        "words" => documents.iter().map(|d| n_words(d) as u64).collect::<Vec<_>>(),
        "text" => documents.iter().map(|d| d.text.as_str()).collect::<Vec<_>>(),
    )
}

fn n_words(document: &Document) -> usize {
    document.text.split_whitespace().count()
}

impl ToView for Read {
    fn to_view(&self) -> View {
        let mut views = vec![View::Table(self.documents()), View::Table(self.rules())];
        if !self.corpus.unreadable.is_empty() {
            views.insert(1, View::Table(self.unreadable()));
        }
        View::Stack(views)
    }
}

impl Read {
    fn documents(&self) -> Table {
        let documents = &self.corpus.documents;
        let rows = documents.iter().map(|document| {
            let removed: usize = document.steps.iter().map(|step| step.removed).sum();
            vec![
                document.title.clone(),
                document.kind.to_string(),
                document.n_pages.map(|n| n.to_string()).unwrap_or_default(),
                n_words(document).to_string(),
                document.text.chars().count().to_string(),
                removed.to_string(),
                file_name(document),
            ]
        });
        let words: usize = documents.iter().map(n_words).sum();
        let unreadable = match self.corpus.unreadable.len() {
            0 => String::new(),
            n => format!(", {n} could not be read"),
        };
        Table {
            title: format!(
                "{}: {} documents, {words} words{unreadable}",
                self.name,
                documents.len()
            ),
            columns: vec![
                Column::text("title"),
                Column::text("kind"),
                Column::number("pages"),
                Column::number("words"),
                Column::number("characters"),
                Column::number("removed"),
                Column::text("file"),
            ],
            rows: rows.collect(),
            note: {
                let frame = format!(
                    "in Rust cells `{}` is a DataFrame with these columns and the text",
                    self.name
                );
                let parts = self.matched.iter().cloned().chain([frame]);
                parts.collect::<Vec<_>>().join("; ")
            },
        }
    }

    fn rules(&self) -> Table {
        let mut without: Vec<&str> = Vec::new();
        let rows = RULES.iter().filter_map(|rule| {
            let steps: Vec<&CleaningStep> = self
                .corpus
                .documents
                .iter()
                .flat_map(|document| &document.steps)
                .filter(|step| step.rule == rule.name)
                .collect();
            let sample = steps.iter().find_map(|step| step.sample.as_ref());
            let count: usize = steps.iter().map(|step| step.count).sum();
            let removed: usize = steps.iter().map(|step| step.removed).sum();
            if count + removed == 0 {
                without.push(rule.name);
                return None;
            }
            Some(vec![
                rule.name.to_owned(),
                rule.about.replace('`', ""),
                count.to_string(),
                removed.to_string(),
                sample
                    .map(|(from, to)| format!("{} → {}", visible(from), visible(to)))
                    .unwrap_or_default(),
            ])
        });
        let rows = rows.collect();
        Table {
            title: "cleaning".to_owned(),
            columns: vec![
                Column::text("rule"),
                Column::text("what it does"),
                Column::number("places"),
                Column::number("characters removed"),
                Column::text("a sample"),
            ],
            rows,
            note: match without.as_slice() {
                [] => "`--skip-rule RULE` leaves one out".to_owned(),
                without => format!(
                    "`--skip-rule RULE` leaves one out; nothing was found by {}",
                    without.join(", ")
                ),
            },
        }
    }

    fn unreadable(&self) -> Table {
        let rows = self
            .corpus
            .unreadable
            .iter()
            .map(|file| vec![file.source.display().to_string(), file.reason.to_string()]);
        Table {
            title: "not read".to_owned(),
            columns: vec![Column::text("file"), Column::text("why")],
            rows: rows.collect(),
            note: String::new(),
        }
    }
}

fn file_name(document: &Document) -> String {
    let name = document
        .source
        .file_name()
        .unwrap_or(document.source.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The sample in one short line, with invisible characters made visible.
fn visible(text: &str) -> String {
    let shown: String = text.escape_debug().take(48).collect();
    if text.is_empty() {
        "∅".to_owned()
    } else {
        format!("“{shown}”")
    }
}
