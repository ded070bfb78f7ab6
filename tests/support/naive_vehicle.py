"""Slow, obvious versions of what the vehicle kernels do: candidate geometry, separation of boxes, the joint along a path.

Written from the definitions with numpy's polynomial solver and finite differences; shares no code with `vehicle`.
"""

from __future__ import annotations

from math import atan2, cos, hypot, sin

import numpy as np

from vehicle.planning import ReferencePath


def solve_polynomial(
    start: tuple[float, float, float], end: tuple[float | None, float, float], length: float
) -> np.polynomial.Polynomial:  # fmt: skip
    """Polynomial with given value, slope, second derivative at 0 and at `length`; end value None: left free (quartic)."""
    conditions = [(0.0, 0, start[0]), (0.0, 1, start[1]), (0.0, 2, start[2])]
    conditions += [(length, i, end[i]) for i in range(3) if end[i] is not None]  # type: ignore[misc]
    n = len(conditions)
    matrix, right = np.zeros((n, n)), np.zeros(n)
    for row, (at, order, value) in enumerate(conditions):
        for power in range(order, n):
            factor = 1.0
            for k in range(order):
                factor *= power - k
            matrix[row, power] = factor * at ** (power - order)
        right[row] = value
    return np.polynomial.Polynomial(np.linalg.solve(matrix, right))


def offset_point(path: ReferencePath, s: float, d: float) -> tuple[float, float]:
    """World point `d` left of the path at `s`."""
    x = float(np.interp(s, path.s_m, path.x_m))
    y = float(np.interp(s, path.s_m, path.y_m))
    yaw = float(np.interp(s, path.s_m, path.yaw_rad))
    return x - d * sin(yaw), y + d * cos(yaw)


def curvature_of_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Curvature of a densely sampled curve from its circumscribed circles, at the inner points."""
    ax, ay = x[1:-1] - x[:-2], y[1:-1] - y[:-2]
    bx, by = x[2:] - x[1:-1], y[2:] - y[1:-1]
    cx, cy = x[2:] - x[:-2], y[2:] - y[:-2]
    cross = ax * by - ay * bx
    return np.asarray(2.0 * cross / (np.hypot(ax, ay) * np.hypot(bx, by) * np.hypot(cx, cy)))


def box_corners(
    x: float, y: float, yaw: float, half_length: float, half_width: float
) -> np.ndarray:
    """(4, 2) corners, counter-clockwise."""
    c, s = cos(yaw), sin(yaw)
    return np.array(
        [
            (
                x + c * u * half_length - s * w * half_width,
                y + s * u * half_length + c * w * half_width,
            )
            for u, w in ((1, 1), (-1, 1), (-1, -1), (1, -1))
        ]
    )


def polygons_overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Clip polygon a by the half planes of convex b (Sutherland-Hodgman); overlap when area is left."""
    polygon = [tuple(p) for p in a]
    for i in range(len(b)):
        p, q = b[i], b[(i + 1) % len(b)]

        def inside(point: tuple[float, ...], p: np.ndarray = p, q: np.ndarray = q) -> float:
            return float((q[0] - p[0]) * (point[1] - p[1]) - (q[1] - p[1]) * (point[0] - p[0]))

        kept = []
        for j, here in enumerate(polygon):
            before = polygon[j - 1]
            u, w = inside(before), inside(here)
            if (u >= 0) != (w >= 0):
                t = u / (u - w)
                kept.append(tuple(before[k] + t * (here[k] - before[k]) for k in range(2)))
            if w >= 0:
                kept.append(here)
        polygon = kept
        if not polygon:
            return False
    area = 0.0
    for j, here in enumerate(polygon):
        before = polygon[j - 1]
        area += before[0] * here[1] - here[0] * before[1]
    return abs(area) > 1e-12


def trailer_yaw(
    x: np.ndarray, y: np.ndarray, yaw: np.ndarray, hitch_a: float, rear_base: float, joint: float
) -> np.ndarray:  # fmt: skip
    """Yaw of a drawn section while the joint moves along: its axle is pulled straight towards the joint, in tiny steps."""
    out = np.empty(x.size)
    rear = float(yaw[0]) - joint
    jx, jy = x[0] - hitch_a * cos(yaw[0]), y[0] - hitch_a * sin(yaw[0])
    axle = (jx - rear_base * cos(rear), jy - rear_base * sin(rear))
    for i in range(x.size):
        jx, jy = x[i] - hitch_a * cos(yaw[i]), y[i] - hitch_a * sin(yaw[i])
        rear = atan2(jy - axle[1], jx - axle[0])
        far = hypot(jx - axle[0], jy - axle[1])
        pull = far - rear_base
        axle = (axle[0] + pull * cos(rear), axle[1] + pull * sin(rear))
        out[i] = rear
    return out
