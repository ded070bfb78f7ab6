"""Where a road or lane coordinate lies in the world: exact evaluation of the reference line in batches.

`road_pose` takes OpenDRIVE (road, s, t); `lane_pose` takes (lane, s, d) in travel direction. Both evaluate the file's own
geometry, not the sampled points. `d` is measured along the road's t axis (square to the reference line), left positive in
travel direction, so that `matching.match` is its exact inverse. With superelevation the t axis is tilted: x and y move by
t cos(roll), z by t sin(roll).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads import _kernels
from protocols.roads.network import F64, I32, Cubics, Plans, RoadNetwork, Roads, Sections
from protocols.sentence import say

MAX_SPACING_M = 5.0
"""Largest distance between two sampled points of a lane."""

CHORD_ERROR_M = 0.009
"""Largest distance of a sampled lane from its exact centre, a little below the promised 0.01 m."""


@dataclass(frozen=True, slots=True)
class Poses:
    """(N,) world poses; `road_s_m` is the road coordinate they belong to."""

    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    curvature_per_m: F64
    road_s_m: F64


def pack(
    roads: Roads,
    plans: Plans,
    cubics: tuple[Cubics, Cubics, Cubics],
    sections: Sections,
    lane_columns: tuple[I32, I32, npt.NDArray[np.int16], npt.NDArray[np.int8]],
    width: tuple[I32, Cubics],
) -> _kernels.Geo:
    """Kernel tables from elevation, superelevation and lane offset (`cubics`), lane columns (road, section, id, direction)
    and (start, records) of the widths."""
    plan = np.empty((plans.s_m.size, 17))
    columns = (plans.s_m, plans.x_m, plans.y_m, plans.yaw_rad, np.cos(plans.yaw_rad),
               np.sin(plans.yaw_rad), plans.length_m, plans.kind, plans.arc_m)  # fmt: skip
    for i, column in enumerate(columns):
        plan[:, i] = column
    plan[:, 9:] = plans.param
    starts = (roads.plan_start, roads.elevation_start, roads.superelevation_start,
              roads.lane_offset_start)  # fmt: skip
    section = lane_columns[1]
    lane = np.zeros((section.size + 1, 7), np.int32)
    lane[:-1, 0], lane[:-1, 1], lane[:-1, 2], lane[:-1, 3] = lane_columns
    lane[:, 4] = width[0]
    lane[:-1, 5] = sections.lane_start[section]
    lane[:-1, 6] = sections.lane_start[section + 1]
    return _kernels.Geo(
        plan,
        np.ascontiguousarray(np.stack(starts, axis=1)),
        _rows(cubics[0]),
        _rows(cubics[1]),
        _rows(cubics[2]),
        _rows(width[1]),
        np.column_stack((sections.s0_m, sections.s1_m)),
        lane,
    )


def sample_lanes(
    geo: _kernels.Geo, max_points: int, max_spacing_m: float = MAX_SPACING_M, chord_error_m: float = CHORD_ERROR_M
) -> tuple[I32, F64, F64]:  # fmt: skip
    """Centre lines of every lane in travel direction: (point_start (L + 1,), rows (P, 8), lane length (L,)).

    Columns: s, x, y, z, yaw, curvature, width, road s. Raises OverflowError when more than `max_points` would be needed.
    """
    lanes = geo.lane.shape[0] - 1
    start, rows, length = np.zeros(lanes + 1, np.int32), np.zeros((0, 8)), np.zeros(lanes)
    _kernels.sample_lanes(geo, max_spacing_m, chord_error_m, 0, start, rows, length)
    total = np.cumsum(start, dtype=np.int64)
    if total[-1] > max_points:
        raise OverflowError(f"{total[-1]} points, at most {max_points}")
    start[:] = total
    rows = np.zeros((int(total[-1]), 8))
    _kernels.sample_lanes(geo, max_spacing_m, chord_error_m, 1, start, rows, length)
    return start, rows, length


def _rows(cubics: Cubics) -> F64:
    return np.column_stack((cubics.s_m, cubics.coef))


_PACKED: list[tuple[RoadNetwork, _kernels.Geo]] = []
_KEPT = 4  # networks whose tables are kept; networks are immutable, so a kept table cannot be stale


def geo_of(net: RoadNetwork) -> _kernels.Geo:
    """The kernel tables of `net`, packed at first use."""
    for known, geo in _PACKED:
        if known is net:
            return geo
    lanes = net.lanes
    geo = pack(
        net.roads,
        net.plans,
        (net.elevation, net.superelevation, net.lane_offset),
        net.sections,
        (lanes.road, lanes.section, lanes.odr_id, lanes.direction),
        (lanes.width_start, net.width),
    )
    _PACKED.insert(0, (net, geo))
    del _PACKED[_KEPT:]
    return geo


def road_pose(
    net: RoadNetwork, road: npt.ArrayLike, s_m: npt.ArrayLike, t_m: npt.ArrayLike
) -> Poses:
    """Poses at road index `road`, distance `s_m`, lateral `t_m` (left positive), facing increasing s."""
    return _poses(net, road, s_m, t_m, is_lane=False)


def lane_pose(
    net: RoadNetwork, lane: npt.ArrayLike, s_m: npt.ArrayLike, d_m: npt.ArrayLike
) -> Poses:
    """Poses at travel distance `s_m` on `lane`, offset `d_m` from its centre, facing travel direction.

    `s_m` outside the lane is clamped to its ends. Raises RoadError for a lane number that the network does not have.
    """
    return _poses(net, lane, s_m, d_m, is_lane=True)


def _poses(
    net: RoadNetwork, owner: npt.ArrayLike, s_m: npt.ArrayLike, t_m: npt.ArrayLike, *, is_lane: bool
) -> Poses:
    rows, s, t = np.broadcast_arrays(
        np.asarray(owner, np.int32), np.asarray(s_m, np.float64), np.asarray(t_m, np.float64)
    )
    index: I32 = np.ascontiguousarray(rows.reshape(-1))
    limit = net.num_lanes if is_lane else len(net.roads.id)
    if index.size and (index.min() < 0 or index.max() >= limit):
        bad = int(index.min() if index.min() < 0 else index.max())
        what = "lane" if is_lane else "road"
        raise RoadError(
            say(
                "{network}: {what} number {bad} is not on this network; it has {limit}, counted from 0. List them with `icv "
                "map info`.",
                network=net.name, what=what, bad=bad, limit=limit,
            )
        )  # fmt: skip
    out = np.empty((index.size, 6))
    points = net.points
    _kernels.poses(
        geo_of(net), index, np.ascontiguousarray(s.reshape(-1)),
        np.ascontiguousarray(t.reshape(-1)), is_lane,
        net.lanes.point_start, points.s_m, points.road_s_m, out,
    )  # fmt: skip
    columns = np.ascontiguousarray(out.T)
    return Poses(*columns)
