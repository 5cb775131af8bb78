//! What can go wrong with a cluster, and what to do about it.

use std::error::Error as _;
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
            ClusterError::Conflict { .. } => "`--force-conflicts` takes the fields over",
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
        matches!(
            self,
            ClusterError::Unreachable { was_sent: true, .. }
                | ClusterError::TimedOut { .. }
                | ClusterError::Server { .. }
                | ClusterError::Damaged { .. }
                | ClusterError::Cancelled
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

/// What was asked of which server, to be told when it fails.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) server: String,
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) from_pod: bool,
}

impl Asked {
    /// In words.
    pub(crate) fn what(&self) -> String {
        match (&self.name, &self.namespace) {
            (Some(name), Some(namespace)) => {
                format!("`{}/{name}` in namespace `{namespace}`", self.resource)
            }
            (Some(name), None) => format!("`{}/{name}`", self.resource),
            (None, Some(namespace)) => format!("`{}` in namespace `{namespace}`", self.resource),
            (None, None) => format!("`{}`", self.resource),
        }
    }

    /// What `error` means for this request.
    pub(crate) fn failed(&self, error: kube::Error, silence: Duration) -> ClusterError {
        match error {
            kube::Error::Api(status) => self.refused(&status),
            kube::Error::SerdeError(error) => ClusterError::Damaged {
                what: self.what(),
                why: error.to_string(),
            },
            kube::Error::Auth(error) => ClusterError::Config {
                file: "kubeconfig".to_owned(),
                why: error.to_string(),
                hint: "`kubectl get nodes` shows whether its log-in works at all".to_owned(),
            },
            other => self.broken(&other, silence),
        }
    }

    fn refused(&self, status: &kube::core::Status) -> ClusterError {
        let said = status.message.clone();
        match status.code {
            401 => ClusterError::Unauthorized {
                server: self.server.clone(),
                said,
                from_pod: self.from_pod,
            },
            403 if !said.contains("violates PodSecurity") && !said.contains("exceeded quota") => {
                ClusterError::Forbidden(Denied {
                    verb: self.verb.to_owned(),
                    group: self.group.clone(),
                    resource: self.resource.clone(),
                    namespace: self.namespace.clone(),
                    said,
                })
            }
            404 => ClusterError::NotFound {
                // Of an object in a namespace that is not there the server says just that.
                what: match said
                    .strip_prefix("namespaces \"")
                    .and_then(|rest| rest.split_once('"'))
                {
                    Some((namespace, _)) if self.resource != "namespaces" => {
                        format!("namespace `{namespace}`")
                    }
                    _ => self.what(),
                },
            },
            409 => ClusterError::Conflict {
                what: self.what(),
                said,
            },
            400 | 403 | 413 | 422 => ClusterError::Invalid {
                what: self.what(),
                said,
            },
            code => ClusterError::Server {
                server: self.server.clone(),
                what: self.what(),
                code,
                said,
            },
        }
    }

    /// Errors below HTTP: what counts is the last cause, which names what the system or the TLS library said.
    fn broken(&self, error: &kube::Error, silence: Duration) -> ClusterError {
        let server = self.server.clone();
        let mut cause = error.source();
        let mut why = error.to_string();
        // What fails before there is a connection is told by the client as an error of that kind.
        let was_sent = !why.contains("(Connect)");
        while let Some(inner) = cause {
            why = inner.to_string();
            let timed_out = inner
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
            if timed_out && was_sent {
                return ClusterError::TimedOut {
                    server,
                    what: self.what(),
                    after: silence,
                };
            }
            cause = inner.source();
        }
        if why.contains("certificate") || why.contains("CertificateExpired") {
            let why = match why.strip_prefix("invalid peer certificate: ") {
                Some(why) if why.starts_with("certificate expired") || why == "Expired" => {
                    "it has expired".to_owned()
                }
                Some("UnknownIssuer") => {
                    "it is not signed by the authority in the kubeconfig".to_owned()
                }
                _ => why,
            };
            return ClusterError::Certificate { server, why };
        }
        ClusterError::Unreachable {
            server,
            why,
            was_sent,
        }
    }
}
