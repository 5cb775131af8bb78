//! What was asked of which server, and what an answer that is none means.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use kube::core::Status;

use crate::denied::Denied;
use crate::error::ClusterError;
use crate::hints;

/// Words of refusals that come with the status of a server that failed.
const OF_THE_OBJECT: [&str; 2] = [
    "failed to create typed patch object",
    "failed calling webhook",
];

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

    fn refused(&self, status: &Status) -> ClusterError {
        let said = status.message.clone();
        match status.code {
            401 => ClusterError::Unauthorized {
                server: self.server.clone(),
                said,
                from_pod: self.from_pod,
            },
            403 if Denied::is_told_by(&said) => ClusterError::Forbidden(self.denied(said)),
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
            409 if is_of_owners(status) => ClusterError::Conflict {
                what: self.what(),
                said,
            },
            400 | 403 | 409 | 413 | 422 => self.invalid(&said),
            // It is not the server that failed at these, though it says so: a field is unknown, a webhook does not answer.
            500 if OF_THE_OBJECT.iter().any(|words| said.contains(words)) => self.invalid(&said),
            code => ClusterError::Server {
                server: self.server.clone(),
                what: self.what(),
                code,
                said,
            },
        }
    }

    fn invalid(&self, said: &str) -> ClusterError {
        ClusterError::Invalid {
            what: self.what(),
            hint: hints::of_refusal(self, said),
            said: hints::shortened(said),
        }
    }

    /// The right that is missing: the server knows best which, for who applies what is not there has to create it.
    fn denied(&self, said: String) -> Denied {
        Denied::said(&said).unwrap_or_else(|| Denied {
            verb: self.verb.to_owned(),
            group: self.group.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            said,
        })
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

/// Whether fields that were to be applied belong to somebody else; other conflicts are of another kind.
fn is_of_owners(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "FieldManagerConflict")
}
