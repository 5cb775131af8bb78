//! Notebooks that run as jobs of the cluster.

use std::time::Duration;

use mlk8s_cluster::cluster::Cluster;
use mlk8s_cluster::error::ClusterError;
use mlk8s_cluster::job::{JobEvent, JobName, JobState, NotebookRun, Phase, Source};
use serde_json::json;

use crate::stand_in::world::{Fault, JobScript, World};
use crate::stand_in::{StandIn, go_on};

/// `printf 'hello\n' | gzip -n | base64`.
const HELLO: &str = "H4sIAAAAAAAAA8tIzcnJ5wIAIDA6NgYAAAA=";

pub(crate) fn run() -> NotebookRun {
    let notebook = json!({"cells": [{"cell_type": "code", "source": "1 + 1", "outputs": [1], "execution_count": 3}]});
    NotebookRun {
        gpus: 1,
        parameters: vec![
            ("epochs".to_owned(), "3".to_owned()),
            ("cost".to_owned(), "$(HOME)".to_owned()),
        ],
        deadline: Duration::from_hours(4),
        ..NotebookRun::new(
            "Night run.ipynb",
            "mlk8s/notebook:0.1.0",
            Source::Inline {
                file: "train.ipynb".to_owned(),
                bytes: notebook.to_string().into_bytes(),
            },
        )
    }
}

fn script(lines: &[&str], code: i64) -> JobScript {
    JobScript {
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        code,
        stuck: None,
    }
}

pub(crate) fn with(script: JobScript) -> StandIn {
    let mut world = World::empty();
    world.put(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "anna",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
    );
    world.job = script;
    StandIn::start(world)
}

fn follow(cluster: &Cluster, job: &JobName) -> (JobState, Vec<JobEvent>) {
    let mut events = Vec::new();
    let state = cluster
        .follow(job, &go_on, &mut |event| events.push(event))
        .unwrap();
    (state, events)
}

fn lines(events: &[JobEvent]) -> Vec<&str> {
    let line = |event: &'_ JobEvent| matches!(event, JobEvent::Line(_));
    events
        .iter()
        .filter(|event| line(event))
        .map(|event| match event {
            JobEvent::Line(text) => text.as_str(),
            _ => "",
        })
        .collect()
}

#[test]
fn a_run_takes_its_notebook_and_its_parameters_along() {
    let server = with(JobScript::default());
    let job = server.connect().submit(&run(), &go_on).unwrap();
    let map = server
        .world()
        .get("configmaps", "anna", &job.name)
        .unwrap()
        .clone();
    assert!(
        map["data"]["train.ipynb"]
            .as_str()
            .unwrap()
            .contains(r#""outputs":[]"#)
    );
    assert_eq!(
        map["metadata"]["ownerReferences"][0]["name"],
        json!(job.name)
    );
    let container = server.world().get("jobs", "anna", &job.name).unwrap()["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(
        container["args"],
        json!([
            "mlk8s-batch",
            "/mlk8s/notebook/train.ipynb",
            "--param",
            "epochs=3",
            "--param",
            "cost=$$(HOME)",
            "--out",
            "/mlk8s/out"
        ])
    );
}

#[test]
fn a_run_is_sent_followed_fetched_and_taken_away() {
    let server = with(script(
        &[
            "cell 1 of 2",
            "cell 2 of 2",
            "::mlk8s {uid} begin report.html",
            HELLO,
            "::mlk8s {uid} end",
            "::mlk8s {uid} done",
        ],
        0,
    ));
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    assert!(
        job.name.starts_with("night-run-") && job.namespace == "anna",
        "{job}"
    );

    let (state, events) = follow(&cluster, &job);
    assert_eq!(
        (state.phase, state.notebook.as_str()),
        (Phase::Succeeded, "train.ipynb")
    );
    assert_eq!(lines(&events), ["cell 1 of 2", "cell 2 of 2"]);
    assert_eq!(events[0], JobEvent::Phase(Phase::Waiting(String::new())));
    assert!(events.contains(&JobEvent::Phase(Phase::Running)));

    let files = cluster.result(&job, &go_on).unwrap().files;
    assert_eq!(
        (files[0].name.as_str(), files[0].bytes.as_slice()),
        ("report.html", b"hello\n".as_slice())
    );
    assert_eq!(cluster.jobs(&go_on).unwrap().len(), 1);

    cluster.delete(&job, &go_on).unwrap();
    assert!(
        server
            .world()
            .objects
            .keys()
            .all(|(plural, ..)| plural == "namespaces")
    );
    cluster.delete(&job, &go_on).unwrap();
    assert!(matches!(
        cluster.job(&job, &go_on),
        Err(ClusterError::NotFound { .. })
    ));
    assert!(matches!(
        cluster.result(&job, &go_on),
        Err(ClusterError::NotFound { .. })
    ));
}

#[test]
fn a_run_that_fails_says_how_and_gives_its_result_all_the_same() {
    let server = with(script(
        &[
            "cell 1 of 2",
            "::mlk8s {uid} begin report.html",
            HELLO,
            "::mlk8s {uid} end",
            "::mlk8s {uid} done",
        ],
        137,
    ));
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let (state, _) = follow(&cluster, &job);
    assert_eq!(
        state.phase,
        Phase::Failed("`notebook` ended with exit code 137".to_owned())
    );
    assert_eq!(cluster.result(&job, &go_on).unwrap().files.len(), 1);
}

#[test]
fn a_log_that_breaks_is_read_on_where_it_broke() {
    let server = with(script(
        &["one", "two", "BREAK", "three", "::mlk8s {uid} done"],
        0,
    ));
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let (state, events) = follow(&cluster, &job);
    assert_eq!(state.phase, Phase::Succeeded);
    assert_eq!(lines(&events), ["one", "two", "three"]);
}

#[test]
fn a_cluster_that_is_away_for_a_moment_is_waited_for() {
    let server = with(script(&["one", "::mlk8s {uid} done"], 0));
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    server.world().fail(
        "GET /apis/batch/v1/namespaces/anna/jobs",
        Fault::Status(500, "etcdserver: leader changed".to_owned()),
        3,
    );
    let (state, events) = follow(&cluster, &job);
    assert_eq!(state.phase, Phase::Succeeded);
    let silences = events
        .iter()
        .filter(|event| matches!(event, JobEvent::Silence(_)))
        .count();
    assert_eq!(silences, 1, "{events:?}");
}

#[test]
fn a_run_that_finds_no_gpu_says_so_and_can_be_left() {
    let stuck = JobScript {
        stuck: Some("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.".to_owned()),
        ..JobScript::default()
    };
    let cluster = with(stuck);
    let cluster = cluster.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let said = std::sync::Mutex::new(Vec::new());
    let stop = || !said.lock().unwrap().is_empty();
    let left = cluster.follow(&job, &stop, &mut |event| said.lock().unwrap().push(event));
    assert!(matches!(left, Err(ClusterError::Cancelled)), "{left:?}");
    let said = said.into_inner().unwrap();
    assert!(
        matches!(&said[0], JobEvent::Phase(Phase::Waiting(why)) if why.contains("Insufficient nvidia.com/gpu")),
        "{said:?}"
    );
}

#[test]
fn what_keeps_pods_away_is_told_where_one_may_see_it() {
    let server = with(JobScript::default());
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    server
        .world()
        .objects
        .retain(|(plural, ..), _| plural != "pods");
    server.world().put(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1", "namespace": "anna"},
        "involvedObject": {"kind": "Job", "name": job.name}, "type": "Warning", "reason": "FailedCreate",
        "message": "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1"}));
    assert_eq!(
        cluster.job(&job, &go_on).unwrap().phase,
        Phase::Waiting(
            "FailedCreate: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1".to_owned()
        )
    );
    server.world().forbid("list", "events", Some("anna"));
    assert_eq!(
        cluster.job(&job, &go_on).unwrap().phase,
        Phase::Waiting(String::new())
    );
}

