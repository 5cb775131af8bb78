"""The manifests in devbox/manifests: rendered, held against schemas and rules; and broken ones, which must be found."""

import copy
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from client import KERNEL, wait_until
from conftest import NOTEBOOKS, ROOT
from hub import REPOSITORY, Hub
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

MANIFESTS = ROOT / "devbox" / "manifests"
DOCS = ROOT / "docs" / "cluster"
LOCK = "devbox/python/cluster.txt"
OVERLAYS = ("home", "cpu", "restricted")
# What the dashboard asks of others: vLLM (vllm/v1/metrics), NVIDIA's dcgm-exporter (default-counters.csv), OpenCost
# (docs/metrics), kube-state-metrics, the kubelet, and Prometheus itself.
FOREIGN = {
    "vllm:generation_tokens_total",
    "vllm:gpu_cache_usage_perc",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:time_to_first_token_seconds_bucket",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "DCGM_FI_DEV_XID_ERRORS",
    "container_cpu_allocation",
    "container_gpu_allocation",
    "container_memory_allocation_bytes",
    "node_cpu_hourly_cost",
    "node_gpu_hourly_cost",
    "node_ram_hourly_cost",
    "node_total_hourly_cost",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "kube_job_status_failed",
    "kube_pod_container_resource_limits",
    "kube_pod_container_status_last_terminated_reason",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "kubelet_volume_stats_used_bytes",
    "up",
}
# Added by Prometheus to what it reads.
OF_PROMETHEUS = {"namespace", "pod", "container", "job", "resource"}
# A key for a server on this machine that lives for a second.
KEY = "for-a-test"
METRIC = re.compile(r"\b((?:mlk8s_|vllm:|DCGM_|kube_|kubelet_|container_|node_)\w+|up(?=\{))(?:\{([^}]*)\})?")
SELECTOR = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
# A value that comes from nowhere.
LITERAL = re.compile(r"from-literal=[\w-]+=(?:\"[^\"$]*\"|[^\"$\s]+(?:\s|$))")


def missing(what, how):
    """Skips; but fails where nobody would notice a skip."""
    message = f"no {what}: {how}"
    if os.environ.get("CI", "false") != "false":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def manifests():
    """The program that checks manifests."""
    folder = str(ROOT / "devbox" / "python")
    try:
        sys.path.insert(0, folder)
        import check_manifests
    except ImportError as error:
        missing(f"module `{error.name}`", f"`pip install -r {LOCK}`")
    finally:
        sys.path.remove(folder)
    try:
        check_manifests.renderer()
    except check_manifests.Unreadable as error:
        missing("kubectl or kustomize", str(error))
    return check_manifests


@pytest.fixture(scope="session")
def home(manifests):
    return manifests.read(MANIFESTS / "overlays" / "home")


def folders():
    """All overlays, steps and parts, as names."""
    return sorted(str(path.parent.relative_to(MANIFESTS)) for path in MANIFESTS.glob("*/**/kustomization.yaml"))


@pytest.mark.parametrize("folder", [folder for folder in folders() if not folder.startswith("components")])
def test_nothing_is_wrong(manifests, folder):
    assert manifests.check(MANIFESTS / folder) == []


def test_every_part_is_used_by_an_overlay(manifests):
    written = "".join(path.read_text() for path in MANIFESTS.glob("overlays/*/*/kustomization.yaml"))
    by_hand = {"spawner", "gpu-sharing"}  # in namespaces of others
    assert {path.name for path in (MANIFESTS / "base").iterdir() if f"base/{path.name}\n" not in written} == by_hand


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_says_where_each_object_stands(manifests, overlay):
    objects = manifests.read(MANIFESTS / "overlays" / overlay)
    namespaces = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    used = {item["metadata"].get("namespace") for item in objects} - {None}
    assert used == namespaces


def the(objects, kind, name):
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


def notebook(objects):
    return the(objects, "Notebook", "mlk8s")["spec"]["template"]["spec"]


