"""Where connecting lanes of a junction meet, and who waits there.

In: lanes, their samples, junctions, and what the file says about priority. Out: `Conflicts`, each
pair of lanes twice.

A lane body is the centre line widened by `BODY_HALF_M` to either side, or by the lane's own half
width where that is less; two lanes meet where their bodies overlap. Several overlaps of one pair
are reported as their hull. Lanes side by side on one connecting road never meet. Lanes open to
nobody but pedestrians are left out: crossings are `Crossings`.

Who waits is decided by the first rule that separates the two lanes:

1. the file's `<priority>` records (of the connecting roads or of the roads they come from);
2. a stop or yield sign on one approach and none on the other;
3. turning rules of the Vienna Convention on Road Traffic 1968, article 16, and of common practice:
   a U-turn waits for all; a turn waits for straight-on traffic; a turn across oncoming traffic
   (left under RHT, right under LHT) waits for the oncoming turn to the near side;
4. otherwise EQUAL, where the follower of these rows breaks ties by the right-hand rule.

Valid for vehicles up to 2 * BODY_HALF_M wide; wide swept paths of long vehicles are not in the
bodies.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from protocols.roads import _conflict_kernels
from protocols.roads.network import (
    F64,
    I32,
    U8,
    ConflictKind,
    Conflicts,
    Junctions,
    Lanes,
    Points,
    RightOfWay,
    UserClass,
)

# Half a 2.2 m body plus 0.3 m at either side: adjacent 3 m lanes do not touch, opposing bodies
# still have room to pass.
BODY_HALF_M: Final = 1.4
# A lane narrower than the body keeps this much from its own edge, so that neighbours that share an
# edge do not overlap.
EDGE_CLEARANCE_M: Final = 0.05
MIN_HALF_M: Final = 0.3
STRAIGHT_RAD: Final = np.deg2rad(35.0)  # a larger change of direction is a turn
U_TURN_RAD: Final = np.deg2rad(150.0)
ONCOMING_RAD: Final = np.deg2rad(135.0)  # approaches that differ by more face each other

_STRAIGHT, _NEAR, _FAR, _U_TURN = 0, 1, 2, 3


def find_conflicts(
    lanes: Lanes,
    points: Points,
    junctions: Junctions,
    *,
    priority: I32 | None = None,
    sign_kind: U8 | None = None,
) -> Conflicts:
    """Conflict rows of all junctions, sorted by (owner lane, other lane).

    `priority`: (n, 2) road indices (high, low), connecting or incoming roads. `sign_kind`: (L,) 0
    none, 1 stop sign, 2 yield sign, on the connecting lane or on the lane it comes from.
    """
    num_lanes = int(lanes.road.size)
    pedestrians_only = (lanes.permission & ~np.uint32(UserClass.PEDESTRIAN)) == 0
    keep = ~pedestrians_only[junctions.lane]
    junction_of_entry = np.repeat(
        np.arange(junctions.lane_start.size - 1), np.diff(junctions.lane_start)
    )
    counts = np.bincount(junction_of_entry[keep], minlength=junctions.lane_start.size - 1)
    start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    member = junctions.lane[keep].astype(np.int64)
    # Lanes of one direction of one section ride side by side.
    neighbour = lanes.section.astype(np.int64) * 2 + (lanes.direction > 0)
    pair, span = _overlaps(lanes, points, start, member, neighbour)
    a, b = pair[:, 0].astype(np.int64), pair[:, 1].astype(np.int64)
    kind = _kinds(lanes, a, b)
    a_waits = _right_of_way(lanes, points, a, b, kind, priority, sign_kind)
    b_waits = (2 - a_waits).astype(np.uint8)  # YIELD <-> PRIORITY, EQUAL stays

    owner = np.concatenate((a, b))
    other = np.concatenate((b, a))
    order = np.lexsort((other, owner))
    rows = np.concatenate((span, span[:, [2, 3, 0, 1]]))[order]
    per_lane = np.bincount(owner, minlength=num_lanes)
    return Conflicts(
        start=np.concatenate(([0], np.cumsum(per_lane))).astype(np.int32),
        other=other[order].astype(np.int32),
        s_in_m=np.ascontiguousarray(rows[:, 0]),
        s_out_m=np.ascontiguousarray(rows[:, 1]),
        other_in_m=np.ascontiguousarray(rows[:, 2]),
        other_out_m=np.ascontiguousarray(rows[:, 3]),
        kind=np.concatenate((kind, kind))[order],
        right_of_way=np.concatenate((a_waits, b_waits))[order],
    )


def _overlaps(
    lanes: Lanes,
    points: Points,
    start: npt.NDArray[np.int64],
    member: npt.NDArray[np.int64],
    neighbour: npt.NDArray[np.int64],
) -> tuple[I32, F64]:
    """(n, 2) lanes and (n, 4) s_in, s_out on either, of every pair of bodies that overlap."""
    half_m = np.clip(points.width_m / 2 - EDGE_CLEARANCE_M, MIN_HALF_M, BODY_HALF_M)
    xy_m = np.stack((points.x_m, points.y_m), axis=1)
    across = np.stack((-np.sin(points.yaw_rad), np.cos(points.yaw_rad)), axis=1) * half_m[:, None]
    left, right = xy_m + across, xy_m - across
    # Quad of sample i: right i, right i+1, left i+1, left i. The last of a lane is never read.
    quad = np.stack((right, np.roll(right, -1, 0), np.roll(left, -1, 0), left), axis=1)
    box = np.concatenate((quad.min(axis=1), quad.max(axis=1)), axis=1)
    edge = np.concatenate((np.minimum(left, right), np.maximum(left, right)), axis=1)
    first = lanes.point_start[:-1]
    lane_box = np.concatenate(
        (np.minimum.reduceat(edge[:, :2], first), np.maximum.reduceat(edge[:, 2:], first)), axis=1
    )
    poly, spare = np.empty((16, 2)), np.empty((16, 2))
    count = 8 * member.size
    while True:
        pair, span = np.empty((count, 2), dtype=np.int32), np.empty((count, 4))
        found = _conflict_kernels.overlaps(
            start, member, neighbour, lane_box, lanes.point_start, points.s_m, xy_m, quad, box,
            poly, spare, pair, span,
        )  # fmt: skip
        if found <= count:
            return pair[:found], span[:found]
        count = found


def _shares(
    start: I32, values: I32, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether the CSR rows a[i] and b[i] have a value in common."""
    out = np.zeros(a.size, dtype=np.bool_)
    for i in range(a.size):
        mine = values[start[a[i]] : start[a[i] + 1]]
        out[i] = bool(np.isin(values[start[b[i]] : start[b[i] + 1]], mine).any())
    return out


