"""Compiled loops over the road network: reference line, lane centres, sampling, map matching.

Arrays and scalars only; typed wrappers are in `geometry.py` and `matching.py`. Angles rad, lengths m. `Geo` is the slice of
`RoadNetwork` that the loops read. Formulas: ASAM OpenDRIVE 1.8.1 clauses 9 (reference line), 10 (elevation), 11 (lanes).
The clothoid integral is Gauss-Legendre (5 nodes per radian of turn, error below 1e-9 of the length).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from protocols.jit import helper, kernel

LINE, ARC, SPIRAL, POLY3 = 0, 1, 2, 3

# Gauss-Legendre, 5 nodes on [0, 1].
_N0, _N1, _N2, _N3, _N4 = (
    0.04691007703066800, 0.23076534494715845, 0.5, 0.76923465505284155, 0.95308992296933200,
)  # fmt: skip
_W0, _W1, _W2 = 0.11846344252809454, 0.23931433524968324, 0.28444444444444444
_NODE = np.array([_N0, _N1, _N2, _N3, _N4])
_WEIGHT = np.array([_W0, _W1, _W2, _W1, _W0])


class Geo(NamedTuple):
    """`RoadNetwork` packed for the loops: few wide tables, so that a call passes few arrays and a row is one cache line.

    `geometry.pack` fills it. Cubic tables are (K, 5): s, a, b, c, d.
    """

    plan: Any  # (G, 17) s, x, y, yaw, cos yaw, sin yaw, length, kind, arc length, 8 parameters
    road: Any  # (R + 1, 4) int32 starts: plan, elevation, superelevation, lane offset
    elevation: Any
    superelevation: Any
    offset: Any
    width: Any
    span: Any  # (S, 2) s0, s1 of the sections
    lane: Any  # (L + 1, 7) int32 road, section, OpenDRIVE id, direction, width start, section's lanes from, to


@helper
def _record(table, lo, hi, s):
    """Last row of [lo, hi) whose first column is at or before s; `lo` when all begin later."""
    a, b = lo, hi
    while b - a > 1:
        m = (a + b) >> 1
        if table[m, 0] <= s:
            a = m
        else:
            b = m
    return a


@helper
def _cubic(table, lo, hi, s):
    """Value, slope and second derivative at s; zero before the first record and without records."""
    if lo == hi or s < table[lo, 0] - 1e-9:
        return 0.0, 0.0, 0.0
    k = _record(table, lo, hi, s)
    d = s - table[k, 0]
    c1, c2, c3 = table[k, 2], table[k, 3], table[k, 4]
    return (
        table[k, 1] + d * (c1 + d * (c2 + d * c3)),
        c1 + d * (2.0 * c2 + 3.0 * d * c3),
        2.0 * c2 + 6.0 * d * c3,
    )


@helper
def _poly_speed(plan, g, p):
    u1 = plan[g, 10] + p * (2.0 * plan[g, 11] + 3.0 * p * plan[g, 12])
    v1 = plan[g, 14] + p * (2.0 * plan[g, 15] + 3.0 * p * plan[g, 16])
    return math.sqrt(u1 * u1 + v1 * v1)


@helper
def _poly_arc(plan, g, p):
    """Arc length of u(p), v(p) from 0 to p: four panels of five nodes."""
    total = 0.0
    h = 0.25 * p
    for panel in range(4):
        for n in range(5):
            total += _WEIGHT[n] * _poly_speed(plan, g, h * (panel + _NODE[n]))
    return total * h


@helper
def _ref(plan, g, s):
    """x, y, yaw, curvature and its slope on plan record g at road distance s."""
    ds = s - plan[g, 0]
    x0, y0, yaw0, c, sn = plan[g, 1], plan[g, 2], plan[g, 3], plan[g, 4], plan[g, 5]
    kind = plan[g, 7]
    if kind == LINE:
        return x0 + ds * c, y0 + ds * sn, yaw0, 0.0, 0.0
    if kind == ARC:
        k = plan[g, 9]
        a = k * ds
        if abs(a) < 1e-6:
            u, v = ds, 0.5 * a * ds
        else:
            # 1 - cos(a) loses digits for small angles; 2 sin^2(a/2) does not.
            h = math.sin(0.5 * a)
            u, v = math.sin(a) / k, 2.0 * h * h / k
        return x0 + u * c - v * sn, y0 + u * sn + v * c, yaw0 + a, k, 0.0
    if kind == SPIRAL:
        k0 = plan[g, 9]
        dk = (plan[g, 10] - k0) / plan[g, 6]
        turn = abs(k0 * ds) + 0.5 * abs(dk) * ds * ds
        panels = 1 + min(int(turn), 4095)
        h = ds / panels
        u, v = 0.0, 0.0
        for panel in range(panels):
            for n in range(5):
                d = h * (panel + _NODE[n])
                a = d * (k0 + 0.5 * dk * d)
                u += _WEIGHT[n] * math.cos(a)
                v += _WEIGHT[n] * math.sin(a)
        u *= h
        v *= h
        a = ds * (k0 + 0.5 * dk * ds)
        x, y = x0 + u * c - v * sn, y0 + u * sn + v * c
        return x, y, yaw0 + a, k0 + dk * ds, dk
    # poly3 is kept as u = p, v = a + b p + ...: the same curve with arc length as its parameter.
    target = ds * plan[g, 8] / plan[g, 6]
    p = ds
    for _ in range(12):
        step = (target - _poly_arc(plan, g, p)) / max(_poly_speed(plan, g, p), 1e-6)
        p += step
        if abs(step) < 1e-5:  # Newton: what is left is the square of this
            break
    u = plan[g, 9] + p * (plan[g, 10] + p * (plan[g, 11] + p * plan[g, 12]))
    v = plan[g, 13] + p * (plan[g, 14] + p * (plan[g, 15] + p * plan[g, 16]))
    u1 = plan[g, 10] + p * (2.0 * plan[g, 11] + 3.0 * p * plan[g, 12])
    v1 = plan[g, 14] + p * (2.0 * plan[g, 15] + 3.0 * p * plan[g, 16])
    u2 = 2.0 * plan[g, 11] + 6.0 * p * plan[g, 12]
    v2 = 2.0 * plan[g, 15] + 6.0 * p * plan[g, 16]
    w = u1 * u1 + v1 * v1
    k = (u1 * v2 - v1 * u2) / max(w * math.sqrt(w), 1e-12)
    x, y = x0 + u * c - v * sn, y0 + u * sn + v * c
    return x, y, yaw0 + math.atan2(v1, u1), k, 0.0


@kernel
def _lane_t(road, lane_rows, span, offset, width_rows, lane, s):
    """Centre of `lane` at road s: t, dt/ds, d2t/ds2 and the lane's width."""
    r = lane_rows[lane, 0]
    t, t1, t2 = _cubic(offset, road[r, 3], road[r + 1, 3], s)
    ds = s - span[lane_rows[lane, 1], 0]
    side = 1 if lane_rows[lane, 2] > 0 else -1
    first, last = lane_rows[lane, 5], lane_rows[lane, 6]
    j = lane
    share = 0.5
    width = 0.0
    while first <= j < last and lane_rows[j, 2] * side > 0:
        w, w1, w2 = _cubic(width_rows, lane_rows[j, 4], lane_rows[j + 1, 4], ds)
        if w < 0.0:
            w, w1, w2 = 0.0, 0.0, 0.0
        if j == lane:
            width = w
        t += side * share * w
        t1 += side * share * w1
        t2 += side * share * w2
        share = 1.0
        j += (
            side  # towards the reference line: lanes are ordered from the leftmost to the rightmost
        )
    return t, t1, t2, width


