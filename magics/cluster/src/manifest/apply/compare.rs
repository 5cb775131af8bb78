//! What differs between an object as it is and as it would be, and how an object is.

use serde_json::Value;

/// Fields of `metadata` that say nothing about what a person wrote.
const BOOKKEEPING: [&str; 6] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
];
/// Letters of a value that are shown.
const SHOWN: usize = 60;

/// The fields that differ, each as `path: old → new`; what a Secret holds is not shown.
pub(super) fn changes(live: &Value, would: &Value) -> Vec<String> {
    let is_secret = would["kind"] == "Secret";
    let mut found = Vec::new();
    differ(
        &cleaned(live),
        &cleaned(would),
        "",
        &mut |path, old, new| {
            let hide = is_secret && (path.starts_with("data") || path.starts_with("stringData"));
            let (old, new) = if hide {
                ("…".to_owned(), "…".to_owned())
            } else {
                (shown(old), shown(new))
            };
            found.push(format!("{path}: {old} → {new}"));
        },
    );
    found
}

fn cleaned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(all) = object.as_object_mut() {
        all.remove("status");
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        for name in BOOKKEEPING {
            meta.remove(name);
        }
    }
    object
}

fn differ(old: &Value, new: &Value, path: &str, tell: &mut dyn FnMut(&str, &Value, &Value)) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                differ(&old[name], &new[name], &below, tell);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differ(a, b, &format!("{path}[{at}]"), tell);
            }
        }
        (old, new) if old != new => tell(path, old, new),
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) => text.replace('\n', "⏎"),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// How the object `live` is, in a few words.
pub(super) fn standing(live: &Value) -> String {
    let (spec, status) = (&live["spec"], &live["status"]);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let of = |ready: &Value, wanted: u64| format!("{} of {wanted} ready", number(ready));
    let replicas = spec["replicas"].as_u64().unwrap_or(1);
    match live["kind"].as_str().unwrap_or_default() {
        "Deployment" => {
            let ready = of(&status["availableReplicas"], replicas);
            // Such as that no pod of it is admitted, which nothing else tells: there is no pod.
            match condition(
                status,
                &[("ReplicaFailure", "True"), ("Progressing", "False")],
            ) {
                Some(why) => format!("{ready}: {why}"),
                None => ready,
            }
        }
        "Job" => match condition(status, &[("Complete", "True"), ("Failed", "True")]) {
            Some(_) if number(&status["succeeded"]) > 0 => "succeeded".to_owned(),
            Some(why) => format!("failed: {why}"),
            None => format!("{} of its pods run", number(&status["active"])),
        },
        "StatefulSet" => of(&status["readyReplicas"], replicas),
        "DaemonSet" => of(
            &status["numberReady"],
            number(&status["desiredNumberScheduled"]),
        ),
        "Notebook" => of(&status["readyReplicas"], 1),
        "PersistentVolumeClaim" | "Namespace" => {
            status["phase"].as_str().unwrap_or("there").to_lowercase()
        }
        "RayCluster" => status["state"].as_str().unwrap_or("there").to_owned(),
        "RayService" => status["serviceStatus"]
            .as_str()
            .unwrap_or("there")
            .to_owned(),
        "CronJob" => match status["lastSuccessfulTime"].as_str() {
            Some(time) => format!("last succeeded {time}"),
            None => "has not succeeded yet".to_owned(),
        },
        _ => "there".to_owned(),
    }
}

/// What the first of `kinds` that has that status says.
fn condition(status: &Value, kinds: &[(&str, &str)]) -> Option<String> {
    let all = status["conditions"].as_array()?;
    let found = kinds.iter().find_map(|(kind, is)| {
        all.iter()
            .find(|one| one["type"] == *kind && one["status"] == *is)
    })?;
    let said = found["message"].as_str().filter(|said| !said.is_empty());
    Some(
        said.or(found["reason"].as_str())
            .unwrap_or_default()
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_a_person_wrote_counts() {
        let live = json!({"kind": "Deployment", "metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "managedFields": [1]},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "x:1"}]}}}, "status": {"readyReplicas": 1}});
        let mut would = live.clone();
        would["metadata"]["resourceVersion"] = json!("8");
        would["status"] = json!({});
        assert_eq!(changes(&live, &would), [] as [&str; 0]);
        would["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x:2");
        would["metadata"]["labels"] = json!({"app": "a"});
        assert_eq!(
            changes(&live, &would),
            [
                r#"metadata.labels: nothing → {"app":"a"}"#,
                "spec.template.spec.containers[0].image: x:1 → x:2"
            ]
        );
    }

    #[test]
    fn what_a_secret_holds_is_not_shown() {
        let live = json!({"kind": "Secret", "data": {"password": "b2xk"}});
        let would = json!({"kind": "Secret", "data": {"password": "bmV3"}});
        assert_eq!(changes(&live, &would), ["data.password: … → …"]);
    }

    #[test]
    fn why_a_deployment_has_no_pods_is_told() {
        let refused = json!({"kind": "Deployment", "spec": {"replicas": 1}, "status": {"conditions": [
            {"type": "Available", "status": "False", "message": "no minimum"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates PodSecurity"}]}});
        assert_eq!(standing(&refused), "0 of 1 ready: violates PodSecurity");
    }

    #[test]
    fn how_a_job_ended_is_told() {
        let job = |status: Value| standing(&json!({"kind": "Job", "status": status}));
        let ended = |kind: &str| json!([{"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]);
        assert_eq!(job(json!({"active": 1})), "1 of its pods run");
        assert_eq!(
            job(json!({"succeeded": 1, "conditions": ended("Complete")})),
            "succeeded"
        );
        assert_eq!(
            job(json!({"failed": 1, "conditions": ended("Failed")})),
            "failed: BackoffLimitExceeded"
        );
    }
}
