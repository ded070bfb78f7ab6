"""Kernels of `conflicts.py`: which lane bodies overlap inside each junction, and where.

A lane body is a chain of quads between consecutive centre-line samples. Two quads are intersected
exactly (Sutherland-Hodgman clipping of convex polygons) and the corners of the intersection are
projected on either chord, so the answer does not depend on the sampling step.
"""

from __future__ import annotations

from typing import Any

from protocols.jit import helper, kernel

AREA_M2 = 1e-6  # smaller intersections are shared edges, not overlaps


@helper
def _clip(quad: Any, i: int, j: int, poly: Any, spare: Any) -> Any:
    """Intersection of quad j with quad i: number of corners written to `poly`."""
    n = 4
    for k in range(4):
        poly[k, 0] = quad[j, k, 0]
        poly[k, 1] = quad[j, k, 1]
    for edge in range(4):
        ax, ay = quad[i, edge, 0], quad[i, edge, 1]
        dx, dy = quad[i, (edge + 1) % 4, 0] - ax, quad[i, (edge + 1) % 4, 1] - ay
        m = 0
        for k in range(n):
            px, py = poly[k, 0], poly[k, 1]
            qx, qy = poly[(k + 1) % n, 0], poly[(k + 1) % n, 1]
            p_in = dx * (py - ay) - dy * (px - ax)
            q_in = dx * (qy - ay) - dy * (qx - ax)
            if p_in >= 0.0:
                spare[m, 0] = px
                spare[m, 1] = py
                m += 1
            if (p_in >= 0.0) != (q_in >= 0.0):
                w = p_in / (p_in - q_in)
                spare[m, 0] = px + w * (qx - px)
                spare[m, 1] = py + w * (qy - py)
                m += 1
        n = m
        if n < 3:
            return 0
        for k in range(n):
            poly[k, 0] = spare[k, 0]
            poly[k, 1] = spare[k, 1]
    double_area = 0.0
    for k in range(n):
        q = (k + 1) % n
        double_area += poly[k, 0] * poly[q, 1] - poly[q, 0] * poly[k, 1]
    return n if double_area > 2.0 * AREA_M2 else 0


@kernel
def overlaps(
    start: Any, member: Any, neighbour: Any, lane_box: Any, point_start: Any, s_m: Any, xy_m: Any,
    quad: Any, box: Any, poly: Any, spare: Any, pair: Any, span: Any,
) -> Any:  # fmt: skip
    """Number of overlapping pairs; as many as fit are written to `pair` and `span`.

    `start`, `member`: CSR of lanes by junction. Lanes with the same `neighbour` label ride side by
    side and are never paired. `lane_box` (L, 4), `box` (P, 4): low x, low y, high x, high y of a
    lane and of the quad that begins at a sample; `quad` (P, 4, 2): its corners counter-clockwise.
    Out: `pair` (n, 2) lanes in list order; `span` (n, 4) s_in, s_out on the first and the second.
    """
    count = 0
    for junction in range(start.size - 1):
        for e in range(start[junction], start[junction + 1]):
            a = member[e]
            for f in range(e + 1, start[junction + 1]):
                b = member[f]
                if neighbour[a] == neighbour[b]:
                    continue
                if lane_box[a, 0] >= lane_box[b, 2] or lane_box[b, 0] >= lane_box[a, 2]:
                    continue
                if lane_box[a, 1] >= lane_box[b, 3] or lane_box[b, 1] >= lane_box[a, 3]:
                    continue
                a_in, a_out, b_in, b_out = 1e300, -1e300, 1e300, -1e300
                for i in range(point_start[a], point_start[a + 1] - 1):
                    if box[i, 0] >= lane_box[b, 2] or lane_box[b, 0] >= box[i, 2]:
                        continue
                    if box[i, 1] >= lane_box[b, 3] or lane_box[b, 1] >= box[i, 3]:
                        continue
                    for j in range(point_start[b], point_start[b + 1] - 1):
                        if box[i, 0] >= box[j, 2] or box[j, 0] >= box[i, 2]:
                            continue
                        if box[i, 1] >= box[j, 3] or box[j, 1] >= box[i, 3]:
                            continue
                        corners = _clip(quad, i, j, poly, spare)
                        for side in range(2):
                            o = i if side == 0 else j
                            ux, uy = xy_m[o + 1, 0] - xy_m[o, 0], xy_m[o + 1, 1] - xy_m[o, 1]
                            norm = ux * ux + uy * uy
                            if norm <= 0.0:
                                continue
                            for k in range(corners):
                                w = (poly[k, 0] - xy_m[o, 0]) * ux + (poly[k, 1] - xy_m[o, 1]) * uy
                                w = min(1.0, max(0.0, w / norm))
                                s = s_m[o] + w * (s_m[o + 1] - s_m[o])
                                if side == 0:
                                    a_in, a_out = min(a_in, s), max(a_out, s)
                                else:
                                    b_in, b_out = min(b_in, s), max(b_out, s)
                if a_out <= a_in or b_out <= b_in:
                    continue
                if count < pair.shape[0]:
                    pair[count, 0] = a
                    pair[count, 1] = b
                    span[count, 0] = a_in
                    span[count, 1] = a_out
                    span[count, 2] = b_in
                    span[count, 3] = b_out
                count += 1
    return count
