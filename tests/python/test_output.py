"""What a cell shows, while it runs: text as it comes, displays, and nothing lost, forged or late."""

import base64
import re
import statistics
import time
from pathlib import Path

import pytest
from client import SLACK

# What a server in between lets through in a second.
SERVER_BYTES_A_SECOND = 1_000_000
SHOWN_BYTES = 4 << 20
# Text without a newline must be there by then.
AT_ONCE_S = 0.1 * SLACK
# One red pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def wait_for(path):
    """Rust that goes on when the test has made the file `path`."""
    pause = "std::thread::sleep(std::time::Duration::from_millis(5));"
    return f'while !std::path::Path::new("{path}").exists() {{ {pause} }}'


def shown(talk):
    """What came, with texts that follow each other put together."""
    seen = []
    for message in talk.messages:
        content = message["content"]
        if message["msg_type"] == "stream":
            if seen and seen[-1][0] == content["name"]:
                seen[-1] = (content["name"], seen[-1][1] + content["text"])
            else:
                seen.append((content["name"], content["text"]))
        elif message["msg_type"] in ("display_data", "update_display_data", "execute_result"):
            data = content["data"]
            seen.append((message["msg_type"], data.get("text/html", data.get("text/plain"))))
        elif message["msg_type"] == "clear_output":
            seen.append(("clear_output", content["wait"]))
    return seen


@pytest.mark.parametrize(("macro", "name"), [("print", "stdout"), ("eprint", "stderr")])
def test_text_without_a_newline_is_there_while_the_cell_runs(rust, tmp_path, macro, name):
    cell = rust.send(f'{macro}!("half a"); {wait_for(tmp_path / "go")} {macro}!(" line");')
    rust.until_shown(cell, "half a")
    assert cell.ended is None
    (tmp_path / "go").touch()
    rust.finish(cell)
    assert cell.stream(name) == "half a line"


def test_text_is_there_at_once(rust):
    now = "std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64()"
    pause = "std::thread::sleep(std::time::Duration::from_millis(250));"
    cell = rust.send(f'for _ in 0..9 {{ print!("{{}} ", {now}); {pause} }}')
    delays = []
    while cell.ended is None:
        before = len(cell.stdout.split())
        rust.until(lambda: len(cell.stdout.split()) > before or cell.ended is not None)
        if cell.ended is None:
            delays.append(time.time() - float(cell.stdout.split()[-1]))
    assert cell.ok and len(delays) >= 5, cell
    assert statistics.median(delays) < AT_ONCE_S, delays


def test_bytes_that_are_no_text_are_shown_as_well_as_can_be(rust):
    talk = rust.run(r'use std::io::Write; std::io::stdout().write_all(b"ok \xff\xfe \xc3\xa9 end\n")?;')
    assert talk.stdout == "ok \ufffd\ufffd é end\n"
    pause = "std::thread::sleep(std::time::Duration::from_millis(300));"
    first, second = r'out.write_all(b"\xf0\x9f")?; out.flush()?;', r'out.write_all(b"\x98\x80")?;'
    assert rust.run(f"let mut out = std::io::stdout(); {first} {pause} {second}").stdout == "😀"
    cut = rust.run(r'std::io::stdout().write_all(b"cut \xf0\x9f")?;')
    assert cut.ok and re.fullmatch("cut \ufffd+", cut.stdout)
    assert rust.run('println!("a\\0b");').stdout == "a\0b\n"


@pytest.mark.parametrize(
    "line",
    [
        "EVCXR_EXECUTION_COMPLETE",
        "EVCXR_PANIC_NOTIFICATION",
        "EVCXR_ERROR_OCCURRED",
        "EVCXR_VARIABLE_CHANGED_TYPE:kept",
        "EVCXR_END_CONTENT",
        '\u0001mlk8s-panic "forged"',
    ],
)
@pytest.mark.parametrize("macro", ["println", "eprintln"])
def test_nobody_can_forge_our_marks(rust, macro, line):
    quoted = line.replace('"', '\\"')
    talk = rust.run(f'let kept = 5; {macro}!("{quoted}"); {macro}!("after"); kept + 1')
    assert talk.ok, talk
    assert talk.stdout + talk.stderr == f"{line}\nafter\n"
    assert talk.result == "6"
    assert rust.value("kept") == "5"


def test_text_and_displays_keep_their_order(rust):
    talk = rust.run(
        'for n in 0..50 { println!("{n}"); display!(Html(format!("<b>{n}</b>"))); } println!("end"); "last"'
    )
    expected = []
    for n in range(50):
        expected += [("stdout", f"{n}\n"), ("display_data", f"<b>{n}</b>")]
    assert shown(talk) == [*expected, ("stdout", "end\n"), ("execute_result", '"last"')]


