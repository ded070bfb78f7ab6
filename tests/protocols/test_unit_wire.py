"""What crosses the wire arrives as it left: types, absences, bits; hostile bytes give one kind of error."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import pytest

from protocols import codec
from protocols.errors import CodecError
from protocols.messages import SignalCommand, VehicleCommand
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
from protocols.unit_wire import (
    MAX_FRAME_BYTES,
    decode_answer,
    decode_tick,
    encode_answer,
    encode_tick,
    parse_from_unit,
    parse_to_unit,
)
from protocols.v1 import sensing_pb2, unit_frame_pb2, unit_pb2
from tests.protocols.samples import samples


def columns(n: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 100, n)


def objects(n: int, **more: Any) -> ObjectList:
    kinds = np.arange(n, dtype=np.uint8) % 10
    return ObjectList(7, False, *(columns(n, k) for k in range(7)), kinds, columns(n, 9), **more)


SAMPLES = samples()
FULL = Readings(
    gnss=Gnss(5, 1.5, -2.5, 3.0, 0.02, FixQuality.RTK_FIX),
    imu=Imu(6, -0.5, 0.25, 3.1),
    odometry=Odometry(7, 12.5, -0.01, 0.3),
    objects=objects(3),
    detectors=Detectors(8, np.array([4, -1], np.int32), np.array([True, False]), np.array([9, 0], np.uint32)),
    crossings=CrossingDemand(9, np.array([2], np.int32), np.array([True])),
    cabin=CabinReading(10, -1, True, 12, False, (3, 5)),
    fleet=FleetReading(
        11, np.array([7, 8], np.uint32), np.array([1, 4], np.uint8), *(columns(2, k) for k in range(10)),
        np.array([0, 64], np.uint32),
    ),
    detections=(
        objects(4, sensor="lidar/front", source=SensorKind.LIDAR, velocity=VelocityKind.NONE, cov_m2=columns(12, 3).reshape(4, 3)),
        objects(0, sensor="radar/rear", source=SensorKind.RADAR, velocity=VelocityKind.RADIAL, sigma_v_mps=0.1, cov_m2=np.zeros((0, 3))),
    ),
)  # fmt: skip


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal in value and, for arrays, in element type and shape."""
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b), where
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape, where
        assert a.tobytes() == b.tobytes(), where
        assert b.flags.writeable and b.flags.aligned, where
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{k}]")
    else:
        assert a == b and (a is None) == (b is None), where


def there_and_back(inbox: Inbox) -> tuple[Now, Inbox]:
    return decode_tick(parse_to_unit(encode_tick(Now(412, 4_120_000_000), inbox)).tick)


def test_readings_of_every_kind_arrive_bit_for_bit() -> None:
    now, back = there_and_back(Inbox((), FULL))
    assert now == Now(412, 4_120_000_000)
    assert_same(FULL, back.readings)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Readings)])
def test_each_reading_alone_leaves_the_others_absent(name: str) -> None:
    alone = dataclasses.replace(Readings(), **{name: getattr(FULL, name)})
    assert_same(alone, there_and_back(Inbox((), alone))[1].readings)


def test_messages_of_every_topic_arrive_in_order_and_on_the_same_bytes() -> None:
    sent = tuple(
        Received(topic, "rsu/J1", k, 10 * k, 10 * k + 3, message)
        for k, (topic, message) in enumerate(sorted(SAMPLES.items()))
        if topic.startswith("v2x/")
    )
    back = there_and_back(Inbox(sent, Readings()))[1].messages
    assert len(back) == len(sent) > 4
    for a, b in zip(sent, back, strict=True):
        assert (a.topic, a.sender, a.seq, a.sent_ns, a.deliver_ns) == (
            b.topic, b.sender, b.seq, b.sent_ns, b.deliver_ns,
        )  # fmt: skip
        assert a.data == b.data
        assert codec.encode(b.message) == a.data


def test_an_empty_first_tick_is_a_tick() -> None:
    frame = parse_to_unit(encode_tick(Now(0, 0), Inbox((), Readings())))
    assert frame.WhichOneof("body") == "tick"
    assert parse_from_unit(encode_answer(0, Outbox())).WhichOneof("body") == "answer"


