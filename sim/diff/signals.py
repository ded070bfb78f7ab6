"""Lights of two logs. They hold until they are told again, so they are compared at every change of either side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.roads.network import U8
from protocols.v1 import world_pb2
from sim.diff.fields import shown
from sim.diff.model import Finding, Kind
from sim.diff.table import Table
from sim.diff.windows import Item, Side

TOPIC = "truth/signal"
_LAYOUT = Layout(world_pb2.SignalStates)


@dataclass(slots=True)
class Lights:
    """What both logs showed last."""

    a: Side
    b: Side
    table: Table
    shown: dict[str, U8] = field(default_factory=dict)  # "a", "b"

    def compare(self, a: list[Item], b: list[Item]) -> None:
        """Lights hold until they are told again: compared at every change of either side."""
        changes: dict[int, dict[str, U8]] = {}
        stamps: dict[int, dict[str, int]] = {}
        raw: dict[int, dict[str, bytes]] = {}
        found_at: set[int] = set()
        for side, items in (("a", a), ("b", b)):
            for item in items:
                raw.setdefault(item[0], {})[side] = item[2]
                try:
                    values = _LAYOUT.unpack(item[2])
                except CodecError:
                    continue
                changes.setdefault(item[0], {})[side] = values["light"]
                stamps.setdefault(item[0], {})[side] = values["t_ns"]
        row = self.table.topic(TOPIC)
        for t_ns in sorted(changes):
            for side, light in changes[t_ns].items():
                self.shown[side] = light
            one, two = self.shown.get("a"), self.shown.get("b")
            if one is None or two is None:
                lacking = self.a if one is None else self.b
                if lacking.lacks(t_ns) or lacking.first_ns < 0:
                    continue
                one = np.zeros_like(two) if one is None else one
                two = np.zeros_like(one) if two is None else two
            assert one is not None and two is not None
            if self.a.lacks(t_ns) or self.b.lacks(t_ns):
                row.outside += 1
                continue
            tick = t_ns // self.table.tick_ns
            if one.size != two.size:
                found = Finding(
                    Kind.SIGNAL,
                    tick,
                    t_ns,
                    TOPIC,
                    "",
                    "groups",
                    str(one.size),
                    str(two.size),
                )
                row.differing += self.table.add(found)
                continue
            is_different = False
            told = stamps.get(t_ns, {})
            if len(told) == 2 and told["a"] != told["b"]:
                found = Finding(
                    Kind.SIGNAL, tick, t_ns, TOPIC, "", "t_ns", str(told["a"]), str(told["b"]),
                    by=float(told["b"] - told["a"]),
                )  # fmt: skip
                is_different |= self.table.add(found, (float(told["a"]), float(told["b"])))
            for group in np.flatnonzero(one != two).tolist():
                found = Finding(
                    Kind.SIGNAL, tick, t_ns, TOPIC, "", "light", shown("light", one[group]),
                    shown("light", two[group]), -1, group, f"group {group}",
                )  # fmt: skip
                is_different |= self.table.add(found)
            row.differing += is_different
            if is_different:
                found_at.add(t_ns)
        self._bytes(raw, found_at)

    def _bytes(self, raw: dict[int, dict[str, bytes]], found_at: set[int]) -> None:
        """What tells the same in other bytes."""
        row = self.table.topic(TOPIC)
        for t_ns, told_raw in raw.items():
            first, second = told_raw.get("a"), told_raw.get("b")
            if first is None or second is None or first == second or t_ns in found_at:
                continue
            found = Finding(
                Kind.SIGNAL, t_ns // self.table.tick_ns, t_ns, TOPIC, "", "bytes",
                shown("", first), shown("", second),
            )  # fmt: skip
            row.differing += self.table.add(found)
