"""Kernels of path and speed control; formulas and units in `lateral.py` and `longitudinal.py`."""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, kernel


@helper
def column_at(table: Any, u: float, c: int) -> float:
    """Column c at fractional row u, held at the ends."""
    i = min(max(math.floor(u), 0), table.shape[0] - 2)
    f = min(max(u - i, 0.0), 1.0)
    return float(table[i, c] + f * (table[i + 1, c] - table[i, c]))


@kernel
def locate(
    path: Any, step: float, x: float, y: float, yaw: float, s_guess: float, out: Any
) -> None:
    """out[0:3] = s, d, heading against the path, by Newton from a guess that is a few metres off at most."""
    s = s_guess
    c = q = dx = dy = 0.0
    for _ in range(4):
        u = s / step
        i = min(max(math.floor(u), 0), path.shape[0] - 2)
        f = min(max(u - i, 0.0), 1.0)
        turn = path[i, 2] + f * (path[i + 1, 2] - path[i, 2])
        c, q = math.cos(turn), math.sin(turn)
        over = s - (i + f) * step
        dx = x - (path[i, 0] + f * (path[i + 1, 0] - path[i, 0]) + over * c)
        dy = y - (path[i, 1] + f * (path[i + 1, 1] - path[i, 1]) + over * q)
        k = path[i, 3]
        move = (c * dx + q * dy) / max(1.0 - k * (c * dy - q * dx), 0.2)
        s += min(max(move, -20.0), 20.0)
    out[0] = s
    out[1] = c * dy - q * dx
    heading = yaw - column_at(path, s / step, 2)
    out[2] = (heading + math.pi) % (2.0 * math.pi) - math.pi


@helper
def planned_offset(lat: Any, u: float) -> tuple[float, float, float]:
    """(d, dd/ds, d2d/ds2) of the planned lateral move, u metres after its start."""
    if u >= lat[6]:
        return lat[7], 0.0, 0.0
    u = max(u, 0.0)
    d = lat[0] + u * (lat[1] + u * (lat[2] + u * (lat[3] + u * (lat[4] + u * lat[5]))))
    p = lat[1] + u * (2 * lat[2] + u * (3 * lat[3] + u * (4 * lat[4] + u * 5 * lat[5])))
    q = 2 * lat[2] + u * (6 * lat[3] + u * (12 * lat[4] + u * 20 * lat[5]))
    return d, p, q


@kernel
def control(
    path: Any, step: float, column: Any, lat: Any, start_s: float, plan_dt: float, elapsed: float, speed: float,
    last_accel: float, period: float, is_urgent: bool, cfg: Any, out: Any,
) -> None:  # fmt: skip
    """out[0:3] = s, d, heading (in); out[3] = acceleration, out[4] = steering, out[5] = lateral error, out[6] = s error."""
    # cfg: wheelbase, max_steer, length_min, length_time, preview, fb_lat_accel, lead, k_s, k_v, jerk, urgent_jerk, hold, max_decel, max_accel
    s, d, heading = out[0], out[1], out[2]
    # lateral
    d_plan, p, _q = planned_offset(lat, s - start_s)
    error = d - d_plan
    k_here = column_at(path, s / step, 3)
    turn = heading - math.atan(p / (1.0 - k_here * d_plan))
    length = max(cfg[2], cfg[3] * speed)
    back = -error / (length * length) - 2.0 * math.sin(turn) / length
    most = cfg[5] / max(speed * speed, 1.0)
    back = min(max(back, -most), most)
    ahead = s + speed * cfg[4]
    d_plan, p, q = planned_offset(lat, ahead - start_s)
    kr = column_at(path, ahead / step, 3)
    slope = (column_at(path, ahead / step + 0.5, 3) - column_at(path, ahead / step - 0.5, 3)) / step
    one = 1.0 - kr * d_plan
    t = p / one
    c2 = 1.0 / (1.0 + t * t)
    c1 = math.sqrt(c2)
    forward = ((q + (slope * d_plan + kr * p) * t) * c2 / one + kr) * c1 / one
    out[4] = min(max(math.atan(cfg[0] * (forward + back)), -cfg[1]), cfg[1])
    out[5] = error

    # longitudinal
    u = elapsed / plan_dt
    lead = (elapsed + cfg[6]) / plan_dt
    v_plan = column_at(column, u, 1)
    rest = column_at(column, u, 0) - s
    out[6] = -rest
    v_soon = column_at(column, u + 0.4 / plan_dt, 1)
    if v_plan < 0.02 and v_soon < 0.02 and speed < 0.05:
        out[3] = max(cfg[11], min(last_accel, 0.0) - cfg[9] * period)  # the brake closes gently
        return
    want = (
        column_at(column, lead, 2) + cfg[7] * min(max(rest, -1.0), 1.0) + cfg[8] * (v_plan - speed)
    )
    if v_soon < 0.02 and v_plan < 0.02:
        want = min(want, -0.3)  # the plan stands, the wheels still roll
    room = (cfg[10] if is_urgent else cfg[9]) * period
    base = min(last_accel, 0.6) if speed < 0.05 and last_accel < 0.0 else last_accel
    if speed < 0.05 and base < 0.0 < want:
        base = 0.0  # leaving standstill starts from the held brake, not from its command
    want = min(max(want, base - room), base + room)
    out[3] = min(max(want, -cfg[12]), cfg[13])
