"""Bytes against hand-written ones, values against `msgpack` (a codec the server does not use) and the wheel."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path
from typing import Any

import carla
import msgpack  # type: ignore[import-untyped]
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.errors import CodecError
from sim.carla.wire import commands, rpc, streams, structs, tokens
from sim.carla.wire._frames_kernels import DEPTH
from sim.carla.wire.calls import CALLS, Call, Kind
from sim.carla.wire.frames import LONGEST_ORDINARY, Frames

CONTROL = [0.5, -0.25, 0.0, False, True, False, 1]


def parsed(message: bytes) -> tuple[str, tuple[Any, ...]]:
    """Name and arguments, the way the server gets at them."""
    (complete,) = Frames().feed(message)
    _, _, method, packed = rpc.read(complete)
    return method, rpc.arguments(method, packed)


def ask(method: str, *values: Any, is_async: bool = False) -> bytes:
    return bytes(msgpack.packb([0, 7, method, [[is_async], *values]]))


# -- requests -----------------------------------------------------------------------------------


def test_first_request_of_every_client_is_read_from_its_bytes() -> None:
    assert parsed(bytes.fromhex("940000a7") + b"version" + bytes.fromhex("9191c2")) == (
        "version",
        (),
    )


def test_structs_are_read_in_the_order_of_the_wire() -> None:
    """Numbers no field shares, so that a swapped pair shows."""
    _, (actor, transform) = parsed(ask("set_actor_transform", 9, [[1, 2, 3], [4, 5, 6]]))
    assert actor == 9
    assert (transform.location.x, transform.location.y, transform.location.z) == (1, 2, 3)
    assert (transform.rotation.pitch, transform.rotation.yaw, transform.rotation.roll) == (4, 5, 6)
    _, (_, control) = parsed(ask("apply_control_to_vehicle", 9, CONTROL))
    assert (control.throttle, control.steer, control.brake) == (0.5, -0.25, 0.0)
    assert (control.hand_brake, control.reverse, control.manual_gear_shift) == (False, True, False)
    assert control.gear == 1


def test_settings_carry_an_optional_step() -> None:
    rest = [True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
    for optional, delta_s in (([False], None), ([True, 0.05], 0.05), ([True, 0.0], None)):
        _, (read,) = parsed(ask("set_episode_settings", [True, False, optional, *rest]))
        assert read.delta_s == delta_s
        assert read.synchronous_mode is True
        assert read.no_rendering_mode is False
        assert read.tile_stream_distance == 3000.0


def test_a_float_of_single_precision_and_an_integer_are_numbers() -> None:
    single = msgpack.packb([0, 1, "set_imui_gravity", [[True], 9.5]], use_single_float=True)
    assert parsed(single)[1] == (9.5,)
    assert parsed(ask("set_imui_gravity", 9))[1] == (9.0,)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (ask("set_actor_location", 1, [1.0, math.nan, 0.0]), ("'location'", "finite")),
        (ask("set_actor_location", 1, [1.0, math.inf, 0.0]), ("'location'", "finite")),
        (ask("set_actor_location", 1, [1.0, -math.inf, 0.0]), ("'location'", "finite")),
        (ask("set_imui_gravity", math.nan), ("set_imui_gravity", "'gravity'", "finite")),
        (ask("set_actor_location", 1, [1.0, 2.0]), ("'location'", "length 3")),
        (ask("set_actor_location", 1, [1.0, 2.0, 3.0, 4.0]), ("'location'", "length 3")),
        (ask("set_actor_location", 1, {"x": 1.0, "y": 2.0, "z": 3.0}), ("'location'", "array")),
        (ask("set_actor_location", 1), ("2 arguments", "expected 3")),
        (ask("destroy_actor", -1), ("'actor'",)),
        (ask("destroy_actor", 1 << 32), ("'actor'",)),
        (ask("destroy_actor", True), ("'actor'", "bool")),
        (ask("destroy_actor", 1.0), ("'actor'", "float")),
        (ask("set_actor_dead", "7"), ("'actor'", "str")),
        (ask("freeze_all_traffic_lights", 1), ("'is_frozen'", "bool")),
        (ask("set_traffic_light_state", 1, 5), ("'state'", "5")),
        (ask("apply_control_to_vehicle", 1, [*CONTROL[:6], 1 << 31]), ("'control'",)),
        (ask("set_weather_parameters", [0.0] * 13), ("'weather'", "14")),
        (ask("no_such_call", 1), ("no_such_call", "0.9.16")),
        (bytes(msgpack.packb([0, 1, "version", []])), ("version", "0 arguments")),
        (bytes(msgpack.packb([0, 1, "version", [[1]]])), ("version", "metadata")),
        (bytes(msgpack.packb([0, 1, "version", 3])), ("version",)),
    ],
)
def test_what_does_not_fit_is_refused_by_name(message: bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(rpc.RefusedError) as refusal:
        parsed(message)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    "message",
    [
        msgpack.packb([2, "version", []]),
        msgpack.packb([1, 0, None, [[1, "0.9.16"]]]),
        msgpack.packb([0, -1, "version", [[False]]]),
        msgpack.packb([0, 1 << 32, "version", [[False]]]),
        msgpack.packb([0, 1, 2, [[False]]]),
        msgpack.packb({}),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x94\x00\x00\xa7\xff\xff\xff\xff\xff\xff\xff\x91\x91\xc2",
    ],
)
def test_a_sender_of_anything_but_requests_is_not_answered(message: bytes) -> None:
    with pytest.raises(CodecError) as refusal:
        parsed(message)
    assert not isinstance(refusal.value, rpc.RefusedError)


# -- every call ---------------------------------------------------------------------------------


def _values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Plain values a client could send for a type, worked out from the type alone."""
    i = msgspec.inspect
    if isinstance(kind, i.IntType):
        high = kind.le if kind.le is not None else (1 << 64) - 1
        return st.integers(int(kind.ge or 0), int(high))
    if isinstance(kind, i.FloatType):
        return st.floats(allow_nan=False, allow_infinity=False)
    if isinstance(kind, i.BoolType):
        return st.booleans()
    if isinstance(kind, i.StrType):
        return st.text(max_size=12)
    if isinstance(kind, i.BytesType):
        return st.binary(min_size=kind.min_length or 0, max_size=kind.max_length or 12)
    if isinstance(kind, i.EnumType):
        return st.sampled_from([int(e.value) for e in kind.cls])
    if isinstance(kind, i.ListType):
        return st.lists(_values(kind.item_type), max_size=3)
    if isinstance(kind, i.TupleType):
        return st.tuples(*map(_values, kind.item_types)).map(list)
    if isinstance(kind, i.VarTupleType):  # an optional
        assert isinstance(kind.item_type, i.UnionType)
        inner = next(t for t in kind.item_type.types if not isinstance(t, i.BoolType))
        return st.one_of(st.just([False]), _values(inner).map(lambda v: [True, v]))
    if isinstance(kind, i.StructType):
        return st.tuples(*(_values(f.type) for f in kind.fields)).map(list)
    if isinstance(kind, i.RawType | i.AnyType):
        return st.just([1, "x"])
    raise AssertionError(kind)


