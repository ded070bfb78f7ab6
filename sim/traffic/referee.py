"""What background traffic really did: events found from the world's state alone, never from the decisions behind it.

Called once per decision (0.1 s) after everybody has moved. A red light is run when a front passes a stop line whose light was
red at the beginning and at the end of that step. Background vehicles only; automated ones have a referee of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.judging import Event, EventKind
from protocols.messages import Light
from protocols.roads.network import F64, I32, U8, U32, Bool, RoadNetwork
from sim.state import ActorStates, ActorStatics, Control

HARD_BRAKING_MPS2 = 3.92  # 0.4 g, the BSM's hard-braking event (SAE J2735)


@dataclass(slots=True)
class TrafficReferee:
    """Keeps the last step; `observe` returns the new events in a fixed order: by kind, then row."""

    net: RoadNetwork
    states: ActorStates
    statics: ActorStatics
    _lane: I32 = field(init=False)
    _s: F64 = field(init=False)
    _id: U32 = field(init=False)
    _was: Bool = field(init=False)
    _hard: Bool = field(init=False)
    _red: Bool = field(init=False)
    _has_light: Bool = field(init=False)
    _start_ns: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num = self.states.valid.size
        self._lane = np.full(num, -1, dtype=np.int32)
        self._s = np.zeros(num)
        self._id = np.zeros(num, dtype=np.uint32)
        self._was = np.zeros(num, dtype=np.bool_)
        self._hard = np.zeros(num, dtype=np.bool_)
        self._red = np.zeros(max(len(self.net.groups.id), 1), dtype=np.bool_)
        lines = self.net.stop_lines
        self._has_light = np.zeros(self.net.num_lanes, dtype=np.bool_)
        self._has_light[lines.lane[lines.group >= 0]] = True

    def observe(self, t_ns: int, light: U8) -> list[Event]:
        """Events of the step that ended at `t_ns`; `light` (H,) is what the groups show now."""
        st = self.states
        mine = st.valid & (self.statics.control == int(Control.TRAFFIC))
        same = mine & self._was & (self._id == st.id)
        out: list[Event] = []
        for row in np.flatnonzero(self._was & ~same).tolist():
            actor = int(self._id[row])
            took_s = (t_ns - self._start_ns.pop(actor)) / 1e9
            out.append(Event(t_ns, EventKind.ARRIVED, actor, -1, int(self._lane[row]), took_s))
        for row in np.flatnonzero(mine & ~same).tolist():
            self._start_ns[int(st.id[row])] = t_ns
            out.append(Event(t_ns, EventKind.SPAWNED, int(st.id[row]), -1, int(st.lane[row])))
        red = np.zeros_like(self._red)
        red[: light.size] = light[: red.size] == int(Light.RED)
        changed = same & (st.lane != self._lane)
        out += self._red_lights(t_ns, same, red)
        out += self._wrong_lanes(t_ns, changed | (mine & ~same))
        hard = mine & (st.accel_mps2 <= -HARD_BRAKING_MPS2)
        for row in np.flatnonzero(hard & ~(self._hard & same)).tolist():
            decel = -float(st.accel_mps2[row])
            out.append(
                Event(t_ns, EventKind.HARD_BRAKING, int(st.id[row]), -1, int(st.lane[row]), decel)
            )
        self._lane[:], self._s[:], self._id[:] = st.lane, st.s_m, st.id
        self._was, self._hard, self._red = mine, hard, red
        return out

    def _red_lights(self, t_ns: int, same: Bool, red: Bool) -> list[Event]:
        lines, lanes, st = self.net.stop_lines, self.net.lanes, self.states
        out = []
        for row in np.flatnonzero(same & self._has_light[self._lane]).tolist():
            lane, now = int(self._lane[row]), int(st.lane[row])
            for r in range(int(lines.start[lane]), int(lines.start[lane + 1])):
                group, line_s = int(lines.group[r]), float(lines.s_m[r])
                if group < 0 or not (red[group] and self._red[group]):
                    continue
                after = lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]]
                if now == lane:
                    # The way on is not known yet on the lane itself: counts where the line binds all.
                    passed = int(lines.to_lane[r]) < 0 and self._s[row] < line_s <= st.s_m[row]
                else:
                    bound = int(lines.to_lane[r]) in (-1, now)
                    passed = bound and now in after and self._s[row] < line_s
                if passed:
                    out.append(Event(t_ns, EventKind.RED_LIGHT, int(st.id[row]), group, lane))
        return out

    def _wrong_lanes(self, t_ns: int, entered: Bool) -> list[Event]:
        st = self.states
        admitted = self.net.lanes.permission[np.maximum(st.lane, 0)] & self.statics.user_class
        rows = np.flatnonzero(entered & (st.lane >= 0) & (admitted == 0)).tolist()
        return [
            Event(t_ns, EventKind.BUS_LANE, int(st.id[row]), -1, int(st.lane[row])) for row in rows
        ]
