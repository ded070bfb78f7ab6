"""Paint on the road as thin triangles: lane markings, stop lines, zebra crossings, from what the road file says.

Built once a map. CARLA's frame, heights from the ground's own triangles, a centimetre above them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.roads.geometry import lane_pose
from protocols.roads.network import F64, MarkKind, RoadNetwork
from sim.carla.server.ground import Bytes, Floats, Ground, heights

# GB 5768.3-2009 for roads up to 60 km/h: 4 m of line, 6 m of gap; stop line 0.4 m; zebra bars 0.4 m, 0.6 m apart.
_LINE_M, _GAP_M = 4.0, 6.0
_STOP_M = 0.4
_BAR_M, _BARS_M = 0.4, 1.0
_WIDTH_M = 0.15  # where the file gives none
_PIECE_M = 4.0  # longest straight piece of a line
_DOUBLE_M = 0.12  # half the distance between the two lines of a double one
_LIFT_M = 0.01
_MOST = 2_000_000  # triangles; a map beyond that is drawn without the rest
WHITE, YELLOW = 0, 1

_DRAWN = {
    MarkKind.SOLID: ((0.0, True),),
    MarkKind.BROKEN: ((0.0, False),),
    MarkKind.SOLID_SOLID: ((-_DOUBLE_M, True), (_DOUBLE_M, True)),
    MarkKind.SOLID_BROKEN: ((-_DOUBLE_M, True), (_DOUBLE_M, False)),
    MarkKind.BROKEN_SOLID: ((-_DOUBLE_M, False), (_DOUBLE_M, True)),
    MarkKind.BROKEN_BROKEN: ((-_DOUBLE_M, False), (_DOUBLE_M, False)),
    MarkKind.BOTTS_DOTS: ((0.0, False),),
    MarkKind.EDGE: ((0.0, True),),
}


@dataclass(frozen=True, slots=True)
class Markings:
    """(M, 9) triangles and their paint, WHITE or YELLOW."""

    tri: Floats
    paint: Bytes


def build(net: RoadNetwork | None, ground: Ground) -> Markings:
    """All paint of a map."""
    quads: list[F64] = []  # (n, 4, 2) corners
    paint: list[int] = []
    if net is not None:
        _lines(net, quads, paint)
        _stop_lines(net, quads, paint)
        _zebras(net, quads, paint)
    if not quads:
        return Markings(np.zeros((0, 9)), np.zeros(0, np.uint8))
    xy = np.concatenate(quads)[: _MOST // 2]
    colour = np.repeat(np.array(paint, np.uint8), [q.shape[0] for q in quads])[: _MOST // 2]
    flat = xy.reshape(-1, 3)
    z, _ = heights(
        ground,
        np.ascontiguousarray(flat[:, 0]),
        np.ascontiguousarray(-flat[:, 1]),
        flat[:, 2].copy(),
    )
    corner = np.column_stack([flat[:, 0], -flat[:, 1], z + _LIFT_M]).reshape(-1, 4, 3)
    tri = np.concatenate([corner[:, (0, 1, 2)], corner[:, (0, 2, 3)]], axis=1).reshape(-1, 9)
    return Markings(np.ascontiguousarray(tri), np.repeat(colour, 2))


def _strip(inner: F64, outer: F64, keep: npt.NDArray[np.bool_]) -> F64:
    """Quads between two rails (n, 3), those pieces that are kept."""
    quad: F64 = np.stack([inner[:-1], inner[1:], outer[1:], outer[:-1]], axis=1)[keep]
    return quad


def _lines(net: RoadNetwork, quads: list[F64], paint: list[int]) -> None:
    marks, lanes, sections = net.road_marks, net.lanes, net.sections
    for m in range(marks.kind.size):
        drawn = _DRAWN.get(MarkKind(int(marks.kind[m])))
        length = float(marks.s1_m[m] - marks.s0_m[m])
        if drawn is None or length <= 0.05:
            continue
        section, lane = int(marks.section[m]), int(marks.lane[m])
        is_centre = lane < 0
        if is_centre:  # the inner edge of a lane next to the reference line
            rows = np.arange(sections.lane_start[section], sections.lane_start[section + 1])
            beside = rows[np.abs(lanes.odr_id[rows]) == 1]
            if not beside.size:
                continue
            lane = int(beside[0])
        else:
            section = int(lanes.section[lane])
        # Outwards seen in travel direction: left of the road where the id is positive, mirrored where traffic runs against s.
        out = (1 if lanes.odr_id[lane] > 0 else -1) * int(lanes.direction[lane])
        first, last = int(lanes.point_start[lane]), int(lanes.point_start[lane + 1])
        road_s, own_s = net.points.road_s_m[first:last], net.points.s_m[first:last]
        width, order = net.points.width_m[first:last], np.argsort(road_s)
        s0, s1 = float(marks.s0_m[m]), float(marks.s1_m[m])
        for aside, is_solid in drawn:
            at, keep = _stations(s0, s1, is_solid)
            s = np.interp(at, road_s[order], own_s[order])
            half = 0.5 * np.interp(at, road_s[order], width[order])
            edge = out * (-half if is_centre else half) + aside * out
            thick = 0.5 * (float(marks.width_m[m]) or _WIDTH_M)
            rails = []
            for d in (edge - thick, edge + thick):
                p = lane_pose(net, np.full(at.size, lane), s, d)
                rails.append(np.column_stack([p.x_m, p.y_m, p.z_m]))
            quad = _strip(rails[0], rails[1], keep)
            if quad.shape[0]:
                quads.append(quad)
                paint.append(YELLOW if "yellow" in marks.colour[m] else WHITE)


def _stations(s0: float, s1: float, is_solid: bool) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Road stations along a line, and which pieces between them are painted."""
    if is_solid:
        at: F64 = np.linspace(s0, s1, max(int(np.ceil((s1 - s0) / _PIECE_M)), 1) + 1)
        return at, np.ones(at.size - 1, np.bool_)
    begin = np.arange(s0 + 0.5 * _GAP_M, s1, _LINE_M + _GAP_M)
    if not begin.size:
        begin = np.array([s0])
    at = np.column_stack([begin, np.minimum(begin + _LINE_M, s1)]).reshape(-1)
    return at, np.arange(at.size - 1) % 2 == 0


