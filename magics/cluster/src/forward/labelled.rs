//! Notebooks that no object of Kubeflow stands for: they are known by the labels that our manifests carry.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Resource;
use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;

use crate::asked::Asked;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::forward::Target;
use crate::forward::find::{is_ready, named, selector};

/// The labels by which a notebook is known.
pub const NOTEBOOK_LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/component", "notebook"),
    ("app.kubernetes.io/part-of", "mlk8s"),
];
/// Names of ports that are the notebook's, where there are several.
const PORT_NAMES: [&str; 3] = ["notebook-port", "notebook", "http"];
/// The port that our image listens on.
const PORT: u16 = 8888;

/// A notebook that is known by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledNotebook {
    /// What has its port.
    pub target: Target,
    /// The port.
    pub port: u16,
    /// Where the server lies behind it (`NB_PREFIX`); `/` for no prefix, and then it asks for a token.
    pub path: String,
    /// Whether a pod of it is ready.
    pub is_ready: bool,
}

impl Cluster {
    /// The notebooks in `namespace` that carry [`NOTEBOOK_LABELS`]: services first, then `StatefulSets`, Deployments and
    /// pods that none of the others stands for; those that are ready before the others.
    ///
    /// Kinds that one may not list are left out.
    pub fn labelled_notebooks(
        &self,
        namespace: &str,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<LabelledNotebook>, ClusterError> {
        self.wait(stop, async {
            let (services, sets, deployments) = tokio::try_join!(
                self.labelled::<Service>(namespace),
                self.labelled::<StatefulSet>(namespace),
                self.labelled::<Deployment>(namespace),
            )?;
            let sets = sets
                .into_iter()
                .map(|set| of("statefulset", set.metadata.name, set.spec.selector));
            let deployments = deployments
                .into_iter()
                .map(|one| of("deployment", one.metadata.name, one.spec.selector));
            let pods: Vec<Pod> = self.pods_of(namespace).await?;
            let mut found: Vec<LabelledNotebook> = Vec::new();
            // The labels of the pods that something stands for already.
            let mut known: Vec<BTreeMap<String, String>> = Vec::new();
            for service in services {
                let Some((notebook, labels)) = by_service(service, &pods) else {
                    continue;
                };
                found.push(notebook);
                known.push(labels);
            }
            for (target, labels) in sets.chain(deployments) {
                let pod = best(&pods, &labels);
                // A service that leads to the same pods says more about them.
                if labels.is_empty() || pod.is_some_and(|pod| is_known(pod, &known)) {
                    continue;
                }
                found.push(notebook(target, None, pod));
                known.push(labels);
            }
            for pod in pods.iter().filter(|pod| has(pod, &ours())) {
                if !is_known(pod, &known) {
                    let name = pod.metadata.name.clone().unwrap_or_default();
                    found.push(notebook(Target::Pod(name), None, Some(pod)));
                }
            }
            found.sort_by_key(|notebook| !notebook.is_ready);
            Ok(found)
        })
    }

    /// Objects with our labels; none where one may not list them.
    async fn labelled<K>(&self, namespace: &str) -> Result<Vec<K>, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let params = ListParams::default().labels(&selector(&ours()));
        self.some(namespace, &params).await
    }

    /// All pods: those of a `StatefulSet` with our labels may have others.
    async fn pods_of(&self, namespace: &str) -> Result<Vec<Pod>, ClusterError> {
        self.some(namespace, &ListParams::default()).await
    }

    async fn some<K>(&self, namespace: &str, params: &ListParams) -> Result<Vec<K>, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.reach.client.clone(), namespace);
        let asked = Asked {
            namespace: Some(namespace.to_owned()),
            ..self.reach.asks("list", &K::group(&()), &K::plural(&()))
        };
        match self.reach.list(&api, params, &asked, |one| one).await {
            Ok(listed) => Ok(listed.items),
            Err(ClusterError::Forbidden(_) | ClusterError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn ours() -> BTreeMap<String, String> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    NOTEBOOK_LABELS.map(own).into()
}

/// What has these pods, and the labels by which it chooses them; none where it does so in another way.
fn of(
    kind: &str,
    name: Option<String>,
    selects: LabelSelector,
) -> (Target, BTreeMap<String, String>) {
    let of = format!("{kind}/{}", name.unwrap_or_default());
    let labels = match selects.match_expressions {
        None => selects.match_labels.unwrap_or_default(),
        Some(_) => BTreeMap::new(),
    };
    let target = Target::Pods {
        of,
        labels: labels.clone(),
    };
    (target, labels)
}

/// The notebook behind a service.
fn by_service(
    service: Service,
    pods: &[Pod],
) -> Option<(LabelledNotebook, BTreeMap<String, String>)> {
    let spec = service.spec?;
    let labels = spec.selector.filter(|labels| !labels.is_empty())?;
    let ports = spec.ports.unwrap_or_default();
    let is_named = |port: &&ServicePort| {
        let name = port.name.as_deref().unwrap_or_default();
        PORT_NAMES.contains(&name)
    };
    let port = ports.iter().find(is_named).or(ports.first())?;
    let port = u16::try_from(port.port).ok()?;
    let target = Target::Service(service.metadata.name?);
    Some((notebook(target, Some(port), best(pods, &labels)), labels))
}

/// What is known of the notebook in `pod`; `port` is the service's.
fn notebook(target: Target, port: Option<u16>, pod: Option<&Pod>) -> LabelledNotebook {
    let of_pod = || {
        let pod = pod?;
        let named = PORT_NAMES.iter().find_map(|name| named(pod, name));
        u16::try_from(named?).ok()
    };
    let variables = pod
        .and_then(|pod| pod.spec.as_ref())
        .into_iter()
        .flat_map(|spec| &spec.containers)
        .flat_map(|container| container.env.iter().flatten());
    let mut prefixes = variables.filter(|variable| variable.name == "NB_PREFIX");
    let prefix = prefixes.next().and_then(|variable| variable.value.clone());
    LabelledNotebook {
        target,
        port: port.or_else(of_pod).unwrap_or(PORT),
        path: match prefix.unwrap_or_default().trim_matches('/') {
            "" => "/".to_owned(),
            prefix => format!("/{prefix}/"),
        },
        is_ready: pod.is_some_and(is_ready),
    }
}

/// A pod with these labels, one that is ready if there is one.
fn best<'a>(pods: &'a [Pod], labels: &BTreeMap<String, String>) -> Option<&'a Pod> {
    let mut all = pods
        .iter()
        .filter(|pod| !labels.is_empty() && has(pod, labels));
    let first = all.clone().next();
    all.find(|pod| is_ready(pod)).or(first)
}

/// Whether something that chooses by one of `known` stands for the pod.
fn is_known(pod: &Pod, known: &[BTreeMap<String, String>]) -> bool {
    known.iter().any(|labels| has(pod, labels))
}

fn has(pod: &Pod, labels: &BTreeMap<String, String>) -> bool {
    let Some(own) = &pod.metadata.labels else {
        return labels.is_empty();
    };
    labels
        .iter()
        .all(|(name, value)| own.get(name) == Some(value))
}
