"""Kernels of the Frenet lattice; `planner.py` says what they compute and names the units.

Short names: s along the path, v = ds/dt, a, j; d left of the path, p = dd/ds, q = d2d/ds2; k curvature. Columns of `path`:
x, y, yaw, k, envelope v, envelope a, left, right. Columns of a profile step: s, v, a, j. Columns of an object: x, y, yaw,
speed, half length, half width, is vulnerable, and how far it will go at most before it stops for us.
"""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, kernel

# columns of `cfg`
(DT, A_MAX, B_PLAN, J_PLAN, J_END, C_DECEL, C_JERK, C_LAT, E_DECEL, E_JERK, E_LAT, GAP_T, GAP_0, M_LONG, M_LAT, EDGE,
 W_JERK, W_ACCEL, W_LAT, W_PROGRESS, W_OVER, W_OFF, W_HEAD, W_TARGET, W_CHANGE, W_GAP) = range(26)  # fmt: skip
# columns of `body`
FRONT_X, REAR_X, HALF_W, HITCH_A, REAR_BASE, REAR_LEN, K_MAX = range(7)
FAST = 25.0  # m/s, reference of the progress cost


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
def stop_curve(rest: float, b: float, j: float) -> tuple[float, float]:
    """(v, a) that ends at rest after `rest` metres: constant deceleration b, eased off with jerk j at the very end."""
    if rest <= 0.0:
        return 0.0, 0.0
    ease = b * b * b / (6.0 * j * j)
    if rest < ease:
        t = (6.0 * rest / j) ** (1.0 / 3.0)
        return 0.5 * j * t * t, -j * t
    v = 0.5 * b * b / j
    return math.sqrt(v * v + 2.0 * b * (rest - ease)), -b


@helper
def follow_envelope(
    path: Any, step: float, s: float, v: float, a: float, cap: float, scale: float, s_stop: float,
    lead_s: Any, lead_v: float, has_lead: bool, cfg: Any, num: int, row: Any, out: Any,
) -> None:  # fmt: skip
    """Profile that rides the speed envelope under a jerk limit, stops at `s_stop`, keeps the gap to a lead (IDM)."""
    dt = cfg[DT]
    for k in range(num + 1):
        out[k, 0], out[k, 1], out[k, 2] = s, v, a
        # look ahead by half the time that the swing to the planned deceleration takes under the jerk limit
        reach = 0.1 + 0.5 * (max(a, -cfg[B_PLAN]) + cfg[B_PLAN]) / cfg[J_PLAN]
        lookup(path, step, s + v * reach + 0.5 * a * reach * reach, row)
        top = scale * min(row[4], cap)
        slope = scale * scale * row[5] if row[4] <= cap else 0.0
        want = max(slope + 1.2 * (top - v - a * reach), -1.2 * cfg[B_PLAN])
        rest = s_stop - s
        if rest < 1e6:
            tau = reach if v * reach < 0.3 * rest else max(0.3 * rest, 0.0) / max(v, 1e-3)
            bound, decel = stop_curve(rest - v * tau - 0.5 * a * tau * tau, cfg[B_PLAN], cfg[J_END])
            if rest > 1.5 * cfg[B_PLAN] ** 3 / (6.0 * cfg[J_END] ** 2):
                want = min(want, decel + 2.5 * (bound - v - a * tau))
            else:
                # last metre: easing off at constant jerk ends after 3 x / v seconds, so it asks for -2 v^2 / 3 x now
                left = max(rest - 0.05 * v, 0.01)
                want = min(want, -2.0 * v * v / (3.0 * left))
            if rest < 0.25 and v < 0.05:
                want = min(want, -0.2)
        if has_lead:
            gap = lead_s[k] - s
            wish = cfg[GAP_0] + max(
                0.0, v * cfg[GAP_T] + v * (v - lead_v) / (2.0 * math.sqrt(cfg[A_MAX] * cfg[B_PLAN]))
            )
            ratio = wish / max(gap, 0.1)
            free = 1.0 - (v / max(top, 0.5)) ** 4
            idm = cfg[A_MAX] * (max(free, -1.0) - ratio * ratio)
            want = min(want, idm)
        want = min(max(want, -cfg[C_DECEL]), cfg[A_MAX])
        room = cfg[J_PLAN] * dt
        if v <= 0.0 and want <= 0.0:
            out[k, 1], out[k, 2], out[k, 3] = 0.0, 0.0, 0.0
            v = 0.0
            a = 0.0
            continue
        change = min(max(want - a, -room), room)
        if a < -cfg[C_DECEL] and change > 0.0:
            change = min(
                want - a, 3.0 * dt
            )  # release an emergency brake faster than comfort builds up
        out[k, 3] = change / dt
        v_next = v + (a + 0.5 * change) * dt
        if v_next <= 0.0:
            s += 0.5 * v * dt
            v, a = 0.0, 0.0
        else:
            s += 0.5 * (v + v_next) * dt
            v = v_next
            a += change


