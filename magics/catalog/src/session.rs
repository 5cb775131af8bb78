//! The values and places of one notebook session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlk8s_corpus::Corpus;
use mlk8s_graph::Index;
use mlk8s_models::{ModelsError, Places};
use mlk8s_values::Clusters;

use crate::encoders::Encoders;
use crate::error::{ErrorKind, MagicError};
use crate::models::{Models, Who};
use crate::rows::Rows;
use crate::workers::{Programs, Workers};

/// Values by name, where they are kept, and what Rust cells have yet to learn of them.
pub struct Session {
    /// Where values cross to Rust cells; gone when the session ends.
    runtime_dir: PathBuf,
    /// Where the notebook works: relative paths start here.
    work_dir: PathBuf,
    /// Where graphs are kept between sessions.
    state_dir: PathBuf,
    /// Where `%corpus` looks when it is given no path.
    default_articles: Option<PathBuf>,
    values: BTreeMap<String, Value>,
    imports: Vec<Import>,
    /// Models, and who asks them.
    pub(crate) models: Models,
    /// The last Rust cell that failed, with its error.
    failed: Option<(String, String)>,
    /// What the next cell is to hold.
    next_input: Option<String>,
    /// Models that make vectors.
    pub(crate) encoders: Encoders,
    /// Models that run in processes of their own.
    pub(crate) workers: Workers,
    /// Where models of the hub and of object storage are, and what opens them; or which setting is of no use.
    hub: Result<Places, ModelsError>,
    /// The last search.
    pub(crate) searched: Searched,
    /// The program that runs notebooks by themselves.
    batch: Option<PathBuf>,
    /// Directories with the libraries of CUDA, beside those that the system knows.
    cuda_libraries: Vec<PathBuf>,
}

/// A value that magics know by name.
#[derive(Clone)]
pub enum Value {
    /// Documents that were read.
    Documents(Arc<Corpus>),
    /// A knowledge graph and the directory where it is stored.
    Graph {
        /// The directory of the store.
        dir: PathBuf,
        /// The graph, loaded.
        index: Arc<Index>,
    },
    /// A data frame, known to magics by its file only.
    Frame(PathBuf),
    /// A text.
    Text(Arc<str>),
    /// Rows as points.
    Rows(Arc<Rows>),
    /// Groups of rows.
    Clusters(Arc<Clusters>),
}

/// The last search: what `%search feedback` speaks of.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    /// The index that was used last.
    pub(crate) index: Option<String>,
    /// What was looked for.
    pub(crate) query: String,
    /// What was found, best first.
    pub(crate) hits: Vec<String>,
    /// The index that was searched last, opened: the next question does not open it anew.
    pub(crate) opened: Option<mlk8s_search::Index>,
}

/// A variable that Rust cells are to get before the next one runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Name of the variable.
    pub name: String,
    /// What sort of value it is.
    pub kind: ImportKind,
    /// The Arrow file, or the directory of a graph.
    pub path: PathBuf,
}

/// Sorts of value that cross to Rust cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// A polars `DataFrame`.
    Frame,
    /// A petgraph `KnowledgeGraph`.
    Graph,
    /// `Clusters`, from a directory.
    Clusters,
    /// A `String`, from a file that holds just the text.
    Text,
}

impl Session {
    /// A session without values.
    pub fn new(runtime_dir: PathBuf, work_dir: PathBuf, state_dir: PathBuf) -> Session {
        let models = Models::new(Who::at(&state_dir), state_dir.clone());
        let workers = Workers::new(&state_dir);
        let home = state_dir.join("hub").display().to_string();
        let hub = Places::from_variables(|name| (name == "HF_HOME").then(|| home.clone()));
        Session {
            runtime_dir,
            work_dir,
            state_dir,
            default_articles: None,
            values: BTreeMap::new(),
            imports: Vec::new(),
            models,
            failed: None,
            next_input: None,
            encoders: Encoders::default(),
            workers,
            hub,
            searched: Searched::default(),
            batch: None,
            cuda_libraries: Vec::new(),
        }
    }

    /// Adds a directory in which models are looked for by name.
    pub fn look_for_models_in(&mut self, place: PathBuf) {
        self.encoders.look_in(place);
    }

