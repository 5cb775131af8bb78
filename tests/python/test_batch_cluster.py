"""`%batch --on cluster`: a notebook of a notebook is sent, runs as a Job, and its report comes back.

The cluster is a stand-in for its API server that runs the command of a Job on this machine.
"""

import json
import os
import re

import pytest
from client import STOPPED_S, wait_until
from kubernetes import NAMESPACE, ApiServer
from kubernetes_admission import RESTRICTED
from kubernetes_home import home
from test_batch_magic import notebook

IMAGE = "localhost:32000/mlk8s/notebook:0.1.0"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
RUN_S = 300


@pytest.fixture
def cluster(tmp_path):
    """Starts clusters, which end with the test."""
    started = []
    # What an image has of its own: the programs, and nothing of the person.
    image = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "MLK8S_IMAGE", "MLK8S_IN_BATCH")}
    image["MLK8S_STATE"] = str(tmp_path / "state-of-pods")

    def start(denied=()):
        # In a namespace in which only pods with little privilege run.
        started.append(ApiServer(home(), denied=denied, folder=tmp_path / "pods", image=image, labels=RESTRICTED))
        return started[-1].__enter__()

    yield start
    for server in started:
        server.__exit__()


@pytest.fixture
def kernel_of(kernels, tmp_path):
    """Starts a kernel in a pod of the cluster `server`, as the manifests make one."""

    def start(server, **env):
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        env = {"MLK8S_STATE": str(tmp_path / "state"), "MLK8S_IMAGE": IMAGE, **env}
        return kernels(work, env={"KUBECONFIG": server.kubeconfig(tmp_path), **env})

    return start


def left(server):
    """What there is of Jobs, by kind and name."""
    mine = [("jobs", one) for one in server.all("jobs")] + [("configmaps", one) for one in server.all("configmaps")]
    mine += [("pods", one) for one in server.all("pods") if "batch.kubernetes.io/job-name" in one["metadata"]["labels"]]
    return [(plural, one["metadata"]["name"]) for plural, one in mine]


def phases(server):
    """How the pods of Jobs are."""
    ours = [one for one in server.all("pods") if "batch.kubernetes.io/job-name" in one["metadata"]["labels"]]
    return [one["status"]["phase"] for one in ours]


def fetched(folder, name):
    """The one file of that name that came back."""
    (path,) = folder.glob(f"runs/*/*/{name}")
    return path


