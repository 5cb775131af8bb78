//! Objects as a cluster in a house has them: three masters, a machine with a GPU, notebooks, an endpoint, what goes wrong.

use serde_json::{Value, json};

use crate::stand_in::world::World;

/// A cluster as it may be.
pub(crate) fn house() -> World {
    let mut world = World::empty()
        .with_kind("kubeflow.org", "v1", "Notebook", "notebooks")
        .with_kind("ray.io", "v1", "RayCluster", "rayclusters")
        .with_kind("ray.io", "v1", "RayService", "rayservices")
        .with_kind("kueue.x-k8s.io", "v1beta1", "Workload", "workloads");
    world.put(node("rig1", &json!({"cpu": "8", "memory": "32Gi"}), true));
    world.put(node(
        "rig4",
        &json!({"cpu": "16", "memory": "65536Mi", "nvidia.com/gpu": "2"}),
        true,
    ));
    world.put(node("rig5", &json!({"cpu": "4", "memory": "16Gi"}), false));
    for object in pods().into_iter().chain(others()) {
        world.put(object);
    }
    world
}

pub(crate) fn node(name: &str, amounts: &Value, ready: bool) -> Value {
    let status = if ready { "True" } else { "Unknown" };
    let mut labels = json!({"kubernetes.io/hostname": name});
    let mut taints = json!([]);
    if amounts["nvidia.com/gpu"].is_null() {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    } else {
        labels["nvidia.com/gpu.product"] = json!("NVIDIA-GeForce-RTX-3090");
        taints = json!([{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]);
    }
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints},
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": status, "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "architecture": "", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": ""}}})
}

pub(crate) fn pod(name: &str, namespace: &str, more: &Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {}},
        "spec": {"containers": [{"name": "main", "image": "x:1"}]}, "status": {"phase": "Running"}});
    merge(&mut pod, more);
    pod
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

fn wants(cpu: &str, memory: &str, gpus: u32) -> Value {
    let mut limits = json!({"memory": memory});
    if gpus > 0 {
        limits["nvidia.com/gpu"] = json!(gpus.to_string());
    }
    json!([{"name": "main", "image": "x:1", "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": limits}}])
}

fn container_status(state: &Value, last: &Value, restarts: u32) -> Value {
    json!([{"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state, "lastState": last}])
}

fn pods() -> Vec<Value> {
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    vec![
        pod(
            "llm-7d9f8b6c5-abcde",
            "ml",
            &json!({
            "metadata": {"labels": {"app": "llm", "pod-template-hash": "7d9f8b6c5"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llm-7d9f8b6c5", "uid": "1", "controller": true}]},
            "spec": {"nodeName": "rig4", "containers": wants("2", "16Gi", 1), "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]}}),
        ),
        pod(
            "papers-0",
            "anna",
            &json!({
            "metadata": {"labels": {"notebook-name": "papers"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "papers", "uid": "2", "controller": true}]},
            "spec": {"nodeName": "rig4", "containers": wants("500m", "6Gi", 1)},
            "status": {"containerStatuses": container_status(&json!({"running": {}}), &killed, 3)}}),
        ),
        pod(
            "train-x",
            "ml",
            &json!({
            "metadata": {"ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "3", "controller": true}]},
            "spec": {"containers": wants("1", "8Gi", 2)},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}]}}),
        ),
        pod(
            "broken-x",
            "anna",
            &json!({
            "spec": {"nodeName": "rig1", "containers": wants("100m", "128Mi", 0)},
            "status": {"containerStatuses": container_status(
                &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}), &killed, 12)}}),
        ),
        pod(
            "old",
            "ml",
            &json!({"spec": {"nodeName": "rig1", "containers": wants("4", "4Gi", 0)},
            "status": {"phase": "Succeeded"}}),
        ),
        pod(
            "image",
            "ml",
            &json!({"spec": {"nodeName": "rig1"}, "status": {"phase": "Pending",
            "containerStatuses": container_status(&json!({"waiting": {"reason": "ImagePullBackOff",
                "message": "Back-off pulling image \"x:2\""}}), &json!({}), 0)}}),
        ),
    ]
}

fn others() -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llm", "namespace": "ml",
            "labels": {"mlk8s.dev/endpoint": "openai"}}, "spec": {"selector": {"app": "llm"}, "ports": [{"name": "http", "port": 8000}]}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models", "namespace": "ml"},
            "spec": {"storageClassName": "openebs-hostpath", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "200Gi"}}}),
        json!({"apiVersion": "kubeflow.org/v1", "kind": "Notebook", "metadata": {"name": "papers", "namespace": "anna",
            "annotations": {"notebooks.kubeflow.org/last-activity": "2026-11-25T21:00:00Z"}},
            "spec": {"template": {"spec": {"containers": [{"name": "papers", "image": "mlk8s/notebook-cuda:0.1.0",
                "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}},
            "status": {"readyReplicas": 1, "containerState": {"running": {"startedAt": "2026-11-25T20:00:00Z"}}}}),
        json!({"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "ray", "namespace": "ml"},
            "spec": {}, "status": {"state": "ready", "readyWorkerReplicas": 1, "desiredWorkerReplicas": 2}}),
        json!({"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "Workload", "metadata": {"name": "job-sweep", "namespace": "ml",
            "creationTimestamp": "2026-11-25T08:00:00Z"},
            "spec": {"queueName": "home", "podSets": [{"count": 3, "template": {"spec": {"containers": [
                {"name": "x", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}}}]},
            "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": "couldn't assign flavors: insufficient quota"}]}}),
    ]
}
