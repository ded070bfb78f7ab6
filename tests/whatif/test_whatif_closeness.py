"""Gaps and times to collision of boxes, beside a slow and obvious twin."""

from __future__ import annotations

import itertools
from math import cos, inf, sin

import numpy as np
import pytest

from sim.whatif.closeness import gap_m, ttc_s


def box(x: float, y: float, yaw: float, length: float = 4.0, width: float = 2.0) -> list[float]:
    return [x, y, cos(yaw), sin(yaw), 0.5 * length, 0.5 * width]


def outline(row: list[float], num: int = 200) -> np.ndarray:
    """Points on the edge of a box, its corners among them."""
    x, y, c, s, a, b = row
    side = np.linspace(-1.0, 1.0, num)
    one = np.ones(num)
    u = np.concatenate((side, side, one, -one)) * a
    v = np.concatenate((one, -one, side, side)) * b
    return np.column_stack((x + u * c - v * s, y + u * s + v * c))


def test_gaps_equal_the_smallest_distance_of_outlines() -> None:
    draw = np.random.default_rng(3)
    for _ in range(20):
        one = box(0.0, 0.0, draw.uniform(-3, 3), draw.uniform(1, 12), draw.uniform(1, 3))
        two = box(*draw.uniform(8, 20, 2), draw.uniform(-3, 3), draw.uniform(1, 12), draw.uniform(1, 3))  # fmt: skip
        a, b = outline(one), outline(two)
        slow = np.sqrt(((a[:, None] - b) ** 2).sum(axis=2)).min()
        if ttc_s(np.array(one), np.array([two]), np.zeros((1, 2)))[0] == 0.0:
            continue  # they overlap
        # Points lie at most 12 m / 199 apart, so the twin is off by less than that.
        assert gap_m(np.array(one), np.array([two]))[0] == pytest.approx(slow, abs=0.06)


def test_boxes_that_overlap_have_no_gap_even_where_no_corner_lies_inside() -> None:
    cross = np.array([box(0.0, 0.0, np.pi / 2, 10.0, 1.0)])
    assert gap_m(np.array(box(0.0, 0.0, 0.0, 10.0, 1.0)), cross)[0] == 0.0


def test_time_to_collision_of_known_cases() -> None:
    own = np.array(box(0.0, 0.0, 0.0))
    others = np.array([box(24.0, 0.0, 0.0), box(24.0, 5.0, 0.0), box(24.0, 0.0, 0.0), box(3.0, 0.0, 0.0)])  # fmt: skip
    # 20 m of air closed at 5 m/s; a lane beside it; one that goes away; one that is here.
    velocity = np.array([[-5.0, 0.0], [-5.0, 0.0], [5.0, 0.0], [0.0, 0.0]])
    assert ttc_s(own, others, velocity).tolist() == [4.0, inf, inf, 0.0]


def test_time_to_collision_equals_stepping_forward() -> None:
    draw = np.random.default_rng(5)
    hits = 0
    for _ in range(60):
        own = np.array(box(0.0, 0.0, draw.uniform(-3, 3)))
        x, y = draw.uniform(-15, 15, 2)
        other = box(x, y, draw.uniform(-3, 3))
        velocity = draw.uniform(-6, 6, (1, 2))
        found = ttc_s(own, np.array([other]), velocity)[0]
        for k in itertools.count():
            moved = [other[0] + velocity[0, 0] * k * 0.04, other[1] + velocity[0, 1] * k * 0.04, *other[2:]]  # fmt: skip
            if gap_m(own, np.array([moved]))[0] == 0.0:
                assert found == pytest.approx(k * 0.04, abs=0.0401)
                hits += 1
                break
            if k == 200:
                assert found > 7.95
                break
    assert hits >= 5
