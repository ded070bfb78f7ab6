"""GNSS, IMU and odometry of one driven vehicle.

A receiver's class of position follows its satellites (constellation, sky) and the age of its corrections (thresholds in its preset); the
error grows with the class. Weather and light do nothing to it. Under an open sky with corrections it is what the preset says.

Each sensor draws from its own stream (`gnss/NAME`, `imu/NAME`, `odometry/NAME`) a fixed number of values per sample, so fitting or
removing one changes no other. Slow errors are first-order Gauss-Markov processes, stationary from the first sample:
b' = a b + sqrt(1 - a^2) sigma n, a = exp(-dt / tau) (Gelb, Applied Optimal Estimation, 1974, section 3.6).
"""

from __future__ import annotations

import math

import numpy as np

from protocols import streams
from protocols.frames import wrap_angle
from protocols.roads.network import F64, I32
from protocols.sensing import FixQuality, Gnss, Imu, Odometry
from protocols.simtime import Now, ticks
from sim.sensors.environment import Environment, Sky, constellation, sky_effect
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
    """Position fixes. `lane_road` (L,): road of each lane, for skies that are given by road."""

    def __init__(
        self,
        params: GnssParams,
        seed: int,
        name: str,
        tick_ms: int,
        environment: Environment | None = None,
        lane_road: I32 | None = None,
    ) -> None:
        self._p = params
        self._period = ticks(params.period_ms, tick_ms, f"sensors.gnss.period_ms of {name}")
        self._draws = _Draws(seed, f"gnss/{name}", 6)
        self._keep = _keep(params.period_ms, params.bias_time_s)
        self._bias: list[float] | None = None
        self._environment = environment or Environment()
        self._lane_road = lane_road
        system = constellation(params.constellation)
        self._satellites, self._geometry = system["satellites"], system["geometry_factor"]
        self._echoes = _Draws(seed, f"multipath/{name}", 3)
        time_s = sky_effect(Sky.CANYON)["multipath_time_s"]
        self._keep_echo = _keep(params.period_ms, time_s)
        self._echo: list[float] | None = None

    def sample(self, now: Now, row: int, states: ActorStates) -> Gnss | None:
        """A fix, or None when not due or without satellites."""
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
        place = [float(states.x_m[row]), float(states.y_m[row]), float(states.z_m[row])]
        sky = self._sky(place, int(states.lane[row]))
        effect = sky_effect(sky)
        quality = self.quality(now.t_s, effect["satellite_share"])
        echo = self._multipath()
        if quality is FixQuality.UNSPECIFIED:
            return None
        nominal = math.hypot(p.white_sigma_m, p.bias_sigma_m)
        sigma = self._class_sigma(quality, nominal)
        scale = sigma / nominal * self._geometry if nominal > 0.0 else 1.0
        # Carrier phases hear echoes as much less as they are better than codes.
        loud = effect["multipath_sigma_m"] * min(sigma / max(p.single_sigma_m, 1e-9), 1.0)
        white = scale * p.white_sigma_m
        slow = [scale * b for b in self._bias]
        return Gnss(
            now.t_ns,
            place[0] + slow[0] + white * draw[3] + loud * echo[0],
            place[1] + slow[1] + white * draw[4] + loud * echo[1],
            place[2] + p.height_factor * (slow[2] + white * draw[5] + loud * echo[2]),
            math.hypot(scale * nominal, loud),
            quality,
        )

    def quality(self, t_s: float, satellite_share: float) -> FixQuality:
        """The class of position at `t_s` with a share of the sky; UNSPECIFIED: none."""
        p = self._p
        satellites = math.floor(self._satellites * satellite_share + 0.5)
        if satellites < p.min_satellites:
            return FixQuality.UNSPECIFIED
        best = FixQuality(p.best_quality)
        if best < FixQuality.RTK_FLOAT:
            return best
        age_s = self._environment.corrections.age_s(t_s)
        if age_s > p.float_age_s or satellites < p.float_satellites:
            return FixQuality.SINGLE
        if age_s > p.fix_age_s or satellites < p.fix_satellites:
            return FixQuality.RTK_FLOAT
        return best

    def _class_sigma(self, quality: FixQuality, nominal: float) -> float:
        p = self._p
        if quality >= p.best_quality:
            return nominal
        return p.float_sigma_m if quality is FixQuality.RTK_FLOAT else p.single_sigma_m

    def _sky(self, place: list[float], lane: int) -> Sky:
        if not self._environment.sky:
            return Sky.OPEN
        known = self._lane_road is not None and lane >= 0
        road = int(self._lane_road[lane]) if known and self._lane_road is not None else -1
        return self._environment.sky_at(place[0], place[1], road)

    def _multipath(self) -> list[float]:
        """Unit echoes on three axes; drawn for every sample, so that a canyon's place changes nothing after it."""
        if not self._environment.sky:
            return [0.0, 0.0, 0.0]
        draw = self._echoes.next()
        if self._echo is None:
            self._echo = draw
        else:
            fresh = math.sqrt(1.0 - self._keep_echo**2)
            self._echo = [
                self._keep_echo * e + fresh * n for e, n in zip(self._echo, draw, strict=True)
            ]
        return self._echo


class ImuSensor:
    """Acceleration, yaw rate, and the dual antenna's heading."""

    def __init__(self, params: ImuParams, seed: int, name: str, tick_ms: int) -> None:
        self._p = params
        self._period = ticks(params.period_ms, tick_ms, f"sensors.imu.period_ms of {name}")
        self._draws = _Draws(seed, f"imu/{name}", 5)
        self._keep = _keep(params.period_ms, params.bias_time_s)
        self._fresh = math.sqrt(1.0 - self._keep**2)
        self._bias: tuple[float, float] | None = None
        root = math.sqrt(params.period_ms / 1000.0)
        self._step = (
            params.accel_walk_mps2_per_sqrt_s * root,
            params.yaw_rate_walk_radps_per_sqrt_s * root,
        )
        self._steps = _Draws(seed, f"imu-walk/{name}", 2) if any(self._step) else None
        self._walk = (0.0, 0.0)

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
        if self._steps is not None:
            w0, w1 = self._steps.next()
            self._walk = (self._walk[0] + self._step[0] * w0, self._walk[1] + self._step[1] * w1)
            accel, rate = accel + self._walk[0], rate + self._walk[1]
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
        if p.speed_step_mps > 0.0:  # whole teeth of the encoder
            speed = p.speed_step_mps * round(speed / p.speed_step_mps)
        return Odometry(
            now.t_ns,
            speed,
            float(states.steer_rad[row]) + p.steer_sigma_rad * n1,
            float(states.hitch_rad[row]) + p.hitch_sigma_rad * n2,
        )


def _keep(period_ms: int, time_s: float) -> float:
    """Share of a slow error that is left after one period."""
    return float(np.exp(-period_ms / 1000.0 / time_s)) if time_s > 0.0 else 0.0
