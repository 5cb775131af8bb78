//! Ports of pods brought to this machine, for as long as somebody wants them.

mod find;
mod labelled;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::asked::Asked;
use crate::cluster::{Cluster, Reach};
use crate::error::ClusterError;
use find::find;

pub use labelled::{LabelledNotebook, NOTEBOOK_LABELS};

/// A port that is wanted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace of what has the port.
    pub namespace: String,
    /// What has the port.
    pub target: Target,
    /// Port of the service or of the pod.
    pub port: u16,
    /// Port on this machine; 0 for any that is free.
    pub local: u16,
}

/// What has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A service of that name; its port is mapped to one of its pods.
    Service(String),
    /// The pods of something else.
    Pods {
        /// What they belong to, as kubectl writes it: `statefulset/lab`.
        of: String,
        /// Labels that they all have.
        labels: BTreeMap<String, String>,
    },
    /// One pod of that name.
    Pod(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Service(name) => write!(f, "{name}"),
            Target::Pods { of, .. } => write!(f, "{of}"),
            Target::Pod(name) => write!(f, "pod/{name}"),
        }
    }
}

/// Something that happens while ports are forwarded.
#[derive(Debug)]
pub enum ForwardEvent<'a> {
    /// The port is here.
    Ready {
        /// What was wanted.
        wanted: &'a Wanted,
        /// Port on this machine.
        local: u16,
    },
    /// A connection could not be made; the next one may.
    Failed {
        /// What was wanted.
        wanted: &'a Wanted,
        /// Why.
        error: ClusterError,
    },
}

impl Cluster {
    /// Brings the ports of `all` to 127.0.0.1 until `stop` says so. Each connection finds a pod anew: one may be started
    /// again in between.
    pub fn forward(
        &self,
        all: &[Wanted],
        stop: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(ForwardEvent<'_>) + Send),
    ) -> Result<(), ClusterError> {
        let forwarded = self.wait(stop, async {
            let (failures, mut failed) = tokio::sync::mpsc::channel(8);
            // They end with this set.
            let mut tasks = tokio::task::JoinSet::new();
            for (at, wanted) in all.iter().enumerate() {
                // That there is somebody to talk to is known before the port is announced.
                find(&self.reach, wanted).await?;
                let listener = listen(wanted).await?;
                let local = listener
                    .local_addr()
                    .map_or(wanted.local, |address| address.port());
                on(ForwardEvent::Ready { wanted, local });
                tasks.spawn(accept(
                    self.reach.clone(),
                    wanted.clone(),
                    listener,
                    at,
                    failures.clone(),
                ));
            }
            drop(failures);
            while let Some((at, error)) = failed.recv().await {
                on(ForwardEvent::Failed {
                    wanted: &all[at],
                    error,
                });
            }
            Ok(())
        });
        match forwarded {
            // To be stopped is how this ends.
            Err(ClusterError::Cancelled) => Ok(()),
            other => other,
        }
    }
}

async fn listen(wanted: &Wanted) -> Result<TcpListener, ClusterError> {
    TcpListener::bind(("127.0.0.1", wanted.local))
        .await
        .map_err(|error| {
            crate::cluster::input(
                format!(
                    "port {} of this machine cannot be used: {error}",
                    wanted.local
                ),
                "another program may have it (`ss -ltnp` lists them): name another port",
            )
        })
}

/// Takes connections, and serves each by itself.
async fn accept(
    reach: Reach,
    wanted: Wanted,
    listener: TcpListener,
    at: usize,
    failures: tokio::sync::mpsc::Sender<(usize, ClusterError)>,
) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (reach, wanted, failures) = (reach.clone(), wanted.clone(), failures.clone());
        open.spawn(async move {
            if let Err(error) = carry(&reach, &wanted, stream).await {
                // Nobody listens when all has ended.
                let _ = failures.send((at, error)).await;
            }
        });
    }
}

/// Carries what is said on `stream` to a pod and back.
async fn carry(reach: &Reach, wanted: &Wanted, mut stream: TcpStream) -> Result<(), ClusterError> {
    let (pod, port) = find(reach, wanted).await?;
    let pods: Api<Pod> = Api::namespaced(reach.streams.clone(), &wanted.namespace);
    let asked = about(reach, wanted, "create", "pods/portforward", &pod);
    let mut forwarder = reach.once(&asked, pods.portforward(&pod, &[port])).await?;
    let Some(mut far) = forwarder.take_stream(port) else {
        return Ok(());
    };
    let told = forwarder.take_error(port);
    // Who hangs up first is no error; what the machine of the pod says is one.
    let _ = copy_bidirectional(&mut stream, &mut far).await;
    drop(far);
    let said = match told {
        Some(told) => tokio::time::timeout(reach.patience.connect, told)
            .await
            .ok()
            .flatten(),
        None => None,
    };
    match said {
        Some(said) => Err(ClusterError::Damaged {
            what: format!("port {port} of pod `{pod}`"),
            why: said,
        }),
        None => Ok(()),
    }
}

fn about(reach: &Reach, wanted: &Wanted, verb: &'static str, resource: &str, name: &str) -> Asked {
    Asked {
        namespace: Some(wanted.namespace.clone()),
        name: Some(name.to_owned()),
        ..reach.asks(verb, "", resource)
    }
}
