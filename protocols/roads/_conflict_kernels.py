"""Kernels of `conflicts.py`: which lane bodies overlap inside each junction, and where.

A lane body is a chain of quads between consecutive centre-line samples; the corners lie across the
travel direction at `half_m` from the centre. Two quads are intersected exactly (Sutherland-Hodgman
clipping of convex polygons) and the corners of the intersection are projected on either chord, so
the answer does not depend on the sampling step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def body_corners(x_m: Any, y_m: Any, yaw_rad: Any, half_m: Any) -> Any:
    """(P, 4) left x, left y, right x, right y of every sample."""
    out = np.empty((x_m.size, 4))
    for i in range(x_m.size):
        nx = -np.sin(yaw_rad[i]) * half_m[i]
        ny = np.cos(yaw_rad[i]) * half_m[i]
        out[i, 0] = x_m[i] + nx
        out[i, 1] = y_m[i] + ny
        out[i, 2] = x_m[i] - nx
        out[i, 3] = y_m[i] - ny
    return out


@njit(cache=True)
def _clip(corners: Any, i: int, j: int, poly: Any, spare: Any) -> Any:
    """Intersection of quad j with quad i: number of corners written to `poly`."""
    # Quad k counter-clockwise: right k, right k+1, left k+1, left k.
    poly[0, 0], poly[0, 1] = corners[j, 2], corners[j, 3]
    poly[1, 0], poly[1, 1] = corners[j + 1, 2], corners[j + 1, 3]
    poly[2, 0], poly[2, 1] = corners[j + 1, 0], corners[j + 1, 1]
    poly[3, 0], poly[3, 1] = corners[j, 0], corners[j, 1]
    n = 4
    for edge in range(4):
        if edge == 0:
            ax, ay, bx, by = corners[i, 2], corners[i, 3], corners[i + 1, 2], corners[i + 1, 3]
        elif edge == 1:
            ax, ay, bx, by = (
                corners[i + 1, 2], corners[i + 1, 3], corners[i + 1, 0], corners[i + 1, 1],
            )  # fmt: skip
        elif edge == 2:
            ax, ay, bx, by = corners[i + 1, 0], corners[i + 1, 1], corners[i, 0], corners[i, 1]
        else:
            ax, ay, bx, by = corners[i, 0], corners[i, 1], corners[i, 2], corners[i, 3]
        dx, dy = bx - ax, by - ay
        m = 0
        for k in range(n):
            px, py = poly[k, 0], poly[k, 1]
            qx, qy = poly[(k + 1) % n, 0], poly[(k + 1) % n, 1]
            p_in = dx * (py - ay) - dy * (px - ax)
            q_in = dx * (qy - ay) - dy * (qx - ax)
            if p_in >= 0.0:
                spare[m, 0], spare[m, 1] = px, py
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
            poly[k, 0], poly[k, 1] = spare[k, 0], spare[k, 1]
    area = 0.0
    for k in range(n):
        q = (k + 1) % n
        area += poly[k, 0] * poly[q, 1] - poly[q, 0] * poly[k, 1]
    return n if area > 2e-6 else 0


@njit(cache=True)
def overlaps(
    start: Any, member: Any, point_start: Any, s_m: Any, x_m: Any, y_m: Any, yaw_rad: Any,
    half_m: Any, neighbour: Any,
) -> Any:  # fmt: skip
    """Rows of overlapping pairs: ((n, 2) int32 lanes a < b in list order, (n, 4) s_in, s_out on a
    and b).

    `start`, `member`: CSR of lanes by junction. Lanes with the same `neighbour` label ride side by
    side on one road in one direction and are never paired.
    """
    corners = body_corners(x_m, y_m, yaw_rad, half_m)
    box = np.empty((x_m.size, 4))  # of the quad that begins at the sample
    lane_box = np.empty((member.size, 4))
    for e in range(member.size):
        lane_box[e, 0], lane_box[e, 1], lane_box[e, 2], lane_box[e, 3] = (
            1e300,
            1e300,
            -1e300,
            -1e300,
        )
        for i in range(point_start[member[e]], point_start[member[e] + 1] - 1):
            box[i, 0] = min(corners[i, 0], corners[i, 2], corners[i + 1, 0], corners[i + 1, 2])
            box[i, 1] = min(corners[i, 1], corners[i, 3], corners[i + 1, 1], corners[i + 1, 3])
            box[i, 2] = max(corners[i, 0], corners[i, 2], corners[i + 1, 0], corners[i + 1, 2])
            box[i, 3] = max(corners[i, 1], corners[i, 3], corners[i + 1, 1], corners[i + 1, 3])
            lane_box[e, 0] = min(lane_box[e, 0], box[i, 0])
            lane_box[e, 1] = min(lane_box[e, 1], box[i, 1])
            lane_box[e, 2] = max(lane_box[e, 2], box[i, 2])
            lane_box[e, 3] = max(lane_box[e, 3], box[i, 3])
    pair = np.empty((256, 2), np.int32)
    span = np.empty((256, 4))
    poly = np.empty((16, 2))
    spare = np.empty((16, 2))
    n = 0
    for junction in range(start.size - 1):
        for e in range(start[junction], start[junction + 1]):
            a = member[e]
            for f in range(e + 1, start[junction + 1]):
                b = member[f]
                if neighbour[a] == neighbour[b]:
                    continue
                if (
                    lane_box[e, 0] >= lane_box[f, 2] or lane_box[f, 0] >= lane_box[e, 2]
                    or lane_box[e, 1] >= lane_box[f, 3] or lane_box[f, 1] >= lane_box[e, 3]
                ):  # fmt: skip
                    continue
                a_in, a_out, b_in, b_out = 1e300, -1e300, 1e300, -1e300
                for i in range(point_start[a], point_start[a + 1] - 1):
                    if (
                        box[i, 0] >= lane_box[f, 2] or lane_box[f, 0] >= box[i, 2]
                        or box[i, 1] >= lane_box[f, 3] or lane_box[f, 1] >= box[i, 3]
                    ):  # fmt: skip
                        continue
                    for j in range(point_start[b], point_start[b + 1] - 1):
                        if (
                            box[i, 0] >= box[j, 2] or box[j, 0] >= box[i, 2]
                            or box[i, 1] >= box[j, 3] or box[j, 1] >= box[i, 3]
                        ):  # fmt: skip
                            continue
                        corner_count = _clip(corners, i, j, poly, spare)
                        for side in range(2):
                            o = i if side == 0 else j
                            ux, uy = x_m[o + 1] - x_m[o], y_m[o + 1] - y_m[o]
                            norm = ux * ux + uy * uy
                            if norm <= 0.0:
                                continue
                            for k in range(corner_count):
                                w = ((poly[k, 0] - x_m[o]) * ux + (poly[k, 1] - y_m[o]) * uy) / norm
                                s = s_m[o] + min(1.0, max(0.0, w)) * (s_m[o + 1] - s_m[o])
                                if side == 0:
                                    a_in, a_out = min(a_in, s), max(a_out, s)
                                else:
                                    b_in, b_out = min(b_in, s), max(b_out, s)
                if a_out <= a_in or b_out <= b_in:
                    continue
                if n == pair.shape[0]:
                    wider_pair = np.empty((2 * n, 2), np.int32)
                    wider_span = np.empty((2 * n, 4))
                    # Row by row: a slice assignment would compile its own error text, 2 s of it.
                    for k in range(n):
                        wider_pair[k, 0], wider_pair[k, 1] = pair[k, 0], pair[k, 1]
                        for c in range(4):
                            wider_span[k, c] = span[k, c]
                    pair, span = wider_pair, wider_span
                pair[n, 0], pair[n, 1] = a, b
                span[n, 0], span[n, 1], span[n, 2], span[n, 3] = a_in, a_out, b_in, b_out
                n += 1
    return pair[:n].copy(), span[:n].copy()
