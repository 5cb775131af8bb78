"""The product as a folder and as a wheel: complete, honest about what it needs, and at home in a clean environment."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, notebook
from jupyter_client.kernelspec import KernelSpecManager

# Compiling a cell needs more of polars than its name.
POLARS = 'df!["a" => [1, 2, 3]]?.lazy().filter(col("a").gt(lit(1))).collect()?.height()'


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The folder and the wheel, made of what `cargo devbox` has built."""
    folder = tmp_path_factory.mktemp("packed")
    program = Path(KernelSpecManager().get_kernel_spec("mlk8s-rust").argv[0]).with_name("devbox")
    command = [program, "dist", folder / "dist", "--no-build", "--wheel", folder]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={**os.environ, "MLK8S_STATE": str(folder / "state"), "MLK8S_VENV": sys.prefix},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    # They are large, and pytest would keep them.
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def environment(packed, tmp_path_factory):
    """A clean environment with the wheel; Jupyter's packages are borrowed from that of the tests, the kernel is not."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True, symlinks=True)
    libraries = next(folder.glob("lib/python*/site-packages"))
    ours = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    (libraries / "jupyter.pth").write_text(f"{ours}\n")
    (wheel,) = packed.glob("*.whl")
    pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps", wheel]
    subprocess.run(list(map(str, pip)), check=True, capture_output=True)
    yield folder
    shutil.rmtree(folder)


def execute(environment, tmp_path, path, *sources):
    """The outputs of cells that nbconvert executes with nothing of this machine but `path` and the system."""
    nbformat.write(notebook(*sources), tmp_path / "n.ipynb")
    command = [environment / "bin/python", "-m", "nbconvert", "--to", "notebook", "--execute", "--allow-errors", "--inplace"]
    done = subprocess.run(
        [*map(str, command), "n.ipynb"], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={"PATH": os.pathsep.join(map(str, path)), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    return [cell.outputs for cell in nbformat.read(tmp_path / "n.ipynb", as_version=4).cells]


def toolchain():
    """The folder of rustc itself."""
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout
    return Path(root.strip()) / "bin"


def tools(folder, *names):
    """A folder with these programs and no others."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_the_wheel_gives_a_kernel_that_compiles(environment, tmp_path):
    polars, magic = execute(environment, tmp_path, [toolchain(), "/usr/bin", "/bin"], POLARS, "%lsmagic")
    assert polars[0].data["text/plain"] == "2"
    assert "%corpus" in json.dumps(magic)


def test_the_kernelspec_knows_no_place(environment):
    spec = json.loads((environment / "share/jupyter/kernels/mlk8s-rust/kernel.json").read_text())
    assert spec["argv"][0] == "{prefix}/lib/mlk8s/mlk8s-kernel"
    assert spec["env"] == {}
    said = subprocess.run([environment / "bin/mlk8s-kernel", "--help"], capture_output=True, text=True, check=True)
    assert "MLK8S_PRELUDE" in said.stdout


def test_a_missing_compiler_is_told_in_the_first_cell(environment, tmp_path):
    base = ("sh", "env", "nice", "readlink", "dirname")
    cell, magic = execute(environment, tmp_path, [tools(tmp_path / "bare", *base)], "1 + 1", "%lsmagic")
    assert "rustc" in "".join(cell[0].traceback)
    assert "%corpus" in json.dumps(magic), "magics work without a compiler"
    (cell,) = execute(environment, tmp_path, [toolchain(), tools(tmp_path / "no-cc", *base)], "1 + 1")
    assert "linker `cc` not found" in "".join(cell[0].traceback)


def test_the_tag_of_the_wheel_is_true(packed):
    (wheel,) = packed.glob("*.whl")
    tagged = tuple(map(int, re.search(r"manylinux_(\d+)_(\d+)_", wheel.name).groups()))
    needed = {(0, 0)}
    for name in ("mlk8s-kernel", "mlk8s-cells", "mlk8s-worker", "libmlk8s_prelude.so"):
        symbols = subprocess.run(["objdump", "-T", packed / "dist" / name], capture_output=True, text=True, check=True)
        needed |= {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols.stdout)}
    assert max(needed) == tagged


