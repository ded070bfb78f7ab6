"""Faults of single sensors as data: lost, frozen or biased in a window of time. Ports apply them to what they hand out.

Names of sensors: `gnss`, `imu`, `odometry`, `objects`, `fleet`, and those of `extra` (`lidar/roof`). A window holds
[from_ns, to_ns) of the time of delivery. Frozen: the last reading from before the window again, with its old time. Biased: an offset
on whatever of its quantities a reading has, in the reading's own frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from protocols.frames import wrap_angle
from protocols.sensing import Readings
from sim.sensors.reports import wrapped

Reading = TypeVar("Reading")
SINGLE = ("gnss", "imu", "odometry", "objects", "fleet")


class FaultKind(IntEnum):
    """What a broken sensor does."""

    LOST = 1
    FROZEN = 2
    BIASED = 3


@dataclass(frozen=True, slots=True)
class SensorFault:
    """One sensor, one window. The offsets are those of a bias; a reading takes the ones it has a quantity for."""

    sensor: str
    kind: FaultKind
    from_ns: int
    to_ns: int
    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    yaw_rad: float = 0.0
    speed_mps: float = 0.0
    accel_mps2: float = 0.0
    yaw_rate_radps: float = 0.0


@dataclass(frozen=True, slots=True)
class SensorFaults:
    """All faults of one unit's sensors; of overlapping ones the first counts."""

    items: tuple[SensorFault, ...] = ()

    def at(self, sensor: str, t_ns: int) -> SensorFault | None:
        """The fault of a sensor now."""
        for item in self.items:
            if item.sensor == sensor and item.from_ns <= t_ns < item.to_ns:
                return item
        return None


@dataclass(slots=True)
class FaultFilter:
    """Applies faults; remembers the last good reading of every sensor."""

    _last: dict[str, Any] = field(default_factory=dict)

    def readings(self, t_ns: int, given: Readings, faults: SensorFaults | None) -> Readings:
        """What is left of `given`. Called for every delivery, with or without faults."""
        changes: dict[str, Any] = {}
        for name in SINGLE:
            reading = getattr(given, name)
            if reading is not None:
                changed = self._one(name, t_ns, reading, faults)
                if changed is not reading:
                    changes[name] = changed
        if given.detections:
            lists = [self._one(item.sensor, t_ns, item, faults) for item in given.detections]
            changes["detections"] = tuple(item for item in lists if item is not None)
        return replace(given, **changes) if changes else given

    def _one(
        self, sensor: str, t_ns: int, reading: Reading, faults: SensorFaults | None
    ) -> Reading | None:
        fault = faults.at(sensor, t_ns) if faults is not None else None
        if fault is None:
            self._last[sensor] = reading
            return reading
        if fault.kind is FaultKind.LOST:
            return None
        if fault.kind is FaultKind.FROZEN:
            last: Reading | None = self._last.get(sensor)
            return last
        return biased(reading, fault)


def biased(reading: Reading, fault: SensorFault) -> Reading:
    """`reading` with the fault's offsets."""
    changes: dict[str, Any] = {}
    for name in ("x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "yaw_rate_radps"):
        offset = getattr(fault, name)
        if offset and hasattr(reading, name):
            value = getattr(reading, name) + offset
            if name == "yaw_rad":
                value = wrapped(value) if isinstance(value, np.ndarray) else wrap_angle(value)
            changes[name] = value
    return replace(reading, **changes) if changes else reading  # type: ignore[type-var]
