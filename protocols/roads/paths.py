"""The centre line of a route as one smooth sampled path, for planners and reference tracking.

A stretch is a run of lanes joined by lane changes. Inside a stretch the path moves from one lane to
the next by a quintic blend (zero first and second derivative at both ends) of the lateral gap;
between stretches it follows the lane joins of the file. Positions between lane samples are cubic
Hermite, so that the path has no kinks; yaw and curvature are interpolated from the samples, with
the blend's own slope and second derivative added (small-angle formula, exact to 1 % below 0.15 rad).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from protocols.roads.network import F64, I32, RoadNetwork
from protocols.roads.routing import DEFAULT_SPEED_MPS, Route

CHANGE_LENGTH_M: Final = 40.0
CHANGE_LEAD_M: Final = 5.0  # straight piece before the first change of a stretch


@dataclass(frozen=True, slots=True)
class ReferencePath:
    """(P,) samples along a route, world frame; `s_m` is 0 where the route begins."""

    s_m: F64
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    curvature_per_m: F64
    speed_limit_mps: F64
    width_m: F64
    lane: I32  # lane nearest to the path
    lane_s_m: F64  # travel distance on it


def reference_path(
    net: RoadNetwork,
    route: Route,
    *,
    step_m: float = 1.0,
    change_length_m: float = CHANGE_LENGTH_M,
) -> ReferencePath:
    """Path of `route` from its start to its goal, samples at most `step_m` apart.

    A change takes `change_length_m`, or an equal share of what the stretch has left.
    """
    first = np.flatnonzero(~route.is_change)
    last = np.append(first[1:], route.lanes.size) - 1
    pieces: list[F64] = []
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        lanes = route.lanes[a : b + 1].astype(np.int64)
        length_m = float(net.lanes.length_m[lanes[-1]])
        begin_m, end_m = 0.0, length_m
        if i == 0:
            begin_m = route.from_s_m / float(net.lanes.length_m[lanes[0]]) * length_m
        if i == first.size - 1:
            end_m = route.to_s_m
        if end_m - begin_m > 1e-9 or first.size == 1:
            piece = _stretch(net, lanes, begin_m, end_m, step_m, change_length_m)
            pieces.append(piece[:, 1:] if pieces else piece)
    column = np.concatenate(pieces, axis=1)
    x_m, y_m, yaw_rad = column[0], column[1], np.unwrap(column[3])
    # Arc length of a sampled smooth curve: chord times (1 + (turn)^2 / 24).
    chord_m = np.hypot(np.diff(x_m), np.diff(y_m))
    s_m = np.concatenate(([0.0], np.cumsum(chord_m * (1 + np.diff(yaw_rad) ** 2 / 24))))
    return ReferencePath(
        s_m=s_m,
        x_m=x_m,
        y_m=y_m,
        z_m=column[2],
        yaw_rad=np.asarray(np.pi - np.mod(np.pi - yaw_rad, 2 * np.pi)),
        curvature_per_m=column[4],
        width_m=column[5],
        speed_limit_mps=column[6],
        lane=column[7].astype(np.int32),
        lane_s_m=column[8],
    )


def _stretch(
    net: RoadNetwork,
    lanes: npt.NDArray[np.int64],
    begin_m: float,
    end_m: float,
    step_m: float,
    change_length_m: float,
) -> F64:
    """(9, n) rows x, y, z, yaw, curvature, width, speed limit, lane, s on it.

    Distances are those of the last lane; the others run in proportion.
    """
    num = max(2, int(np.ceil((end_m - begin_m) / step_m)) + 1)
    along = np.linspace(begin_m, end_m, num)
    length_m = net.lanes.length_m
    at = _sample(net, int(lanes[0]), along * (length_m[lanes[0]] / length_m[lanes[-1]]))
    num_changes = lanes.size - 1
    if not num_changes:
        return at
    lead_m = min(CHANGE_LEAD_M, (end_m - begin_m) / 10)
    each_m = min(change_length_m, (end_m - begin_m - 2 * lead_m) / num_changes)
    for k in range(num_changes):
        into = _sample(
            net, int(lanes[k + 1]), along * (length_m[lanes[k + 1]] / length_m[lanes[-1]])
        )
        u = np.clip((along - begin_m - lead_m - k * each_m) / each_m, 0.0, 1.0)
        blend = u**3 * (10 - 15 * u + 6 * u**2)
        slope = 30 * u**2 * (1 - u) ** 2 / each_m
        bend = 60 * u * (1 - u) * (1 - 2 * u) / each_m**2
        gap_m = -np.sin(at[3]) * (into[0] - at[0]) + np.cos(at[3]) * (into[1] - at[1])
        turn = np.pi - np.mod(np.pi - (into[3] - at[3]), 2 * np.pi)
        mixed = at + blend * (into - at)
        mixed[3] = at[3] + blend * turn + np.arctan(slope * gap_m)
        mixed[4] += bend * gap_m
        mixed[6] = np.where(u < 1.0, np.minimum(at[6], into[6]), into[6])
        mixed[7:] = np.where(blend < 0.5, at[7:], into[7:])
        at = mixed
    return at


def _sample(net: RoadNetwork, lane: int, s_m: F64) -> F64:
    """(9, n) rows of `_stretch` on one lane's centre line."""
    rows = slice(int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1]))
    points = net.points
    knots = points.s_m[rows]
    i = np.clip(np.searchsorted(knots, s_m, side="right") - 1, 0, knots.size - 2)
    span = np.maximum(knots[i + 1] - knots[i], 1e-9)
    u = np.clip((s_m - knots[i]) / span, 0.0, 1.0)
    yaw = np.unwrap(points.yaw_rad[rows])
    h00, h10 = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2
    h01, h11 = u**2 * (3 - 2 * u), u**2 * (u - 1)
    x, y = points.x_m[rows], points.y_m[rows]
    out = np.empty((9, s_m.size))
    out[0] = h00 * x[i] + h01 * x[i + 1] + span * (h10 * np.cos(yaw[i]) + h11 * np.cos(yaw[i + 1]))
    out[1] = h00 * y[i] + h01 * y[i + 1] + span * (h10 * np.sin(yaw[i]) + h11 * np.sin(yaw[i + 1]))
    linear = (points.z_m[rows], yaw, points.curvature_per_m[rows], points.width_m[rows])
    for row, values in enumerate(linear, start=2):
        out[row] = (1 - u) * values[i] + u * values[i + 1]
    out[6] = _speed_limits(net, lane, s_m)
    out[7] = lane
    out[8] = s_m
    return out


def _speed_limits(net: RoadNetwork, lane: int, s_m: F64) -> F64:
    first, last = int(net.lanes.speed_start[lane]), int(net.lanes.speed_start[lane + 1])
    if first == last:
        return np.full(s_m.size, DEFAULT_SPEED_MPS)
    piece = np.searchsorted(net.speed_limits.s_m[first:last], s_m, side="right") - 1
    return np.asarray(net.speed_limits.speed_mps[first + np.maximum(piece, 0)])
