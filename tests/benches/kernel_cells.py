"""What is measured, and what is typed for it; `@` is another number each time, so that nothing is done twice."""

from kernel_table import Row

ROWS = [
    Row("ready", "start → ready", "s", 0.25, faster_than="ipykernel"),
    Row("ready stock", "the same as jupyter_client waits, which takes 0.2 s itself", "s"),
    Row("first", "first cell after start, `1 + 1`", "s", 1.0),
    Row("first result", "start → its result", "s"),
    Row("first let", "first `let`, the cell after it", "s"),
    Row("first polars", "first cell that uses polars, after start", "s", 2.0),
    Row("first completion", "… and then the first completion that knows polars", "s"),
    Row("ready cold", "start → ready, cold", "s"),
    Row("first cold", "first cell after start, cold", "s"),
    Row("first polars cold", "first cell that uses polars, after start, cold", "s"),
    Row("expression", "trivial expression", "s", 0.2),
    Row("let", "trivial `let`", "s", 0.2),
    Row("polars", "polars cell with a `let`, steady", "s", 0.5),
    Row("polars without let", "polars cell without `let`, steady", "s", 0.5),
    Row("memory", "memory of its compiler and linker", "MB", 400 / 1.048576),
    Row("complete", "completion with polars in scope, warm", "ms", 0.1),
    Row("complete std", "completion of the standard library, warm", "ms"),
    Row("complete busy", "completion while a cell sleeps for 3 s", "ms", 0.1),
    Row("nothing", "request → idle: `%lsmagic`, evcxr's `:vars`, Python's `pass`", "ms", 0.005),
]

RUST = {
    "expression": "1 + @",
    "let": "let t = @;",
    "sleep": 'println!("on"); std::thread::sleep(std::time::Duration::from_secs(3));',
    "std": [
        ("let k = @; String::from_ut", "from_utf8"),
        ("let k = @; Some(k).unwrap_o", "unwrap_or"),
        ("let k = @; vec![k].is_em", "is_empty"),
        ("let k = @; Vec::<u8>::with_cap", "with_capacity"),
    ],
}
PYTHON = {
    "expression": "1 + @",
    "let": "t = @",
    "sleep": 'print("on", flush=True); import time; time.sleep(3)',
    "std": [
        ("k = @; str.capi", "capitalize"),
        ("k = @; int.from_b", "from_bytes"),
        ("k = @; list.appe", "append"),
    ],
}
OURS = {**RUST, "nothing": "%lsmagic"}
EVCXR = {**RUST, "nothing": ":vars"}
IPYTHON = {**PYTHON, "nothing": "pass"}

GROUPED = '.group_by([col("b")]).agg([col("a").sum()]).collect()?'
POLARS = f'let df = df!("a" => [1, 2, @], "b" => ["x", "y", "z"])?;\ndf.clone().lazy(){GROUPED}'
POLARS_WITHOUT_LET = f'df.clone().lazy().filter(col("a").lt(lit(@ + 10))){GROUPED}'
POLARS_SHOWS = "shape: (3, 2)"
POLARS_COMPLETIONS = [
    ("let k = @; df.laz", "lazy"),
    ("let k = @; df.hei", "height"),
    ("let k = @; df.get_col", "get_column"),
    ("let k = @; df.clone().lazy().gro", "group_by"),
    ("let k = @; df.clone().lazy().coll", "collect"),
    ('let k = @; df.clone().lazy().filter(col("a").is_n', "is_not_null"),
    ("let k = @; df.wid", "width"),
    ("let k = @; df.sel", "select"),
    ("let k = @; df.shape_h", "shape_has_zero"),
    ("let k = @; DataFrame::emp", "empty"),
    ("let k = @; df.clone().lazy().sor", "sort"),
]
# Without the default features: the least that the cell needs.
EVCXR_POLARS = [
    ':dep polars = { version = "0.55", default-features = false, features = ["fmt", "lazy"] }',
    "use polars::prelude::*;",
]


def knows(matches, wanted):
    """Whether one of the completions is `wanted`, with or without what stands around it."""
    return any(wanted in match for match in matches)
