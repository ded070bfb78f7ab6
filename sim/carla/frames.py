"""Between our world and CARLA's: where a point, a heading, a pose or a rate lies on the other side.

Ours is right-handed: x east, y north, z up, radians, yaw counter-clockwise, pitch nose down, roll right side down (ISO 8855).
CARLA's is left-handed: y points the other way, degrees, yaw clockwise from above, pitch nose up, roll right side down. Both share
x, z and the origin of the road file, so that every conversion is a change of sign and of unit, and its own inverse in form.
All functions take numbers or arrays.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

KMH_PER_MPS = 3.6


def flip_y(y: Number) -> Number:
    """The y coordinate, or the y part of a vector, on the other side."""
    return -y + 0.0  # no negative zero: CARLA's texts would show it


def yaw_to_carla(yaw_rad: Number) -> Number:
    """Yaw in CARLA's degrees, (-180, 180]."""
    return wrap_deg(-yaw_rad * (180.0 / np.pi))


def yaw_to_ours(yaw_deg: Number) -> Number:
    """Yaw in our radians, (-pi, pi]."""
    return wrap_deg(-yaw_deg) * (np.pi / 180.0)


def wrap_deg(angle: Number) -> Number:
    """The same direction in (-180, 180]."""
    wrapped: Number = 180.0 - (180.0 - angle) % 360.0
    return wrapped


def pitch_to_carla(pitch_rad: Number) -> Number:
    """Pitch, ours nose down positive, in CARLA's degrees, nose up positive."""
    return -pitch_rad * (180.0 / np.pi) + 0.0


def pitch_to_ours(pitch_deg: Number) -> Number:
    """CARLA's pitch in degrees, nose up positive, in our radians, nose down positive."""
    return -pitch_deg * (np.pi / 180.0) + 0.0


def roll_to_carla(roll_rad: Number) -> Number:
    """Roll in degrees; right side down is positive on both sides."""
    return roll_rad * (180.0 / np.pi)


def roll_to_ours(roll_deg: Number) -> Number:
    """Roll in radians; right side down is positive on both sides."""
    return roll_deg * (np.pi / 180.0)


def yaw_rate_to_carla(rate_radps: Number) -> Number:
    """Rate of yaw in degrees per second, clockwise from above positive."""
    return -rate_radps * (180.0 / np.pi) + 0.0


def yaw_rate_to_ours(rate_degps: Number) -> Number:
    """Rate of yaw in radians per second, counter-clockwise positive."""
    return -rate_degps * (np.pi / 180.0) + 0.0


def centre_of(x: Number, y: Number, yaw_rad: Number, ahead_m: Number) -> tuple[Number, Number]:
    """The point `ahead_m` before (x, y) in our frame.

    Our vehicles stand where their rear axle stands, CARLA's where the middle between their bumpers is: with the distance from
    rear axle to middle this gives CARLA's origin, with its negative ours.
    """
    return x + ahead_m * np.cos(yaw_rad), y + ahead_m * np.sin(yaw_rad)
