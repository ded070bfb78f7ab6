"""Compiled loops over the road network: reference line, lane centres, sampling, the segment grid, map matching.

Arrays and scalars only; typed wrappers are in `geometry.py` and `matching.py`. Angles rad, lengths m. `Geo` is the slice of
`RoadNetwork` that the loops read. Formulas: ASAM OpenDRIVE 1.8.1 clauses 9 (reference line), 10 (elevation), 11 (lanes).
The clothoid integral is Gauss-Legendre (5 nodes per radian of turn, error below 1e-9 of the length).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

LINE, ARC, SPIRAL, POLY3 = 0, 1, 2, 3

# Gauss-Legendre, 5 nodes on [0, 1].
_N0, _N1, _N2, _N3, _N4 = (
    0.04691007703066800, 0.23076534494715845, 0.5, 0.76923465505284155, 0.95308992296933200,
)  # fmt: skip
_W0, _W1, _W2 = 0.11846344252809454, 0.23931433524968324, 0.28444444444444444
_NODE = np.array([_N0, _N1, _N2, _N3, _N4])
_WEIGHT = np.array([_W0, _W1, _W2, _W1, _W0])


class Geo(NamedTuple):
    """The arrays of `RoadNetwork` that geometry needs, in the order of `geometry.geo_of`."""

    plan_start: Any
    plan_s: Any
    plan_x: Any
    plan_y: Any
    plan_yaw: Any
    plan_length: Any
    plan_kind: Any
    plan_param: Any
    plan_arc: Any
    elevation_start: Any
    elevation_s: Any
    elevation_coef: Any
    super_start: Any
    super_s: Any
    super_coef: Any
    offset_start: Any
    offset_s: Any
    offset_coef: Any
    section_s0: Any
    section_s1: Any
    section_lane_start: Any
    lane_road: Any
    lane_section: Any
    lane_id: Any
    lane_direction: Any
    width_start: Any
    width_s: Any
    width_coef: Any


@njit(cache=True)
def _record(s_m, lo, hi, s):
    """Last record in [lo, hi) that begins at or before s; `lo` when all begin later."""
    a, b = lo, hi
    while b - a > 1:
        m = (a + b) >> 1
        if s_m[m] <= s:
            a = m
        else:
            b = m
    return a


@njit(cache=True)
def _cubic(s_m, coef, lo, hi, s):
    """Value, slope and second derivative at s; zero before the first record and without records."""
    if lo == hi or s < s_m[lo] - 1e-9:
        return 0.0, 0.0, 0.0
    k = _record(s_m, lo, hi, s)
    d = s - s_m[k]
    c1, c2, c3 = coef[k, 1], coef[k, 2], coef[k, 3]
    return (
        coef[k, 0] + d * (c1 + d * (c2 + d * c3)),
        c1 + d * (2.0 * c2 + 3.0 * d * c3),
        2.0 * c2 + 6.0 * d * c3,
    )


@njit(cache=True)
def _poly_speed(param, g, p):
    u1 = param[g, 1] + p * (2.0 * param[g, 2] + 3.0 * p * param[g, 3])
    v1 = param[g, 5] + p * (2.0 * param[g, 6] + 3.0 * p * param[g, 7])
    return math.sqrt(u1 * u1 + v1 * v1)


@njit(cache=True)
def _poly_arc(param, g, p):
    """Arc length of u(p), v(p) from 0 to p: four panels of five nodes."""
    total = 0.0
    h = 0.25 * p
    for panel in range(4):
        for n in range(5):
            total += _WEIGHT[n] * _poly_speed(param, g, h * (panel + _NODE[n]))
    return total * h


@njit(cache=True)
def _ref(geo, g, s):
    """x, y, yaw, curvature and its slope on plan record g at road distance s."""
    ds = s - geo.plan_s[g]
    yaw0 = geo.plan_yaw[g]
    kind = geo.plan_kind[g]
    c, sn = math.cos(yaw0), math.sin(yaw0)
    if kind == LINE:
        return geo.plan_x[g] + ds * c, geo.plan_y[g] + ds * sn, yaw0, 0.0, 0.0
    if kind == ARC:
        k = geo.plan_param[g, 0]
        a = k * ds
        if abs(a) < 1e-6:
            u, v = ds, 0.5 * a * ds
        else:
            # 1 - cos(a) loses digits for small angles; 2 sin^2(a/2) does not.
            h = math.sin(0.5 * a)
            u, v = math.sin(a) / k, 2.0 * h * h / k
        return geo.plan_x[g] + u * c - v * sn, geo.plan_y[g] + u * sn + v * c, yaw0 + a, k, 0.0
    if kind == SPIRAL:
        k0 = geo.plan_param[g, 0]
        dk = (geo.plan_param[g, 1] - k0) / geo.plan_length[g]
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
        x, y = geo.plan_x[g] + u * c - v * sn, geo.plan_y[g] + u * sn + v * c
        return x, y, yaw0 + a, k0 + dk * ds, dk
    # poly3 is kept as u = p, v = a + b p + ...: the same curve with arc length as its parameter.
    param = geo.plan_param
    target = ds * geo.plan_arc[g] / geo.plan_length[g]
    p = ds
    for _ in range(12):
        step = (target - _poly_arc(param, g, p)) / max(_poly_speed(param, g, p), 1e-6)
        p += step
        if abs(step) < 1e-10:
            break
    u = param[g, 0] + p * (param[g, 1] + p * (param[g, 2] + p * param[g, 3]))
    v = param[g, 4] + p * (param[g, 5] + p * (param[g, 6] + p * param[g, 7]))
    u1 = param[g, 1] + p * (2.0 * param[g, 2] + 3.0 * p * param[g, 3])
    v1 = param[g, 5] + p * (2.0 * param[g, 6] + 3.0 * p * param[g, 7])
    u2 = 2.0 * param[g, 2] + 6.0 * p * param[g, 3]
    v2 = 2.0 * param[g, 6] + 6.0 * p * param[g, 7]
    w = u1 * u1 + v1 * v1
    k = (u1 * v2 - v1 * u2) / max(w * math.sqrt(w), 1e-12)
    x, y = geo.plan_x[g] + u * c - v * sn, geo.plan_y[g] + u * sn + v * c
    return x, y, yaw0 + math.atan2(v1, u1), k, 0.0


@njit(cache=True)
def _lane_t(geo, lane, s):
    """Centre of `lane` at road s: t, dt/ds, d2t/ds2 and the lane's width."""
    road = geo.lane_road[lane]
    t, t1, t2 = _cubic(
        geo.offset_s, geo.offset_coef, geo.offset_start[road], geo.offset_start[road + 1], s
    )
    section = geo.lane_section[lane]
    ds = s - geo.section_s0[section]
    side = 1 if geo.lane_id[lane] > 0 else -1
    first, last = geo.section_lane_start[section], geo.section_lane_start[section + 1]
    j = lane
    share = 0.5
    width = 0.0
    while first <= j < last and geo.lane_id[j] * side > 0:
        w, w1, w2 = _cubic(
            geo.width_s, geo.width_coef, geo.width_start[j], geo.width_start[j + 1], ds
        )
        if w < 0.0:
            w, w1, w2 = 0.0, 0.0, 0.0
        if j == lane:
            width = w
        t += side * share * w
        t1 += side * share * w1
        t2 += side * share * w2
        share = 1.0
        j += side  # towards the reference line: lanes are ordered from the leftmost to the rightmost
    return t, t1, t2, width


