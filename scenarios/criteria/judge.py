"""The judge: hears a run tick by tick, live or from a log, and ends with a verdict. Memory does not grow with the run.

Truth of automated vehicles arrives in blocks of any length; they are gathered to `_GATHER` rows before anybody computes, because
numpy on single rows would cost more than the simulation. Results do not depend on how the run was cut into blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

import numpy as np

from protocols.judging import Event, EventKind, RunFacts, TraceBlock
from protocols.simtime import NS_PER_S
from scenarios.criteria.context import Checker, Context, RearSection, seconds
from scenarios.criteria.driving import Comfort, Speeding
from scenarios.criteria.models import parse
from scenarios.criteria.network import Flow, Gridlock, Periods, Priority, SideStreets
from scenarios.criteria.rules import Background, Collisions, Lanes, RedLights, SignalPhases
from scenarios.criteria.service import Arrivals, Stations, Timetable
from scenarios.spec import SceneSpec
from scenarios.verdict import Verdict, decide

_GATHER = 4096
_STAND_MPS = 0.1
_COLUMNS = tuple(f.name for f in fields(TraceBlock) if f.name not in ("name", "actor"))

_CHECKERS: dict[str, Callable[..., Checker]] = {
    "no_collision": Collisions,
    "no_red_light": RedLights,
    "lane_rules": Lanes,
    "speed_limit": Speeding,
    "station_stops": Stations,
    "comfort": Comfort,
    "arrival": Arrivals,
    "timetable": Timetable,
    "priority_granted": Priority,
    "side_street_delay": SideStreets,
    "message_periods": Periods,
    "background_clean": Background,
    "signal_rules": SignalPhases,
    "traffic_flow": Flow,
    "no_gridlock": Gridlock,
}


@dataclass(slots=True)
class _Trip:
    """Numbers of one vehicle that a reader wants whatever the criteria."""

    depart_ns: float = 0.0  # what happens before is waiting for the planned departure, not travel
    arrived_ns: float = np.inf
    last_ns: float | None = None
    distance_m: float = 0.0
    standing_s: float = 0.0
    dwell_s: float = 0.0
    stations: int = 0
    stops_on_the_way: int = 0  # standstills between two drives without open doors
    hard_brakings: int = 0
    is_standing: bool = True
    has_moved: bool = False
    had_doors: bool = False  # during the present standstill
    pending: list[TraceBlock] = field(default_factory=list)
    pending_rows: int = 0

    def add(self, block: TraceBlock) -> None:
        """Distance, stops, time standing."""
        first, end = np.searchsorted(block.t_ns, (self.depart_ns, self.arrived_ns))
        rows = slice(int(first), int(end))
        t_ns, speed, doors = block.t_ns[rows], np.abs(block.speed_mps[rows]), block.doors[rows] != 0
        if not t_ns.size:
            return
        dt_s = np.diff(t_ns, prepend=t_ns[0] if self.last_ns is None else self.last_ns) / 1e9
        self.last_ns = float(t_ns[-1])
        self.distance_m += float(np.sum(speed * dt_s))
        stands = speed < _STAND_MPS
        self.standing_s += float(np.sum(dt_s[stands & ~doors]))
        changes = np.flatnonzero(np.diff(stands.astype(np.int8)))
        for begin, end in pairwise([0, *(changes + 1).tolist(), stands.size]):
            if stands[begin]:
                self.had_doors = self.had_doors or bool(doors[begin:end].any())
                self.is_standing = True
            else:
                if self.is_standing and self.has_moved and not self.had_doors:
                    self.stops_on_the_way += 1
                self.is_standing, self.has_moved, self.had_doors = False, True, False


class Judge:
    """Listens, then answers. `on_trace` and `on_event` in order of time; `finish` once."""

    def __init__(
        self,
        spec: SceneSpec,
        vehicles: Mapping[str, int],
        *,
        rear: Mapping[str, RearSection] | None = None,
        lane_key: Callable[[int], str] = str,
    ) -> None:
        context = Context(spec, vehicles, rear or {}, lane_key)
        self._context = context
        self._checkers = [_CHECKERS[model.kind](model, context) for model in parse(spec.criteria)]
        departs_s = {vehicle.name: vehicle.depart_s for vehicle in spec.vehicles}
        self._trips = {name: _Trip(departs_s.get(name, 0.0) * NS_PER_S) for name in vehicles}

    def on_trace(self, block: TraceBlock) -> None:
        """Rows of one automated vehicle."""
        trip = self._trips.get(block.name)
        if trip is None or not block.t_ns.size:
            return
        trip.pending.append(block)
        trip.pending_rows += block.t_ns.size
        if trip.pending_rows >= _GATHER:
            self._flush(trip)

    def on_event(self, event: Event) -> None:
        """One event."""
        for checker in self._checkers:
            checker.on_event(event)
        trip = self._trips.get(self._context.name(event.actor))
        if trip is not None:
            if event.kind == EventKind.DOORS_CLOSED:
                trip.stations += 1
                trip.dwell_s += event.value
            elif event.kind == EventKind.ARRIVED:
                trip.arrived_ns = float(event.t_ns)
            elif event.kind == EventKind.HARD_BRAKING:
                trip.hard_brakings += 1

    def finish(self, facts: RunFacts) -> Verdict:
        """The verdict."""
        for trip in self._trips.values():
            self._flush(trip)
        results = [result for checker in self._checkers for result in checker.results(facts)]
        return decide(results, {name: self._numbers(name, facts) for name in self._trips})

    def _flush(self, trip: _Trip) -> None:
        if trip.pending:
            block = _join(trip.pending)
            trip.pending, trip.pending_rows = [], 0
            trip.add(block)
            for checker in self._checkers:
                checker.on_trace(block)

    def _numbers(self, name: str, facts: RunFacts) -> dict[str, float]:
        trip = self._trips[name]
        ended_s = facts.arrived_s.get(name, seconds(trip.last_ns or 0.0))
        travel_s = max(0.0, ended_s - seconds(trip.depart_ns))
        numbers = {
            "travel_time_s": travel_s,
            "distance_m": trip.distance_m,
            "mean_speed_mps": trip.distance_m / travel_s if travel_s > 0 else 0.0,
            "stations": float(trip.stations),
            "dwell_s": trip.dwell_s,
            "stops_on_the_way": float(trip.stops_on_the_way),
            "standing_s": trip.standing_s,
            "hard_brakings": float(trip.hard_brakings),
        }
        if name in facts.signal_delay_s:
            numbers["signal_delay_s"] = facts.signal_delay_s[name]
        for checker in self._checkers:
            if isinstance(checker, Comfort) and name in checker.rides:
                for key, channel in checker.rides[name].channels.items():
                    numbers[f"{key.replace(' ', '_')}_p95"] = channel.p95
        return numbers


def _join(blocks: Sequence[TraceBlock]) -> TraceBlock:
    """Consecutive blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    columns = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in _COLUMNS}
    return TraceBlock(name=blocks[0].name, actor=blocks[0].actor, **columns)
