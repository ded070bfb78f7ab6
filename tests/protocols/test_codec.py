"""Messages survive the wire exactly, equal what upb reads and writes, and nothing out of range passes either way."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from protocols import codec
from protocols.errors import CodecError
from protocols.messages import BasicSafetyBatch, Map, Polygon, VehicleCommand
from protocols.sharing import no_obstacles
from protocols.v1 import bsm_pb2, command_pb2, rsm_pb2, spat_pb2, ssm_pb2
from protocols.wire import MAX_ROWS
from tests.protocols.samples import bsm, samples

TOPICS = sorted(samples())


def same(a: Any, b: Any) -> bool:
    """Equal type, fields, element types and bytes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return bool(a == b)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_message_returns_from_the_wire_unchanged(topic: str) -> None:
    message = samples()[topic]
    assert same(codec.decode(topic, codec.encode(message)), message)
    assert same(codec.decode(type(message), codec.encode(message)), message)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_bytes_are_what_upb_writes_for_the_message_it_reads(topic: str) -> None:
    message = samples()[topic]
    data = codec.encode(message)
    proto = codec.PROTO_CLASS[type(message)].FromString(data)
    assert proto.SerializeToString(deterministic=True) == data


@pytest.mark.parametrize("topic", TOPICS)
def test_upb_reads_every_field_of_our_bytes(topic: str) -> None:
    message = samples()[topic]
    check_read(message, codec.PROTO_CLASS[type(message)].FromString(codec.encode(message)))


def check_read(message: Any, proto: Any) -> None:
    """Field by field, also of messages inside messages."""
    plural = {"phases": "phase", "lanes": "lane", "movements": "movement"}
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        read = getattr(proto, plural.get(field.name, field.name))
        if isinstance(value, np.ndarray):
            assert list(read) == value.tolist()
        elif isinstance(value, tuple):
            assert len(read) == len(value)
            for item, part in zip(value, read, strict=True):
                if isinstance(item, Polygon):
                    check_read(item, part)
        elif dataclasses.is_dataclass(value):
            check_read(value, read)
        else:
            assert read == value


def test_an_empty_batch_is_its_stamp_alone() -> None:
    data = codec.encode(dataclasses.replace(bsm(0), t_ns=5))
    assert data == b"\x08\x05"  # field 1, varint 5
    back = codec.decode("v2x/bsm", data)
    assert isinstance(back, BasicSafetyBatch)
    assert back.x_m.shape == (0,)
    assert back.kind.dtype == np.uint8


def test_known_bytes_of_a_vehicle_command() -> None:
    # t_ns=300 -> 08 ac 02; accel 1.0 -> 11 + IEEE; steer 0 left out; doors -1 -> zigzag 1; flags 5.
    data = bytes.fromhex("08ac0211000000000000f03f20012805")
    assert codec.encode(VehicleCommand(300, 1.0, 0.0, -1, 5)) == data
    assert codec.decode("cmd/vehicle", data) == VehicleCommand(300, 1.0, 0.0, -1, 5)


def test_negative_zero_keeps_its_sign() -> None:
    back = codec.decode("cmd/vehicle", codec.encode(VehicleCommand(1, -0.0, 0.0, 0, 0)))
    assert isinstance(back, VehicleCommand)
    assert np.signbit(back.accel_mps2)
    assert not np.signbit(back.steer_rad)


def test_columns_read_from_the_wire_are_aligned_and_writable_like_any_array() -> None:
    back = codec.decode("v2x/bsm", codec.encode(bsm(3)))
    assert isinstance(back, BasicSafetyBatch)
    assert back.x_m.flags.aligned
    assert back.x_m.flags.writeable


