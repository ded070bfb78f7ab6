"""Object detection with occlusion, and the noise of the whole fleet: one pass each over the truth arrays.

Draws are counter-based (SplitMix64 over key, purpose, actor, time), so an actor's noise depends on nobody else.
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S11 = np.uint64(11)
_S52 = np.uint64(52)


@helper
def _mix(state: Any, word: Any) -> Any:
    z = state + word * _GAMMA + _GAMMA
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@helper
def _wrap(angle: Any) -> Any:
    return angle - 2.0 * np.pi * np.ceil((angle - np.pi) / (2.0 * np.pi))


@helper
def _is_behind_wall(wall: Any, ux: Any, uy: Any, up: Any, distance: Any, height: Any) -> Any:
    """Whether a wall, relative to the sensor, cuts the line to `height` at `distance` in direction (ux, uy)."""
    for w in range(wall.shape[1]):
        ex = wall[2, w] - wall[0, w]
        ey = wall[3, w] - wall[1, w]
        cross = ux * ey - uy * ex
        if abs(cross) < 1e-12:
            continue
        along = (wall[0, w] * uy - wall[1, w] * ux) / cross
        d = (wall[0, w] * ey - wall[1, w] * ex) / cross
        is_between = 0.0 <= along <= 1.0 and 0.0 < d < distance
        if is_between and up + (height - up) * d / distance < wall[4, w]:
            return True
    return False


@kernel
def detect(
    key: Any,
    t_ns: int,
    sensor_x: float,
    sensor_y: float,
    bore_sight: float,
    own: int,
    world_frame: bool,
    valid: Any,
    ident: Any,
    x: Any,
    y: Any,
    yaw: Any,
    speed: Any,
    hitch: Any,
    kind: Any,
    length: Any,
    width: Any,
    height: Any,
    rear_overhang: Any,
    hitch_x: Any,
    rear_length: Any,
    wall: Any,
    params: Any,
    normal: Any,
    ray_cos: Any,
    ray_sin: Any,
    horizon: Any,
    box: Any,
    out: Any,
) -> int:
    """Detections into `out` (9, K): x, y, yaw, vx, vy, length, width, kind, sigma; nearest first. Returns their number.

    Every section of a body is a box. Boxes are taken nearest first. For each of the azimuth rays that a box covers, the ray
    enters it at r0 and leaves at r1. It is seen there if its middle height stands above the shadow line of nearer boxes:
    slope (h/2 - H)/r0 above the largest slope of nearer tops, (h_k - H)/r1_k below the sensor's height and /r0_k above it.
    No wall may cut the line to it either: `wall` (5, W) x0, y0, x1, y1, height, relative to the sensor.
    An object is found when at least `min_visible` of its rays see it, it is in range and view, and it is not missed.
    `box` (10, B) scratch: cx, cy, cos, sin, half length, half width, row, section, distance; last row: the order. `horizon` (rays,) scratch.
    """
    reach = params[0]
    mount = params[1]
    half_view = 0.5 * params[2]
    min_visible = params[3]
    sigma0 = params[4]
    sigma1 = params[5]
    yaw_sigma = params[6]
    speed_sigma = params[7]
    size_sigma = params[8]
    miss = params[9]
    rays = ray_cos.size
    step = 2.0 * np.pi / rays

    count = 0
    capacity = box.shape[1]
    for i in range(valid.size):
        if not valid[i] or i == own:
            continue
        dx = x[i] - sensor_x
        dy = y[i] - sensor_y
        far = reach + length[i] + rear_length[i] + 5.0
        if dx * dx + dy * dy > far * far:
            continue
        for section in range(2):
            if section == 1 and rear_length[i] <= 0.0:
                continue
            if count == capacity:
                break
            if section == 0:
                c = np.cos(yaw[i])
                s = np.sin(yaw[i])
                half = 0.5 * length[i]
                ahead = half - rear_overhang[i]
                box[0, count] = dx + ahead * c
                box[1, count] = dy + ahead * s
            else:
                c = np.cos(yaw[i])
                s = np.sin(yaw[i])
                jx = dx + hitch_x[i] * c
                jy = dy + hitch_x[i] * s
                c = np.cos(yaw[i] - hitch[i])
                s = np.sin(yaw[i] - hitch[i])
                half = 0.5 * rear_length[i]
                box[0, count] = jx - half * c
                box[1, count] = jy - half * s
            box[2, count] = c
            box[3, count] = s
            box[4, count] = half
            box[5, count] = 0.5 * width[i]
            box[6, count] = i
            box[7, count] = section
            count += 1

    # Nearest first: insertion into the last row (compiles in a tenth of argsort's time, and is as fast for a hundred boxes).
    for b in range(count):
        # Distance from the sensor to the box.
        px = abs(box[0, b] * box[2, b] + box[1, b] * box[3, b])
        py = abs(-box[0, b] * box[3, b] + box[1, b] * box[2, b])
        qx = max(px - box[4, b], 0.0)
        qy = max(py - box[5, b], 0.0)
        box[8, b] = np.sqrt(qx * qx + qy * qy)
        slot = b
        while slot > 0 and box[8, int(box[9, slot - 1])] > box[8, b]:
            box[9, slot] = box[9, slot - 1]
            slot -= 1
        box[9, slot] = b

    for k in range(rays):
        horizon[k] = -1e9
    time_key = _mix(key, np.uint64(t_ns))
    found = 0
    for place in range(count):
        b = int(box[9, place])
        if box[8, b] > reach:
            break
        row = int(box[6, b])
        cx = box[0, b]
        cy = box[1, b]
        c = box[2, b]
        s = box[3, b]
        hl = box[4, b]
        hw = box[5, b]
        distance = np.sqrt(cx * cx + cy * cy)
        middle = np.arctan2(cy, cx)
        low = 0.0
        high = 0.0
        for corner in range(4):
            ex = hl if corner < 2 else -hl
            ey = hw if corner % 2 == 0 else -hw
            turn = _wrap(np.arctan2(cy + ex * s + ey * c, cx + ex * c - ey * s) - middle)
            low = min(low, turn)
            high = max(high, turn)
        if box[8, b] <= 0.0:  # the sensor stands in the box: it covers every direction
            low = -np.pi
            high = np.pi - step
        first = int(np.ceil((middle + low) / step))
        last = int(np.floor((middle + high) / step))
        if last < first:
            first = int(np.floor(middle / step + 0.5))
            last = first
        # The sensor in the box's frame; rays leave it from (ox, oy).
        ox = -(cx * c + cy * s)
        oy = -(-cx * s + cy * c)
        tall = height[row]
        seen = 0
        total = 0
        for k in range(first, last + 1):
            ray = k % rays
            ux = ray_cos[ray] * c + ray_sin[ray] * s
            uy = -ray_cos[ray] * s + ray_sin[ray] * c
            if abs(ux) < 1e-12:
                ux = 1e-12
            if abs(uy) < 1e-12:
                uy = 1e-12
            a0 = (-hl - ox) / ux
            a1 = (hl - ox) / ux
            b0 = (-hw - oy) / uy
            b1 = (hw - oy) / uy
            enter = max(min(a0, a1), min(b0, b1))
            leave = min(max(a0, a1), max(b0, b1))
            if last > first and enter > leave:
                continue
            if enter > leave:  # thinner than a ray: take it where its centre is
                enter = distance
                leave = distance
            enter = max(enter, 0.1)
            leave = max(leave, enter)
            total += 1
            if (0.5 * tall - mount) / enter > horizon[ray] and not _is_behind_wall(
                wall, ray_cos[ray], ray_sin[ray], mount, enter, 0.5 * tall
            ):
                seen += 1
            top = tall - mount
            shade = top / leave if top < 0.0 else top / enter
            horizon[ray] = max(horizon[ray], shade)
        if total == 0 or seen < min_visible * total or distance > reach:
            continue
        if abs(_wrap(middle - bore_sight)) > half_view or found == out.shape[1]:
            continue
        who = _mix(time_key, (np.uint64(ident[row]) << np.uint64(1)) | np.uint64(box[7, b]))
        if np.float64(_mix(who, np.uint64(0)) >> _S11) * (1.0 / 9007199254740992.0) < miss:
            continue
        sigma = sigma0 + sigma1 * distance
        true_yaw = np.arctan2(s, c)
        along = speed[row] if box[7, b] == 0.0 else speed[row] * np.cos(hitch[row])
        out[0, found] = cx + sensor_x + sigma * normal[_mix(who, np.uint64(1)) >> _S52]
        out[1, found] = cy + sensor_y + sigma * normal[_mix(who, np.uint64(2)) >> _S52]
        out[2, found] = _wrap(true_yaw + yaw_sigma * normal[_mix(who, np.uint64(3)) >> _S52])
        out[3, found] = along * c + speed_sigma * normal[_mix(who, np.uint64(4)) >> _S52]
        out[4, found] = along * s + speed_sigma * normal[_mix(who, np.uint64(5)) >> _S52]
        size = 2.0 * hl + size_sigma * normal[_mix(who, np.uint64(6)) >> _S52]
        out[5, found] = max(size, 0.1)
        size = 2.0 * hw + size_sigma * normal[_mix(who, np.uint64(7)) >> _S52]
        out[6, found] = max(size, 0.1)
        out[7, found] = kind[row]
        out[8, found] = sigma
        found += 1

    if not world_frame:
        # Body frame of the own vehicle: its origin and axes, not the sensor's.
        c = np.cos(yaw[own])
        s = np.sin(yaw[own])
        for k in range(found):
            dx = out[0, k] - x[own]
            dy = out[1, k] - y[own]
            out[0, k] = c * dx + s * dy
            out[1, k] = -s * dx + c * dy
            out[2, k] = _wrap(out[2, k] - yaw[own])
            vx = out[3, k]
            vy = out[4, k]
            out[3, k] = c * vx + s * vy
            out[4, k] = -s * vx + c * vy
    return found


@kernel
def fleet(
    key: Any,
    t_ns: int,
    rows: Any,
    ident: Any,
    x: Any,
    y: Any,
    z: Any,
    yaw: Any,
    speed: Any,
    accel: Any,
    yaw_rate: Any,
    params: Any,
    normal: Any,
    out: Any,
) -> None:
    """Readings of `rows` into `out` (7, n): x, y, z, yaw, speed, accel, yaw rate.

    Position error: white, plus a slow part blended between standard normal knots every `period`, keyed by actor.
    """
    white = params[0]
    slow = params[1]
    period = params[2]  # ns
    block = np.int64(t_ns // np.int64(period))
    part = (t_ns - block * period) / period
    blend = slow / np.sqrt((1.0 - part) * (1.0 - part) + part * part)
    knot0 = _mix(_mix(key, np.uint64(1)), np.uint64(block))
    knot1 = _mix(_mix(key, np.uint64(1)), np.uint64(block + 1))
    fresh = _mix(_mix(key, np.uint64(2)), np.uint64(t_ns))
    for k in range(rows.size):
        i = rows[k]
        ident_i = np.uint64(ident[i])
        who0 = _mix(knot0, ident_i)
        who1 = _mix(knot1, ident_i)
        who = _mix(fresh, ident_i)
        for axis in range(3):
            word = np.uint64(axis)
            drift = (1.0 - part) * normal[_mix(who0, word) >> _S52]
            drift += part * normal[_mix(who1, word) >> _S52]
            error = blend * drift + white * normal[_mix(who, word) >> _S52]
            if axis == 0:
                out[0, k] = x[i] + error
            elif axis == 1:
                out[1, k] = y[i] + error
            else:
                out[2, k] = z[i] + 2.0 * error
        out[3, k] = _wrap(yaw[i] + params[3] * normal[_mix(who, np.uint64(3)) >> _S52])
        out[4, k] = speed[i] + params[4] * normal[_mix(who, np.uint64(4)) >> _S52]
        out[5, k] = accel[i] + params[5] * normal[_mix(who, np.uint64(5)) >> _S52]
        out[6, k] = yaw_rate[i] + params[6] * normal[_mix(who, np.uint64(6)) >> _S52]
