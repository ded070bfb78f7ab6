"""Which lane a point lies on: (x, y) to (lane, s, d) in batches, on a uniform grid over lane centre lines.

`build_index` lists each sampled centre-line segment in every grid cell within `REACH_M` of it, so that a point on the road
is answered from one cell; others search rings of cells. The nearest centre line wins (as in `carla.Map.get_waypoint`), and the
foot point is then solved on the file's exact reference line, not on the sampled chord. Pass `z_m` where roads cross above each
other, `yaw_rad` where lanes of both directions overlap (a turn of 1 rad counts like `YAW_WEIGHT_M` metres).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.roads import _grid_kernels, _kernels
from protocols.roads.geometry import geo_of
from protocols.roads.network import F64, I32, Bool, LaneType, RoadNetwork, UserClass

CELL_M = 3.0
REACH_M = 2.5  # a point inside a lane up to 5 m wide needs no second cell
YAW_WEIGHT_M = 2.0
MAX_CELLS = 4_000_000  # 16 MB of cell starts; beyond it the cells grow


@dataclass(frozen=True, slots=True)
class RoadIndex:
    """Segment grid of one network. Cells are columns of y: cell (a, b) is row `a * ny + b`."""

    geo: _kernels.Geo
    segment: F64  # (P, 8) x, y, z, dx, dy, dz, 1/length^2, yaw
    segment_lane: I32  # (P,)
    cell_start: I32  # (nx*ny + 1,) CSR into entry
    entry: I32
    x0_m: float
    y0_m: float
    nx: int
    ny: int
    cell_m: float
    point_start: I32
    point_s_m: F64
    point_road_s_m: F64
    lane_type: npt.NDArray[np.uint8]
    lane_permission: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Matches:
    """(N,) answers; rows with `valid` False found no lane within reach (lane is -1, the rest 0)."""

    lane: I32
    s_m: F64  # travel distance on the lane
    d_m: F64  # left of the lane's centre, along the road's t axis
    road_s_m: F64
    x_m: F64  # the lane's centre beside the point, and its travel direction
    y_m: F64
    z_m: F64
    yaw_rad: F64
    valid: Bool


def build_index(net: RoadNetwork) -> RoadIndex:
    """Grid over all lanes, less the stretches where a lane is narrower than 1 cm (it begins or ends there)."""
    points, lanes = net.points, net.lanes
    if points.x_m.size:
        x0, y0 = float(points.x_m.min()) - 2 * REACH_M, float(points.y_m.min()) - 2 * REACH_M
        x1, y1 = float(points.x_m.max()) + 2 * REACH_M, float(points.y_m.max()) + 2 * REACH_M
    else:
        x0 = y0 = x1 = y1 = 0.0
    cell = CELL_M
    while ((x1 - x0) / cell + 1) * ((y1 - y0) / cell + 1) > MAX_CELLS:
        cell *= 1.5
    nx, ny = int((x1 - x0) / cell) + 1, int((y1 - y0) / cell) + 1
    segment = np.zeros((points.x_m.size, 8))
    segment_lane = np.zeros(points.x_m.size, np.int32)
    cell_start = np.zeros(nx * ny + 1, np.int32)
    entry = np.zeros(0, np.int32)
    for fill in (False, True):
        if fill:
            cell_start[1:] = np.cumsum(cell_start[:-1])
            cell_start[0] = 0
            entry = np.zeros(int(cell_start[-1]), np.int32)
        _grid_kernels.build_grid(
            lanes.point_start, points.x_m, points.y_m, points.z_m, points.yaw_rad, points.width_m,
            x0, y0, nx, ny, cell, REACH_M, fill, segment, segment_lane, cell_start.copy() if fill else cell_start, entry,
        )  # fmt: skip
    return RoadIndex(
        geo_of(net),
        segment,
        segment_lane,
        cell_start,
        entry,
        x0,
        y0,
        nx,
        ny,
        cell,
        lanes.point_start,
        points.s_m,
        points.road_s_m,
        lanes.type,
        lanes.permission,
    )


def lanes_allowed(
    index: RoadIndex, permission: UserClass | None = None, types: tuple[LaneType, ...] | None = None
) -> Bool:
    """(L,) lanes that admit any class of `permission` and have one of `types`; None does not restrict."""
    allowed = np.ones(index.lane_type.size, np.bool_)
    if permission is not None:
        allowed &= (index.lane_permission & np.uint32(int(permission))) != 0
    if types is not None:
        allowed &= np.isin(index.lane_type, np.array([int(t) for t in types], np.uint8))
    return allowed


def match(
    index: RoadIndex,
    x_m: npt.ArrayLike,
    y_m: npt.ArrayLike,
    yaw_rad: npt.ArrayLike | None = None,
    z_m: npt.ArrayLike | None = None,
    *,
    permission: UserClass | None = None,
    types: tuple[LaneType, ...] | None = None,
    allowed: Bool | None = None,
    max_distance_m: float = 50.0,
) -> Matches:
    """Nearest lane of each point (N,). `allowed` (L,) replaces `permission` and `types` when one mask serves many calls."""
    x = np.ascontiguousarray(np.atleast_1d(np.asarray(x_m, np.float64)))
    y = np.ascontiguousarray(np.atleast_1d(np.asarray(y_m, np.float64)))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x has shape {x.shape}, y has {y.shape}; both must be (N,)")
    yaw = _like(yaw_rad, x)
    z = _like(z_m, x)
    mask = lanes_allowed(index, permission, types) if allowed is None else allowed
    lane: I32 = np.empty(x.size, np.int32)
    out = np.zeros((x.size, 7))
    _kernels.match(
        index.geo, index.segment, index.segment_lane, index.cell_start, index.entry,
        index.x0_m, index.y0_m, index.nx, index.ny, index.cell_m, REACH_M,
        index.point_start, index.point_s_m, index.point_road_s_m, mask,
        x, y, z, z_m is not None, yaw, yaw_rad is not None, YAW_WEIGHT_M, max_distance_m,
        lane, out,
    )  # fmt: skip
    s, d, road_s, cx, cy, cz, heading = np.ascontiguousarray(out.T)
    return Matches(lane, s, d, road_s, cx, cy, cz, heading, lane >= 0)


def _like(values: npt.ArrayLike | None, x: F64) -> F64:
    """`values` as float64 (N,), or an unread one-element array when not given."""
    if values is None:
        return np.zeros(1)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float64), x.shape))
