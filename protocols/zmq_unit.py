"""A unit's side of the ZeroMQ conversation: joins, builds its participant when welcomed (and again when reset), answers ticks
until the end.

`serve` is all a Python unit needs; units in other languages do the same five steps (docs/messages.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zmq

from protocols.errors import CodecError, InfrastructureError, said
from protocols.participant import Participant
from protocols.unit_wire import PROTOCOL, decode_tick, encode_answer, parse_to_unit
from protocols.v1 import unit_pb2
from protocols.zmq_net import SLICE_MS, Keys, limit, require_keys

Build = Callable[[Any], Participant]
"""Welcome -> the participant that answers."""


def serve(
    name: str,
    address: str,
    build: Build,
    *,
    software: str = "",
    topics: tuple[str, ...] = (),
    keys: Keys | None = None,
    join_s: float = 60.0,
    context: zmq.Context[zmq.Socket[bytes]] | None = None,
) -> str:
    """Take part as `name` until the run ends; returns its outcome.

    InfrastructureError when the simulation refuses us, is not there within `join_s`, or goes away. What `build` or the
    participant raises is told to the simulation, then raised.
    """
    require_keys(address, keys)
    own = context is None
    context = context or zmq.Context()
    socket = context.socket(zmq.DEALER)
    limit(socket, address)
    if keys is not None:
        socket.curve_secretkey, socket.curve_publickey = keys.secret, keys.public
        socket.curve_serverkey = keys.server
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    monitor.setsockopt(zmq.RCVTIMEO, 0)
    try:
        socket.connect(address)
        hello = unit_pb2.Hello(protocol=PROTOCOL, unit=name, software=software, topic=topics)
        socket.send(unit_pb2.FromUnit(hello=hello).SerializeToString())
        return _converse(socket, monitor, name, address, build, join_s)
    except (zmq.ZMQError, CodecError) as error:
        raise InfrastructureError(f"unit {name}: {address}: {error}") from error
    finally:
        socket.disable_monitor()
        monitor.close(0)
        socket.close(500)
        if own:
            context.term()


def _converse(
    socket: zmq.Socket[bytes],
    monitor: zmq.Socket[bytes],
    name: str,
    address: str,
    build: Build,
    join_s: float,
) -> str:
    unit: Participant | None = None
    welcome: Any = None
    waits = 0
    while True:
        try:
            data = socket.recv()
        except zmq.Again:
            waits += 1
            if unit is None and waits * SLICE_MS > join_s * 1000.0:
                raise InfrastructureError(
                    f"unit {name}: no simulation answered at {address} within {join_s:g} s. Is `icv run --bus zmq` "
                    f"listening there, and does it know our key?"
                ) from None
            if unit is not None and _is_gone(monitor):
                raise InfrastructureError(
                    f"unit {name}: the simulation at {address} has gone away"
                ) from None
            continue
        message = parse_to_unit(data)
        body = message.WhichOneof("body")
        try:
            if body == "tick" and unit is not None:
                now, inbox = decode_tick(message.tick)
                socket.send(encode_answer(now.tick, unit.on_tick(now, inbox)))
                continue
            if body == "welcome":
                welcome = message.welcome
                unit = build(welcome)
                continue
            if body == "reset" and welcome is not None:
                unit = None  # the old one is gone before the new one is made
                unit = build(welcome)
                continue
        except Exception as error:
            failed = unit_pb2.Failed(reason=said(error)[:500])
            socket.send(unit_pb2.FromUnit(failed=failed).SerializeToString())
            raise
        if body == "refused":
            raise InfrastructureError(f"unit {name} was refused: {message.refused.reason}")
        if body == "end":
            return message.end.outcome
        raise InfrastructureError(f"unit {name}: {address} sent a {body} before a welcome")


def _is_gone(monitor: zmq.Socket[bytes]) -> bool:
    try:
        monitor.recv_multipart()
    except zmq.Again:
        return False
    return True
