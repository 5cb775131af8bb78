//! Asks the cluster for everything at once, and goes on where one thing is denied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::Utc;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1 as core;
use kube::Resource;
use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::asked::Asked;
use crate::cluster::{Cluster, Reach};
use crate::denied::Denied;
use crate::error::ClusterError;
use crate::inventory::custom::{self, Kind};
use crate::inventory::{
    Cut, Failed, Inventory, Node, Scope, node, own, pod, queue, service, volume,
};
use crate::requests::Listed;

impl Cluster {
    /// Everything that one may see, of the whole cluster or of `namespace`; `stop` is asked now and then.
    ///
    /// What is denied, missing or broken is an entry of the inventory. An error is what keeps all of it away: the server
    /// does not answer, or does not know who asks.
    pub fn inventory(
        &self,
        namespace: Option<&str>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Inventory, ClusterError> {
        let gathering = Gathering {
            reach: &self.reach,
            wanted: namespace,
            own: self.namespace(),
            remarks: Mutex::default(),
        };
        let mut seen = self.wait(stop, gathering.all())?;
        seen.context = self.context().map(str::to_owned);
        if let Some(files) = &self.pod {
            let mut own = own::read(files);
            own::complete(&mut own, &seen.pods);
            seen.own = Some(own);
        }
        Ok(seen)
    }
}

/// Lists that are being asked for.
struct Gathering<'a> {
    reach: &'a Reach,
    /// The namespace that was asked for; `None` for the whole cluster.
    wanted: Option<&'a str>,
    /// The namespace that is looked at where the whole cluster is denied.
    own: &'a str,
    remarks: Mutex<Remarks>,
}

/// What came, and what was not seen.
#[derive(Default)]
struct Remarks {
    read: BTreeSet<String>,
    denied: Vec<Denied>,
    failed: Vec<Failed>,
    absent: Vec<String>,
    cut: Vec<Cut>,
}

