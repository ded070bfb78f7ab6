"""From the echoes of a scan to things: points of one thing joined, and a rectangle laid around each.

Only measured ranges are looked at. Columns are azimuth steps; in each, echoes above the road and in front of what the map predicts
form pieces of adjoining ranges; pieces of nearby columns are joined when the gap between their ranges is small. The gap
allowed grows with range, because a face seen at a grazing angle gives points far apart: d step / tan(incidence) (adaptive
breakpoints, Borges & Aldon, J. Intell. Robot. Syst. 40, 2004). Rectangles: the direction that lets the near points lie
closest to two sides (Zhang et al., "Efficient L-shape fitting", IV 2017, closeness criterion).
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

_FLAT = 0.12  # m: a piece that rises less is no face
_LEVEL = 0.04  # m: how much lower a roof may seem than what was seen of it before; heights are this sharp


@helper
def _root(parent: Any, k: Any) -> Any:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@kernel
def pieces(
    up: float,
    join: float,
    roof: float,
    tall: float,
    ground_height: float,
    map_tolerance: float,
    slope: Any,
    cosine: Any,
    measured: Any,
    background: Any,
    piece: Any,
    column: Any,
) -> int:
    """Pieces of a scan into `piece` (7, P): least and largest ground distance, least and largest height, number of points, first and
    last channel; and into `column` (P,) their azimuth step. `cosine` (C,): ground distance per metre of ray. Returns their number.

    Seen from above at a low angle, the points of a roof lie metres apart, each in a piece of its own. A flat piece that goes on
    where the piece before it ends, in the next channels and within `roof`, is the roof of that. What stands behind shows a face of
    several channels; of what shows one channel only nothing can be told.
    """
    azimuths, channels = measured.shape
    count = 0
    for a in range(azimuths):
        start = count
        for c in range(channels):
            if np.isnan(measured[a, c]):
                continue
            d = measured[a, c] * cosine[c]
            z = up + slope[c] * d
            if z < ground_height or d > background[a, c] - map_tolerance:
                continue
            chosen = -1
            for k in range(start, count):
                if d > piece[0, k] - join and d < piece[1, k] + join:
                    chosen = k
                    break
            if chosen < 0:
                if count == column.size:
                    return count
                chosen = count
                count += 1
                column[chosen] = a
                piece[0, chosen] = d
                piece[1, chosen] = d
                piece[2, chosen] = z
                piece[3, chosen] = z
                piece[4, chosen] = 0.0
                piece[5, chosen] = c
            piece[0, chosen] = min(piece[0, chosen], d)
            piece[1, chosen] = max(piece[1, chosen], d)
            piece[2, chosen] = min(piece[2, chosen], z)
            piece[3, chosen] = max(piece[3, chosen], z)
            piece[4, chosen] += 1.0
            piece[6, chosen] = c
        kept = start
        for k in range(start + 1, count):
            is_flat = piece[3, k] - piece[2, k] < _FLAT
            goes_on = 0.0 < piece[5, k] - piece[6, kept] <= 3.0
            is_level = piece[3, kept] - _LEVEL < piece[2, k]
            gap = piece[0, k] - piece[1, kept]
            # A roof is no longer than a car, unless it is that of something tall.
            is_near = piece[0, k] - piece[0, kept] < roof or piece[2, k] > tall
            if is_flat and goes_on and is_level and 0.0 < gap < roof and is_near:
                piece[1, kept] = piece[1, k]
                piece[3, kept] = max(piece[3, kept], piece[3, k])
                piece[4, kept] += piece[4, k]
                piece[6, kept] = piece[6, k]
            else:
                kept += 1
                for value in range(7):
                    piece[value, kept] = piece[value, k]
                column[kept] = column[k]
        count = min(kept + 1, count)
    return count


@kernel
def join(
    step: float,
    gap: float,
    tan_incidence: float,
    reach: int,
    azimuths: int,
    is_full: bool,
    piece: Any,
    column: Any,
    parent: Any,
    label: Any,
) -> int:
    """Which thing each piece belongs to, into `label` (P,), numbered by first appearance. Returns the number of things.

    Pieces at most `reach` columns apart are joined when the gap between them is small; a full circle closes. `parent` (P,) scratch.
    """
    count = column.size
    for k in range(count):
        parent[k] = k
    for lap in range(2 if is_full else 1):
        # The second lap joins the first columns, one turn later, with the last ones.
        first = 0
        for k in range(count):
            at = column[k] + lap * azimuths
            if lap == 1 and at - column[count - 1] > reach:
                break
            while first < count and column[first] < at - reach:
                first += 1
            end = count if lap == 1 else k
            for o in range(first, end):
                allowed = gap
                if column[o] != column[k]:
                    allowed += min(piece[0, k], piece[0, o]) * step / tan_incidence
                if max(piece[0, k], piece[0, o]) - min(piece[1, k], piece[1, o]) < allowed:
                    one = _root(parent, k)
                    two = _root(parent, o)
                    if one != two:
                        parent[max(one, two)] = min(one, two)
    things = 0
    for k in range(count):
        root = _root(parent, k)
        if root == k:
            label[k] = things
            things += 1
        else:
            label[k] = label[root]
    return things


@kernel
def rectangles(
    first: float,
    step: float,
    angles: int,
    reach: int,
    piece: Any,
    column: Any,
    label: Any,
    order: Any,
    begin: Any,
    out: Any,
) -> None:
    """A rectangle around each thing into `out` (10, T): centre x, y, yaw, extents along and across, least and largest height, number
    of points, least distance, and 1 where something nearer begins within `reach` columns beside it or the lowest channel touches it,
    so that a part may be out of sight. `order` (P,): pieces by thing; `begin` (T + 1,): where each thing starts in it. Pieces stand in order of columns.

    Yaw is that of the first side tried, 0..pi/2; sides are told apart later.
    """
    for thing in range(begin.size - 1):
        best = -1.0
        low = 1e9
        high = 0.0
        points = 0.0
        near = 1e9
        for k in range(begin[thing], begin[thing + 1]):
            p = order[k]
            low = min(low, piece[2, p])
            high = max(high, piece[3, p])
            points += piece[4, p]
            near = min(near, piece[0, p])
        for turn in range(angles):
            yaw = 0.5 * np.pi * turn / angles
            c = np.cos(yaw)
            s = np.sin(yaw)
            u0 = 1e9
            u1 = -1e9
            v0 = 1e9
            v1 = -1e9
            for k in range(begin[thing], begin[thing + 1]):
                p = order[k]
                azimuth = first + column[p] * step - yaw
                ca = np.cos(azimuth)
                sa = np.sin(azimuth)
                for end in range(2):
                    u = piece[end, p] * ca
                    v = piece[end, p] * sa
                    u0 = min(u0, u)
                    u1 = max(u1, u)
                    v0 = min(v0, v)
                    v1 = max(v1, v)
            # The two sides that face the sensor.
            side_u = u0 if abs(u0) < abs(u1) else u1
            side_v = v0 if abs(v0) < abs(v1) else v1
            score = 0.0
            for k in range(begin[thing], begin[thing + 1]):
                p = order[k]
                azimuth = first + column[p] * step - yaw
                to_u = abs(piece[0, p] * np.cos(azimuth) - side_u)
                to_v = abs(piece[0, p] * np.sin(azimuth) - side_v)
                score += 1.0 / max(min(to_u, to_v), 0.05)
            if score > best:
                best = score
                u = 0.5 * (u0 + u1)
                v = 0.5 * (v0 + v1)
                out[0, thing] = c * u - s * v
                out[1, thing] = s * u + c * v
                out[2, thing] = yaw
                out[3, thing] = u1 - u0
                out[4, thing] = v1 - v0
        out[5, thing] = low
        out[6, thing] = high
        out[7, thing] = points
        out[8, thing] = near
        out[9, thing] = 0.0
        for k in range(begin[thing], begin[thing + 1]):
            if piece[5, order[k]] == 0.0:
                out[9, thing] = 1.0
        for end in range(2):
            p = order[begin[thing + 1] - 1] if end else order[begin[thing]]
            k = p
            while 0 <= k < column.size and abs(column[k] - column[p]) <= reach:
                if label[k] != thing and piece[0, k] < near:
                    out[9, thing] = 1.0
                k += 1 if end else -1
