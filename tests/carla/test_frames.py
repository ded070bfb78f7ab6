"""Frames: CARLA's own transforms agree with ours, both ways."""

import math

import numpy as np
import pytest

from sim.carla import frames

carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")


def test_headings_point_the_same_way() -> None:
    for yaw in np.linspace(-math.pi, math.pi, 37):
        ahead = carla.Transform(
            carla.Location(), carla.Rotation(yaw=frames.yaw_to_carla(float(yaw)))
        ).get_forward_vector()
        assert ahead.x == pytest.approx(math.cos(yaw), abs=1e-6)
        assert frames.flip_y(ahead.y) == pytest.approx(math.sin(yaw), abs=1e-6)


def test_left_of_us_is_left_of_carla() -> None:
    right = carla.Transform(
        carla.Location(), carla.Rotation(yaw=frames.yaw_to_carla(0.3))
    ).get_right_vector()
    # Our left is 90 degrees counter-clockwise of the heading.
    assert -right.x == pytest.approx(math.cos(0.3 + math.pi / 2), abs=1e-6)
    assert frames.flip_y(-right.y) == pytest.approx(math.sin(0.3 + math.pi / 2), abs=1e-6)


def test_pitch_and_roll_have_the_signs_of_iso_8855() -> None:
    nose_down = carla.Rotation(pitch=frames.pitch_to_carla(0.1))
    assert nose_down.get_forward_vector().z == pytest.approx(-math.sin(0.1), abs=1e-6)
    right_side_down = carla.Rotation(roll=frames.roll_to_carla(0.1))
    right = carla.Transform(carla.Location(), right_side_down).get_right_vector()
    assert right.z == pytest.approx(-math.sin(0.1), abs=1e-6)


def test_every_conversion_leads_back() -> None:
    angle = np.linspace(-3.0, 3.0, 25)
    np.testing.assert_allclose(frames.yaw_to_ours(frames.yaw_to_carla(angle)), angle, atol=1e-12)
    np.testing.assert_allclose(
        frames.pitch_to_ours(frames.pitch_to_carla(angle)), angle, atol=1e-12
    )
    np.testing.assert_allclose(frames.roll_to_ours(frames.roll_to_carla(angle)), angle, atol=1e-12)
    np.testing.assert_allclose(
        frames.yaw_rate_to_ours(frames.yaw_rate_to_carla(angle)), angle, atol=1e-12
    )
    np.testing.assert_array_equal(frames.flip_y(frames.flip_y(angle)), angle)


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [(180.0, 180.0), (-180.0, 180.0), (181.0, -179.0), (540.0, 180.0), (-359.0, 1.0), (0.0, 0.0)],
)
def test_angles_are_above_minus_180_and_at_most_180(angle: float, wrapped: float) -> None:
    assert frames.wrap_deg(angle) == wrapped


def test_turning_left_is_negative_for_carla() -> None:
    assert frames.yaw_rate_to_carla(math.pi) == -180.0


def test_the_middle_of_a_car_lies_before_its_rear_axle() -> None:
    x, y = frames.centre_of(10.0, 5.0, math.pi / 2, 1.4)
    assert (x, y) == (pytest.approx(10.0), pytest.approx(6.4))
