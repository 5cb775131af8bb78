"""What the kernel knows about code and values: completion, inspection, the list of variables, its own use."""

import re

import psutil
import pytest


@pytest.fixture
def sales(rust):
    """A kernel with a frame and some plain values."""
    cells = [
        'let sales = df!("region" => ["north", "south"], "amount" => [10_i64, 32], "Größe" => [1.5, 2.5])?;',
        "let n_sales = 42_u16;",
        'let names = vec!["Ada".to_owned()];',
    ]
    for code in cells:
        assert rust.run(code).ok
    rust.await_analyst()
    return rust


def completed(kernel, code):
    """What the code before the mark `|` may become."""
    position = code.index("|")
    code = code.replace("|", "")
    request = {"code": code, "cursor_pos": position}
    reply = kernel.ask("complete_request", request).reply["content"]
    start, end = reply["cursor_start"], reply["cursor_end"]
    return {code[:start] + match + code[end:] for match in reply["matches"]}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('sales.clone().lazy().select([col("|")])', ["region", "amount", "Größe"]),
        ('sales.clone().lazy().select([col("re|")])', ["region"]),
        ('col("Grö|', ["Größe"]),
        ('let e = "😀"; col("am|', ["amount"]),
    ],
)
def test_the_columns_of_frames_are_known(sales, code, expected):
    found = completed(sales, code)
    before = code[: code.index('col("') + 5]
    for name in expected:
        assert any(text.startswith(before + name) for text in found), found


def test_values_in_scope_and_their_methods_are_known(sales):
    assert any("n_sales" in text for text in completed(sales, "n_sal|"))
    assert any("sales.height" in text for text in completed(sales, "sales.heig|"))
    assert any("lazy().group_by" in text for text in completed(sales, "sales.clone().lazy().group_b|"))


def test_variables_are_known_before_rust_analyzer_is(kernels):
    kernel = kernels()
    assert kernel.run("let my_number = 4_u8; let my_names = df!(\"full name\" => [\"Ada\"], \"age\" => [36])?;").ok
    # What needs the types waits, and nothing else waits for it.
    waiting = kernel.post("complete_request", {"code": "my_number.checked_a", "cursor_pos": 19})
    assert completed(kernel, "let n = my_|") == {"let n = my_number", "let n = my_names"}
    assert completed(kernel, "%kmeans my_names --columns |") == {
        "%kmeans my_names --columns age",
        '%kmeans my_names --columns "full name"',
    }
    assert waiting.reply is None
    kernel.finish(waiting)
    kernel.await_analyst()
    assert any("checked_add" in text for text in completed(kernel, "my_number.checked_a|"))
    assert any("my_number" in text for text in completed(kernel, "my_num|"))
    # What a magic has made can be named before the next Rust cell.
    assert kernel.run("%search list").ok and kernel.run("%prompts --as my_prompts").ok
    assert "my_prompts.height()" in completed(kernel, "my_pro|.height()")


def inspected(kernel, code, position):
    """What is known about the word at `position`."""
    request = {"code": code, "cursor_pos": position, "detail_level": 0}
    return kernel.ask("inspect_request", request).reply["content"]


@pytest.mark.parametrize("code", ["sales", "let x = sales.height();"])
def test_a_frame_shows_its_shape_types_and_head(sales, code):
    reply = inspected(sales, code, code.index("sales") + 2)
    assert reply["found"] is True
    text = reply["data"]["text/plain"]
    assert "DataFrame" in text
    assert re.search(r"\b2\b\D+\b3\b", text), text
    for word in ("region", "amount", "Größe", "i64", "f64", "str", "north", "south"):
        assert word in text, text


def test_a_variable_shows_its_type_and_a_word_its_documentation(sales):
    reply = inspected(sales, "n_sales", 3)
    assert reply["found"] and "u16" in reply["data"]["text/plain"]
    for code in ("names.is_empty()", "let none = names.is_empty();"):
        reply = inspected(sales, code, code.index("is_empty") + 2)
        assert reply["found"], code
        assert "if the vector contains no elements" in reply["data"]["text/plain"]
    reply = inspected(sales, "no_such_thing", 3)
    assert reply["found"] is False and reply["data"] == {}


def debug(kernel, command, **arguments):
    """The answer to a request of the debugger."""
    content = {"type": "request", "seq": 7, "command": command, "arguments": arguments}
    reply = kernel.ask("debug_request", content, channel="control").reply["content"]
    assert (reply["type"], reply["request_seq"], reply["command"]) == ("response", 7, command)
    return reply


def test_the_list_of_variables_of_jupyterlab(sales):
    info = debug(sales, "debugInfo")
    assert info["success"] is True
    assert info["body"]["isStarted"] is False and info["body"]["breakpoints"] == []
    listed = debug(sales, "inspectVariables")
    assert listed["success"] is True
    variables = {one["name"]: one for one in listed["body"]["variables"]}
    assert variables["n_sales"]["value"] == "42" and variables["n_sales"]["type"] == "u16"
    assert "Ada" in variables["names"]["value"] and "Vec<" in variables["names"]["type"]
    assert "DataFrame" in variables["sales"]["type"]
    for one in variables.values():
        assert isinstance(one["variablesReference"], int) and one.get("evaluateName", one["name"]) == one["name"]
    assert debug(sales, "attach")["success"] is False


def test_the_list_of_variables_waits_for_no_cell(sales):
    cell = sales.send('println!("begun"); loop { std::hint::spin_loop(); }')
    sales.until_shown(cell, "begun")
    assert debug(sales, "debugInfo")["success"] is True
    assert {"sales", "n_sales"} <= {one["name"] for one in debug(sales, "inspectVariables")["body"]["variables"]}
    sales.stop(cell)


def test_the_use_of_the_machine(sales):
    assert sales.run("let hoard = vec![1_u8; 300_000_000]; hoard.len()").ok
    used = sales.ask("usage_request", channel="control").reply["content"]
    assert used["pid"] == sales.process.pid and used["hostname"]
    # The evaluation child counts.
    assert used["kernel_memory"] > 300_000_000
    assert used["kernel_cpu"] >= 0 and used["cpu_count"] == psutil.cpu_count(logical=True)
    memory = used["host_virtual_memory"]
    assert memory["total"] == psutil.virtual_memory().total
    assert {"available", "percent", "used", "free"} <= set(memory)
    cell = sales.send('println!("begun"); loop { std::hint::spin_loop(); }')
    sales.until_shown(cell, "begun")
    busy = 0
    # The first figure of a process has nothing to be compared with.
    for _ in range(100):
        busy = max(busy, sales.ask("usage_request", channel="control").reply["content"]["kernel_cpu"])
    sales.stop(cell)
    assert busy > 0
    assert sales.run("drop(hoard);").ok
