//! Manifests given to a cluster: everything is tried first, then everything is done (server-side apply).

mod compare;
mod kinds;
mod run;

use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::core::DynamicObject;

use crate::asked::Asked;
use crate::cluster::Cluster;
use crate::denied::Denied;
use crate::error::ClusterError;
use crate::manifest::Object;

use compare::changes;
use kinds::{Kinds, Served};
use run::Run;

/// Who owns the fields of our manifests: whoever types `kubectl apply --server-side`, which our pages have as the same thing.
/// Under two names the second of them would be refused, for the server fills in parts of lists that are owned as a whole.
const MANAGER: &str = "kubectl";
/// How long the answer to what was sent is waited for, once the user wants to stop.
const GRACE: Duration = Duration::from_millis(500);
/// Kinds in the order in which they are made; others come last.
const ORDER: [&str; 22] = [
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "ServiceAccount",
    "ClusterRole",
    "Role",
    "ClusterRoleBinding",
    "RoleBinding",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
];

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Only try.
    pub dry_run: bool,
    /// Take fields over that somebody else owns.
    pub force: bool,
    /// Leave out objects of kinds that the cluster does not have.
    pub skip_unknown: bool,
}

/// What became of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The objects in the order in which they were made, and what is new.
    pub steps: Vec<Step>,
    /// Objects that the cluster will not have; from the first of them on nothing more was made.
    pub refused: Vec<Refused>,
    /// Objects that were left out, for the cluster does not have their kind.
    pub skipped: Vec<String>,
    /// The objects that were really applied.
    pub made: Vec<String>,
    /// What ended it before its end.
    pub broken: Option<Broken>,
    /// The objects that were to be applied and have not been reached; none where it was only tried.
    pub unreached: Vec<String>,
}

/// What ended an apply before its end. The same again goes on from there: what is applied already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The object that was asked about; `None` where it was stopped between two.
    pub object: Option<String>,
    /// Whether that object may have been applied all the same.
    pub is_in_doubt: bool,
    /// Why.
    pub why: String,
    /// What to type next; empty for nothing.
    pub hint: String,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Kind and name.
    pub object: String,
    /// What is new.
    pub change: Change,
    /// What the server warned of, such as that no pod of it will be admitted.
    pub warnings: Vec<String>,
}

/// What is new about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// These fields are others, each as `path: old → new`.
    Changed(Vec<String>),
    /// Nothing.
    Unchanged,
    /// It could not be tried, for its namespace is not there yet.
    Untried,
}

/// How an object of an overlay is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is there, and so it is, in a word or a few.
    There(String),
    /// It is not there.
    Missing,
    /// It may be there: why that could not be seen.
    Unread(String),
}

/// An object that the cluster will not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Kind and name.
    pub object: String,
    /// Why.
    pub why: String,
    /// What to type next; empty for nothing.
    pub hint: String,
    /// The rights that are missing to apply it.
    pub denied: Vec<Denied>,
}

impl Cluster {
    /// Applies `objects` together: all are tried (`dryRun=All`, strict about fields), and only if the cluster would have
    /// all of them are they made.
    ///
    /// What is in a namespace that is made here can be tried only when that is there: it is tried then, before the rest is
    /// made.
    ///
    /// Errors are for what fails before the first object is tried. What breaks later is told by [`Applied::broken`],
    /// together with what was done until then.
    pub fn apply(
        &self,
        objects: &[Object],
        how: How,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Applied, ClusterError> {
        let kinds = self.wait(stop, Kinds::learn(&self.reach, objects))?;
        let unknown = kinds.unknown(objects);
        if !unknown.is_empty() && !how.skip_unknown {
            return Err(kinds::missing(&unknown));
        }
        let mut known: Vec<(&Object, &Served)> = objects
            .iter()
            .filter_map(|object| Some((object, kinds.of(object)?)))
            .collect();
        known.sort_by_key(|(object, _)| rank(object.kind()));
        let mut run = Run::new(self, how, stop, known);
        let ended = self.wait_out(stop, GRACE, run.all());
        Ok(Applied {
            skipped: unknown.iter().map(|object| object.title()).collect(),
            ..run.end(ended)
        })
    }

    /// What would be new about `object`, and what the server warns of.
    async fn would(
        &self,
        object: &Object,
        served: &Served,
        how: How,
    ) -> Result<(Change, Vec<String>), ClusterError> {
        let live = self.live(object, served).await?;
        let (would, warnings) = self.patch(object, served, how, true).await?;
        let Some(live) = live else {
            return Ok((Change::Created, warnings));
        };
        let value = |object: &DynamicObject| serde_json::to_value(object).unwrap_or_default();
        let changes = changes(&value(&live), &value(&would));
        let change = if changes.is_empty() {
            Change::Unchanged
        } else {
            Change::Changed(changes)
        };
        Ok((change, warnings))
    }

    /// `object` as it is in the cluster; nothing where it is not there.
    async fn live(
        &self,
        object: &Object,
        served: &Served,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        let asked = self.about(object, served, "get");
        let api = self.api(object, served);
        match self.reach.ask(&asked, || api.get(object.name())).await {
            Ok(live) => Ok(Some(live)),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies `object`, or tries it. The same twice is the same as once.
    async fn patch(
        &self,
        object: &Object,
        served: &Served,
        how: How,
        dry_run: bool,
    ) -> Result<(DynamicObject, Vec<String>), ClusterError> {
        let mut params = PatchParams::apply(MANAGER).validation_strict();
        params.dry_run = dry_run;
        params.force = how.force;
        let asked = self.about(object, served, "patch");
        let api = self.api(object, served);
        let patch = Patch::Apply(&object.value);
        let request = || api.patch(object.name(), &params, &patch);
        self.reach.hear(&asked, request).await
    }

    fn api(&self, object: &Object, served: &Served) -> Api<DynamicObject> {
        let client = self.reach.client.clone();
        if served.namespaced {
            Api::namespaced_with(client, self.place(object), &served.resource)
        } else {
            Api::all_with(client, &served.resource)
        }
    }

    /// The namespace that `object` goes to.
    fn place<'a>(&'a self, object: &'a Object) -> &'a str {
        object.namespace().unwrap_or(self.namespace())
    }

    fn about(&self, object: &Object, served: &Served, verb: &'static str) -> Asked {
        Asked {
            namespace: served.namespaced.then(|| self.place(object).to_owned()),
            name: Some(object.name().to_owned()),
            ..self
                .reach
                .asks(verb, object.group(), &served.resource.plural)
        }
    }

    /// How each of `objects` is.
    pub fn standing(
        &self,
        objects: &[Object],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<(String, Standing)>, ClusterError> {
        self.wait(stop, async {
            let kinds = Kinds::learn(&self.reach, objects).await?;
            let mut standing = Vec::new();
            for object in objects {
                let live = match kinds.of(object) {
                    Some(served) => self.live(object, served).await,
                    None => Ok(None),
                };
                let how = match live {
                    Ok(Some(live)) => Standing::There(compare::standing(
                        &serde_json::to_value(live).unwrap_or_default(),
                    )),
                    Ok(None) => Standing::Missing,
                    Err(error) if error.is_of_all() => return Err(error),
                    Err(error) => Standing::Unread(error.to_string()),
                };
                standing.push((object.title(), how));
            }
            Ok(standing)
        })
    }
}

fn rank(kind: &str) -> usize {
    ORDER
        .iter()
        .position(|one| *one == kind)
        .unwrap_or(ORDER.len())
}
