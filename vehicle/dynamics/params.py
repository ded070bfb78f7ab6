"""Vehicle parameters: geometry, limits and actuator lags of one vehicle, and the catalogue they come from.

The numbers live in `catalogue.toml` beside their source and confidence. Body origin: ground under the rear axle of the
front section; x forward, y left.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib import resources

from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.roads.network import UserClass
from protocols.sentence import say


@dataclass(frozen=True, slots=True)
class VehicleParams:
    """One vehicle type. Rigid vehicles have `rear_length_m` = 0 and no joint."""

    name: str
    kind: ActorKind
    user_class: UserClass
    front_overhang_m: float
    wheelbase_m: float
    rear_overhang_m: (
        float  # origin back to the end of the front section (the joint of an articulated bus)
    )
    width_m: float
    height_m: float
    hitch_x_m: float  # joint in body coordinates, negative behind the rear axle
    rear_wheelbase_m: float  # joint to the axle of the rear section
    rear_length_m: float  # joint to the rear end
    max_hitch_rad: float
    max_steer_rad: float
    max_steer_rate_radps: float
    max_speed_mps: float
    max_accel_mps2: float
    service_decel_mps2: float
    max_decel_mps2: float
    max_jerk_mps3: float
    accel_lag_s: float
    steer_lag_s: float

    @property
    def length_m(self) -> float:
        """Front section, bumper to its rear end (to the joint for articulated buses)."""
        return self.front_overhang_m + self.wheelbase_m + self.rear_overhang_m

    @property
    def total_length_m(self) -> float:
        """Both sections, straight."""
        return self.length_m + self.rear_length_m

    @property
    def front_x_m(self) -> float:
        """Front bumper in body coordinates."""
        return self.front_overhang_m + self.wheelbase_m

    @property
    def is_articulated(self) -> bool:
        """Has a second section."""
        return self.rear_length_m > 0.0

    @property
    def max_curvature_per_m(self) -> float:
        """Tightest curvature of the rear axle's path that the steering allows."""
        from math import tan

        return tan(self.max_steer_rad) / self.wheelbase_m


def catalogue() -> dict[str, VehicleParams]:
    """Every vehicle of `catalogue.toml` by name, in file order."""
    text = resources.files("vehicle.dynamics").joinpath("catalogue.toml").read_text("utf-8")
    numeric = [
        f.name for f in fields(VehicleParams) if f.name not in {"name", "kind", "user_class"}
    ]
    return {
        name: VehicleParams(
            name=name,
            kind=ActorKind[row["kind"]],
            user_class=UserClass[row["user_class"]],
            **{key: float(row[key]) for key in numeric},
        )
        for name, row in tomllib.loads(text).items()
    }


def vehicle_params(name: str) -> VehicleParams:
    """Parameters of one catalogue vehicle; ConfigError lists the known names."""
    known = catalogue()
    if name not in known:
        raise ConfigError(
            say(
                "vehicle type '{type}' is not in vehicle/dynamics/catalogue.toml; expected one of {names}",
                type=name,
                names=", ".join(known),
            )
        )
    return known[name]
