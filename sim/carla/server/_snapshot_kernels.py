"""Packs what moves into the records of a snapshot, and moves what is attached along with its parent.

A record has 119 bytes; the last 54 mean something else for every kind of actor, so one buffer is looked at through four record
types. CARLA's rotations: left-handed, yaw about z, then pitch, then roll; columns of a rotation matrix are forward, right, up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.jit import array_helper, array_kernel
from sim.carla.server import columns as c

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_DEG = 180.0 / math.pi
_RAD = math.pi / 180.0


@array_kernel
def pack(
    f: Floats,
    i: Ints,
    high: int,
    labels: Bytes,
    vehicles: Any,
    walkers: Any,
    lights: Any,
    raw: Bytes,
) -> int:
    """One record for every occupied row below `high`, in the order of rows; how many there are.

    `vehicles`, `walkers`, `lights` and `raw` (bytes) are the same memory. `labels` holds 32 bytes of sign id per row.
    """
    n = 0
    for row in range(high):
        if i[row, c.ID] == 0:
            continue
        v = vehicles[n]
        v.id = i[row, c.ID]
        v.state = i[row, c.STATE]
        v.x = f[row, c.X]
        v.y = f[row, c.Y]
        v.z = f[row, c.Z]
        v.pitch = f[row, c.PITCH]
        v.yaw = f[row, c.YAW]
        v.roll = f[row, c.ROLL]
        v.vx = f[row, c.VX]
        v.vy = f[row, c.VY]
        v.vz = f[row, c.VZ]
        v.wx = f[row, c.WX]
        v.wy = f[row, c.WY]
        v.wz = f[row, c.WZ]
        v.ax = f[row, c.AX]
        v.ay = f[row, c.AY]
        v.az = f[row, c.AZ]
        kind = i[row, c.KIND]
        if kind == c.VEHICLE:
            v.throttle = f[row, c.THROTTLE]
            v.steer = f[row, c.STEER]
            v.brake = f[row, c.BRAKE]
            v.hand_brake = i[row, c.HAND_BRAKE]
            v.reverse = i[row, c.REVERSE]
            v.manual_gear = i[row, c.MANUAL_GEAR]
            v.gear = i[row, c.GEAR]
            v.speed_limit = f[row, c.SPEED_LIMIT_KMH]
            v.light_state = i[row, c.LIGHT_STATE]
            v.has_light = i[row, c.HAS_LIGHT]
            v.light_id = i[row, c.LIGHT_ID]
            v.failure = i[row, c.FAILURE]
            for b in range(95, 119):
                raw[n, b] = 0
        elif kind == c.WALKER:
            w = walkers[n]
            w.dir_x = f[row, c.WALK_X]
            w.dir_y = f[row, c.WALK_Y]
            w.dir_z = f[row, c.WALK_Z]
            w.speed = f[row, c.WALK_SPEED]
            w.jump = i[row, c.JUMP]
            for b in range(82, 119):
                raw[n, b] = 0
        elif kind == c.LIGHT:
            for b in range(32):
                raw[n, 65 + b] = labels[row, b]
            t = lights[n]
            t.green_s = f[row, c.GREEN_S]
            t.yellow_s = f[row, c.YELLOW_S]
            t.red_s = f[row, c.RED_S]
            t.elapsed_s = f[row, c.ELAPSED_S]
            t.pole = i[row, c.POLE]
            t.frozen = i[row, c.FROZEN]
            t.light = i[row, c.LIGHT_STATE]
        elif kind == c.SIGN:
            for b in range(32):
                raw[n, 65 + b] = labels[row, b]
            for b in range(97, 119):
                raw[n, b] = 0
        else:
            for b in range(65, 119):
                raw[n, b] = 0
        n += 1
    return n


@array_helper
def _matrix(pitch: float, yaw: float, roll: float, m: Floats) -> None:
    """Forward, right and up as the columns of `m`."""
    cp, sp = math.cos(pitch * _RAD), math.sin(pitch * _RAD)
    cy, sy = math.cos(yaw * _RAD), math.sin(yaw * _RAD)
    cr, sr = math.cos(roll * _RAD), math.sin(roll * _RAD)
    m[0, 0] = cp * cy
    m[1, 0] = cp * sy
    m[2, 0] = sp
    m[0, 1] = cy * sp * sr - sy * cr
    m[1, 1] = sy * sp * sr + cy * cr
    m[2, 1] = -cp * sr
    m[0, 2] = -cy * sp * cr - sy * sr
    m[1, 2] = -sy * sp * cr + cy * sr
    m[2, 2] = cp * cr


@array_helper
def _angles(m: Floats, out: Floats) -> None:
    """Pitch, yaw and roll of a rotation matrix, degrees."""
    fx, fy, fz = m[0, 0], m[1, 0], m[2, 0]
    out[0] = math.atan2(fz, math.hypot(fx, fy)) * _DEG
    if fx * fx + fy * fy > 1e-14:
        out[1] = math.atan2(fy, fx) * _DEG
        out[2] = math.atan2(-m[2, 1], m[2, 2]) * _DEG
    else:  # straight up or down: yaw and roll turn about one axis, all of it is called yaw
        out[1] = math.atan2(-m[0, 1], m[1, 1]) * _DEG
        out[2] = 0.0


@array_helper
def _follow(
    f: Floats, child: int, parent: int, is_arm: bool, m: Floats, r: Floats, q: Floats, out: Floats
) -> None:
    """The pose of `child` from that of `parent`; a spring arm follows its yaw only."""
    pitch, yaw, roll = f[parent, c.PITCH], f[parent, c.YAW], f[parent, c.ROLL]
    if is_arm:
        pitch = 0.0
        roll = 0.0
    _matrix(pitch, yaw, roll, m)
    rx, ry, rz = f[child, c.REL_X], f[child, c.REL_Y], f[child, c.REL_Z]
    f[child, c.X] = f[parent, c.X] + m[0, 0] * rx + m[0, 1] * ry + m[0, 2] * rz
    f[child, c.Y] = f[parent, c.Y] + m[1, 0] * rx + m[1, 1] * ry + m[1, 2] * rz
    f[child, c.Z] = f[parent, c.Z] + m[2, 0] * rx + m[2, 1] * ry + m[2, 2] * rz
    rel_pitch, rel_yaw, rel_roll = f[child, c.REL_PITCH], f[child, c.REL_YAW], f[child, c.REL_ROLL]
    if pitch == 0.0 and roll == 0.0:
        new_pitch, new_yaw, new_roll = rel_pitch, yaw + rel_yaw, rel_roll
    elif rel_pitch == 0.0 and rel_yaw == 0.0 and rel_roll == 0.0:
        new_pitch, new_yaw, new_roll = pitch, yaw, roll
    else:
        _matrix(rel_pitch, rel_yaw, rel_roll, r)
        for a in range(3):
            for b in range(3):
                q[a, b] = m[a, 0] * r[0, b] + m[a, 1] * r[1, b] + m[a, 2] * r[2, b]
        _angles(q, out)
        new_pitch, new_yaw, new_roll = out[0], out[1], out[2]
    if new_yaw > 180.0 or new_yaw <= -180.0:
        new_yaw -= 360.0 * math.ceil((new_yaw - 180.0) / 360.0)
    f[child, c.PITCH] = new_pitch
    f[child, c.YAW] = new_yaw
    f[child, c.ROLL] = new_roll
    for k in range(3):
        f[child, c.VX + k] = f[parent, c.VX + k]
        f[child, c.WX + k] = f[parent, c.WX + k]
        f[child, c.AX + k] = f[parent, c.AX + k]


@array_kernel
def follow(f: Floats, i: Ints, pairs: Ints) -> None:
    """Everything in `pairs` (child row, parent row; parents come first) takes the place its parent gives it."""
    m, r, q, out = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for k in range(pairs.shape[0]):
        child, parent = pairs[k, 0], pairs[k, 1]
        _follow(f, child, parent, i[child, c.ATTACHMENT] != 0, m, r, q, out)


@array_kernel
def unfollow(f: Floats, i: Ints, child: int, parent: int) -> None:
    """The inverse of following: REL_* from both poses."""
    m, r, out = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    if i[child, c.ATTACHMENT] != 0:
        _matrix(0.0, f[parent, c.YAW], 0.0, m)
    else:
        _matrix(f[parent, c.PITCH], f[parent, c.YAW], f[parent, c.ROLL], m)
    _matrix(f[child, c.PITCH], f[child, c.YAW], f[child, c.ROLL], r)
    dx, dy = f[child, c.X] - f[parent, c.X], f[child, c.Y] - f[parent, c.Y]
    dz = f[child, c.Z] - f[parent, c.Z]
    for k in range(3):
        f[child, c.REL_X + k] = m[0, k] * dx + m[1, k] * dy + m[2, k] * dz
    q = np.empty((3, 3))
    for a in range(3):
        for b in range(3):
            q[a, b] = m[0, a] * r[0, b] + m[1, a] * r[1, b] + m[2, a] * r[2, b]
    _angles(q, out)
    for k in range(3):
        f[child, c.REL_PITCH + k] = out[k]


@array_helper
def _turned(
    f: Floats, row: int, x: float, y: float, z: float, m: Floats
) -> tuple[float, float, float]:
    """A vector of the actor's frame, in the world."""
    _matrix(f[row, c.PITCH], f[row, c.YAW], f[row, c.ROLL], m)
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@array_kernel
def friction(f: Floats, i: Ints, high: int, boxes: Floats) -> None:
    """FRICTION of vehicles from trigger `boxes`: centre xyz, yaw in degrees, half sizes xyz, factor; the later box wins."""
    for row in range(high):
        if i[row, c.ID] == 0 or i[row, c.KIND] != c.VEHICLE:
            continue
        f[row, c.FRICTION] = 1.0
        for k in range(boxes.shape[0]):
            dx, dy = f[row, c.X] - boxes[k, 0], f[row, c.Y] - boxes[k, 1]
            cy, sy = math.cos(boxes[k, 3] * _RAD), math.sin(boxes[k, 3] * _RAD)
            along, across = cy * dx + sy * dy, -sy * dx + cy * dy
            if (
                abs(along) <= boxes[k, 4]
                and abs(across) <= boxes[k, 5]
                and abs(f[row, c.Z] - boxes[k, 2]) <= boxes[k, 6]
            ):
                f[row, c.FRICTION] = boxes[k, 7]


