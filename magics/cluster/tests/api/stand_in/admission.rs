//! What the stand-in refuses or warns of: fields that a kind does not have, pods that may become root.

use serde_json::{Value, json};

use super::transport::{Answer, Request, status};
use super::world::World;

/// What strict validation says of fields that the kind does not have; the real server calls that a fault of its own.
pub(crate) fn strict(request: &Request, object: &Value) -> Option<Answer> {
    if request.query("fieldValidation") != Some("Strict") {
        return None;
    }
    let lost = mlk8s_cluster::manifest::typed::unknown_fields(object)?;
    let why = match lost {
        Ok(fields) => format!(".{}: field not declared in schema", fields.first()?),
        Err(why) => why,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): {why}",
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
        text(&object["apiVersion"]),
        text(&object["kind"]),
    );
    Some(status(500, "InternalError", &said))
}

/// How the label `mode` has it, the pod security of `namespace` is broken by a pod of `spec`; nothing where it is kept.
pub(crate) fn violation(
    world: &World,
    namespace: &str,
    mode: &str,
    spec: &Value,
) -> Option<String> {
    let label = format!("pod-security.kubernetes.io/{mode}");
    let level = &world.get("namespaces", "", namespace)?["metadata"]["labels"][label];
    if level != "restricted" || !spec["containers"].is_array() {
        return None;
    }
    let pod = &spec["securityContext"];
    let is_right = |container: &Value| {
        let own = &container["securityContext"];
        own["allowPrivilegeEscalation"] == false && own["capabilities"]["drop"] == json!(["ALL"])
    };
    let containers = spec["containers"].as_array()?;
    let well = pod["runAsNonRoot"] == true
        && pod["seccompProfile"]["type"] == "RuntimeDefault"
        && containers.iter().all(is_right);
    (!well).then(|| "violate PodSecurity \"restricted:latest\": runAsNonRoot != true".to_owned())
}

/// What admission refuses: pods that may become root. What makes such pods is taken, with a [warning].
pub(crate) fn refuse(world: &World, namespace: &str, object: &Value) -> Option<Answer> {
    if object["kind"] != "Pod" {
        return None;
    }
    let broken = violation(world, namespace, "enforce", &object["spec"])?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let said = broken.replace("violate ", "violates ");
    let said = format!("pods \"{name}\" is forbidden: {said}");
    Some(status(403, "Forbidden", &said))
}

/// The warning with which something is taken that makes pods which will not be admitted.
pub(crate) fn warning(world: &World, namespace: &str, object: &Value) -> Option<String> {
    let spec = &object["spec"]["template"]["spec"];
    let broken = violation(world, namespace, "warn", spec)?;
    Some(format!("would {broken}"))
}
