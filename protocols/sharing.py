"""What SSM is made of: its wire form, and the RSM that says the same.

`pack(message) -> bytes`, `unpack(bytes) -> SensorSharing`: columns go through `protocols.columns`, the frame around them through the
generated classes. CodecError as in `protocols.codec`: besides its checks, at most 8 polygons of 4 to 32 points, as in the Chinese set,
and confidences in 0..1. `as_rsm` turns an SSM into an RSM, so that whoever can read one reads both in the same way.
"""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.messages import (
    Equipment,
    Obstacles,
    Participants,
    Polygon,
    RoadsideSafety,
    SensorSharing,
)
from protocols.roads.network import F64, U8
from protocols.v1 import ssm_pb2
from protocols.wire import MAX_NS, check_finite, check_range, varint

MAX_POLYGONS = 8
MIN_POINTS, MAX_POINTS = 4, 32
_POLYGON = Layout(ssm_pb2.Polygon)
_PARTICIPANTS = Layout(ssm_pb2.Participants)
_OBSTACLES = Layout(ssm_pb2.Obstacles)
_NAME = "SensorSharing"


def pack(message: SensorSharing) -> bytes:
    """Wire bytes; CodecError says which field is out of which range."""
    _check(message)
    head = ssm_pb2.SensorSharing(
        t_ns=message.t_ns,
        equipment=int(message.equipment),  # type: ignore[arg-type]
        sender_id=message.sender_id,
        x_m=message.x_m,
        y_m=message.y_m,
        z_m=message.z_m,
    )
    return b"".join(
        (
            head.SerializeToString(),
            *(_piece(7, _POLYGON.pack(polygon)) for polygon in message.region),
            _piece(8, _PARTICIPANTS.pack(message.participants)),
            _piece(9, _OBSTACLES.pack(message.obstacles)),
        )
    )


def unpack(data: bytes) -> SensorSharing:
    """The message in `data`; CodecError on anything else."""
    proto = ssm_pb2.SensorSharing()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise CodecError(
            f"{_NAME}: {len(data)} bytes are not a whole protobuf message ({error})"
        ) from error
    _known(proto.equipment)
    check_range(_NAME, "number of polygons", len(proto.region), 0, MAX_POLYGONS)
    message = SensorSharing(
        proto.t_ns,
        Equipment(proto.equipment),
        proto.sender_id,
        proto.x_m,
        proto.y_m,
        proto.z_m,
        tuple(Polygon(**_POLYGON.unpack(item.SerializeToString())) for item in proto.region),
        Participants(**_PARTICIPANTS.unpack(proto.participants.SerializeToString())),
        Obstacles(**_OBSTACLES.unpack(proto.obstacles.SerializeToString())),
    )
    _check(message)
    return message


def as_rsm(ssm: SensorSharing) -> RoadsideSafety:
    """The same things as rows of an RSM: participants, then obstacles as things of no kind. `node_id` is the sender's number."""
    p, o = ssm.participants, ssm.obstacles
    if o.x_m.size == 0:
        columns: list[F64] = [getattr(p, name) for name in _SHARED]
        track_id, kind = p.track_id, p.kind
    else:
        columns = [np.concatenate((getattr(p, name), getattr(o, name))) for name in _SHARED]
        track_id = np.concatenate((p.track_id, o.track_id))
        kind = np.concatenate((p.kind, np.zeros(o.x_m.size, np.uint8)))
    x, y, yaw, speed, length, width, xx, xy, yy, sigma_v, age = columns
    sigma: F64 = np.sqrt(np.maximum(0.5 * (xx + yy), 0.0))
    return RoadsideSafety(
        ssm.t_ns, ssm.sender_id, track_id, kind, x, y, yaw, speed, length, width, sigma, xx, xy, yy, sigma_v, age,
    )  # fmt: skip


_SHARED = (
    "x_m", "y_m", "yaw_rad", "speed_mps", "length_m", "width_m", "cov_xx_m2", "cov_xy_m2", "cov_yy_m2",
    "sigma_v_mps", "age_s",
)  # fmt: skip


def no_obstacles() -> Obstacles:
    """An empty table."""
    none: F64 = np.zeros(0)
    few: U8 = np.zeros(0, np.uint8)
    return Obstacles(
        np.zeros(0, np.uint32), few, none, few, none, none, none, none, none, none, none, none, none, none, none, none,
    )  # fmt: skip


def _piece(number: int, raw: bytes) -> bytes:
    """One message inside a message; an empty one is left out."""
    return varint(number << 3 | 2) + varint(len(raw)) + raw if raw else b""


def _check(message: SensorSharing) -> None:
    check_range(_NAME, "t_ns", message.t_ns, 0, MAX_NS)
    _known(message.equipment)
    check_range(_NAME, "sender_id", message.sender_id, 0, 2**32 - 1)
    check_finite(_NAME, "x_m", message.x_m)
    check_finite(_NAME, "y_m", message.y_m)
    check_finite(_NAME, "z_m", message.z_m)
    check_range(_NAME, "number of polygons", len(message.region), 0, MAX_POLYGONS)
    for polygon in message.region:
        check_range("Polygon", "number of points", polygon.x_m.size, MIN_POINTS, MAX_POINTS)
    _share("Participants", "kind_confidence", message.participants.kind_confidence)
    _share("Obstacles", "type_confidence", message.obstacles.type_confidence)


def _known(equipment: int) -> None:
    if equipment not in Equipment._value2member_map_:
        raise CodecError(
            f"{_NAME}.equipment = {equipment}, expected one of {[int(k) for k in Equipment]}"
        )


def _share(message: str, field: str, column: F64) -> None:
    if column.size and not (column.min() >= 0.0 and column.max() <= 1.0):
        row = int(np.flatnonzero(~((column >= 0.0) & (column <= 1.0)))[0])
        raise CodecError(f"{message}.{field}[{row}] = {column[row]}, expected 0..1")
