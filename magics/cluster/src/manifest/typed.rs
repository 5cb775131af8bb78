//! Built-in kinds against their types: what is read and written again must have lost nothing.

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, autoscaling::v2 as autoscaling,
    batch::v1 as batch, core::v1 as core, networking::v1 as networking, policy::v1 as policy,
    rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value as a type and writes it again.
type Round = fn(&Value) -> Result<Value, String>;

/// Paths in `object` that its built-in kind does not have, or why it is no object of that kind; `None` when its kind is
/// not built in.
///
/// The types are those of the newest Kubernetes that the library knows (1.37): a field that an older cluster does not
/// have is found by `apply`, which asks it.
pub fn unknown_fields(object: &Value) -> Option<Result<Vec<String>, String>> {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let round = round(text("apiVersion"), text("kind"))?;
    Some(round(&with_written_quantities(object)).map(|kept| {
        let mut lost = Vec::new();
        compare(object, &kept, "", &mut lost);
        lost
    }))
}

/// The kinds that are built in and that manifests have.
fn round(version: &str, kind: &str) -> Option<Round> {
    Some(match (version, kind) {
        ("v1", "ConfigMap") => again::<core::ConfigMap>,
        ("v1", "Endpoints") => again::<core::Endpoints>,
        ("v1", "LimitRange") => again::<core::LimitRange>,
        ("v1", "Namespace") => again::<core::Namespace>,
        ("v1", "PersistentVolume") => again::<core::PersistentVolume>,
        ("v1", "PersistentVolumeClaim") => again::<core::PersistentVolumeClaim>,
        ("v1", "Pod") => again::<core::Pod>,
        ("v1", "ResourceQuota") => again::<core::ResourceQuota>,
        ("v1", "Secret") => again::<core::Secret>,
        ("v1", "Service") => again::<core::Service>,
        ("v1", "ServiceAccount") => again::<core::ServiceAccount>,
        ("apps/v1", "DaemonSet") => again::<apps::DaemonSet>,
        ("apps/v1", "Deployment") => again::<apps::Deployment>,
        ("apps/v1", "StatefulSet") => again::<apps::StatefulSet>,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => {
            again::<autoscaling::HorizontalPodAutoscaler>
        }
        ("batch/v1", "CronJob") => again::<batch::CronJob>,
        ("batch/v1", "Job") => again::<batch::Job>,
        ("networking.k8s.io/v1", "Ingress") => again::<networking::Ingress>,
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<networking::NetworkPolicy>,
        ("policy/v1", "PodDisruptionBudget") => again::<policy::PodDisruptionBudget>,
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<rbac::ClusterRole>,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => again::<rbac::ClusterRoleBinding>,
        ("rbac.authorization.k8s.io/v1", "Role") => again::<rbac::Role>,
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<rbac::RoleBinding>,
        ("scheduling.k8s.io/v1", "PriorityClass") => again::<scheduling::PriorityClass>,
        ("storage.k8s.io/v1", "StorageClass") => again::<storage::StorageClass>,
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => {
            again::<admission::ValidatingAdmissionPolicy>
        }
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            again::<extensions::CustomResourceDefinition>
        }
        _ => return None,
    })
}

/// Whether the API group `group` is one of Kubernetes itself.
pub fn is_built_in(group: &str) -> bool {
    matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy")
        || group.ends_with(".k8s.io") && !group.contains(".x-k8s.io")
}

fn again<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    // By way of text, the error says where it is.
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Writes down in `lost` what `given` has and `kept` has not.
fn compare(given: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (name, value) in given {
                let path = format!("{path}.{name}");
                match kept.get(name) {
                    Some(kept) => compare(value, kept, &path, lost),
                    None if is_nothing(value) => {}
                    None => lost.push(path.trim_start_matches('.').to_owned()),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            for (at, (given, kept)) in given.iter().zip(kept).enumerate() {
                compare(given, kept, &format!("{path}[{at}]"), lost);
            }
        }
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null()
}

/// Kubernetes takes `cpu: 2` for a quantity; the types of the library want it as text.
fn with_written_quantities(value: &Value) -> Value {
    const LISTS: [&str; 9] = [
        "requests",
        "limits",
        "capacity",
        "hard",
        "default",
        "defaultRequest",
        "max",
        "min",
        "overhead",
    ];
    let written = |value: &Value| match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => with_written_quantities(other),
    };
    match value {
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::Object(amounts) if LISTS.contains(&name.as_str()) => amounts
                        .iter()
                        .map(|(name, amount)| (name.clone(), written(amount)))
                        .collect(),
                    amount if name == "sizeLimit" => written(amount),
                    other => with_written_quantities(other),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(all) => all.iter().map(with_written_quantities).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(container: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "llm"}, "spec": {
            "selector": {"matchLabels": {"app": "llm"}},
            "template": {"metadata": {"labels": {"app": "llm"}}, "spec": {"containers": [container]}}}})
    }

    #[test]
    fn a_typing_mistake_deep_inside_is_found() {
        let wrong = json!({"name": "llm", "image": "vllm:1", "imagePullPolicyy": "Always", "resources": {"limits": {"cpu": 2}}});
        assert_eq!(
            unknown_fields(&deployment(&wrong)),
            Some(Ok(vec![
                "spec.template.spec.containers[0].imagePullPolicyy".to_owned()
            ]))
        );
    }

    #[test]
    fn what_is_right_has_lost_nothing() {
        let right = json!({"name": "llm", "image": "vllm:1", "ports": [{"containerPort": 8000}],
            "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm", "readOnly": false}],
            "resources": {"limits": {"cpu": 2, "memory": "8Gi", "nvidia.com/gpu": 1}},
            "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}}, "args": [], "env": null});
        assert_eq!(unknown_fields(&deployment(&right)), Some(Ok(Vec::new())));
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        let wrong = json!({"name": "llm", "ports": [{"containerPort": "8000"}]});
        let said = unknown_fields(&deployment(&wrong)).unwrap().unwrap_err();
        assert!(said.contains("invalid type"), "{said}");
    }

    #[test]
    fn a_custom_kind_is_not_judged() {
        assert_eq!(
            unknown_fields(&json!({"apiVersion": "kubeflow.org/v1", "kind": "Notebook"})),
            None
        );
        assert!(is_built_in("networking.k8s.io"));
        assert!(!is_built_in("kubeflow.org"));
        assert!(!is_built_in("kueue.x-k8s.io"));
    }
}
