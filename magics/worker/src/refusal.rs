//! What a client is told when it does not get what it asked for: a status and OpenAI's error object.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// OpenAI's clients ask again after most failures; this header tells them where that is of no use.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its status.
    pub(crate) status: StatusCode,
    /// What went wrong, for a person.
    pub(crate) message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A field of the request is missing or wrong.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal {
            param: Some(param.into()),
            ..Refusal::new(StatusCode::BAD_REQUEST, "invalid_value", message)
        }
    }

    /// A field of the request asks for something that this server does not do.
    pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal {
            param: Some(param.into()),
            ..Refusal::new(StatusCode::BAD_REQUEST, "unsupported_parameter", message)
        }
    }

    /// The prompt and what shall be written after it are longer than the model can see.
    pub(crate) fn too_long(
        param: &str,
        prompt: usize,
        max_tokens: usize,
        context: usize,
    ) -> Refusal {
        let message = format!(
            "the model's context is {context} tokens, and {} were asked for: {prompt} in the prompt and {max_tokens} in \
             the answer",
            prompt + max_tokens
        );
        Refusal {
            param: Some(param.to_owned()),
            ..Refusal::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message)
        }
    }

    /// A text is so long that it need not be counted: it has `least` tokens or more.
    pub(crate) fn surely_too_long(param: &str, least: usize, context: usize) -> Refusal {
        let message = format!(
            "the model's context is {context} tokens, and the text has {least} tokens at least"
        );
        Refusal {
            param: Some(param.to_owned()),
            ..Refusal::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message)
        }
    }

    /// The key is missing or unknown.
    pub(crate) fn key(message: &str) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// The model is not here.
    pub(crate) fn model(asked: &str, loaded: &str) -> Refusal {
        let message = format!("the model `{asked}` is not here; `{loaded}` is loaded");
        Refusal {
            param: Some("model".to_owned()),
            ..Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// There are too many requests already.
    pub(crate) fn queue_full(queued: usize) -> Refusal {
        let message = format!("the queue is full: {queued} requests are waiting");
        Refusal {
            kind: "rate_limit_error",
            retry_after: Some(Duration::from_secs(2)),
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
        }
    }

    /// The server cannot answer at present.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            retry_after: Some(Duration::from_secs(5)),
            ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        }
    }

    /// The answer took longer than a request may take.
    pub(crate) fn timeout(limit: Duration) -> Refusal {
        let message = format!(
            "the request took longer than {} s, the most that one may take",
            limit.as_secs()
        );
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// Something failed here.
    pub(crate) fn internal(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", message)
    }

    /// Any other refusal.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Refusal {
        let kind = if status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        Refusal {
            status,
            message: message.into(),
            kind,
            param: None,
            code: Some(code),
            retry_after: None,
        }
    }

    /// OpenAI's error object.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::GATEWAY_TIMEOUT {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}
