"""The book of priority requests of one junction: what was heard, what was answered, who is next.

A request is refreshed by every repetition, answered whenever it is heard or its answer changes, and closed when the bus cancels,
falls silent or is long past. Requests are decided in the order of arrival, ties by station id; what can be granted is the
business of the desks built on this one: `roadside.signals.priority` for stage plans, `ring_priority` for cabinets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from protocols.messages import RequestStatus
from roadside.signals.durations import STEP_NS, practice, steps_ns
from roadside.signals.timing import PERMISSIVE, PROTECTED, Timing


class GrantKind(IntEnum):
    """What a grant does to the stages."""

    EXTENSION = 1
    EARLY = 2
    INSERTION = 3  # of a `Cabinet` only


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
class Entry:
    """One open request and what was last decided about it."""

    request: PriorityRequest
    seen_ns: int
    version: int = -1  # controller version at the last decision; -1: decide anew
    decided_ns: int = 0
    status: RequestStatus = RequestStatus.UNSPECIFIED
    until_ns: int = 0
    reason: str = ""


def step_up(t_ns: int) -> int:
    """`t_ns`, up to the next step."""
    return -(-t_ns // STEP_NS) * STEP_NS


class Served(Protocol):
    """What a desk needs of the controller that it serves."""

    grant: Grant | None
    version: int

    @property
    def timing(self) -> Timing:
        """Groups and what may be asked for."""

    @property
    def light(self) -> list[int]:
        """(G,) `Light`."""

    def ask(self, group: int) -> None:
        """Remember that `group` wants green."""


class RequestDesk(ABC):
    """Requests and answers; `_decide` and `_release` are left to who knows the controller."""

    CALL_HORIZON_NS = 15_000_000_000
    """A request counts as demand of an actuated stage this long before the arrival."""

    def __init__(self, controller: Served) -> None:
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
        self._early_ns = steps_ns(plan.max_early_s)
        self._entries: dict[int, Entry] = {}  # by station
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
        self._entries[request.station_id] = Entry(request, t_ns)

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

    def _consider(self, t_ns: int, entry: Entry, is_heard: bool) -> None:
        controller, request = self._controller, entry.request
        if (
            not controller.timing.is_fixed
            and self._plan.enabled
            and request.eta_ns - t_ns <= self.CALL_HORIZON_NS
            and controller.light[request.group] not in (PERMISSIVE, PROTECTED)
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

    def _refusal(self, request: PriorityRequest) -> str:
        """Why the request gets nothing, whatever the lights do; empty where it may."""
        plan = self._plan
        if not plan.enabled:
            return "priority is off at this junction"
        if request.group not in self._controller.timing.asked:
            return "this movement gets no priority"
        limit = plan.conditional_lateness_s
        if limit is not None and request.lateness_s < limit:
            return f"less than {limit:g} s late"
        return ""

    def _close(self, t_ns: int, entry: Entry, reason: str) -> None:
        request = entry.request
        del self._entries[request.station_id]
        self._answer(request, RequestStatus.CLEARED, t_ns, reason)
        grant = self._controller.grant
        if grant is not None and grant.station_id == request.station_id:
            self._release(t_ns, grant)

    def _end_release(self, t_ns: int) -> None:  # noqa: B027  # not every desk holds something on
        """End what a grant whose request is closed may still hold."""

    @abstractmethod
    def _release(self, t_ns: int, grant: Grant) -> None:
        """The request of `grant` was closed."""

    @abstractmethod
    def _decide(self, t_ns: int, entry: Entry) -> None:
        """Set status, time and reason of `entry`, and the grant."""
