"""The two ports: what is asked is answered, what is sent arrives, in order; the stock wheel's client is the first witness.

The client runs in a process of its own with a deadline, because its threads outlive its objects.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from protocols.errors import ConfigError, InfrastructureError
from sim.carla.server.transport import (
    LATER,
    VOID,
    Batch,
    CallConnection,
    Error,
    Limits,
    Result,
    Transport,
    Value,
)
from sim.carla.wire import commands, rpc, structs, tokens
from sim.carla.wire.calls import CALLS
from tests.carla.port_bench import Bench, exactly, is_closed_by_peer, versions


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.end()


def python(code: str, *arguments: Any) -> Any:
    """What a Python process with the wheel prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# -- the wheel's own client ---------------------------------------------------------------------

WHEEL = """
import json, os, sys, carla
client = carla.Client("127.0.0.1", int(sys.argv[1]))
client.set_timeout(20)
out = {}
out["version"] = client.get_server_version()
out["maps"] = client.get_available_maps()
def failure(what):
    try:
        what()
    except RuntimeError as error:
        return str(error)
out["value"] = failure(lambda: client.start_recorder("a.log", True))
out["void"] = failure(lambda: client.load_world("X", False, carla.MapLayer.Props))
out["collisions"] = client.show_recorder_collisions("a.log", "v", "w")
out["replay"] = client.replay_file("a.log", 1.5, 2.5, 7, True)
client.set_replayer_time_factor(2.0)
client.stop_recorder()
c = carla.command
batch = [
    c.ApplyVehicleControl(7, carla.VehicleControl(throttle=0.5, steer=-0.25, gear=2, reverse=True)),
    c.ApplyTransform(8, carla.Transform(carla.Location(1, 2, 3), carla.Rotation(4, 5, 6))),
    c.ApplyWalkerControl(9, carla.WalkerControl(carla.Vector3D(0, 1, 0), 1.5, True)),
    c.ApplyWalkerState(9, carla.Transform(), 2.5),
    c.SetVehicleLightState(7, carla.VehicleLightState.Brake),
    c.ApplyTargetVelocity(7, carla.Vector3D(1, 2, 3)),
    c.ApplyVehiclePhysicsControl(7, carla.VehiclePhysicsControl()),
    c.ApplyVehicleAckermannControl(7, carla.VehicleAckermannControl(steer=0.5, speed=3.0)),
    c.SetSimulatePhysics(7, False),
    c.SetEnableGravity(7, True),
    c.ApplyTargetAngularVelocity(7, carla.Vector3D(1, 2, 3)),
    c.ApplyImpulse(7, carla.Vector3D(1, 2, 3)),
    c.ApplyForce(7, carla.Vector3D(1, 2, 3)),
    c.ApplyAngularImpulse(7, carla.Vector3D(1, 2, 3)),
    c.ApplyTorque(7, carla.Vector3D(1, 2, 3)),
    c.DestroyActor(7),
]
world = client.get_world()
car = world.get_blueprint_library().find("vehicle.a.b")
car.set_attribute("role_name", "hero")
batch.insert(0, c.SpawnActor(car, carla.Transform(), 8).then(c.DestroyActor(c.FutureActor)))
answers = client.apply_batch_sync(batch, False)
out["batch"] = [[a.actor_id, a.error] for a in answers]
out["delta"] = client.get_world().get_settings().fixed_delta_seconds
sys.stdout.flush()
os.write(1, ("\\n" + json.dumps(out) + "\\n").encode())
os._exit(0)
"""


