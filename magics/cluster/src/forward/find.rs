//! A pod behind a port that is wanted, found anew for each connection.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};

use crate::asked::Asked;
use crate::cluster::Reach;
use crate::error::ClusterError;
use crate::forward::{Target, Wanted, about};

/// The name of a pod that is ready, and its port.
pub(super) async fn find(reach: &Reach, wanted: &Wanted) -> Result<(String, u16), ClusterError> {
    let namespace = &wanted.namespace;
    let (pod, port) = match &wanted.target {
        Target::Service(name) => return behind(reach, wanted, name).await,
        Target::Pods { labels, .. } => {
            (ready(reach, wanted, &selector(labels)).await?, wanted.port)
        }
        Target::Pod(name) => {
            let pods: Api<Pod> = Api::namespaced(reach.client.clone(), namespace);
            let asked = about(reach, wanted, "get", "pods", name);
            let pod = reach.ask(&asked, || pods.get(name)).await?;
            (is_ready(&pod).then_some(pod), wanted.port)
        }
    };
    match pod.and_then(|pod| pod.metadata.name) {
        Some(name) => Ok((name, port)),
        None => Err(none_ready(wanted)),
    }
}

/// A pod behind the service `name`, and its port.
async fn behind(reach: &Reach, wanted: &Wanted, name: &str) -> Result<(String, u16), ClusterError> {
    let services: Api<Service> = Api::namespaced(reach.client.clone(), &wanted.namespace);
    let asked = about(reach, wanted, "get", "services", name);
    let service = reach.ask(&asked, || services.get(name)).await?;
    let spec = service.spec.unwrap_or_default();
    let port = spec
        .ports
        .into_iter()
        .flatten()
        .find(|one| one.port == i32::from(wanted.port));
    let port = port.ok_or_else(|| ClusterError::NotFound {
        what: format!("port {} of service `{name}`", wanted.port),
    })?;
    let labels = spec.selector.unwrap_or_default();
    let found = ready(reach, wanted, &selector(&labels)).await?;
    let pod = found.ok_or_else(|| none_ready(wanted))?;
    let number = match port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(number),
        Some(IntOrString::String(name)) => named(&pod, &name),
    };
    let number = number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| ClusterError::NotFound {
            what: format!("container port that service `{name}` names"),
        })?;
    Ok((pod.metadata.name.unwrap_or_default(), number))
}

/// The first pod with these labels that is ready.
async fn ready(reach: &Reach, wanted: &Wanted, labels: &str) -> Result<Option<Pod>, ClusterError> {
    let pods: Api<Pod> = Api::namespaced(reach.client.clone(), &wanted.namespace);
    let asked = Asked {
        name: None,
        ..about(reach, wanted, "list", "pods", "")
    };
    let params = ListParams::default().labels(labels);
    let listed = reach.list(&pods, &params, &asked, |pod| pod).await?;
    Ok(listed.items.into_iter().find(is_ready))
}

fn none_ready(wanted: &Wanted) -> ClusterError {
    let what = match &wanted.target {
        Target::Service(name) => format!("pod behind service `{name}` that is ready"),
        Target::Pods { of, .. } => format!("pod of `{of}` that is ready"),
        Target::Pod(name) => format!("pod `{name}` that is ready"),
    };
    ClusterError::NotFound { what }
}

/// A selector as the API takes it.
pub(super) fn selector(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

pub(super) fn is_ready(pod: &Pod) -> bool {
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
pub(super) fn named(pod: &Pod, name: &str) -> Option<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .find(|port| port.name.as_deref() == Some(name))
        .map(|port| port.container_port)
}
