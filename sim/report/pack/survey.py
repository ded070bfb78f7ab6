"""The run as a whole: facts of all blocks merged into meta, run-long sections and the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from protocols.errors import ConfigError, LogError, RoadError
from protocols.sentence import say
from sim.radio.params import from_table
from sim.recorded import recorded_scene
from sim.report.pack import meta, roads, signals, tables, traces
from sim.report.pack.blocks import FAMILIES, Block, Periods, read_block
from sim.report.pack.columns import Section, section
from sim.report.pack.facts import Facts, People, gather
from sim.report.pack.radio import Directory
from sim.report.pack.series import Curve, curves
from sim.report.pack.source import BLOCK_NS, Source

FORMAT = 1


@dataclass(slots=True)
class Scene:
    """Scene and roads of a run, as far as they are to be had; `lost` says what is not."""

    facts: dict[str, Any]  # meta.roads, meta.rsus
    spec: Any = None
    network: Any = None
    lost: str = ""


@dataclass(slots=True)
class Survey:
    """A run as it is read, block after block; the last block may be read again."""

    scene: Scene
    periods: Periods
    directory: Directory = field(default_factory=Directory)
    people: People = field(default_factory=People)
    facts: list[Facts] = field(default_factory=list)  # by block

    def read(self, source: Source, number: int) -> Block:
        """Block `number`: its facts are kept, itself is handed on."""
        block = read_block(source, number, self.directory, self.periods)
        found = gather(source, block, self.people)
        del self.facts[number:]
        self.facts.append(found)
        return block

    def whole(
        self, source: Source, result: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Section]]:
        """(meta without `budget`, sections of the run as a whole), from all blocks so far."""
        facts = self.facts
        made: dict[str, Section] = {}
        traced: dict[str, Any] = {}
        for name in sorted({name for block in facts for name in block.traces}):
            parts = [block.traces[name] for block in facts if name in block.traces]
            traced[name] = traces.table(parts)
            made[f"trace/{name}"] = section(tables.TRACE, traced[name])
        actors = {row["id"]: dict(row) for block in facts for row in block.actors}
        vehicles = {name: self.people.vehicles[name] for name in traced}
        for name, ident in vehicles.items():
            if ident in actors:
                actors[ident]["name"] = name
        net = self.scene.network
        groups = self._groups(source)
        lights = [row for block in facts for row in block.signals]
        if lights and groups:
            made["signals"] = section(tables.SIGNALS, signals.lights(source.path, lights, groups))
        limits = {
            name: roads.speed_limits(net, trace["lane"].astype(np.int32), trace["s"])
            for name, trace in traced.items()
            if net is not None
        }
        topics = self.directory.topics.names
        found = curves(facts, traced, limits, vehicles, actors, topics)
        made["series"] = section(
            tables.SERIES,
            {
                "t": np.concatenate([np.zeros(0, np.int64), *(curve.t for curve in found)]),
                "y": np.concatenate([np.zeros(0), *(curve.y for curve in found)]),
            },
        )
        missing = [part for part in (source.lost, self.scene.lost) if part]
        lost = " ".join(part for part in (_sentence(source.lost), self.scene.lost) if part) or None
        about = meta.about(
            source.header, result, lost, source.timing(), "" if result else source.broken()
        )
        shown = self.scene.facts
        if net is None:
            shown = {"roads": roads.no_roads(groups), "rsus": []}
        events = [event for block in facts for event in block.events]
        about |= {
            "duration_s": max((block.end_ns for block in facts), default=0) / 1e9,
            "events": meta.events(events[: meta.MAX_EVENTS]),
            "actors": list(actors.values()),
            "vehicles": vehicles,
            "units": list(self.directory.units.names),
            "receivers": list(self.directory.receivers.names),
            "topics": list(topics),
            **shown,
            **meta.vocabulary(topics),
            "series": _series(found),
        }
        about["zh"] = meta.in_chinese(about, missing)
        return about, made

    @property
    def num_events(self) -> int:
        """Events of all blocks so far."""
        return sum(len(block.events) for block in self.facts)

    def _groups(self, source: Source) -> int:
        """Signal groups; of a run whose road file is not to be had, as many as its first record shows."""
        if self.scene.network is not None:
            return len(self.scene.network.groups.id)
        for block in self.facts:
            for _, data in block.signals:
                return signals.num_groups(source.path, data)
        return 0


def manifest(about: Mapping[str, Any], entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The manifest of a run with these sections."""
    return {
        "format": FORMAT,
        "meta": about,
        "block_ms": BLOCK_NS // 1_000_000,
        "tables": tables_of(entries),
        "sections": dict(sorted(entries.items(), key=lambda item: _place(item[0]))),
    }


def tables_of(keys: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """`tables` of a manifest with sections of these keys."""
    out: dict[str, Any] = {}
    for key in sorted(keys):
        table = FAMILIES[key.partition("/")[0]]
        name = key.rpartition("/")[0] if table.per == "block" else key
        out[name] = {"per": table.per, "columns": [list(column) for column in table.columns]}
    return out


def _place(key: str) -> tuple[str, int]:
    name, _, number = key.rpartition("/")
    return (name, int(number)) if number.isdigit() else (key, -1)


def _series(found: Sequence[Curve]) -> list[dict[str, Any]]:
    out = []
    row = 0
    for curve in found:
        out.append(
            {
                "key": curve.key, "title_en": curve.title_en, "title_zh": curve.title_zh, "unit": curve.unit,
                "group": curve.group, "vehicle": curve.vehicle, "row0": row, "rows": int(curve.t.size),
            }
        )  # fmt: skip
        row += int(curve.t.size)
    return out


def read_scene(source: Source, road_file: Path | None = None) -> Scene:
    """Scene and roads of a run."""
    from scenarios.formats.opendrive import read

    header = source.header
    try:
        spec, map_path = recorded_scene(
            header.config_json, header.map_digest, f"{source.path} (header)",
            source.path.resolve().parent, road_file,
        )  # fmt: skip
        net = read(map_path)
        shown = {
            "roads": roads.roads(net),
            "rsus": roads.rsus(spec, net, from_table(spec.radio)),
        }
    except (LogError, RoadError, ConfigError, OSError) as error:
        return Scene({}, lost=say("Roads are not shown: {why!s}", why=error))
    return Scene(shown, spec, net)


def _sentence(text: str | None) -> str:
    return "" if not text else text[0].upper() + text[1:] + "."
