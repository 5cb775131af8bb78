//! Servers that speak the OpenAI API: where they are, where their keys are, and what is special about them.

mod process;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LlmError;

pub use process::Process;

/// The endpoint that `OPENAI_BASE_URL` and `OPENAI_API_KEY` describe.
pub const FROM_ENVIRONMENT: &str = "env";
const BASE_URL: &str = "OPENAI_BASE_URL";
const API_KEY: &str = "OPENAI_API_KEY";
/// Where the OpenAI API is, when only a key is given.
const OPENAI: &str = "https://api.openai.com/v1";

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What it is called in notebooks.
    pub name: String,
    /// Its address, up to and without `/chat/completions`; any path.
    pub url: String,
    /// Where its key is.
    #[serde(default)]
    pub key: KeySource,
    /// The model that is asked when none is named.
    #[serde(default)]
    pub model: Option<String>,
    /// Its `max_tokens` counts the request, too.
    #[serde(default)]
    pub total_max_tokens: bool,
    /// How it is told what is urgent.
    #[serde(default)]
    pub urgency: Urgency,
    /// Its calls are paid by the hour of one's own machine, not by the token.
    #[serde(default)]
    pub local: bool,
    /// Most calls at once; 0 leaves it to what the server can bear.
    #[serde(default)]
    pub concurrency: usize,
    /// The process that serves it, where it is one of this machine that a notebook started; when that has ended there is
    /// no such endpoint any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// Where a key is; the key itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// There is none.
    #[default]
    None,
    /// In an environment variable.
    Env(String),
    /// In a file, such as a mounted Kubernetes secret.
    File(PathBuf),
}

/// How a server is told which calls are urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// By the number `priority`, the lower the sooner (vLLM).
    Priority,
    /// By `service_tier` (OpenAI): batch calls are `flex`.
    ServiceTier,
}

/// A key, which nothing prints.
#[derive(Clone)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The key, for the header of a request and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::None => f.write_str("none"),
            KeySource::Env(name) => write!(f, "the variable `{name}`"),
            KeySource::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

impl Endpoint {
    /// An endpoint with nothing special about it.
    pub fn new(name: &str, url: &str) -> Endpoint {
        Endpoint {
            name: name.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            key: KeySource::None,
            model: None,
            total_max_tokens: false,
            urgency: Urgency::None,
            local: is_near(url),
            concurrency: 0,
            process: None,
        }
    }

    /// Whether it can still be there: the process that serves it has not ended.
    pub(crate) fn is_there(&self) -> bool {
        self.process.as_ref().is_none_or(Process::is_running)
    }

    /// Whether it will never be there again.
    fn has_ended(&self) -> bool {
        self.process.as_ref().is_some_and(Process::has_ended)
    }

    /// The key, read anew each time, because secrets are renewed.
    pub fn key(&self) -> Result<Option<Secret>, LlmError> {
        let missing = |why: String| LlmError::NoKey {
            endpoint: self.name.clone(),
            place: self.key.to_string(),
            why,
        };
        let text = match &self.key {
            KeySource::None => return Ok(None),
            KeySource::Env(name) => {
                std::env::var(name).map_err(|error| missing(error.to_string()))?
            }
            KeySource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| missing(error.to_string()))?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(missing("it is empty".to_owned()));
        }
        if text.chars().any(char::is_control) {
            return Err(missing("it is more than one line".to_owned()));
        }
        Ok(Some(Secret(text.to_owned())))
    }
}

/// Whether the server is in this house: loopback, a private network, a name inside a cluster.
fn is_near(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.strip_prefix('[').map_or_else(
        || host.split(':').next().unwrap_or_default(),
        |rest| rest.split(']').next().unwrap_or_default(),
    );
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return match address {
            std::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    let ends = [
        ".local",
        ".svc",
        ".cluster.local",
        ".lan",
        ".home",
        ".internal",
    ];
    host == "localhost" || !host.contains('.') || ends.iter().any(|end| host.ends_with(end))
}

/// All endpoints of a person, in a file without keys.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    file: PathBuf,
    kept: Kept,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(default)]
    used: Option<String>,
    /// What was in use before a process of this machine came into use: when that ends, it is in use again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
    /// Names of one's own servers, also of those that are gone: their hours have been spent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    own: BTreeSet<String>,
}

impl Endpoints {
    /// Those in the directory `state`.
    pub fn open(state: &Path) -> Result<Endpoints, LlmError> {
        let file = state.join("endpoints.json");
        let kept = crate::settings::read(&file)?;
        Ok(Endpoints { file, kept })
    }

