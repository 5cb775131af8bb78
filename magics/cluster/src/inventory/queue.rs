//! Who waits: pods that want a GPU and have no machine, and workloads that Kueue holds back.

use serde_json::Value;

use crate::inventory::node::is_gpu;
use crate::inventory::{Pod, PodState, Waiting};
use crate::{quantity, time};

/// The pods among `pods` that wait for a GPU.
pub(super) fn pods(pods: &[Pod]) -> Vec<Waiting> {
    let waits = |pod: &&Pod| pod.state == PodState::Pending && pod.node.is_none() && pod.gpus > 0;
    let all = pods.iter().filter(waits).map(|pod| Waiting {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        kind: "Pod",
        gpus: pod.gpus,
        why: pod.reason.clone(),
        queue: pod.labels.get("kueue.x-k8s.io/queue-name").cloned(),
        since: pod.since,
    });
    all.collect()
}

/// What a workload of Kueue waits for; `None` when it does not wait.
pub(super) fn workload(object: &Value) -> Option<Waiting> {
    let conditions = object["status"]["conditions"].as_array();
    let is = |kind: &str| {
        conditions
            .into_iter()
            .flatten()
            .any(|one| one["type"] == kind && one["status"] == "True")
    };
    if is("Admitted") || is("Finished") {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why = conditions.into_iter().flatten().find(|one| {
        one["status"] == "False" && (one["type"] == "QuotaReserved" || one["type"] == "Admitted")
    });
    let sets = object["spec"]["podSets"].as_array();
    let gpus = sets.into_iter().flatten().map(gpus_of_set).sum();
    Some(Waiting {
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
        kind: "Workload",
        gpus,
        why: why.map(|one| text(&one["message"])).unwrap_or_default(),
        queue: object["spec"]["queueName"].as_str().map(str::to_owned),
        since: object["metadata"]["creationTimestamp"]
            .as_str()
            .and_then(time::read),
    })
}

fn gpus_of_set(set: &Value) -> u32 {
    let count = set["count"].as_u64().unwrap_or(1) as u32;
    let containers = set["template"]["spec"]["containers"].as_array();
    let each = containers
        .into_iter()
        .flatten()
        .map(|one| gpus(&one["resources"]));
    count.saturating_mul(each.sum())
}

/// GPUs in the resources of a container of a custom object; GPUs have requests equal to their limits.
pub(super) fn gpus(resources: &Value) -> u32 {
    let named = ["limits", "requests"].iter().find_map(|which| {
        let found: u32 = resources[which]
            .as_object()?
            .iter()
            .filter(|(name, _)| is_gpu(name))
            .map(|(_, amount)| amount_of(amount))
            .sum();
        (found > 0).then_some(found)
    });
    named.unwrap_or_default()
}

/// A quantity, which custom objects may write as a number too.
fn amount_of(amount: &Value) -> u32 {
    let text = amount
        .as_str()
        .map_or_else(|| amount.to_string(), str::to_owned);
    quantity::parse(&text).unwrap_or_default().max(0.0) as u32
}
