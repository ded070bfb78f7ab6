"""Who moves the bodies of automated vehicles: our own dynamics, or physics somewhere else (`sim.carla.backend`).

The world asks once per tick, with the commands of this tick; afterwards the rows of the automated vehicles hold where they are.
Everything else in the world (traffic, walkers, lights, contacts) is the same whoever moves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from protocols.roads.network import F64, I32
from sim.state import ActorStates
from vehicle.dynamics import BodyParams, VehicleParams, step_bodies


class Bodies(Protocol):
    """Moves the automated vehicles, in the order they have in the world."""

    def step(self, t_ns: int, dt_s: float, accel_mps2: F64, steer_rad: F64) -> None:
        """From `t_ns` on by `dt_s`; commands (K,): acceleration along the body, angle of the road wheels, left positive."""

    def close(self) -> None:
        """The run is over."""


@dataclass(slots=True)
class OwnBodies:
    """`vehicle.dynamics`."""

    states: ActorStates
    rows: Sequence[int]
    params: Sequence[VehicleParams]
    _rows: I32 = field(init=False)
    _params: BodyParams = field(init=False)

    def __post_init__(self) -> None:
        self._rows = np.asarray(self.rows, dtype=np.int32)
        self._params = BodyParams.of(self.params)

    def step(self, t_ns: int, dt_s: float, accel_mps2: F64, steer_rad: F64) -> None:
        """See `Bodies.step`."""
        states = self.states
        step_bodies(
            self._rows, states.x_m, states.y_m, states.yaw_rad, states.speed_mps,
            states.accel_mps2, states.yaw_rate_radps, states.steer_rad, states.hitch_rad,
            accel_mps2, steer_rad, self._params, dt_s,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing to let go of."""
