"""Many values at once: the rows of many records side by side, compared column by column and put into the table.

What is counted and which difference is the first is the same as if the table had been told one value after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from protocols.wire import Column
from sim.diff.fields import shown
from sim.diff.model import NOTHING, Finding, kind_of
from sim.diff.table import Record, Table, largest_of
from sim.diff.tolerance import concerns

Make = Callable[[int], Finding]
"""row of a batch -> its finding"""


@dataclass(slots=True)
class Batch:
    """Rows of many records, side by side. `of`: row -> record, ascending in time; `row`: its number in a, `ids`: whose it is."""

    topic: str
    records: list[Record]
    of: Column
    row: Column | None = None
    ids: Column | None = None
    label: str = ""
    senders: list[str] = field(init=False)  # by code
    codes: Column = field(init=False)  # record -> code of its sender

    def __post_init__(self) -> None:
        known: dict[str, int] = {}
        codes = [known.setdefault(record.sender, len(known)) for record in self.records]
        self.senders, self.codes = list(known), np.array(codes, np.int64)

    def entity(self, k: int) -> str:
        """Whose row k is."""
        if self.ids is not None:
            return f"{self.label} {int(self.ids[k])}"
        return f"{self.label} {int(self.row[k])}" if self.row is not None and self.label else ""


def column(table: Table, name: str, a: Column, b: Column, batch: Batch) -> Column:
    """One field of a batch; (n,) truth values: differs beyond tolerance."""
    mask = unlike(a, b)
    if not mask.any():
        return mask
    rows = np.flatnonzero(mask)
    one, two = a[rows].astype(np.float64), b[rows].astype(np.float64)
    with np.errstate(all="ignore"):  # a damaged log may hold anything
        by = np.abs(two - one)
        if a.dtype.kind in "iu":  # whole numbers may have more digits than a double
            high, low = np.maximum(a[rows], b[rows]), np.minimum(a[rows], b[rows])
            by = (high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)
        size = np.maximum(np.abs(one), np.abs(two))
        rel = np.divide(by, size, out=np.zeros_like(by), where=size > 0.0)

    def make(at: int) -> Finding:
        return _finding(table, name, at, a, b, batch)

    rows, by, rel = _tolerate(table, name, (rows, by, rel), batch, make)
    if rows.size != int(mask.sum()):
        mask = np.zeros(mask.size, bool)
        mask[rows] = True
        if not rows.size:
            return mask
    _count(table, name, (rows, by, rel), batch, _is_measure(name, a))
    _firsts(table, name, rows, batch, make)
    return mask


def alone(table: Table, name: str, batch: Batch, is_a: bool) -> Column:
    """Rows that only one side has, field `name` holding whose they are; records they are in, tolerated ones left out."""
    assert batch.ids is not None and batch.row is not None
    ids, numbers = batch.ids, batch.row

    def make(at: int) -> Finding:
        record = batch.records[batch.of[at]]
        a, b = (str(ids[at]), NOTHING) if is_a else (NOTHING, str(ids[at]))
        return Finding(
            kind_of(batch.topic, name), record.t_ns // table.tick_ns, record.t_ns, batch.topic, record.sender,
            name, a, b, record.seq, int(numbers[at]), batch.entity(at),
        )  # fmt: skip

    rows = np.arange(ids.size)
    far = np.full(ids.size, np.inf)
    rows, _, _ = _tolerate(table, name, (rows, far, far), batch, make)
    if rows.size:
        _count(table, name, (rows, np.zeros(rows.size), np.zeros(rows.size)), batch, False)
        _firsts(table, name, rows, batch, make)
    return batch.of[rows]


def _tolerate(
    table: Table, name: str, found: tuple[Column, Column, Column], batch: Batch, make: Make
) -> tuple[Column, Column, Column]:
    """`found` (rows, absolute, relative) without what a rule takes."""
    rows, by, rel = found
    rules = table.tolerances.of(batch.topic, name)
    if not rules:
        return found
    keep = np.ones(rows.size, bool)
    is_open = np.ones(rows.size, bool)
    for rule in rules:
        near = np.full(rows.size, rule.any)
        if rule.abs is not None:
            near |= by <= rule.abs
        if rule.rel is not None:
            near |= rel <= rule.rel
        near &= is_open
        if rule.entity != "*":
            for k in np.flatnonzero(near).tolist():
                record = batch.records[batch.of[rows[k]]]
                near[k] = concerns(rule, record.sender, batch.entity(int(rows[k])))
        count = int(near.sum())
        if count:
            table.used.add(id(rule))
            table.field_row(batch.topic, name).tolerated += count
            table.field_row(batch.topic, name).reasons[rule.reason] += count
            table.tolerated[rule.reason] += count
            keep &= ~near
            is_open &= ~near
    seen: set[tuple[str, int]] = set()
    for k in np.flatnonzero(~keep).tolist():
        at = int(rows[k])
        whose = batch.ids if batch.ids is not None else batch.row
        is_named = batch.ids is not None or bool(batch.label)
        who = (
            batch.records[batch.of[at]].sender,
            int(whose[at]) if whose is not None and is_named else -1,
        )
        if who not in seen:
            seen.add(who)
            table.tolerated_first(make(at))
    return rows[keep], by[keep], rel[keep]


def _count(
    table: Table, name: str, found: tuple[Column, Column, Column], batch: Batch, is_measure: bool
) -> None:
    rows, by, rel = found
    row = table.field_row(batch.topic, name)
    records = batch.of[rows]
    row.values += rows.size
    row.records += 1 + int((records[1:] != records[:-1]).sum())
    counts = np.bincount(batch.codes[records])
    for code in np.flatnonzero(counts).tolist():
        row.senders[batch.senders[code]] += int(counts[code])
    if batch.ids is not None or batch.label:
        whose = batch.ids if batch.ids is not None else batch.row
        assert whose is not None
        for ident, count in _counted(whose[rows]):
            table.entity(row, f"{batch.label} {ident}", count)
    if not is_measure:
        return
    largest = float(by.max())
    far = float(rel.max())
    if np.isnan(largest):  # somewhere is no number, which is as far away as can be
        largest = far = inf
        by = np.where(np.isnan(by), np.inf, by)
    if largest < row.max_abs and row.max_tick >= 0:
        row.max_rel = max(row.max_rel, far)
        return
    at = np.flatnonzero(by == largest)
    t_ns = batch.records[records[at[0]]].t_ns  # rows ascend in time
    for k in at.tolist():  # several at the same time: the first name
        record = batch.records[records[k]]
        if record.t_ns != t_ns:
            break
        where = " ".join(filter(None, (record.sender, batch.entity(int(rows[k])))))
        largest_of(row, largest, far, t_ns // table.tick_ns, where)


def _firsts(table: Table, name: str, rows: Column, batch: Batch, make: Make) -> None:
    """One finding for everybody who differs here for the first time."""
    if batch.topic == "truth/world" and batch.ids is not None:
        first = _first_rows(batch.ids[rows])
    else:
        first = _first_rows(batch.codes[batch.of[rows]])
    kind = kind_of(batch.topic, name)
    row = table.field_row(batch.topic, name)
    for k in first:
        at = int(rows[k])
        record = batch.records[batch.of[at]]
        extra = batch.entity(at) if batch.topic == "truth/world" else ""
        if (
            row.first is None
            or record.t_ns <= row.first.t_ns
            or table.is_earlier((batch.topic, kind, record.sender, extra), record.t_ns)
        ):
            table.first(make(at))


def _finding(table: Table, name: str, at: int, a: Column, b: Column, batch: Batch) -> Finding:
    record = batch.records[batch.of[at]]
    one, two = a[at], b[at]
    by: Any = None
    if a.dtype.kind == "f":
        by = float(two) - float(one)
    elif _is_measure(name, a):
        by = float(int(two) - int(one))
    return Finding(
        kind_of(batch.topic, name), record.t_ns // table.tick_ns, record.t_ns, batch.topic, record.sender,
        name, shown(name, one), shown(name, two), record.seq,
        int(batch.row[at]) if batch.row is not None else -1, batch.entity(at), by,
    )  # fmt: skip


def _is_measure(name: str, column: Column) -> bool:
    """Whether a column measures something; else it holds codes or numbers of things."""
    return column.dtype.kind == "f" or name.endswith(("_ns", "_us"))


def unlike(a: Column, b: Column) -> Column:
    """Where two columns do not hold the same bits."""
    out: Column
    if a.dtype.kind == "f":
        bits = np.uint64 if a.dtype.itemsize == 8 else np.uint32
        out = a.view(bits) != b.view(bits)
    else:
        out = a != b
    return out


_SMALL = 1 << 16  # names below it are looked up instead of sorted


def _counted(names: Column) -> list[tuple[int, int]]:
    """(name, how often), ascending."""
    if names.size and int(names.min()) >= 0 and int(names.max()) < _SMALL:
        counts = np.bincount(names)
        known = np.flatnonzero(counts)
        return list(zip(known.tolist(), counts[known].tolist(), strict=True))
    known, counts = np.unique(names, return_counts=True)
    return list(zip(known.tolist(), counts.tolist(), strict=True))


def _first_rows(names: Column) -> list[int]:
    """The first row of every name, by name."""
    if names.size and int(names.min()) >= 0 and int(names.max()) < _SMALL:
        at = np.full(int(names.max()) + 1, -1)
        at[names[::-1]] = np.arange(names.size - 1, -1, -1)  # the last one written stays
        out: list[int] = at[at >= 0].tolist()
        return out
    rows: list[int] = np.unique(names, return_index=True)[1].tolist()
    return rows
