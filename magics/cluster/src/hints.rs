//! What to type next when a server will not have an object, by the words in which it says so.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use crate::asked::Asked;

/// Letters of one value in a refusal that are shown.
const VALUE: usize = 60;

/// Words of a refusal, and what helps; `NAMESPACE`, `RESOURCE` and `NAME` stand for those of the object.
const HINTS: [(&str, &str); 12] = [
    (
        "violates PodSecurity",
        "`kubectl get namespace NAMESPACE --show-labels` shows the standard that pods have to keep there; \
         `cargo devbox cluster check` tries it without a cluster",
    ),
    (
        "quota: ",
        "`kubectl -n NAMESPACE describe quota` shows what is taken and how much there may be",
    ),
    (
        " usage per ",
        "`kubectl -n NAMESPACE describe limitrange` shows how much one may ask for",
    ),
    (
        "failed calling webhook",
        "the server of that webhook does not answer: do its pods run? \
         `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` lists them; then the same again",
    ),
    (
        "does not support dry run",
        "that webhook keeps everything from being tried: `kubectl apply --server-side -k FOLDER` does it without a trial",
    ),
    (
        "denied request",
        "that is a rule of this cluster: `kubectl get validatingadmissionpolicies` lists them; who runs it can say more",
    ),
    (
        "denied the request",
        "that is a rule of this cluster, not of Kubernetes: who runs it can say more",
    ),
    (
        "because it is being terminated",
        "wait until it is gone: `kubectl wait --for=delete namespace/NAMESPACE --timeout=10m`; then the same again",
    ),
    (
        "field not declared in schema",
        "correct its name or take it out; `cargo devbox cluster check` finds such fields without a cluster",
    ),
    (
        "PersistentVolumeClaim \"",
        "a claim keeps what it was made with: give this one another name, or take the other fields from the one that is there",
    ),
    (
        "field is immutable",
        "that cannot be changed: `kubectl -n NAMESPACE delete RESOURCE NAME` takes away what is there, then the same again",
    ),
    (
        ": Forbidden: ",
        "where it is there already and that cannot be changed: `kubectl -n NAMESPACE delete RESOURCE NAME` takes away what is \
         there (a StatefulSet leaves its volumes), then the same again",
    ),
];

/// What to type next, after the server would not have what was `asked` and `said` why; empty where that is not known.
pub(crate) fn of_refusal(asked: &Asked, said: &str) -> String {
    let found = HINTS.iter().find(|(words, _)| said.contains(words));
    let Some((_, hint)) = found else {
        return String::new();
    };
    let hint = match &asked.namespace {
        Some(namespace) => hint.replace("NAMESPACE", namespace),
        None => hint.replace("-n NAMESPACE ", ""),
    };
    let name = asked.name.as_deref().unwrap_or("NAME");
    hint.replace("RESOURCE", &asked.resource)
        .replace("NAME", name)
}

/// `said` without the whole objects that a server quotes where one field of them is wrong.
pub(crate) fn shortened(said: &str) -> String {
    const BEFORE: &str = "Invalid value: ";
    let mut short = String::new();
    let mut left = said;
    while let Some((before, after)) = left.split_once(BEFORE) {
        short.push_str(before);
        short.push_str(BEFORE);
        // What is wrong with a value stands behind it.
        let end = object_end(after);
        let value = &after[..end];
        match value.char_indices().nth(VALUE) {
            Some((cut, _)) => {
                short.push_str(&value[..cut]);
                short.push('…');
            }
            None => short.push_str(value),
        }
        left = &after[end..];
    }
    short + left
}

/// Where the object or list ends with which `text` begins; 0 where it begins with none.
fn object_end(text: &str) -> usize {
    if !text.starts_with(['{', '[']) {
        return 0;
    }
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(namespace: Option<&str>) -> Asked {
        Asked {
            server: String::new(),
            verb: "patch",
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: namespace.map(str::to_owned),
            name: Some("night".to_owned()),
            from_pod: false,
        }
    }

    #[test]
    fn a_hint_names_what_it_is_about() {
        let said =
            "Job.batch \"night\" is invalid: spec.template: Invalid value: {}: field is immutable";
        let hint = of_refusal(&asked(Some("ml")), said);
        assert!(hint.contains("`kubectl -n ml delete jobs night`"), "{hint}");
        let hint = of_refusal(&asked(None), said);
        assert!(hint.contains("`kubectl delete jobs night`"), "{hint}");
        assert_eq!(of_refusal(&asked(None), "no"), "");
    }

    #[test]
    fn whole_objects_are_not_shown() {
        let value = format!("{{\"labels\":{{\"a\":\"{}\"}}}}", "x".repeat(100));
        let said = format!("spec.template: Invalid value: {value}: field is immutable");
        let short = shortened(&said);
        assert!(
            short.len() < 150 && short.ends_with("…: field is immutable"),
            "{short}"
        );
        // Each object has its own reason, and what stands in one is none.
        let value = value.replace("xxx", "}: x");
        let said = format!(
            "[spec.a: Invalid value: {value}: is wrong, spec.b: Invalid value: [{value}]: is not allowed]"
        );
        let short = shortened(&said);
        assert!(
            short.len() < 250
                && short.contains("…: is wrong, spec.b: Invalid value: [{")
                && short.ends_with("…: is not allowed]"),
            "{short}"
        );
        let said =
            "spec.a: Invalid value: \"B\": must be lower case, spec.b: Invalid value: 3: too big";
        assert_eq!(shortened(said), said);
        let said = "spec.a: Invalid value: {cut off: and more";
        assert_eq!(shortened(said), said);
    }
}
