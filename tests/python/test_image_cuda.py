"""The notebook image with CUDA, where `cargo devbox build cuda` has built its program: on a machine without a GPU."""

import json
from pathlib import Path

import pods
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from pods import Pod, claim
from test_image import POLARS, text_of

LIBRARIES = {
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcurand.so.10",
    "libnvrtc-builtins.so.13.0",
    "libnvrtc.so.13",
}
PACKAGES = {"nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-curand"}
POINTS = 'let points = df!["x" => [0.0, 0.1, 9.0, 9.1], "y" => [0.0, 0.2, 9.0, 9.2]]?;'


@pytest.fixture(scope="module")
def pod(tmp_path_factory):
    """A pod of the image, on a new claim."""
    pods.require()
    program = Path(KernelSpecManager().get_kernel_spec("mlk8s-rust").argv[0]).with_name("mlk8s-worker-cuda")
    if not program.exists():
        pytest.skip("the image for GPUs is not tested: `cargo devbox build cuda` builds its program")
    pods.build("notebook-cuda")
    home = claim(tmp_path_factory.mktemp("claims") / "home")
    with Pod("--memory", "3g", "-v", f"{home}:/home/jovyan", name="notebook-cuda") as pod:
        pod.jupyter = pod.server()
        yield pod


@pytest.fixture(scope="module")
def kernel(pod):
    """A kernel in it."""
    kernel = pod.jupyter.kernel()
    yield kernel
    kernel.close()


def test_it_is_the_notebook_image(pod, kernel):
    assert pod.execute("id").startswith("uid=1000(jovyan) gid=0(root)")
    assert "mlk8s-rust" in pod.jupyter.ask("kernelspecs")["kernelspecs"]
    assert "shape: (2, 2)" in text_of(kernel.run(POLARS))


def test_without_a_gpu_each_magic_says_so_and_the_processor_works(kernel):
    assert "no GPU can be seen from here" in text_of(kernel.run("%gpu"))
    loaded = text_of(kernel.run("%model load notebooks/models/tiny --as tiny"))
    assert loaded.count("not on the GPU") == 1 and "no driver" in loaded, loaded
    assert "cpu" in text_of(kernel.run("%model ls"))
    assert "error" not in {output["output_type"] for output in kernel.run("%%ask tiny\nHello")}
    kernel.run("%model unload tiny")


def test_without_a_gpu_groups_are_found_by_the_processor(kernel):
    kernel.run(POINTS)
    assert "2 groups of 4 rows" in text_of(kernel.run("%kmeans points -k 2 --on auto"))
    (error,) = kernel.run("%kmeans points -k 2 --on cuda")
    assert error["output_type"] == "error"
    assert "no GPU can be used: no NVIDIA driver (`libcuda.so.1`)" in error["evalue"]


def test_the_program_starts_without_a_driver(pod):
    program = "/opt/mlk8s/mlk8s-worker-cuda"
    assert pod.execute(program, "--version").startswith("mlk8s-worker ")
    linked = pod.execute("ldd", program)
    assert "not found" not in linked and "libcu" not in linked and "nvrtc" not in linked, linked
    said = pod.execute(program, "serve", "notebooks/models/tiny", "--device", "cuda", check=False)
    assert "no driver" in said and '"failed"' in said, said


def test_the_libraries_are_those_that_are_loaded(pod):
    assert set(pod.execute("ls", "/opt/mlk8s/cuda").split()) == LIBRARIES
    # They are whole, and find each other; each loads without a driver.
    load = "import ctypes, sys; [ctypes.CDLL('/opt/mlk8s/cuda/' + name) for name in sys.argv[1:]]"
    pod.execute("python3", "-c", load, *sorted(LIBRARIES, key=lambda name: ("Lt" not in name, "builtins" not in name)))
    # The driver is the machine's, and must not be in the image.
    assert "libcuda.so" not in pod.execute("sh", "-c", "find / -xdev -name 'libcuda.so*' 2>/dev/null; true")


def test_papers_of_nvidia_go_along(pod):
    bill = json.loads(pod.execute("cat", "/opt/mlk8s/sbom.cdx.json"))
    parts = {one["purl"].split("@")[0]: one for one in bill["components"]}
    for name in PACKAGES:
        assert parts[f"pkg:pypi/{name}"]["licenses"][0]["license"]["name"] == "LicenseRef-NVIDIA-Proprietary"
    assert "pkg:cargo/candle-kernels" in parts
    papers = pod.execute("ls", "/opt/mlk8s/licences/nvidia").split()
    assert {paper.rsplit("-", 1)[0].replace("_", "-") for paper in papers} == PACKAGES


def test_every_package_of_python_has_its_licence(pod):
    bill = json.loads(pod.execute("cat", "/opt/mlk8s/sbom.cdx.json"))
    # The lock has other versions for other Pythons, and the bill their licences where the one who made it has them.
    known = {one["name"] for one in bill["components"] if one["purl"].startswith("pkg:pypi/") and "licenses" in one}
    listed = {one["purl"] for one in bill["components"]}
    look = """
import importlib.metadata as m, re
for one in m.distributions(path=['/opt/venv/lib/' + v + '/site-packages' for v in __import__('os').listdir('/opt/venv/lib')]):
    texts = [f for f in one.files or () if re.search('licen|copying', f.name, re.I)]
    print(re.sub('[-_.]+', '-', one.name).lower(), one.version, len(texts))
"""
    said = [line.split() for line in pod.execute("python3", "-c", look).splitlines()]
    ours = {"mlk8s-batch", "pip", "setuptools"}
    for name, version, texts in said:
        if name not in ours:
            assert f"pkg:pypi/{name}@{version}" in listed, f"{name} {version} is not in the bill"
            assert name in known, f"{name} has no licence in the bill"
            assert int(texts) > 0, f"{name} {version} comes without the text of its licence"
    assert len(said) > 80