def test_the_stock_client_is_served_and_reads_every_shape(bench: Bench) -> None:
    batches: list[Any] = []

    def batch(_: CallConnection, values: tuple[Any, ...]) -> Result:
        batches.append(rpc.decode_batch(values[0]))
        results: list[int | Error] = [100 + k for k in range(len(batches[-1]))]
        return Batch([*results[:-1], Error("no such actor")])

    def refuse(_: CallConnection, values: tuple[Any, ...]) -> Result:
        raise ConfigError(f"map {values[0]} is not here")

    role = structs.ActorAttribute(
        "role_name", structs.ActorAttributeType.STRING, "x", [], True, False
    )
    settings = structs.EpisodeSettings(
        True, False, structs.some(0.05), True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True
    )
    token = structs.Token(tokens.pack(1, bench.transport.stream_port))
    bench.answers = {
        "get_episode_info": lambda *_: Value(structs.EpisodeInfo(3, token)),
        "get_sensor_token": lambda *_: Value(token),
        "get_episode_settings": lambda *_: Value(settings),
        "get_required_files": lambda *_: Value([]),
        "query_lights_state": lambda *_: Value([]),
        "get_actor_definitions": lambda *_: Value(
            [structs.ActorDefinition(1, "vehicle.a.b", "vehicle,a,b", [role])]
        ),
        "apply_batch": batch,
        "get_available_maps": lambda *_: Value(["/Game/Carla/Maps/X"]),
        "load_new_episode": refuse,
        "show_recorder_collisions": lambda _, v: Value(f"{v[1]} {v[2]}"),
        "replay_file": lambda _, v: Value(repr(v[:5])),
    }
    out = python(WHEEL, bench.transport.port)
    assert out["version"] == "0.9.16"
    assert out["maps"] == ["/Game/Carla/Maps/X"]
    assert out["value"] == "start_recorder is not served here"
    assert out["void"] == "map X is not here"
    assert out["collisions"] == f"{ord('v')} {ord('w')}"
    assert out["replay"] == "('a.log', 1.5, 2.5, 7, True)"
    assert out["batch"] == [[100 + k, ""] for k in range(16)] + [[0, "no such actor"]]
    assert out["delta"] == 0.05
    assert bench.subscribed == [1]
    (read,) = batches
    spawn = read.pop(0)[1]
    assert spawn.description.id == "vehicle.a.b"
    assert [(a.id, a.value) for a in spawn.description.attributes] == [("role_name", "hero")]
    assert structs.given(spawn.parent) == 8
    assert commands.unfold(spawn.do_after) == [(1, (0,))]
    order = [2, 6, 4, 7, 18, 8, 5, 3, 14, 15, 9, 10, 11, 12, 13, 1]
    assert [index for index, _ in read] == order
    assert read[0][1][1] == structs.VehicleControl(0.5, -0.25, 0.0, False, True, False, 2)
    assert read[1][1][1] == structs.Transform(structs.Location(1, 2, 3), structs.Rotation(4, 5, 6))
    assert read[2][1] == (9, structs.WalkerControl(structs.Vector3D(0, 1, 0), 1.5, True))
    assert read[4][1] == (7, 8)
    assert read[-1][1] == (7,)
    arrived = dict(bench.calls)
    assert arrived["load_new_episode"] == ("X", False, 64)
    assert arrived["set_replayer_time_factor"] == (2.0,)
    assert arrived["stop_recorder"] == ()


RATE = """
import json, os, sys, time, carla
client = carla.Client("127.0.0.1", int(sys.argv[1]))
client.set_timeout(20)
client.get_server_version()
best = 0.0
for _ in range(5):
    start = time.perf_counter()
    for _ in range(1000):
        client.get_server_version()
    best = max(best, 1000 / (time.perf_counter() - start))
os.write(1, ("\\n" + json.dumps(best) + "\\n").encode())
os._exit(0)
"""


def test_the_stock_client_gets_thousands_of_answers_a_second(bench: Bench) -> None:
    """Far below what an idle machine does (the benchmark says), far above a loop that sleeps between requests."""
    assert python(RATE, bench.transport.port) > 2000


# -- calls --------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(bench: Bench) -> None:
    with closing(bench.call()) as sock:
        sock.sendall(b"".join(rpc.request(k, "version") for k in range(3000)))
        expected = b"".join(rpc.answer(k, CALLS["version"], Value("0.9.16")) for k in range(3000))
        assert exactly(sock, len(expected)) == expected


def test_a_request_in_single_bytes_is_answered_and_disturbs_nobody(bench: Bench) -> None:
    request = rpc.request(5, "version")
    with closing(bench.call()) as slow, closing(bench.call()) as quick:
        for k, byte in enumerate(request):
            slow.sendall(bytes([byte]))
            versions(quick, k)
        expected = rpc.answer(5, CALLS["version"], Value("0.9.16"))
        assert exactly(slow, len(expected)) == expected


def test_mistakes_of_a_handler_reach_the_caller_and_the_log(bench: Bench) -> None:
    def stumble(_: CallConnection, values: tuple[Any, ...]) -> Result:
        raise ZeroDivisionError("planted")

    bench.answers = {
        "tick_cue": stumble,
        "get_map_data": lambda *_: VOID,  # the wrong kind
        "get_spectator": lambda *_: Value(object()),  # cannot be packed
    }
    with closing(bench.call()) as sock:
        for method in bench.answers:
            sock.sendall(rpc.request(1, method))
            with pytest.raises(rpc.RefusedError, match=method):
                rpc.reply(sock.recv(4096), method)
        versions(sock)
    assert "planted" in bench.said[0]
    assert len(bench.said) >= 3