def test_unpacked_and_split_columns_are_read_as_protobuf_demands() -> None:
    # yaw_rad (field 6 of SignalCommand's light: field 3) once per element, unpacked: tag 3<<3|0.
    data = bytes.fromhex("080712040500000012040600000018021805")
    proto = command_pb2.SignalCommand.FromString(data)
    back = codec.decode("cmd/signal", data)
    assert list(proto.group) == back.group.tolist() == [5, 6]  # type: ignore[union-attr]
    assert list(proto.light) == back.light.tolist() == [2, 5]  # type: ignore[union-attr]


def test_unknown_fields_of_a_newer_sender_are_skipped() -> None:
    message = VehicleCommand(300, 1.0, 0.0, -1, 5)
    newer = codec.encode(message) + bytes.fromhex("f80101f20103616263fd0100000000")
    assert codec.decode("cmd/vehicle", newer) == message


SQUARE = Polygon(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0]))
BAD_VALUES: list[tuple[str, dict[str, Any], str]] = [
    ("v2x/vir", {"t_ns": -1}, r"VehicleIntention\.t_ns = -1, expected .*0\.\."),
    ("v2x/vir", {"t_ns": 2**63}, r"t_ns"),
    ("v2x/vir", {"station_id": 2**32}, r"station_id = 4294967296"),
    ("v2x/vir", {"distance_m": float("nan")}, r"distance_m = nan, expected a finite"),
    ("v2x/vir", {"from_lane": "x" * 257}, r"from_lane has 257 characters, expected at most 256"),
    ("v2x/rsc", {"status": 6}, r"status = 6, expected one of \[0, 1, 2, 3, 4, 5\]"),
    ("v2x/spat", {"t_ns": -1}, r"Spat\.t_ns"),
    ("v2x/spat", {"name": "x" * 300}, r"Spat\.name"),
    ("v2x/map", {"x_m": float("inf")}, r"Map\.x_m"),
    ("cmd/vehicle", {"steer_rad": float("inf")}, r"steer_rad = inf"),
    ("obu/plan", {"y_m": np.zeros(4)}, r"y_m has shape \(4,\), the columns before it have \(5,\)"),
    ("obu/plan", {"y_m": np.zeros(5, np.float32)}, r"y_m has element type float32"),
    ("v2x/rsm", {"kind": np.full(5, 10, np.uint8)}, r"kind = 10, expected one of"),
    ("v2x/rsm", {"x_m": np.array([0, 1, np.nan, 3, 4])}, r"x_m\[2\] = nan"),
    ("v2x/rsm", {"x_m": np.array([0, 1, np.inf, 3, -np.inf])}, r"x_m\[2\] = inf"),
    ("v2x/ssm", {"t_ns": -1}, r"SensorSharing\.t_ns = -1"),
    ("v2x/ssm", {"sender_id": 2**32}, r"sender_id = 4294967296"),
    ("v2x/ssm", {"equipment": 4}, r"equipment = 4, expected one of \[0, 1, 2, 3\]"),
    ("v2x/ssm", {"y_m": float("nan")}, r"SensorSharing\.y_m = nan"),
    ("v2x/ssm", {"region": (SQUARE,) * 9}, r"number of polygons = 9, .*0\.\.8"),
    (
        "v2x/ssm",
        {"region": (Polygon(np.zeros(3), np.zeros(3)),)},
        r"number of points = 3, .*4\.\.32",
    ),
    ("v2x/ssm", {"region": (Polygon(np.zeros(33), np.zeros(33)),)}, r"number of points = 33"),
    ("v2x/ssm", {"region": (Polygon(np.zeros(4), np.zeros(5)),)}, r"Polygon\.y_m has shape"),
    (
        "v2x/ssm",
        {"region": (Polygon(np.full(4, np.nan), np.zeros(4)),)},
        r"Polygon\.x_m\[0\] = nan",
    ),
    ("v2x/ssm", {"participants.kind": np.full(5, 10, np.uint8)}, r"kind = 10, expected one of"),
    ("v2x/ssm", {"participants.source": np.full(5, 8, np.uint8)}, r"source = 8, expected one of"),
    ("v2x/ssm", {"participants.x_m": np.array([0, 1, np.nan, 3, 4])}, r"x_m\[2\] = nan"),
    (
        "v2x/ssm",
        {"participants.kind_confidence": np.full(5, 1.1)},
        r"\[0\] = 1\.1, expected 0\.\.1",
    ),
    (
        "v2x/ssm",
        {"participants.kind_confidence": np.full(5, np.nan)},
        r"kind_confidence\[0\] = nan",
    ),
    ("v2x/ssm", {"participants.age_s": np.zeros(4)}, r"age_s has shape \(4,\)"),
    ("v2x/ssm", {"obstacles.type": np.full(2, 13, np.uint8)}, r"type = 13, expected one of"),
    (
        "v2x/ssm",
        {"obstacles.type_confidence": np.full(2, -0.1)},
        r"Obstacles\.type_confidence\[0\]",
    ),
    ("v2x/ssm", {"obstacles.cov_xy_m2": np.full(2, np.inf)}, r"cov_xy_m2\[0\] = inf"),
]


