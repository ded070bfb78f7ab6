"""Induction loops before the stop lines: presence and passages, for controllers at the roadside.

One loop per lane with a stop line, from `far_m` to `near_m` before it. Everybody on the lane counts, automated vehicles and
cyclists too. A passage is a front that crosses the loop's downstream edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.roads.network import F64, I32, U32, Bool, RoadNetwork
from protocols.sensing import Detectors
from sim.state import ActorStates, ActorStatics, Control

FAR_M, NEAR_M = 30.0, 2.0


@dataclass(slots=True)
class Loops:
    """All loops of a network, in order of their lane. Call `observe` at every decision."""

    net: RoadNetwork
    states: ActorStates
    statics: ActorStatics
    far_m: float = FAR_M
    near_m: float = NEAR_M
    lane: I32 = field(init=False)  # (M,)
    is_occupied: Bool = field(init=False)  # (M,)
    count: U32 = field(init=False)  # (M,) passages since the start
    _begin: F64 = field(init=False)
    _end: F64 = field(init=False)
    _loop_of: I32 = field(init=False)
    _last_loop: I32 = field(init=False)
    _before: Bool = field(init=False)
    _id: U32 = field(init=False)

    def __post_init__(self) -> None:
        lines = self.net.stop_lines
        self.lane = np.unique(lines.lane).astype(np.int32)
        stop = np.zeros(self.lane.size)
        np.maximum.at(stop, np.searchsorted(self.lane, lines.lane), lines.s_m)
        self._begin = np.maximum(stop - self.far_m, 0.0)
        self._end = np.maximum(stop - self.near_m, 0.1)
        self._loop_of = np.full(self.net.num_lanes, -1, dtype=np.int32)
        self._loop_of[self.lane] = np.arange(self.lane.size)
        self.is_occupied = np.zeros(self.lane.size, dtype=np.bool_)
        self.count = np.zeros(self.lane.size, dtype=np.uint32)
        num = self.states.valid.size
        self._last_loop = np.full(num, -1, dtype=np.int32)
        self._before = np.zeros(num, dtype=np.bool_)
        self._id = np.zeros(num, dtype=np.uint32)

    def observe(self) -> None:
        """Looks at the world once."""
        if self.lane.size == 0:
            return
        st = self.states
        driving = st.valid & (st.lane >= 0) & (self.statics.control != int(Control.WALKER))
        loop = np.where(driving, self._loop_of[np.maximum(st.lane, 0)], -1).astype(np.int32)
        on = np.flatnonzero(loop >= 0)
        at = loop[on]
        front, rear = st.s_m[on], st.s_m[on] - self.statics.total_length_m[on]
        self.is_occupied[:] = False
        self.is_occupied[at[(front > self._begin[at]) & (rear < self._end[at])]] = True
        before = np.zeros(st.valid.size, dtype=np.bool_)
        before[on] = front < self._end[at]
        known = self._before & st.valid & (self._id == st.id)
        changed = self.net.lanes.left[self.lane[np.maximum(self._last_loop, 0)]] == st.lane
        changed |= self.net.lanes.right[self.lane[np.maximum(self._last_loop, 0)]] == st.lane
        passed = known & ~changed & ((loop != self._last_loop) | ~before)
        np.add.at(self.count, self._last_loop[passed], 1)
        self._last_loop, self._before = loop, before
        self._id[:] = st.id

    def reading(self, t_ns: int, loops: I32 | None = None) -> Detectors:
        """State of the loops with these indices (all when None)."""
        pick = np.arange(self.lane.size) if loops is None else loops
        return Detectors(
            t_ns, self.lane[pick].copy(), self.is_occupied[pick].copy(), self.count[pick].copy()
        )