def test_every_crate_has_its_licence(packed):
    dist = packed / "dist"
    rows = [line.split("\t") for line in (dist / "licences/crates.tsv").read_text().splitlines()[1:]]
    assert {"polars", "tokio", "candle-core"} <= {row[0] for row in rows}
    assert [row for row in rows if not row[2]] == []
    texts = (dist / "licences/texts.txt").read_text()
    assert [row[0] for row in rows if row[4] and f"{row[0]} {row[1]}" not in texts] == []


def test_the_bill_of_materials_is_complete(packed):
    bill = json.loads((packed / "dist/sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = bill["components"]
    references = [component["bom-ref"] for component in components]
    assert len(references) == len(set(references))
    rows = (packed / "dist/licences/crates.tsv").read_text().splitlines()[1:]
    crates = {"pkg:cargo/{}@{}".format(*row.split("\t")) for row in rows}
    # With the program for GPUs there are crates that only it has; they are in the bill of its image.
    more = crates_of(json.loads((packed / "dist/sbom-cuda.cdx.json").read_text())) - crates_of(bill)
    assert crates - more <= set(references) and bool(more) == (packed / "dist/mlk8s-worker-cuda").exists()
    ours = [part for part in components if part["name"].startswith("mlk8s") or part["purl"].startswith("pkg:pypi/")]
    hashed = [part for part in components if part not in ours]
    assert [part["name"] for part in hashed if len(part["hashes"][0]["content"]) != 64] == []
    assert any(reference.startswith("pkg:pypi/jupyterlab@") for reference in references)


def crates_of(bill):
    """The crates that a bill names."""
    return {one["purl"] for one in bill["components"] if one["purl"].startswith("pkg:cargo/")}


def test_each_image_has_a_bill_of_what_is_in_it(packed):
    whole, cuda, worker = (json.loads((packed / f"dist/sbom{of}.cdx.json").read_text()) for of in ("", "-cuda", "-worker"))
    assert crates_of(worker) < crates_of(whole) <= crates_of(cuda)
    assert not [one for one in worker["components"] if one["purl"].startswith("pkg:pypi/")]
    assert not [one for one in crates_of(worker) if "/polars@" in one or "/mlk8s-kernel@" in one]
    lock = (ROOT / "images/notebook-cuda/requirements.txt").read_text()
    wheels = re.findall(r"^(nvidia-[\w-]+)==(\S+) .*\n.*sha256:(\w+)", lock, re.MULTILINE)
    of_nvidia = {(one["name"], one["version"]): one for one in cuda["components"] if one["name"].startswith("nvidia-")}
    assert len(wheels) == len(of_nvidia) >= 4
    for name, version, digest in wheels:
        assert of_nvidia[name, version]["hashes"][0]["content"] == digest
        assert "NVIDIA" in of_nvidia[name, version]["licenses"][0]["license"]["name"]


def test_no_file_names_the_home_of_whoever_built_it(packed):
    home = os.fsencode(Path.home())
    homes = [home + b"/.cargo/", home + b"/.rustup/"]
    if ROOT.is_relative_to(Path.home()):
        homes.append(os.fsencode(ROOT) + b"/")
    for path in (packed / "dist").rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        assert not [folder for folder in homes if folder in text], path
    # It is that of a file whose panics name many crates.
    assert b"/registry/src/" in (packed / "dist/mlk8s-kernel").read_bytes()


def test_nothing_of_this_machine_is_in_the_wheel(packed):
    (wheel,) = packed.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        texts = [name for name in names if name.endswith((".json", ".tsv", "METADATA", "WHEEL")) or "/scripts/" in name]
        for name in texts:
            assert str(Path.home()) not in archive.read(name).decode(), name
    assert any(name.endswith("/lib/mlk8s/source/rust-project.json") for name in names)
