//! Follows a job until it ends: why it waits, what it writes, how it ends.

use std::time::Duration;

use futures_util::io::AsyncBufRead;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::asked::Asked;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::inventory::{self, PodState};
use crate::job::logs::{Reading, next_line};
use crate::job::result::{Line, what_is};
use crate::job::template::NOTEBOOK_NOTE;
use crate::job::{JobEvent, JobName, JobState, Phase};
use crate::time::utc;

/// How often in a row the cluster may not answer before following is given up.
const SILENCES: u32 = 60;

/// The pod of a job.
pub(super) struct JobPod {
    pub(super) name: String,
    pub(super) uid: String,
    state: PodState,
    reason: String,
}

impl Cluster {
    /// How `job` is.
    pub fn job(
        &self,
        job: &JobName,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<JobState, ClusterError> {
        self.wait(stop, async { Ok(self.look(job).await?.0) })
    }

    /// Follows `job` until it ends, and tells `on` what happens; `stop` ends the following, not the job.
    ///
    /// A cluster that cannot be reached for a while is waited for: a run may take a night.
    pub fn follow(
        &self,
        job: &JobName,
        stop: &(dyn Fn() -> bool + Sync),
        on: &mut dyn FnMut(JobEvent),
    ) -> Result<JobState, ClusterError> {
        let following = Following {
            cluster: self,
            job,
            told: None,
            reading: Reading::default(),
            uid: String::new(),
            in_result: false,
            silences: 0,
        };
        self.wait(stop, following.run(on))
    }

    /// How `job` is, and its newest pod.
    async fn look(&self, job: &JobName) -> Result<(JobState, Option<JobPod>), ClusterError> {
        let jobs: Api<Job> = Api::namespaced(self.reach.client.clone(), &job.namespace);
        let asked = self.of(job, "get", "batch", "jobs");
        let object = self.reach.ask(&asked, || jobs.get(&job.name)).await?;
        self.state_of(object).await
    }

    /// How the job `object` is, and its newest pod.
    pub(super) async fn state_of(
        &self,
        object: Job,
    ) -> Result<(JobState, Option<JobPod>), ClusterError> {
        let meta = object.metadata;
        let job = JobName {
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
        };
        let notes = meta.annotations.unwrap_or_default();
        let status = object.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let is = |kind: &str| {
            conditions
                .iter()
                .find(|one| one.type_ == kind && one.status == "True")
        };
        let pod = self.newest_pod(&job).await?;
        let is_held = object.spec.is_some_and(|spec| spec.suspend == Some(true));
        let phase = match (is("Complete"), is("Failed"), &pod) {
            (Some(_), ..) => Phase::Succeeded,
            (None, Some(condition), _) => Phase::Failed(failure(condition, pod.as_ref())),
            (None, None, None) if is_held => Phase::Waiting("its queue holds it back".to_owned()),
            (None, None, None) => Phase::Waiting(self.warning(&job).await),
            (None, None, Some(pod)) => match pod.state {
                PodState::Pending | PodState::Crashing => Phase::Waiting(pod.reason.clone()),
                _ => Phase::Running,
            },
        };
        let state = JobState {
            notebook: notes.get(NOTEBOOK_NOTE).cloned().unwrap_or_default(),
            since: meta.creation_timestamp.and_then(|time| utc(&time)),
            phase,
            job,
        };
        Ok((state, pod))
    }

    /// The newest pod of `job`; none where it has none yet, or not any more.
    pub(super) async fn newest_pod(&self, job: &JobName) -> Result<Option<JobPod>, ClusterError> {
        let pods: Api<Pod> = Api::namespaced(self.reach.client.clone(), &job.namespace);
        let params =
            ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name));
        let asked = Asked {
            name: None,
            ..self.of(job, "list", "", "pods")
        };
        let listed = self.reach.list(&pods, &params, &asked, |pod| {
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let pod = inventory::pod_of(pod);
            (
                pod.since,
                JobPod {
                    name: pod.name,
                    uid,
                    state: pod.state,
                    reason: pod.reason,
                },
            )
        });
        let newest = listed
            .await?
            .items
            .into_iter()
            .max_by_key(|(since, _)| *since);
        Ok(newest.map(|(_, pod)| pod))
    }

    /// What keeps the cluster from making a pod, such as a quota or pod security; empty where that is not to be known.
    async fn warning(&self, job: &JobName) -> String {
        let events: Api<Event> = Api::namespaced(self.reach.client.clone(), &job.namespace);
        let params = ListParams::default().fields(&format!(
            "involvedObject.kind=Job,involvedObject.name={},type=Warning",
            job.name
        ));
        let asked = self.of(job, "list", "", "events");
        let told = self.reach.list(&events, &params, &asked, |event| {
            let reason = event.reason.unwrap_or_default();
            let message = event.message.unwrap_or_default();
            (
                event.last_timestamp.or(event.metadata.creation_timestamp),
                format!("{reason}: {message}"),
            )
        });
        // One may have no right to see it, and then one does without.
        let newest = told
            .await
            .ok()
            .and_then(|listed| listed.items.into_iter().max());
        newest.map(|(_, words)| words).unwrap_or_default()
    }
}

/// Why a job failed: what its pod says is nearer to the cause than what the job says.
fn failure(condition: &JobCondition, pod: Option<&JobPod>) -> String {
    let reason = condition.reason.as_deref().unwrap_or("failed");
    let own = pod
        .map(|pod| pod.reason.as_str())
        .filter(|own| !own.is_empty());
    match (reason, own) {
        ("BackoffLimitExceeded" | "PodFailurePolicy", Some(own)) => own.to_owned(),
        ("DeadlineExceeded", _) => "it took longer than it may (`deadline`)".to_owned(),
        (reason, _) => match condition.message.as_deref() {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        },
    }
}

