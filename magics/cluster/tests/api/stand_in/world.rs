//! The objects of the stand-in, who may see them, and what goes wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Everything that the stand-in knows.
pub(crate) struct World {
    /// Kinds that are served.
    pub(crate) kinds: Vec<Kind>,
    /// Objects by plural name, namespace and name.
    pub(crate) objects: BTreeMap<(String, String, String), Value>,
    /// The only token that is good; `None` for no check.
    pub(crate) token: Option<&'static str>,
    /// What is forbidden: verb, plural, and the namespace or `None` for the whole cluster.
    pub(crate) forbidden: Vec<(&'static str, String, Option<String>)>,
    /// What goes wrong where a request begins so; each so often.
    pub(crate) faults: Vec<(String, Fault, usize)>,
    /// First lines of all requests.
    pub(crate) asked: Vec<String>,
    /// What pods write.
    pub(crate) logs: BTreeMap<String, Vec<String>>,
    /// How jobs go.
    pub(crate) job: JobScript,
    /// Counts up with each change.
    pub(crate) version: u64,
}

/// A kind that is served.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) name: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespaced: bool,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing is ever said.
    Hang,
    /// The connection ends.
    Close,
    /// A status with a message.
    Status(u16, String),
    /// Too much is asked, and this is how many seconds to wait.
    Busy(u32),
}

/// How jobs go: what their pods write, and how they end.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobScript {
    /// Lines of the log; `{uid}` stands for the uid of the pod.
    pub(crate) lines: Vec<String>,
    /// Exit code.
    pub(crate) code: i64,
    /// The pod never finds a machine, with these words.
    pub(crate) stuck: Option<String>,
}

/// Group, version, kind, plural, and whether it is in namespaces.
const KINDS: [(&str, &str, &str, &str, bool); 21] = [
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Node", "nodes", false),
    ("", "v1", "Pod", "pods", true),
    ("", "v1", "Event", "events", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("", "v1", "LimitRange", "limitranges", true),
    (
        "",
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        true,
    ),
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "StatefulSet", "statefulsets", true),
    ("apps", "v1", "DaemonSet", "daemonsets", true),
    ("batch", "v1", "Job", "jobs", true),
    ("batch", "v1", "CronJob", "cronjobs", true),
    (
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
        true,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
        false,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
];

impl World {
    /// A cluster without anything in it.
    pub(crate) fn empty() -> World {
        let kind = |&(group, version, kind, plural, namespaced)| Kind {
            group,
            version,
            name: kind,
            plural,
            namespaced,
        };
        let mut world = World {
            kinds: KINDS.iter().map(kind).collect(),
            objects: BTreeMap::new(),
            token: Some(super::TOKEN),
            forbidden: Vec::new(),
            faults: Vec::new(),
            asked: Vec::new(),
            logs: BTreeMap::new(),
            job: JobScript::default(),
            version: 1,
        };
        for name in ["default", "kube-system", "anna"] {
            world.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        world
    }

    /// Serves one more kind of custom objects.
    pub(crate) fn with_kind(
        mut self,
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> World {
        self.kinds.push(Kind {
            group,
            version,
            name: kind,
            plural,
            namespaced: true,
        });
        self
    }

    /// Puts `object` there, without a question.
    pub(crate) fn put(&mut self, mut object: Value) {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let plural = self
            .kinds
            .iter()
            .find(|one| one.name == kind)
            .unwrap()
            .plural;
        self.version += 1;
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(self.version.to_string());
        if meta["uid"].is_null() {
            meta["uid"] = json!(format!("uid-{}", self.version));
        }
        if meta["creationTimestamp"].is_null() {
            meta["creationTimestamp"] = json!("2026-11-25T10:00:00Z");
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (
            plural.to_owned(),
            text(&meta["namespace"]),
            text(&meta["name"]),
        );
        self.objects.insert(key, object);
    }

    pub(crate) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects
            .get(&(plural.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// Forbids to list `plural` in the whole cluster, and in `namespace` too if one is named.
    pub(crate) fn forbid(&mut self, verb: &'static str, plural: &str, namespace: Option<&str>) {
        self.forbidden.push((verb, plural.to_owned(), None));
        if let Some(namespace) = namespace {
            self.forbidden
                .push((verb, plural.to_owned(), Some(namespace.to_owned())));
        }
    }

    /// Makes requests that begin with `line` go wrong, `times` times.
    pub(crate) fn fail(&mut self, line: &str, fault: Fault, times: usize) {
        self.faults.push((line.to_owned(), fault, times));
    }

    pub(crate) fn fault(&mut self, line: &str) -> Option<Fault> {
        let found = self
            .faults
            .iter_mut()
            .find(|(start, _, left)| *left > 0 && line.starts_with(start.as_str()))?;
        found.2 -= 1;
        Some(found.1.clone())
    }
}
