"""The bytes of a recording: a header, then packets of an id, a size and that many bytes; little endian, floats of 32 bits.

Places are centimetres, rotations degrees in the order roll, pitch, yaw. Most packets are a count and records of one size; `Added` and
`PhysicsControl` have strings and lists. A packet whose id is not known is skipped, so newer files can be read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from sim.carla.wire import structs

VERSION = 1
MAGIC = "CARLA_RECORDER"
MAX_RECORDS = 65535  # a count has 16 bits
MAX_PACKET_BYTES = 64 << 20
CM = 100.0
LARGEST = 3.4028234663852886e38  # of 32 bits; clients send 64
NO_ACTOR = 0xFFFFFFFF  # a collision with what is not an actor


class Packet(IntEnum):
    FRAME_START = 0
    FRAME_END = 1
    ADDED = 2
    REMOVED = 3
    PARENT = 4
    COLLISION = 5
    POSITION = 6
    LIGHT_STATE = 7
    VEHICLE = 8
    WALKER = 9
    VEHICLE_LAMPS = 10
    SCENE_LAMP = 11
    KINEMATICS = 12
    BOX = 13
    PLATFORM_TIME = 14
    PHYSICS = 15
    LIGHT_TIMES = 16
    TRIGGER = 17


class ActorType(IntEnum):
    OTHER = 0
    VEHICLE = 1
    WALKER = 2
    TRAFFIC_LIGHT = 3
    TRAFFIC_SIGN = 4
    SENSOR = 5


HEAD = struct.Struct("<BI")
FRAME = struct.Struct("<Qdd")  # number from 1, duration of this frame (-1 in the last), elapsed
SECONDS = struct.Struct("<d")
COUNT = struct.Struct("<H")
# Records of one size. What each field is, is said where it is written.
RECORDS: dict[Packet, struct.Struct] = {
    Packet.REMOVED: struct.Struct("<I"),
    Packet.PARENT: struct.Struct("<II"),
    Packet.COLLISION: struct.Struct("<III??"),
    Packet.POSITION: struct.Struct("<I6f"),
    Packet.LIGHT_STATE: struct.Struct("<I?fB"),
    Packet.VEHICLE: struct.Struct("<I3f?i"),
    Packet.WALKER: struct.Struct("<If"),
    Packet.VEHICLE_LAMPS: struct.Struct("<II"),
    Packet.SCENE_LAMP: struct.Struct("<if4f?B"),
    Packet.KINEMATICS: struct.Struct("<I6f"),
    Packet.BOX: struct.Struct("<I6f"),
    Packet.LIGHT_TIMES: struct.Struct("<I3f"),
    Packet.TRIGGER: struct.Struct("<I6f"),
}
# The same for those that are written for everybody in every frame: the id and columns of one type each.
TABLES: dict[Packet, np.dtype[Any]] = {
    Packet.POSITION: np.dtype([("id", "<u4"), ("xyz_rpy", "<f4", 6)]),
    Packet.LIGHT_STATE: np.dtype(
        [("id", "<u4"), ("frozen", "?"), ("elapsed", "<f4"), ("state", "u1")]
    ),
    Packet.VEHICLE: np.dtype(
        [("id", "<u4"), ("steer_throttle_brake", "<f4", 3), ("hand_brake", "?"), ("gear", "<i4")]
    ),
    Packet.WALKER: np.dtype([("id", "<u4"), ("speed", "<f4")]),
    Packet.VEHICLE_LAMPS: np.dtype([("id", "<u4"), ("lamps", "<u4")]),
    Packet.KINEMATICS: np.dtype([("id", "<u4"), ("v_w", "<f4", 6)]),
}
Record = tuple[float, ...]
Triple = tuple[float, float, float]


class Broken(Exception):
    """The file ends or goes wrong here; what came before is good."""


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    date_s: int  # since 1970
    map_name: str


@dataclass(frozen=True, slots=True)
class Added:
    """An actor and where it was; `attributes` are (type, name, value)."""

    actor: int
    type: int
    location_cm: Triple
    rotation: Triple  # roll, pitch, yaw
    uid: int
    id: str
    attributes: tuple[tuple[int, str, str], ...]

    @property
    def is_hero(self) -> bool:
        """Whether its role is `hero`."""
        return any(name == "role_name" and value == "hero" for _, name, value in self.attributes)


def packet(kind: Packet, payload: bytes) -> bytes:
    """A whole packet."""
    return HEAD.pack(kind, len(payload)) + payload


def records(kind: Packet, rows: Iterable[Record]) -> bytes:
    """A packet of records of one size; those beyond `MAX_RECORDS` are left out."""
    row = RECORDS[kind]
    packed = [row.pack(*map(_fitting, values)) for values in rows][:MAX_RECORDS]
    return packet(kind, COUNT.pack(len(packed)) + b"".join(packed))


def table(kind: Packet, *columns: npt.NDArray[Any]) -> bytes:
    """The same packet from columns, in the order of `TABLES`."""
    layout = TABLES[kind]
    rows = np.zeros(min(len(columns[0]), MAX_RECORDS), dtype=layout)
    for name, column in zip(layout.names or (), columns, strict=True):
        is_float = column.dtype.kind == "f"
        rows[name] = (np.clip(column, -LARGEST, LARGEST) if is_float else column)[:MAX_RECORDS]
    return packet(kind, COUNT.pack(len(rows)) + rows.tobytes())


def read_records(kind: Packet, payload: bytes) -> list[Record]:
    """The records of a packet."""
    row = RECORDS[kind]
    (count,) = COUNT.unpack(_take(payload, 0, 2))
    return list(row.iter_unpack(_take(payload, 2, count * row.size)))


def header(head: Header) -> bytes:
    """How a file begins."""
    return b"".join(
        (
            COUNT.pack(head.version),
            _text(MAGIC),
            struct.pack("<q", head.date_s),
            _text(head.map_name),
        )
    )


def read_header(stream: BinaryIO) -> Header:
    """The header; Broken where this is no recording."""
    (version,) = COUNT.unpack(_exactly(stream, 2))
    (length,) = COUNT.unpack(_exactly(stream, 2))
    if length != len(MAGIC) or _exactly(stream, length) != MAGIC.encode():
        raise Broken("the file is not a recording of CARLA")
    (date_s,) = struct.unpack("<q", _exactly(stream, 8))
    (length,) = COUNT.unpack(_exactly(stream, 2))
    return Header(version, date_s, _exactly(stream, length).decode("utf-8", "replace"))


def read_packets(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Packets up to the end; Broken where the file stops in the middle of one."""
    while True:
        head = stream.read(HEAD.size)
        if not head:
            return
        if len(head) < HEAD.size:
            raise Broken("it ends within a packet's head")
        kind, size = HEAD.unpack(head)
        if size > MAX_PACKET_BYTES:
            raise Broken(f"a packet claims {size} bytes, more than {MAX_PACKET_BYTES}")
        yield kind, _exactly(stream, size)


