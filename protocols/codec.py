"""Messages to `icv.v1` protobuf bytes and back, with range checks both ways.

`encode(message) -> bytes` and `decode(topic_or_type, data) -> message`. The same message always gives the same bytes. Checked in
both directions: finite numbers, known enumeration values, stamps >= 0, at most 10,000 rows and 256 characters, columns equally
long; CodecError names message, field, the value found and the range allowed. Flat and columnar messages are written by
`protocols.columns`; only SPAT and MAP, which nest, go through the generated classes, and the frame of SSM (`protocols.sharing`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage

from protocols import sharing, topics
from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.messages import (
    BasicSafetyBatch,
    Light,
    Maneuver,
    Map,
    MapLane,
    MapMovement,
    Message,
    PhaseState,
    Plan,
    RequestStatus,
    RoadsideCoordination,
    RoadsideSafety,
    SensorSharing,
    SignalCommand,
    Spat,
    VehicleCommand,
    VehicleIntention,
)
from protocols.v1 import (
    bsm_pb2,
    command_pb2,
    map_pb2,
    plan_pb2,
    priority_pb2,
    rsm_pb2,
    spat_pb2,
    ssm_pb2,
)
from protocols.wire import (
    MAX_NS,
    MAX_ROWS,
    check_finite,
    check_range,
    check_text,
    varint,
)

MAX_ITEMS = 1024  # phases of a node, lanes of a MAP, movements of a lane
MAX_BYTES = 4 * 1024 * 1024  # nothing we define comes near; stops a hostile length before parsing
P = TypeVar("P", bound=ProtoMessage)
_MAX_ID = 2**32 - 1

_LAYOUTS: dict[type, Layout] = {
    BasicSafetyBatch: Layout(bsm_pb2.BasicSafetyBatch),
    RoadsideSafety: Layout(rsm_pb2.RoadsideSafety),
    VehicleIntention: Layout(priority_pb2.VehicleIntention),
    RoadsideCoordination: Layout(priority_pb2.RoadsideCoordination),
    VehicleCommand: Layout(command_pb2.VehicleCommand),
    SignalCommand: Layout(command_pb2.SignalCommand),
    Plan: Layout(plan_pb2.Plan),
}
PROTO_CLASS: dict[type, type[ProtoMessage]] = {
    BasicSafetyBatch: bsm_pb2.BasicSafetyBatch,
    Spat: spat_pb2.Spat,
    Map: map_pb2.Map,
    RoadsideSafety: rsm_pb2.RoadsideSafety,
    SensorSharing: ssm_pb2.SensorSharing,
    VehicleIntention: priority_pb2.VehicleIntention,
    RoadsideCoordination: priority_pb2.RoadsideCoordination,
    VehicleCommand: command_pb2.VehicleCommand,
    SignalCommand: command_pb2.SignalCommand,
    Plan: plan_pb2.Plan,
}


def encode(message: Message) -> bytes:
    """Wire bytes of one message; CodecError says which field is out of which range."""
    layout = _LAYOUTS.get(type(message))
    if layout is not None:
        return layout.pack(message)
    if isinstance(message, Spat):
        return _encode_spat(message)
    if isinstance(message, Map):
        return _encode_map(message)
    if isinstance(message, SensorSharing):
        return sharing.pack(message)
    raise CodecError(f"{type(message).__name__} is not a message of icv.v1")


def decode(topic_or_type: str | type, data: bytes) -> Message:
    """The message in `data`, given its topic (see `protocols.topics`) or its class; CodecError on anything else."""
    if isinstance(topic_or_type, str):
        wanted = topics.topic(topic_or_type).message
        if wanted is None:
            raise CodecError(f"topic {topic_or_type!r} carries records of the log, not a message")
    else:
        wanted = topic_or_type
    if len(data) > MAX_BYTES:
        raise CodecError(f"{wanted.__name__}: {len(data)} bytes, expected at most {MAX_BYTES}")
    special = _DECODERS.get(wanted)
    if special is not None:
        return special(data)
    layout = _LAYOUTS.get(wanted)
    if layout is None:
        raise CodecError(f"{wanted.__name__} is not a message of icv.v1")
    message: Message = wanted(**layout.unpack(data))
    return message


def _coordination(data: bytes) -> RoadsideCoordination:
    values = _LAYOUTS[RoadsideCoordination].unpack(data)
    values["status"] = RequestStatus(values["status"])
    return RoadsideCoordination(**values)


def _encode_spat(spat: Spat) -> bytes:
    _stamp("Spat", "t_ns", spat.t_ns)
    _identifier("Spat", "node_id", spat.node_id)
    check_text("Spat", "name", spat.name)
    _items("Spat", "phases", len(spat.phases))
    head = spat_pb2.Spat(t_ns=spat.t_ns, node_id=spat.node_id, name=spat.name)
    return b"".join(
        (
            head.SerializeToString(),
            *(_phase_bytes(phase) for phase in spat.phases),
            b"\x28\x01" if spat.is_priority_active else b"",
        )
    )


@lru_cache(maxsize=4096)
def _phase_bytes(phase: PhaseState) -> bytes:
    """One `phase` element of Spat. Remembered: stamps are absolute, so a phase repeats until its light changes."""
    _check_phase(phase)
    proto = spat_pb2.PhaseState(
        phase_id=phase.phase_id,
        light=int(phase.light),  # type: ignore[arg-type]
        start_ns=phase.start_ns,
        min_end_ns=phase.min_end_ns,
        max_end_ns=phase.max_end_ns,
        likely_end_ns=phase.likely_end_ns,
        next_green_start_ns=phase.next_green_start_ns,
        next_green_end_ns=phase.next_green_end_ns,
    )
    raw = proto.SerializeToString()
    return b"\x22" + varint(len(raw)) + raw


def _check_phase(phase: PhaseState) -> None:
    _identifier("PhaseState", "phase_id", phase.phase_id)
    _known("PhaseState", "light", phase.light, Light)
    _stamp("PhaseState", "start_ns", phase.start_ns)
    for name in _OPTIONAL_STAMPS:
        value = getattr(phase, name)
        if value is not None:
            _stamp("PhaseState", name, value)


_OPTIONAL_STAMPS = (
    "min_end_ns",
    "max_end_ns",
    "likely_end_ns",
    "next_green_start_ns",
    "next_green_end_ns",
)


def _spat(data: bytes) -> Spat:
    proto = _parse(spat_pb2.Spat(), data)
    _items("Spat", "phases", len(proto.phase))
    phases = []
    for item in proto.phase:
        known = {n: getattr(item, n) if item.HasField(n) else None for n in _OPTIONAL_STAMPS}  # type: ignore[arg-type]
        _known("PhaseState", "light", item.light, Light)
        phase = PhaseState(item.phase_id, Light(item.light), item.start_ns, **known)
        _check_phase(phase)
        phases.append(phase)
    _stamp("Spat", "t_ns", proto.t_ns)
    check_text("Spat", "name", proto.name)
    return Spat(proto.t_ns, proto.node_id, proto.name, tuple(phases), proto.is_priority_active)


def _encode_map(message: Map) -> bytes:
    _stamp("Map", "t_ns", message.t_ns)
    _identifier("Map", "node_id", message.node_id)
    check_text("Map", "name", message.name)
    check_finite("Map", "x_m", message.x_m)
    check_finite("Map", "y_m", message.y_m)
    head = map_pb2.Map(
        t_ns=message.t_ns,
        node_id=message.node_id,
        name=message.name,
        x_m=message.x_m,
        y_m=message.y_m,
    )
    return head.SerializeToString() + _lane_bytes(message.lanes)


_LANES: dict[
    int, tuple[tuple[MapLane, ...], bytes]
] = {}  # by identity of the tuple, which is kept alive here
_MAX_LANES = 256  # junctions whose geometry is remembered


def _lane_bytes(lanes: tuple[MapLane, ...]) -> bytes:
    """All `lane` elements of a Map. Remembered: a junction repeats the same lanes every second."""
    known = _LANES.get(id(lanes))
    if known is not None and known[0] is lanes:
        return known[1]
    _check_lanes(lanes)
    out = map_pb2.Map()
    for lane in lanes:
        item = out.lane.add(
            lane=lane.lane,
            width_m=lane.width_m,
            speed_limit_mps=lane.speed_limit_mps,
            permission=lane.permission,
            stop_x_m=lane.stop_x_m,
            stop_y_m=lane.stop_y_m,
            stop_yaw_rad=lane.stop_yaw_rad,
            point_x_m=lane.point_x_m,
            point_y_m=lane.point_y_m,
        )
        for move in lane.movements:
            item.movement.add(
                to_lane=move.to_lane,
                maneuver=int(move.maneuver),  # type: ignore[arg-type]
                phase_id=move.phase_id,
            )
    raw = out.SerializeToString()
    if len(_LANES) >= _MAX_LANES:
        _LANES.clear()
    _LANES[id(lanes)] = (lanes, raw)
    return raw


def _map(data: bytes) -> Map:
    proto = _parse(map_pb2.Map(), data)
    _items("Map", "lanes", len(proto.lane))
    lanes = []
    for item in proto.lane:
        for move in item.movement:
            _known("MapMovement", "maneuver", move.maneuver, Maneuver)
        lanes.append(
            MapLane(
                lane=item.lane,
                width_m=item.width_m,
                speed_limit_mps=item.speed_limit_mps if item.HasField("speed_limit_mps") else None,
                permission=item.permission,
                stop_x_m=item.stop_x_m,
                stop_y_m=item.stop_y_m,
                stop_yaw_rad=item.stop_yaw_rad,
                point_x_m=tuple(item.point_x_m),
                point_y_m=tuple(item.point_y_m),
                movements=tuple(
                    MapMovement(m.to_lane, Maneuver(m.maneuver), m.phase_id) for m in item.movement
                ),
            )
        )
    _stamp("Map", "t_ns", proto.t_ns)
    check_text("Map", "name", proto.name)
    check_finite("Map", "x_m", proto.x_m)
    check_finite("Map", "y_m", proto.y_m)
    _check_lanes(tuple(lanes))
    return Map(proto.t_ns, proto.node_id, proto.name, proto.x_m, proto.y_m, tuple(lanes))


def _check_lanes(lanes: tuple[MapLane, ...]) -> None:
    _items("Map", "lanes", len(lanes))
    for lane in lanes:
        check_text("MapLane", "lane", lane.lane)
        for name in ("width_m", "stop_x_m", "stop_y_m", "stop_yaw_rad"):
            check_finite("MapLane", name, getattr(lane, name))
        if lane.speed_limit_mps is not None:
            check_finite("MapLane", "speed_limit_mps", lane.speed_limit_mps)
        _identifier("MapLane", "permission", lane.permission)
        points = len(lane.point_x_m)
        check_range("MapLane", "number of points", points, 0, MAX_ROWS)
        if len(lane.point_y_m) != points:
            raise CodecError(
                f"MapLane {lane.lane!r} has {points} point_x_m and {len(lane.point_y_m)} point_y_m, "
                "expected as many"
            )
        # A sum is finite unless an element is not; huge coordinates that overflow are refused with it.
        check_finite("MapLane", "point_x_m", sum(lane.point_x_m))
        check_finite("MapLane", "point_y_m", sum(lane.point_y_m))
        _items("MapLane", "movements", len(lane.movements))
        for move in lane.movements:
            check_text("MapMovement", "to_lane", move.to_lane)
            _known("MapMovement", "maneuver", move.maneuver, Maneuver)
            _identifier("MapMovement", "phase_id", move.phase_id)


def _parse(proto: P, data: bytes) -> P:
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise CodecError(
            f"{proto.DESCRIPTOR.name}: {len(data)} bytes are not a whole protobuf message ({error})"
        ) from error
    return proto


def _stamp(message: str, field: str, value: int) -> None:
    check_range(message, field, value, 0, MAX_NS)


def _identifier(message: str, field: str, value: int) -> None:
    check_range(message, field, value, 0, _MAX_ID)


def _items(message: str, field: str, count: int) -> None:
    check_range(message, f"number of {field}", count, 0, MAX_ITEMS)


def _known(message: str, field: str, value: int, kind: Any) -> None:
    if value not in kind._value2member_map_:
        raise CodecError(f"{message}.{field} = {value}, expected one of {[int(k) for k in kind]}")


_DECODERS: dict[type, Callable[[bytes], Message]] = {
    RoadsideCoordination: _coordination,
    Spat: _spat,
    Map: _map,
    SensorSharing: sharing.unpack,
}
