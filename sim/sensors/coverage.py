"""Where a unit's sensors look: one polygon for each, from range, field of view and mount, as an SSM states it.

Polygons are world metres for roadside units, body axes for vehicles. Weather, walls and other road users are not taken out.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.messages import Polygon
from protocols.sharing import MAX_POINTS, MAX_POLYGONS
from sim.sensors.detections import Fitted
from sim.sensors.params import ObjectParams


def coverage(
    objects: ObjectParams | None,
    mount_m: tuple[float, float],
    extra: tuple[Fitted, ...],
    place_m: tuple[float, float] = (0.0, 0.0),
) -> tuple[Polygon, ...]:
    """Fields of view of the set at `mount_m` and of the single sensors around `place_m`; of more than fit, the largest."""
    looks: list[tuple[float, float, float, float, float]] = []
    if objects is not None:
        looks.append((*mount_m, objects.bore_sight_rad, objects.range_m, objects.field_of_view_rad))
    for item in extra:
        p = item.params
        looks.append((place_m[0] + p.x_m, place_m[1] + p.y_m, p.yaw_rad, p.range_m, p.field_of_view_rad))  # fmt: skip
    order = sorted(range(len(looks)), key=lambda k: -(looks[k][3] ** 2) * looks[k][4])
    return tuple(sector(*looks[k]) for k in sorted(order[:MAX_POLYGONS]))


def sector(x_m: float, y_m: float, yaw_rad: float, range_m: float, view_rad: float) -> Polygon:
    """The part of a disc around (x, y) within half of `view_rad` of `yaw_rad`; its corners lie on the arc."""
    if view_rad > 2.0 * math.pi - 1e-6:
        angle = yaw_rad + np.arange(MAX_POINTS) * (2.0 * math.pi / MAX_POINTS)
        return Polygon(x_m + range_m * np.cos(angle), y_m + range_m * np.sin(angle))
    steps = max(2, math.ceil(view_rad / (2.0 * math.pi) * (MAX_POINTS - 2)))
    angle = yaw_rad + view_rad * (np.arange(steps + 1) / steps - 0.5)
    return Polygon(
        np.concatenate(([x_m], x_m + range_m * np.cos(angle))),
        np.concatenate(([y_m], y_m + range_m * np.sin(angle))),
    )
