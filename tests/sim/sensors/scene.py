"""A small parking lot of boxes to point sensors at."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64
from protocols.simtime import Now
from sim.sensors.detection_params import detection_params
from sim.sensors.detections import make_model
from sim.sensors.environment import Environment
from sim.sensors.params import ObjectParams
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics

NOW = Now(0, 0)

# No noise and no misses: what is left is geometry.
EXACT = replace(
    ObjectParams(),
    mount_x_m=0.0,
    position_sigma_m=0.0,
    position_sigma_per_m=0.0,
    yaw_sigma_rad=0.0,
    speed_sigma_mps=0.0,
    size_sigma_m=0.0,
    miss_probability=0.0,
)


class Scene:
    """Bodies by centre; cars 4.5 x 1.8 x 1.5 m unless told otherwise."""

    def __init__(self, capacity: int = 64) -> None:
        self.states: ActorStates = empty_states(capacity)
        self.statics: ActorStatics = empty_statics(capacity)
        self.count = 0

    def add(
        self,
        x_m: float,
        y_m: float,
        yaw_rad: float = 0.0,
        speed_mps: float = 0.0,
        length_m: float = 4.5,
        width_m: float = 1.8,
        height_m: float = 1.5,
        kind: ActorKind = ActorKind.CAR,
        rear_overhang_m: float = 1.0,
    ) -> int:
        row = self.count
        self.count += 1
        st, sc = self.states, self.statics
        ahead = 0.5 * length_m - rear_overhang_m
        st.valid[row], st.id[row] = True, row + 1
        st.x_m[row] = x_m - ahead * math.cos(yaw_rad)
        st.y_m[row] = y_m - ahead * math.sin(yaw_rad)
        st.yaw_rad[row], st.speed_mps[row] = yaw_rad, speed_mps
        sc.kind[row] = kind
        sc.length_m[row], sc.width_m[row], sc.height_m[row] = length_m, width_m, height_m
        sc.rear_overhang_m[row] = rear_overhang_m
        return row

    def bus(self, x_m: float, y_m: float, yaw_rad: float = 0.0) -> int:
        return self.add(x_m, y_m, yaw_rad, 0.0, 12.0, 2.55, 3.2, ActorKind.BUS)


NO_WALLS = np.zeros((5, 0))
LEVEL = 0.001  # significance of every statistical test here; seeds are fixed, so each passes or fails for good


def at(k: int, step_ns: int = 100_000_000) -> int:
    """Time of sample k."""
    return k * step_ns


def ring(count: int, radius_m: float, **body: Any) -> Scene:
    """Cars side-on around the origin at one distance; none hides another."""
    scene = Scene(max(64, count))
    for k in range(count):
        azimuth = 2.0 * math.pi * (k + 0.5) / count
        scene.add(
            radius_m * math.cos(azimuth), radius_m * math.sin(azimuth), azimuth + 0.5 * math.pi, **body
        )  # fmt: skip
    return scene


def model(
    kind: str,
    name: str,
    env: Environment | None = None,
    walls: F64 = NO_WALLS,
    key: int = 7,
    **changes: float,
) -> Any:
    """A sensor model of a preset with changes; no clutter unless asked for."""
    params = detection_params(kind, name, {"clutter_per_scan": 0.0, **changes})
    return make_model(params, key, f"{kind}/test", env or Environment(), walls)
