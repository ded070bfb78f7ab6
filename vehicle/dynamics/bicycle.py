"""Body motion: how vehicles move in one tick under commanded acceleration and steering angle.

Kinematic bicycle at the rear axle: yaw' = v tan(steer) / wheelbase, integrated as an exact circular arc over the distance
driven. Drive and brake: first-order lag. Steering: first-order lag with a rate limit. A vehicle never rolls back: braking
ends at standstill and holds it until a positive acceleration is commanded. Articulated: the joint sits `a` behind the rear
axle and the rear axle's wheels of the second section, `b` behind the joint, do not slip sideways, so with phi = yaw of
front minus yaw of rear: phi' = yaw' - (v sin(phi) - a yaw' cos(phi)) / b (kinematic single-trailer model with off-axle
hitch). Valid without tyre slip: lateral acceleration below about 3 m/s2, dry road. Forward driving only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64, I32
from vehicle.dynamics import _kernels
from vehicle.dynamics.params import VehicleParams


@dataclass(frozen=True, slots=True)
class BodyParams:
    """(K, 11) parameters of the K bodies that are stepped, in the order of their rows."""

    table: F64

    @classmethod
    def of(cls, params: Sequence[VehicleParams]) -> BodyParams:
        """Pack parameters, one row per body."""
        rows = [
            (
                p.wheelbase_m, p.hitch_x_m, p.rear_wheelbase_m, p.max_hitch_rad, p.max_steer_rad,
                p.max_steer_rate_radps, p.steer_lag_s, p.max_accel_mps2, p.max_decel_mps2,
                p.accel_lag_s, p.max_speed_mps,
            )
            for p in params
        ]  # fmt: skip
        return cls(np.array(rows, dtype=np.float64).reshape(len(rows), 11))


def step_bodies(
    rows: I32, x_m: F64, y_m: F64, yaw_rad: F64, speed_mps: F64, accel_mps2: F64, yaw_rate_radps: F64,
    steer_rad: F64, hitch_rad: F64, cmd_accel_mps2: F64, cmd_steer_rad: F64, params: BodyParams, dt_s: float,
) -> None:  # fmt: skip
    """Advance the bodies `rows` (K,) of the state columns (N,) by `dt_s`, in place.

    Commands (K,) and `params` are in the order of `rows`. Rows not named are left alone.
    """
    if params.table.shape[0] != rows.size or cmd_accel_mps2.size != rows.size:
        raise ValueError(
            f"{rows.size} rows to step, but {params.table.shape[0]} parameter rows "
            f"and {cmd_accel_mps2.size} commands; all three must agree"
        )
    _kernels.step_bodies(
        rows, x_m, y_m, yaw_rad, speed_mps, accel_mps2, yaw_rate_radps, steer_rad, hitch_rad,
        cmd_accel_mps2, cmd_steer_rad, params.table, dt_s,
    )  # fmt: skip
