//! What a cluster has and does, and what one may not see of it.

use expect_test::expect;
use mlk8s_cluster::inventory::{Inventory, PodState, Scope};
use serde_json::json;

use crate::objects::{house, node, pod};
use crate::stand_in::world::{Fault, World};
use crate::stand_in::{StandIn, go_on};

fn seen(world: World) -> Inventory {
    StandIn::start(world)
        .connect()
        .inventory(None, &go_on)
        .unwrap()
}

#[test]
fn machines_have_what_pods_took_of_them() {
    let seen = seen(house());
    let line = |node: &mlk8s_cluster::inventory::Node| {
        format!(
            "{} {} {:?} cpu {}/{} memory {}/{} GiB gpus {}/{} {} {:?} {}\n",
            node.name,
            node.ready,
            node.roles,
            node.cpu.requested,
            node.cpu.allocatable,
            node.memory.requested as f64 / f64::from(1 << 30),
            node.memory.allocatable >> 30,
            node.gpus.requested,
            node.gpus.allocatable,
            node.gpu_model.as_deref().unwrap_or("-"),
            node.taints,
            node.problem
        )
    };
    expect![[r#"
        rig1 true ["control-plane"] cpu 0.1/8 memory 0.125/32 GiB gpus 0/0 - [] 
        rig4 true [] cpu 2.5/16 memory 22/64 GiB gpus 2/2 NVIDIA-GeForce-RTX-3090 ["nvidia.com/gpu=present:NoSchedule"] 
        rig5 false ["control-plane"] cpu 0/4 memory 0/16 GiB gpus 0/0 - [] not ready: Kubelet stopped posting node status.
    "#]]
    .assert_eq(&seen.nodes.iter().map(line).collect::<String>());
    let users: Vec<&str> = seen
        .gpu_users("rig4")
        .iter()
        .map(|pod| pod.name.as_str())
        .collect();
    assert_eq!(users, ["papers-0", "llm-7d9f8b6c5-abcde"]);
    assert_eq!(
        (seen.version.as_str(), &seen.scope),
        ("v1.36.2", &Scope::Cluster)
    );
}

#[test]
fn pods_say_how_they_are_and_why() {
    let seen = seen(house());
    let line = |pod: &mlk8s_cluster::inventory::Pod| {
        let owner = pod.owner.as_ref().map_or_else(String::new, |owner| {
            format!("{} {}", owner.kind, owner.name)
        });
        format!(
            "{}/{} {} [{owner}] gpus {} restarts {} {}\n",
            pod.namespace,
            pod.name,
            pod.state.word(),
            pod.gpus,
            pod.restarts,
            pod.reason
        )
    };
    expect![[r#"
        anna/broken-x crashing [] gpus 0 restarts 12 CrashLoopBackOff: `main` is started again and again, ended with OOMKilled (out of memory, exit code 137)
        anna/papers-0 running [Notebook papers] gpus 1 restarts 3 `main` ended before with OOMKilled (out of memory, exit code 137)
        ml/image pending [] gpus 0 restarts 0 ImagePullBackOff: Back-off pulling image "x:2"
        ml/llm-7d9f8b6c5-abcde running [Deployment llm] gpus 1 restarts 0 
        ml/old succeeded [] gpus 0 restarts 0 
        ml/train-x pending [Job train] gpus 2 restarts 0 Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.
    "#]]
    .assert_eq(&seen.pods.iter().map(line).collect::<String>());
}

#[test]
fn the_queue_has_pods_and_workloads_longest_first() {
    let seen = seen(house());
    let lines: Vec<String> = seen
        .queue
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {} {:?}",
                one.kind, one.name, one.gpus, one.why, one.queue
            )
        })
        .collect();
    expect![[r#"
        Workload job-sweep 3 couldn't assign flavors: insufficient quota Some("home")
        Pod train-x 2 Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu. None"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn what_else_there_is_is_listed() {
    let seen = seen(house());
    let endpoint = seen
        .services
        .iter()
        .find(|service| service.is_endpoint)
        .unwrap();
    assert_eq!(endpoint.url, "http://llm.ml.svc:8000/v1");
    let notebook = &seen.notebooks[0];
    assert_eq!(
        (notebook.name.as_str(), notebook.gpus, notebook.ready),
        ("papers", 1, true)
    );
    assert!(notebook.last_activity.is_some());
    assert_eq!(
        (seen.rays[0].state.as_str(), seen.rays[0].workers_wanted),
        ("ready", 2)
    );
    let volume = &seen.volumes[0];
    assert_eq!(
        (volume.size >> 30, volume.bound, volume.class.as_deref()),
        (200, true, Some("openebs-hostpath"))
    );
    assert_eq!(seen.denied, []);
    assert_eq!(seen.absent, [] as [&str; 0]);
}

#[test]
fn kinds_that_the_cluster_does_not_have_are_absent() {
    let mut world = World::empty();
    world.put(node("rig1", &json!({"cpu": "8"}), true));
    expect![[r"
        clusters of Ray
        notebooks of Kubeflow
        queues of Kueue
        services of Ray"]]
    .assert_eq(&seen(world).absent.join("\n"));
}

#[test]
fn what_is_denied_is_said_and_the_rest_comes() {
    let mut world = house();
    world.forbid("list", "nodes", None);
    world.forbid("list", "pods", None);
    world.forbid("list", "services", Some("anna"));
    world.forbid("list", "workloads", Some("anna"));
    let seen = seen(world);
    let lines: Vec<String> = seen
        .denied
        .iter()
        .map(|one| format!("{one}; {}", one.rule()))
        .collect();
    expect![[r#"
        may not list `nodes` of the whole cluster; {apiGroups: [""], resources: ["nodes"], verbs: ["list"]}
        may not list `pods` of the whole cluster; {apiGroups: [""], resources: ["pods"], verbs: ["list"]}
        may not list `services` of the whole cluster; {apiGroups: [""], resources: ["services"], verbs: ["list"]}
        may not list `services` in namespace `anna`; {apiGroups: [""], resources: ["services"], verbs: ["list"]}
        may not list `workloads` of the whole cluster; {apiGroups: ["kueue.x-k8s.io"], resources: ["workloads"], verbs: ["list"]}
        may not list `workloads` in namespace `anna`; {apiGroups: ["kueue.x-k8s.io"], resources: ["workloads"], verbs: ["list"]}"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(seen.scope, Scope::Namespace("anna".to_owned()));
    // The own namespace is seen all the same.
    let names: Vec<&str> = seen.pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["broken-x", "papers-0"]);
    assert_eq!(seen.volumes.len(), 1);
    assert!(seen.role_to_ask_for().unwrap().contains("default-editor"));
}

#[test]
fn one_namespace_is_all_that_is_asked_for() {
    let server = StandIn::start(house());
    let seen = server.connect().inventory(Some("ml"), &go_on).unwrap();
    assert!(seen.pods.iter().all(|pod| pod.namespace == "ml"));
    assert_eq!(seen.scope, Scope::Namespace("ml".to_owned()));
    assert!(!server.asked().contains_key("GET /api/v1/pods"));
}

#[test]
fn a_list_that_fails_is_said_and_the_rest_comes() {
    let mut world = house();
    world.fail(
        "GET /api/v1/services",
        Fault::Status(500, "etcdserver: no leader".to_owned()),
        9,
    );
    world.fail("GET /api/v1/persistentvolumeclaims", Fault::Hang, 9);
    let seen = seen(world);
    let lines: Vec<String> = seen
        .failed
        .iter()
        .map(|one| format!("{}: {}", one.what, one.why))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("`persistentvolumeclaims`") && lines[0].contains("said nothing"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("(500): etcdserver: no leader"),
        "{lines:?}"
    );
    assert_eq!(seen.pods.len(), 6);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let mut world = house();
    world.fail("GET /api/v1/pods", Fault::Busy(1), 1);
    let begun = std::time::Instant::now();
    let seen = seen(world);
    assert_eq!((seen.pods.len(), seen.failed.len()), (6, 0));
    // Not before the server wants to be asked.
    assert!(begun.elapsed().as_secs_f32() >= 1.0);
}

#[test]
fn five_thousand_pods_come_page_by_page() {
    let mut world = World::empty();
    for number in 0..5000 {
        world.put(pod(
            &format!("p{number:04}"),
            "ml",
            &json!({"spec": {"nodeName": "rig1"}}),
        ));
    }
    let server = StandIn::start(world);
    let seen = server.connect().inventory(None, &go_on).unwrap();
    assert_eq!(seen.pods.len(), 5000);
    assert_eq!(server.asked()["GET /api/v1/pods"], 10);
    assert_eq!(seen.cut, []);
}

#[test]
fn a_list_without_end_is_cut() {
    let mut world = World::empty();
    for number in 0..20_100 {
        world.put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{number}"), "namespace": "ml"}}));
    }
    let seen = seen(world);
    assert_eq!(
        (seen.cut[0].what.as_str(), seen.cut[0].shown),
        ("services", 20_000)
    );
}

#[test]
fn a_list_that_the_server_has_forgotten_is_begun_again() {
    let mut world = World::empty();
    for number in 0..600 {
        world.put(pod(&format!("p{number:04}"), "ml", &json!({})));
    }
    world.fail(
        "GET /api/v1/pods?&limit=500&continue",
        Fault::Status(410, "The provided continue parameter is too old".to_owned()),
        1,
    );
    let server = StandIn::start(world);
    let seen = server.connect().inventory(None, &go_on).unwrap();
    assert_eq!(
        (seen.pods.len(), seen.failed.len()),
        (600, 0),
        "{:?}",
        server.world().asked
    );
    assert_eq!(server.asked()["GET /api/v1/pods"], 4);
}

#[test]
fn what_comes_before_the_containers_counts_as_the_scheduler_counts_it() {
    let mut world = World::empty();
    let amount = |cpu: &str| json!({"requests": {"cpu": cpu, "memory": "1Gi"}});
    world.put(pod("p", "ml", &json!({"spec": {
        "containers": [{"name": "main", "resources": amount("1")}, {"name": "second", "resources": amount("500m")}],
        "initContainers": [
            {"name": "sidecar", "restartPolicy": "Always", "resources": amount("250m")},
            {"name": "fetch", "resources": amount("4")}],
        "overhead": {"cpu": "100m"}}})));
    let seen = seen(world);
    // The one that fetches runs next to the sidecar, and wants more than all that follow.
    assert!(
        (seen.pods[0].cpu - 4.35).abs() < 1e-9,
        "{}",
        seen.pods[0].cpu
    );
    assert_eq!(seen.pods[0].memory, 3 << 30);
    assert_eq!(seen.pods[0].state, PodState::Running);
}

#[test]
fn the_graph_has_what_belongs_together() {
    let seen = seen(house());
    let graph = seen.graph(100);
    let lines = |graph: &mlk8s_cluster::graph::Graph| {
        let name = |at: usize| format!("{} {}", graph.nodes[at].kind.word(), graph.nodes[at].name);
        let mut lines: Vec<String> = graph
            .edges
            .iter()
            .map(|edge| format!("{} {} {}\n", name(edge.from), edge.relation, name(edge.to)))
            .collect();
        lines.push(graph.left_out.clone());
        lines.concat()
    };
    expect![[r"
        node rig1 runs pod broken-x
        node rig4 runs pod papers-0
        owner Notebook papers owns pod papers-0
        node rig1 runs pod image
        node rig4 runs pod llm-7d9f8b6c5-abcde
        owner Deployment llm owns pod llm-7d9f8b6c5-abcde
        service llm reaches pod llm-7d9f8b6c5-abcde
        pod llm-7d9f8b6c5-abcde mounts volume models
        owner Job train owns pod train-x
        1 pod that ended well left out"]]
    .assert_eq(&lines(&graph));
    let unwell: Vec<&str> = graph
        .nodes
        .iter()
        .filter(|one| !one.is_well)
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(unwell, ["rig5", "broken-x", "papers-0", "image", "train-x"]);
    // Of many pods those stay that have GPUs.
    let small = seen.graph(2);
    let pods: Vec<&str> = small
        .nodes
        .iter()
        .filter(|one| one.kind == mlk8s_cluster::graph::Kind::Pod)
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(pods, ["papers-0", "train-x"]);
    assert!(
        small.left_out.contains("3 pods left out"),
        "{}",
        small.left_out
    );
}
