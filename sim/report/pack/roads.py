"""Roads, signal groups and roadside units of a run's scene, as plain JSON for drawing.

Lane edges are thinned: a point goes where leaving it out moves neither edge by more than 5 cm. Coordinates are rounded to 1 cm.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from protocols.roads.network import F64, I32, Bool, LaneType, MarkKind, RoadNetwork, UserClass
from scenarios.spec import SceneSpec
from sim.radio.params import IdealParams, RangeLossParams
from sim.report.outlines import lane_edges, object_outline, on_lane, platforms

CHORD_M = 0.05
RSU_HEIGHT_M = 6.0  # antennas of roadside units, as in a run
VEHICLE_HEIGHT_M = 1.6  # antenna on the roof of a car: whom a unit's range is stated for
_VEHICULAR = int(UserClass.PASSENGER | UserClass.BUS | UserClass.TRUCK | UserClass.SHUTTLE)
_OTHERS = ("crosswalk", "busStop", "parkingSpace")  # drawn as what they are


def roads(net: RoadNetwork) -> dict[str, Any]:
    """`meta.roads` of a network."""
    points = net.points
    box = (
        [points.x_m.min(), points.y_m.min(), points.x_m.max(), points.y_m.max()]
        if points.x_m.size
        else [0.0, 0.0, 1.0, 1.0]
    )
    return {
        "bounds": [round(float(value), 2) for value in box],
        "lanes": _lanes(net),
        "stop_lines": _stop_lines(net),
        "crossings": [_crossing(net, row) for row in range(len(net.crossings.id))],
        "stations": [
            {"name": net.stations.name[row] or net.stations.id[row], "poly": _points(outline)}
            for row, outline in platforms(net)
        ],
        "groups": [
            {"id": ident, "name": name or ident}
            for ident, name in zip(net.groups.id, net.groups.name, strict=True)
        ],
        "bays": _objects(net, lambda kind: kind == "parkingSpace"),
        "objects": _objects(net, lambda kind: kind not in _OTHERS),
    }


def no_roads(num_groups: int) -> dict[str, Any]:
    """`meta.roads` when the road file is not to be had."""
    return {
        "bounds": [0.0, 0.0, 1.0, 1.0], "lanes": [], "stop_lines": [], "crossings": [], "stations": [],
        "groups": [{"id": str(k), "name": str(k)} for k in range(num_groups)], "bays": [], "objects": [],
    }  # fmt: skip


# -- lanes -----------------------------------------------------------------------------------------------------------


def _lanes(net: RoadNetwork) -> list[dict[str, Any]]:
    left, right = lane_edges(net)
    outer, centre = _marks(net)
    out = []
    for lane, (a, b) in enumerate(pairwise(net.lanes.point_start.tolist())):
        keep = np.flatnonzero(_thinned(left[a:b]) | _thinned(right[a:b])) + a
        out.append(
            {
                "kind": lane_kind(net, lane),
                "left": _points(left[keep]),
                "right": _points(right[keep]),
                "marks": _mark_names(net, lane, outer, centre),
            }
        )
    return out


def lane_kind(net: RoadNetwork, lane: int) -> str:
    """`bus` for lanes of buses alone, `junction` for other lanes of vehicles inside junctions, else the file's type."""
    who = int(net.lanes.permission[lane])
    if who & UserClass.BUS and not who & UserClass.PASSENGER:
        return "bus"
    if net.lanes.junction[lane] >= 0 and who & _VEHICULAR:
        return "junction"
    return LaneType(int(net.lanes.type[lane])).name.lower()


def _marks(net: RoadNetwork) -> tuple[dict[int, int], dict[int, int]]:
    """Longest mark on the outer side of each lane, and on the centre line of each section."""
    outer: dict[int, tuple[float, int]] = {}
    centre: dict[int, tuple[float, int]] = {}
    marks = net.road_marks
    for row, (lane, section) in enumerate(
        zip(marks.lane.tolist(), marks.section.tolist(), strict=True)
    ):
        table, key = (outer, lane) if lane >= 0 else (centre, section)
        length = float(marks.s1_m[row] - marks.s0_m[row])
        if key not in table or length > table[key][0]:
            table[key] = (length, int(marks.kind[row]))
    return (
        {key: kind for key, (_, kind) in outer.items()},
        {key: kind for key, (_, kind) in centre.items()},
    )


def _mark_names(
    net: RoadNetwork, lane: int, outer: dict[int, int], centre: dict[int, int]
) -> list[str]:
    """Marks on the driver's left and right."""
    lanes = net.lanes
    section, ident = int(lanes.section[lane]), int(lanes.odr_id[lane])
    inner_id = ident - int(math.copysign(1, ident))
    if inner_id == 0:
        inside = centre.get(section, 0)
    else:
        inside = 0
        first, last = net.sections.lane_start[section], net.sections.lane_start[section + 1]
        for other in range(int(first), int(last)):
            if int(lanes.odr_id[other]) == inner_id:
                inside = outer.get(other, 0)
    names = [MarkKind(kind).name.lower() for kind in (inside, outer.get(lane, 0))]
    is_outer_right = (ident < 0) == (int(lanes.direction[lane]) > 0)
    return names if is_outer_right else names[::-1]


def _thinned(line: F64) -> Bool:
    """(n,) which points of a line (n, 2) to keep, by Douglas and Peucker."""
    keep: Bool = np.zeros(line.shape[0], np.bool_)
    if not keep.size:
        return keep
    keep[[0, -1]] = True
    left = [(0, line.shape[0] - 1)]
    while left:
        a, b = left.pop()
        if b - a < 2:
            continue
        chord = line[b] - line[a]
        away = line[a + 1 : b] - line[a]
        length2 = float(chord @ chord)
        if length2 > 0.0:
            along = np.clip(away @ chord / length2, 0.0, 1.0)
            away = away - along[:, None] * chord
        gap2 = (away * away).sum(axis=1)
        k = int(np.argmax(gap2))
        if gap2[k] > CHORD_M * CHORD_M:
            middle = a + 1 + k
            keep[middle] = True
            left += [(a, middle), (middle, b)]
    return keep


