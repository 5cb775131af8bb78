"""Python values as Rust source: the types of the parameters cell are kept, else the value decides.

This knows nothing of papermill, which loads it while it is itself only half loaded.
"""

import json
import math
import re

INTEGERS = {"i32": (-(2**31), 2**31), "i64": (-(2**63), 2**63), "u64": (0, 2**64), "i128": (-(2**127), 2**127)}
FLOATS = ("f32", "f64")
ANYTHING = "serde_json::Value"
# More values than this are beyond what the macro `json!` can take at its usual recursion limit.
MACRO_VALUES = 32

DECLARATION = re.compile(
    r"^\s*let\s+(?P<mut>mut\s+)?(?P<name>\w+)\s*(?::\s*(?P<type>[^=;]+?))?\s*=\s*(?P<default>.*?);"
    r"[ \t]*(?://[ \t]*(?P<help>[^\n]*))?$",
    re.MULTILINE | re.DOTALL,
)
# Types that can be seen without a compiler. A whole number without a suffix is not among them: its value decides.
SEEN = [
    (re.compile(r"-?[\d_]+\.[\d_]*(?:[eE][+-]?\d+)?"), "f64"),
    (re.compile(r"true|false"), "bool"),
    (re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL), "&str"),
    (
        re.compile(r'"(?:[^"\\]|\\.)*"\s*\.\s*(?:to_owned|to_string)\(\)|String::(?:from\(.*\)|new\(\))', re.DOTALL),
        "String",
    ),
]
SUFFIX = re.compile(r"-?[\d_.]+?_?((?:[iu](?:8|16|32|64|128|size))|f32|f64)")
GENERIC = re.compile(r"(?:\w+\s*::\s*)*(?P<name>\w+)\s*(?:<(?P<inside>.*)>)?", re.DOTALL)


class RustTranslator:
    """What papermill asks of a translator."""

    def __init__(self):
        # papermill has the parameters cell inspected right before it asks for the cell to inject.
        self._declared = {}

    def inspect(self, parameters_cell):
        """The parameters of the cell, for `papermill --help-notebook`."""
        from papermill.models import Parameter

        self._declared = declarations(parameters_cell["source"])
        return [
            Parameter(
                name=name,
                inferred_type_name=one["type"] or "None",
                default=one["default"],
                help=(one["help"] or "").strip(),
            )
            for name, one in self._declared.items()
        ]

    def codify(self, parameters, comment="Parameters"):
        """The cell to inject."""
        # They are those of this notebook and of no other.
        declared, self._declared = self._declared, {}
        return codify(parameters, declared, comment)


def declarations(parameters_cell):
    """What the source of the cell declares: by name the `type`, where it is known, `mut`, `default` and `help`."""
    found = (match.groupdict() for match in DECLARATION.finditer(parameters_cell))
    return {one["name"]: {**one, "type": one["type"] or seen_type(one["default"])} for one in found}


def codify(parameters, declared, comment="Parameters"):
    """The source of a cell that sets these parameters, with their declared types."""
    lines = [f"// {comment}".rstrip()]
    for name, value in parameters.items():
        one = declared.get(name, {})
        # With its type written out, a variable waits for no inference.
        kind = one.get("type") or type_of(value)
        lines.append(f"let {one.get('mut') or ''}{name}: {kind} = {source(value, kind)};")
    return "\n".join(lines) + "\n"


def seen_type(default):
    """The type of a default value, where it is plain to see."""
    suffixed = SUFFIX.fullmatch(default)
    if suffixed:
        return suffixed.group(1)
    return next((kind for pattern, kind in SEEN if pattern.fullmatch(default)), None)


def type_of(value):
    """The type that suits a value of which nothing is declared."""
    if value is None:
        return f"Option<{ANYTHING}>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        fitting = (kind for kind, (low, high) in INTEGERS.items() if low <= value < high)
        return next(fitting, "i128")
    if isinstance(value, float):
        return "f64"
    if isinstance(value, dict):
        return ANYTHING
    if isinstance(value, (list, tuple)):
        return f"Vec<{common_type({type_of(one) for one in value})}>"
    return "String"


def common_type(kinds):
    """The type for values that have these types by themselves."""
    nothing = type_of(None)
    if nothing in kinds and len(kinds) > 1:
        return f"Option<{common_type(kinds - {nothing})}>"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds and kinds <= {*INTEGERS, "f64"}:
        wider = [kind for kind in ("f64", "i128") if kind in kinds]
        return wider[0] if wider else "i128" if "u64" in kinds else "i64"
    return ANYTHING


def source(value, kind):
    """The value as an expression of the type `kind`."""
    parts = GENERIC.fullmatch(kind.strip())
    name, inside = (parts["name"], parts["inside"] or "") if parts else ("", "")
    if name == "Option":
        return "None" if value is None else f"Some({source(value, inside)})"
    if name == "Value":
        return json_source(value)
    if value is None:
        return "None"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value}.0" if name in FLOATS else str(value)
    if isinstance(value, float):
        return float_source(value, name if name in FLOATS else "f64")
    if isinstance(value, dict):
        key, _, item = inside.partition(",")
        pairs = [f"({source(k, key or 'String')}, {source(v, item or type_of(v))})" for k, v in value.items()]
        return f"[{', '.join(pairs)}].into()"
    if isinstance(value, (list, tuple)):
        items = ", ".join(source(one, inside or type_of(one)) for one in value)
        return f"vec![{items}]" if name == "Vec" else f"[{items}].into()"
    if name == "String":
        return f"{text_source(str(value))}.to_owned()"
    if name == "char" and len(str(value)) == 1:
        return char_source(str(value))
    return text_source(str(value)) if kind.strip().startswith("&") else f"{text_source(str(value))}.into()"


def float_source(value, name):
    """A number, also one that is none."""
    if math.isnan(value):
        return f"{name}::NAN"
    if math.isinf(value):
        return f"{name}::{'NEG_' if value < 0 else ''}INFINITY"
    return repr(value)


def text_source(text):
    """A literal; what nobody can see is spelt out, because rustc refuses some of it."""
    return '"' + "".join(spelt(char, '"') for char in text) + '"'


def char_source(char):
    """A literal of one character."""
    return "'" + spelt(char, "'") + "'"


def spelt(char, quote):
    """A character between such quotes."""
    escapes = {"\\": "\\\\", quote: "\\" + quote, "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return escapes.get(char) or (char if char.isprintable() else f"\\u{{{ord(char):x}}}")


def json_source(value):
    """The value as JSON; what JSON has no word for, such as `nan`, becomes `null`."""
    value = plain(value)
    if n_values(value) > MACRO_VALUES:
        return f"serde_json::from_str({text_source(json.dumps(value, ensure_ascii=False))}).unwrap()"
    return f"serde_json::json!({json_words(value)})"


def plain(value):
    """The value in JSON's own types."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def n_values(value):
    """How many values there are, all told."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(n_values, inner))


def json_words(value):
    """A plain value as the macro `json!` reads it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_source(key)}: {json_words(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_words, value)) + "]"
    if isinstance(value, str):
        return text_source(value)
    kind = type_of(value)
    # Without its suffix a large number would be taken for an `i32`.
    return source(value, kind) + (f"_{kind}" if kind in INTEGERS and kind != "i32" else "")
