//! What the stand-in does for each verb, as the API conventions of Kubernetes have it.

use serde_json::{Value, json};

use super::admission::{refuse, strict, warning};
use super::discovery;
use super::transport::{Answer, Request, status};
use super::world::{Kind, World};

/// A path below a group and version.
struct Target {
    kind: Kind,
    namespace: Option<String>,
    name: Option<String>,
}

pub(crate) fn answer(world: &mut World, request: &Request) -> Answer {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => ok(
            json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        ),
        ["apis"] => ok(discovery::groups(world)),
        ["api", "v1"] => ok(discovery::resources(world, "", "v1")),
        ["apis", group, version] => {
            let found = discovery::resources(world, group, version);
            if found["resources"].as_array().unwrap().is_empty() {
                return status(
                    404,
                    "NotFound",
                    "the server could not find the requested resource",
                );
            }
            ok(found)
        }
        ["api", "v1", rest @ ..] => object(world, request, "", "v1", rest),
        ["apis", group, version, rest @ ..] => object(world, request, group, version, rest),
        _ => status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
    }
}

fn ok(body: Value) -> Answer {
    Answer {
        code: 200,
        body,
        warnings: Vec::new(),
    }
}

fn object(
    world: &mut World,
    request: &Request,
    group: &str,
    version: &str,
    rest: &[&str],
) -> Answer {
    let (namespace, plural, name) = match rest {
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
        ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
        [plural] => (None, *plural, None),
        [plural, name] => (None, *plural, Some(*name)),
        _ => {
            return status(
                404,
                "NotFound",
                "the server could not find the requested resource",
            );
        }
    };
    let found = world
        .kinds
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural);
    let Some(kind) = found.cloned() else {
        return status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
    };
    let target = Target {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    let verb = match (request.method.as_str(), name.is_some()) {
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        _ => {
            return status(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            );
        }
    };
    if let Some(refused) = forbidden(world, verb, &target) {
        return refused;
    }
    match verb {
        "get" => get(world, &target),
        "list" => list(world, request, &target),
        "create" => create(world, request, &target),
        "patch" => patch(world, request, &target),
        _ => delete(world, &target),
    }
}

/// 403 as RBAC words it.
pub(crate) fn refusal(verb: &str, group: &str, plural: &str, namespace: Option<&str>) -> Answer {
    let place = match namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    status(
        403,
        "Forbidden",
        &format!(
            "{plural} is forbidden: User \"system:serviceaccount:anna:default-editor\" cannot {verb} resource \
             \"{plural}\" in API group \"{group}\" {place}"
        ),
    )
}

fn forbidden(world: &World, verb: &str, target: &Target) -> Option<Answer> {
    let plural = target.kind.plural;
    let hit = world
        .forbidden
        .iter()
        .any(|(what, which, place)| *what == verb && which == plural && *place == target.namespace);
    hit.then(|| refusal(verb, target.kind.group, plural, target.namespace.as_deref()))
}

fn key(target: &Target) -> (String, String, String) {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    (
        target.kind.plural.to_owned(),
        text(&target.namespace),
        text(&target.name),
    )
}

fn missing(target: &Target) -> Answer {
    let name = target.name.as_deref().unwrap_or_default();
    status(
        404,
        "NotFound",
        &format!("{} \"{name}\" not found", target.kind.plural),
    )
}

fn get(world: &mut World, target: &Target) -> Answer {
    if target.kind.name == "Job" {
        super::pods::go_on(
            world,
            target.namespace.as_deref().unwrap_or_default(),
            target.name.as_deref().unwrap_or_default(),
        );
    }
    world
        .objects
        .get(&key(target))
        .map_or_else(|| missing(target), |object| ok(object.clone()))
}

/// The pairs of a selector.
fn pairs(selector: Option<&str>) -> Vec<(&str, &str)> {
    selector
        .into_iter()
        .flat_map(|all| all.split(','))
        .filter_map(|one| one.split_once('='))
        .collect()
}

