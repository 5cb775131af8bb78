//! A connection to a cluster: found by itself in a pod or by a kubeconfig, patient but not for long.

mod find;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::Client;
use kube::config::Config;
use tokio::runtime::{Handle, Runtime};

use crate::asked::Asked;
use crate::error::ClusterError;
use crate::heard;

/// Between two looks at whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Where to look for a cluster.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Context of the kubeconfig; the current one when none is named.
    pub context: Option<String>,
    /// A kubeconfig, in place of `$KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Home of the person, in place of `$HOME` and `$KUBECONFIG`.
    pub home: Option<PathBuf>,
    /// Namespace to work in, in place of the one that the context or the pod is in.
    pub namespace: Option<String>,
    /// How long to wait for what.
    pub patience: Patience,
    /// What a pod is told about itself.
    pub pod: PodFiles,
}

/// How long to wait for the API server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it takes a connection, TLS included.
    pub connect: Duration,
    /// Until it says something.
    pub read: Duration,
    /// Between two looks at a job that is followed.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(10),
            look: Duration::from_secs(1),
        }
    }
}

/// What a pod is told about itself, and where.
#[derive(Debug, Clone)]
pub struct PodFiles {
    /// Folder with `token`, `ca.crt` and `namespace` of the service account.
    pub service_account: PathBuf,
    /// Root of the control groups, whose limits are the container's.
    pub cgroup: PathBuf,
    /// Address of the API server; `None` for none in the environment, hence no pod.
    pub server: Option<String>,
    /// Name of the pod.
    pub name: Option<String>,
}

impl Default for PodFiles {
    fn default() -> PodFiles {
        let told = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = told("KUBERNETES_SERVICE_HOST").map(|host| {
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host
            };
            let port = told("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
            format!("https://{host}:{port}")
        });
        PodFiles {
            service_account: "/var/run/secrets/kubernetes.io/serviceaccount".into(),
            cgroup: "/sys/fs/cgroup".into(),
            server,
            name: told("POD_NAME").or_else(|| told("HOSTNAME")),
        }
    }
}

/// A connection to a cluster. Its calls wait; none but those that say so changes anything.
pub struct Cluster {
    /// There until this is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    pub(crate) reach: Reach,
    context: Option<String>,
    namespace: String,
    pub(crate) pod: Option<PodFiles>,
}

/// What requests need, without the runtime that they run on.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) client: Client,
    /// For what may be silent for long: logs that are followed, forwarded ports.
    pub(crate) streams: Client,
    pub(crate) server: String,
    pub(crate) patience: Patience,
    pub(crate) from_pod: bool,
}

impl Cluster {
    /// Finds a cluster; asks it nothing yet.
    pub fn connect(place: &Place) -> Result<Cluster, ClusterError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| input(format!("cannot set up threads: {error}"), "try again"))?;
        let found = find::find(place, &runtime)?;
        let mut config = found.config;
        config.connect_timeout = Some(place.patience.connect);
        config.read_timeout = Some(place.patience.read);
        config.write_timeout = Some(place.patience.read);
        // The policy of the library asks up to 15 times; `requests` asks again where that is of use, and says so.
        config.default_retry = false;
        let server = config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned();
        let quiet = patient(config.clone());
        // The clients start tasks of their own.
        let guard = runtime.enter();
        let made = heard::client(config).and_then(|client| Ok((client, heard::client(quiet)?)));
        drop(guard);
        let (client, streams) = made.map_err(|error| ClusterError::Config {
            file: found.file,
            why: error.to_string(),
            hint: "`kubectl config view` shows what is in it".to_owned(),
        })?;
        Ok(Cluster {
            reach: Reach {
                streams,
                server,
                patience: place.patience,
                from_pod: found.in_pod,
                client,
            },
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            context: found.context,
            namespace: found.namespace,
            pod: place.pod.server.is_some().then(|| place.pod.clone()),
        })
    }

    /// Address of the API server.
    pub fn server(&self) -> &str {
        &self.reach.server
    }

    /// Context of the kubeconfig; `None` for a pod's service account.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Namespace that is worked in when none is named.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the service account of a pod asks.
    pub fn is_in_pod(&self) -> bool {
        self.reach.from_pod
    }

    /// Waits for `work`, and asks `stop` now and then whether to go on.
    pub(crate) fn wait<T>(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
        work: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        self.wait_out(stop, Duration::ZERO, work)
    }

    /// The same, but what was sent when the user wants to stop gets `grace` for its answer, so that one knows what became
    /// of it. `work` itself has to look at `stop` where it would send more.
    pub(crate) fn wait_out<T>(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
        grace: Duration,
        work: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        self.handle.block_on(async {
            let mut work = std::pin::pin!(work);
            let mut glance = tokio::time::interval(GLANCE);
            let mut stopped: Option<Instant> = None;
            loop {
                tokio::select! {
                    done = &mut work => return done,
                    _ = glance.tick() => {
                        stopped = stopped.or_else(|| stop().then(Instant::now));
                        if stopped.is_some_and(|since| since.elapsed() >= grace) {
                            return Err(ClusterError::Cancelled);
                        }
                    }
                }
            }
        })
    }
}

impl Reach {
    /// A request for `resource` of `group`, to be told if it fails.
    pub(crate) fn asks(&self, verb: &'static str, group: &str, resource: &str) -> Asked {
        Asked {
            server: self.server.clone(),
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: None,
            name: None,
            from_pod: self.from_pod,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A name that is still being looked up, which may take a minute, keeps nobody waiting.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The same, without a limit on how long the server may be silent.
fn patient(mut config: Config) -> Config {
    config.read_timeout = None;
    config
}

/// Bad input, with what to type next.
pub(crate) fn input(what: impl Into<String>, hint: impl Into<String>) -> ClusterError {
    ClusterError::Input {
        what: what.into(),
        hint: hint.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_name_that_is_still_looked_up_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
                    clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
        std::fs::write(&path, text).unwrap();
        let kubeconfig = Some(path);
        let cluster = Cluster::connect(&Place {
            kubeconfig,
            ..Place::default()
        })
        .unwrap();
        let ((begun, has_begun), (end, may_end)) = (channel(), channel::<()>());
        // The resolver of names does it so, and nothing can stop it.
        cluster.handle.spawn_blocking(move || {
            begun.send(()).unwrap();
            may_end.recv()
        });
        has_begun.recv().unwrap();
        drop(cluster);
        end.send(()).unwrap();
    }
}
