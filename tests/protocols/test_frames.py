"""Angles and frames: hand-computed directions, and inverses that are inverses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols.frames import (
    body_from_world,
    heading_from_yaw,
    world_from_body,
    wrap_angle,
    yaw_from_heading,
)
from protocols.ids import NODE_STATION_BASE, node_station, unit_name


def test_wrapped_angles_lie_above_minus_pi_and_up_to_pi() -> None:
    assert wrap_angle(math.pi) == math.pi
    assert wrap_angle(-math.pi) == math.pi
    assert wrap_angle(3.5 * math.pi) == pytest.approx(-0.5 * math.pi)
    assert wrap_angle(0.25) == pytest.approx(0.25)


def test_arrays_wrap_like_numbers() -> None:
    angles = np.linspace(-20.0, 20.0, 101)
    wrapped = wrap_angle(angles)
    assert wrapped.tolist() == [wrap_angle(float(a)) for a in angles]
    assert np.allclose(np.exp(1j * wrapped), np.exp(1j * angles))


def test_east_is_heading_ninety_and_north_is_heading_zero() -> None:
    assert heading_from_yaw(0.0) == pytest.approx(math.pi / 2)
    assert heading_from_yaw(math.pi / 2) == pytest.approx(0.0)
    assert heading_from_yaw(math.pi) == pytest.approx(1.5 * math.pi)  # west is 270 degrees
    assert yaw_from_heading(math.pi) == pytest.approx(-math.pi / 2)  # south


def test_a_point_ahead_of_a_north_facing_body_lies_north_of_it() -> None:
    x, y = world_from_body(10.0, 2.0, 100.0, 50.0, math.pi / 2)
    assert (x, y) == (pytest.approx(98.0), pytest.approx(60.0))  # left of north is west


def test_body_and_world_are_inverse() -> None:
    xs, ys = np.array([1.0, -3.0]), np.array([0.5, 8.0])
    wx, wy = world_from_body(xs, ys, 7.0, -2.0, 2.2)
    bx, by = body_from_world(wx, wy, 7.0, -2.0, 2.2)
    assert bx == pytest.approx(xs)
    assert by == pytest.approx(ys)


def test_a_roadside_unit_never_shares_a_radio_identity_with_a_vehicle() -> None:
    assert node_station(0) == NODE_STATION_BASE > 2**31 - 1
    with pytest.raises(ValueError, match="node_id = -1"):
        node_station(-1)


def test_unit_names_are_made_of_two_plain_parts() -> None:
    assert unit_name("obu", "bus1") == "obu/bus1"
    with pytest.raises(ValueError, match="'bus/1'"):
        unit_name("obu", "bus/1")
