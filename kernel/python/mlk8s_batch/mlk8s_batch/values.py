"""What a person gives for a parameter, as the value that its declared Rust type wants."""

import math
import re

import yaml

from .fault import Fault
from .translator import FLOATS, GENERIC

TEXTS = ("String", "str", "PathBuf", "Path", "OsString", "Cow")
WHOLE = re.compile(r"([iu])(8|16|32|64|128|size)")
LISTS = ("Vec", "VecDeque", "HashSet", "BTreeSet")
MAPS = ("HashMap", "BTreeMap")
NOTHING = ("none", "null", "~")


class Wrong(ValueError):
    """What a value is not."""


def typed(name, value, kind, origin):
    """The value of the parameter `name`; `kind` is its declared type or nothing, a `Word` is what was typed."""
    try:
        return fitted(value, kind) if kind else read(value)
    except Wrong as wrong:
        raise Fault(
            f"parameter `{name}` is declared as `{kind}`: {wrong} ({origin})",
            f"give it as `--param {name}=…`, lists and maps as `[1, 2]` and `{{a: 1}}`",
        ) from None


class Word(str):
    """A value that was typed, of which nobody has said what it is."""


def read(value):
    """The value of which no type is known: what is typed says it by its looks, as in YAML."""
    if not isinstance(value, Word):
        return value
    try:
        seen = yaml.safe_load(value)
    except yaml.YAMLError:
        return str(value)
    if isinstance(seen, (bool, int, float, list, dict)) or value.strip().lower() in ("null", "~"):
        return seen
    # A date, for instance, is a text for us.
    return str(value)


def fitted(value, kind):
    """The value as this type takes it."""
    name, inside = shape(kind)
    if name == "Option":
        said = value.strip().lower() if isinstance(value, str) else None
        if value is None or said in NOTHING or said == "" and shape(inside)[0] not in TEXTS:
            return None
        return fitted(value, inside)
    if name == "Value":
        return read(value)
    if name in TEXTS or name == "char":
        return text(value, name)
    if name == "bool":
        return truth(value)
    if WHOLE.fullmatch(name):
        return whole(value, name)
    if name in FLOATS:
        return number(value)
    if name in LISTS:
        return [fitted(one, inside) for one in structure(value, list, "a list")]
    if name in MAPS:
        key, _, item = inside.partition(",")
        pairs = structure(value, dict, "a map").items()
        return {fitted(Word(one), key): fitted(other, item) for one, other in pairs} if item else dict(pairs)
    # A type of the person's own, or one that we do not know: the compiler has the last word.
    return read(value)


def shape(kind):
    """The last name of a type and what stands in its angle brackets."""
    bare = re.sub(r"^&\s*('\w+\s+)?(mut\s+)?", "", kind.strip())
    parts = GENERIC.fullmatch(bare)
    return (parts["name"], (parts["inside"] or "").strip()) if parts else ("", "")


def text(value, name):
    """A text; what looks like a number in a file is not taken for one."""
    if not isinstance(value, str):
        raise Wrong(f"`{value}` is no text; write it in quotes")
    if name == "char" and len(value) != 1:
        raise Wrong(f"`{value}` is not one character")
    return str(value)


def truth(value):
    """`true` or `false`."""
    said = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).strip().lower())
    if said is None:
        raise Wrong(f"`{value}` is neither `true` nor `false`")
    return said


def whole(value, name):
    """A whole number within the bounds of its type."""
    sign, size = WHOLE.fullmatch(name).groups()
    bits = 64 if size == "size" else int(size)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if sign == "i" else (0, 2**bits)
    try:
        if isinstance(value, bool) or isinstance(value, float) and not value.is_integer():
            raise ValueError
        n = int(value.strip()) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        raise Wrong(f"`{value}` is no whole number") from None
    if not low <= n < high:
        raise Wrong(f"{value} is not from {low} to {high - 1}")
    return n


def number(value):
    """A number, also `inf` and `nan`."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Wrong(f"`{value}` is no number") from None


def structure(value, kind, what):
    """A list or a map, which people type as YAML or JSON."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            raise Wrong(f"`{value}` is not {what}") from None
    if not isinstance(value, kind):
        raise Wrong(f"`{value}` is not {what}")
    return value


def recorded(value):
    """The value in words that JSON has."""
    if isinstance(value, dict):
        return {str(key): recorded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [recorded(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
