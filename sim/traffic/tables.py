"""The road network as the kernels want it: one row per lane, conflict rows, a thinned polyline, and route tables.

`Routes` turns (destination lanes, user class) into two rows: `hop` (best next lane, -1 none) and `act` (what to do on a
lane: 0 drive on, 1 / -1 change left / right, 3 arrived, 9 no way).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads.network import F64, I8, I32, RoadNetwork, UserClass
from protocols.roads.routing import costs_to_go
from protocols.sentence import say
from sim.traffic import _decide_kernels, _kernels
from sim.traffic._decide_kernels import CLAIM_SLOTS
from sim.traffic._kernels import (
    CF0,
    CF1,
    CHANGE,
    CR0,
    CR1,
    HEAD,
    JUNC,
    LAST,
    LASTID,
    LEFT,
    LHI,
    LLEN,
    LLO,
    LSPD,
    LTURN,
    LWID,
    MEET0,
    MEET1,
    NCL,
    NO_WAY,
    NXT0,
    ON_TARGET,
    RIGHT,
    SL0,
    SL1,
    TAIL,
)  # fmt: skip
from sim.traffic.meetings import join, meetings

I64 = npt.NDArray[np.int64]
TAPER_M = 2.6  # narrower than this, a lane is still opening or already closing
THIN_M = 0.02  # the private polyline stays this close to the network's samples
EARLY_M = 300.0  # drivers sort themselves into lanes this far ahead


@dataclass(frozen=True, slots=True)
class LaneTables:
    """Arrays the kernels take; see the column names in `_kernels.py`."""

    lf: F64  # (L, 10)
    li: I32  # (L, 16)
    cf_i: I32  # (C, 3) other lane, kind, right of way
    cf_f: F64  # (C, 4) own in, own out, other in, other out
    sl_i: I32  # (K, 3) bound for, group, kind
    sl_s: F64  # (K,)
    cr_f: F64  # (X, 2) crossing rows sorted by lane: in, out
    cr_crossing: I32  # (X,) crossing of the row
    cr_lane: I32  # (X,)
    pv_start: I32
    pv: I32
    pt_start: I64  # (L+1,)
    pt: F64  # (P, 4) s, x, y, z
    cl_row: I32  # (L, slots) tickets: row, its odometer at the lane's start, number
    cl_odo: F64
    cl_ticket: I64
    ap: F64  # (2, L, 2) first approaching vehicle without a ticket: step seen, time to arrival


def lane_tables(
    net: RoadNetwork, default_speed_mps: float, lateral_accel_mps2: float
) -> LaneTables:
    """Tables of `net`; nothing on the lanes yet."""
    lanes, points = net.lanes, net.points
    num = net.num_lanes
    lf = np.zeros((num, 10))
    li = np.full((num, 16), -1, dtype=np.int32)
    lf[:, LLEN] = lanes.length_m
    first, last = points_range(net)
    lf[:, LSPD] = _speeds(net, default_speed_mps, lateral_accel_mps2)
    lf[:, LWID] = points.width_m[(first + last) // 2]
    lf[:, LLO], lf[:, LHI] = _wide_enough(net)
    turned = points.yaw_rad[last] - points.yaw_rad[first]
    turned = np.mod(turned + np.pi, 2 * np.pi) - np.pi
    lf[:, LTURN] = np.where(np.abs(turned) > np.deg2rad(35), np.sign(turned), 0.0)
    li[:, HEAD] = li[:, TAIL] = li[:, LAST] = li[:, LASTID] = -1
    same_left = (lanes.left >= 0) & (lanes.direction == lanes.direction[lanes.left])
    same_right = (lanes.right >= 0) & (lanes.direction == lanes.direction[lanes.right])
    li[:, LEFT] = np.where(same_left, lanes.left, -1)
    li[:, RIGHT] = np.where(same_right, lanes.right, -1)
    li[:, CHANGE] = lanes.may_change_left * 1 + lanes.may_change_right * 2
    li[:, JUNC] = lanes.junction
    outside = meetings(net)
    lf[:, MEET0], lf[:, MEET1] = np.inf, -np.inf
    owner = np.repeat(np.arange(num), np.diff(outside.start))
    np.minimum.at(lf[:, MEET0], owner, outside.s_in_m)
    np.maximum.at(lf[:, MEET1], owner, outside.s_out_m)
    cf = join(net.conflicts, outside)
    li[:, CF0], li[:, CF1] = cf.start[:-1], cf.start[1:]
    li[:, SL0], li[:, SL1] = net.stop_lines.start[:-1], net.stop_lines.start[1:]
    li[:, NCL] = 0
    li[:, NXT0] = np.where(np.diff(lanes.next_start) > 0, 0, -1)
    crossing = np.repeat(np.arange(len(net.crossings.id)), np.diff(net.crossings.lane_start))
    order = np.lexsort((net.crossings.lane_in_m, net.crossings.lane))
    cr_lane = net.crossings.lane[order]
    li[:, CR0] = np.searchsorted(cr_lane, np.arange(num), side="left")
    li[:, CR1] = np.searchsorted(cr_lane, np.arange(num), side="right")
    pt_start, pt = _thin(net)
    return LaneTables(
        lf=lf,
        li=li,
        cf_i=np.stack([cf.other, cf.kind, cf.right_of_way], axis=1).astype(np.int32).reshape(-1, 3),
        cf_f=np.stack([cf.s_in_m, cf.s_out_m, cf.other_in_m, cf.other_out_m], axis=1).reshape(
            -1, 4
        ),
        sl_i=np.stack([net.stop_lines.to_lane, net.stop_lines.group, net.stop_lines.kind], axis=1)
        .astype(np.int32)
        .reshape(-1, 3),
        sl_s=net.stop_lines.s_m.astype(np.float64),
        cr_f=np.stack([net.crossings.lane_in_m[order], net.crossings.lane_out_m[order]], axis=1),
        cr_crossing=crossing[order].astype(np.int32),
        cr_lane=cr_lane.astype(np.int32),
        pv_start=lanes.prev_start,
        pv=lanes.prev if lanes.prev.size else np.zeros(1, dtype=np.int32),
        pt_start=pt_start,
        pt=pt,
        cl_row=np.full((num, CLAIM_SLOTS), -1, dtype=np.int32),
        cl_odo=np.zeros((num, CLAIM_SLOTS)),
        cl_ticket=np.zeros((num, CLAIM_SLOTS), dtype=np.int64),
        ap=np.full((2, num, 2), -1.0),
    )


def points_range(net: RoadNetwork) -> tuple[I64, I64]:
    """(L,) first and last sample of every lane."""
    start = net.lanes.point_start.astype(np.int64)
    return start[:-1], start[1:] - 1


def _speeds(net: RoadNetwork, default_mps: float, lateral_mps2: float) -> F64:
    """(L,) lowest posted limit on the lane, and what its bends allow in comfort."""
    lanes = net.lanes
    speed = np.where(lanes.has_speed & (lanes.speed_mps > 0.5), lanes.speed_mps, default_mps)
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.speed_start))
    limits = np.where(net.speed_limits.speed_mps > 0.5, net.speed_limits.speed_mps, np.inf)
    np.minimum.at(speed, owner, limits)
    bend = np.maximum.reduceat(np.abs(net.points.curvature_per_m), lanes.point_start[:-1])
    comfortable = np.sqrt(lateral_mps2 / np.maximum(bend, 1e-6))
    return np.asarray(np.minimum(speed, np.maximum(comfortable, 2.5)), dtype=np.float64)


def _wide_enough(net: RoadNetwork) -> tuple[F64, F64]:
    """(L,) first and last travel distance where the lane has the width of a vehicle; tapers begin and end with none."""
    start = net.lanes.point_start[:-1]
    width, s = net.points.width_m, net.points.s_m
    widest = np.maximum.reduceat(width, start)
    owner = np.repeat(np.arange(net.num_lanes), np.diff(net.lanes.point_start))
    is_wide = width >= np.minimum(TAPER_M, 0.9 * widest)[owner]
    low = np.minimum.reduceat(np.where(is_wide, s, np.inf), start)
    high = np.maximum.reduceat(np.where(is_wide, s, -np.inf), start)
    return low, high


def _thin(net: RoadNetwork) -> tuple[I64, F64]:
    """Samples that matter (Ramer 1972, Douglas and Peucker 1973), in one table the cache can hold."""
    points = net.points
    table = np.stack([points.s_m, points.x_m, points.y_m, points.z_m], axis=1)
    keep = np.zeros(table.shape[0], dtype=np.bool_)
    first, last = points_range(net)
    keep[first] = keep[last] = True
    low, high = first, last  # pieces whose inner samples are not decided yet, all lanes at once
    while True:
        is_open = high > low + 1
        low, high = low[is_open], high[is_open]
        if low.size == 0:
            break
        inner = high - low - 1
        begin = np.cumsum(inner) - inner  # of each piece among all inner samples
        piece = np.repeat(np.arange(low.size), inner)
        at = np.arange(piece.size) - begin[piece] + low[piece] + 1
        a, b = table[low], table[high]
        w = (table[at, 0] - a[piece, 0]) / (b[:, 0] - a[:, 0])[piece]
        line = a[piece, 1:] + w[:, None] * (b[:, 1:] - a[:, 1:])[piece]
        off = np.abs(table[at, 1:] - line).max(axis=1)
        most = np.maximum.reduceat(off, begin)
        worst = np.full(low.size, table.shape[0], dtype=np.int64)
        np.minimum.at(worst, piece, np.where(off == most[piece], at, table.shape[0]))
        is_split = most > THIN_M
        middle = worst[is_split]
        keep[middle] = True
        low, high = (
            np.concatenate((low[is_split], middle)),
            np.concatenate((middle, high[is_split])),
        )
    per_lane = np.add.reduceat(keep.astype(np.int64), first)
    return np.concatenate(([0], np.cumsum(per_lane))), np.ascontiguousarray(table[keep])


@dataclass(slots=True)
class Routes:
    """Route tables, grown on demand; one row per (targets, user class)."""

    net: RoadNetwork
    hop: I32 = field(init=False)
    act: I8 = field(init=False)
    _index: dict[tuple[tuple[int, ...], int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hop = np.empty((0, self.net.num_lanes), dtype=np.int32)
        self.act = np.empty((0, self.net.num_lanes), dtype=np.int8)

    def add(self, targets: list[tuple[int, ...]], user: UserClass) -> list[int]:
        """Rows for every target set, computed in one batch where they are new."""
        new = [t for t in dict.fromkeys(targets) if (t, int(user)) not in self._index]
        if new:
            hop, act = route_tables(self.net, new, user)
            for k, target in enumerate(new):
                self._index[(target, int(user))] = self.hop.shape[0] + k
            self.hop = np.concatenate((self.hop, hop))
            self.act = np.concatenate((self.act, act))
        return [self._index[(target, int(user))] for target in targets]

    def require(self, row: int, lane: int, what: str) -> None:
        """RoadError when the way of table `row` cannot be driven from `lane`."""
        if self.act[row, lane] == NO_WAY:
            raise RoadError(
                say(
                    "{what}: no way from lane {lane} on road network '{network}' for this vehicle class; check lane links "
                    "and permissions.",
                    what=what, lane=self.net.lane_key(lane), network=self.net.name,
                )
            )  # fmt: skip


def route_tables(
    net: RoadNetwork, targets: list[tuple[int, ...]], user: UserClass
) -> tuple[I32, I8]:
    """(D, L) hop and act of every target set."""
    cost = costs_to_go(net, [np.asarray(t, dtype=np.int32) for t in targets], user)
    lanes = net.lanes
    num = net.num_lanes
    owner = np.repeat(np.arange(num), np.diff(lanes.next_start))
    drive = lanes.length_m / np.where(
        lanes.has_speed & (lanes.speed_mps > 0), lanes.speed_mps, 50 / 3.6
    )
    hop = np.full((len(targets), num), -1, dtype=np.int32)
    act = np.zeros((len(targets), num), dtype=np.int8)
    rows = np.arange(num)
    for d in range(len(targets)):
        after = cost[d][lanes.next]
        # Of all successors the cheapest; equal ones in the file's order.
        order = np.lexsort((np.arange(owner.size), after, owner))
        sorted_owner = owner[order]
        is_first = np.ones(owner.size, dtype=np.bool_)
        is_first[1:] = sorted_owner[1:] != sorted_owner[:-1]
        best = order[is_first]
        reach = np.isfinite(after[best])
        hop[d, owner[best][reach]] = lanes.next[best][reach]
        straight = np.full(num, np.inf)
        straight[owner[best]] = drive[owner[best]] + after[best]
        known = np.where(np.isfinite(cost[d]), cost[d], 1e9)
        sideways = known < straight - 1e-3 - 1e-5 * known
        left = np.where(lanes.left >= 0, cost[d][lanes.left], np.inf)
        right = np.where(lanes.right >= 0, cost[d][lanes.right], np.inf)
        act[d] = np.where(sideways & (lanes.junction < 0), np.where(left <= right, 1, -1), 0)
        _look_further(net, known, hop[d], act[d])
        act[d][~np.isfinite(cost[d])] = NO_WAY
        act[d, list(targets[d])] = ON_TARGET
        hop[d, rows[~np.isfinite(cost[d])]] = -1
        for lane in targets[d]:  # a stop on the way: the lane still leads somewhere
            if lanes.next_start[lane + 1] > lanes.next_start[lane] and hop[d, lane] < 0:
                hop[d, lane] = lanes.next[lanes.next_start[lane]]
    return hop, act


def _look_further(net: RoadNetwork, cost: npt.NDArray[np.floating], hop: I32, act: I8) -> None:
    """Changes needed on the next lanes begin up to `EARLY_M` before, where the marks allow it."""
    lanes = net.lanes
    rest = np.where(act != 0, 0.0, np.inf)  # way to the lane where the change is needed
    for _ in range(6):
        after = np.maximum(hop, 0)
        side = act[after]
        beside = np.where(side == 1, lanes.left, lanes.right)
        may = np.where(side == 1, lanes.may_change_left, lanes.may_change_right)
        early = (act == 0) & (hop >= 0) & (side != 0) & (lanes.junction < 0)
        early &= (lanes.junction[after] < 0) & may & (beside >= 0)
        early &= cost[np.maximum(beside, 0)] < cost + 0.5
        early &= rest[after] < EARLY_M
        if not early.any():
            return
        rest[early] = rest[after][early] + lanes.length_m[after][early]
        act[early] = side[early]


def check_columns() -> bool:
    """Whether both kernel files use the same column numbers."""
    return all(
        getattr(_kernels, name) == getattr(_decide_kernels, name)
        for name in dir(_kernels)
        if name.isupper() and hasattr(_decide_kernels, name)
    )
