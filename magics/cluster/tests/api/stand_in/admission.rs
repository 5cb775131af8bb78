//! What the stand-in refuses: fields that a kind does not have, pods that may become root.

use serde_json::{Value, json};

use super::transport::{Answer, Request, status};
use super::world::World;

/// What strict validation says of fields that the kind does not have.
pub(crate) fn strict(request: &Request, object: &Value) -> Option<Answer> {
    if request.query("fieldValidation") != Some("Strict") {
        return None;
    }
    let lost = mlk8s_cluster::manifest::typed::unknown_fields(object)?;
    let fields: Vec<String> = match lost {
        Ok(fields) => fields
            .into_iter()
            .map(|field| format!("unknown field \"{field}\""))
            .collect(),
        Err(why) => vec![why],
    };
    let said = format!("failed to create typed patch object: {}", fields.join(", "));
    (!fields.is_empty()).then(|| status(422, "Invalid", &said))
}

/// What admission refuses: pods that may become root, as a namespace with *restricted* pod security does it.
pub(crate) fn refuse(world: &World, namespace: &str, object: &Value) -> Option<Answer> {
    let level = world.get("namespaces", "", namespace)?["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone();
    let spec = &object["spec"]["template"]["spec"];
    if level != "restricted" || spec.is_null() || object["kind"] != "Job" {
        return None;
    }
    let pod = &spec["securityContext"];
    let is_right = |container: &Value| {
        let own = &container["securityContext"];
        own["allowPrivilegeEscalation"] == false && own["capabilities"]["drop"] == json!(["ALL"])
    };
    let containers = spec["containers"].as_array().unwrap();
    let well = pod["runAsNonRoot"] == true
        && pod["seccompProfile"]["type"] == "RuntimeDefault"
        && containers.iter().all(is_right);
    (!well).then(|| {
        status(403, "Forbidden", "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true")
    })
}
