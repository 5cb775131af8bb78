//! Sends a run to the cluster, lists what was sent, takes it away.

use std::cell::Cell;
use std::time::Duration;

use chrono::Utc;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::cluster::{Cluster, input};
use crate::error::ClusterError;
use crate::job::template::{self, COMPONENT, MADE_BY};
use crate::job::{JobName, JobState, MOST_BYTES, NotebookRun, Source};

/// Letters of a name that are kept, so that the names of pods made of it are not too long either.
const STEM: usize = 40;
/// How long the answer to what was sent is waited for, once the user wants to stop.
const GRACE: Duration = Duration::from_millis(300);
/// How long taking a job away again may then take.
const TAKE_BACK: Duration = Duration::from_millis(500);

impl Cluster {
    /// Makes the job of `run`, and the `ConfigMap` with its notebook, which goes when the job goes.
    ///
    /// Both are there afterwards, or neither: where `stop` or an error comes in between, the job is taken away, and
    /// [`ClusterError::Left`] says if that cannot be known for certain. That takes less than a second.
    pub fn submit(
        &self,
        run: &NotebookRun,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<JobName, ClusterError> {
        check(run)?;
        let namespace = run
            .namespace
            .clone()
            .unwrap_or_else(|| self.namespace().to_owned());
        let name = format!(
            "{}-{}",
            stem(&run.name),
            serial(Utc::now().timestamp_millis())
        );
        let notebook = match &run.source {
            Source::Inline { file, bytes } => Some((file.as_str(), without_outputs(file, bytes)?)),
            Source::Volume { .. } => None,
        };
        let job = JobName { namespace, name };
        let is_made = Cell::new(false);
        let sent = self.wait_out(stop, GRACE, async {
            let object = template::job(run, &job.name);
            let made: Job = self.create(&job, "batch", "jobs", object).await?;
            is_made.set(true);
            let Some((file, text)) = notebook else {
                return Ok(());
            };
            // The pod waits for the map; made in this order, it is owned by the job from the beginning.
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {file: text}, "immutable": true,
                "metadata": {"name": job.name, "labels": {MADE_BY.0: MADE_BY.1, COMPONENT.0: COMPONENT.1}, "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": made.metadata.uid}]},
            });
            let _: ConfigMap = self.create(&job, "", "configmaps", map).await?;
            Ok(())
        });
        match sent {
            Ok(()) if !stop() => Ok(job),
            Ok(()) => Err(self.take_back(job, true, ClusterError::Cancelled)),
            Err(error) if is_made.get() || error.is_in_doubt() => {
                Err(self.take_back(job, is_made.get(), error))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes away a job that was not sent as it should be because of `error`; it `is_made`, or it may be. Without its
    /// notebook it would wait until its end, and hold its GPU.
    fn take_back(&self, job: JobName, is_made: bool, error: ClusterError) -> ClusterError {
        // Who wants to stop is not kept waiting.
        let limit = if error.is_stop() {
            TAKE_BACK
        } else {
            Duration::MAX
        };
        let removed = self.wait(&|| false, async {
            Ok(tokio::time::timeout(limit, self.remove(&job)).await)
        });
        // A server that has not answered yet may still make what it says it does not have.
        let is_late = matches!(
            error,
            ClusterError::Cancelled | ClusterError::TimedOut { .. }
        );
        match removed {
            Ok(Ok(Ok(was_there))) if was_there || is_made || !is_late => error,
            _ => ClusterError::Left {
                namespace: job.namespace,
                name: job.name,
                cause: Box::new(error),
            },
        }
    }

    /// The jobs that run notebooks in this namespace, the newest first.
    pub fn jobs(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<JobState>, ClusterError> {
        let params = ListParams::default().labels(&format!(
            "{}={},{}={}",
            MADE_BY.0, MADE_BY.1, COMPONENT.0, COMPONENT.1
        ));
        let asked = Asked {
            namespace: Some(self.namespace().to_owned()),
            ..self.reach.asks("list", "batch", "jobs")
        };
        let api: Api<Job> = Api::namespaced(self.reach.client.clone(), self.namespace());
        self.wait(stop, async {
            let listed = self.reach.list(&api, &params, &asked, |job| job).await?;
            let mut states = Vec::new();
            for job in listed.items {
                states.push(self.state_of(job).await?.0);
            }
            states.sort_by_key(|state| std::cmp::Reverse(state.since));
            Ok(states)
        })
    }

    /// Takes `job` away, with its pods and its notebook; it is no error when it is gone already.
    pub fn delete(
        &self,
        job: &JobName,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), ClusterError> {
        self.wait(stop, async { self.remove(job).await.map(|_| ()) })
    }

    /// Takes `job` away; whether it was there.
    async fn remove(&self, job: &JobName) -> Result<bool, ClusterError> {
        let client = || self.reach.client.clone();
        let asked = self.of(job, "delete", "batch", "jobs");
        let jobs: Api<Job> = Api::namespaced(client(), &job.namespace);
        let gone = self
            .reach
            .once(&asked, jobs.delete(&job.name, &DeleteParams::background()))
            .await;
        match gone {
            Ok(_) => Ok(true),
            Err(ClusterError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn create<K>(
        &self,
        job: &JobName,
        group: &'static str,
        resource: &'static str,
        object: Value,
    ) -> Result<K, ClusterError>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
    {
        let asked = self.of(job, "create", group, resource);
        let object: K = serde_json::from_value(object).map_err(|error| ClusterError::Damaged {
            what: asked.what(),
            why: error.to_string(),
        })?;
        let api: Api<K> = Api::namespaced(self.reach.client.clone(), &job.namespace);
        self.reach
            .once(&asked, api.create(&PostParams::default(), &object))
            .await
    }

    /// A request about `job`, to be told if it fails.
    pub(super) fn of(
        &self,
        job: &JobName,
        verb: &'static str,
        group: &str,
        resource: &str,
    ) -> Asked {
        Asked {
            namespace: Some(job.namespace.clone()),
            name: Some(job.name.clone()),
            ..self.reach.asks(verb, group, resource)
        }
    }
}

/// What no cluster can run is refused here, with better words.
fn check(run: &NotebookRun) -> Result<(), ClusterError> {
    if run.command.is_empty() {
        return Err(input(
            "no program is named that runs the notebook",
            "leave `command` as it is",
        ));
    }
    let tag = run.image.rsplit('/').next().unwrap_or_default();
    if !tag.contains(':') || tag.ends_with(":latest") {
        return Err(input(
            format!("`{}` is no image with a version", run.image),
            "name its tag: what `latest` is today may be something else tonight",
        ));
    }
    if run.deadline.as_secs() == 0 || run.memory == 0 || !run.cpu.is_finite() || run.cpu <= 0.0 {
        return Err(input(
            "a job needs time, memory and a processor",
            "give it more than 0 of each",
        ));
    }
    if let Some((name, _)) = run
        .parameters
        .iter()
        .find(|(name, _)| name.is_empty() || name.contains('='))
    {
        return Err(input(
            format!("`{name}` is no name of a parameter"),
            "write `--param NAME=VALUE`",
        ));
    }
    Ok(())
}

/// The notebook without what an earlier run left in it, which may be most of it.
fn without_outputs(file: &str, bytes: &[u8]) -> Result<String, ClusterError> {
    let is_name = !file.is_empty()
        && file.len() <= 253
        && file
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_name || file.starts_with("..") {
        return Err(input(
            format!("`{file}` cannot be sent to the cluster by that name"),
            "rename it: letters, digits, `-`, `_` and `.`",
        ));
    }
    let broken = |why: String| {
        input(
            format!("`{file}` is no notebook: {why}"),
            "JupyterLab writes notebooks as JSON with `cells`",
        )
    };
    let mut notebook: Value =
        serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    let cells = notebook["cells"]
        .as_array_mut()
        .ok_or_else(|| broken("it has no `cells`".to_owned()))?;
    for cell in cells.iter_mut().filter(|cell| cell["cell_type"] == "code") {
        cell["outputs"] = json!([]);
        cell["execution_count"] = Value::Null;
    }
    let text = notebook.to_string();
    if text.len() > MOST_BYTES {
        return Err(input(
            format!(
                "`{file}` has {} KiB without its outputs, and {} are sent along at most",
                text.len() >> 10,
                MOST_BYTES >> 10
            ),
            "put it on a volume of the cluster and name that, or move data out of it",
        ));
    }
    Ok(text)
}

/// What of `name` may stand in a name of Kubernetes.
fn stem(name: &str) -> String {
    let name = name.strip_suffix(".ipynb").unwrap_or(name).to_lowercase();
    let mut stem = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | '0'..='9' => stem.push(c),
            _ if stem.is_empty() || stem.ends_with('-') => {}
            _ => stem.push('-'),
        }
    }
    stem.truncate(STEM);
    match stem.trim_matches('-') {
        "" => "notebook".to_owned(),
        stem if stem.starts_with(|c: char| c.is_ascii_digit()) => format!("n{stem}"),
        stem => stem.to_owned(),
    }
}

/// A number that grows with time, in few letters.
fn serial(milliseconds: i64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut left = milliseconds.unsigned_abs();
    let mut letters = Vec::new();
    while left > 0 {
        letters.push(DIGITS[(left % 36) as usize]);
        left /= 36;
    }
    letters
        .iter()
        .rev()
        .map(|letter| char::from(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit() {
        let cases = [
            ("03 Train (final).ipynb", "n03-train-final"),
            ("Über", "ber"),
            ("---", "notebook"),
            ("night", "night"),
        ];
        for (name, fit) in cases {
            assert_eq!(stem(name), fit, "{name}");
        }
        assert_eq!(stem(&"x".repeat(300)).len(), STEM);
        assert_eq!(serial(1_795_000_000_000), "mwm0nk74");
    }

    #[test]
    fn outputs_are_not_sent() {
        let notebook = json!({"cells": [{"cell_type": "code", "source": "1", "outputs": [{"data": "x".repeat(2 << 20)}], "execution_count": 7},
            {"cell_type": "markdown", "source": "text"}]});
        let sent = without_outputs("a.ipynb", notebook.to_string().as_bytes()).unwrap();
        let cells = serde_json::from_str::<Value>(&sent).unwrap()["cells"].clone();
        assert_eq!(
            cells[0],
            json!({"cell_type": "code", "source": "1", "outputs": [], "execution_count": null})
        );
        assert_eq!(cells[1]["outputs"], Value::Null);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let long = json!({"cells": [{"cell_type": "markdown", "source": "x".repeat(2 << 20)}]})
            .to_string();
        let cases = [
            ("a.ipynb", long.as_str(), "KiB"),
            ("a b.ipynb", "{}", "rename"),
            ("a.ipynb", "{}", "cells"),
            ("a.ipynb", "x", "JSON"),
        ];
        for (file, text, word) in cases {
            let error = without_outputs(file, text.as_bytes()).unwrap_err();
            let said = format!("{error} {}", error.hint().unwrap());
            assert!(said.contains(word), "{said}");
        }
    }
}
