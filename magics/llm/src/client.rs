//! The one way to a model: cache, budget, ledger, gate, attempts.

mod attempt;
mod embed;
mod many;
mod passing;
mod picture;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::budget::Budgets;
use crate::cache::Cache;
use crate::call::{Answer, Call, Form, Kind};
use crate::desk::Desk;
use crate::endpoint::Endpoint;
use crate::error::LlmError;
use crate::failure::Cause;
use crate::gate::Gate;
use crate::http;
use crate::price::{Price, PriceLists};

pub use embed::Embedded;

/// How often the wish to stop is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// Tokens that an answer without a limit is taken to have, at worst.
const UNLIMITED: u64 = 128_000;
/// How long `%endpoint check` waits for a list of models.
const CHECK: Duration = Duration::from_secs(15);

/// A piece of an answer as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// More text.
    Text(&'a str),
    /// What came so far was cut off; it comes again from its beginning.
    Again,
}

/// Where a client keeps what it must remember.
#[derive(Debug, Clone)]
pub struct Places {
    /// Endpoints, budgets, prices and answers.
    pub state: PathBuf,
    /// The ledger: a file, or `postgres://…`.
    pub ledger: String,
    /// Texts of requests and answers are left out of the ledger.
    pub redact: bool,
}

/// Asks models. Its methods block; it can be shared by threads.
pub struct Client {
    runtime: Runtime,
    shared: Arc<Shared>,
}

/// What all calls share.
struct Shared {
    http: reqwest::Client,
    desk: Desk,
    prices: PriceLists,
    places: Places,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
    cache: Mutex<Cache>,
    learnt: Mutex<HashMap<String, Learnt>>,
}

/// What a server has turned out not to know.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    form: Form,
    usage_in_stream: bool,
}

impl Client {
    /// A client that remembers in `places`.
    pub fn new(places: Places) -> Result<Client, LlmError> {
        let broken = |why: String| LlmError::Settings {
            path: places.state.display().to_string(),
            why,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let shared = Shared {
            http: http::client().map_err(|error| broken(error.to_string()))?,
            desk: Desk::new(&places.ledger),
            prices: PriceLists::open(&places.state.join("prices"))
                .map_err(|error| broken(error.to_string()))?,
            cache: Mutex::new(Cache::open(&places.state.join("answers.db"))),
            gates: Mutex::default(),
            learnt: Mutex::default(),
            places,
        };
        Ok(Client {
            runtime,
            shared: Arc::new(shared),
        })
    }

    /// The answer to `call`; `on_piece` is given its text as it is written, `stop` is asked now and then.
    pub fn ask(
        &self,
        call: &Call,
        stop: &(dyn Fn() -> bool + Sync),
        on_piece: &(dyn Fn(Piece<'_>) + Sync),
    ) -> Result<Answer, LlmError> {
        self.runtime
            .block_on(self.shared.answer(call, stop, on_piece))
    }

    /// Forgets the answer to `call`, so that it is asked anew.
    pub fn forget(&self, call: &Call) {
        let cache = self
            .shared
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.forget(&call.key());
    }

    /// Whether an earlier answer to `call` is there.
    pub fn has_answer(&self, call: &Call) -> bool {
        let cache = self
            .shared
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.get(&call.key()).is_some()
    }

    /// Names of the models that `endpoint` has; `None` when it has no list.
    pub fn models(&self, endpoint: &Endpoint) -> Result<Option<Vec<String>>, LlmError> {
        let key = endpoint.key()?;
        let url = format!("{}/models", endpoint.url);
        let found = self
            .runtime
            .block_on(http::get(&self.shared.http, &url, key.as_ref(), CHECK));
        match found {
            Ok(list) => {
                let names = list["data"].as_array().map(|models| {
                    let mut names: Vec<String> = models
                        .iter()
                        .filter_map(|model| model["id"].as_str().map(str::to_owned))
                        .collect();
                    names.sort();
                    names
                });
                Ok(names)
            }
            Err(failure) if matches!(failure.cause, Cause::Status(404 | 405 | 501)) => Ok(None),
            Err(failure) => Err(attempt::error(endpoint, CHECK, failure)),
        }
    }

    /// What a server of costs answers at `url`, as JSON.
    pub fn fetch(&self, url: &str) -> Result<serde_json::Value, LlmError> {
        let fetched = self
            .runtime
            .block_on(http::get(&self.shared.http, url, None, CHECK));
        fetched
            .map_err(|failure| attempt::error(&Endpoint::new("cluster costs", url), CHECK, failure))
    }

    /// The ledger, for whoever wants to look into it.
    pub fn ledger<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut crate::ledger::Ledger) -> Result<T, crate::ledger::LedgerError>
        + Send
        + 'static,
    ) -> Result<T, LlmError> {
        self.runtime.block_on(self.shared.desk.ask(work))
    }

    /// All price lists.
    pub fn prices(&self) -> &PriceLists {
        &self.shared.prices
    }

    /// The most that `call` can cost, by today's prices; `None` when its model has no price.
    pub fn worst_case(&self, call: &Call) -> Option<f64> {
        self.shared.worst_case(call)
    }

    /// Calls to `endpoint` that are let through at once at present.
    pub fn at_once(&self, endpoint: &Endpoint) -> usize {
        self.shared.gate(endpoint).limit()
    }
}

impl Shared {
    fn gate(&self, endpoint: &Endpoint) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{} {}", endpoint.url, endpoint.concurrency);
        let gate = gates
            .entry(key)
            .or_insert_with(|| Arc::new(Gate::new(endpoint.concurrency)));
        Arc::clone(gate)
    }