@helper
def polynomial(s: float, v: float, a: float, v_end: float, rest: float, t_end: float, dt: float, num: int,
               out: Any) -> None:  # fmt: skip
    """Quartic to (v_end, a = 0) at t_end, or with rest > 0 the quintic to standstill after `rest`; then constant speed."""
    t = t_end
    c3 = c4 = c5 = 0.0
    if rest > 0.0:
        e0 = rest - v * t - 0.5 * a * t * t
        e1 = -v - a * t
        e2 = -a
        c3 = (10.0 * e0 - 4.0 * t * e1 + 0.5 * t * t * e2) / t**3
        c4 = (-15.0 * e0 + 7.0 * t * e1 - t * t * e2) / t**4
        c5 = (6.0 * e0 - 3.0 * t * e1 + 0.5 * t * t * e2) / t**5
    else:
        e1 = v_end - v - a * t
        e2 = -a
        c3 = (3.0 * e1 - t * e2) / (3.0 * t * t)
        c4 = (t * e2 - 2.0 * e1) / (4.0 * t**3)
    s_last = s
    for k in range(num + 1):
        u = k * dt
        if u <= t:
            out[k, 0] = s + u * (v + u * (0.5 * a + u * (c3 + u * (c4 + u * c5))))
            out[k, 1] = v + u * (a + u * (3.0 * c3 + u * (4.0 * c4 + 5.0 * u * c5)))
            out[k, 2] = a + u * (6.0 * c3 + u * (12.0 * c4 + 20.0 * u * c5))
            out[k, 3] = 6.0 * c3 + u * (24.0 * c4 + 60.0 * u * c5)
        else:
            out[k, 0] = out[k - 1, 0] + v_end * dt
            out[k, 1], out[k, 2], out[k, 3] = v_end, 0.0, 0.0
        # a polynomial that would roll back stands instead
        if out[k, 1] < 0.0 or out[k, 0] < s_last:
            out[k, 0] = s_last
            out[k, 1], out[k, 2], out[k, 3] = 0.0, 0.0, 0.0
        s_last = out[k, 0]


@helper
def brake(
    s: float, v: float, a: float, decel: float, jerk: float, dt: float, num: int, out: Any
) -> None:
    """Build up `decel` with `jerk`, hold it to standstill, stay."""
    for k in range(num + 1):
        out[k, 0], out[k, 1], out[k, 2] = s, v, a
        if v <= 0.0:
            out[k, 1], out[k, 2], out[k, 3] = 0.0, 0.0, 0.0
            v, a = 0.0, 0.0
            continue
        change = min(max(-decel - a, -jerk * dt), jerk * dt)
        out[k, 3] = change / dt
        v_next = v + (a + 0.5 * change) * dt
        if v_next <= 0.0:
            mean = a + 0.5 * change
            s += 0.5 * v * v / max(-mean, 1e-3)
            v = 0.0
            a = 0.0
        else:
            s += 0.5 * (v + v_next) * dt
            v = v_next
            a += change


