//! One call of a model, as it is remembered.

use serde::{Deserialize, Serialize};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was sent and nothing was heard yet; when its kernel is gone, nothing ever will be.
    #[default]
    Open,
    /// It was answered.
    Done,
    /// It was answered from the cache, for nothing.
    Cached,
    /// It failed.
    Failed,
    /// It was stopped by the user.
    Stopped,
}

/// How urgent a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// It is one of many.
    Batch,
}

/// A row of the ledger: one attempt of one call. Times are in milliseconds, money is in US dollars, texts that were
/// redacted are empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// UUID, version 7: in order of time.
    pub id: String,
    /// When it was sent, in milliseconds since 1970.
    pub at: i64,
    /// Who called.
    pub user: String,
    /// The kernel's session.
    pub session: String,
    /// Execution count of the cell; 0 for none.
    pub cell: i64,
    /// What it was part of, such as one `%kg build`; empty for none.
    pub run: String,
    /// The chunk or document that it was about; empty for none.
    pub chunk: String,
    /// How urgent it was.
    pub class: Class,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Name of the model.
    pub model: String,
    /// `chat`, `completion` or `embedding`.
    pub kind: String,
    /// The request as JSON.
    pub request: String,
    /// The response as JSON.
    pub response: String,
    /// What became of it.
    pub status: Status,
    /// Why it failed.
    pub error: String,
    /// `stop`, `length`, …, as the server said it.
    pub finish_reason: String,
    /// Which attempt it was, from 1.
    pub attempt: i64,
    /// From the wish to the sending.
    pub queue_ms: i64,
    /// From the sending to the first text; 0 when it is not known.
    pub first_ms: i64,
    /// From the sending to the end.
    pub total_ms: i64,
    /// Tokens of the request.
    pub prompt_tokens: i64,
    /// Those of them that the server had cached.
    pub cached_tokens: i64,
    /// Tokens of the answer.
    pub completion_tokens: i64,
    /// Who counted: `server`, or the name of an encoding when we did.
    pub counted_by: String,
    /// Most tokens that the answer could have; 0 when there was no limit.
    pub max_tokens: i64,
    /// The price list that was used; empty when the model has no price there.
    pub price_list: String,
    /// The most that it could cost, set aside while it is open.
    pub reserved_usd: f64,
    /// What it cost.
    pub paid_usd: f64,
    /// The user's mark, 1 to 5; 0 for none.
    pub score: i64,
    /// The user's remark.
    pub comment: String,
}
