"""The ground everything stands on: lanes as triangles, and a terrain that carries what leaves the road.

Arrays only, so that kernels take it whole. CARLA's frame. A grid lists the triangles that touch each cell; the terrain is a
height at every cell's centre, extended from the roads, so that a height exists everywhere.

A lane section is cut across at the places where its most finely sampled lane is sampled (chord error 9 mm), the same for all of
its lanes, so that neighbours share their corners. Each road is drawn out by `OVERLAP_M` at either end: files leave gaps of
centimetres between roads, which would be holes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads.geometry import road_pose
from protocols.roads.network import LaneType, RoadNetwork
from sim.carla.server import _ground_kernels as kernels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

CELL_M = 2.0
MARGIN_M = 60.0  # of terrain around the roads; beyond it, it goes on level
MAX_CELLS = 500_000  # 4 MB of terrain; beyond it the cells grow
MAX_VISITS = (
    50_000_000  # of cells by triangles: a hostile file's triangles may each cover the whole map
)
OVERLAP_M = 0.15
SINK_M = (
    0.03  # the terrain lies this much below the edge of the road, so that it never shows through
)
BLURS = 4  # of the terrain beside the roads, 3 x 3 cells each

ROADS, SIDEWALKS, TERRAIN, RAIL_TRACK, GROUND = 1, 2, 10, 27, 25  # CityObjectLabel
_SIDEWALKS = (LaneType.SIDEWALK, LaneType.WALKING, LaneType.CURB, LaneType.SHARED)
_TERRAIN = (LaneType.NONE, LaneType.MEDIAN, LaneType.BORDER)
_RAILS = (LaneType.TRAM, LaneType.RAIL)


class Ground(NamedTuple):
    """One map's surface. Row-major grid: the cell of column ix and row iy is `iy * nx + ix`."""

    x0_m: float  # corner of cell 0
    y0_m: float
    cell_m: float
    nx: int
    ny: int
    terrain_m: Floats  # (ny, nx) height at cell centres; clamped outside
    cell_start: Int32  # (nx * ny + 1,) CSR into cell_tri
    cell_tri: Int32
    tri: Floats  # (T, 9) x y z of three corners
    tri_tag: Bytes  # (T,) CityObjectLabel
    face: Floats  # (T, 9) two barycentric coordinates and the height: constant, x and y slope each


def flat(z_m: float = 0.0) -> Ground:
    """An endless level plane."""
    return Ground(
        -0.5,
        -0.5,
        1.0,
        1,
        1,
        np.full((1, 1), float(z_m)),
        np.zeros(2, np.int32),
        np.zeros(0, np.int32),
        np.zeros((0, 9)),
        np.zeros(0, np.uint8),
        np.zeros((0, 9)),
    )


def sample(ground: Ground, f: Floats, i: Ints, high: int) -> None:
    """GROUND_Z and GROUND_N* of every vehicle, walker and prop in rows below `high`."""
    g = ground
    kernels.sample(
        g.x0_m, g.y0_m, g.cell_m, g.nx, g.ny, g.terrain_m, g.cell_start, g.cell_tri, g.face, f, i, high
    )  # fmt: skip


def height(ground: Ground, x: float, y: float, z: float) -> float:
    """Highest surface at (x, y) not above z + 0.6 m, else the terrain."""
    return float(heights(ground, np.array([x]), np.array([y]), np.array([z]))[0][0])


def heights(ground: Ground, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Int32]:
    """`height` of many points, and the triangle each stands on (-1: terrain)."""
    points = np.column_stack((x, y, z)).astype(np.float64, copy=False)
    out, tri = np.empty((points.shape[0], 3)), np.empty(points.shape[0], np.int32)
    g = ground
    kernels.heights(
        g.x0_m, g.y0_m, g.cell_m, g.nx, g.ny, g.terrain_m, g.cell_start, g.cell_tri, g.face,
        np.ascontiguousarray(points), out, tri,
    )  # fmt: skip
    return out[:, 0].copy(), tri