def _single(start: I32, values: I32) -> npt.NDArray[np.int64]:
    """First value of every CSR row, or -1."""
    out = np.full(start.size - 1, -1, dtype=np.int64)
    has = np.diff(start) > 0
    out[has] = values[start[:-1][has]]
    return out


def _kinds(lanes: Lanes, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> U8:
    many = max(
        int(np.diff(lanes.next_start)[a].max(initial=0)),
        int(np.diff(lanes.next_start)[b].max(initial=0)),
        int(np.diff(lanes.prev_start)[a].max(initial=0)),
        int(np.diff(lanes.prev_start)[b].max(initial=0)),
    )
    if many <= 1:
        after, before = _single(lanes.next_start, lanes.next), _single(lanes.prev_start, lanes.prev)
        merges = (after[a] == after[b]) & (after[a] >= 0)
        diverges = (before[a] == before[b]) & (before[a] >= 0)
    else:
        merges = _shares(lanes.next_start, lanes.next, a, b)
        diverges = _shares(lanes.prev_start, lanes.prev, a, b)
    kind = np.full(a.size, ConflictKind.CROSSING, dtype=np.uint8)
    kind[diverges] = ConflictKind.DIVERGING
    kind[merges] = ConflictKind.MERGING
    return kind


def _wrap(angle_rad: F64) -> F64:
    return np.asarray(np.pi - np.mod(np.pi - angle_rad, 2 * np.pi))


def _right_of_way(
    lanes: Lanes,
    points: Points,
    a: npt.NDArray[np.int64],
    b: npt.NDArray[np.int64],
    kind: U8,
    priority: I32 | None,
    sign_kind: U8 | None,
) -> U8:
    """(n,) RightOfWay of lane a against lane b."""
    before = _single(lanes.prev_start, lanes.prev)
    yields = np.zeros(a.size, dtype=np.int64)  # +1 a waits, -1 b waits, 0 undecided

    def settle(a_first: npt.NDArray[np.bool_], b_first: npt.NDArray[np.bool_]) -> None:
        open_ = (yields == 0) & (a_first != b_first)
        yields[open_ & b_first] = 1
        yields[open_ & a_first] = -1

    if priority is not None and priority.size:
        num_roads = int(max(lanes.road.max(), priority.max())) + 2
        listed = np.unique(priority[:, 0].astype(np.int64) * num_roads + priority[:, 1])
        road = lanes.road.astype(np.int64)
        from_road = np.where(before >= 0, road[before], num_roads - 1)
        for of in (road, from_road):
            settle(
                np.isin(of[a] * num_roads + of[b], listed),
                np.isin(of[b] * num_roads + of[a], listed),
            )
    if sign_kind is not None:
        signed = (sign_kind > 0) | ((before >= 0) & (sign_kind[before] > 0))
        settle(~signed[a], ~signed[b])

    yaw_in = points.yaw_rad[lanes.point_start[:-1]]
    turn = _wrap(points.yaw_rad[lanes.point_start[1:] - 1] - yaw_in)
    left_hand = lanes.direction.astype(np.int64) * lanes.odr_id > 0
    turn = np.where(left_hand, -turn, turn)  # now positive is always across oncoming traffic
    way = np.where(np.abs(turn) <= STRAIGHT_RAD, _STRAIGHT, np.where(turn > 0, _FAR, _NEAR))
    way[np.abs(turn) >= U_TURN_RAD] = _U_TURN
    oncoming = np.abs(_wrap(yaw_in[a] - yaw_in[b])) > ONCOMING_RAD
    settle(way[a] != _U_TURN, way[b] != _U_TURN)
    settle(way[a] == _STRAIGHT, way[b] == _STRAIGHT)
    settle(
        oncoming & (way[a] == _NEAR) & (way[b] == _FAR),
        oncoming & (way[b] == _NEAR) & (way[a] == _FAR),
    )

    out = np.full(a.size, RightOfWay.EQUAL, dtype=np.uint8)
    out[yields > 0] = RightOfWay.YIELD
    out[yields < 0] = RightOfWay.PRIORITY
    out[kind == ConflictKind.DIVERGING] = RightOfWay.EQUAL
    return out
