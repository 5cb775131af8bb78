//! A database of `PostgreSQL`, as a store of the ledger.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use ::postgres::error::SqlState;
use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Config, Error, Row, Statement};

use tokio_postgres_rustls::MakeRustlsConnect;

use super::store::{Dialect, Fault, Store, Value};
use super::tls;

/// How long a server may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server that has gone away is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The name of the lock under which budgets are checked and tables made: the letters `mlk8s`.
const LOCK: i64 = 0x006d_6c6b_3873;

/// A kernel that hangs must not keep the others from their budgets.
const MANNERS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; SET TIME ZONE 'UTC'";

/// A connection to a server.
pub(super) struct Postgres {
    config: Config,
    connector: MakeRustlsConnect,
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl Postgres {
    /// Connects to the server at `url`.
    pub(super) fn open(url: &str) -> Result<Postgres, Fault> {
        let (mut config, security) = tls::take_apart(url).map_err(Fault::Lost)?;
        let connector = security.connector().map_err(Fault::Insecure)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(ANSWER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("mlk8s");
        }
        let client = connect(&config, &connector)?;
        let prepared = HashMap::new();
        Ok(Postgres {
            config,
            connector,
            client,
            prepared,
        })
    }

    /// A statement is read and planned once in a connection: that is half of the way there and back.
    fn statement(&mut self, sql: &str) -> Result<Statement, Fault> {
        if let Some(known) = self.prepared.get(sql) {
            return Ok(known.clone());
        }
        let fresh = self.client.prepare(sql);
        let fresh = fresh.map_err(|error| self.fault(&error))?;
        self.prepared.insert(sql.to_owned(), fresh.clone());
        Ok(fresh)
    }

    fn fault(&self, error: &Error) -> Fault {
        let code = error.code();
        if code == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            return Fault::Busy;
        }
        let ended = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        let lost = self.client.is_closed()
            || error.is_closed()
            || code.is_some_and(|code| ended.contains(code));
        if lost {
            Fault::Lost(why(error))
        } else {
            Fault::Other(why(error))
        }
    }
}

fn connect(config: &Config, connector: &MakeRustlsConnect) -> Result<Client, Fault> {
    let lost = |error: Error| match tls::complaint(&error) {
        Some(said) => Fault::Insecure(said),
        None => Fault::Lost(why(&error)),
    };
    let mut client = config.connect(connector.clone()).map_err(lost)?;
    client.batch_execute(MANNERS).map_err(lost)?;
    Ok(client)
}

impl Store for Postgres {
    fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let statement = self.statement(sql)?;
        let parameters = parameters(&statement, values)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one).collect();
        let done = self.client.execute(&statement, &parameters);
        done.map_err(|error| self.fault(&error))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault> {
        let statement = self.statement(sql)?;
        let parameters = parameters(&statement, values)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one).collect();
        let found = self.client.query(&statement, &parameters);
        let found = found.map_err(|error| self.fault(&error))?;
        found.iter().map(columns).collect()
    }

    fn script(&mut self, sql: &str) -> Result<(), Fault> {
        let done = self.client.batch_execute(sql);
        done.map_err(|error| self.fault(&error))
    }

    fn start_alone(&mut self) -> Result<(), Fault> {
        // Each statement sees what was committed before it began, so the sums that follow the lock see the rows of
        // whoever had it before.
        self.script(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK})"
        ))
    }

    fn has_table(&mut self, name: &str) -> Result<bool, Fault> {
        // Not `to_regclass`: it may answer what it knew before we waited for a lock, under which others made the table.
        let sql = "SELECT 1 FROM pg_class WHERE relname = $1 AND pg_table_is_visible(oid)";
        Ok(!self.query(sql, &[Value::from(name)])?.is_empty())
    }

    fn restore(&mut self) -> Result<(), Fault> {
        self.prepared.clear();
        self.client = connect(&self.config, &self.connector)?;
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
}

/// Values as the types that the statement wants.
fn parameters(
    statement: &Statement,
    values: &[Value],
) -> Result<Vec<Box<dyn ToSql + Sync>>, Fault> {
    let kinds = statement.params().iter();
    let pairs = values.iter().zip(kinds);
    pairs.map(|(value, kind)| parameter(value, kind)).collect()
}

fn parameter(value: &Value, kind: &Type) -> Result<Box<dyn ToSql + Sync>, Fault> {
    Ok(match (value, kind) {
        (Value::Null, _) => Box::new(None::<String>),
        (Value::Int(n), &Type::INT4) => {
            Box::new(i32::try_from(*n).map_err(|_| Fault::Other(format!("{n} is too large")))?)
        }
        (Value::Int(n), &Type::FLOAT8) => Box::new(*n as f64),
        (Value::Int(n), _) => Box::new(*n),
        (Value::Real(x), _) => Box::new(*x),
        // No text of PostgreSQL holds a zero byte, and models do send them.
        (Value::Text(text), _) => Box::new(text.replace('\0', "\u{fffd}")),
    })
}

fn columns(row: &Row) -> Result<Vec<Value>, Fault> {
    (0..row.len())
        .map(|k| column(row, k).map_err(|error| Fault::Other(why(&error))))
        .collect()
}

fn column(row: &Row, k: usize) -> Result<Value, Error> {
    let kind = row.columns().get(k).map(|column| column.type_().clone());
    Ok(match kind {
        Some(Type::INT2) => whole(row.try_get::<_, Option<i16>>(k)?),
        Some(Type::INT4) => whole(row.try_get::<_, Option<i32>>(k)?),
        Some(Type::INT8) => whole(row.try_get::<_, Option<i64>>(k)?),
        Some(Type::BOOL) => whole(row.try_get::<_, Option<bool>>(k)?),
        Some(Type::FLOAT8) => row
            .try_get::<_, Option<f64>>(k)?
            .map_or(Value::Null, Value::Real),
        _ => row
            .try_get::<_, Option<String>>(k)?
            .map_or(Value::Null, Value::Text),
    })
}

fn whole(n: Option<impl Into<i64>>) -> Value {
    n.map_or(Value::Null, |n| Value::Int(n.into()))
}

/// What the server says, or what happened on the way to it.
fn why(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        let detail = said.detail().map(|detail| format!(" ({detail})"));
        return format!("{}{}", said.message(), detail.unwrap_or_default());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