@njit(cache=True)
def _at(geo, road, g, s, t, t1, t2):
    """World pose of the curve t(s) beside the reference line, facing increasing s, and its speed |dr/ds|."""
    x, y, yaw, k, dk = _ref(geo, g, s)
    z = _cubic(
        geo.elevation_s, geo.elevation_coef,
        geo.elevation_start[road], geo.elevation_start[road + 1], s,
    )[0]  # fmt: skip
    if geo.super_start[road] != geo.super_start[road + 1]:
        roll = _cubic(
            geo.super_s, geo.super_coef, geo.super_start[road], geo.super_start[road + 1], s
        )[0]
        z += t * math.sin(roll)
        c = math.cos(roll)
        t, t1, t2 = t * c, t1 * c, t2 * c
    x -= t * math.sin(yaw)
    y += t * math.cos(yaw)
    a = 1.0 - k * t
    if a < 1e-3:  # inside the centre of curvature the lane folds over; keep its direction
        a = 1e-3
    w = a * a + t1 * t1
    speed = math.sqrt(w)
    bend = (k + (a * t2 + t1 * (dk * t + k * t1)) / w) / speed
    return x, y, z, yaw + math.atan2(t1, a), bend, speed


@njit(cache=True)
def _wrap(a):
    """Angle in (-pi, pi]."""
    if -math.pi < a <= math.pi:
        return a
    a -= 2.0 * math.pi * math.floor(a / (2.0 * math.pi) + 0.5)
    return math.pi if a <= -math.pi else a


