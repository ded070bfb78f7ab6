"""Sensors of each kind of unit, wired to the world: what `sim.loop` asks for a unit's readings.

A port hands out readings only; nothing of the truth passes but through a sensor model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.roads.network import I32
from protocols.sensing import CrossingDemand, ObjectList, Readings
from protocols.sentence import say
from protocols.simtime import Now
from protocols.streams import generator
from scenarios.spec import SceneSpec
from sim.sensors.detections import ON_POLE, ON_VEHICLE, DetectionSet, fitted
from sim.sensors.environment import make_environment
from sim.sensors.objects import RoadsideSensor
from sim.sensors.params import (
    FleetParams,
    GnssParams,
    ImuParams,
    ObjectParams,
    OdometryParams,
    VehicleSensorParams,
    preset,
)
from sim.sensors.suite import FleetSensor, SensorSuite
from sim.sensors.surroundings import walls_of
from sim.state import Control
from sim.world import HeadlessWorld, UnitVehicle

ROADSIDE_STEP_NS = 100_000_000
CABIN_STEP_NS = 100_000_000
_KINDS: dict[str, Any] = {
    "objects": ObjectParams,
    "gnss": GnssParams,
    "imu": ImuParams,
    "odometry": OdometryParams,
}
DEFAULT_SENSORS = {"objects": "vehicle", "gnss": "rtk", "imu": "default", "odometry": "default"}

POLE_SENSORS = {"objects": "roadside"}


def sensor_params(
    table: Mapping[str, Any], where: str, defaults: Mapping[str, str]
) -> dict[str, Any]:
    """`objects = "roadside"`, `gnss = { preset = "rtk", white_sigma_m = 0.05 }` or `objects = false` (not fitted)."""
    try:
        return _sensor_params(table, where, defaults)
    except ConfigError as error:
        text = str(error)
        if not text.startswith(where):
            text = say("{scene}: {what!s}", scene=where, what=text)
        raise ConfigError(text) from None


def _sensor_params(
    table: Mapping[str, Any], where: str, defaults: Mapping[str, str]
) -> dict[str, Any]:
    out: dict[str, Any] = {name: preset(_KINDS[name], row) for name, row in defaults.items()}
    for name, value in table.items():
        if name == "extra":
            continue  # `extra_sensors` reads it
        if name not in defaults:
            raise ConfigError(
                say(
                    "{where}.sensors.{name}: unknown sensor; expected one of {names}, extra.",
                    where=where, name=name, names=", ".join(defaults),
                )
            )  # fmt: skip
        if value is False:
            out[name] = None
        elif isinstance(value, str):
            out[name] = preset(_KINDS[name], value)
        elif isinstance(value, dict):
            row = dict(value)
            base = preset(_KINDS[name], str(row.pop("preset", defaults[name])))
            known = set(base.__dataclass_fields__)
            # `constellation` is the one name among the numbers; its sensor knows which there are.
            wrong = [
                k
                for k in row
                if k not in known
                or not (isinstance(row[k], str) if k == "constellation" else _is_number(row[k]))
            ]
            if wrong:
                raise ConfigError(
                    say(
                        "{where}.sensors.{name}.{key} = {value!r}: expected a number under one of {names}.",
                        where=where, name=name, key=wrong[0], value=row[wrong[0]], names=", ".join(sorted(known)),
                    )
                )  # fmt: skip
            out[name] = replace(base, **row)
        else:
            raise ConfigError(
                say(
                    "{where}.sensors.{name}: found {value!r}; expected a preset's name, a table, or false.",
                    where=where, name=name, value=value,
                )
            )  # fmt: skip
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Served(Protocol):
    """Sensors of one vehicle that measure somewhere else (`sim.carla.backend.sensors`)."""

    @property
    def kinds(self) -> frozenset[str]:
        """Which fields of `Readings` they fill; our own models of these are left out."""

    def sample(self, now: Now) -> Mapping[str, Any]:
        """Readings that are due, by field."""


class VehiclePort:
    """Sensors and cabin of an automated vehicle."""

    def __init__(
        self,
        world: HeadlessWorld,
        vehicle: UnitVehicle,
        table: Mapping[str, Any],
        spec: SceneSpec,
        served: Served | None = None,
    ) -> None:
        where = f"vehicles.{vehicle.name}"
        params = sensor_params(table, where, DEFAULT_SENSORS)
        self._served = served
        for kind in served.kinds if served is not None else ():
            params[kind] = None
        if params["objects"] is not None:
            # The set sits at the front of the roof.
            mount = min(params["objects"].mount_x_m, vehicle.params.front_x_m)
            params["objects"] = replace(params["objects"], mount_x_m=mount)
        environment = make_environment(spec.environment, world.net)
        walls = walls_of(world.net.objects)
        self._suite = SensorSuite(
            VehicleSensorParams(**params), spec.seed, vehicle.name, spec.tick_ms, environment,
            world.net.lanes.road, walls,
        )  # fmt: skip
        self._detections = DetectionSet(
            fitted(table.get("extra", ()), f"{where}.sensors.extra", ON_VEHICLE), spec.seed,
            vehicle.name, spec.tick_ms, environment, walls,
        )  # fmt: skip
        self._world = world
        self._vehicle = vehicle

    def sample(self, tick: int, t_ns: int) -> Readings:
        """What is due."""
        world, vehicle, now = self._world, self._vehicle, Now(tick, t_ns)
        readings = self._suite.sample(now, vehicle.row, world.states, world.statics)
        if self._served is not None:
            readings = replace(readings, **self._served.sample(now))
        detections = self._detections.from_vehicle(now, vehicle.row, world.states, world.statics)
        if detections:
            readings = replace(readings, detections=detections)
        if vehicle.cabin is None or t_ns % CABIN_STEP_NS:
            return readings
        cabin = vehicle.cabin.reading(t_ns, int(world.states.doors[vehicle.row]))
        return replace(readings, cabin=cabin)


class RoadsidePort:
    """Object sensors, loops and push buttons of the junctions a unit serves."""

    def __init__(
        self,
        world: HeadlessWorld,
        name: str,
        table: Mapping[str, Any] | None,
        place_m: tuple[float, float],
        junctions: tuple[int, ...],
        spec: SceneSpec,
    ) -> None:
        self._world = world
        self._place = place_m
        self._sensor: RoadsideSensor | None = None
        self._detections: DetectionSet | None = None
        if table is not None:
            where = f"roadside.{name}"
            environment = make_environment(spec.environment, world.net)
            walls = walls_of(world.net.objects)
            params = sensor_params(table, where, POLE_SENSORS)
            if params["objects"] is not None:
                self._sensor = RoadsideSensor(
                    params["objects"], spec.seed, name, spec.tick_ms, *place_m, environment, walls
                )
            self._detections = DetectionSet(
                fitted(table.get("extra", ()), f"{where}.sensors.extra", ON_POLE), spec.seed, name,
                spec.tick_ms, environment, walls,
            )  # fmt: skip
        self._loops = _loops_of(world, junctions)
        self._crossings = np.flatnonzero(
            [
                int(g) >= 0 and int(world.net.groups.junction[g]) in junctions
                for g in world.net.crossings.group
            ]
        ).astype(np.int32)

    def sample(self, tick: int, t_ns: int) -> Readings:
        """What is due: loops, buttons and the set at 10 Hz, single sensors at their own rhythm."""
        world, now = self._world, Now(tick, t_ns)
        detections: tuple[ObjectList, ...] = ()
        if self._detections is not None:
            detections = self._detections.from_pole(now, *self._place, world.states, world.statics)
        if t_ns % ROADSIDE_STEP_NS:
            if not detections:
                return _NOTHING
            return Readings(detections=detections)
        objects = None
        if self._sensor is not None:
            objects = self._sensor.sample(now, world.states, world.statics)
        crossings = None
        if self._crossings.size:
            pressed = world.buttons()[self._crossings]
            crossings = CrossingDemand(t_ns, self._crossings, pressed)
        return Readings(
            objects=objects,
            detectors=world.loops.reading(t_ns, self._loops),
            crossings=crossings,
            detections=detections,
        )


def _loops_of(world: HeadlessWorld, junctions: tuple[int, ...]) -> I32:
    """Loops of the lanes whose stop lines belong to groups of `junctions`."""
    lines, groups = world.net.stop_lines, world.net.groups
    has = lines.group >= 0
    mine = has & np.isin(groups.junction[np.maximum(lines.group, 0)], junctions)
    return np.flatnonzero(np.isin(world.loops.lane, lines.lane[mine])).astype(np.int32)


class FleetPort:
    """GNSS and odometry of all equipped background vehicles."""

    def __init__(self, world: HeadlessWorld, spec: SceneSpec) -> None:
        self._world = world
        self._sensor = FleetSensor(preset(FleetParams, "default"), spec.seed, spec.tick_ms)
        # Who is equipped is decided once, by actor id, so that nobody's draw depends on anybody else.
        share = generator(spec.seed, "fleet/equipped").random(65_536)
        self._is_equipped = share < spec.demand.equipped_share

    def sample(self, tick: int, t_ns: int) -> Readings:
        """One batch when due."""
        states, statics = self._world.states, self._world.statics
        motor = statics.kind < int(ActorKind.BICYCLE)
        rows = np.flatnonzero(states.valid & (statics.control == int(Control.TRAFFIC)) & motor)
        rows = rows[self._is_equipped[states.id[rows] % self._is_equipped.size]]
        reading = self._sensor.sample(Now(tick, t_ns), rows.astype(np.int32), states, statics)
        return Readings(fleet=reading)


_NOTHING = Readings()
