"""The truth about everything that moves, as arrays. Only `sim` sees this; units see `protocols.sensing`.

(N,) arrays with a fixed capacity; a row with `valid` False holds nobody. Rows are reused, actor ids never are.
Body origin: on the ground under the rear axle of the front section (pedestrians: their centre). World frame, SI.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from protocols.roads.network import F64, I8, I32, U8, U32, Bool


class Control(IntEnum):
    """Who moves a row."""

    TRAFFIC = 0  # background vehicles and cyclists on lanes
    UNIT = 1  # a participant's VehicleCommand through the vehicle's dynamics
    WALKER = 2  # pedestrians and free cyclists


@dataclass(slots=True)
class ActorStates:
    """What changes."""

    valid: Bool
    id: U32  # actor = station id, unique within a run, from 1
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    speed_mps: F64  # along the body, signed
    accel_mps2: F64
    yaw_rate_radps: F64
    steer_rad: F64
    hitch_rad: F64  # yaw of front section minus yaw of rear section; 0 for rigid bodies
    lane: I32  # -1 when on none
    s_m: F64  # travel distance of the body's *front bumper* on `lane`
    d_m: F64  # left of the lane centre positive
    flags: U32  # protocols.messages.BsmFlag bits
    doors: I8


@dataclass(slots=True)
class ActorStatics:
    """What never changes while a row is valid."""

    kind: U8  # protocols.messages.ActorKind
    user_class: U32  # protocols.roads.network.UserClass bit
    control: U8
    length_m: F64  # front section, bumper to bumper (to the joint for articulated)
    width_m: F64
    height_m: F64
    wheelbase_m: F64
    rear_overhang_m: F64  # origin back to the end of the front section
    hitch_x_m: (
        F64  # joint in body coordinates of the front section (negative: behind the rear axle)
    )
    rear_length_m: F64  # 0: no second section; joint to rear end
    rear_wheelbase_m: F64  # joint to the axle of the rear section
    total_length_m: F64


def _zeros(cls: type, capacity: int) -> dict[str, object]:
    kinds = {
        "F64": np.float64,
        "I32": np.int32,
        "U32": np.uint32,
        "U8": np.uint8,
        "I8": np.int8,
        "Bool": np.bool_,
    }
    return {
        name: np.zeros(capacity, dtype=kinds[str(kind)])
        for name, kind in cls.__annotations__.items()
    }


def empty_states(capacity: int) -> ActorStates:
    """All rows free."""
    return ActorStates(**_zeros(ActorStates, capacity))  # type: ignore[arg-type]


def empty_statics(capacity: int) -> ActorStatics:
    """All rows free."""
    return ActorStatics(**_zeros(ActorStatics, capacity))  # type: ignore[arg-type]
