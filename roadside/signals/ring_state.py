"""State of a ring-and-barrier machine and what can be read from it: who asks, who may end, what comes next and when.

`roadside.signals.rings` moves it. A phase is asked for by a call on its loops or buttons, by a recall, by loops that do not work, or
by a fixed plan. It may end once its floor (minimum green, people who walk or clear) is over and its traffic has a gap, its
maximum since the first conflicting call or its force-off is reached. Under coordination, the coordinated phases hold until
their yield point, and another phase is begun only while it still fits before its own force-off (permissive period).
"""

from __future__ import annotations

from typing import Final, Self

from roadside.signals.cycle import Layout
from roadside.signals.durations import STEP_NS
from roadside.signals.lamps import Lamps
from roadside.signals.phasetable import PhaseTable
from roadside.signals.timing import YELLOW

UNSET_NS: Final = -(1 << 62)
"""A stamp that is not set; runs may begin before zero."""
FREE_RUN: Final = -1
"""Pattern number of running without a cycle."""
_LISTS = (
    "phase", "is_on", "start_ns", "next_phase", "next_start_ns", "has_gap", "conflict_ns",
    "call", "seen_ns", "has_detector", "walk", "walk_stop_ns", "wait_since_ns",
)  # fmt: skip
_SETS = ("holds", "forced", "omitted", "skipped")


