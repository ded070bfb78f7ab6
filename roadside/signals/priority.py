"""Who gets signal priority: requests in, at most one grant at a time out.

A bus asks for a group and says when it will arrive. If the coming greens serve it anyway, nothing is granted. If the green
ends shortly before, it is held (green extension); if the green begins later, the stages before it are shortened (early
green). Order of decision: earliest arrival first, ties by station id. A grant must leave every group's wait below
`side_max_red_s`, and a coordinated plan able to recover within `recovery_cycles`; after one, none is given for
`one_grant_per_cycles` cycles. Independent of messages; `roadside.unit` translates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from protocols.messages import RequestStatus
from roadside.signals.durations import STEP_NS
from roadside.signals.requests import (
    Answer,
    Entry,
    Grant,
    GrantKind,
    PriorityRequest,
    RequestDesk,
    step_up,
)

if TYPE_CHECKING:
    from roadside.signals.controller import Controller, Run

__all__ = ["Answer", "Grant", "GrantKind", "PriorityDesk", "PriorityRequest"]


class PriorityDesk(RequestDesk):
    """Book of requests of one `Controller`, and what it grants."""

    def __init__(self, controller: Controller) -> None:
        """An empty book; the controller's plan says what may be granted."""
        super().__init__(controller)
        self._machine = controller

    def _release(self, t_ns: int, grant: Grant) -> None:
        # A held green runs on for the margin at most, so that its announced end stays nearly true.
        until = min(grant.until_ns, step_up(t_ns + self._margin_ns))
        is_held = grant.kind == GrantKind.EXTENSION and until > t_ns
        self._set_grant(replace(grant, until_ns=until) if is_held else None)

    def _end_release(self, t_ns: int) -> None:
        grant = self._controller.grant
        if grant is not None and grant.station_id not in self._entries and t_ns > grant.until_ns:
            self._set_grant(None)

    def _decide(self, t_ns: int, entry: Entry) -> None:
        request, plan = entry.request, self._plan
        controller = self._machine
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

        controller, group = self._machine, request.group
        timing = controller.timing
        refusal = self._refusal(request)
        if refusal:
            return RequestStatus.REJECTED, t_ns, refusal, None
        eta = max(request.eta_ns, t_ns)
        wanted = step_up(eta + self._margin_ns)
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
        controller = self._machine
        timing = controller.timing
        run = controller.run + index
        late = until_ns - timing.begin_of(run) - timing.green_ns[run % timing.num_stages]
        return late <= sum(controller.catch_up_ns) * self._plan.recovery_cycles

    def _keeps_cap(self, t_ns: int, grant: Grant, num: int) -> bool:
        """Whether no group waits longer than the cap if the grant is carried out."""
        from roadside.signals.controller import Look

        controller = self._machine
        timing = controller.timing
        look = Look.LIKELY if timing.is_fixed else Look.LATEST
        chain = controller.chain(t_ns, look, grant, num, is_wide=False)
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