def _requests(call: Call) -> st.SearchStrategy[list[Any]]:
    return st.tuples(*(_values(msgspec.inspect.type_info(kind)) for kind in call.args)).map(list)


@settings(max_examples=250, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_arguments_of_every_call_arrive_as_they_were_sent(data: st.DataObject) -> None:
    call = CALLS[data.draw(st.sampled_from(sorted(CALLS)))]
    sent = data.draw(_requests(call))
    method, arrived = parsed(ask(call.name, *sent))
    assert method == call.name
    plain = msgpack.unpackb(msgspec.msgpack.encode(arrived), strict_map_key=False)
    assert plain == msgpack.unpackb(msgpack.packb(sent), strict_map_key=False)


@settings(max_examples=250, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_answers_of_every_call_are_what_a_client_reads(data: st.DataObject) -> None:
    call = CALLS[data.draw(st.sampled_from(sorted(CALLS)))]
    if call.kind is not Kind.VALUE:
        return
    plain = data.draw(_values(msgspec.inspect.type_info(call.reply)))
    value = msgspec.convert(plain, call.reply)
    rpc.verify(call, value)
    message = rpc.answer(7, call, rpc.Value(value))
    assert msgpack.unpackb(message, strict_map_key=False) == [1, 7, None, [[1, plain]]]
    assert rpc.reply(message, call.name) == (7, value)


def test_names_of_calls_are_in_the_wheel() -> None:
    """Short names are built from immediates by the compiler and cannot be found; two thirds are long enough."""
    (library,) = Path(carla.__file__).parent.glob("libcarla*.so")
    binary = library.read_bytes()
    long_names = [name for name in CALLS if len(name) > 16]
    assert len(long_names) > 80
    assert [name for name in long_names if name.encode() not in binary] == []


def test_fields_of_weather_and_controls_are_those_of_the_wheel() -> None:
    """The client builds its Python attributes from the same C++ members."""
    pairs: list[tuple[type[msgspec.Struct], Any]] = [
        (structs.WeatherParameters, carla.WeatherParameters),
        (structs.VehicleControl, carla.VehicleControl),
        (structs.VehicleAckermannControl, carla.VehicleAckermannControl),
        (structs.AckermannControllerSettings, carla.AckermannControllerSettings),
        (structs.WalkerControl, carla.WalkerControl),
        (structs.GearPhysicsControl, carla.GearPhysicsControl),
        (structs.WheelPhysicsControl, carla.WheelPhysicsControl),
        (structs.VehiclePhysicsControl, carla.VehiclePhysicsControl),
        (structs.VehicleTelemetryData, carla.VehicleTelemetryData),
        (structs.WheelTelemetryData, carla.WheelTelemetryData),
        (structs.OpendriveGenerationParameters, carla.OpendriveGenerationParameters),
    ]
    for ours, theirs in pairs:
        missing = [name for name in ours.__struct_fields__ if not hasattr(theirs, name)]
        assert missing == [], (ours, dir(theirs))


# -- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "result", "shape"),
    [
        ("version", rpc.Value("0.9.16"), [[1, "0.9.16"]]),
        ("version", rpc.Error("no"), [[0, ["no"]]]),
        ("set_actor_simulate_physics", rpc.VOID, [[False]]),
        ("set_actor_simulate_physics", rpc.Error("no"), [[True, ["no"]]]),
        ("set_actor_location", rpc.Error("no"), [[True, ["no"]]]),
        ("apply_batch", rpc.Batch([4, rpc.Error("no")]), [[[1, 4]], [[0, ["no"]]]]),
        ("apply_batch", rpc.Batch([]), []),
        ("apply_batch", rpc.Error("no"), [[[0, ["no"]]]]),
        ("no_such_call", rpc.Error("no"), [[0, ["no"]]]),
        ("get_sensor_token", rpc.Value(structs.Token(b"t" * 24)), [[1, [b"t" * 24]]]),
        ("get_vehicle_light_states", rpc.Value([(3, 9)]), [[1, [[3, 9]]]]),
        ("tick_cue", rpc.Value(np.int64(12)), [[1, 12]]),
        ("get_map_data", rpc.Value(rpc.pack("<x/>")), [[1, "<x/>"]]),
    ],
)
def test_answers_have_the_shape_of_their_call(method: str, result: rpc.Result, shape: Any) -> None:
    message = rpc.answer(5, CALLS.get(method), result)
    assert msgpack.unpackb(message) == [1, 5, None, shape]


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("version", rpc.VOID),
        ("set_actor_location", rpc.Value(1)),
        ("apply_batch", rpc.Value([])),
        ("version", rpc.LATER),
    ],
)
def test_an_answer_of_the_wrong_kind_never_leaves(method: str, result: rpc.Result) -> None:
    with pytest.raises(CodecError, match=method):
        rpc.answer(5, CALLS[method], result)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("destroy_actor", 1),  # an integer where a bool is expected
        ("get_spectator", None),
        ("get_actor_bounding_box", [[0.0] * 3, [0.0] * 3, [0.0] * 3]),  # three fields, as in 0.9.13
        ("get_map_info", ["Carla/Maps/X"]),
        ("get_light_boxes", 3),
    ],
)
def test_answers_the_client_could_not_read_are_found(method: str, value: Any) -> None:
    with pytest.raises(CodecError, match=method):
        rpc.verify(CALLS[method], value)