    /// Says where the programs are that run models.
    pub fn set_workers(&mut self, programs: Programs) {
        self.workers.set_programs(programs);
    }

    /// Says which notebook this is, where Jupyter does.
    pub fn set_notebook(&mut self, notebook: Option<String>) {
        self.workers.set_notebook(notebook);
    }

    /// Says by `variable`, such as `HF_HOME`, where models of the hub are and what opens them.
    pub fn set_hub(&mut self, variable: impl Fn(&str) -> Option<String>) {
        self.hub = Places::from_variables(variable);
    }

    /// Where models of the hub and of object storage are, and what opens them.
    pub(crate) fn hub(&self) -> Result<&Places, MagicError> {
        self.hub.as_ref().map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            MagicError::new(ErrorKind::Input, error.to_string()).with_hint(hint)
        })
    }

    /// Says where the program is that runs notebooks by themselves.
    pub fn set_batch(&mut self, program: Option<PathBuf>) {
        self.batch = program;
    }

    /// The program that runs notebooks by themselves, if there is one.
    pub(crate) fn batch(&self) -> Option<&Path> {
        self.batch.as_deref()
    }

    /// Says where the libraries of CUDA are, beside where the system looks.
    pub fn set_cuda_libraries(&mut self, places: Vec<PathBuf>) {
        self.cuda_libraries = places;
    }

    /// Where the libraries of CUDA are, beside where the system looks.
    pub(crate) fn cuda_libraries(&self) -> &[PathBuf] {
        &self.cuda_libraries
    }

    /// Adds a Python that may have the usual model as a package.
    pub fn look_for_models_of(&mut self, python: PathBuf) {
        self.encoders.look_at(python);
    }

    /// Says who asks models, and where that is written down.
    pub fn set_who(&mut self, who: Who) {
        self.models = Models::new(who, self.state_dir.clone());
    }

    /// Says that the Rust cell `code` failed with `error`.
    pub fn set_failed(&mut self, code: &str, error: String) {
        self.failed = Some((code.to_owned(), error));
    }

    /// The last Rust cell that failed, with its error.
    pub(crate) fn failed(&self) -> Option<&(String, String)> {
        self.failed.as_ref()
    }

    pub(crate) fn set_next_input(&mut self, code: String) {
        self.next_input = Some(code);
    }

    /// What a magic wants the next cell to hold; it is handed over once.
    pub fn take_next_input(&mut self) -> Option<String> {
        self.next_input.take()
    }

    /// Says which cell runs, by its execution count.
    pub fn set_cell(&mut self, cell: i64) {
        self.models.cell = cell;
    }

    /// Makes `path` the place where `%corpus` looks when it is given none.
    pub fn set_default_articles(&mut self, path: PathBuf) {
        self.default_articles = Some(path);
    }

    /// Where `%corpus` looks when it is given no path: what was set, or the folder `articles`.
    pub(crate) fn default_articles(&self) -> PathBuf {
        let articles = self.default_articles.as_deref();
        self.resolve(articles.unwrap_or_else(|| Path::new("articles")))
    }

    /// `path` as seen from where the notebook works; `~/` is the home directory.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        let home = std::env::home_dir();
        match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.work_dir.join(path),
        }
    }

    /// Where the graph called `name` is kept.
    pub fn graph_dir(&self, name: &str) -> PathBuf {
        self.state_dir.join("graphs").join(name)
    }

    /// Where variables of Rust cells are written that a magic wants to read.
    pub fn handed(&self) -> PathBuf {
        self.runtime_dir.join("handed")
    }

    /// Where indexes are kept.
    pub(crate) fn indexes_dir(&self) -> PathBuf {
        self.state_dir.join("search")
    }

    /// Names of the indexes that are there; what waits to come into one has a name that is hidden.
    pub(crate) fn indexes(&self) -> Vec<String> {
        let dir = self.indexes_dir();
        let mut names = crate::near::entries(&dir);
        names.retain(|name| mlk8s_search::Index::is_index(&dir.join(name)));
        names
    }

    /// The value called `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// A fresh path for the value called `name`, of sort `kind`, to cross to Rust cells.
    pub(crate) fn crossing(&self, name: &str, kind: ImportKind) -> PathBuf {
        let file = match kind {
            ImportKind::Frame => format!("{name}.arrow"),
            ImportKind::Graph => format!("{name}.graph"),
            ImportKind::Clusters => format!("{name}.clusters"),
            ImportKind::Text => format!("{name}.txt"),
        };
        self.runtime_dir.join(file)
    }

    /// Gives `value` a name; the imports are what Rust cells get of it.
    pub fn put(&mut self, name: &str, value: Value, imports: Vec<Import>) {
        self.values.insert(name.to_owned(), value);
        for import in imports {
            self.imports.retain(|old| old.name != import.name);
            self.imports.push(import);
        }
    }

    /// The imports that Rust cells have not seen yet; they are handed over once.
    pub fn take_imports(&mut self) -> Vec<Import> {
        std::mem::take(&mut self.imports)
    }

    /// Every value again, for Rust cells that were restarted.
    pub fn reimport(&mut self, imports: Vec<Import>) {
        for import in imports {
            if !self.imports.iter().any(|i| i.name == import.name) {
                self.imports.push(import);
            }
        }
    }

    /// All values by name.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// Names and sorts of all values.
    pub fn names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.sort()))
    }

    /// The documents called `name`.
    pub fn documents(&self, name: &str) -> Result<Arc<Corpus>, MagicError> {
        match self.values.get(name) {
            Some(Value::Documents(corpus)) => Ok(Arc::clone(corpus)),
            Some(other) => Err(self.wrong_sort(name, "documents", other)),
            None => Err(self.unknown(name, "documents", "%corpus DIR --as NAME")),
        }
    }

    /// The graph called `name`, and where it is stored.
    pub fn graph(&self, name: &str) -> Result<(PathBuf, Arc<Index>), MagicError> {
        match self.values.get(name) {
            Some(Value::Graph { dir, index }) => Ok((dir.clone(), Arc::clone(index))),
            Some(other) => Err(self.wrong_sort(name, "a graph", other)),
            None => Err(self.unknown(name, "a graph", "%kg build DOCS --as NAME")),
        }
    }

    /// Gives the text `text` a name, here and in Rust cells.
    pub(crate) fn put_text(&mut self, name: &str, text: &str) -> Result<(), MagicError> {
        let path = self.crossing(name, ImportKind::Text);
        std::fs::write(&path, text).map_err(|error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            MagicError::new(ErrorKind::Internal, message)
        })?;
        let import = Import {
            name: name.to_owned(),
            kind: ImportKind::Text,
            path,
        };
        self.put(name, Value::Text(text.into()), vec![import]);
        Ok(())
    }

    /// The text called `name`, if there is one.
    pub(crate) fn text(&self, name: &str) -> Option<Arc<str>> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Some(Arc::clone(text)),
            _ => None,
        }
    }

    /// Whether something has that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn wrong_sort(&self, name: &str, wanted: &str, got: &Value) -> MagicError {
        let message = format!("`{name}` holds {}, not {wanted}", got.sort());
        MagicError::new(ErrorKind::Input, message).with_hint(self.known().trim_end_matches("; "))
    }

    pub(crate) fn unknown(&self, name: &str, wanted: &str, maker: &str) -> MagicError {
        let verb = if wanted.starts_with("a ") {
            "is"
        } else {
            "are"
        };
        let message = format!("nothing is called `{name}`, and {wanted} {verb} needed here");
        let hint = format!("{}`{maker}` makes one", self.known());
        MagicError::new(ErrorKind::NotFound, message).with_hint(hint)
    }

    fn known(&self) -> String {
        if self.values.is_empty() {
            return String::new();
        }
        let all: Vec<_> = self
            .names()
            .map(|(name, sort)| format!("`{name}` ({sort})"))
            .collect();
        format!("there is {}; ", all.join(", "))
    }
}

impl Value {
    /// What it is, in words.
    pub fn sort(&self) -> &'static str {
        match self {
            Value::Documents(_) => "documents",
            Value::Graph { .. } => "a graph",
            Value::Frame(_) => "a data frame",
            Value::Text(_) => "a text",
            Value::Rows(_) => "vectors",
            Value::Clusters(_) => "groups of rows",
        }
    }
}