def _stop_lines(net: RoadNetwork, quads: list[F64], paint: list[int]) -> None:
    lines = net.stop_lines
    seen: set[tuple[int, int]] = set()
    for k in range(lines.lane.size):
        lane, s = int(lines.lane[k]), float(lines.s_m[k])
        if (lane, round(s * 10.0)) in seen:
            continue
        seen.add((lane, round(s * 10.0)))
        first, last = int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1])
        half = 0.5 * float(np.interp(s, net.points.s_m[first:last], net.points.width_m[first:last]))
        p = lane_pose(net, np.full(4, lane), np.array([s, s, s - _STOP_M, s - _STOP_M]),
                      np.array([-half, half, half, -half]))  # fmt: skip
        quads.append(np.column_stack([p.x_m, p.y_m, p.z_m])[None])
        paint.append(WHITE)


def _zebras(net: RoadNetwork, quads: list[F64], paint: list[int]) -> None:
    crossings = net.crossings
    for k in range(len(crossings.id)):
        x0, y0 = float(crossings.x0_m[k]), float(crossings.y0_m[k])
        dx, dy = float(crossings.x1_m[k]) - x0, float(crossings.y1_m[k]) - y0
        length = float(np.hypot(dx, dy))
        if length < _BAR_M:
            continue
        ux, uy, half = dx / length, dy / length, 0.5 * float(crossings.width_m[k])
        # Bars lie along the traffic; the height at the crossing comes from an object's own height where it has one.
        o = int(crossings.object[k])
        z = float(net.objects.z_m[o]) if o >= 0 else 0.0
        along = np.arange(0.5 * (_BARS_M - _BAR_M), length - _BAR_M, _BARS_M)
        a, b = along[:, None], along[:, None] + _BAR_M
        corners = [(a, -half), (b, -half), (b, half), (a, half)]
        quads.append(
            np.stack(
                [
                    np.concatenate(
                        [x0 + t * ux - h * uy, y0 + t * uy + h * ux, np.full_like(t, z)], axis=1
                    )
                    for t, h in corners
                ],
                axis=1,
            )
        )
        paint.append(WHITE)
