"""Units in other processes: what lock-step costs over a bare pyzmq request and reply of the same bytes, and a corridor of processes.

Blocks of round trips alternate, ours and bare, against two echo processes, so that both meet the same machine. The state is a BSM batch of
50 vehicles and an inbox of one message; the unit answers with a vehicle command. "read" also reads the batch into arrays.

`python -m sim.bench.bus unit|read|bare ADDRESS SIZE` is the other side.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import zmq

from protocols import codec
from protocols.messages import BasicSafetyBatch, VehicleCommand
from protocols.participant import Inbox, Outbox, Received
from protocols.sensing import Readings
from protocols.simtime import Now
from protocols.unit_wire import encode_answer, encode_tick
from protocols.zmq_bus import ZmqBus
from protocols.zmq_unit import serve
from sim.bench.child import ZMQ, run_child
from sim.bench.measure import Row, row

NAME = "obu/a"
AGENTS = 50
ROUNDS = 4_000
WARM = 500
BLOCK = 250  # round trips of one kind in a row, as a run makes them
PEER = "pyzmq REQ/REP"


class Echo:
    """Answers with a command; `reads` looks at what it heard first."""

    name = NAME
    period_ticks = 1

    def __init__(self, reads: bool) -> None:
        self._reads = reads

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """One command."""
        if self._reads:
            for item in inbox.messages:
                assert item.message.t_ns >= 0
        return Outbox(vehicle=VehicleCommand(now.t_ns, 1.0, 0.1, 0, 0))


def rows(runs: int) -> Iterator[Row]:
    """Bus rows."""
    for kind, what in (("unit", "round trip"), ("read", "round trip, state read into arrays")):
        ours, bare = [], []
        for _ in range(runs):
            a, b = _round_trips(kind)
            ours.append(np.percentile(a, (50, 99)))
            bare.append(np.percentile(b, (50, 99)))
        for k, metric in enumerate(("p50", "p99")):
            workload = f"lock-step {what}, state of {AGENTS} agents"
            yield row(workload, metric, [float(v[k]) for v in ours], "us", basis="wall")
            yield row(workload, metric, [float(v[k]) for v in bare], "us", peer=PEER, basis="wall")
    run_child("brt_corridor", ("duration_s=5", ZMQ))  # compiles what is not compiled yet
    there = [run_child("brt_corridor", (ZMQ,)) for _ in range(runs)]
    workload = f"brt_corridor, {there[0]['duration_s']:.0f} s, 6 unit processes"
    factors = [r["timing"]["realtime_factor"] for r in there]
    yield row(workload, "real-time factor, wall", factors, "x", basis="wall")
    for key in ("bus_ms_mean", "bus_ms_p99"):
        yield row(workload, key.replace("_ms_", " exchange "), [r["timing"][key] for r in there], "ms", basis="wall")  # fmt: skip


def _round_trips(kind: str) -> tuple[Sequence[float], Sequence[float]]:
    """(ours, bare) in microseconds, WARM left out."""
    draw = np.random.default_rng(1)
    x, y, z, yaw, v, a, turn, length, width, rear = draw.normal(0, 100, (10, AGENTS))
    number = np.arange(AGENTS, dtype=np.uint32)
    batch = BasicSafetyBatch(
        0, number, np.ones(AGENTS, np.uint8), x, y, z, yaw, v, a, turn, length, width, rear, number
    )
    data = codec.encode(batch)

    def inbox(tick: int) -> Inbox:
        return Inbox((Received("v2x/bsm", "fleet", tick, 0, tick, batch, data),), Readings())

    last = Now(ROUNDS, ROUNDS * 10_000_000)
    request = encode_tick(last, inbox(ROUNDS))
    reply = encode_answer(ROUNDS, Echo(False).on_tick(last, inbox(ROUNDS)))
    bus = ZmqBus("tcp://127.0.0.1:*", {NAME: 1}, time.perf_counter_ns)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bare = context.socket(zmq.REQ)
    port = bare.bind_to_random_port("tcp://127.0.0.1")
    peers = [
        _start(kind, bus.address, 0), _start("bare", f"tcp://127.0.0.1:{port}", len(reply)),
    ]  # fmt: skip
    ours, theirs = [], []
    try:
        bus.gather()
        for block in range(0, ROUNDS + WARM, BLOCK):
            for tick in range(block, block + BLOCK):
                now, heard = Now(tick, tick * 10_000_000), inbox(tick)
                start = time.perf_counter_ns()
                bus.exchange(now, {NAME: heard})
                ours.append((time.perf_counter_ns() - start) / 1e3)
            for _ in range(BLOCK):
                start = time.perf_counter_ns()
                bare.send(request)
                bare.recv()
                theirs.append((time.perf_counter_ns() - start) / 1e3)
        bus.end("pass")
    finally:
        bus.close()
        bare.close(0)
        context.term()
        for peer in peers:
            peer.terminate()
            peer.wait()
    return ours[WARM:], theirs[WARM:]


def _start(kind: str, address: str, size: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "sim.bench.bus", kind, address, str(size)])


def _other_side(kind: str, address: str, size: int) -> None:
    if kind != "bare":
        serve(NAME, address, lambda welcome: Echo(kind == "read"))
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.REP)
    socket.connect(address)
    reply = bytes(size)
    while True:
        socket.recv()
        socket.send(reply)


if __name__ == "__main__":
    _other_side(sys.argv[1], sys.argv[2], int(sys.argv[3]))
