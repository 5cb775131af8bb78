//! Notebooks that run as jobs of the cluster: sent, followed, fetched, taken away.

mod follow;
mod image;
mod logs;
mod result;
mod send;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Bytes that a notebook which is sent along may have: what a `ConfigMap` holds, less some for its name.
pub const MOST_BYTES: usize = (1 << 20) - 1024;

/// A notebook that is to be run in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct NotebookRun {
    /// What the job is called; a number is added.
    pub name: String,
    /// The notebook.
    pub source: Source,
    /// The image, with its tag.
    pub image: String,
    /// The program in the image that runs a notebook; it is given `NOTEBOOK --param NAME=VALUE … --out FOLDER`.
    pub command: Vec<String>,
    /// Parameters of the notebook.
    pub parameters: Vec<(String, String)>,
    /// Namespace; that of the connection when none is named.
    pub namespace: Option<String>,
    /// Cores that it asks for.
    pub cpu: f64,
    /// Bytes of memory that it asks for and may not exceed.
    pub memory: u64,
    /// GPUs.
    pub gpus: u32,
    /// Name by which the cluster counts GPUs.
    pub gpu_resource: String,
    /// After this it is ended.
    pub deadline: Duration,
    /// How long the job is kept when it has ended, with its log and its result.
    pub keep_for: Duration,
    /// How often it is tried again when it fails.
    pub retries: u32,
    /// Labels of the job and its pod, next to those of mlk8s.
    pub labels: BTreeMap<String, String>,
    /// Environment of the notebook.
    pub environment: BTreeMap<String, String>,
    /// Secrets all of whose keys become the notebook's environment.
    pub secrets: Vec<String>,
    /// Volumes that it mounts: the claim and where.
    pub volumes: Vec<(String, String)>,
    /// Where the result is also put: a claim, and a folder on it.
    pub keep: Option<(String, String)>,
    /// Who the notebook is when it asks the cluster; `None` for nobody.
    pub service_account: Option<String>,
    /// Queue of Kueue that the job waits in.
    pub queue: Option<String>,
}

/// Where the notebook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Here; it is sent along without its outputs, of at most [`MOST_BYTES`].
    Inline {
        /// Name of the file.
        file: String,
        /// The file.
        bytes: Vec<u8>,
    },
    /// On a volume of the cluster.
    Volume {
        /// The claim.
        claim: String,
        /// The file, from the root of the volume.
        path: String,
    },
}

/// A job's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct JobName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobState {
    /// The job.
    pub job: JobName,
    /// The notebook that it runs.
    pub notebook: String,
    /// How it is.
    pub phase: Phase,
    /// When it was sent.
    pub since: Option<DateTime<Utc>>,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Phase {
    /// It has not begun, for this reason.
    Waiting(String),
    /// It runs.
    Running,
    /// It ended as it should.
    Succeeded,
    /// It ended as it should not, for this reason.
    Failed(String),
}

/// Something that happens to a job that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// It is in another phase.
    Phase(Phase),
    /// It wrote a line.
    Line(String),
    /// The cluster cannot be reached for the moment, for this reason.
    Silence(String),
}

/// A file that a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFile {
    /// Its name, in its folder.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// The files that came back.
    pub files: Vec<ResultFile>,
    /// Names of those that are too big for a log; they are on the volume that the run was given, if it was.
    pub too_big: Vec<String>,
}

impl NotebookRun {
    /// A run of `source` in `image`: one core, 4 GiB, no GPU, at most 12 hours, kept for three days.
    pub fn new(name: &str, image: &str, source: Source) -> NotebookRun {
        NotebookRun {
            name: name.to_owned(),
            source,
            image: image.to_owned(),
            command: vec!["mlk8s-batch".to_owned()],
            parameters: Vec::new(),
            namespace: None,
            cpu: 1.0,
            memory: 4 << 30,
            gpus: 0,
            gpu_resource: "nvidia.com/gpu".to_owned(),
            deadline: Duration::from_hours(12),
            keep_for: Duration::from_hours(72),
            retries: 0,
            labels: BTreeMap::new(),
            environment: BTreeMap::new(),
            secrets: Vec::new(),
            volumes: Vec::new(),
            keep: None,
            service_account: None,
            queue: None,
        }
    }
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed(_))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Waiting(why) if why.is_empty() => write!(f, "waits"),
            Phase::Waiting(why) => write!(f, "waits: {why}"),
            Phase::Running => write!(f, "runs"),
            Phase::Succeeded => write!(f, "succeeded"),
            Phase::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
