//! Objects of Kubeflow, Ray and Kueue, of which a cluster may have none.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::inventory::queue::gpus;
use crate::inventory::{Notebook, Ray};
use crate::time;

/// A kind of custom objects: its group, the versions that are read (the newest first), its names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) versions: &'static [&'static str],
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
    /// What it belongs to, in words.
    pub(super) of: &'static str,
}

pub(super) const NOTEBOOKS: Kind = Kind {
    group: "kubeflow.org",
    versions: &["v1", "v1beta1"],
    name: "Notebook",
    plural: "notebooks",
    of: "notebooks of Kubeflow",
};
pub(super) const RAY_CLUSTERS: Kind = Kind {
    group: "ray.io",
    versions: &["v1"],
    name: "RayCluster",
    plural: "rayclusters",
    of: "clusters of Ray",
};
pub(super) const RAY_SERVICES: Kind = Kind {
    group: "ray.io",
    versions: &["v1"],
    name: "RayService",
    plural: "rayservices",
    of: "services of Ray",
};
pub(super) const WORKLOADS: Kind = Kind {
    group: "kueue.x-k8s.io",
    versions: &["v1", "v1beta2", "v1beta1"],
    name: "Workload",
    plural: "workloads",
    of: "queues of Kueue",
};

impl Kind {
    /// How it is asked for, in the newest of `versions` that is known here; `None` when the cluster has none of them.
    pub(super) fn resource(&self, versions: &[String]) -> Option<ApiResource> {
        let version = self
            .versions
            .iter()
            .find(|one| versions.iter().any(|have| have == *one))?;
        let kind = GroupVersionKind::gvk(self.group, version, self.name);
        Some(ApiResource::from_gvk_with_plural(&kind, self.plural))
    }
}

/// The object as plain JSON, with its name and namespace where they belong.
pub(super) fn value(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_default()).unwrap_or(u32::MAX)
}

pub(super) fn notebook(object: &Value) -> Notebook {
    let meta = &object["metadata"];
    let status = &object["status"];
    let spec = &object["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let notes = &meta["annotations"];
    let stopped = !notes["kubeflow-resource-stopped"].is_null();
    let ready = number(&status["readyReplicas"]) > 0;
    let state = status["containerState"]
        .as_object()
        .and_then(|states| states.iter().next());
    let state = match (stopped, ready, state) {
        (true, ..) => "stopped".to_owned(),
        (false, true, _) => "ready".to_owned(),
        (false, false, Some((word, more))) => match more["reason"].as_str() {
            Some(reason) => format!("{word}: {reason}"),
            None => word.clone(),
        },
        (false, false, None) => "no pod yet".to_owned(),
    };
    Notebook {
        namespace: text(&meta["namespace"]),
        name: text(&meta["name"]),
        image: text(&container["image"]),
        ready: ready && !stopped,
        state,
        gpus: spec["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| gpus(&one["resources"]))
            .sum(),
        last_activity: notes["notebooks.kubeflow.org/last-activity"]
            .as_str()
            .and_then(time::read),
        stopped,
    }
}

pub(super) fn ray_cluster(object: &Value) -> Ray {
    let status = &object["status"];
    let (namespace, name) = (
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    );
    let state = match status["state"].as_str() {
        Some(state) if !state.is_empty() => state.to_owned(),
        // Newer operators tell it as conditions only.
        _ => condition(status, &["RayClusterSuspended", "HeadPodReady"]),
    };
    Ray {
        url: Some(format!("http://{name}-head-svc.{namespace}.svc:8265")),
        kind: "RayCluster",
        state,
        workers_ready: number(&status["readyWorkerReplicas"]),
        workers_wanted: number(&status["desiredWorkerReplicas"]),
        namespace,
        name,
    }
}

pub(super) fn ray_service(object: &Value) -> Ray {
    let status = &object["status"];
    let (namespace, name) = (
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    );
    let state = match status["serviceStatus"].as_str() {
        Some(state) if !state.is_empty() => state.to_owned(),
        _ => condition(status, &["UpgradeInProgress", "Ready"]),
    };
    let cluster = &status["activeServiceStatus"]["rayClusterStatus"];
    Ray {
        url: Some(format!("http://{name}-serve-svc.{namespace}.svc:8000")),
        kind: "RayService",
        state,
        workers_ready: number(&cluster["readyWorkerReplicas"]),
        workers_wanted: number(&cluster["desiredWorkerReplicas"]),
        namespace,
        name,
    }
}

/// The first of `kinds` that is true, else what the last one says for not being so.
fn condition(status: &Value, kinds: &[&str]) -> String {
    let all = status["conditions"].as_array();
    let find = |kind: &&&str| all.into_iter().flatten().find(|one| one["type"] == **kind);
    let is_true = |one: &&Value| one["status"] == "True";
    if let Some(one) = kinds.iter().filter_map(|kind| find(&kind)).find(is_true) {
        return text(&one["type"]);
    }
    let last = kinds.last().and_then(|kind| find(&kind));
    last.map_or_else(
        || "not told".to_owned(),
        |one| {
            let words = [text(&one["reason"]), text(&one["message"])];
            words.join(": ").trim_matches([':', ' ']).to_owned()
        },
    )
}
