"""Lanes that meet outside junctions: two ways into one lane, a way that splits, roads drawn across each other.

In: the road network. Out: `Conflicts` of lanes that belong to no junction, found by the same overlap of bodies as inside
junctions. Left out are pairs that only follow each other, that ride side by side, or that pass above one another.
"""

from __future__ import annotations

import numpy as np

from protocols.roads.conflicts import find_conflicts
from protocols.roads.network import F64, I32, Bool, ConflictKind, Conflicts, Junctions, RoadNetwork

CLEAR_HEIGHT_M = 3.0  # as the collision referee: less is no bridge
CROSSING_M = 2.2  # centre lines that come closer than this cross; others only brush at their edges
NARROW_M = 1.0  # a lane that is nowhere wider is no lane
FOLLOWING = 3  # lanes in a row that overlap at their joints only


def meetings(net: RoadNetwork) -> Conflicts:
    """Rows of lanes outside junctions, each pair twice, sorted by (owner lane, other lane)."""
    lanes = net.lanes
    widest = np.maximum.reduceat(net.points.width_m, lanes.point_start[:-1])
    member = np.flatnonzero((lanes.junction < 0) & (widest > NARROW_M)).astype(np.int32)
    ground = Junctions(
        id=("",),
        name=("",),
        lane_start=np.asarray([0, member.size], dtype=np.int32),
        lane=member,
        is_signalised=np.zeros(1, dtype=np.bool_),
    )
    found = find_conflicts(lanes, net.points, ground)
    owner = np.repeat(np.arange(net.num_lanes, dtype=np.int32), np.diff(found.start))
    keep = np.zeros(owner.size, dtype=np.bool_)
    for r in np.flatnonzero(owner < found.other).tolist():
        keep[r] = _is_real(net, int(owner[r]), int(found.other[r]), r, found)
    pairs = {(int(owner[r]), int(found.other[r])) for r in np.flatnonzero(keep)}
    for r in np.flatnonzero(owner > found.other).tolist():
        keep[r] = (int(found.other[r]), int(owner[r])) in pairs
    return _rows(found, owner, keep, net.num_lanes)


def _is_real(net: RoadNetwork, a: int, b: int, row: int, found: Conflicts) -> bool:
    """Whether bodies on a and b can touch there."""
    lanes = net.lanes
    if lanes.section[a] == lanes.section[b] or _follows(net, a, b) or _follows(net, b, a):
        return False
    own = _between(net, a, float(found.s_in_m[row]), float(found.s_out_m[row]))
    other = _between(net, b, float(found.other_in_m[row]), float(found.other_out_m[row]))
    apart = np.hypot(*(own[:, None, :2] - other[None, :, :2]).transpose(2, 0, 1))
    apart[np.abs(own[:, None, 2] - other[None, :, 2]) > CLEAR_HEIGHT_M] = np.inf
    near_m = CROSSING_M if found.kind[row] == ConflictKind.CROSSING else np.inf
    return bool(apart.min() < near_m)


def _between(net: RoadNetwork, lane: int, low_m: float, high_m: float) -> F64:
    """(n, 3) points of the centre line, at most 0.5 m apart."""
    a, b = net.lanes.point_start[lane], net.lanes.point_start[lane + 1]
    at = np.linspace(low_m, high_m, min(max(int((high_m - low_m) / 0.5), 2), 400))
    p, s = net.points, net.points.s_m[a:b]
    return np.stack([np.interp(at, s, v[a:b]) for v in (p.x_m, p.y_m, p.z_m)], axis=1)


def _follows(net: RoadNetwork, lane: int, other: int) -> bool:
    """Whether `other` comes a few lanes after `lane`."""
    lanes = net.lanes
    at = [lane]
    for _ in range(FOLLOWING):
        at = [int(n) for x in at for n in lanes.next[lanes.next_start[x] : lanes.next_start[x + 1]]]
        if other in at:
            return True
    return False


def _rows(found: Conflicts, owner: I32, keep: Bool, num_lanes: int) -> Conflicts:
    per_lane = np.bincount(owner[keep], minlength=num_lanes)
    return Conflicts(
        start=np.concatenate(([0], np.cumsum(per_lane))).astype(np.int32),
        other=found.other[keep],
        s_in_m=found.s_in_m[keep],
        s_out_m=found.s_out_m[keep],
        other_in_m=found.other_in_m[keep],
        other_out_m=found.other_out_m[keep],
        kind=found.kind[keep],
        right_of_way=found.right_of_way[keep],
    )


def join(inside: Conflicts, outside: Conflicts) -> Conflicts:
    """Both tables in one; no lane has rows in both."""
    counts = np.diff(inside.start) + np.diff(outside.start)
    lane = np.arange(counts.size)
    owner = np.concatenate(
        (np.repeat(lane, np.diff(inside.start)), np.repeat(lane, np.diff(outside.start)))
    )
    order = np.argsort(owner, kind="stable")
    columns = {
        name: np.concatenate((getattr(inside, name), getattr(outside, name)))[order]
        for name in Conflicts.__slots__
        if name != "start"
    }
    start = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return Conflicts(start=start, **columns)
