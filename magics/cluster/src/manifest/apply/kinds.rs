//! Which kinds a cluster has, and what to install for those that it has not.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::core::{ApiResource, GroupVersionKind};

use crate::cluster::{Reach, input};
use crate::error::ClusterError;
use crate::manifest::Object;

/// Groups of custom objects, and what brings them.
const BROUGHT_BY: [(&str, &str); 5] = [
    ("kubeflow.org", "Kubeflow: step `kubeflow` of docs/cluster"),
    ("ray.io", "KubeRay: step `ray` of docs/cluster"),
    (
        "monitoring.coreos.com",
        "the Prometheus operator: step `monitoring` of docs/cluster",
    ),
    (
        "serving.kserve.io",
        "KServe: step `kubeflow` of docs/cluster",
    ),
    ("kueue.x-k8s.io", "Kueue"),
];

/// A kind that the cluster has.
pub(super) struct Served {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

/// The kinds of a cluster that some objects are of.
pub(super) struct Kinds(BTreeMap<(String, String), Served>);

impl Kinds {
    /// Asks for every version that `objects` are of.
    pub(super) async fn learn(reach: &Reach, objects: &[Object]) -> Result<Kinds, ClusterError> {
        let versions: BTreeSet<&str> = objects.iter().map(Object::version).collect();
        let mut kinds = BTreeMap::new();
        for version in versions {
            let asked = reach.asks("get", "", "apis");
            let listed = reach.ask(&asked, || resources(reach, version)).await;
            let listed = match listed {
                Ok(listed) => listed,
                Err(ClusterError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let (group, short) = version.split_once('/').unwrap_or(("", version));
            // `pods/log` and the like are not kinds of their own.
            for one in listed
                .resources
                .into_iter()
                .filter(|one| !one.name.contains('/'))
            {
                let kind = GroupVersionKind::gvk(group, short, &one.kind);
                let served = Served {
                    resource: ApiResource::from_gvk_with_plural(&kind, &one.name),
                    namespaced: one.namespaced,
                };
                kinds.insert((version.to_owned(), one.kind), served);
            }
        }
        Ok(Kinds(kinds))
    }

    pub(super) fn of(&self, object: &Object) -> Option<&Served> {
        self.0
            .get(&(object.version().to_owned(), object.kind().to_owned()))
    }

    /// The objects whose kinds the cluster does not have.
    pub(super) fn unknown<'a>(&self, objects: &'a [Object]) -> Vec<&'a Object> {
        objects
            .iter()
            .filter(|object| self.of(object).is_none())
            .collect()
    }
}

async fn resources(reach: &Reach, version: &str) -> kube::Result<APIResourceList> {
    if version.contains('/') {
        reach.client.list_api_group_resources(version).await
    } else {
        reach.client.list_core_api_resources(version).await
    }
}

/// That the cluster does not have the kinds of `objects`, and what brings them.
pub(super) fn missing(objects: &[&Object]) -> ClusterError {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for object in objects {
        let kind = format!("`{}` of `{}`", object.kind(), object.version());
        kinds.entry(kind).or_default().push(object.name());
    }
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, names)| format!("{kind} ({})", names.join(", ")))
        .collect();
    let brought: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| {
            BROUGHT_BY
                .iter()
                .find(|(group, _)| *group == object.group())
        })
        .map(|(_, what)| *what)
        .collect();
    let brought: Vec<&str> = brought.into_iter().collect();
    let hint = if brought.is_empty() {
        "install what brings them".to_owned()
    } else {
        format!("install {}", brought.join("; "))
    };
    input(
        format!(
            "this cluster does not have {}; nothing was done",
            kinds.join(", ")
        ),
        format!("{hint}; or apply without them: `--skip-unknown`"),
    )
}
