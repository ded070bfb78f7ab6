"""The overlap referee against clipped polygons, and against bodies placed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from sim import _collision_kernels
from sim.collision import Collisions
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics
from tests.support.naive_traffic import touching


def bodies(seed: int, count: int, side_m: float) -> tuple[ActorStates, ActorStatics]:
    """Random bodies on a square, a third of them articulated, a few rows empty."""
    rng = np.random.default_rng(seed)
    states, statics = empty_states(count), empty_statics(count)
    states.valid[:] = rng.random(count) < 0.9
    states.x_m[:], states.y_m[:] = rng.uniform(-side_m / 2, side_m / 2, (2, count))
    states.yaw_rad[:] = rng.uniform(-np.pi, np.pi, count)
    statics.length_m[:] = rng.uniform(0.5, 12.0, count)
    statics.width_m[:] = rng.uniform(0.5, 2.6, count)
    statics.rear_overhang_m[:] = 0.25 * statics.length_m
    is_long = rng.random(count) < 0.33
    statics.hitch_x_m[is_long] = -statics.rear_overhang_m[is_long]
    statics.rear_length_m[is_long] = rng.uniform(3.0, 8.0, int(is_long.sum()))
    states.hitch_rad[is_long] = rng.uniform(-0.7, 0.7, int(is_long.sum()))
    return states, statics


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(5.0, 200.0))
def test_every_overlap_is_found_once_and_nothing_else(seed: int, count: int, side: float) -> None:
    states, statics = bodies(seed, count, side)
    found = Collisions().find(states, statics)
    areas = touching(states, statics)
    clear = {
        pair for pair, area in areas.items() if area > 1e-9
    }  # touching within rounding: either answer
    pairs = [tuple(pair) for pair in found.tolist()]
    assert pairs == sorted(set(pairs))
    assert clear <= set(pairs) <= set(areas)


def two(dx: float, dy: float, yaw: float) -> int:
    """Overlaps of two 4 x 2 m boxes, the second moved and turned; origins in the middle."""
    states, statics = empty_states(2), empty_statics(2)
    states.valid[:] = True
    states.x_m[1], states.y_m[1], states.yaw_rad[1] = dx, dy, yaw
    statics.length_m[:], statics.width_m[:], statics.rear_overhang_m[:] = 4.0, 2.0, 2.0
    return int(Collisions().find(states, statics).shape[0])


@pytest.mark.parametrize(
    ("dx", "dy", "yaw", "hits"),
    [
        (3.99, 0.0, 0.0, 1),
        (4.01, 0.0, 0.0, 0),
        (0.0, 1.99, 0.0, 1),
        (0.0, 2.01, 0.0, 0),
        (2.99, 0.0, np.pi / 2, 1),  # half length 2 + half width 1
        (3.01, 0.0, np.pi / 2, 0),
        # Turned by 45 degrees its corner reaches (2 + 1) / sqrt 2 = 2.121 m towards us: 2 + 2.121.
        (4.11, 0.0, np.pi / 4, 1),
        (4.13, 0.0, np.pi / 4, 0),
    ],
)
def test_boxes_touch_where_hand_geometry_says(dx: float, dy: float, yaw: float, hits: int) -> None:
    assert two(dx, dy, yaw) == hits


def test_the_rear_section_of_a_bent_bus_counts_and_its_front_does_not_hide_it() -> None:
    states, statics = empty_states(2), empty_statics(2)
    states.valid[:] = True
    statics.length_m[:] = 10.0, 2.0
    statics.width_m[:] = 2.5, 2.0
    statics.rear_overhang_m[:] = 2.0, 1.0
    statics.hitch_x_m[0], statics.rear_length_m[0] = -2.0, 8.0
    states.x_m[1], states.y_m[1] = -6.0, 0.0
    finder = Collisions()
    assert finder.find(states, statics).tolist() == [
        [0, 1]
    ]  # straight: rear section from -10 to -2
    states.hitch_rad[0] = (
        np.pi / 2
    )  # rear section points to -90 degrees: it lies north of the joint
    assert finder.find(states, statics).tolist() == []
    states.x_m[1], states.y_m[1] = -2.0, 6.0
    assert finder.find(states, statics).tolist() == [[0, 1]]


def test_a_bridge_keeps_bodies_apart() -> None:
    states, statics = bodies(3, 2, 0.1)
    states.valid[:] = True
    finder = Collisions()
    assert finder.find(states, statics).shape[0] == 1
    states.z_m[1] = 5.5
    assert finder.find(states, statics).shape[0] == 0


def test_more_overlaps_than_the_list_holds_are_all_found() -> None:
    states, statics = bodies(11, 60, 6.0)  # nearly everybody touches everybody
    found = Collisions().find(states, statics)
    assert found.shape[0] > 64
    assert {tuple(p) for p in found.tolist()} == set(touching(states, statics))


def test_the_compiled_overlap_test_equals_its_python_form() -> None:
    rng = np.random.default_rng(5)
    box = np.zeros((200, 7))
    box[:, :2] = rng.uniform(-6, 6, (200, 2))
    yaw = rng.uniform(-np.pi, np.pi, 200)
    box[:, 2], box[:, 3] = np.cos(yaw), np.sin(yaw)
    box[:, 4:6] = rng.uniform(0.3, 6.0, (200, 2))
    compiled = njit(error_model="numpy")(_collision_kernels.overlap)
    fast = [compiled(box, 0, b) for b in range(200)]
    slow = [_collision_kernels.overlap(box, 0, b) for b in range(200)]
    assert fast == slow
    assert 0 < sum(fast) < 200
