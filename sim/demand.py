"""From the scene's words about demand to lanes: `road:<id>` and lane keys resolved, and a default demand for a bare map."""

from __future__ import annotations

import difflib

import numpy as np

from protocols.errors import ConfigError, RoadError
from protocols.roads.network import I32, LaneType, RoadNetwork, UserClass
from protocols.roads.routing import costs_to_go, find_lane
from protocols.sentence import phrase, say
from scenarios.spec import FlowSpec

ENTRY_VPH = 400.0  # per entry lane of a bare map: moderate city traffic
INNER_VPH = 60.0  # per origin lane on a map without open ends
MAX_ORIGINS = 40
SPARSE_M = 5000.0  # more lane length than this per entry: most of the map would see nobody


def entry_lanes(net: RoadNetwork, who: UserClass) -> I32:
    """Lanes where traffic of `who` comes onto the map: no predecessor, long enough to appear on."""
    return _ends(net, who, net.lanes.prev_start)


def exit_lanes(net: RoadNetwork, who: UserClass) -> I32:
    """Lanes where traffic leaves the map: no successor."""
    return _ends(net, who, net.lanes.next_start)


def _ends(net: RoadNetwork, who: UserClass, start: I32) -> I32:
    lanes = net.lanes
    fit = _drivable(net, who) & (np.diff(start) == 0) & (lanes.length_m > 15.0)
    at = lanes.point_start[:-1] if start is lanes.prev_start else lanes.point_start[1:] - 1
    fit &= net.points.width_m[at] >= _least_width_m(who)
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
    widest = np.maximum.reduceat(net.points.width_m, lanes.point_start[:-1])
    admitted &= widest >= _least_width_m(who)
    return np.asarray(admitted & np.isin(lanes.type, kinds) & (lanes.junction < 0), dtype=np.bool_)


def _least_width_m(who: UserClass) -> float:
    return 0.9 if who == UserClass.BICYCLE else 2.0


def resolve_lanes(
    net: RoadNetwork, text: str, is_origin: bool, who: UserClass, where: str
) -> list[int]:
    """Lanes meant by a lane key or `road:<id>` (its open-end lanes for `who`, else its outermost section)."""
    if not text.startswith("road:"):
        try:
            return [find_lane(net, text)]
        except RoadError as error:
            raise ConfigError(say("{scene}: {what!s}", scene=where, what=error)) from error
    road_id = text[5:]
    if road_id not in net.roads.id:
        close = ", ".join(difflib.get_close_matches(road_id, net.roads.id, n=5, cutoff=0.0))
        raise ConfigError(
            say(
                "{where}: road '{road}' is not on road network '{network}'. Nearest ids: {names}.",
                where=where, road=road_id, network=net.name, names=close,
            )
        )  # fmt: skip
    road = net.roads.id.index(road_id)
    ends = entry_lanes(net, who) if is_origin else exit_lanes(net, who)
    found = [int(lane) for lane in ends if int(net.lanes.road[lane]) == road]
    if not found:
        side = phrase("enter") if is_origin else phrase("leave")
        raise ConfigError(
            say(
                "{where}: no lane of road '{road}' lets {user} {side!s} the map there. Name a lane as road/section/lane, or "
                "another road; see `icv map info`.",
                where=where, road=road_id, user=who.name, side=side,
            )
        )  # fmt: skip
    return found


def default_flows(net: RoadNetwork, who: UserClass = UserClass.PASSENGER) -> tuple[FlowSpec, ...]:
    """Traffic for a map that nobody wrote demand for: every entry to every exit that it can reach.

    A closed map, or one with few entries for its size, has origins and destinations spread over its longer lanes as well. A
    lane that only leads into itself or nowhere is driven to its end. RoadError when nothing is drivable.
    """
    fit = _drivable(net, who)
    entries, exits = entry_lanes(net, who), exit_lanes(net, who)
    begins_wide = net.points.width_m[net.lanes.point_start[:-1]] >= _least_width_m(who)
    inner = _spread(
        np.flatnonzero(fit & begins_wide & (net.lanes.length_m > 25.0)).astype(np.int32)
    )
    is_sparse = float(net.lanes.length_m[fit].sum()) > SPARSE_M * entries.size
    origins = _spread(entries)
    if entries.size == 0 or is_sparse:
        origins = np.concatenate((origins, np.setdiff1d(inner, origins)))[:MAX_ORIGINS]
    if exits.size == 0 or is_sparse:
        exits = np.concatenate((_spread(exits), np.setdiff1d(inner, exits)))
    exits = _spread(exits)
    if origins.size == 0:
        raise RoadError(
            say(
                "Road network '{network}' has no lane of {user} to drive on; `icv map info` lists its lanes and "
                "permissions.",
                network=net.name, user=who.name,
            )
        )  # fmt: skip
    cost = costs_to_go(net, [[int(lane)] for lane in exits], who)
    flows: list[FlowSpec] = []
    for lane in origins:
        weights = {
            net.lane_key(int(goal)): 1.0
            for k, goal in enumerate(exits)
            if np.isfinite(cost[k, lane]) and int(goal) != int(lane)
        }
        is_open = int(np.diff(net.lanes.next_start)[lane]) == 0
        if int(lane) in exits and (is_open or not weights):
            # Straight on leaves the map, or leads round into the lane itself: drive to its end.
            weights = {net.lane_key(int(lane)): 1.0}
        if weights:
            flows.append(
                FlowSpec(
                    name=f"entry-{len(flows) + 1}",
                    origins=(net.lane_key(int(lane)),),
                    destinations=weights,
                    vehicles_per_hour=ENTRY_VPH if int(lane) in entries else INNER_VPH,
                )
            )
    if not flows:
        raise RoadError(
            say(
                "Road network '{network}': no entry reaches any exit for {user}; `icv map check` lists broken links.",
                network=net.name, user=who.name,
            )
        )  # fmt: skip
    return tuple(flows)


def _spread(lanes: I32) -> I32:
    """At most `MAX_ORIGINS` of `lanes`, evenly."""
    if lanes.size <= MAX_ORIGINS:
        return lanes
    at = np.unique(np.linspace(0, lanes.size - 1, MAX_ORIGINS).astype(np.int64))
    return np.asarray(lanes[at], dtype=np.int32)
