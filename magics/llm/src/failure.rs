//! Why an attempt at asking a server failed.

use std::time::Duration;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) message: String,
    /// How long the server wants to be left alone.
    pub(crate) wait: Option<Duration>,
    /// What had come of the text.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server said so.
    Status(u16),
    /// No connection, or it broke.
    Connection,
    Timeout,
    /// What came is not what the protocol says.
    Garbled,
}

impl Failure {
    /// Whether asking again may help.
    pub(crate) fn passes(&self) -> bool {
        match self.cause {
            Cause::Status(status) => matches!(status, 408 | 409 | 425 | 429 | 500..=599),
            Cause::Connection | Cause::Timeout | Cause::Garbled => true,
        }
    }

    /// Whether the server is asked too much.
    pub(crate) fn is_overload(&self) -> bool {
        matches!(self.cause, Cause::Status(429 | 503))
    }

    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Failure {
        Failure {
            cause,
            message: message.into(),
            wait: None,
            text: String::new(),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Failure {
        let cause = if error.is_timeout() {
            Cause::Timeout
        } else {
            Cause::Connection
        };
        Failure::new(cause, innermost(&error))
    }
}

/// The words of the error at the bottom: those above only say that something failed.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
