"""What background traffic is made of: driver and vehicle classes, flows of vehicles, flows of walkers.

Classes come from `classes.toml`, which states source and confidence of every number.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.roads.network import UserClass
from protocols.sentence import say


@dataclass(frozen=True, slots=True)
class DriverClass:
    """One vehicle class with its drivers. Lengths bumper to bumper; `length_m` of articulated vehicles is the whole."""

    length_m: float
    width_m: float
    height_m: float
    wheelbase_m: float
    rear_overhang_m: float  # rear axle to the end of the front section
    accel_mps2: float  # IDM a
    comfort_decel_mps2: float  # IDM b
    max_decel_mps2: float  # hardest braking, used in an emergency only
    headway_s: float  # IDM T
    gap_m: float  # IDM s0
    critical_gap_s: float  # smallest gap in a prior stream that is taken at once
    politeness: float  # MOBIL p
    threshold_mps2: float  # MOBIL
    speed_factor: float  # mean of desired speed over speed limit
    speed_sigma: float
    max_speed_mps: float
    hitch_x_m: float = 0.0
    rear_length_m: float = 0.0
    rear_wheelbase_m: float = 0.0


@dataclass(frozen=True, slots=True)
class WalkerClass:
    """Pedestrians: size and walking speed (m/s)."""

    length_m: float
    width_m: float
    height_m: float
    speed_factor: float
    speed_sigma: float


KINDS: dict[str, tuple[ActorKind, UserClass]] = {
    "car": (ActorKind.CAR, UserClass.PASSENGER),
    "van": (ActorKind.VAN, UserClass.DELIVERY),
    "truck": (ActorKind.TRUCK, UserClass.TRUCK),
    "bus": (ActorKind.BUS, UserClass.BUS),
    "articulated_bus": (ActorKind.ARTICULATED_BUS, UserClass.BUS),
    "shuttle": (ActorKind.SHUTTLE, UserClass.SHUTTLE),
    "motorcycle": (ActorKind.MOTORCYCLE, UserClass.MOTORCYCLE),
    "bicycle": (ActorKind.BICYCLE, UserClass.BICYCLE),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Vehicles per hour from `origins` to `destinations` (lane, or lanes of which any will do; weight).

    `stops`: rows of `RoadNetwork.stations` served in order, each for `dwell_s`.
    """

    name: str
    origins: tuple[int, ...]
    destinations: tuple[tuple[int | tuple[int, ...], float], ...]
    vehicles_per_hour: float
    mix: tuple[tuple[str, float], ...] = (("car", 1.0),)
    start_s: float = 0.0
    end_s: float | None = None
    process: Literal["poisson", "even"] = "poisson"
    stops: tuple[int, ...] = ()
    dwell_s: float = 20.0
    only: tuple[int, ...] | None = None  # numbers of the departures that happen; None: all


@dataclass(frozen=True, slots=True)
class WalkerFlow:
    """People per hour over `crossings` (rows of `RoadNetwork.crossings`, both ways) or along a free `path` (world metres)."""

    name: str
    per_hour: float
    crossings: tuple[int, ...] = ()
    path: tuple[tuple[float, float], ...] = ()
    kind: Literal["pedestrian", "bicycle"] = "pedestrian"
    start_s: float = 0.0
    end_s: float | None = None
    only: tuple[int, ...] | None = None  # as in Flow


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """Everything that moves in the background."""

    flows: tuple[Flow, ...] = ()
    walkers: tuple[WalkerFlow, ...] = ()
    lateral_accel_mps2: float = (
        2.5  # comfortable in bends (AASHTO side friction at low speed: 0.2..0.3 g)
    )
    default_speed_mps: float = 50 / 3.6  # where the file states no limit
    max_queue: int = (
        500  # vehicles that may wait outside one origin lane before the demand is refused
    )

    def __post_init__(self) -> None:
        names = [flow.name for flow in self.flows] + [flow.name for flow in self.walkers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                say("flow '{name}' is defined twice; random draws need unique names", name=twice[0])
            )
        for flow in self.flows:
            _check_flow(flow)


def _check_flow(flow: Flow) -> None:
    if not flow.origins or not flow.destinations:
        raise ConfigError(
            say("flow '{name}' needs at least one origin and one destination lane", name=flow.name)
        )
    unknown = [kind for kind, _ in flow.mix if kind not in KINDS]
    if unknown:
        raise ConfigError(
            say(
                "flow '{name}': unknown vehicle class '{kind}' in `mix`; known: {names}",
                name=flow.name, kind=unknown[0], names=", ".join(KINDS),
            )
        )  # fmt: skip
    weights = [weight for _, weight in (*flow.mix, *flow.destinations)]
    if min(weights) < 0 or sum(w for _, w in flow.mix) <= 0:
        raise ConfigError(
            say("flow '{name}': weights must be >= 0 and not all zero", name=flow.name)
        )
    if flow.vehicles_per_hour < 0:
        raise ConfigError(
            say(
                "flow '{name}': vehicles_per_hour is {vehicles_per_hour}, must be >= 0",
                name=flow.name, vehicles_per_hour=flow.vehicles_per_hour,
            )
        )  # fmt: skip


@cache
def _tables() -> dict[str, dict[str, float]]:
    with (Path(__file__).parent / "classes.toml").open("rb") as file:
        raw = tomllib.load(file)
    sources = raw.pop("sources")
    out: dict[str, dict[str, float]] = {}
    for name, entries in raw.items():
        for key, (_, source, confidence) in entries.items():
            if source not in sources or confidence not in "ABC":
                raise ConfigError(
                    say("classes.toml: [{name}] {key} names unknown source '{source}'", name=name, key=key, source=source)
                )  # fmt: skip
        out[name] = {key: float(entry[0]) for key, entry in entries.items()}
    return out


def driver_class(name: str) -> DriverClass:
    """Class `name` of `classes.toml`; ConfigError when there is none."""
    if name not in KINDS:
        raise ConfigError(
            say("vehicle class '{name}' is unknown; known: {names}", name=name, names=", ".join(KINDS))
        )  # fmt: skip
    known = {field.name for field in fields(DriverClass)}
    return DriverClass(**{k: v for k, v in _tables()[name].items() if k in known})


def walker_class() -> WalkerClass:
    """The pedestrian of `classes.toml`."""
    return WalkerClass(**_tables()["pedestrian"])
