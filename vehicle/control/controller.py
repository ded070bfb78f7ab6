"""From a trajectory to steering and acceleration, every control period.

Lateral (rear-axle reference): curvature command = curvature of the planned path where the steering will have arrived
(`preview_s`), minus feedback e / l^2 + 2 sin(theta) / l on offset error e and heading error theta, which makes e decay over
distance as a critically damped second-order system of length l (feedback linearisation of the kinematic bicycle, Samson 1992,
to first order). Steering angle = atan(wheelbase * curvature).

Longitudinal: planned acceleration one drive lag ahead (which undoes the lag), plus feedback on position and speed along the
path; the command's slope is bounded unless the plan is urgent. At standstill with a standing plan a constant brake holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64
from vehicle.control import _kernels
from vehicle.control.config import ControlConfig
from vehicle.dynamics.params import VehicleParams
from vehicle.planning import Trajectory
from vehicle.planning.reference import STEP_M


@dataclass(frozen=True, slots=True)
class Command:
    """What to ask of the actuators, and how far off the plan the vehicle is."""

    accel_mps2: float
    steer_rad: float
    lat_error_m: float
    long_error_m: float


class Controller:
    """Tracks trajectories on one path table (see `Planner.table`)."""

    def __init__(
        self, table: F64, params: VehicleParams, config: ControlConfig, period_s: float
    ) -> None:
        self._table = table
        self._period_s = period_s
        self._cfg: F64 = np.array((
            params.wheelbase_m, params.max_steer_rad, config.min_length_m, config.length_time_s, config.preview_s,
            config.feedback_lat_accel_mps2, params.accel_lag_s, config.position_gain_per_s2,
            config.speed_gain_per_s, config.jerk_mps3, config.urgent_jerk_mps3, config.hold_mps2,
            params.max_decel_mps2, params.max_accel_mps2,
        ))  # fmt: skip
        self._out = np.zeros(7)
        self._accel_mps2 = 0.0

    def locate(
        self, x_m: float, y_m: float, yaw_rad: float, s_guess_m: float
    ) -> tuple[float, float, float]:
        """(s, d, heading against the path) of the origin, from a guess a few metres off at most."""
        out = self._out
        _kernels.locate(self._table, STEP_M, x_m, y_m, yaw_rad, s_guess_m, out)
        return float(out[0]), float(out[1]), float(out[2])

    def command(self, plan: Trajectory, t_ns: int, speed_mps: float, is_urgent: bool) -> Command:
        """Command for now, at the place the last `locate` found."""
        out = self._out
        _kernels.control(
            self._table, STEP_M, plan.column, plan.lateral, plan.start_s_m, plan.dt_s, (t_ns - plan.t_ns) * 1e-9,
            speed_mps, self._accel_mps2, self._period_s, is_urgent, self._cfg, out,
        )  # fmt: skip
        self._accel_mps2 = float(out[3])
        return Command(self._accel_mps2, float(out[4]), float(out[5]), float(out[6]))
