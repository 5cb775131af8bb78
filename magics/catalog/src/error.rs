//! What can go wrong in a magic, in words for people, and every conversion from the engines' errors.

use mlk8s_cluster::error::ClusterError;
use mlk8s_clustering::ClusteringError;
use mlk8s_corpus::CorpusError;
use mlk8s_graph::GraphError;
use mlk8s_models::ModelsError;
use mlk8s_search::SearchError;
use mlk8s_values::ValueError;
use polars::error::PolarsError;
use thiserror::Error;

/// A magic's failure: what failed and what to type next.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct MagicError {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// What failed: lower-case, names in backticks, no final stop.
    pub message: String,
    /// What to type next; empty when there is nothing to say.
    pub hint: String,
}

/// Sorts of failure; the name is what a frontend shows as `ename`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// Something named does not exist.
    NotFound,
    /// What was given cannot be used.
    Input,
    /// A model's server did not do what was asked.
    Endpoint,
    /// A budget would be passed.
    Budget,
    /// The user stopped it.
    Interrupted,
    /// Our own fault.
    Internal,
}

impl ErrorKind {
    /// The name that frontends show.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Usage => "UsageError",
            ErrorKind::NotFound => "NotFound",
            ErrorKind::Input => "InputError",
            ErrorKind::Endpoint => "EndpointError",
            ErrorKind::Budget => "BudgetError",
            ErrorKind::Interrupted => "Interrupted",
            ErrorKind::Internal => "InternalError",
        }
    }
}

impl MagicError {
    /// An error of `kind` with no hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> MagicError {
        MagicError {
            kind,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> MagicError {
        self.hint = hint.into();
        self
    }
}

impl From<ModelsError> for MagicError {
    fn from(error: ModelsError) -> MagicError {
        let kind = match &error {
            ModelsError::Cancelled => ErrorKind::Interrupted,
            ModelsError::Reference { .. } | ModelsError::Offline { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Input,
        };
        let hint = error.hint().unwrap_or_default();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}

impl From<ClusterError> for MagicError {
    fn from(error: ClusterError) -> MagicError {
        let kind = match &error {
            error if error.is_stop() => ErrorKind::Interrupted,
            ClusterError::NotFound { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Input,
        };
        let hint = error.hint().unwrap_or_default();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}

impl From<CorpusError> for MagicError {
    fn from(error: CorpusError) -> MagicError {
        let message = error.to_string();
        match error {
            CorpusError::NotFound { .. } => MagicError::new(ErrorKind::NotFound, message)
                .with_hint("paths begin where the notebook is; `~/` is your home folder"),
            CorpusError::Cancelled => MagicError::new(ErrorKind::Interrupted, message),
            CorpusError::Folder { .. } | CorpusError::UnknownRule { .. } => {
                MagicError::new(ErrorKind::Input, message)
            }
        }
    }
}

impl From<ClusteringError> for MagicError {
    fn from(error: ClusteringError) -> MagicError {
        let kind = match &error {
            ClusteringError::Stopped => ErrorKind::Interrupted,
            _ => ErrorKind::Input,
        };
        let hint = error.hint();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}

impl From<SearchError> for MagicError {
    fn from(error: SearchError) -> MagicError {
        let kind = match &error {
            SearchError::Stopped => ErrorKind::Interrupted,
            SearchError::EmptyQuery | SearchError::Filter { .. } => ErrorKind::Usage,
            _ => ErrorKind::Input,
        };
        let hint = error.hint();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}

impl From<GraphError> for MagicError {
    fn from(error: GraphError) -> MagicError {
        let kind = match &error {
            GraphError::NotFound { .. } => ErrorKind::NotFound,
            GraphError::Cancelled => ErrorKind::Interrupted,
            _ => ErrorKind::Input,
        };
        let hint = error.hint();
        MagicError::new(kind, error.to_string()).with_hint(hint)
    }
}

impl From<ValueError> for MagicError {
    fn from(error: ValueError) -> MagicError {
        MagicError::new(ErrorKind::Internal, error.to_string())
            .with_hint("is there room on the disk, and may this user write there?")
    }
}

impl From<PolarsError> for MagicError {
    fn from(error: PolarsError) -> MagicError {
        MagicError::new(ErrorKind::Internal, error.to_string())
    }
}
