//! Ports of pods brought to this machine, for as long as somebody wants them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::{Cluster, Reach};
use crate::error::{Asked, ClusterError};

/// A port of a service that is wanted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace of the service.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Port of the service.
    pub port: u16,
    /// Port on this machine; 0 for any that is free.
    pub local: u16,
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

/// A pod behind the service that is ready, and its port.
async fn find(reach: &Reach, wanted: &Wanted) -> Result<(String, u16), ClusterError> {
    let services: Api<Service> = Api::namespaced(reach.client.clone(), &wanted.namespace);
    let asked = about(reach, wanted, "get", "services", &wanted.service);
    let service = reach.ask(&asked, || services.get(&wanted.service)).await?;
    let spec = service.spec.unwrap_or_default();
    let port = spec
        .ports
        .into_iter()
        .flatten()
        .find(|one| one.port == i32::from(wanted.port));
    let port = port.ok_or_else(|| ClusterError::NotFound {
        what: format!("port {} of service `{}`", wanted.port, wanted.service),
    })?;
    let selector: BTreeMap<String, String> = spec.selector.unwrap_or_default();
    let labels: Vec<String> = selector
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let pods: Api<Pod> = Api::namespaced(reach.client.clone(), &wanted.namespace);
    let asked = Asked {
        name: None,
        ..about(reach, wanted, "list", "pods", "")
    };
    let params = ListParams::default().labels(&labels.join(","));
    let listed = reach.list(&pods, &params, &asked, |pod| pod).await?;
    let ready = listed
        .items
        .into_iter()
        .find(is_ready)
        .ok_or_else(|| ClusterError::NotFound {
            what: format!("pod behind service `{}` that is ready", wanted.service),
        })?;
    let number = match port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(number),
        Some(IntOrString::String(name)) => named(&ready, &name),
    };
    let number = number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| ClusterError::NotFound {
            what: format!("container port that service `{}` names", wanted.service),
        })?;
    Ok((ready.metadata.name.unwrap_or_default(), number))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The number of the container port `name`.
fn named(pod: &Pod, name: &str) -> Option<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}
