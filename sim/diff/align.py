"""Which record of one log is which of the other, inside one stream (topic and sender).

Records are matched by the tick they were sent in and their number; what is left by equal content (sent at another time, or numbered
otherwise because one before it is missing), then by tick alone. What stays alone for `HOLD_NS` has no counterpart.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from protocols.wire import Column
from sim.diff.windows import Item

HOLD_NS = 10_000_000_000  # how far apart in time two records may be and still be the same one


class How(Enum):
    """How two records belong together."""

    FIELD = "field"  # same tick and number, other content
    RENUMBERED = "renumbered"  # same tick, other number
    MOVED = "moved"  # same content, another tick; numbers shift when others were sent in between


def is_ascending(column: Column) -> bool:
    """Each row is more than the one before."""
    return bool((column[1:] > column[:-1]).all())


def common(a: Column, b: Column) -> tuple[Column, Column, Column]:
    """What two columns of whole numbers have in common, ascending, and its rows in both; the first of several alike."""
    if a.size and b.size and is_ascending(a) and is_ascending(b):
        rows = np.searchsorted(b, a)
        rows[rows == b.size] = 0
        here = np.flatnonzero(b[rows] == a)
        return a[here], here, rows[here]
    found: tuple[Column, Column, Column] = np.intersect1d(a, b, return_indices=True)
    return found


class Pair(NamedTuple):
    """Two records that are the same one, but not equal."""

    a: Item
    b: Item
    how: How
    is_swapped: bool = False  # with another pair of its stream


@dataclass(slots=True)
class Matched:
    """What one call found."""

    same: int = 0
    pairs: list[Pair] = field(default_factory=list)
    only_a: list[Item] = field(default_factory=list)
    only_b: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Aligner:
    """One stream; remembers what has no counterpart yet."""

    left_a: list[Item] = field(default_factory=list)
    left_b: list[Item] = field(default_factory=list)

    def match(self, a: list[Item], b: list[Item], settled_ns: int) -> Matched:
        """Takes the next records of both sides; what is older than `settled_ns` and still alone is given up."""
        if a == b and not self.left_a and not self.left_b:
            return Matched(same=len(a))
        out = Matched()
        a, b = self.left_a + a, self.left_b + b
        a, b = _one_a_tick(a, b, out)
        if a and b:
            a, b = _equal(a, b, out)
            a, b = _by_content(a, b, out, is_moved=False)
            a, b = _by_name(a, b, out)
            a, b = _by_content(a, b, out, is_moved=True)
        early_a = [item for item in a if item[0] < settled_ns]
        early_b = [item for item in b if item[0] < settled_ns]
        self.left_a = [item for item in a if item[0] >= settled_ns]
        self.left_b = [item for item in b if item[0] >= settled_ns]
        if early_a and early_b:
            early_a, early_b = _by_tick(early_a, early_b, out)
        out.only_a, out.only_b = early_a, early_b
        out.pairs.sort(key=lambda pair: min(pair.a[0], pair.b[0]))
        if len(out.pairs) > 1:
            out.pairs = _swapped(out.pairs)
        return out


def _one_a_tick(a: list[Item], b: list[Item], out: Matched) -> tuple[list[Item], list[Item]]:
    """The usual stream: one record a tick on both sides, numbered alike. Saves hashing what they hold."""
    there = {item[0]: item for item in b}
    if len(there) != len(b) or len({item[0] for item in a}) != len(a):
        return a, b
    alone = []
    for item in a:
        other = there.get(item[0])
        if other is None or other[1] != item[1]:
            alone.append(item)
            continue
        del there[item[0]]
        if other[2] == item[2]:
            out.same += 1
        else:
            out.pairs.append(Pair(item, other, How.FIELD))
    return alone, list(there.values())


def _equal(a: list[Item], b: list[Item], out: Matched) -> tuple[list[Item], list[Item]]:
    """Same tick, number and content."""
    there: dict[Item, int] = defaultdict(int)
    for item in b:
        there[item] += 1
    alone = []
    for item in a:
        if there.get(item, 0):
            there[item] -= 1
            out.same += 1
        else:
            alone.append(item)
    return alone, [item for item, number in there.items() for _ in range(number)]


def _by_name(a: list[Item], b: list[Item], out: Matched) -> tuple[list[Item], list[Item]]:
    """Same tick and number, other content."""
    there: dict[object, list[Item]] = defaultdict(list)
    for item in b:
        there[item[0], item[1]].append(item)
    alone: list[Item] = []
    for item in a:
        others = there.get((item[0], item[1]))
        if others:
            out.pairs.append(Pair(item, others.pop(0), How.FIELD))
        else:
            alone.append(item)
    return alone, [item for others in there.values() for item in others]


def _by_content(
    a: list[Item], b: list[Item], out: Matched, is_moved: bool
) -> tuple[list[Item], list[Item]]:
    """Equal bytes, stamp of the measurement included: at the same tick under another number, or at another tick."""
    there: dict[bytes, list[Item]] = defaultdict(list)
    for item in b:
        there[item[2]].append(item)
    alone = []
    for item in a:
        others = there.get(item[2], [])
        if is_moved:
            near = [o for o in others if abs(o[0] - item[0]) <= HOLD_NS]
            found = next((o for o in near if o[1] == item[1]), near[0] if near else None)
        else:
            found = next((o for o in others if o[0] == item[0]), None)
        if found is None:
            alone.append(item)
        else:
            others.remove(found)
            out.pairs.append(Pair(item, found, How.MOVED if is_moved else How.RENUMBERED))
    return alone, [item for others in there.values() for item in others]


def _by_tick(a: list[Item], b: list[Item], out: Matched) -> tuple[list[Item], list[Item]]:
    """What is left of one tick, one on each side. Two events of one tick are only the same one when kind or subject is."""
    there: dict[int, list[Item]] = defaultdict(list)
    for item in b:
        there[item[0]].append(item)
    here: dict[int, int] = defaultdict(int)
    for item in a:
        here[item[0]] += 1
    alone = []
    for item in a:
        others = there.get(item[0], [])
        if len(others) == here[item[0]] == 1 and _may_be(item[1], others[0][1]):
            out.pairs.append(Pair(item, others.pop(), How.RENUMBERED))
        else:
            alone.append(item)
    return alone, [item for others in there.values() for item in others]


def _may_be(one: object, two: object) -> bool:
    if isinstance(one, tuple) and isinstance(two, tuple):
        return any(x == y for x, y in zip(one, two, strict=True))
    return True


def _swapped(pairs: list[Pair]) -> list[Pair]:
    """Marks pairs that have changed places: content against content, or time against time."""
    marks: set[int] = set()
    for k, pair in enumerate(pairs):
        for m in range(k + 1, min(k + 4, len(pairs))):
            other = pairs[m]
            if (
                pair.how is other.how is How.FIELD
                and pair.b[2] == other.a[2]
                and other.b[2] == pair.a[2]
            ):
                marks |= {k, m}
    moved = [(k, pair) for k, pair in enumerate(pairs) if pair.how is How.MOVED]
    for (k, one), (m, two) in pairwise(moved):
        if (one.a[0], one.b[0]) == (two.b[0], two.a[0]):
            marks |= {k, m}
    numbers = {(p.a[0], p.a[1], p.b[1]): k for k, p in enumerate(pairs) if p.how is How.RENUMBERED}
    for (t_ns, one_seq, two_seq), k in numbers.items():
        back = numbers.get((t_ns, two_seq, one_seq))
        if back is not None and pairs[k].a[2] == pairs[k].b[2]:
            marks |= {k, back}
    if not marks:
        return pairs
    return [
        Pair(pair.a, pair.b, pair.how, True) if k in marks else pair for k, pair in enumerate(pairs)
    ]
