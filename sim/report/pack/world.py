"""World, plans and what units perceive, of one block, as tables; actors of the whole run.

Frames are thinned to a period: the first one at or after each multiple of it. Rows of a frame are in the log's order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols import sharing
from protocols.columns import Layout
from protocols.errors import CodecError, LogError
from protocols.messages import ActorKind, RoadsideSafety
from protocols.roads.network import Bool
from protocols.v1 import plan_pb2, rsm_pb2, world_pb2
from sim.radio.fates import I64
from sim.report.pack.columns import Array
from sim.report.pack.source import Rows
from sim.report.pack.stack import Stack

_ACTORS = Layout(world_pb2.ActorDescriptions)
_ACTOR_KEYS = {
    "length_m": "length", "width_m": "width", "height_m": "height", "wheelbase_m": "wheelbase",
    "rear_overhang_m": "rear_overhang", "hitch_x_m": "hitch_x", "rear_length_m": "rear_length",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frames:
    """Samples of many things at a time: t (F,) ms, start (F+1,) rows, columns (rows,)."""

    t: I64
    start: I64
    columns: dict[str, Array]

    def table(self) -> dict[str, Array]:
        """With the names of the pack."""
        return {"t": self.t, "start": self.start, **self.columns}


def due(t_ns: I64, period_ns: int) -> Bool:
    """(n,) which of rising stamps are the first at or after a multiple of the period."""
    slot = t_ns // period_ns
    keep: Bool = np.ones(t_ns.size, np.bool_)
    keep[1:] = slot[1:] != slot[:-1]
    return keep


def records(
    rows: Iterable[Rows], channels: Iterable[int], period_ns: int = 0
) -> list[tuple[int, bytes]]:
    """(t_ns, bytes) of the messages of some channels, thinned to a period where one is given."""
    chosen = sorted(channels)
    out: list[tuple[int, bytes]] = []
    last = -1
    for part in rows:
        at = part.of(chosen)
        t, begin, end = (column[at].tolist() for column in (part.t_ns, part.begin, part.end))
        for t_ns, a, b in zip(t, begin, end, strict=True):
            if period_ns:
                slot = t_ns // period_ns
                if slot == last:
                    continue
                last = slot
            out.append((t_ns, part.raw[a:b]))
    return out


def unpack(path: Path, layout: Layout, data: bytes) -> dict[str, Any]:
    """Columns of one record; LogError names the file."""
    try:
        return layout.unpack(data)
    except CodecError as error:
        raise LogError(f"{path}: {error}") from error


_WORLD_NAMES = {
    "id": "id", "x_m": "x", "y_m": "y", "yaw_rad": "yaw", "speed_mps": "speed", "accel_mps2": "accel",
    "hitch_rad": "hitch", "doors": "doors",
}  # fmt: skip
_PLAN_NAMES = {"x_m": "x", "y_m": "y", "speed_mps": "speed"}
_SEEN_NAMES = {
    "x_m": "x", "y_m": "y", "yaw_rad": "yaw", "speed_mps": "speed", "length_m": "length", "width_m": "width",
    "sigma_m": "sigma", "kind": "kind",
}  # fmt: skip
_WORLD = Stack(Layout(world_pb2.WorldState), tuple(_WORLD_NAMES))
_PLAN = Stack(Layout(plan_pb2.Plan), tuple(_PLAN_NAMES))
_RSM = Stack(Layout(rsm_pb2.RoadsideSafety), tuple(_SEEN_NAMES))


def _frames(
    path: Path, found: list[tuple[int, bytes]], stack: Stack, names: dict[str, str]
) -> Frames:
    """Frames of records whose columns `names` (field -> column) are kept."""
    sizes, columns = stack.read(path, [data for _, data in found])
    return _as_frames(found, sizes, {column: columns[field] for field, column in names.items()})


def _as_frames(found: list[tuple[int, bytes]], sizes: I64, columns: dict[str, Array]) -> Frames:
    t = np.array([t_ns // 1_000_000 for t_ns, _ in found], np.int64)
    return Frames(t, np.concatenate(([0], np.cumsum(sizes))), columns)


def world(path: Path, rows: list[Rows], channels: Iterable[int], period_ns: int) -> Frames:
    """Everything that moves."""
    return _frames(path, records(rows, channels, period_ns), _WORLD, _WORLD_NAMES)


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans of one vehicle: frames for the map, and per plan the number of candidates and the cost."""

    frames: Frames
    candidates: Array
    cost: Array


def plans(path: Path, rows: list[Rows], channel: int, period_ns: int) -> Plans:
    """What one vehicle planned."""
    found = records(rows, [channel], period_ns)
    heads = [_plan_head(path, data) for _, data in found]
    return Plans(
        _frames(path, found, _PLAN, _PLAN_NAMES),
        np.array([candidates for candidates, _ in heads], np.float64),
        np.array([cost for _, cost in heads], np.float64),
    )


def _plan_head(path: Path, data: bytes) -> tuple[int, float]:
    try:
        proto = plan_pb2.Plan.FromString(data)
    except DecodeError as error:
        raise LogError(f"{path}: a plan cannot be read ({error})") from error
    return proto.num_candidates, proto.cost


def seen(path: Path, rows: list[Rows], channel: int, topic: str, period_ns: int) -> Frames:
    """What one unit says it perceives, in its RSM or SSM."""
    found = records(rows, [channel], period_ns)
    if topic != "v2x/ssm":
        return _frames(path, found, _RSM, _SEEN_NAMES)
    shared = [_shared(path, data) for _, data in found]
    sizes = np.array([rsm.x_m.size for rsm in shared], np.int64)
    columns = {
        column: np.concatenate([np.zeros(0), *(getattr(rsm, field) for rsm in shared)])
        for field, column in _SEEN_NAMES.items()
    }
    return _as_frames(found, sizes, columns)


def _shared(path: Path, data: bytes) -> RoadsideSafety:
    """What an SSM shows, as the RSM that says the same."""
    try:
        return sharing.as_rsm(sharing.unpack(data))
    except CodecError as error:
        raise LogError(f"{path}: {error}") from error


def actors(path: Path, found: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
    """Descriptions of the actors in some records, as `meta.actors` has them; `name` is still empty."""
    out = []
    for _, data in found:
        part = unpack(path, _ACTORS, data)
        for k, ident in enumerate(part["id"].tolist()):
            kind = int(part["kind"][k])
            sizes = {key: round(float(part[field][k]), 3) for field, key in _ACTOR_KEYS.items()}
            kind_name = ActorKind(kind).name.lower()
            out.append({"id": ident, "kind": kind, "kind_name": kind_name, "name": "", **sizes})
    return out
