"""All fixed-time junctions without radio as one participant, and junction controllers without radio one by one.

`FixedTimeBank` keeps one table of light changes per signal group and looks all of them up at once, so hundreds of junctions
cost one array expression per change and one comparison per tick. It answers with a `SignalCommand` only when a light
changes; the command then carries all of its groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.messages import SignalCommand
from protocols.participant import Inbox, Outbox
from protocols.roads.network import I32, U8, RoadNetwork
from protocols.simtime import Now, ticks
from roadside.signals.config import SignalPlan
from roadside.signals.machine import signal_machine
from roadside.signals.timing import RED, YELLOW, Timing, compile_plan
from roadside.signals.wiring import Wiring

PERIOD_MS = 100
I64 = npt.NDArray[np.int64]


class FixedTimeBank:
    """One vectorised participant for all junctions that run a fixed plan and have no roadside unit."""

    def __init__(
        self, net: RoadNetwork, plans: Sequence[SignalPlan], tick_ms: int, name: str = "rsu/signals"
    ) -> None:
        """Compile `plans`; ConfigError for an actuated plan, a plan with priority, or two plans of one junction."""
        self._name = name
        self._period_ticks = ticks(PERIOD_MS, tick_ms, f"{name}: period")
        timings = [compile_plan(net, plan, f"plans[{n}]") for n, plan in enumerate(plans)]
        for n, timing in enumerate(timings):
            if not timing.plan.is_clockwork:
                raise ValueError(
                    f"plans[{n}] of junction '{timing.plan.junction}' is not a fixed plan without priority, schedule or modes; "
                    f"the bank runs fixed plans only, give it a controller of its own"
                )
        if len({timing.layout.junction for timing in timings}) != len(timings):
            raise ValueError("two fixed plans name the same junction; keep one plan per junction")
        self.group: I32 = (
            np.concatenate([t.layout.group for t in timings]).astype(np.int32)
            if timings
            else np.zeros(0, np.int32)
        )
        rows = [row for timing in timings for row in group_programmes(timing)]
        width = max((len(row) for row in rows), default=1)
        never = np.iinfo(np.int64).max
        self._at_ns: I64 = np.full((len(rows), width), never, dtype=np.int64)
        self._light: U8 = np.zeros((len(rows), width), dtype=np.uint8)
        for r, row in enumerate(rows):
            for c, (at_ns, light) in enumerate(row):
                self._at_ns[r, c] = at_ns
                self._light[r, c] = light
        sizes = [t.layout.num_groups for t in timings]
        self._cycle_ns: I64 = np.repeat(np.array([t.cycle_ns for t in timings], np.int64), sizes)
        self._offset_ns: I64 = np.repeat(np.array([t.offset_ns for t in timings], np.int64), sizes)
        self._row = np.arange(len(rows))
        self._next_ns = -1

    @property
    def name(self) -> str:
        """Stable name."""
        return self._name

    @property
    def period_ticks(self) -> int:
        """Call period in base ticks."""
        return self._period_ticks

    def lights(self, t_ns: int) -> U8:
        """(H,) lights of `group` at any time, before or after the start."""
        light, _ = self._look_up(t_ns)
        return light

    def _look_up(self, t_ns: int) -> tuple[U8, int]:
        phase = (t_ns - self._offset_ns) % self._cycle_ns
        column = (self._at_ns <= phase[:, None]).sum(axis=1) - 1
        following = np.minimum(column + 1, self._at_ns.shape[1] - 1)
        at = self._at_ns[self._row, following]
        # After the last change of a cycle comes the start of the next one.
        left = np.where((following > column) & (at < self._cycle_ns), at, self._cycle_ns) - phase
        return self._light[self._row, column], t_ns + int(left.min())

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """All lights at the first call and whenever one of them changes; nothing otherwise."""
        if now.t_ns < self._next_ns or self._row.size == 0:
            return Outbox()
        light, self._next_ns = self._look_up(now.t_ns)
        return Outbox(signals=SignalCommand(t_ns=now.t_ns, group=self.group, light=light))


def group_programmes(timing: Timing) -> list[list[tuple[int, int]]]:
    """(G,) rows of (time in the cycle, light), rising from 0, for a fixed plan on its nominal schedule."""
    count = timing.num_stages
    out: list[list[tuple[int, int]]] = []
    for k in range(timing.layout.num_groups):
        events: list[tuple[int, int]] = []
        for i in range(count):
            if not timing.has(i, k):
                continue
            events.append((timing.begin_ns[i], timing.level[i][k]))
            if timing.has((i + 1) % count, k):
                continue
            end = timing.begin_ns[i] + timing.green_ns[i]
            if timing.layout.is_pedestrian[k]:
                events.append((end - timing.clear_ns[k], YELLOW))
                events.append((end, RED))
            else:
                events.append((end, YELLOW))
                events.append((end + timing.yellow_ns, RED))
        # What runs past the cycle's end belongs to its beginning.
        events = sorted((at % timing.cycle_ns, light) for at, light in events)
        if events[0][0] > 0:
            events.insert(0, (0, events[-1][1]))
        out.append(events)
    return out


class SignalControllerUnit:
    """A junction's controller without radio: loops and push buttons in, lights out."""

    def __init__(
        self, net: RoadNetwork, plan: SignalPlan, tick_ms: int, name: str | None = None
    ) -> None:
        """Compile `plan` against `net`; ConfigError as in `compile_plan`."""
        self.controller = signal_machine(net, plan)
        timing = self.controller.timing
        self._name = name or f"rsu/signals-{timing.layout.id}"
        self._period_ticks = ticks(PERIOD_MS, tick_ms, f"{self._name}: period")
        self._wiring = Wiring(net, timing.layout)
        self._light: U8 | None = None

    @property
    def name(self) -> str:
        """Stable name."""
        return self._name

    @property
    def period_ticks(self) -> int:
        """Call period in base ticks."""
        return self._period_ticks

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """One controller step; a SignalCommand when a light has changed."""
        self._wiring.take(inbox.readings)
        light = self.controller.step(
            now.t_ns, self._wiring.occupied, self._wiring.pressed, (), self._wiring.has_detector
        )
        if light is self._light:
            return Outbox()
        self._light = light
        group = self.controller.timing.layout.group
        return Outbox(signals=SignalCommand(t_ns=now.t_ns, group=group, light=light))
