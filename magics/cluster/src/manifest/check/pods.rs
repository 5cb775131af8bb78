//! Checks of pods: images, what they refer to, what they say that nobody should read.

use serde_json::Value;

use super::{Finding, Render, Template};

/// Ends of names of variables that hold secrets.
const SECRET_WORDS: [&str; 6] = [
    "PASSWORD",
    "PASS",
    "TOKEN",
    "SECRET",
    "API_KEY",
    "SECRET_KEY",
];

pub(super) fn check(template: &Template<'_>, render: &Render<'_>, findings: &mut Vec<Finding>) {
    let mut tell = |what: String| {
        findings.push(Finding {
            object: template.object.title(),
            what,
        });
    };
    let spec = template.spec;
    let reference = Reference { template, render };
    if let Some(account) = spec["serviceAccountName"]
        .as_str()
        .filter(|name| *name != "default")
    {
        reference.check("ServiceAccount", account, None, &mut tell);
    }
    for secret in items(&spec["imagePullSecrets"]) {
        reference.named("Secret", secret, "name", &mut tell);
    }
    for volume in items(&spec["volumes"]) {
        reference.source(volume, &mut tell);
        items(&volume["projected"]["sources"])
            .for_each(|source| reference.source(source, &mut tell));
    }
    let volumes: Vec<&str> = items(&spec["volumes"])
        .filter_map(|one| one["name"].as_str())
        .collect();
    for container in items(&spec["initContainers"]).chain(items(&spec["containers"])) {
        let name = container["name"].as_str().unwrap_or_default();
        if let Some(why) = container["image"]
            .as_str()
            .map_or(Some("no image"), unpinned)
        {
            tell(format!(
                "container `{name}` has {why}: `{}`",
                container["image"].as_str().unwrap_or_default()
            ));
        }
        for mount in items(&container["volumeMounts"]) {
            let volume = mount["name"].as_str().unwrap_or_default();
            if !volumes.contains(&volume) && !template.claims.contains(&volume) {
                tell(format!(
                    "container `{name}` mounts `{volume}`, which is no volume of its pod"
                ));
            }
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            for way in ["httpGet", "tcpSocket"] {
                if let Some(port) = container[probe][way]["port"].as_str()
                    && !items(&container["ports"]).any(|one| one["name"] == port)
                {
                    tell(format!(
                        "`{probe}` of container `{name}` asks port `{port}`, which it does not have"
                    ));
                }
            }
        }
        reference.environment(container, &mut tell);
    }
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What is wrong with an image that is not pinned.
fn unpinned(image: &str) -> Option<&'static str> {
    if image.contains('@') {
        return None;
    }
    match image.rsplit('/').next().unwrap_or_default().split_once(':') {
        None => Some("an image without a tag"),
        Some((_, "latest")) => Some("the image of whatever is latest"),
        Some((_, "")) => Some("an image with an empty tag"),
        Some(_) => None,
    }
}

/// The name of a variable that says a secret.
fn secret_in(variable: &Value) -> Option<&str> {
    let name = variable["name"].as_str()?;
    let value = variable["value"].as_str()?;
    let upper = name.to_uppercase();
    let is_secret = SECRET_WORDS
        .iter()
        .any(|word| upper == *word || upper.ends_with(&format!("_{word}")));
    // A reference to another variable, a path and nothing are no secrets.
    let is_said = !value.is_empty() && !value.starts_with("$(") && !value.starts_with('/');
    (is_secret && is_said).then_some(name)
}

/// Names in a pod that refer to other objects.
struct Reference<'a> {
    template: &'a Template<'a>,
    render: &'a Render<'a>,
}

impl Reference<'_> {
    fn environment(&self, container: &Value, tell: &mut dyn FnMut(String)) {
        let name = container["name"].as_str().unwrap_or_default();
        for source in items(&container["envFrom"]) {
            self.named("Secret", &source["secretRef"], "name", tell);
            self.named("ConfigMap", &source["configMapRef"], "name", tell);
        }
        for variable in items(&container["env"]) {
            self.keyed("Secret", &variable["valueFrom"]["secretKeyRef"], tell);
            self.keyed("ConfigMap", &variable["valueFrom"]["configMapKeyRef"], tell);
            if let Some(what) = secret_in(variable) {
                tell(format!(
                    "container `{name}` has a secret in the open: variable `{what}`"
                ));
            }
        }
    }

    fn source(&self, volume: &Value, tell: &mut dyn FnMut(String)) {
        self.named(
            "Secret",
            &volume["secret"],
            if volume["secret"]["secretName"].is_null() {
                "name"
            } else {
                "secretName"
            },
            tell,
        );
        self.named("ConfigMap", &volume["configMap"], "name", tell);
        self.named(
            "PersistentVolumeClaim",
            &volume["persistentVolumeClaim"],
            "claimName",
            tell,
        );
    }

    fn named(&self, kind: &str, source: &Value, field: &str, tell: &mut dyn FnMut(String)) {
        if let Some(name) = source[field]
            .as_str()
            .filter(|_| source["optional"] != true)
        {
            self.check(kind, name, None, tell);
        }
    }

    fn keyed(&self, kind: &str, source: &Value, tell: &mut dyn FnMut(String)) {
        if let Some(name) = source["name"]
            .as_str()
            .filter(|_| source["optional"] != true)
        {
            self.check(kind, name, source["key"].as_str(), tell);
        }
    }

    /// The object must be in the render, in the same namespace, or be made by a person; so must its key.
    fn check(&self, kind: &str, name: &str, key: Option<&str>, tell: &mut dyn FnMut(String)) {
        let namespace = self.template.object.namespace();
        let keys: Vec<&str> = if let Some(found) = self.render.find(kind, namespace, name) {
            let parts = ["data", "stringData", "binaryData"];
            parts
                .iter()
                .filter_map(|part| found.value[part].as_object())
                .flat_map(|all| all.keys().map(String::as_str))
                .collect()
        } else if let Some(provided) = self.render.is_provided(kind, name) {
            provided.keys.iter().map(String::as_str).collect()
        } else {
            return tell(format!(
                "refers to {kind} `{name}`, which is neither here nor in `provided.yaml`"
            ));
        };
        if let Some(key) = key.filter(|key| !keys.is_empty() && !keys.contains(key)) {
            tell(format!(
                "refers to key `{key}` of {kind} `{name}`, which has {}",
                keys.join(", ")
            ));
        }
    }
}