# -- what lies on them -----------------------------------------------------------------------------------------------


def _stop_lines(net: RoadNetwork) -> list[dict[str, Any]]:
    lines = net.stop_lines
    out = []
    seen = set()
    for row in range(lines.lane.size):
        lane, group, s_m = int(lines.lane[row]), int(lines.group[row]), float(lines.s_m[row])
        if (lane, group, s_m) in seen:
            continue
        seen.add((lane, group, s_m))
        x, y, yaw, width = (float(column[0]) for column in on_lane(net, lane, np.array([s_m])))
        dx, dy = -math.sin(yaw) * width / 2, math.cos(yaw) * width / 2
        ends = _points(np.array([[x + dx, y + dy], [x - dx, y - dy]]))
        out.append({"group": group, "a": ends[0], "b": ends[1]})
    return out


def _crossing(net: RoadNetwork, row: int) -> list[list[float]]:
    c = net.crossings
    a = np.array([c.x0_m[row], c.y0_m[row]])
    b = np.array([c.x1_m[row], c.y1_m[row]])
    axis = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    across = np.array([-axis[1], axis[0]]) * float(c.width_m[row]) / 2
    return _points(np.stack((a + across, b + across, b - across, a - across)))


def _objects(net: RoadNetwork, wanted: Any) -> list[list[list[float]]]:
    out = []
    objects = net.objects
    for row, kind in enumerate(objects.type):
        if not wanted(kind):
            continue
        outline = object_outline(net, row)
        if outline.shape[0] < 3:
            half = np.array([objects.length_m[row], objects.width_m[row]]) / 2
            if not (half > 0).all():
                continue
            c, s = math.cos(objects.yaw_rad[row]), math.sin(objects.yaw_rad[row])
            corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
            outline = corners @ np.array([[c, s], [-s, c]])
            outline += (objects.x_m[row], objects.y_m[row])
        out.append(_points(outline))
    return out


# -- roadside units --------------------------------------------------------------------------------------------------


def rsus(
    spec: SceneSpec, net: RoadNetwork, radio: IdealParams | RangeLossParams
) -> list[dict[str, Any]]:
    """`meta.rsus`: where units with antennas stand, and how far a car hears them (0: without limit)."""
    reach = range_m(radio)
    out = []
    for unit in spec.roadside:
        x, y = (unit.x_m, unit.y_m)
        if x is None or y is None:
            centre = _junction_centre(net, unit.junctions[0])
            x, y = (centre[0] if x is None else x), (centre[1] if y is None else y)
        out.append(
            {"name": unit.name, "x": round(x, 2), "y": round(y, 2), "range_m": round(reach, 1)}
        )
    return out


def range_m(radio: IdealParams | RangeLossParams) -> float:
    """Distance at which a car's mean received power falls to the sensitivity, without shadowing; 0 for no limit.

    WINNER+ B1 line of sight as in `sim.radio._kernels.range_loss`, between the antennas of a roadside unit and a car.
    """
    if isinstance(radio, IdealParams):
        return radio.max_range_m if math.isfinite(radio.max_range_m) else 0.0
    d = np.arange(1.0, max(radio.max_range_m, 1.0) + 1.0)
    log_d, log_f = np.log10(np.maximum(d, 3.0)), math.log10(radio.frequency_ghz)
    low = [max(h - radio.environment_height_m, 0.1) for h in (RSU_HEIGHT_M, VEHICLE_HEIGHT_M)]
    bend = 4.0 * radio.frequency_ghz * 1e9 / 299792458.0 * low[0] * low[1]
    near = 22.7 * log_d + 27.0 + 20.0 * log_f
    far = 40.0 * log_d + 7.56 - 17.3 * sum(math.log10(h) for h in low) + 2.7 * log_f
    free = 20.0 * log_d + 46.4 + 20.0 * (log_f - math.log10(5.0))
    power = (
        radio.tx_power_dbm + radio.antenna_gain_db - np.maximum(np.where(d < bend, near, far), free)
    )
    heard = np.flatnonzero((power >= radio.sensitivity_dbm) & (d <= radio.max_range_m))
    return float(d[heard[-1]]) if heard.size else 0.0


def _junction_centre(net: RoadNetwork, name: str) -> tuple[float, float]:
    from roadside.map_message import junction_centre

    for names in (net.junctions.id, net.junctions.name):
        if name in names:
            return junction_centre(net, names.index(name))
    return 0.0, 0.0


def speed_limits(net: RoadNetwork, lane: I32, s_m: F64) -> F64:
    """(T,) posted limit at places on lanes, NaN where none is posted or the place is on no lane."""
    out = np.full(lane.size, np.nan)
    limits, lanes = net.speed_limits, net.lanes
    for one in np.unique(lane).tolist():
        if not 0 <= one < net.num_lanes:
            continue
        a, b = int(lanes.speed_start[one]), int(lanes.speed_start[one + 1])
        mine = np.flatnonzero(lane == one)
        if b > a:
            at = np.searchsorted(limits.s_m[a:b], s_m[mine], side="right") - 1
            out[mine] = limits.speed_mps[a:b][np.maximum(at, 0)]
        elif lanes.has_speed[one]:
            out[mine] = lanes.speed_mps[one]
    return out


def _points(line: F64) -> list[list[float]]:
    rounded: list[list[float]] = np.round(line, 2).tolist()
    return rounded
