//! What can go wrong between us and a model, in words for people.

use crate::ledger::LedgerError;
use crate::room::Room;

/// Why a call of a model has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LlmError {
    /// There is no endpoint, or none of that name.
    #[error("{0}")]
    NoEndpoint(String),
    /// The key could not be read.
    #[error("the key of `{endpoint}` cannot be read from {place}: {why}")]
    NoKey {
        /// Name of the endpoint.
        endpoint: String,
        /// Where it should be.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// The server refused the call, also when it was asked again.
    #[error("`{endpoint}` answered {status}: {message}")]
    Refused {
        /// Name of the endpoint.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The process that served the model has ended, and the request with it.
    #[error("the process of the model `{endpoint}` has ended, and the request with it")]
    Ended {
        /// Name of the endpoint.
        endpoint: String,
    },
    /// The server was not reached, or the connection broke.
    #[error("`{endpoint}` at {url} cannot be reached: {why}")]
    Unreachable {
        /// Name of the endpoint.
        endpoint: String,
        /// Its address.
        url: String,
        /// What happened.
        why: String,
    },
    /// The answer came to no end in time.
    #[error("`{endpoint}` did not answer within {seconds} s")]
    Timeout {
        /// Name of the endpoint.
        endpoint: String,
        /// The limit.
        seconds: u64,
    },
    /// What came is not what the protocol says.
    #[error("`{endpoint}` sent something that is no answer: {why}")]
    Garbled {
        /// Name of the endpoint.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The call could have passed a budget and was not sent.
    #[error(
        "the budget `{name}` of ${limit:.2} would be passed: ${spent:.4} are spent or set aside, this call may cost \
         ${wanted:.4}"
    )]
    Budget {
        /// Its name.
        name: String,
        /// The limit in US dollars.
        limit: f64,
        /// What is spent, and set aside for calls that are under way.
        spent: f64,
        /// The worst case of this call.
        wanted: f64,
    },
    /// There is a budget, and nobody knows what the call may cost.
    #[error("there is a budget, and `{model}` has no price, so the call was not sent")]
    NoPrice {
        /// The model.
        model: String,
        /// A model of a similar name that has one.
        near: Option<String>,
        /// Where the user's own price lists are.
        dir: String,
    },
    /// A picture could not be read, so nothing was sent of it.
    #[error("cannot read the picture `{path}`: {why}")]
    Picture {
        /// Its file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The user stopped it.
    #[error("the call was stopped")]
    Cancelled,
    /// The ledger cannot be written, so nothing was sent.
    #[error("{message}")]
    Ledger {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A file of settings cannot be used.
    #[error("cannot use `{path}`: {why}")]
    Settings {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl LlmError {
    /// What the server has told of its room, when that is why it refused.
    pub fn room(&self) -> Option<Room> {
        match self {
            LlmError::Refused { message, .. } => Room::read(message),
            _ => None,
        }
    }

    /// What to type or do next; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        if let Some(room) = self.room() {
            return room.way_out("a shorter question fits");
        }
        match self {
            LlmError::NoEndpoint(_) => {
                "`%endpoint add NAME URL` makes one known, `%model load NAME` loads a model here, `%endpoint list` shows all".to_owned()
            }
            LlmError::NoKey { endpoint, .. } => format!(
                "`%endpoint add {endpoint} URL --key-env NAME` or `--key-file PATH` says where the key is; a key is \
                 never kept in a notebook"
            ),
            LlmError::Refused {
                status: 401 | 403,
                endpoint,
                ..
            } => {
                format!("is the key right? `%endpoint check {endpoint}` tries it")
            }
            LlmError::Refused {
                status: 404,
                endpoint,
                ..
            } => format!(
                "is the model's name right, and does the address end in `/v1`? `%endpoint check {endpoint}` lists \
                 what the server has"
            ),
            // vLLM and we say it so.
            LlmError::Refused { message, .. } if message.contains("chat template") => {
                "`%%ask --plain` has the model go on from the text as it is".to_owned()
            }
            LlmError::Refused { status: 429, .. } => {
                "the server has enough of us for now: wait, or use another endpoint".to_owned()
            }
            LlmError::Ended { endpoint } => format!(
                "`%model load … --as {endpoint}` loads it again; `workers/{endpoint}.log`, where graphs are kept, has its last words"
            ),
            LlmError::Unreachable { endpoint, .. } => format!(
                "does the server run, and is the address right? `%endpoint check {endpoint}` tries it again"
            ),
            LlmError::Picture { .. } => "PNG, JPEG and WebP are read".to_owned(),
            LlmError::Timeout { .. } => "`--timeout SECONDS` gives it longer".to_owned(),
            LlmError::Budget { .. } => {
                "`%budget` shows all budgets, `%budget 20usd` sets a new limit".to_owned()
            }
            LlmError::NoPrice { near, dir, .. } => {
                let near = near.as_ref().map(|near| format!("did you mean `{near}`? "));
                format!(
                    "{}a price list in `{dir}` makes a price known; a server of your own is added with `--local`",
                    near.unwrap_or_default()
                )
            }
            LlmError::Ledger { hint, .. } => hint.clone(),
            _ => String::new(),
        }
    }
}

impl From<LedgerError> for LlmError {
    fn from(error: LedgerError) -> LlmError {
        match error {
            LedgerError::Budget {
                name,
                limit_usd,
                spent_usd,
                wanted_usd,
            } => LlmError::Budget {
                name,
                limit: limit_usd,
                spent: spent_usd,
                wanted: wanted_usd,
            },
            other => LlmError::Ledger {
                message: other.to_string(),
                hint: other.hint(),
            },
        }
    }
}
