"""A small parking lot of boxes to point sensors at."""

from __future__ import annotations

import math
from dataclasses import replace

from protocols.messages import ActorKind
from protocols.simtime import Now
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
