"""Object sensors of vehicles and roadside units: what stands in range, in view and not hidden, with noise and misses.

Occlusion is true geometry: every section of every body is an oriented box with a height, and 2048 azimuth rays decide which share
of an object stands clear (see `_kernels.detect`). A sensor on a pole looks over cars; a low one does not look over a bus. Walls of the
map hide what is behind them. Rain and fog reach a set as they reach a lidar. An articulated vehicle gives one object per section. Nothing in an `ObjectList` identifies anybody: order is by
distance, and ids stay in here (they key the noise).
"""

from __future__ import annotations

import math

import numpy as np

from protocols import streams
from protocols.roads.network import F64
from protocols.sensing import ObjectList
from protocols.simtime import Now, ticks
from sim.sensors import _kernels
from sim.sensors.draws import normal_quantiles
from sim.sensors.environment import Environment, reach_m
from sim.sensors.params import ObjectParams
from sim.sensors.surroundings import near_walls
from sim.state import ActorStates, ActorStatics

_RAYS = 2048  # 0.18 degrees: a car seen from behind at 150 m still spans four
_LOW_WALL_M = 0.5  # lower ones (kerbs, platforms) hide nobody's middle
_MAX_OBJECTS = 512  # boxes within reach of one sensor; far above a full junction


class ObjectSensor:
    """One sensor set. Its noise belongs to (seed, name)."""

    def __init__(
        self,
        params: ObjectParams,
        seed: int,
        name: str,
        tick_ms: int,
        environment: Environment | None = None,
        walls: F64 | None = None,
    ) -> None:
        self._params = params
        self._walls = walls[:, walls[4] > _LOW_WALL_M] if walls is not None else np.zeros((5, 0))
        # A set leans on its lidar where the camera sees nothing: weather reaches it as it reaches a lidar.
        weather = environment or Environment()
        lost = weather.drop_out("lidar")
        self._period = ticks(params.period_ms, tick_ms, f"sensors.objects.period_ms of {name}")
        self._key = np.uint64(streams.key(seed, f"objects/{name}"))
        self._numbers: F64 = np.array(
            [
                reach_m(params.range_m, weather.extinction_per_m("lidar")),
                params.height_m,
                params.field_of_view_rad,
                params.min_visible,
                params.position_sigma_m,
                params.position_sigma_per_m,
                params.yaw_sigma_rad,
                params.speed_sigma_mps,
                params.size_sigma_m,
                params.miss_probability + (1.0 - params.miss_probability) * lost,
            ]
        )
        azimuth = np.arange(_RAYS) * (2.0 * math.pi / _RAYS)
        self._rays = (np.cos(azimuth), np.sin(azimuth))
        self._normal = normal_quantiles()
        self._scratch = (
            np.empty(_RAYS),
            np.empty((10, _MAX_OBJECTS)),
            np.empty((9, _MAX_OBJECTS)),
        )

    def is_due(self, now: Now) -> bool:
        """Whether the sensor samples at this tick."""
        return now.tick % self._period == 0

    def from_vehicle(
        self, now: Now, row: int, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """Objects around the vehicle in `row`, in its body frame."""
        yaw = float(states.yaw_rad[row])
        mount = self._params.mount_x_m
        return self._detect(
            now,
            float(states.x_m[row]) + mount * math.cos(yaw),
            float(states.y_m[row]) + mount * math.sin(yaw),
            yaw + self._params.bore_sight_rad,
            row,
            states,
            statics,
        )

    def from_pole(
        self, now: Now, x_m: float, y_m: float, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """Objects around a fixed sensor at (x_m, y_m), in the world frame."""
        return self._detect(now, x_m, y_m, self._params.bore_sight_rad, -1, states, statics)

    def _detect(
        self,
        now: Now,
        x_m: float,
        y_m: float,
        bore_sight_rad: float,
        row: int,
        states: ActorStates,
        statics: ActorStatics,
    ) -> ObjectList:
        horizon, box, out = self._scratch
        count = 0
        if np.count_nonzero(states.valid) > (row >= 0):  # somebody else is there
            count = _kernels.detect(
                self._key,
                now.t_ns,
                x_m,
                y_m,
                bore_sight_rad,
                row,
                row < 0,
                states.valid,
                states.id,
                states.x_m,
                states.y_m,
                states.yaw_rad,
                states.speed_mps,
                states.hitch_rad,
                statics.kind,
                statics.length_m,
                statics.width_m,
                statics.height_m,
                statics.rear_overhang_m,
                statics.hitch_x_m,
                statics.rear_length_m,
                near_walls(self._walls, x_m, y_m, self._params.range_m),
                self._numbers,
                self._normal,
                *self._rays,
                horizon,
                box,
                out,
            )
        found = out[:, :count].copy()
        return ObjectList(
            t_ns=now.t_ns,
            is_world_frame=row < 0,
            x_m=found[0],
            y_m=found[1],
            yaw_rad=found[2],
            vx_mps=found[3],
            vy_mps=found[4],
            length_m=found[5],
            width_m=found[6],
            kind=found[7].astype(np.uint8),
            sigma_m=found[8],
        )


class RoadsideSensor:
    """The surveyed object sensor of one roadside unit at (x_m, y_m)."""

    def __init__(
        self,
        params: ObjectParams,
        seed: int,
        name: str,
        tick_ms: int,
        x_m: float,
        y_m: float,
        environment: Environment | None = None,
        walls: F64 | None = None,
    ) -> None:
        self._sensor = ObjectSensor(params, seed, name, tick_ms, environment, walls)
        self._place = (x_m, y_m)

    def sample(self, now: Now, states: ActorStates, statics: ActorStatics) -> ObjectList | None:
        """World-frame objects, or None when not due."""
        if not self._sensor.is_due(now):
            return None
        return self._sensor.from_pole(now, *self._place, states, statics)
