"""Sensor sets by owner: the suite of a driven vehicle, and the batch reading of the background fleet."""

from __future__ import annotations

import numpy as np

from protocols import streams
from protocols.roads.network import F64, I32
from protocols.sensing import FleetReading, Readings
from protocols.simtime import Now, ticks
from sim.sensors import _kernels
from sim.sensors.draws import normal_quantiles
from sim.sensors.environment import Environment
from sim.sensors.navigation import GnssSensor, ImuSensor, OdometrySensor
from sim.sensors.objects import ObjectSensor
from sim.sensors.params import FleetParams, VehicleSensorParams
from sim.state import ActorStates, ActorStatics


class SensorSuite:
    """GNSS, IMU, odometry and object detection of one vehicle. Noise belongs to (seed, name)."""

    def __init__(
        self,
        params: VehicleSensorParams,
        seed: int,
        name: str,
        tick_ms: int,
        environment: Environment | None = None,
        lane_road: I32 | None = None,
        walls: F64 | None = None,
    ) -> None:
        p = params
        self._gnss = (
            GnssSensor(p.gnss, seed, name, tick_ms, environment, lane_road) if p.gnss else None
        )
        self._imu = ImuSensor(p.imu, seed, name, tick_ms) if p.imu else None
        self._odometry = OdometrySensor(p.odometry, seed, name, tick_ms) if p.odometry else None
        self._objects = (
            ObjectSensor(p.objects, seed, name, tick_ms, environment, walls) if p.objects else None
        )

    def sample(self, now: Now, row: int, states: ActorStates, statics: ActorStatics) -> Readings:
        """Whatever is fitted and due for the vehicle in `row`; call once per tick, in order."""
        objects = self._objects
        return Readings(
            gnss=self._gnss.sample(now, row, states) if self._gnss else None,
            imu=self._imu.sample(now, row, states) if self._imu else None,
            odometry=self._odometry.sample(now, row, states) if self._odometry else None,
            objects=objects.from_vehicle(now, row, states, statics)
            if objects is not None and objects.is_due(now)
            else None,
        )


class FleetSensor:
    """What all background vehicles with an on-board unit know of themselves, as columns."""

    def __init__(self, params: FleetParams, seed: int, tick_ms: int) -> None:
        self._period = ticks(params.period_ms, tick_ms, "sensors.fleet.period_ms")
        self._key = np.uint64(streams.key(seed, "gnss/fleet"))
        self._normal = normal_quantiles()
        self._numbers: F64 = np.array(
            [
                params.white_sigma_m,
                params.bias_sigma_m,
                max(params.bias_time_s, 1.0) * 1e9,
                params.yaw_sigma_rad,
                params.speed_sigma_mps,
                params.accel_sigma_mps2,
                params.yaw_rate_sigma_radps,
            ]
        )

    def sample(
        self, now: Now, rows: I32, states: ActorStates, statics: ActorStatics
    ) -> FleetReading | None:
        """Readings of the actors in `rows` (n,), or None when not due. Noise is keyed by actor id, not by row."""
        if now.tick % self._period:
            return None
        out = np.empty((7, rows.size))
        if rows.size:
            _kernels.fleet(
                self._key,
                now.t_ns,
                rows,
                states.id,
                states.x_m,
                states.y_m,
                states.z_m,
                states.yaw_rad,
                states.speed_mps,
                states.accel_mps2,
                states.yaw_rate_radps,
                self._numbers,
                self._normal,
                out,
            )
        return FleetReading(
            now.t_ns,
            states.id[rows],
            statics.kind[rows],
            out[0],
            out[1],
            out[2],
            out[3],
            out[4],
            out[5],
            out[6],
            statics.length_m[rows],
            statics.width_m[rows],
            statics.rear_overhang_m[rows],
            states.flags[rows],
        )
