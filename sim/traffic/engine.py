"""Background traffic as one object: decisions at 10 Hz, motion every tick, arrivals and departures.

`decide` reads lights, walkers and automated vehicles (rows under `Control.UNIT`) and sets accelerations; `advance` moves and
writes the shared state. A vehicle appears only where there is room and leaves only at the end of a destination lane; who
cannot appear yet waits outside in the order of departure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols import streams
from protocols.errors import ConfigError, RoadError
from protocols.roads.network import F64, I32, U8, Bool, RoadNetwork, UserClass
from protocols.sentence import say
from protocols.simtime import NS_PER_S
from sim.rows import RowAllocator
from sim.state import ActorStates, ActorStatics, Control
from sim.traffic import _decide_kernels, _kernels
from sim.traffic import _kernels as k
from sim.traffic.config import KINDS, Flow, TrafficConfig, driver_class
from sim.traffic.demand import Departures, pick
from sim.traffic.entry import entry_speed
from sim.traffic.external import Externals
from sim.traffic.tables import LaneTables, Routes, lane_tables
from sim.traffic.walkers import Walkers

DECIDE_S = 0.1
ODO_START_M = 1000.0
GIVE_UP_S = 40.0


@dataclass(frozen=True, slots=True)
class Trip:
    """One journey that ended. `free_s`: at the own desired speed without anybody else."""

    actor: int
    flow: int  # index into config.flows, -1 for vehicles placed by hand
    kind: str
    origin: int
    wanted_s: float  # when it wanted to leave
    start_s: float  # when there was room
    end_s: float
    free_s: float
    halts: int

    @property
    def delay_s(self) -> float:
        """Time lost against an empty road, waiting outside included."""
        return self.end_s - self.wanted_s - self.free_s


@dataclass(frozen=True, slots=True)
class Waiting:
    """A vehicle outside an origin lane."""

    flow: int
    wanted_s: float
    kind: str
    route: int
    leg: int
    origin: int
    speed_factor: float


@dataclass(slots=True)
class Traffic:
    """All background vehicles of one run. Rows it owns carry `Control.TRAFFIC`."""

    net: RoadNetwork
    config: TrafficConfig
    seed: int
    states: ActorStates
    statics: ActorStatics
    rows: RowAllocator
    tables: LaneTables = field(init=False)
    routes: Routes = field(init=False)
    walkers: Walkers = field(init=False)
    vf: F64 = field(init=False)
    vi: I32 = field(init=False)
    counters: npt.NDArray[np.int64] = field(init=False)
    lane_stat: F64 = field(init=False)  # (L, 3) passages, summed delay s, largest delay s
    cross_block: U8 = field(init=False)  # (X,) 1 somebody waits, 2 somebody is on or about to be
    trips: list[Trip] = field(default_factory=list)
    now_s: float = 0.0
    num_spawned: int = 0
    num_diverted: int = 0
    departures: list[Departures] = field(init=False)
    _queues: dict[int, deque[Waiting]] = field(default_factory=dict)
    _leg_i: I32 = field(init=False)
    _leg_f: F64 = field(init=False)
    _keys: npt.NDArray[np.uint64] = field(init=False)
    _arrived: I32 = field(init=False)
    _ends: F64 = field(init=False)  # (2, 3) scratch: where both ends of a vehicle are
    _about: dict[int, Waiting] = field(default_factory=dict)
    _externals: Externals = field(init=False)
    _choices: list[dict[str, list[tuple[int, list[tuple[int, int, float]]]]]] = field(init=False)
    _no_light: U8 = field(init=False)

    def __post_init__(self) -> None:
        capacity = int(self.states.valid.size)
        self.tables = lane_tables(
            self.net, self.config.default_speed_mps, self.config.lateral_accel_mps2
        )
        self.routes = Routes(self.net)
        self.vf = np.zeros((2 * capacity, k.F_COLS))
        self.vi = np.full((2 * capacity, k.I_COLS), -1, dtype=np.int32)
        self.vi[:, k.KIND] = k.FREE_ROW
        self.vi[:, k.NB] = 0
        self.counters = np.zeros(8, dtype=np.int64)
        self.counters[k.C_TICKET] = 1
        self.lane_stat = np.zeros((self.net.num_lanes, 3))
        self.cross_block = np.zeros(max(self.tables.cr_f.shape[0], 1), dtype=np.uint8)
        self._keys = np.zeros(capacity, dtype=np.uint64)
        self._arrived = np.zeros(capacity, dtype=np.int32)
        self._ends = np.empty((2, 3))
        self._leg_i = np.full((1, 2), -1, dtype=np.int32)
        self._leg_f = np.zeros((1, 2))
        self._no_light = np.zeros(1, dtype=np.uint8)
        self.walkers = Walkers(
            self.net,
            self.config.walkers,
            self.seed,
            self.states,
            self.statics,
            self.rows,
            self.tables,
        )
        self._externals = Externals(self.net, self.tables, self.vf, self.vi)
        self.departures = [
            Departures(
                f.name,
                f.vehicles_per_hour,
                f.start_s,
                f.end_s,
                f.process == "even",
                self.seed,
                f.only,
            )
            for f in self.config.flows
        ]
        self._choices = [self._resolve(flow) for flow in self.config.flows]

    # Set-up ------------------------------------------------------------------------------------

    def _resolve(self, flow: Flow) -> dict[str, list[tuple[int, list[tuple[int, int, float]]]]]:
        """For every class of the flow: origins with the (route, leg, weight) that can be driven from there."""
        out: dict[str, list[tuple[int, list[tuple[int, int, float]]]]] = {}
        for kind, share in flow.mix:
            if share <= 0:
                continue
            user = KINDS[kind][1]
            rows = self.routes.add(
                [goal if isinstance(goal, tuple) else (goal,) for goal, _ in flow.destinations],
                user,
            )
            ways = [
                (row, -1, weight)
                for row, (_, weight) in zip(rows, flow.destinations, strict=True)
                if weight > 0
            ]
            if flow.stops:
                ways = [self._itinerary(flow, user, row, weight) for row, _, weight in ways]
            origins = []
            for lane in flow.origins:
                if not int(self.net.lanes.permission[lane]) & int(user):
                    continue
                fit = [w for w in ways if self.routes.act[w[0], lane] != k.NO_WAY]
                if fit:
                    origins.append((lane, fit))
            if not origins:
                raise RoadError(
                    say(
                        "flow '{name}': no origin lane admits a {kind} and leads to a destination; first origin is {lane} "
                        "on '{network}'. Check lane permissions and links, or leave the class out of `mix`.",
                        name=flow.name, kind=kind, lane=self.net.lane_key(flow.origins[0]), network=self.net.name,
                    )
                )  # fmt: skip
            out[kind] = origins
        return out

    def _itinerary(
        self, flow: Flow, user: UserClass, last: int, weight: float
    ) -> tuple[int, int, float]:
        """Legs over the flow's stations and then to the destination: (first route, first leg, weight)."""
        stations = self.net.stations
        lanes: list[tuple[int, ...]] = [(int(stations.lane[stop]),) for stop in flow.stops]
        rows = [*self.routes.add(lanes, user), last]
        for here, there in zip(lanes, rows[1:], strict=True):
            self.routes.require(there, here[0], f"flow '{flow.name}', way on from a station")
        first = self._leg_i.shape[0]
        legs = [[row, lane[0]] for row, lane in zip(rows, lanes, strict=False)] + [[last, -1]]
        stops = [[float(stations.stop_s_m[stop]), flow.dwell_s] for stop in flow.stops] + [
            [0.0, 0.0]
        ]
        self._leg_i = np.concatenate((self._leg_i, np.asarray(legs, dtype=np.int32)))
        self._leg_f = np.concatenate((self._leg_f, np.asarray(stops)))
        return rows[0], first, weight

    # Placing -----------------------------------------------------------------------------------

    def place(
        self,
        kind: str,
        lane: int,
        s_m: float,
        destination: tuple[int, ...],
        speed_mps: float,
        speed_factor: float = 1.0,
    ) -> int:
        """Puts one vehicle with its front at (lane, s); returns its row. ConfigError when there is no room."""
        route = self.routes.add([destination], KINDS[kind][1])[0]
        self.routes.require(route, lane, f"placing a {kind}")
        who = Waiting(-1, self.now_s, kind, route, -1, lane, speed_factor)
        row = self._insert(who, lane, s_m, speed_mps)
        if row < 0:
            raise ConfigError(
                say(
                    "no room for a {kind} at {lane}, s = {s_m:.1f} m, {speed_mps:.1f} m/s on '{network}'; leave more space "
                    "to the others",
                    kind=kind, lane=self.net.lane_key(lane), s_m=s_m, speed_mps=speed_mps, network=self.net.name,
                )
            )  # fmt: skip
        return row

    def _insert(self, who: Waiting, lane: int, s_m: float, speed_mps: float) -> int:
        c = driver_class(who.kind)
        t = self.tables
        v = entry_speed(self.vf, self.vi, t, lane, s_m, c.length_m, speed_mps, c.max_decel_mps2)
        if v < 0:
            return -1
        taken = self.rows.take()
        if taken is None:
            return -1
        row, actor = taken
        self.counters[k.C_ROWS] = max(self.counters[k.C_ROWS], row + 1)
        f, i = self.vf[row], self.vi[row]
        f[:] = 0.0
        i[:] = -1
        front_m = c.length_m - c.rear_overhang_m - c.wheelbase_m
        if c.rear_length_m > 0:
            front_m = c.length_m - c.rear_length_m + c.hitch_x_m - c.wheelbase_m
        f[k.S], f[k.V], f[k.LEN], f[k.ODO] = s_m, v, c.length_m, ODO_START_M
        f[k.S0], f[k.BMAX], f[k.AMAX] = c.gap_m, c.max_decel_mps2, c.accel_mps2
        f[k.V0], f[k.VMAX] = who.speed_factor, c.max_speed_mps * who.speed_factor / c.speed_factor
        f[k.BCOM], f[k.T], f[k.GAP] = c.comfort_decel_mps2, c.headway_s, c.critical_gap_s
        f[k.POL], f[k.THR], f[k.WB], f[k.FOH] = (
            c.politeness,
            c.threshold_mps2,
            c.wheelbase_m,
            front_m,
        )
        f[k.TIN] = f[k.TLANE] = self.now_s
        f[k.LCEND] = -1000.0
        f[k.COOPS] = -1000.0
        f[k.WID] = c.width_m
        user = KINDS[who.kind][1]
        i[k.KIND], i[k.ROUTE], i[k.LEG], i[k.ID] = k.BACKGROUND, who.route, who.leg, actor
        i[k.NB], i[k.REASON], i[k.SIDE], i[k.TURN], i[k.DROP], i[k.DRAWS] = 0, 0, 0, 0, 0, 0
        i[k.MASK] = int(user)
        self._keys[row] = streams.key(self.seed, f"traffic/actor/{actor}")
        _kernels.link(self.vf, self.vi, t.li, row, lane)
        self._about[row] = who
        self._write_statics(row, actor, who.kind)
        self.states.yaw_rad[row] = 0.0
        self.states.hitch_rad[row] = 0.0
        self._pose(row)
        self.num_spawned += 1
        return row

    def _write_statics(self, row: int, actor: int, kind: str) -> None:
        c, st, s = driver_class(kind), self.states, self.statics
        st.valid[row], st.id[row], st.doors[row] = True, actor, 0
        st.steer_rad[row] = 0.0
        s.kind[row], s.user_class[row] = int(KINDS[kind][0]), int(KINDS[kind][1])
        s.control[row] = int(Control.TRAFFIC)
        s.length_m[row] = c.length_m - c.rear_length_m
        s.width_m[row], s.height_m[row] = c.width_m, c.height_m
        s.wheelbase_m[row], s.rear_overhang_m[row] = c.wheelbase_m, c.rear_overhang_m
        if c.rear_length_m > 0:
            s.rear_overhang_m[row] = -c.hitch_x_m
        s.hitch_x_m[row] = c.hitch_x_m
        s.rear_length_m[row], s.rear_wheelbase_m[row] = c.rear_length_m, c.rear_wheelbase_m
        s.total_length_m[row] = c.length_m

    def _pose(self, row: int) -> None:
        """Pose of a vehicle that just appeared, straight along its lane."""
        t, out = self.tables, np.empty((2, 3))
        s = float(self.vf[row, k.S] - self.vf[row, k.FOH])
        for at, point in ((s, out[0]), (s - float(self.vf[row, k.WB]), out[1])):
            _kernels.locate(self.vi, t.lf, t.pt_start, t.pt, row, at, 0.0, point)
        st = self.states
        st.x_m[row], st.y_m[row], st.z_m[row] = out[1]
        st.yaw_rad[row] = np.arctan2(out[0, 1] - out[1, 1], out[0, 0] - out[1, 0])
        st.speed_mps[row], st.accel_mps2[row], st.yaw_rate_radps[row] = self.vf[row, k.V], 0.0, 0.0
        st.lane[row], st.s_m[row], st.d_m[row] = self.vi[row, k.LANE], self.vf[row, k.S], 0.0
        st.flags[row] = 0

    def _depart(self) -> None:
        for index, (flow, stream) in enumerate(
            zip(self.config.flows, self.departures, strict=True)
        ):
            for d in stream.due(self.now_s):
                kind = flow.mix[pick([w for _, w in flow.mix], d.class_share)][0]
                origins = self._choices[index][kind]
                lane, ways = origins[min(int(d.origin_share * len(origins)), len(origins) - 1)]
                route, leg, _ = ways[pick([w for _, _, w in ways], d.destination_share)]
                c = driver_class(kind)
                factor = c.speed_factor + c.speed_sigma * d.speed_sigmas
                queue = self._queues.setdefault(lane, deque())
                queue.append(Waiting(index, d.t_s, kind, route, leg, lane, factor))
                if len(queue) > self.config.max_queue:
                    raise ConfigError(
                        say(
                            "flow '{name}': {count} vehicles wait to enter lane {lane} at t = {now_s:.0f} s; the demand is "
                            "more than the road takes. Lower vehicles_per_hour or add origins.",
                            name=flow.name, count=len(queue), lane=self.net.lane_key(lane), now_s=self.now_s,
                        )
                    )  # fmt: skip
        for lane in sorted(self._queues):
            queue = self._queues[lane]
            while queue:
                who = queue[0]
                length = driver_class(who.kind).length_m
                s = min(length + 0.5, float(self.tables.lf[lane, k.LLEN]))
                limit = float(self.tables.lf[lane, k.LSPD])
                if self._insert(who, lane, s, limit * who.speed_factor) < 0:
                    break
                queue.popleft()

    # Running -----------------------------------------------------------------------------------

    def decide(self, t_ns: int, light: U8) -> None:
        """Departures, then accelerations for the next 0.1 s. `light`: (H,) `Light` of every signal group."""
        if light.size < len(self.net.groups.id):
            raise ValueError(f"{light.size} lights for {len(self.net.groups.id)} signal groups")
        self.now_s = t_ns / NS_PER_S
        self._depart()
        if self.counters[k.C_STEP] % 50 == 0:
            self._divert()
        t = self.tables
        light = light if light.size else self._no_light
        self.walkers.decide(self.now_s, DECIDE_S, light, self.vf, self.vi, self.cross_block)
        self.walkers.on_lanes()
        self._externals.sync(self.states, self.statics, light, self.counters)
        if self.counters[k.C_ROWS] == 0:  # nobody yet: nothing is compiled for nothing
            self.counters[k.C_STEP] += 1
            return
        _decide_kernels.decide(
            self.vf, self.vi, t.lf, t.li, self.routes.hop, self.routes.act, t.cf_i, t.cf_f, t.sl_i,
            t.sl_s, light, t.cl_row, t.cl_odo, t.cl_ticket, t.ap, t.cr_f, self.cross_block,
            self._leg_i, self._leg_f, self.counters, DECIDE_S,
        )  # fmt: skip
        _kernels.change_lanes(
            self.vf, self.vi, t.lf, t.li, self.routes.hop, self.routes.act, t.pv_start, t.pv,
            t.cl_row, t.cl_odo, t.cl_ticket, self.counters,
        )  # fmt: skip

    def advance(self, dt_s: float) -> None:
        """Moves everybody by `dt_s` and writes poses; vehicles at their destination leave."""
        self.now_s += dt_s
        if self.counters[k.C_ROWS] == 0:
            self.walkers.advance(dt_s)
            return
        t, st, sc = self.tables, self.states, self.statics
        _kernels.advance(
            self.vf, self.vi, t.lf, t.li, self.routes.hop, self.routes.act, t.pt_start, t.pt,
            t.cl_row, t.cl_odo, t.cl_ticket, self._leg_i, self._keys, self.lane_stat, self._arrived,
            st.x_m, st.y_m, st.z_m, st.yaw_rad, st.speed_mps, st.accel_mps2, st.yaw_rate_radps,
            st.hitch_rad, st.lane, st.s_m, st.d_m, st.flags, sc.hitch_x_m, sc.rear_wheelbase_m,
            self.counters, self._ends, self.now_s, dt_s,
        )  # fmt: skip
        self.walkers.advance(dt_s)
        for row in self._arrived[: self.counters[k.C_OUT]].tolist():
            self._leave(row)

    def _divert(self) -> None:
        """Whoever waited `GIVE_UP_S` for a lane change that the others never let happen goes another way of its flow."""
        half = self.states.valid.size
        stuck = (self.vf[:half, k.STUCK] > GIVE_UP_S) & (self.vi[:half, k.MEETS] != 1)
        for row in np.flatnonzero(stuck & self.mine).tolist():
            self.vf[row, k.STUCK] = 0.0
            who = self._about[row]
            if who.flow < 0:
                continue
            lane = int(self.vi[row, k.LANE])
            for _, ways in self._choices[who.flow][who.kind]:
                open_ = [w for w in ways if self.routes.act[w[0], lane] == 0 and w[1] < 0]
                if open_:
                    self.vi[row, k.ROUTE], self.vi[row, k.LEG] = open_[0][0], -1
                    self.num_diverted += 1
                    break

    def step(self, t_ns: int, light: U8, dt_s: float = DECIDE_S) -> None:
        """One decision and one motion of the same length."""
        self.decide(t_ns, light)
        self.advance(dt_s)

    def _leave(self, row: int) -> None:
        who = self._about.pop(row)
        f = self.vf[row]
        self.trips.append(
            Trip(
                actor=int(self.vi[row, k.ID]),
                flow=who.flow,
                kind=who.kind,
                origin=who.origin,
                wanted_s=who.wanted_s,
                start_s=float(f[k.TIN]),
                end_s=self.now_s,
                free_s=float(f[k.FREE]),
                halts=int(f[k.HALT]),
            )
        )
        t = self.tables
        _kernels.remove(
            self.vf, self.vi, t.lf, t.li, self.routes.hop, t.cl_row, t.cl_odo, t.cl_ticket, row
        )
        self.vi[row, k.NB] = 0
        self.states.valid[row] = False
        self.rows.give_back(row)

    # Looking -----------------------------------------------------------------------------------

    @property
    def mine(self) -> Bool:
        """(N,) rows this traffic moves."""
        return np.asarray(self.vi[: self.states.valid.size, k.KIND] == k.BACKGROUND, dtype=np.bool_)

    @property
    def num_waiting(self) -> int:
        """Vehicles outside that found no room yet."""
        return sum(len(queue) for queue in self._queues.values())

    def waiting(self) -> dict[int, int]:
        """Vehicles outside by origin lane; lanes where nobody waits are left out."""
        return {lane: len(queue) for lane, queue in sorted(self._queues.items()) if queue}

    def counts(self) -> dict[str, int]:
        """Vehicles so far: spawned, present, arrived, waiting outside."""
        present = int(self.mine.sum())
        return {
            "spawned": self.num_spawned,
            "present": present,
            "arrived": len(self.trips),
            "waiting": self.num_waiting,
            "diverted": self.num_diverted,
        }

    def announce(self, row: int, lanes: tuple[int, ...]) -> None:
        """The lanes an automated vehicle will take, so that only the right connecting lanes are kept clear for it."""
        self._externals.way[row] = lanes

    def recycle(self, is_on: bool) -> None:
        """Whether vehicles that arrive get a new random journey from there (benchmarks hold their number so)."""
        self.counters[k.C_RECYCLE] = int(is_on)
