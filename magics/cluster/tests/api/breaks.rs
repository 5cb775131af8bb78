//! Manifests whose apply does not come to its end: what was done is told, and the next one goes on.

use expect_test::expect;
use mlk8s_cluster::manifest::apply::How;

use crate::apply::{ENDPOINT, objects, shown};
use crate::stand_in::world::{Fault, World};
use crate::stand_in::{StandIn, go_on};

#[test]
fn a_trial_that_breaks_says_where() {
    let mut world = World::empty();
    world.fail("PATCH /api/v1/namespaces/ml?", Fault::Close, 1);
    let server = StandIn::start(world);
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    let broken = applied.broken.unwrap();
    assert_eq!(broken.object.as_deref(), Some("Namespace ml"));
    assert!(
        broken.why.contains("cannot reach") && !broken.is_in_doubt,
        "{broken:?}"
    );
    assert!(applied.made.is_empty());
}

#[test]
fn a_server_that_fails_while_all_is_tried_refuses_nothing() {
    for fault in [
        Fault::Status(500, "etcdserver: request timed out".to_owned()),
        Fault::Busy(0),
    ] {
        let mut world = World::empty();
        world.fail("PATCH /api/v1/namespaces/ml?", fault, 3);
        let server = StandIn::start(world);
        let cluster = server.connect();
        let applied = cluster
            .apply(&objects(ENDPOINT), How::default(), &go_on)
            .unwrap();
        assert_eq!(applied.refused, []);
        let broken = applied.broken.unwrap();
        assert_eq!(broken.object.as_deref(), Some("Namespace ml"));
        assert!(!broken.hint.is_empty() && !broken.is_in_doubt, "{broken:?}");
        assert!(applied.made.is_empty());
    }
}

#[test]
fn a_server_that_is_busy_for_a_while_is_waited_for() {
    let mut world = World::empty();
    world.fail("PATCH /api/v1/namespaces/ml?", Fault::Busy(0), 1);
    world.fail(
        &really("/api/v1/namespaces/ml/services/llm"),
        Fault::Busy(0),
        1,
    );
    let server = StandIn::start(world);
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    assert_eq!((applied.broken, applied.made.len()), (None, 3));
}

#[test]
fn a_webhook_that_does_not_answer_keeps_away_what_it_is_for() {
    let mut world = World::empty();
    world.put(
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}),
    );
    let dead = "Internal error occurred: failed calling webhook \"a.example.com\": failed to call webhook: connection refused";
    let fault = Fault::Status(500, dead.to_owned());
    world.fail("PATCH /api/v1/namespaces/ml/services/llm?", fault, 9);
    let server = StandIn::start(world);
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    assert_eq!(applied.broken, None);
    assert_eq!(applied.refused[0].object, "Service ml/llm");
    assert!(
        applied.refused[0].hint.contains("webhookconfigurations"),
        "{applied:?}"
    );
}

/// Where requests begin that really apply the object of `path`; trials have another word there.
fn really(path: &str) -> String {
    format!("PATCH {path}?&fieldManager")
}

#[test]
fn an_apply_that_breaks_tells_what_it_did_and_the_next_one_goes_on() {
    let mut world = World::empty();
    let deployment = "/apis/apps/v1/namespaces/ml/deployments/llm";
    world.fail(&really(deployment), Fault::Close, 1);
    let server = StandIn::start(world);
    let cluster = server.connect();
    let more = format!(
        "{ENDPOINT}---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: night, namespace: ml}}\n"
    );
    let all = objects(&more);
    let applied = cluster.apply(&all, How::default(), &go_on).unwrap();
    assert_eq!(applied.made, ["Namespace ml", "Service ml/llm"]);
    assert_eq!(applied.unreached, ["CronJob ml/night"]);
    let broken = applied.broken.unwrap();
    assert_eq!(broken.object.as_deref(), Some("Deployment ml/llm"));
    // The connection ended after the request was sent.
    assert!(broken.is_in_doubt, "{broken:?}");

    let again = cluster.apply(&all, How::default(), &go_on).unwrap();
    expect![[r"
        Unchanged Namespace ml
        Unchanged Service ml/llm
        Created Deployment ml/llm
        Created CronJob ml/night
        made 4"]]
    .assert_eq(&shown(&again));
    assert_eq!((again.broken, again.unreached), (None, Vec::new()));
}

#[test]
fn what_is_refused_in_the_end_though_it_was_tried_is_told_with_the_rest() {
    let mut world = World::empty();
    let quota = "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1".to_owned();
    world.fail(
        &really("/api/v1/namespaces/ml/services/llm"),
        Fault::Status(403, quota),
        1,
    );
    let server = StandIn::start(world);
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &go_on)
        .unwrap();
    assert_eq!(applied.made, ["Namespace ml"]);
    assert_eq!(applied.refused[0].object, "Service ml/llm");
    assert!(
        applied.refused[0].why.contains("exceeded quota"),
        "{applied:?}"
    );
    assert_eq!(applied.unreached, ["Deployment ml/llm"]);
}

#[test]
fn an_apply_that_is_stopped_tells_what_it_did() {
    let server = StandIn::start(World::empty());
    let made = || server.world().get("services", "ml", "llm").is_some();
    let applied = server
        .connect()
        .apply(&objects(ENDPOINT), How::default(), &made)
        .unwrap();
    // What was sent is waited for, and nothing more is sent.
    assert_eq!(applied.made, ["Namespace ml", "Service ml/llm"]);
    assert_eq!(applied.unreached, ["Deployment ml/llm"]);
    let broken = applied.broken.unwrap();
    assert_eq!((broken.object, broken.why.as_str()), (None, "stopped"));
}