@helper
def _at(plan, road, elevation, superelevation, r, g, s, t, t1, t2):
    """World pose of the curve t(s) beside the reference line, facing increasing s, and its speed |dr/ds|."""
    x, y, yaw, k, dk = _ref(plan, g, s)
    z = _cubic(elevation, road[r, 1], road[r + 1, 1], s)[0]
    if road[r, 2] != road[r + 1, 2]:
        roll = _cubic(superelevation, road[r, 2], road[r + 1, 2], s)[0]
        z += t * math.sin(roll)
        c = math.cos(roll)
        t, t1, t2 = t * c, t1 * c, t2 * c
    x -= t * math.sin(yaw)
    y += t * math.cos(yaw)
    a = max(1.0 - k * t, 1e-3)  # inside the centre of curvature a lane folds over; keep direction
    w = a * a + t1 * t1
    speed = math.sqrt(w)
    bend = (k + (a * t2 + t1 * (dk * t + k * t1)) / w) / speed
    return x, y, z, yaw + math.atan2(t1, a), bend, speed


@helper
def _wrap(a):
    """Angle in (-pi, pi]."""
    if -math.pi < a <= math.pi:
        return a
    a -= 2.0 * math.pi * math.floor(a / (2.0 * math.pi) + 0.5)
    return math.pi if a <= -math.pi else a


