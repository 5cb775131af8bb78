"""Figures of several kernels, and the Markdown table that shows them side by side."""

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Row:
    """One thing that is measured: its key, its words, its unit and what is wanted of ours, in seconds or MiB."""

    key: str
    about: str
    unit: str
    target: Optional[float] = None
    # The kernel that ours must also beat in this run.
    faster_than: Optional[str] = None


# What a second, or a MiB, is in the unit; digits after the point.
UNITS = {"s": (1, 2), "ms": (1000, 1), "MB": (1.048576, 0)}
FAILED = "failed"


class Figures:
    """What was measured, by row and kernel, why something was not, and what is to be said about it."""

    def __init__(self):
        self.values = defaultdict(list)
        self.reasons, self.remarks, self.notes, self.wrong = {}, {}, [], set()
        self.n_failed = 0

    def add(self, key, peer, value):
        """Takes one figure, in seconds or MiB."""
        self.values[key, peer.name].append(value)

    def reason(self, key, peer, words):
        """Says why there is no figure."""
        self.reasons[key, peer.name] = words

    def fail(self, key, peer, error):
        """Says that a figure could not be taken."""
        self.n_failed += 1
        self.reason(key, peer, FAILED)
        self.remarks[key, peer.name] = error

    def answer_was_wrong(self, key, peer, words):
        """Says that an answer came that was of no use, however fast."""
        self.wrong.add((key, peer.name))
        self.remarks[key, peer.name] = words

    def note(self, words):
        """Keeps something to be said below the table."""
        self.notes.append(words)


def table(rows, peers, figures):
    """The lines of the table and the remarks below it: ours first, each other with how many times ours it takes.

    A row without any figure is left out.
    """
    ours, *others = peers
    head = ["what", "target", f"**{ours.name}**", "reached"]
    for other in others:
        head += [other.name, "÷ ours"]
    lines = [[*head, "n"], ["---"] * (len(head) + 1)]
    for row in rows:
        if not any(figures.values[row.key, peer.name] or _failed(row, peer, figures) for peer in peers):
            continue
        cells = [row.about, _target(row), _figure(row, ours, figures), _reached(row, ours, figures)]
        for other in others:
            cells += [_figure(row, other, figures), _ratio(row, other, ours, figures)]
        counts = sorted({len(figures.values[row.key, peer.name]) for peer in peers} - {0})
        lines.append([*cells, ", ".join(map(str, counts))])
    written = ["| " + " | ".join(cells) + " |" for cells in lines]
    return written + [""] + [f"- {remark}" for remark in _remarks(rows, peers, figures)]


def _failed(row, peer, figures):
    return figures.reasons.get((row.key, peer.name)) == FAILED


def _remarks(rows, peers, figures):
    for row in rows:
        for peer in peers:
            remark = figures.remarks.get((row.key, peer.name))
            if remark:
                yield f"{peer.name}, {row.about}: {remark}"
    yield from figures.notes


def _target(row):
    if row.target is None:
        return ""
    words = f"≤ {_number(row, row.target)} {row.unit}"
    return f"{words}, < {row.faster_than}" if row.faster_than else words


def _figure(row, peer, figures):
    values = figures.values[row.key, peer.name]
    reason = figures.reasons.get((row.key, peer.name))
    if not values:
        return reason or "–"
    words = f"{_number(row, statistics.median(values))} {row.unit}"
    if len(values) > 1:
        words += f" ({_number(row, min(values))}–{_number(row, max(values))})"
    return f"{words}; {reason}" if reason else words


def _reached(row, ours, figures):
    values = figures.values[row.key, ours.name]
    if row.target is None:
        return ""
    if not values:
        return "**no figure**"
    if (row.key, ours.name) in figures.wrong:
        return "**no**, see below"
    # Memory that is needed once must be there; a time that is rare is not felt.
    judged = max(values) if row.unit == "MB" else statistics.median(values)
    reached = judged <= row.target
    rival = figures.values[row.key, row.faster_than]
    if rival:
        reached = reached and judged < statistics.median(rival)
    return "yes" if reached else "**no**"


def _ratio(row, other, ours, figures):
    theirs, own = figures.values[row.key, other.name], figures.values[row.key, ours.name]
    if not (theirs and own):
        return ""
    ratio = statistics.median(theirs) / statistics.median(own)
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"


def _number(row, value):
    factor, digits = UNITS[row.unit]
    # A few milliseconds would be none.
    digits += row.unit == "s" and value < 0.1
    return f"{value * factor:.{digits}f}"