@array_helper
def _apart(
    ax: float,
    ay: float,
    ayaw: float,
    aex: float,
    aey: float,
    bx: float,
    by: float,
    byaw: float,
    bex: float,
    bey: float,
) -> bool:
    """Whether two rectangles are separated along an axis of one of them."""
    ca, sa = math.cos(ayaw * _RAD), math.sin(ayaw * _RAD)
    cb, sb = math.cos(byaw * _RAD), math.sin(byaw * _RAD)
    dx, dy = bx - ax, by - ay
    cd, sd = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    return (
        abs(dx * ca + dy * sa) >= aex + bex * cd + bey * sd
        or abs(-dx * sa + dy * ca) >= aey + bex * sd + bey * cd
        or abs(dx * cb + dy * sb) >= bex + aex * cd + aey * sd
        or abs(-dx * sb + dy * cb) >= bey + aex * sd + aey * cd
    )


@array_kernel
def blocked(f: Floats, i: Ints, high: int, statics: Floats, box: Floats) -> int:
    """What a box (centre xyz, yaw, half sizes xyz) would stand in: a row, -1 - k for static box k, or `high` for nothing.

    Boxes are turned about the vertical only: a spawn point that leans is checked as if it stood upright.
    """
    m = np.empty((3, 3))
    for row in range(high):
        if i[row, c.ID] == 0 or i[row, c.COLLIDES] == 0:
            continue
        kind = i[row, c.KIND]
        if not (kind == c.VEHICLE or kind == c.WALKER or kind == c.PROP):  # noqa: PLR1714 (compiled)
            continue
        reach = f[row, c.EXT_X] + f[row, c.EXT_Y] + box[4] + box[5] + 5.0
        if abs(f[row, c.X] - box[0]) > reach or abs(f[row, c.Y] - box[1]) > reach:
            continue
        ox, oy, oz = _turned(f, row, f[row, c.BOX_X], f[row, c.BOX_Y], f[row, c.BOX_Z], m)
        if abs(f[row, c.Z] + oz - box[2]) >= f[row, c.EXT_Z] + box[6]:
            continue
        if not _apart(
            f[row, c.X] + ox, f[row, c.Y] + oy, f[row, c.YAW], f[row, c.EXT_X], f[row, c.EXT_Y],
            box[0], box[1], box[3], box[4], box[5],
        ):  # fmt: skip
            return row
    for k in range(statics.shape[0]):
        if abs(statics[k, 2] - box[2]) >= statics[k, 6] + box[6]:
            continue
        if not _apart(
            statics[k, 0], statics[k, 1], statics[k, 3], statics[k, 4], statics[k, 5],
            box[0], box[1], box[3], box[4], box[5],
        ):  # fmt: skip
            return -1 - k
    return high


