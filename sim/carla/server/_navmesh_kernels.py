"""Compiled loops behind the navigation mesh: a triangulation that keeps given edges, what covers it, and convex polygons of it.

Plane coordinates of the triangulation are whole millimetres, so that every question "left or right of" is answered exactly and
the mesh is the same on every machine. Triangles are counter-clockwise in a right-handed plane; edge i of a triangle runs from
corner i to corner i + 1, `near[t, i]` is the triangle beyond it (-1 none) and `held[t, i]` is 1 where the edge is a given one.

Method: incremental insertion with flips after Lawson (1977), given edges by the flips of Sloan (1993). A given edge that meets
another is cut there; one that passes within `reach` of a corner is led through that corner, which closes the small gaps that
road files have at their joints.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.jit import array_helper, array_kernel


@array_helper
def _side(p: Any, a: Any, b: Any, c: Any) -> Any:
    """Twice the area of a b c; positive when c lies left of a -> b."""
    return (p[b, 0] - p[a, 0]) * (p[c, 1] - p[a, 1]) - (p[b, 1] - p[a, 1]) * (p[c, 0] - p[a, 0])


@array_helper
def _in_circle(p: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """True when d is inside the circle through a b c by more than rounding."""
    ax, ay = float(p[a, 0] - p[d, 0]), float(p[a, 1] - p[d, 1])
    bx, by = float(p[b, 0] - p[d, 0]), float(p[b, 1] - p[d, 1])
    cx, cy = float(p[c, 0] - p[d, 0]), float(p[c, 1] - p[d, 1])
    u, v, w = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    det = u * (bx * cy - cx * by) - v * (ax * cy - cx * ay) + w * (ax * by - bx * ay)
    size = u * (abs(bx * cy) + abs(cx * by)) + v * (abs(ax * cy) + abs(cx * ay))
    size += w * (abs(ax * by) + abs(bx * ay))
    return det > 1e-11 * size


@array_helper
def _point_back(near: Any, t: Any, old: Any, new: Any) -> Any:
    if t >= 0:
        for k in range(3):
            if near[t, k] == old:
                near[t, k] = new
                break


@array_helper
def _set(tri: Any, near: Any, held: Any, home: Any, t: Any, row: Any) -> Any:
    """Triangle t from (corners, neighbours, held flags)."""
    for k in range(3):
        tri[t, k] = row[k]
        near[t, k] = row[3 + k]
        held[t, k] = row[6 + k]
        home[row[k]] = t


@array_helper
def _flip(tri: Any, near: Any, held: Any, home: Any, t: Any, i: Any) -> Any:
    """Turns edge i of triangle t, together with the triangle beyond, into the other diagonal."""
    u = near[t, i]
    a, b, c = tri[t, i], tri[t, (i + 1) % 3], tri[t, (i + 2) % 3]
    j = 0
    while tri[u, j] != b or tri[u, (j + 1) % 3] != a:
        j += 1
    d = tri[u, (j + 2) % 3]
    bc, ca = near[t, (i + 1) % 3], near[t, (i + 2) % 3]
    ad, db = near[u, (j + 1) % 3], near[u, (j + 2) % 3]
    h_bc, h_ca = held[t, (i + 1) % 3], held[t, (i + 2) % 3]
    h_ad, h_db = held[u, (j + 1) % 3], held[u, (j + 2) % 3]
    _set(tri, near, held, home, t, (a, d, c, ad, u, ca, h_ad, 0, h_ca))
    _set(tri, near, held, home, u, (d, b, c, db, bc, t, h_db, h_bc, 0))
    _point_back(near, ad, u, t)
    _point_back(near, bc, t, u)


@array_helper
def _settle(
    p: Any, tri: Any, near: Any, held: Any, home: Any, todo: Any, count: Any, v: Any
) -> Any:
    """Flips until every free edge opposite to v, in the triangles of `todo`, is locally Delaunay."""
    while count > 0:
        count -= 1
        t = todo[count]
        k = 0
        while k < 3 and tri[t, k] != v:
            k += 1
        if k == 3:
            continue
        e = (k + 1) % 3
        u = near[t, e]
        if u < 0 or held[t, e]:
            continue
        a, b = tri[t, e], tri[t, (e + 1) % 3]
        j = 0
        while tri[u, j] == a or tri[u, j] == b:
            j += 1
        d = tri[u, j]
        if not _in_circle(p, v, a, b, d):
            continue
        if _side(p, v, a, d) <= 0 or _side(p, v, d, b) <= 0:
            continue
        _flip(tri, near, held, home, t, e)
        if count + 2 < todo.size:
            todo[count] = t
            todo[count + 1] = u
            count += 2


@array_helper
def _split_inside(
    p: Any, tri: Any, near: Any, held: Any, home: Any, num: Any, todo: Any, t: Any, v: Any
) -> Any:
    a, b, c = tri[t, 0], tri[t, 1], tri[t, 2]
    ab, bc, ca = near[t, 0], near[t, 1], near[t, 2]
    h_ab, h_bc, h_ca = held[t, 0], held[t, 1], held[t, 2]
    u, w = num[0], num[0] + 1
    num[0] += 2
    _set(tri, near, held, home, t, (a, b, v, ab, u, w, h_ab, 0, 0))
    _set(tri, near, held, home, u, (b, c, v, bc, w, t, h_bc, 0, 0))
    _set(tri, near, held, home, w, (c, a, v, ca, t, u, h_ca, 0, 0))
    _point_back(near, bc, t, u)
    _point_back(near, ca, t, w)
    todo[0], todo[1], todo[2] = t, u, w
    _settle(p, tri, near, held, home, todo, 3, v)


@array_helper
def _split_edge(
    p: Any, tri: Any, near: Any, held: Any, home: Any, num: Any, todo: Any, t: Any, i: Any, v: Any
) -> Any:
    """Puts v on edge i of t; both halves stay held if the edge was."""
    u = near[t, i]
    a, b, c = tri[t, i], tri[t, (i + 1) % 3], tri[t, (i + 2) % 3]
    j = 0
    while tri[u, j] != b or tri[u, (j + 1) % 3] != a:
        j += 1
    d = tri[u, (j + 2) % 3]
    h = held[t, i]
    bc, ca = near[t, (i + 1) % 3], near[t, (i + 2) % 3]
    ad, db = near[u, (j + 1) % 3], near[u, (j + 2) % 3]
    h_bc, h_ca = held[t, (i + 1) % 3], held[t, (i + 2) % 3]
    h_ad, h_db = held[u, (j + 1) % 3], held[u, (j + 2) % 3]
    t2, u2 = num[0], num[0] + 1
    num[0] += 2
    _set(tri, near, held, home, t, (a, v, c, u, t2, ca, h, 0, h_ca))
    _set(tri, near, held, home, t2, (v, b, c, u2, bc, t, h, h_bc, 0))
    _set(tri, near, held, home, u, (v, a, d, t, ad, u2, h, h_ad, 0))
    _set(tri, near, held, home, u2, (b, v, d, t2, u, db, h, 0, h_db))
    _point_back(near, bc, t, t2)
    _point_back(near, db, u, u2)
    todo[0], todo[1], todo[2], todo[3] = t, t2, u, u2
    _settle(p, tri, near, held, home, todo, 4, v)


@array_helper
def _find(tri: Any, near: Any, home: Any, a: Any, b: Any) -> Any:
    """Triangle with the directed edge a -> b and the number of that edge, as t * 3 + i; -1 when there is none."""
    t = start = home[a]
    while True:
        k = 0
        while tri[t, k] != a:
            k += 1
        if tri[t, (k + 1) % 3] == b:
            return t * 3 + k
        t = near[t, (k + 2) % 3]
        if t < 0 or t == start:
            return -1


@array_helper
def _beside(p: Any, a: Any, b: Any, c: Any, reach: Any) -> Any:
    """True when c lies between a and b, within `reach` of the line and nearer to either than they are to each other."""
    dx, dy = float(p[b, 0] - p[a, 0]), float(p[b, 1] - p[a, 1])
    ex, ey = float(p[c, 0] - p[a, 0]), float(p[c, 1] - p[a, 1])
    length2 = dx * dx + dy * dy
    along = dx * ex + dy * ey
    if along <= 0.0 or along >= length2:
        return False
    cross = dx * ey - dy * ex
    if cross * cross > reach * reach * length2:
        return False
    fx, fy = ex - dx, ey - dy
    return ex * ex + ey * ey < length2 and fx * fx + fy * fy < length2


@array_helper
def _hold(tri: Any, near: Any, held: Any, home: Any, a: Any, b: Any) -> Any:
    """Marks a - b as given; False when the triangulation has no such edge."""
    found = False
    for _ in range(2):
        at = _find(tri, near, home, a, b)
        if at >= 0:
            held[at // 3, at % 3] = 1
            found = True
        a, b = b, a
    return found


@array_helper
def _turn_to(
    p: Any, tri: Any, near: Any, held: Any, home: Any, queue: Any, count: Any, a: Any, b: Any
) -> Any:
    """Flips the free edges in `queue` (pairs of corners) away from a - b."""
    size = queue.shape[0]
    first, left, tries = 0, count, 0
    while left > 0 and tries < 200 + 40 * count:
        tries += 1
        q0, q1 = queue[first, 0], queue[first, 1]
        first = (first + 1) % size
        left -= 1
        at = _find(tri, near, home, q0, q1)
        if at < 0:
            continue
        t, i = at // 3, at % 3
        u = near[t, i]
        r = tri[t, (i + 2) % 3]
        k = 0
        while tri[u, k] == q0 or tri[u, k] == q1:
            k += 1
        s = tri[u, k]
        again0, again1 = q0, q1
        if _side(p, r, q0, s) > 0 and _side(p, s, q1, r) > 0:
            _flip(tri, near, held, home, t, i)
            if r in (a, b) or s in (a, b):
                continue
            if (_side(p, a, b, r) > 0) == (_side(p, a, b, s) > 0):
                continue
            again0, again1 = r, s
        queue[(first + left) % size, 0] = again0
        queue[(first + left) % size, 1] = again1
        left += 1


@array_helper
def _cut(
    p: Any,
    z: Any,
    tri: Any,
    near: Any,
    held: Any,
    home: Any,
    num: Any,
    todo: Any,
    t: Any,
    e: Any,
    a: Any,
    b: Any,
    reach: Any,
) -> Any:
    """The corner at which a - b passes the given edge e of t: one of its ends when close, else a new corner on it.

    Returns a or b where the given edge has been moved to that end instead; a - b has to be looked at again.
    """
    q0, q1 = tri[t, e], tri[t, (e + 1) % 3]
    d0, d1 = float(_side(p, a, b, q0)), float(_side(p, a, b, q1))
    f = d0 / (d0 - d1)
    x = p[q0, 0] + f * (p[q1, 0] - p[q0, 0])
    y = p[q0, 1] + f * (p[q1, 1] - p[q0, 1])
    near0 = math.hypot(x - p[q0, 0], y - p[q0, 1])
    near1 = math.hypot(x - p[q1, 0], y - p[q1, 1])
    closest = q0 if near0 <= near1 else q1
    if min(near0, near1) <= reach or num[1] >= p.shape[0] - 3 or num[0] + 2 > tri.shape[0]:
        return closest
    v = num[1]
    p[v, 0], p[v, 1] = round(x), round(y)
    u = near[t, e]
    k = 0
    while tri[u, k] == q0 or tri[u, k] == q1:
        k += 1
    c, d = tri[t, (e + 2) % 3], tri[u, k]
    inside = (
        _side(p, q0, v, c) > 0 and _side(p, v, q1, c) > 0
        and _side(p, v, q0, d) > 0 and _side(p, q1, v, d) > 0
    )  # fmt: skip
    if not inside:  # the triangle is thinner than rounding: its tip is where the edges meet
        best = min(near0, near1)
        for tip in (c, d):
            off = math.hypot(x - p[tip, 0], y - p[tip, 1])
            if off < best:
                best, closest = off, tip
        if closest in (
            a,
            b,
        ):  # an end of a - b all but lies on the given edge: that one is led through it
            held[t, e] = 0
            held[u, (k + 1) % 3] = 0
            _hold(tri, near, held, home, q0, closest)
            _hold(tri, near, held, home, closest, q1)
        return closest
    z[v] = z[q0] + f * (z[q1] - z[q0])
    num[1] += 1
    _split_edge(p, tri, near, held, home, num, todo, t, e, v)
    return v


@array_kernel
def triangulate(
    p: Any,
    z: Any,
    num_points: Any,
    order: Any,
    given: Any,
    reach: Any,
    tri: Any,
    near: Any,
    held: Any,
) -> Any:
    """Triangulates p[:num_points] and the `given` edges (pairs of points); returns (triangles, points, edges given up).

    `p` (int64) and `z` have room for corners that crossings add and end with three rows for the frame around everything, which
    stays in `tri` with those last three numbers. `order` is the order of insertion: neighbours one after the other.
    """
    room = p.shape[0] - 3
    home = np.full(p.shape[0], -1, np.int64)
    todo = np.zeros(4096, np.int64)
    num = np.zeros(2, np.int64)
    _set(tri, near, held, home, 0, (room, room + 1, room + 2, -1, -1, -1, 0, 0, 0))
    num[0] = 1
    t = 0
    for n in range(order.size):
        v = order[n]
        t = min(t, num[0] - 1)
        moving, steps = True, 0
        while moving:
            moving = False
            steps += 1
            for i in range(3):
                if _side(p, tri[t, i], tri[t, (i + 1) % 3], v) < 0:
                    t = near[t, i]
                    moving = True
                    break
            if steps > 4 * num[0] + 100:
                break
        on = -1
        for i in range(3):
            if _side(p, tri[t, i], tri[t, (i + 1) % 3], v) == 0:
                on = i
        if on < 0:
            _split_inside(p, tri, near, held, home, num, todo, t, v)
        elif tri[t, on] != v:
            _split_edge(p, tri, near, held, home, num, todo, t, on, v)
        t = home[v]
    num[1] = num_points
    # Crossings number their corners from num_points up to `room`; the frame's rows follow.
    pairs = np.zeros((4096, 2), np.int64)
    queue = np.zeros((4096, 2), np.int64)
    dropped = 0
    for g in range(given.shape[0]):
        pairs[0, 0], pairs[0, 1] = given[g, 0], given[g, 1]
        waiting, turns = 1, 0
        while waiting > 0:
            turns += 1
            if turns > 2000 or waiting + 2 > pairs.shape[0]:
                dropped += 1
                break
            waiting -= 1
            a, b = pairs[waiting, 0], pairs[waiting, 1]
            if a == b or _hold(tri, near, held, home, a, b):
                continue
            # Turn around a until the triangle that a -> b leaves through.
            t = start = home[a]
            via, e = -1, -1
            while True:
                k = 0
                while tri[t, k] != a:
                    k += 1
                q0, q1 = tri[t, (k + 1) % 3], tri[t, (k + 2) % 3]
                if q0 < room and _beside(p, a, b, q0, reach):
                    via = q0
                    break
                if _side(p, a, b, q0) < 0 and _side(p, a, b, q1) > 0:
                    e = (k + 1) % 3
                    # The corner may still be close: it is looked at first when its own triangle comes up.
                    if q1 < room and _beside(p, a, b, q1, reach):
                        via = q1
                    break
                t = near[t, (k + 2) % 3]
                if t < 0 or t == start:
                    break
            if via < 0 and e < 0:
                dropped += 1
                continue
            crossed = 0
            while via < 0:
                q0, q1 = tri[t, e], tri[t, (e + 1) % 3]
                if held[t, e]:
                    via = _cut(p, z, tri, near, held, home, num, todo, t, e, a, b, reach)
                    break
                if crossed >= queue.shape[0]:
                    break
                queue[crossed, 0], queue[crossed, 1] = q0, q1
                crossed += 1
                u = near[t, e]
                j = 0
                while tri[u, j] != q1 or tri[u, (j + 1) % 3] != q0:
                    j += 1
                d = tri[u, (j + 2) % 3]
                if d == b:
                    break
                if d < room and _beside(p, a, b, d, reach):
                    via = d
                    break
                t = u
                e = (j + 1) % 3 if _side(p, a, b, d) > 0 else (j + 2) % 3
            if via in (a, b):
                pairs[waiting, 0], pairs[waiting, 1] = a, b
                waiting += 1
                continue
            if via >= 0:
                pairs[waiting, 0], pairs[waiting, 1] = via, b
                pairs[waiting + 1, 0], pairs[waiting + 1, 1] = a, via
                waiting += 2
                continue
            _turn_to(p, tri, near, held, home, queue, crossed, a, b)
            if not _hold(tri, near, held, home, a, b):
                dropped += 1
    return num[0], num[1], dropped


@array_kernel
def covered_by(p: Any, tri: Any, source: Any, bit: Any, cell: Any, mask: Any) -> Any:
    """mask[t]: the `bit`s of all source triangles (rows of three points) that the middle of triangle t lies in."""
    low = np.array([p[:, 0].min(), p[:, 1].min()])
    nx = (p[:, 0].max() - low[0]) // cell + 1
    ny = (p[:, 1].max() - low[1]) // cell + 1
    start = np.zeros(nx * ny + 1, np.int64)
    rows = np.zeros(0, np.int64)
    for fill in range(2):
        for k in range(source.shape[0]):
            x0 = min(p[source[k, 0], 0], p[source[k, 1], 0], p[source[k, 2], 0]) - low[0]
            x1 = max(p[source[k, 0], 0], p[source[k, 1], 0], p[source[k, 2], 0]) - low[0]
            y0 = min(p[source[k, 0], 1], p[source[k, 1], 1], p[source[k, 2], 1]) - low[1]
            y1 = max(p[source[k, 0], 1], p[source[k, 1], 1], p[source[k, 2], 1]) - low[1]
            for cx in range(x0 // cell, x1 // cell + 1):
                for cy in range(y0 // cell, y1 // cell + 1):
                    c = cx * ny + cy
                    if fill == 0:
                        start[c + 1] += 1
                    else:
                        start[c] -= 1
                        rows[start[c]] = k
        if fill == 0:
            for c in range(nx * ny):
                start[c + 1] += start[c]
            rows = np.zeros(start[nx * ny], np.int64)
            for c in range(nx * ny):  # so that filling backwards ends at the true starts
                start[c] = start[c + 1]
    for t in range(tri.shape[0]):
        a, b, c = tri[t, 0], tri[t, 1], tri[t, 2]
        mx = (p[a, 0] + p[b, 0] + p[c, 0]) / 3.0
        my = (p[a, 1] + p[b, 1] + p[c, 1]) / 3.0
        at = int((mx - low[0]) // cell) * ny + int((my - low[1]) // cell)
        found = 0
        for r in range(start[at], start[at + 1]):
            k = rows[r]
            left, right, area = False, False, _side(p, source[k, 0], source[k, 1], source[k, 2])
            if area == 0:
                continue
            for i in range(3):
                u, v = source[k, i], source[k, (i + 1) % 3]
                side = (p[v, 0] - p[u, 0]) * (my - p[u, 1]) - (p[v, 1] - p[u, 1]) * (mx - p[u, 0])
                left = left or side > 0.0
                right = right or side < 0.0
            if not (left and right):
                found |= bit[k]
        mask[t] = found


@array_kernel
def merge(
    p: Any, tri: Any, near: Any, kind: Any, edge_t: Any, edge_i: Any, ring: Any, size: Any
) -> Any:
    """Joins neighbouring triangles of one kind into convex polygons of at most six corners, edge by edge in the order given.

    `ring` (T, 6) and `size` (T,) leave with the polygons; size is 0 where a triangle went into another.
    """
    owner = np.arange(tri.shape[0])
    for t in range(tri.shape[0]):
        size[t] = 3 if kind[t] > 0 else 0
        for k in range(3):
            ring[t, k] = tri[t, k]
    joined = np.zeros(16, np.int64)
    for n in range(edge_t.size):
        t, i = edge_t[n], edge_i[n]
        a, b = tri[t, i], tri[t, (i + 1) % 3]
        f = t
        while owner[f] != f:
            f = owner[f]
        g = near[t, i]
        while owner[g] != g:
            g = owner[g]
        if f == g or size[f] + size[g] > 10:
            continue
        i, j = 0, 0
        while ring[f, i] != a or ring[f, (i + 1) % size[f]] != b:
            i += 1
        while ring[g, j] != b or ring[g, (j + 1) % size[g]] != a:
            j += 1
        m = 0
        for k in range(size[f]):  # from b round to a
            joined[m] = ring[f, (i + 1 + k) % size[f]]
            m += 1
        for k in range(size[g] - 2):  # beyond a, up to before b
            joined[m] = ring[g, (j + 2 + k) % size[g]]
            m += 1
        k = 0
        while k < m and m > 3:  # the two met along more than one edge: what lies between folds flat
            if joined[(k + m - 1) % m] == joined[(k + 1) % m]:
                skip, m2 = (k + 1) % m, 0
                for r in range(m):
                    if r not in (k, skip):
                        joined[m2] = joined[r]
                        m2 += 1
                m = m2
                k = 0
            else:
                k += 1
        if m > 6:
            continue
        good = True
        for k in range(m):
            if _side(p, joined[(k + m - 1) % m], joined[k], joined[(k + 1) % m]) < 0:
                good = False
        if not good:
            continue
        for k in range(m):
            ring[f, k] = joined[k]
        size[f], size[g] = m, 0
        owner[g] = f
