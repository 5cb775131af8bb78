//! What a cluster has and does, as plain data: sizes in bytes, processors in cores, times in UTC.

mod custom;
mod gather;
mod node;
mod own;
mod pod;
mod queue;
mod service;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::denied::{self, Denied, Purpose};

/// What is known of a cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// Address of the API server.
    pub server: String,
    /// Context of the kubeconfig; `None` for a pod's service account.
    pub context: Option<String>,
    /// Version of Kubernetes; empty where it was not told.
    pub version: String,
    /// Namespace of who asks.
    pub namespace: String,
    /// What was looked at.
    pub scope: Scope,
    /// When.
    pub at: DateTime<Utc>,
    /// The machines, by name.
    pub nodes: Vec<Node>,
    /// The pods, by namespace and name.
    pub pods: Vec<Pod>,
    /// Who waits for a GPU or in a queue, longest first.
    pub queue: Vec<Waiting>,
    /// The services.
    pub services: Vec<Service>,
    /// Notebooks of Kubeflow.
    pub notebooks: Vec<Notebook>,
    /// Clusters and services of Ray.
    pub rays: Vec<Ray>,
    /// The claims of volumes.
    pub volumes: Vec<Volume>,
    /// The pod that this runs in, where it runs in one.
    pub own: Option<OwnPod>,
    /// Plural names of the lists that came, whole or cut.
    pub read: BTreeSet<String>,
    /// What one may not see.
    pub denied: Vec<Denied>,
    /// What could not be read for another reason.
    pub failed: Vec<Failed>,
    /// Kinds of objects that this cluster does not have.
    pub absent: Vec<String>,
    /// Lists that were too long.
    pub cut: Vec<Cut>,
}

/// How much of a cluster was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Scope {
    /// All of it.
    Cluster,
    /// One namespace.
    Namespace(String),
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Share<T> {
    /// What the machine has.
    pub capacity: T,
    /// What pods may have of it.
    pub allocatable: T,
    /// What the pods that one sees have asked for.
    pub requested: T,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub ready: bool,
    /// What is wrong with it; empty for nothing.
    pub problem: String,
    /// Its roles, such as `control-plane`.
    pub roles: Vec<String>,
    /// Cores.
    pub cpu: Share<f64>,
    /// Bytes of memory.
    pub memory: Share<u64>,
    /// GPUs of any maker.
    pub gpus: Share<u32>,
    /// Which GPU, as the maker's labels say.
    pub gpu_model: Option<String>,
    /// What keeps pods away, as `key=value:effect`.
    pub taints: Vec<String>,
    /// When it joined.
    pub since: Option<DateTime<Utc>>,
    /// Version of its kubelet.
    pub version: String,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PodState,
    /// Why it is so, in the words of the scheduler or of the machine; empty for nothing to say.
    pub reason: String,
    /// The machine that it is on.
    pub node: Option<String>,
    /// What made it.
    pub owner: Option<Owner>,
    /// Cores that it asked for.
    pub cpu: f64,
    /// Bytes of memory that it asked for.
    pub memory: u64,
    /// Bytes of memory that it may not exceed; `None` where a container has no limit.
    pub memory_limit: Option<u64>,
    /// GPUs that it asked for.
    pub gpus: u32,
    /// How often its containers were started again.
    pub restarts: u32,
    /// When it was made.
    pub since: Option<DateTime<Utc>>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The claims of volumes that it mounts.
    pub claims: Vec<String>,
    /// Who it is when it asks the cluster.
    pub service_account: String,
}

/// How a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum PodState {
    /// It waits: for a machine, an image, a volume.
    Pending,
    /// It runs.
    Running,
    /// It ended as it should.
    Succeeded,
    /// It ended as it should not.
    Failed,
    /// Its machine is silent.
    #[default]
    Unknown,
    /// A container ends again and again.
    Crashing,
    /// It is being ended.
    Terminating,
}

/// What made a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// Such as `Deployment`, `StatefulSet`, `Job`, `Notebook`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Somebody who waits for a GPU or in a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `Pod` or, of Kueue, `Workload`.
    pub kind: &'static str,
    /// GPUs that it wants.
    pub gpus: u32,
    /// Why it waits, in the words of the scheduler.
    pub why: String,
    /// Queue of Kueue.
    pub queue: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Labels of the pods behind it; empty for none.
    pub selector: BTreeMap<String, String>,
    /// Whether it speaks the API of OpenAI.
    pub is_endpoint: bool,
    /// Where it is in the cluster, with the base path of an endpoint.
    pub url: String,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Name; empty for none.
    pub name: String,
    /// Number.
    pub number: u16,
}

