"""What really happened to an automated vehicle: traces every tick, and events at lights, stations and lane edges.

Reads the truth only; shares nothing with the driver. One referee per vehicle; `observe` is called once per tick after the world
has advanced. Distances along the vehicle's own `RouteLine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from protocols.judging import Event, EventKind, TraceBlock
from protocols.messages import Light
from protocols.roads.network import F64, U8, RoadNetwork, UserClass
from protocols.sentence import phrase
from protocols.simtime import NS_PER_S
from scenarios.spec import StopSpec
from sim.route_line import RouteLine
from sim.state import ActorStates
from sim.traffic.referee import HARD_BRAKING_MPS2

BLOCK_TICKS = 50
STATION_ZONE_M = 30.0  # a stop this far past the stop point still belongs to the station
CALL_M = (
    150.0  # an on-call stop asked for later than this cannot be reached: 60 km/h at 1 m/s2 is 139 m
)
SLOW_ZONE_M = (150.0, 40.0)  # control delay counts from before to behind a stop line
_FLOATS = (
    "x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "yaw_rate_radps", "hitch_rad", "steer_rad",
    "s_m", "d_m",
)  # fmt: skip


def speed_limit(net: RoadNetwork, lane: int, s_m: float) -> float:
    """Posted limit at (lane, s) in m/s; inf where none is posted."""
    first, last = int(net.lanes.speed_start[lane]), int(net.lanes.speed_start[lane + 1])
    limit = math.inf
    for k in range(first, last):
        if float(net.speed_limits.s_m[k]) > s_m and limit != math.inf:
            break
        limit = float(net.speed_limits.speed_mps[k])
    return limit


@dataclass(slots=True)
class _Halt:
    """One station of the timetable and what has happened there."""

    route_s_m: float
    station: int
    depart_s: float | None
    is_on_call: bool
    was_served: bool = False
    was_left: bool = False
    was_asked: bool = False


@dataclass(slots=True)
class Referee:
    """Keeps score for one vehicle. `blocks` and `events` are drained by the loop."""

    net: RoadNetwork
    name: str
    actor: int
    row: int
    user_class: UserClass
    line: RouteLine
    stops: tuple[StopSpec, ...]
    depart_s: float = 0.0  # what happens before is waiting for the planned departure, not delay
    route_s_m: float = 0.0
    signal_delay_s: float = 0.0
    arrived_s: float | None = None
    events: list[Event] = field(default_factory=list)
    blocks: list[TraceBlock] = field(default_factory=list)
    _halts: list[_Halt] = field(default_factory=list)
    _rows: list[tuple[float, ...]] = field(default_factory=list)  # of the open block
    _places: list[tuple[int, int]] = field(default_factory=list)
    _bound: F64 | None = None
    _reads: tuple[Callable[[int], float], ...] = ()
    _lane: int = -2
    _limit: float = math.inf
    _limit_s: float = -1.0
    _next_signal: int = 0
    _doors: int = 0
    _opened_s: float = 0.0
    _at: int = -1
    _was_off: bool = False
    _was_hard: bool = False

    def __post_init__(self) -> None:
        for place, stop in zip(self.line.stations, self.stops, strict=True):
            self._halts.append(_Halt(place.route_s_m, place.index, stop.depart_s, stop.on_call))

    def observe(
        self, t_ns: int, dt_s: float, states: ActorStates, light: U8, red_since_ns: F64
    ) -> None:
        """One tick. `light` (H,) group lights; `red_since_ns` (H,) when each last turned red."""
        row, t_s = self.row, t_ns / NS_PER_S
        lane, s_m = int(states.lane[row]), float(states.s_m[row])
        speed = float(states.speed_mps[row])
        before = self._lane
        self.locate(lane, s_m)
        self._lanes(t_ns, lane, before)
        self._signals(t_ns, light, red_since_ns)
        self._stations(t_ns, t_s, int(states.doors[row]), speed, float(states.d_m[row]))
        self._braking(t_ns, lane, float(states.accel_mps2[row]))
        self._delay(t_s, dt_s, speed)
        if self.arrived_s is None and self.route_s_m > self.line.length_m - 3.0 and speed < 0.1:
            self.arrived_s = t_s
            self.events.append(Event(t_ns, EventKind.ARRIVED, self.actor, value=t_s))
        self._trace(t_ns, states, lane)

    def locate(self, lane: int, s_m: float) -> None:
        """Progress and posted limit for the front at (lane, s); keeps what it has on no lane."""
        if lane < 0:
            return
        before = self.route_s_m
        self.route_s_m = max(before, self.line.progress(lane, s_m, before))
        if lane != self._lane or not 0.0 <= s_m - self._limit_s <= 1.0:
            self._lane, self._limit_s = lane, s_m
            self._limit = speed_limit(self.net, lane, s_m)

    @property
    def limit_mps(self) -> float:
        """Posted limit where the front is; inf where none is posted."""
        return self._limit

    def _lanes(self, t_ns: int, lane: int, before: int) -> None:
        if lane < 0:
            if not self._was_off:
                self._was_off = True
                self.events.append(Event(t_ns, EventKind.OFF_ROAD, self.actor))
            return
        self._was_off = False
        if lane != before and not int(self.net.lanes.permission[lane]) & int(self.user_class):
            self.events.append(Event(t_ns, EventKind.BUS_LANE, self.actor, lane=lane))

    def _signals(self, t_ns: int, light: U8, red_since_ns: F64) -> None:
        signals = self.line.signals
        while (
            self._next_signal < len(signals)
            and signals[self._next_signal].route_s_m <= self.route_s_m
        ):
            place = signals[self._next_signal]
            group = int(self.net.stop_lines.group[place.index])
            if int(light[group]) in (Light.RED, Light.FLASHING_RED):
                since = (t_ns - float(red_since_ns[group])) / NS_PER_S
                self.events.append(
                    Event(
                        t_ns, EventKind.RED_LIGHT, self.actor, group, place.lane, since, place.name
                    )
                )
            self._next_signal += 1

    def _stations(self, t_ns: int, t_s: float, doors: int, speed: float, d_m: float) -> None:
        if self._doors not in (0, doors):
            station = self._halts[self._at].station if self._at >= 0 else -1
            self._say(t_ns, EventKind.DOORS_CLOSED, station, t_s - self._opened_s)
        if doors not in (0, self._doors):
            self._at = next(
                (
                    k
                    for k, h in enumerate(self._halts)
                    if not h.was_left and abs(self.route_s_m - h.route_s_m) < STATION_ZONE_M
                ),
                -1,
            )
            self._opened_s = t_s
            station = self._halts[self._at].station if self._at >= 0 else -1
            if self._at >= 0:
                halt = self._halts[self._at]
                halt.was_served = True
                past = self.route_s_m - halt.route_s_m
                self._say(t_ns, EventKind.STOPPED_AT_STATION, station, past)
            self._say(t_ns, EventKind.DOORS_OPENED, station, d_m)
            side = int(self.net.stations.door_side[station]) if station >= 0 else 0
            if speed > 0.05 or side != doors:
                text = phrase("doors opened away from every station")
                if speed > 0.05:
                    text = phrase("doors opened while moving")
                elif station >= 0:
                    text = phrase("doors opened on the wrong side")
                self.events.append(
                    Event(t_ns, EventKind.DOOR_FAULT, self.actor, station, self._lane, speed, text)
                )
        self._doors = doors
        for halt in self._halts:
            if halt.was_left:
                continue
            if halt.was_served and doors == 0 and speed > 0.5:
                halt.was_left = True
                late = t_s - halt.depart_s if halt.depart_s is not None else math.nan
                self._say(t_ns, EventKind.LEFT_STATION, halt.station, late)
            elif not halt.was_served and self.route_s_m > halt.route_s_m + STATION_ZONE_M:
                halt.was_left = True
                if not halt.is_on_call or halt.was_asked:
                    self._say(t_ns, EventKind.MISSED_STATION, halt.station, 0.0)
            break

    def _say(self, t_ns: int, kind: EventKind, station: int, value: float) -> None:
        name = self.net.stations.name[station] if station >= 0 else ""
        self.events.append(Event(t_ns, kind, self.actor, station, self._lane, value, name))

    def call(self, station: int) -> None:
        """Somebody wants on-call `station` (the cabin's view); passing it counts as missed if that was known in good time."""
        for halt in self._halts:
            if halt.station == station and not halt.was_left:
                if halt.route_s_m - self.route_s_m >= CALL_M:
                    halt.was_asked = True
                return

    @property
    def station_at(self) -> int:
        """Station whose platform the front is at, -1 between stations."""
        for halt in self._halts:
            if not halt.was_left and abs(self.route_s_m - halt.route_s_m) < STATION_ZONE_M:
                return halt.station
        return -1

    def _braking(self, t_ns: int, lane: int, accel_mps2: float) -> None:
        is_hard = accel_mps2 <= -HARD_BRAKING_MPS2
        if is_hard and not self._was_hard:
            kind = EventKind.HARD_BRAKING
            self.events.append(Event(t_ns, kind, self.actor, lane=lane, value=-accel_mps2))
        self._was_hard = is_hard

    def _delay(self, t_s: float, dt_s: float, speed: float) -> None:
        """Control delay: time lost against the limit near a stop line, station dwell and approach excluded."""
        if self._doors != 0 or t_s < self.depart_s or self.arrived_s is not None:
            return
        nearby = self.line.signals[max(self._next_signal - 1, 0) : self._next_signal + 1]
        for place in nearby:
            ahead = place.route_s_m - self.route_s_m
            if -SLOW_ZONE_M[1] < ahead < SLOW_ZONE_M[0]:
                for halt in self._halts:
                    if (
                        not halt.was_left
                        and -STATION_ZONE_M < halt.route_s_m - self.route_s_m < ahead
                    ):
                        return  # slowing for a platform before the stop line, or standing at it
                free = min(self._limit, 16.7)
                self.signal_delay_s += dt_s * max(0.0, 1.0 - speed / free)
                return

    def _trace(self, t_ns: int, states: ActorStates, lane: int) -> None:
        if self._bound is not states.x_m:
            self._bound = states.x_m
            self._reads = tuple(getattr(states, name).item for name in _FLOATS)
        row = self.row
        state = [read(row) for read in self._reads]
        self._rows.append((t_ns, self._limit, self.route_s_m, *state))
        self._places.append((lane, int(states.doors[row])))
        if len(self._rows) == BLOCK_TICKS:
            self.flush()

    def flush(self) -> None:
        """Close the open block (at the end of a run, or when it is full)."""
        if not self._rows:
            return
        t_ns, limit, progress, *floats = np.array(self._rows).T.copy()
        lane, doors = np.array(self._places, dtype=np.int32).T.copy()
        self.blocks.append(
            TraceBlock(
                self.name,
                self.actor,
                t_ns=t_ns,
                speed_limit_mps=limit,
                route_s_m=progress,
                lane=lane,
                doors=doors,
                **dict(zip(_FLOATS, floats, strict=True)),
            )
        )
        self._rows.clear()
        self._places.clear()
