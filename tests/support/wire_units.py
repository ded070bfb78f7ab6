"""Units for tests of the wire: honest ones, and every way of being dishonest, as threads or processes on an address."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

import zmq

from protocols.errors import InfrastructureError
from protocols.messages import VehicleCommand
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from protocols.unit_wire import PROTOCOL, decode_tick, encode_answer, parse_to_unit
from protocols.v1 import unit_pb2
from protocols.zmq_unit import serve


class Driver:
    """Answers every tick with a command that depends on all it has heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.period_ticks = 1
        self.heard = 0

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """Counts messages."""
        self.heard += len(inbox.messages)
        return Outbox(vehicle=VehicleCommand(now.t_ns, 0.5 * self.heard, 0.01, 0, 0))


def join(name: str, address: str, context: Any = None) -> Thread:
    """An honest unit in a thread; a simulation that leaves without a word is fine with it."""

    def run() -> None:
        with suppress(InfrastructureError):
            serve(name, address, lambda welcome: Driver(name), context=context)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread


def hello(name: str, protocol: int = PROTOCOL) -> bytes:
    """A FromUnit frame with a Hello."""
    return unit_pb2.FromUnit(
        hello=unit_pb2.Hello(protocol=protocol, unit=name, software="test")
    ).SerializeToString()


def _random_bytes(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send(rng.randbytes(rng.randint(1, 2000)))


def _wrong_tick(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send(encode_answer(max(tick + rng.choice((-1, 1, 1000)), 0) or 7, Outbox()))


def _twice(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send(encode_answer(tick, Outbox()))
    socket.send(encode_answer(tick, Outbox()))


def _many_frames(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send_multipart([b"x"] * 50)


def _huge(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send(bytes(1_000_000_000))


def _hang(socket: Any, tick: int, rng: random.Random) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _die(socket: Any, tick: int, rng: random.Random) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _silent(socket: Any, tick: int, rng: random.Random) -> None:
    time.sleep(60.0)


def _again(socket: Any, tick: int, rng: random.Random) -> None:
    socket.send(hello("obu/a"))


def _give_up(socket: Any, tick: int, rng: random.Random) -> None:
    failed = unit_pb2.Failed(reason="out of memory")
    socket.send(unit_pb2.FromUnit(failed=failed).SerializeToString())


def _bad_value(socket: Any, tick: int, rng: random.Random) -> None:
    command = VehicleCommand(0, float("nan"), 0.0, 0, 0)
    socket.send(encode_answer(tick, Outbox(vehicle=command)))


MISDEEDS: dict[str, Callable[[Any, int, random.Random], None]] = {
    "random bytes": _random_bytes,
    "wrong tick": _wrong_tick,
    "answers twice": _twice,
    "many frames": _many_frames,
    "a gigabyte": _huge,
    "SIGSTOP": _hang,
    "SIGKILL": _die,
    "silence": _silent,
    "hello again": _again,
    "gives up": _give_up,
    "not a number": _bad_value,
}


def misbehave(name: str, address: str, misdeed: str, at_tick: int, seed: int) -> None:
    """Honest until `at_tick`, then `misdeed`, then honest again if it can."""
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 2_000)
    socket.connect(address)
    socket.send(hello(name))
    unit, rng = Driver(name), random.Random(seed)
    while True:
        message = parse_to_unit(socket.recv())
        body = message.WhichOneof("body")
        if body in ("end", "refused"):
            return
        if body != "tick":
            continue
        now, inbox = decode_tick(message.tick)
        if now.tick == at_tick:
            MISDEEDS[misdeed](socket, now.tick, rng)
        else:
            socket.send(encode_answer(now.tick, unit.on_tick(now, inbox)))


if __name__ == "__main__":
    misbehave(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
