//! Which kinds the stand-in says that it has.

use serde_json::{Value, json};

use super::world::World;

/// The groups, with their versions.
pub(crate) fn groups(world: &World) -> Value {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in world.kinds.iter().filter(|kind| !kind.group.is_empty()) {
        match groups.iter_mut().find(|(name, _)| *name == kind.group) {
            Some((_, versions)) if !versions.contains(&kind.version) => versions.push(kind.version),
            Some(_) => {}
            None => groups.push((kind.group, vec![kind.version])),
        }
    }
    let version = |group: &str, version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let one = |(name, versions): &(&str, Vec<&str>)| {
        let all: Vec<Value> = versions.iter().map(|one| version(name, one)).collect();
        json!({"name": name, "versions": all, "preferredVersion": version(name, versions[0])})
    };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.iter().map(one).collect::<Vec<_>>()})
}

/// The kinds of one version of a group.
pub(crate) fn resources(world: &World, group: &str, version: &str) -> Value {
    let here = world
        .kinds
        .iter()
        .filter(|kind| kind.group == group && kind.version == version);
    let all: Vec<Value> = here
        .map(|kind| {
            json!({"name": kind.plural, "singularName": kind.name.to_lowercase(), "namespaced": kind.namespaced,
                "kind": kind.name, "verbs": ["create", "delete", "get", "list", "patch"]})
        })
        .collect();
    let name = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": all})
}