def changed(message: Any, change: dict[str, Any]) -> Any:
    """The message with other values; `part.field` reaches into a message inside it."""
    for path, value in change.items():
        part, _, field = path.rpartition(".")
        if part:
            value = dataclasses.replace(getattr(message, part), **{field: value})
        message = dataclasses.replace(message, **{part or field: value})
    return message


@pytest.mark.parametrize(("topic", "change", "sentence"), BAD_VALUES)
def test_a_value_out_of_range_is_not_sent(
    topic: str, change: dict[str, Any], sentence: str
) -> None:
    message = changed(samples()[topic], change)
    with pytest.raises(CodecError, match=sentence):
        codec.encode(message)


def test_huge_but_finite_numbers_pass_the_finite_check() -> None:
    message = dataclasses.replace(samples()["v2x/rsm"], x_m=np.full(5, 1e300))
    assert same(codec.decode("v2x/rsm", codec.encode(message)), message)


def test_one_row_too_many_is_refused_both_ways() -> None:
    assert codec.decode("v2x/bsm", codec.encode(bsm(MAX_ROWS))).t_ns == 1_234_567_890
    with pytest.raises(CodecError, match="10001 rows"):
        codec.encode(bsm(MAX_ROWS + 1))
    proto = bsm_pb2.BasicSafetyBatch(x_m=[0.0] * (MAX_ROWS + 1))
    with pytest.raises(CodecError, match="10001 rows"):
        codec.decode("v2x/bsm", proto.SerializeToString())


def test_values_out_of_range_are_not_received() -> None:
    cases = [
        ("cmd/vehicle", command_pb2.VehicleCommand(t_ns=-5), "t_ns"),
        ("cmd/vehicle", command_pb2.VehicleCommand(steer_rad=float("nan")), "steer_rad"),
        ("v2x/rsm", rsm_pb2.RoadsideSafety(x_m=[1.0], y_m=[1.0, 2.0]), "rows"),
        ("v2x/rsm", rsm_pb2.RoadsideSafety(kind=[11]), "kind"),
        ("v2x/rsm", rsm_pb2.RoadsideSafety(kind=[300]), "kind"),
        ("v2x/ssm", ssm_pb2.SensorSharing(t_ns=-1), "t_ns"),
        ("v2x/ssm", ssm_pb2.SensorSharing(equipment=7), "equipment"),  # type: ignore[arg-type]
        ("v2x/ssm", ssm_pb2.SensorSharing(z_m=float("inf")), "z_m"),
        ("v2x/ssm", ssm_pb2.SensorSharing(region=[ssm_pb2.Polygon()] * 9), "polygons"),
        ("v2x/ssm", ssm_pb2.SensorSharing(region=[ssm_pb2.Polygon()]), "points"),
        ("v2x/ssm", ssm_pb2.SensorSharing(participants={"x_m": [1.0], "y_m": [1.0, 2.0]}), "rows"),  # type: ignore[arg-type]
        ("v2x/ssm", ssm_pb2.SensorSharing(participants={"kind": [300]}), "kind"),  # type: ignore[arg-type]
        ("v2x/ssm", ssm_pb2.SensorSharing(obstacles={"type": [13]}), "type"),  # type: ignore[arg-type]
        ("v2x/spat", spat_pb2.Spat(t_ns=-1), "t_ns"),
        ("v2x/spat", spat_pb2.Spat(phase=[spat_pb2.PhaseState(light=9)]), "light"),  # type: ignore[arg-type]
        ("v2x/spat", spat_pb2.Spat(phase=[spat_pb2.PhaseState(min_end_ns=-9)]), "min_end_ns"),
    ]
    for topic, proto, field in cases:
        with pytest.raises(CodecError, match=field):
            codec.decode(topic, proto.SerializeToString())


