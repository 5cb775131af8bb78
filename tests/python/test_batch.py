"""Notebooks without a browser: `mlk8s-batch`, as cron and a Job in a cluster run it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pexpect
import psutil
import pytest
from client import ENDLESS, KERNEL, wait_until
from conftest import notebook
from mlk8s_batch.cli import main
from nbconvert import HTMLExporter
from openai_server import Server

COMMAND = [sys.executable, "-m", "mlk8s_batch"]
SECONDS = 300

DEFAULTS = """let n: i64 = 1; // how many
let name = "a".to_owned();
let share: f64 = 0.5;
let mark: char = 'a';
let limit: Option<f64> = None;
let mut weights: Vec<f32> = vec![];
let ages: std::collections::BTreeMap<String, u8> = Default::default();
let dry: bool = true;
let path: std::path::PathBuf = "here".into();
let zip: String = String::new();"""


def environment(**variables):
    """Our own environment, with more or other variables; `None` takes one out."""
    merged = {**os.environ, **variables}
    return {name: value for name, value in merged.items() if value is not None}


def write(path, *sources, parameters=None, **metadata):
    """The path of a new notebook with these cells, the first of which may be the parameters."""
    nb = notebook(*([parameters] if parameters else []), *sources)
    if parameters:
        nb.cells[0].metadata["tags"] = ["parameters"]
    nb.metadata.update(metadata)
    nbformat.write(nb, path)
    return path


def batch(path, *arguments, stdin=None, **variables):
    """The finished program, run beside the notebook."""
    return subprocess.run(
        [*COMMAND, str(path), *map(str, arguments)],
        cwd=path.parent,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


@pytest.fixture
def refused(monkeypatch, capsys):
    """Asks for what is refused before anything runs; what the program says then."""

    def ask(path, *arguments):
        monkeypatch.chdir(path.parent)
        try:
            status = main([str(path), *map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        assert status == 2 and said.out == "" and "Traceback" not in said.err, said
        assert not (path.parent / "runs").exists()
        return said.err

    return ask


class Run:
    """What a run has left."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        self.notebook = nbformat.read(self.folder / "executed.ipynb", as_version=4)
        nbformat.validate(self.notebook)

    @property
    def page(self):
        return (self.folder / "report.html").read_text(encoding="utf-8")

    def text(self, at):
        """All text that a cell shows."""
        outputs = self.notebook.cells[at].outputs
        return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


def run_of(done):
    """The run whose folder the program has named."""
    return Run(done.stdout.strip())


def heed_signals():
    """Undoes what a shell does to what it runs in the background, and these tests may be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Started:
    """A program that runs, and what it tells."""

    def __init__(self, path, *arguments, **variables):
        self.process = subprocess.Popen(
            [*COMMAND, str(path), "--events", *map(str, arguments)],
            cwd=path.parent,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=heed_signals,
        )
        self.events = []
        # A test that waits for what does not come fails, and does not hang.
        self.limit = threading.Timer(SECONDS, self.process.kill)
        self.limit.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def until(self, event, **fields):
        """The next event of this kind with these fields."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            one = self.events[-1]
            if one["event"] == event and all(one[name] == value for name, value in fields.items()):
                return one
        raise AssertionError(f"no such event: {self.events}")

    def kernel(self):
        """The process of the kernel."""
        [kernel] = [one for one in psutil.Process(self.process.pid).children() if "mlk8s-kernel" in one.name()]
        return kernel

    def end(self):
        """The last event and the exit status, which must agree."""
        done = self.until("done")
        status = self.process.wait(timeout=SECONDS)
        assert done["exit"] == status
        return done, status


# Parameters.


