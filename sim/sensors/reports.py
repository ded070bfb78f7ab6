"""From measured places around a sensor to an `ObjectList` in its owner's frame, with covariances; and things that are not there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64, U8
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from sim.sensors import draws
from sim.sensors.surroundings import Place

GHOST = 1 << 40  # actor numbers of clutter start here, above every id


@dataclass(frozen=True, slots=True)
class Found:
    """(n,) columns around the sensor, world axes. The error ellipse: one sigma along `axis_rad` and one across it."""

    x_m: F64
    y_m: F64
    axis_rad: F64
    along_m: F64
    across_m: F64
    yaw_rad: F64
    vx_mps: F64
    vy_mps: F64
    length_m: F64
    width_m: F64
    kind: U8


def object_list(
    t_ns: int,
    place: Place,
    found: Found,
    sensor: str,
    source: SensorKind,
    velocity: VelocityKind,
    sigma_v_mps: float = 0.0,
) -> ObjectList:
    """Turned into the frame of `place`, nearest first (order carries no identity)."""
    order = np.argsort(np.hypot(found.x_m, found.y_m), kind="stable")
    x = found.x_m[order] + (place.x_m - place.frame_x_m)
    y = found.y_m[order] + (place.y_m - place.frame_y_m)
    c, s = np.cos(place.frame_yaw_rad), np.sin(place.frame_yaw_rad)
    vx, vy = found.vx_mps[order], found.vy_mps[order]
    axis = found.axis_rad[order] - place.frame_yaw_rad
    a2, b2 = found.along_m[order] ** 2, found.across_m[order] ** 2
    ca, sa = np.cos(axis), np.sin(axis)
    covariance = np.stack(
        [a2 * ca * ca + b2 * sa * sa, (a2 - b2) * ca * sa, a2 * sa * sa + b2 * ca * ca], axis=1
    )
    return ObjectList(
        t_ns=t_ns,
        is_world_frame=place.is_world_frame,
        x_m=c * x + s * y,
        y_m=c * y - s * x,
        yaw_rad=wrapped(found.yaw_rad[order] - place.frame_yaw_rad),
        vx_mps=c * vx + s * vy,
        vy_mps=c * vy - s * vx,
        length_m=found.length_m[order],
        width_m=found.width_m[order],
        kind=found.kind[order],
        sigma_m=np.sqrt(0.5 * (a2 + b2)),
        sensor=sensor,
        source=source,
        velocity=velocity,
        sigma_v_mps=sigma_v_mps,
        cov_m2=covariance,
    )


def ghosts(
    key: int, t_ns: int, mean: float, place: Place, view_rad: float, near_m: float, far_m: float
) -> tuple[F64, F64, F64]:
    """(range, azimuth, uniform draw) of clutter: Poisson in number, uniform in range and azimuth over the view."""
    count = draws.poisson(key, t_ns, 90, mean)
    who = GHOST + np.arange(count)
    far = near_m + (far_m - near_m) * draws.uniform(key, t_ns, 91, who)
    turn = (draws.uniform(key, t_ns, 92, who) - 0.5) * view_rad
    return far, place.yaw_rad + turn, draws.uniform(key, t_ns, 93, who)


def wrapped(angle_rad: F64) -> F64:
    """Into (-pi, pi]."""
    turned: F64 = angle_rad - 2.0 * np.pi * np.ceil((angle_rad - np.pi) / (2.0 * np.pi))
    return turned
