"""One object list made ready for the tracker: checked, in one table, in an order that the sender's order does not matter for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64, U8
from protocols.sensing import ObjectList, SensorKind

NUM_KINDS = max(ActorKind) + 1
MIN_SIGMA_M = 0.05  # a sensor that claims less is not believed
# How much a kind of sensor counts for class and shape; below 0.5 its boxes are not used at all.
_WEIGHT = {SensorKind.RADAR: 0.1, SensorKind.ULTRASONIC: 0.0}


@dataclass(frozen=True, slots=True)
class Scan:
    """`table` (n, 11): x, y, vx, vy, yaw, length, width, covariance xx, xy, yy, kind; world frame, SI units."""

    t_ns: int
    source: int
    velocity: int
    sigma_v_mps: float
    weight: float
    table: F64


def read_scan(objects: ObjectList, default_sigma_v_mps: float) -> Scan:
    """The list as a table sorted by position.

    ValueError for a list in body axes, or a value that is not finite, unknown, or no covariance.
    """
    where = f"object list of t = {objects.t_ns} ns from '{objects.sensor or objects.source.name}'"
    if not objects.is_world_frame:
        raise ValueError(f"{where} is in body axes; a roadside tracker needs the world frame")
    table = np.empty((objects.x_m.size, 11))
    columns: tuple[F64 | U8, ...] = (
        objects.x_m, objects.y_m, objects.vx_mps, objects.vy_mps, objects.yaw_rad, objects.length_m, objects.width_m,
    )  # fmt: skip
    for c, column in enumerate(columns):
        table[:, c] = column
    table[:, 10] = objects.kind
    if objects.cov_m2 is None:
        table[:, 7] = np.maximum(objects.sigma_m, MIN_SIGMA_M) ** 2
        table[:, 8] = 0.0
        table[:, 9] = table[:, 7]
    else:
        table[:, 7:10] = objects.cov_m2
        np.maximum(table[:, 7], MIN_SIGMA_M**2, out=table[:, 7])
        np.maximum(table[:, 9], MIN_SIGMA_M**2, out=table[:, 9])
    if not np.isfinite(table.sum()):  # finite unless an element is not, or is beyond any place
        raise ValueError(f"{where} holds a value that is not finite")
    if table.shape[0]:
        if not table[:, 10].max() < NUM_KINDS:
            raise ValueError(f"{where} holds an unknown kind")
        if (table[:, 8] ** 2 >= table[:, 7] * table[:, 9]).any():
            raise ValueError(f"{where} holds a covariance that is not positive definite")
        table = table[np.argsort(table[:, 0])]
        if (table[1:, 0] == table[:-1, 0]).any():
            table = table[np.lexsort(table.T[3::-1])]  # by x, then y, vx, vy
    return Scan(
        t_ns=objects.t_ns,
        source=int(objects.source),
        velocity=int(objects.velocity),
        sigma_v_mps=objects.sigma_v_mps or default_sigma_v_mps,
        weight=_WEIGHT.get(objects.source, 1.0),
        table=table,
    )