# -- batches ------------------------------------------------------------------------------------


def batch(*listed: Any) -> list[tuple[int, Any]]:
    _, (packed, do_tick) = parsed(ask("apply_batch", list(listed), True))
    assert do_tick is True
    return rpc.decode_batch(packed)


def test_a_batch_is_read_command_by_command() -> None:
    spawn = [
        [3, "vehicle.a.b", [["role_name", 4, "hero"]]],
        [[1, 2, 3], [4, 5, 6]],
        [True, 8],
        1,
        "",
        [[[16, [0, True]]]],
    ]
    read = batch([[0, spawn]], [[2, [7, CONTROL]]], [[1, [9]]], [[20, ["quit"]]], [[21, [4, 2]]])
    assert [index for index, _ in read] == [0, 2, 1, 20, 21]
    payload = read[0][1]
    assert payload.description.attributes[0].value == "hero"
    assert structs.given(payload.parent) == 8
    assert payload.attachment == structs.AttachmentType.SPRING_ARM
    assert commands.unfold(payload.do_after) == [(16, (0, True))]
    assert read[1][1] == (7, structs.VehicleControl(0.5, -0.25, 0.0, False, True, False, 1))
    assert read[4][1] == (4, structs.TrafficLightState.GREEN)


def test_a_bad_command_fails_alone() -> None:
    bad = [[[2, [7, [math.nan, *CONTROL[1:]]]]], [[22, [7]]], [2, [7, CONTROL]], 5, [[1, ["x"]]]]
    read = batch([[1, [3]]], *bad, [[1, [4]]])
    assert read[0] == (1, (3,))
    assert read[-1] == (1, (4,))
    for number, (index, reason) in enumerate(read[1:-1], start=1):
        assert index == rpc.MALFORMED
        assert f"command {number}" in reason
    assert "finite" in read[1][1]


