"""The mission laid out along one path: stop lines, junctions, conflicts, crossings and stations by path distance.

Everything is computed once from the road network. Path distances of events are where the *front bumper* meets them. Loops are
allowed: the same lane may be driven several times, each time with its own events.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from protocols.errors import RoadError
from protocols.roads.network import F64, LaneType, RightOfWay, RoadNetwork
from protocols.roads.paths import reference_path
from protocols.roads.routing import route
from protocols.sentence import say
from vehicle.driving.mission import Mission, StopTask
from vehicle.dynamics.params import VehicleParams
from vehicle.planning.reference import ReferencePath, resample

RUN_UP_M = 40.0  # the path begins this far before the start, so that the whole vehicle stands on it
APPROACH_STEP_M = 2.0
LINE_REACH_M = 40.0  # a stop line belongs to the junction this far behind it at most


@dataclass(frozen=True, slots=True)
class Approach:
    """(n,) points of everybody else's way into a conflict area; `dist_m` counts down to it and is negative inside."""

    x_m: F64
    y_m: F64
    yaw_rad: F64
    dist_m: F64
    inside_m: float  # length of the area on the other lane


@dataclass(frozen=True, slots=True)
class ConflictEvent:
    """One conflict area on the path."""

    s_in_m: float
    s_out_m: float
    right_of_way: RightOfWay
    approach: Approach


@dataclass(frozen=True, slots=True)
class LineEvent:
    """A stop line: of a signal group, or of a stop or yield sign."""

    s_m: float
    group: int  # signal group, -1 for a sign
    sign: int  # 0 signal, 1 stop, 2 yield
    from_lane: str  # key of the lane it lies on, as MAP names approach lanes
    to_lanes: tuple[
        str, ...
    ]  # keys of the lanes driven next; MAP names one of them in its movement
    # (lane, connecting lane or "" for any) of the other lines that the same group holds: what MAP says of them holds here
    twins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class JunctionEvent:
    """Passage of one connecting lane, and where to wait before it."""

    s_line_m: float
    s_in_m: float
    s_out_m: float
    is_signalised: bool
    turn_rad: float  # change of yaw over the connecting lane, positive left
    conflicts: tuple[ConflictEvent, ...]


@dataclass(frozen=True, slots=True)
class CrossingEvent:
    """Pedestrian crossing on the path. Its walking axis in world coordinates."""

    s_in_m: float
    s_out_m: float
    x0_m: float
    y0_m: float
    x1_m: float
    y1_m: float
    width_m: float
    group: int


@dataclass(frozen=True, slots=True)
class StationEvent:
    """A station that the mission serves."""

    s_m: float
    task: StopTask
    name: str
    door_side: int


