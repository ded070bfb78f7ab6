"""The world as public viewers draw it (Foxglove, Lichtblick, Rerun, PlotJuggler): `foxglove.*` messages beside our own records.

`foxglove/road` once: lane edges as lines. `foxglove/scene` every period: a box for every section of every actor; `foxglove/tf`: where
the driven vehicles are, from frame "map"; `foxglove/location/<name>`: the same on the globe, where the map says where it lies.
Derived from the truth and never compared. Schemas are those of the package foxglove-schemas-protobuf. A scene is put together from
bytes, because building its objects would cost more than the rest of the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LinePrimitive_pb2 import LinePrimitive
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf.message import Message
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from protocols.messages import ActorKind
from protocols.roads.network import F64, RoadNetwork
from protocols.wire import varint
from sim.report.outlines import lane_edges
from sim.state import ActorStates, ActorStatics

FRAME: Final = "map"  # right-handed, x east, y north, metres: the road network's own
ROAD, SCENE, FRAMES, LOCATION = (
    "foxglove/road", "foxglove/scene", "foxglove/tf", "foxglove/location"
)  # fmt: skip
KINDS: Final[Mapping[str, type[Message]]] = {
    ROAD: SceneUpdate, SCENE: SceneUpdate, FRAMES: FrameTransforms, LOCATION: LocationFix,
}  # fmt: skip
_TURN_RAD, _STEP_M = 0.03, 30.0  # a line keeps a point at least this often
_LINE = (0.55, 0.58, 0.62, 1.0)
_COLOURS: Final[Mapping[int, tuple[float, float, float, float]]] = {
    ActorKind.PEDESTRIAN: (0.93, 0.60, 0.20, 1.0),
    ActorKind.BICYCLE: (0.85, 0.72, 0.25, 1.0),
    ActorKind.MOTORCYCLE: (0.85, 0.72, 0.25, 1.0),
}
_UNKNOWN = (0.0,) * 9  # covariance: always nine values; its type says that they mean nothing
_CAR = (0.45, 0.52, 0.62, 1.0)
_DRIVEN = (0.10, 0.55, 0.85, 1.0)
# Wire form of a cube's pose: position (x, y, z), and a turn about z as (z, w) of a quaternion.
_POSE: Final = np.dtype(
    [("a", "S5"), ("x", "<f8"), ("b", "S1"), ("y", "<f8"), ("c", "S1"), ("z", "<f8"),
     ("d", "S3"), ("qz", "<f8"), ("e", "S1"), ("qw", "<f8")]
)  # fmt: skip
_HEADS: Final = {
    "a": b"\x0a\x31\x0a\x1b\x09", "b": b"\x11", "c": b"\x19", "d": b"\x12\x12\x19", "e": b"\x21",
}  # fmt: skip


class PublicScene:
    """Makes the messages of one run. `driven`: name -> actor id of the automated vehicles."""

    def __init__(
        self, net: RoadNetwork, epoch_ns: int, period_ns: int, driven: Mapping[str, int]
    ) -> None:
        self._net = net
        self._epoch_ns = epoch_ns
        self.period_ns = period_ns
        self._driven = dict(sorted(driven.items()))
        self._globe = _globe(net.geo_reference)
        self._lifetime = _nested(0x22, _stamp(3 * period_ns // 2))
        self._fixed: dict[int, _Fixed] = {}  # by actor id

    def road(self) -> bytes:
        """SceneUpdate with the edges of all lanes; they stay until the end."""
        net, update = self._net, SceneUpdate()
        entity: Any = update.entities.add(frame_id=FRAME, id="road", frame_locked=True)
        entity.timestamp.FromNanoseconds(self._epoch_ns)
        entity.lifetime.SetInParent()  # none: until the end
        start = net.lanes.point_start
        for edge in lane_edges(net):
            kept = _kept(edge, start)
            for first, last in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
                rows = first + np.flatnonzero(kept[first:last])
                if rows.size < 2:
                    continue
                line = entity.lines.add(type=LinePrimitive.LINE_STRIP, thickness=0.12)
                line.color.r, line.color.g, line.color.b, line.color.a = _LINE
                line.pose.position.SetInParent()  # from the frame's origin; readers require a pose
                line.pose.orientation.w = 1.0
                for (x, y), z in zip(edge[rows].tolist(), net.points.z_m[rows].tolist(), strict=True):  # fmt: skip
                    line.points.add(x=x, y=y, z=z)
        data: bytes = update.SerializeToString(deterministic=True)
        return data

    def kind(self, topic: str) -> type[Message]:
        """What travels on a topic of ours."""
        return KINDS["/".join(topic.split("/", 2)[:2])]

    def sample(
        self, t_ns: int, states: ActorStates, statics: ActorStatics
    ) -> Iterator[tuple[str, bytes]]:
        """(topic, wire bytes) of one instant."""
        yield SCENE, self._scene(t_ns, states, statics)
        if not self._driven:
            return
        stamp = self._epoch_ns + t_ns
        frames = FrameTransforms()
        for name, actor in self._driven.items():
            row = np.flatnonzero(states.valid & (states.id == actor))
            if not row.size:
                continue
            k = int(row[0])
            x, y, z, yaw = (
                float(v[k]) for v in (states.x_m, states.y_m, states.z_m, states.yaw_rad)
            )
            one: Any = frames.transforms.add(parent_frame_id=FRAME, child_frame_id=name)
            one.timestamp.FromNanoseconds(stamp)
            one.translation.x, one.translation.y, one.translation.z = x, y, z
            one.rotation.z, one.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
            if self._globe is not None:
                longitude, latitude = self._globe.transform(x, y)
                fix: Any = LocationFix(
                    frame_id=name, latitude=latitude, longitude=longitude, altitude=z, position_covariance=_UNKNOWN
                )  # fmt: skip
                fix.timestamp.FromNanoseconds(stamp)
                yield f"{LOCATION}/{name}", fix.SerializeToString(deterministic=True)
        yield FRAMES, frames.SerializeToString(deterministic=True)

    def _scene(self, t_ns: int, states: ActorStates, statics: ActorStatics) -> bytes:
        rows = np.flatnonzero(states.valid)
        known = self._fixed
        fixed: list[_Fixed] = []
        for row, actor in zip(rows.tolist(), states.id[rows].tolist(), strict=True):
            if actor not in known:
                known[actor] = self._describe(actor, row, statics)
            fixed.append(known[actor])
        poses = _poses(states, statics, rows)
        head = _nested(0x0A, _stamp(self._epoch_ns + t_ns)) + b"\x12\x03" + FRAME.encode()
        own, size, at = len(head), _POSE.itemsize, 0
        out: list[bytes] = []
        for part in fixed:
            out += (
                _opened(own + part.length),
                head,
                part.before,
                poses[at : at + size],
                part.after,
            )
            at += size
            if part.rear_before:
                out += (part.rear_before, poses[at : at + size], part.rear_after)
            at += size
        return b"".join(out)

    def _describe(self, actor: int, row: int, statics: ActorStatics) -> _Fixed:
        kind = int(statics.kind[row])
        colour = _DRIVEN if actor in self._driven.values() else _COLOURS.get(kind, _CAR)
        name = _nested(0x1A, f"{ActorKind(kind).name.lower()} {actor}".encode()) + self._lifetime
        size = (float(statics.length_m[row]), float(statics.width_m[row]), float(statics.height_m[row]))  # fmt: skip
        after = _look(size, colour)
        before = name + b"\x42" + varint(_POSE.itemsize + len(after))
        rear_before = rear_after = b""
        rear_m = float(statics.rear_length_m[row])
        if rear_m > 0.0:
            rear_after = _look((rear_m, *size[1:]), colour)
            rear_before = b"\x42" + varint(_POSE.itemsize + len(rear_after))
        sections = 2 if rear_before else 1
        parts = (before, after, rear_before, rear_after)
        length = sum(map(len, parts)) + sections * _POSE.itemsize
        return _Fixed(*parts, length)


class _Fixed(NamedTuple):
    """What never changes of an actor's entity: the bytes around the poses of its two sections, and the length of all that with them."""

    before: bytes
    after: bytes
    rear_before: bytes  # empty: one section
    rear_after: bytes
    length: int


