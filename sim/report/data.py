"""What a picture of a run is drawn from: plain arrays, so that a live run and a log give the same picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.roads.network import F64, RoadNetwork


def _none() -> F64:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class LightSpan:
    """One signal group showing one light, seconds of run time."""

    t0_s: float
    t1_s: float
    light: int  # protocols.messages.Light


@dataclass(frozen=True, slots=True)
class RouteSignal:
    """A stop line on the vehicle's route, and what its group showed."""

    route_s_m: float
    name: str
    spans: tuple[LightSpan, ...]


@dataclass(frozen=True, slots=True)
class VehiclePicture:
    """One automated vehicle. Columns (T,), thinned to about 5 Hz."""

    name: str
    t_s: F64
    x_m: F64
    y_m: F64
    speed_mps: F64
    route_s_m: F64
    signals: tuple[RouteSignal, ...] = ()
    stations: tuple[tuple[float, str], ...] = ()  # (route_s_m, name)
    dwells: tuple[tuple[float, float, float], ...] = ()  # (t0_s, t1_s, route_s_m), doors open
    grants: tuple[tuple[float, float, str], ...] = ()  # (t_s, route_s_m of the stop line, what)
    background_t_s: F64 = field(
        default_factory=_none
    )  # (K,) samples of background vehicles along the route
    background_s_m: F64 = field(default_factory=_none)
    background_id: F64 = field(
        default_factory=_none
    )  # same number, same vehicle; samples in order of time
    route_length_m: float = 0.0  # 0: as far as it got
    arrive_by_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunPicture:
    """A whole run."""

    title: str
    outcome: str  # protocols of scenarios.verdict.Outcome: "pass", ...
    sentence: str
    network: RoadNetwork
    duration_s: float
    vehicles: tuple[VehiclePicture, ...] = ()
    rsus: tuple[tuple[str, float, float], ...] = ()  # (name, x_m, y_m)
    background_x_m: F64 = field(
        default_factory=_none
    )  # (B,) where background vehicles are at the end of the run
    background_y_m: F64 = field(default_factory=_none)
    subtitle: str = ""  # seed, digest: what a reader needs to find the run again
