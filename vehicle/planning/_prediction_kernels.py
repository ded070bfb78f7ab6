"""Kernels of projection and prediction: where others are along the path, and where they will be.

Columns of `path`, of an object and short names as in `_kernels.py`; `lookup` is the same function there (a kernel calls only
kernels of its own file). `line`, `first`, `onto` and `fork` as in `lane_following.py`.
"""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, kernel

# columns of `body`
FRONT_X, HALF_W = 0, 2
ALIGNED = 0.4  # sine of the angle up to which a body points along the path
BEHIND_M = 25.0  # who is farther behind cannot reach the path beside us within the horizon
MAX_OFFSET_M = 2.5  # a car astride the mark between two lanes still follows one of them
MAX_TURN_RAD = 0.8  # 46 degrees: cutting a corner yes, crossing the road no
MOVING_MPS = (
    0.5  # who stands stays, who reverses is no lane's traffic, and the yaw of the slow is noise
)
PARTED_RAD = 0.3  # a lane that has turned this much since its fork is told apart from its siblings
LOOK = 5  # steps between looks at where a lane leads: 10 m at 20 m/s, less than the 2 x 8 m of nearness
HOPS = 64  # lanes passed between two steps at most
SETTLE_M = 8.0  # by then a body points along its lane


@helper
def lookup(path: Any, step: float, s: float, out: Any) -> None:
    """All columns of `path` at `s`, linear between samples, held at the ends; out[8] is dk/ds."""
    last = path.shape[0] - 2
    u = s / step
    i = min(max(math.floor(u), 0), last)
    f = min(max(u - i, 0.0), 1.0)
    for c in range(8):
        out[c] = path[i, c] + f * (path[i + 1, c] - path[i, c])
    out[8] = (path[i + 1, 3] - path[i, 3]) / step
    over = s - (i + f) * step
    if over != 0.0:  # before the first or after the last sample: straight on
        out[0] += over * math.cos(out[2])
        out[1] += over * math.sin(out[2])


@helper
def project(
    path: Any, step: float, x: float, y: float, s0: float, s1: float, row: Any
) -> tuple[float, float, float]:
    """(s, d, yaw of the path) of the point of path[s0, s1] nearest to (x, y); s runs past the window's ends on tangents."""
    n = path.shape[0]
    i0 = min(max(int(s0 / step), 0), n - 2)
    i1 = min(max(int(s1 / step) + 1, i0 + 1), n - 1)
    stride = 4
    best = i0
    least = 1e300
    i = i0
    while i <= i1:
        dx, dy = x - path[i, 0], y - path[i, 1]
        if dx * dx + dy * dy < least:
            least, best = dx * dx + dy * dy, i
        i += stride
    for i in range(max(best - stride, i0), min(best + stride, i1) + 1):
        dx, dy = x - path[i, 0], y - path[i, 1]
        if dx * dx + dy * dy < least:
            least, best = dx * dx + dy * dy, i
    # solve tangent(s) . (p - r(s)) = 0 from the nearest sample
    s = best * step
    for _ in range(3):
        lookup(path, step, s, row)
        c, q = math.cos(row[2]), math.sin(row[2])
        dx, dy = x - row[0], y - row[1]
        along, across = c * dx + q * dy, c * dy - q * dx
        s += along / max(1.0 - row[3] * across, 0.2)
    lookup(path, step, s, row)
    return s, math.cos(row[2]) * (y - row[1]) - math.sin(row[2]) * (x - row[0]), row[2]


@kernel
def project_points(
    path: Any, step: float, x: Any, y: Any, s0: float, s1: float, row: Any, out: Any
) -> None:
    """out (n, 3): `project` of every point; `row` (9,) is scratch here and below."""
    for i in range(x.size):
        out[i, 0], out[i, 1], out[i, 2] = project(path, step, x[i], y[i], s0, s1, row)


@helper
def wrap(turn: float) -> float:
    """Angle in [-pi, pi)."""
    return (turn + math.pi) % (2.0 * math.pi) - math.pi


@helper
def before_fork(
    line: Any, first: Any, fork: Any, lane: int, s: float, yaw: float
) -> tuple[int, float]:
    """(lane, s) to go on from: while `lane` has not parted from its siblings, seen from the lane before the fork."""
    i, j = first[lane], fork[lane]
    if j < 0 or abs(wrap(yaw - math.atan2(line[i, 4], line[i, 3]))) > PARTED_RAD:
        return lane, s
    return j, s + line[first[j + 1] - 1, 0]


