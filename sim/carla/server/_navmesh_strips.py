"""Where people may walk: strips of lanes of one surface, crossings, and which of them lie on the same level.

`surfaces` reads a RoadNetwork into welded points (the network's own right-handed frame), edges that the mesh has to follow, and
triangles that say which surface covers what. Neighbouring lanes of one surface are one strip; a strip's edges are chords within
5 cm of the road file's own lane edges.

Without any pavement in the file, shoulders and borders serve as one; without these, a strip beside the carriageway does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np

from protocols.roads.geometry import road_pose
from protocols.roads.network import F64, I32, Bool, LaneType, RoadNetwork
from sim.carla.server import _navmesh_strip_kernels as kernels

I64 = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

STATION_M = 1.0  # lane edges are looked at this often before they are thinned
MAX_STATIONS = 4000  # in one lane section
MAX_ROWS = 4_000_000  # in all; a longer network is looked at less often
EDGE_ERROR_M = 0.05  # chords of lane edges
LONGEST_M = 25.0  # longest chord
WELD_M = 0.08  # points of different roads this close are one point: what road files miss at joints
WELD_HEIGHT_M = 0.5
CLEARANCE_M = 2.0  # surfaces further apart in height at one place are different levels
LEVEL_CELL_M = 4.0
MIN_WIDTH_M = 0.3  # a pavement, shoulder or border narrower than this is nowhere to walk
BESIDE_M = 2.0  # width of the strip beside a carriageway without anything
LANDING_M = 1.5  # crossings are continued this far, to meet pavements set back from the kerb


class Surface(IntFlag):
    """What covers a place; several bits where things overlap."""

    ROAD = 1
    WALK = 2
    GRASS = 4
    CROSSING = 8
    LANDING = 16  # continuation of a crossing beyond its ends
    BESIDE = 32  # strip beside the carriageway, used where nothing else is


WALKS = (LaneType.SIDEWALK, LaneType.WALKING)
VERGES = (LaneType.SHOULDER, LaneType.BORDER)
NOWHERE = (LaneType.NONE, LaneType.RAIL)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Points (P, 3) in metres, edges (E, 2) and triangles (T, 3) of points, a level for either, and each triangle's Surface."""

    points: F64
    edges: I64
    edge_level: I64
    triangles: I64
    triangle_level: I64
    bits: I64

    def without_roads(self) -> Surfaces:
        """The same without carriageways: what remains of a map too large for one tile."""
        kept = self.bits != Surface.ROAD
        return replace(
            self, triangles=self.triangles[kept], triangle_level=self.triangle_level[kept],
            bits=self.bits[kept],
        )  # fmt: skip


def surfaces(net: RoadNetwork) -> Surfaces:
    """Everything walkable or drivable of `net` as strips; see the module."""
    builder = _Builder(net)
    builder.lanes()
    builder.crossings()
    return builder.finish()


def lane_surface(net: RoadNetwork, width_m: F64) -> I64:
    """Surface of every lane (0: none), given its mean width."""
    kind = net.lanes.type
    wide = width_m >= MIN_WIDTH_M
    out = np.full(kind.size, int(Surface.ROAD), np.int64)
    out[np.isin(kind, NOWHERE) | (width_m < 0.02)] = 0
    walks, verges = np.isin(kind, WALKS), np.isin(kind, VERGES)
    out[walks] = Surface.WALK
    if (walks & wide).any():
        # A border at a pavement is part of the way; one between two carriageways is not.
        section = net.lanes.section
        beside = np.zeros(kind.size, np.bool_)
        beside[1:] |= walks[:-1] & (section[1:] == section[:-1])
        beside[:-1] |= walks[1:] & (section[1:] == section[:-1])
        out[(kind == LaneType.BORDER) & beside] = Surface.GRASS
    else:
        out[verges & wide] = Surface.WALK
    return out


def bare_roads(net: RoadNetwork, surface: I64) -> Bool:
    """Roads that get a strip beside their outermost lanes.

    All where nothing else can be walked on; otherwise the connecting roads of a junction that a pavement leads to, because files seldom
    continue pavements round the corner.
    """
    lanes, roads = net.lanes, net.roads
    walk = surface == Surface.WALK
    if not walk.any():
        return np.ones(roads.length_m.size, np.bool_)
    paved = np.zeros(roads.length_m.size, np.bool_)
    paved[lanes.road[walk]] = True
    reached = np.zeros(len(net.junctions.id) + 1, np.bool_)
    for start, target in ((lanes.next_start, lanes.next), (lanes.prev_start, lanes.prev)):
        owner = np.repeat(np.arange(net.num_lanes), np.diff(start))
        reached[roads.junction[lanes.road[owner[paved[lanes.road[target]]]]]] = True
    reached[-1] = False  # the row of roads outside junctions, whose junction is -1
    out: Bool = reached[roads.junction]
    return out


