"""The table of all differences, filled value by value (or by `batch`, column by column), and the first difference of everybody.

Rows of the table: one per topic (records), one per topic and field (values). Firsts: one per topic, kind and unit, for actors of the
world one each, for the radio one per receiver; they are what causes are looked for in.

Sums, largest and first values do not depend on the order in which differences are told, nor on how many are told at once; where two are
equally large or early, place and name decide. Only of two in one record the field that is told first comes first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import inf, isnan
from typing import NamedTuple

import numpy as np

from protocols.wire import Column
from sim.diff.model import FieldRow, Finding, Kind, TopicRow
from sim.diff.tolerance import Tolerances, concerns

MAX_MESSAGES = 5000  # differing messages remembered per stream, the earliest
MAX_NAMES = 5000  # entities counted by field; beyond, nobody is: which ones would be chance

Node = tuple[str, Kind, str, str]
"""topic, kind, unit, actor or receiver"""


class Record(NamedTuple):
    """Where a record belongs."""

    sender: str
    t_ns: int
    seq: int


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
                self.tolerated_first(found)
                return False
        row.values += 1
        row.records += 1
        row.senders[found.sender] += 1
        if found.entity:
            self.entity(row, found.entity, 1)
        if number is not None:
            by = float(abs(number[1] - number[0]))
            size = max(abs(number[0]), abs(number[1]))
            rel = by / size if size else 0.0
            largest_of(
                row, by, rel, found.tick, " ".join(filter(None, (found.sender, found.entity)))
            )
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
            self.entity(row, whose[1], number)
        if values is not None:
            a, b = values[0].astype(np.float64), values[1].astype(np.float64)
            by, size = np.abs(b - a), np.maximum(np.abs(a), np.abs(b))
            rel = float((by / np.where(size > 0.0, size, 1.0)).max())
            largest_of(row, float(by.max()), rel, tick, " ".join(filter(None, whose)))

    def entity(self, row: FieldRow, name: str, number: int) -> None:
        if row.has_many:
            return
        row.entities[name] += number
        if len(row.entities) > MAX_NAMES:
            row.has_many = True
            row.entities.clear()

    def tolerated_first(self, found: Finding) -> None:
        key = (found.topic, found.sender, f"{found.field}/{found.entity}")
        before = self.tolerated_firsts.get(key)
        if before is None or found.t_ns < before.t_ns:
            self.tolerated_firsts[key] = replace(found, is_tolerated=True)

    def first(self, found: Finding) -> None:
        """Remembers a difference where it is the first of its place."""
        extra = found.receiver or (found.entity if found.topic == "truth/world" else "")
        extra = "file" if found.is_of_file else extra
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

    # -- which messages --------------------------------------------------------------------------------------------

    def remember(self, topic: str, record: Record) -> None:
        """A message that differs."""
        known = self.messages.setdefault((topic, record.sender), [])
        known.append(record)
        if len(known) >= 2 * MAX_MESSAGES:
            _keep_earliest(known)

    def settle(self) -> None:
        """Both logs were read: puts the messages in order."""
        for records in self.messages.values():
            _keep_earliest(records)


def _keep_earliest(records: list[Record]) -> None:
    records.sort(key=lambda record: (record.t_ns, record.seq))
    del records[MAX_MESSAGES:]


def largest_of(row: FieldRow, by: float, rel: float, tick: int, where: str) -> None:
    """Takes the larger difference; of equal ones the earlier, then the first by name."""
    by, rel = (inf if isnan(value) else value for value in (by, rel))
    if row.max_tick < 0 or (-by, tick, where) < (-row.max_abs, row.max_tick, row.max_where):
        row.max_abs, row.max_tick, row.max_where = by, tick, where
    row.max_rel = max(row.max_rel, rel)


def _place(found: Finding) -> tuple[int, str, str]:
    """Which of two findings in one field is the earlier one."""
    return found.t_ns, found.sender, found.kind.value
