"""Bus priority at a `Cabinet`: what could help a bus is tried on a copy, and the least wait that harms nobody too much is granted.

Candidates: hold the green that ends just before the arrival (extension), shorten the stages before the next green (early
green), insert an extra stage between two others (phase insertion). The one with the least wait of the bus wins; ties go to the
candidate named first. Requests are decided in the order of arrival, ties by station id, and one grant runs at a time; after
one, none is given for `one_grant_per_cycles` cycles. A grant is refused where a group would be red (actuated: would wait) for
longer than `side_max_red_s`. It moves times within the running cycle only: later stages give back what they have above
their floors, and the next cycle begins on its own time, so the offset is met again at once or a cycle later. What is due within
`operation.commit_s` is never moved, by a grant or by its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocols.messages import RequestStatus
from roadside.signals.cabinet import Cabinet
from roadside.signals.cycle import Layout, block_slack_ns, longer, sooner
from roadside.signals.operation import Mode
from roadside.signals.outlook import greens_ahead, look_ahead
from roadside.signals.phasetable import PhaseTable
from roadside.signals.requests import (
    Entry,
    Grant,
    GrantKind,
    PriorityRequest,
    RequestDesk,
    step_up,
)
from roadside.signals.ring_state import UNSET_NS
from roadside.signals.rings import RingMachine
from roadside.signals.timing import YELLOW

_STATUS = {
    GrantKind.EXTENSION: RequestStatus.GRANTED_EXTENSION,
    GrantKind.EARLY: RequestStatus.GRANTED_EARLY_GREEN,
    # The messages have no status of their own for it yet; the reason says what was done.
    GrantKind.INSERTION: RequestStatus.GRANTED_EARLY_GREEN,
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a grant would do: new times under a plan, or a hold or a hurry in free run."""

    kind: GrantKind
    layout: Layout | None = None
    insert_after: int = -1
    until_ns: int = -1


