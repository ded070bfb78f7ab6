"""Who gets signal priority: requests in, at most one grant at a time out.

A bus asks for a group and says when it will arrive. If the coming greens serve it anyway, nothing is granted. If the green
ends shortly before, it is held (green extension); if the green begins later, the stages before it are shortened (early
green). Order of decision: earliest arrival first, ties by station id. A grant must leave every group's wait below
`side_max_red_s`, and a coordinated plan able to recover within `recovery_cycles`; after one, none is given for
`one_grant_per_cycles` cycles. Independent of messages; `roadside.unit` translates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from protocols.messages import RequestStatus
from roadside.signals.config import STEP_NS, practice, steps_ns

if TYPE_CHECKING:
    from roadside.signals.controller import Controller, Run


class GrantKind(IntEnum):
    """What a grant does to the stages."""

    EXTENSION = 1
    EARLY = 2


@dataclass(frozen=True, slots=True)
class PriorityRequest:
    """One request as heard; a later one of the same station and id refreshes it."""

    station_id: int
    request_id: int
    group: int  # local group number
    eta_ns: int
    lateness_s: float = 0.0
    is_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """The running grant. `until_ns`: EXTENSION holds green until then; EARLY aims at green from then."""

    station_id: int
    request_id: int
    group: int
    kind: GrantKind
    until_ns: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a station is told about its request."""

    station_id: int
    request_id: int
    group: int
    status: RequestStatus
    until_ns: int
    reason: str


@dataclass(slots=True)
class _Entry:
    request: PriorityRequest
    seen_ns: int
    version: int = -1  # controller version at the last decision; -1: decide anew
    decided_ns: int = 0
    status: RequestStatus = RequestStatus.UNSPECIFIED
    until_ns: int = 0
    reason: str = ""