@njit(cache=True)
def _next_start(s_m, lo, hi, s, best):
    """The first record start beyond s, if it comes before `best`."""
    for k in range(lo, hi):
        if s_m[k] > s + 1e-6:
            return min(best, s_m[k])
    return best


@njit(cache=True)
def _steps(geo, lane, g, a, b, max_step, chord):
    """Number of equal pieces of [a, b] that keep spacing and chord error within limits."""
    road = geo.lane_road[lane]
    bend, stretch, t2max, z2max = 0.0, 0.0, 0.0, 0.0
    for q in range(3):
        s = a + 0.5 * q * (b - a)
        if geo.plan_kind[g] == LINE:
            k = 0.0
        elif geo.plan_kind[g] == ARC:
            k = geo.plan_param[g, 0]
        elif geo.plan_kind[g] == SPIRAL:
            k0 = geo.plan_param[g, 0]
            k = k0 + (geo.plan_param[g, 1] - k0) / geo.plan_length[g] * (s - geo.plan_s[g])
        else:
            k = _ref(geo, g, s)[3]
        t, _, t2, _ = _lane_t(geo, lane, s)
        z2 = _cubic(
            geo.elevation_s, geo.elevation_coef,
            geo.elevation_start[road], geo.elevation_start[road + 1], s,
        )[2]  # fmt: skip
        bend = max(bend, abs(k))
        stretch = max(stretch, abs(1.0 - k * t))
        t2max = max(t2max, abs(t2))
        z2max = max(z2max, abs(z2))
    h = b - a
    n = h * math.sqrt((bend * stretch + t2max + z2max) / (8.0 * chord))
    n = max(n, h * stretch * 1.02 / max_step)
    return max(1, min(int(math.ceil(n)), 100000))


@njit(cache=True)
def sample_lanes(geo, max_step, chord, max_points):
    """Centre lines of every lane in travel direction: (point_start (L+1,), rows (P, 8), lane length (L,)).

    When more than `max_points` would be needed, the last start is -1 and nothing is filled.

    Columns: s, x, y, z, yaw, curvature, width, road s. Two passes: count, then fill.
    """
    lanes = geo.lane_road.size
    start = np.zeros(lanes + 1, np.int32)
    length = np.zeros(lanes)
    rows = np.zeros((0, 8))
    for fill in range(2):
        if fill == 1:
            total = 0
            for lane in range(lanes):
                total += start[lane + 1]
                start[lane + 1] = min(total, max_points)
            if total > max_points:
                start[lanes] = -1
                return start, rows, length
            rows = np.zeros((start[lanes], 8))
        for lane in range(lanes):
            road = geo.lane_road[lane]
            section = geo.lane_section[lane]
            s0, s1 = geo.section_s0[section], geo.section_s1[section]
            forward = geo.lane_direction[lane] > 0
            first = start[lane]
            count = 0
            along = 0.0
            a = s0
            while True:
                b = s1
                b = _next_start(
                    geo.plan_s, geo.plan_start[road], geo.plan_start[road + 1], a, b
                )
                b = _next_start(
                    geo.offset_s, geo.offset_start[road], geo.offset_start[road + 1], a, b
                )
                b = _next_start(
                    geo.elevation_s, geo.elevation_start[road], geo.elevation_start[road + 1], a, b
                )
                b = _next_start(
                    geo.super_s, geo.super_start[road], geo.super_start[road + 1], a, b
                )
                for j in range(
                    geo.section_lane_start[section], geo.section_lane_start[section + 1]
                ):
                    for k in range(geo.width_start[j], geo.width_start[j + 1]):
                        if geo.width_s[k] + s0 > a + 1e-6:
                            b = min(b, geo.width_s[k] + s0)
                            break
                if b > s1 - 1e-6:
                    b = s1
                g = _record(
                    geo.plan_s, geo.plan_start[road], geo.plan_start[road + 1], 0.5 * (a + b)
                )
                n = _steps(geo, lane, g, a, b, max_step, chord)
                if fill == 1:
                    h = (b - a) / n
                    speed0 = 1.0
                    for q in range(n + 1):
                        s = a + q * h if q < n else b
                        # just inside the piece, so that a record that begins at b does not apply yet
                        at = min(s, b - 1e-9) if b > a else s
                        t, t1, t2, w = _lane_t(geo, lane, at)
                        x, y, z, yaw, bend, speed = _at(geo, road, g, at, t, t1, t2)
                        if q > 0:
                            m = s - 0.5 * h
                            t, t1, t2, _ = _lane_t(geo, lane, m)
                            mid = _at(geo, road, g, m, t, t1, t2)[5]
                            along += h * (speed0 + 4.0 * mid + speed) / 6.0
                        speed0 = speed
                        if q == 0 and count > 0:
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
    return start, rows, length


