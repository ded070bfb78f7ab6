"""World, plans and what units perceive, of one block, as tables; actors of the whole run.

Frames are thinned to a period: the first one at or after each multiple of it; and the first sample of an actor that has gone by the next
one. Rows of a frame are in the log's order. Angles come out within a half turn either way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols import sharing
from protocols.columns import Layout
from protocols.errors import CodecError, LogError
from protocols.messages import ActorKind, RoadsideSafety
from protocols.roads.network import Bool
from protocols.sentence import say
from protocols.v1 import plan_pb2, rsm_pb2, world_pb2
from protocols.wire import read_varint
from sim.radio.fates import I64
from sim.report.pack.columns import Array
from sim.report.pack.source import Rows
from sim.report.pack.stack import Stack

_TURNED = np.pi + 1e-6  # what is stored as f32 may lie a little beyond pi
_ACTORS = Layout(world_pb2.ActorDescriptions)
_ACTOR_KEYS = {
    "length_m": "length", "width_m": "width", "height_m": "height", "wheelbase_m": "wheelbase",
    "rear_overhang_m": "rear_overhang", "hitch_x_m": "hitch_x", "rear_length_m": "rear_length",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frames:
    """Samples of many things at a time: t (F,) ms, start (F+1,) rows, columns (rows,), heads (F,)."""

    t: I64
    start: I64
    columns: dict[str, Array]
    heads: dict[str, Array] = field(default_factory=dict)

    def table(self) -> dict[str, Array]:
        """With the names of the pack."""
        return {"t": self.t, "start": self.start, **self.heads, **self.columns}


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
        raise LogError(say("{scene}: {what!s}", scene=path, what=error)) from error


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
    return _as_frames(found, sizes, {column: columns[name] for name, column in names.items()})


def _as_frames(found: list[tuple[int, bytes]], sizes: I64, columns: dict[str, Array]) -> Frames:
    t = np.array([t_ns // 1_000_000 for t_ns, _ in found], np.int64)
    columns |= {name: within_a_turn(columns[name]) for name in ("yaw", "hitch") if name in columns}
    return Frames(t, np.concatenate(([0], np.cumsum(sizes))), columns)


def within_a_turn(angle: Array) -> Array:
    """The same directions within (-pi, pi]; those that are there already keep their bits."""
    out = np.asarray(angle)
    wide = np.abs(out) > _TURNED
    if wide.any():
        out = out.astype(np.float64)
        out[wide] = np.arctan2(np.sin(out[wide]), np.cos(out[wide]))
    return out


def world(
    path: Path, rows: list[Rows], channels: Iterable[int], described: Iterable[int], period_ns: int
) -> Frames:
    """Everything that moves; `described`: the channels on which actors are described when they first appear."""
    kept = records(rows, channels, period_ns)
    frames = _frames(path, kept, _WORLD, _WORLD_NAMES)
    missed = _missed(path, frames, [t for t, _ in kept], records(rows, described))
    if not missed:
        return frames
    stamps = {t_ns for t_ns, _ in kept} | missed
    kept = [found for found in records(rows, channels) if found[0] in stamps]
    return _frames(path, kept, _WORLD, _WORLD_NAMES)


def _missed(
    path: Path, frames: Frames, kept_ns: list[int], described: list[tuple[int, bytes]]
) -> set[int]:
    """When those appeared who are not in the next frame that is kept."""
    out = set()
    for t_ns, data in described:
        k = bisect_left(kept_ns, t_ns)
        if k == len(kept_ns):
            out.add(t_ns)  # the next frame is another block's
            continue
        if kept_ns[k] > t_ns:
            there = frames.columns["id"][frames.start[k] : frames.start[k + 1]]
            if not np.isin(unpack(path, _ACTORS, data)["id"], there).all():
                out.add(t_ns)
    return out


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
        raise LogError(
            say("{log}: a plan cannot be read ({why!s})", log=path, why=error)
        ) from error
    return proto.num_candidates, proto.cost


def seen(path: Path, rows: list[Rows], channel: int, topic: str, period_ns: int) -> Frames:
    """What one unit says it perceives, in its RSM or SSM; head `said` (F,) ms: the stamp that the unit gave it."""
    found = records(rows, [channel], period_ns)
    if topic != "v2x/ssm":
        frames = _frames(path, found, _RSM, _SEEN_NAMES)
        stamps = [_stamp(path, data) for _, data in found]
        return replace(frames, heads={"said": np.array(stamps, np.int64)})
    shared = [_shared(path, data) for _, data in found]
    sizes = np.array([rsm.x_m.size for rsm in shared], np.int64)
    columns = {
        column: np.concatenate([np.zeros(0), *(getattr(rsm, name) for rsm in shared)])
        for name, column in _SEEN_NAMES.items()
    }
    stamps = [rsm.t_ns // 1_000_000 for rsm in shared]
    return replace(_as_frames(found, sizes, columns), heads={"said": np.array(stamps, np.int64)})


def _stamp(path: Path, data: bytes) -> int:
    """ms of an RSM's own stamp, without its columns where the stamp stands first, as it does in ours."""
    try:
        if data[:1] == b"\x08":
            _, end = read_varint(data, 1)
            data = data[:end]
        return int(rsm_pb2.RoadsideSafety.FromString(data).t_ns) // 1_000_000
    except (DecodeError, CodecError, IndexError) as error:
        raise LogError(
            say("{log}: an RSM cannot be read ({why!s})", log=path, why=error)
        ) from error


def _shared(path: Path, data: bytes) -> RoadsideSafety:
    """What an SSM shows, as the RSM that says the same."""
    try:
        return sharing.as_rsm(sharing.unpack(data))
    except CodecError as error:
        raise LogError(say("{scene}: {what!s}", scene=path, what=error)) from error


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