def test_too_many_shared_rows_are_refused_both_ways() -> None:
    many = np.zeros(MAX_ROWS + 1)
    ssm = changed(samples()["v2x/ssm"], {"participants.track_id": many.astype(np.uint32)})
    with pytest.raises(CodecError, match="10001 rows"):
        codec.encode(ssm)
    proto = ssm_pb2.SensorSharing(obstacles=ssm_pb2.Obstacles(x_m=many.tolist()))
    with pytest.raises(CodecError, match="10001 rows"):
        codec.decode("v2x/ssm", proto.SerializeToString())


def test_an_ssm_that_says_nothing_has_empty_tables() -> None:
    back = codec.decode("v2x/ssm", b"\x08\x05")
    assert same(back.participants.kind, np.zeros(0, np.uint8))  # type: ignore[union-attr]
    assert same(back.obstacles, no_obstacles())  # type: ignore[union-attr]
    assert codec.encode(back) == b"\x08\x05"


@pytest.mark.parametrize("topic", TOPICS)
def test_truncated_bytes_never_raise_anything_but_a_codec_error(topic: str) -> None:
    data = codec.encode(samples()[topic])
    refused = 0
    for end in range(len(data)):
        try:
            codec.decode(topic, data[:end])
        except CodecError:
            refused += 1
    assert refused > 0.5 * len(data)  # a cut on a field boundary is a legal shorter message


@pytest.mark.parametrize("topic", TOPICS)
def test_garbage_never_raises_anything_but_a_codec_error(topic: str) -> None:
    draw = np.random.default_rng(20_240_611)
    data = np.frombuffer(codec.encode(samples()[topic]), np.uint8)
    refused = 0
    for _ in range(300):
        broken = data.copy()
        broken[draw.integers(0, data.size, 3)] = draw.integers(0, 256, 3)
        try:
            codec.decode(topic, broken.tobytes())
        except CodecError:
            refused += 1
    assert refused > 0


def test_remembered_map_lanes_never_answer_for_other_lanes() -> None:
    first = samples()["v2x/map"]
    assert isinstance(first, Map)
    later = dataclasses.replace(first, t_ns=99)
    assert same(codec.decode("v2x/map", codec.encode(later)), later)
    for width_m in range(
        1, 400
    ):  # more tuples than are remembered; each is gone before the next is made
        lane = dataclasses.replace(first.lanes[0], width_m=float(width_m))
        back = codec.decode("v2x/map", codec.encode(dataclasses.replace(first, lanes=(lane,))))
        assert isinstance(back, Map)
        assert back.lanes[0].width_m == width_m
    bad = dataclasses.replace(first.lanes[0], width_m=float("nan"))
    for _ in range(2):
        with pytest.raises(CodecError, match=r"MapLane\.width_m = nan"):
            codec.encode(dataclasses.replace(first, lanes=(bad,)))


def test_topics_of_the_log_carry_no_message() -> None:
    with pytest.raises(CodecError, match="truth/world"):
        codec.decode("truth/world", b"")
    with pytest.raises(CodecError, match="v2x/nothing"):
        codec.decode("v2x/nothing", b"")
