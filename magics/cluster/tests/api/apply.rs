//! Manifests that are applied, to the stand-in and to a real cluster.

use expect_test::expect;
use mlk8s_cluster::cluster::{Cluster, Place};
use mlk8s_cluster::manifest::apply::{Applied, Change, How};
use mlk8s_cluster::manifest::{self, Object};
use serde_json::json;

use crate::stand_in::world::World;
use crate::stand_in::{StandIn, go_on};

pub(crate) const ENDPOINT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm, namespace: ml}
spec:
  selector: {matchLabels: {app: llm}}
  template:
    metadata: {labels: {app: llm}}
    spec:
      containers:
      - name: llm
        image: vllm/vllm-openai:v0.33.0
        resources: {limits: {nvidia.com/gpu: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: llm, namespace: ml}
spec:
  selector: {app: llm}
  ports: [{name: openai, port: 8000}]
---
apiVersion: v1
kind: Namespace
metadata: {name: ml}
";

pub(crate) fn objects(text: &str) -> Vec<Object> {
    manifest::read(text, "test").unwrap()
}

pub(crate) fn shown(applied: &Applied) -> String {
    let mut lines: Vec<String> = applied
        .steps
        .iter()
        .map(|step| match &step.change {
            Change::Changed(fields) => format!("~ {} {}", step.object, fields.join("; ")),
            other => format!("{other:?} {}", step.object),
        })
        .collect();
    lines.extend(
        applied
            .refused
            .iter()
            .map(|one| format!("! {}: {}", one.object, one.why)),
    );
    lines.push(format!("made {}", applied.made.len()));
    lines.join("\n")
}

#[test]
fn what_is_new_is_tried_and_then_made_in_order() {
    let server = StandIn::start(World::empty());
    let cluster = server.connect();
    let all = objects(ENDPOINT);
    let applied = cluster.apply(&all, How::default(), &go_on).unwrap();
    expect![[r"
        Created Namespace ml
        Created Service ml/llm
        Created Deployment ml/llm
        made 3"]]
    .assert_eq(&shown(&applied));
    // Each was tried before any but its namespace was made.
    let patches: Vec<String> = server
        .world()
        .asked
        .iter()
        .filter(|line| line.starts_with("PATCH"))
        .map(|line| {
            let (path, query) = line.split_once('?').unwrap();
            let dry = if query.contains("dryRun=All") {
                "try"
            } else {
                "do"
            };
            assert!(
                query.contains("fieldManager=kubectl") && query.contains("fieldValidation=Strict"),
                "{query}"
            );
            format!(
                "{dry} {}",
                path.rsplit_once('/').unwrap().0.rsplit('/').next().unwrap()
            )
        })
        .collect();
    assert_eq!(
        patches,
        [
            "try namespaces",
            "do namespaces",
            "try services",
            "try deployments",
            "do services",
            "do deployments"
        ]
    );

    let again = cluster.apply(&all, How::default(), &go_on).unwrap();
    expect![[r"
        Unchanged Namespace ml
        Unchanged Service ml/llm
        Unchanged Deployment ml/llm
        made 3"]]
    .assert_eq(&shown(&again));
}

#[test]
fn what_changes_is_told_field_by_field() {
    let server = StandIn::start(World::empty());
    let cluster = server.connect();
    cluster
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    let newer = objects(&ENDPOINT.replace("v0.33.0", "v0.34.0"));
    let changed = cluster
        .apply(
            &newer,
            How {
                dry_run: true,
                ..How::default()
            },
            &go_on,
        )
        .unwrap();
    expect![[r"
        Unchanged Namespace ml
        Unchanged Service ml/llm
        ~ Deployment ml/llm spec.template.spec.containers[0].image: vllm/vllm-openai:v0.33.0 → vllm/vllm-openai:v0.34.0
        made 0"]]
    .assert_eq(&shown(&changed));
    let image = server.world().get("deployments", "ml", "llm").unwrap()["spec"]["template"]["spec"]
        ["containers"][0]["image"]
        .clone();
    assert_eq!(image, "vllm/vllm-openai:v0.33.0");
}

#[test]
fn one_object_that_the_cluster_will_not_have_stops_all() {
    let mut world = World::empty();
    world.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}));
    let server = StandIn::start(world);
    let wrong = objects(&ENDPOINT.replace("image: vllm", "imagee: vllm"));
    let applied = server
        .connect()
        .apply(&wrong, How::default(), &go_on)
        .unwrap();
    assert_eq!((applied.made.len(), applied.refused.len()), (0, 1));
    assert!(
        applied.refused[0]
            .why
            .contains(".spec.template.spec.containers[0].imagee: field not declared in schema"),
        "{applied:?}"
    );
    assert!(server.world().get("services", "ml", "llm").is_none());
}

#[test]
fn a_pod_that_will_not_be_admitted_is_warned_of_before_and_refused_itself() {
    let mut world = World::empty();
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"});
    world.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml", "labels": labels}}));
    let server = StandIn::start(world);
    let cluster = server.connect();
    let applied = cluster.apply(&objects(ENDPOINT), How::default(), &go_on);
    let warnings: Vec<String> = applied
        .unwrap()
        .steps
        .into_iter()
        .flat_map(|step| step.warnings)
        .collect();
    assert_eq!(
        warnings,
        [r#"would violate PodSecurity "restricted:latest": runAsNonRoot != true"#]
    );
    let bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: ml}\nspec: {containers: [{name: a, image: 'x:1'}]}\n";
    let applied = cluster
        .apply(&objects(bare), How::default(), &go_on)
        .unwrap();
    assert!(
        applied.refused[0].why.contains("violates PodSecurity"),
        "{applied:?}"
    );
    assert!(
        applied.refused[0]
            .hint
            .contains("`kubectl get namespace ml --show-labels`"),
        "{applied:?}"
    );
}

#[test]
fn who_may_not_create_is_told_all_that_is_needed() {
    let mut world = World::empty();
    world.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}));
    world.forbid("create", "services", Some("ml"));
    let server = StandIn::start(world);
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    let [refused] = applied.refused.as_slice() else {
        panic!("{applied:?}");
    };
    assert_eq!(refused.why, "may not create `services` in namespace `ml`");
    let role = mlk8s_cluster::denied::role_to_ask_for(
        &refused.denied,
        mlk8s_cluster::denied::Purpose::Apply,
    )
    .unwrap();
    assert!(
        role.contains(r#"resources: ["services"], verbs: ["create", "get", "patch"]"#),
        "{role}"
    );
}

#[test]
fn a_namespace_that_is_nowhere_is_named() {
    let server = StandIn::start(World::empty());
    let without = objects(&ENDPOINT.replace(
        "kind: Namespace\nmetadata: {name: ml}",
        "kind: Namespace\nmetadata: {name: lm}",
    ));
    let applied = server
        .connect()
        .apply(&without, How::default(), &go_on)
        .unwrap();
    assert_eq!(applied.made.len(), 0);
    assert!(
        applied
            .refused
            .iter()
            .all(|one| one.why == "there is no namespace `ml`" && one.hint.contains("step `space`")),
        "{applied:?}"
    );
}

#[test]
fn what_somebody_else_owns_is_not_taken_unless_asked() {
    let mut world = World::empty();
    world.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}));
    world.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llm", "namespace": "ml",
        "managedFields": [{"manager": "helm"}]}, "spec": {"selector": {"app": "other"}, "clusterIP": "10.152.183.7"}}));
    let server = StandIn::start(world);
    let cluster = server.connect();
    let applied = cluster
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    assert!(
        applied.refused[0].why.contains("conflict with \"helm\""),
        "{applied:?}"
    );
    assert!(applied.refused[0].hint.contains("--force-conflicts"));
    let forced = cluster
        .apply(
            &objects(ENDPOINT),
            How {
                force: true,
                ..How::default()
            },
            &go_on,
        )
        .unwrap();
    assert!(
        forced.refused.is_empty() && forced.made.len() == 3,
        "{forced:?}"
    );
}