fn list(world: &World, request: &Request, target: &Target) -> Answer {
    let number = |name: &str| {
        request
            .query(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let labels = pairs(request.query("labelSelector"));
    let fields = pairs(request.query("fieldSelector"));
    let has = |object: &Value, path: &str, value: &str| {
        object
            .pointer(&format!("/{}", path.replace('.', "/")))
            .is_some_and(|found| *found == *value)
    };
    let chosen: Vec<&Value> = world
        .objects
        .iter()
        .filter(|((plural, namespace, _), _)| {
            plural == target.kind.plural
                && target.namespace.as_ref().is_none_or(|one| one == namespace)
        })
        .map(|(_, object)| object)
        .filter(|object| {
            labels
                .iter()
                .all(|(name, value)| object["metadata"]["labels"][name] == *value)
        })
        .filter(|object| fields.iter().all(|(path, value)| has(object, path, value)))
        .collect();
    let from = number("continue").unwrap_or(0);
    let limit = number("limit").unwrap_or(usize::MAX);
    let page: Vec<&Value> = chosen.iter().skip(from).take(limit).copied().collect();
    let mut meta = json!({"resourceVersion": world.version.to_string()});
    if from + page.len() < chosen.len() {
        meta["continue"] = json!((from + page.len()).to_string());
        meta["remainingItemCount"] = json!(chosen.len() - from - page.len());
    }
    let kind = &target.kind;
    let version = if kind.group.is_empty() {
        kind.version.to_owned()
    } else {
        format!("{}/{}", kind.group, kind.version)
    };
    ok(
        json!({"kind": format!("{}List", kind.name), "apiVersion": version, "metadata": meta, "items": page}),
    )
}

fn create(world: &mut World, request: &Request, target: &Target) -> Answer {
    let mut object: Value = serde_json::from_slice(&request.body).unwrap();
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let Some(refused) = refuse(
        world,
        target.namespace.as_deref().unwrap_or_default(),
        &object,
    )
    .or_else(|| strict(request, &object))
    {
        return refused;
    }
    let target = Target {
        kind: target.kind.clone(),
        namespace: target.namespace.clone(),
        name: Some(name.clone()),
    };
    if world.objects.contains_key(&key(&target)) {
        return status(
            409,
            "AlreadyExists",
            &format!("{} \"{name}\" already exists", target.kind.plural),
        );
    }
    if let Some(namespace) = &target.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    world.put(object);
    if target.kind.name == "Job" {
        super::pods::begin(
            world,
            target.namespace.as_deref().unwrap_or_default(),
            &name,
        );
    }
    Answer {
        code: 201,
        ..ok(world.objects[&key(&target)].clone())
    }
}

fn patch(world: &mut World, request: &Request, target: &Target) -> Answer {
    let Some("application/apply-patch+yaml") = request.header("content-type") else {
        return status(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
        );
    };
    let Some(manager) = request.query("fieldManager") else {
        return status(
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value",
        );
    };
    let patch: Value = serde_json::from_slice(&request.body).unwrap();
    if let Some(namespace) = &target.namespace
        && world.get("namespaces", "", namespace).is_none()
    {
        return status(
            404,
            "NotFound",
            &format!("namespaces \"{namespace}\" not found"),
        );
    }
    if let Some(refused) = strict(request, &patch) {
        return refused;
    }
    let live = world.objects.get(&key(target)).cloned();
    // Who applies what is not there has to create it.
    if let Some(refused) = forbidden(world, "create", target).filter(|_| live.is_none()) {
        return refused;
    }
    let place = target.namespace.as_deref().unwrap_or_default();
    if let Some(refused) = refuse(world, place, &patch) {
        return refused;
    }
    let warnings: Vec<String> = warning(world, place, &patch).into_iter().collect();
    let other = live
        .as_ref()
        .and_then(|live| live["metadata"]["managedFields"][0]["manager"].as_str());
    if let (Some(live), Some(other)) = (&live, other)
        && other != manager
        && request.query("force") != Some("true")
        && differs(live, &patch)
    {
        return conflict(other);
    }
    let is_new = live.is_none();
    let mut object = live.unwrap_or_else(|| json!({}));
    merge(&mut object, &patch);
    if let Some(namespace) = &target.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Apply"}]);
    defaults(&mut object);
    if request.query("dryRun") == Some("All") {
        object["metadata"]["resourceVersion"] = json!("dry");
        return Answer {
            warnings,
            ..ok(object)
        };
    }
    world.put(object);
    Answer {
        code: if is_new { 201 } else { 200 },
        warnings,
        ..ok(world.objects[&key(target)].clone())
    }
}

/// That fields belong to `other`.
fn conflict(other: &str) -> Answer {
    let with = format!("conflict with \"{other}\" using v1");
    let said = format!("Apply failed with 1 conflict: {with}: .spec");
    let mut answer = status(409, "Conflict", &said);
    let cause = json!({"reason": "FieldManagerConflict", "message": with, "field": ".spec"});
    answer.body["details"] = json!({"causes": [cause]});
    answer
}

/// Whether `patch` says anything else than `live` where both say something.
fn differs(live: &Value, patch: &Value) -> bool {
    match (live, patch) {
        (Value::Object(live), Value::Object(patch)) => patch
            .iter()
            .any(|(name, value)| live.get(name).is_some_and(|live| differs(live, value))),
        (live, patch) => live != patch,
    }
}

fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

/// What the server fills in.
fn defaults(object: &mut Value) {
    if object["kind"] == "Service" && object["spec"]["clusterIP"].is_null() {
        object["spec"]["clusterIP"] = json!("10.152.183.7");
    }
    if object["metadata"]["generation"].is_null() {
        object["metadata"]["generation"] = json!(1);
    }
}

fn delete(world: &mut World, target: &Target) -> Answer {
    let Some(gone) = world.objects.remove(&key(target)) else {
        return missing(target);
    };
    // What belongs to it goes with it, as the garbage collector has it.
    let uid = gone["metadata"]["uid"].clone();
    world.objects.retain(|_, object| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        !owners
            .into_iter()
            .flatten()
            .any(|owner| owner["uid"] == uid)
    });
    ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))
}