@helper
def _next_start(table, lo, hi, origin, s, best):
    """The first record start beyond s, if it comes before `best`. Starts are measured from `origin`."""
    for k in range(lo, hi):
        if table[k, 0] + origin > s + 1e-6:
            return min(best, table[k, 0] + origin)
    return best


@helper
def _steps(geo, lane, g, a, b, max_step, chord):
    """Number of equal pieces of [a, b] that keep spacing and chord error within limits."""
    r = geo.lane[lane, 0]
    bend, stretch, t2max, z2max = 0.0, 0.0, 0.0, 0.0
    kind = geo.plan[g, 7]
    for q in range(3):
        s = a + 0.5 * q * (b - a)
        if kind == LINE:
            k = 0.0
        elif kind == ARC:
            k = geo.plan[g, 9]
        elif kind == SPIRAL:
            k0 = geo.plan[g, 9]
            k = k0 + (geo.plan[g, 10] - k0) / geo.plan[g, 6] * (s - geo.plan[g, 0])
        else:
            k = _ref(geo.plan, g, s)[3]
        t, _, t2, _ = _lane_t(geo.road, geo.lane, geo.span, geo.offset, geo.width, lane, s)
        z2 = _cubic(geo.elevation, geo.road[r, 1], geo.road[r + 1, 1], s)[2]
        bend = max(bend, abs(k))
        stretch = max(stretch, abs(1.0 - k * t))
        t2max = max(t2max, abs(t2))
        z2max = max(z2max, abs(z2))
    h = b - a
    n = h * math.sqrt((bend * stretch + t2max + z2max) / (8.0 * chord))
    n = max(n, h * stretch * 1.02 / max_step)
    return max(1, min(int(n) + 1, 1000000))


@kernel
def sample_lanes(geo, max_step, chord, fill, start, rows, length):
    """Centre lines of every lane in travel direction, in two passes over the same pieces.

    With `fill` 0, `start` (L + 1,) gets the number of points of lane k at k + 1. With `fill` 1, `start` holds where each lane
    begins in `rows` (P, 8) (s, x, y, z, yaw, curvature, width, road s); rows and `length` (L,) are filled.
    """
    plan, road, lane_rows = geo.plan, geo.road, geo.lane
    for lane in range(lane_rows.shape[0] - 1):
        r = lane_rows[lane, 0]
        section = lane_rows[lane, 1]
        s0, s1 = geo.span[section, 0], geo.span[section, 1]
        forward = lane_rows[lane, 3] > 0
        first = start[lane]
        count = 0
        along = 0.0
        a = s0
        while True:
            b = _next_start(plan, road[r, 0], road[r + 1, 0], 0.0, a, s1)
            b = _next_start(geo.elevation, road[r, 1], road[r + 1, 1], 0.0, a, b)
            b = _next_start(geo.superelevation, road[r, 2], road[r + 1, 2], 0.0, a, b)
            b = _next_start(geo.offset, road[r, 3], road[r + 1, 3], 0.0, a, b)
            for j in range(lane_rows[lane, 5], lane_rows[lane, 6]):
                b = _next_start(geo.width, lane_rows[j, 4], lane_rows[j + 1, 4], s0, a, b)
            if b > s1 - 1e-6:
                b = s1
            g = _record(plan, road[r, 0], road[r + 1, 0], 0.5 * (a + b))
            n = _steps(geo, lane, g, a, b, max_step, chord)
            if fill == 1:
                h = (b - a) / n
                speed0 = 1.0
                for half in range(2 * n + 1):
                    # Ends and middles of the steps; just inside the piece, so that a record that begins at b
                    # does not apply yet.
                    s = a + 0.5 * half * h if half < 2 * n else b
                    at = min(s, b - 1e-9) if b > a else s
                    t, t1, t2, w = _lane_t(
                        road, lane_rows, geo.span, geo.offset, geo.width, lane, at
                    )
                    x, y, z, yaw, bend, speed = _at(
                        plan, road, geo.elevation, geo.superelevation, r, g, at, t, t1, t2
                    )
                    if half % 2 == 1:
                        along += h * (speed0 + 4.0 * speed) / 6.0
                        continue
                    if half > 0:
                        along += h * speed / 6.0
                    speed0 = speed
                    if half == 0 and count > 0:
                        continue  # written as the end of the piece before
                    i = first + count if forward else start[lane + 1] - 1 - count
                    rows[i, 0] = along
                    rows[i, 1] = x
                    rows[i, 2] = y
                    rows[i, 3] = z
                    rows[i, 4] = _wrap(yaw if forward else yaw + math.pi)
                    rows[i, 5] = bend if forward else -bend
                    rows[i, 6] = w
                    rows[i, 7] = s
                    count += 1
            else:
                count += n
            a = b
            if a >= s1:
                break
        if fill == 0:
            start[lane + 1] = count + 1
        else:
            length[lane] = along
            if not forward:
                for i in range(start[lane], start[lane + 1]):
                    rows[i, 0] = along - rows[i, 0]
                rows[start[lane], 0] = 0.0


