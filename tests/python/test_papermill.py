"""papermill itself on a notebook in Rust, with our plugin as it is installed."""

import re
import subprocess
import sys

import nbformat
import pytest
from conftest import notebook
from mlk8s_batch.translator import RustTranslator, source, type_of

DECLARED = """let n: i64 = 1; // how many
let name = "a".to_owned();
let share: f64 = 0.5;
let limit: Option<f64> = None;
let mut weights: Vec<f32> = vec![];
let ages: std::collections::BTreeMap<String, u8> = Default::default();
let path: std::path::PathBuf = "here".into();"""


def papermill(tmp_path, *arguments, cells, parameters=DECLARED):
    """The finished process and the notebook that it wrote."""
    nb = notebook(parameters, *cells)
    nb.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nb, tmp_path / "in.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    written = tmp_path / "out.ipynb"
    return done, nbformat.read(written, as_version=4) if written.exists() else None


def result(cell):
    """The result of a cell as text."""
    [output] = [output for output in cell.outputs if output.output_type == "execute_result"]
    return output.data["text/plain"]


def test_numbers_and_texts(tmp_path):
    cells = ["n * 2", 'format!("{name}!")', "(share, limit)"]
    done, nb = papermill(tmp_path, "-p", "n", "5", "-p", "name", "x", "-p", "share", "1", cells=cells)
    assert done.returncode == 0, done.stderr
    assert "unknown parameter" not in done.stderr
    assert nb.cells[1].metadata["tags"] == ["injected-parameters"]
    assert nb.cells[1].source == (
        '// Parameters\nlet n: i64 = 5;\nlet name: String = "x".to_owned();\nlet share: f64 = 1.0;\n'
    )
    assert [result(cell) for cell in nb.cells[2:]] == ["10", '"x!"', "(1.0, None)"]


def test_everything_that_yaml_can_say(tmp_path):
    given = """
limit: .inf
weights: [1, 2.5]
ages: {Ada: 36, Bob: 7}
path: "data \\"é\\"\\n.csv"
nothing: null
no_number: .nan
yes_or_no: true
large: 5000000000
huge: 18446744073709551615
some: [1, null, 3]
mixed: [1, a, [true, null]]
nested: {a: {b: [1, 2.5, "ü", null, 5000000000]}}
long: [%s]
""" % ", ".join(map(str, range(200)))
    cells = [
        '(limit, weights.len(), weights[1], ages["Ada"], path)',
        "weights.push(0.5); weights.len()",
        "(nothing, no_number.is_nan(), yes_or_no, large, huge, some)",
        'mixed[2][0] == true && mixed[1] == "a"',
        'nested["a"]["b"].to_string()',
        "long.iter().sum::<i32>()",
    ]
    done, nb = papermill(tmp_path, "-y", given, cells=cells)
    assert done.returncode == 0, done.stderr
    assert [result(cell) for cell in nb.cells[2:]] == [
        '(Some(inf), 2, 2.5, 36, "data \\"é\\"\\n.csv")',
        "3",
        "(None, true, true, 5000000000, 18446744073709551615, [Some(1), None, Some(3)])",
        "true",
        '"[1,2.5,\\"ü\\",null,5000000000]"',
        "19900",
    ]


def test_a_cell_that_fails_fails_the_program_and_is_marked(tmp_path):
    done, nb = papermill(tmp_path, "-p", "n", "0", cells=['assert!(n > 0, "n is {n}");', 'println!("never")'])
    assert done.returncode != 0
    assert "PapermillExecutionError" in done.stderr and "n is 0" in done.stderr
    assert "never" not in str([cell.get("outputs") for cell in nb.cells])
    assert "papermill-error-cell" in str(nb.cells)


def test_a_parameter_of_a_wrong_type_is_the_compilers_word(tmp_path):
    done, _ = papermill(tmp_path, "-p", "n", "text", cells=["n"])
    assert done.returncode != 0 and "let n: i64" in done.stderr


def test_the_parameters_are_listed(tmp_path):
    done, _ = papermill(tmp_path, "--help-notebook", cells=[])
    assert done.returncode == 0, done.stderr
    assert re.search(r"n: i64 \(default 1\)\s+how many", done.stdout), done.stdout
    assert re.search(r"limit: Option<f64> \(default None\)", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (-5, "i32", "-5"),
        (2**31, "i64", "2147483648"),
        (2**63, "u64", "9223372036854775808"),
        (-(2**63) - 1, "i128", "-9223372036854775809"),
        (True, "bool", "true"),
        (1e20, "f64", "1e+20"),
        (float("-inf"), "f64", "f64::NEG_INFINITY"),
        ('a\\b"c\u202e\n', "String", '"a\\\\b\\"c\\u{202e}\\n".to_owned()'),
        ([], "Vec<serde_json::Value>", "vec![]"),
        ([1, 2**40], "Vec<i64>", "vec![1, 1099511627776]"),
        ([1, 2.5], "Vec<f64>", "vec![1.0, 2.5]"),
        ([None, "a"], "Vec<Option<String>>", 'vec![None, Some("a".to_owned())]'),
        ([[1], [2, 3]], "Vec<Vec<i32>>", "vec![vec![1], vec![2, 3]]"),
        ({"a": [None, 2**40, -1]}, "serde_json::Value", 'serde_json::json!({"a": [null, 1099511627776_i64, -1]})'),
        (None, "Option<serde_json::Value>", "None"),
    ],
)
def test_values_without_a_declared_type(value, kind, expected):
    assert (type_of(value), source(value, kind)) == (kind, expected)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("usize", 5, "5"),
        ("f32", 5, "5.0"),
        ("f32", float("nan"), "f32::NAN"),
        ("&'static str", "a", '"a"'),
        ("Option<u8>", 5, "Some(5)"),
        ("std::option::Option<Vec<f64>>", [1], "Some(vec![1.0])"),
        ("HashMap<u8, String>", {1: "a"}, '[(1, "a".to_owned())].into()'),
        ("BTreeSet<u8>", [1, 2], "[1, 2].into()"),
        ("serde_json::Value", [1], "serde_json::json!([1])"),
    ],
)
def test_values_keep_to_the_declared_type(kind, value, expected):
    assert source(value, kind) == expected


def test_declarations_are_for_one_notebook_only():
    translator = RustTranslator()
    found = translator.inspect({"source": 'let n: u8 = 1;\nlet rate = 0.5;\nlet mut s = "a";\nlet t = f(1,\n  2);'})
    assert [(one.name, one.inferred_type_name, one.default) for one in found] == [
        ("n", "u8", "1"),
        ("rate", "f64", "0.5"),
        ("s", "&str", '"a"'),
        ("t", "None", "f(1,\n  2)"),
    ]
    injected = translator.codify({"n": 2, "rate": 1, "s": "b"})
    assert injected == '// Parameters\nlet n: u8 = 2;\nlet rate: f64 = 1.0;\nlet mut s: &str = "b";\n'
    assert translator.codify({"n": 2}) == "// Parameters\nlet n: i32 = 2;\n"