#[test]
fn kinds_that_the_cluster_does_not_have_are_named_with_their_step() {
    let server = StandIn::start(World::empty());
    let more = format!(
        "{ENDPOINT}---\napiVersion: kubeflow.org/v1\nkind: Notebook\nmetadata: {{name: papers, namespace: ml}}\n"
    );
    let error = server
        .connect()
        .apply(&objects(&more), How::default(), &go_on)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`Notebook` of `kubeflow.org/v1`"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("step `kubeflow` of docs/cluster"),
        "{:?}",
        error.hint()
    );
    let skip = How {
        skip_unknown: true,
        ..How::default()
    };
    let applied = server
        .connect()
        .apply(&objects(&more), skip, &go_on)
        .unwrap();
    assert_eq!(
        (applied.skipped.as_slice(), applied.made.len()),
        (["Notebook ml/papers".to_owned()].as_slice(), 3)
    );
}

#[test]
fn what_stands_is_told() {
    let server = StandIn::start(World::empty());
    let cluster = server.connect();
    cluster
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    server
        .world()
        .objects
        .remove(&("services".to_owned(), "ml".to_owned(), "llm".to_owned()));
    let standing = cluster.standing(&objects(ENDPOINT), &go_on).unwrap();
    let lines: Vec<String> = standing
        .iter()
        .map(|(object, how)| format!("{object}: {how:?}"))
        .collect();
    expect![[r#"
        Deployment ml/llm: There("0 of 1 ready")
        Service ml/llm: Missing
        Namespace ml: There("there")"#]]
    .assert_eq(&lines.join("\n"));
}

/// Against a cluster that `MLK8S_TEST_KUBECONFIG` names: what `MLK8S_TEST_MANIFESTS` renders, and the endpoint above.
#[test]
fn a_real_cluster_would_have_them() {
    let Ok(config) = std::env::var("MLK8S_TEST_KUBECONFIG") else {
        return;
    };
    let cluster = Cluster::connect(&Place {
        kubeconfig: Some(config.into()),
        ..Place::default()
    })
    .unwrap();
    let seen = cluster.inventory(None, &go_on).unwrap();
    assert!(!seen.version.is_empty());
    let mut all = vec![("endpoint".to_owned(), objects(ENDPOINT))];
    let manifests = std::env::var("MLK8S_TEST_MANIFESTS")
        .unwrap_or_else(|_| format!("{}/../../devbox/manifests", env!("CARGO_MANIFEST_DIR")));
    let manifests = std::path::PathBuf::from(manifests);
    for name in manifest::render::names(&manifests.join("overlays")) {
        let text = manifest::render::render(&manifests.join("overlays").join(&name)).unwrap();
        all.push((name, objects(&text)));
    }
    let how = How {
        dry_run: true,
        skip_unknown: true,
        ..How::default()
    };
    for (name, objects) in all {
        let applied = cluster.apply(&objects, how, &go_on).unwrap();
        assert_eq!(applied.refused, [], "{name}");
    }
}