def test_parameters_come_from_file_environment_and_command_line_with_their_types(tmp_path):
    path = write(
        tmp_path / "n.ipynb",
        "(n, &name, share, mark, limit)",
        "weights.push(1.5); (&weights, &ages, dry, path.display().to_string(), &zip)",
        parameters=DEFAULTS,
    )
    (tmp_path / "p.yaml").write_text("n: 7\nname: file\nweights: [1, 2.5]\nages: {Ada: 36}\nlimit: 3\nzip: '007'\n")
    done = batch(
        path,
        *("--params-file", "p.yaml"),
        *("--param", 'name=say "hi", C:\\new {x}'),
        *("-p", "share=1", "-p", "dry=False", "-p", "mark='"),
        MLK8S_PARAM_n="8",
        MLK8S_PARAM_name="environment",
        MLK8S_PARAM_path="data set/x.csv",
    )
    assert done.returncode == 0, done.stderr
    run = run_of(done)
    assert run.text(2) == '(8, "say \\"hi\\", C:\\\\new {x}", 1.0, \'\\\'\', Some(3.0))'
    assert run.text(3) == '([1.0, 2.5, 1.5], {"Ada": 36}, false, "data set/x.csv", "007")'
    assert run.notebook.cells[1].metadata["tags"] == ["injected-parameters"]
    assert run.record["parameters"]["name"] == 'say "hi", C:\\new {x}'
    assert run.record["parameters"]["weights"] == [1.0, 2.5]
    assert run.record["kernel"]["name"] == KERNEL and run.record["kernel"]["version"]


def test_the_standard_input_can_be_the_file(tmp_path):
    path = write(tmp_path / "n.ipynb", "n", parameters=DEFAULTS)
    done = batch(path, "--params-file", "-", stdin='{"n": "12"}')
    assert done.returncode == 0, done.stderr
    assert run_of(done).text(2) == "12"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-p", "m=1"], r"no parameter `m` \(from `--param`\)\n hint: it has `n`, `name`"),
        (["-p", "n"], r"`--param n` is not `name=value`"),
        (["-p", "n=1.5"], r"parameter `n` is declared as `i64`: `1.5` is no whole number"),
        (["-p", "n=9223372036854775808"], r"is not from -9223372036854775808 to"),
        (["-p", "dry=perhaps"], r"`perhaps` is neither `true` nor `false`"),
        (["-p", "weights=[1, x]"], r"`Vec<f32>`: `x` is no number"),
        (["-p", "ages=1"], r"`1` is not a map"),
        (["-p", "mark=ab"], r"`ab` is not one character"),
        (["--params-file", "p.yaml"], r"`zip` is declared as `String`: `7` is no text; write it in quotes"),
        (["--params-file", "broken.json"], r"`broken.json` is neither YAML nor JSON"),
        (["--params-file", "none.yaml"], r"`none.yaml` cannot be read: No such file"),
        (["--timeout", "soon"], r"`soon` is no stretch of time"),
    ],
)
def test_parameters_that_do_not_fit(tmp_path, refused, arguments, says):
    path = write(tmp_path / "n.ipynb", "n", parameters=DEFAULTS)
    (tmp_path / "p.yaml").write_text("zip: 007\n")
    (tmp_path / "broken.json").write_text("{")
    said = refused(path, *arguments)
    assert re.search(says, said), said


def test_an_unknown_parameter_of_the_environment_names_its_variable(tmp_path, refused, monkeypatch):
    path = write(tmp_path / "n.ipynb", "n", parameters=DEFAULTS)
    monkeypatch.setenv("MLK8S_PARAM_limits", "1")
    assert "from the variable MLK8S_PARAM_limits" in refused(path)


def test_a_notebook_without_parameters_says_how_to_have_some(tmp_path, refused):
    said = refused(write(tmp_path / "n.ipynb", "1"), "-p", "n=1")
    assert "no cell tagged `parameters`" in said and "hint:" in said


def test_another_kernels_parameters_are_written_by_papermill(tmp_path, refused):
    path = write(tmp_path / "n.ipynb", "print(n + 1, name)", parameters="n = 1\nname = 'a'")
    assert "it has `n`, `name`" in refused(path, "--kernel", "python3", "-p", "m=41")
    done = batch(path, "--kernel", "python3", "-p", "n=41", "-p", "name=it's")
    assert done.returncode == 0, done.stderr
    assert run_of(done).text(2) == "42 it's\n"


# What is left.