def llm(objects):
    return the(objects, "Deployment", "llm")["spec"]["template"]["spec"]


def ray(objects):
    return the(objects, "RayCluster", "ray")["spec"]["workerGroupSpecs"][0]["template"]["spec"]


def env(spec, name):
    return next(one for one in spec["containers"][0]["env"] if one["name"] == name)


# What is broken, and what must be said of it.
BROKEN = {
    "a typo in a Notebook's pod": (
        lambda o: notebook(o)["containers"][0].update(imagePullPolicyy="Never"),
        "imagePullPolicyy",
    ),
    "a wrong type in a Notebook's pod": (lambda o: notebook(o).update(terminationGracePeriodSeconds="soon"), "integer"),
    "a Notebook without a container": (lambda o: notebook(o).pop("containers"), "'containers' is a required property"),
    "a typo in a Deployment": (lambda o: llm(o).update(restartPolicyy="Always"), "restartPolicyy"),
    "a typo in a RayCluster": (lambda o: the(o, "RayCluster", "ray")["spec"].update(rayversion="2"), "rayversion"),
    "a typo in a pod of Ray": (lambda o: ray(o)["containers"][0].update(comand=["true"]), "comand"),
    "a kind that nobody knows": (lambda o: o.append({**o[0], "kind": "Nonsense"}), "knows v1 Nonsense"),
    "a privileged container": (
        lambda o: llm(o)["containers"][0]["securityContext"].update(privileged=True),
        "privileged",
    ),
    "a pod of Ray as root": (lambda o: ray(o)["securityContext"].update(runAsUser=0), "must not be 0"),
    "a Secret that is not there": (
        lambda o: env(llm(o), "VLLM_API_KEY")["valueFrom"]["secretKeyRef"].update(name="pgsql-password"),
        "Secret `pgsql-password` is not there",
    ),
    "a key that the Secret has not": (
        lambda o: env(llm(o), "VLLM_API_KEY")["valueFrom"]["secretKeyRef"].update(key="PGSQL_PASS"),
        "has no key `PGSQL_PASS`",
    ),
    "a claim that is not there": (
        lambda o: notebook(o)["volumes"][0]["persistentVolumeClaim"].update(claimName="gone"),
        "PersistentVolumeClaim `gone` is not there",
    ),
    "an account that is not there": (
        lambda o: notebook(o).update(serviceAccountName="nobody"),
        "`nobody` is not there",
    ),
    "a Secret with a value": (
        lambda o: o.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {**o[-1]["metadata"], "name": "s"},
                "stringData": {"key": "k"},
            }
        ),
        "a Secret with values",
    ),
    "a key in plain sight": (
        lambda o: env(llm(o), "VLLM_API_KEY").update(value="abc", valueFrom=None),
        "take it from a Secret",
    ),
    "an image of any version": (lambda o: llm(o)["containers"][0].update(image="docker.io/vllm/vllm-openai"), "pinned"),
    "the latest image": (lambda o: llm(o)["containers"][0].update(image="vllm/vllm-openai:latest"), "pinned"),
    "NB_PREFIX in a Notebook": (
        lambda o: notebook(o)["containers"][0]["env"].append({"name": "NB_PREFIX", "value": "/"}),
        "NB_PREFIX",
    ),
    "a GPU that is not asked for": (
        lambda o: notebook(o)["containers"][0]["env"].append({"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}),
        "does not ask for",
    ),
    "no memory limit": (lambda o: llm(o)["containers"][0]["resources"]["limits"].pop("memory"), "without memory"),
    "a Service that chooses nothing": (
        lambda o: the(o, "Service", "llm")["spec"].update(selector={"app": "lllm"}),
        "chooses no pod",
    ),
    "a Service with another port": (
        lambda o: the(o, "Service", "llm")["spec"]["ports"][0].update(targetPort="http"),
        "no chosen pod has a port `http`",
    ),
    "no labels": (lambda o: the(o, "Service", "llm")["metadata"].pop("labels"), "without app.kubernetes.io/name"),
    "no namespace": (lambda o: the(o, "Service", "llm")["metadata"].pop("namespace"), "is missing"),
    "a namespace where there is none": (
        lambda o: the(o, "Profile", "mlk8s")["metadata"].update(namespace="mlk8s"),
        "stands in no namespace",
    ),
    "a role that is not there": (
        lambda o: the(o, "RoleBinding", "mlk8s-batch")["roleRef"].update(name="all"),
        "Role `all` is not there",
    ),
    "the same twice": (lambda o: o.append(copy.deepcopy(the(o, "Service", "llm"))), "is there 2 times"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(manifests, home, what):
    breaks, said = BROKEN[what]
    objects = copy.deepcopy(home)
    breaks(objects)
    found = manifests.findings(objects)
    assert any(said in f"{one.object} {one.field} {one.message}" for one in found), found


# One violation of each control of the standard, in a pod that keeps all of them.
FORBIDDEN = {
    "hostNetwork": lambda pod, c: pod.update(hostNetwork=True),
    "hostPID": lambda pod, c: pod.update(hostPID=True),
    "hostIPC": lambda pod, c: pod.update(hostIPC=True),
    "hostPath": lambda pod, c: pod.update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "nfs": lambda pod, c: pod.update(volumes=[{"name": "v", "nfs": {"server": "s", "path": "/"}}]),
    "kernel.msgmax": lambda pod, c: pod["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "runAsUser": lambda pod, c: c["securityContext"].update(runAsUser=0),
    "runAsNonRoot": lambda pod, c: pod["securityContext"].pop("runAsNonRoot"),
    "runAsNonRoot must not be false": lambda pod, c: c["securityContext"].update(runAsNonRoot=False),
    "seccompProfile": lambda pod, c: pod["securityContext"].pop("seccompProfile"),
    "seccompProfile.type": lambda pod, c: c["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    "appArmorProfile": lambda pod, c: c["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
    "seLinuxOptions": lambda pod, c: c["securityContext"].update(seLinuxOptions={"type": "spc_t"}),
    "hostProcess": lambda pod, c: c["securityContext"].update(windowsOptions={"hostProcess": True}),
    "privileged": lambda pod, c: c["securityContext"].update(privileged=True),
    "allowPrivilegeEscalation": lambda pod, c: c["securityContext"].pop("allowPrivilegeEscalation"),
    "drop": lambda pod, c: c["securityContext"].update(capabilities={"drop": ["NET_RAW"]}),
    "SYS_ADMIN": lambda pod, c: c["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "procMount": lambda pod, c: c["securityContext"].update(procMount="Unmasked"),
    "a port of the node": lambda pod, c: c.update(ports=[{"containerPort": 80, "hostPort": 80}]),
    "another host": lambda pod, c: c.update(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 80}}),
    "initContainers.0": lambda pod, c: pod.update(initContainers=[{"name": "init"}]),
}


@pytest.mark.parametrize("said", FORBIDDEN)
def test_the_standard_is_checked_control_by_control(manifests, said):
    container = {
        "name": "c",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [],
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    restricted = manifests.pod_security.restricted
    assert list(restricted(pod)) == []
    container["securityContext"]["capabilities"]["add"] = ["NET_BIND_SERVICE"]
    assert list(restricted(pod)) == []
    FORBIDDEN[said](pod, container)
    assert any(said in f"{field} {message}" for field, message in restricted(pod)), list(restricted(pod))


def test_a_pod_for_podman_has_nothing_that_only_a_cluster_has(manifests, home, tmp_path):
    kubeflow = manifests.read(MANIFESTS / "overlays" / "home" / "kubeflow")
    pod = manifests.pod(kubeflow, {"home": tmp_path})
    assert (pod["kind"], pod["metadata"]["name"]) == ("Pod", "mlk8s")
    text = json.dumps(pod)
    assert str(tmp_path) in text and "persistentVolumeClaim" not in text and "secretKeyRef" not in text
    gpu = manifests.pod([the(home, "RayCluster", "ray")])
    assert "nvidia.com/gpu" not in json.dumps(gpu)
    assert [volume for volume in pod["spec"]["volumes"] if volume["name"] == "models"] == [
        {"name": "models", "emptyDir": {}}
    ]


def test_the_program_says_what_is_wrong_and_fails(manifests, home, tmp_path):
    program = [sys.executable, str(ROOT / "devbox" / "python" / "check_manifests.py")]
    broken = copy.deepcopy([the(home, "Service", "ledger"), the(home, "StatefulSet", "ledger")])
    broken[1]["spec"]["template"]["spec"]["nodeName2"] = "x"
    file = tmp_path / "broken.json"
    file.write_text("\n---\n".join(map(json.dumps, broken)))
    done = subprocess.run([*program, str(file), "--json"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert any("nodeName2" in one["message"] for one in json.loads(done.stdout))
    for wrong in (tmp_path, tmp_path / "gone"):
        done = subprocess.run([*program, str(wrong)], capture_output=True, text=True)
        assert done.returncode == 2 and "error: " in done.stderr


def test_what_a_person_makes_is_made_by_commands_without_values():
    import yaml

    for item in yaml.safe_load((MANIFESTS / "provided.yaml").read_text()):
        subprocess.run(["bash", "-n"], input=item["made"], text=True, check=True)
        assert item["name"] in item["made"] and all(f"{key}=" in item["made"] for key in item["keys"])
        assert not LITERAL.search(item["made"])
        assert LITERAL.search(re.sub(r'"[^"]*"', "secret", item["made"]))
        assert item["made"] in (DOCS / "secrets.md").read_text()


def test_our_images_have_the_version_of_the_workspace(manifests):
    version = re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    text = "".join(path.read_text() for path in MANIFESTS.glob("**/*.yaml"))
    tags = re.findall(r"mlk8s/(?:notebook|notebook-cuda|worker):([\w.-]+)", text)
    tags += re.findall(r"newTag: (\S+)", text)
    assert len(tags) > 8 and set(tags) == {version}


@pytest.mark.parametrize("step", ["home/kubeflow", "home/notebook-gpu", "cpu/kubeflow", "restricted/kubeflow"])
def test_a_notebook_is_told_its_image_wherever_the_registry_is(manifests, step):
    (notebook,) = [one for one in manifests.read(MANIFESTS / "overlays" / step) if one["kind"] == "Notebook"]
    (container,) = notebook["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("localhost:32000/")
    assert {"name": "MLK8S_IMAGE", "value": container["image"]} in container["env"]


def test_the_night_asks_for_what_the_program_knows(home):
    pod = the(home, "CronJob", "nightly")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, *words = pod["containers"][0]["command"]
    assert program == "mlk8s-batch"
    code = "import sys; from mlk8s_batch.cli import arguments; arguments(sys.argv[1:])"
    for more, fails in (((), False), (("--outt=x",), True)):
        env = {**os.environ, "PYTHONPATH": str(ROOT / "kernel" / "python" / "mlk8s_batch")}
        done = subprocess.run([sys.executable, "-c", code, *words, *more], env=env, capture_output=True, text=True)
        assert bool(done.returncode) == fails, done.stderr


def test_schemas_are_those_whose_origin_is_written_down():
    lines = (MANIFESTS / "crds" / "PROVENANCE.tsv").read_text().splitlines()[1:]
    known = {line.split("\t")[0]: line.split("\t")[-1] for line in lines}
    here = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (MANIFESTS / "crds").glob("*.gz")}
    assert here == known


# The dashboard and the alerts.


def expressions(objects):
    """What the dashboard and the rules ask Prometheus."""
    dashboard = json.loads(the(objects, "ConfigMap", "mlk8s-dashboard")["data"]["mlk8s.json"])
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(identities) == len(set(identities))
    for panel in dashboard["panels"]:
        assert panel["type"] == "row" or panel["targets"], panel["title"]
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in the(objects, "PrometheusRule", "mlk8s")["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture(scope="module")
def measured(home, manifests, tmp_path_factory):
    """What a worker that has answered once shows at /metrics: labels and their values, by metric.

    It is started with the command of the manifest, and asked with the key that it gets there.
    """
    program = shutil.which("mlk8s-worker", path=os.pathsep.join(programs()))
    if not program:
        missing("worker", "`cargo build`, or name it in MLK8S_WORKER")
    container = llm(manifests.read(MANIFESTS / "overlays" / "cpu" / "apps"))["containers"][0]
    ready = tmp_path_factory.mktemp("worker") / "ready"
    here = {
        "mlk8s-worker": program,
        "/models/local/qwen2.5-0.5b": str(NOTEBOOKS / "models" / "tiny"),
        "--port=8000": "--port=0",
    }
    command = [here.get(word, word) for word in container["command"]] + [f"--ready-file={ready}"]
    env = {**os.environ, container["env"][0]["name"]: KEY}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as worker:
        try:
            wait_until(lambda: ready.is_file() and ready.read_text().strip())
            said = json.loads(ready.read_text())["ready"]
            url = f"http://127.0.0.1:{said['port']}"
            question = {"model": "qwen2.5-0.5b", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
            get(f"{url}/v1/chat/completions", json.dumps(question).encode())
            text = get(f"{url}/metrics")
            assert urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/health").status == 200
        finally:
            worker.terminate()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels = METRIC.match(line).groups()
            of_metric = found.setdefault(name, {})
            for label, _, value in SELECTOR.findall(labels or ""):
                of_metric.setdefault(label, set()).add(value)
    return found


def programs():
    """Where the worker may lie: where it is named, or beside the kernel."""
    if os.environ.get("MLK8S_WORKER"):
        yield str(Path(os.environ["MLK8S_WORKER"]).parent)
    try:
        yield str(Path(KernelSpecManager().get_kernel_spec(KERNEL).argv[0]).parent)
    except NoSuchKernel:
        return


def get(url, body=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(url, body, headers)
    with opener.open(request, timeout=60) as answer:
        return answer.read().decode()


def test_every_metric_that_is_asked_for_exists(home, measured):
    asked = 0
    for expression in expressions(home):
        assert METRIC.search(expression), expression
        for name, labels in METRIC.findall(expression):
            asked += name.startswith("mlk8s_")
            assert name in measured or name in FOREIGN, f"{name} in {expression}"
            for label, comparison, value in SELECTOR.findall(labels) if name in measured else ():
                own = label.removeprefix("exported_")
                assert own in measured[name] or own in OF_PROMETHEUS, f"{label} of {name}"
                if own in measured[name] and comparison == "=":
                    assert value in measured[name][own], f'{label}="{value}" of {name}'
    assert asked > 15


def test_grouping_is_by_labels_that_exist(home, measured):
    for expression in expressions(home):
        for labels, inner in re.findall(r"by \(([^)]*)\) \((?:rate\(|increase\()?(mlk8s_\w+)", expression):
            for label in re.split(r",\s*", labels):
                assert label.removeprefix("exported_") in {*measured[inner], *OF_PROMETHEUS}, expression


# The one script in the manifests.


class Strict(Hub):
    """A hub that, as the real one does, refuses to go on behind the end of a file."""

    def weights(self, request, body, with_body):
        if request.headers.get("Range") == f"bytes={len(body)}-":
            return self.send(request, 416, {}, b"", with_body)
        return super().weights(request, body, with_body)


def test_a_model_is_fetched_once_and_goes_on_where_it_stopped(tmp_path):
    if not shutil.which("curl"):
        missing("curl", "install it (Debian: apt-get install curl)")
    tiny = NOTEBOOKS / "models" / "tiny"
    files = ["config.json", "tokenizer.json", "model.safetensors"]
    weights = (tiny / "model.safetensors").read_bytes()
    with Strict(tiny, breaks=1) as hub:

        def fetch(folder, files):
            env = {
                "MODEL": REPOSITORY,
                "MODEL_REVISION": "main",
                "MODEL_DIR": str(folder),
                "MODEL_FILES": " ".join(files),
            }
            env.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_test", PATH=os.environ["PATH"], NO_PROXY="*")
            script = MANIFESTS / "base" / "endpoint-worker" / "fetch.sh"
            done = subprocess.run(["sh", str(script)], env=env, timeout=120, capture_output=True, text=True)
            return done.returncode

        # What an earlier pod left: nothing, a piece, or all of it.
        for number, left in enumerate((b"", weights[:1000], weights)):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "model.safetensors.part").write_bytes(left)
            assert fetch(folder, files) == 0
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
                name: (tiny / name).read_bytes() for name in files
            }
        ranges = [wanted for _, path, wanted, _ in hub.asked if path.startswith("/weights/")]
        assert ranges == [None, f"bytes={len(weights) // 2}-", "bytes=1000-", f"bytes={len(weights)}-"]
        # The key is for the hub, not for where it sends us.
        assert {key for _, path, _, key in hub.asked if path.startswith("/weights/")} == {None}
        assert {key for _, path, _, key in hub.asked if not path.startswith("/weights/")} == {"Bearer hf_test"}
        before = len(hub.asked)
        assert fetch(folder, files) == 0
        assert len(hub.asked) == before
        assert fetch(folder, ["gone.json"]) == 22


# The pages.


def test_pages_name_what_is_there():
    pages = sorted(DOCS.glob("*.md"))
    assert len(pages) > 7
    text = "\n".join(page.read_text() for page in pages)
    for name in re.findall(r"devbox/(?:manifests|python)/[\w./-]*[\w-]", text):
        for overlay in OVERLAYS:
            assert (ROOT / name.replace("OVERLAY", overlay)).exists(), name
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{target} in {page.name}"
    for overlay in OVERLAYS:
        for step in (MANIFESTS / "overlays" / overlay).iterdir():
            if step.is_dir():
                assert f"{overlay}/{step.name}" in text or f"OVERLAY/{step.name}" in text, (
                    f"no page tells of {overlay}/{step.name}"
                )


# A real API server, where there is one.


@pytest.fixture(scope="module")
def cluster(manifests):
    """Talks to the cluster of MLK8S_TEST_KUBECONFIG, which may be empty; what is made there is removed."""
    config = os.environ.get("MLK8S_TEST_KUBECONFIG")
    if not config:
        pytest.skip("no cluster: name the kubeconfig of one for tests in MLK8S_TEST_KUBECONFIG")
    program = manifests.renderer()[0]

    def kubectl(*words, objects=None):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}) if objects else None
        done = subprocess.run([program, "--kubeconfig", config, *words], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    wanted = [json.loads(gzip.decompress(path.read_bytes())) for path in (MANIFESTS / "crds").glob("*.gz")]
    for overlay in OVERLAYS:
        wanted += [item for item in manifests.read(MANIFESTS / "overlays" / overlay) if item["kind"] == "Namespace"]
    there = set(kubectl("get", "crds,namespaces", "-o", "name").split())
    short = {"Namespace": "namespace", "CustomResourceDefinition": "customresourcedefinition.apiextensions.k8s.io"}
    new = {f"{short[item['kind']]}/{item['metadata']['name']}": item for item in wanted}
    new = {name: item for name, item in new.items() if name not in there}
    if new:
        kubectl("apply", "--server-side", "-f", "-", objects=list(new.values()))
        for name in new:
            if not name.startswith("namespace/"):
                kubectl("wait", "--for=condition=Established", name, "--timeout=60s")
    yield kubectl
    for name in new:
        kubectl("delete", name, "--wait=false")


@pytest.mark.parametrize("folder", [folder for folder in folders() if folder.startswith("overlays")])
def test_a_real_server_takes_it(manifests, cluster, folder):
    objects = manifests.read(MANIFESTS / folder)
    cluster("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", objects=objects)
