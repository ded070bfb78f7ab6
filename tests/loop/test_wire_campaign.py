"""Units that really break, over the wire, at random: each ends the run in time with an error that names unit and tick."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import zmq

from protocols.errors import UnitError
from protocols.participant import Inbox
from protocols.sensing import Readings
from protocols.simtime import Now
from protocols.unit_wire import decode_tick, encode_answer, parse_to_unit
from protocols.zmq_bus import Limits, ZmqBus
from tests.support.wire_units import MISDEEDS, Driver, hello, join

ROOT = Path(__file__).parents[2]
LIMITS = Limits(join_s=60.0, first_answer_s=30.0, answer_s=1.0)
NAMES = (
    "obu/a",
    "obu/b",
    "obu/c",
    "obu/d",
)  # on-board units, because the honest ones command vehicles
OWN_PROCESS = ("a gigabyte", "SIGSTOP", "SIGKILL")  # the others are as bad in a thread
GRACE_S = 8.0  # beyond the limit: a busy machine, and a gigabyte to be refused


def culprit(name: str, address: str, misdeed: str, at_tick: int, seed: int) -> Thread:
    """`tests.support.wire_units.misbehave` in a thread that leaves nothing behind when the run is over."""

    def run() -> None:
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 30_000)
        socket.connect(address)
        unit, rng = Driver(name), random.Random(seed)
        with suppress(zmq.ZMQError):
            socket.send(hello(name))
            while True:
                message = parse_to_unit(socket.recv())
                body = message.WhichOneof("body")
                if body in ("end", "refused"):
                    break
                if body != "tick":
                    continue
                now, inbox = decode_tick(message.tick)
                if now.tick != at_tick:
                    socket.send(encode_answer(now.tick, unit.on_tick(now, inbox)))
                elif misdeed != "silence":
                    MISDEEDS[misdeed](socket, now.tick, rng)
        socket.close()
        context.term()

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread


def one(seed: int) -> str:
    """One run with one misdeed; returns the misdeed. AssertionError unless it ended as it must."""
    rng = random.Random(seed)
    misdeed = rng.choice(tuple(MISDEEDS))
    names = rng.sample(NAMES, rng.randint(1, len(NAMES)))
    bad, at_tick = rng.choice(names), rng.randint(1, 40)
    bus = ZmqBus("tcp://127.0.0.1:*", dict.fromkeys(names, 1), time.monotonic_ns, limits=LIMITS)
    process: subprocess.Popen[bytes] | None = None
    threads = [join(name, bus.address) for name in names if name != bad]
    try:
        if misdeed in OWN_PROCESS:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.wire_units", bad, bus.address, misdeed, str(at_tick), str(seed)],
                cwd=ROOT,
            )  # fmt: skip
        else:
            threads.append(culprit(bad, bus.address, misdeed, at_tick, seed))
        bus.gather()
        last_s = time.monotonic()
        try:
            for tick in range(at_tick + 5):
                last_s = time.monotonic()
                bus.exchange(Now(tick, tick * 10_000_000), {name: Inbox((), Readings()) for name in bus.due(tick)})  # fmt: skip
        except UnitError as error:
            took_s, sentence = time.monotonic() - last_s, str(error)
        else:
            raise AssertionError(f"seed {seed}: {misdeed} of {bad} at tick {at_tick} went unseen")
        allowed = (at_tick, at_tick + 1) if misdeed == "answers twice" else (at_tick,)
        assert any(f"unit {bad} at tick {tick} " in sentence for tick in allowed), (seed, misdeed, sentence)  # fmt: skip
        assert took_s < LIMITS.answer_s + GRACE_S, (seed, misdeed, took_s)
    finally:
        bus.end("infrastructure error")
        bus.close()
        if process is not None:
            process.kill()
            process.wait()
        for thread in threads:
            thread.join(5.0)
    return misdeed


@pytest.mark.parametrize("seed", range(15))
def test_whatever_a_unit_does_the_run_ends_in_time_and_names_it(seed: int) -> None:
    one(seed)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_thousand_times() -> None:
    seen = Counter(one(seed) for seed in range(1000, 2000))
    assert set(seen) == set(MISDEEDS)
