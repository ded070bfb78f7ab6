"""One junction's signal controller: a deterministic state machine on integer nanoseconds, stepped every 100 ms.

Fixed plans follow their offset and cycle; actuated plans end a stage when its traffic has a gap or at its maximum, skip
stages nobody asks for, and rest in green when nobody waits. Bus priority may hold a stage or shorten the stages before one;
`roadside.signals.priority` decides what is granted, this machine carries it out within minimum greens and pedestrian times.

The same code that runs the stages also looks ahead: `chain` lists the coming stages as they would run now, and the forecast
for SPAT and the cost of a grant are both read from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from protocols.roads.network import U8
from roadside.signals.config import STEP_NS, steps_ns
from roadside.signals.priority import Answer, Grant, GrantKind, PriorityDesk, PriorityRequest
from roadside.signals.timing import RED, YELLOW, Timing

_STAND, _WALK, _CLEAR = 0, 1, 2


class Look(IntEnum):
    """Which future `chain` shows."""

    LIKELY = 0
    EARLIEST = 1
    LATEST = 2


class Run(NamedTuple):
    """One green of one stage; `end_ns` is None where the stage rests until somebody asks."""

    stage: int
    start_ns: int
    end_ns: int | None


class Controller:
    """Signals of one junction. Groups are local numbers, 0..G-1, in the order of `timing.layout.group`."""

    def __init__(self, timing: Timing, t0_ns: int = 0) -> None:
        """A controller that shows at `t0_ns` what it would show had it always run (fixed) or its first stage (actuated)."""
        if not timing.plan.is_plain:
            raise ValueError(
                f"the plan of junction '{timing.layout.id}' has rings, further plans, modes or an inserted stage; a Controller "
                f"runs plain stages only, build its machine with signal_machine()"
            )
        self.timing = timing
        size = timing.layout.num_groups
        self._groups = range(size)
        self._pedestrians = [k for k in range(size) if timing.layout.is_pedestrian[k]]
        self._members = [
            [k for k in range(size) if row[k] != RED] for row in timing.level
        ]  # by stage
        priority = timing.plan.priority
        self._extension_ns = steps_ns(priority.max_extension_s)
        self._early_ns = steps_ns(priority.max_early_s)
        self._gap_ns = steps_ns(timing.plan.gap_s)
        slack = [g - f for g, f in zip(timing.green_ns, timing.floor_ns, strict=True)]
        # A late plan wins back at most this much per stage, so that recovery takes `recovery_cycles`.
        self.catch_up_ns = [s // priority.recovery_cycles // STEP_NS * STEP_NS for s in slack]
        self.may_cut = [
            priority.enabled and any(not timing.has(i, k) for k in timing.asked)
            for i in range(timing.num_stages)
        ]
        self.may_hold = [
            priority.enabled and any(timing.has(i, k) for k in timing.asked)
            for i in range(timing.num_stages)
        ]

        self.t_ns = t0_ns
        self.run = 0  # fixed plan: number of the running stage since the offset
        self.cycle = 0  # wraps of the stage sequence since the start
        self.stage = 0
        self.start_ns = t0_ns  # of the running or last green
        self.end_ns = t0_ns  # of the last green, while `is_changing`
        self.is_changing = False
        self.next_stage = 0
        self.next_start_ns = t0_ns
        self.likely_end_ns: int | None = None
        self.version = 0  # counts every change that the forecast depends on, apart from time
        self.grant: Grant | None = None
        self.light: list[int] = [RED] * size
        self.since_ns: list[int] = [t0_ns] * size
        self.green_end_ns: list[int] = [t0_ns] * size
        self.walk: list[int] = [_STAND] * size
        self.walk_since_ns: list[int] = [t0_ns] * size
        self.call: list[bool] = [False] * size
        self.wait_since_ns: list[int | None] = [None] * size
        self._seen_ns: list[int] = [t0_ns] * size  # last traffic on a group's loops
        self._has_detector: list[bool] = [False] * size
        self._conflict_ns: int | None = None  # when somebody else first asked during this green
        self._would_end_ns: int | None = None  # latched end of the green that a grant holds
        self._usual_ns = list(timing.green_ns)  # running mean of greens (actuated)
        self._shown = np.zeros(size, dtype=np.uint8)
        self._last_ns = t0_ns - STEP_NS
        self.desk = PriorityDesk(self)

        nothing = [False] * size
        if timing.is_fixed:
            # Run two cycles up to t0, so that every light and its age is what it would be had the plan always run.
            before = (t0_ns - timing.offset_ns) // timing.cycle_ns - 2
            self.run = before * timing.num_stages
            start = timing.begin_of(self.run)
            self._last_ns = start - STEP_NS
            self._enter(0, start, is_first=True)
            # In between nobody asks for anything, so only the steps at which something changes need to be taken, and the last one.
            t_ns, last_ns = start, t0_ns - STEP_NS
            while t_ns <= last_ns:
                self.step(t_ns, nothing, nothing)
                due_ns = self._next_change_ns()
                t_ns = max(t_ns + STEP_NS, min(due_ns, last_ns) if t_ns < last_ns else due_ns)
            self.cycle = 0
        else:
            self._enter(0, t0_ns, is_first=True)

    def _next_change_ns(self) -> int:
        """When a fixed plan that nobody asks anything of changes next: a stage, yellow, or pedestrians. A multiple of the step."""
        timing = self.timing
        if self.is_changing:
            ahead = [self.next_start_ns, self.end_ns + timing.yellow_ns]
        else:
            assert self.likely_end_ns is not None  # fixed plans never rest
            ahead = [self.likely_end_ns]
        for k in self._pedestrians:
            if self.walk[k] == _CLEAR:
                ahead.append(self.walk_since_ns[k] + timing.clear_ns[k])
            elif self.walk[k] == _WALK and not self.is_changing:
                ahead.append(ahead[0] - timing.clear_ns[k])
        return min(t for t in ahead if t > self.t_ns)

    # ---- one step ------------------------------------------------------------------------------------------------

    def step(
        self,
        t_ns: int,
        occupied: Sequence[bool],
        pressed: Sequence[bool],
        requests: Sequence[PriorityRequest] = (),
        has_detector: Sequence[bool] | None = None,
    ) -> U8:
        """Advance to `t_ns` and return the lights, (G,) `Light`; the same array object until a light changes.

        `occupied`, `pressed`: (G,) traffic on the loops of a group, push button of a pedestrian group. `has_detector`: (G,)
        groups with loops; a vehicle group without is served in every cycle. `requests`: priority requests heard since the
        last step; `desk.take_answers()` holds what is answered.
        """
        self.t_ns = t_ns
        if not self.timing.is_fixed:
            self._sense(t_ns, occupied, pressed, has_detector)
        if requests or self.desk.is_busy:
            self.desk.step(t_ns, requests)
        self._advance(t_ns)
        if self._pedestrians:
            self._move_pedestrians(t_ns)
        self._show(t_ns)
        self._last_ns = t_ns
        return self._shown

    def take_answers(self) -> list[Answer]:
        """Answers to priority requests since the last call."""
        return self.desk.take_answers()

    @property
    def lateness_ns(self) -> int:
        """How far the running stage began behind the coordinated plan (fixed plans; 0 for actuated ones)."""
        return self.start_ns - self.timing.begin_of(self.run) if self.timing.is_fixed else 0

    def _sense(
        self,
        t_ns: int,
        occupied: Sequence[bool],
        pressed: Sequence[bool],
        has_detector: Sequence[bool] | None,
    ) -> None:
        if has_detector is not None:
            self._has_detector = list(has_detector)
        members = () if self.is_changing else self._members[self.stage]
        for k in self._groups:
            if occupied[k]:
                self._seen_ns[k] = t_ns
                if k not in members:
                    self.ask(k)
            if pressed[k] and self.walk[k] != _WALK:
                self.ask(k)
        self._note_conflict()

    def ask(self, group: int) -> None:
        """Remember that `group` wants green."""
        if not self.call[group]:
            self.call[group] = True
            self.wait_since_ns[group] = self.t_ns
            self.version += 1
            self._note_conflict()

    def _note_conflict(self) -> None:
        """From the first call of somebody else on, the running green has a maximum."""
        if not self.is_changing and self._conflict_ns is None and self._others_ask():
            self._conflict_ns = self.t_ns
            self.version += 1

    def _advance(self, t_ns: int) -> None:
        while True:
            if self.is_changing:
                if t_ns < self.next_start_ns:
                    return
                self._enter(self.next_stage, self.next_start_ns)
                continue
            end = self.chain(t_ns, Look.LIKELY, self.grant, 1)[0].end_ns
            if end != self.likely_end_ns:
                self.likely_end_ns = end
                self.version += 1
            if end is None or t_ns < end:
                return
            # An end that moved into the past (a grant was dropped, a call came in) takes effect now.
            self._leave(end if end > self._last_ns else t_ns)

    def _enter(self, stage: int, start_ns: int, is_first: bool = False) -> None:
        timing = self.timing
        if not is_first:
            self.run += 1
            if stage <= self.stage:
                self.cycle += 1
        self.stage, self.start_ns, self.is_changing = stage, start_ns, False
        self._conflict_ns = self._would_end_ns = None
        self.version += 1
        for k in self._members[stage]:
            self._seen_ns[k] = max(self._seen_ns[k], start_ns)
            if not timing.layout.is_pedestrian[k]:
                self.call[k], self.wait_since_ns[k] = False, None
            elif self.walk[k] == _STAND and (
                timing.is_fixed or self.call[k] or timing.walk_recall[k]
            ):
                self._begin_walk(k, start_ns)
        if not (timing.is_fixed or is_first) and self._others_ask():
            self._conflict_ns = start_ns

    def _begin_walk(self, k: int, t_ns: int) -> None:
        self.walk[k], self.walk_since_ns[k] = _WALK, t_ns
        self.call[k], self.wait_since_ns[k] = False, None
        self.version += 1

    def _leave(self, end_ns: int) -> None:
        timing, old = self.timing, self.stage
        following = self._following(old)
        assert following is not None
        green = end_ns - self.start_ns
        self._usual_ns[old] += (green - self._usual_ns[old]) // 4 // STEP_NS * STEP_NS
        self.is_changing, self.end_ns = True, end_ns
        self.next_stage = following
        self.next_start_ns = end_ns + timing.change_ns[old][following]
        self.version += 1
        for k in self._members[old]:
            if not timing.has(following, k):
                self.walk[k] = _STAND
                self.green_end_ns[k] = end_ns - timing.clear_ns[k]
        grant = self.grant
        if grant and timing.has(old, grant.group) and not timing.has(following, grant.group):
            self.grant = None  # its green is over

    def _move_pedestrians(self, t_ns: int) -> None:
        timing = self.timing
        for k in self._pedestrians:
            if self.walk[k] == _WALK:
                if timing.is_fixed:
                    if self.is_changing or self.likely_end_ns is None:
                        continue
                    if timing.has((self.stage + 1) % timing.num_stages, k):
                        continue
                    if t_ns >= self.likely_end_ns - timing.clear_ns[k]:
                        self.walk[k], self.walk_since_ns[k] = _CLEAR, t_ns
                        self.version += 1
                elif t_ns >= self.walk_since_ns[k] + timing.walk_ns[k]:
                    self.walk[k] = _CLEAR
                    self.walk_since_ns[k] += timing.walk_ns[k]
                    self.version += 1
            elif self.walk[k] == _CLEAR:
                if t_ns >= self.walk_since_ns[k] + timing.clear_ns[k]:
                    self.walk[k] = _STAND
                    self.version += 1
            elif (
                self.call[k]
                and not (timing.is_fixed or self.is_changing)
                and timing.has(self.stage, k)
                and not self._others_ask()
            ):
                self._begin_walk(k, t_ns)  # the stage rests: walk again within it

    def _show(self, t_ns: int) -> None:
        timing = self.timing
        now = timing.level[self.stage]
        changed = False
        following = timing.level[self.next_stage] if self.is_changing else now
        is_yellow = self.is_changing and t_ns < self.end_ns + timing.yellow_ns
        for k in self._groups:
            light = now[k]
            if timing.layout.is_pedestrian[k]:
                walk = self.walk[k]
                light = (
                    YELLOW
                    if walk == _CLEAR
                    else RED
                    if walk == _STAND
                    else max(light, following[k])
                )
            elif light != RED and following[k] == RED:
                light = YELLOW if is_yellow else RED
            if light != self.light[k]:
                self.light[k], self.since_ns[k] = light, t_ns
                changed = True
        if changed:
            self.version += 1
            self._shown = np.array(self.light, dtype=np.uint8)

    # ---- demand --------------------------------------------------------------------------------------------------

    def _asks(self, stage: int) -> bool:
        """Whether anybody needs `stage` (actuated)."""
        if self.timing.plan.stages[stage].recall:
            return True
        for k in self._members[stage]:
            if self.call[k]:
                return True
            if self.timing.layout.is_pedestrian[k]:
                if self.timing.walk_recall[k]:
                    return True
            elif not self._has_detector[k]:
                return True
        return False

    def _others_ask(self) -> bool:
        return any(self._asks(i) for i in range(self.timing.num_stages) if i != self.stage)

    def _following(self, stage: int, served: int = 0) -> int | None:
        """The stage after `stage`; actuated: the next one asked for, leaving out those in the bit set `served`."""
        count = self.timing.num_stages
        if self.timing.is_fixed:
            return (stage + 1) % count
        for step in range(1, count):
            i = (stage + step) % count
            if not served >> i & 1 and self._asks(i):
                return i
        return None

    # ---- looking ahead -------------------------------------------------------------------------------------------

    def chain(
        self, t_ns: int, look: Look, grant: Grant | None, count: int, is_wide: bool = True
    ) -> list[Run]:
        """The running green and those that follow, at most `count` (one more while changing), as things stand at `t_ns`.

        EARLIEST and LATEST bound what new traffic and, where `is_wide`, other grants could do; `grant` is carried out in
        every look.
        """
        timing = self.timing
        need = 0
        target = -1
        if grant is not None and grant.kind == GrantKind.EARLY:
            upcoming = self.next_stage if self.is_changing else self.stage
            if not timing.has(upcoming, grant.group):
                target = grant.group
                plain = self._walk_chain(
                    t_ns, look, None, 2 * timing.num_stages, target, 0, is_wide
                )
                start = next((r.start_ns for r in plain[1:] if timing.has(r.stage, target)), 0)
                need = max(0, start - grant.until_ns)
        return self._walk_chain(t_ns, look, grant, count, target, need, is_wide)

    def _walk_chain(
        self,
        t_ns: int,
        look: Look,
        grant: Grant | None,
        count: int,
        target: int,
        need: int,
        is_wide: bool,
    ) -> list[Run]:
        """Stages in a row; up to the one that serves `target` (-1: none), `need` ns are cut from them."""
        timing = self.timing
        stages = timing.num_stages
        out: list[Run] = []
        stage, start, run = self.stage, self.start_ns, self.run
        is_current = not self.is_changing
        served = 1 << stage
        may_widen = is_wide and look != Look.LIKELY
        if not is_current:
            out.append(Run(stage, start, self.end_ns))
            stage, start, run = self.next_stage, self.next_start_ns, run + 1
            served |= 1 << stage
        is_adaptive = look == Look.LIKELY and not timing.is_fixed
        for _ in range(count):
            if target >= 0 and timing.has(stage, target):
                target = -1
            floor = self._floor(t_ns) if is_current else start + self._least(stage)
            base = self._base_end(t_ns, look, stage, run, start, floor, is_current, target >= 0)
            following = self._following(stage, served) if is_adaptive else (stage + 1) % stages
            if base is None or following is None or stages == 1:
                out.append(Run(stage, start, None))
                return out
            end = base
            if target >= 0:
                cut = min(need, base - max(floor, base - self._early_ns))
                if cut > 0:
                    end, need = base - cut, need - cut
            elif (
                grant is not None
                and grant.kind == GrantKind.EXTENSION
                and timing.has(stage, grant.group)
                and not timing.has(following, grant.group)
                and base < grant.until_ns <= base + self._extension_ns
            ):
                end = grant.until_ns
            if may_widen and look == Look.EARLIEST and self.may_cut[stage]:
                end = min(
                    end, max(floor, min(end, start + timing.green_ns[stage]) - self._early_ns)
                )
            elif may_widen and look == Look.LATEST and self.may_hold[stage]:
                end = max(end, base + self._extension_ns)
            if is_current and look == Look.LIKELY and t_ns >= base and self._would_end_ns is None:
                self._would_end_ns = base
            out.append(Run(stage, start, end))
            start = end + timing.change_ns[stage][following]
            stage, run, is_current = following, run + 1, False
            served |= 1 << stage
        return out

    def _floor(self, t_ns: int) -> int:
        """Earliest end of the running green: minimum green, and pedestrians who walk or clear."""
        timing = self.timing
        floor = self.start_ns + timing.min_ns[self.stage]
        for k in self._pedestrians:
            walk = self.walk[k]
            if walk == _STAND or not timing.has(self.stage, k):
                continue
            if walk == _CLEAR:
                end = self.walk_since_ns[k] + timing.clear_ns[k]
            elif timing.is_fixed:
                if timing.has((self.stage + 1) % timing.num_stages, k):
                    continue
                end = max(self.walk_since_ns[k] + timing.walk_ns[k], t_ns) + timing.clear_ns[k]
            else:
                end = self.walk_since_ns[k] + timing.walk_ns[k] + timing.clear_ns[k]
            floor = max(floor, end)
        return floor

    def _least(self, stage: int) -> int:
        """Least length of a coming green: minimum green, and pedestrians who are known to walk in it."""
        timing = self.timing
        if timing.is_fixed:
            return timing.floor_ns[stage]
        least = timing.min_ns[stage]
        for k in self._pedestrians:
            if timing.has(stage, k) and (self.call[k] or timing.walk_recall[k]):
                least = max(least, timing.walk_ns[k] + timing.clear_ns[k])
        return least

    def _base_end(
        self,
        t_ns: int,
        look: Look,
        stage: int,
        run: int,
        start: int,
        floor: int,
        is_current: bool,
        is_before_target: bool,
    ) -> int | None:
        """End of a green without any grant; None where the stage rests."""
        timing = self.timing
        green = timing.green_ns[stage]
        if timing.is_fixed:
            late = start - timing.begin_of(run)
            if late > 0:
                return max(floor, start + green - min(late, self.catch_up_ns[stage]))
            # An early stage runs to its planned end, unless the stages before a bus are being shortened.
            return max(floor, start + green - (0 if is_before_target else late))
        longest = timing.max_ns[stage]
        if not is_current:
            if look == Look.LIKELY:
                return min(start + longest, max(floor, start + self._usual_ns[stage]))
            return floor if look == Look.EARLIEST else start + longest
        if self._would_end_ns is not None:
            return self._would_end_ns
        loops = [k for k in self._members[stage] if self._has_detector[k]]
        vehicles = sum(not timing.layout.is_pedestrian[k] for k in self._members[stage])
        gap_end = max((self._seen_ns[k] for k in loops), default=start) + self._gap_ns
        if len(loops) < vehicles:
            gap_end = max(gap_end, start + green)  # a group without loops runs its planned green
        if self._conflict_ns is None:
            if look == Look.LIKELY:
                return None
            return max(floor, gap_end, t_ns) if look == Look.EARLIEST else t_ns + longest
        latest = max(floor, max(start, self._conflict_ns) + longest)
        return latest if look == Look.LATEST else min(latest, max(floor, gap_end))
