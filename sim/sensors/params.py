"""Parameters of the sensors (frozen, defaults in code) and their presets from `presets.toml` with source and confidence."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from protocols.errors import ConfigError
from protocols.sentence import phrase, say
from sim.sensors.environment import constellation

_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class ObjectParams:
    """Object detection at object level. Defaults: preset `vehicle`."""

    period_ms: int = 100
    range_m: float = 100.0
    height_m: float = 2.2  # of the sensor above ground: what it can look over
    mount_x_m: float = 6.0  # forward of the origin, on vehicles
    field_of_view_rad: float = 2.0 * math.pi  # centred on the bore-sight
    bore_sight_rad: float = 0.0  # from the body's x axis, or from east for a roadside unit
    min_visible: float = 0.3  # share of the angular extent that must be unobstructed
    position_sigma_m: float = 0.1
    position_sigma_per_m: float = 0.002  # more per metre of distance
    yaw_sigma_rad: float = 0.03
    speed_sigma_mps: float = 0.2  # each velocity component
    size_sigma_m: float = 0.1
    miss_probability: float = 0.02

    def __post_init__(self) -> None:
        _not_negative(self, "objects")
        if not 0.0 < self.min_visible <= 1.0:
            raise ConfigError(
                say("sensors.objects.min_visible = {min_visible}, expected 0..1", min_visible=self.min_visible)
            )  # fmt: skip
        if self.miss_probability > 1.0:
            raise ConfigError(
                say("sensors.objects.miss_probability = {miss_probability}, expected 0..1", miss_probability=self.miss_probability)
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GnssParams:
    """Position fix: white noise plus a slow Gauss-Markov error. Defaults: preset `rtk`."""

    period_ms: int = 100
    white_sigma_m: float = 0.015
    bias_sigma_m: float = 0.035
    bias_time_s: float = 60.0
    height_factor: float = 2.0  # vertical error over horizontal
    best_quality: int = 4  # protocols.sensing.FixQuality the two sigmas above belong to
    fix_age_s: float = 10.0  # an RTK fix needs corrections younger than this,
    float_age_s: float = 60.0  # a float solution younger than this; else code only
    fix_satellites: int = 8
    float_satellites: int = 6
    min_satellites: int = 4  # fewer: no position
    float_sigma_m: float = 0.35
    single_sigma_m: float = 1.5
    constellation: str = "both"  # environment.toml: both, beidou, gps

    def __post_init__(self) -> None:
        _not_negative(self, "gnss")
        if self.best_quality not in (1, 2, 3, 4):
            raise ConfigError(
                say(
                    "sensors.gnss.best_quality = {best_quality}, expected 1 (single), 2 (DGNSS), 3 (RTK float) or 4 (RTK "
                    "fix)",
                    best_quality=self.best_quality,
                )
            )  # fmt: skip
        constellation(self.constellation)


@dataclass(frozen=True, slots=True)
class ImuParams:
    """Inertial unit with dual-antenna heading."""

    period_ms: int = 10
    accel_sigma_mps2: float = 0.05
    accel_bias_sigma_mps2: float = 0.02
    yaw_rate_sigma_radps: float = 0.002
    yaw_rate_bias_sigma_radps: float = 0.0005
    bias_time_s: float = 300.0
    yaw_sigma_rad: float = 0.003
    accel_walk_mps2_per_sqrt_s: float = 0.0  # random walk on top of the bias
    yaw_rate_walk_radps_per_sqrt_s: float = 0.0

    def __post_init__(self) -> None:
        _not_negative(self, "imu")


@dataclass(frozen=True, slots=True)
class OdometryParams:
    """Wheel speed, steering and articulation encoders."""

    period_ms: int = 10
    speed_sigma_mps: float = 0.02
    speed_scale_sigma: float = 0.003  # one draw per vehicle and run: tyre radius
    steer_sigma_rad: float = 0.001
    hitch_sigma_rad: float = 0.002
    speed_step_mps: float = 0.0  # quantisation; 0: none

    def __post_init__(self) -> None:
        _not_negative(self, "odometry")


@dataclass(frozen=True, slots=True)
class FleetParams:
    """What series vehicles know of themselves."""

    period_ms: int = 100
    white_sigma_m: float = 0.1
    bias_sigma_m: float = 0.7
    bias_time_s: float = 60.0
    yaw_sigma_rad: float = 0.01
    speed_sigma_mps: float = 0.1
    accel_sigma_mps2: float = 0.1
    yaw_rate_sigma_radps: float = 0.005

    def __post_init__(self) -> None:
        _not_negative(self, "fleet")


@dataclass(frozen=True, slots=True)
class VehicleSensorParams:
    """The sensors of one vehicle; None: not fitted."""

    gnss: GnssParams | None = field(default_factory=GnssParams)
    imu: ImuParams | None = field(default_factory=ImuParams)
    odometry: OdometryParams | None = field(default_factory=OdometryParams)
    objects: ObjectParams | None = field(default_factory=ObjectParams)


_P = TypeVar("_P", ObjectParams, GnssParams, ImuParams, OdometryParams, FleetParams)
_TABLE = {
    ObjectParams: "objects",
    GnssParams: "gnss",
    ImuParams: "imu",
    OdometryParams: "odometry",
    FleetParams: "fleet",
}


def preset(kind: type[_P], name: str) -> _P:
    """A named set of parameters, e.g. `preset(ObjectParams, "roadside")`; ConfigError lists the names."""
    return kind(**table_of(_TABLE[kind], name))


def table_of(kind: str, name: str) -> dict[str, Any]:
    """The numbers of `[kind.name]` in presets.toml."""
    table = _data()[kind]
    if name not in table:
        raise ConfigError(
            say("sensor preset {kind}.{name!r} does not exist; presets are {names}", kind=kind, name=name, names=", ".join(sorted(table)))
        )  # fmt: skip
    return {k: v for k, v in table[name].items() if k not in ("source", "confidence")}


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _not_negative(params: Any, table: str) -> None:
    for item in fields(params):
        value = getattr(params, item.name)
        if item.name in ("bore_sight_rad", "constellation"):
            continue
        if not (math.isfinite(value) and value >= 0.0) or (item.name == "period_ms" and value < 1):
            words = phrase("sensors.{table}.{name} = {value}, expected a finite number >= 0")
            if item.name == "period_ms":
                words = phrase("sensors.{table}.{name} = {value}, expected a finite number >= 0 (a period of at least 1 ms)")  # fmt: skip
            raise ConfigError(say(words, table=table, name=item.name, value=value))
