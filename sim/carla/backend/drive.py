"""From an acceleration and a wheel angle to CARLA's pedals and steering wheel, for one automated vehicle.

The vehicle gets an electric drive through `apply_physics_control`: one gear, level torque, no engine braking, brakes as strong as
its limit, a steering curve that is level. With that the force at the wheels is proportional to the pedal, so that a commanded
acceleration becomes a pedal by F = m a + drag + rolling; what the server's physics does differently is taken out by a
proportional-integral part on the speed that the commands add up to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vehicle.dynamics import VehicleParams

AIR_KGPM3 = 1.2
MAX_RPM = 10_000.0
FINAL_RATIO = 8.0
SPEED_GAIN_PER_S = 1.2  # of the error in speed, as acceleration
SUM_GAIN_PER_S2 = 0.5
MAX_ERROR_MPS = 0.6  # the speed the commands add up to never runs farther away from the real one
MAX_SUM_MPS2 = 1.5
STAND_MPS = 0.06
RESERVE = 1.6  # of force over what the largest acceleration needs


@dataclass(slots=True)
class Drive:
    """Pedals of one vehicle. `control` turns a command into (throttle, brake, steer) of CARLA."""

    params: VehicleParams
    mass_kg: float
    radius_m: float
    drag_coefficient: float
    frontal_m2: float
    steer_rad: float  # of the road wheels at full lock
    _wanted_mps: float = 0.0
    _sum_mps2: float = 0.0
    _accel_mps2: float = 0.0
    _steer: float = field(default=0.0)

    @property
    def force_n(self) -> float:
        """At the wheels with the throttle open."""
        return RESERVE * self.mass_kg * self.params.max_accel_mps2

    @property
    def brake_n(self) -> float:
        """At all wheels with the brake pressed."""
        return 1.2 * self.mass_kg * self.params.max_decel_mps2

    def physics(self, carla: Any, control: Any) -> Any:
        """CARLA's physics control of this vehicle, changed to what is said above."""
        torque = self.force_n * self.radius_m / FINAL_RATIO
        control.torque_curve = [carla.Vector2D(0.0, torque), carla.Vector2D(MAX_RPM, torque)]
        control.max_rpm = MAX_RPM
        control.damping_rate_full_throttle = 0.0
        control.damping_rate_zero_throttle_clutch_engaged = 0.0
        control.damping_rate_zero_throttle_clutch_disengaged = 0.0
        control.use_gear_autobox = False
        control.gear_switch_time = 0.0
        control.final_ratio = FINAL_RATIO
        control.forward_gears = [carla.GearPhysicsControl(ratio=1.0, down_ratio=0.0, up_ratio=1.0)]
        control.mass = self.mass_kg
        control.drag_coefficient = self.drag_coefficient
        control.steering_curve = [carla.Vector2D(0.0, 1.0), carla.Vector2D(200.0, 1.0)]
        wheels = list(control.wheels)
        share = self.brake_n * self.radius_m / max(len(wheels), 1)
        for k, wheel in enumerate(wheels):
            wheel.max_brake_torque = share
            wheel.max_steer_angle = math.degrees(self.steer_rad) if k < 2 else 0.0
        control.wheels = wheels
        return control

    def control(
        self, accel_mps2: float, steer_rad: float, speed_mps: float, dt_s: float
    ) -> tuple[float, float, float]:
        """(throttle, brake, steer) for this tick: pedals 0..1, steer -1..1, right positive."""
        p = self.params
        wish = min(max(accel_mps2, -p.max_decel_mps2), p.max_accel_mps2)
        self._accel_mps2 += (wish - self._accel_mps2) * (1.0 - math.exp(-dt_s / p.accel_lag_s))
        room = min(p.max_steer_rate_radps * dt_s, math.inf)
        target = min(max(steer_rad, -p.max_steer_rad), p.max_steer_rad)
        move = (target - self._steer) * (1.0 - math.exp(-dt_s / p.steer_lag_s))
        self._steer += min(max(move, -room), room)
        steer = -self._steer / self.steer_rad
        if wish <= 0.0 and speed_mps < STAND_MPS:
            self._wanted_mps, self._sum_mps2, self._accel_mps2 = 0.0, 0.0, 0.0
            return 0.0, 1.0, steer
        self._wanted_mps = max(self._wanted_mps + self._accel_mps2 * dt_s, 0.0)
        low, high = speed_mps - MAX_ERROR_MPS, speed_mps + MAX_ERROR_MPS
        self._wanted_mps = min(max(self._wanted_mps, low), high)
        error = self._wanted_mps - speed_mps
        self._sum_mps2 += SUM_GAIN_PER_S2 * error * dt_s
        self._sum_mps2 = min(max(self._sum_mps2, -MAX_SUM_MPS2), MAX_SUM_MPS2)
        accel = self._accel_mps2 + SPEED_GAIN_PER_S * error + self._sum_mps2
        drag = 0.5 * AIR_KGPM3 * self.drag_coefficient * self.frontal_m2 * speed_mps * speed_mps
        force = self.mass_kg * accel + drag
        if force >= 0.0:
            return min(force / self.force_n, 1.0), 0.0, steer
        return 0.0, min(-force / self.brake_n, 1.0), steer

    @property
    def angle_rad(self) -> float:
        """Of the road wheels, left positive, as asked of the server."""
        return self._steer

    def start(self, speed_mps: float) -> None:
        """Rolling already."""
        self._wanted_mps = speed_mps
