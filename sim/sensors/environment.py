"""Weather, light, sky and corrections of a scene, as every sensor model asks for them. Numbers: `environment.toml`.

Default: a clear day under an open sky with corrections that never stop, which changes nothing. Extinction is in 1/m one way
(decibels per kilometre / 4343); `reach_m` solves r exp(a r) = R, the range at which the echo of r has fallen to that of R in clear
air (lidar equation, 1/r^2 and exp(-2 a r)).
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from protocols.errors import ConfigError
from protocols.roads.network import F64, RoadNetwork
from protocols.sentence import say
from scenarios.spec import EnvironmentSpec

_FILE = Path(__file__).with_name("environment.toml")
_NEPER_PER_DB_KM = math.log(10.0) / 10.0 / 1000.0  # power: 4.343 dB a neper


class Light(IntEnum):
    """Daylight."""

    DAY = 0
    DUSK = 1
    NIGHT = 2


class Sky(IntEnum):
    """What stands between an antenna and the satellites."""

    OPEN = 0
    CANYON = 1
    TUNNEL = 2


@dataclass(frozen=True, slots=True)
class SkyRegion:
    """Where the sky is not open: a polygon (K, 2) in world metres, or roads."""

    sky: Sky
    polygon: F64 | None = None
    roads: frozenset[int] = frozenset()  # index into RoadNetwork.roads

    def holds(self, x_m: float, y_m: float, road: int) -> bool:
        """Whether a place (on `road`, -1: on none) lies in it. Even-odd rule."""
        if self.polygon is None:
            return road in self.roads
        x0, y0 = self.polygon[:, 0], self.polygon[:, 1]
        x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
        spans = (y0 > y_m) != (y1 > y_m)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (y_m - y0) / (y1 - y0) * (x1 - x0)
        return bool(np.count_nonzero(spans & (x_m < at)) % 2)


@dataclass(frozen=True, slots=True)
class Corrections:
    """RTCM: an epoch every `period_s` from t = 0, but none in [from, to) of an outage."""

    period_s: float = 1.0
    outage_s: tuple[tuple[float, float], ...] = ()

    def age_s(self, t_s: float) -> float:
        """Age of the newest epoch at `t_s`; inf before the first one."""
        epoch = math.floor(t_s / self.period_s + 1e-9)
        while epoch >= 0:
            at = epoch * self.period_s
            inside = next((o for o in self.outage_s if o[0] <= at < o[1]), None)
            if inside is None:
                return max(t_s - at, 0.0)
            epoch = min(math.ceil(inside[0] / self.period_s - 1e-9), epoch) - 1
        return math.inf


@dataclass(frozen=True, slots=True)
class Environment:
    """One scene's. Angles: world frame, from east counter-clockwise; elevation above the horizon."""

    light: Light = Light.DAY
    sun_azimuth_rad: float = 0.0
    sun_elevation_rad: float = 1.0
    rain_mmph: float = 0.0
    fog_visibility_m: float = math.inf
    corrections: Corrections = field(default_factory=Corrections)
    sky: tuple[SkyRegion, ...] = ()

    def sky_at(self, x_m: float, y_m: float, road: int) -> Sky:
        """The darkest region that holds the place."""
        return max((r.sky for r in self.sky if r.holds(x_m, y_m, road)), default=Sky.OPEN)

    def extinction_per_m(self, sensor: str) -> float:
        """Share of power lost per metre, one way, for "lidar", "radar", "camera"."""
        row = weather(sensor)
        rain = row["rain_db_per_km"] * self.rain_mmph ** row["rain_exponent"] * _NEPER_PER_DB_KM
        return float(rain + row.get("fog_extinction", 0.0) / self.fog_visibility_m)

    def drop_out(self, sensor: str) -> float:
        """Share of echoes or looks lost to drops and droplets whatever their range."""
        row = weather(sensor)
        lost = row["drop_out_per_mmph"] * self.rain_mmph
        lost += min(row.get("fog_drop_out_m", 0.0) / self.fog_visibility_m, 1.0)
        return float(min(lost, 1.0))


def reach_m(clear_m: float, extinction_per_m: float) -> float:
    """Range with extinction of what reaches `clear_m` in clear air."""
    if extinction_per_m <= 0.0:
        return clear_m
    # Newton for ln r + a r = ln R: concave and rising, so from the left it climbs without overshooting.
    r = min(clear_m, 1.0 / extinction_per_m) * 0.5
    for _ in range(12):
        r -= (math.log(r / clear_m) + extinction_per_m * r) / (1.0 / r + extinction_per_m)
    return r


def weather(sensor: str) -> dict[str, float]:
    """What weather does to one kind of sensor."""
    return _numbers(_data()[sensor]["weather"])


def constellation(name: str) -> dict[str, float]:
    """Satellites and geometry; ConfigError lists the names."""
    table = _data()["constellation"]
    if name not in table:
        raise ConfigError(
            say("sensors.gnss.constellation = {name!r}, expected one of {names}", name=name, names=", ".join(sorted(table)))
        )  # fmt: skip
    return _numbers(table[name])


def sky_effect(sky: Sky) -> dict[str, float]:
    """What a sky leaves of the satellites, and the multipath under it."""
    return _numbers(_data()["sky"][sky.name.lower()])


def make_environment(spec: EnvironmentSpec, net: RoadNetwork) -> Environment:
    """A scene's `[environment]`, checked against its roads."""
    regions = []
    for k, region in enumerate(spec.sky):
        for n, name in enumerate(region.roads):
            if name not in net.roads.id:
                known = ", ".join(net.roads.id[:12]) + (", ..." if len(net.roads.id) > 12 else "")
                raise ConfigError(
                    say(
                        "environment.sky.{k}.roads.{n}: road '{name}' is not on road network '{network}'. Known: {names}.",
                        k=k, n=n, name=name, network=net.name, names=known,
                    )
                )  # fmt: skip
        regions.append(
            SkyRegion(
                Sky[region.kind.upper()],
                np.array(region.polygon, np.float64) if region.polygon else None,
                frozenset(net.roads.id.index(name) for name in region.roads),
            )
        )
    for k, (begin, end) in enumerate(spec.rtcm.outage):
        if end <= begin:
            raise ConfigError(
                say("environment.rtcm.outage.{k}: found [{begin}, {end}], expected [from, to] with from < to.", k=k, begin=begin, end=end)
            )  # fmt: skip
    return Environment(
        light=Light[spec.light.upper()],
        sun_azimuth_rad=spec.sun_azimuth_rad,
        sun_elevation_rad=spec.sun_elevation_rad,
        rain_mmph=spec.rain_mmph,
        fog_visibility_m=spec.fog_visibility_m or math.inf,
        corrections=Corrections(spec.rtcm.period_s, spec.rtcm.outage),
        sky=tuple(regions),
    )


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in row.items() if k not in ("source", "confidence")}


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