@njit(cache=True)
def poly_arcs(kind, length, param):
    """True arc length of each plan record's curve over its parameter range; `length` for the other kinds."""
    out = length.copy()
    for g in range(kind.size):
        if kind[g] > POLY3:
            out[g] = _poly_arc(param, g, length[g])
    return out


@njit(cache=True)
def poses(geo, road, lane, s, t, s_is_lane, point_start, point_s, point_road_s, out):
    """Fill out (N, 6): x, y, z, yaw, curvature, road s, for road (s, t) or lane (s, d)."""
    for i in range(s.size):
        r = road[i]
        at = s[i]
        if s_is_lane:
            j = lane[i]
            r = geo.lane_road[j]
            k = _record(point_s, point_start[j], point_start[j + 1] - 1, at)
            span = point_s[k + 1] - point_s[k]
            u = (at - point_s[k]) / span if span > 0.0 else 0.0
            section = geo.lane_section[j]
            at = point_road_s[k] + u * (point_road_s[k + 1] - point_road_s[k])
            at = min(max(at, geo.section_s0[section]), geo.section_s1[section])
            c, c1, c2, _ = _lane_t(geo, j, at)
            side = geo.lane_direction[j]
            g = _record(geo.plan_s, geo.plan_start[r], geo.plan_start[r + 1], at)
            x, y, z, yaw, bend, _ = _at(geo, r, g, at, c + side * t[i], c1, c2)
            if side < 0:
                yaw += math.pi
                bend = -bend
        else:
            g = _record(geo.plan_s, geo.plan_start[r], geo.plan_start[r + 1], at)
            x, y, z, yaw, bend, _ = _at(geo, r, g, at, t[i], 0.0, 0.0)
        out[i, 0] = x
        out[i, 1] = y
        out[i, 2] = z
        out[i, 3] = _wrap(yaw)
        out[i, 4] = bend
        out[i, 5] = at