def from_network(net: RoadNetwork) -> Ground:
    """The surface of every lane of `net`, and a terrain around it."""
    tri, tag = _mesh(net)
    face, kept = _faces(tri)
    tri, tag, face = tri[kept], tag[kept], face[kept]
    if not tag.size:
        return flat()
    x, y = tri[:, 0::3], tri[:, 1::3]
    x0, y0 = float(x.min()) - MARGIN_M, float(y.min()) - MARGIN_M
    x1, y1 = float(x.max()) + MARGIN_M, float(y.max()) + MARGIN_M
    cell = max(CELL_M, float(np.sqrt((x1 - x0) * (y1 - y0) / MAX_CELLS)))
    nx, ny = int((x1 - x0) / cell) + 1, int((y1 - y0) / cell) + 1
    start = np.zeros(nx * ny + 1, np.int32)
    entry = np.zeros(0, np.int32)
    visits = kernels.fill_cells(tri, x0, y0, cell, nx, ny, False, MAX_VISITS, start[1:], entry)
    if visits > MAX_VISITS:
        raise RoadError(
            f"{net.name}: the lanes cover their map {MAX_VISITS // (nx * ny)} times over. Look for absurd lane widths."
        )
    np.cumsum(start, out=start)
    entry = np.zeros(int(start[-1]), np.int32)
    kernels.fill_cells(tri, x0, y0, cell, nx, ny, True, MAX_VISITS, start[:-1].copy(), entry)
    terrain = np.full((ny, nx), np.nan)
    kernels.lowest(x0, y0, cell, nx, ny, start, entry, face, terrain)
    return Ground(x0, y0, cell, nx, ny, _extended(terrain), start, entry, tri, tag, face)


def _mesh(net: RoadNetwork) -> tuple[Floats, Bytes]:
    """(T, 9) corners and (T,) labels: two triangles per lane and step."""
    lanes, points, sections = net.lanes, net.points, net.sections
    count = np.diff(lanes.point_start)
    finest = np.full(sections.road.size, -1, np.int64)
    order = np.argsort(count, kind="stable")
    finest[lanes.section[order]] = order  # the last one written has the most points
    # One row per (lane, station): the stations of a section are those of its finest lane, with road s rising.
    source = finest[lanes.section]
    size = count[source].astype(np.int64)
    row_start = np.zeros(lanes.road.size + 1, np.int64)
    np.cumsum(size, out=row_start[1:])
    lane = np.repeat(np.arange(lanes.road.size), size)
    k = np.arange(row_start[-1]) - row_start[lane]
    first = lanes.point_start[source].astype(np.int64)
    forward = lanes.direction[source] > 0
    at = np.where(forward[lane], first[lane] + k, first[lane] + size[lane] - 1 - k)
    s = points.road_s_m[at]
    inner, outer = _edges(net, lane, s)
    road = lanes.road[lane]
    a, b = road_pose(net, road, s, inner), road_pose(net, road, s, outer)
    edge = np.stack((a.x_m, -a.y_m, a.z_m, b.x_m, -b.y_m, b.z_m), axis=1)
    _draw_out(net, edge, row_start, lane, k, size)
    here = np.flatnonzero(k < size[lane] - 1)
    there = here + 1
    tri = np.concatenate(
        (
            np.concatenate((edge[here, :3], edge[here, 3:], edge[there, 3:]), axis=1),
            np.concatenate((edge[here, :3], edge[there, 3:], edge[there, :3]), axis=1),
        )
    )
    tag = _labels(net)[lane[here]]
    # Both triangles of a step side by side, in the order of the lanes.
    order = np.argsort(np.concatenate((here, here)), kind="stable")
    return np.ascontiguousarray(tri[order]), np.concatenate((tag, tag))[order]


def _edges(net: RoadNetwork, lane: Ints, s: Floats) -> tuple[Floats, Floats]:
    """Road t of the inner and the outer edge of `lane` at road s."""
    lanes, sections = net.lanes, net.sections
    inner = _cubics(
        net.roads.lane_offset_start, net.lane_offset.s_m, net.lane_offset.coef, lanes.road[lane], s
    )
    ds = s - sections.s0_m[lanes.section[lane]]
    side = np.sign(lanes.odr_id[lane]).astype(np.int64)
    step = (
        -side
    )  # lanes are ordered from the leftmost to the rightmost: this way is outwards from the centre
    reach = np.abs(lanes.odr_id[lane]).astype(np.int64)
    # Row of the innermost lane on this side; ids may skip numbers, rows do not.
    first = sections.lane_start[lanes.section[lane]].astype(np.int64)
    last = sections.lane_start[lanes.section[lane] + 1].astype(np.int64) - 1
    row = lane.copy()
    width = _width(net, row, ds)
    outer_part = width
    inner_sum = np.zeros(s.size)
    for _ in range(int(reach.max(initial=1))):
        row = row - step
        live = (row >= first) & (row <= last)
        live[live] &= np.sign(lanes.odr_id[row[live]]) == side[live]
        if not live.any():
            break
        inner_sum[live] += _width(net, row[live], ds[live])
        row = np.where(live, row, -(10**9))
    inner = inner + side * inner_sum
    return inner, inner + side * outer_part


