//! Checks of manifests that need no cluster: fields, names that refer to something, selectors, ports, images, secrets.

mod pods;
mod services;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::ClusterError;
use crate::manifest::{Object, typed};

/// Something that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Kind and name of the object.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

/// An object that a person makes, because it must not or cannot stand in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Provided {
    /// `Secret`, `ConfigMap`, `PersistentVolumeClaim`, `ServiceAccount`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Its keys; empty where they are not said.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The command that makes it.
    #[serde(default)]
    pub made: String,
}

/// What a person makes, as `provided.yaml` in `manifests` lists it; nothing where there is no such file.
pub fn provided(manifests: &Path) -> Result<Vec<Provided>, ClusterError> {
    let path = manifests.join("provided.yaml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ClusterError::File { path, source }),
    };
    serde_saphyr::from_str(&text).map_err(|error| ClusterError::Damaged {
        what: path.display().to_string(),
        why: error.to_string(),
    })
}

/// Everything that is wrong with `objects`, which are applied together; `beside` and `provided` are there already.
pub fn check(objects: &[Object], beside: &[Object], provided: &[Provided]) -> Vec<Finding> {
    // What is applied again may differ, and then it counts.
    let again = |one: &&Object| !objects.iter().any(|object| object.title() == one.title());
    let all: Vec<&Object> = objects.iter().chain(beside.iter().filter(again)).collect();
    let render = Render {
        templates: all.iter().flat_map(|object| templates(object)).collect(),
        objects: all,
        provided,
    };
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for object in objects {
        let mut tell = |what: String| {
            findings.push(Finding {
                object: object.title(),
                what,
            });
        };
        if !names.insert((
            object.group(),
            object.kind(),
            object.namespace(),
            object.name(),
        )) {
            tell("is there twice".to_owned());
        }
        match typed::unknown_fields(&object.value) {
            Some(Ok(fields)) => fields
                .iter()
                .for_each(|field| tell(format!("has no field `{field}`"))),
            Some(Err(why)) => tell(format!("is no {}: {why}", object.kind())),
            None if typed::is_built_in(object.group()) => {
                tell(format!(
                    "`{}` of `{}` is not a kind that is known here",
                    object.kind(),
                    object.version()
                ));
            }
            None => {}
        }
        if object.kind() == "Secret" && has_content(&object.value) {
            tell("has a secret in it, which everybody reads who reads the repository".to_owned());
        }
        services::check(object, &render, &mut tell);
    }
    for template in objects.iter().flat_map(templates) {
        let template = &template;
        pods::check(template, &render, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

fn has_content(secret: &Value) -> bool {
    ["data", "stringData"]
        .iter()
        .any(|part| secret[part].as_object().is_some_and(|all| !all.is_empty()))
}

/// Objects that are applied together.
struct Render<'a> {
    objects: Vec<&'a Object>,
    provided: &'a [Provided],
    templates: Vec<Template<'a>>,
}

/// A pod in an object: its labels and its specification.
struct Template<'a> {
    object: &'a Object,
    labels: &'a Value,
    spec: &'a Value,
    /// Claims that a `StatefulSet` makes for each pod.
    claims: Vec<&'a str>,
}

impl<'a> Render<'a> {
    /// The object of that kind and name in `namespace`.
    fn find(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&'a Object> {
        let mut all = self.objects.iter().copied();
        all.find(|one| one.kind() == kind && one.name() == name && one.namespace() == namespace)
    }

    fn is_provided(&self, kind: &str, name: &str) -> Option<&'a Provided> {
        self.provided
            .iter()
            .find(|one| one.kind == kind && one.name == name)
    }
}

/// The pods in `object`, whatever its kind: wherever a `spec` has containers.
fn templates(object: &Object) -> Vec<Template<'_>> {
    let claims = object.value["spec"]["volumeClaimTemplates"].as_array();
    let claims: Vec<&str> = claims
        .into_iter()
        .flatten()
        .filter_map(|claim| claim["metadata"]["name"].as_str())
        .collect();
    let mut found = Vec::new();
    collect(object, &object.value, &claims, &mut found);
    found
}

fn collect<'a>(
    object: &'a Object,
    value: &'a Value,
    claims: &[&'a str],
    found: &mut Vec<Template<'a>>,
) {
    if value["spec"]["containers"].is_array() {
        found.push(Template {
            object,
            labels: &value["metadata"]["labels"],
            spec: &value["spec"],
            claims: claims.to_vec(),
        });
        return;
    }
    match value {
        Value::Object(all) => all
            .values()
            .for_each(|value| collect(object, value, claims, found)),
        Value::Array(all) => all
            .iter()
            .for_each(|value| collect(object, value, claims, found)),
        _ => {}
    }
}

/// Whether `labels` has all of `selector`.
fn matches(selector: &Value, labels: &Value) -> bool {
    selector
        .as_object()
        .is_some_and(|all| all.iter().all(|(name, value)| labels[name] == *value))
}
