"""The route of one automated vehicle as the referee sees it: a single ruler `route_s_m`, with stations and stop lines on it.

Built from the scene's start, stops and destination. Where the route changes lanes, both lanes share one stretch of the ruler, so
progress does not jump. Source of the way itself: `protocols.roads.routing`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.errors import ConfigError, RoadError
from protocols.roads.network import F64, I32, RoadNetwork, UserClass
from protocols.roads.routing import find_lane, route
from protocols.sentence import say
from scenarios.spec import VehicleSpec


@dataclass(frozen=True, slots=True)
class OnRoute:
    """Something at a place on the ruler."""

    route_s_m: float
    index: int  # station or stop-line row
    lane: int
    name: str


@dataclass(frozen=True, slots=True)
class RouteLine:
    """Lanes in order, where each begins on the ruler, and what stands beside it."""

    lanes: I32  # (K,)
    begin_m: F64  # (K,) ruler value at travel distance 0 of the lane
    length_m: float
    stations: tuple[OnRoute, ...]  # stops to serve, in the order of the timetable
    signals: tuple[OnRoute, ...]  # signalised stop lines passed

    def progress(self, lane: int, s_m: float, last_m: float) -> float:
        """Ruler value of (lane, s); `last_m` when the lane is not on the route near where the vehicle was."""
        best, gap = last_m, np.inf
        for k in np.flatnonzero(self.lanes == lane):
            value = float(self.begin_m[k]) + s_m
            if abs(value - last_m) < gap:
                best, gap = value, abs(value - last_m)
        return best if gap < 60.0 else last_m


def station_row(net: RoadNetwork, name: str, where: str) -> tuple[int, ...]:
    """Rows of the stations called `name` (by name or id); ConfigError with the known names."""
    rows = tuple(
        k for k in range(len(net.stations.id)) if name in (net.stations.name[k], net.stations.id[k])
    )
    if not rows:
        known = ", ".join(sorted(set(net.stations.name))) or "none"
        raise ConfigError(
            say(
                "{where}: station '{name}' is not on road network '{network}'. Known: {names}.",
                where=where,
                name=name,
                network=net.name,
                names=known,
            )
        )
    return rows


def _pick(net: RoadNetwork, rows: tuple[int, ...], lane: int, s_m: float, who: UserClass) -> int:
    """Of several rows with one name, the one reached first from (lane, s)."""
    if len(rows) == 1:
        return rows[0]
    costs: list[tuple[float, int]] = []
    for row in rows:
        try:
            way = route(
                net, lane, s_m, int(net.stations.lane[row]), float(net.stations.stop_s_m[row]), who
            )
        except RoadError:
            continue
        costs.append((way.length_m, row))
    return min(costs)[1] if costs else rows[0]


def _lane(net: RoadNetwork, key: str, where: str) -> int:
    try:
        return find_lane(net, key)
    except RoadError as error:
        raise RoadError(say("{scene}: {what!s}", scene=where, what=error)) from None


def build_route_line(
    net: RoadNetwork, spec: VehicleSpec, user_class: UserClass, where: str
) -> RouteLine:
    """The ruler for `spec`; RoadError/ConfigError name the key that cannot be reached."""
    lane = _lane(net, spec.start_lane, f"{where}.start_lane")
    s_m, length = spec.start_s_m, float(net.lanes.length_m[lane])
    if s_m > length:
        raise ConfigError(
            say(
                "{where}.start_s_m: found {s_m:g}, but lane {lane} is {length_m:.2f} m long.",
                where=where,
                s_m=s_m,
                lane=spec.start_lane,
                length_m=length,
            )
        )
    goals: list[tuple[str, int, float, int]] = []
    at_lane, at_s = lane, s_m
    for k, stop in enumerate(spec.stops):
        rows = station_row(net, stop.station, f"{where}.stops.{k}.station")
        row = _pick(net, rows, at_lane, at_s, user_class)
        at_lane, at_s = int(net.stations.lane[row]), float(net.stations.stop_s_m[row])
        goals.append((f"{where}.stops.{k} (station '{stop.station}')", at_lane, at_s, row))
    end = _lane(net, spec.destination_lane, f"{where}.destination_lane")
    length = float(net.lanes.length_m[end])
    end_s = spec.destination_s_m if spec.destination_s_m is not None else max(length - 5.0, 0.0)
    goals.append((f"{where}.destination_lane", end, end_s, -1))

    lanes: list[int] = [lane]
    begin: list[float] = [-s_m]
    stations: list[OnRoute] = []
    for what, goal, goal_s, row in goals:
        try:
            way = route(net, lanes[-1], s_m, goal, goal_s, user_class)
        except RoadError as error:
            raise RoadError(say("{scene}: {what!s}", scene=what, what=error)) from error
        for k in range(1, way.lanes.size):
            before = lanes[-1]
            length = float(net.lanes.length_m[before])
            lanes.append(int(way.lanes[k]))
            begin.append(begin[-1] + (0.0 if bool(way.is_change[k]) else length))
        s_m = goal_s
        if row >= 0:
            stations.append(OnRoute(begin[-1] + goal_s, row, goal, net.stations.name[row]))
    total = begin[-1] + s_m
    lanes_arr = np.asarray(lanes, dtype=np.int32)
    begin_arr = np.asarray(begin, dtype=np.float64)
    return RouteLine(
        lanes_arr, begin_arr, total, tuple(stations), _signals(net, lanes_arr, begin_arr, total)
    )


def _signals(net: RoadNetwork, lanes: I32, begin: F64, total: float) -> tuple[OnRoute, ...]:
    out: list[OnRoute] = []
    stop = net.stop_lines
    for k in range(lanes.size):
        lane = int(lanes[k])
        after = int(lanes[k + 1]) if k + 1 < lanes.size else -1
        if after >= 0 and begin[k + 1] == begin[k]:
            continue  # left by a lane change: the stop line passed is the other lane's
        for row in range(int(stop.start[lane]), int(stop.start[lane + 1])):
            value = float(begin[k]) + float(stop.s_m[row])
            to_lane = int(stop.to_lane[row])
            if int(stop.group[row]) < 0 or not 0.0 < value <= total:
                continue
            if to_lane >= 0 and to_lane != after:
                continue
            if out and abs(out[-1].route_s_m - value) < 0.5 and out[-1].lane == lane:
                continue
            out.append(OnRoute(value, row, lane, net.groups.name[int(stop.group[row])]))
    return tuple(out)