def _up(t_ns: int) -> int:
    return -(-t_ns // STEP_NS) * STEP_NS


class PriorityDesk:
    """Book of requests of one controller."""

    CALL_HORIZON_NS = 15_000_000_000
    """A request counts as demand of an actuated stage this long before the arrival."""

    def __init__(self, controller: Controller) -> None:
        """An empty book; the controller's plan says what may be granted."""
        self._controller = controller
        plan = controller.timing.plan.priority
        self._plan = plan
        self._timeout_ns = steps_ns(practice("request_timeout_s"))
        self._silence_ns = steps_ns(practice("request_silence_s"))
        self._margin_ns = steps_ns(plan.arrival_margin_s)
        self._gain_ns = steps_ns(practice("min_gain_s"))
        self._cap_ns = steps_ns(plan.side_max_red_s)
        self._extension_ns = steps_ns(plan.max_extension_s)
        self._entries: dict[int, _Entry] = {}  # by station
        self._answers: list[Answer] = []
        self.next_grant_cycle = 0
        self.num_grants = 0

    @property
    def is_busy(self) -> bool:
        """Whether any request is in the book or any grant runs."""
        return bool(self._entries) or self._controller.grant is not None

    def take_answers(self) -> list[Answer]:
        """Answers since the last call, in order of decision."""
        out, self._answers = self._answers, []
        return out

    def step(self, t_ns: int, requests: Sequence[PriorityRequest]) -> None:
        """Take in what was heard, drop what is over, decide what is open."""
        heard: set[int] = set()
        for request in sorted(requests, key=lambda r: (r.eta_ns, r.station_id, r.request_id)):
            self._hear(t_ns, request)
            heard.add(request.station_id)
        for station in sorted(self._entries):
            entry = self._entries[station]
            late = t_ns > entry.request.eta_ns + self._timeout_ns
            if late or t_ns > entry.seen_ns + self._silence_ns:
                self._close(t_ns, entry, "arrival is long past" if late else "no longer heard")
        self._end_release(t_ns)
        order = sorted(
            self._entries.values(), key=lambda e: (e.request.eta_ns, e.request.station_id)
        )
        for entry in order:
            self._consider(t_ns, entry, entry.request.station_id in heard)

    def _hear(self, t_ns: int, request: PriorityRequest) -> None:
        entry = self._entries.get(request.station_id)
        if request.is_cancel:
            if entry is not None and entry.request.request_id == request.request_id:
                self._close(t_ns, entry, "passed or given up")
            else:
                self._answer(request, RequestStatus.CLEARED, t_ns, "no such request is open")
            return
        if entry is not None and entry.request.request_id == request.request_id:
            if entry.request != request:
                entry.version = -1
            entry.request, entry.seen_ns = request, t_ns
            return
        if entry is not None:
            self._close(t_ns, entry, "replaced by a newer request")
        self._entries[request.station_id] = _Entry(request, t_ns)

    def _close(self, t_ns: int, entry: _Entry, reason: str) -> None:
        request = entry.request
        del self._entries[request.station_id]
        self._answer(request, RequestStatus.CLEARED, t_ns, reason)
        grant = self._controller.grant
        if grant is None or grant.station_id != request.station_id:
            return
        # A held green runs on for the margin at most, so that its announced end stays nearly true.
        until = min(grant.until_ns, _up(t_ns + self._margin_ns))
        is_held = grant.kind == GrantKind.EXTENSION and until > t_ns
        self._set_grant(replace(grant, until_ns=until) if is_held else None)

    def _end_release(self, t_ns: int) -> None:
        grant = self._controller.grant
        if grant is not None and grant.station_id not in self._entries and t_ns > grant.until_ns:
            self._set_grant(None)

    def _set_grant(self, grant: Grant | None) -> None:
        if grant != self._controller.grant:
            self._controller.grant = grant
            self._controller.version += 1

    def _answer(
        self, request: PriorityRequest, status: RequestStatus, until_ns: int, reason: str
    ) -> None:
        self._answers.append(
            Answer(request.station_id, request.request_id, request.group, status, until_ns, reason)
        )

    def _consider(self, t_ns: int, entry: _Entry, is_heard: bool) -> None:
        controller, request = self._controller, entry.request
        if (
            not controller.timing.is_fixed
            and self._plan.enabled
            and request.eta_ns - t_ns <= self.CALL_HORIZON_NS
            and controller.light[request.group] not in (4, 5)
        ):
            controller.ask(request.group)
        is_due = entry.version < 0 or (
            entry.version != controller.version and t_ns >= entry.decided_ns + 5 * STEP_NS
        )
        before = (entry.status, entry.until_ns)
        if is_due:
            self._decide(t_ns, entry)
            entry.version, entry.decided_ns = controller.version, t_ns
        if is_heard or before != (entry.status, entry.until_ns):
            self._answer(request, entry.status, entry.until_ns, entry.reason)

    def _decide(self, t_ns: int, entry: _Entry) -> None:
        request, plan = entry.request, self._plan
        controller = self._controller
        running = controller.grant
        is_own = running is not None and running.station_id == request.station_id
        if is_own:
            assert running is not None
            # Not `_set_grant`: undone below unless the decision has changed.
            controller.grant = None
        status, until, reason, grant = self._evaluate(t_ns, request)
        if is_own:
            controller.grant = running
        if grant is None:
            if is_own:
                served = status == RequestStatus.RECEIVED
                if served and running is not None and running.kind == GrantKind.EARLY:
                    return  # the green it asked for is running; keep the grant until the bus has passed
                self._set_grant(None)
        elif is_own:
            self._set_grant(grant)
        elif running is not None:
            status, until = RequestStatus.REJECTED, t_ns
            reason = f"station {running.station_id} holds the grant"
        elif controller.cycle < self.next_grant_cycle:
            status, until = RequestStatus.REJECTED, t_ns
            reason = f"one grant per {plan.one_grant_per_cycles} cycles"
        else:
            self._set_grant(grant)
            self.num_grants += 1
            self.next_grant_cycle = controller.cycle + plan.one_grant_per_cycles
        entry.status, entry.until_ns, entry.reason = status, until, reason

    def _evaluate(
        self, t_ns: int, request: PriorityRequest
    ) -> tuple[RequestStatus, int, str, Grant | None]:
        """Status, time, reason, and the grant that would serve the request (None: none needed or none possible)."""
        from roadside.signals.controller import Look

        controller, plan, group = self._controller, self._plan, request.group
        timing = controller.timing
        if not plan.enabled:
            return RequestStatus.REJECTED, t_ns, "priority is off at this junction", None
        if group not in timing.asked:
            return RequestStatus.REJECTED, t_ns, "this movement gets no priority", None
        limit = plan.conditional_lateness_s
        if limit is not None and request.lateness_s < limit:
            return RequestStatus.REJECTED, t_ns, f"less than {limit:g} s late", None
        eta = max(request.eta_ns, t_ns)
        wanted = _up(eta + self._margin_ns)
        num = 2 * timing.num_stages + 1
        chain = controller.chain(t_ns, Look.LIKELY, None, num)
        reason = "no green before the request ends"
        for start, end, last in _greens(controller, chain, group):
            if start > eta:
                if start > t_ns and start - eta >= self._gain_ns:
                    grant = Grant(
                        request.station_id,
                        request.request_id,
                        group,
                        GrantKind.EARLY,
                        max(t_ns, eta - self._margin_ns) // STEP_NS * STEP_NS,
                    )
                    early = controller.chain(t_ns, Look.LIKELY, grant, num)
                    begin = next(
                        (s for s, _, _ in _greens(controller, early, group) if s > t_ns), start
                    )
                    if start - begin < self._gain_ns:
                        return (
                            RequestStatus.REJECTED,
                            start,
                            "running stages are at their minimum",
                            None,
                        )
                    if not self._keeps_cap(t_ns, grant, num):
                        return (
                            RequestStatus.REJECTED,
                            start,
                            "a side group would wait too long",
                            None,
                        )
                    return RequestStatus.GRANTED_EARLY_GREEN, begin, "", grant
                return RequestStatus.RECEIVED, start, "", None
            if end is None or end >= wanted:
                return RequestStatus.RECEIVED, start, "", None
            if wanted <= end + self._extension_ns:
                grant = Grant(
                    request.station_id, request.request_id, group, GrantKind.EXTENSION, wanted
                )
                if timing.is_fixed and not self._can_recover(chain, last, wanted):
                    reason = "the plan could not recover its coordination"
                elif not self._keeps_cap(t_ns, grant, num):
                    reason = "a side group would wait too long"
                else:
                    return RequestStatus.GRANTED_EXTENSION, wanted, "", grant
                if end >= eta:
                    return RequestStatus.RECEIVED, start, reason, None
        if not timing.is_fixed and not _greens(controller, chain, group):
            # Nobody has asked for its stage yet; near the arrival the request itself does.
            return RequestStatus.RECEIVED, t_ns, "counts as demand shortly before arrival", None
        return RequestStatus.REJECTED, t_ns, reason, None

    def _can_recover(self, chain: list[Run], index: int, until_ns: int) -> bool:
        controller = self._controller
        timing = controller.timing
        run = controller.run + index
        late = until_ns - timing.begin_of(run) - timing.green_ns[run % timing.num_stages]
        return late <= sum(controller.catch_up_ns) * self._plan.recovery_cycles

    def _keeps_cap(self, t_ns: int, grant: Grant, num: int) -> bool:
        """Whether no group waits longer than the cap if the grant is carried out."""
        from roadside.signals.controller import Look

        controller = self._controller
        timing = controller.timing
        look = Look.LIKELY if timing.is_fixed else Look.LATEST
        before = self.next_grant_cycle
        self.next_grant_cycle = controller.cycle + 1_000_000  # no second grant in this look
        chain = controller.chain(t_ns, look, grant, num)
        self.next_grant_cycle = before
        for k in range(timing.layout.num_groups):
            since = controller.green_end_ns[k]
            if not timing.is_fixed:
                waiting = controller.wait_since_ns[k]
                since = t_ns if waiting is None else waiting
            for stage, start, end in chain:
                if not timing.has(stage, k):
                    continue
                if start > t_ns and start - since > self._cap_ns:
                    return False
                if not timing.is_fixed and start > t_ns:
                    break
                if end is not None:
                    since = end - timing.clear_ns[k]
        return True


def _greens(
    controller: Controller, chain: list[Run], group: int
) -> list[tuple[int, int | None, int]]:
    """Greens of `group` in `chain`: start, end, and index of the run that ends it. Stages in a row count as one."""
    out: list[tuple[int, int | None, int]] = []
    was_green = False
    for index, (stage, start, end) in enumerate(chain):
        is_green = controller.timing.has(stage, group)
        if is_green:
            if was_green:
                out[-1] = (out[-1][0], end, index)
            else:
                out.append((start, end, index))
        was_green = is_green
    if was_green and len(out) > 1:
        out.pop()  # its end is not known: the chain stops here
    return out