@helper
def boxes_meet(
    ax: float, ay: float, ac: float, asn: float, al: float, aw: float,
    bx: float, by: float, bc: float, bs: float, bl: float, bw: float,
) -> bool:  # fmt: skip
    """Separating axes of two boxes: centre, cos and sin of yaw, half length, half width."""
    dx, dy = bx - ax, by - ay
    c = abs(ac * bc + asn * bs)
    s = abs(ac * bs - asn * bc)
    if abs(dx * ac + dy * asn) > al + bl * c + bw * s:
        return False
    if abs(dy * ac - dx * asn) > aw + bl * s + bw * c:
        return False
    if abs(dx * bc + dy * bs) > bl + al * c + aw * s:
        return False
    return not abs(dy * bc - dx * bs) > bw + al * s + aw * c


@helper
def lateral(u: float, length: float, coef: Any, target: float) -> tuple[float, float, float]:
    """(d, p, q) at `u` metres into a quintic of `length`, `target` beyond."""
    if u >= length:
        return target, 0.0, 0.0
    u = max(u, 0.0)
    d = coef[0] + u * (coef[1] + u * (coef[2] + u * (coef[3] + u * (coef[4] + u * coef[5]))))
    p = coef[1] + u * (2 * coef[2] + u * (3 * coef[3] + u * (4 * coef[4] + u * 5 * coef[5])))
    q = 2 * coef[2] + u * (6 * coef[3] + u * (12 * coef[4] + u * 20 * coef[5]))
    return d, p, q


@helper
def lateral_coefficients(
    d: float, p: float, q: float, target: float, length: float, out: Any
) -> None:
    """Quintic in s from (d, p, q) to (target, 0, 0) after `length`."""
    w = length
    e0 = target - d - p * w - 0.5 * q * w * w
    e1 = -p - q * w
    e2 = -q
    out[0], out[1], out[2] = d, p, 0.5 * q
    out[3] = (10.0 * e0 - 4.0 * w * e1 + 0.5 * w * w * e2) / w**3
    out[4] = (-15.0 * e0 + 7.0 * w * e1 - w * w * e2) / w**4
    out[5] = (6.0 * e0 - 3.0 * w * e1 + 0.5 * w * w * e2) / w**5


@helper
def sample_longitudinal(
    path: Any, step: float, start: Any, cap: float, s_stop: float, lead_s: Any, lead_v: float, has_lead: bool,
    scales: Any, fractions: Any, durations: Any, stop_durations: Any, brakes: Any, is_wide: bool, cfg: Any,
    num: int, row: Any, prof: Any, is_soft: Any,
) -> int:  # fmt: skip
    """Fill prof (NL, num+1, 4); is_soft marks profiles that may be comfortable. Returns how many."""
    s, v, a = start[0], start[1], start[2]
    dt = cfg[DT]
    n = 0
    for i in range(prof.shape[0]):
        is_soft[i] = 1
    none = 0.0
    is_free = lead_v < 0.0  # never: a literal False would compile everything twice
    lookup(path, step, s, row)
    top = min(row[4], cap)
    for i in range(scales.size if is_wide else 1):
        follow_envelope(path, step, s, v, a, cap, scales[i], s_stop, lead_s, lead_v, has_lead, cfg, num, row, prof[n])  # fmt: skip
        n += 1
        if v < 0.03 and s_stop - s < 0.25:
            return n  # standing at the stop point: nothing but standing on
    if is_wide and has_lead:
        for i in range(min(2, scales.size)):
            follow_envelope(path, step, s, v, a, cap, scales[i], s_stop, lead_s, lead_v, is_free, cfg, num, row, prof[n])  # fmt: skip
            n += 1
    for i in range(fractions.size):
        for k in range(durations.size if is_wide else 1):
            polynomial(s, v, a, fractions[i] * top, none, durations[k], dt, num, prof[n])
            n += 1
    rest = s_stop - s
    if 0.2 < rest < v * num * dt:
        for k in range(stop_durations.size):
            polynomial(s, v, a, none, rest, stop_durations[k], dt, num, prof[n])
            n += 1
    for i in range(brakes.size):
        soft = brakes[i] <= cfg[C_DECEL]
        # the harder the brake, the faster it is built up, so that mild ones stay mild
        build = cfg[J_PLAN] if soft else min(2.0 * brakes[i], cfg[E_JERK])
        brake(s, v, a, brakes[i], build, dt, num, prof[n])
        is_soft[n] = 1 if soft else 0
        n += 1
    return n