impl Gathering<'_> {
    async fn all(self) -> Result<Inventory, ClusterError> {
        let version = self.version().await?;
        let groups = self.groups().await?;
        let (nodes, pods, services, volumes, notebooks, clusters, serves, workloads) = tokio::try_join!(
            self.nodes(),
            self.built_in::<core::Pod, _>(pod::pod),
            self.built_in::<core::Service, _>(service::service),
            self.built_in::<core::PersistentVolumeClaim, _>(volume::volume),
            self.custom(&custom::NOTEBOOKS, groups.as_ref(), custom::notebook),
            self.custom(&custom::RAY_CLUSTERS, groups.as_ref(), custom::ray_cluster),
            self.custom(&custom::RAY_SERVICES, groups.as_ref(), custom::ray_service),
            self.custom(&custom::WORKLOADS, groups.as_ref(), queue::workload),
        )?;
        let mut remarks = self.remarks.into_inner();
        let pods_everywhere = remarks.denied.iter().all(|one| one.resource != "pods");
        let scope = match self.wanted {
            Some(namespace) => Scope::Namespace(namespace.to_owned()),
            None if pods_everywhere => Scope::Cluster,
            None => Scope::Namespace(self.own.to_owned()),
        };
        let mut seen = Inventory {
            server: self.reach.server.clone(),
            context: None,
            version,
            namespace: self.own.to_owned(),
            scope,
            at: Utc::now(),
            queue: queue::pods(&pods),
            nodes,
            pods,
            services,
            notebooks,
            rays: clusters.into_iter().chain(serves).collect(),
            volumes,
            own: None,
            read: std::mem::take(&mut remarks.read),
            denied: Vec::new(),
            failed: std::mem::take(&mut remarks.failed),
            absent: std::mem::take(&mut remarks.absent),
            cut: std::mem::take(&mut remarks.cut),
        };
        seen.queue.extend(workloads.into_iter().flatten());
        remarks
            .denied
            .sort_by(|a, b| (&a.resource, &a.namespace).cmp(&(&b.resource, &b.namespace)));
        seen.denied = remarks.denied;
        sort(&mut seen);
        node::charge(&mut seen.nodes, &seen.pods);
        Ok(seen)
    }

    /// The version of the server. It is told to everybody: what fails here fails everywhere.
    async fn version(&self) -> Result<String, ClusterError> {
        let asked = self.reach.asks("get", "", "version");
        let told = self
            .reach
            .ask(&asked, || self.reach.client.apiserver_version())
            .await;
        match told {
            Ok(told) => Ok(told.git_version),
            Err(error @ ClusterError::TimedOut { .. }) => Err(error),
            Err(error) if error.is_of_all() => Err(error),
            Err(_) => Ok(String::new()),
        }
    }

    /// The groups of custom objects that the cluster has, with their versions; `None` when it does not tell.
    async fn groups(&self) -> Result<Option<BTreeMap<String, Vec<String>>>, ClusterError> {
        let asked = self.reach.asks("get", "", "apis");
        match self
            .reach
            .ask(&asked, || self.reach.client.list_api_groups())
            .await
        {
            Ok(told) => {
                let versions =
                    |group: &k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup| {
                        group
                            .versions
                            .iter()
                            .map(|one| one.version.clone())
                            .collect()
                    };
                Ok(Some(
                    told.groups
                        .iter()
                        .map(|group| (group.name.clone(), versions(group)))
                        .collect(),
                ))
            }
            Err(error) if error.is_of_all() => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn nodes(&self) -> Result<Vec<Node>, ClusterError> {
        let api: Api<core::Node> = Api::all(self.reach.client.clone());
        let asked = self.reach.asks("list", "", "nodes");
        let listed = self.list(&api, &asked, node::node).await;
        Ok(self.kept(&asked, listed).await?.unwrap_or_default())
    }

    async fn built_in<K, T>(&self, keep: impl Fn(K) -> T) -> Result<Vec<T>, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let client = || self.reach.client.clone();
        let asked = self.reach.asks("list", &K::group(&()), &K::plural(&()));
        self.scoped(
            asked,
            |place| {
                place.map_or_else(
                    || Api::all(client()),
                    |name| Api::namespaced(client(), name),
                )
            },
            &keep,
        )
        .await
    }

    async fn custom<T>(
        &self,
        kind: &Kind,
        groups: Option<&BTreeMap<String, Vec<String>>>,
        keep: impl Fn(&Value) -> T,
    ) -> Result<Vec<T>, ClusterError> {
        let resource = match groups {
            Some(groups) => groups
                .get(kind.group)
                .and_then(|versions| kind.resource(versions)),
            None => kind.resource(&[kind.versions[0].to_owned()]),
        };
        let Some(resource) = resource else {
            self.remarks.lock().await.absent.push(kind.of.to_owned());
            return Ok(Vec::new());
        };
        let client = || self.reach.client.clone();
        let api = |place: Option<&str>| -> Api<DynamicObject> {
            place.map_or_else(
                || Api::all_with(client(), &resource),
                |name| Api::namespaced_with(client(), name, &resource),
            )
        };
        let asked = self.reach.asks("list", kind.group, kind.plural);
        let listed = self
            .scoped(asked, api, &|object| keep(&custom::value(object)))
            .await;
        match listed {
            Err(ClusterError::NotFound { .. }) => {
                self.remarks.lock().await.absent.push(kind.of.to_owned());
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// A list of what was asked for; where the whole cluster is denied, of the own namespace.
    async fn scoped<K, T>(
        &self,
        asked: Asked,
        api: impl Fn(Option<&str>) -> Api<K>,
        keep: &impl Fn(K) -> T,
    ) -> Result<Vec<T>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let places: &[Option<&str>] = match self.wanted {
            Some(namespace) => &[Some(namespace)],
            None => &[None, Some(self.own)],
        };
        for place in places {
            let asked = Asked {
                namespace: place.map(str::to_owned),
                ..asked.clone()
            };
            let listed = self.list(&api(*place), &asked, keep).await;
            if let Some(items) = self.kept(&asked, listed).await? {
                return Ok(items);
            }
        }
        Ok(Vec::new())
    }

    async fn list<K, T>(
        &self,
        api: &Api<K>,
        asked: &Asked,
        keep: impl Fn(K) -> T,
    ) -> Result<Listed<T>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        self.reach
            .list(api, &ListParams::default(), asked, keep)
            .await
    }

    /// What is kept of `listed`: its items; nothing where it is denied, which is remarked; no items where it failed.
    async fn kept<T>(
        &self,
        asked: &Asked,
        listed: Result<Listed<T>, ClusterError>,
    ) -> Result<Option<Vec<T>>, ClusterError> {
        let error = match listed {
            Ok(listed) => {
                let mut remarks = self.remarks.lock().await;
                remarks.read.insert(asked.resource.clone());
                if listed.is_cut {
                    remarks.cut.push(Cut {
                        what: asked.resource.clone(),
                        shown: listed.items.len(),
                    });
                }
                return Ok(Some(listed.items));
            }
            Err(error) => error,
        };
        match error {
            ClusterError::Forbidden(denied) => {
                self.remarks.lock().await.denied.push(denied);
                Ok(None)
            }
            error @ ClusterError::NotFound { .. } => Err(error),
            error if error.is_of_all() => Err(error),
            error => {
                let mut remarks = self.remarks.lock().await;
                remarks.failed.push(Failed {
                    resource: asked.resource.clone(),
                    what: asked.what(),
                    why: error.to_string(),
                });
                Ok(Some(Vec::new()))
            }
        }
    }
}

/// What comes from a server comes in any order.
fn sort(seen: &mut Inventory) {
    seen.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    seen.pods
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    seen.services
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    seen.volumes
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    seen.notebooks
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    seen.rays
        .sort_by(|a, b| (&a.namespace, &a.kind, &a.name).cmp(&(&b.namespace, &b.kind, &b.name)));
    seen.queue
        .sort_by(|a, b| (a.since, &a.namespace, &a.name).cmp(&(b.since, &b.namespace, &b.name)));
    seen.failed.sort_by(|a, b| a.what.cmp(&b.what));
    seen.absent.sort();
    seen.cut.sort_by(|a, b| a.what.cmp(&b.what));
}
