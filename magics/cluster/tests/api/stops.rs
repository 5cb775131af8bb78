//! Runs that the user stops while they are sent, followed or fetched.

use std::sync::atomic::{AtomicBool, Ordering};

use mlk8s_cluster::error::ClusterError;
use mlk8s_cluster::job::{JobEvent, Phase};

use crate::jobs::{run, with};
use crate::stand_in::world::{Fault, JobScript};
use crate::stand_in::{StandIn, go_on};

const JOBS: &str = "/apis/batch/v1/namespaces/anna/jobs";
const MAPS: &str = "/api/v1/namespaces/anna/configmaps";

/// The kinds of what is there beside namespaces.
fn left(server: &StandIn) -> Vec<String> {
    let world = server.world();
    let plurals = world.objects.keys().map(|(plural, ..)| plural.clone());
    plurals.filter(|plural| plural != "namespaces").collect()
}

/// Whether something was asked for that begins and ends so.
fn was_asked(server: &StandIn, begin: &str, end: &str) -> bool {
    let is_it = |path: &String| path.starts_with(begin) && path.ends_with(end);
    server.asked().keys().any(is_it)
}

#[test]
fn a_run_that_is_stopped_while_it_is_sent_is_not_there() {
    let server = with(JobScript::default());
    let error = server.connect().submit(&run(), &|| true).unwrap_err();
    assert!(matches!(error, ClusterError::Cancelled), "{error:?}");
    assert_eq!(left(&server), [""; 0]);
}

#[test]
fn a_job_is_taken_back_when_the_server_is_silent_about_its_notebook() {
    let server = with(JobScript::default());
    server.world().fail(&format!("POST {MAPS}"), Fault::Hang, 1);
    let stop = || was_asked(&server, "POST", "/configmaps");
    let error = server.connect().submit(&run(), &stop).unwrap_err();
    assert!(matches!(error, ClusterError::Cancelled), "{error:?}");
    assert!(was_asked(&server, &format!("DELETE {JOBS}/"), ""));
    assert_eq!(left(&server), [""; 0]);
}

#[test]
fn a_job_that_may_still_be_made_is_named_with_the_command_that_removes_it() {
    let server = with(JobScript::default());
    server.world().fail(&format!("POST {JOBS}"), Fault::Hang, 1);
    let stop = || was_asked(&server, "POST", "/jobs");
    let error = server.connect().submit(&run(), &stop).unwrap_err();
    assert!(
        matches!(&error, ClusterError::Left { namespace, .. } if namespace == "anna"),
        "{error:?}"
    );
    assert!(error.is_stop());
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with("`kubectl -n anna delete job night-run-"),
        "{hint}"
    );
}

#[test]
fn a_job_that_one_may_make_but_not_remove_is_said_to_be_left() {
    let server = with(JobScript::default());
    server.world().forbid("create", "configmaps", Some("anna"));
    server.world().forbid("delete", "jobs", Some("anna"));
    let error = server.connect().submit(&run(), &go_on).unwrap_err();
    assert!(matches!(error, ClusterError::Left { .. }) && !error.is_stop());
    // Why it was not sent comes with it, and what to ask for.
    assert!(
        error.to_string().contains("may not create `configmaps`"),
        "{error}"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("delete job") && hint.contains(r#"verbs: ["create"]"#),
        "{hint}"
    );
}

#[test]
fn a_connection_that_is_refused_leaves_nothing_to_be_removed() {
    let server = with(JobScript::default());
    let config = server.kubeconfig(crate::stand_in::TOKEN, None);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(&server.url(), &format!("http://127.0.0.1:{port}"));
    std::fs::write(&config, text).unwrap();
    let cluster =
        mlk8s_cluster::cluster::Cluster::connect(&crate::stand_in::place(config)).unwrap();
    let error = cluster.submit(&run(), &go_on).unwrap_err();
    assert!(
        matches!(
            error,
            ClusterError::Unreachable {
                was_sent: false,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_silent_log_does_not_keep_who_follows() {
    let server = with(JobScript::default());
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let pods = "GET /api/v1/namespaces/anna/pods/";
    server.world().fail(pods, Fault::Hang, 1);
    let runs = AtomicBool::new(false);
    let stop = || runs.load(Ordering::SeqCst) && was_asked(&server, pods, "/log");
    let followed = cluster.follow(&job, &stop, &mut |event| {
        if event == JobEvent::Phase(Phase::Running) {
            runs.store(true, Ordering::SeqCst);
        }
    });
    assert!(matches!(followed, Err(ClusterError::Cancelled)));
    // It goes on: who follows is stopped, not the run.
    assert!(server.world().get("jobs", "anna", &job.name).is_some());
}

#[test]
fn a_silent_log_does_not_keep_who_fetches() {
    let server = with(JobScript::default());
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let pods = "GET /api/v1/namespaces/anna/pods/";
    server.world().fail(pods, Fault::Hang, 1);
    let stop = || was_asked(&server, pods, "/log");
    let fetched = cluster.result(&job, &stop);
    assert!(
        matches!(fetched, Err(ClusterError::Cancelled)),
        "{fetched:?}"
    );
}
