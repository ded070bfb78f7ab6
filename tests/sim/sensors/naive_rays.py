"""Slow, obvious rays: each one alone, in three dimensions, against every face. The oracle of `sim.sensors._ray_kernels`."""

from __future__ import annotations

import math

import numpy as np

Prism = tuple[
    float, float, float, float, float, float
]  # cx, cy, yaw, half length, half width, height
Wall = tuple[float, float, float, float, float]  # x0, y0, x1, y1, height
Point = tuple[float, float, float]


def in_prism(point: Point, prism: Prism) -> bool:
    """Whether a point lies inside an upright box on the road."""
    cx, cy, yaw, half_length, half_width, height = prism
    dx, dy = point[0] - cx, point[1] - cy
    u = dx * math.cos(yaw) + dy * math.sin(yaw)
    v = -dx * math.sin(yaw) + dy * math.cos(yaw)
    return abs(u) < half_length and abs(v) < half_width and 0.0 <= point[2] < height


def hit_prism(origin: Point, way: Point, prism: Prism) -> float:
    """Length of the ray until the box, by slabs in three dimensions; inf when it misses."""
    cx, cy, yaw, half_length, half_width, height = prism
    c, s = math.cos(yaw), math.sin(yaw)
    dx, dy = origin[0] - cx, origin[1] - cy
    start = (dx * c + dy * s, -dx * s + dy * c, origin[2])
    along = (way[0] * c + way[1] * s, -way[0] * s + way[1] * c, way[2])
    low, high = (-half_length, -half_width, 0.0), (half_length, half_width, height)
    enter, leave = 0.0, math.inf
    for axis in range(3):
        if abs(along[axis]) < 1e-15:
            if not low[axis] <= start[axis] <= high[axis]:
                return math.inf
            continue
        one = (low[axis] - start[axis]) / along[axis]
        two = (high[axis] - start[axis]) / along[axis]
        enter, leave = max(enter, min(one, two)), min(leave, max(one, two))
    return enter if enter <= leave else math.inf


def hit_wall(origin: Point, way: Point, wall: Wall) -> float:
    """Length of the ray until the wall; inf when it misses."""
    x0, y0, x1, y1, height = wall
    matrix = np.array([[way[0], x0 - x1], [way[1], y0 - y1]])
    if abs(np.linalg.det(matrix)) < 1e-12:
        return math.inf
    length, share = np.linalg.solve(matrix, np.array([x0 - origin[0], y0 - origin[1]]))
    z = origin[2] + length * way[2]
    return (
        float(length) if length > 0.0 and 0.0 <= share <= 1.0 and 0.0 <= z <= height else math.inf
    )


def first_hit(
    origin: Point, way: Point, prisms: list[Prism], walls: list[Wall]
) -> tuple[float, int]:
    """(length, what): a box's index, -3 a wall, -2 the road, -1 nothing."""
    best, what = math.inf, -1
    if way[2] < 0.0:
        best, what = -origin[2] / way[2], -2
    for wall in walls:
        length = hit_wall(origin, way, wall)
        if length < best:
            best, what = length, -3
    for k, prism in enumerate(prisms):
        length = hit_prism(origin, way, prism)
        if length < best:
            best, what = length, k
    return best, what


def is_clear(origin: Point, target: Point, prisms: list[Prism], walls: list[Wall]) -> bool:
    """Whether nothing stands between two points."""
    gap = np.array(target) - np.array(origin)
    length = float(np.linalg.norm(gap))
    way = tuple(gap / length)
    blocked = any(hit_wall(origin, way, wall) < length - 1e-6 for wall in walls)
    return not blocked and not any(hit_prism(origin, way, p) < length - 1e-6 for p in prisms)


def is_any_part_in_sight(
    origin: Point, prism: Prism, others: list[Prism], walls: list[Wall], steps: int = 15
) -> bool:
    """Whether a dense grid on the box's surface has one point in sight."""
    cx, cy, yaw, half_length, half_width, height = prism
    c, s = math.cos(yaw), math.sin(yaw)
    grid = np.linspace(-1.0, 1.0, steps)
    for u in grid:
        for v in grid:
            if max(abs(u), abs(v)) < 1.0 - 1e-9:
                continue  # not on the outline
            x = cx + u * half_length * c - v * half_width * s
            y = cy + u * half_length * s + v * half_width * c
            for z in np.linspace(0.0, height, steps):
                if is_clear(origin, (x, y, float(z)), others, walls):
                    return True
    return False
