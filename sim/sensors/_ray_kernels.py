"""Rays against boxes, walls and the road: a full scan, and who is in sight of a point.

Geometry: the sensor stands at the origin (world axes), `up` metres above a flat road. A box is an upright prism on the road: (8, B)
rows cx, cy, cos, sin, half length, half width, top, section. A wall is a vertical rectangle on the road: (5, W) rows x0, y0, x1, y1, top.
Distances are along the ground; a ray of slope t (tangent of its elevation) is at height up + t d.
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
_S52 = np.uint64(52)
_LOW52 = np.uint64(0xFFFFFFFFFFFFF)
NOTHING, ROAD, WALL = -1, -2, -3  # hits that are no box


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
def _enter(box: Any, b: Any, ux: Any, uy: Any) -> Any:
    """Distances (enter, leave) of a ground ray from the origin through box `b`; enter > leave: it passes by."""
    c = box[2, b]
    s = box[3, b]
    ox = -(box[0, b] * c + box[1, b] * s)
    oy = box[0, b] * s - box[1, b] * c
    vx = ux * c + uy * s
    vy = uy * c - ux * s
    if abs(vx) < 1e-12:
        vx = 1e-12
    if abs(vy) < 1e-12:
        vy = 1e-12
    a0 = (-box[4, b] - ox) / vx
    a1 = (box[4, b] - ox) / vx
    b0 = (-box[5, b] - oy) / vy
    b1 = (box[5, b] - oy) / vy
    return max(min(a0, a1), min(b0, b1)), min(max(a0, a1), max(b0, b1))


@helper
def _meet(wall: Any, w: Any, ux: Any, uy: Any) -> Any:
    """Distance at which a ground ray from the origin meets wall `w`; -1 when it does not."""
    ex = wall[2, w] - wall[0, w]
    ey = wall[3, w] - wall[1, w]
    cross = ux * ey - uy * ex
    if abs(cross) < 1e-12:
        return -1.0
    along = (wall[0, w] * uy - wall[1, w] * ux) / cross
    if along < 0.0 or along > 1.0:
        return -1.0
    return (wall[0, w] * ey - wall[1, w] * ex) / cross


@kernel
def bodies(
    sensor_x: float,
    sensor_y: float,
    reach: float,
    own: int,
    valid: Any,
    x: Any,
    y: Any,
    yaw: Any,
    hitch: Any,
    length: Any,
    width: Any,
    height: Any,
    rear_overhang: Any,
    hitch_x: Any,
    rear_length: Any,
    box: Any,
    row: Any,
    span: Any,
) -> int:
    """Every section of every body within `reach` into `box`, its actor row into `row`, and into `span` (4, B) how it looks from
    the sensor: azimuth of its middle, first and last azimuth relative to that, least distance. Returns their number."""
    count = 0
    for i in range(valid.size):
        if not valid[i] or i == own:
            continue
        dx = x[i] - sensor_x
        dy = y[i] - sensor_y
        far = reach + length[i] + rear_length[i] + 5.0
        if dx * dx + dy * dy > far * far:
            continue
        for section in range(2):
            if (section == 1 and rear_length[i] <= 0.0) or count == row.size:
                continue
            c = np.cos(yaw[i])
            s = np.sin(yaw[i])
            if section == 0:
                half = 0.5 * length[i]
                ahead = half - rear_overhang[i]
                cx = dx + ahead * c
                cy = dy + ahead * s
            else:
                jx = dx + hitch_x[i] * c
                jy = dy + hitch_x[i] * s
                c = np.cos(yaw[i] - hitch[i])
                s = np.sin(yaw[i] - hitch[i])
                half = 0.5 * rear_length[i]
                cx = jx - half * c
                cy = jy - half * s
            side = 0.5 * width[i]
            px = max(abs(cx * c + cy * s) - half, 0.0)
            py = max(abs(cy * c - cx * s) - side, 0.0)
            near = np.sqrt(px * px + py * py)
            if near > reach:
                continue
            box[0, count] = cx
            box[1, count] = cy
            box[2, count] = c
            box[3, count] = s
            box[4, count] = half
            box[5, count] = side
            box[6, count] = height[i]
            box[7, count] = section
            row[count] = i
            middle = np.arctan2(cy, cx)
            low = 0.0
            high = 0.0
            for corner in range(4):
                ex = half if corner < 2 else -half
                ey = side if corner % 2 == 0 else -side
                turn = _wrap(np.arctan2(cy + ex * s + ey * c, cx + ex * c - ey * s) - middle)
                low = min(low, turn)
                high = max(high, turn)
            if near <= 0.0:  # the sensor stands in the box: it covers every direction
                low = -np.pi
                high = np.pi
            span[0, count] = middle
            span[1, count] = low
            span[2, count] = high
            span[3, count] = near
            count += 1
    return count


@kernel
def cast(
    up: float,
    first: float,
    step: float,
    slope: Any,
    box: Any,
    span: Any,
    wall: Any,
    ground: Any,
    hit: Any,
    background: Any,
) -> None:
    """Nearest hit of every ray: ground distance into `ground` (A, C), what was hit into `hit` (A, C): a box, or NOTHING, ROAD, WALL.

    Ray (a, c) leaves at azimuth first + a step with slope `slope` (C,), ascending. `background` (A, C): the same without boxes,
    what a map of the place predicts. A box touches only the azimuths it spans; in each, the slopes that meet its near face or its
    roof form one interval, because the box stands on the road: from the foot of the face to its top, or, seen from above, to
    the far edge of the roof.
    """
    azimuths, channels = ground.shape
    for a in range(azimuths):
        for c in range(channels):
            if slope[c] < 0.0:
                ground[a, c] = -up / slope[c]
                hit[a, c] = ROAD
            else:
                ground[a, c] = np.inf
                hit[a, c] = NOTHING
    for w in range(wall.shape[1]):
        middle = np.arctan2(wall[1, w] + wall[3, w], wall[0, w] + wall[2, w])
        one = _wrap(np.arctan2(wall[1, w], wall[0, w]) - middle)
        two = _wrap(np.arctan2(wall[3, w], wall[2, w]) - middle)
        offset = _wrap(middle - first)
        for turn in range(-1, 2):
            at = offset + 2.0 * np.pi * turn
            begin = max(int(np.ceil((at + min(one, two)) / step)), 0)
            end = min(int(np.floor((at + max(one, two)) / step)), azimuths - 1)
            for a in range(begin, end + 1):
                angle = first + a * step
                d = _meet(wall, w, np.cos(angle), np.sin(angle))
                if d <= 0.0:
                    continue
                lowest = -up / d
                highest = (wall[4, w] - up) / d
                for c in range(channels):
                    if lowest <= slope[c] <= highest and d < ground[a, c]:
                        ground[a, c] = d
                        hit[a, c] = WALL
    for a in range(azimuths):
        for c in range(channels):
            background[a, c] = ground[a, c]
    for b in range(box.shape[1]):
        offset = _wrap(span[0, b] - first)
        top = box[6, b] - up
        for turn in range(-1, 2):
            at = offset + 2.0 * np.pi * turn
            begin = max(int(np.ceil((at + span[1, b]) / step)), 0)
            end = min(int(np.floor((at + span[2, b]) / step)), azimuths - 1)
            for a in range(begin, end + 1):
                angle = first + a * step
                enter, leave = _enter(box, b, np.cos(angle), np.sin(angle))
                if enter > leave or leave <= 0.0:
                    continue
                enter = max(enter, 0.01)
                leave = max(leave, enter)
                lowest = -up / enter
                face = top / enter
                highest = face if top >= 0.0 else top / leave
                for c in range(channels):
                    t = slope[c]
                    if t < lowest or t > highest:
                        continue
                    d = enter if t <= face else top / t
                    if d < ground[a, c]:
                        ground[a, c] = d
                        hit[a, c] = b


@kernel
def sense(
    key: Any,
    t_ns: int,
    nearest: float,
    farthest: float,
    drop_out: float,
    sigma: float,
    secant: Any,
    ground: Any,
    hit: Any,
    normal: Any,
    measured: Any,
) -> int:
    """Measured range along each ray into `measured` (A, C), nan where nothing came back. Returns the number of echoes.

    `secant` (C,): length of a ray per metre of ground. A ray's draw depends on the sensor, the time and the ray alone: 12 bits
    choose the range error, the other 52 whether the echo is lost.
    """
    azimuths, channels = ground.shape
    time_key = _mix(key, np.uint64(t_ns))
    count = 0
    for a in range(azimuths):
        for c in range(channels):
            measured[a, c] = np.nan
            if hit[a, c] == NOTHING:
                continue
            r = ground[a, c] * secant[c]
            if r < nearest or r > farthest:
                continue
            word = _mix(time_key, np.uint64(a * channels + c))
            if np.float64(word & _LOW52) * (1.0 / 4503599627370496.0) < drop_out:
                continue
            measured[a, c] = r + sigma * normal[word >> _S52]
            count += 1
    return count


@kernel
def in_sight(
    up: float,
    columns: int,
    rows: int,
    box: Any,
    span: Any,
    wall: Any,
    share: Any,
) -> None:
    """Share of each box that is seen from the sensor into `share` (B,): of columns x rows points spread over its outline's azimuths
    and heights, those whose line of sight no other box and no wall cuts."""
    count = box.shape[1]
    for b in range(count):
        seen = 0
        total = 0
        for k in range(columns):
            turn = span[1, b] + (k + 0.5) / columns * (span[2, b] - span[1, b])
            angle = span[0, b] + turn
            ux = np.cos(angle)
            uy = np.sin(angle)
            target, leave = _enter(box, b, ux, uy)
            if target > leave or leave <= 0.0:
                continue
            target = max(target, 0.01)
            for r in range(rows):
                total += 1
                slope = (box[6, b] * (r + 0.5) / rows - up) / target
                is_clear = True
                for o in range(count):
                    if o == b or span[3, o] >= target:
                        continue
                    off = _wrap(angle - span[0, o])
                    if off < span[1, o] - 1e-9 or off > span[2, o] + 1e-9:
                        continue
                    enter, leave = _enter(box, o, ux, uy)
                    leave = min(leave, target)
                    enter = max(enter, 0.0)
                    # The line is straight: it is lowest at one end of the piece over the box.
                    if enter < leave and up + min(slope * enter, slope * leave) < box[6, o]:
                        is_clear = False
                        break
                if is_clear:
                    for w in range(wall.shape[1]):
                        d = _meet(wall, w, ux, uy)
                        if 0.0 < d < target and up + slope * d < wall[4, w]:
                            is_clear = False
                            break
                if is_clear:
                    seen += 1
        share[b] = seen / total if total > 0 else 0.0
