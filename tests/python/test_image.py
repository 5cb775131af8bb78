"""The images, built on this machine and run as Kubeflow runs them: a new claim, few rights, a prefix, no network."""

import json
import re
import subprocess
import sys
import urllib.request
from datetime import datetime, timezone

import nbformat
import pods
import pytest
import yaml
from client import wait_until
from conftest import NOTEBOOKS, ROOT, SCREENS, notebook
from playwright.sync_api import expect
from pods import PREFIX, Pod, claim, engine
from test_lab import APPEARS_MS, page_of, run_all  # noqa: F401
from websocket import WebSocketException

MODEL = "models/tiny"
POLARS = """let frame = df!["word" => ["a", "b", "a"]]?;
frame.lazy().group_by([col("word")]).agg([len().alias("n")]).sort(["word"], Default::default()).collect()?"""
# Touches more memory than a container of the test may have.
GREEDY = "let greedy = vec![1_u8; 2 << 30]; greedy.iter().map(|byte| u64::from(*byte)).sum::<u64>()"


@pytest.fixture(scope="module")
def images():
    """Sees to it that the images are there."""
    pods.require()
    pods.build("notebook", "worker")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The volume of the pod that most tests share."""
    return claim(tmp_path_factory.mktemp("claims") / "home")


@pytest.fixture(scope="module")
def pod(images, home):
    """The pod that most tests share."""
    with Pod("--memory", "2g", "-v", f"{home}:/home/jovyan") as pod:
        pod.jupyter = pod.server()
        print(f"ready after {pod.ready_s:.1f} s")
        yield pod


def text_of(outputs):
    """All text of outputs."""
    parts = [output.get("data", {}).get("text/plain") or output.get("text") or "" for output in outputs]
    return "".join(parts + [output.get("evalue", "") for output in outputs])


def test_the_server_lies_below_the_prefix_and_nowhere_else(pod):
    answer = pod.jupyter.open("/api")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(answer.read())["version"]
    bare = pods.Server(pod.jupyter.address.removesuffix(PREFIX))
    assert bare.status("/api") == bare.status("/lab") == 404
    pod.execute("healthcheck")


def test_it_runs_with_the_rights_of_a_restricted_pod(pod):
    assert pod.execute("id").strip() == "uid=1000(jovyan) gid=0(root) groups=0(root),100(users)"
    status = pod.execute("cat", "/proc/1/status")
    assert re.search(r"CapEff:\s+0{16}\n", status) and re.search(r"NoNewPrivs:\s+1\n", status)


def test_a_terminal_and_an_editor_find_what_the_image_has(pod):
    # Terminals of JupyterLab are shells of a login, whose search path Debian sets.
    programs = ["jupyter", "cargo", "mlk8s-batch", "mlk8s-cluster"]
    for shell in ("-lc", "-c"):
        found = pod.execute("bash", shell, "for one; do command -v $one || exit 1; done", "bash", *programs).split()
        assert [path.rsplit("/", 1)[1] for path in found] == programs
    spec = json.loads(pod.execute("cat", "/usr/local/share/jupyter/kernels/mlk8s-rust/kernel.json"))
    assert spec["argv"][0] == "/opt/mlk8s/mlk8s-kernel"


def test_a_new_claim_is_seeded(pod, home):
    assert (home / "notebooks/01_make_sense_of_articles.ipynb").is_file()
    # Files belong to the group of the volume, so that a pod with another number may write them.
    for path in (home / "notebooks", home / "notebooks/01_make_sense_of_articles.ipynb"):
        assert path.stat().st_gid == 100 and path.stat().st_mode & 0o020, path


def test_little_memory_is_told(pod):
    assert "may use 2048 MiB of memory" in pod.log


def test_a_notebook_runs_through_the_interface(pod, home):
    written = notebook(POLARS, "%corpus notebooks/articles --as docs", "docs.height()")
    pod.jupyter.ask("contents/night.ipynb", "PUT", {"type": "notebook", "format": "json", "content": written})
    kernel = pod.jupyter.kernel()
    read = pod.jupyter.ask("contents/night.ipynb")["content"]
    for cell in read["cells"]:
        cell["outputs"] = [
            {name: value for name, value in output.items() if name != "transient"} for output in kernel.run(cell["source"])
        ]
    kernel.close()
    pod.jupyter.ask("contents/night.ipynb", "PUT", {"type": "notebook", "format": "json", "content": read})
    saved = nbformat.read(home / "night.ipynb", as_version=4)
    shown = [text_of(cell.outputs) for cell in saved.cells]
    assert "shape: (2, 2)" in shown[0]
    assert "18 documents" in shown[1]
    assert shown[2] == "18"


def test_a_culler_sees_who_works(pod):
    kernel = pod.jupyter.kernel()
    kernel.run("1")
    number = kernel.start("while !interrupted() {}")
    wait_until(lambda: kernel.state()["execution_state"] == "busy")
    pod.jupyter.ask(f"kernels/{kernel.kernel}/interrupt", "POST")
    list(kernel.replies(number))
    wait_until(lambda: kernel.state()["execution_state"] == "idle")
    last = datetime.fromisoformat(kernel.state()["last_activity"].replace("Z", "+00:00"))
    assert (datetime.now(timezone.utc) - last).total_seconds() < 60
    kernel.close()


def test_completion_answers_though_nothing_is_fetched(pod):
    kernel = pod.jupyter.kernel()
    kernel.run("let number = 1_u32;")
    number = kernel.send("complete_request", {"code": "numb", "cursor_pos": 4})
    reply = next(content for kind, content in kernel.replies(number) if kind == "complete_reply")
    assert reply["status"] == "ok"
    kernel.close()


def test_jupyterlab_works_below_the_prefix(pod, page_of):  # noqa: F811
    cells = [POLARS, "%corpus notebooks/articles --as docs", "%kg build docs --as kg", "%kg show kg"]
    content = {"type": "notebook", "format": "json", "content": notebook(*cells)}
    pod.jupyter.ask("contents/shown.ipynb", "PUT", content)
    page = page_of(f"{pod.jupyter.address}/lab/tree/shown.ipynb")
    page.get_by_text("Rust (mlk8s) | Idle").wait_for(timeout=APPEARS_MS)
    run_all(page)
    expect(page.locator(".jp-OutputArea-output figure").first).to_be_visible()
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENS / "image.png"))
    assert page.outside == []
    page.close()


def test_the_home_survives_the_end_of_memory(images, tmp_path):
    home = claim(tmp_path / "home")
    with Pod("--memory", "1g", "-v", f"{home}:/home/jovyan") as first:
        kernel = first.server().kernel()
        kernel.run("let kept = 7;")
        ours = home / "notebooks/01_make_sense_of_articles.ipynb"
        ours.write_text("changed by its owner")
        (home / "thesis.ipynb").write_text("years of work")
        (home / "notebooks/06_search.ipynb").unlink()
        try:
            assert "memory" in text_of(kernel.run(GREEDY))
            assert "7" in text_of(kernel.run("kept"))
        except WebSocketException:
            # The system has taken the server, too, before the cell's memory was free.
            pass
        engine("kill", "--signal", "KILL", first.id, check=False)
        assert first.wait() == 137
    with Pod("-v", f"{home}:/home/jovyan") as second:
        server = second.server()
        assert ours.read_text() == "changed by its owner"
        assert (home / "thesis.ipynb").read_text() == "years of work"
        # What its owner threw away does not come back.
        assert not (home / "notebooks/06_search.ipynb").exists()
        assert "1" in text_of(server.kernel().run("1"))
        engine("stop", "--time", "30", second.id)
        assert second.wait() in (0, 143), second.log


def test_any_user_may_run_it(images, tmp_path):
    volume = claim(tmp_path / "home")
    with Pod("--user", "1000660000:0", "-v", f"{volume}:/home/jovyan") as pod:
        server = pod.server()
        assert pod.execute("sh", "-c", "cd && pwd").strip() == "/home/jovyan"
        assert "shape: (2, 2)" in text_of(server.kernel().run(POLARS))
        assert (volume / "notebooks").stat().st_uid == 1000660000


@pytest.mark.skipif(pods.ENGINE != "podman", reason="docker plays no manifests")
def test_the_pod_of_the_manifest_runs_without_a_cluster(images, tmp_path):
    home = claim(tmp_path / "home", owner=(1000, 0))
    check = [sys.executable, ROOT / "devbox/python/check_manifests.py", "--pod", ROOT / "devbox/manifests/base/notebook-cpu"]
    pod = yaml.safe_load(subprocess.run(check, capture_output=True, check=True).stdout)
    for volume in pod["spec"]["volumes"]:
        if volume["name"] == "home":
            volume.pop("emptyDir")
            volume["hostPath"] = {"path": str(home), "type": "Directory"}
    (container,) = pod["spec"]["containers"]
    # Podman would open them on this machine, for which it wants a network; they only name what listens.
    container.pop("ports")
    # Kubeflow adds this one.
    container.setdefault("env", []).append({"name": "NB_PREFIX", "value": PREFIX})
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(json.dumps(pod))
    with pods.Played(manifest, pod["metadata"]["name"]) as played:
        assert "42" in text_of(played.server().kernel().run("6 * 7"))
    assert (home / "notebooks").is_dir()


@pytest.mark.parametrize("options", ["rw,exec", "rw,noexec"])
def test_the_root_may_be_read_only(images, tmp_path, options):
    volume = claim(tmp_path / "home")
    more = (*pods.READ_ONLY, "--tmpfs", f"/tmp:{options},mode=1777")
    with Pod(*more, "-v", f"{volume}:/home/jovyan") as pod:
        assert "shape: (2, 2)" in text_of(pod.server().kernel().run(POLARS))
        assert ("programs cannot be started from `/tmp`" in pod.log) == ("noexec" in options)


def test_a_home_that_cannot_be_written_is_told(images, tmp_path):
    volume = claim(tmp_path / "home", owner=(0, 0), mode=0o755)
    with Pod("-v", f"{volume}:/home/jovyan") as pod:
        assert pod.wait() == 1
        assert "`/home/jovyan` cannot be written: it belongs to 0:0, mode 755" in pod.log
        assert "fsGroup: 100" in pod.log


def test_without_a_prefix_there_is_a_token(images):
    with Pod(prefix="") as pod:
        server = pod.server()
        assert server.status("/api/kernels") == 403
        token = re.search(r"token=([0-9a-f]{32,})", pod.log).group(1)
        assert pods.Server(server.address, token).ask("kernels") == []


def test_a_command_runs_in_place_of_the_server(images):
    with Pod(command=("mlk8s-batch", "--help")) as pod:
        assert pod.wait() == 0, pod.log
        assert "--param" in pod.log


def test_the_image_carries_its_papers_and_no_secrets(images):
    look = "cat /opt/mlk8s/VERSION; ls /opt/mlk8s /home/jovyan /etc/pip.conf /run/ca.crt; env; ldd /opt/mlk8s/mlk8s-kernel"
    said = engine("run", "--rm", "--network", "none", "--entrypoint", "sh", pods.image("notebook"), "-c", look + "; true")
    for name in ("LICENSE-MIT", "NOTICE", "sbom.cdx.json", "licences", "debian-packages.txt"):
        assert name in said.stdout
    assert "not found" not in said.stdout
    for word in ("TOKEN", "SECRET", "PASSWORD", "_KEY"):
        assert word not in said.stdout
    # Neither what pip was lent, nor anything in the home.
    assert "/etc/pip.conf" not in said.stdout and "/run/ca.crt" not in said.stdout
    assert re.search(r"/home/jovyan:\n\n", said.stdout), said.stdout


def test_the_base_is_that_of_the_release_and_gets_its_updates(images):
    release = dict(line.split("=", 1) for line in open("/etc/os-release").read().splitlines() if "=" in line)
    codename = release["VERSION_CODENAME"]
    base = pods.image("base").replace(pods.VERSION, codename)
    labels = json.loads(engine("image", "inspect", base).stdout)[0]["Config"]
    # As old as the lists of packages of this machine, so that newer ones make it anew.
    assert int(labels["Labels"]["dev.mlk8s.packages"]) > 1_700_000_000
    look = ("run", "--rm", "--network", "none", "--entrypoint", "cat", pods.image("worker"), "/etc/apt/sources.list")
    lines = engine(*look).stdout.splitlines()
    assert [line.split()[2] for line in lines] == [codename, f"{codename}-updates", f"{codename}-security"]
    assert {line.split("/")[2] for line in lines} <= {"deb.debian.org", "archive.ubuntu.com", "security.ubuntu.com", "ports.ubuntu.com"}


def test_the_bill_of_the_worker_is_its_own(images):
    bill = "/usr/share/doc/mlk8s/sbom.cdx.json"
    said = engine("run", "--rm", "--network", "none", "--entrypoint", "cat", pods.image("worker"), bill).stdout
    purls = {one["purl"] for one in json.loads(said)["components"]}
    assert any(one.startswith("pkg:cargo/candle-core@") for one in purls)
    assert not [one for one in purls if one.startswith(("pkg:pypi/", "pkg:cargo/polars@"))]


def test_the_worker_serves_a_model(images):
    volume = ("-v", f"{NOTEBOOKS / MODEL}:/model:ro")
    with Pod(*volume, "-e", "MLK8S_WORKER_KEY=tests", "--read-only", name="worker", prefix="") as pod:
        forward = pods.Forward(int(pod.inspect("Pid")), 8000)
        server = pods.Server(f"http://127.0.0.1:{forward.port}")
        wait_until(lambda: server.status("/health") == 200 or pod.inspect("Running") != "true")
        assert pod.inspect("Running") == "true", pod.log
        pod.execute("healthcheck")
        assert server.status("/v1/models") == 401
        request = urllib.request.Request(server.address + "/v1/models", headers={"Authorization": "Bearer tests"})
        assert json.loads(urllib.request.urlopen(request).read())["data"]