def test_a_finished_run_leaves_a_notebook_a_page_and_a_record(tmp_path, articles):
    path = write(
        tmp_path / "night.ipynb",
        f"%corpus {articles} --as docs",
        "%kg build docs --as kg",
        "%kg show kg",
        'println!("<b>é</b>");',
    )
    source = path.read_bytes()
    done = batch(path)
    assert done.returncode == 0, done.stderr
    run = run_of(done)
    assert run.folder.parent == tmp_path / "runs"
    assert re.fullmatch(r"night-\d{8}T\d{6}Z", run.folder.name)
    assert run.files() == ["executed.ipynb", "report.html", "run.json"]
    assert run.record["status"] == "finished" and run.record["exit"] == 0
    assert (run.record["cells"], run.record["cells_done"]) == (4, 4)
    assert run.record["started"] <= run.record["ended"]
    assert "error" not in run.record and "failed_cell" not in run.record
    assert "data:image/svg+xml;base64," in run.page and "Marie Curie" in run.page
    assert "&lt;b&gt;é&lt;/b&gt;" in run.page
    assert path.read_bytes() == source
    lines = done.stderr.splitlines()
    assert "\r" not in done.stderr and "\x1b" not in done.stderr
    assert [line for line in lines if "cell 3 of 4  %kg show kg" in line] and len(lines) == 8, done.stderr


