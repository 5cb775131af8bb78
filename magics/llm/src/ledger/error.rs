//! What can go wrong with the ledger, in words for people. Places are named without their passwords.

use super::seed::TABLE;
use super::store::Fault;

/// Why the ledger did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The call could pass a budget; nothing was written.
    #[error(
        "the budget `{name}` of ${limit_usd:.2} would be passed: ${spent_usd:.4} are spent or set aside, this call \
         may cost ${wanted_usd:.4}"
    )]
    Budget {
        /// Its name.
        name: String,
        /// The limit in US dollars.
        limit_usd: f64,
        /// What is spent, and set aside for calls that are under way.
        spent_usd: f64,
        /// The worst case of this call.
        wanted_usd: f64,
    },
    /// The target is neither an address of `PostgreSQL` nor a path.
    #[error("`{place}` is no place for a ledger: {why}")]
    Address {
        /// What of it may be shown.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server does not let us in.
    #[error("the ledger at `{place}` cannot be reached: {why}")]
    Unreachable {
        /// Its address.
        place: String,
        /// What happened.
        why: String,
    },
    /// The connection cannot be as safe as its address says that it must be.
    #[error("the ledger at `{place}` cannot be reached safely: {why}")]
    Insecure {
        /// Its address.
        place: String,
        /// What was wrong with the server's certificate, or with the authorities.
        why: String,
    },
    /// The file cannot be made, read or written.
    #[error("the ledger `{place}` cannot be used: {why}")]
    Unusable {
        /// Its path.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// Somebody else does not let go of it.
    #[error("cannot {what} in `{place}`: another program has been writing for 10 s")]
    Busy {
        /// What was tried.
        what: &'static str,
        /// Where.
        place: String,
    },
    /// It was made by a version of this program that is not out yet.
    #[error("the ledger `{place}` has version {version}, this program knows {known}")]
    Newer {
        /// Where it is.
        place: String,
        /// Its version.
        version: i64,
        /// Ours.
        known: i64,
    },
    /// The database did not do something.
    #[error("cannot {what} in `{place}`: {why}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// Where.
        place: String,
        /// What the database says.
        why: String,
    },
    /// The database of an import or export cannot be opened.
    #[error("cannot open `{place}`: {why}")]
    Source {
        /// Where it is.
        place: String,
        /// What happened.
        why: String,
    },
    /// The database of an import has no log of inferences.
    #[error("there is no table `{TABLE}` in `{place}`")]
    NoLog {
        /// Where it is.
        place: String,
    },
}

impl LedgerError {
    /// What to type or do next.
    pub fn hint(&self) -> String {
        let hint = match self {
            LedgerError::Budget { .. } => {
                "`%budget` shows all budgets, `%budget 20usd` sets a new limit"
            }
            LedgerError::Address { .. } => {
                "a path of a file, or `postgres://USER:PASSWORD@HOST:5432/DATABASE`; write `@` `:` `/` `?` `%` in a \
                 password as `%40` `%3A` `%2F` `%3F` `%25`"
            }
            LedgerError::Unreachable { .. } => {
                "is the server up, and are user and password right? `MLK8S_LEDGER=postgres://…` names it; unset it \
                 to use the file"
            }
            LedgerError::Insecure { .. } => {
                "at the end of the address `?sslmode=verify-full&sslrootcert=FILE` names who signs the server's \
                 certificate, `?sslmode=require` takes any certificate, `?sslmode=disable` is without TLS"
            }
            LedgerError::Unusable { .. } => {
                "is the folder ours to write, and is there room? `MLK8S_LEDGER=PATH` names another file"
            }
            LedgerError::Busy { .. } => {
                "run the cell again; if it stays so, look for a program that has the ledger open"
            }
            LedgerError::Newer { .. } => {
                "install the newer version here too, or let `MLK8S_LEDGER` name another ledger"
            }
            LedgerError::Failed { why, .. } if why.contains("permission denied") => {
                "the user of the database lacks a right: its owner grants it, for example with `GRANT CREATE ON \
                 SCHEMA public TO …`"
            }
            LedgerError::Failed { .. } => {
                "is there room on the disk, and is the ledger still there? `MLK8S_LEDGER` names another place"
            }
            LedgerError::Source { .. } => {
                "is the path or address right, and is the server up? It looks like \
                 `postgres://USER:PASSWORD@HOST:5432/DATABASE`"
            }
            LedgerError::NoLog { .. } => {
                "is it the right database? The original system calls it `llama_api`"
            }
        };
        hint.to_owned()
    }
}

/// A fault of the database at `place`, met while doing `what`.
pub(super) fn place_error(place: &str, what: &'static str, fault: Fault) -> LedgerError {
    let place = place.to_owned();
    match fault {
        Fault::Busy => LedgerError::Busy { what, place },
        Fault::Lost(why) => LedgerError::Unreachable { place, why },
        Fault::Insecure(why) => LedgerError::Insecure { place, why },
        Fault::Place(why) => LedgerError::Unusable { place, why },
        Fault::Other(why) => LedgerError::Failed { what, place, why },
    }
}
