"""Who waits at stations, who is on board, and how long doors stay busy. Physics of people, not a unit.

Waiting passengers arrive in a Poisson stream per (station, vehicle line), whose draws belong to that station alone; nobody waits at
the last stop. Each boarding passenger draws at once how many of the line's later stops to ride, getting off at every further
stop with probability `alighting_share`. Door time follows the TCQSM dwell
model: dead time, then alighting, then boarding, per person and channel. What a vehicle learns of it is a `CabinReading`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from protocols.sensing import CabinReading
from protocols.simtime import NS_PER_S
from protocols.streams import generator

_NEVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class PassengerParams:
    """Rates and times; see `scenarios.spec.PassengerSpec` for sources."""

    boarding_per_hour: float
    alighting_share: float
    door_dead_time_s: float
    boarding_s: float
    alighting_s: float
    channels: int
    capacity: int


@dataclass(slots=True)
class _Stop:
    station: int
    is_on_call: bool
    rng: np.random.Generator
    next_arrival_ns: int
    waiting: int = 0


@dataclass(slots=True)
class Cabin:
    """One line vehicle, its stops in order, and its passengers."""

    name: str
    params: PassengerParams
    stops: list[_Stop]
    rider_rng: np.random.Generator
    riders: list[int] = field(default_factory=list)  # per stop: riders who get off there
    next_stop: int = 0  # first stop not yet left
    is_open: bool = False
    at: int = -1  # stop served while the doors are open
    opened_ns: int = 0
    busy_until_ns: int = 0
    num_boarded: int = 0

    def _gap_ns(self, stop: _Stop) -> int:
        rate = self.params.boarding_per_hour
        if rate <= 0.0:
            return _NEVER_NS
        return max(1, round(stop.rng.exponential(3600.0 / rate) * NS_PER_S))

    def arrive(self, t_ns: int) -> None:
        """People who came to the stops up to now."""
        for stop in self.stops:
            while stop.next_arrival_ns <= t_ns:
                stop.waiting += 1
                stop.next_arrival_ns += self._gap_ns(stop)

    def _exchange(self, at: int, from_ns: int) -> int:
        """Let people off and on at stop `at`; the stamp at which the last one is through."""
        params, stop = self.params, self.stops[at]
        leaving = sum(self.riders[: at + 1])
        for k in range(at + 1):
            self.riders[k] = 0
        on_board = sum(self.riders)
        is_last = at == len(self.stops) - 1
        boarding = 0 if is_last else min(stop.waiting, params.capacity - on_board)
        stop.waiting -= boarding
        for _ in range(boarding):
            off = at + 1
            while off < len(self.stops) - 1 and self.rider_rng.random() >= params.alighting_share:
                off += 1
            self.riders[off] += 1
        self.num_boarded += boarding
        rounds = math.ceil(leaving / params.channels) * params.alighting_s
        rounds += math.ceil(boarding / params.channels) * params.boarding_s
        return from_ns + round(rounds * NS_PER_S)

    def wanted(self) -> list[int]:
        """On-call stations ahead where somebody waits, or to which somebody on board rides."""
        ahead = range(self.next_stop, len(self.stops))
        asked = [k for k in ahead if self.stops[k].waiting > 0 or self.riders[k] > 0]
        return [self.stops[k].station for k in asked if self.stops[k].is_on_call]

    def update(self, t_ns: int, doors: int, station: int) -> None:
        """Doors at `t_ns` (0 closed) while the front stands at `station` (-1: at none)."""
        self.arrive(t_ns)
        if doors == 0:
            if self.is_open:
                self.is_open = False
            return
        if not self.is_open:
            later = range(self.next_stop, len(self.stops))  # a line may serve a station twice
            self.at = next((k for k in later if self.stops[k].station == station), -1)
            self.is_open = True
            self.opened_ns = t_ns
            self.busy_until_ns = t_ns + round(self.params.door_dead_time_s * NS_PER_S)
            if self.at >= 0:
                self.busy_until_ns = self._exchange(self.at, self.busy_until_ns)
                self.next_stop = self.at + 1
        elif self.at >= 0 and t_ns >= self.busy_until_ns and self.stops[self.at].waiting > 0:
            # Somebody came running while the doors were still open.
            self.busy_until_ns = self._exchange(self.at, t_ns)

    def reading(self, t_ns: int, doors: int) -> CabinReading:
        """What the door and passenger counters say."""
        calls = tuple(
            s.station for s in self.stops[self.next_stop :] if s.is_on_call and s.waiting > 0
        )
        on_call_next = next(
            (k for k in range(self.next_stop, len(self.stops)) if self.stops[k].is_on_call), -1
        )
        return CabinReading(
            t_ns=t_ns,
            doors=doors,
            is_boarding_done=not self.is_open or t_ns >= self.busy_until_ns,
            num_passengers=sum(self.riders),
            is_stop_requested=on_call_next >= 0 and self.riders[on_call_next] > 0,
            waiting_stations=calls,
        )


def make_cabin(
    name: str, params: PassengerParams, stations: list[tuple[int, bool]], seed: int
) -> Cabin:
    """A cabin serving `stations` [(index into RoadNetwork.stations, is on call)] in order."""
    stops: list[_Stop] = []
    cabin = Cabin(name, params, stops, generator(seed, f"riders/{name}"), [0] * len(stations))
    for k, (station, is_on_call) in enumerate(stations):
        times = sum(
            other == station for other, _ in stations[:k]
        )  # a line may serve a station twice
        rng = generator(seed, f"waiting/{name}/{station}/{times}")
        stop = _Stop(station, is_on_call, rng, _NEVER_NS)
        if k < len(stations) - 1:
            stop.next_arrival_ns = cabin._gap_ns(stop)
        stops.append(stop)
    return cabin
