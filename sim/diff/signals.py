"""Lights of two logs. They hold until they are told again, so they are compared at every change of either side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.roads.network import U8
from protocols.v1 import world_pb2
from sim.diff.fields import shown
from sim.diff.model import Finding, Kind
from sim.diff.side import Item, Side
from sim.diff.table import Table

TOPIC = "truth/signal"
_LAYOUT = Layout(world_pb2.SignalStates)


class _Told(NamedTuple):
    """One side at one instant; light and stamp None where the record cannot be read."""

    data: bytes
    light: U8 | None
    stamp_ns: int


@dataclass(slots=True)
class Lights:
    """What both logs showed last, and what is told but cannot be judged yet."""

    a: Side
    b: Side
    table: Table
    shown: dict[str, U8] = field(default_factory=dict)  # "a", "b"
    _told: dict[int, dict[str, _Told]] = field(default_factory=dict)  # by time

    def compare(self, a: list[Item], b: list[Item]) -> None:
        """Takes all records of both sides up to some time: compared at every change of either side whose time both logs are known to have or lack."""
        for side, items in (("a", a), ("b", b)):
            for t_ns, _, data in items:
                try:
                    values = _LAYOUT.unpack(data)
                    told = _Told(data, values["light"], values["t_ns"])
                except CodecError:
                    told = _Told(data, None, 0)
                    before = self._told.get(t_ns, {}).get(side)
                    if before is not None:  # told twice, the second time unreadably
                        told = before._replace(data=data)
                self._told.setdefault(t_ns, {})[side] = told
        for t_ns in sorted(self._told):
            if not (self.a.is_final(t_ns) and self.b.is_final(t_ns)):
                break
            told_now = self._told.pop(t_ns)
            if not self._lights(t_ns, told_now):
                self._bytes(t_ns, told_now)

    def _lights(self, t_ns: int, told: dict[str, _Told]) -> bool:
        """What is shown from now on; whether it differs beyond tolerance."""
        lights = {side: item.light for side, item in told.items() if item.light is not None}
        if not lights:
            return False
        self.shown.update(lights)
        one, two = self.shown.get("a"), self.shown.get("b")
        row = self.table.topic(TOPIC)
        if one is None or two is None:
            lacking = self.a if one is None else self.b
            if lacking.lacks(t_ns) or not lacking.has_data:
                return False
            one = np.zeros_like(two) if one is None else one
            two = np.zeros_like(one) if two is None else two
        assert one is not None and two is not None
        if self.a.lacks(t_ns) or self.b.lacks(t_ns):
            row.outside += 1
            return False
        tick = t_ns // self.table.tick_ns
        if one.size != two.size:
            found = Finding(
                Kind.SIGNAL, tick, t_ns, TOPIC, "", "groups", str(one.size), str(two.size)
            )
            row.differing += self.table.add(found)
            return True
        is_different = False
        if len(lights) == 2 and told["a"].stamp_ns != told["b"].stamp_ns:
            x, y = told["a"].stamp_ns, told["b"].stamp_ns
            found = Finding(
                Kind.SIGNAL, tick, t_ns, TOPIC, "", "t_ns", str(x), str(y), by=float(y - x)
            )
            is_different |= self.table.add(found, (float(x), float(y)))
        for group in np.flatnonzero(one != two).tolist():
            found = Finding(
                Kind.SIGNAL, tick, t_ns, TOPIC, "", "light", shown("light", one[group]),
                shown("light", two[group]), -1, group, f"group {group}",
            )  # fmt: skip
            is_different |= self.table.add(found)
        row.differing += is_different
        return is_different

    def _bytes(self, t_ns: int, told: dict[str, _Told]) -> None:
        """What tells the same in other bytes."""
        one, two = told.get("a"), told.get("b")
        if one is None or two is None or one.data == two.data:
            return
        found = Finding(
            Kind.SIGNAL, t_ns // self.table.tick_ns, t_ns, TOPIC, "", "bytes",
            shown("", one.data), shown("", two.data),
        )  # fmt: skip
        self.table.topic(TOPIC).differing += self.table.add(found)