def test_a_notebook_runs_as_a_job_and_its_report_comes_back(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    work = tmp_path / "work"
    notebook(work, "let limit: usize = 1;", 'println!("as {:?}", std::env::var("MLK8S_MARK").is_ok()); limit * 111')
    talk = kernel.run("%batch night.ipynb --on cluster --param limit=6", seconds=RUN_S)
    assert talk.ok, talk
    name = re.search(rf"ran to its end as `{NAMESPACE}/(night-\w+)`", talk.result)[1]
    report = fetched(work, "report.html")
    assert "666" in report.read_text() and "as true" in report.read_text()
    # It can be opened from here.
    assert f"(<{report.relative_to(work)}>)" in talk.shown, talk
    run = json.loads(fetched(work, "run.json").read_text())
    assert run["status"] == "finished" and run["parameters"] == {"limit": 6}, run
    # The image is that of this notebook, and nothing is left.
    (job,) = [one for one in server.made if one["kind"] == "Job"]
    assert job["metadata"]["name"] == name
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
    assert left(server) == []


def test_a_cell_that_fails_makes_a_job_that_failed_and_a_report_all_the_same(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    work = tmp_path / "work"
    notebook(work, "let limit: usize = 1;", 'panic!("no more paper")')
    talk = kernel.run("%batch night.ipynb --on cluster", seconds=RUN_S)
    assert not talk.ok and "failed on the cluster" in talk.error["evalue"], talk
    assert "exit code 1" in talk.error["evalue"] and "has what came back" in talk.traceback, talk
    assert "no more paper" in fetched(work, "report.html").read_text()
    assert json.loads(fetched(work, "run.json").read_text())["status"] == "failed"
    assert left(server) == []


def test_without_a_right_it_is_said_which_and_nothing_is_left_half_made(cluster, kernel_of, tmp_path):
    server = cluster(denied=["create jobs"])
    kernel = kernel_of(server)
    notebook(tmp_path / "work", "let limit: usize = 1;")
    talk = kernel.run("%batch night.ipynb --on cluster")
    assert not talk.ok and f"may not create `jobs` in namespace `{NAMESPACE}`" in talk.error["evalue"], talk
    assert '{apiGroups: ["batch"], resources: ["jobs"], verbs: ["create"]}' in talk.traceback, talk
    server.denied = {"create configmaps"}
    talk = kernel.run("%batch night.ipynb --on cluster")
    assert not talk.ok and "may not create `configmaps`" in talk.error["evalue"], talk
    assert left(server) == []


def test_a_log_that_one_may_not_read_leaves_the_job_and_says_how_to_go_on(cluster, kernel_of, tmp_path):
    server = cluster(denied=["get pods/log"])
    kernel = kernel_of(server)
    notebook(tmp_path / "work", "let limit: usize = 1;")
    talk = kernel.run("%batch night.ipynb --on cluster", seconds=RUN_S)
    assert not talk.ok and "may not get `pods/log`" in talk.error["evalue"], talk
    assert 'resources: ["pods/log"]' in talk.traceback and f"--follow {NAMESPACE}/night-" in talk.traceback, talk
    assert len(server.all("jobs")) == 1


def test_who_stops_following_is_told_how_to_go_on_and_can(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    work, go = tmp_path / "work", tmp_path / "go"
    wait = f'while !std::path::Path::new("{go}").exists() {{ std::thread::park_timeout(std::time::Duration::from_millis(5)); }}'
    notebook(work, "let limit: usize = 1;", wait, "limit + 41")
    talk = kernel.send("%batch night.ipynb --on cluster")
    # Before its log is read the Job is not sent yet, and a stop takes it back.
    wait_until(lambda: phases(server) == ["Running"] and any("/log" in line for line in server.lines))
    seconds = kernel.stop(talk)
    assert talk.ename == "Interrupted" and seconds < STOPPED_S, talk
    name = re.search(rf"--follow {NAMESPACE}/(night-\w+)`", talk.traceback)[1]
    assert f"kubectl -n {NAMESPACE} delete job {name}" in talk.traceback, talk
    # The Job is whole, and nobody has asked it to end.
    assert ("jobs", name) in left(server) and ("configmaps", name) in left(server) and phases(server) == ["Running"]
    go.touch()
    talk = kernel.run(f"%batch night.ipynb --on cluster --follow {name}", seconds=RUN_S)
    assert talk.ok and f"ran to its end as `{NAMESPACE}/{name}`" in talk.result, talk
    assert "42" in fetched(work, "report.html").read_text()
    assert left(server) == []
    gone = kernel.run(f"%batch night.ipynb --on cluster --follow {name}")
    assert gone.ename == "NotFound" and "--follow" not in gone.traceback, gone


def test_who_stops_while_the_server_is_silent_is_told_what_may_be_left(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    notebook(tmp_path / "work", "let limit: usize = 1;")
    server.hold(f"POST {JOBS}")
    talk = kernel.send("%batch night.ipynb --on cluster")
    wait_until(lambda: any(line.startswith(f"POST {JOBS}") for line in server.lines))
    seconds = kernel.stop(talk)
    assert talk.ename == "Interrupted" and seconds < STOPPED_S, talk
    assert f"kubectl -n {NAMESPACE} delete job night-" in talk.traceback, talk
    assert any(line.startswith(f"DELETE {JOBS}/night-") for line in server.lines)


def test_a_job_that_was_stopped_between_its_two_parts_is_taken_away(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    notebook(tmp_path / "work", "let limit: usize = 1;")
    maps = f"POST /api/v1/namespaces/{NAMESPACE}/configmaps"
    hold = server.hold(maps)
    talk = kernel.send("%batch night.ipynb --on cluster")
    wait_until(lambda: any(line.startswith(maps) for line in server.lines))
    kernel.stop(talk)
    assert talk.ename == "Interrupted" and left(server) == [], talk
    # What was on its way belongs to what is gone, which the garbage collector notices.
    hold.set()


def test_what_a_job_waits_for_is_shown(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server)
    notebook(tmp_path / "work", "let limit: usize = 1;")
    talk = kernel.send("%batch night.ipynb --on cluster --gpus 1")
    kernel.until_shown(talk, "Insufficient nvidia.com/gpu")
    kernel.stop(talk)
    assert talk.ename == "Interrupted" and phases(server) == ["Pending"], talk
    # Not what a scheduler thinks of sending others away, which is longer than the reason.
    assert "preemption" not in talk.shown, talk


def test_words_that_do_not_go_together_are_refused(cluster, kernel_of, tmp_path):
    server = cluster()
    kernel = kernel_of(server, MLK8S_IMAGE="")
    notebook(tmp_path / "work", "let limit: usize = 1;")
    for words, says in [
        ("--on cluster", "no image was named"),
        ("--follow night-1", "`--follow` is for `--on cluster`"),
        ("--on cluster --follow night-1 --gpus 1", "`--follow` stands alone"),
    ]:
        talk = kernel.run(f"%batch night.ipynb {words}")
        assert talk.ename == "UsageError" and says in talk.error["evalue"], talk
    assert server.lines == []
