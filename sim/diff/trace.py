"""Driven vehicles tick by tick. Blocks need not begin at the same tick in both logs: rows are matched by their stamp."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.v1 import world_pb2
from protocols.wire import Column
from sim.diff.align import HOLD_NS, common
from sim.diff.batch import Batch, column, unlike
from sim.diff.fields import shown
from sim.diff.layout import ColumnLayout, joined
from sim.diff.model import Finding, Kind
from sim.diff.side import Item, Side
from sim.diff.table import Record, Table

TOPIC = "truth/trace"
_LAYOUT = Layout(world_pb2.VehicleTrace)
_QUICK = ColumnLayout(world_pb2.VehicleTrace)
_FAR = 2**62  # ns
_NEXT_NS = 2_000_000_000  # by then the block that holds a tick is written
COLUMNS = ("id", *(item.name for item in _LAYOUT.fields if item.is_column))


_Block = tuple[Column, dict[str, Column]]


def read_block(data: bytes) -> _Block | None:
    """Stamps and columns of one block; None when it cannot be read."""
    try:
        values = _LAYOUT.unpack(data)
    except CodecError:
        loose = _loose(data)
        if loose is None:
            return None
        values = loose
    steps = np.arange(values["x_m"].size, dtype=np.int64)
    values["id"] = np.full(steps.size, values["id"], np.int64)
    return values["start_ns"] + values["step_ns"] * steps, {n: values[n] for n in COLUMNS}


def _loose(data: bytes) -> dict[str, Any] | None:
    """A block whose columns hold what no state can be, such as a speed that is no number: that is a difference like any other."""
    try:
        read = _QUICK.quick(data)
    except (IndexError, ValueError):
        return None
    if read is None or "" not in read.tables:
        return None
    rows = read.tables[""]
    out = read.values | {name: joined([rows], name) for name in rows.columns}
    if not (abs(out["start_ns"]) < _FAR and 0 < out["step_ns"] < _FAR // (rows.size + 1)):
        return None
    return out if abs(out["id"]) < _FAR else None


@dataclass(slots=True, eq=False)
class _Open:
    """A block, and which of its rows have no counterpart yet."""

    number: int  # of a's blocks, or of b's
    log_ns: int
    is_a: bool
    t_ns: Column
    columns: dict[str, Column]
    is_open: Column

    def rows(self) -> Column:
        """Numbers of the open rows."""
        return np.flatnonzero(self.is_open)


class _Met(NamedTuple):
    """Rows of two blocks that are the same ticks."""

    a: _Open
    a_rows: Column
    b: _Open
    b_rows: Column


class Gone(NamedTuple):
    """Rows of one block that have no counterpart: their stamps."""

    is_a: bool
    stamps: list[int]


@dataclass(slots=True)
class TraceAligner:
    """One vehicle; `name` is its unit's. A block waits `HOLD_NS` after it was written; the order of time decides, as in `align`."""

    name: str
    _waiting: tuple[deque[_Open], deque[_Open]] = field(default_factory=lambda: (deque(), deque()))
    _numbers: list[int] = field(default_factory=lambda: [0, 0])
    _differing: set[int] = field(default_factory=set)  # of a's blocks
    _unequal: set[int] = field(default_factory=set)  # the same, tolerated or not
    _gone: list[Gone] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be handed out."""
        return bool(self._waiting[0] or self._waiting[1] or self._gone)

    @property
    def differing(self) -> int:
        """Blocks of a that differ, so far."""
        return len(self._differing)

    @property
    def tolerated(self) -> int:
        """Blocks of a that would differ without tolerances, so far."""
        return len(self._unequal - self._differing)

    def match(self, a: list[Item], b: list[Item], end_ns: int, table: Table) -> list[Gone]:
        """Takes all blocks before `end_ns` that were not given before, compares what both have; hands out what is certain to be alone."""
        if a != b:
            sides = [[self._open(item, is_a) for item in items] for items, is_a in ((a, True), (b, False))]  # fmt: skip
            self._heads(a, b, sides, table)
            met: list[_Met] = []
            blocks = [block for side in sides for block in side if block is not None]
            blocks.sort(key=lambda block: block.log_ns)  # stable: a's before b's
            for block in blocks:
                self._expire(block.log_ns - HOLD_NS)
                self._arrive(block, met)
            self._compare(met, table)
        self._expire(end_ns - HOLD_NS)
        out, self._gone = self._gone, []
        return out

    def _open(self, item: Item, is_a: bool) -> _Open | None:
        number = self._numbers[not is_a]
        self._numbers[not is_a] += 1
        read = read_block(item[2])
        if read is None:
            return None
        return _Open(number, item[0], is_a, *read, np.ones(read[0].size, bool))

    def _arrive(self, block: _Open, met: list[_Met]) -> None:
        """Rows meet those of the oldest waiting block that has their tick; the rest waits."""
        others = self._waiting[block.is_a]
        for other in others:
            here, there = block.rows(), other.rows()
            while here.size and there.size:
                _, one, two = common(block.t_ns[here], other.t_ns[there])
                if not one.size:
                    break
                one, two = here[one], there[two]
                block.is_open[one] = other.is_open[two] = False
                met.append(_Met(block, one, other, two) if block.is_a else _Met(other, two, block, one))  # fmt: skip
                here, there = block.rows(), other.rows()
        for _ in range(len(others)):
            other = others.popleft()
            if other.is_open.any():
                others.append(other)
        if block.is_open.any():
            self._waiting[not block.is_a].append(block)

    def _expire(self, before_ns: int) -> None:
        """Nothing that comes from now on can hold the ticks of older blocks."""
        for waiting in self._waiting:
            while waiting and waiting[0].log_ns < before_ns:
                block = waiting.popleft()
                self._gone.append(Gone(block.is_a, sorted(block.t_ns[block.rows()].tolist())))

    def _compare(self, met: list[_Met], table: Table) -> None:
        """Column by column; as many blocks at once as ascend in time."""
        run: list[_Met] = []
        last = -1
        for item in met:
            stamps = item.a.t_ns[item.a_rows]
            if run and int(stamps[0]) <= last:
                self._columns(run, table)
                run = []
            run.append(item)
            last = int(stamps[-1])
        if run:
            self._columns(run, table)

    def _columns(self, run: list[_Met], table: Table) -> None:
        stamps = np.concatenate([item.a.t_ns[item.a_rows] for item in run])
        whose = np.repeat([item.a.number for item in run], [item.a_rows.size for item in run])
        records = [Record(self.name, t, -1) for t in stamps.tolist()]
        batch = Batch(TOPIC, records, np.arange(stamps.size))
        is_other = np.zeros(stamps.size, bool)
        is_unequal = np.zeros(stamps.size, bool)
        for name in COLUMNS:
            one = np.concatenate([item.a.columns[name][item.a_rows] for item in run])
            two = np.concatenate([item.b.columns[name][item.b_rows] for item in run])
            is_other |= column(table, name, one, two, batch)
            if table.tolerances.rules:
                is_unequal |= unlike(one, two)
        self._differing.update(np.unique(whose[is_other]).tolist())
        self._unequal.update(np.unique(whose[is_unequal]).tolist())

    def _heads(
        self, a: list[Item], b: list[Item], sides: list[list[_Open | None]], table: Table
    ) -> None:
        """Blocks of the same rows that are not the same bytes: another name, or something this version does not know."""
        there = {item[0]: (item[2], block) for item, block in zip(b, sides[1], strict=True)}
        for k, ((t_ns, _, data), one) in enumerate(zip(a, sides[0], strict=True)):
            other, two = there.get(t_ns, (data, one))
            if other == data:
                continue
            start = t_ns
            if one is None and two is None:
                pass  # nothing of them was compared
            elif one is None or two is None:
                continue  # the rows of the other are alone
            else:
                # rows beyond the block's own stamp: torn
                is_torn = two.t_ns.size > 0 and int(two.t_ns[-1]) != t_ns
                if one.t_ns.tobytes() != two.t_ns.tobytes() and not is_torn:
                    continue
                if not is_torn and any(one.columns[n].tobytes() != two.columns[n].tobytes() for n in COLUMNS):  # fmt: skip
                    continue
                start = int(one.t_ns[0]) if one.t_ns.size else t_ns
            found = Finding(
                Kind.STATE, start // table.tick_ns, start, TOPIC, self.name, "bytes", shown("", data), shown("", other)
            )  # fmt: skip
            if table.add(found):
                self._differing.add(self._numbers[0] - len(a) + k)


def absence(name: str, is_a: bool, t_ns: int, table: Table) -> Finding:
    """A tick of vehicle `name` that only one side has."""
    a, b = ("1 row", "-") if is_a else ("-", "1 row")
    kind = Kind.MISSING if is_a else Kind.EXTRA
    return Finding(kind, t_ns // table.tick_ns, t_ns, TOPIC, name, "t_ns", a, b)


def actor_of(side: Side, name: str, t_ns: int) -> int:
    """The actor behind vehicle `name` at that time; -1 where nothing tells."""
    for _, _, data in side.select(TOPIC, name, t_ns, t_ns + _NEXT_NS):
        block = read_block(data)
        if block is not None and block[0].size:
            return int(block[1]["id"][0])
    return -1
