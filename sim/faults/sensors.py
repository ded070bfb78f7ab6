"""Sensors that deliver nothing, the same again, or something that is off. Wraps the port of a unit.

Frozen: the last reading from before the fault with its old stamp, each time one would be due. Biased: offsets on the quantities
a reading has, in its own frame. The wrapped port is asked at every tick as ever, so nobody's noise changes. Of several faults of a
sensor at once the one written first counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np

from protocols.errors import ConfigError
from protocols.frames import wrap_angle
from protocols.sensing import FleetReading, Gnss, Imu, ObjectList, Odometry, Readings
from protocols.sentence import say
from scenarios.fault_spec import SensorBiasSpec, SensorFaultSpec, SensorLossSpec
from scenarios.spec import SceneSpec
from sim.faults.windows import Window, first

_SINGLE = tuple(field.name for field in fields(Readings) if field.name != "detections")
_MEASURED: dict[str, type[Any]] = {"gnss": Gnss, "imu": Imu, "odometry": Odometry, "fleet": FleetReading, "objects": ObjectList}  # fmt: skip
_UNMEASURED = ("cabin", "crossings", "detectors")
SensorWindows = Mapping[str, Sequence[Window[SensorFaultSpec]]]  # by sensor


class Port(Protocol):
    """The sensors of one unit."""

    def sample(self, tick: int, t_ns: int) -> Readings:
        """What is due at this tick."""
        ...


class FaultyPort:
    """`port` with faults of single sensors."""

    def __init__(self, port: Port, faults: SensorWindows) -> None:
        self._port = port
        self._faults = faults
        self._last: dict[str, Any] = {}  # newest good reading by sensor

    def sample(self, tick: int, t_ns: int) -> Readings:
        """What the unit gets of what is due."""
        given = self._port.sample(tick, t_ns)
        changes: dict[str, Any] = {}
        for name in _SINGLE:
            reading = getattr(given, name)
            if reading is not None and name in self._faults:
                changes[name] = self._one(name, t_ns, reading)
        if given.detections:
            lists = [self._one(item.sensor, t_ns, item) for item in given.detections]
            changes["detections"] = tuple(item for item in lists if item is not None)
        return replace(given, **changes) if changes else given

    def _one(self, sensor: str, t_ns: int, reading: Any) -> Any:
        spec = first(self._faults.get(sensor, ()), t_ns)
        if spec is None:
            self._last[sensor] = reading
            return reading
        if isinstance(spec, SensorLossSpec):
            return None
        if isinstance(spec, SensorBiasSpec):
            return biased(reading, spec.offsets())
        return self._last.get(sensor)


def biased(reading: Any, offsets: Mapping[str, float]) -> Any:
    """`reading` with offsets on the named quantities; angles stay in (-pi, pi]."""
    changes: dict[str, Any] = {}
    for name, offset in offsets.items():
        value = getattr(reading, name) + offset
        if name == "yaw_rad":
            angles = [wrap_angle(float(angle)) for angle in np.atleast_1d(value)]
            value = np.array(angles) if isinstance(value, np.ndarray) else angles[0]
        changes[name] = value
    return replace(reading, **changes)


def fitted(spec: SceneSpec, unit: str) -> tuple[str, ...]:
    """Sensors of a unit of the scene, sorted."""
    kind, _, name = unit.partition("/")
    if kind == "fleet":
        return ("fleet",)
    if kind == "obu":
        vehicle = next(item for item in spec.vehicles if item.name == name)
        cabin = ("cabin",) if vehicle.passengers is not None and vehicle.stops else ()
        return _of(vehicle.sensors, ("gnss", "imu", "odometry", "objects"), cabin)
    if unit == "rsu/signals":  # fixed-time plans look at nothing
        return ()
    wired = ("crossings", "detectors")
    for row in spec.roadside:
        if row.name == name:
            return _of(row.sensors, ("objects",), wired)
    return wired


def check_sensor(spec: SceneSpec, where: str, fault: SensorFaultSpec) -> None:
    """ConfigError unless the unit has the sensor, and the sensor the quantities that are off."""
    known = fitted(spec, fault.unit)
    if fault.sensor not in known:
        raise ConfigError(
            say(
                "{where}.sensor: {unit} has no sensor '{sensor}'; it has {names}.",
                where=where, unit=fault.unit, sensor=fault.sensor, names=", ".join(known) or "none",
            )
        )  # fmt: skip
    if isinstance(fault, SensorBiasSpec):
        kind = None if fault.sensor in _UNMEASURED else _MEASURED.get(fault.sensor, ObjectList)
        has = {field.name for field in fields(kind)} if kind is not None else set()
        for name in fault.offsets():
            if name not in has:
                raise ConfigError(
                    say("{where}.{name}: '{sensor}' does not measure that.", where=where, name=name, sensor=fault.sensor)
                )  # fmt: skip


def _of(table: Mapping[str, Any], names: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Those of a unit's sensor table that are fitted; single ones of `extra` are called kind/name."""
    extra = table.get("extra", ())
    rows = extra if isinstance(extra, (list, tuple)) else ()
    single = [f"{row.get('kind')}/{row.get('name')}" for row in rows if isinstance(row, Mapping)]
    return tuple(sorted([*(n for n in names if table.get(n) is not False), *more, *single]))
