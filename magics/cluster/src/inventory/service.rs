//! Services, and which of them speak the API of OpenAI.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;

use crate::inventory::{Port, Service};

/// The label by which a service says what it speaks; its value is `openai`.
pub(crate) const ENDPOINT_LABEL: &str = "mlk8s.dev/endpoint";
/// The annotation that names the base path where it is not `/v1`.
pub(crate) const PATH_NOTE: &str = "mlk8s.dev/base-path";
/// Names of ports that say it too.
const PORT_NAMES: [&str; 2] = ["openai", "http-openai"];
/// Servers that are known to speak it, by `app.kubernetes.io/name`.
const SERVERS: [&str; 6] = [
    "vllm",
    "mlk8s-worker",
    "llama-server",
    "ollama",
    "sglang",
    "tgi",
];
/// Labels in which installers write the name of a server.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

pub(crate) fn service(service: core::Service) -> Service {
    let meta = service.metadata;
    let spec = service.spec.unwrap_or_default();
    let labels = meta.labels.unwrap_or_default();
    let notes = meta.annotations.unwrap_or_default();
    let ports: Vec<Port> = spec
        .ports
        .into_iter()
        .flatten()
        .map(|port| Port {
            name: port.name.unwrap_or_default(),
            number: u16::try_from(port.port).unwrap_or_default(),
        })
        .collect();
    let speaking = speaking(&labels, &ports);
    let (namespace, name) = (
        meta.namespace.unwrap_or_default(),
        meta.name.unwrap_or_default(),
    );
    let url = speaking.or(ports.first()).map_or_else(String::new, |port| {
        format!("http://{name}.{namespace}.svc:{}", port.number)
    });
    // Anybody who may make a service writes this, and it is shown to be pasted.
    let is_path = |note: &&String| {
        note.chars()
            .all(|c| c.is_ascii_alphanumeric() || "._~/-".contains(c))
    };
    let path = notes.get(PATH_NOTE).filter(is_path);
    let path = path.map_or("/v1", String::as_str);
    Service {
        is_endpoint: speaking.is_some(),
        url: match speaking {
            Some(_) => format!("{url}/{}", path.trim_matches('/'))
                .trim_end_matches('/')
                .to_owned(),
            None => url,
        },
        selector: spec.selector.unwrap_or_default(),
        ports,
        namespace,
        name,
    }
}

/// The port that speaks the API of OpenAI.
fn speaking<'a>(labels: &BTreeMap<String, String>, ports: &'a [Port]) -> Option<&'a Port> {
    let by_name = ports
        .iter()
        .find(|port| PORT_NAMES.contains(&port.name.as_str()));
    let told = labels.get(ENDPOINT_LABEL).map(String::as_str);
    let is_server = NAME_LABELS
        .iter()
        .filter_map(|label| labels.get(*label))
        .any(|name| SERVERS.contains(&name.as_str()));
    let by_label = match told {
        Some(told) => told == "openai",
        None => is_server,
    };
    // Of several ports the one for metrics is not meant.
    let first = ports.iter().find(|port| !port.name.contains("metrics"));
    by_name.or_else(|| first.filter(|_| by_label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Service {
        service(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn an_endpoint_says_so_by_its_label_its_port_or_its_program() {
        let ports = json!([{"name": "metrics", "port": 9000}, {"name": "http", "port": 8000}]);
        let with = |labels: serde_json::Value, ports: &serde_json::Value| {
            read(
                json!({"metadata": {"name": "llm", "namespace": "ml", "labels": labels}, "spec": {"ports": ports}}),
            )
        };
        let labelled = with(json!({"mlk8s.dev/endpoint": "openai"}), &ports);
        assert_eq!(labelled.url, "http://llm.ml.svc:8000/v1");
        assert!(with(json!({"app.kubernetes.io/name": "vllm"}), &ports).is_endpoint);
        assert!(with(json!({}), &json!([{"name": "openai", "port": 80}])).is_endpoint);
        assert!(!with(json!({}), &ports).is_endpoint);
        // What is labelled as something else is not guessed at.
        let other = json!({"app.kubernetes.io/name": "vllm", "mlk8s.dev/endpoint": "none"});
        assert!(!with(other, &ports).is_endpoint);
    }

    #[test]
    fn the_base_path_is_the_one_of_the_annotation() {
        let kserve = read(json!({
            "metadata": {"name": "qwen", "namespace": "ml", "labels": {"mlk8s.dev/endpoint": "openai"},
                "annotations": {"mlk8s.dev/base-path": "/openai/v1/"}},
            "spec": {"ports": [{"port": 80}]},
        }));
        assert_eq!(kserve.url, "http://qwen.ml.svc:80/openai/v1");
    }
}
