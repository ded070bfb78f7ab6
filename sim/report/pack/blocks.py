"""One block of a run as tables: reads what was logged in it and turns it into sections.

The same for a report, which packs every block, and for the viewer's server, which makes the blocks that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.radio.fates import I64
from sim.report.pack import signals, tables, world
from sim.report.pack.columns import Array, Section, Table, entry, section
from sim.report.pack.messages import BlockMessages, join_bytes, messages, place_bytes
from sim.report.pack.radio import Directory
from sim.report.pack.source import Rows, Source
from sim.report.pack.world import Frames, Plans

FAMILIES: Mapping[str, Table] = {
    "world": tables.WORLD, "signals": tables.SIGNALS, "spat": tables.SPAT, "trace": tables.TRACE,
    "plan": tables.PLAN, "perceived": tables.PERCEIVED, "messages": tables.MESSAGES,
    "fates": tables.FATES, "bytes": tables.BYTES, "series": tables.SERIES,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Periods:
    """How densely things that change all the time are kept."""

    world_ns: int = 200_000_000
    plan_ns: int = 500_000_000
    perceived_ns: int = 500_000_000


SERVED = Periods(50_000_000, 100_000_000, 100_000_000)


@dataclass(slots=True)
class Block:
    """What one block holds."""

    number: int
    parts: list[Rows]
    world: Frames
    spat: dict[str, Array]
    plans: dict[str, Plans]  # vehicle -> its plans
    perceived: dict[str, Frames]  # unit -> what it says it sees
    messages: BlockMessages

    def tables(self, chosen: I64 | None = None, has_bytes: bool = True) -> dict[str, Columns]:
        """Tables by key; those without rows are left out. `chosen`: messages whose bytes are in it, by default all.

        Without `has_bytes` the bytes themselves are zeros that take no memory: as many as there would be.
        """
        at = f"/{self.number}"
        if chosen is None:
            chosen = np.arange(self.messages.t.size)
        order, bytes0 = place_bytes(self.messages, chosen)
        if has_bytes:
            data: Array = np.frombuffer(join_bytes(self.messages, order), np.uint8)
        else:
            data = np.broadcast_to(np.uint8(0), int(self.messages.size[order].sum()))
        out = {
            f"world{at}": Columns(tables.WORLD, self.world.table()),
            f"spat{at}": Columns(tables.SPAT, self.spat),
        }
        for name, plans in self.plans.items():
            out[f"plan/{name}{at}"] = Columns(tables.PLAN, plans.frames.table())
        for unit, frames in self.perceived.items():
            out[f"perceived/{unit}{at}"] = Columns(tables.PERCEIVED, frames.table())
        out[f"messages{at}"] = Columns(tables.MESSAGES, self.messages.table(bytes0))
        out[f"fates{at}"] = Columns(tables.FATES, self.messages.fates())
        out[f"bytes{at}"] = Columns(tables.BYTES, {"data": data})
        return {key: value for key, value in out.items() if value.has_rows()}

    def sections(self, chosen: I64) -> dict[str, Section]:
        """The same as sections."""
        return {key: item.section() for key, item in self.tables(chosen).items()}


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns before they are encoded."""

    table: Table
    columns: dict[str, Array]

    def has_rows(self) -> bool:
        """Whether there is anything: rows, or frames without rows."""
        return any(self.columns[name].size > 0 for name, _ in self.table.columns if name != "start")

    def entry(self) -> dict[str, Any]:
        """What the manifest says of the section that they become."""
        return entry(self.table, self.columns)

    def section(self) -> Section:
        """That section."""
        return section(self.table, self.columns)


def read_block(source: Source, number: int, directory: Directory, periods: Periods) -> Block:
    """Block `number` of a run."""
    parts = source.block(number)
    path = source.path
    truth, described = source.channels("truth/world"), source.channels("truth/actor")
    frames = world.world(path, parts, truth, described, periods.world_ns)
    plans = {
        vehicle_name(sender): world.plans(path, parts, channel, periods.plan_ns)
        for channel, sender in source.channels("obu/plan").items()
    }
    seen: dict[str, Frames] = {}
    for topic in ("v2x/rsm", "v2x/ssm"):
        for channel, sender in source.channels(topic).items():
            if sender not in seen or not seen[sender].t.size:
                seen[sender] = world.seen(path, parts, channel, topic, periods.perceived_ns)
    return Block(
        number=number,
        parts=parts,
        world=frames,
        spat=signals.spat(path, parts, source.channels("v2x/spat")),
        plans=plans,
        perceived=seen,
        messages=messages(source, parts, directory),
    )


def vehicle_name(unit: str) -> str:
    """The vehicle that an on-board unit drives."""
    return unit.removeprefix("obu/")
