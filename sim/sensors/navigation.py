"""GNSS, IMU and odometry of one driven vehicle.

Each sensor draws from its own stream (`gnss/NAME`, `imu/NAME`, `odometry/NAME`) a fixed number of values per sample, so fitting or
removing one changes no other. Slow errors are first-order Gauss-Markov processes, stationary from the first sample:
b' = a b + sqrt(1 - a^2) sigma n, a = exp(-dt / tau) (Gelb, Applied Optimal Estimation, 1974, section 3.6).
"""

from __future__ import annotations

import math

import numpy as np

from protocols import streams
from protocols.frames import wrap_angle
from protocols.roads.network import F64
from protocols.sensing import Gnss, Imu, Odometry
from protocols.simtime import Now, ticks
from sim.sensors.params import GnssParams, ImuParams, OdometryParams
from sim.state import ActorStates


class _Draws:
    """Standard normal draws of one sensor, `width` a sample, fetched in blocks."""

    def __init__(self, seed: int, name: str, width: int) -> None:
        self._generator = streams.generator(seed, name)
        self._width = width
        self._block: list[list[float]] = []

    def next(self) -> list[float]:
        if not self._block:
            block: F64 = self._generator.standard_normal((64, self._width))
            self._block = block[::-1].tolist()
        return self._block.pop()


class GnssSensor:
    """Position fixes."""

    def __init__(self, params: GnssParams, seed: int, name: str, tick_ms: int) -> None:
        self._p = params
        self._period = ticks(params.period_ms, tick_ms, f"sensors.gnss.period_ms of {name}")
        self._draws = _Draws(seed, f"gnss/{name}", 6)
        self._keep = _keep(params.period_ms, params.bias_time_s)
        self._bias: list[float] | None = None

    def sample(self, now: Now, row: int, states: ActorStates) -> Gnss | None:
        """A fix, or None when not due."""
        if now.tick % self._period:
            return None
        p = self._p
        draw = self._draws.next()
        if self._bias is None:
            self._bias = [p.bias_sigma_m * n for n in draw[:3]]
        else:
            fresh = math.sqrt(1.0 - self._keep**2) * p.bias_sigma_m
            self._bias = [
                self._keep * b + fresh * n for b, n in zip(self._bias, draw[:3], strict=True)
            ]
        bias = self._bias
        return Gnss(
            now.t_ns,
            float(states.x_m[row]) + bias[0] + p.white_sigma_m * draw[3],
            float(states.y_m[row]) + bias[1] + p.white_sigma_m * draw[4],
            float(states.z_m[row]) + p.height_factor * (bias[2] + p.white_sigma_m * draw[5]),
            math.hypot(p.white_sigma_m, p.bias_sigma_m),
        )


class ImuSensor:
    """Acceleration, yaw rate, and the dual antenna's heading."""

    def __init__(self, params: ImuParams, seed: int, name: str, tick_ms: int) -> None:
        self._p = params
        self._period = ticks(params.period_ms, tick_ms, f"sensors.imu.period_ms of {name}")
        self._draws = _Draws(seed, f"imu/{name}", 5)
        self._keep = _keep(params.period_ms, params.bias_time_s)
        self._fresh = math.sqrt(1.0 - self._keep**2)
        self._bias: tuple[float, float] | None = None

    def sample(self, now: Now, row: int, states: ActorStates) -> Imu | None:
        """A reading, or None when not due."""
        if now.tick % self._period:
            return None
        p = self._p
        n0, n1, n2, n3, n4 = self._draws.next()
        accel, rate = p.accel_bias_sigma_mps2 * n0, p.yaw_rate_bias_sigma_radps * n1
        if self._bias is not None:
            accel = self._keep * self._bias[0] + self._fresh * accel
            rate = self._keep * self._bias[1] + self._fresh * rate
        self._bias = (accel, rate)
        return Imu(
            now.t_ns,
            float(states.accel_mps2[row]) + accel + p.accel_sigma_mps2 * n2,
            float(states.yaw_rate_radps[row]) + rate + p.yaw_rate_sigma_radps * n3,
            wrap_angle(float(states.yaw_rad[row]) + p.yaw_sigma_rad * n4),
        )


class OdometrySensor:
    """Wheel speed with a constant scale error, steering and articulation angles."""

    def __init__(self, params: OdometryParams, seed: int, name: str, tick_ms: int) -> None:
        self._p = params
        self._period = ticks(params.period_ms, tick_ms, f"sensors.odometry.period_ms of {name}")
        self._draws = _Draws(seed, f"odometry/{name}", 3)
        self._scale = 1.0 + params.speed_scale_sigma * self._draws.next()[0]

    def sample(self, now: Now, row: int, states: ActorStates) -> Odometry | None:
        """A reading, or None when not due."""
        if now.tick % self._period:
            return None
        p = self._p
        n0, n1, n2 = self._draws.next()
        speed = float(states.speed_mps[row])
        # Wheels that stand still give no pulses: a stopped vehicle reads exactly zero.
        if speed != 0.0:
            speed = speed * self._scale + p.speed_sigma_mps * n0
        return Odometry(
            now.t_ns,
            speed,
            float(states.steer_rad[row]) + p.steer_sigma_rad * n1,
            float(states.hitch_rad[row]) + p.hitch_sigma_rad * n2,
        )


def _keep(period_ms: int, time_s: float) -> float:
    """Share of a slow error that is left after one period."""
    return float(np.exp(-period_ms / 1000.0 / time_s)) if time_s > 0.0 else 0.0
