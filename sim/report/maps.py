"""A road network in words: what is on it, what looks wrong, its lanes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protocols.roads.network import MOTOR, LaneType, RoadNetwork, UserClass


def info_lines(net: RoadNetwork) -> list[str]:
    """Counts, lengths, extent."""
    lanes, points = net.lanes, net.points
    kinds, counts = np.unique(lanes.type, return_counts=True)
    by_type = ", ".join(
        f"{count} {LaneType(kind).name.lower()}" for kind, count in zip(kinds, counts, strict=True)
    )
    outside = net.roads.junction < 0
    extent = "empty"
    if points.x_m.size:
        extent = f"{np.ptp(points.x_m):.0f} m east-west, {np.ptp(points.y_m):.0f} m north-south"
    bus_only = int(np.count_nonzero(_is_bus_only(net)))
    stations = ", ".join(dict.fromkeys(net.stations.name)) or "none"
    return [
        f"{net.name}: OpenDRIVE {net.version}, SHA-256 {net.digest[:16]}",
        f"georeference  {net.geo_reference or 'none'}",
        f"extent        {extent}",
        f"roads         {len(net.roads.id)} ({float(net.roads.length_m[outside].sum()) / 1000:.2f} km outside junctions)",
        f"lanes         {net.num_lanes}: {by_type}",
        f"bus-only      {bus_only} lanes",
        f"junctions     {len(net.junctions.id)}, {int(net.junctions.is_signalised.sum())} with signals",
        f"signals       {len(net.groups.id)} groups, {int((net.stop_lines.group >= 0).sum())} stop lines under signals",
        f"stations      {stations}",
        f"crossings     {len(net.crossings.id)}",
        f"reader notes  {len(net.notes)}",
    ]


def findings(net: RoadNetwork) -> list[str]:
    """Sentences about what a driver would stumble over; empty when all is well."""
    return [*net.notes, *_dead_ends(net), *_gaps(net)]


def lane_lines(net: RoadNetwork) -> Iterator[str]:
    """One line a lane: key, type, direction of travel, length, speed limit, who may use it."""
    lanes = net.lanes
    yield f"{'lane':<14} {'type':<12} {'length':>9} {'limit':>10}  who"
    for lane in range(net.num_lanes):
        speed = f"{lanes.speed_mps[lane] * 3.6:.0f} km/h" if lanes.has_speed[lane] else "-"
        kind = LaneType(int(lanes.type[lane])).name.lower()
        yield f"{net.lane_key(lane):<14} {kind:<12} {lanes.length_m[lane]:>7.1f} m {speed:>10}  {_who(int(lanes.permission[lane]))}"


def _who(bits: int) -> str:
    """Classes by name; the usual sets by one word."""
    motor = int(MOTOR)
    if bits & motor == motor:
        rest = [user.name.lower() for user in UserClass if bits & ~motor & user and user.name]
        return ", ".join(["motor traffic", *rest])
    return (
        ", ".join(user.name.lower() for user in UserClass if bits & user and user.name) or "nobody"
    )


def _is_bus_only(net: RoadNetwork) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    permission = net.lanes.permission
    return ((permission & int(UserClass.BUS)) != 0) & ((permission & int(UserClass.PASSENGER)) == 0)


def _dead_ends(net: RoadNetwork) -> Iterator[str]:
    """A connecting lane for motor traffic with nothing after or before it."""
    lanes = net.lanes
    drivable = (lanes.permission & int(MOTOR)) != 0
    for table, word in (
        (lanes.next_start, "leads nowhere"),
        (lanes.prev_start, "comes from nowhere"),
    ):
        rows = np.flatnonzero((np.diff(table) == 0) & drivable & (lanes.junction >= 0))
        if rows.size:
            keys = ", ".join(net.lane_key(int(row)) for row in rows[:5])
            yield f"{rows.size} lanes inside junctions: traffic {word} ({keys}{', ...' if rows.size > 5 else ''})"


def _gaps(net: RoadNetwork, limit_m: float = 0.1) -> Iterator[str]:
    """Joins of lanes that do not meet."""
    lanes, points = net.lanes, net.points
    drivable = (lanes.permission & int(MOTOR)) != 0
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.next_start))
    after = lanes.next.astype(np.int64)
    last, first = lanes.point_start[owner + 1] - 1, lanes.point_start[after]
    gap_m = np.hypot(points.x_m[last] - points.x_m[first], points.y_m[last] - points.y_m[first])
    rows = np.flatnonzero((gap_m > limit_m) & drivable[owner] & drivable[after])
    if rows.size:
        worst = int(rows[np.argmax(gap_m[rows])])
        pair = f"{net.lane_key(int(owner[worst]))} to {net.lane_key(int(after[worst]))}"
        yield f"{rows.size} joins of lanes are more than {limit_m:g} m apart; the widest is {gap_m[worst]:.2f} m, {pair}"
