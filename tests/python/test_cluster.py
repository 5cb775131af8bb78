"""`%cluster` and `%batch` in a notebook, against a stand-in for an API server."""

import pytest
from kubernetes import ApiServer, home


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
