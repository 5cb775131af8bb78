"""`%cluster` in a notebook, and the program behind `cargo devbox cluster`, against a stand-in for an API server."""

import os
import subprocess
from pathlib import Path

import pytest
from client import KERNEL, wait_until
from jupyter_client.kernelspec import KernelSpecManager
from kubernetes import NAMESPACE, ApiServer
from kubernetes_admission import RESTRICTED
from kubernetes_home import home


@pytest.fixture
def started(kernels, tmp_path):
    """Starts a kernel that sees the cluster which its environment names."""

    def start(**env):
        return kernels(env={"MLK8S_STATE": str(tmp_path / "state"), **env})

    return start


def test_the_cluster_is_seen_and_its_pods_are_a_frame(started, tmp_path):
    with ApiServer(home()) as server:
        kernel = started(KUBECONFIG=server.kubeconfig(tmp_path))
        talk = kernel.run("%cluster")
        assert talk.ok, talk
        shown = talk.result
        assert "cluster" in shown and "v1.34.1" in shown
        # Who has the only GPU, who waits for it and why, and what can be asked.
        assert "1 of 1" in shown and "llm-0" in shown and "RTX-A6000" in shown
        assert "second-model-0" in shown and "Insufficient nvidia.com/gpu" in talk.shown
        assert "%endpoint add llm http://llm.mlk8s.svc:8000/v1" in shown, shown
        assert "mlk8s-home" in shown
        # Colours are kinds of things there, not communities, and nothing has another name.
        picture = talk.data["text/html"].split("<figure")[-1]
        assert "edges" in picture and '"grouped":false' in picture and " communit" not in picture.split("<script")[0], picture
        # A page has twenty of them, and there are more.
        counted = kernel.run('(pods.height(), pods.column("gpus")?.u32()?.sum())')
        assert "(33, Some(2))" in counted.shown, counted


def test_what_may_not_be_seen_is_said_and_the_rest_is_there(started, tmp_path):
    with ApiServer(home(), denied=["nodes", "persistentvolumeclaims"]) as server:
        kernel = started(KUBECONFIG=server.kubeconfig(tmp_path))
        talk = kernel.run("%cluster")
        assert talk.ok, talk
        assert "llm-0" in talk.result and "second-model-0" in talk.result
        assert "may not list `nodes`" in talk.result, talk.result
        # What an administrator has to allow, ready to be pasted.
        assert "kind: ClusterRole" in talk.result and 'resources: ["nodes"]' in talk.result, talk.result


def test_pods_that_could_not_be_listed_are_not_none(started, tmp_path):
    with ApiServer(home(), denied=["pods"]) as server:
        kernel = started(KUBECONFIG=server.kubeconfig(tmp_path))
        talk = kernel.run("%cluster")
        assert talk.ok and "the frame `pods` is empty: pods could not be listed" in talk.shown, talk
        assert f"may not list `pods` in namespace `{NAMESPACE}`" in talk.shown, talk


def test_without_a_cluster_a_notebook_goes_on(started, tmp_path):
    kernel = started(KUBECONFIG="", HOME=str(tmp_path))
    talk = kernel.run("%cluster")
    assert talk.ok and "no cluster can be seen from here" in talk.shown, talk


def test_a_cluster_that_does_not_answer_or_does_not_know_us_is_an_error(started, tmp_path):
    with ApiServer(home()) as server:
        kernel = started(KUBECONFIG=server.kubeconfig(tmp_path, token="another"))
        stranger = kernel.run("%cluster")
        assert not stranger.ok and "does not know who asks" in str(stranger.error), stranger
    gone = kernel.run("%cluster")
    assert not gone.ok and "cannot reach" in str(gone.error), gone


MANIFESTS = """apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: good night}
---
apiVersion: batch/v1
kind: Job
metadata: {name: night}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: x:1
        command: [sh, -c, cat /settings/greeting]
        volumeMounts: [{name: settings, mountPath: /settings}]
      volumes: [{name: settings, configMap: {name: settings}}]
"""


@pytest.fixture
def apply(tmp_path):
    """Applies these manifests to a cluster; the status and all that is said."""
    overlay = tmp_path / "overlays" / "home"
    overlay.mkdir(parents=True)
    (overlay / "kustomization.yaml").write_text("resources: [all.yaml]")
    # What renders is tried in test_manifests.py.
    renderer = tmp_path / "kubectl"
    renderer.write_text('#!/bin/sh\ncat "$2/all.yaml"\n')
    renderer.chmod(0o755)
    program = Path(KernelSpecManager().get_kernel_spec(KERNEL).argv[0]).with_name("mlk8s-cluster")

    def run(server, text=MANIFESTS, *words):
        (overlay / "all.yaml").write_text(text)
        command = [program, "--kubeconfig", server.kubeconfig(tmp_path), "--manifests", tmp_path, "apply", "home", *words]
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_what_is_applied_runs_and_is_told_field_by_field(apply, tmp_path):
    with ApiServer(home(), folder=tmp_path / "pods") as server:
        code, said = apply(server)
        assert code == 0 and "+ ConfigMap settings" in said and "+ Job night" in said, said
        (pod,) = [one for one in server.all("pods") if one["metadata"]["name"].startswith("night-")]
        wait_until(lambda: pod["status"]["phase"] == "Succeeded")
        assert [line for _, line in server.runner.log(pod["metadata"]["uid"]).lines] == ["good night"]
        code, said = apply(server)
        assert code == 0 and "0 created, 0 changed, 2 unchanged" in said, said
        code, said = apply(server, MANIFESTS.replace("good night", "good morning"))
        assert code == 0 and "data.greeting: good night → good morning" in said, said
        # The pods of a Job cannot be changed, and then nothing is.
        code, said = apply(server, MANIFESTS.replace("cat", "tac").replace("night}", "evening}", 1))
        assert code == 1 and "field is immutable" in said and "nothing was done" in said, said


def test_what_the_server_warns_of_is_shown_and_a_pod_that_is_not_admitted_does_not_run(apply, tmp_path):
    with ApiServer(home(), folder=tmp_path / "pods", labels=RESTRICTED) as server:
        code, said = apply(server)
        assert code == 0 and 'warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation' in said, said
        assert '(container "main" must set securityContext.capabilities.drop=["ALL"])' in said, said
        assert not [one for one in server.all("pods") if one["metadata"]["name"].startswith("night-")]
        (event,) = server.all("events")
        assert 'pods "night-" is forbidden: violates PodSecurity' in event["message"]


def test_what_is_somebody_elses_is_not_taken_and_what_one_may_not_is_said(apply, tmp_path):
    with ApiServer(home()) as server:
        assert apply(server)[0] == 0
        server.owners["configmaps", NAMESPACE, "settings"]["data", "greeting"] = "helm"
        other = MANIFESTS.replace("good night", "good morning")
        code, said = apply(server, other)
        assert code == 1 and 'conflict with "helm": .data.greeting' in said and "`--force-conflicts`" in said, said
        code, said = apply(server, other, "--force-conflicts")
        assert code == 0 and "1 changed" in said, said
        server.denied = {"patch jobs"}
        code, said = apply(server, other)
        assert code == 1 and '{apiGroups: ["batch"], resources: ["jobs"], verbs: ["create", "get", "patch"]}' in said, said