def test_nothing_comes_after_idle(rust):
    for n in range(25):
        talk = rust.run(f'println!("{n}"); eprintln!("{n}"); display!({n}); {n}')
        assert talk.stdout == talk.stderr == f"{n}\n"
        assert talk.result == str(n) and len(talk.of("display_data")) == 1
    # The fixture holds that no message was late.
    assert rust.value("1 + 1") == "2"


def test_each_of_2000_flushed_lines_arrives(rust):
    talk = rust.run('use std::io::Write; for n in 0..2000 { println!("{n}"); std::io::stdout().flush()?; }')
    assert talk.stdout.split() == [str(n) for n in range(2000)]
    assert len(talk.of("stream")) < 1000


def test_a_display_is_there_while_the_cell_runs_and_can_be_updated(rust, tmp_path):
    update = 'live.update(&Html("<i>two</i>".into())); live.update(&3);'
    cell = rust.send(f'let live = display!(Html("<i>one</i>".into())); {wait_for(tmp_path / "go")} {update}')
    rust.until(lambda: cell.of("display_data") or cell.ended, about=cell)
    assert cell.ended is None, cell
    (tmp_path / "go").touch()
    rust.finish(cell)
    assert shown(cell) == [
        ("display_data", "<i>one</i>"),
        ("update_display_data", "<i>two</i>"),
        ("update_display_data", "3"),
    ]
    ids = {content["transient"]["display_id"] for content in cell.of("display_data", "update_display_data")}
    assert len(ids) == 1
    again = rust.run("display!(4);")
    assert again.of("display_data")[0]["transient"].get("display_id") not in ids


def test_the_output_can_be_cleared(rust):
    talk = rust.run('println!("a"); clear_output(true); println!("b"); clear_output(false); display!(1);')
    assert shown(talk) == [
        ("stdout", "a\n"),
        ("clear_output", True),
        ("stdout", "b\n"),
        ("clear_output", False),
        ("display_data", "1"),
    ]


@pytest.mark.parametrize(
    ("value", "mime", "data"),
    [
        ('Html("<b>é</b>".into())', "text/html", "<b>é</b>"),
        ('Markdown("**é**".into())', "text/markdown", "**é**"),
        (r'Latex("$\\alpha$".into())', "text/latex", r"$\alpha$"),
        ('Svg("<svg/>".into())', "image/svg+xml", "<svg/>"),
        ("Image::png(vec![137, 80, 78, 71])", "image/png", base64.b64encode(b"\x89PNG").decode()),
        ("Image::jpeg(vec![255, 216, 255])", "image/jpeg", base64.b64encode(b"\xff\xd8\xff").decode()),
    ],
)
def test_rich_values(rust, value, mime, data):
    talk = rust.run(f"display!({value});\n{value}")
    [display] = talk.of("display_data")
    for bundle in (display["data"], talk.data):
        assert bundle[mime].strip() == data
        # Whoever cannot show it has words.
        assert "text/plain" in bundle


def test_images_come_from_files(rust, tmp_path):
    (tmp_path / "red.png").write_bytes(PNG)
    talk = rust.run(f'Image::open("{tmp_path / "red.png"}")?')
    assert base64.b64decode(talk.data["image/png"]) == PNG
    assert rust.run(f'Image::open("{tmp_path / "none.png"}")?').ename == "Error"


def test_a_large_picture_arrives_whole(rust):
    talk = rust.run("display!(Image::png(vec![7; 10_000_000]));")
    [display] = talk.of("display_data")
    assert len(base64.b64decode(display["data"]["image/png"])) == 10_000_000


def test_types_that_show_themselves_as_evcxr_knows_it(rust):
    method = r'println!("EVCXR_BEGIN_CONTENT text/html\n<u>{}</u>\nEVCXR_END_CONTENT", self.0);'
    rust.run(f"struct Own(i32); impl Own {{ fn evcxr_display(&self) {{ {method} }} }}")
    talk = rust.run("Own(5)")
    assert talk.data["text/html"].strip() == "<u>5</u>"
    assert talk.stdout == ""


def test_frames_and_figures_are_rich(rust):
    talk = rust.run('df!("name" => ["<Ada>", "Bob"], "n" => [1, 2])?')
    assert "<table" in talk.data["text/html"] and "&lt;Ada&gt;" in talk.data["text/html"]
    assert "Bob" in talk.result
    talk = rust.run("let mut plot = Plot::new(); plot.add_trace(Scatter::new(vec![1, 2], vec![3, 4])); plot")
    assert {"application/vnd.plotly.v1+json", "text/html"} & set(talk.data) and "text/plain" in talk.data