def test_a_checking_transport_finds_answers_of_the_wrong_type() -> None:
    bench = Bench(is_checking=True)
    bench.answers = {"destroy_actor": lambda *_: Value(1)}
    with closing(bench.call()) as sock:
        sock.sendall(rpc.request(1, "destroy_actor", 4))
        with pytest.raises(rpc.RefusedError, match="bool"):
            rpc.reply(sock.recv(4096), "destroy_actor")
        versions(sock)
    bench.end()


def test_a_held_answer_goes_out_later_and_others_overtake_it(bench: Bench) -> None:
    def hold(connection: CallConnection, _: tuple[Any, ...]) -> Result:
        bench.held.append((connection, connection.number))
        return LATER

    bench.answers = {"tick_cue": hold}
    with closing(bench.call()) as sock:
        sock.sendall(rpc.request(8, "tick_cue"))
        versions(sock, 9)
        ((connection, number),) = bench.held
        bench.inside(lambda: connection.answer(number, Value(41)))
        assert rpc.reply(sock.recv(100), "tick_cue") == (8, 41)
        bench.inside(lambda: connection.answer(number, Value(42)))  # answered before: nothing
        versions(sock, 10)
    bench.until(lambda: bench.closed)
    bench.inside(lambda: connection.answer(number, Value(43)))  # gone: nothing


def test_a_client_that_never_reads_is_no_longer_read(bench: Bench) -> None:
    text = "x" * 200_000
    bench.answers = {"get_map_data": lambda *_: Value(text)}
    with closing(bench.call()) as greedy, closing(bench.call()) as other:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        greedy.sendall(b"".join(rpc.request(k, "get_map_data") for k in range(2000)))
        versions(other)
        time.sleep(0.05)
        versions(other)
        served = sum(method == "get_map_data" for method, _ in bench.calls)
        assert served < 200  # not 400 MB of answers
        for k in range(2000):  # and all are answered, in order, once it reads
            answer = exactly(greedy, len(rpc.answer(k, CALLS["get_map_data"], Value(text))))
            assert answer.startswith(b"\x94\x01" + rpc.pack(k) + b"\xc0")
        versions(greedy)


# -- streams ------------------------------------------------------------------------------------


def test_messages_reach_the_subscribers_of_their_stream_in_order(bench: Bench) -> None:
    transport = bench.transport
    with (
        closing(bench.stream(1)) as a,
        closing(bench.stream(1)) as b,
        closing(bench.stream(2)) as c,
    ):
        assert (
            bench.inside(lambda: [transport.send(1, (b"h", bytes([k]))) for k in range(3)])
            == [2] * 3
        )
        assert bench.inside(lambda: transport.send(2, (b"other",))) == 1
        assert bench.inside(lambda: transport.send(3, (b"nobody",))) == 0
        expected = b"".join(struct.pack("<I", 2) + b"h" + bytes([k]) for k in range(3))
        assert exactly(a, len(expected)) == exactly(b, len(expected)) == expected
        assert exactly(c, 9) == struct.pack("<I", 5) + b"other"
    bench.until(lambda: len(bench.closed) == 3)
    assert bench.inside(lambda: transport.send(1, (b"x",))) == 0


def test_what_was_sent_may_be_overwritten_at_once(bench: Bench) -> None:
    """The snapshot buffer is reused by the next tick while a slow subscriber still waits for this one."""
    buffer = bytearray(100_000)
    with closing(bench.stream(1)) as sock:

        def ticks() -> None:
            for k in range(200):
                buffer[:] = bytes([k]) * len(buffer)
                bench.transport.send(1, (memoryview(buffer),))

        bench.inside(ticks)
        for k in range(200):
            assert exactly(sock, 4) == struct.pack("<I", len(buffer))
            assert exactly(sock, len(buffer)) == bytes([k]) * len(buffer)


