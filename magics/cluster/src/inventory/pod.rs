//! Pods: how they are and why, what they asked for, what made them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::inventory::node::gpus;
use crate::inventory::{Owner, Pod, PodState};
use crate::quantity;
use crate::time::utc;

/// Words of the kubelet for a container that is only on its way.
const ON_ITS_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// The label by which a Deployment tells its pods apart from those of earlier versions.
const TEMPLATE_HASH: &str = "pod-template-hash";

pub(crate) fn pod(pod: core::Pod) -> Pod {
    let meta = pod.metadata;
    let spec = pod.spec.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let labels = meta.labels.unwrap_or_default();
    let (mut state, reason) = state(&status);
    if meta.deletion_timestamp.is_some() && !ended(state) {
        state = PodState::Terminating;
    }
    let owner = meta
        .owner_references
        .into_iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| maker(owner.kind, owner.name, &labels));
    let needs = needs(&spec);
    let claims = spec.volumes.iter().flatten().filter_map(|volume| {
        let claim = volume.persistent_volume_claim.as_ref()?;
        Some(claim.claim_name.clone())
    });
    Pod {
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        state,
        reason,
        owner,
        cpu: needs.cpu,
        memory: needs.memory,
        memory_limit: memory_limit(&spec),
        gpus: needs.gpus,
        restarts: status
            .container_statuses
            .iter()
            .flatten()
            .map(|container| u32::try_from(container.restart_count).unwrap_or_default())
            .sum(),
        since: meta.creation_timestamp.and_then(|time| utc(&time)),
        claims: claims.collect(),
        labels,
        node: spec.node_name.filter(|name| !name.is_empty()),
        service_account: spec.service_account_name.unwrap_or_default(),
    }
}

fn ended(state: PodState) -> bool {
    matches!(state, PodState::Succeeded | PodState::Failed)
}

/// What made a pod, in the words of who typed it: not the `ReplicaSet` but its Deployment, not the `StatefulSet` but the
/// notebook.
fn maker(kind: String, name: String, labels: &BTreeMap<String, String>) -> Owner {
    let of_deployment = labels
        .get(TEMPLATE_HASH)
        .filter(|_| kind == "ReplicaSet")
        .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    if let Some(deployment) = of_deployment {
        return Owner {
            kind: "Deployment".to_owned(),
            name: deployment.to_owned(),
        };
    }
    match labels
        .get("notebook-name")
        .filter(|_| kind == "StatefulSet")
    {
        Some(notebook) => Owner {
            kind: "Notebook".to_owned(),
            name: notebook.clone(),
        },
        None => Owner { kind, name },
    }
}

/// How a pod is, and why.
fn state(status: &core::PodStatus) -> (PodState, String) {
    let containers: Vec<&core::ContainerStatus> =
        [&status.init_container_statuses, &status.container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
    let state = match status.phase.as_deref() {
        Some("Pending") => PodState::Pending,
        Some("Running") => PodState::Running,
        Some("Succeeded") => PodState::Succeeded,
        Some("Failed") => PodState::Failed,
        _ => PodState::Unknown,
    };
    let waiting = containers.iter().find_map(|container| waits(container));
    match state {
        PodState::Pending | PodState::Running => match waiting {
            Some((true, why)) => (PodState::Crashing, why),
            Some((false, why)) => (state, why),
            None if state == PodState::Pending => (state, unscheduled(status)),
            None => (state, earlier_end(&containers)),
        },
        PodState::Failed => (state, failure(status, &containers)),
        _ => (
            state,
            told(status.reason.as_deref(), status.message.as_deref()),
        ),
    }
}

/// Why a container waits, and whether it is because it crashes.
fn waits(container: &core::ContainerStatus) -> Option<(bool, String)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or("waiting");
    if reason == "CrashLoopBackOff" {
        let last = container
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        let last = last
            .map(|last| format!(", ended with {}", end(last)))
            .unwrap_or_default();
        return Some((
            true,
            format!(
                "{reason}: `{}` is started again and again{last}",
                container.name
            ),
        ));
    }
    let message = waiting
        .message
        .as_deref()
        .filter(|_| !ON_ITS_WAY.contains(&reason));
    Some((false, told(Some(reason), message)))
}

/// Why a pod has no machine yet.
fn unscheduled(status: &core::PodStatus) -> String {
    let all = status.conditions.iter().flatten();
    let condition = all
        .clone()
        .find(|one| one.type_ == "PodScheduled" && one.status == "False");
    condition.map_or_else(String::new, |one| {
        let message = one.message.as_deref().map(why_no_machine);
        told(one.reason.as_deref(), message)
    })
}