def added(actors: Iterable[Added]) -> bytes:
    """A packet of actors that have come; those beyond `MAX_RECORDS` are left out."""
    some = list(actors)[:MAX_RECORDS]
    out = [COUNT.pack(len(some))]
    for a in some:
        pose = map(_fitting, (*a.location_cm, *a.rotation))
        out.append(struct.pack("<IB6fI", a.actor, a.type, *pose, a.uid))
        out += [_text(a.id), COUNT.pack(len(a.attributes))]
        for kind, name, value in a.attributes:
            out += [struct.pack("<B", kind), _text(name), _text(value)]
    return packet(Packet.ADDED, b"".join(out))


def read_added(payload: bytes) -> list[Added]:
    """The actors of such a packet."""
    at = _Cursor(payload)
    found = []
    for _ in range(at.count()):
        actor, kind, x, y, z, roll, pitch, yaw, uid = at.unpack("<IB6fI")
        name = at.text()
        attributes = tuple((at.unpack("<B")[0], at.text(), at.text()) for _ in range(at.count()))
        found.append(Added(actor, kind, (x, y, z), (roll, pitch, yaw), uid, name, attributes))
    return found


def physics(controls: Iterable[tuple[int, structs.VehiclePhysicsControl]]) -> bytes:
    """A packet of vehicles' physics. As in CARLA `gear_switch_time` and the two switches of wheels are not kept."""
    out = []
    number = 0
    for actor, p in controls:
        number += 1
        com = p.center_of_mass
        rates = (
            p.max_rpm,
            p.moi,
            p.damping_rate_full_throttle,
            p.damping_rate_zero_throttle_clutch_engaged,
            p.damping_rate_zero_throttle_clutch_disengaged,
        )
        masses = (
            p.clutch_strength,
            p.final_ratio,
            p.mass,
            p.drag_coefficient,
            *(com.x, com.y, com.z),
        )
        out.append(
            struct.pack(
                "<I5f?7f",
                actor,
                *map(_fitting, rates),
                p.use_gear_autobox,
                *map(_fitting, masses),
            )
        )
        out.append(_floats([(v.x, v.y) for v in p.torque_curve]))
        out.append(_floats([(g.ratio, g.down_ratio, g.up_ratio) for g in p.forward_gears]))
        out.append(_floats([(v.x, v.y) for v in p.steering_curve]))
        out.append(
            _floats(
                [
                    (
                        w.tire_friction,
                        w.damping_rate,
                        w.max_steer_angle,
                        w.radius,
                        w.max_brake_torque,
                        w.max_handbrake_torque,
                        w.lat_stiff_max_load,
                        w.lat_stiff_value,
                        w.long_stiff_value,
                        *(w.position.x, w.position.y, w.position.z),
                    )
                    for w in p.wheels
                ]
            )
        )
    return packet(Packet.PHYSICS, COUNT.pack(number) + b"".join(out))