@helper
def follow_lane(
    line: Any, first: Any, onto: Any, lane: int, s: float, d: float, turn: float, speed: float, room: float,
    dt: float, num: int, pose: Any,
) -> None:  # fmt: skip
    """pose (num+1, 4) of a body that keeps its offset `d` from the lane and its successors, and at most `room` metres more."""
    i = first[lane]
    for k in range(num + 1):
        gone = min(speed * k * dt, room)
        end = line[first[lane + 1] - 1, 0]
        hops = 0
        while s + gone > end and onto[lane] >= 0 and hops < HOPS:
            hops += 1  # lanes of no length may follow each other in a circle
            s -= end
            lane = onto[lane]
            i = first[lane]
            end = line[first[lane + 1] - 1, 0]
        u = min(s + gone, end)
        while line[i + 1, 0] < u:
            i += 1
        f = (u - line[i, 0]) / max(line[i + 1, 0] - line[i, 0], 1e-6)
        c = line[i, 3] + f * (line[i + 1, 3] - line[i, 3])
        q = line[i, 4] + f * (line[i + 1, 4] - line[i, 4])
        over = s + gone - u  # where the road ends: straight on
        pose[k, 0] = line[i, 1] + f * (line[i + 1, 1] - line[i, 1]) + over * c - d * q
        pose[k, 1] = line[i, 2] + f * (line[i + 1, 2] - line[i, 2]) + over * q + d * c
        ease = turn * max(1.0 - gone / SETTLE_M, 0.0)
        pose[k, 2] = c * math.cos(ease) - q * math.sin(ease)
        pose[k, 3] = q * math.cos(ease) + c * math.sin(ease)


@helper
def comes_near(
    path: Any, step: float, s0: float, s1: float, nose: float, half_l: float, half_w: float, near: float, num: int,
    row: Any, pose: Any,
) -> bool:  # fmt: skip
    """Whether pose (num+1, 4) comes near path[s0, s1]. Who has joined our way behind the nose minds us, and is held there."""
    is_near = False
    for k in range(0, num + 1, LOOK):
        s, d, along = project(path, step, pose[k, 0], pose[k, 1], s0 - 60.0, s1, row)
        c = pose[k, 2] * math.cos(along) + pose[k, 3] * math.sin(along)
        q = math.sqrt(max(1.0 - c * c, 0.0))
        if abs(d) - half_l * q - half_w * abs(c) > near or s < s0 - BEHIND_M or s > s1 - 5.0:
            continue
        if c > 0.0 and q < ALIGNED and s + half_l < nose:
            for j in range(k + 1, num + 1):
                for e in range(4):
                    pose[j, e] = pose[k, e]
            return is_near
        is_near = True
    return is_near


