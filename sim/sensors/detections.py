"""The single sensors of one unit: read from a scene's `extra` tables, sampled when due, handed out when their latency has passed.

    extra = [{ kind = "lidar", name = "roof", preset = "roof64", x_m = 2.0, z_m = 2.1, range_sigma_m = 0.03 }]

A list keeps the time of its measurement. Lists of one sensor never overtake each other. A unit is asked at its own rhythm, so a list
arrives with the unit's first call at or after its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from protocols import streams
from protocols.errors import ConfigError
from protocols.roads.network import F64
from protocols.sensing import ObjectList
from protocols.sentence import say
from protocols.simtime import NS_PER_MS, Now, ticks
from sim.sensors import draws
from sim.sensors.camera import Camera
from sim.sensors.detection_params import (
    KINDS,
    CameraParams,
    DetectionParams,
    LidarParams,
    RadarParams,
    UltrasonicParams,
    detection_params,
)
from sim.sensors.environment import Environment
from sim.sensors.lidar import Lidar
from sim.sensors.radar import Radar
from sim.sensors.surroundings import Place, place_on
from sim.sensors.ultrasonic import Ultrasonic
from sim.state import ActorStates, ActorStatics

ON_VEHICLE = {"lidar": "roof64", "radar": "front77", "camera": "front", "ultrasonic": "bumper"}
ON_POLE = {"lidar": "pole64", "radar": "pole77", "camera": "pole", "ultrasonic": "bumper"}


class Model(Protocol):
    """One sensor model."""

    def measure(
        self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """What it makes of the world at `t_ns`."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """One entry of `extra`, checked."""

    sensor: str  # "lidar/roof"
    params: DetectionParams


def fitted(rows: Any, where: str, presets: Mapping[str, str]) -> tuple[Fitted, ...]:
    """The sensors of an `extra` list; `presets`: what each kind is when nothing is said. ConfigError names the key."""
    if not isinstance(rows, (list, tuple)):
        raise ConfigError(
            say("{where}: found {rows!r}; expected a list of tables.", where=where, rows=rows)
        )
    out: list[Fitted] = []
    for k, row in enumerate(rows):
        item = _one(row, f"{where}.{k}", presets)
        if any(item.sensor == other.sensor for other in out):
            raise ConfigError(
                say("{where}.{k}.name: '{sensor}' is used twice; names must differ.", where=where, k=k, sensor=item.sensor)
            )  # fmt: skip
        out.append(item)
    return tuple(out)


def _one(row: Any, where: str, presets: Mapping[str, str]) -> Fitted:
    if not isinstance(row, dict):
        raise ConfigError(
            say("{where}: found {row!r}; expected a table with kind and name.", where=where, row=row)
        )  # fmt: skip
    changes = dict(row)
    kind, name = changes.pop("kind", None), changes.pop("name", None)
    if kind not in KINDS:
        raise ConfigError(
            say("{where}.kind: found {kind!r}; expected one of {names}.", where=where, kind=kind, names=", ".join(KINDS))
        )  # fmt: skip
    if not isinstance(name, str) or not name or "/" in name:
        raise ConfigError(
            say("{where}.name: found {name!r}; expected a name without '/'.", where=where, name=name)
        )  # fmt: skip
    chosen = changes.pop("preset", presets[kind])
    known = [item.name for item in fields(KINDS[kind])]
    for key, value in changes.items():
        if key not in known:
            raise ConfigError(
                say(
                    "{where}.{key}: unknown key of a {kind}; expected kind, name, preset or one of {names}.",
                    where=where, key=key, kind=kind, names=", ".join(known),
                )
            )  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(
                say("{where}.{key}: found {value!r}; expected a number.", where=where, key=key, value=value)
            )  # fmt: skip
    try:
        return Fitted(f"{kind}/{name}", detection_params(kind, str(chosen), changes))
    except ConfigError as error:
        raise ConfigError(say("{scene}: {what!s}", scene=where, what=error)) from None


class DetectionSet:
    """All single sensors of one unit, on a vehicle or at a place. Noise belongs to (seed, unit, sensor)."""

    def __init__(
        self,
        sensors: tuple[Fitted, ...],
        seed: int,
        unit: str,
        tick_ms: int,
        environment: Environment,
        walls: F64,
    ) -> None:
        self._slots = [_Slot(item, seed, unit, tick_ms, environment, walls) for item in sensors]

    def from_vehicle(
        self, now: Now, row: int, states: ActorStates, statics: ActorStatics
    ) -> tuple[ObjectList, ...]:
        """Lists due now for the vehicle in `row`."""
        out: list[ObjectList] = []
        for slot in self._slots:
            p = slot.params
            if slot.is_due(now):
                place = place_on(row, states, p.x_m, p.y_m, p.z_m, p.yaw_rad)
                slot.measure(now, place, states, statics)
            out += slot.delivered(now)
        return tuple(out)

    def from_pole(
        self, now: Now, x_m: float, y_m: float, states: ActorStates, statics: ActorStatics
    ) -> tuple[ObjectList, ...]:
        """Lists due now for a unit at (x_m, y_m)."""
        out: list[ObjectList] = []
        for slot in self._slots:
            p = slot.params
            if slot.is_due(now):
                place = Place(x_m + p.x_m, y_m + p.y_m, p.z_m, p.yaw_rad)
                slot.measure(now, place, states, statics)
            out += slot.delivered(now)
        return tuple(out)


class _Slot:
    """One sensor and what it has measured but not yet handed out."""

    def __init__(
        self,
        item: Fitted,
        seed: int,
        unit: str,
        tick_ms: int,
        environment: Environment,
        walls: F64,
    ) -> None:
        self.params = item.params
        key = streams.key(seed, f"{item.sensor}/{unit}")
        self._key = key
        self._model = make_model(item.params, key, item.sensor, environment, walls)
        self._period = ticks(
            item.params.period_ms, tick_ms, f"sensors.extra: period_ms of {item.sensor} of {unit}"
        )
        self._waiting: deque[tuple[int, ObjectList]] = deque()

    def is_due(self, now: Now) -> bool:
        """Whether it measures at this tick."""
        return now.tick % self._period == 0

    def measure(self, now: Now, place: Place, states: ActorStates, statics: ActorStatics) -> None:
        """Measure, and decide when that will be handed out."""
        found = self._model.measure(now.t_ns, place, states, statics)
        p = self.params
        jitter = p.jitter_ms * float(draws.uniform(self._key, now.t_ns, 99, [0])[0])
        ready = now.t_ns + round((p.latency_ms + jitter) * NS_PER_MS)
        if self._waiting:
            ready = max(ready, self._waiting[-1][0])
        self._waiting.append((ready, found))

    def delivered(self, now: Now) -> list[ObjectList]:
        """What has become ready, oldest first."""
        out = []
        while self._waiting and self._waiting[0][0] <= now.t_ns:
            out.append(self._waiting.popleft()[1])
        return out


def make_model(
    params: DetectionParams, key: int, sensor: str, environment: Environment, walls: F64
) -> Model:
    """The model that belongs to `params`."""
    if isinstance(params, LidarParams):
        return Lidar(params, key, sensor, environment, walls)
    if isinstance(params, RadarParams):
        return Radar(params, key, sensor, environment, walls)
    if isinstance(params, CameraParams):
        return Camera(params, key, sensor, environment, walls)
    assert isinstance(params, UltrasonicParams)
    return Ultrasonic(params, key, sensor, environment, walls)