class RingDesk(RequestDesk):
    """Book of requests of one cabinet."""

    def __init__(self, cabinet: Cabinet) -> None:
        """An empty book."""
        super().__init__(cabinet)
        self._cabinet = cabinet
        self._before: Layout | None = None  # times of the cycle without the grant

    def _consider(self, t_ns: int, entry: Entry, is_heard: bool) -> None:
        request, machine = entry.request, self._cabinet.machine
        is_near = self._plan.enabled and request.eta_ns - t_ns <= self.CALL_HORIZON_NS
        if is_near and not (machine.is_pretimed or machine.lamps.is_green(request.group)):
            machine.ask(request.group)
        super()._consider(t_ns, entry, is_heard)

    def _decide(self, t_ns: int, entry: Entry) -> None:
        request, cabinet = entry.request, self._cabinet
        running = cabinet.grant
        if running is not None and running.station_id == request.station_id:
            self._follow(t_ns, entry, running)
            return
        status, until, reason, proposal = self._evaluate_ring(t_ns, request)
        if proposal is not None:
            if running is not None:
                status, until = RequestStatus.REJECTED, t_ns
                reason = f"station {running.station_id} holds the grant"
            elif cabinet.cycle < self.next_grant_cycle:
                status, until = RequestStatus.REJECTED, t_ns
                reason = f"one grant per {self._plan.one_grant_per_cycles} cycles"
            else:
                self._before = cabinet.machine.layout
                self._apply(cabinet.machine, proposal, request.group, t_ns)
                self._set_grant(
                    Grant(
                        request.station_id, request.request_id, request.group, proposal.kind, until
                    )
                )
                self.num_grants += 1
                self.next_grant_cycle = cabinet.cycle + self._plan.one_grant_per_cycles
        entry.status, entry.until_ns, entry.reason = status, until, reason

    def _follow(self, t_ns: int, entry: Entry, running: Grant) -> None:
        """An extension follows a later arrival as far as it may reach in all; nothing else is moved again."""
        machine, request = self._cabinet.machine, entry.request
        wanted = step_up(max(request.eta_ns, t_ns) + self._margin_ns)
        if running.kind != GrantKind.EXTENSION or wanted <= running.until_ns:
            return
        if not machine.lamps.is_green(running.group):
            return
        proposal = self._extension(t_ns, request, wanted, self._before)
        if proposal is None or not self._is_bearable(t_ns, proposal, request.group):
            return
        self._apply(machine, proposal, request.group, t_ns)
        self._set_grant(replace(running, until_ns=wanted))
        entry.until_ns = wanted

    def _release(self, t_ns: int, grant: Grant) -> None:
        """Take back what the running grant has not used yet, but for what is already certain."""
        machine, frozen = self._cabinet.machine, t_ns + self._cabinet.commit_ns
        machine.hurry_group = -1
        machine.hold_until_ns = min(machine.hold_until_ns, frozen)
        before, now = self._before, machine.layout
        if before is not None and now is not None and before.zero_ns == now.zero_ns:
            is_due = machine.insert_after >= 0
            last = max(
                (
                    now.force_ns[p]
                    for ring in machine.table.blocks[machine.insert_after]
                    for p in ring
                ),
                default=0,
            )
            is_open = not is_due or last > frozen + _longest_clear_ns(machine.table)
            if is_open and machine.after_insert < 0:
                machine.insert_after = -1
                machine.layout = _restored(machine, before, now, frozen)
        self._before = None
        machine.version += 1
        self._set_grant(None)

    # ---- candidates ----------------------------------------------------------------------------------------------

    def _evaluate_ring(
        self, t_ns: int, request: PriorityRequest
    ) -> tuple[RequestStatus, int, str, Proposal | None]:
        """Status, time, reason, and what to do (None: nothing is needed or possible)."""
        refusal = self._refusal(request)
        cabinet = self._cabinet
        if not refusal and cabinet.mode != Mode.NORMAL:
            refusal = "signals are not in normal operation"
        if refusal:
            return RequestStatus.REJECTED, t_ns, refusal, None
        eta = max(request.eta_ns, t_ns)
        wanted = step_up(eta + self._margin_ns)
        start = self._served_ns(cabinet, request.group, eta, wanted)
        if start is not None and start <= eta:
            return RequestStatus.RECEIVED, max(start, t_ns), "", None
        best: tuple[int, Proposal] | None = None
        reason = "nothing that may be moved helps"
        for proposal in self._candidates(t_ns, request, eta, wanted, start):
            served = self._served_with(t_ns, proposal, request.group, eta, wanted)
            if served is None or (start is not None and start - served < self._gain_ns):
                continue
            if not self._is_bearable(t_ns, proposal, request.group):
                reason = "a side group would wait too long"
                continue
            if best is None or served < best[0]:
                best = (served, proposal)
        if best is None:
            if start is not None and start - eta < self._gain_ns:
                return RequestStatus.RECEIVED, start, "", None
            return RequestStatus.REJECTED, t_ns if start is None else start, reason, None
        served, proposal = best
        until = wanted if proposal.kind == GrantKind.EXTENSION else served
        text = "extra stage inserted" if proposal.kind == GrantKind.INSERTION else ""
        return _STATUS[proposal.kind], until, text, proposal

    def _candidates(
        self, t_ns: int, request: PriorityRequest, eta: int, wanted: int, start: int | None
    ) -> list[Proposal]:
        found = [
            self._extension(t_ns, request, wanted, self._cabinet.machine.layout),
            None if start is None else self._early(t_ns, request, eta, start),
            *self._insertions(t_ns, request),
        ]
        return [p for p in found if p is not None]

    def _extension(
        self, t_ns: int, request: PriorityRequest, wanted: int, layout: Layout | None
    ) -> Proposal | None:
        machine, table = self._cabinet.machine, self._cabinet.table
        if machine.pattern < 0:
            (end,) = [self._green_end(request.group)]
            if end is None or not end < wanted <= end + self._extension_ns:
                return None
            return Proposal(GrantKind.EXTENSION, until_ns=wanted)
        if layout is None or machine.is_crossing or machine.layout is None:
            return None
        frozen = t_ns + self._cabinet.commit_ns
        for b in range(machine.block, len(table.blocks)):
            for ring in table.blocks[b]:
                for p in ring:
                    force = layout.force_ns[p]
                    if request.group not in table.phases[p].groups:
                        continue
                    if force < wanted <= force + self._extension_ns:
                        if machine.layout.force_ns[p] <= frozen:
                            continue
                        moved = longer(table, layout, b, p, wanted - force, frozen)
                        if moved is not None and self._can_recover(layout, moved):
                            return Proposal(GrantKind.EXTENSION, moved, until_ns=wanted)
        return None

    def _early(self, t_ns: int, request: PriorityRequest, eta: int, start: int) -> Proposal | None:
        machine, table = self._cabinet.machine, self._cabinet.table
        if machine.pattern < 0:
            return Proposal(GrantKind.EARLY)
        layout = machine.layout
        if layout is None or machine.after_insert >= 0:
            return None
        first = machine.next_block if machine.is_crossing else machine.block
        if machine.is_crossing and machine.next_block <= machine.block:
            return None  # the next cycle is not laid out yet
        last = first
        while last + 1 < len(table.blocks) and not _serves(table, last + 1, request.group):
            last += 1
        need = start - max(t_ns, eta - self._margin_ns)
        frozen = t_ns + self._cabinet.commit_ns
        moved, early = sooner(table, layout, first, last, need, self._early_ns, frozen)
        return Proposal(GrantKind.EARLY, moved) if early > 0 else None

    def _insertions(self, t_ns: int, request: PriorityRequest) -> list[Proposal]:
        machine, table = self._cabinet.machine, self._cabinet.table
        layout = machine.layout
        if table.insert < 0 or request.group not in table.phases[table.insert].groups:
            return []
        if layout is None or machine.is_crossing or machine.after_insert >= 0:
            return []
        frozen = t_ns + self._cabinet.commit_ns + _longest_clear_ns(table)
        out: list[Proposal] = []
        count = len(table.blocks)
        extra = table.phases[table.insert].groups
        for b in range(machine.block, count):
            if b not in table.insert_after or any(
                layout.force_ns[p] <= frozen for ring in table.blocks[b] for p in ring
            ):
                continue
            old = _groups(table, [ring[-1] for ring in table.blocks[b] if ring])
            new = _groups(table, [ring[0] for ring in table.blocks[(b + 1) % count] if ring])
            by = table.change_ns(old, extra) + table.insert_ns + table.change_ns(extra, new)
            by -= table.change_ns(old, new)
            moved = longer(table, layout, b, -1, by, frozen)
            if moved is None:
                continue
            if self._can_recover(layout, moved, by if b + 1 == count else 0):
                out.append(Proposal(GrantKind.INSERTION, moved, insert_after=b))
        return out

    def _can_recover(self, before: Layout, after: Layout, more_ns: int = 0) -> bool:
        """Whether what the cycle ends late can be won back within `recovery_cycles`."""
        table, n = self._cabinet.table, self._cabinet.machine.pattern
        slack = sum(block_slack_ns(table, table.patterns[n]))
        late = max(after.force_ns) - max(before.force_ns) + more_ns
        return late <= slack * self._plan.recovery_cycles

    # ---- trying --------------------------------------------------------------------------------------------------

    def _apply(self, machine: RingMachine, proposal: Proposal, group: int, t_ns: int) -> None:
        frozen = t_ns + self._cabinet.commit_ns
        if proposal.layout is not None and machine.layout is not None:
            _freeze_walks(machine, machine.layout, frozen)
            machine.layout = proposal.layout
            if proposal.insert_after >= 0:
                machine.insert_after = proposal.insert_after
        elif proposal.kind == GrantKind.EXTENSION:
            machine.hold_group, machine.hold_until_ns = group, proposal.until_ns
        else:
            machine.hurry_group = group
        machine.version += 1

    def _green_end(self, group: int) -> int | None:
        """Likely end of the green that `group` has now."""
        if not self._cabinet.machine.lamps.is_green(group):
            return None
        changes = look_ahead(self._cabinet)[group]
        return changes[0][0] if changes else None

    def _served_ns(self, cabinet: Cabinet, group: int, eta: int, wanted: int) -> int | None:
        """Start of the green that serves an arrival at `eta`, None where none is in sight."""
        for start, end in greens_ahead(cabinet, group, look_ahead(cabinet)[group]):
            if end is None or end >= max(wanted, start):
                return start
        return None

    def _trial(self, t_ns: int, proposal: Proposal, group: int) -> Cabinet:
        trial = self._cabinet.fork()
        self._apply(trial.machine, proposal, group, t_ns)
        return trial

    def _served_with(
        self, t_ns: int, proposal: Proposal, group: int, eta: int, wanted: int
    ) -> int | None:
        start = self._served_ns(self._trial(t_ns, proposal, group), group, eta, wanted)
        return None if start is None else max(start, eta)

    def _is_bearable(self, t_ns: int, proposal: Proposal, group: int) -> bool:
        """Whether every group's red (actuated: wait) stays below the cap with the grant."""
        trial = self._trial(t_ns, proposal, group)
        machine = trial.machine
        changes = look_ahead(trial)
        for k, rows in enumerate(changes):
            since: int | None = None
            if machine.lamps.light[k] == YELLOW:
                since = machine.lamps.fade_end_ns(k)
            elif not machine.lamps.is_green(k):
                since = machine.lamps.red_ns[k] if machine.is_pretimed else machine.wait_since_ns[k]
                since = None if since == UNSET_NS else since
            for start, end in greens_ahead(trial, k, rows):
                if since is not None and start > t_ns and start - since > self._cap_ns:
                    return False
                since = end
        return True