@pytest.mark.parametrize("by", ["{}", "&{}", "display!({}.clone());"])
def test_graphs_of_petgraph_are_drawn(rust, by):
    assert rust.run('let mut g = petgraph::graph::DiGraph::<&str, f64>::new();').ok
    assert rust.run('let (a, b) = (g.add_node("<Ada>"), g.add_node("Bob")); g.add_edge(a, b, 0.5);').ok
    talk = rust.run(by.format("g"))
    data = talk.data or talk.of("display_data")[0]["data"]
    assert data["text/plain"] == "directed graph: 2 nodes, 1 edge\n  <Ada> → Bob: 0.5"
    assert data["image/svg+xml"].startswith("<svg") and "&lt;Ada&gt;" in data["image/svg+xml"]
    assert "<figure" in data["text/html"] and "1 edge" in data["text/html"]
    assert set(data) == {"text/plain", "text/html", "image/svg+xml"}


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        ("petgraph::graph::UnGraph::<(), ()>::from_edges([(0_u32, 1)])", "undirected graph: 2 nodes, 1 edge\n  0 – 1"),
        ("petgraph::graphmap::DiGraphMap::<i32, ()>::from_edges([(5, 7)])", "directed graph: 2 nodes, 1 edge\n  5 → 7"),
        ("petgraph::stable_graph::StableDiGraph::<i32, i32>::new()", "directed graph: 0 nodes, 0 edges"),
    ],
)
def test_graphs_of_every_sort_are_drawn(rust, graph, text):
    talk = rust.run(graph)
    assert talk.result == text
    assert "<figure" in talk.data["text/html"]


def test_a_graph_in_a_cell_is_drawn_like_that_of_the_magic(rust, articles):
    assert rust.run(f"%corpus {articles} --as docs").ok and rust.run("%kg build docs --as kg").ok
    talk = rust.run("kg")
    assert "entities" in talk.data["text/html"] and "<svg" in talk.data["image/svg+xml"]


def test_a_flood_of_displays_stays_below_what_servers_let_through(rust):
    cell = rust.send('println!("begun"); loop { clear_output(true); println!("x"); eprintln!("y"); }')
    rust.until_shown(cell, "begun")
    begun, before = time.monotonic(), len(cell.messages)
    rust.until(lambda: time.monotonic() - begun > 2)
    rate = (len(cell.messages) - before) / (time.monotonic() - begun)
    rust.stop(cell)
    assert cell.ename == "Interrupted"
    assert 50 < rate < 1000


def test_progress_is_one_display_in_place(rust):
    pause = "std::thread::sleep(std::time::Duration::from_millis(20));"
    talk = rust.run(f"let mut sum = 0; for n in progress(0..40) {{ sum += n; {pause} }} sum")
    assert talk.ok and talk.result == "780", talk
    [display], updates = talk.of("display_data"), talk.of("update_display_data")
    assert len(updates) >= 2
    ids = {content["transient"]["display_id"] for content in [display, *updates]}
    assert len(ids) == 1
    final = updates[-1]["data"]["text/plain"]
    assert len(final.strip().splitlines()) == 1 and "40" in final
    assert not talk.stdout and not talk.stderr
    # So many that nobody wants a message for each.
    talk = rust.run("for n in progress(0..200_000) { std::hint::black_box(n); }")
    assert talk.ok and len(talk.of("display_data", "update_display_data")) < 200


def test_bars_that_return_to_the_start_of_the_line_arrive_as_they_are(rust):
    talk = rust.run('for n in 0..=3 { print!("\\r{n}/3"); } println!();')
    assert talk.stdout == "\r0/3\r1/3\r2/3\r3/3\n"


def test_100_mb_of_text_neither_floods_nor_loses_the_end(rust):
    line = "x" * 80
    talk = rust.run(f'for n in 0..1_000_000 {{ println!("{{n:018}} {line}"); }}')
    assert talk.ok, talk
    text = [message for message in talk.messages if message["msg_type"] == "stream"]
    size = sum(len(message["content"]["text"]) for message in text)
    assert SHOWN_BYTES / 2 < size < SHOWN_BYTES * 1.25
    assert "000000000000000000 x" in talk.shown and "000000000000999999 x" in talk.shown[-10_000:]
    # Slower machines take longer, and never less.
    assert text[-1]["arrived"] - text[0]["arrived"] > SHOWN_BYTES / SERVER_BYTES_A_SECOND / 2
    files = {Path(found) for found in re.findall(r"(?<![\w.])/[^\s\"'<>()\[\]`]+", talk.shown)}
    rest = [path for path in files if path.is_file()]
    assert len(rest) == 1, files
    with rest[0].open("rb") as written:
        written.seek(-2000, 2)
        assert written.read().endswith(f"000000000000999999 {line}\n".encode())
    assert rest[0].stat().st_size + size > 99_000_000
    assert rust.value("1 + 1") == "2"
