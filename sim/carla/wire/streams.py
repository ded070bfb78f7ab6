"""What flows on a stream: the frame around a message, the sensor header, the world snapshot.

A message is a length (uint32), a sensor header of 48 bytes and a body. The body of the world stream is a header of 36 bytes and one
record of 119 bytes per actor, whose last 54 bytes mean something else for each kind of actor. Everything is packed and little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from protocols.errors import CodecError

LENGTH = struct.Struct("<I")
"""Before every message to a client; from a client, once: the number of the stream it wants."""

SENSOR_HEADER = struct.Struct("<QQd6f")
"""Registry index, frame, elapsed seconds, x y z pitch yaw roll of the sensor."""

SNAPSHOT_HEADER = struct.Struct("<Qdf3iI")
"""Episode, platform seconds, step in seconds, origin of the map, flags."""

RECORD_BYTES = 119
UNION_OFFSET = 65
SIGN_ID_BYTES = 32
IMAGE_HEADER = struct.Struct("<IIf")
"""Width, height, horizontal field of view in degrees: before the pixels of every camera."""


class Registry(IntEnum):
    """The sensor's kind in the header of its messages; these numbers move between releases."""

    COLLISION = 0
    DEPTH_CAMERA = 1
    NORMALS_CAMERA = 2
    DVS_CAMERA = 3
    GNSS = 4
    IMU = 5
    LANE_INVASION = 6
    OBSTACLE = 7
    OPTICAL_FLOW_CAMERA = 8
    RADAR = 9
    SEMANTIC_LIDAR = 10
    LIDAR = 11
    RSS = 12
    RGB_CAMERA = 13
    SEMANTIC_CAMERA = 14
    INSTANCE_CAMERA = 15
    COSMOS_CONTROL = 16
    WORLD = 17
    GBUFFER_UINT8 = 18
    GBUFFER_FLOAT = 19
    V2X = 20
    CUSTOM_V2X = 21


class SimulationState(IntFlag):
    """Flags of a snapshot."""

    NONE = 0
    MAP_CHANGE = 1
    PENDING_LIGHT_UPDATE = 2


_FIELDS: dict[str, tuple[object, int]] = {
    "id": ("<u4", 0),
    "state": ("u1", 4),
    "transform": (("<f4", (6,)), 5),  # x y z pitch yaw roll
    "velocity": (("<f4", (3,)), 29),
    "angular_velocity": (("<f4", (3,)), 41),  # deg/s
    "acceleration": (("<f4", (3,)), 53),
    # a vehicle
    "throttle": ("<f4", 65),
    "steer": ("<f4", 69),
    "brake": ("<f4", 73),
    "hand_brake": ("u1", 77),
    "reverse": ("u1", 78),
    "manual_gear_shift": ("u1", 79),
    "gear": ("<i4", 80),
    "speed_limit": ("<f4", 84),  # km/h
    "light_state": ("u1", 88),
    "has_light": ("u1", 89),
    "light_id": ("<u4", 90),
    "failure_state": ("u1", 94),
    # a walker
    "walk_direction": (("<f4", (3,)), 65),
    "walk_speed": ("<f4", 77),
    "jump": ("u1", 81),
    # a traffic light; a sign has the sign's id alone
    "sign_id": (f"S{SIGN_ID_BYTES}", 65),
    "green_time": ("<f4", 97),
    "yellow_time": ("<f4", 101),
    "red_time": ("<f4", 105),
    "elapsed_time": ("<f4", 109),
    "pole_index": ("<u4", 113),
    "is_frozen": ("u1", 117),
    "signal_state": ("u1", 118),
}

RECORD: np.dtype[np.void] = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for kind, _ in _FIELDS.values()],
        "offsets": [offset for _, offset in _FIELDS.values()],
        "itemsize": RECORD_BYTES,
    }  # type: ignore[call-overload]
)
"""One actor of a snapshot; the fields of the kinds overlap. Slow to write field by field, handy to read."""


@dataclass(frozen=True, slots=True)
class SensorHeader:
    """The first 48 bytes of a message."""

    sensor: Registry
    frame: int
    elapsed_s: float
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The body of a message of the world stream."""

    episode_id: int
    platform_s: float
    delta_s: float
    map_origin: tuple[int, int, int]
    state: SimulationState
    actors: np.ndarray[tuple[int], np.dtype[np.void]]


def pack_header(
    sensor: int,
    frame: int,
    elapsed_s: float,
    transform: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
) -> bytes:
    """The sensor header; the world stream has no pose."""
    return SENSOR_HEADER.pack(sensor, frame, elapsed_s, *transform)


def unpack_header(message: bytes) -> SensorHeader:
    """The sensor header of a message."""
    if len(message) < SENSOR_HEADER.size:
        raise CodecError(
            f"a stream message has {len(message)} bytes, its header alone {SENSOR_HEADER.size}"
        )
    index, frame, elapsed_s, x, y, z, pitch, yaw, roll = SENSOR_HEADER.unpack_from(message)
    try:
        sensor = Registry(index)
    except ValueError:
        raise CodecError(
            f"a stream message names sensor {index}, 0.9.16 knows 0 to {max(Registry)}"
        ) from None
    return SensorHeader(sensor, frame, elapsed_s, (x, y, z, pitch, yaw, roll))


def unpack_snapshot(message: bytes) -> Snapshot:
    """A whole message of the world stream, header included."""
    header = unpack_header(message)
    start = SENSOR_HEADER.size + SNAPSHOT_HEADER.size
    if header.sensor is not Registry.WORLD:
        raise CodecError(f"expected a world snapshot, found a message of {header.sensor.name}")
    if len(message) < start or (len(message) - start) % RECORD_BYTES:
        raise CodecError(
            f"a world snapshot has {len(message)} bytes, expected {start} and {RECORD_BYTES} per actor"
        )
    episode_id, platform_s, delta_s, *origin, flags = SNAPSHOT_HEADER.unpack_from(
        message, SENSOR_HEADER.size
    )
    return Snapshot(
        episode_id,
        platform_s,
        delta_s,
        (origin[0], origin[1], origin[2]),
        SimulationState(flags),
        np.frombuffer(message, RECORD, offset=start),
    )
