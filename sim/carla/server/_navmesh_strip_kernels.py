"""Compiled loops behind the strips of the navigation mesh: lane edges, thinning, and welding of points that fall together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.jit import array_helper, array_kernel


@array_helper
def _value(s_col: Any, coef: Any, lo: Any, hi: Any, s: Any) -> Any:
    """Cubic record in force at s; 0 before the first one."""
    if lo == hi or s < s_col[lo] - 1e-9:
        return 0.0
    k, end = lo, hi
    while end - k > 1:
        middle = (k + end) // 2
        if s_col[middle] <= s + 1e-9:
            k = middle
        else:
            end = middle
    d = s - s_col[k]
    return coef[k, 0] + d * (coef[k, 1] + d * (coef[k, 2] + d * coef[k, 3]))


@array_kernel
def lane_edges(
    lane_section: Any,
    odr_id: Any,
    section_lane: Any,
    section_road: Any,
    s0: Any,
    s1: Any,
    steps: Any,
    row_start: Any,
    width_start: Any,
    width_s: Any,
    width_coef: Any,
    offset_start: Any,
    offset_s: Any,
    offset_coef: Any,
    out_s: Any,
    out_left: Any,
    out_right: Any,
) -> Any:
    """Road s and t of the left and right edge of every lane at the stations of its section; rows of lane i: row_start[i] on."""
    for lane in range(odr_id.size):
        section = lane_section[lane]
        road = section_road[section]
        n = steps[section]
        side = 1.0 if odr_id[lane] > 0 else -1.0
        for k in range(n + 1):
            s = s1[section] if k == n else s0[section] + (s1[section] - s0[section]) * k / n
            t = _value(offset_s, offset_coef, offset_start[road], offset_start[road + 1], s)
            own = 0.0
            for other in range(section_lane[section], section_lane[section + 1]):
                same_side = (odr_id[other] > 0) == (odr_id[lane] > 0)
                if same_side and abs(odr_id[other]) <= abs(odr_id[lane]):
                    lo, hi = width_start[other], width_start[other + 1]
                    w = max(_value(width_s, width_coef, lo, hi, s - s0[section]), 0.0)
                    if other == lane:
                        own = w
                    else:
                        t += side * w
            row = row_start[lane] + k
            out_s[row] = s
            out_left[row] = t + own if side > 0.0 else t
            out_right[row] = t if side > 0.0 else t - own


@array_helper
def _strays(edge: Any, a: Any, b: Any, j: Any) -> Any:
    """Square of the distance of point j from the chord a-b, in space."""
    length2, along = 0.0, 0.0
    for c in range(3):
        d = edge[b, c] - edge[a, c]
        length2 += d * d
        along += d * (edge[j, c] - edge[a, c])
    f = min(max(along / length2, 0.0), 1.0) if length2 > 0.0 else 0.0
    off2 = 0.0
    for c in range(3):
        off = edge[a, c] + f * (edge[b, c] - edge[a, c]) - edge[j, c]
        off2 += off * off
    return off2


@array_kernel
def thin(
    first_lane: Any,
    last_lane: Any,
    wanted: Any,
    row_start: Any,
    steps: Any,
    left: Any,
    right: Any,
    tolerance: Any,
    longest: Any,
    keep: Any,
) -> Any:
    """Marks the fewest stations of each section whose chords keep every wanted lane edge within `tolerance`.

    `keep` (stations of all sections, one after the other); a chord is never longer than `longest`.
    """
    base = 0
    for section in range(first_lane.size):
        n = steps[section]
        keep[base] = True
        a = 0
        while a < n:
            b = a + 1
            while b < n:
                good = True
                for lane in range(first_lane[section], last_lane[section]):
                    if not wanted[lane]:
                        continue
                    r = row_start[lane]
                    for which in range(2):
                        edge = left if which == 0 else right
                        dx = edge[r + b + 1, 0] - edge[r + a, 0]
                        dy = edge[r + b + 1, 1] - edge[r + a, 1]
                        if dx * dx + dy * dy > longest * longest:
                            good = False
                            break
                        for j in range(a + 1, b + 1):
                            if _strays(edge, r + a, r + b + 1, r + j) > tolerance * tolerance:
                                good = False
                                break
                        if not good:
                            break
                    if not good:
                        break
                if not good:
                    break
                b += 1
            keep[base + b] = True
            a = b
        base += n + 1


@array_kernel
def weld(x: Any, y: Any, z: Any, reach: Any, step: Any, owner: Any) -> Any:
    """owner[i]: the earlier point that i falls together with (within `reach` in the plane and `step` in height), or i."""
    n = x.size
    size = 1
    while size < 2 * n + 2:
        size *= 2
    head = np.full(size, -1, np.int64)
    link = np.full(n, -1, np.int64)
    for i in range(n):
        cx, cy = math.floor(x[i] / reach), math.floor(y[i] / reach)
        best, best2 = -1, reach * reach
        for gx in range(cx - 1, cx + 2):
            for gy in range(cy - 1, cy + 2):
                j = head[(gx * 73856093 ^ gy * 19349663) & (size - 1)]
                while j >= 0:
                    d2 = (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2
                    if abs(z[j] - z[i]) <= step and (
                        d2 < best2 or (d2 == best2 and (best < 0 or j < best))
                    ):
                        best, best2 = j, d2
                    j = link[j]
        owner[i] = i
        if best >= 0:
            owner[i] = best
        else:
            slot = (cx * 73856093 ^ cy * 19349663) & (size - 1)
            link[i] = head[slot]
            head[slot] = i
