//! The models of a session: how they are reached, who asks, and the conversation so far.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlk8s_llm::call::{About, Call as ModelCall, Message};
use mlk8s_llm::endpoint::{Endpoint, Endpoints};
use mlk8s_llm::{Client, LlmError, Places};

use crate::error::{ErrorKind, MagicError};

/// Who a session is, and where what it must remember is kept.
#[derive(Debug, Clone)]
pub struct Who {
    /// The person.
    pub user: String,
    /// The session.
    pub session: String,
    /// The ledger: a file, or `postgres://…`.
    pub ledger: String,
    /// Texts are left out of the ledger.
    pub redact: bool,
}

impl Who {
    /// Somebody whose ledger is below the directory `state`.
    pub fn at(state: &std::path::Path) -> Who {
        Who {
            user: "nobody".to_owned(),
            session: String::new(),
            ledger: state.join("ledger.db").display().to_string(),
            redact: false,
        }
    }
}

/// What a session knows of models.
pub struct Models {
    who: Who,
    state: PathBuf,
    client: Option<Arc<Client>>,
    /// Execution count of the cell that runs.
    pub(crate) cell: i64,
    /// What was said to and by the model of the conversation.
    pub(crate) conversation: Vec<Message>,
    /// Rows of the ledger that the last answers have, newest last, for marks.
    pub(crate) answered: Vec<String>,
}

impl Models {
    pub(crate) fn new(who: Who, state: PathBuf) -> Models {
        Models {
            who,
            state,
            client: None,
            cell: 0,
            conversation: Vec::new(),
            answered: Vec::new(),
        }
    }

    /// Where endpoints, budgets and prices are kept.
    pub(crate) fn state(&self) -> &std::path::Path {
        &self.state
    }

    /// The way to models; made when it is first wanted.
    pub(crate) fn client(&mut self) -> Result<Arc<Client>, MagicError> {
        if let Some(client) = &self.client {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::new(Places {
            state: self.state.clone(),
            ledger: self.who.ledger.clone(),
            redact: self.who.redact,
        })?);
        self.client = Some(Arc::clone(&client));
        Ok(client)
    }

    pub(crate) fn endpoints(&self) -> Result<Endpoints, MagicError> {
        Ok(Endpoints::open(&self.state)?)
    }

    /// What the ledger is told of calls that are part of `run`.
    pub(crate) fn about(&self, run: &str) -> About {
        About {
            user: self.who.user.clone(),
            session: self.who.session.clone(),
            cell: self.cell,
            run: run.to_owned(),
            chunk: String::new(),
        }
    }

    /// The endpoint and the model that `wanted` means: `MODEL`, `MODEL@ENDPOINT`, `@ENDPOINT`, or nothing for those in
    /// use.
    pub(crate) fn find(&mut self, wanted: Option<&str>) -> Result<(Endpoint, String), MagicError> {
        let (model, name) = match wanted.and_then(|wanted| wanted.rsplit_once('@')) {
            Some((model, name)) => (Some(model).filter(|model| !model.is_empty()), Some(name)),
            None => (wanted, None),
        };
        let endpoint = match (model, name) {
            (Some(model), None) => serving(&self.endpoints()?, model)?,
            _ => self.endpoints()?.get(name)?,
        };
        if let Some(model) = model.map(str::to_owned).or_else(|| endpoint.model.clone()) {
            return Ok((endpoint, model));
        }
        let models = self.client()?.models(&endpoint)?.unwrap_or_default();
        match models.as_slice() {
            [only] => Ok((endpoint, only.clone())),
            [] => Err(MagicError::new(
                ErrorKind::Usage,
                format!(
                    "`{}` does not say which models it has, and none was named",
                    endpoint.name
                ),
            )
            .with_hint(format!(
                "name it here, or once for all: `%endpoint add {} {} --model NAME`",
                endpoint.name, endpoint.url
            ))),
            several => {
                let shown: Vec<String> = several
                    .iter()
                    .take(12)
                    .map(|name| format!("`{name}`"))
                    .collect();
                let message = format!(
                    "`{}` has {} models, and none was named",
                    endpoint.name,
                    several.len()
                );
                Err(MagicError::new(ErrorKind::Usage, message)
                    .with_hint(format!("name one: {}", shown.join(", "))))
            }
        }
    }
}

/// The endpoint that `model` is asked of, when no endpoint is named: the one in use, unless that has another model and a model
/// of this machine, which serves no other, is called so.
fn serving(endpoints: &Endpoints, model: &str) -> Result<Endpoint, MagicError> {
    let used = endpoints.get(None)?;
    if used.process.is_none() && used.model.is_none() || used.model.as_deref() == Some(model) {
        return Ok(used);
    }
    let all = endpoints.all();
    let mut called = all.into_iter().filter(|one| {
        let serves = one.process.is_some() && one.name == model;
        serves || one.model.as_deref() == Some(model)
    });
    Ok(called.next().unwrap_or(used))
}

/// Fills what most magics leave as it is.
pub(crate) fn call(
    endpoint: Endpoint,
    model: &str,
    messages: Vec<Message>,
    about: About,
    timeout: u64,
) -> ModelCall {
    ModelCall {
        about,
        timeout: Duration::from_secs(timeout.max(1)),
        ..ModelCall::new(endpoint, model, messages)
    }
}

impl From<LlmError> for MagicError {
    fn from(error: LlmError) -> MagicError {
        let kind = match &error {
            LlmError::NoEndpoint(_) => ErrorKind::NotFound,
            LlmError::Budget { .. } | LlmError::NoPrice { .. } => ErrorKind::Budget,
            LlmError::Cancelled => ErrorKind::Interrupted,
            LlmError::NoKey { .. }
            | LlmError::Settings { .. }
            | LlmError::Ledger { .. }
            | LlmError::Picture { .. } => ErrorKind::Input,
            _ => ErrorKind::Endpoint,
        };
        let hint = error.hint();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}