def _restored(machine: RingMachine, before: Layout, now: Layout, frozen_ns: int) -> Layout:
    """The times without the grant, where they are neither past nor certain by now."""
    table, least = machine.table, frozen_ns
    for r, p in enumerate(machine.phase):
        if p >= 0 and machine.is_on[r]:
            for k in table.phases[p].walkers:
                if machine.walk[k] and machine.walk_stop_ns[k] == UNSET_NS:
                    least = max(least, frozen_ns + table.timing.clear_ns[k])
    _freeze_walks(machine, now, frozen_ns)
    force = [
        new if new <= frozen_ns else max(old, least)
        for old, new in zip(before.force_ns, now.force_ns, strict=True)
    ]
    return Layout(before.zero_ns, before.length_ns, before.begin_ns, tuple(force))


def _freeze_walks(machine: RingMachine, layout: Layout, frozen_ns: int) -> None:
    """Ends of walks that are certain by now stay, whatever becomes of the green around them."""
    for r, p in enumerate(machine.phase):
        if p < 0 or not machine.is_on[r] or p == machine.table.insert:
            continue
        for k in machine.table.phases[p].walkers:
            stop = layout.force_ns[p] - machine.table.timing.clear_ns[k]
            if machine.walk[k] and machine.walk_stop_ns[k] == UNSET_NS and stop <= frozen_ns:
                machine.walk_stop_ns[k] = stop


def _longest_clear_ns(table: PhaseTable) -> int:
    return max(table.timing.clear_ns, default=0)


def _serves(table: PhaseTable, block: int, group: int) -> bool:
    return any(group in table.phases[p].groups for ring in table.blocks[block] for p in ring)


def _groups(table: PhaseTable, phases: Sequence[int]) -> frozenset[int]:
    return frozenset[int]().union(*(table.phases[p].groups for p in phases))
