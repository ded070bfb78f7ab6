"""Who is on the way to a conflict area, and how far from it."""

from __future__ import annotations

from math import inf, pi

import numpy as np
from pytest import approx

from vehicle.driving.corridor import Approach
from vehicle.driving.giveway import distances_to_area
from vehicle.fusion import Tracks

# 40 m northwards along x = 0 in steps of 2 m; the area begins at y = 30
Y: np.ndarray = np.arange(0.0, 41.0, 2.0)
APPROACH = Approach(0.0 * Y, Y, np.full(Y.size, pi / 2), 30.0 - Y, 10.0)


def tracks(*rows: tuple[float, float, float]) -> Tracks:
    """Cars at (x, y, yaw)."""
    x, y, yaw = np.array(rows).T
    n = x.size
    f, none = np.ones(n), np.zeros(n, np.uint8)
    return Tracks(
        0, np.arange(n, dtype=np.uint32), none + 1, x, y, 0 * f, 5 * f, yaw, 4.5 * f, 1.8 * f, 0.2 * f, 0.1 * f, none,
        np.zeros(n, np.uint32), np.zeros(n, np.int64),
    )  # fmt: skip


def test_the_distance_to_the_area_does_not_jump_from_point_to_point() -> None:
    found = distances_to_area(APPROACH, tracks((0.3, 20.9, pi / 2), (0.3, 21.1, pi / 2)))
    assert found == approx((9.1, 8.9))


def test_who_has_turned_out_of_the_approach_is_not_on_it() -> None:
    # 0.2 rad is a driver who steers, 0.5 rad is one who has taken the other lane of a fork
    found = distances_to_area(
        APPROACH, tracks((1.0, 20.0, pi / 2 - 0.2), (1.0, 20.0, pi / 2 - 0.5))
    )
    assert found[0] == approx(10.0, abs=0.01)
    assert found[1] == inf