@kernel
def poly_arcs(plan):
    """Write the true arc length of each paramPoly3 curve over its parameter range into column 8."""
    for g in range(plan.shape[0]):
        if plan[g, 7] > POLY3:
            plan[g, 8] = _poly_arc(plan, g, plan[g, 6])


@kernel
def poses(geo, owner, s, t, is_lane, point_start, point_s, point_road_s, out):
    """Fill out (N, 6): x, y, z, yaw, curvature, road s, for road (s, t) or lane (s, d)."""
    plan, road, lane_rows = geo.plan, geo.road, geo.lane
    for i in range(s.size):
        r = owner[i]
        at = s[i]
        c, c1, c2, side = t[i], 0.0, 0.0, 1
        if is_lane:
            j = np.int64(owner[i])
            r = lane_rows[j, 0]
            a, b = point_start[j], point_start[j + 1] - 1
            while b - a > 1:
                m = (a + b) >> 1
                if point_s[m] <= at:
                    a = m
                else:
                    b = m
            span = point_s[a + 1] - point_s[a]
            u = (at - point_s[a]) / span if span > 0.0 else 0.0
            section = lane_rows[j, 1]
            at = point_road_s[a] + u * (point_road_s[a + 1] - point_road_s[a])
            at = min(max(at, geo.span[section, 0]), geo.span[section, 1])
            side = lane_rows[j, 3]
            c, c1, c2, _ = _lane_t(road, lane_rows, geo.span, geo.offset, geo.width, j, at)
            c += side * t[i]
        g = _record(plan, road[r, 0], road[r + 1, 0], at)
        x, y, z, yaw, bend, _ = _at(
            plan, road, geo.elevation, geo.superelevation, r, g, at, c, c1, c2
        )
        out[i, 0] = x
        out[i, 1] = y
        out[i, 2] = z
        out[i, 3] = _wrap(yaw if side > 0 else yaw + math.pi)
        out[i, 4] = bend * side
        out[i, 5] = at