@helper
def collides(
    path: Any, step: float, prof: Any, start: Any, coef: Any, length: float, target: float, hitch: float, body: Any,
    pose: Any, info: Any, objects: Any, cfg: Any, num: int, row: Any,
) -> int:  # fmt: skip
    """First step at which either section's box, widened by the margins, meets a predicted object; -1 if none does."""
    half = 0.5 * (body[FRONT_X] + body[REAR_X])
    mid = 0.5 * (body[FRONT_X] - body[REAR_X])
    rear_half = 0.5 * body[REAR_LEN]
    radius = half + rear_half + body[HALF_W] + cfg[M_LONG]
    reach = half + body[HALF_W] + cfg[M_LONG]
    last_yaw = 0.0
    joint = hitch
    for k in range(0, num + 1, 2):
        s = prof[k, 0]
        d, p, _q = lateral(s - start[0], length, coef, target)
        lookup(path, step, s, row)
        x = row[0] - d * math.sin(row[2])
        y = row[1] + d * math.cos(row[2])
        yaw = row[2] + math.atan(p / (1.0 - row[3] * d))
        c, q = math.cos(yaw), math.sin(yaw)
        if body[REAR_LEN] > 0.0:
            if k > 0:
                turn = yaw - last_yaw
                ds = s - prof[k - 2, 0]
                # implicit in the stable term, so that long steps do not overshoot
                push = turn * (1.0 + body[HITCH_A] * math.cos(joint) / body[REAR_BASE])
                joint = (joint + push) / (1.0 + ds / body[REAR_BASE])
            last_yaw = yaw
        grow = min(1.0, 0.3 + 0.7 * k * cfg[DT])
        along = cfg[M_LONG] * grow
        across = cfg[M_LAT] * grow * min(1.0, 0.3 + 0.1 * prof[k, 1])  # slow passing may be closer
        cx, cy = x + mid * c, y + mid * q
        for m in range(objects.shape[0]):
            # people walk round who stands; braking harder would not help them
            if info[m, 4] == 0.0 or (objects[m, 6] == 1.0 and prof[k, 1] < 0.05):
                continue
            dx, dy = pose[m, k, 0] - cx, pose[m, k, 1] - cy
            size = objects[m, 4] + objects[m, 5]
            far = radius + rear_half + size if body[REAR_LEN] > 0.0 else reach + size
            if dx * dx + dy * dy > far * far:
                continue
            if boxes_meet(cx, cy, c, q, half + along, body[HALF_W] + across,
                          pose[m, k, 0], pose[m, k, 1], pose[m, k, 2], pose[m, k, 3], objects[m, 4], objects[m, 5]):  # fmt: skip
                return k
            if body[REAR_LEN] > 0.0:
                rc, rq = math.cos(yaw - joint), math.sin(yaw - joint)
                rx = x - body[HITCH_A] * c - rear_half * rc
                ry = y - body[HITCH_A] * q - rear_half * rq
                if boxes_meet(rx, ry, rc, rq, rear_half + along, body[HALF_W] + across,
                              pose[m, k, 0], pose[m, k, 1], pose[m, k, 2], pose[m, k, 3], objects[m, 4], objects[m, 5]):  # fmt: skip
                    return k
    return -1