    /// All of them, that of the environment first.
    pub fn all(&self) -> Vec<Endpoint> {
        from_environment()
            .into_iter()
            .chain(self.kept.endpoints.iter().cloned())
            .filter(Endpoint::is_there)
            .collect()
    }

    /// Name of the one that is asked when none is named.
    pub fn used(&self) -> Option<String> {
        let all = self.all();
        let chosen = [&self.kept.used, &self.kept.before];
        chosen
            .into_iter()
            .flatten()
            .find(|name| all.iter().any(|endpoint| endpoint.name == **name))
            .cloned()
            .or_else(|| all.first().map(|endpoint| endpoint.name.clone()))
    }

    /// The one called `name`; without a name the one in use.
    pub fn get(&self, name: Option<&str>) -> Result<Endpoint, LlmError> {
        let used = self.used();
        let Some(name) = name.or(used.as_deref()) else {
            return Err(LlmError::NoEndpoint("no endpoint is known yet".to_owned()));
        };
        self.all()
            .into_iter()
            .find(|endpoint| endpoint.name == name)
            .ok_or_else(|| LlmError::NoEndpoint(format!("there is no endpoint called `{name}`")))
    }

    /// Names of all servers whose calls are or were paid by the hour of one's own machine.
    pub fn own(&self) -> BTreeSet<String> {
        let local = self.all().into_iter().filter(|endpoint| endpoint.local);
        let mut own = self.kept.own.clone();
        own.extend(local.map(|endpoint| endpoint.name));
        own
    }

    /// Remembers that the server called `name` is one's own.
    pub fn remember_own(&mut self, name: &str) -> Result<(), LlmError> {
        if self.kept.own.insert(name.to_owned()) {
            self.save()?;
        }
        Ok(())
    }

    /// Adds one, or replaces the one of its name; the first is in use.
    pub fn add(&mut self, endpoint: Endpoint) -> Result<(), LlmError> {
        if endpoint.local {
            self.kept.own.insert(endpoint.name.clone());
        } else {
            self.kept.own.remove(&endpoint.name);
        }
        self.kept
            .endpoints
            .retain(|old| old.name != endpoint.name && !old.has_ended());
        self.kept.used.get_or_insert_with(|| endpoint.name.clone());
        self.kept.endpoints.push(endpoint);
        self.save()
    }

    /// Makes the one called `name` the one in use; one that ends with its process gives way to the one before.
    pub fn choose(&mut self, name: &str) -> Result<(), LlmError> {
        let chosen = self.get(Some(name))?;
        let all = self.all();
        let lasting: Vec<_> = all.iter().filter(|one| one.process.is_none()).collect();
        let stays = |name: &String| lasting.iter().any(|one| one.name == *name);
        self.kept.before = match chosen.process {
            Some(_) => [self.kept.used.take(), self.kept.before.take()]
                .into_iter()
                .flatten()
                .find(stays),
            None => None,
        };
        self.kept.used = Some(name.to_owned());
        self.save()
    }

    /// Forgets those whose process has ended.
    pub fn forget_ended(&mut self) -> Result<(), LlmError> {
        self.kept.endpoints.retain(|old| !old.has_ended());
        self.save()
    }

    /// Forgets the one called `name`.
    pub fn remove(&mut self, name: &str) -> Result<(), LlmError> {
        self.get(Some(name))?;
        if !self.kept.endpoints.iter().any(|old| old.name == name) {
            let message = format!("`{name}` comes from the variable `{BASE_URL}` or `{API_KEY}`");
            return Err(LlmError::NoEndpoint(message));
        }
        self.kept.endpoints.retain(|old| old.name != name);
        if self.kept.used.as_deref() == Some(name) {
            self.kept.used = None;
        }
        self.save()
    }

    fn save(&self) -> Result<(), LlmError> {
        crate::settings::write(&self.file, &self.kept)
    }
}

fn from_environment() -> Option<Endpoint> {
    let filled = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let key = filled(API_KEY).map(|_| KeySource::Env(API_KEY.to_owned()));
    let url = filled(BASE_URL);
    if url.is_none() && key.is_none() {
        return None;
    }
    let url = url.unwrap_or_else(|| OPENAI.to_owned());
    Some(Endpoint {
        key: key.unwrap_or_default(),
        ..Endpoint::new(FROM_ENVIRONMENT, &url)
    })
}

#[cfg(test)]
mod tests;
