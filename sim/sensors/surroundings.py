"""What stands around a sensor: boxes of bodies and walls of the map, relative to it; and where a sensor sits.

Everything stands on one flat road at the sensor's own ground height; slopes are not followed. Walls are the outlines of the road
network's `objects` that have a height (buildings, barriers, platforms); they are upright and have no roof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.roads.network import F64, I32, Objects
from sim.sensors import _ray_kernels
from sim.state import ActorStates, ActorStatics

I64 = npt.NDArray[np.int64]
_MAX_BOXES = 512  # sections of bodies within reach of one sensor; far above a full junction
_COLUMNS, _ROWS = 5, 3  # lines of sight to one box


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sensor is and in which frame it reports. World axes; yaw: its bore-sight."""

    x_m: float
    y_m: float
    up_m: float  # above ground
    yaw_rad: float
    frame_x_m: float = 0.0  # origin and axes of the reports; zero: the world's
    frame_y_m: float = 0.0
    frame_yaw_rad: float = 0.0
    own: int = -1  # row of the vehicle that carries it

    @property
    def is_world_frame(self) -> bool:
        """Roadside sensors are surveyed."""
        return self.own < 0


def place_on(
    row: int, states: ActorStates, x_m: float, y_m: float, up_m: float, yaw_rad: float
) -> Place:
    """A sensor mounted at body coordinates of the vehicle in `row`."""
    yaw = float(states.yaw_rad[row])
    c, s = math.cos(yaw), math.sin(yaw)
    x, y = float(states.x_m[row]), float(states.y_m[row])
    return Place(x + c * x_m - s * y_m, y + s * x_m + c * y_m, up_m, yaw + yaw_rad, x, y, yaw, row)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Bodies near a sensor; arrays as in `_ray_kernels`, valid until the next `Surroundings.look`."""

    box: F64  # (8, B)
    span: F64  # (4, B)
    row: I32  # (B,) rows of the state
    wall: F64  # (5, W)


def walls_of(objects: Objects) -> F64:
    """(5, W) x0, y0, x1, y1, height of every side of every outline that has a height; world frame."""
    sides = []
    for k in range(len(objects.id)):
        begin, end = int(objects.outline_start[k]), int(objects.outline_start[k + 1])
        height = float(objects.height_m[k])
        if height <= 0.0 or end - begin < 2:
            continue
        x, y = objects.outline_x_m[begin:end], objects.outline_y_m[begin:end]
        sides.append(np.stack([x, y, np.roll(x, -1), np.roll(y, -1), np.full(x.size, height)]))
    if not sides:
        return np.zeros((5, 0))
    return np.ascontiguousarray(np.concatenate(sides, axis=1))


def near_walls(walls: F64, x_m: float, y_m: float, reach_m: float) -> F64:
    """(5, W') those of `walls` that may come within `reach_m` of a place, relative to it."""
    if not walls.shape[1]:
        return walls
    middle_x, middle_y = 0.5 * (walls[0] + walls[2]), 0.5 * (walls[1] + walls[3])
    half = 0.5 * np.hypot(walls[2] - walls[0], walls[3] - walls[1])
    near = np.hypot(middle_x - x_m, middle_y - y_m) <= half + reach_m
    moved = walls[:, near] - np.array([[x_m], [y_m], [x_m], [y_m], [0.0]])
    return np.ascontiguousarray(moved)


class Surroundings:
    """Finds what is near; one for each sensor, because it keeps the arrays."""

    def __init__(self, walls: F64) -> None:
        self._walls = walls
        self._box = np.empty((8, _MAX_BOXES))
        self._span = np.empty((4, _MAX_BOXES))
        self._row = np.empty(_MAX_BOXES, dtype=np.int32)

    def look(
        self, place: Place, reach_m: float, states: ActorStates, statics: ActorStatics
    ) -> Boxes:
        """Bodies with a part within `reach_m` of `place`, and the walls that may stand there."""
        count = _ray_kernels.bodies(
            place.x_m, place.y_m, reach_m, place.own, states.valid, states.x_m, states.y_m,
            states.yaw_rad, states.hitch_rad, statics.length_m, statics.width_m, statics.height_m,
            statics.rear_overhang_m, statics.hitch_x_m, statics.rear_length_m,
            self._box, self._row, self._span,
        )  # fmt: skip
        wall = near_walls(self._walls, place.x_m, place.y_m, reach_m)
        # Contiguous whatever the count, so that each kernel is compiled once.
        return Boxes(
            np.ascontiguousarray(self._box[:, :count]),
            np.ascontiguousarray(self._span[:, :count]),
            self._row[:count].copy(),
            wall,
        )


def seen_share(place: Place, boxes: Boxes) -> F64:
    """(B,) share of each box that is in sight, of 5 x 3 lines to the side that faces the sensor."""
    share = np.empty(boxes.row.size)
    _ray_kernels.in_sight(place.up_m, _COLUMNS, _ROWS, boxes.box, boxes.span, boxes.wall, share)
    return share


def identities(boxes: Boxes, states: ActorStates) -> I64:
    """(B,) what the noise of each box belongs to: actor and section. Stays in the simulator."""
    who: I64 = states.id[boxes.row].astype(np.int64) * 2 + boxes.box[7].astype(np.int64)
    return who
