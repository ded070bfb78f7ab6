"""What crosses the wire between the simulation and a unit, as `icv.v1` bytes: ticks and answers, both ways.

`encode_tick(now, inbox)` / `decode_tick` and `encode_answer(tick, outbox)` / `decode_answer`; the rest of the conversation (Hello,
Welcome, Refused, End, Failed) goes through the generated classes of `unit.proto`. What is decoded equals what was encoded,
array types and None included, so that a unit cannot tell where it runs. Everything that arrives is checked: CodecError names
message, field, the value found and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from protocols import codec
from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.messages import Plan, SignalCommand, VehicleCommand
from protocols.participant import Inbox, Outbox, Received, Transmission
from protocols.sensing import (
    CabinReading,
    CrossingDemand,
    Detectors,
    FixQuality,
    FleetReading,
    Gnss,
    Imu,
    ObjectList,
    Odometry,
    Readings,
    SensorKind,
    VelocityKind,
)
from protocols.simtime import Now
from protocols.v1 import sensing_pb2, unit_frame_pb2
from protocols.wire import MAX_NS, check_range

_NOTHING: Final = Readings()
PROTOCOL: Final = 1
"""Version of the conversation; both sides must speak the same."""

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024  # twice the largest single message
MAX_MESSAGES: Final = 10_000  # in one inbox

_GNSS = Layout(sensing_pb2.GnssReading)
_IMU = Layout(sensing_pb2.ImuReading)
_ODOMETRY = Layout(sensing_pb2.OdometryReading)
_OBJECTS = Layout(sensing_pb2.ObjectList)
_COVARIANCE = Layout(sensing_pb2.CovarianceColumns)
_DETECTORS = Layout(sensing_pb2.DetectorReading)
_CROSSINGS = Layout(sensing_pb2.CrossingReading)
_FLEET = Layout(sensing_pb2.FleetReading)


def encode_tick(now: Now, inbox: Inbox) -> bytes:
    """A ToUnit frame that holds a Tick."""
    frame = unit_frame_pb2.ToUnitFrame()
    tick = frame.tick
    tick.SetInParent()  # tick 0 with an empty inbox is a tick all the same
    tick.tick, tick.t_ns = now.tick, now.t_ns
    for item in inbox.messages:
        tick.message.add(
            topic=item.topic, sender=item.sender, seq=item.seq, sent_ns=item.sent_ns,
            deliver_ns=item.deliver_ns, payload=item.data,
        )  # fmt: skip
    _put_readings(tick.readings, inbox.readings)
    return frame.SerializeToString()


def decode_tick(tick: unit_frame_pb2.TickFrame) -> tuple[Now, Inbox]:
    """What a unit is called with; CodecError on anything malformed."""
    number, t_ns, heard = tick.tick, tick.t_ns, tick.message
    if number < 0 or t_ns < 0 or len(heard) > MAX_MESSAGES:
        check_range("Tick", "tick", number, 0, MAX_NS)
        check_range("Tick", "t_ns", t_ns, 0, MAX_NS)
        check_range("Tick", "number of messages", len(heard), 0, MAX_MESSAGES)
    messages = tuple(
        [
            Received(m.topic, m.sender, m.seq, m.sent_ns, m.deliver_ns, None, m.payload)
            for m in heard
        ]
    )
    readings = _get_readings(tick.readings) if tick.HasField("readings") else _NOTHING
    return Now(number, t_ns), Inbox(messages, readings)


def encode_answer(tick: int, outbox: Outbox) -> bytes:
    """A FromUnit frame that holds an Answer; CodecError names what is out of range."""
    frame = unit_frame_pb2.FromUnitFrame()
    answer = frame.answer
    answer.SetInParent()
    answer.tick = tick
    for item in outbox.transmissions:
        answer.send.add(topic=item.topic, payload=codec.encode(item.message))
    if outbox.vehicle is not None:
        v, to = outbox.vehicle, answer.vehicle
        to.SetInParent()
        to.t_ns, to.accel_mps2, to.steer_rad = v.t_ns, v.accel_mps2, v.steer_rad
        to.open_doors, to.flags = v.open_doors, v.flags
    if outbox.signals is not None:
        answer.signals = codec.encode(outbox.signals)
    if outbox.plan is not None:
        answer.plan = codec.encode(outbox.plan)
    for name, value in outbox.notes:
        answer.note.add(name=name, value=value)
    return frame.SerializeToString()


def decode_answer(answer: unit_frame_pb2.AnswerFrame) -> Outbox:
    """What a unit answered; CodecError on anything malformed. Who may send what is for `bus.check_outbox`."""
    out = Outbox()
    if answer.send:
        out.transmissions = [
            Transmission(item.topic, codec.decode(item.topic, item.payload)) for item in answer.send
        ]
    if answer.HasField("vehicle"):
        v = answer.vehicle
        t_ns = v.t_ns
        if t_ns < 0:
            check_range("VehicleCommand", "t_ns", t_ns, 0, MAX_NS)
        out.vehicle = VehicleCommand(t_ns, v.accel_mps2, v.steer_rad, v.open_doors, v.flags)
    if answer.HasField("signals"):
        out.signals = _decoded(SignalCommand, answer.signals)
    if answer.HasField("plan"):
        out.plan = _decoded(Plan, answer.plan)
    if answer.note:
        out.notes = [(item.name, item.value) for item in answer.note]
    return out


def parse_from_unit(data: bytes) -> unit_frame_pb2.FromUnitFrame:
    """A frame that came from a unit; CodecError when it is none."""
    frame = unit_frame_pb2.FromUnitFrame()
    _parse(frame, data, "FromUnit")
    return frame


def parse_to_unit(data: bytes) -> unit_frame_pb2.ToUnitFrame:
    """A frame that came from the simulation; CodecError when it is none."""
    frame = unit_frame_pb2.ToUnitFrame()
    _parse(frame, data, "ToUnit")
    return frame


def _parse(frame: Any, data: bytes, what: str) -> None:
    if len(data) > MAX_FRAME_BYTES:
        raise CodecError(f"{what}: {len(data)} bytes, expected at most {MAX_FRAME_BYTES}")
    try:
        frame.ParseFromString(data)
    except DecodeError as error:
        raise CodecError(f"{len(data)} bytes are not a {what} message ({error})") from error
    if frame.WhichOneof("body") is None:
        raise CodecError(f"{len(data)} bytes are a {what} message without a body")


def _decoded(kind: type[Any], data: bytes) -> Any:
    return codec.decode(kind, data)


# readings ------------------------------------------------------------------------------------------------------------


def _put_readings(out: Any, readings: Readings) -> None:
    for name, layout in _PLAIN.items():
        value = getattr(readings, name)
        if value is not None:
            setattr(out, name, layout.pack(value))
    if readings.objects is not None:
        _put_detection(out.objects, readings.objects)
    if readings.detectors is not None:
        d = readings.detectors
        out.detectors = _DETECTORS.pack_values((d.t_ns, d.lane, d.is_occupied.view(np.uint8), d.count))  # fmt: skip
    if readings.crossings is not None:
        c = readings.crossings
        out.crossings = _CROSSINGS.pack_values((c.t_ns, c.crossing, c.is_pressed.view(np.uint8)))
    if readings.cabin is not None:
        c2 = readings.cabin
        out.cabin = sensing_pb2.CabinState(
            t_ns=c2.t_ns, doors=c2.doors, is_boarding_done=c2.is_boarding_done, num_passengers=c2.num_passengers,
            is_stop_requested=c2.is_stop_requested, waiting_station=c2.waiting_stations,
        ).SerializeToString()  # fmt: skip
    for item in readings.detections:
        _put_detection(out.detection.add(), item)


def _put_detection(out: Any, item: ObjectList) -> None:
    out.objects = _OBJECTS.pack(item)
    if item.cov_m2 is not None:
        out.covariance = _COVARIANCE.pack_values(tuple(np.ascontiguousarray(item.cov_m2.T)))


def _get_readings(frame: Any) -> Readings:
    values: dict[str, Any] = {
        name: read(getattr(frame, name)) for name, read in _READ.items() if frame.HasField(name)
    }
    if frame.HasField("objects"):
        values["objects"] = _detection(frame.objects)
    if frame.detection:
        values["detections"] = tuple(_detection(item) for item in frame.detection)
    return Readings(**values)


def _gnss(data: bytes) -> Gnss:
    values = _GNSS.unpack(data)
    values["quality"] = FixQuality(values["quality"])
    return Gnss(**values)


def _detectors(data: bytes) -> Detectors:
    values = _DETECTORS.unpack(data)
    values["is_occupied"] = values["is_occupied"].view(np.bool_)
    return Detectors(**values)


def _crossings(data: bytes) -> CrossingDemand:
    values = _CROSSINGS.unpack(data)
    values["is_pressed"] = values["is_pressed"].view(np.bool_)
    return CrossingDemand(**values)


def _cabin(data: bytes) -> CabinReading:
    state = _parse_cabin(data)
    check_range("CabinState", "t_ns", state.t_ns, 0, MAX_NS)
    check_range("CabinState", "doors", state.doors, -1, 1)
    return CabinReading(
        state.t_ns, state.doors, state.is_boarding_done, state.num_passengers, state.is_stop_requested,
        tuple(state.waiting_station),
    )  # fmt: skip


def _parse_cabin(data: bytes) -> sensing_pb2.CabinState:
    try:
        return sensing_pb2.CabinState.FromString(data)
    except DecodeError as error:
        raise CodecError(f"{len(data)} bytes are not a CabinState message ({error})") from error


def _detection(frame: Any) -> ObjectList:
    values = _OBJECTS.unpack(frame.objects)
    values["source"] = SensorKind(values["source"])
    values["velocity"] = VelocityKind(values["velocity"])
    if frame.HasField("covariance"):
        columns = _COVARIANCE.unpack(frame.covariance)
        values["cov_m2"] = np.stack(tuple(columns.values()), axis=1)
        if values["cov_m2"].shape[0] != values["x_m"].size:
            raise CodecError(
                f"Detection.covariance has {values['cov_m2'].shape[0]} rows, its objects are {values['x_m'].size}"
            )
    return ObjectList(**values)


_PLAIN: Final[dict[str, Layout]] = {
    "gnss": _GNSS,
    "imu": _IMU,
    "odometry": _ODOMETRY,
    "fleet": _FLEET,
}
_READ: Final[dict[str, Callable[[bytes], Any]]] = {
    "gnss": _gnss,
    "imu": lambda data: Imu(**_IMU.unpack(data)),
    "odometry": lambda data: Odometry(**_ODOMETRY.unpack(data)),
    "detectors": _detectors,
    "crossings": _crossings,
    "cabin": _cabin,
    "fleet": lambda data: FleetReading(**_FLEET.unpack(data)),
}