    fn learnt(&self, call: &Call) -> Learnt {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(&learnt_key(call)).copied().unwrap_or(Learnt {
            form: Form::JsonSchema,
            usage_in_stream: true,
        })
    }

    fn learn(&self, call: &Call, now: Learnt) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(learnt_key(call), now);
    }

    /// The price of the model, with the name of its list; local models have none.
    fn price(&self, call: &Call) -> Option<(&Price, &str)> {
        if call.endpoint.local {
            return None;
        }
        let today = chrono::Local::now().date_naive();
        self.prices
            .find(&call.model, today)
            .map(|(list, price)| (price, list.id.as_str()))
    }

    /// Tokens of the request as we count them, which takes longer than sending it; most servers count, too.
    fn tokens(call: &Call) -> usize {
        if call.kind == Kind::Pictures {
            // No server counts more than one token for four letters of a picture in base64; most count far fewer.
            return call.texts().iter().map(|(_, uri)| uri.len() / 4).sum();
        }
        crate::count::messages(&call.model, &call.texts()).0
    }

    /// The most that the call can cost.
    fn worst_case(&self, call: &Call) -> Option<f64> {
        let (price, _) = self.price(call)?;
        let most = call.max_tokens.map(u64::from).or(price.max_output);
        let tokens = Self::tokens(call) as u64;
        Some(crate::price::worst_case(
            price,
            tokens,
            most.unwrap_or(UNLIMITED),
        ))
    }

    async fn answer(
        &self,
        call: &Call,
        stop: &(dyn Fn() -> bool + Sync),
        on_piece: &(dyn Fn(Piece<'_>) + Sync),
    ) -> Result<Answer, LlmError> {
        let key = call.reuse.then(|| call.key());
        let known = key.as_ref().and_then(|key| {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(key)
        });
        if let Some(known) = known {
            on_piece(Piece::Text(&known.text));
            return self.note_reuse(call, known).await;
        }
        let answer = tokio::select! {
            answer = self.attempts(call, on_piece) => answer?,
            () = stopped(stop) => {
                self.desk.flush().await;
                return Err(LlmError::Cancelled);
            }
        };
        if let Some(key) = key {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.put(&key, &answer);
        }
        Ok(answer)
    }

    /// Budgets that hold for `call`; one without a price must not be made where there is a budget.
    fn limits(
        &self,
        call: &Call,
        worst: Option<f64>,
    ) -> Result<Vec<crate::ledger::Limit>, LlmError> {
        let budgets = Budgets::open(&self.places.state)?;
        if worst.is_none() && !call.endpoint.local && !budgets.all().is_empty() {
            return Err(LlmError::NoPrice {
                model: call.model.clone(),
                near: self.prices.latest().nearest(&call.model).map(str::to_owned),
                dir: self.places.state.join("prices").display().to_string(),
            });
        }
        // What is paid by the hour of one's own machine costs nothing more: a limit that others have used up does not stop it.
        if call.endpoint.local && worst.is_none_or(|worst| worst <= 0.0) {
            return Ok(Vec::new());
        }
        let now = chrono::Local::now();
        Ok(budgets
            .all()
            .iter()
            .map(|budget| budget.limit(now, &call.about.run))
            .collect())
    }
}

fn learnt_key(call: &Call) -> String {
    format!("{} {}", call.endpoint.url, call.model)
}

/// Ends when `stop` says so.
async fn stopped(stop: &(dyn Fn() -> bool + Sync)) {
    while !stop() {
        pass(GLANCE).await;
    }
}

/// Lets `time` pass.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells that a server is ready again, or that somebody wants to stop"
)]
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
