"""Gap and time to collision on the path: worked examples that a ruler confirms."""

from __future__ import annotations

import numpy as np
import pytest

from sim.report.pack.ahead import around, gap_and_ttc
from sim.report.pack.columns import Array
from sim.report.pack.world import Frames

CAR = {"length": 4.0, "width": 1.8, "rear_overhang": 1.0, "hitch_x": 0.0, "rear_length": 0.0}
BENDY = {"length": 10.0, "width": 2.5, "rear_overhang": 2.0, "hitch_x": -2.0, "rear_length": 7.0}


def straight(speed: float, seconds: int = 10, yaw: float = 0.0) -> dict[str, Array]:
    """A trace along `yaw` from the origin at constant speed, 10 Hz."""
    t = np.arange(0, seconds * 1000, 100)
    s = speed * t / 1e3
    return {
        "t": t, "x": s * np.cos(yaw), "y": s * np.sin(yaw), "yaw": np.full(t.size, yaw),
        "speed": np.full(t.size, speed),
    }  # fmt: skip


def frame(rows: list[tuple[int, float, float, float, float]], hitch: float = 0.0) -> Frames:
    """One frame at t = 0 of (id, x, y, yaw, speed)."""
    columns = {name: np.array([row[k] for row in rows]) for k, name in enumerate(("id", "x", "y", "yaw", "speed"))}  # fmt: skip
    columns["hitch"] = np.full(len(rows), hitch)
    return Frames(np.array([0]), np.array([0, len(rows)]), columns)


def look(trace: dict[str, Array], other: tuple[float, float, float, float], body: dict[str, float], hitch: float = 0.0) -> tuple[float, float]:  # fmt: skip
    """(gap, ttc) at t = 0 to one other road user at (x, y, yaw, speed)."""
    frames = frame([(1, 0.0, 0.0, float(trace["yaw"][0]), float(trace["speed"][0])), (2, *other)], hitch)  # fmt: skip
    _, gap, ttc = gap_and_ttc(1, [around(frames, 1)], trace, {1: CAR, 2: body})
    return float(gap[0]), float(ttc[0])


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_a_slower_car_ahead(yaw: float) -> None:
    # Its rear bumper is at 30 - 1 = 29 m, our front at 3 m: 26 m; closing at 10 - 4 = 6 m/s.
    place = (30 * np.cos(yaw), 30 * np.sin(yaw), yaw, 4.0)
    gap, ttc = look(straight(10.0, yaw=yaw), place, CAR)
    assert gap == pytest.approx(26.0, abs=0.05) and ttc == pytest.approx(26.0 / 6.0, abs=0.02)


def test_one_that_comes_towards_us_closes_in_with_both_speeds() -> None:
    # Turned round, its front bumper is at 30 - 3 = 27 m: 24 m at 15 m/s.
    gap, ttc = look(straight(10.0), (30.0, 0.0, np.pi, 5.0), CAR)
    assert gap == pytest.approx(24.0, abs=0.05) and ttc == pytest.approx(24.0 / 15.0, abs=0.02)


def test_the_rear_section_of_an_articulated_bus_counts() -> None:
    # Joint 2 m behind its origin, 7 m of rear section: its end is at 40 - 9 = 31 m.
    gap, _ = look(straight(10.0), (40.0, 0.0, 0.0, 10.0), BENDY)
    assert gap == pytest.approx(28.0, abs=0.05)
    # Turned by a right angle at the joint, the rear section stands across at 38 m, 1.25 m to either side.
    gap, _ = look(straight(10.0), (40.0, 0.0, 0.0, 10.0), BENDY, hitch=np.pi / 2)
    assert gap == pytest.approx(40.0 - 2.0 - 1.25 - 3.0, abs=0.05)


@pytest.mark.parametrize(("y", "is_on"), [(1.7, True), (-1.7, True), (1.9, False), (-3.5, False)])
def test_who_stands_beside_the_path_does_not_count(y: float, is_on: bool) -> None:
    gap, _ = look(straight(10.0), (30.0, y, 0.0, 0.0), CAR)
    assert np.isnan(gap) != is_on


def test_behind_far_ahead_and_faster_ones_do_not_count() -> None:
    assert np.isnan(look(straight(10.0), (-10.0, 0.0, 0.0, 0.0), CAR)[0])
    assert np.isnan(look(straight(10.0), (110.0, 0.0, 0.0, 0.0), CAR)[0])
    gap, ttc = look(straight(10.0), (30.0, 0.0, 0.0, 12.0), CAR)
    assert gap == pytest.approx(26.0, abs=0.05) and np.isnan(ttc)


def test_the_path_is_followed_round_a_bend() -> None:
    # A quarter circle of radius 20 m to the left, then straight on; a car stands at its end.
    angle = np.linspace(0.0, np.pi / 2, 60)
    x = np.concatenate((20 * np.sin(angle), np.full(40, 20.0)))
    y = np.concatenate((20 * (1 - np.cos(angle)), 20 + np.arange(1, 41) * 0.5))
    yaw = np.concatenate((angle, np.full(40, np.pi / 2)))
    trace = {"t": np.arange(100) * 100, "x": x, "y": y, "yaw": yaw, "speed": np.full(100, 5.0)}
    # Arc 31.4 m, then 10 m: its rear bumper at 41.4 - 1 m, our front at 3 m.
    gap, ttc = look(trace, (20.0, 30.0, np.pi / 2, 0.0), CAR)
    assert gap == pytest.approx(20 * np.pi / 2 + 10 - 1 - 3, abs=0.1)
    assert ttc == pytest.approx(gap / 5.0, abs=0.02)
    # Straight ahead of us, but off the bend.
    assert np.isnan(look(trace, (40.0, 0.0, 0.0, 0.0), CAR)[0])
