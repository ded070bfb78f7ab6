"""The two ports against whoever sends garbage, half a request, a hundred megabytes or nothing at all."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from sim.carla.server.transport import (
    LATER,
    VOID,
    CallConnection,
    Connection,
    Limits,
    Result,
    Value,
)
from sim.carla.wire import rpc, structs
from sim.carla.wire.calls import CALLS
from tests.carla.port_bench import Bench, exactly, is_closed_by_peer, versions


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.end()


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "47 45 54"),
        (b"\x16\x03\x01\x02\x00\x01", "16 03 01"),
        (b"\x94" * 5000, "nested deeper"),
        (b"\x94\x00\x00\xa7version\xdd\xff\xff\xff\xff", "128 MiB"),
        (rpc.request(1, "version")[:-1] + b"\xc1", "c1"),
        (bytes([0x94, 2]) + rpc.request(1, "version")[2:], "of type 0"),
    ],
)
def test_garbage_ends_its_own_connection_with_a_reason(
    bench: Bench, garbage: bytes, words: str
) -> None:
    with closing(bench.call()) as good, closing(bench.call()) as bad:
        versions(good)
        bad.sendall(garbage)
        assert is_closed_by_peer(bad)
        versions(good)
    assert any(words in sentence for sentence in bench.said)


def test_a_chatty_subscriber_is_closed(bench: Bench) -> None:
    with closing(bench.stream(None)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert is_closed_by_peer(sock)
    assert "47 45 54 20" in bench.said[0]


def test_two_hundred_connections_are_served_and_forgotten(bench: Bench) -> None:
    socks = [bench.call() for _ in range(200)]
    for k, sock in enumerate(socks):
        sock.sendall(rpc.request(k, "version"))
    expected = [rpc.answer(k, CALLS["version"], Value("0.9.16")) for k in range(200)]
    assert [exactly(s, len(e)) for s, e in zip(socks, expected, strict=True)] == expected
    for sock in socks:
        sock.close()
    bench.until(lambda: len(bench.closed) == 200)
    assert bench.inside(bench.transport.connections) == []


def test_connections_past_the_limit_are_refused() -> None:
    bench = Bench(limits=Limits(connections=5))
    kept = [bench.call() for _ in range(5)]
    for sock in kept:
        versions(sock)
    with closing(bench.call()) as extra:
        assert is_closed_by_peer(extra)
    kept[0].close()
    bench.until(lambda: bench.closed)
    with closing(bench.call()) as next_one:
        versions(next_one)
    for sock in kept:
        sock.close()
    assert any("5 connections" in sentence for sentence in bench.said)
    bench.end()


def test_a_hundred_megabytes_arrive_whole_where_they_may(bench: Bench) -> None:
    sizes: list[int] = []

    def copy(_: CallConnection, values: tuple[Any, ...]) -> Result:
        sizes.append(len(values[0]))
        return VOID

    bench.answers = {"copy_opendrive_to_file": copy}
    parameters = structs.OpendriveGenerationParameters(2.0, 50.0, 1.0, 0.6, True, True, True)
    request = rpc.request(1, "copy_opendrive_to_file", "x" * 100_000_000, parameters)
    with closing(bench.call()) as sock, closing(bench.call()) as other:
        sock.sendall(request)
        assert rpc.reply(exactly(sock, 7), "copy_opendrive_to_file") == (1, None)
        assert sizes == [100_000_000]
        versions(sock)
        too_much = rpc.request(1, "get_required_files", "x" * 20_000_000)
        with pytest.raises(OSError):
            sock.sendall(too_much)
            versions(sock)
            raise AssertionError("it was read")
        versions(other)
    assert any("'get_required_files'" in s and "16 MiB" in s for s in bench.said)


def test_half_requests_and_silent_subscribers_are_given_up_after_a_while() -> None:
    bench = Bench(limits=Limits(stall_s=0.3))
    with (
        closing(bench.call()) as half,
        closing(bench.call()) as idle,
        closing(bench.stream(None)) as silent,
    ):
        half.sendall(rpc.request(1, "version")[:-3])
        versions(idle)
        assert is_closed_by_peer(half)
        assert is_closed_by_peer(silent)
        versions(idle)  # a client that asks nothing may stay
    assert any("half a request" in sentence for sentence in bench.said)
    assert any("named no stream" in sentence for sentence in bench.said)
    bench.end()


def test_clients_that_vanish_are_forgotten(bench: Bench) -> None:
    """Closed with unread answers, reset, and gone between asking for a held answer and getting it."""

    def hold(connection: CallConnection, _: tuple[Any, ...]) -> Result:
        bench.held.append((connection, connection.number))
        return LATER

    bench.answers = {"tick_cue": hold}
    for linger in (b"", struct.pack("ii", 1, 0)):
        for request in (rpc.request(1, "version") * 500, rpc.request(1, "tick_cue")):
            sock = bench.call()
            if linger:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.sendall(request)
            sock.close()
        stream = bench.stream(1)
        if linger:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        stream.close()
    bench.until(lambda: len(bench.closed) == 6)
    for connection, number in bench.held:
        bench.inside(partial(connection.answer, number, Value(1)))
    assert bench.inside(lambda: bench.transport.send(1, (b"x",))) == 0
    with closing(bench.call()) as sock:
        versions(sock)


def test_mistakes_of_the_owner_do_not_end_the_loop() -> None:
    bench = Bench()

    def stumble(connection: Connection) -> None:
        bench.closed.append(connection)
        raise ZeroDivisionError

    bench.transport._on_subscribe = lambda _, connection: stumble(connection)
    bench.transport._on_closed = stumble
    with closing(bench.stream(None)) as sock, closing(bench.call()) as other:
        sock.sendall(struct.pack("<I", 1))
        assert is_closed_by_peer(sock)
        versions(other)
    bench.until(lambda: len(bench.closed) == 3)  # one subscribing, two closing
    bench.end()
    assert sum("ZeroDivisionError" in sentence for sentence in bench.said) == 3


def test_random_bytes_on_both_ports_for_a_while() -> None:
    """Somebody else is answered all along, every closing has its sentence, nothing fails inside."""
    bench = Bench()
    rng = random.Random(77)
    good = [
        rpc.request(1, "version"),
        rpc.request(
            2, "apply_batch", [((2, (7, (0.5, 0.0, 0.0, False, False, False, 1))),)], False
        ),
        rpc.request(3, "set_actor_transform", 4, structs.IDENTITY),
        struct.pack("<I", 1),
    ]
    with closing(bench.call()) as steady:
        for k in range(150):
            sock = bench.call() if rng.random() < 0.7 else bench.stream(None)
            blob = bytearray(b"".join(rng.choices(good, k=rng.randrange(1, 6))))
            for _ in range(rng.randrange(4)):
                blob[rng.randrange(len(blob))] = rng.randrange(256)
            try:
                for start in range(0, len(blob), 40):
                    sock.sendall(blob[start : start + 40])
            except OSError:
                pass  # closed meanwhile, as it should be
            sock.close()
            versions(steady, k)
        bench.until(lambda: len(bench.inside(bench.transport.connections)) == 1)
    assert not [s for s in bench.said if "inside the server" in s]
    bench.end()


def test_a_flood_of_complaints_does_not_fill_the_log(bench: Bench) -> None:
    for _ in range(100):
        with closing(bench.call()) as sock:
            sock.sendall(b"\xc1")
            assert is_closed_by_peer(sock)
    bench.until(lambda: any("left out" in sentence for sentence in bench.said))
    assert len(bench.said) < 80
