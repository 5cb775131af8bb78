//! Checks of what finds pods: selectors of workloads, services, monitors; backends; rights that are bound.

use serde_json::Value;

use super::pods::items;
use super::{Render, Template, matches};
use crate::manifest::Object;

/// Labels that operators give to the pods that they make; a selector with one of them cannot be checked here.
const BY_OPERATORS: [&str; 6] = [
    "ray.io/cluster",
    "ray.io/node-type",
    "ray.io/is-ray-node",
    "notebook-name",
    "statefulset",
    "serving.kserve.io/inferenceservice",
];
/// Beginnings of the names of roles that every cluster, or Kubeflow, has.
const KNOWN_ROLES: [&str; 6] = [
    "view",
    "edit",
    "admin",
    "cluster-admin",
    "system:",
    "kubeflow-",
];

pub(super) fn check(object: &Object, render: &Render<'_>, tell: &mut dyn FnMut(String)) {
    let value = &object.value;
    match object.kind() {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            let selector = &value["spec"]["selector"]["matchLabels"];
            if !matches(selector, &value["spec"]["template"]["metadata"]["labels"]) {
                tell("selects pods by labels that its own do not have".to_owned());
            }
        }
        "Service" => service(object, render, tell),
        "ServiceMonitor" => monitor(object, render, tell),
        "Ingress" => {
            for path in
                items(&value["spec"]["rules"]).flat_map(|rule| items(&rule["http"]["paths"]))
            {
                backend(object, &path["backend"]["service"], render, tell);
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(object, render, tell),
        _ => {}
    }
    if object.kind() == "StatefulSet"
        && let Some(name) = value["spec"]["serviceName"]
            .as_str()
            .filter(|name| !name.is_empty())
        && render.find("Service", object.namespace(), name).is_none()
    {
        tell(format!("names Service `{name}`, which is not here"));
    }
}

/// The pods that `selector` finds beside `object`; `None` where an operator makes them.
fn found<'a>(
    object: &Object,
    selector: &Value,
    render: &'a Render<'_>,
) -> Option<Vec<&'a Template<'a>>> {
    let names = selector.as_object()?;
    if names.is_empty()
        || names
            .keys()
            .any(|name| BY_OPERATORS.contains(&name.as_str()))
    {
        return None;
    }
    let here = render
        .templates
        .iter()
        .filter(|one| one.object.namespace() == object.namespace());
    Some(here.filter(|one| matches(selector, one.labels)).collect())
}

fn service(object: &Object, render: &Render<'_>, tell: &mut dyn FnMut(String)) {
    let Some(pods) = found(object, &object.value["spec"]["selector"], render) else {
        return;
    };
    if pods.is_empty() {
        return tell("selects no pod that is here".to_owned());
    }
    for port in items(&object.value["spec"]["ports"]) {
        let target = if port["targetPort"].is_null() {
            &port["port"]
        } else {
            &port["targetPort"]
        };
        let has = |container: &Value| {
            items(&container["ports"])
                .any(|one| one["name"] == *target || one["containerPort"] == *target)
        };
        let containers: Vec<&Value> = pods
            .iter()
            .flat_map(|pod| items(&pod.spec["containers"]))
            .collect();
        // Ports of containers are only for people to read; a name must be there, a number is trusted where none is said.
        let says_none = target.is_number()
            && containers
                .iter()
                .all(|one| items(&one["ports"]).next().is_none());
        if !says_none && !containers.into_iter().any(has) {
            tell(format!(
                "reaches port {target}, which no container of its pods has"
            ));
        }
    }
}

fn monitor(object: &Object, render: &Render<'_>, tell: &mut dyn FnMut(String)) {
    let selector = &object.value["spec"]["selector"]["matchLabels"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let mut places: Vec<&str> = items(&object.value["spec"]["namespaceSelector"]["matchNames"])
        .filter_map(Value::as_str)
        .collect();
    if places.is_empty() {
        places.extend(object.namespace());
    }
    let is_there = |one: &Object| one.namespace().is_some_and(|place| places.contains(&place));
    if !render.objects.iter().any(|one| is_there(one)) {
        // What others have installed is theirs.
        return;
    }
    let is_seen = |one: &&&Object| {
        one.kind() == "Service"
            && is_there(one)
            && matches(selector, &one.value["metadata"]["labels"])
    };
    let services: Vec<&&Object> = render.objects.iter().filter(is_seen).collect();
    if services.is_empty() {
        return tell("watches no Service that is here".to_owned());
    }
    for endpoint in items(&object.value["spec"]["endpoints"]) {
        let Some(port) = endpoint["port"].as_str() else {
            continue;
        };
        if !services
            .iter()
            .any(|one| items(&one.value["spec"]["ports"]).any(|has| has["name"] == port))
        {
            tell(format!(
                "watches port `{port}`, which no Service has that it selects"
            ));
        }
    }
}

fn backend(object: &Object, service: &Value, render: &Render<'_>, tell: &mut dyn FnMut(String)) {
    let Some(name) = service["name"].as_str() else {
        return;
    };
    let Some(found) = render.find("Service", object.namespace(), name) else {
        return tell(format!("leads to Service `{name}`, which is not here"));
    };
    let port = &service["port"];
    let has = |one: &Value| one["name"] == port["name"] || one["port"] == port["number"];
    if !items(&found.value["spec"]["ports"]).any(has) {
        tell(format!(
            "leads to a port that Service `{name}` does not have"
        ));
    }
}

fn binding(object: &Object, render: &Render<'_>, tell: &mut dyn FnMut(String)) {
    let role = &object.value["roleRef"];
    let (kind, name) = (
        role["kind"].as_str().unwrap_or_default(),
        role["name"].as_str().unwrap_or_default(),
    );
    let place = object.namespace().filter(|_| kind == "Role");
    let is_known = kind == "ClusterRole"
        && KNOWN_ROLES
            .iter()
            .any(|known| name == *known || known.ends_with([':', '-']) && name.starts_with(known));
    if !is_known && render.find(kind, place, name).is_none() {
        tell(format!("binds {kind} `{name}`, which is not here"));
    }
    for subject in items(&object.value["subjects"]).filter(|one| one["kind"] == "ServiceAccount") {
        let name = subject["name"].as_str().unwrap_or_default();
        let is_there = render
            .find(
                "ServiceAccount",
                subject["namespace"].as_str().or(object.namespace()),
                name,
            )
            .is_some()
            || render.is_provided("ServiceAccount", name).is_some();
        if !is_there && name != "default" {
            tell(format!("is for ServiceAccount `{name}`, which is not here"));
        }
    }
}