@array_kernel
def rays(
    f: Floats,
    i: Ints,
    high: int,
    statics: Floats,
    start: Floats,
    step: Floats,
    limit: int,
    out_t: Floats,
    out_tag: Ints,
) -> int:
    """Where the segment `start` + t * `step`, t in 0..1, enters boxes of actors and statics; how many hits were written.

    At most `limit` hits, in the order of rows and then of statics; a segment that starts inside a box does not enter it.
    """
    m = np.empty((3, 3))
    n = 0
    for k in range(high + statics.shape[0]):
        if k < high:
            if i[k, c.ID] == 0 or i[k, c.COLLIDES] == 0:
                continue
            if f[k, c.EXT_X] <= 0.0:
                continue
            _matrix(f[k, c.PITCH], f[k, c.YAW], f[k, c.ROLL], m)
            bx, by, bz = f[k, c.BOX_X], f[k, c.BOX_Y], f[k, c.BOX_Z]
            ox, oy, oz = f[k, c.X], f[k, c.Y], f[k, c.Z]
            ex, ey, ez = f[k, c.EXT_X], f[k, c.EXT_Y], f[k, c.EXT_Z]
            tag = i[k, c.TAG]
        else:
            s = k - high
            _matrix(0.0, statics[s, 3], 0.0, m)
            bx, by, bz = 0.0, 0.0, 0.0
            ox, oy, oz = statics[s, 0], statics[s, 1], statics[s, 2]
            ex, ey, ez = statics[s, 4], statics[s, 5], statics[s, 6]
            tag = int(statics[s, 7])
        qx, qy, qz = start[0] - ox, start[1] - oy, start[2] - oz
        near, far = -1e300, 1e300
        for axis in range(3):
            p = m[0, axis] * qx + m[1, axis] * qy + m[2, axis] * qz
            d = m[0, axis] * step[0] + m[1, axis] * step[1] + m[2, axis] * step[2]
            if axis == 0:
                low, up = bx - ex - p, bx + ex - p
            elif axis == 1:
                low, up = by - ey - p, by + ey - p
            else:
                low, up = bz - ez - p, bz + ez - p
            if abs(d) < 1e-12:
                if low > 0.0 or up < 0.0:
                    near, far = 1.0, 0.0
                continue
            t1, t2 = low / d, up / d
            near = max(near, min(t1, t2))
            far = min(far, max(t1, t2))
        if near <= far and near >= 0.0 and near <= 1.0 and n < limit:
            out_t[n] = near
            out_tag[n] = tag
            n += 1
    return n
