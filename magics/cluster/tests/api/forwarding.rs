//! Notebooks without Kubeflow, as they are found by their labels and brought to this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use expect_test::expect;
use mlk8s_cluster::forward::LabelledNotebook;
use serde_json::{Value, json};

use crate::objects::pod;
use crate::program::{program, words};
use crate::stand_in::world::World;
use crate::stand_in::{StandIn, TOKEN, go_on};

fn ours() -> Value {
    json!({"app.kubernetes.io/component": "notebook", "app.kubernetes.io/part-of": "mlk8s"})
}

/// A pod of a notebook with these labels, that listens on `port` behind `prefix`.
fn notebook(name: &str, labels: &Value, prefix: Option<&str>, ready: bool) -> Value {
    let env = prefix.map_or_else(
        || json!([]),
        |prefix| json!([{"name": "NB_PREFIX", "value": prefix}]),
    );
    let ready = if ready { "True" } else { "False" };
    pod(
        name,
        "anna",
        &json!({"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "lab", "image": "x:1", "env": env, "ports": [
                {"name": "metrics", "containerPort": 9000}, {"name": "notebook-port", "containerPort": 8889}]}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}}),
    )
}

fn found(world: World) -> String {
    let shown = |one: &LabelledNotebook| {
        let ready = if one.is_ready { "ready" } else { "not ready" };
        format!("{} {} {} {ready}", one.target, one.port, one.path)
    };
    let server = StandIn::start(world);
    let all = server.connect().labelled_notebooks("anna", &go_on).unwrap();
    all.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// A `StatefulSet` that carries our labels; its pods have others.
fn stateful_set() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "lab", "namespace": "anna", "labels": ours()},
        "spec": {"serviceName": "lab", "selector": {"matchLabels": {"app": "lab"}}, "template": {}}})
}

#[test]
fn a_plain_pod_a_set_and_a_service_are_found_by_their_labels() {
    let mut world = World::empty();
    world.put(notebook("alone", &ours(), None, true));
    world.put(notebook("late", &ours(), Some("/late"), false));
    world.put(stateful_set());
    world.put(notebook(
        "lab-0",
        &json!({"app": "lab"}),
        Some("/nb/lab"),
        true,
    ));
    world.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "house", "namespace": "anna", "labels": ours()},
        "spec": {"selector": {"app": "house"}, "ports": [{"name": "metrics", "port": 9000}, {"name": "http", "port": 80}]}}));
    world.put(notebook("house-x", &json!({"app": "house"}), None, true));
    // Others are none.
    let other =
        json!({"app.kubernetes.io/component": "notebook", "app.kubernetes.io/part-of": "else"});
    world.put(notebook("other", &other, None, true));
    expect![[r"
        house 80 / ready
        statefulset/lab 8889 /nb/lab/ ready
        pod/alone 8889 / ready
        pod/late 8889 /late/ not ready"]]
    .assert_eq(&found(world));
}

#[test]
fn what_has_a_service_is_there_once() {
    let mut world = World::empty();
    world.put(stateful_set());
    let mut labels = ours();
    labels["app"] = json!("lab");
    world.put(notebook("lab-0", &labels, None, true));
    world.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lab", "namespace": "anna", "labels": ours()},
        "spec": {"selector": {"app": "lab"}, "ports": [{"port": 8888}]}}));
    assert_eq!(found(world), "lab 8888 / ready");
}

#[test]
fn without_the_right_to_list_sets_pods_are_found_all_the_same() {
    let mut world = World::empty();
    world.put(notebook("alone", &ours(), None, true));
    for plural in ["statefulsets", "deployments", "services"] {
        world.forbid("list", plural, Some("anna"));
    }
    assert_eq!(found(world), "pod/alone 8889 / ready");
}

/// What `forward notebook` says first, and what comes back over the port when `hello` is sent.
fn forwarded(server: &StandIn) -> (String, String) {
    let mut child = program()
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None))
        .args(["forward", "notebook", "--notebook", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let place = line.split("http://").nth(1).unwrap_or_default();
    let place = place.split('/').next().unwrap_or_default().to_owned();
    let mut back = vec![0; 5];
    if let Ok(mut stream) = TcpStream::connect(&place) {
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut back).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (_, port) = place.rsplit_once(':').unwrap_or_default();
    let line = line.replace(port, "PORT");
    (line, String::from_utf8(back).unwrap())
}

#[test]
fn forward_brings_a_notebook_without_kubeflow_here() {
    let mut world = World::empty();
    world.put(stateful_set());
    let labels = json!({"app": "lab"});
    world.put(notebook("lab-0", &labels, Some("/nb/lab"), true));
    let server = StandIn::start(world);
    let (line, back) = forwarded(&server);
    assert_eq!(
        line,
        "statefulset/lab is at http://127.0.0.1:PORT/nb/lab/ until Ctrl-C\n"
    );
    assert_eq!(back, "HELLO");
    let asked = &server.world().asked;
    let is_it =
        |line: &String| line.contains("pods/lab-0/portforward?") && line.contains("ports=8889");
    assert!(asked.iter().any(is_it), "{asked:?}");
}

#[test]
fn a_plain_pod_that_asks_for_a_token_says_where_it_stands() {
    let mut world = World::empty();
    world.put(notebook("alone", &ours(), None, true));
    let server = StandIn::start(world);
    let (line, back) = forwarded(&server);
    assert_eq!(
        line,
        "pod/alone is at http://127.0.0.1:PORT/ until Ctrl-C; `kubectl -n anna logs pod/alone` has its token\n"
    );
    assert_eq!(back, "HELLO");
}

#[test]
fn where_there_is_no_notebook_it_is_said_how_one_is_found() {
    let server = StandIn::start(World::empty());
    let output = program()
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None))
        .args(["forward", "notebook"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert!(
        said.starts_with("there is no notebook in namespace `anna`")
            && said.contains("app.kubernetes.io/component: notebook"),
        "{said}"
    );
}