@cache
def _opened(length: int) -> bytes:
    """How an entity of that many bytes begins."""
    return b"\x12" + varint(length)


def _look(size: tuple[float, float, float], colour: tuple[float, float, float, float]) -> bytes:
    """Fields 2 and 3 of a CubePrimitive."""
    three = b"".join(tag + np.float64(v).tobytes() for tag, v in zip((b"\x09", b"\x11", b"\x19"), size, strict=True))  # fmt: skip
    four = b"".join(tag + np.float64(v).tobytes() for tag, v in zip((b"\x09", b"\x11", b"\x19", b"\x21"), colour, strict=True))  # fmt: skip
    return _nested(0x12, three) + _nested(0x1A, four)


def _poses(states: ActorStates, statics: ActorStatics, rows: Any) -> bytes:
    """Wire form of two poses an actor, front section and rear section: middles of their boxes."""
    pose = np.zeros((rows.size, 2), _POSE)
    for name, head in _HEADS.items():
        pose[name] = head
    yaw = states.yaw_rad[rows]
    ahead = statics.length_m[rows] / 2 - statics.rear_overhang_m[rows]  # of the origin
    _put(pose[:, 0], states, rows, yaw, ahead, 0.0, yaw, statics)
    rear_yaw = yaw - states.hitch_rad[rows]
    hitch, behind = statics.hitch_x_m[rows], -statics.rear_length_m[rows] / 2
    _put(pose[:, 1], states, rows, yaw, hitch, behind, rear_yaw, statics)
    return pose.tobytes()


