"""Ultrasonic range finder: the distance to the nearest thing in a cone, body or wall; it does not say in which direction.

Rays spread over the cone find the nearest surface above the road. The one object it reports lies on the axis at the measured distance; across
it the covariance spans the cone (uniform: width / sqrt(12)). Drops on the membrane lose pings; fog and light do nothing.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.roads.network import F64, I32
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from sim.sensors import _ray_kernels, draws
from sim.sensors.detection_params import UltrasonicParams
from sim.sensors.environment import Environment
from sim.sensors.reports import Found, ghosts, object_list
from sim.sensors.surroundings import Place, Surroundings
from sim.state import ActorStates, ActorStatics

_AZIMUTHS, _CHANNELS = 31, 9
_STEEPEST_RAD = 0.35  # the cone is flatter than wide, so that the road gives no echo


class Ultrasonic:
    """One sensor. Its noise belongs to `key`."""

    def __init__(
        self, params: UltrasonicParams, key: int, name: str, environment: Environment, walls: F64
    ) -> None:
        p = self._p = params
        self._key, self._name = key, name
        self._surroundings = Surroundings(walls)
        half = min(0.5 * p.field_of_view_rad, _STEEPEST_RAD)
        elevation = np.linspace(-half, half, _CHANNELS)
        self._slope = np.tan(elevation)
        self._secant = 1.0 / np.cos(elevation)
        self._ground = np.empty((_AZIMUTHS, _CHANNELS))
        self._background = np.empty((_AZIMUTHS, _CHANNELS))
        self._hit: I32 = np.empty((_AZIMUTHS, _CHANNELS), dtype=np.int32)
        self._lost = 1.0 - (1.0 - p.miss_probability) * (1.0 - environment.drop_out("ultrasonic"))

    def nearest_m(self, place: Place, states: ActorStates, statics: ActorStatics) -> float:
        """True distance to the nearest surface in the cone; inf when there is none within range."""
        p = self._p
        boxes = self._surroundings.look(place, p.range_m, states, statics)
        _ray_kernels.cast(
            place.up_m, place.yaw_rad - 0.5 * p.field_of_view_rad,
            p.field_of_view_rad / (_AZIMUTHS - 1), self._slope, boxes.box, boxes.span, boxes.wall,
            self._ground, self._hit, self._background,
        )  # fmt: skip
        is_echo = (self._hit >= 0) | (self._hit == _ray_kernels.WALL)
        r = np.where(is_echo, self._ground * self._secant, np.inf)
        least = float(r.min())
        return least if least <= p.range_m else math.inf

    def measure(
        self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """One ping: a list of at most one object."""
        p, key = self._p, self._key
        distance = self.nearest_m(place, states, statics)
        if float(draws.uniform(key, t_ns, 0, [0])[0]) < self._lost:
            distance = math.inf
        far, _, _ = ghosts(
            key, t_ns, p.clutter_per_scan, place, p.field_of_view_rad, p.min_range_m, p.range_m
        )
        distance = min([distance, *far.tolist()])
        if math.isfinite(distance):
            distance += p.range_sigma_m * float(draws.normal(key, t_ns, 1, [0])[0])
            r = np.array([max(distance, p.min_range_m)])
        else:
            r = np.zeros(0)
        yaw, zero = np.full(r.size, place.yaw_rad), np.zeros(r.size)
        found = Found(
            r * math.cos(place.yaw_rad), r * math.sin(place.yaw_rad), yaw,
            np.full(r.size, p.range_sigma_m), r * p.field_of_view_rad / math.sqrt(12.0), yaw, zero,
            zero, zero, zero, np.zeros(r.size, np.uint8),
        )  # fmt: skip
        return object_list(t_ns, place, found, self._name, SensorKind.ULTRASONIC, VelocityKind.NONE)
