"""Ring-and-barrier control: phases in rings, barriers that all rings cross at once, gaps, recalls, force-offs, yield points.

After NEMA TS 2 (section 3) and the signal timing manual (NCHRP 812): a phase ends when its traffic has a gap, at its maximum after the
first conflicting call, or at its force-off; at a barrier it waits, green, until the other rings are ready too. A gap, once
found, stays found. `Lamps` has the last word on every light. Stage plans run here as one ring with a barrier after each stage.

The machine moves at its events only, and `next_event_ns` names the next one, so that a copy can be run ahead cheaply: that is how
`roadside.signals.outlook` foretells, with the same code that will do it.
"""

from __future__ import annotations

from collections.abc import Sequence

from roadside.signals.cycle import Layout, lay_out
from roadside.signals.ring_state import UNSET_NS, RingState
from roadside.signals.timing import PERMISSIVE, PROTECTED, RED


class RingMachine(RingState):
    """Phases of one junction; `step` advances."""

    def start(self, t_ns: int, zero_ns: int | None = None) -> None:
        """Begin with the first block; in a plan, its cycle starts at `zero_ns` (now)."""
        self.is_stopping = self.is_stopped = False
        self.block, self.next_block = len(self.table.blocks) - 1, 0
        self.is_crossing, self.cross_ns = True, t_ns
        self.next_start_ns = [UNSET_NS] * self.table.num_rings
        self.phase = [-1] * self.table.num_rings
        self.is_on = [False] * self.table.num_rings
        self.insert_after = self.after_insert = -1
        self.pattern, self.layout = self.wanted_pattern, None
        if self.pattern >= 0 and zero_ns is not None:
            pattern = self.table.patterns[self.pattern]
            self.layout = Layout(zero_ns - pattern.cycle_ns, pattern.cycle_ns, (), ())
        self.version += 1

    def stop(self) -> None:
        """End every phase as soon as its rules allow, begin none, stay all red."""
        self.is_stopping = True
        self.version += 1

    def step(self, t_ns: int) -> None:
        """Advance to `t_ns`."""
        self.t_ns = t_ns
        self.lamps.expire(t_ns)
        if not self.is_stopped:
            self._roll_at_rest(t_ns)
            for _ in range(4 * len(self.table.phases)):
                if not (self._enter_due(t_ns) or self._leave_due(t_ns)):
                    break
            self._move_walkers(t_ns)
            self._note_conflicts(t_ns)
        self.lamps.drive(t_ns, self._want())
        if self.lamps.has_changed:
            self.version += 1
        if self.is_stopping and not self.is_stopped and self.lamps.are_red:
            self.is_stopped, self.is_crossing = True, False
            self.layout = None
            self.version += 1

    def sense(
        self, t_ns: int, occupied: Sequence[bool], pressed: Sequence[bool], loops: Sequence[bool]
    ) -> None:
        """Take in loops and push buttons, (G,); `loops`: groups whose detectors work."""
        if self.is_pretimed:
            return
        if list(loops) != self.has_detector:
            self.has_detector = list(loops)
            self.version += 1
        for k in range(len(self.call)):
            if occupied[k]:
                if self.lamps.is_green(k):
                    self.version += 1
                    self.seen_ns[k] = t_ns
                else:
                    self.ask(k)
            if pressed[k] and not self.walk[k]:
                self.ask(k)

    def ask(self, group: int) -> None:
        """Remember that `group` wants green."""
        if not self.call[group]:
            self.call[group], self.wait_since_ns[group] = True, self.t_ns
            self.version += 1

    def _enter_due(self, t_ns: int) -> bool:
        if self.is_stopping:
            return False
        if self.is_crossing:
            if all(p < 0 for p in self.phase):
                self._choose_first(self.next_block)  # at the start, by the calls of this very step
            if t_ns < self.cross_ns or not self._may_start(self.next_phase, t_ns):
                return False
            self._cross(t_ns)
            return True
        for r in range(self.table.num_rings):
            if self.next_start_ns[r] != UNSET_NS and t_ns >= self.next_start_ns[r]:
                if not self._may_start([self.next_phase[r]], t_ns):
                    continue
                self.next_start_ns[r] = UNSET_NS
                self._enter(r, self.next_phase[r], t_ns)
                return True
        return False

    def _may_start(self, phases: Sequence[int], t_ns: int) -> bool:
        want = self._want()
        rows = [self.table.phases[p] for p in phases if p >= 0]
        for row in rows:
            for k in row.groups:
                want[k] = max(want[k], row.level[k])
        return all(
            self.lamps.is_green(k) or self.lamps.can_start(k, row.level[k], t_ns, want)
            for row in rows
            for k in row.groups
        )

    def _cross(self, t_ns: int) -> None:
        is_insert = self.next_phase[0] == self.table.insert and self.table.insert >= 0
        if is_insert:
            self.insert_after = -1
        else:
            self.after_insert = -1
            if self.next_block <= self.block:
                self.roll(t_ns)
            self.block = self.next_block
        self.is_crossing = False
        old = list(self.phase)
        for r, p in enumerate(self.next_phase):
            if p >= 0:
                self._enter(r, p, t_ns)
            else:
                self.phase[r], self.is_on[r] = -1, False
        if is_insert:
            assert self.after_insert >= 0, old
        self.version += 1

    def _enter(self, ring: int, p: int, t_ns: int) -> None:
        row = self.table.phases[p]
        self.phase[ring], self.is_on[ring], self.start_ns[ring] = p, True, t_ns
        self.has_gap[ring], self.conflict_ns[ring] = False, UNSET_NS
        self.forced.discard(p)
        self.skipped.discard(p)
        for k in row.vehicles:
            self.call[k], self.wait_since_ns[k] = False, UNSET_NS
            self.seen_ns[k] = max(self.seen_ns[k], t_ns)
        for k in row.walkers:
            if not self.walk[k] and (self.is_pretimed or self.call[k] or self.table.walk_recall[k]):
                self._begin_walk(k)
        self.version += 1

    def _begin_walk(self, k: int) -> None:
        self.walk[k], self.walk_stop_ns[k] = True, UNSET_NS
        self.call[k], self.wait_since_ns[k] = False, UNSET_NS
        self.version += 1

    def _leave_due(self, t_ns: int) -> bool:
        if self.is_crossing and not self.is_stopping:
            return False
        rings = range(self.table.num_rings)
        if self.is_stopping:
            for r in rings:
                if self.is_on[r] and t_ns >= self.floor_ns(r, t_ns):
                    self._switch_off(r, t_ns, -1)
                    return True
            return False
        if self.after_insert < 0:
            for r in rings:
                if self.next_start_ns[r] == UNSET_NS:
                    q = self._next_in_ring(r, t_ns)
                    if q >= 0 and self._is_ready(r, t_ns, is_crossing=False):
                        self._switch_off(r, t_ns, q)
                        return True
        if all(self.next_start_ns[r] == UNSET_NS for r in rings) and all(
            self._is_ready(r, t_ns, is_crossing=True) for r in rings
        ):
            return self._begin_crossing(t_ns)
        return False

    def _switch_off(self, ring: int, t_ns: int, following: int) -> None:
        table = self.table
        others = self._groups_on(except_ring=ring)
        old = table.phases[self.phase[ring]].groups if self.phase[ring] >= 0 else frozenset()
        self.is_on[ring], self.next_phase[ring] = False, following
        if following < 0:
            return
        new = table.phases[following].groups
        self.next_start_ns[ring] = t_ns + table.change_ns(old | others, new | others)
        self.version += 1

    def _begin_crossing(self, t_ns: int) -> bool:
        table, old = self.table, self._groups_on()
        if self.insert_after == self.block and self.after_insert < 0:
            target = self._next_block(t_ns)
            self.after_insert = target if target >= 0 else (self.block + 1) % len(table.blocks)
            self.next_phase = [table.insert] + [-1] * (table.num_rings - 1)
        else:
            target = self.after_insert if self.after_insert >= 0 else self._next_block(t_ns)
            if target < 0:
                return False
            self.next_block = target
            self._choose_first(target)
        new = frozenset[int]().union(*(table.phases[p].groups for p in self.next_phase if p >= 0))
        self.is_crossing, self.cross_ns = True, t_ns + table.change_ns(old, new)
        self.is_on = [False] * table.num_rings
        self.version += 1
        return True

    def _choose_first(self, block: int) -> None:
        """The phase each ring begins `block` with."""
        rings = self.table.blocks[block]
        chosen = [next((p for p in ring if self._is_asked(p)), -1) for ring in rings]
        if all(p < 0 for p in chosen):
            chosen = [ring[-1] if ring else -1 for ring in rings]
        elif self.table.dual_entry:
            # The last phase of a ring is its through movement in the usual order of left turns first.
            chosen = [
                ring[-1] if p < 0 and ring and ring[-1] not in self.omitted else p
                for p, ring in zip(chosen, rings, strict=True)
            ]
        self.next_phase = chosen

    def _move_walkers(self, t_ns: int) -> None:
        timing, lamps = self.table.timing, self.lamps
        for r, p in enumerate(self.phase):
            if p < 0 or not self.is_on[r]:
                continue
            for k in self.table.phases[p].walkers:
                if self.walk[k]:
                    if not lamps.is_green(k):
                        continue
                    stop = lamps.green_ns[k] + timing.walk_ns[k]
                    end = self.planned_end_ns(r)
                    if end is not None and not (self.is_stopping or p in self.forced):
                        if p in self.holds or self._walks_on(r, k):
                            continue
                        rest = end - timing.clear_ns[k]
                        if self.walk_stop_ns[k] != UNSET_NS:
                            rest = min(rest, self.walk_stop_ns[k])
                        stop = max(stop, rest)
                    if t_ns >= stop:
                        self.walk[k] = False
                        self.version += 1
                elif (
                    self.call[k]
                    and lamps.light[k] == RED
                    and not self.is_pretimed
                    and not self.is_stopping
                    and self.insert_after != self.block
                    and self._may_walk_again(r, p, k, t_ns)
                ):
                    self._begin_walk(k)

    def _may_walk_again(self, ring: int, p: int, k: int, t_ns: int) -> bool:
        timing = self.table.timing
        if self.pattern < 0:
            return self.conflict_ns[ring] == UNSET_NS
        assert self.layout is not None
        is_held = p in self.table.patterns[self.pattern].coordinated
        needed = timing.walk_ns[k] + timing.clear_ns[k]
        return is_held and t_ns + needed <= self.layout.force_ns[p]

    def _note_conflicts(self, t_ns: int) -> None:
        """From the first call of somebody else on, a green that runs free has a maximum."""
        if self.pattern >= 0 or self.is_crossing or self.is_stopping:
            return
        is_behind = self._next_block(t_ns) >= 0
        for r in range(self.table.num_rings):
            is_free = self.is_on[r] and self.conflict_ns[r] == UNSET_NS
            if is_free and (is_behind or self._next_in_ring(r, t_ns) >= 0):
                self.conflict_ns[r] = t_ns
                self.version += 1

    def _roll_at_rest(self, t_ns: int) -> None:
        """A plan's next cycle begins though no barrier is crossed."""
        if self.block != 0 or self.is_crossing or self.is_stopping or self.after_insert >= 0:
            return
        if self.pattern < 0:
            is_due = self.wanted_pattern >= 0
        else:
            is_due = self.layout is not None and t_ns >= self.layout.next_zero_ns
        if is_due:
            self.roll(t_ns)

    def roll(self, t_ns: int) -> None:
        """Begin the next cycle: take up the plan that is wanted and lay its times out."""
        self.cycle += 1
        self.version += 1
        zero = t_ns if self.layout is None else self.layout.next_zero_ns
        self.pattern = self.wanted_pattern
        if self.pattern < 0:
            self.layout = None
            return
        pattern = self.table.patterns[self.pattern]
        if zero + pattern.cycle_ns <= t_ns:  # a whole cycle behind
            zero += (t_ns - zero) // pattern.cycle_ns * pattern.cycle_ns
        self.layout = lay_out(self.table, pattern, self.table.plan.transition, zero)

    def _want(self) -> list[int]:
        table = self.table
        want = [RED] * len(self.call)
        if self.is_stopped:
            return want
        kept: frozenset[int] | None = None
        if self.is_crossing and not self.is_stopping:
            kept = frozenset[int]().union(
                *(table.phases[p].groups for p in self.next_phase if p >= 0)
            )
        for r, p in enumerate(self.phase):
            if p < 0:
                continue
            row = table.phases[p]
            if self.is_on[r]:
                stay = row.groups
            elif kept is not None:
                stay = row.groups & kept
            elif self.next_start_ns[r] != UNSET_NS and not self.is_stopping:
                stay = row.groups & table.phases[self.next_phase[r]].groups
            else:
                continue
            for k in stay:
                want[k] = max(want[k], row.level[k])
        for k in range(len(want)):
            if table.layout.is_pedestrian[k]:
                want[k] = PROTECTED if want[k] in (PERMISSIVE, PROTECTED) and self.walk[k] else RED
        return want