@pytest.mark.parametrize("listed", [7, None, "x", {"a": 1}])
def test_what_is_no_list_of_commands_is_refused_whole(listed: Any) -> None:
    _, (packed, _) = parsed(ask("apply_batch", listed, False))
    with pytest.raises(rpc.RefusedError, match="commands"):
        rpc.decode_batch(packed)


# -- cutting the stream -------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_requests_are_found_however_the_bytes_are_split(data: st.DataObject) -> None:
    plain = st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 64) - 1)
        | st.floats(allow_nan=False)
        | st.text(max_size=40)
        | st.binary(max_size=300),
        lambda inner: (
            st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=18)
        ),
        max_leaves=30,
    )
    whole = [bytes(msgpack.packb(data.draw(st.tuples(*[plain] * 4)))) for _ in range(3)]
    blob = b"".join(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(blob)), max_size=12)))
    frames = Frames()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(blob)], strict=True):
        found += frames.feed(blob[start:end])
    assert found == whole
    assert frames.pending == 0


def test_one_byte_at_a_time_and_a_thousand_at_once() -> None:
    whole = [ask("destroy_actor", k) for k in range(1500)]
    blob = b"".join(whole)
    assert Frames().feed(blob) == whole
    frames = Frames()
    assert [r for k in range(len(blob)) for r in frames.feed(blob[k : k + 1])] == whole


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (b"\x94" * (DEPTH + 1), "nested deeper"),
        (b"\x94\x00\x01\xa1x\xdd\xff\xff\xff\xff", "128 MiB"),
        (b"\x94\x00\x01\xa1x\xdf\xff\xff\xff\xff", "128 MiB"),
        (b"\x94\x00\x01\xdb\xff\xff\xff\xff", "128 MiB"),
        (b"\x94\x00\x01\xc6\x08\x00\x00\x01", "128 MiB"),
        (b"\x94\x00\xc1", "reserves"),
        (b"\x93\x00", "not a MessagePack-RPC request"),
    ],
)
def test_a_claim_is_refused_before_it_is_believed(claim: bytes, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        Frames().feed(claim)


def _half(method: str, size: int) -> bytes:
    name = method.encode()
    head = b"\x94\x00\xcd\x01\x02" + bytes([0xD9, len(name)]) + name
    return head + b"\x92\x91\xc2\xdb" + struct.pack(">I", 100 << 20) + b"x" * size


def test_only_road_files_and_pictures_may_be_large() -> None:
    frames = Frames()
    frames.feed(_half("copy_opendrive_to_file", LONGEST_ORDINARY))
    assert frames.pending > LONGEST_ORDINARY
    with pytest.raises(CodecError, match=r"set_weather_parameters.*16 MiB"):
        Frames().feed(_half("set_weather_parameters", LONGEST_ORDINARY))


def test_garbage_is_refused_and_never_more_than_refused() -> None:
    """Random bytes, and good requests with bytes changed: a CodecError or an ordinary request, nothing else."""
    rng = random.Random(20251)
    good = [
        ask("version"),
        ask("set_actor_transform", 9, [[1.5, 2, 3], [4, 5, 6]]),
        ask("apply_batch", [[[2, [7, CONTROL]]], [[1, [9]]]], True),
        ask(
            "set_episode_settings",
            [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3.0, 2.0, True],
        ),
        ask("draw_debug_shape", [[0, [[1, 2, 3], 0.1]], [255, 0, 0], -1.0, False]),
    ]
    outcomes = {"refused": 0, "closed": 0, "read": 0}
    for _ in range(8000):
        if rng.random() < 0.2:
            message = rng.randbytes(rng.randrange(1, 60))
        else:
            changed = bytearray(rng.choice(good))
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            message = bytes(changed)
        try:
            for request in Frames().feed(message):
                _, _, method, packed = rpc.read(request)
                arguments = rpc.arguments(method, packed)
                if method == "apply_batch":
                    rpc.decode_batch(arguments[0])
                outcomes["read"] += 1
        except rpc.RefusedError as error:
            outcomes["refused"] += 1
            assert str(error).isprintable()
        except CodecError as error:
            outcomes["closed"] += 1
            assert str(error)
    assert min(outcomes.values()) > 300, outcomes


# -- tokens and streams -------------------------------------------------------------------------


def test_token_is_the_one_seen_on_the_wire() -> None:
    seen = bytes.fromhex("01000000d10701017f000001000000000000000000000000")
    assert tokens.pack(1, 2001, "127.0.0.1") == seen
    assert tokens.unpack(seen) == tokens.StreamAddress(1, 2001, "127.0.0.1")
    left_open = tokens.pack(0x01020304, 65535)
    assert left_open == bytes.fromhex("04030201ffff0100") + bytes(16)
    assert tokens.unpack(left_open).host is None
    assert tokens.unpack(tokens.pack(2, 3, "::1")).host == "::1"


@pytest.mark.parametrize(
    "token",
    [
        b"",
        bytes(23),
        bytes(25),
        bytes(24),
        bytes(6) + b"\x02" + bytes(17),
        bytes(6) + b"\x01\x03" + bytes(16),
    ],
)
def test_a_token_of_another_kind_is_refused(token: bytes) -> None:
    with pytest.raises(CodecError, match="token"):
        tokens.unpack(token)


def test_snapshot_bytes_are_read_where_the_wheel_reads_them() -> None:
    """A vehicle, a walker and a light, written at the offsets of the wheel's debug information."""
    header = struct.pack("<QQd", 17, 41, 2.05) + bytes(24)
    header += struct.pack("<QdfiiiI", 5, 99.5, 0.05, 1, -2, 3, 1)
    rows = []
    for actor, union in (
        (1, struct.pack("<fffBBBifBBIB", 0.1, 0.2, 0.3, 1, 0, 1, -1, 50.0, 2, 1, 77, 3)),
        (2, struct.pack("<ffffB", 1.0, 2.0, 3.0, 4.0, 1)),
        (3, b"sig".ljust(32, b"\0") + struct.pack("<ffffIBB", 10.0, 3.0, 2.0, 1.0, 6, 1, 2)),
    ):
        rows.append(
            (struct.pack("<IB", actor, 1) + struct.pack("<15f", *range(15)) + union).ljust(
                119, b"\0"
            )
        )
    read = streams.unpack_snapshot(header + b"".join(rows))
    assert (read.episode_id, read.platform_s, read.map_origin) == (5, 99.5, (1, -2, 3))
    assert read.state == streams.SimulationState.MAP_CHANGE
    assert streams.unpack_header(header).frame == 41
    vehicle, walker, light = read.actors
    assert [int(a["id"]) for a in read.actors] == [1, 2, 3]
    assert vehicle["transform"].tolist() == [0, 1, 2, 3, 4, 5]
    assert vehicle["velocity"].tolist() == [6, 7, 8]
    assert vehicle["angular_velocity"].tolist() == [9, 10, 11]
    assert vehicle["acceleration"].tolist() == [12, 13, 14]
    assert (vehicle["hand_brake"], vehicle["reverse"], vehicle["manual_gear_shift"]) == (1, 0, 1)
    assert (vehicle["gear"], vehicle["speed_limit"]) == (-1, 50.0)
    assert (vehicle["light_state"], vehicle["has_light"], vehicle["light_id"]) == (2, 1, 77)
    assert vehicle["failure_state"] == 3
    assert walker["walk_direction"].tolist() == [1, 2, 3]
    assert (walker["walk_speed"], walker["jump"]) == (4.0, 1)
    assert light["sign_id"] == b"sig"
    assert (light["green_time"], light["yellow_time"], light["red_time"]) == (10.0, 3.0, 2.0)
    assert (light["elapsed_time"], light["pole_index"]) == (1.0, 6)
    assert (light["is_frozen"], light["signal_state"]) == (1, 2)


@pytest.mark.parametrize("size", [0, 47, 83, 84 + 118])
def test_half_a_snapshot_is_refused(size: int) -> None:
    message = (struct.pack("<QQd", 17, 1, 0.0) + bytes(400))[:size]
    with pytest.raises(CodecError):
        streams.unpack_snapshot(message)
