//! Manifests: read, checked, applied, looked after.

pub mod apply;
pub mod check;
pub mod render;
pub mod typed;

use serde_json::Value;

use crate::cluster::input;
use crate::error::ClusterError;

/// One object of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The object as JSON.
    pub value: Value,
}

/// The objects in `text`, which is YAML with any number of documents; `name` says whose it is.
pub fn read(text: &str, name: &str) -> Result<Vec<Object>, ClusterError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        input(
            format!("`{name}` is no YAML: {error}"),
            "the line is in the message",
        )
    })?;
    let mut objects = Vec::new();
    for value in documents.into_iter().filter(|value| !value.is_null()) {
        // A list of objects is what `kubectl get -o yaml` writes.
        match value["items"]
            .as_array()
            .filter(|_| value["kind"] == "List")
        {
            Some(items) => objects.extend(items.iter().cloned().map(|value| Object { value })),
            None => objects.push(Object { value }),
        }
    }
    match objects
        .iter()
        .find(|one| one.kind().is_empty() || one.version().is_empty() || one.name().is_empty())
    {
        None => Ok(objects),
        Some(_) => Err(input(
            format!("a document in `{name}` has no `apiVersion`, `kind` or `metadata.name`"),
            "every object of Kubernetes has all three",
        )),
    }
}

impl Object {
    /// `apiVersion`, such as `apps/v1`.
    pub fn version(&self) -> &str {
        self.value["apiVersion"].as_str().unwrap_or_default()
    }

    /// Group of `apiVersion`; empty for the core.
    pub fn group(&self) -> &str {
        self.version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Namespace, where it names one.
    pub fn namespace(&self) -> Option<&str> {
        self.value["metadata"]["namespace"].as_str()
    }

    /// Kind and name, as kubectl writes them.
    pub fn title(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }
}
