"""Spawn points: places on driving lanes, clear of junctions, of each other and of what stands beside the road.

CARLA's towns carry hand-placed points; any other map gets a rule. Points lie on lane centres, facing travel direction, a little above
the road (CARLA's vehicles fall the rest), in the order of the lanes. A client may put one vehicle on each at once, all of them the
longest or all of them the widest that the library has: no two places are so near that these would touch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from protocols.roads.geometry import lane_pose
from protocols.roads.network import LaneType, RoadNetwork
from sim.carla import frames
from sim.carla.wire import structs

Floats = npt.NDArray[np.float64]

LONG = (9.1, 1.35)  # half sizes with a margin: vehicle.icv.bus18m
WIDE = (5.65, 2.12)  # vehicle.mitsubishi.fusorosa, whose box is not centred on its origin
APART_M = 24.0  # along a lane: a place on the lane beside it fits between two
TRY_M = 2.5  # a place that is taken is tried again this much farther on
ABOVE_M = 0.4
CLEAR_M = 6.5  # from the lane's ends
MIN_WIDTH_M = 2.5
HIGH_M = 4.5  # what is farther below or above does not touch
TARGET = 400  # on a large map points lie farther apart, so that there are about this many

_Place = tuple[float, float, float, float, float]  # x, y, z, cos yaw, sin yaw; CARLA's frame


def spawn_points(net: RoadNetwork, statics: Floats | None = None) -> tuple[structs.Transform, ...]:
    """Places to spawn vehicles at, always the same for the same map."""
    lanes = net.lanes
    driving = lanes.type == LaneType.DRIVING
    usable = np.flatnonzero(driving & (lanes.junction < 0) & (lanes.length_m >= 2 * CLEAR_M))
    if not usable.size:  # a map of connecting roads or short lanes only: better there than nowhere
        usable = np.flatnonzero(driving & (lanes.length_m > 1.0))
    step = max(APART_M, float(lanes.length_m[usable].sum()) / TARGET)
    taken = _Taken(np.zeros((0, 9)) if statics is None else statics)
    out: list[structs.Transform] = []
    for lane in usable:
        for slot in _slots(net, int(lane), step):
            for place in slot:
                x, y, z, co, si = place
                if taken.blocks(place):
                    continue
                taken.add(place)
                yaw = frames.wrap_deg(math.degrees(math.atan2(si, co)))
                out.append(
                    structs.Transform(
                        structs.Location(x, y, z + ABOVE_M), structs.Rotation(0.0, yaw, 0.0)
                    )
                )
                break
    return tuple(out)


def _slots(net: RoadNetwork, lane: int, step: float) -> Iterator[list[_Place]]:
    """Stretches of a lane that get one point each, as the places to try in turn."""
    lanes, points = net.lanes, net.points
    length = float(lanes.length_m[lane])
    clear = min(CLEAR_M, 0.5 * length)
    begins = clear + step * np.arange(int((length - 2 * clear) / step) + 1)
    tries = TRY_M * np.arange(int(APART_M / TRY_M) + 1)
    s = (begins[:, None] + tries[None, :]).ravel()
    rows = slice(int(lanes.point_start[lane]), int(lanes.point_start[lane + 1]))
    width = np.interp(s, points.s_m[rows], points.width_m[rows])
    good = (s <= length - clear + 1e-9) & (width >= MIN_WIDTH_M)
    pose = lane_pose(net, lane, s, 0.0)
    y, yaw = frames.flip_y(pose.y_m), -pose.yaw_rad
    for k in range(begins.size):
        some = range(k * tries.size, (k + 1) * tries.size)
        yield [
            (float(pose.x_m[i]), float(y[i]), float(pose.z_m[i]), math.cos(yaw[i]), math.sin(yaw[i]))
            for i in some
            if good[i]
        ]  # fmt: skip


class _Taken:
    """Places given away and boxes that stand there, by cells wide enough that only neighbours can touch."""

    def __init__(self, statics: Floats) -> None:
        self._cell = APART_M + 1.0
        self._places: dict[tuple[int, int], list[_Place]] = {}
        self._boxes = statics[:, :7]
        self._reach = LONG[0] + statics[:, 4] + statics[:, 5]

    def _key(self, place: _Place) -> tuple[int, int]:
        return math.floor(place[0] / self._cell), math.floor(place[1] / self._cell)

    def add(self, place: _Place) -> None:
        self._places.setdefault(self._key(place), []).append(place)

    def blocks(self, place: _Place) -> bool:
        a, b = self._key(place)
        for other in (
            p for i in (-1, 0, 1) for j in (-1, 0, 1) for p in self._places.get((a + i, b + j), ())
        ):
            if abs(other[2] - place[2]) < HIGH_M and any(
                _touch(place, half, other, half) for half in (LONG, WIDE)
            ):
                return True
        boxes = self._boxes
        near = (np.abs(boxes[:, 0] - place[0]) < self._reach) & (np.abs(boxes[:, 1] - place[1]) < self._reach)  # fmt: skip
        for x, y, z, yaw, half_x, half_y, half_z in boxes[near].tolist():
            turn = math.radians(yaw)
            box = (x, y, z, math.cos(turn), math.sin(turn))
            if -half_z < place[2] + HIGH_M - z and place[2] - z < half_z and (
                any(_touch(place, half, box, (half_x, half_y)) for half in (LONG, WIDE))
            ):  # fmt: skip
                return True
        return False


def _touch(a: _Place, half_a: tuple[float, float], b: _Place, half_b: tuple[float, float]) -> bool:
    """Whether two rectangles overlap: no axis of either separates them."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    c = abs(a[3] * b[3] + a[4] * b[4])
    s = abs(a[3] * b[4] - a[4] * b[3])
    for (co, si), mine, other in (((a[3], a[4]), half_a, half_b), ((b[3], b[4]), half_b, half_a)):
        if abs(dx * co + dy * si) > mine[0] + other[0] * c + other[1] * s:
            return False
        if abs(dy * co - dx * si) > mine[1] + other[0] * s + other[1] * c:
            return False
    return True
