"""`<object>` to world outlines, bus stations and crossings.

Our own maps write stations as `<object type="busStop" subtype="platform">`, one per platform, with a `<validity>` per served
lane (range), `<userData code="icv.stop_s" value="S">` (road s where the vehicle's front stands; one number, or one per validity;
default: 2 m before the platform's downstream end) and `<userData code="icv.island" value="1">` on islands. Crossings are
`type="crosswalk"`, with `<userData code="icv.signal_group" value="CONTROLLER">` where a signal rules them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.roads.network import F64, Crossings, Objects, SignalGroups, Stations, UserClass
from scenarios.formats.opendrive.lanes import starts
from scenarios.formats.opendrive.place import VEHICLES, Layout, number, object_meaning
from scenarios.formats.opendrive.tables import Item, Tables

STOP_BEFORE_END_M = 2.0
CROSSING_STEP_M = 0.1  # resolution of where a lane enters and leaves a crossing
_TRANSIT = int(UserClass.BUS | UserClass.SHUTTLE)


@dataclass(frozen=True, slots=True)
class Places:
    """Everything objects lead to."""

    objects: Objects
    stations: Stations
    crossings: Crossings


def read_objects(tables: Tables, layout: Layout, groups: SignalGroups) -> Places:
    """Objects of the file in file order."""
    items = tables.objects
    a = [i.attributes for i in items]
    road = np.array([i.road for i in items], np.int32)
    s = np.array([number(x, "s") for x in a])
    t = np.array([number(x, "t") for x in a])
    pose = layout.poses(road, s, t) if items else np.zeros((0, 6))
    yaw = pose[:, 3] + np.array([number(x, "hdg") for x in a])
    radius = np.array([number(x, "radius") for x in a])
    length = np.array([number(x, "length") for x in a])
    width = np.array([number(x, "width") for x in a])
    outlines = [
        _outline(layout, item, pose[i], float(yaw[i]), float(length[i]), float(width[i]))
        for i, item in enumerate(items)
    ]
    flat = np.concatenate(outlines) if outlines else np.zeros((0, 2))
    objects = Objects(
        id=tuple(x.get("id", "") for x in a),
        name=tuple(x.get("name", "") for x in a),
        type=tuple(x.get("type", "") for x in a),
        subtype=tuple(x.get("subtype", "") for x in a),
        road=road,
        s_m=s,
        t_m=t,
        x_m=pose[:, 0].copy(),
        y_m=pose[:, 1].copy(),
        z_m=pose[:, 2] + np.array([number(x, "zOffset") for x in a]),
        yaw_rad=np.pi - np.mod(np.pi - yaw, 2 * np.pi),
        length_m=np.where(length > 0, length, 2 * radius),
        width_m=np.where(width > 0, width, 2 * radius),
        height_m=np.array([number(x, "height") for x in a]),
        outline_start=starts(
            np.repeat(np.arange(len(items)), [len(o) for o in outlines]), len(items)
        ),
        outline_x_m=np.ascontiguousarray(flat[:, 0]),
        outline_y_m=np.ascontiguousarray(flat[:, 1]),
    )
    meaning = [object_meaning(x) for x in a]
    stations = _stations(tables, layout, [i for i, m in enumerate(meaning) if m == "station"])
    crossings = _crossings(
        tables, layout, groups, outlines, yaw, [i for i, m in enumerate(meaning) if m == "crossing"]
    )
    return Places(objects, stations, crossings)


def _outline(layout: Layout, item: Item, pose: F64, yaw: float, length: float, width: float) -> F64:
    """World polygon (N, 2) of the first outline, or of the box of length and width; empty when there is neither."""
    if item.outlines and item.outlines[0]:
        corners = item.outlines[0]
        rows = np.array([row for _, row in corners])
        on_road = np.array([is_road for is_road, _ in corners])
        out = _turned(rows[:, :2], yaw, pose)
        if on_road.any():
            at = layout.poses(np.full(len(rows), item.road), rows[:, 0], rows[:, 1])
            out[on_road] = at[on_road, :2]
        if len(out) > 1 and np.hypot(*(out[0] - out[-1])) < 1e-6:
            out = out[:-1]  # some writers close the ring
        return out
    if length > 0 and width > 0:
        half = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
        return _turned(half, yaw, pose)
    return np.zeros((0, 2))


def _turned(local: F64, yaw: float, pose: F64) -> F64:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(local @ np.array([[c, s], [-s, c]]) + pose[:2])


def _extent(item: Item) -> tuple[float, float]:
    """Road s where an object begins and ends."""
    s = number(item.attributes, "s")
    corners = [row[0] for outline in item.outlines[:1] for is_road, row in outline if is_road]
    if corners:
        return min(corners), max(corners)
    half = number(item.attributes, "length") / 2
    return s - half, s + half


def _stations(tables: Tables, layout: Layout, which: list[int]) -> Stations:
    rows: list[tuple[str, str, int, float, float, float, int, bool, int]] = []
    for i in which:
        item = tables.objects[i]
        a = item.attributes
        begin, end = _extent(item)
        stops = _stops(tables, item)
        served = _served(layout, item, (begin + end) / 2)
        if not served:
            tables.note("a bus station serves no lane that admits buses or shuttles")
        island = item.user.get("icv.island", "0").lower() in ("1", "true", "yes")
        for part, odr_id in served:
            stop, lane = _stop_at(layout, item, odr_id, stops, part, begin, end)
            forward = int(layout.lanes.direction[lane])
            edges = sorted((layout.along(lane, begin), layout.along(lane, end)))
            left = number(a, "t") > layout.centre_t(lane, stop)
            rows.append(
                (
                    a.get("id", ""),
                    a.get("name", ""),
                    lane,
                    layout.along(lane, stop),
                    edges[0],
                    edges[1],
                    forward if left else -forward,
                    island,
                    i,
                )
            )
    column = list(zip(*rows, strict=True)) if rows else [()] * 9
    return Stations(
        column[0],
        column[1],
        np.array(column[2], np.int32),
        np.array(column[3], np.float64),
        np.array(column[4], np.float64),
        np.array(column[5], np.float64),
        np.array(column[6], np.int8),
        np.array(column[7], np.bool_),
        np.array(column[8], np.int32),
    )


def _stops(tables: Tables, item: Item) -> list[float]:
    """Numbers of icv.stop_s, empty when absent or unreadable."""
    try:
        return [float(v) for v in item.user.get("icv.stop_s", "").split()]
    except ValueError:
        tables.note("userData icv.stop_s is not a number; the default stop point was used")
        return []


def _served(layout: Layout, item: Item, s: float) -> list[tuple[int, int]]:
    """(number of the validity, lane id) served; without validity the nearest lane for buses or shuttles."""
    lanes = layout.lanes
    here = [i for i in layout.lanes_at(item.road, s) if lanes.permission[i] & _TRANSIT]
    if item.validity:
        return [
            (part, int(lanes.odr_id[i]))
            for part, span in enumerate(item.validity)
            for i in here
            if min(span) <= lanes.odr_id[i] <= max(span)
        ]
    t = number(item.attributes, "t")
    by_distance = sorted((abs(layout.centre_t(int(i), s) - t), int(i)) for i in here)
    return [(0, int(lanes.odr_id[by_distance[0][1]]))] if by_distance else []


def _stop_at(
    layout: Layout, item: Item, odr_id: int, stops: list[float], part: int, begin: float, end: float
) -> tuple[float, int]:
    """Road s of the stop point and the lane of the section that holds there."""
    here = layout.lanes_at(item.road, (begin + end) / 2)
    lane = int(next(i for i in here if layout.lanes.odr_id[i] == odr_id))
    if stops:
        stop = stops[min(part, len(stops) - 1)]
    elif layout.lanes.direction[lane] > 0:
        stop = max(end - STOP_BEFORE_END_M, begin)
    else:
        stop = min(begin + STOP_BEFORE_END_M, end)
    there = [i for i in layout.lanes_at(item.road, stop) if layout.lanes.odr_id[i] == odr_id]
    return stop, int(there[0]) if there else lane


def _crossings(
    tables: Tables,
    layout: Layout,
    groups: SignalGroups,
    outlines: list[F64],
    yaw: F64,
    which: list[int],
) -> Crossings:
    group_index = {g: i for i, g in enumerate(groups.id)}
    axes: list[tuple[float, float, float, float, float]] = []
    ids: list[str] = []
    group: list[int] = []
    owner: list[int] = []
    crossed: list[tuple[int, int, float, float]] = []
    for i in which:
        item, ring = tables.objects[i], outlines[i]
        if len(ring) < 3:
            tables.note("a crosswalk without outline, length and width was left out")
            continue
        heading = float(yaw[i]) - number(item.attributes, "hdg")
        x0, y0, x1, y1, width = _axis(ring, heading)
        named = item.user.get("icv.signal_group", "")
        if named and named not in group_index:
            tables.note("userData icv.signal_group names a controller that the file does not hold")
        crossed.extend((len(ids), *hit) for hit in _lanes_crossed(layout, (x0, y0, x1, y1, width)))
        axes.append((x0, y0, x1, y1, width))
        ids.append(item.attributes.get("id", ""))
        group.append(group_index.get(named, -1))
        owner.append(i)
    table = np.array(axes, np.float64).reshape(-1, 5)
    hits = np.array(crossed, np.float64).reshape(-1, 4)
    return Crossings(
        tuple(ids),
        np.ascontiguousarray(table[:, 0]),
        np.ascontiguousarray(table[:, 1]),
        np.ascontiguousarray(table[:, 2]),
        np.ascontiguousarray(table[:, 3]),
        np.ascontiguousarray(table[:, 4]),
        np.array(group, np.int32),
        np.array(owner, np.int32),
        starts(hits[:, 0].astype(np.int64), len(ids)),
        hits[:, 1].astype(np.int32),
        np.ascontiguousarray(hits[:, 2]),
        np.ascontiguousarray(hits[:, 3]),
    )


def _axis(ring: F64, heading: float) -> tuple[float, float, float, float, float]:
    """Walking axis of a crossing and its width: along the edge that is most nearly square to the road."""
    edge = np.roll(ring, -1, axis=0) - ring
    edge = edge[np.hypot(edge[:, 0], edge[:, 1]) > 0.05]
    across = np.array([-np.sin(heading), np.cos(heading)])
    if edge.size:
        unit = edge / np.hypot(edge[:, 0], edge[:, 1])[:, None]
        across = unit[int(np.argmax(np.abs(unit @ across)))]
    along = np.array([across[1], -across[0]])
    u, v = ring @ across, ring @ along
    mid = (v.min() + v.max()) / 2 * along
    p0, p1 = u.min() * across + mid, u.max() * across + mid
    return float(p0[0]), float(p0[1]), float(p1[0]), float(p1[1]), float(v.max() - v.min())


def _lanes_crossed(
    layout: Layout, axis: tuple[float, float, float, float, float]
) -> list[tuple[int, float, float]]:
    """(lane, in, out) of every vehicle lane whose centre line runs through the crossing."""
    x0, y0, x1, y1, width = axis
    lanes, points = layout.lanes, layout.points
    reach = np.hypot(x1 - x0, y1 - y0) / 2 + width + 6.0  # sampled points lie at most 5 m apart
    near = np.flatnonzero(
        (np.abs(points.x_m - (x0 + x1) / 2) < reach) & (np.abs(points.y_m - (y0 + y1) / 2) < reach)
    )
    found: npt.NDArray[np.int64] = np.unique(
        np.searchsorted(lanes.point_start, near, side="right") - 1
    )
    length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-9)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    out: list[tuple[int, float, float]] = []
    for lane in found:
        if not lanes.permission[lane] & VEHICLES:
            continue
        rows = slice(int(lanes.point_start[lane]), int(lanes.point_start[lane + 1]))
        s = np.arange(0.0, float(lanes.length_m[lane]) + CROSSING_STEP_M, CROSSING_STEP_M)
        s = np.minimum(s, float(lanes.length_m[lane]))
        px = np.interp(s, points.s_m[rows], points.x_m[rows]) - x0
        py = np.interp(s, points.s_m[rows], points.y_m[rows]) - y0
        along, beside = px * ux + py * uy, py * ux - px * uy
        inside = np.flatnonzero((along >= 0) & (along <= length) & (np.abs(beside) <= width / 2))
        if inside.size:
            out.append((int(lane), float(s[inside[0]]), float(s[inside[-1]])))
    return out
