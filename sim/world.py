"""The headless world: everything that moves, the lights, and one tick of physics.

State is `ActorStates` + `ActorStatics`; background traffic and walkers belong to `sim.traffic`, automated vehicles move by their
commands through `sim.bodies`. `step` advances from tick k to k+1. Events that anybody can cause (collisions, red lights run by
background vehicles) are collected here; what concerns one automated vehicle is `sim.referee`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.judging import Event, EventKind, RunFacts
from protocols.messages import Light, SignalCommand, VehicleCommand
from protocols.roads.matching import RoadIndex, match
from protocols.roads.network import F64, I32, U8, Bool, RoadNetwork
from protocols.simtime import NS_PER_S
from sim import _route_kernels
from sim.bodies import Bodies
from sim.collision import Collisions
from sim.passengers import Cabin
from sim.referee import Referee
from sim.route_line import RouteLine
from sim.state import ActorStates, ActorStatics, Control
from sim.traffic import Traffic
from sim.traffic.detectors import Loops
from sim.traffic.referee import TrafficReferee
from vehicle.dynamics import VehicleParams

COLLISION_TICK_NS = 50_000_000  # a car at 60 km/h moves 0.8 m between two looks
DECIDE_NS = 100_000_000
LANES_AHEAD = 3  # of the route, looked at for the front bumper
ON_LANE_M = 4.0  # farther from every lane it may be matched to, a body is off the road


@dataclass(slots=True)
class UnitVehicle:
    """One automated vehicle in the world."""

    name: str
    unit: str  # the participant that drives it
    row: int
    actor: int
    params: VehicleParams
    line: RouteLine
    referee: Referee
    cabin: Cabin | None
    at: int = 0  # position on `line.lanes`
    command: VehicleCommand | None = None


@dataclass(slots=True)
class HeadlessWorld:
    """Owner of the truth. Built by `sim.compose`; (H,) arrays are per signal group."""

    net: RoadNetwork
    index: RoadIndex
    states: ActorStates
    statics: ActorStatics
    traffic: Traffic
    vehicles: tuple[UnitVehicle, ...]
    tick_ns: int
    light: U8
    red_since_ns: F64
    bodies: Bodies  # what moves the automated vehicles
    side_lanes: I32 = field(
        init=False
    )  # approaches of other roads to the junctions that automated vehicles pass
    peak: int = 0  # most background vehicles at once
    events: list[Event] = field(default_factory=list)
    loops: Loops = field(init=False)
    _referee: TrafficReferee = field(init=False)
    _collisions: Collisions = field(default_factory=Collisions)
    _touching: set[tuple[int, int]] = field(default_factory=set)
    _accel: F64 = field(init=False)
    _found: F64 = field(default_factory=lambda: np.zeros(3))
    _steer: F64 = field(init=False)

    def __post_init__(self) -> None:
        self._accel = np.zeros(len(self.vehicles))
        self._steer = np.zeros(len(self.vehicles))
        self.side_lanes = side_approaches(self.net, [v.line for v in self.vehicles])
        self.loops = Loops(self.net, self.states, self.statics)
        self._referee = TrafficReferee(self.net, self.states, self.statics)
        self.locate()

    def locate(self) -> None:
        """Lane, travel distance and offset of every automated vehicle's front bumper.

        Where lanes overlap the vehicle's own route counts; off it, the nearest lane of all, and -1 beyond `ON_LANE_M`.
        """
        states, points, start = self.states, self.net.points, self.net.lanes.point_start
        out = self._found
        for vehicle in self.vehicles:
            row, ahead = vehicle.row, vehicle.params.front_x_m
            yaw = float(states.yaw_rad[row])
            x = float(states.x_m[row]) + ahead * math.cos(yaw)
            y = float(states.y_m[row]) + ahead * math.sin(yaw)
            lanes = vehicle.line.lanes
            at = _route_kernels.follow(
                lanes, vehicle.at, LANES_AHEAD, start, points.s_m, points.x_m, points.y_m,
                points.z_m, x, y, out,
            )  # fmt: skip
            if at >= 0 and abs(out[1]) <= 0.5 * ON_LANE_M:
                vehicle.at = at
                states.lane[row] = lanes[at]
                states.s_m[row], states.d_m[row], states.z_m[row] = out
                continue
            found = match(
                self.index, [x], [y], [yaw], [float(states.z_m[row])], max_distance_m=ON_LANE_M
            )
            states.lane[row] = found.lane[0] if found.valid[0] else -1
            if found.valid[0]:
                states.s_m[row] = found.s_m[0]
                states.d_m[row] = found.d_m[0]
                states.z_m[row] = found.z_m[0]

    def apply_signals(self, t_ns: int, commands: Iterable[SignalCommand]) -> None:
        """Show what the controllers say, from now on."""
        for command in commands:
            was = self.light[command.group]
            self.light[command.group] = command.light
            turned = command.group[(command.light == Light.RED) & (was != Light.RED)]
            self.red_since_ns[turned] = t_ns

    def step(
        self, t_ns: int, commands: Mapping[str, VehicleCommand], signals: Sequence[SignalCommand]
    ) -> None:
        """One tick from `t_ns`: lights, automated vehicles, traffic, walkers, people at doors, contacts."""
        self.apply_signals(t_ns, signals)
        dt_s = self.tick_ns / NS_PER_S
        states = self.states
        for k, vehicle in enumerate(self.vehicles):
            command = commands.get(vehicle.unit, vehicle.command)
            vehicle.command = command
            if command is None:
                continue
            self._accel[k] = command.accel_mps2
            self._steer[k] = command.steer_rad
            states.doors[vehicle.row] = command.open_doors
            states.flags[vehicle.row] = command.flags
        if self.vehicles:
            self.bodies.step(t_ns, dt_s, self._accel, self._steer)
            self.locate()
        if t_ns % DECIDE_NS == 0:
            self.events += self._referee.observe(t_ns, self.light)
            self.loops.observe()
            self.traffic.decide(t_ns, self.light)
            moving = self.states.valid & (self.statics.control == Control.TRAFFIC)
            self.peak = max(self.peak, int(np.count_nonzero(moving)))
        self.traffic.advance(dt_s)
        for vehicle in self.vehicles:
            if vehicle.cabin is not None:
                for asked in vehicle.cabin.wanted():
                    vehicle.referee.call(asked)
                station = vehicle.referee.station_at
                vehicle.cabin.update(t_ns, int(states.doors[vehicle.row]), station)
        if t_ns % COLLISION_TICK_NS == 0:
            self._contacts(t_ns)

    def _contacts(self, t_ns: int) -> None:
        """COLLISION once per pair and touch."""
        states = self.states
        pairs = self._collisions.find(states, self.statics)
        now: set[tuple[int, int]] = set()
        control = self.statics.control
        for a, b in pairs:
            if control[a] == Control.WALKER and control[b] == Control.WALKER:
                continue  # people brush past each other; that is no accident
            key = (int(states.id[a]), int(states.id[b]))  # rows are handed on, ids are not
            now.add(key)
            if key in self._touching:
                continue
            dvx = states.speed_mps[a] * np.cos(states.yaw_rad[a])
            dvx -= states.speed_mps[b] * np.cos(states.yaw_rad[b])
            dvy = states.speed_mps[a] * np.sin(states.yaw_rad[a])
            dvy -= states.speed_mps[b] * np.sin(states.yaw_rad[b])
            first, second = (a, b) if control[a] == Control.UNIT else (b, a)
            self.events.append(
                Event(
                    t_ns,
                    EventKind.COLLISION,
                    int(states.id[first]),
                    int(states.id[second]),
                    int(states.lane[first]),
                    float(np.hypot(dvx, dvy)),
                )
            )
        self._touching = now

    # what others ask ---------------------------------------------------------------------------------------------

    def buttons(self) -> Bool:
        """(X,) push buttons of crossings: somebody waits for the green."""
        return self.traffic.walkers.pressed()

    def summarise(self, facts: RunFacts) -> None:
        """Numbers of the background at the end of a run."""
        counts = self.traffic.counts()
        facts.traffic = {name: float(value) for name, value in counts.items()}
        facts.traffic["peak"] = float(self.peak)
        moving = self.states.valid & (self.statics.control == Control.TRAFFIC)
        if moving.any():
            facts.traffic["mean_speed_mps"] = float(self.states.speed_mps[moving].mean())
        stat = self.traffic.lane_stat[self.side_lanes]
        passages = float(stat[:, 0].sum())
        if passages:
            facts.side_street_delay_s = float(stat[:, 1].sum()) / passages
            facts.side_street_max_wait_s = float(stat[:, 2].max())


def side_approaches(net: RoadNetwork, lines: Sequence[RouteLine]) -> I32:
    """Signalised approach lanes, at junctions on `lines`, of roads that `lines` do not use."""
    stop, groups = net.stop_lines, net.groups
    own: set[int] = set()
    junctions: set[int] = set()
    for line in lines:
        own.update(net.lanes.road[line.lanes].tolist())
        junctions.update(int(groups.junction[stop.group[place.index]]) for place in line.signals)
    found = {
        int(stop.lane[k])
        for k in range(stop.lane.size)
        if int(stop.group[k]) >= 0
        and int(groups.junction[stop.group[k]]) in junctions
        and int(net.lanes.road[stop.lane[k]]) not in own
    }
    return np.asarray(sorted(found), dtype=np.int32)