/// A job that is followed.
struct Following<'a> {
    cluster: &'a Cluster,
    job: &'a JobName,
    told: Option<Phase>,
    reading: Reading,
    /// Uid of the pod that is read.
    uid: String,
    /// The log is at the files that the run left.
    in_result: bool,
    silences: u32,
}

impl Following<'_> {
    async fn run(mut self, on: &mut dyn FnMut(JobEvent)) -> Result<JobState, ClusterError> {
        let look = self.cluster.reach.patience.look;
        let mut ticks = every(look);
        loop {
            ticks.tick().await;
            let Some((state, pod)) = self.look(on).await? else {
                continue;
            };
            let is_there = pod.filter(|pod| pod.state != PodState::Pending);
            if let Some(pod) = is_there {
                if pod.name != self.reading.pod {
                    self.reading = Reading::of(&pod.name);
                    self.uid = pod.uid;
                }
                if !self.reading.is_done {
                    self.read(state.phase.is_over(), on).await?;
                    continue;
                }
            }
            if state.phase.is_over() {
                return Ok(state);
            }
        }
    }

    /// How the job is; nothing when the cluster does not answer, which is told.
    async fn look(
        &mut self,
        on: &mut dyn FnMut(JobEvent),
    ) -> Result<Option<(JobState, Option<JobPod>)>, ClusterError> {
        match self.cluster.look(self.job).await {
            Ok((state, pod)) => {
                self.silences = 0;
                if self.told.as_ref() != Some(&state.phase) {
                    on(JobEvent::Phase(state.phase.clone()));
                    self.told = Some(state.phase.clone());
                }
                Ok(Some((state, pod)))
            }
            Err(error) => self.bear(error, on).map(|()| None),
        }
    }

    /// Goes on after an error that may pass.
    fn bear(
        &mut self,
        error: ClusterError,
        on: &mut dyn FnMut(JobEvent),
    ) -> Result<(), ClusterError> {
        let may_pass = matches!(
            error,
            ClusterError::Unreachable { .. }
                | ClusterError::TimedOut { .. }
                | ClusterError::Server { .. }
        );
        self.silences += 1;
        if !may_pass || self.silences > SILENCES {
            return Err(error);
        }
        if self.silences == 1 {
            on(JobEvent::Silence(error.to_string()));
        }
        Ok(())
    }

    /// Reads the log until it ends, breaks, or the job is over though the log goes on: its machine may be gone.
    /// A job that `is_over` without a log, such as one whose pod no machine took, has none to wait for.
    async fn read(
        &mut self,
        is_over: bool,
        on: &mut dyn FnMut(JobEvent),
    ) -> Result<(), ClusterError> {
        let opened = self.cluster.open_log(self.job, &self.reading).await;
        let log = match opened {
            Ok(log) => log,
            // The container is not there yet, whatever the pod says; or the pod is gone.
            Err(ClusterError::Invalid { .. }) => {
                self.reading.is_done = is_over;
                return Ok(());
            }
            Err(ClusterError::NotFound { .. }) => {
                self.reading.is_done = true;
                return Ok(());
            }
            Err(error) => return self.bear(error, on),
        };
        let mut log = std::pin::pin!(log);
        // Seldom: while the log goes on, the job does.
        let mut ticks = every(self.cluster.reach.patience.look * 15);
        ticks.tick().await;
        loop {
            tokio::select! {
                line = next_line(&mut log) => match line {
                    Some(line) => self.line(&line, on),
                    None => return self.ended(on).await,
                },
                _ = ticks.tick() => {
                    let seen = self.look(on).await?;
                    if seen.is_some_and(|(state, _)| state.phase.is_over()) {
                        return self.rest(log, on).await;
                    }
                }
            }
        }
    }

    /// Reads what is left of the log of a job that is over.
    async fn rest(
        &mut self,
        mut log: impl AsyncBufRead + Unpin,
        on: &mut dyn FnMut(JobEvent),
    ) -> Result<(), ClusterError> {
        let patience = self.cluster.reach.patience.read;
        while let Ok(Some(line)) = tokio::time::timeout(patience, next_line(&mut log)).await {
            self.line(&line, on);
        }
        self.reading.is_done = true;
        Ok(())
    }

    /// The log has ended: for good if its pod has, else the connection broke and is opened again.
    async fn ended(&mut self, on: &mut dyn FnMut(JobEvent)) -> Result<(), ClusterError> {
        if let Some((state, pod)) = self.look(on).await? {
            let has_ended =
                |pod: &JobPod| matches!(pod.state, PodState::Succeeded | PodState::Failed);
            // What the pod wrote between the break and its end is asked for once more.
            let was_over = state.phase.is_over() || pod.as_ref().is_none_or(has_ended);
            if was_over && let Ok(log) = self.cluster.open_log(self.job, &self.reading).await {
                return self.rest(std::pin::pin!(log), on).await;
            }
            self.reading.is_done = was_over;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, on: &mut dyn FnMut(JobEvent)) {
        let Some(text) = self.reading.take(line) else {
            return;
        };
        match what_is(&text, &self.uid) {
            Line::Begin(_) => self.in_result = true,
            Line::End => self.in_result = false,
            Line::TooBig(name) => on(JobEvent::Line(format!(
                "`{name}` is too big to come back through the log"
            ))),
            Line::Text if !self.in_result => on(JobEvent::Line(text)),
            Line::Text | Line::Done => {}
        }
    }
}

fn every(time: Duration) -> Interval {
    let mut ticks = interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