@dataclass(frozen=True, slots=True)
class Corridor:
    """The mission along `path`; events in order of path distance."""

    path: ReferencePath
    start_s_m: float  # path distance of the front bumper at the start
    end_s_m: float  # of the front bumper at the destination
    lines: tuple[LineEvent, ...]
    junctions: tuple[JunctionEvent, ...]
    crossings: tuple[CrossingEvent, ...]
    stations: tuple[StationEvent, ...]
    shared: tuple[tuple[float, float], ...]  # path pieces in shared space


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive path samples on one lane."""

    lane: int
    lane_s: F64
    s: F64

    def at(self, lane_s: float) -> float:
        """Path distance of a place on the lane, also a little before or after the run."""
        if lane_s <= self.lane_s[0]:
            return float(self.s[0] - (self.lane_s[0] - lane_s))
        if lane_s >= self.lane_s[-1]:
            return float(self.s[-1] + (lane_s - self.lane_s[-1]))
        return float(np.interp(lane_s, self.lane_s, self.s))

    def covers(self, lane_s: float) -> bool:
        return bool(self.lane_s[0] - 1.5 <= lane_s <= self.lane_s[-1] + 1.5)


def build_corridor(
    net: RoadNetwork, mission: Mission, params: VehicleParams, approach_m: float
) -> Corridor:
    """Route from start over every stop to the destination; RoadError where a leg has no way."""
    begin = max(0.0, mission.start_s_m - RUN_UP_M)
    ends = [(mission.start_lane, begin)]
    for task in mission.stops:
        if not 0 <= task.station < net.stations.lane.size:
            raise RoadError(
                say(
                    "station {station} is not on road network '{network}', which has {size} station rows",
                    station=task.station, network=net.name, size=net.stations.lane.size,
                )
            )  # fmt: skip
        row = task.station
        ends.append((int(net.stations.lane[row]), float(net.stations.stop_s_m[row])))
    ends.append((mission.destination_lane, mission.destination_s_m))
    columns: list[F64] = []
    offset = 0.0
    stop_s: list[float] = []
    for (lane_a, s_a), (lane_b, s_b) in pairwise(ends):
        leg = reference_path(net, route(net, lane_a, s_a, lane_b, s_b, params.user_class))
        half = 0.5 * leg.width_m
        table = np.stack((
            leg.s_m + offset, leg.x_m, leg.y_m, leg.yaw_rad, leg.curvature_per_m, leg.speed_limit_mps, half, half,
            leg.lane.astype(np.float64), leg.lane_s_m,
        ))  # fmt: skip
        columns.append(table[:, 1:] if columns else table)
        offset += float(leg.s_m[-1])
        stop_s.append(offset)
    table = np.concatenate(columns, axis=1)
    path = resample(*table[:8])
    runs = _runs(table)
    stations = tuple(
        StationEvent(
            s, task, net.stations.name[task.station], int(net.stations.door_side[task.station])
        )
        for s, task in zip(stop_s, mission.stops, strict=False)
    )
    shared = tuple(
        (float(run.s[0]), float(run.s[-1]))
        for run in runs
        if int(net.lanes.type[run.lane]) in (LaneType.SHARED, LaneType.WALKING)
    )
    lines = _lines(net, runs)
    return Corridor(
        path=path,
        start_s_m=mission.start_s_m - begin,
        end_s_m=stop_s[-1],
        lines=lines,
        junctions=_junctions(net, runs, lines, approach_m),
        crossings=_crossings(net, runs),
        stations=stations,
        shared=shared,
    )


def _runs(table: F64) -> list[_Run]:
    lane, lane_s, s = table[8].astype(int), table[9], table[0]
    cut = np.flatnonzero((np.diff(lane) != 0) | (np.diff(lane_s) < -1e-6)) + 1
    edges = [0, *cut.tolist(), lane.size]
    return [_Run(int(lane[a]), lane_s[a:b], s[a:b]) for a, b in pairwise(edges) if b > a]


def _lines(net: RoadNetwork, runs: list[_Run]) -> tuple[LineEvent, ...]:
    table = net.stop_lines
    events = []
    for i, run in enumerate(runs):
        onward = [other.lane for other in runs[i : i + 4]]
        places: dict[
            tuple[float, int], int
        ] = {}  # (s, kind) -> row; a row for our way beats one for any
        for row in range(int(table.start[run.lane]), int(table.start[run.lane + 1])):
            s_m, to_lane = float(table.s_m[row]), int(table.to_lane[row])
            if (to_lane != -1 and to_lane not in onward) or not run.covers(s_m):
                continue
            key = (s_m, int(table.kind[row]))
            if key not in places or to_lane != -1:
                places[key] = row
        for row in places.values():
            events.append(
                LineEvent(
                    s_m=run.at(float(table.s_m[row])),
                    group=int(table.group[row]),
                    sign=0 if table.group[row] >= 0 else int(table.kind[row]),
                    from_lane=net.lane_key(run.lane),
                    to_lanes=tuple(net.lane_key(lane) for lane in onward),
                    twins=_twins(net, row),
                )
            )
    return tuple(sorted(events, key=lambda e: (e.s_m, e.group)))


def _twins(net: RoadNetwork, row: int) -> tuple[tuple[str, str], ...]:
    table = net.stop_lines
    if table.group[row] < 0:
        return ()
    return tuple(
        (
            net.lane_key(int(table.lane[k])),
            net.lane_key(int(table.to_lane[k])) if table.to_lane[k] >= 0 else "",
        )
        for k in np.flatnonzero(table.group == table.group[row]).tolist()
        if k != row
    )


def _junctions(
    net: RoadNetwork, runs: list[_Run], lines: tuple[LineEvent, ...], approach_m: float
) -> tuple[JunctionEvent, ...]:
    lanes = net.lanes
    events = []
    cache: dict[int, Approach] = {}
    for run in runs:
        if lanes.junction[run.lane] < 0:
            continue
        s_in, s_out = run.at(0.0), run.at(float(lanes.length_m[run.lane]))
        before = [line.s_m for line in lines if s_in - LINE_REACH_M < line.s_m <= s_in + 1.0]
        points = slice(int(lanes.point_start[run.lane]), int(lanes.point_start[run.lane + 1]))
        yaw = np.unwrap(net.points.yaw_rad[points])
        events.append(
            JunctionEvent(
                s_line_m=min(before[-1], s_in) if before else s_in,
                s_in_m=s_in,
                s_out_m=s_out,
                is_signalised=bool(net.junctions.is_signalised[int(lanes.junction[run.lane])]),
                turn_rad=float(yaw[-1] - yaw[0]),
                conflicts=_conflicts(net, run, approach_m, cache),
            )
        )
    return tuple(events)


def _conflicts(
    net: RoadNetwork, run: _Run, approach_m: float, cache: dict[int, Approach]
) -> tuple[ConflictEvent, ...]:
    table = net.conflicts
    out = []
    for row in range(int(table.start[run.lane]), int(table.start[run.lane + 1])):
        if table.kind[row] == 2:  # diverging: who is behind minds
            continue
        if row not in cache:
            cache[row] = _approach(
                net, int(table.other[row]), float(table.other_in_m[row]), float(table.other_out_m[row]), approach_m
            )  # fmt: skip
        out.append(
            ConflictEvent(
                s_in_m=run.at(float(table.s_in_m[row])),
                s_out_m=run.at(float(table.s_out_m[row])),
                right_of_way=RightOfWay(int(table.right_of_way[row])),
                approach=cache[row],
            )
        )
    return tuple(out)


def _approach(net: RoadNetwork, lane: int, in_m: float, out_m: float, reach_m: float) -> Approach:
    """Points on `lane` up to `out_m` and on its predecessors, no farther than `reach_m` before `in_m`."""
    lanes, points = net.lanes, net.points
    x: list[F64] = []
    y: list[F64] = []
    yaw: list[F64] = []
    dist: list[F64] = []
    todo = [(lane, 0.0, out_m, in_m)]  # lane, from s, to s, distance from s = 0 to the area
    seen = {lane}
    while todo:
        this, s0, s1, to_area = todo.pop(0)
        s0 = max(s0, to_area - reach_m)
        a, b = int(lanes.point_start[this]), int(lanes.point_start[this + 1])
        s = np.linspace(s0, s1, max(2, int((s1 - s0) / APPROACH_STEP_M) + 1))
        x.append(np.interp(s, points.s_m[a:b], points.x_m[a:b]))
        y.append(np.interp(s, points.s_m[a:b], points.y_m[a:b]))
        yaw.append(np.interp(s, points.s_m[a:b], np.unwrap(points.yaw_rad[a:b])))
        dist.append(to_area - s)
        if to_area < reach_m:
            for before in lanes.prev[lanes.prev_start[this] : lanes.prev_start[this + 1]].tolist():
                if before not in seen:
                    seen.add(before)
                    length = float(lanes.length_m[before])
                    todo.append((before, 0.0, length, to_area + length))
    return Approach(
        np.concatenate(x),
        np.concatenate(y),
        np.concatenate(yaw),
        np.concatenate(dist),
        out_m - in_m,
    )


def _crossings(net: RoadNetwork, runs: list[_Run]) -> tuple[CrossingEvent, ...]:
    c = net.crossings
    events = []
    for row in range(c.x0_m.size):
        for k in range(int(c.lane_start[row]), int(c.lane_start[row + 1])):
            for run in runs:
                if run.lane != int(c.lane[k]) or not run.covers(float(c.lane_in_m[k])):
                    continue
                events.append(
                    CrossingEvent(
                        s_in_m=run.at(float(c.lane_in_m[k])),
                        s_out_m=run.at(float(c.lane_out_m[k])),
                        x0_m=float(c.x0_m[row]),
                        y0_m=float(c.y0_m[row]),
                        x1_m=float(c.x1_m[row]),
                        y1_m=float(c.y1_m[row]),
                        width_m=float(c.width_m[row]),
                        group=int(c.group[row]),
                    )
                )
    return tuple(sorted(events, key=lambda e: (e.s_in_m, e.s_out_m)))