@dataclass(frozen=True, slots=True)
class Physics:
    """What is kept of a vehicle's physics."""

    actor: int
    numbers: Record  # max_rpm moi damping x3 use_gear_autobox clutch final_ratio mass drag com.x com.y com.z
    torque_curve: list[Record]
    gears: list[Record]
    steering_curve: list[Record]
    wheels: list[Record]


def read_physics(payload: bytes) -> list[Physics]:
    """The vehicles of such a packet."""
    at = _Cursor(payload)
    found = []
    for _ in range(at.count()):
        actor, *numbers = at.unpack("<I5f?7f")
        found.append(
            Physics(actor, tuple(numbers), at.floats(2), at.floats(3), at.floats(2), at.floats(12))
        )
    return found


class _Cursor:
    """Reading on through a payload."""

    def __init__(self, payload: bytes):
        self.payload = payload
        self.at = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize(layout)
        found = struct.unpack(layout, _take(self.payload, self.at, size))
        self.at += size
        return found

    def count(self) -> int:
        return self.unpack("<H")[0]

    def text(self) -> str:
        size = self.count()
        text = _take(self.payload, self.at, size).decode("utf-8", "replace")
        self.at += size
        return text

    def floats(self, width: int) -> list[Record]:
        (number,) = self.unpack("<I")
        row = struct.Struct(f"<{width}f")
        data = _take(self.payload, self.at, number * row.size)
        self.at += number * row.size
        return list(row.iter_unpack(data))


def _floats(rows: list[Record]) -> bytes:
    packed = (struct.pack(f"<{len(row)}f", *map(_fitting, row)) for row in rows)
    return struct.pack("<I", len(rows)) + b"".join(packed)


def _fitting(value: float) -> float:
    """A number that fits into 32 bits; whole numbers and truths as they are."""
    return min(max(value, -LARGEST), LARGEST) if isinstance(value, float) else value


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")[:MAX_RECORDS]
    return COUNT.pack(len(data)) + data


def _take(payload: bytes, at: int, size: int) -> bytes:
    if at + size > len(payload):
        raise Broken("a packet has less in it than it says")
    return payload[at : at + size]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Broken("it ends within a packet" if data else "it ends too early")
    return data