@kernel
def plan(
    path: Any, step: float, start: Any, cap: float, s_stop: float, hitch: float, last_target: float, objects: Any,
    body: Any, cfg: Any, offsets: Any, lengths: Any, scales: Any, fractions: Any, durations: Any, stop_durations: Any,
    brakes: Any, num: int, prof: Any, grid: Any, cost: Any, tier: Any, lat_out: Any, lead_s: Any,
    lon_cost: Any, lon_tier: Any, is_soft: Any, row: Any, pose: Any, info: Any, relevant: int, lead: int, out: Any, result: Any,
) -> None:  # fmt: skip
    """One cycle. start: s, v, a, d, p, q. See `planner.py` for the outputs."""
    dt = cfg[DT]
    is_wide = relevant > 0
    lead_v = 0.0
    if lead >= 0:
        lead_v = max(info[lead, 2], 0.0)
        for k in range(num + 1):
            lead_s[k] = info[lead, 0] - info[lead, 5] - body[FRONT_X] + lead_v * k * dt
    num_lon = sample_longitudinal(
        path, step, start, cap, s_stop, lead_s, lead_v, lead >= 0, scales, fractions, durations, stop_durations, brakes,
        is_wide, cfg, num, row, prof, is_soft,
    )  # fmt: skip
    num_lat = offsets.size * lengths.size if is_wide else 1

    # longitudinal part: limits (tier 0 comfort, 1 emergency, 9 none) and cost, once per profile
    for i in range(num_lon):
        total = 0.0
        level = 0 if is_soft[i] == 1 else 1
        floor = min(-cfg[C_DECEL], start[2]) - 0.05
        for k in range(0, num + 1, 2):
            s, v, a, j = prof[i, k, 0], prof[i, k, 1], prof[i, k, 2], prof[i, k, 3]
            lookup(path, step, s, row)
            for c in range(9):
                grid[i, k, c] = row[c]
            if (
                a < floor
                or a > cfg[A_MAX] + 0.1
                or (
                    abs(j) > cfg[C_JERK] + 0.01
                    and not (j > 0.0 and a < 0.0 and start[2] < -cfg[C_DECEL])
                )
            ):
                level = max(level, 1)
            if a < -cfg[E_DECEL] - 0.1 or a > cfg[A_MAX] + 0.6:
                level = 9
            # a cap that falls below the present speed counts as falling at the planned deceleration
            top = min(row[4], max(cap, start[1] - 0.8 * cfg[B_PLAN] * k * dt))
            total += cfg[W_JERK] * j * j + cfg[W_ACCEL] * a * a
            if s_stop - s < 1e6:
                bound, _decel = stop_curve(s_stop - s, cfg[B_PLAN], cfg[J_END])
                top = min(top, bound + 0.1)
            if v > top:
                total += cfg[W_OVER] * (v - top) ** 2
        end_s, end_v = prof[i, num, 0], prof[i, num, 1]
        rest = s_stop - end_s
        if rest < 1e6:
            if rest < -0.03 or end_v * end_v > 2.0 * cfg[C_DECEL] * (rest + 0.2):
                level = max(level, 1)
            if rest < -0.5 or end_v * end_v > 2.0 * 0.9 * cfg[E_DECEL] * (rest + 0.2):
                level = 9
        # ground not covered counts, against a speed nobody drives here, so that standing never looks cheap
        lon_cost[i] = 2.0 * dt * total + cfg[W_PROGRESS] * (FAST * num * dt - (end_s - start[0]))
        lon_tier[i] = level

    # lateral part and combination
    for b in range(num_lat):
        target = offsets[b // lengths.size]
        length = lengths[b % lengths.size]
        lateral_coefficients(start[3], start[4], start[5], target, length, lat_out[b])
        lat_out[b, 6], lat_out[b, 7] = length, target
        base = cfg[W_TARGET] * target * target + cfg[W_CHANGE] * (target - last_target) ** 2
        for i in range(num_lon):
            total = lon_cost[i] + base
            level = lon_tier[i]
            tier[i, b], cost[i, b] = level, math.inf
            if level == 9:
                continue
            part = 0.0
            for k in range(0, num + 1, 2):
                d, p, q = lateral(prof[i, k, 0] - start[0], length, lat_out[b], target)
                kr = grid[i, k, 3]
                one = 1.0 - kr * d
                if one < 0.2:
                    level = 9
                    break
                t = p / one
                c2 = 1.0 / (1.0 + t * t)
                c1 = math.sqrt(c2)
                curve = ((q + (grid[i, k, 8] * d + kr * p) * t) * c2 / one + kr) * c1 / one
                v = prof[i, k, 1] * one / c1
                lat = v * v * curve
                if abs(curve) > body[K_MAX] or abs(lat) > cfg[E_LAT]:
                    level = 9
                    break
                if abs(lat) > cfg[C_LAT]:
                    level = max(level, 1)
                room = grid[i, k, 6] if d > 0.0 else grid[i, k, 7]
                allowed = max(room - body[HALF_W] - cfg[EDGE], 0.0)
                if abs(d) > allowed and abs(d) > abs(start[3]) + 0.05:
                    level = 9
                    break
                part += cfg[W_LAT] * lat * lat + cfg[W_OFF] * d * d + cfg[W_HEAD] * p * p
            if level == 9:
                tier[i, b] = 9
                continue
            total += 2.0 * dt * part
            if is_wide:
                for m in range(objects.shape[0]):
                    if info[m, 4] == 0.0 or (info[m, 3] == 0.0 and m != lead):
                        continue
                    if abs(info[m, 1] - target) > body[HALF_W] + objects[m, 5] + 0.1:
                        continue
                    gap = info[m, 0] - info[m, 5] - start[0] - body[FRONT_X]
                    if gap < -2.0:
                        continue
                    gap_end = (
                        info[m, 0]
                        - info[m, 5]
                        + info[m, 2] * num * dt
                        - prof[i, num, 0]
                        - body[FRONT_X]
                    )
                    v_end, v_obj = prof[i, num, 1], info[m, 2]
                    # after the horizon: both brake; the object as hard as it can
                    its = v_obj * abs(v_obj) / 12.0
                    if (
                        v_end * v_end / (2.0 * cfg[C_DECEL]) + 1.0 > max(gap_end, 0.0) + its * 1.5
                        and v_end > 0.1
                    ):
                        level = max(level, 1)
                    if (
                        v_end * v_end / (2.0 * 0.8 * cfg[E_DECEL]) + 0.5 > gap_end + its
                        and v_end > 0.1
                    ):
                        level = 9
                    short = cfg[GAP_0] + 0.8 * cfg[GAP_T] * v_end - gap_end
                    if short > 0.0:
                        total += cfg[W_GAP] * short * short
            tier[i, b] = level
            cost[i, b] = total if level < 9 else math.inf

    # cheapest of the lowest tier that hits nothing
    best_i = best_b = -1
    best_tier = 9
    checked = 0
    for level in range(2):
        while True:
            best_i = best_b = -1
            least = math.inf
            for i in range(num_lon):
                for b in range(num_lat):
                    if tier[i, b] == level and cost[i, b] < least:
                        least, best_i, best_b = cost[i, b], i, b
            if best_i < 0:
                break
            if relevant == 0:
                break
            checked += 1
            if collides(path, step, prof[best_i], start, lat_out[best_b], lat_out[best_b, 6], lat_out[best_b, 7], hitch,
                        body, pose, info, objects, cfg, num, row) < 0:  # fmt: skip
                break
            tier[best_i, best_b] = 8
        if best_i >= 0:
            best_tier = level
            break
    if best_i < 0:
        # nothing is free: brake as hard as allowed and keep returning to the lane centre
        best_i, best_b = num_lon - 1, 0
        best_tier = 2
    length, target = lat_out[best_b, 6], lat_out[best_b, 7]
    for k in range(num + 1):
        s = prof[best_i, k, 0]
        d, p, q = lateral(s - start[0], length, lat_out[best_b], target)
        lookup(path, step, s, row)
        for c in range(4):
            out[k, c] = prof[best_i, k, c]
        out[k, 4] = d
        out[k, 5] = row[0] - d * math.sin(row[2])
        out[k, 6] = row[1] + d * math.cos(row[2])
        out[k, 7] = row[2] + math.atan(p / (1.0 - row[3] * d))
    result[0], result[1], result[2] = best_i, best_b, best_tier
    result[3] = cost[best_i, best_b]
    result[4] = num_lon * num_lat
    result[5] = checked
    result[6] = lead
    result[7] = info[lead, 0] - info[lead, 5] - start[0] - body[FRONT_X] if lead >= 0 else math.inf
    result[8] = lead_v