/// What a scheduler says of machines, without its thoughts about who else could be sent away.
fn why_no_machine(message: &str) -> &str {
    let thoughts = [" no new claims to deallocate", " preemption: "];
    let end = thoughts
        .iter()
        .filter_map(|words| message.find(words))
        .min();
    &message[..end.unwrap_or(message.len())]
}

/// That a container which runs now was killed before; a container that ended well says nothing.
fn earlier_end(containers: &[&core::ContainerStatus]) -> String {
    let killed = containers.iter().find_map(|container| {
        let last = container.last_state.as_ref()?.terminated.as_ref()?;
        (last.exit_code != 0)
            .then(|| format!("`{}` ended before with {}", container.name, end(last)))
    });
    killed.unwrap_or_default()
}

fn failure(status: &core::PodStatus, containers: &[&core::ContainerStatus]) -> String {
    let said = told(status.reason.as_deref(), status.message.as_deref());
    if !said.is_empty() {
        return said;
    }
    let failed = containers.iter().find_map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        (ended.exit_code != 0).then(|| format!("`{}` ended with {}", container.name, end(ended)))
    });
    failed.unwrap_or_default()
}

fn end(ended: &core::ContainerStateTerminated) -> String {
    match ended.reason.as_deref() {
        Some("OOMKilled") => format!("OOMKilled (out of memory, exit code {})", ended.exit_code),
        Some(reason) if reason != "Error" => format!("{reason} (exit code {})", ended.exit_code),
        _ => format!("exit code {}", ended.exit_code),
    }
}

fn told(reason: Option<&str>, message: Option<&str>) -> String {
    let words = [reason, message]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty());
    words.collect::<Vec<_>>().join(": ")
}

/// What a pod asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    cpu: f64,
    memory: u64,
    gpus: u32,
}

/// What the scheduler counts: the containers together, or the largest of those that run before them, if that is more
/// (kubernetes.io, "Resource Management for Pods and Containers" and "Init Containers").
fn needs(spec: &core::PodSpec) -> Needs {
    let mut sum = Needs::default();
    for container in &spec.containers {
        sum = sum.and(of(container.resources.as_ref()));
    }
    let mut most = Needs::default();
    // A sidecar runs from its turn on, next to the ones that follow and to the containers.
    let mut sidecars = Needs::default();
    for container in spec.init_containers.iter().flatten() {
        let wants = of(container.resources.as_ref());
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = sidecars.and(wants);
            most = most.or(sidecars);
        } else {
            most = most.or(sidecars.and(wants));
        }
    }
    let mut all = sum.and(sidecars).or(most);
    // What is said of the whole pod goes before what is said of its containers.
    if let Some(requests) = spec
        .resources
        .as_ref()
        .and_then(|all| all.requests.as_ref())
    {
        if requests.contains_key("cpu") {
            all.cpu = quantity::cores(requests.get("cpu"));
        }
        if requests.contains_key("memory") {
            all.memory = quantity::bytes(requests.get("memory"));
        }
    }
    match &spec.overhead {
        Some(overhead) => all.and(amounts(overhead)),
        None => all,
    }
}

impl Needs {
    fn and(self, more: Needs) -> Needs {
        Needs {
            cpu: self.cpu + more.cpu,
            memory: self.memory + more.memory,
            gpus: self.gpus + more.gpus,
        }
    }

    fn or(self, other: Needs) -> Needs {
        Needs {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            gpus: self.gpus.max(other.gpus),
        }
    }
}

fn of(resources: Option<&core::ResourceRequirements>) -> Needs {
    let Some(resources) = resources else {
        return Needs::default();
    };
    let mut all = resources.limits.clone().unwrap_or_default();
    // The API server copies limits to requests that are not given; a stored pod has both.
    all.extend(resources.requests.clone().unwrap_or_default());
    amounts(&all)
}

fn amounts(all: &BTreeMap<String, Quantity>) -> Needs {
    Needs {
        cpu: quantity::cores(all.get("cpu")),
        memory: quantity::bytes(all.get("memory")),
        gpus: gpus(Some(all)),
    }
}

/// Bytes that all containers together may have; `None` when one of them has no limit.
fn memory_limit(spec: &core::PodSpec) -> Option<u64> {
    let limit = |container: &core::Container| {
        let limits = container.resources.as_ref()?.limits.as_ref()?;
        limits
            .get("memory")
            .map(|limit| quantity::bytes(Some(limit)))
    };
    spec.containers.iter().map(limit).sum()
}