/// A notebook of Kubeflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notebook {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// Whether it can be used.
    pub ready: bool,
    /// How it is, in one or a few words.
    pub state: String,
    /// GPUs that it asks for.
    pub gpus: u32,
    /// When somebody last used it, as the culler sees it.
    pub last_activity: Option<DateTime<Utc>>,
    /// Whether it was stopped, by a person or the culler.
    pub stopped: bool,
}

/// A cluster or service of Ray.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ray {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `RayCluster` or `RayService`.
    pub kind: &'static str,
    /// How it is.
    pub state: String,
    /// Workers that are ready.
    pub workers_ready: u32,
    /// Workers that are wanted.
    pub workers_wanted: u32,
    /// Where its applications are in the cluster.
    pub url: Option<String>,
}

/// A claim of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Bytes: what it has, or what it asks for while it has none.
    pub size: u64,
    /// Whether there is a volume.
    pub bound: bool,
    /// Storage class.
    pub class: Option<String>,
    /// Who may mount it, such as `ReadWriteOnce`.
    pub modes: Vec<String>,
}

/// The pod that this runs in.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct OwnPod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The machine, where one may know it.
    pub node: Option<String>,
    /// Bytes of memory that the container may not exceed; `None` for no limit.
    pub memory_limit: Option<u64>,
    /// Bytes of memory that the container uses.
    pub memory_used: Option<u64>,
    /// Cores that the container may not exceed; `None` for no limit.
    pub cpu_limit: Option<f64>,
    /// GPUs, where one may know it.
    pub gpus: Option<u32>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its plural name.
    pub resource: String,
    /// What, in words.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A list of which only the beginning was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// What it lists.
    pub what: String,
    /// How many of them are here.
    pub shown: usize,
}

impl Inventory {
    /// The pods on the machine `node` that have GPUs.
    pub fn gpu_users(&self, node: &str) -> Vec<&Pod> {
        let here = |pod: &&Pod| pod.gpus > 0 && pod.holds() && pod.node.as_deref() == Some(node);
        self.pods.iter().filter(here).collect()
    }

    /// Why the list called `resource` is empty here, though the cluster may have some; `None` where it came.
    pub fn unread(&self, resource: &str) -> Option<String> {
        if self.read.contains(resource) {
            return None;
        }
        let failed = self.failed.iter().find(|one| one.resource == resource);
        let denied = || {
            // The closer one: where the own namespace is denied, too, more is not to be had.
            let all = self.denied.iter().filter(|one| one.resource == resource);
            all.max_by_key(|one| one.namespace.is_some())
                .map(ToString::to_string)
        };
        failed.map(|one| one.why.clone()).or_else(denied)
    }

    /// Roles that would allow all that was denied, as YAML to be applied by an administrator.
    pub fn role_to_ask_for(&self) -> Option<String> {
        denied::role_to_ask_for(&self.denied, Purpose::View)
    }
}

/// What is kept of a pod.
pub(crate) fn pod_of(object: k8s_openapi::api::core::v1::Pod) -> Pod {
    pod::pod(object)
}

impl Pod {
    /// Whether what it asked for is kept for it: it has a machine and has not ended.
    pub fn holds(&self) -> bool {
        self.node.is_some() && !matches!(self.state, PodState::Succeeded | PodState::Failed)
    }
}

impl Volume {
    /// Why there is no volume, where that can be seen; empty for nothing to say.
    pub fn problem(&self) -> &'static str {
        // The server fills in the default class, also later.
        match (self.bound, &self.class) {
            (false, None) => "it names no storage class, and the cluster has no default one",
            _ => "",
        }
    }
}

impl PodState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            PodState::Pending => "pending",
            PodState::Running => "running",
            PodState::Succeeded => "succeeded",
            PodState::Failed => "failed",
            PodState::Unknown => "unknown",
            PodState::Crashing => "crashing",
            PodState::Terminating => "terminating",
        }
    }
}
