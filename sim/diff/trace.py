"""Driven vehicles tick by tick. Blocks need not begin at the same tick in both logs: rows are matched by their stamp."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.v1 import world_pb2
from protocols.wire import Column
from sim.diff.align import common
from sim.diff.fields import shown
from sim.diff.model import Finding, Kind
from sim.diff.table import Batch, Record, Table
from sim.diff.windows import Item

TOPIC = "truth/trace"
_LAYOUT = Layout(world_pb2.VehicleTrace)
COLUMNS = ("id", *(item.name for item in _LAYOUT.fields if item.is_column))


_Block = tuple[Column, dict[str, Column]]


def read_block(data: bytes) -> _Block | None:
    """Stamps and columns of one block; None when it cannot be read."""
    try:
        values = _LAYOUT.unpack(data)
    except CodecError:
        return None
    steps = np.arange(values["x_m"].size, dtype=np.int64)
    values["id"] = np.full(steps.size, values["id"], np.int64)
    return values["start_ns"] + values["step_ns"] * steps, {n: values[n] for n in COLUMNS}


@dataclass(slots=True)
class _Rows:
    t_ns: Column = field(default_factory=lambda: np.zeros(0, np.int64))
    columns: dict[str, Column] = field(default_factory=dict)

    def add(self, blocks: list[tuple[Column, dict[str, Column]]]) -> None:
        if not blocks:
            return
        parts = [(self.t_ns, self.columns), *blocks] if self.columns else blocks
        self.t_ns = np.concatenate([t for t, _ in parts])
        self.columns = {n: np.concatenate([c[n] for _, c in parts]) for n in COLUMNS}

    def keep(self, mask: Column) -> None:
        self.t_ns = self.t_ns[mask]
        self.columns = {name: column[mask] for name, column in self.columns.items()}


@dataclass(slots=True)
class TraceAligner:
    """One vehicle; `name` is its unit's."""

    name: str
    a: _Rows = field(default_factory=_Rows)
    b: _Rows = field(default_factory=_Rows)

    def match(
        self, a: list[Item], b: list[Item], settled_ns: int, table: Table
    ) -> tuple[int, list[int], list[int]]:
        """Compares what both have; (blocks that differ, stamps only a has, stamps only b has), the last two when settled."""
        if a == b and not self.a.t_ns.size and not self.b.t_ns.size:
            return 0, [], []
        blocks = 0
        for x, y in zip(a, b, strict=False):
            blocks += x[2] != y[2]
        read = [[read_block(item[2]) for item in items] for items in (a, b)]
        is_different = self._heads(a, b, read, table)
        for rows, blocks_read in zip((self.a, self.b), read, strict=True):
            rows.add([block for block in blocks_read if block is not None])
        _, here, there = common(self.a.t_ns, self.b.t_ns)
        if here.size:
            stamps = self.a.t_ns[here]
            records = [Record(self.name, int(t), -1) for t in stamps.tolist()]
            batch = Batch(TOPIC, records, np.arange(here.size))
            for name in COLUMNS:
                one, two = self.a.columns[name][here], self.b.columns[name][there]
                is_different |= bool(table.column(name, one, two, batch).any())
        alone: list[list[int]] = []
        for rows, taken in ((self.a, here), (self.b, there)):
            rest = np.ones(rows.t_ns.size, bool)
            rest[taken] = False
            rows.keep(rest)
            settled = rows.t_ns < settled_ns
            alone.append(sorted(rows.t_ns[settled].tolist()))
            rows.keep(~settled)
        return (max(blocks, 1) if is_different else 0), alone[0], alone[1]

    def _heads(
        self, a: list[Item], b: list[Item], read: list[list[_Block | None]], table: Table
    ) -> bool:
        """Blocks of the same rows that are not the same bytes: another name, or something this version does not know."""
        there = {item[0]: (item[2], block) for item, block in zip(b, read[1], strict=True)}
        is_different = False
        for (t_ns, _, data), one in zip(a, read[0], strict=True):
            other, two = there.get(t_ns, (data, one))
            if other == data or table.tolerances.rules:
                continue
            if one is None or two is None:
                continue
            is_torn = (
                two[0].size > 0 and int(two[0][-1]) != t_ns
            )  # rows beyond the block's own stamp
            if one[0].tobytes() != two[0].tobytes() and not is_torn:
                continue
            if is_torn or all(one[1][name].tobytes() == two[1][name].tobytes() for name in COLUMNS):
                start = int(one[0][0]) if one[0].size else t_ns
                found = Finding(
                    Kind.STATE, start // table.tick_ns, start, TOPIC, self.name, "bytes", shown("", data), shown("", other)
                )  # fmt: skip
                is_different |= table.add(found)
        return is_different

    def absence(self, t_ns: int, is_a: bool, table: Table) -> Finding:
        """A tick that only one side has."""
        a, b = ("1 row", "-") if is_a else ("-", "1 row")
        kind = Kind.MISSING if is_a else Kind.EXTRA
        return Finding(kind, t_ns // table.tick_ns, t_ns, TOPIC, self.name, "t_ns", a, b)
