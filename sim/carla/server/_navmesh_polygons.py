"""From strips to convex polygons that share their edges: one triangulation per level, joined where levels meet.

A place is what its most important cover says (`area_of`): a crossing, then the carriageway, then a pavement. Polygons have three
to six corners, counter-clockwise in the network's right-handed frame, and never overlap within a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from protocols.errors import RoadError
from protocols.roads.network import F64
from sim.carla.server import _navmesh_kernels as kernels
from sim.carla.server._navmesh_strips import I64, Surface, Surfaces

UNITS_PER_M = 1000  # the triangulation works in whole millimetres
REACH_UNITS = 80.0  # edges that pass a corner within this are led through it
CELL_UNITS = 8000
MAX_CELLS = 4_000_000
MAX_EXTENT_M = 100_000.0  # beyond this the exact arithmetic of 64 bits ends


class Area(IntEnum):
    """Area types that CARLA's walkers know; a polygon's flag is 1 << area."""

    BLOCK = 0
    SIDEWALK = 1
    CROSSWALK = 2
    ROAD = 3
    GRASS = 4


@dataclass(frozen=True, slots=True)
class Polygons:
    """Corners (V, 3) in metres; per polygon six corner numbers (-1 unused), its number of corners, its Area, and the polygon beyond
    each edge (-1 none)."""

    corners: F64
    ring: I64
    size: I64
    area: I64
    beyond: I64


def area_of(bits: I64) -> I64:
    """Area for each set of covers."""
    road, landing = (bits & Surface.ROAD) > 0, (bits & Surface.LANDING) > 0
    walk = (bits & Surface.WALK) > 0
    return np.select(
        [(bits & Surface.CROSSING) > 0, road & landing, road, walk, landing,
         (bits & Surface.GRASS) > 0, (bits & Surface.BESIDE) > 0],
        [Area.CROSSWALK, Area.CROSSWALK, Area.ROAD, Area.SIDEWALK, Area.CROSSWALK,
         Area.GRASS, Area.SIDEWALK],
        Area.BLOCK,
    ).astype(np.int64)  # fmt: skip


def polygons(ground: Surfaces) -> Polygons:
    """Convex polygons over all levels of `ground`."""
    middle = np.round(ground.points[:, :2].mean(0)) if ground.points.size else np.zeros(2)
    extent = float(np.abs(ground.points[:, :2] - middle).max(initial=0.0))
    if not extent <= MAX_EXTENT_M:
        raise RoadError(
            f"The roads reach {extent / 1000:.0f} km from their middle, at most {MAX_EXTENT_M / 1000:.0f} km can be "
            f"walked on. Look for a road with a misplaced start."
        )
    whole = np.round((ground.points[:, :2] - middle) * UNITS_PER_M).astype(np.int64)
    height = ground.points[:, 2]
    corners, rings, sizes, areas, levels = [_metres(whole, height, middle)], [], [], [], []
    count = height.size
    for level in range(int(ground.triangle_level.max()) + 1 if ground.triangle_level.size else 0):
        used = ground.triangle_level == level
        if not used.any():
            continue
        added, ring, size, area = _level(
            whole, height, ground.edges[ground.edge_level == level],
            ground.triangles[used], ground.bits[used], count,
        )  # fmt: skip
        count += added[0].shape[0]
        corners.append(_metres(*added, middle))
        rings.append(ring)
        sizes.append(size)
        areas.append(area)
        levels.append(np.full(size.size, level))
    if not rings:
        none = np.zeros((0, 6), np.int64)
        flat = np.zeros(0, np.int64)
        return Polygons(np.zeros((0, 3)), none, flat, flat, none)
    ring, size = np.concatenate(rings), np.concatenate(sizes)
    used_corners, number = np.unique(ring[ring >= 0], return_inverse=True)
    ring[ring >= 0] = number
    points = np.concatenate(corners)[used_corners]
    beyond = _beyond(ring, size, np.concatenate(levels), used_corners.size)
    return Polygons(points, ring, size, np.concatenate(areas), beyond)


def _metres(whole: I64, height: F64, middle: F64) -> F64:
    return np.column_stack((whole / UNITS_PER_M + middle, height))


def _level(
    points: I64, height: F64, edges: I64, triangles: I64, bits: I64, count: int
) -> tuple[tuple[I64, F64], I64, I64, I64]:
    """One level: (corners that crossing edges added and their height), rings, sizes, areas; added corners count from `count`."""
    here = np.unique(np.concatenate((edges.ravel(), triangles.ravel())))
    whole = points[here]
    # Two welded points may still fall on one millimetre; the first stands for both.
    _, first, same = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    stands = first[same.ravel()]
    edges = stands[np.searchsorted(here, edges)]
    edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    triangles = stands[np.searchsorted(here, triangles)]
    n = here.size
    room = n + 4 * edges.shape[0] + 1000
    p = np.zeros((room + 3, 2), np.int64)
    z = np.zeros(room + 3)
    p[:n], z[:n] = whole, height[here]
    reach = 4 * (int(np.abs(whole).max()) + UNITS_PER_M)
    p[room:] = [[-reach, -reach], [reach, -reach], [0, reach]]
    tri, near = (np.zeros((2 * room + 8, 3), np.int64) for _ in range(2))
    held = np.zeros((2 * room + 8, 3), np.int64)
    order = np.sort(first)
    strip = whole[order, 0] // (20 * UNITS_PER_M)
    run = np.where(strip % 2 == 0, whole[order, 1], -whole[order, 1])
    order = order[np.lexsort((order, run, strip))]
    num_tri, num_points, _ = kernels.triangulate(
        p, z, n, order, edges, REACH_UNITS, tri, near, held
    )
    tri, near = tri[:num_tri], near[:num_tri]
    inner = (tri < room).all(1)
    number = np.where(inner, np.cumsum(inner) - 1, -1)
    near = np.where(near[inner] >= 0, number[near[inner]], -1)
    tri = tri[inner]
    mask = np.zeros(tri.shape[0], np.int64)
    spread = np.ptp(whole, axis=0)
    cell = max(CELL_UNITS, int(np.ceil(np.sqrt(float(spread[0]) * float(spread[1]) / MAX_CELLS))))
    cell = max(cell, int(spread.max()) // MAX_CELLS)
    kernels.covered_by(p[:num_points], tri, triangles, bits, cell, mask)
    area = _without_islands(area_of(mask), mask, near)
    ring, size = _merged(p, tri, near, area)
    alive = size > 0
    ring, size = ring[alive], size[alive]
    names = np.concatenate((here, count + np.arange(num_points - n)))
    ring = np.where(np.arange(6) < size[:, None], names[ring], -1)
    return (p[n:num_points], z[n:num_points]), ring, size, area[alive]


def _without_islands(area: I64, mask: I64, near: I64) -> I64:
    """Makes road of strips beside the carriageway that lead to no pavement: the gaps between the lanes of a junction."""
    walked = (mask & Surface.WALK) > 0
    if not walked.any():
        return area
    safe = (area != Area.BLOCK) & (area != Area.ROAD)
    t, i = np.nonzero(near >= 0)
    both = safe[t] & safe[near[t, i]]
    t, u = t[both], near[t, i][both]
    links = coo_array((np.ones(t.size), (t, u)), shape=(area.size, area.size))
    part = connected_components(links, directed=False)[1]
    led = np.zeros(area.size, np.bool_)
    led[part[walked & (area == Area.SIDEWALK)]] = True
    only_beside = (mask & (Surface.WALK | Surface.CROSSING | Surface.LANDING | Surface.GRASS)) == 0
    return np.where(safe & only_beside & ~led[part], int(Area.ROAD), area)


def _merged(p: I64, tri: I64, near: I64, area: I64) -> tuple[I64, I64]:
    """Triangles joined over their longest common edges first."""
    ring, size = np.zeros((tri.shape[0], 6), np.int64), np.zeros(tri.shape[0], np.int64)
    t, i = np.nonzero((near > np.arange(tri.shape[0])[:, None]) & (near >= 0))
    same = (area[t] == area[near[t, i]]) & (area[t] > 0)
    t, i = t[same], i[same]
    d = p[tri[t, (i + 1) % 3]] - p[tri[t, i]]
    order = np.lexsort((i, t, -(d * d).sum(1)))
    kernels.merge(p, tri, near, area, t[order], i[order], ring, size)
    return ring, size


def _beyond(ring: I64, size: I64, level: I64, corners: int) -> I64:
    """Polygon on the other side of every edge: on the same level, else the only one on any level that has the edge reversed."""
    owner, side = np.nonzero(np.arange(6) < size[:, None])
    a = ring[owner, side]
    b = ring[owner, np.where(side + 1 < size[owner], side + 1, 0)]
    beyond = np.full(ring.shape, -1, np.int64)
    for spread in (True, False):
        free = beyond[owner, side] < 0
        rows = np.flatnonzero(free)
        shift = level[owner[rows]] * corners * corners if spread else 0
        ahead, back = shift + a[rows] * corners + b[rows], shift + b[rows] * corners + a[rows]
        keys, first, times = np.unique(ahead, return_index=True, return_counts=True)
        at = np.minimum(np.searchsorted(keys, back), max(keys.size - 1, 0))
        mine = np.searchsorted(keys, ahead)
        good = (keys[at] == back) & (times[at] == 1) & (times[mine] == 1) if keys.size else free[:0]
        beyond[owner[rows[good]], side[rows[good]]] = owner[rows[first[at[good]]]]
    return beyond