class RingState:
    """One junction's phases; everything public is for reading."""

    def __init__(self, table: PhaseTable, t0_ns: int, pattern: int) -> None:
        """All red at `t0_ns`; `start` begins."""
        self.table = table
        size, rings = table.layout.num_groups, table.num_rings
        self.lamps = Lamps(table, t0_ns)
        self.t_ns = t0_ns
        self.block = 0
        self.next_block = 0
        self.is_crossing = False
        self.cross_ns = 0
        self.after_insert = -1  # block that follows the inserted phase, while that is due or runs
        self.insert_after = -1  # block after which the inserted phase is due; -1: none is due
        self.phase = [-1] * rings
        self.is_on = [False] * rings
        self.start_ns = [t0_ns] * rings
        self.next_phase = [-1] * rings
        self.next_start_ns = [UNSET_NS] * rings  # unset: the ring is not changing within its block
        self.has_gap = [False] * rings
        self.conflict_ns = [UNSET_NS] * rings
        self.call = [False] * size
        self.wait_since_ns = [UNSET_NS] * size
        self.seen_ns = [t0_ns] * size
        self.has_detector = [False] * size
        self.walk = [False] * size
        self.walk_stop_ns = [UNSET_NS] * size
        self.holds: set[int] = set()  # phases
        self.forced: set[int] = set()
        self.omitted: set[int] = set()
        self.skipped: set[int] = set()  # once
        self.pattern = pattern
        self.wanted_pattern = pattern
        self.layout: Layout | None = None
        self.cycle = 0
        self.version = 0
        self.hold_group, self.hold_until_ns = -1, UNSET_NS  # free run: green for a bus
        self.hurry_group = -1  # free run: stages without this group end at their floor
        self.is_stopping = True
        self.is_stopped = True

    def fork(self) -> Self:
        """An independent copy, for looking ahead."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in _LISTS:
            setattr(twin, name, list(getattr(self, name)))
        for name in _SETS:
            setattr(twin, name, set(getattr(self, name)))
        twin.lamps = self.lamps.fork()
        return twin

    @property
    def is_pretimed(self) -> bool:
        """Whether a plan without coordinated phases runs: every phase to its force-off."""
        return self.pattern >= 0 and not self.table.patterns[self.pattern].coordinated

    def floor_ns(self, ring: int, t_ns: int) -> int:
        """Earliest end of `ring`'s green: minimum, and people who walk or clear."""
        table, lamps = self.table, self.lamps
        row = table.phases[self.phase[ring]]
        floor = self.start_ns[ring] + row.min_ns
        for k in row.walkers:
            if lamps.light[k] == YELLOW:
                floor = max(floor, lamps.fade_end_ns(k))
            elif self.walk[k]:
                begin = lamps.green_ns[k] if lamps.is_green(k) else t_ns
                stop = begin + table.timing.walk_ns[k]
                if self.is_pretimed and lamps.is_green(k):
                    if self._walks_on(ring, k) and not self.is_stopping:
                        continue
                    stop = max(stop, t_ns)
                floor = max(floor, stop + table.timing.clear_ns[k])
        return floor

    def gap_end_ns(self, ring: int) -> int | None:
        """When `ring`'s phase gaps out without further traffic; None for one that runs to its maximum."""
        row = self.table.phases[self.phase[ring]]
        if row.recall == "max" or any(not self.has_detector[k] for k in row.vehicles):
            return None
        seen = [self.seen_ns[k] + row.passage_ns for k in row.vehicles]
        return max(seen, default=self.start_ns[ring])

    def planned_end_ns(self, ring: int) -> int | None:
        """End of `ring`'s green under a fixed plan; None where traffic decides."""
        p = self.phase[ring]
        if p == self.table.insert and p >= 0:
            return self.start_ns[ring] + self.table.insert_ns
        if not self.is_pretimed or self.layout is None:
            return None
        row = self.table.phases[p]
        return max(self.layout.force_ns[p], self.start_ns[ring] + row.min_ns)

    def _has_gap(self, ring: int, t_ns: int) -> bool:
        if not self.has_gap[ring]:
            end = self.gap_end_ns(ring)
            if end is not None and t_ns >= end and t_ns >= self.floor_ns(ring, t_ns):
                self.has_gap[ring] = True
        return self.has_gap[ring]

    def _is_ready(self, ring: int, t_ns: int, *, is_crossing: bool) -> bool:
        """Whether `ring` may leave its phase."""
        p = self.phase[ring]
        if p < 0 or not self.is_on[ring]:
            return True
        if p in self.holds or t_ns < self.floor_ns(ring, t_ns):
            return False
        if p in self.forced:
            return True
        row = self.table.phases[p]
        if p == self.table.insert:
            return t_ns >= self.start_ns[ring] + self.table.insert_ns
        if self.pattern >= 0 and self.layout is not None:
            begin, force = self.layout.begin_ns[p], self.layout.force_ns[p]
            pattern = self.table.patterns[self.pattern]
            if not pattern.coordinated:
                return t_ns >= force
            if p in pattern.coordinated:
                return t_ns >= force or (not is_crossing and t_ns < begin)
            return t_ns >= force or self._has_gap(ring, t_ns)
        if self.hold_group in row.groups and t_ns < self.hold_until_ns:
            return False
        if self.hurry_group >= 0 and self.hurry_group not in row.groups:
            return True
        if self._has_gap(ring, t_ns):
            return True
        conflict = self.conflict_ns[ring]
        return conflict != UNSET_NS and t_ns >= max(conflict, self.start_ns[ring]) + row.max_ns

    def _is_asked(self, p: int) -> bool:
        if p in self.omitted or p in self.skipped:
            return False
        if self.pattern >= 0:
            pattern = self.table.patterns[self.pattern]
            if not pattern.coordinated or p in pattern.coordinated:
                return True
        elif self.wanted_pattern >= 0 and any(p in ring for ring in self.table.blocks[0]):
            return True  # a plan is waiting to begin with the first block
        row = self.table.phases[p]
        if row.recall != "none":
            return True
        if any(self.call[k] or not self.has_detector[k] for k in row.vehicles):
            return True
        return any(self.call[k] or self.table.walk_recall[k] for k in row.walkers)

    def _may_fit(self, p: int, now: int, t_ns: int) -> bool:
        """Actuated-coordinated: whether `p` still gets its minimum before its force-off if it comes next."""
        if self.pattern < 0 or self.layout is None or not self.layout.force_ns:
            return True
        if self.is_pretimed or p in self.table.patterns[self.pattern].coordinated:
            return True
        row = self.table.phases[p]
        old = self._groups_on() if now < 0 else self.table.phases[now].groups
        start = t_ns + self.table.change_ns(old, row.groups)
        force = self.layout.force_ns[p]
        if p in (x for ring in self.table.blocks[0] for x in ring) and self.block != 0:
            force += self.layout.length_ns
        return start + self._least_ns(p) <= force

    def _least_ns(self, p: int) -> int:
        timing, row = self.table.timing, self.table.phases[p]
        walks = [
            timing.walk_ns[k] + timing.clear_ns[k]
            for k in row.walkers
            if self.call[k] or self.table.walk_recall[k]
        ]
        return max([row.min_ns, *walks])

    def _next_in_ring(self, ring: int, t_ns: int) -> int:
        """The phase of the same block that `ring` should go on with, -1 for none."""
        order = self.table.blocks[self.block][ring]
        now = self.phase[ring]
        at = order.index(now) if now in order else -1
        for q in order[at + 1 :]:
            if self._is_asked(q) and self._may_fit(q, now, t_ns):
                return q
        if at > 0 and not self.is_pretimed and self._next_block(t_ns) < 0:
            # Nobody waits behind a barrier: an earlier phase of this block may have another turn.
            for q in order[:at]:
                if self._is_asked(q) and self._may_fit(q, now, t_ns):
                    return q
        return -1

    def _next_block(self, t_ns: int) -> int:
        """The next block that anybody asks for, -1 for none."""
        count = len(self.table.blocks)
        for step in range(1, count):
            b = (self.block + step) % count
            for ring in self.table.blocks[b]:
                for p in ring:
                    if self._is_asked(p) and self._may_fit(p, -1, t_ns):
                        return b
        # A single block under a fixed plan comes round to itself.
        return self.block if count == 1 and self.is_pretimed else -1

    def _walks_on(self, ring: int, k: int) -> bool:
        """Whether the phase that follows in the plan keeps people walking over `k`."""
        if self.insert_after == self.block or self.after_insert >= 0:
            return False
        order = self.table.blocks[self.block][ring]
        at = order.index(self.phase[ring])
        if at + 1 < len(order):
            following: tuple[int, ...] = order[at + 1 : at + 2]
        else:
            ahead = self.table.blocks[(self.block + 1) % len(self.table.blocks)]
            following = tuple(own[0] for own in ahead if own)
        return any(
            k in self.table.phases[q].groups and q not in self.skipped | self.omitted
            for q in following
        )

    def _groups_on(self, except_ring: int = -1) -> frozenset[int]:
        return frozenset[int]().union(
            *(
                self.table.phases[p].groups
                for r, p in enumerate(self.phase)
                if p >= 0 and self.is_on[r] and r != except_ring
            )
        )

    def next_event_ns(self) -> int:
        """When something may happen next if nothing new is sensed or asked; the next step where that is not clear."""
        t_ns, table, lamps = self.t_ns, self.table, self.lamps
        soon = t_ns + STEP_NS
        at: list[int] = []
        for k, light in enumerate(lamps.light):
            if light == YELLOW:
                at.append(lamps.fade_end_ns(k))
            elif self.walk[k]:
                at.append(lamps.green_ns[k] + table.timing.walk_ns[k])
                at.append(self.walk_stop_ns[k])
        if self.is_crossing:
            at.append(max(self.cross_ns, soon))
        if self.layout is not None:
            at.append(self.layout.next_zero_ns)
        if self.hold_until_ns > t_ns:
            at.append(self.hold_until_ns)
        for r, p in enumerate(self.phase):
            if self.next_start_ns[r] != UNSET_NS:
                at.append(max(self.next_start_ns[r], soon))
            if p < 0 or not self.is_on[r]:
                continue
            row = table.phases[p]
            at.append(self.floor_ns(r, t_ns))
            at.append(self.start_ns[r] + row.min_ns)
            gap = self.gap_end_ns(r)
            if gap is not None:
                at.append(gap)
            at.append(max(self.conflict_ns[r], self.start_ns[r]) + row.max_ns)
            end = self.planned_end_ns(r)
            if end is not None:
                at += [end, *(end - table.timing.clear_ns[k] for k in row.walkers)]
            if self.layout is not None and p != table.insert:
                at += [self.layout.force_ns[p], self.layout.begin_ns[p]]
        return max(soon, min((a for a in at if a > t_ns), default=t_ns + 600 * STEP_NS))