def test_answers_arrive_whole() -> None:
    sent = Outbox(
        transmissions=[Transmission(t, m) for t, m in sorted(SAMPLES.items()) if t.startswith("v2x/")],
        vehicle=VehicleCommand(3, -1.5, 0.02, -1, 64),
        signals=SignalCommand(3, np.array([1, 2], np.int32), np.array([2, 5], np.uint8)),
        plan=SAMPLES["obu/plan"],  # type: ignore[arg-type]
        notes=[("lateness_s", 3.5), ("", 0.0)],
    )  # fmt: skip
    back = decode_answer(parse_from_unit(encode_answer(9, sent)).answer)
    assert back.vehicle == sent.vehicle
    assert back.notes == sent.notes
    assert_same(sent.signals, back.signals)
    assert_same(sent.plan, back.plan)
    assert [t.topic for t in back.transmissions] == [t.topic for t in sent.transmissions]
    for a, b in zip(sent.transmissions, back.transmissions, strict=True):
        assert codec.encode(a.message) == codec.encode(b.message)


def test_other_languages_see_the_same_fields_as_we_do() -> None:
    """The frames with bytes inside are the documented messages on the wire."""
    data = encode_tick(Now(5, 50), Inbox((), FULL))
    tick = unit_pb2.ToUnit.FromString(data).tick
    assert (tick.tick, tick.t_ns) == (5, 50)
    assert tick.readings.gnss.quality == sensing_pb2.FIX_QUALITY_RTK_FIX
    assert list(tick.readings.detectors.is_occupied) == [True, False]
    assert list(tick.readings.cabin.waiting_station) == [3, 5]
    assert tick.readings.detection[0].objects.sensor == "lidar/front"
    assert tick.readings.detection[0].covariance.xy_m2[1] == FULL.detections[0].cov_m2[1, 1]  # type: ignore[index]
    answer = unit_pb2.FromUnit(
        answer=unit_pb2.Answer(tick=5, vehicle={"t_ns": 50, "accel_mps2": 1.0, "open_doors": -1})
    )
    back = decode_answer(parse_from_unit(answer.SerializeToString()).answer)
    assert back.vehicle == VehicleCommand(50, 1.0, 0.0, -1, 0)


PAIRS = [
    (unit_pb2.Tick, unit_frame_pb2.TickFrame),
    (unit_pb2.Answer, unit_frame_pb2.AnswerFrame),
    (unit_pb2.FromUnit, unit_frame_pb2.FromUnitFrame),
    (unit_pb2.ToUnit, unit_frame_pb2.ToUnitFrame),
    (sensing_pb2.Readings, unit_frame_pb2.ReadingsFrame),
    (sensing_pb2.Detection, unit_frame_pb2.DetectionFrame),
]


@pytest.mark.parametrize(("typed", "frame"), PAIRS)
def test_documented_and_internal_form_have_the_same_field_numbers(typed: Any, frame: Any) -> None:
    assert {f.name: f.number for f in typed.DESCRIPTOR.fields} == {
        f.name: f.number for f in frame.DESCRIPTOR.fields
    }


def test_hostile_bytes_give_codec_errors_and_nothing_else() -> None:
    rng = random.Random(4)
    good = [
        encode_tick(Now(3, 30), Inbox((), FULL)),
        encode_answer(3, Outbox(vehicle=VehicleCommand(3, 1.0, 0.0, 0, 0), notes=[("a", 1.0)])),
    ]
    refused = 0
    for _ in range(3_000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            frame = parse_to_unit(bytes(data))
            if frame.HasField("tick"):
                for item in decode_tick(frame.tick)[1].messages:
                    _ = item.message
        except CodecError:
            refused += 1
        try:
            other = parse_from_unit(bytes(data))
            if other.HasField("answer"):
                decode_answer(other.answer)
        except CodecError:
            refused += 1
    assert refused > 1_000


def test_too_large_a_frame_is_refused_by_its_size() -> None:
    with pytest.raises(CodecError, match=f"expected at most {MAX_FRAME_BYTES}"):
        parse_from_unit(bytes(MAX_FRAME_BYTES + 1))


def test_covariance_of_another_length_is_refused() -> None:
    frame = unit_pb2.ToUnit.FromString(encode_tick(Now(5, 50), Inbox((), FULL)))
    frame.tick.readings.detection[0].covariance.xx_m2.append(1.0)
    frame.tick.readings.detection[0].covariance.xy_m2.append(1.0)
    frame.tick.readings.detection[0].covariance.yy_m2.append(1.0)
    with pytest.raises(CodecError, match="has 5 rows, its objects are 4"):
        decode_tick(parse_to_unit(frame.SerializeToString()).tick)
