//! `status`: what stands, what could not be seen, and how the program ends.

use expect_test::expect;

use crate::objects::house;
use crate::program::{manifests, program, with, words};
use crate::stand_in::world::{Fault, World};
use crate::stand_in::{StandIn, TOKEN};

#[test]
fn status_shows_what_there_is() {
    let mut world = house();
    world.forbid("list", "persistentvolumeclaims", Some("anna"));
    let server = StandIn::start(world);
    // By the variable of the environment, as kubectl takes it.
    let output = program()
        .env("KUBECONFIG", server.kubeconfig(TOKEN, None))
        .arg("status")
        .output()
        .unwrap();
    let text = words(&output).replace(&server.url(), "URL");
    expect![[r#"
        URL, Kubernetes v1.36.2, the whole cluster
        node rig1: ready, 0.1 of 8 cores, 0 of 32 GiB
        node rig4: ready, 2.5 of 16 cores, 22 of 64 GiB, 2 of 2 GPUs taken (NVIDIA-GeForce-RTX-3090)
            1 GPU: anna/papers-0
            1 GPU: ml/llm-7d9f8b6c5-abcde
        node rig5: not ready, 0.0 of 4 cores, 0 of 16 GiB: not ready: Kubelet stopped posting node status.
        6 pods: 2 running, 2 pending, 1 crashing, 1 succeeded
            anna/broken-x crashing: CrashLoopBackOff: `main` is started again and again, ended with OOMKilled (out of memory, exit code 137)
            ml/image pending: ImagePullBackOff: Back-off pulling image "x:2"
            ml/train-x pending: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.
        waits for 3 GPU: Workload ml/job-sweep: couldn't assign flavors: insufficient quota
        waits for 2 GPU: Pod ml/train-x: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.
        endpoint http://llm.ml.svc:8000/v1
        notebook anna/papers: ready
        RayCluster ml/ray: ready, 1 of 2 workers
        may not list `persistentvolumeclaims` in namespace `anna`
        an administrator can allow it with this:
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {name: mlk8s-view-default-editor-anna-6c375065}
        rules:
        - {apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["list"]}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: {name: mlk8s-view-default-editor-anna-6c375065}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlk8s-view-default-editor-anna-6c375065}
        subjects:
        - {kind: ServiceAccount, name: default-editor, namespace: anna}
    "#]]
    .assert_eq(&text);
    assert!(output.status.success());
}

/// What `status` writes about `world`, and how it ends.
fn status(world: World) -> (String, bool) {
    let server = StandIn::start(world);
    let output = program()
        .env("KUBECONFIG", server.kubeconfig(TOKEN, None))
        .arg("status")
        .output()
        .unwrap();
    let text = words(&output).replace(&server.url(), "URL");
    (text, output.status.success())
}

#[test]
fn pods_that_could_not_be_listed_are_not_none() {
    let mut world = house();
    let fault = Fault::Status(500, "etcdserver: no leader".to_owned());
    world.fail("GET /api/v1/pods", fault.clone(), 9);
    let (text, is_well) = status(world);
    let told = "pods could not be listed: the API server URL failed at `pods` (500): etcdserver: no leader\n";
    assert_eq!(text.matches(told).count(), 1, "{text}");
    assert!(
        !text.contains("0 pods") && text.matches("no leader").count() == 1,
        "{text}"
    );
    assert!(text.contains("node rig1: ready") && is_well, "{text}");
    let mut world = house();
    world.forbid("list", "pods", Some("anna"));
    world.forbid("list", "nodes", None);
    let (text, is_well) = status(world);
    for line in [
        "nodes could not be listed: may not list `nodes` of the whole cluster\n",
        "pods could not be listed: may not list `pods` in namespace `anna`\n",
        "kind: ClusterRole\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        is_well && !text.contains("nothing of this cluster"),
        "{text}"
    );
}

#[test]
fn a_status_of_nothing_fails() {
    let mut world = house();
    for path in ["GET /api/v1/", "GET /apis/"] {
        world.fail(
            path,
            Fault::Status(500, "etcdserver: no leader".to_owned()),
            99,
        );
    }
    let (text, is_well) = status(world);
    assert!(
        text.ends_with("nothing of this cluster could be read\n") && !is_well,
        "{text}"
    );
}

#[test]
fn an_object_that_could_not_be_read_does_not_count_as_there() {
    let folder = manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hello}\n");
    let mut world = house();
    let fault = Fault::Status(500, "etcdserver: no leader".to_owned());
    world.fail("GET /api/v1/namespaces/anna/configmaps/hello", fault, 9);
    let server = StandIn::start(world);
    let mut command = with(folder.path());
    command
        .arg("--kubeconfig")
        .arg(server.kubeconfig(TOKEN, None));
    let output = command.args(["status", "home"]).output().unwrap();
    let text = words(&output);
    assert!(
        text.contains("ConfigMap hello: could not be read: the API server"),
        "{text}"
    );
    assert!(
        text.ends_with("0 of 1 objects are there, 1 could not be read\n"),
        "{text}"
    );
    assert!(!output.status.success());
}
