"""A scene's `[environment]` as CARLA's weather."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.spec import EnvironmentSpec
from sim.carla.wire import structs


def weather_of(spec: EnvironmentSpec) -> structs.WeatherParameters:
    """Rain on CARLA's presets, fog by visibility, the sun where the scene has it; dusk and night as the presets have them."""
    table = _table()

    def rain(name: str) -> float:
        return float(np.interp(spec.rain_mmph, table["rain"]["mmph"], table["rain"][name]))

    altitude = math.degrees(spec.sun_elevation_rad)
    if spec.light != "day":
        altitude = min(altitude, table["sun"][spec.light])
    clear_m, dense_m = table["fog"]["visibility_m"]
    fog = 0.0
    if spec.fog_visibility_m is not None:
        share = (clear_m - spec.fog_visibility_m) / (clear_m - dense_m)
        fog = 100.0 * min(max(share, 0.0), 1.0)
    return structs.WeatherParameters(
        cloudiness=rain("cloudiness"),
        precipitation=rain("precipitation"),
        precipitation_deposits=rain("precipitation_deposits"),
        wind_intensity=rain("wind_intensity"),
        sun_azimuth_angle=-math.degrees(spec.sun_azimuth_rad) % 360.0,
        sun_altitude_angle=altitude,
        fog_density=fog,
        fog_distance=0.0,
        fog_falloff=0.1,
        wetness=rain("wetness"),
        scattering_intensity=1.0,
        mie_scattering_scale=0.03,
        rayleigh_scattering_scale=0.0331,
        dust_storm=0.0,
    )


@cache
def _table() -> dict[str, dict[str, Any]]:
    raw = tomllib.loads(Path(__file__).with_name("weather.toml").read_text(encoding="utf-8"))
    return {
        part: {name: row["value"] for name, row in rows.items()}
        for part, rows in raw.items()
        if part != "sources"
    }
