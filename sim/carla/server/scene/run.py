"""One episode of a scene, without the world around it: traffic, people, detectors and signals, step by step as in a headless run.

The order within a step is that of `sim.world`: controllers, detectors, decisions (every 100 ms), then motion (every base tick).
Automated vehicles are not part of it: the client brings them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from protocols.roads.matching import RoadIndex
from protocols.simtime import NS_PER_S
from sim.carla.server.scene.guests import Guests
from sim.carla.server.scene.signals import Signals
from sim.config import Resolved
from sim.rows import RowAllocator
from sim.state import empty_states, empty_statics
from sim.traffic import Traffic
from sim.traffic.detectors import Loops

CAPACITY = 2048
DECIDE_NS = 100_000_000
MAX_QUEUE = 1_000_000  # outside a lane: a client that parks on it is not the demand's mistake


class Run:
    """`t_ns` and `tick` count from the beginning of the episode."""

    def __init__(self, resolved: Resolved, index: RoadIndex, seed: int) -> None:
        spec, net = resolved.spec, resolved.net
        self.tick_ns = spec.tick_ms * 1_000_000
        self.t_ns = self.tick = 0
        self.states, self.statics = empty_states(CAPACITY), empty_statics(CAPACITY)
        self.rows = RowAllocator(CAPACITY)
        demand = dataclasses.replace(resolved.traffic, max_queue=MAX_QUEUE)
        self.traffic = Traffic(net, demand, seed, self.states, self.statics, self.rows)
        self.loops = Loops(net, self.states, self.statics)
        self.signals = Signals(
            net, resolved.plans, spec.tick_ms, self.loops, self.traffic.walkers.pressed
        )
        self.guests = Guests(net, index, self.states, self.statics, self.rows, self.traffic)
        self._rest_ns = 0
        self.signals.step(0, 0)  # lights are lit before anybody looks

    def step(self, dt_s: float, look: Callable[[], None]) -> None:
        """All base ticks that are over when `dt_s` more have passed; `look` brings guests up to date before each decision."""
        self._rest_ns += round(dt_s * NS_PER_S)
        while self._rest_ns >= self.tick_ns:
            self._rest_ns -= self.tick_ns
            if self.t_ns % DECIDE_NS == 0:
                if self.tick:
                    self.signals.step(self.t_ns, self.tick)
                look()
                if self.signals.needs_loops:
                    self.loops.observe()
                self.traffic.decide(self.t_ns, self.signals.light)
                self.traffic.trips.clear()  # a server may run for days
                self.traffic.walkers.waited_s.clear()
            self.traffic.advance(self.tick_ns / NS_PER_S)
            self.t_ns += self.tick_ns
            self.tick += 1
            self.signals.now_ns = self.t_ns

    def remove(self, row: int) -> None:
        """Whoever a client took away leaves the traffic: a vehicle at once, a walker with the next decision."""
        if self.traffic.mine[row]:
            self.traffic._leave(row)
        else:
            walkers = self.traffic.walkers
            walkers._u[row] = walkers._end[row]
