//! Finding a cluster, and what is said when it is not to be reached.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use mlk8s_cluster::cluster::{Cluster, Place, PodFiles};
use mlk8s_cluster::error::ClusterError;

use crate::objects::house;
use crate::stand_in::world::{Fault, World};
use crate::stand_in::{StandIn, TOKEN, fixtures, go_on, place};

/// The error of an inventory, in words, with its hint.
fn fails(place: &Place) -> (ClusterError, String) {
    let error = match Cluster::connect(place) {
        Ok(cluster) => cluster.inventory(None, &go_on).unwrap_err(),
        Err(error) => error,
    };
    let words = format!("{error} | {}", error.hint().unwrap_or_default());
    (error, words)
}

#[test]
fn a_kubeconfig_names_server_context_and_namespace() {
    let server = StandIn::start(World::empty());
    let cluster = server.connect();
    assert_eq!(cluster.server(), server.url());
    assert_eq!(cluster.context(), Some("home"));
    assert_eq!(cluster.namespace(), "anna");
    assert!(!cluster.is_in_pod());
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named() {
    let (error, words) = fails(&place("/nonexistent/config".into()));
    assert!(matches!(error, ClusterError::Config { .. }), "{error:?}");
    assert!(
        words.contains("`/nonexistent/config`") && words.contains("microk8s config"),
        "{words}"
    );
}

#[test]
fn a_context_that_is_not_there_lists_those_that_are() {
    let server = StandIn::start(World::empty());
    let wrong = Place {
        context: Some("hoem".to_owned()),
        ..server.place()
    };
    let (_, words) = fails(&wrong);
    assert!(
        words.contains("no context `hoem`") && words.contains("`home`"),
        "{words}"
    );
}

#[test]
fn a_kubeconfig_that_is_no_yaml_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, "clusters: [").unwrap();
    let (error, _) = fails(&place(path));
    assert!(matches!(error, ClusterError::Config { .. }), "{error:?}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let server = StandIn::start(World::empty());
    let config = server.kubeconfig(TOKEN, None);
    // A port that was free a moment ago, and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace(&server.url(), &format!("http://127.0.0.1:{port}"));
    std::fs::write(&config, text).unwrap();
    let (error, words) = fails(&place(config));
    assert!(
        matches!(error, ClusterError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(
        words.contains(&format!("127.0.0.1:{port}")) && words.to_lowercase().contains("refused"),
        "{words}"
    );
}

#[test]
fn a_token_that_is_not_known_is_said_to_be_old() {
    let server = StandIn::start(World::empty());
    let (error, words) = fails(&place(server.kubeconfig("old", None)));
    assert!(
        matches!(error, ClusterError::Unauthorized { .. }),
        "{error:?}"
    );
    assert!(
        words.contains("expired") && words.contains("microk8s config"),
        "{words}"
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let mut world = World::empty();
    world.fail("GET /version", Fault::Hang, 1);
    let server = StandIn::start(world);
    let began = Instant::now();
    let (error, words) = fails(&server.place());
    assert!(matches!(error, ClusterError::TimedOut { .. }), "{error:?}");
    assert!(words.contains("said nothing for 0.7 s"), "{words}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn who_wants_to_stop_is_not_kept_waiting() {
    let mut world = World::empty();
    world.fail("GET /version", Fault::Hang, 1);
    let server = StandIn::start(world);
    let error = server.connect().inventory(None, &|| true).unwrap_err();
    assert!(matches!(error, ClusterError::Cancelled), "{error:?}");
}

#[test]
fn behind_tls_the_authority_of_the_kubeconfig_counts() {
    let server = StandIn::with_tls(house(), "server");
    let known = place(server.kubeconfig(TOKEN, Some("ca.crt")));
    let seen = Cluster::connect(&known)
        .unwrap()
        .inventory(None, &go_on)
        .unwrap();
    assert_eq!(seen.nodes.len(), 3);
    let (error, words) = fails(&place(server.kubeconfig(TOKEN, Some("other.crt"))));
    assert!(
        matches!(error, ClusterError::Certificate { .. }),
        "{error:?}"
    );
    assert!(words.contains("fresh kubeconfig"), "{words}");
}

#[test]
fn a_certificate_that_has_expired_is_said_to_have() {
    let server = StandIn::with_tls(World::empty(), "expired");
    let (error, words) = fails(&place(server.kubeconfig(TOKEN, Some("ca.crt"))));
    assert!(
        matches!(error, ClusterError::Certificate { .. }),
        "{error:?}"
    );
    assert!(
        words.contains("it has expired") && words.contains("refresh-certs"),
        "{words}"
    );
}

#[test]
fn a_pod_is_found_by_its_service_account() {
    let server = StandIn::with_tls(house(), "server");
    let folder = tempfile::tempdir().unwrap();
    let pod = pod_files(folder.path(), &server.url());
    let cluster = Cluster::connect(&Place { pod, ..in_pod() }).unwrap();
    assert!(cluster.is_in_pod());
    assert_eq!(cluster.namespace(), "anna");
    let own = cluster.inventory(None, &go_on).unwrap().own.unwrap();
    assert_eq!(
        (own.name.as_str(), own.node.as_deref(), own.gpus),
        ("papers-0", Some("rig4"), Some(1))
    );
    assert_eq!(own.memory_limit, Some(6 << 30));
}

#[test]
fn a_pod_knows_its_image_where_it_may_see_itself() {
    let server = StandIn::with_tls(house(), "server");
    let folder = tempfile::tempdir().unwrap();
    let pod = pod_files(folder.path(), &server.url());
    let cluster = Cluster::connect(&Place { pod, ..in_pod() }).unwrap();
    assert_eq!(cluster.own_image(&go_on).unwrap().as_deref(), Some("x:1"));
    server.world().forbid("get", "pods", Some("anna"));
    assert_eq!(cluster.own_image(&go_on).unwrap(), None);
    assert_eq!(server.connect().own_image(&go_on).unwrap(), None);
}

#[test]
fn a_pod_without_a_token_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let pod = pod_files(folder.path(), "https://127.0.0.1:1");
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let (_, words) = fails(&Place { pod, ..in_pod() });
    assert!(words.contains("automountServiceAccountToken"), "{words}");
}

#[test]
fn neither_kubeconfig_nor_pod_is_said() {
    let (error, words) = fails(&in_pod());
    assert!(matches!(error, ClusterError::NoConfig { .. }), "{error:?}");
    assert!(words.contains("KUBECONFIG"), "{words}");
}

/// As in a pod: nothing is named. A kubeconfig of the person who runs the tests would be found first.
fn in_pod() -> Place {
    Place {
        kubeconfig: None,
        home: Some("/nonexistent".into()),
        ..place("".into())
    }
}

fn pod_files(folder: &Path, server: &str) -> PodFiles {
    for (name, text) in [("token", TOKEN), ("namespace", "anna")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::copy(fixtures().join("ca.crt"), folder.join("ca.crt")).unwrap();
    PodFiles {
        service_account: folder.to_owned(),
        cgroup: "/nonexistent".into(),
        server: Some(server.to_owned()),
        name: Some("papers-0".to_owned()),
    }
}
