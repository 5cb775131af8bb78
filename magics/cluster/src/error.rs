//! What can go wrong with a cluster, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::denied::Denied;

/// Why the cluster could not be asked, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing says where a cluster is.
    #[error("no cluster is known: {looked} is not there, and this is no pod")]
    NoConfig {
        /// Where a kubeconfig was looked for.
        looked: String,
    },
    /// A kubeconfig, or what a pod is given, is of no use.
    #[error("`{file}` says nothing of use about a cluster: {why}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
        /// What to type next.
        hint: String,
    },
    /// The API server does not answer at all.
    #[error("cannot reach the API server {server}: {why}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What the operating system said.
        why: String,
        /// Whether there was a connection: what was asked for may then have been done.
        was_sent: bool,
    },
    /// The API server's certificate is not to be trusted.
    #[error("the certificate of the API server {server} is not to be trusted: {why}")]
    Certificate {
        /// Its address.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The API server does not know who asks.
    #[error("the API server {server} does not know who asks: {said}")]
    Unauthorized {
        /// Its address.
        server: String,
        /// What it said.
        said: String,
        /// Whether a service account asked, from a pod.
        from_pod: bool,
    },
    /// Who asks has no right to that.
    #[error("{0}")]
    Forbidden(Denied),
    /// There is no such object, or no such kind of objects.
    #[error("there is no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Somebody else has changed or owns what was to be changed.
    #[error("{what} is somebody else's: {said}")]
    Conflict {
        /// What was to be changed.
        what: String,
        /// What the server said.
        said: String,
    },
    /// The server will not have what was sent.
    #[error("the API server will not have {what}: {said}")]
    Invalid {
        /// What was sent.
        what: String,
        /// What the server said.
        said: String,
        /// What to type next; empty where that is not known.
        hint: String,
    },
    /// The server failed.
    #[error("the API server {server} failed at {what} ({code}): {said}")]
    Server {
        /// Its address.
        server: String,
        /// What it was asked for.
        what: String,
        /// HTTP status.
        code: u16,
        /// What it said.
        said: String,
    },
    /// The server took too long.
    #[error("the API server {server} said nothing for {} s at {what}", after.as_secs_f32())]
    TimedOut {
        /// Its address.
        server: String,
        /// What it was asked for.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The user stopped it.
    #[error("stopped")]
    Cancelled,
    /// Something of a job that was not sent as it should be may still be there.
    #[error(
        "job `{namespace}/{name}` was not sent as it should be, and may be there all the same: {cause}"
    )]
    Left {
        /// Namespace of the job.
        namespace: String,
        /// Name of the job.
        name: String,
        /// Why it was not sent as it should be, or why it could not be taken away.
        cause: Box<ClusterError>,
    },
    /// What was given cannot be done.
    #[error("{what}")]
    Input {
        /// What is wrong with it.
        what: String,
        /// What to type next.
        hint: String,
    },
    /// A file or folder could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What came back is not what should come back.
    #[error("cannot make sense of {what}: {why}")]
    Damaged {
        /// What came back.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ClusterError {
    /// What to type next, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ClusterError::NoConfig { .. } => {
                "`microk8s config > ~/.kube/config` on the node writes one; `export KUBECONFIG=FILE` names another"
            }
            ClusterError::Config { hint, .. } | ClusterError::Input { hint, .. } => hint,
            ClusterError::Unreachable { .. } => {
                "is the node up, and is this the right network? `kubectl config get-contexts` lists other clusters; \
                 `microk8s config` on the node prints its address now"
            }
            ClusterError::Certificate { why, .. } if why.contains("expired") => {
                "`sudo microk8s refresh-certs --cert server.crt` on the node makes a new one; is the clock of this \
                 machine right (`date`)?"
            }
            ClusterError::Certificate { .. } => {
                "take a fresh kubeconfig from the node, it carries the authority: `microk8s config > ~/.kube/config`"
            }
            ClusterError::Unauthorized { from_pod: true, .. } => {
                "the token of this pod's service account is of no use: start the pod again"
            }
            ClusterError::Unauthorized { .. } => {
                "the token or certificate in the kubeconfig has expired or belongs to another cluster; a fresh one: \
                 `microk8s config > ~/.kube/config`"
            }
            ClusterError::Forbidden(denied) => {
                return Some(format!(
                    "ask who runs the cluster for this rule: {}",
                    denied.rule()
                ));
            }
            ClusterError::Conflict { .. } => {
                "`--force-conflicts` takes the fields over, and what they are now is lost; to leave them as they are, take \
                 them out of the manifest"
            }
            ClusterError::NotFound { what } if what.starts_with("namespace `") => {
                "apply the step `space` of the overlay first, which makes it; or `kubectl create namespace NAME`"
            }
            ClusterError::Left {
                namespace,
                name,
                cause,
            } => {
                let take = format!(
                    "`kubectl -n {namespace} delete job {name} --ignore-not-found` takes it away"
                );
                return Some(match cause.hint() {
                    Some(hint) => format!("{take}; {hint}"),
                    None => take,
                });
            }
            ClusterError::TimedOut { .. } | ClusterError::Server { .. } => {
                "the server may be overloaded or starting: `kubectl get --raw /readyz?verbose` says which part is not ready"
            }
            ClusterError::Invalid { hint, .. } if !hint.is_empty() => hint,
            ClusterError::NotFound { .. }
            | ClusterError::Invalid { .. }
            | ClusterError::Cancelled
            | ClusterError::File { .. }
            | ClusterError::Damaged { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the user stopped it.
    pub fn is_stop(&self) -> bool {
        match self {
            ClusterError::Cancelled => true,
            ClusterError::Left { cause, .. } => cause.is_stop(),
            _ => false,
        }
    }

    /// Whether what was asked for may have been done all the same.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            // A server that is too busy has not begun.
            ClusterError::Server { code, .. } => *code != 429,
            ClusterError::Unreachable { was_sent, .. } => *was_sent,
            ClusterError::TimedOut { .. }
            | ClusterError::Damaged { .. }
            | ClusterError::Cancelled => true,
            _ => false,
        }
    }

    /// Whether the server is too busy, and may do it if it is asked again.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self,
            ClusterError::Server {
                code: 429 | 503,
                ..
            }
        )
    }

    /// Whether no other request to the same server can do better.
    pub(crate) fn is_of_all(&self) -> bool {
        matches!(
            self,
            ClusterError::Unreachable { .. }
                | ClusterError::Certificate { .. }
                | ClusterError::Unauthorized { .. }
                | ClusterError::Cancelled
        )
    }
}
