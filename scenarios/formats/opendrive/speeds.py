"""Speed limits along lanes in travel direction: a lane's own `<speed>` first, else the road's `<type><speed>`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64, I32, Bool, Points
from scenarios.formats.opendrive.lanes import LaneRows, starts, table
from scenarios.formats.opendrive.tables import Tables


@dataclass(slots=True)
class Limits:
    """Per lane: limit at the entrance and the CSR pieces."""

    speed_mps: F64
    has_speed: Bool
    start: I32
    s_m: F64
    piece_mps: F64


def speed_limits(
    tables: Tables, lanes: LaneRows, s0: F64, s1: F64, points: Points, point_start: I32
) -> Limits:
    """Pieces of every lane. Stretches without a limit keep the limit before them."""
    count = lanes.section.size
    own = table(tables.lane_speed, 3)
    owner = lanes.rank[own[:, 0].astype(np.int64)]
    order = np.lexsort((own[:, 1], owner))
    own, owner = own[order], owner[order]
    own_start = starts(owner, count)
    road = table(tables.road_speed, 3)
    road = road[np.lexsort((road[:, 1], road[:, 0]))]
    road_start = starts(road[:, 0].astype(np.int64), len(tables.road_id))

    num_own, num_road = np.diff(own_start), np.diff(road_start)[lanes.road]
    begin = s0[lanes.section]
    # Ordinary lanes: one record that holds from the lane's begin to its end.
    single = np.full(count, np.nan)
    by_lane = num_own == 1
    by_lane[by_lane] &= own[own_start[:-1][by_lane], 1] <= 0
    by_lane[by_lane] &= np.isfinite(own[own_start[:-1][by_lane], 2])
    single[by_lane] = own[own_start[:-1][by_lane], 2]
    by_road = (num_own == 0) & (num_road == 1)
    first = road_start[:-1][lanes.road]
    by_road[by_road] &= road[first[by_road], 1] <= begin[by_road]
    single[by_road] = road[first[by_road], 2]
    simple = by_lane | by_road | ((num_own == 0) & (num_road == 0))

    pieces: dict[int, list[tuple[float, float]]] = {}
    for lane in np.flatnonzero(~simple):
        lo, hi = float(begin[lane]), float(s1[lanes.section[lane]])
        mine = own[own_start[lane] : own_start[lane + 1]]
        ours = road[road_start[lanes.road[lane]] : road_start[lanes.road[lane] + 1]]
        cuts = {lo}
        cuts |= {lo + float(s) for s in mine[:, 1] if 0 < s < hi - lo}
        cuts |= {float(s) for s in ours[:, 1] if lo < s < hi}
        edges = [*sorted(cuts), hi]
        values = [
            _limit(mine[:, 1] + lo, mine[:, 2], ours[:, 1], ours[:, 2], s) for s in edges[:-1]
        ]
        rows = slice(point_start[lane], point_start[lane + 1])
        road_s, along = points.road_s_m[rows], points.s_m[rows]
        if lanes.direction[lane] < 0:
            road_s, along = road_s[::-1], along[::-1]
            entries = list(zip(edges[:0:-1], values[::-1], strict=True))
        else:
            entries = list(zip(edges[:-1], values, strict=True))
        kept = [(float(np.interp(s, road_s, along)), v) for s, v in entries if np.isfinite(v)]
        pieces[int(lane)] = kept
        if kept and kept[0][0] <= 1e-9:
            single[lane] = kept[0][1]
    sizes = np.isfinite(single).astype(np.int64)
    for row, kept in pieces.items():
        sizes[row] = len(kept)
    start = np.zeros(count + 1, np.int32)
    np.cumsum(sizes, out=start[1:])
    s_m, mps = np.zeros(int(start[-1])), np.zeros(int(start[-1]))
    mps[start[:-1][sizes > 0]] = single[sizes > 0]
    for row, kept in pieces.items():
        for i, (s, v) in enumerate(kept):
            s_m[start[row] + i], mps[start[row] + i] = s, v
    has = np.isfinite(single)
    return Limits(np.where(has, single, 0.0), has, start, s_m, mps)


def _limit(lane_s: F64, lane_mps: F64, road_s: F64, road_mps: F64, s: float) -> float:
    """Limit that holds just behind s, NaN for none."""
    for starts_, values in ((lane_s, lane_mps), (road_s, road_mps)):
        holds = np.flatnonzero(starts_ <= s + 1e-9)
        if holds.size and np.isfinite(values[holds[-1]]):
            return float(values[holds[-1]])
    return float("nan")
