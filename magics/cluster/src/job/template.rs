//! The job of a run as Kubernetes has it, which a namespace with *restricted* pod security takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::job::{NotebookRun, Source};
use crate::quantity;

/// Label of everything that this crate makes.
pub(super) const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "mlk8s");
/// Label that tells runs of notebooks from other things.
pub(super) const COMPONENT: (&str, &str) = ("app.kubernetes.io/component", "batch");
/// Annotation with the name of the notebook.
pub(super) const NOTEBOOK_NOTE: &str = "mlk8s.dev/notebook";
/// Name of the container.
pub(super) const CONTAINER: &str = "notebook";
/// Bytes of packed results that go through a log, which a machine cuts at 10 MiB and base64 makes longer.
const MOST_PACKED: usize = 7 << 20;
const SCRIPT: &str = include_str!("run.sh");

/// The job `name` of `run`.
pub(super) fn job(run: &NotebookRun, name: &str) -> Value {
    let labels = labels(run);
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": {NOTEBOOK_NOTE: notebook(run)}},
        "spec": {
            "activeDeadlineSeconds": run.deadline.as_secs(),
            "backoffLimit": run.retries,
            "ttlSecondsAfterFinished": run.keep_for.as_secs(),
            "template": {"metadata": {"labels": labels}, "spec": pod(run, name)},
        },
    })
}

/// Name of the notebook, as a person knows it.
pub(super) fn notebook(run: &NotebookRun) -> &str {
    match &run.source {
        Source::Inline { file, .. } => file,
        Source::Volume { path, .. } => path,
    }
}

fn labels(run: &NotebookRun) -> BTreeMap<String, String> {
    let mut labels = run.labels.clone();
    for (name, value) in [MADE_BY, COMPONENT, ("app.kubernetes.io/part-of", "mlk8s")] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    // A sidecar of the mesh would not end with the notebook, nor the Job then.
    labels.insert("sidecar.istio.io/inject".to_owned(), "false".to_owned());
    if let Some(queue) = &run.queue {
        labels.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    labels
}

fn pod(run: &NotebookRun, name: &str) -> Value {
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": run.service_account.is_some(),
        "securityContext": {"runAsNonRoot": true, "fsGroup": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container(run)],
        "volumes": volumes(run, name),
    });
    if let Some(account) = &run.service_account {
        pod["serviceAccountName"] = json!(account);
    }
    pod
}

fn container(run: &NotebookRun) -> Value {
    let path = match &run.source {
        Source::Inline { file, .. } => format!("/mlk8s/notebook/{file}"),
        Source::Volume { path, .. } => format!("/mlk8s/volume/{}", path.trim_start_matches('/')),
    };
    let mut line = run.command.clone();
    line.push(path.clone());
    for (name, value) in &run.parameters {
        line.extend(["--param".to_owned(), format!("{name}={value}")]);
    }
    line.extend(["--out".to_owned(), "/mlk8s/out".to_owned()]);
    let parameters: BTreeMap<&str, &str> = run
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut environment: Vec<Value> = run
        .environment
        .iter()
        .map(|(name, value)| json!({"name": name, "value": literal(value)}))
        .collect();
    let told = [
        ("MLK8S_NOTEBOOK", path.clone()),
        ("MLK8S_PARAMETERS", json!(parameters).to_string()),
        ("MLK8S_OUT", "/mlk8s/out".to_owned()),
        ("MLK8S_PACKED", "/mlk8s/scratch/.packed".to_owned()),
        ("MLK8S_MOST", MOST_PACKED.to_string()),
    ];
    environment.extend(
        told.iter()
            .map(|(name, value)| json!({"name": name, "value": literal(value)})),
    );
    if let Some((_, folder)) = &run.keep {
        let folder = format!("/mlk8s/keep/{}", folder.trim_start_matches('/'));
        environment.push(json!({"name": "MLK8S_KEEP", "value": folder}));
    }
    // Nobody knows it before the pod is made: no text of a notebook can be taken for a mark.
    environment.push(
        json!({"name": "MLK8S_MARK", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}),
    );
    let secrets: Vec<Value> = run
        .secrets
        .iter()
        .map(|name| json!({"secretRef": {"name": name}}))
        .collect();
    json!({
        "name": CONTAINER,
        "image": run.image,
        "command": ["sh", "-c", SCRIPT, "sh"],
        "args": line.iter().map(|word| literal(word)).collect::<Vec<_>>(),
        // Files that a notebook names are looked for beside it; a folder that was sent along cannot be written to.
        "workingDir": match &run.source {
            Source::Inline { .. } => "/mlk8s/scratch",
            Source::Volume { .. } => path.rsplit_once('/').map_or("/mlk8s/volume", |(folder, _)| folder),
        },
        "env": environment,
        "envFrom": secrets,
        "resources": resources(run),
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts(run),
    })
}

