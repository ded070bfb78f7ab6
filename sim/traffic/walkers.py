"""People on foot (and free cyclists): over crossings, or along paths through shared space.

Everybody follows a polyline with an own lateral offset; people near each other step aside and slow down (the exponential push of
Helbing and Molnar 1995, simplified to the frame of the path). At a crossing with a signal group they wait for green; at one
without they wait until every vehicle that comes can stop in comfort or comes late enough, and traffic stops for who waits.
On a free path they stop for a vehicle that is about to pass in front of them.
Positions are the centres of the bodies. Decisions at 10 Hz, motion every tick.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.messages import ActorKind, Light
from protocols.roads import matching
from protocols.roads.network import F64, I32, MOTOR, U8, Bool, RoadNetwork, UserClass
from sim.rows import RowAllocator
from sim.state import ActorStates, ActorStatics, Control
from sim.traffic import _kernels as k
from sim.traffic.config import WalkerFlow, driver_class, walker_class
from sim.traffic.demand import Departures
from sim.traffic.tables import LaneTables

I64 = npt.NDArray[np.int64]
CURB_M = 2.0  # of pavement before and behind a crossing
WAIT_M = 0.5  # distance kept from the kerb
PUSH_MPS, PUSH_M, BODY_M = 0.6, 0.4, 0.6
RELAX_PER_S = 0.5
FREE_REACH_S, CROSSING_REACH_S = 2.5, 0.6  # on a crossing the vehicles are the ones to wait
MAX_ASIDE_MPS = 0.8
LOOK_M, CLEAR_M, DODGE_MPS = 3.5, 0.8, 0.5
STRIP_M, BODY_GAP_M, BODY_LOOK_S = 0.8, 0.45, 0.6  # kept from a moving and from a standing vehicle
STANDS_MPS = 0.3
STOP_DECEL_MPS2 = 2.5  # a vehicle that needs less than this is trusted to stop
SPARE_S = 1.0
SEEN_M = 70.0
GO, HOLD, OPEN = 1, 2, 3  # what a signal says: go, wait, look out for yourself


@dataclass(frozen=True, slots=True)
class Path:
    """A polyline; on a crossing, the roadway lies between `from_m` and `to_m`."""

    s_m: F64
    x_m: F64
    y_m: F64
    z_m: float
    crossing: int  # -1: free path
    is_back: bool
    from_m: float
    to_m: float

    def at(self, u_m: F64 | float) -> tuple[F64, F64, F64, F64]:
        """World x, y and unit tangent at the distances `u_m`."""
        n = np.clip(np.searchsorted(self.s_m, u_m, side="right") - 1, 0, self.s_m.size - 2)
        ds = self.s_m[n + 1] - self.s_m[n]
        tx, ty = (self.x_m[n + 1] - self.x_m[n]) / ds, (self.y_m[n + 1] - self.y_m[n]) / ds
        rest = u_m - self.s_m[n]
        return self.x_m[n] + tx * rest, self.y_m[n] + ty * rest, tx, ty


@dataclass(slots=True)
class Walkers:
    """All walkers of a run; rows carry `Control.WALKER`."""

    net: RoadNetwork
    flows: tuple[WalkerFlow, ...]
    seed: int
    states: ActorStates
    statics: ActorStatics
    rows: RowAllocator
    tables: LaneTables
    paths: list[Path] = field(init=False)
    row: I64 = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # (n,) rows walking now
    num_arrived: int = 0
    waited_s: list[float] = field(default_factory=list)  # at the kerb, per arrival
    _paths_of: list[list[int]] = field(init=False)
    _departures: list[Departures] = field(init=False)
    _path: I64 = field(init=False)  # by row, as the next ones
    _u: F64 = field(init=False)
    _w: F64 = field(init=False)
    _w0: F64 = field(init=False)
    _pace: F64 = field(init=False)
    _du: F64 = field(init=False)
    _dw: F64 = field(init=False)
    _wait: F64 = field(init=False)
    _end: F64 = field(init=False)
    _line: F64 = field(init=False)  # (N, 4) origin of u in the world, tangent
    _dodges: Bool = field(init=False)  # goes sideways round a standing vehicle
    _is_over: Bool = field(init=False)  # has stepped onto the roadway
    _span: F64 = field(init=False)  # (X, 2) of each crossing row along its crossing's axis
    _cars: F64 = field(default_factory=lambda: np.zeros((8, 0)))
    _index: matching.RoadIndex | None = None
    _open_lanes: Bool | None = None

    def __post_init__(self) -> None:
        num = self.states.valid.size
        self._path = np.full(num, -1, dtype=np.int64)
        self._u, self._w, self._w0, self._pace, self._du, self._dw, self._wait = np.zeros((7, num))
        self._is_over = np.zeros(num, dtype=np.bool_)
        self._dodges = np.zeros(num, dtype=np.bool_)
        self._end, self._line = np.zeros(num), np.zeros((num, 4))
        self.paths, self._paths_of = [], []
        for flow in self.flows:
            mine = []
            for crossing in flow.crossings:
                for is_back in (False, True):
                    mine.append(len(self.paths))
                    self.paths.append(self._over(crossing, is_back))
            if flow.path:
                mine.append(len(self.paths))
                self.paths.append(_free_path(flow.path))
            self._paths_of.append(mine)
        self._departures = [
            Departures(f.name, f.per_hour, f.start_s, f.end_s, False, self.seed, f.only)
            for f in self.flows
        ]
        self._span = self._spans()
        if any(flow.path for flow in self.flows):
            self._index = matching.build_index(self.net)
            self._open_lanes = matching.lanes_allowed(self._index, MOTOR)

    # Geometry ----------------------------------------------------------------------------------

    def _over(self, crossing: int, is_back: bool) -> Path:
        c = self.net.crossings
        ends = np.array(
            [[c.x0_m[crossing], c.y0_m[crossing]], [c.x1_m[crossing], c.y1_m[crossing]]]
        )
        ends = ends[::-1] if is_back else ends
        along = ends[1] - ends[0]
        length = float(np.hypot(*along))
        along = along / length
        points = np.stack((ends[0] - along * CURB_M, ends[1] + along * CURB_M))
        first = int(c.lane_start[crossing])
        z = 0.0
        if int(c.lane_start[crossing + 1]) > first:
            lane = int(c.lane[first])
            z = float(self.tables.pt[int(self.tables.pt_start[lane]), 3])
        return Path(
            s_m=np.array([0.0, length + 2 * CURB_M]),
            x_m=points[:, 0].copy(),
            y_m=points[:, 1].copy(),
            z_m=z,
            crossing=crossing,
            is_back=is_back,
            from_m=CURB_M,
            to_m=CURB_M + length,
        )

    def _spans(self) -> F64:
        """Where each crossed lane lies along the axis of its crossing, with half a metre to spare."""
        t, c = self.tables, self.net.crossings
        out = np.zeros((t.cr_f.shape[0], 2))
        for r in range(t.cr_f.shape[0]):
            lane, crossing = int(t.cr_lane[r]), int(t.cr_crossing[r])
            lo, hi = int(t.pt_start[lane]), int(t.pt_start[lane + 1])
            s = 0.5 * float(t.cr_f[r].sum())
            x = float(np.interp(s, t.pt[lo:hi, 0], t.pt[lo:hi, 1]))
            y = float(np.interp(s, t.pt[lo:hi, 0], t.pt[lo:hi, 2]))
            ax, ay = c.x1_m[crossing] - c.x0_m[crossing], c.y1_m[crossing] - c.y0_m[crossing]
            length = float(np.hypot(ax, ay))
            u = ((x - c.x0_m[crossing]) * ax + (y - c.y0_m[crossing]) * ay) / length
            half = 0.5 * float(t.lf[lane, k.LWID]) + 0.5
            out[r] = u - half, u + half
        return out

    # Decisions ---------------------------------------------------------------------------------

    def decide(self, now_s: float, dt_s: float, light: U8, vf: F64, vi: I32, block: U8) -> None:
        """Arrivals, who steps onto the road, speeds until the next decision; fills `block` (X,) for the vehicles."""
        self._leave()
        self._appear(now_s)
        block[:] = 0
        if self.row.size == 0:
            return
        self._steps_aside()
        self._look_at_vehicles()
        for p in np.unique(self._path[self.row]).tolist():
            path, on = self.paths[p], self.row[self._path[self.row] == p]
            self._turn(path, on)
            if path.crossing >= 0:
                self._at_crossing(path, on, dt_s, light, vf, vi, block)
            else:
                self._among_vehicles(path, on, FREE_REACH_S)

    def _appear(self, now_s: float) -> None:
        new = []
        for f, (flow, stream) in enumerate(zip(self.flows, self._departures, strict=True)):
            for d in stream.due(now_s):
                taken = self.rows.take()
                if taken is None:
                    continue  # the world is full: nobody else goes out
                row, actor = taken
                mine = self._paths_of[f]
                path = mine[min(int(d.origin_share * len(mine)), len(mine) - 1)]
                self._put(row, actor, flow, path, d.destination_share, d.speed_sigmas)
                new.append(row)
        if new:
            self.row = np.sort(np.concatenate((self.row, np.asarray(new, dtype=np.int64))))

    def _put(
        self, row: int, actor: int, flow: WalkerFlow, path: int, side: float, sigmas: float
    ) -> None:
        p, sc, st = self.paths[path], self.statics, self.states
        is_rider = flow.kind == "bicycle"
        bike, person = driver_class("bicycle"), walker_class()
        half = 0.3 * float(self.net.crossings.width_m[p.crossing]) if p.crossing >= 0 else 0.8
        self._path[row], self._u[row] = path, 0.0
        self._w0[row] = self._w[row] = (2 * side - 1) * half
        pace = person.speed_factor + person.speed_sigma * sigmas
        if is_rider:
            pace = 0.8 * bike.max_speed_mps * (1.0 + bike.speed_sigma * sigmas)
        self._pace[row], self._du[row], self._dw[row], self._wait[row] = pace, 0.0, 0.0, 0.0
        self._is_over[row] = False
        sc.kind[row] = int(ActorKind.BICYCLE if is_rider else ActorKind.PEDESTRIAN)
        sc.user_class[row] = int(UserClass.BICYCLE if is_rider else UserClass.PEDESTRIAN)
        sc.control[row] = int(Control.WALKER)
        size = bike if is_rider else person
        sc.length_m[row] = sc.total_length_m[row] = size.length_m
        sc.width_m[row], sc.height_m[row] = size.width_m, size.height_m
        sc.wheelbase_m[row], sc.rear_overhang_m[row] = 0.0, 0.5 * size.length_m
        sc.hitch_x_m[row] = sc.rear_length_m[row] = sc.rear_wheelbase_m[row] = 0.0
        st.valid[row], st.id[row], st.lane[row] = True, actor, -1
        st.accel_mps2[row] = st.yaw_rate_radps[row] = st.steer_rad[row] = st.hitch_rad[row] = 0.0
        st.s_m[row] = st.d_m[row] = 0.0
        st.flags[row], st.doors[row], st.z_m[row] = 0, 0, p.z_m
        self._end[row] = p.s_m[-1]
        self._turn(p, np.array([row]))
        x0, y0, tx, ty = self._line[row].tolist()
        st.x_m[row], st.y_m[row] = x0 - ty * self._w[row], y0 + tx * self._w[row]
        st.speed_mps[row] = 0.0

    def _steps_aside(self) -> None:
        """Paces after looking at each other: slower behind somebody close, sideways away from who is near."""
        row, st = self.row, self.states
        x, y, yaw = st.x_m[row], st.y_m[row], st.yaw_rad[row]
        dx, dy = x[None, :] - x[:, None], y[None, :] - y[:, None]  # from i to j
        dist = np.hypot(dx, dy) + np.eye(row.size) * 1e9
        push = PUSH_MPS * np.exp(-np.maximum(dist - BODY_M, 0.0) / PUSH_M)
        ahead = (dx * np.cos(yaw)[:, None] + dy * np.sin(yaw)[:, None]) / dist
        left = (dy * np.cos(yaw)[:, None] - dx * np.sin(yaw)[:, None]) / dist
        brake = (push * np.maximum(ahead, 0.0)).sum(axis=1)
        aside = -(push * np.where(np.abs(left) < 0.05, -0.3, left)).sum(axis=1)
        # Somebody in the way within the next metres: aside in time, to the own right when straight ahead.
        along, across = ahead * dist, left * dist
        blocked = (along > 0.0) & (along < LOOK_M) & (np.abs(across) < CLEAR_M)
        nearest = np.where(blocked, along, 1e9).argmin(axis=1)
        beside = np.asarray(across)[np.arange(row.size), nearest]
        dodge = np.where(beside >= 0.0, -DODGE_MPS, DODGE_MPS)
        aside = aside + np.where(blocked.any(axis=1), dodge, 0.0)
        self._du[row] = np.maximum(self._pace[row] - brake, 0.2 * self._pace[row])
        self._dw[row] = np.clip(
            aside + RELAX_PER_S * (self._w0[row] - self._w[row]), -MAX_ASIDE_MPS, MAX_ASIDE_MPS
        )

    def _at_crossing(
        self, path: Path, on: I64, dt_s: float, light: U8, vf: F64, vi: I32, block: U8
    ) -> None:
        edge = path.from_m - WAIT_M
        lanes = np.flatnonzero(self.tables.cr_crossing == path.crossing)
        length = path.to_m - path.from_m
        waiting = on[~self._is_over[on] & (self._u[on] + self._du[on] * dt_s >= edge)]
        if waiting.size:
            says = self._signal(path.crossing, light)
            pace = float(self._pace[waiting].min())
            may_go = says != HOLD and self._is_clear(path, lanes, pace, vf, vi)
            if may_go:
                self._is_over[waiting] = True
            else:
                self._du[waiting] = np.maximum(edge - self._u[waiting], 0.0) / dt_s
                self._du[waiting] = np.minimum(self._du[waiting], self._pace[waiting])
                self._wait[waiting] += dt_s
                if says != HOLD:
                    block[lanes] = np.maximum(block[lanes], 1)
        over = on[self._is_over[on] & (self._u[on] < path.to_m + 0.5)]
        if over.size == 0:
            return
        # The roadway in the walker's own direction: where each lane begins and ends for this path.
        span = self._span[lanes]
        near, far = (length - span[:, 1], length - span[:, 0]) if path.is_back else span.T
        begin, end = path.from_m + near, path.from_m + far
        self._among_vehicles(path, over, CROSSING_REACH_S)
        u, paces = self._u[over], self._pace[over]
        soon = (u[:, None] < end) & (u[:, None] + 3.0 * paces[:, None] > begin)
        block[lanes[soon.any(axis=0)]] = 2

    def _signal(self, crossing: int, light: U8) -> int:
        group = int(self.net.crossings.group[crossing])
        if group < 0:
            return OPEN
        state = int(light[group])
        if state in (Light.GREEN_PERMISSIVE, Light.GREEN_PROTECTED):
            return GO
        return OPEN if state in (Light.DARK, Light.UNSPECIFIED) else HOLD

    def _is_clear(self, path: Path, lanes: I64, pace: float, vf: F64, vi: I32) -> bool:
        """Whether every vehicle that comes can stop in comfort or comes after the walker has left its lane."""
        length = path.to_m - path.from_m
        for r in lanes.tolist():
            end = length - self._span[r, 0] if path.is_back else self._span[r, 1]
            clear_s = (float(end) + WAIT_M) / pace + SPARE_S
            lane = int(self.tables.cr_lane[r])
            begin, out = float(self.tables.cr_f[r, 0]), float(self.tables.cr_f[r, 1])
            if not self._lane_is_clear(lane, begin, out, clear_s, vf, vi):
                return False
        return True

    def _lane_is_clear(
        self, lane: int, begin: float, out: float, clear_s: float, vf: F64, vi: I32
    ) -> bool:
        t = self.tables
        todo = [(lane, begin)]
        while todo:
            at, way = todo.pop()
            node = int(t.li[at, k.TAIL])
            nearest = -1
            while node >= 0:
                front = float(vf[node, k.S])
                if at == lane and front > begin - 1.0:
                    if front - float(vf[node, k.LEN]) < out:
                        return False  # stands across
                    break
                nearest = node
                node = int(vi[node, k.AHEAD])
            if nearest >= 0:
                v = float(vf[nearest, k.V])
                dist = way - float(vf[nearest, k.S]) - 1.0
                stops = v * v / (2 * STOP_DECEL_MPS2) + 0.2 * v < dist
                if not stops and dist < v * clear_s:
                    return False
                continue
            for n in range(int(t.pv_start[at]), int(t.pv_start[at + 1])):
                before = int(t.pv[n])
                if way < SEEN_M:
                    todo.append((before, way + float(t.lf[before, k.LLEN])))
        return True

    def _among_vehicles(self, path: Path, on: I64, reach_s: float) -> None:
        """Stops short of the strip that a moving vehicle sweeps within `reach_s`; walks round one that stands."""
        cars = self._cars
        self._dodges[on] = False
        if cars.shape[1] == 0:
            return
        cx, cy, c, s, back, front, half, speed = cars
        st = self.states
        x, y = st.x_m[on], st.y_m[on]
        _, _, tx, ty = path.at(self._u[on])

        def inside(px: F64, py: F64, reach: F64, margin: float, side: F64) -> Bool:
            dx, dy = px[:, None] - cx, py[:, None] - cy
            along, across = dx * c + dy * s, dy * c - dx * s
            return np.asarray((along > back - margin) & (along < reach) & (np.abs(across) < side))

        sweep = np.where(speed > STANDS_MPS, front + 0.5 + reach_s * speed, -np.inf)
        step = self._pace[on]
        enters = inside(x + tx * step, y + ty * step, sweep, 0.5, half)
        held = (enters & ~inside(x, y, sweep, 0.5, half)).any(axis=1)
        body = half - STRIP_M + BODY_GAP_M
        ahead = BODY_LOOK_S * self._pace[on]
        hits = inside(x + tx * ahead, y + ty * ahead, front + BODY_GAP_M, BODY_GAP_M, body)
        held |= hits.any(axis=1)
        self._du[on[held]] = 0.0
        # Nobody slides back onto the path through a body beside it.
        aside = BODY_LOOK_S * self._dw[on]
        slide = inside(x - ty * aside, y + tx * aside, front + BODY_GAP_M, BODY_GAP_M, body)
        self._dw[on[slide.any(axis=1)]] = 0.0
        for n in np.flatnonzero(hits.any(axis=1)).tolist():
            car = int(np.argmax(hits[n]))
            if speed[car] > STANDS_MPS:
                continue
            # Corners of the body to the left of the path: round the end that is nearer.
            lon = np.array([front[car], front[car], back[car], back[car]])
            lat = np.array([body[car], -body[car], -body[car], body[car]])
            px = cx[car] + lon * c[car] - lat * s[car] - x[n]
            py = cy[car] + lon * s[car] + lat * c[car] - y[n]
            left = py * tx[n] - px * ty[n]
            self._dw[on[n]] = DODGE_MPS if left.max() < -left.min() else -DODGE_MPS
            self._dodges[on[n]] = True

    def _look_at_vehicles(self) -> None:
        """Columns of all vehicles: position, direction, extent behind and ahead of it, half width, speed."""
        st, sc = self.states, self.statics
        on = np.flatnonzero(st.valid & (sc.control != int(Control.WALKER)))
        front = sc.length_m[on] - sc.rear_overhang_m[on]
        yaw = st.yaw_rad[on]
        self._cars = np.stack(
            (st.x_m[on], st.y_m[on], np.cos(yaw), np.sin(yaw), front - sc.total_length_m[on], front,
             0.5 * sc.width_m[on] + STRIP_M, np.maximum(st.speed_mps[on], 0.0))
        )  # fmt: skip

    # Motion ------------------------------------------------------------------------------------

    def advance(self, dt_s: float) -> None:
        """Moves everybody along their present piece of path."""
        row = self.row
        if row.size == 0:
            return
        u = self._u[row] + self._du[row] * dt_s
        w = self._w[row] + self._dw[row] * dt_s * ((self._du[row] > 0.1) | self._dodges[row])
        self._u[row], self._w[row] = u, w
        x0, y0, tx, ty = self._line[row].T
        self.states.x_m[row], self.states.y_m[row] = x0 + tx * u - ty * w, y0 + ty * u + tx * w
        self.states.speed_mps[row] = self._du[row]

    def _leave(self) -> None:
        gone = self.row[self._u[self.row] >= self._end[self.row]]
        for row in gone.tolist():
            self.states.valid[row] = False
            self.rows.give_back(row)
            self.waited_s.append(float(self._wait[row]))
        if gone.size:
            self.num_arrived += int(gone.size)
            self.row = np.setdiff1d(self.row, gone)

    def _turn(self, path: Path, on: I64) -> None:
        """The piece of path everybody is on: origin of u and tangent."""
        u = self._u[on]
        x, y, tx, ty = path.at(u)
        self._line[on] = np.stack((x - tx * u, y - ty * u, tx, ty), axis=1)
        self.states.yaw_rad[on] = np.arctan2(ty, tx)

    def on_lanes(self) -> None:
        """Free walkers on a roadway get their lane, so that traffic sees them; everybody else has none."""
        if self._index is None or self.row.size == 0:
            return
        free = self.row[np.array([self.paths[p].crossing < 0 for p in self._path[self.row]])]
        if free.size == 0:
            return
        st = self.states
        found = matching.match(self._index, st.x_m[free], st.y_m[free], allowed=self._open_lanes)
        lane = np.asarray(found.lane, dtype=np.int32)
        on = found.valid & (np.abs(found.d_m) < 0.5 * self.tables.lf[np.maximum(lane, 0), k.LWID])
        st.lane[free] = np.where(on, lane, -1)
        st.s_m[free], st.d_m[free] = found.s_m + 0.25, found.d_m

    def pressed(self) -> Bool:
        """(crossings,) whether somebody waits at a kerb, the push button of signalised crossings."""
        out = np.zeros(len(self.net.crossings.id), dtype=np.bool_)
        wait = self.row[~self._is_over[self.row] & (self._wait[self.row] > 0.0)]
        for p in np.unique(self._path[wait]).tolist():
            if self.paths[p].crossing >= 0:
                out[self.paths[p].crossing] = True
        return out


def _free_path(points: tuple[tuple[float, float], ...]) -> Path:
    xy = np.asarray(points, dtype=np.float64)
    steps = np.hypot(*np.diff(xy, axis=0).T)
    keep = np.concatenate(([True], steps > 1e-6))
    xy = xy[keep]
    s = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))))
    return Path(s, xy[:, 0].copy(), xy[:, 1].copy(), 0.0, -1, False, 0.0, 0.0)