class Outside(HTMLParser):
    """Collects what a page fetches from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)
        self.found += re.findall(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)", page)
        self.found += re.findall(r"(?:import|from|fetch\()\s*[\"']((?:https?:)?//[^\"']+)", page)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            fetches = name in ("src", "srcset", "poster", "data") or (name == "href" and tag != "a")
            if fetches and value and re.match(r"(https?:)?//", value):
                self.found.append(value)


def test_the_page_asks_nothing_of_other_machines(tmp_path, articles):
    path = write(
        tmp_path / "n.ipynb",
        f"%corpus {articles} --as docs",
        "%kg build docs --as kg",
        "%kg show kg",
        'Latex("$x^2$".into())',
    )
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(0, nbformat.v4.new_markdown_cell("# Math $x^2$\n\n```mermaid\ngraph TD; A-->B\n```"))
    nbformat.write(nb, path)
    done = batch(path)
    assert done.returncode == 0, done.stderr
    run = run_of(done)
    assert Outside(run.page).found == []
    assert "jsdelivr" not in run.page and "cdnjs" not in run.page
    # As nbconvert makes it by itself, the page does ask, and this is seen.
    assert Outside(HTMLExporter().from_notebook_node(run.notebook)[0]).found


# How it ends.


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("%kg show nothing", "nothing"),
        ('let x: u32 = "text";', "E0308"),
        ('panic!("boom <&> ü")', "boom &lt;&amp;&gt; ü"),
    ],
)
def test_a_failing_cell(tmp_path, cell, shown):
    path = write(tmp_path / "n.ipynb", "1 + 1", cell, 'println!("never")')
    done = batch(path)
    assert done.returncode == 1, done.stderr
    run = run_of(done)
    assert run.record["status"] == "failed" and run.record["exit"] == 1
    assert run.record["failed_cell"] == {"number": 2, "source": cell}
    assert run.record["error"]["name"] and run.record["error"]["value"]
    assert run.record["cells_done"] == 1
    assert shown in run.page
    assert run.text(0) == "2" and not run.notebook.cells[2].outputs
    assert "cell 2 of 3 failed" in done.stderr and run.record["error"]["name"] in done.stderr


def test_a_kernel_that_is_killed(tmp_path):
    path = write(tmp_path / "n.ipynb", "1 + 1", ENDLESS, "3")
    with Started(path) as started:
        started.until("shows", text="begun")
        started.kernel().kill()
        done, status = started.end()
    assert status == 3
    run = Run(done["folder"])
    assert run.record["status"] == "kernel died"
    assert run.record["failed_cell"]["number"] == 2 and run.record["error"]["name"] == "KernelDied"
    assert run.text(0) == "2" and "begun" in run.text(1)
    assert "KernelDied" in run.page


def test_a_kernel_that_does_not_start(tmp_path):
    spec = tmp_path / "jupyter/kernels/broken"
    spec.mkdir(parents=True)
    argv = ["sh", "-c", "echo no luck >&2; exit 1", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "b", "language": "rust"}))
    done = batch(write(tmp_path / "n.ipynb", "1"), "--kernel", "broken", JUPYTER_PATH=str(tmp_path / "jupyter"))
    assert done.returncode == 3, done.stderr
    assert "the kernel did not start" in done.stderr and "no luck" in done.stderr
    assert run_of(done).record["status"] == "kernel died"


WAITING = "%%ask\nWho are you?"


@pytest.fixture
def silent():
    """Variables for a model that never answers; cells that ask it run until they are stopped."""
    with Server(models=("test-model",), slots=0) as server:
        yield server, {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "unused"}


@pytest.mark.parametrize(("limit", "said"), [("--timeout", "the run"), ("--cell-timeout", "the cell")])
def test_a_run_that_takes_too_long(tmp_path, silent, limit, said):
    server, variables = silent
    path = write(tmp_path / "n.ipynb", "%lsmagic", WAITING, "3")
    # A kernel starts within a second; a busy machine gets more.
    done = batch(path, limit, "20s", **variables)
    assert done.returncode == 124, done.stderr
    assert f"{said} has taken its 20 s, at cell 2 of 3" in done.stderr
    assert server.requests
    run = run_of(done)
    assert run.record["status"] == "timed out" and run.record["failed_cell"]["number"] == 2
    assert run.record["error"]["name"] == "TimedOut"
    assert "%kg" in run.text(0) and "Interrupted" in run.page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_magic_and_keeps_what_there_is(tmp_path, silent, number):
    server, variables = silent
    path = write(tmp_path / "n.ipynb", "%lsmagic", WAITING, 'println!("never")')
    with Started(path, **variables) as started:
        started.until("cell", cell=2)
        wait_until(lambda: server.n_waiting)
        kernel = started.kernel()
        started.process.send_signal(number)
        done, status = started.end()
        wait_until(lambda: not kernel.is_running())
    assert status == 130
    run = Run(done["folder"])
    assert run.record["status"] == "interrupted" and run.record["failed_cell"]["number"] == 2
    assert number.name in run.record["error"]["value"]
    assert "%kg" in run.text(0) and "%kg" in run.page
    # The kernel's own word, and not what stands for it where a kernel does not answer.
    [*_, error] = run.notebook.cells[1].outputs
    assert error.ename == "Interrupted" and number.name not in error.evalue
    assert "Interrupted" in run.page


def test_a_kernel_that_hears_no_interrupt_is_ended(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('begun'); time.sleep(1000)"
    path = write(tmp_path / "n.ipynb", deaf)
    with Started(path, "--kernel", "python3") as started:
        started.until("shows", text="begun")
        [kernel] = psutil.Process(started.process.pid).children()
        # The second signal says that nobody is to wait for the kernel.
        for _ in range(2):
            started.process.send_signal(signal.SIGINT)
            started.process.poll()
        done, status = started.end()
        wait_until(lambda: not kernel.is_running())
    assert status == 130
    run = Run(done["folder"])
    assert run.text(0).startswith("begun") and "SIGINT" in run.notebook.cells[0].outputs[-1].evalue


def test_a_run_that_is_killed_keeps_its_cells_and_is_resumed(tmp_path):
    wait = 'if !std::path::Path::new("go").exists() { %s }' % ENDLESS
    path = write(tmp_path / "n.ipynb", 'println!("first")', "let kept = 40;", wait, "kept + 2")
    with Started(path) as started:
        started.until("shows", text="begun")
        kernel = started.kernel()
        started.process.kill()
    wait_until(lambda: not kernel.is_running())
    [folder] = (tmp_path / "runs").iterdir()
    killed = Run(folder)
    assert killed.files() == ["executed.ipynb", "kernel.log", "run.json"]
    assert killed.text(0) == "first\n" and not killed.notebook.cells[2].outputs
    assert killed.record["status"] == "running"
    assert (killed.record["cells_done"], killed.record["cell"]) == (2, 3)

    (tmp_path / "go").touch()
    resumed = batch(path, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    run = run_of(resumed)
    # From its beginning, as the variables have gone with the kernel.
    assert run.folder != folder and run.text(0) == "first\n" and run.text(3) == "42"

    again = batch(path, "--resume")
    assert again.returncode == 0 and run_of(again).folder == run.folder
    assert "finished already" in again.stderr and "cell 1" not in again.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 2


# Folders.


def test_no_run_overwrites_another(tmp_path):
    path = write(tmp_path / "n.ipynb", "n", parameters=DEFAULTS)
    first = batch(path, "--name", "monday", "-p", "n=1")
    assert first.returncode == 0 and first.stdout.endswith("runs/n-monday\n"), first
    for arguments, says in [
        (["-p", "n=1"], "there is a run in"),
        (["-p", "n=2", "--resume"], "has other parameters"),
    ]:
        refused = batch(path, "--name", "monday", *arguments)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr
    assert run_of(first).record["parameters"] == {"n": 1}
    same = batch(path, "--name", "monday", "-p", "n=1", "--resume")
    assert same.returncode == 0 and "finished already" in same.stderr
    # What the notebook shows is no part of it; what it says is.
    write(path, "n + 1", parameters=DEFAULTS)
    changed = batch(path, "-p", "n=1", "--resume", "--out", tmp_path / "runs")
    assert changed.returncode == 0 and run_of(changed).text(2) == "2"
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    into = batch(path, "--into", foreign)
    assert into.returncode == 2 and "is not empty: there is `thesis.tex`" in into.stderr


def test_an_unfinished_run_of_a_name_is_done_again_in_its_place(tmp_path):
    path = write(tmp_path / "n.ipynb", 'assert!(std::path::Path::new("go").exists()); 1')
    arguments = ["--into", tmp_path / "a" / "b"]
    failed = batch(path, *arguments)
    assert failed.returncode == 1, failed.stderr
    (tmp_path / "go").touch()
    done = batch(path, *arguments, "--resume")
    assert done.returncode == 0 and run_of(done).folder == tmp_path / "a" / "b"
    assert run_of(done).record["status"] == "finished" and "error" not in run_of(done).record


def test_a_run_that_is_under_way_is_left_alone(tmp_path):
    path = write(tmp_path / "n.ipynb", ENDLESS)
    with Started(path, "--name", "x") as started:
        started.until("shows", text="begun")
        for arguments in (["--name", "x", "--resume"], ["--resume"]):
            refused = batch(path, *arguments)
            assert refused.returncode == 2 and "is under way" in refused.stderr, refused.stderr
        started.process.send_signal(signal.SIGINT)
        assert started.end()[1] == 130


# What cannot be run.


def test_what_cannot_be_run_is_named(tmp_path, refused):
    path = write(tmp_path / "n.ipynb", "1")
    (tmp_path / "text.ipynb").write_text("no JSON")
    (tmp_path / "file").touch()
    unnamed = write(tmp_path / "unnamed.ipynb", "1", kernelspec={})
    for notebook_, arguments, says in [
        (tmp_path / "none.ipynb", [], r"`.*none.ipynb` cannot be read: No such file"),
        (tmp_path / "text.ipynb", [], r"`.*text.ipynb` is no notebook"),
        (unnamed, [], r"the notebook names no kernel\n hint: name one"),
        (path, ["--kernel", "nonesuch"], rf"no kernel `nonesuch`; installed: .*`{KERNEL}`"),
        (path, ["--out", "file"], r"`.*file` is there already"),
        (path, ["--out", "/proc/nowhere"], r"`/proc/nowhere` cannot be written to"),
        (path, ["--cwd", "nowhere"], r"no folder `nowhere`"),
        (path, ["--name", "a/b"], r"`a/b` is no name"),
        (path, ["--unknown"], r"unrecognized arguments: --unknown"),
    ]:
        said = refused(notebook_, *arguments)
        assert re.search(says, said), (arguments, said)


# Surroundings.


def test_names_and_texts_of_all_the_world_in_a_poor_locale(tmp_path):
    folder = tmp_path / "日本 & co"
    folder.mkdir()
    path = write(folder / "ночь [1] ü.ipynb", 'println!("{name} ✓ 🦀")', parameters=DEFAULTS)
    done = batch(path, "-p", "name=Žofie „日本“ 🦀", LC_ALL="C", LANG=None)
    assert done.returncode == 0, done.stderr
    [made] = (folder / "runs").iterdir()
    run = Run(made)
    assert made.name.startswith("ночь [1] ü-")
    assert run.text(2) == "Žofie „日本“ 🦀 ✓ 🦀\n" and "Žofie „日本“ 🦀" in run.page
    assert run.record["parameters"] == {"name": "Žofie „日本“ 🦀"}
    again = batch(path, "-p", "name=Žofie „日本“ 🦀", "--resume")
    assert "finished already" in again.stderr, again.stderr


def test_a_terminal_has_one_line_that_keeps_up(tmp_path):
    path = write(tmp_path / "n.ipynb", "%lsmagic", ENDLESS)
    terminal = pexpect.spawn(COMMAND[0], [*COMMAND[1:], str(path)], cwd=str(tmp_path), timeout=120, encoding="utf-8")
    terminal.expect(r"\r\x1b\[K[^\r\n]*cell 2 of 2[^\r\n]* · begun")
    terminal.sendintr()
    terminal.expect("interrupted after")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
