//! The program as a person runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::expect;
use serde_json::json;

use crate::objects::{house, pod};
use crate::stand_in::world::{Fault, World};
use crate::stand_in::{StandIn, TOKEN};

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlk8s-cluster"));
    command
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", "/nonexistent")
        .env_remove("KUBECONFIG");
    command
}

pub(crate) fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A folder of manifests whose rendering program writes `text`.
pub(crate) fn manifests(text: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("overlays/home");
    std::fs::create_dir_all(&overlay).unwrap();
    std::fs::write(overlay.join("kustomization.yaml"), "resources: [all.yaml]").unwrap();
    std::fs::write(overlay.join("all.yaml"), text).unwrap();
    let renderer = folder.path().join("kubectl");
    std::fs::write(
        &renderer,
        "#!/bin/sh\ntest \"$1\" = kustomize && cat \"$2/all.yaml\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&renderer, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(crate) fn with(folder: &Path) -> Command {
    let mut command = program();
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .arg("--manifests")
        .arg(folder);
    command
}

#[test]
fn without_a_cluster_it_says_what_to_type() {
    let output = program().arg("status").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    expect![[r"
        no cluster is known: `~/.kube/config` is not there, and this is no pod
         hint: `microk8s config > ~/.kube/config` on the node writes one; `export KUBECONFIG=FILE` names another
    "]]
    .assert_eq(&words(&output));
}

#[test]
fn check_finds_what_is_wrong_and_fails() {
    let folder = manifests(include_str!("../fixtures/wrong.yaml"));
    std::fs::write(
        folder.path().join("provided.yaml"),
        "- {kind: Secret, name: llm-key, keys: [key], made: kubectl create secret generic llm-key}\n",
    )
    .unwrap();
    let output = with(folder.path()).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    expect![[r#"
        home: Deployment ml/llm `readinessProbe` of container `llm` asks port `htttp`, which it does not have
        home: Deployment ml/llm container `llm` has a secret in the open: variable `HF_TOKEN`
        home: Deployment ml/llm container `llm` has the image of whatever is latest: `vllm/vllm-openai:latest`
        home: Deployment ml/llm container `llm` mounts `modelz`, which is no volume of its pod
        home: Deployment ml/llm container `sidecar` has an image without a tag: `registry.local:32000/side`
        home: Deployment ml/llm has no field `spec.replicass`
        home: Deployment ml/llm refers to PersistentVolumeClaim `models`, which is neither here nor in `provided.yaml`
        home: Deployment ml/llm refers to ServiceAccount `runner`, which is neither here nor in `provided.yaml`
        home: Deployment ml/llm refers to key `mood` of ConfigMap `settings`, which has mode
        home: Deployment ml/llm refers to key `token` of Secret `llm-key`, which has key
        home: Deployment ml/llm selects pods by labels that its own do not have
        home: Deployment ml/old `Deployment` of `apps/v1beta1` is not a kind that is known here
        home: Deployment ml/old selects pods by labels that its own do not have
        home: Ingress ml/llm leads to a port that Service `llm` does not have
        home: RoleBinding ml/runner binds Role `runner`, which is not here
        home: RoleBinding ml/runner is for ServiceAccount `runner`, which is not here
        home: Secret ml/pgsql has a secret in it, which everybody reads who reads the repository
        home: Service ml/llm reaches port "web", which no container of its pods has
        home: Service ml/nobody is there twice
        home: Service ml/nobody selects no pod that is here
        home: ServiceMonitor ml/llm watches port `metrics`, which no Service has that it selects
        home: 10 objects, 21 findings
    "#]]
    .assert_eq(&words(&output));
}

#[test]
fn apply_says_what_is_new_and_can_only_try() {
    let folder =
        manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hello}\ndata: {a: b}\n");
    let server = StandIn::start(World::empty());
    let config = server.kubeconfig(TOKEN, None);
    let apply = |more: &[&str]| {
        let output = with(folder.path())
            .arg("--kubeconfig")
            .arg(&config)
            .args(["apply", "home"])
            .args(more)
            .output()
            .unwrap();
        words(&output).replace(&server.url(), "URL")
    };
    expect![[r"
        1 objects for URL
        + ConfigMap hello
        1 would be created, 0 changed, 0 unchanged
        tried, not done (`--dry-run`)
    "]]
    .assert_eq(&apply(&["--dry-run"]));
    assert!(server.world().get("configmaps", "anna", "hello").is_none());
    expect![[r"
        1 objects for URL
        + ConfigMap hello
        1 created, 0 changed, 0 unchanged
        applied 1 objects
    "]]
    .assert_eq(&apply(&[]));
    assert!(server.world().get("configmaps", "anna", "hello").is_some());
}

/// Three settings, of which the second cannot be applied for `fault`, though it can be tried; the server and the folder.
fn with_fault_in_the_middle(fault: Fault) -> (StandIn, tempfile::TempDir) {
    let one = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
    };
    let mut world = World::empty();
    let second = "PATCH /api/v1/namespaces/anna/configmaps/two?&fieldManager";
    world.fail(second, fault, 1);
    let texts = ["one", "two", "three"].map(one);
    (StandIn::start(world), manifests(&texts.join("---\n")))
}

#[test]
fn an_apply_that_breaks_half_way_shows_what_it_did_and_goes_on_the_next_time() {
    let late = Fault::Status(500, "etcdserver: request timed out".to_owned());
    let (server, folder) = with_fault_in_the_middle(late);
    let mut apply = with(folder.path());
    apply
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None))
        .args(["apply", "home"]);
    let output = apply.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    expect![[r"
        3 objects for URL
        + ConfigMap one
        + ConfigMap two
        + ConfigMap three
        3 would be created, 0 changed, 0 unchanged
        it ended at ConfigMap two: the API server URL failed at `configmaps/two` in namespace `anna` (500): etcdserver: request timed out
            hint: the server may be overloaded or starting: `kubectl get --raw /readyz?verbose` says which part is not ready
        applied: ConfigMap one
        may be applied: ConfigMap two, which the cluster has not confirmed
        not reached: ConfigMap three
        1 applied, 1 not reached; the same command goes on from here: what is applied stays as it is
    "]]
    .assert_eq(&words(&output).replace(&server.url(), "URL"));
    let again = apply.output().unwrap();
    assert!(again.status.success());
    expect![[r"
        3 objects for URL
        + ConfigMap two
        + ConfigMap three
        2 created, 0 changed, 1 unchanged
        applied 3 objects
    "]]
    .assert_eq(&words(&again).replace(&server.url(), "URL"));
}

#[test]
fn ctrl_c_ends_an_apply_with_what_it_did() {
    let (server, folder) = with_fault_in_the_middle(Fault::Hang);
    let child = with(folder.path())
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None))
        .args(["apply", "home"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let hangs = || {
        let world = server.world();
        let last = world.asked.last();
        last.is_some_and(|line| line.contains("configmaps/two?&fieldManager"))
    };
    while !hangs() {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let pressed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(pressed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = words(&output);
    for line in [
        "it ended at ConfigMap two: stopped\n",
        "applied: ConfigMap one\n",
        "may be applied: ConfigMap two, which",
        "not reached: ConfigMap three\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn an_overlay_that_is_not_there_is_named() {
    let folder = manifests("");
    let output = with(folder.path())
        .args(["render", "hoem"])
        .output()
        .unwrap();
    assert_eq!(
        words(&output),
        "there is no overlay `hoem`\n hint: there is `home`\n"
    );
}

#[test]
fn forward_brings_the_endpoint_here() {
    let mut world = house();
    world.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llm", "namespace": "anna"},
        "spec": {"selector": {"app": "llm"}, "ports": [{"name": "openai", "port": 8000, "targetPort": "http"}]}}));
    world.put(pod("llm-x", "anna", &json!({"metadata": {"labels": {"app": "llm"}},
        "spec": {"containers": [{"name": "llm", "image": "x:1", "ports": [{"name": "http", "containerPort": 9000}]}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}})));
    world
        .objects
        .retain(|(plural, ..), _| plural != "notebooks");
    let server = StandIn::start(world);
    let mut child = program()
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None))
        .args(["forward", "--endpoint", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let place = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    // Two connections, one after the other.
    for word in ["hello", "again"] {
        let mut stream = TcpStream::connect(&place).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, word.to_uppercase().as_bytes());
    }
    let asked = server.asked();
    assert_eq!(
        asked["GET /api/v1/namespaces/anna/pods/llm-x/portforward"], 2,
        "{asked:?}"
    );
    assert!(
        server
            .world()
            .asked
            .iter()
            .any(|line| line.contains("ports=9000"))
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        line.starts_with("llm is at http://127.0.0.1:") && line.contains("/v1 until Ctrl-C"),
        "{line}"
    );
}
