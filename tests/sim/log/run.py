"""A small made-up run that fills every part of a log; `change` plants a difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from protocols import codec
from protocols.judging import TraceBlock
from protocols.messages import (
    ActorKind,
    BasicSafetyBatch,
    Light,
    Message,
    PhaseState,
    SignalCommand,
    Spat,
    VehicleCommand,
)
from protocols.simtime import Now
from sim.log.digest import DigestChain, TickDigest
from sim.log.header import RunHeader
from sim.log.writer import LogWriter
from sim.radio.air import Air
from sim.radio.channel import IdealChannel, Stations
from sim.radio.params import IdealParams
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics

TICK = 10_000_000
HEADER = RunHeader(
    "made_up", '{"seed": 7}', 7, "ab12", TICK, "c0ffee", {"numpy": "2", "icv": "0.1"}
)

FLOATS = ("x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "yaw_rate_radps", "steer_rad", "hitch_rad", "s_m", "d_m")  # fmt: skip

Change = Callable[[int, str, object], object]


def keep(tick: int, what: str, value: object) -> object:
    """No difference planted."""
    return value


class Run:
    """`ticks` ticks of five vehicles, one of them driven; vehicle 5 appears at tick 40."""

    def __init__(self, change: Change = keep) -> None:
        self.change = change
        self.states: ActorStates = empty_states(8)
        self.statics: ActorStatics = empty_statics(8)
        draw = np.random.default_rng(3)
        rows = slice(0, 5)
        self.states.id[rows] = np.arange(1, 6)
        self.states.valid[:4] = True
        self.states.x_m[rows] = draw.uniform(0, 100, 5)
        self.states.speed_mps[rows] = draw.uniform(3, 10, 5)
        self.states.lane[rows] = -1
        self.statics.kind[rows] = ActorKind.CAR
        self.statics.length_m[rows] = 4.5
        self.chain = DigestChain()
        self.digests: list[TickDigest] = []
        self.rows: list[dict[str, float]] = []  # of the driven vehicle since its last block

    def write(
        self,
        path: Path,
        ticks: int = 250,
        close: bool = True,
        chunk_bytes: int = 1 << 20,
        is_full: bool = True,
    ) -> LogWriter:
        log = LogWriter(path, HEADER, is_full, chunk_bytes)
        air = Air(IdealChannel(IdealParams(latency_ms=20.0)), TICK)
        for tick in range(ticks):
            self._tick(log, air, Now(tick, tick * TICK))
        if close:
            if self.rows:
                self._trace(log, ticks - len(self.rows))
            log.event(ticks * TICK, "stop", "obu/a", "done", {"gap_m": 0.5})
            log.result(ticks * TICK, '{"verdict": "pass"}')
            log.close()
        return log

    def _tick(self, log: LogWriter, air: Air, now: Now) -> None:
        st, tick = self.states, now.tick
        if tick == 40:
            st.valid[4] = True
        st.x_m[:5] += st.speed_mps[:5] * 0.01
        self.change(tick, "states", st)
        self.chain.truth(st)
        command = VehicleCommand(now.t_ns, 0.1 * tick, 0.02, 0, 0)
        command = self.change(tick, "command", command)  # type: ignore[assignment]
        self.chain.command("obu/a", command)
        self.rows.append({name: getattr(st, name)[0] for name in FLOATS})
        if len(self.rows) == 50:
            self._trace(log, tick - 49)
        log.command("obu/a", command)
        if tick % 5 == 0:
            log.world(now.t_ns, st, self.statics)
        if tick % 10 == 0:
            self._talk(log, air, now)
        if tick % 100 == 0:
            signal = SignalCommand(
                now.t_ns, np.array([0, 1], np.int32), np.array([2, 5 + tick // 100 % 3], np.uint8)
            )
            self.chain.command("rsu/J1", signal)
            log.message("cmd/signal", "rsu/J1", tick // 100, now.t_ns, codec.encode(signal))
            log.notes("obu/a", now.t_ns, [("gap_m", 1.5), ("eta_s", float(tick))])
            log.timing(now.t_ns, {"world": 0.1, "units": 0.2})
        log.signals(now.t_ns, np.array([2, 5 + tick // 100 % 3], np.uint8))
        self.digests.append(self.chain.close_tick(tick))
        log.digest(self.digests[-1])

    def _trace(self, log: LogWriter, first: int) -> None:
        n = len(self.rows)
        zero = np.zeros(n)
        columns = {name: np.array([row[name] for row in self.rows]) for name in FLOATS}
        self.rows.clear()
        log.trace(
            TraceBlock(
                "obu/a", 1, t_ns=(first + np.arange(n)) * float(TICK), lane=np.full(n, -1, np.int32),
                doors=np.zeros(n, np.int32), speed_limit_mps=zero, route_s_m=zero, **columns,
            )
        )  # fmt: skip

    def _talk(self, log: LogWriter, air: Air, now: Now) -> None:
        st = self.states
        rows = np.flatnonzero(st.valid)
        zero = np.zeros(rows.size)
        batch = BasicSafetyBatch(
            now.t_ns, st.id[rows], self.statics.kind[rows], st.x_m[rows], st.y_m[rows], zero, zero,
            st.speed_mps[rows], zero, zero, zero + 4.5, zero + 1.8, zero + 1.0, st.flags[rows],
        )  # fmt: skip
        phases = (PhaseState(1, Light.RED, 0, now.t_ns + TICK, None, None, None, None),)
        spat = Spat(now.t_ns, 3, "J1", phases, False)
        origin = Stations(st.id[rows], st.x_m[rows], st.y_m[rows], zero + 1.5)
        pole = Stations(np.array([1 << 31], np.uint32), np.zeros(1), np.zeros(1), np.full(1, 6.0))
        talk: list[tuple[str, str, Message, Stations]] = [
            ("fleet", "v2x/bsm", batch, origin),
            ("rsu/J1", "v2x/spat", spat, pole),
        ]
        for sender, topic, message, place in talk:
            message = self.change(now.tick, topic, message)  # type: ignore[assignment]
            data = codec.encode(message)
            seq = air.send(sender, topic, message, data, place)
            self.chain.message(sender, topic, seq, data)
            log.message(topic, sender, seq, now.t_ns, data)
        fates = air.propagate(now, ["obu/a", "rsu/J1"], Stations(
            np.array([1, 1 << 31], np.uint32), np.zeros(2), np.zeros(2), np.ones(2)
        ))  # fmt: skip
        assert fates is not None
        log.fates(fates)
