"""The MAP message of a junction: approach lanes with their centre lines, and where they lead.

In: the road network and a junction's layout. Out: `Map`, built once; only its time changes afterwards. Centre lines run
from upstream to the stop line, thinned so that no point of the lane is further than 0.5 m from the line between the kept
ones (Douglas and Peucker 1973). Short approach lanes are continued upstream along their only predecessor up to 200 m.
"""

from __future__ import annotations

import numpy as np

from protocols.messages import Map, MapLane, MapMovement
from protocols.roads.network import F64, RoadNetwork
from roadside.signals.layout import JunctionLayout, maneuver

CHORD_ERROR_M = 0.5
MAX_POINTS = 31  # PointList of the Chinese message set holds 2..31 points
APPROACH_M = 200.0


def build_map(net: RoadNetwork, layout: JunctionLayout, node_id: int, t_ns: int = 0) -> Map:
    """MAP of one junction. Movements carry `phase_id` = network group index + 1, or 0 where no signal holds them."""
    junction, lanes = layout.junction, net.lanes
    members = net.junctions.lane[
        net.junctions.lane_start[junction] : net.junctions.lane_start[junction + 1]
    ].tolist()
    movements: dict[int, list[int]] = {}
    for inner in members:
        for before in lanes.prev[lanes.prev_start[inner] : lanes.prev_start[inner + 1]].tolist():
            if lanes.junction[before] != junction:
                movements.setdefault(before, []).append(inner)
    x_m, y_m = junction_centre(net, junction)
    return Map(
        t_ns=t_ns,
        node_id=node_id,
        name=layout.name,
        x_m=x_m,
        y_m=y_m,
        lanes=tuple(_lane(net, lane, movements[lane]) for lane in sorted(movements)),
    )


def junction_centre(net: RoadNetwork, junction: int) -> tuple[float, float]:
    """Middle of the box around a junction's connecting lanes; of the whole network's origin where it has none."""
    members = net.junctions.lane[
        net.junctions.lane_start[junction] : net.junctions.lane_start[junction + 1]
    ]
    starts = net.lanes.point_start
    rows = [np.arange(starts[lane], starts[lane + 1]) for lane in members]
    if not rows:
        return 0.0, 0.0
    index = np.concatenate(rows)
    x, y = net.points.x_m[index], net.points.y_m[index]
    return float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2


def _lane(net: RoadNetwork, lane: int, to_lanes: list[int]) -> MapLane:
    lanes, points, stops = net.lanes, net.points, net.stop_lines
    rows = range(int(stops.start[lane]), int(stops.start[lane + 1]))
    stop_s = min((float(stops.s_m[r]) for r in rows), default=float(lanes.length_m[lane]))
    s = points.s_m[lanes.point_start[lane] : lanes.point_start[lane + 1]]
    own = slice(int(lanes.point_start[lane]), int(lanes.point_start[lane + 1]))
    stop_x = float(np.interp(stop_s, s, points.x_m[own]))
    stop_y = float(np.interp(stop_s, s, points.y_m[own]))
    before = s < stop_s - 1e-6
    x = np.append(points.x_m[own][before], stop_x)
    y = np.append(points.y_m[own][before], stop_y)
    x, y = _upstream(net, lane, x, y)
    keep = _thin(x, y)
    last = int(np.searchsorted(s, stop_s, side="right")) - 1
    width = float(np.interp(stop_s, s, points.width_m[own]))
    return MapLane(
        lane=net.lane_key(lane),
        width_m=width,
        speed_limit_mps=float(lanes.speed_mps[lane]) if lanes.has_speed[lane] else None,
        permission=int(lanes.permission[lane]),
        stop_x_m=stop_x,
        stop_y_m=stop_y,
        stop_yaw_rad=float(points.yaw_rad[own][last]),
        point_x_m=tuple(x[keep].tolist()),
        point_y_m=tuple(y[keep].tolist()),
        movements=tuple(
            MapMovement(
                to_lane=net.lane_key(to_lane),
                maneuver=maneuver(net, to_lane),
                phase_id=_phase_id(net, lane, to_lane),
            )
            for to_lane in sorted(to_lanes)
        ),
    )


def _phase_id(net: RoadNetwork, lane: int, to_lane: int) -> int:
    """Phase of the stop line that names `to_lane`, else of one that holds every movement, else 0."""
    stops = net.stop_lines
    found = 0
    for row in range(int(stops.start[lane]), int(stops.start[lane + 1])):
        group, target = int(stops.group[row]), int(stops.to_lane[row])
        if group >= 0 and target == to_lane:
            return group + 1
        if group >= 0 and target < 0 and found == 0:
            found = group + 1
    return found


def _upstream(net: RoadNetwork, lane: int, x: F64, y: F64) -> tuple[F64, F64]:
    """The centre line continued against travel, while the lane has one predecessor outside junctions."""
    lanes, points = net.lanes, net.points
    length = float(np.hypot(np.diff(x), np.diff(y)).sum())
    seen = {lane}
    while length < APPROACH_M:
        before = lanes.prev[lanes.prev_start[lane] : lanes.prev_start[lane + 1]]
        if before.size != 1 or lanes.junction[before[0]] >= 0 or int(before[0]) in seen:
            break
        lane = int(before[0])
        seen.add(lane)
        own = slice(int(lanes.point_start[lane]), int(lanes.point_start[lane + 1]) - 1)
        x = np.concatenate((points.x_m[own], x))
        y = np.concatenate((points.y_m[own], y))
        length += float(lanes.length_m[lane])
    # The far end is cut where the limit is reached, at a sampled point.
    step = np.hypot(np.diff(x), np.diff(y))
    ahead = np.concatenate((np.cumsum(step[::-1])[::-1], [0.0]))
    first = max(0, int(np.searchsorted(-ahead, -APPROACH_M)) - 1)
    return x[first:], y[first:]


def _thin(x: F64, y: F64) -> list[int]:
    """Indices of the points to keep; first and last always, at most `MAX_POINTS`."""
    keep = {0, x.size - 1}
    todo = [(0, x.size - 1)]
    while todo and len(keep) < MAX_POINTS:
        a, b = todo.pop(0)
        if b - a < 2:
            continue
        dx, dy = float(x[b] - x[a]), float(y[b] - y[a])
        length = float(np.hypot(dx, dy))
        px, py = x[a + 1 : b] - x[a], y[a + 1 : b] - y[a]
        away = np.abs(px * dy - py * dx) / length if length > 1e-9 else np.hypot(px, py)
        worst = int(away.argmax())
        if away[worst] <= CHORD_ERROR_M:
            continue
        middle = a + 1 + worst
        keep.add(middle)
        todo += [(a, middle), (middle, b)]
    return sorted(keep)
