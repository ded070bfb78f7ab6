"""From the scene's words about demand to lanes: `road:<id>` and lane keys resolved, and a default demand for a bare map."""

from __future__ import annotations

import difflib

import numpy as np

from protocols.errors import ConfigError, RoadError
from protocols.roads.network import I32, LaneType, RoadNetwork, UserClass
from protocols.roads.routing import costs_to_go, find_lane
from scenarios.spec import FlowSpec

ENTRY_VPH = 400.0  # per entry lane of a bare map: moderate city traffic
INNER_VPH = 60.0  # per origin lane on a map without open ends
MAX_ORIGINS = 40


def entry_lanes(net: RoadNetwork, who: UserClass) -> I32:
    """Lanes where traffic of `who` comes onto the map: no predecessor, long enough to appear on."""
    return _ends(net, who, net.lanes.prev_start)


def exit_lanes(net: RoadNetwork, who: UserClass) -> I32:
    """Lanes where traffic leaves the map: no successor."""
    return _ends(net, who, net.lanes.next_start)


def _ends(net: RoadNetwork, who: UserClass, start: I32) -> I32:
    lanes = net.lanes
    fit = _drivable(net, who) & (np.diff(start) == 0) & (lanes.length_m > 15.0)
    # A turning pocket also begins without a predecessor, but beside a lane that has one.
    open_end = [lane for lane in np.flatnonzero(fit) if not _is_beside_open(net, int(lane), start)]
    return np.asarray(open_end, dtype=np.int32)


def _is_beside_open(net: RoadNetwork, lane: int, start: I32) -> bool:
    for beside in (net.lanes.left, net.lanes.right):
        at = int(beside[lane])
        while at >= 0:
            if int(start[at + 1]) > int(start[at]):
                return True
            at = int(beside[at])
    return False


def _drivable(net: RoadNetwork, who: UserClass) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    lanes = net.lanes
    kinds = [LaneType.DRIVING, LaneType.BUS, LaneType.ENTRY, LaneType.EXIT, LaneType.ON_RAMP]
    kinds += [LaneType.OFF_RAMP, LaneType.CONNECTING_RAMP, LaneType.SLIP_LANE]
    if who == UserClass.BICYCLE:
        kinds = [LaneType.BIKING, LaneType.SHARED]
    admitted = (lanes.permission & np.uint32(who)) != 0
    return np.asarray(admitted & np.isin(lanes.type, kinds) & (lanes.junction < 0), dtype=np.bool_)


def resolve_lanes(
    net: RoadNetwork, text: str, is_origin: bool, who: UserClass, where: str
) -> list[int]:
    """Lanes meant by a lane key or `road:<id>` (its open-end lanes for `who`, else its outermost section)."""
    if not text.startswith("road:"):
        try:
            return [find_lane(net, text)]
        except RoadError as error:
            raise ConfigError(f"{where}: {error}") from error
    road_id = text[5:]
    if road_id not in net.roads.id:
        close = ", ".join(difflib.get_close_matches(road_id, net.roads.id, n=5, cutoff=0.0))
        raise ConfigError(
            f"{where}: road '{road_id}' is not on road network '{net.name}'. Nearest ids: {close}."
        )
    road = net.roads.id.index(road_id)
    ends = entry_lanes(net, who) if is_origin else exit_lanes(net, who)
    found = [int(lane) for lane in ends if int(net.lanes.road[lane]) == road]
    if not found:
        side = "enter" if is_origin else "leave"
        raise ConfigError(
            f"{where}: no lane of road '{road_id}' lets {who.name} {side} the map there. "
            "Name a lane as road/section/lane, or another road; see `icv map info`."
        )
    return found


def default_flows(net: RoadNetwork, who: UserClass = UserClass.PASSENGER) -> tuple[FlowSpec, ...]:
    """Traffic for a map that nobody wrote demand for: every entry to every exit that it can reach.

    A closed map gets origins and destinations spread over its longer lanes. RoadError when nothing is drivable.
    """
    origins, exits = entry_lanes(net, who), exit_lanes(net, who)
    per_hour = ENTRY_VPH
    if origins.size == 0 or exits.size == 0:
        inner = np.flatnonzero(_drivable(net, who) & (net.lanes.length_m > 25.0)).astype(np.int32)
        pick = np.unique(np.linspace(0, inner.size - 1, min(inner.size, MAX_ORIGINS)).astype(int))
        chosen = inner[pick] if inner.size else inner
        origins = origins if origins.size else chosen
        exits = exits if exits.size else chosen
        per_hour = INNER_VPH
    if origins.size > MAX_ORIGINS:
        origins = origins[np.unique(np.linspace(0, origins.size - 1, MAX_ORIGINS).astype(int))]
    if exits.size > MAX_ORIGINS:
        exits = exits[np.unique(np.linspace(0, exits.size - 1, MAX_ORIGINS).astype(int))]
    if origins.size == 0:
        raise RoadError(
            f"Road network '{net.name}' has no lane of {who.name} to drive on; "
            "`icv map info` lists its lanes and permissions."
        )
    cost = costs_to_go(net, [[int(lane)] for lane in exits], who)
    flows: list[FlowSpec] = []
    for lane in origins:
        weights = {
            net.lane_key(int(goal)): 1.0
            for k, goal in enumerate(exits)
            if np.isfinite(cost[k, lane]) and int(goal) != int(lane)
        }
        if not weights and np.diff(net.lanes.next_start)[lane] == 0:
            weights = {net.lane_key(int(lane)): 1.0}  # a single road: drive to its end
        if weights:
            flows.append(
                FlowSpec(
                    name=f"entry-{len(flows) + 1}",
                    origins=(net.lane_key(int(lane)),),
                    destinations=weights,
                    vehicles_per_hour=per_hour,
                )
            )
    if not flows:
        raise RoadError(
            f"Road network '{net.name}': no entry reaches any exit for {who.name}; "
            "`icv map check` lists broken links."
        )
    return tuple(flows)