def _put(
    pose: Any, states: ActorStates, rows: Any, yaw: F64, along: F64, then: Any, turn: F64, statics: ActorStatics
) -> None:  # fmt: skip
    """A middle that is `along` the body and `then` along `turn`."""
    pose["x"] = states.x_m[rows] + along * np.cos(yaw) + then * np.cos(turn)
    pose["y"] = states.y_m[rows] + along * np.sin(yaw) + then * np.sin(turn)
    pose["z"] = states.z_m[rows] + statics.height_m[rows] / 2
    pose["qz"], pose["qw"] = np.sin(turn / 2), np.cos(turn / 2)


def _nested(tag: int, data: bytes) -> bytes:
    return bytes((tag,)) + varint(len(data)) + data


def _stamp(ns: int) -> bytes:
    """Body of a Timestamp or a Duration."""
    seconds, nanos = divmod(ns, 1_000_000_000)
    return (b"\x08" + varint(seconds) if seconds else b"") + (b"\x10" + varint(nanos) if nanos else b"")  # fmt: skip


def _kept(edge: F64, start: Any) -> Any:
    """Points (P, 2) of all lanes that a line needs: its ends, and where it has turned or run far enough since."""
    step = np.diff(edge, axis=0, prepend=edge[:1])
    run = np.hypot(step[:, 0], step[:, 1])
    way = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs(np.angle(np.exp(1j * np.diff(way, prepend=way[:1]))))
    firsts = start[:-1][start[:-1] < edge.shape[0]]
    run[firsts] = turn[firsts] = 0.0
    key = np.floor(np.cumsum(run) / _STEP_M) + np.floor(np.cumsum(turn) / _TURN_RAD)
    kept = np.diff(key, prepend=-1.0) != 0.0
    kept[firsts] = True
    kept[np.append(firsts[1:], edge.shape[0]) - 1] = True
    return kept


def _globe(reference: str) -> Transformer | None:
    """From the map's metres to longitude and latitude; None where the map does not say, or says it badly."""
    if not reference:
        return None
    try:
        return Transformer.from_crs(CRS.from_user_input(reference), CRS.from_epsg(4326), always_xy=True)  # fmt: skip
    except ProjError:
        return None
