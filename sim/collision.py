"""Who touches whom: the referee for overlapping bodies, as oriented boxes on the ground.

In: the world's state. Out: (P, 2) rows, a < b, sorted; every overlapping pair once. Articulated vehicles have two boxes.
Bodies more than `HEIGHT_M` apart in height (a bridge) do not touch. Exact for boxes; shares no geometry with planner or
traffic, so that it cannot share their mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.roads.network import F64, I32
from sim import _collision_kernels
from sim.state import ActorStates, ActorStatics

HEIGHT_M = 3.0  # less than any clearance under a bridge, more than any slope between two bodies


@dataclass(slots=True)
class Collisions:
    """Finds overlaps; keeps its work space between calls."""

    _box: F64 = field(default_factory=lambda: np.zeros((0, 7)))
    _owner: I32 = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    _cell: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    _head: I32 = field(default_factory=lambda: np.zeros(1, dtype=np.int32))
    _chain: I32 = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    _pairs: I32 = field(default_factory=lambda: np.zeros((64, 2), dtype=np.int32))

    def find(self, states: ActorStates, statics: ActorStatics) -> I32:
        """(P, 2) pairs of rows whose bodies overlap now."""
        if np.count_nonzero(states.valid) < 2:
            return np.zeros((0, 2), dtype=np.int32)
        boxes = 2 * states.valid.size
        if self._box.shape[0] != boxes:
            self._box = np.zeros((boxes, 7))
            self._owner = np.zeros(boxes, dtype=np.int32)
            self._cell = np.zeros((boxes, 2), dtype=np.int64)
            self._head = np.zeros(1 << max(int(boxes).bit_length(), 4), dtype=np.int32)
            self._chain = np.zeros(boxes, dtype=np.int32)
        while True:
            count = _collision_kernels.find(
                states.valid, states.x_m, states.y_m, states.z_m, states.yaw_rad, states.hitch_rad,
                statics.length_m, statics.width_m, statics.rear_overhang_m, statics.hitch_x_m,
                statics.rear_length_m, self._box, self._owner, self._cell, self._head, self._chain,
                HEIGHT_M, self._pairs,
            )  # fmt: skip
            if count <= self._pairs.shape[0]:
                break
            self._pairs = np.zeros((2 * count, 2), dtype=np.int32)
        found = self._pairs[:count]
        return found[np.lexsort((found[:, 1], found[:, 0]))] if count > 1 else found.copy()
