"""The table of all differences, filled value by value or column by column, and the first difference of everybody.

Rows of the table: one per topic (records), one per topic and field (values). Firsts: one per topic, kind and unit, for actors of the
world one each, for the radio one per receiver; they are what causes are looked for in.

Sums, largest and first values do not depend on the order in which differences are told, nor on how many are told at once; where two are
equally large or early, place and name decide. Only of two in one record the field that is told first comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, isnan
from typing import Any, NamedTuple

import numpy as np

from protocols.wire import Column
from sim.diff.fields import shown
from sim.diff.model import NOTHING, FieldRow, Finding, Kind, TopicRow, kind_of
from sim.diff.tolerance import Tolerances, concerns

MAX_NAMES = 5000  # entities counted by field; beyond, nobody is: which ones would be chance

Node = tuple[str, Kind, str, str]
"""topic, kind, unit, actor or receiver"""


Make = Callable[[int], Finding]
"""row of a batch -> its finding"""


class Record(NamedTuple):
    """Where a record belongs."""

    sender: str
    t_ns: int
    seq: int


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


@dataclass(slots=True)
class Table:
    """All differences so far."""

    tick_ns: int
    tolerances: Tolerances
    topics: dict[str, TopicRow] = field(default_factory=dict)
    fields: dict[tuple[str, str], FieldRow] = field(default_factory=dict)
    firsts: dict[Node, Finding] = field(default_factory=dict)
    tolerated_firsts: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    tolerated: Counter[str] = field(default_factory=Counter)
    used: set[int] = field(default_factory=set)  # ids of the rules that took something
    messages: dict[tuple[str, str], list[Record]] = field(default_factory=dict)

    def topic(self, name: str) -> TopicRow:
        """The row of a topic."""
        row = self.topics.get(name)
        if row is None:
            row = self.topics[name] = TopicRow(name)
        return row

    def field_row(self, topic: str, name: str) -> FieldRow:
        """The row of a field."""
        row = self.fields.get((topic, name))
        if row is None:
            row = self.fields[topic, name] = FieldRow(topic, name)
        return row

    # -- one value -------------------------------------------------------------------------------------------------

    def add(self, found: Finding, number: tuple[float, float] | None = None) -> bool:
        """One difference; `number`: both values where they are numbers. False when it is tolerated."""
        row = self.field_row(found.topic, found.field)
        for rule in self.tolerances.of(found.topic, found.field):
            if concerns(rule, found.sender, found.entity) and (
                rule.any or (number is not None and rule.takes(*number))
            ):
                row.tolerated += 1
                row.reasons[rule.reason] += 1
                self.used.add(id(rule))
                self.tolerated[rule.reason] += 1
                self._tolerated_first(found)
                return False
        row.values += 1
        row.records += 1
        row.senders[found.sender] += 1
        if found.entity:
            self._entity(row, found.entity, 1)
        if number is not None:
            by = abs(number[1] - number[0])
            size = max(abs(number[0]), abs(number[1]))
            rel = by / size if size else 0.0
            _largest(row, by, rel, found.tick, " ".join(filter(None, (found.sender, found.entity))))
        self.first(found)
        return True

    def is_earlier(self, node: Node, t_ns: int) -> bool:
        """Whether a difference at that time would be the first of its place."""
        before = self.firsts.get(node)
        return before is None or t_ns < before.t_ns

    def count(
        self, place: tuple[str, str], tick: int, whose: tuple[str, str], number: int,
        values: tuple[Column, Column] | None,
    ) -> None:  # fmt: skip
        """As many differing values of one tick, sender and entity as `add` would count one by one; no rule concerns them."""
        row = self.field_row(*place)
        row.values += number
        row.records += number
        row.senders[whose[0]] += number
        if whose[1]:
            self._entity(row, whose[1], number)
        if values is not None:
            a, b = values[0].astype(np.float64), values[1].astype(np.float64)
            by, size = np.abs(b - a), np.maximum(np.abs(a), np.abs(b))
            rel = float((by / np.where(size > 0.0, size, 1.0)).max())
            _largest(row, float(by.max()), rel, tick, " ".join(filter(None, whose)))

    def _entity(self, row: FieldRow, name: str, number: int) -> None:
        if row.has_many:
            return
        row.entities[name] += number
        if len(row.entities) > MAX_NAMES:
            row.has_many = True
            row.entities.clear()

    def _tolerated_first(self, found: Finding) -> None:
        key = (found.topic, found.sender, f"{found.field}/{found.entity}")
        before = self.tolerated_firsts.get(key)
        if before is None or found.t_ns < before.t_ns:
            self.tolerated_firsts[key] = replace(found, is_tolerated=True)

    def first(self, found: Finding) -> None:
        """Remembers a difference where it is the first of its place."""
        extra = found.receiver or (found.entity if found.topic == "truth/world" else "")
        node = (found.topic, found.kind, found.sender, extra)
        before = self.firsts.get(node)
        # A number that shifts because of another message says less than any other field.
        if before is None or (found.t_ns, found.field == "seq") < (
            before.t_ns,
            before.field == "seq",
        ):
            self.firsts[node] = found
        row = self.field_row(found.topic, found.field)
        if row.first is None or _place(found) < _place(row.first):
            row.first = found
        topic = self.topic(found.topic)
        if topic.first_tick < 0 or found.tick < topic.first_tick:
            topic.first_tick = found.tick

    # -- many values -----------------------------------------------------------------------------------------------

    def column(self, name: str, a: Column, b: Column, batch: Batch) -> Column:
        """One field of a batch; (n,) truth values: differs beyond tolerance."""
        mask = unlike(a, b)
        if not mask.any():
            return mask
        rows = np.flatnonzero(mask)
        one, two = a[rows].astype(np.float64), b[rows].astype(np.float64)
        with np.errstate(all="ignore"):  # a damaged log may hold anything
            by = np.abs(two - one)
        size = np.maximum(np.abs(one), np.abs(two))
        rel = np.divide(by, size, out=np.zeros_like(by), where=size > 0.0)

        def make(at: int) -> Finding:
            return self._finding(name, at, a, b, batch)

        rows, by, rel = self._tolerate(name, (rows, by, rel), batch, make)
        if rows.size != int(mask.sum()):
            mask = np.zeros(mask.size, bool)
            mask[rows] = True
            if not rows.size:
                return mask
        is_measure = a.dtype.kind == "f" or name.endswith(
            ("_ns", "_us")
        )  # not codes and numbers of things
        self._count(name, (rows, by, rel), batch, is_measure)
        self._firsts(name, rows, batch, make)
        return mask

    def alone(self, name: str, batch: Batch, is_a: bool) -> Column:
        """Rows that only one side has, field `name` holding whose they are; records they are in, tolerated ones left out."""
        assert batch.ids is not None and batch.row is not None
        ids, numbers = batch.ids, batch.row

        def make(at: int) -> Finding:
            record = batch.records[batch.of[at]]
            a, b = (str(ids[at]), NOTHING) if is_a else (NOTHING, str(ids[at]))
            return Finding(
                kind_of(batch.topic, name), record.t_ns // self.tick_ns, record.t_ns, batch.topic, record.sender,
                name, a, b, record.seq, int(numbers[at]), batch.entity(at),
            )  # fmt: skip

        rows = np.arange(ids.size)
        far = np.full(ids.size, np.inf)
        rows, _, _ = self._tolerate(name, (rows, far, far), batch, make)
        if rows.size:
            self._count(name, (rows, np.zeros(rows.size), np.zeros(rows.size)), batch, False)
            self._firsts(name, rows, batch, make)
        return batch.of[rows]

    def _tolerate(
        self, name: str, found: tuple[Column, Column, Column], batch: Batch, make: Make
    ) -> tuple[Column, Column, Column]:
        """`found` (rows, absolute, relative) without what a rule takes."""
        rows, by, rel = found
        rules = self.tolerances.of(batch.topic, name)
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
                self.used.add(id(rule))
                self.field_row(batch.topic, name).tolerated += count
                self.field_row(batch.topic, name).reasons[rule.reason] += count
                self.tolerated[rule.reason] += count
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
                self._tolerated_first(make(at))
        return rows[keep], by[keep], rel[keep]

    def _count(
        self, name: str, found: tuple[Column, Column, Column], batch: Batch, is_measure: bool
    ) -> None:
        rows, by, rel = found
        row = self.field_row(batch.topic, name)
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
                self._entity(row, f"{batch.label} {ident}", count)
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
            _largest(row, largest, far, t_ns // self.tick_ns, where)

    def _firsts(self, name: str, rows: Column, batch: Batch, make: Make) -> None:
        """One finding for everybody who differs here for the first time."""
        if batch.topic == "truth/world" and batch.ids is not None:
            first = _first_rows(batch.ids[rows])
        else:
            first = _first_rows(batch.codes[batch.of[rows]])
        kind = kind_of(batch.topic, name)
        row = self.field_row(batch.topic, name)
        for k in first:
            at = int(rows[k])
            record = batch.records[batch.of[at]]
            extra = batch.entity(at) if batch.topic == "truth/world" else ""
            if (
                row.first is None
                or record.t_ns <= row.first.t_ns
                or self.is_earlier((batch.topic, kind, record.sender, extra), record.t_ns)
            ):
                self.first(make(at))

    def _finding(self, name: str, at: int, a: Column, b: Column, batch: Batch) -> Finding:
        record = batch.records[batch.of[at]]
        one, two = a[at], b[at]
        by: Any = None
        if a.dtype.kind in "fiu":
            by = float(two) - float(one)
        return Finding(
            kind_of(batch.topic, name), record.t_ns // self.tick_ns, record.t_ns, batch.topic, record.sender,
            name, shown(name, one), shown(name, two), record.seq,
            int(batch.row[at]) if batch.row is not None else -1, batch.entity(at), by,
        )  # fmt: skip


def unlike(a: Column, b: Column) -> Column:
    """Where two columns do not hold the same bits."""
    out: Column
    if a.dtype.kind == "f":
        bits = np.uint64 if a.dtype.itemsize == 8 else np.uint32
        out = a.view(bits) != b.view(bits)
    else:
        out = a != b
    return out


def _largest(row: FieldRow, by: float, rel: float, tick: int, where: str) -> None:
    """Takes the larger difference; of equal ones the earlier, then the first by name."""
    by, rel = (inf if isnan(value) else value for value in (by, rel))
    if row.max_tick < 0 or (-by, tick, where) < (-row.max_abs, row.max_tick, row.max_where):
        row.max_abs, row.max_tick, row.max_where = by, tick, where
    row.max_rel = max(row.max_rel, rel)


def _place(found: Finding) -> tuple[int, str, str]:
    """Which of two findings in one field is the earlier one."""
    return found.t_ns, found.sender, found.kind.value


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