#[test]
fn a_job_without_its_notebook_is_not_left_behind() {
    let server = with(JobScript::default());
    server.world().forbid("create", "configmaps", Some("anna"));
    let error = server.connect().submit(&run(), &go_on).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("may not create `configmaps` in namespace `anna`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains(r#"verbs: ["create"]"#));
    assert!(
        server
            .world()
            .objects
            .keys()
            .all(|(plural, ..)| plural == "namespaces")
    );
}

#[test]
fn runs_that_cannot_run_are_refused_before_they_are_sent() {
    let server = with(JobScript::default());
    let cluster = server.connect();
    let wrong = [
        NotebookRun {
            image: "mlk8s/notebook".to_owned(),
            ..run()
        },
        NotebookRun {
            image: "host:5000/notebook:latest".to_owned(),
            ..run()
        },
        NotebookRun {
            deadline: Duration::ZERO,
            ..run()
        },
        NotebookRun {
            cpu: f64::NAN,
            ..run()
        },
        NotebookRun {
            command: Vec::new(),
            ..run()
        },
        NotebookRun {
            parameters: vec![("a=b".to_owned(), "c".to_owned())],
            ..run()
        },
    ];
    for run in wrong {
        assert!(
            matches!(
                cluster.submit(&run, &go_on),
                Err(ClusterError::Input { .. })
            ),
            "{run:?}"
        );
    }
    assert!(server.asked().is_empty());
}

#[test]
fn the_program_of_the_job_writes_what_is_read() {
    // The script itself, as the pod runs it, with a program in place of the notebook.
    let server = with(JobScript::default());
    let cluster = server.connect();
    let job = cluster.submit(&run(), &go_on).unwrap();
    let container = server.world().get("jobs", "anna", &job.name).unwrap()["spec"]["template"]["spec"]["containers"][0].clone();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let ran = std::process::Command::new("sh")
        .args(["-c", container["command"][2].as_str().unwrap(), "sh"])
        .args(["sh", "-c", "echo a cell; mkdir \"$MLK8S_OUT/b c\"; printf 'hello\\n' > \"$MLK8S_OUT/b c/r.html\"; head -c 4096 /dev/urandom > \"$MLK8S_OUT/big\"; exit 3"])
        .env("MLK8S_OUT", &out)
        .env("MLK8S_PACKED", folder.path().join("packed"))
        .env("MLK8S_MOST", "2048")
        .env("MLK8S_MARK", "uid-of-the-pod")
        .env("MLK8S_KEEP", folder.path().join("keep"))
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(
        std::fs::read(folder.path().join("keep/b c/r.html")).unwrap(),
        b"hello\n"
    );
    let log = String::from_utf8(ran.stdout)
        .unwrap()
        .replace("uid-of-the-pod", "{uid}");
    server.world().job.lines = log.lines().map(str::to_owned).collect();
    let (_, events) = follow(&cluster, &job);
    assert_eq!(
        lines(&events),
        ["a cell", "`big` is too big to come back through the log"]
    );
    let files = cluster.result(&job, &go_on).unwrap().files;
    assert_eq!(files.len(), 1);
    assert_eq!(
        (files[0].name.as_str(), files[0].bytes.as_slice()),
        ("b c/r.html", b"hello\n".as_slice())
    );
}
