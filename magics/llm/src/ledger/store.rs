//! What the ledger needs of a database, so that all else is written once: statements in the SQL that `SQLite` and
//! `PostgreSQL` have in common, with parameters `$1`, `$2`, …

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A fraction.
    Real(f64),
    /// A text.
    Text(String),
}

impl Value {
    /// As a whole number.
    pub(super) fn int(&self) -> i64 {
        match self {
            Value::Int(n) => *n,
            Value::Real(x) => x.round() as i64,
            Value::Text(text) => text.trim().parse().unwrap_or(0),
            Value::Null => 0,
        }
    }

    /// As a fraction.
    pub(super) fn real(&self) -> f64 {
        match self {
            Value::Int(n) => *n as f64,
            Value::Real(x) => *x,
            Value::Text(text) => text.trim().parse().unwrap_or(0.0),
            Value::Null => 0.0,
        }
    }

    /// As a text.
    pub(super) fn text(self) -> String {
        match self {
            Value::Text(text) => text,
            Value::Int(n) => n.to_string(),
            Value::Real(x) => x.to_string(),
            Value::Null => String::new(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// Why a database did not do something.
#[derive(Debug)]
pub(super) enum Fault {
    /// Others are writing.
    Busy,
    /// The connection is broken.
    Lost(String),
    /// The connection cannot be as safe as it must be.
    Insecure(String),
    /// The file cannot be used at all.
    Place(String),
    /// All else.
    Other(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Busy => out.write_str("another program has been writing for 10 s"),
            Fault::Lost(why) | Fault::Insecure(why) | Fault::Place(why) | Fault::Other(why) => {
                out.write_str(why)
            }
        }
    }
}

/// Where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The file.
    Sqlite,
    /// The server.
    Postgres,
}

/// A connection to a database.
pub(super) trait Store: Send {
    /// Carries out one statement; how many rows it changed.
    fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault>;
    /// Asks for rows.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault>;
    /// Carries out several statements without parameters.
    fn script(&mut self, sql: &str) -> Result<(), Fault>;
    /// Begins a transaction that nobody else who calls this has at the same time.
    fn start_alone(&mut self) -> Result<(), Fault>;
    /// Whether there is such a table.
    fn has_table(&mut self, name: &str) -> Result<bool, Fault>;
    /// Connects anew.
    fn restore(&mut self) -> Result<(), Fault>;
    /// Which SQL it wants where the two differ.
    fn dialect(&self) -> Dialect;
}

/// Does `work` as one transaction, and not at all when it fails.
pub(super) fn atomically<T>(
    store: &mut dyn Store,
    work: impl FnOnce(&mut dyn Store) -> Result<T, Fault>,
) -> Result<T, Fault> {
    store.start_alone()?;
    let done = work(store).and_then(|done| store.script("COMMIT").map(|()| done));
    if done.is_err() {
        // The first fault tells what is wrong; this one would only follow from it.
        let _ = store.script("ROLLBACK");
    }
    done
}