def _width(net: RoadNetwork, lane: Ints, ds: Floats) -> Floats:
    return np.maximum(_cubics(net.lanes.width_start, net.width.s_m, net.width.coef, lane, ds), 0.0)


def _cubics(start: Int32, s0: Floats, coef: Floats, owner: npt.NDArray[np.integer], s: Floats) -> Floats:  # fmt: skip
    """Value of the record that holds at s of each owner; 0 before the first and where there is none."""
    if not s0.size:
        return np.zeros(s.size)
    lo = start[owner].astype(np.int64)
    hi = start[owner + 1].astype(np.int64)
    at = lo.copy()
    for _ in range(int((hi - lo).max(initial=0)).bit_length() + 1):  # bisection, all at once
        middle = (lo + hi) >> 1
        up = (hi - lo > 1) & (s0[np.minimum(middle, s0.size - 1)] <= s)
        down = (hi - lo > 1) & ~up
        lo = np.where(up, middle, lo)
        hi = np.where(down, middle, hi)
    has = (start[owner + 1] > at) & (s >= s0[np.minimum(at, s0.size - 1)] - 1e-9)
    lo = np.minimum(lo, s0.size - 1)
    d = s - s0[lo]
    c = coef[lo]
    return np.where(has, c[:, 0] + d * (c[:, 1] + d * (c[:, 2] + d * c[:, 3])), 0.0)


def _draw_out(
    net: RoadNetwork, edge: Floats, row_start: Ints, lane: Ints, k: Ints, size: Ints
) -> None:
    """Move the first and last corners of every road outwards along the road."""
    sections = net.sections.road
    section = net.lanes.section[lane]
    begins = np.append(True, sections[1:] != sections[:-1])[section]
    ends = np.append(sections[1:] != sections[:-1], True)[section]
    for rows, towards in (
        (np.flatnonzero(begins & (k == 0)), 1),
        (np.flatnonzero(ends & (k == size[lane] - 1)), -1),
    ):
        for corner in (edge[:, :3], edge[:, 3:]):
            away = corner[rows] - corner[rows + towards]
            run = np.hypot(away[:, 0], away[:, 1])
            share = np.where(run > OVERLAP_M, OVERLAP_M / np.maximum(run, 1e-9), 0.0)
            corner[rows] += share[:, None] * away


def _labels(net: RoadNetwork) -> Bytes:
    kind = net.lanes.type
    label = np.full(kind.size, ROADS, np.uint8)
    label[np.isin(kind, np.array([int(t) for t in _SIDEWALKS]))] = SIDEWALKS
    label[np.isin(kind, np.array([int(t) for t in _TERRAIN]))] = TERRAIN
    label[np.isin(kind, np.array([int(t) for t in _RAILS]))] = RAIL_TRACK
    return label


def _faces(tri: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(T, 9) affine functions of x and y, and which triangles have an area seen from above."""
    ax, ay, az, bx, by, bz, cx, cy, cz = tri.T
    ux, uy, vx, vy = bx - ax, by - ay, cx - ax, cy - ay
    area = ux * vy - uy * vx
    kept = (np.abs(area) > 1e-6) & np.isfinite(tri).all(axis=1)
    inverse = 1.0 / np.where(kept, area, 1.0)
    px, py = vy * inverse, -vx * inverse
    qx, qy = -uy * inverse, ux * inverse
    hx = px * (bz - az) + qx * (cz - az)
    hy = py * (bz - az) + qy * (cz - az)
    face = np.stack(
        (-px * ax - py * ay, px, py, -qx * ax - qy * ay, qx, qy, az - hx * ax - hy * ay, hx, hy),
        axis=1,
    )
    return np.ascontiguousarray(face), kept


def _extended(terrain: Floats) -> Floats:
    """Heights everywhere: a cell without one takes the nearest's, then the hills between are rounded off."""
    distance = np.where(np.isnan(terrain), np.inf, 0.0)
    kernels.spread(terrain, distance)
    other = terrain.copy()
    for _ in range(BLURS):
        kernels.smooth(terrain, distance, other)
        terrain, other = other, terrain
    return np.ascontiguousarray(terrain - SINK_M)