@njit(cache=True)
def build_grid(point_start, x, y, z, yaw, x0, y0, nx, ny, cell, reach):
    """Segments (P, 8), their lanes (P,), and the cells' CSR: every segment within `reach` of a cell is listed there.

    Segment columns: x, y, z, dx, dy, dz, 1/length^2, yaw. The last point of a lane begins no segment.
    """
    lanes = point_start.size - 1
    seg = np.zeros((x.size, 8))
    seg_lane = np.zeros(x.size, np.int32)
    start = np.zeros(nx * ny + 1, np.int32)
    entry = np.zeros(0, np.int32)
    far = reach + 0.7072 * cell
    for fill in range(2):
        if fill == 1:
            total = 0
            for c in range(nx * ny + 1):
                n = start[c]
                start[c] = total
                total += n
            entry = np.zeros(total, np.int32)
        for lane in range(lanes):
            for i in range(point_start[lane], point_start[lane + 1] - 1):
                dx, dy = x[i + 1] - x[i], y[i + 1] - y[i]
                w = dx * dx + dy * dy
                inv = 1.0 / w if w > 0.0 else 0.0
                seg[i, 0] = x[i]
                seg[i, 1] = y[i]
                seg[i, 2] = z[i]
                seg[i, 3] = dx
                seg[i, 4] = dy
                seg[i, 5] = z[i + 1] - z[i]
                seg[i, 6] = inv
                seg[i, 7] = yaw[i]
                seg_lane[i] = lane
                i0 = max(0, int((min(x[i], x[i + 1]) - reach - x0) / cell))
                i1 = min(nx - 1, int((max(x[i], x[i + 1]) + reach - x0) / cell))
                j0 = max(0, int((min(y[i], y[i + 1]) - reach - y0) / cell))
                j1 = min(ny - 1, int((max(y[i], y[i + 1]) + reach - y0) / cell))
                for a in range(i0, i1 + 1):
                    px = x0 + (a + 0.5) * cell - x[i]
                    for b in range(j0, j1 + 1):
                        py = y0 + (b + 0.5) * cell - y[i]
                        u = min(1.0, max(0.0, (px * dx + py * dy) * inv))
                        ex, ey = px - u * dx, py - u * dy
                        if ex * ex + ey * ey <= far * far:
                            c = a * ny + b
                            if fill == 1:
                                entry[start[c]] = i
                            start[c] += 1
        if fill == 1:
            for c in range(nx * ny, 0, -1):
                start[c] = start[c - 1]
            start[0] = 0
    return seg, seg_lane, start, entry


@njit(cache=True)
def match(
    geo, seg, seg_lane, cell_start, entry, x0, y0, nx, ny, cell, reach,
    point_start, point_s, point_road_s, allowed,
    qx, qy, qz, use_z, qyaw, use_yaw, yaw_weight, max_distance,
    out_lane, out,
):  # fmt: skip
    """Nearest allowed lane centre line of each query, then the exact foot point on the reference line.

    out_lane (N,) is -1 where nothing lies within `max_distance`. out (N, 7): lane s, d, road s, x, y, z, yaw of the centre.
    """
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
        road = geo.lane_road[lane]
        section = geo.lane_section[lane]
        s0, s1 = geo.section_s0[section], geo.section_s1[section]
        lo, hi = geo.plan_start[road], geo.plan_start[road + 1]
        s = point_road_s[hit] + hit_u * (point_road_s[hit + 1] - point_road_s[hit])
        roll, t, rx, ry, yaw, k, dk = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for _ in range(6):
            g = _record(geo.plan_s, lo, hi, s)
            rx, ry, yaw, k, dk = _ref(geo, g, s)
            cy, sy = math.cos(yaw), math.sin(yaw)
            px, py = x - rx, y - ry
            e, n = px * cy + py * sy, py * cy - px * sy
            # Foot point on the osculating circle: exact for lines and arcs, cubic in the step for the others.
            if abs(k) > 1e-9:
                move = math.atan2(k * e, 1.0 - k * n) / k
                t = (1.0 - math.sqrt((k * e) ** 2 + (1.0 - k * n) ** 2)) / k
            else:
                move, t = e, n
            moved = min(max(s + move, s0), s1)
            near = abs(moved - s) <= 1e-7
            clamped = moved != s + move
            s = moved
            if near:
                if clamped:
                    t = n
                break
        tc, t1, t2, _ = _lane_t(geo, lane, s)
        if geo.super_start[road] != geo.super_start[road + 1]:
            roll = _cubic(
                geo.super_s, geo.super_coef, geo.super_start[road], geo.super_start[road + 1], s
            )[0]
        z = _cubic(
            geo.elevation_s, geo.elevation_coef,
            geo.elevation_start[road], geo.elevation_start[road + 1], s,
        )[0]  # fmt: skip
        z += tc * math.sin(roll)
        flat = math.cos(roll)
        side = geo.lane_direction[lane]
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
        out[q, 1] = (t / flat - tc) * side
        out[q, 2] = s
        off = tc * flat
        out[q, 3] = rx - off * math.sin(yaw)
        out[q, 4] = ry + off * math.cos(yaw)
        out[q, 5] = z
        head = yaw + math.atan2(t1 * flat, max(1.0 - k * off, 1e-3))
        out[q, 6] = _wrap(head if side > 0 else head + math.pi)