def test_messages_leave_before_the_answer_of_the_tick(bench: Bench) -> None:
    with closing(bench.stream(1)) as stream, closing(bench.call()) as sock:

        def tick(*_: Any) -> Result:
            bench.transport.send(1, (b"snapshot",))
            return Value(1)

        bench.answers = {"tick_cue": tick}
        early = 0
        for k in range(200):
            sock.sendall(rpc.request(k, "tick_cue"))
            sock.recv(100)
            early += bool(select.select([stream], [], [], 0)[0])
            assert stream.recv(100) == struct.pack("<I", 8) + b"snapshot"
        assert (
            early >= 190
        )  # the kernel may deliver two sockets out of order, the server never sends so


def test_a_subscriber_that_never_reads_is_dropped_and_says_so() -> None:
    bench = Bench(limits=Limits(stream_bytes=2_000_000))
    message = b"m" * 100_000
    with closing(bench.stream(1)) as lazy, closing(bench.stream(1)) as eager:
        for _ in range(200):
            bench.inside(lambda: bench.transport.send(1, (message,)))
            exactly(eager, len(message) + 4)
        bench.until(lambda: bench.closed)
        assert len(bench.inside(lambda: bench.transport.subscribers(1))) == 1
        assert is_closed_by_peer(lazy)
    assert any("does not read" in sentence for sentence in bench.said)
    bench.end()


def test_expected_subscriptions_are_awaited_and_not_for_ever(bench: Bench) -> None:
    transport = bench.transport
    assert bench.inside(transport.awaited) is None
    bench.inside(lambda: transport.expect(6, within_s=60))
    bench.inside(lambda: transport.expect(6, within_s=60))
    assert bench.inside(transport.awaited) > time.monotonic() + 30
    with closing(bench.stream(6)):
        assert bench.inside(transport.awaited) is not None
        with closing(bench.stream(6)):
            assert bench.inside(transport.awaited) is None
    bench.inside(lambda: transport.expect(7, within_s=0.05))
    bench.until(lambda: bench.inside(transport.awaited) is None)


def test_an_unknown_stream_and_an_ended_one_close(bench: Bench) -> None:
    with closing(bench.stream(404)) as unknown, closing(bench.stream(1)) as known:
        assert is_closed_by_peer(unknown)
        bench.inside(lambda: bench.transport.close_stream(1))
        assert is_closed_by_peer(known)
    assert ["404" in sentence for sentence in bench.said] == [True]


# -- the loop -----------------------------------------------------------------------------------


def test_a_port_in_use_is_named(bench: Bench) -> None:
    with pytest.raises(InfrastructureError, match=str(bench.transport.port)):
        Transport(lambda *_: VOID, port=bench.transport.port, stream_port=0)


def test_the_stream_port_follows_the_port() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    if port == 65535:
        pytest.skip("no port after the last one")
    try:
        bench = Bench(port=port)
    except InfrastructureError:
        pytest.skip("somebody else has the port")
    assert bench.transport.stream_port == port + 1
    bench.end()


def test_version_six_is_served_where_asked_for() -> None:
    try:
        bench = Bench(host="::1")
    except InfrastructureError:
        pytest.skip("no IPv6 here")
    with closing(socket.create_connection(("::1", bench.transport.port), timeout=10)) as sock:
        versions(sock)
    bench.end()


def test_timers_come_in_order_and_on_time(bench: Bench) -> None:
    rang: list[tuple[str, float]] = []
    now_s = time.monotonic()

    def ring(name: str, when_s: float) -> None:
        rang.append((name, time.monotonic() - when_s))

    for name, after_s in (("b", 0.06), ("a", 0.02), ("c", 0.1)):
        when_s = now_s + after_s
        bench.inside(partial(bench.transport.call_at, when_s, partial(ring, name, when_s)))
    bench.until(lambda: len(rang) == 3)
    assert [name for name, _ in rang] == ["a", "b", "c"]
    assert all(0 <= late_s < 0.5 for _, late_s in rang)


def test_tokens_lead_to_the_stream_port(bench: Bench) -> None:
    """What the client is told and where it then connects."""
    token = tokens.unpack(tokens.pack(3, bench.transport.stream_port))
    assert token.port == bench.transport.stream_port
    with closing(bench.stream(token.stream_id)):
        assert bench.subscribed == [3]


def test_a_batch_stays_packed_until_asked_for(bench: Bench) -> None:
    bench.answers = {"apply_batch": lambda _, v: Batch([i for i, _ in rpc.decode_batch(v[0])])}
    with closing(bench.call()) as sock:
        sock.sendall(rpc.request(1, "apply_batch", [(commands.DestroyActor((3,)),)], True))
        assert rpc.reply(sock.recv(100), "apply_batch") == (1, [1])
