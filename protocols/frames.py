"""Frames and angles: world is local east-north-up metres, body is x forward, y left, origin on the ground under the rear axle.

All functions work on floats and on numpy arrays of one shape. Yaw is counter-clockwise from east in (-pi, pi]; heading, which
exists only at the edge (over-the-air codecs, CARLA, the viewer), is clockwise from north.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np

from protocols.roads.network import F64


@overload
def wrap_angle(angle_rad: float) -> float: ...
@overload
def wrap_angle(angle_rad: F64) -> F64: ...
def wrap_angle(angle_rad: float | F64) -> float | F64:
    """The same direction in (-pi, pi]."""
    if isinstance(angle_rad, np.ndarray):
        wrapped: F64 = -(np.mod(math.pi - angle_rad, 2.0 * math.pi) - math.pi)
        return wrapped
    return -(((math.pi - angle_rad) % (2.0 * math.pi)) - math.pi)


def heading_from_yaw(yaw_rad: float) -> float:
    """Clockwise from north in [0, 2 pi), from yaw counter-clockwise from east."""
    return (0.5 * math.pi - yaw_rad) % (2.0 * math.pi)


def yaw_from_heading(heading_rad: float) -> float:
    """Counter-clockwise from east in (-pi, pi], from heading clockwise from north."""
    return wrap_angle(0.5 * math.pi - heading_rad)


@overload
def world_from_body(
    x_m: float, y_m: float, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[float, float]: ...
@overload
def world_from_body(
    x_m: F64, y_m: F64, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[F64, F64]: ...
def world_from_body(
    x_m: float | F64, y_m: float | F64, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[float | F64, float | F64]:
    """World coordinates of body points; the body stands at (origin_x_m, origin_y_m) with `yaw_rad`."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return origin_x_m + cos * x_m - sin * y_m, origin_y_m + sin * x_m + cos * y_m


@overload
def body_from_world(
    x_m: float, y_m: float, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[float, float]: ...
@overload
def body_from_world(
    x_m: F64, y_m: F64, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[F64, F64]: ...
def body_from_world(
    x_m: float | F64, y_m: float | F64, origin_x_m: float, origin_y_m: float, yaw_rad: float
) -> tuple[float | F64, float | F64]:
    """Body coordinates of world points; inverse of `world_from_body`."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    dx, dy = x_m - origin_x_m, y_m - origin_y_m
    return cos * dx + sin * dy, -sin * dx + cos * dy