@kernel
def match(
    geo, seg, seg_lane, cell_start, entry, x0, y0, nx, ny, cell, reach,
    point_start, point_s, point_road_s, allowed,
    qx, qy, qz, use_z, qyaw, use_yaw, yaw_weight, max_distance,
    out_lane, out,
):  # fmt: skip
    """Nearest allowed lane centre line of each query, then the exact foot point on the reference line.

    out_lane (N,) is -1 where nothing lies within `max_distance`. out (N, 7): lane s, d, road s, x, y, z, yaw of the centre.
    """
    plan, road, lane_rows, span_rows = geo.plan, geo.road, geo.lane, geo.span
    offset, width, elevation = geo.offset, geo.width, geo.elevation
    last_ring = int(max_distance / cell) + 2
    for q in range(qx.size):
        x, y = qx[q], qy[q]
        out_lane[q] = -1
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        fa = math.floor((x - x0) / cell)
        fb = math.floor((y - y0) / cell)
        # Far outside the grid: nothing can be near enough (and the integer cast below stays in range).
        if fa < -last_ring or fb < -last_ring or fa > nx + last_ring or fb > ny + last_ring:
            continue
        a0, b0 = int(fa), int(fb)
        best, hit, hit_u = max_distance * max_distance, -1, 0.0
        for ring in range(last_ring + 1):
            for a in range(max(a0 - ring, 0), min(a0 + ring, nx - 1) + 1):
                edge = a == a0 - ring or a == a0 + ring
                step = 1 if edge or ring == 0 else 2 * ring
                for b in range(b0 - ring, b0 + ring + 1, step):
                    if b < 0 or b >= ny:
                        continue
                    c = a * ny + b
                    for e in range(cell_start[c], cell_start[c + 1]):
                        i = entry[e]
                        px, py = x - seg[i, 0], y - seg[i, 1]
                        dx, dy = seg[i, 3], seg[i, 4]
                        u = min(1.0, max(0.0, (px * dx + py * dy) * seg[i, 6]))
                        ex, ey = px - u * dx, py - u * dy
                        w = ex * ex + ey * ey
                        if w >= best:
                            continue
                        if not allowed[seg_lane[i]]:
                            continue
                        if use_z:
                            ez = qz[q] - seg[i, 2] - u * seg[i, 5]
                            w += ez * ez
                        if use_yaw:
                            turn = yaw_weight * _wrap(qyaw[q] - seg[i, 7])
                            w += turn * turn
                        if w < best or (w == best and hit >= 0 and i < hit):
                            best, hit, hit_u = w, i, u
            guard = reach + ring * cell
            if hit >= 0 and best <= guard * guard:
                break
        if hit < 0:
            continue
        lane = seg_lane[hit]
        r = lane_rows[lane, 0]
        section = lane_rows[lane, 1]
        s0, s1 = span_rows[section, 0], span_rows[section, 1]
        lo, hi = road[r, 0], road[r + 1, 0]
        s = point_road_s[hit] + hit_u * (point_road_s[hit + 1] - point_road_s[hit])
        t, rx, ry, yaw, k, cy, sy = 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0
        for _ in range(8):
            g = _record(plan, lo, hi, s)
            rx, ry, yaw, k, _dk = _ref(plan, g, s)
            if plan[g, 7] == LINE:
                cy, sy = plan[g, 4], plan[g, 5]
            else:
                cy, sy = math.cos(yaw), math.sin(yaw)
            px, py = x - rx, y - ry
            e, n = px * cy + py * sy, py * cy - px * sy
            # Foot point on the osculating circle: exact for lines and arcs, cubic in the step for the others.
            if abs(k) > 1e-9:
                f = 1.0 - k * n
                move = math.atan2(k * e, f) / k
                t = (1.0 - math.sqrt(k * k * e * e + f * f)) / k
            else:
                move, t = e, n
            goal = s + move
            moved = min(max(goal, s0), s1)
            if moved != goal:
                if abs(moved - s) <= 1e-9:  # the lane ends here: straight across its end
                    t = n
                    break
                s = moved
                continue
            s = goal
            exact = plan[g, 7] <= ARC or abs(move) < 0.02
            if abs(move) < 1e-7 or (exact and plan[g, 0] <= s <= plan[g, 0] + plan[g, 6]):
                if k != 0.0:
                    yaw += k * move
                    cy, sy = math.cos(yaw), math.sin(yaw)
                rx, ry = x + t * sy, y - t * cy
                break
        tc, t1, _t2, _w = _lane_t(road, lane_rows, span_rows, offset, width, lane, s)
        z = _cubic(elevation, road[r, 1], road[r + 1, 1], s)[0]
        off = tc
        if road[r, 2] != road[r + 1, 2]:
            roll = _cubic(geo.superelevation, road[r, 2], road[r + 1, 2], s)[0]
            flat = math.cos(roll)
            z += tc * math.sin(roll)
            t /= flat
            t1 *= flat
            off *= flat
        side = lane_rows[lane, 3]
        first, last = point_start[lane], point_start[lane + 1] - 1
        i = hit
        while i > first and (s - point_road_s[i]) * side < 0.0:
            i -= 1
        while i < last - 1 and (s - point_road_s[i + 1]) * side > 0.0:
            i += 1
        span = point_road_s[i + 1] - point_road_s[i]
        u = (s - point_road_s[i]) / span if span != 0.0 else 0.0
        out_lane[q] = lane
        out[q, 0] = point_s[i] + u * (point_s[i + 1] - point_s[i])
        out[q, 1] = (t - tc) * side
        out[q, 2] = s
        out[q, 3] = rx - off * sy
        out[q, 4] = ry + off * cy
        out[q, 5] = z
        if t1 != 0.0:
            yaw += math.atan2(t1, max(1.0 - k * off, 1e-3))
        out[q, 6] = _wrap(yaw if side > 0 else yaw + math.pi)
