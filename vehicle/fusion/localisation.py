"""Where am I: an extended Kalman filter over GNSS, dual-antenna heading, IMU and wheel odometry.

State (5,): x, y, yaw, speed, gyro bias; process: constant turn rate and acceleration between readings, driven by the IMU.
Wheel speed, heading and position fixes are scalar updates one after the other (their noises are independent). A fix older than its arrival is moved forward with the speed known then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64
from protocols.sensing import Gnss, Imu, Odometry
from vehicle.fusion import _kernels
from vehicle.fusion.config import FusionConfig


@dataclass(frozen=True, slots=True)
class Estimate:
    """Own state. World frame."""

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    yaw_rate_radps: float
    accel_mps2: float


class Localiser:
    """The filter of one vehicle. `is_ready` once a position fix and a heading have been seen."""

    def __init__(self, config: FusionConfig) -> None:
        self._noise: F64 = np.array((
            config.accel_sigma_mps2, config.gyro_sigma_radps, config.gyro_bias_walk, config.odometry_sigma_mps,
            config.yaw_sigma_rad, config.gnss_gate_sigma,
        ))  # fmt: skip
        self.state: F64 = np.zeros(5)
        self.covariance: F64 = np.diag((1.0, 1.0, 0.01, 0.25, 1e-6))
        self._z = np.zeros(10)
        self._scratch = np.eye(5), np.zeros((5, 5))
        self._t_ns = -1
        self._accel_mps2 = 0.0
        self._yaw_rate_radps = 0.0
        self.is_ready = False
        self.num_refused = 0

    def update(
        self, t_ns: int, gnss: Gnss | None, imu: Imu | None, odometry: Odometry | None
    ) -> Estimate:
        """Advance to `t_ns` and take in what has arrived."""
        if not self.is_ready:
            self._start(t_ns, gnss, imu, odometry)
        else:
            z = self._z
            z[0] = (t_ns - self._t_ns) * 1e-9
            self._t_ns = t_ns
            z[1] = z[2] = z[4] = 0.0
            if imu is not None:
                z[1], z[5], z[6], z[7] = 1.0, imu.accel_mps2, imu.yaw_rate_radps, imu.yaw_rad
                self._accel_mps2 = imu.accel_mps2
            else:
                z[5], z[6] = self._accel_mps2, self._yaw_rate_radps
            if odometry is not None:
                z[2], z[3] = 1.0, odometry.speed_mps
            if gnss is not None:
                age_m = (t_ns - gnss.t_ns) * 1e-9 * float(self.state[3])
                yaw = float(self.state[2])
                z[4] = gnss.sigma_m
                z[8] = gnss.x_m + age_m * np.cos(yaw)
                z[9] = gnss.y_m + age_m * np.sin(yaw)
            refused = _kernels.localise(
                self.state, self.covariance, z, self._noise, self.num_refused >= 10, *self._scratch
            )
            if odometry is not None and odometry.speed_mps == 0.0:
                # wheels that stand give exactly zero; a biased accelerometer would creep on and the doors stay shut
                self.state[3] = 0.0
            if gnss is not None:
                self.num_refused = self.num_refused + 1 if refused else 0
            if imu is not None:
                self._yaw_rate_radps = imu.yaw_rate_radps
        s = self.state.tolist()
        return Estimate(s[0], s[1], s[2], s[3], self._yaw_rate_radps - s[4], self._accel_mps2)

    def _start(
        self, t_ns: int, gnss: Gnss | None, imu: Imu | None, odometry: Odometry | None
    ) -> None:
        if gnss is not None:
            self.state[0], self.state[1] = gnss.x_m, gnss.y_m
            self.covariance[0, 0] = self.covariance[1, 1] = gnss.sigma_m**2
        if imu is not None:
            self.state[2] = imu.yaw_rad
            self._accel_mps2, self._yaw_rate_radps = imu.accel_mps2, imu.yaw_rate_radps
        if odometry is not None:
            self.state[3] = odometry.speed_mps
        self._t_ns = t_ns
        self.is_ready = gnss is not None and imu is not None
