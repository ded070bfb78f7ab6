"""Who else wants the same place: vehicles at conflict areas, people on and near crossings.

All decisions compare time windows: own occupation of an area (bumper in, tail out) against the other's arrival and departure at
its present speed, widened by a gap. Standing vehicles that are not inside the area are waiting themselves.
"""

from __future__ import annotations

from math import inf

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64, Bool, RightOfWay
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import Approach, ConflictEvent, CrossingEvent
from vehicle.driving.signals import seconds_to_cover
from vehicle.fusion import Tracks

LANE_REACH_M = 2.2  # a vehicle this near to the approach's centre line drives on it
ALONG_COS = 0.94  # 20 degrees: who has turned farther out of an approach has taken another lane
STANDING_MPS = 0.4


def is_vulnerable(tracks: Tracks) -> Bool:
    """(n,) who walks or pedals."""
    return np.asarray(tracks.kind >= int(ActorKind.BICYCLE))


def distances_to_area(approach: Approach, tracks: Tracks) -> F64:
    """(n,) distance along the approach of each track's centre to the area, inf for those that are not on it."""
    if tracks.x_m.size == 0:
        return np.zeros(0)
    gap = np.hypot(
        approach.x_m[:, None] - tracks.x_m[None, :], approach.y_m[:, None] - tracks.y_m[None, :]
    )
    nearest = np.argmin(gap, axis=0)
    yaw = approach.yaw_rad[nearest]
    on = (gap[nearest, np.arange(nearest.size)] < LANE_REACH_M) & (
        np.cos(yaw - tracks.yaw_rad) > ALONG_COS
    )
    # the points lie metres apart: count how far past its nearest one each track is
    past = (tracks.x_m - approach.x_m[nearest]) * np.cos(yaw)
    past += (tracks.y_m - approach.y_m[nearest]) * np.sin(yaw)
    return np.where(on, approach.dist_m[nearest] - past, inf)


def stops_for_us(conflict: ConflictEvent, tracks: Tracks, decel_mps2: float) -> tuple[F64, Bool]:
    """(n,) metres until each track's nose stands at the area's edge, and whether it is coming and can still stop there."""
    dist = distances_to_area(conflict.approach, tracks) - 0.5 * tracks.length_m
    need = (tracks.vx_mps**2 + tracks.vy_mps**2) / (2.0 * decel_mps2)
    return dist, np.asarray(np.isfinite(dist) & (dist > need))


def must_wait(
    conflict: ConflictEvent, front_s_m: float, length_m: float, speed_mps: float, top_mps: float, tracks: Tracks,
    waited_s: float, config: DrivingConfig,
) -> bool:  # fmt: skip
    """True while somebody with right of way would meet us in this area."""
    if conflict.right_of_way == RightOfWay.PRIORITY:
        return False
    dist = distances_to_area(conflict.approach, tracks)
    rows = np.flatnonzero(np.isfinite(dist))
    if rows.size == 0:
        return False
    t_in = seconds_to_cover(conflict.s_in_m - front_s_m, speed_mps, top_mps, config.accel_mps2)
    t_out = seconds_to_cover(
        conflict.s_out_m + length_m - front_s_m, speed_mps, top_mps, config.accel_mps2
    )
    for row in rows.tolist():
        half = 0.5 * float(tracks.length_m[row])
        speed = float(np.hypot(tracks.vx_mps[row], tracks.vy_mps[row]))
        to_area = float(dist[row]) - half
        to_clear = float(dist[row]) + conflict.approach.inside_m + half
        if to_clear <= 0.0:
            continue
        if speed < STANDING_MPS and to_area > 0.5:
            continue
        its_in = max(to_area, 0.0) / max(speed, 1.0)
        its_out = to_clear / max(speed, 1.0)
        if its_in > t_out + config.gap_s or its_out < t_in - 0.5:
            continue
        # equal rights: first come, first served; after standing long somebody has to begin
        comes_later = its_in > t_in + 0.5 or (waited_s > config.impatience_s and to_area > 0.5)
        if conflict.right_of_way == RightOfWay.EQUAL and comes_later:
            continue
        return True
    return False


def people_on_crossing(
    crossing: CrossingEvent, front_s_m: float, length_m: float, speed_mps: float, top_mps: float, tracks: Tracks,
    lane_x_m: float, lane_y_m: float, half_lane_m: float, config: DrivingConfig,
) -> bool:  # fmt: skip
    """True while somebody walks where we would pass, or will before we are through.

    (lane_x_m, lane_y_m): where our path meets the walking axis.
    """
    rows = np.flatnonzero(is_vulnerable(tracks))
    if rows.size == 0:
        return False
    ux, uy = crossing.x1_m - crossing.x0_m, crossing.y1_m - crossing.y0_m
    length = float(np.hypot(ux, uy))
    if length < 0.1:
        return False
    ux, uy = ux / length, uy / length
    along = (tracks.x_m[rows] - crossing.x0_m) * ux + (tracks.y_m[rows] - crossing.y0_m) * uy
    across = (tracks.y_m[rows] - crossing.y0_m) * ux - (tracks.x_m[rows] - crossing.x0_m) * uy
    lane = (lane_x_m - crossing.x0_m) * ux + (lane_y_m - crossing.y0_m) * uy
    rate = tracks.vx_mps[rows] * ux + tracks.vy_mps[rows] * uy
    near = (np.abs(across) < 0.5 * crossing.width_m + 1.0) & (along > -2.0) & (along < length + 2.0)
    t_in = seconds_to_cover(crossing.s_in_m - front_s_m, speed_mps, top_mps, config.accel_mps2)
    t_out = seconds_to_cover(
        crossing.s_out_m + length_m - front_s_m, speed_mps, top_mps, config.accel_mps2
    )
    for i in np.flatnonzero(near).tolist():
        offset = float(along[i]) - lane
        if abs(offset) <= half_lane_m:
            return True
        closing = -float(rate[i]) * (1.0 if offset > 0.0 else -1.0)
        if closing < 0.3:
            continue  # stands or walks away
        its_in = (abs(offset) - half_lane_m) / closing
        its_out = (abs(offset) + half_lane_m) / closing
        if its_in < t_out + 0.3 and its_out > t_in - config.crossing_gap_s:
            return True
    return False


def walker_cap_mps(
    s_m: F64, d_m: F64, tracks: Tracks, front_s_m: float, half_width_m: float, config: DrivingConfig
) -> float:  # fmt: skip
    """Speed that is decent beside the people ahead: slower the closer they are to our side. inf when nobody is near."""
    vulnerable = is_vulnerable(tracks)
    ahead = s_m - front_s_m
    clearance = np.abs(d_m) - half_width_m - 0.5 * tracks.width_m
    rows = np.flatnonzero(
        vulnerable & (ahead > -1.0) & (ahead < 60.0) & (clearance < config.walker_clearance_m)
    )
    cap = inf
    for row in rows.tolist():
        beside = config.walker_cap_mps + config.walker_cap_per_m * max(float(clearance[row]), 0.0)
        room = max(float(ahead[row]) - 3.0, 0.0)
        cap = min(cap, float(np.sqrt(beside * beside + 2.0 * config.decel_mps2 * room)))
    return cap
