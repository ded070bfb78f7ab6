"""Writes what our traffic model moves into the rows of the actors that show it, in CARLA's frame."""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import kernel
from sim.carla.server import columns as c

_DEG = 180.0 / math.pi
LEAST_NZ = 0.2  # a surface steeper than this is a wall, not a road


@kernel
def place(
    pairs: Any, f: Any, i: Any,
    x: Any, y: Any, z: Any, yaw: Any, speed: Any, accel: Any, yaw_rate: Any, hitch: Any,
    length: Any, overhang: Any, height: Any, hitch_x: Any, rear_length: Any,
) -> int:  # fmt: skip
    """For every (our row, its row, actor id) of `pairs`: pose, velocities and accelerations.

    Rows that are no longer that actor's, or that physics moves now, are left alone; how many those are is returned. An articulated
    vehicle is one box from its front to its rear end.
    """
    lost = 0
    for k in range(pairs.shape[0]):
        src, row = pairs[k, 0], pairs[k, 1]
        if i[row, c.ID] != pairs[k, 2] or i[row, c.SIMULATE] != 0:
            lost += 1
            continue
        turn = yaw[src]
        cos, sin = math.cos(turn), math.sin(turn)
        ahead = 0.5 * length[src] - overhang[src]  # from our origin to the middle
        px, py = x[src] + ahead * cos, y[src] + ahead * sin
        v, w, a = speed[src], yaw_rate[src], accel[src]
        vx, vy = v * cos - w * ahead * sin, v * sin + w * ahead * cos
        ax, ay = a * cos - v * w * sin, a * sin + v * w * cos
        if rear_length[src] > 0.0:
            behind = turn - hitch[src]
            fx = x[src] + (length[src] - overhang[src]) * cos
            fy = y[src] + (length[src] - overhang[src]) * sin
            rx = x[src] + hitch_x[src] * cos - rear_length[src] * math.cos(behind)
            ry = y[src] + hitch_x[src] * sin - rear_length[src] * math.sin(behind)
            px, py = 0.5 * (fx + rx), 0.5 * (fy + ry)
            turn = math.atan2(fy - ry, fx - rx)
            cos, sin = math.cos(turn), math.sin(turn)
        degrees = 0.0 - turn * _DEG
        if degrees <= -180.0 or degrees > 180.0:
            degrees -= 360.0 * math.ceil((degrees - 180.0) / 360.0)
        f[row, c.X], f[row, c.Y] = px, -py + 0.0
        f[row, c.YAW] = degrees
        f[row, c.VX], f[row, c.VY], f[row, c.VZ] = vx, -vy + 0.0, 0.0
        f[row, c.WX], f[row, c.WY], f[row, c.WZ] = 0.0, 0.0, -w * _DEG + 0.0
        f[row, c.AX], f[row, c.AY], f[row, c.AZ] = ax, -ay + 0.0, 0.0
        if i[row, c.KIND] == c.WALKER:
            f[row, c.Z] = z[src] + 0.5 * height[src]
            f[row, c.WALK_X], f[row, c.WALK_Y], f[row, c.WALK_Z] = cos, -sin + 0.0, 0.0
            f[row, c.WALK_SPEED] = v
            continue
        nz = f[row, c.GROUND_NZ]
        gx = gy = 0.0
        if nz > LEAST_NZ:
            gx, gy = 0.0 - f[row, c.GROUND_NX] / nz, 0.0 - f[row, c.GROUND_NY] / nz
        rise = gx * cos - gy * sin  # of the surface along the body, and to its right
        aside = gx * sin + gy * cos
        f[row, c.Z] = z[src] + ahead * rise
        f[row, c.PITCH] = math.atan(rise) * _DEG
        f[row, c.ROLL] = 0.0 - math.atan(aside) * _DEG
        f[row, c.VZ] = v * rise
    return lost