@kernel
def predict(
    path: Any, step: float, start: Any, objects: Any, body: Any, near: float, dt: float, num: int, line: Any, first: Any,
    onto: Any, fork: Any, lane: Any, lane_s: Any, lane_d: Any, lane_yaw: Any, row: Any, pose: Any, info: Any, found: Any,
) -> None:  # fmt: skip
    """Where each object will be: pose (M, num+1, 4) x, y, cos, sin; info (M, 6): s, d, ds/dt, follows path, relevant, half s.

    Vehicles that point along the path keep their offset from it; others keep their offset from their lane. Without a lane, those
    that point against the path keep their offset from it, too, and the rest their velocity. Objects behind the ego's nose that
    drive its way are theirs to mind. found: how many are relevant, and the lead (or -1).
    """
    reach = 160.0
    s0 = start[0]
    nose = s0 + body[FRONT_X]
    count = 0
    for m in range(objects.shape[0]):
        ox, oy, yaw, speed = objects[m, 0], objects[m, 1], objects[m, 2], objects[m, 3]
        s, d, along = project(path, step, ox, oy, s0 - 60.0, s0 + reach, row)
        turn = wrap(yaw - along)
        c, q = abs(math.cos(turn)), abs(math.sin(turn))
        half_s = objects[m, 4] * c + objects[m, 5] * q
        half_d = objects[m, 4] * q + objects[m, 5] * c
        # who comes towards us keeps to his lane, not to ours: behind a junction or in a curve they part
        astray = wrap(yaw - lane_yaw[m])
        has_lane = (
            lane[m] >= 0 and objects[m, 6] == 0.0 and speed > MOVING_MPS and abs(astray) < MAX_TURN_RAD
            and abs(lane_d[m]) < MAX_OFFSET_M and (q >= ALIGNED or math.cos(turn) < 0.0)
        )  # fmt: skip
        is_aligned = objects[m, 6] == 0.0 and q < ALIGNED and not has_lane
        rate = speed * math.cos(turn)
        info[m, 0], info[m, 1], info[m, 2], info[m, 5] = s, d, rate, half_s
        info[m, 3] = 1.0 if is_aligned else 0.0
        room = objects[m, 7]
        if has_lane:
            # a lane may bend any way, but nobody gets nearer than by the way he makes
            way = min(speed * num * dt, room)
            is_near = abs(d) - objects[m, 4] - objects[m, 5] - way < near
            if is_near:
                on, at = before_fork(line, first, fork, lane[m], lane_s[m], lane_yaw[m])
                follow_lane(
                    line, first, onto, on, at, lane_d[m], astray, speed, room, dt, num, pose[m]
                )
                is_near = comes_near(
                    path, step, s0, s0 + reach, nose, objects[m, 4], objects[m, 5], near, num, row, pose[m]
                )  # fmt: skip
            info[m, 4] = 1.0 if is_near else 0.0
            count += 1 if is_near else 0
            continue
        ahead = s + half_s > nose or (not is_aligned and s > s0 - BEHIND_M)
        sign = 1.0 if speed > 0.0 else -1.0
        if room < 1e6 and not is_aligned:
            # who stops for us stops beside our way, however its own way bends before it gets there
            side = (abs(d) - half_d - body[HALF_W] - 0.5) / max(abs(math.sin(turn)), 0.05)
            room = min(room, max(side, 0.0))
        far = min(abs(speed) * num * dt, room) * sign
        cross = far * math.sin(turn)
        lowest = min(d, d + cross) if not is_aligned else d
        highest = max(d, d + cross) if not is_aligned else d
        is_near = lowest - half_d < near and highest + half_d > -near and s < s0 + reach - 5.0
        info[m, 4] = 1.0 if ahead and is_near else 0.0
        if info[m, 4] == 0.0:
            continue
        count += 1
        c, q = math.cos(yaw), math.sin(yaw)
        ease = math.cos(turn), math.sin(turn)
        for k in range(num + 1):
            t = k * dt
            if is_aligned:
                lookup(path, step, s + rate * t, row)
                pc, ps = math.cos(row[2]), math.sin(row[2])
                pose[m, k, 0] = row[0] - d * ps
                pose[m, k, 1] = row[1] + d * pc
                pose[m, k, 2] = pc * ease[0] - ps * ease[1]
                pose[m, k, 3] = ps * ease[0] + pc * ease[1]
            else:
                gone = min(abs(speed) * t, room) * sign
                pose[m, k, 0] = ox + gone * c
                pose[m, k, 1] = oy + gone * q
                pose[m, k, 2], pose[m, k, 3] = c, q
    found[0] = count
    found[1] = find_lead(info, objects, s0, body)


@helper
def find_lead(info: Any, objects: Any, s0: float, body: Any) -> int:
    """The object that drives, stands or walks in the ego's corridor ahead and is nearest, or -1."""
    lead = -1
    nearest = 1e300
    for m in range(objects.shape[0]):
        if info[m, 4] == 0.0:
            continue
        if info[m, 3] == 0.0 and objects[m, 3] > 0.5 and abs(info[m, 2]) < 0.7 * objects[m, 3]:
            continue  # crosses: collision test decides
        if info[m, 3] == 0.0 and objects[m, 6] == 0.0 and objects[m, 3] > 0.5 and info[m, 2] < 0.0:
            continue  # a vehicle comes towards us on its way across: likewise
        gap = info[m, 0] - info[m, 5] - s0 - body[FRONT_X]
        if gap < -2.0 or abs(info[m, 1]) > body[HALF_W] + objects[m, 5] + 0.3:
            continue
        if gap < nearest:
            nearest, lead = gap, m
    return lead