class _Builder:
    """Collects points, edges and triangles road by road."""

    def __init__(self, net: RoadNetwork) -> None:
        self.net = net
        self.points: list[F64] = []
        self.edges: list[I64] = []
        self.triangles: list[I64] = []
        self.bits: list[I64] = []
        self.edge_road: list[I64] = []
        self.triangle_road: list[I64] = []
        self.count = 0

    def lanes(self) -> None:
        """Strips of all lanes, thinned section by section."""
        net, sections = self.net, self.net.sections
        length = sections.s1_m - sections.s0_m
        first = sections.lane_start[:-1].astype(np.int64)
        last = sections.lane_start[1:].astype(np.int64)
        lane_m = float((length[net.lanes.section]).sum())
        station = max(STATION_M, lane_m / MAX_ROWS)
        steps = np.clip(np.ceil(length / station), 1, MAX_STATIONS).astype(np.int64)
        lane_steps = steps[net.lanes.section]
        row_start = np.concatenate(([0], np.cumsum(lane_steps + 1))).astype(np.int64)
        s, t_left, t_right = (np.zeros(int(row_start[-1])) for _ in range(3))
        kernels.lane_edges(
            net.lanes.section, net.lanes.odr_id, sections.lane_start, sections.road,
            sections.s0_m, sections.s1_m, steps, row_start, net.lanes.width_start,
            net.width.s_m, net.width.coef, net.roads.lane_offset_start, net.lane_offset.s_m,
            net.lane_offset.coef, s, t_left, t_right,
        )  # fmt: skip
        lane_of = np.repeat(np.arange(net.num_lanes), lane_steps + 1)
        width = np.bincount(lane_of, t_left - t_right, net.num_lanes) / (lane_steps + 1)
        surface = lane_surface(net, width)
        surface[(length < 1e-3)[net.lanes.section]] = 0
        self.is_bare = bare_roads(net, surface)
        road = net.lanes.road[lane_of]
        left, right = self._at(road, s, t_left), self._at(road, s, t_right)
        self.rows, self.edge_points = row_start, (left, right)
        keep = np.zeros(int((steps + 1).sum()), np.bool_)
        kernels.thin(
            first, last, surface > 0, row_start, steps, left, right, EDGE_ERROR_M, LONGEST_M, keep
        )
        self._levels(
            road[surface[lane_of] > 0], left[surface[lane_of] > 0], net.roads.length_m.size
        )
        base = np.concatenate(([0], np.cumsum(steps + 1)))
        for section in range(length.size):
            kept = np.flatnonzero(keep[base[section] : base[section + 1]])
            self._section(section, kept, row_start, surface, (s, left, right, t_left, t_right))

    def _section(
        self, section: int, kept: I64, row_start: I64, surface: I64,
        edges: tuple[F64, F64, F64, F64, F64],
    ) -> None:  # fmt: skip
        s, left, right, t_left, t_right = edges
        lanes = self.net.sections.lane_start
        lo, hi = int(lanes[section]), int(lanes[section + 1])
        road = int(self.net.sections.road[section])
        a = lo
        outer: list[tuple[I64, int, int]] = []
        while a < hi:
            b = a
            while b + 1 < hi and surface[b + 1] == surface[a]:
                b += 1
            if surface[a]:
                rows_l, rows_r = row_start[a] + kept, row_start[b] + kept
                self._strip(left[rows_l], right[rows_r], int(surface[a]), road)
                kind = int(surface[a])
                outer = [outer[0] if outer else (rows_l, 1, kind), (rows_r, -1, kind)]
            a = b + 1
        if self.is_bare[road]:
            for rows, side, kind in outer:
                if kind == Surface.WALK:
                    continue
                t = t_left[rows] if side > 0 else t_right[rows]
                beyond = self._at(np.full(rows.size, road), s[rows], t + side * BESIDE_M)
                inner = left[rows] if side > 0 else right[rows]
                pair = (beyond, inner) if side > 0 else (inner, beyond)
                self._strip(*pair, int(Surface.BESIDE), road)

    def _strip(self, left: F64, right: F64, surface: int, road: int) -> None:
        """Quads between two edges with as many points each, as two triangles a quad."""
        n = left.shape[0]
        a = self.count + np.arange(n - 1)
        c = a + n
        self.points += [left, right]
        ends = np.array([[a[0], c[0]], [a[-1] + 1, c[-1] + 1]])
        edges = np.concatenate((np.stack((a, a + 1), 1), np.stack((c, c + 1), 1), ends))
        triangles = np.concatenate((np.stack((a, c, c + 1), 1), np.stack((a, c + 1, a + 1), 1)))
        self.count += 2 * n
        self.edges.append(edges)
        self.triangles.append(triangles)
        self.bits.append(np.full(triangles.shape[0], surface))
        self.edge_road.append(np.full(edges.shape[0], road))
        self.triangle_road.append(np.full(triangles.shape[0], road))

    def crossings(self) -> None:
        """Each crossing as a rectangle along its axis, with a landing at either end."""
        net = self.net
        for k in range(len(net.crossings.id)):
            c = net.crossings
            start = np.array([c.x0_m[k], c.y0_m[k]])
            end = np.array([c.x1_m[k], c.y1_m[k]])
            length = float(np.hypot(*(end - start)))
            if length < 0.1 or c.width_m[k] < 0.1:
                continue
            along = (end - start) / length
            side = np.array([-along[1], along[0]]) * c.width_m[k] / 2
            crossed = c.lane[c.lane_start[k] : c.lane_start[k + 1]]
            z, road = 0.0, int(net.lanes.road[crossed[0]]) if crossed.size else 0
            if c.object[k] >= 0:
                z = float(net.objects.z_m[c.object[k]])
                road = int(net.objects.road[c.object[k]])
            axis = np.stack((start - along * LANDING_M, start, end, end + along * LANDING_M))
            left, right = (
                np.column_stack((edge, self._height(edge, crossed, z)))
                for edge in (axis + side, axis - side)
            )
            self._strip(left[1:3], right[1:3], int(Surface.CROSSING), road)
            self._strip(left[:2], right[:2], int(Surface.LANDING), road)
            self._strip(left[2:], right[2:], int(Surface.LANDING), road)

    def _height(self, points: F64, lanes: I32, otherwise: float) -> F64:
        """Height of the nearest edge point of any of `lanes`, at each of `points`."""
        rows = np.concatenate(
            [np.arange(self.rows[lane], self.rows[lane + 1]) for lane in lanes]
            or [np.zeros(0, int)]
        )
        if not rows.size:
            return np.full(points.shape[0], otherwise)
        edge = np.concatenate((self.edge_points[0][rows], self.edge_points[1][rows]))
        gap = (points[:, None, 0] - edge[:, 0]) ** 2 + (points[:, None, 1] - edge[:, 1]) ** 2
        out: F64 = edge[gap.argmin(1), 2]
        return out

    def _at(self, road: I64 | I32, s: F64, t: F64) -> F64:
        poses = road_pose(self.net, road, s, t)
        return np.column_stack((poses.x_m, poses.y_m, poses.z_m))

    def _levels(self, road: I64 | I32, points: F64, roads: int) -> None:
        """Level of each road: 0, and higher where it would pass over or under a road of a lower level."""
        self.level = np.zeros(roads, np.int64)
        if not road.size:
            return
        cells = np.floor((points[:, :2] - points[:, :2].min(0)) / LEVEL_CELL_M).astype(np.int64)
        _, cell = np.unique(
            cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1], return_inverse=True
        )
        z = points[:, 2]
        low, high = _range(cell, z, int(cell.max()) + 1)
        if (high - low <= CLEARANCE_M).all():
            return
        order = np.argsort(road, kind="stable")
        starts = np.searchsorted(road[order], np.arange(roads + 1))
        height = np.bincount(road, z, roads) / np.maximum(np.bincount(road, minlength=roads), 1)
        taken: list[tuple[F64, F64]] = []
        for r in np.lexsort((np.arange(roads), np.round(height, 1))):
            rows = order[starts[r] : starts[r + 1]]
            if not rows.size:
                continue
            mine = np.unique(cell[rows])
            lo, hi = _range(np.searchsorted(mine, cell[rows]), z[rows], mine.size)
            level = 0
            while level < len(taken):
                low, high = taken[level]
                if ((high[mine] - lo <= CLEARANCE_M) & (hi - low[mine] <= CLEARANCE_M)).all():
                    break
                level += 1
            if level == len(taken):
                size = int(cell.max()) + 1
                taken.append((np.full(size, np.inf), np.full(size, -np.inf)))
            low, high = taken[level]
            low[mine], high[mine] = np.minimum(low[mine], lo), np.maximum(high[mine], hi)
            self.level[r] = level

    def finish(self) -> Surfaces:
        """Welds the points and numbers them anew."""
        if not self.points:
            none = np.zeros((0, 2), np.int64)
            flat = np.zeros(0, np.int64)
            return Surfaces(np.zeros((0, 3)), none, flat, np.zeros((0, 3), np.int64), flat, flat)
        points = np.concatenate(self.points)
        owner = np.zeros(points.shape[0], np.int64)
        x, y, z = (np.ascontiguousarray(points[:, i]) for i in range(3))
        kernels.weld(x, y, z, WELD_M, WELD_HEIGHT_M, owner)
        kept = np.flatnonzero(owner == np.arange(owner.size))
        number = np.zeros(owner.size, np.int64)
        number[kept] = np.arange(kept.size)
        edges = number[owner[np.concatenate(self.edges)]]
        triangles = number[owner[np.concatenate(self.triangles)]]
        long = edges[:, 0] != edges[:, 1]
        solid = _distinct(triangles)
        edge_level = self.level[np.concatenate(self.edge_road)]
        triangle_level = self.level[np.concatenate(self.triangle_road)]
        return Surfaces(
            points[kept], edges[long], edge_level[long], triangles[solid], triangle_level[solid],
            np.concatenate(self.bits).astype(np.int64)[solid],
        )  # fmt: skip


def _range(cell: I64, z: F64, cells: int) -> tuple[F64, F64]:
    low, high = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(low, cell, z)
    np.maximum.at(high, cell, z)
    return low, high


def _distinct(rows: I64) -> Bool:
    out: Bool = (rows[:, 0] != rows[:, 1]) & (rows[:, 1] != rows[:, 2]) & (rows[:, 2] != rows[:, 0])
    return out
