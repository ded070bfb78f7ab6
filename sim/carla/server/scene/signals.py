"""The scene's signal controllers, and which of their lights a client has taken over.

Controllers run as in a headless run, every 100 ms, without roadside units: nobody asks for priority. What they say is `plan`; `light`
is what is shown and obeyed. A group that a client holds shows what the client wants. When it lets a junction go and the plan shows
something else by now, whatever was green turns yellow, then all is red, then the plan goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from protocols.messages import Light, SignalCommand
from protocols.participant import Inbox
from protocols.roads.network import I32, U8, Bool, RoadNetwork
from protocols.sensing import CrossingDemand, Readings
from protocols.simtime import Now
from roadside.signals import FixedTimeBank, SignalControllerUnit, SignalPlan
from roadside.signals.config import PriorityPlan
from sim.carla.server.lights import RED_S, YELLOW_S
from sim.traffic.detectors import Loops

YELLOW_NS, ALL_RED_NS = round(YELLOW_S * 1e9), round(RED_S * 1e9)  # CARLA's own times
GREENS = (int(Light.GREEN_PERMISSIVE), int(Light.GREEN_PROTECTED))


class Signals:
    """(H,) arrays are per signal group of the scene's road network."""

    def __init__(
        self,
        net: RoadNetwork,
        plans: Mapping[int, SignalPlan],
        tick_ms: int,
        loops: Loops,
        pressed: Callable[[], Bool],
    ) -> None:
        self._net, self._loops, self._pressed = net, loops, pressed
        quiet = {
            junction: plan.model_copy(update={"priority": PriorityPlan()})
            for junction, plan in plans.items()
        }
        fixed = [plan for plan in quiet.values() if plan.is_clockwork]
        self._bank = FixedTimeBank(net, fixed, tick_ms)
        self._units = [
            (SignalControllerUnit(net, plan, tick_ms), self._loops_of(j), self._crossings_of(j))
            for j, plan in quiet.items()
            if not plan.is_clockwork
        ]
        self.needs_loops = bool(self._units)
        num = max(len(net.groups.id), 1)
        self.plan: U8 = np.full(num, int(Light.DARK), np.uint8)
        self.light: U8 = self.plan.copy()
        self.since_ns = np.zeros(num, np.int64)  # when each group's light began
        self.version = 0  # counts changes of `light`
        self.is_held: Bool = np.zeros(num, np.bool_)
        self._junction = np.full(num, -1, np.int64)
        self._junction[: len(net.groups.id)] = net.groups.junction
        self._clearing: dict[int, tuple[int, U8]] = {}  # a group of the place -> until, its yellows
        self.now_ns = 0

    def _loops_of(self, junction: int) -> I32:
        lines, groups = self._net.stop_lines, self._net.groups
        mine = (lines.group >= 0) & (groups.junction[np.maximum(lines.group, 0)] == junction)
        return np.flatnonzero(np.isin(self._loops.lane, lines.lane[mine])).astype(np.int32)

    def _crossings_of(self, junction: int) -> I32:
        groups = self._net.crossings.group
        mine = [g >= 0 and int(self._net.groups.junction[g]) == junction for g in groups]
        return np.flatnonzero(np.array(mine, np.bool_)).astype(np.int32)

    def step(self, t_ns: int, tick: int) -> None:
        """One step of all controllers, every 100 ms."""
        self.now_ns = t_ns
        now = Now(tick, t_ns)
        self._take(self._bank.on_tick(now, Inbox((), Readings())).signals)
        pressed = self._pressed() if self._units else None
        for unit, loops, crossings in self._units:
            demand = None
            if crossings.size and pressed is not None:
                demand = CrossingDemand(t_ns, crossings, pressed[crossings])
            readings = Readings(detectors=self._loops.reading(t_ns, loops), crossings=demand)
            self._take(unit.on_tick(now, Inbox((), readings)).signals)
        self.show()

    def _take(self, command: SignalCommand | None) -> None:
        if command is not None:
            self.plan[command.group] = command.light

    def show(self) -> None:
        """`light` from the plan, from clients, and from junctions on their way back to the plan."""
        wanted = np.where(self.is_held, self.light, self.plan)
        for key, (until_ns, yellow) in list(self._clearing.items()):
            if self.now_ns >= until_ns:
                del self._clearing[key]
                continue
            mine = self._place(key) & ~self.is_held
            is_first = self.now_ns < until_ns - ALL_RED_NS
            wanted[mine] = np.where(is_first & (yellow[mine] != 0), int(Light.YELLOW), int(Light.RED))  # fmt: skip
        self._set(wanted.astype(np.uint8))

    def _set(self, light: U8) -> None:
        changed = light != self.light
        if changed.any():
            self.version += 1
            self.since_ns[changed] = self.now_ns
            self.light[:] = light

    # ---- what clients do

    def _place(self, group: int) -> Bool:
        """(H,) the groups of its junction, pedestrians' included; itself where it has none."""
        junction = self._junction[group]
        if junction >= 0:
            return np.asarray(self._junction == junction, np.bool_)
        return np.asarray(np.arange(self.plan.size) == group, np.bool_)

    def hold(self, group: int, light: Light) -> None:
        """This group shows `light` until its junction is let go."""
        self.is_held[group] = True
        wanted = self.light.copy()
        wanted[group] = int(light)
        self._set(wanted)

    def hold_place(self, group: int) -> None:
        """The whole junction stays as it is."""
        self.is_held |= self._place(group)

    def let_go(self, group: int) -> None:
        """The junction goes back to its plan."""
        mine = self._place(group)
        if not (self.is_held & mine).any():
            return
        self.is_held[mine] = False
        if (self.light[mine] == self.plan[mine]).all():
            return
        green = np.isin(self.light, GREENS).astype(np.uint8)
        key = int(np.flatnonzero(mine)[0])
        self._clearing[key] = self.now_ns + YELLOW_NS + ALL_RED_NS, green
        self.show()