/// `text` such that Kubernetes, which puts variables in place of `$(NAME)`, leaves it alone.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn resources(run: &NotebookRun) -> Value {
    let memory = quantity::written(run.memory);
    let cpu = format!("{}m", (run.cpu * 1000.0).round() as u64);
    let mut resources =
        json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}});
    if run.gpus > 0 {
        resources["limits"][&run.gpu_resource] = json!(run.gpus.to_string());
    }
    resources
}

fn volumes(run: &NotebookRun, name: &str) -> Vec<Value> {
    let claim =
        |at: &str, claim: &str| json!({"name": at, "persistentVolumeClaim": {"claimName": claim}});
    let mut volumes = vec![
        json!({"name": "work", "emptyDir": {}}),
        json!({"name": "out", "emptyDir": {}}),
        // Loaders of data and NCCL share memory there; it counts as the container's.
        json!({"name": "shm", "emptyDir": {"medium": "Memory"}}),
        match &run.source {
            Source::Inline { .. } => json!({"name": "notebook", "configMap": {"name": name}}),
            Source::Volume { claim: named, .. } => claim("notebook", named),
        },
    ];
    if let Some((named, _)) = &run.keep {
        volumes.push(claim("keep", named));
    }
    let more = run.volumes.iter().enumerate();
    volumes.extend(more.map(|(at, (named, _))| claim(&format!("volume-{at}"), named)));
    volumes
}

fn mounts(run: &NotebookRun) -> Vec<Value> {
    let at = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let mut mounts = vec![
        at("work", "/mlk8s/scratch"),
        at("out", "/mlk8s/out"),
        at("shm", "/dev/shm"),
    ];
    mounts.push(match &run.source {
        Source::Inline { .. } => {
            json!({"name": "notebook", "mountPath": "/mlk8s/notebook", "readOnly": true})
        }
        Source::Volume { .. } => at("notebook", "/mlk8s/volume"),
    });
    if run.keep.is_some() {
        mounts.push(at("keep", "/mlk8s/keep"));
    }
    let more = run.volumes.iter().enumerate();
    mounts.extend(more.map(|(number, (_, path))| at(&format!("volume-{number}"), path)));
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::typed::unknown_fields;

    #[test]
    fn the_job_has_only_fields_that_kubernetes_knows() {
        let inline = Source::Inline {
            file: "a b.ipynb".to_owned(),
            bytes: Vec::new(),
        };
        let volume = Source::Volume {
            claim: "home".to_owned(),
            path: "/night/train.ipynb".to_owned(),
        };
        for source in [inline, volume] {
            let run = NotebookRun {
                gpus: 2,
                queue: Some("home".to_owned()),
                keep: Some(("reports".to_owned(), "night".to_owned())),
                volumes: vec![("models".to_owned(), "/models".to_owned())],
                secrets: vec!["llm-key".to_owned()],
                service_account: Some("runner".to_owned()),
                parameters: vec![("epochs".to_owned(), "3".to_owned())],
                ..NotebookRun::new("night", "mlk8s/notebook:0.1.0", source)
            };
            assert_eq!(unknown_fields(&job(&run, "night-1")), Some(Ok(Vec::new())));
        }
    }

    #[test]
    fn a_notebook_on_a_volume_runs_in_its_own_folder() {
        let source = Source::Volume {
            claim: "home".to_owned(),
            path: "/night/train.ipynb".to_owned(),
        };
        let job = job(&NotebookRun::new("night", "x:1", source), "night-1");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["workingDir"], "/mlk8s/volume/night");
        assert_eq!(container["args"][1], "/mlk8s/volume/night/train.ipynb");
    }
}
