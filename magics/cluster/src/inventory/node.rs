//! Machines.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::inventory::{Node, Pod, Share};
use crate::quantity;
use crate::time::utc;

/// Labels in which makers of GPUs and clouds write the product.
const MODEL_LABELS: [&str; 4] = [
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-accelerator",
    "accelerator",
];
const ROLE: &str = "node-role.kubernetes.io/";

/// Whether the extended resource `name` counts GPUs or parts of them: whole, shared in time, or sliced (MIG).
pub(super) fn is_gpu(name: &str) -> bool {
    name == "nvidia.com/gpu"
        || name == "amd.com/gpu"
        || name == "habana.ai/gaudi"
        || name.starts_with("nvidia.com/gpu.")
        || name.starts_with("nvidia.com/mig-")
        || name.starts_with("gpu.intel.com/")
}

/// GPUs in a list of resources.
pub(super) fn gpus(resources: Option<&BTreeMap<String, Quantity>>) -> u32 {
    let all = resources.into_iter().flatten();
    let of_gpus = all.filter(|(name, _)| is_gpu(name));
    of_gpus
        .map(|(_, amount)| quantity::cores(Some(amount)) as u32)
        .sum()
}

pub(super) fn node(node: core::Node) -> Node {
    let status = node.status.unwrap_or_default();
    let spec = node.spec.unwrap_or_default();
    let labels = node.metadata.labels.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let is_ready = |one: &core::NodeCondition| one.type_ == "Ready" && one.status == "True";
    let ready = conditions.iter().any(is_ready);
    let mut problems: Vec<String> = conditions.iter().filter_map(problem).collect();
    if spec.unschedulable == Some(true) {
        problems.push("takes no new pods (cordoned)".to_owned());
    }
    let capacity = status.capacity.unwrap_or_default();
    let allocatable = status.allocatable.unwrap_or_default();
    let roles = labels.keys().filter_map(|key| key.strip_prefix(ROLE));
    Node {
        name: node.metadata.name.unwrap_or_default(),
        ready,
        problem: problems.join("; "),
        roles: roles.map(str::to_owned).collect(),
        cpu: Share {
            capacity: quantity::cores(capacity.get("cpu")),
            allocatable: quantity::cores(allocatable.get("cpu")),
            requested: 0.0,
        },
        memory: Share {
            capacity: quantity::bytes(capacity.get("memory")),
            allocatable: quantity::bytes(allocatable.get("memory")),
            requested: 0,
        },
        gpus: Share {
            capacity: gpus(Some(&capacity)),
            allocatable: gpus(Some(&allocatable)),
            requested: 0,
        },
        gpu_model: MODEL_LABELS
            .iter()
            .find_map(|label| labels.get(*label).cloned()),
        taints: spec.taints.unwrap_or_default().iter().map(taint).collect(),
        since: node.metadata.creation_timestamp.and_then(|time| utc(&time)),
        version: status
            .node_info
            .map(|told| told.kubelet_version)
            .unwrap_or_default(),
    }
}

/// What a condition says is wrong; `Ready` must be true, all others false.
fn problem(condition: &core::NodeCondition) -> Option<String> {
    let is_well = if condition.type_ == "Ready" {
        condition.status == "True"
    } else {
        condition.status != "True"
    };
    let said = condition.message.as_deref().filter(|said| !said.is_empty());
    let said = said
        .or(condition.reason.as_deref())
        .unwrap_or(&condition.type_);
    match (is_well, condition.type_.as_str()) {
        (true, _) => None,
        (false, "Ready") => Some(format!("not ready: {said}")),
        (false, kind) => Some(format!("{kind}: {said}")),
    }
}

fn taint(taint: &core::Taint) -> String {
    match taint.value.as_deref().filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
        None => format!("{}:{}", taint.key, taint.effect),
    }
}

/// Adds what `pods` have asked for to the machines that they are on.
pub(super) fn charge(nodes: &mut [Node], pods: &[Pod]) {
    let mut places: BTreeMap<String, &mut Node> = BTreeMap::new();
    for node in nodes {
        places.insert(node.name.clone(), node);
    }
    for pod in pods.iter().filter(|pod| pod.holds()) {
        let Some(node) = pod.node.as_ref().and_then(|name| places.get_mut(name)) else {
            continue;
        };
        node.cpu.requested += pod.cpu;
        node.memory.requested += pod.memory;
        node.gpus.requested += pod.gpus;
    }
}
