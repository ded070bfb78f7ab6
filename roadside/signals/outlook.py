"""When each group of a `Cabinet` changes next, for SPAT: a copy of the cabinet is run ahead to the events that are due.

`likely_end_ns` is what happens if nobody else shows up and nobody commands anything. An announcement is *certain* where
`min_end_ns == max_end_ns`, and then it stays true: commands act, and grants to buses move times, no earlier than
`operation.commit_s` after they are given, so what lies within that time is certain under a fixed plan, and everything is where
neither can come. Traffic moves the ends of actuated greens at once; these are bounded by floors and force-offs, and certain only
where both agree. `max_end_ns` None: nobody can say.
"""

from __future__ import annotations

from roadside.signals.cabinet import Cabinet
from roadside.signals.durations import STEP_NS, steps_ns
from roadside.signals.forecast import GroupForecast
from roadside.signals.operation import Mode
from roadside.signals.ring_state import UNSET_NS
from roadside.signals.rings import RingMachine
from roadside.signals.timing import PERMISSIVE, PROTECTED, RED, YELLOW

HORIZON_NS = 240_000_000_000
GREENS = (PERMISSIVE, PROTECTED)
NEVER_NS = 1 << 62


def look_ahead(cabinet: Cabinet, horizon_ns: int = HORIZON_NS) -> list[list[tuple[int, int]]]:
    """(G,) coming changes (time, light) of each group, at least its next one and its next green; without new traffic."""
    twin = cabinet.fork()
    until = cabinet.t_ns + horizon_ns
    light = list(twin.light)
    out: list[list[tuple[int, int]]] = [[] for _ in light]
    open_groups = len(light)
    ends = [0] * len(light)  # ends of greens seen, two are enough: the running and the next
    while open_groups and twin.t_ns < until:
        twin.advance(twin.next_event_ns())
        for k, now in enumerate(twin.light):
            if now == light[k]:
                continue
            if not (now in GREENS and light[k] in GREENS):
                out[k].append((twin.t_ns, now))
                if light[k] in GREENS:
                    ends[k] += 1
                    open_groups -= ends[k] == 2
            light[k] = now
    return out


def greens_ahead(
    cabinet: Cabinet, k: int, changes: list[tuple[int, int]]
) -> list[tuple[int, int | None]]:
    """(start, end) of the running and the coming greens of group `k`; end None where it is not in sight."""
    start = cabinet.machine.lamps.green_ns[k] if cabinet.light[k] in GREENS else None
    out: list[tuple[int, int | None]] = []
    for at, light in changes:
        if light in GREENS:
            start = at
        elif start is not None:
            out.append((start, at))
            start = None
    if start is not None:
        out.append((start, None))
    return out


class Outlook:
    """As `roadside.signals.forecast.Forecaster`, for a `Cabinet`."""

    def __init__(self, cabinet: Cabinet) -> None:
        """Forecasts for `cabinet`, which others step."""
        self._cabinet = cabinet
        self._version = -1
        self._stale_ns = 0
        self._last: tuple[GroupForecast, ...] = ()
        self._changes: list[list[tuple[int, int]]] = []
        priority, operation = cabinet.table.plan.priority, cabinet.table.operation
        self._is_open = priority.enabled or operation.remote  # others may interfere
        self._is_remote = operation.remote
        self._grant_ns = 0
        if priority.enabled:
            # Two grants at most touch one red: one before and one after the cycle's end.
            table = cabinet.table
            extra = table.insert_ns + 2 * (table.yellow_ns + table.all_red_ns)
            self._grant_ns = 2 * steps_ns(priority.max_extension_s)
            self._grant_ns += 2 * extra if table.insert >= 0 else 0

    def forecast(self) -> tuple[GroupForecast, ...]:
        """(G,) forecasts as of the cabinet's last step; the same tuple object while nothing has changed."""
        cabinet = self._cabinet
        is_same = cabinet.version == self._version
        if is_same and cabinet.t_ns < self._stale_ns:
            return self._last
        if not is_same or any(c and c[0][0] <= cabinet.t_ns for c in self._changes):
            self._changes = look_ahead(cabinet)
        self._version = cabinet.version
        new = tuple(self._group(k) for k in range(len(cabinet.light)))
        if new != self._last:
            self._last = new
        # Bounds move with time where others may interfere, or where traffic decides.
        is_still = cabinet.machine.is_pretimed and not self._is_open
        changes = [c[0][0] for c in self._changes if c]
        self._stale_ns = min(changes, default=NEVER_NS) if is_still else cabinet.t_ns + STEP_NS
        return self._last

    def _group(self, k: int) -> GroupForecast:
        cabinet, changes = self._cabinet, self._changes[k]
        light = cabinet.light[k]
        likely = changes[0][0] if changes else None
        low, high = self._bounds(k, light, likely)
        if likely is not None:
            low = likely if low is None else min(low, likely)
            high = high if high is None else max(high, likely)
        start = end = None
        if light not in GREENS:
            coming = greens_ahead(cabinet, k, changes)
            start, end = coming[0] if coming else (None, None)
        since = max(0, cabinet.since_ns[k])
        return GroupForecast(light, since, low, high, likely, start, end)

    def _bounds(self, k: int, light: int, likely: int | None) -> tuple[int | None, int | None]:
        """Earliest and latest end of the light that `k` shows."""
        cabinet, machine = self._cabinet, self._cabinet.machine
        t_ns = cabinet.t_ns
        frozen = t_ns + cabinet.commit_ns if self._is_open else NEVER_NS
        if light == YELLOW:
            return machine.lamps.fade_end_ns(k), machine.lamps.fade_end_ns(k)
        is_fixed = machine.table.plan.mode == "fixed"
        is_walker = bool(machine.table.layout.is_pedestrian[k])
        if cabinet.mode != Mode.NORMAL and (light != RED or is_fixed):
            return self._by_clock(likely, frozen)
        if likely is not None and likely <= self._clockwork_until_ns(machine):
            return self._by_clock(likely, frozen)
        if light == RED:
            is_soon = likely is not None and likely <= frozen and not is_walker
            if is_soon and self._is_entering(machine, k):
                return likely, likely
            return t_ns, None  # a button may start a walk within a running green
        if is_walker:
            walked = max(t_ns, machine.lamps.green_ns[k] + machine.table.timing.walk_ns[k])
            return walked, (None if machine.is_pretimed else walked)
        return self._green(machine, k, t_ns, frozen)

    def _by_clock(self, likely: int | None, frozen: int) -> tuple[int | None, int | None]:
        """Bounds of what happens at `likely` unless a command or a grant comes in between."""
        if likely is None:
            return (None if frozen == NEVER_NS else frozen), None
        if likely <= frozen:
            return likely, likely
        return frozen, (None if self._is_remote else likely + self._grant_ns)

    def _clockwork_until_ns(self, machine: RingMachine) -> int:
        """Until when the lights depend on the plan alone."""
        if not machine.is_pretimed or self._cabinet.mode != Mode.NORMAL:
            return -1
        if machine.table.plan.mode == "fixed":
            return NEVER_NS
        return -1 if machine.layout is None else machine.layout.next_zero_ns

    def _is_entering(self, machine: RingMachine, k: int) -> bool:
        """Whether `k` belongs to what begins after the running change."""
        if machine.is_stopping or machine.is_stopped:
            return False
        coming = machine.next_phase if machine.is_crossing else [
            q for r, q in enumerate(machine.next_phase) if machine.next_start_ns[r] != UNSET_NS
        ]  # fmt: skip
        return any(p >= 0 and k in machine.table.phases[p].groups for p in coming)

    def _green(
        self, machine: RingMachine, k: int, t_ns: int, frozen: int
    ) -> tuple[int | None, int | None]:
        """Bounds of an actuated green: floors, force-offs, maxima."""
        table, layout = machine.table, machine.layout
        rings = [
            r
            for r, p in enumerate(machine.phase)
            if p >= 0 and machine.is_on[r] and k in table.phases[p].groups
        ]
        low = max([t_ns, *(machine.floor_ns(r, t_ns) for r in rings)])
        homes = sum(k in phase.groups for phase in table.phases)
        if len(rings) != 1 or homes != 1 or machine.is_stopping:
            return low, None
        ring, p = rings[0], machine.phase[rings[0]]
        priority_ns = self._grant_ns
        if machine.pattern >= 0 and layout is not None and p != table.insert:
            force = layout.force_ns[p]
            if p in table.patterns[machine.pattern].coordinated:
                is_held = layout.begin_ns[p] <= t_ns < force
                return (max(low, min(force, frozen)) if is_held else low), None
            if self._is_remote or machine.is_pretimed:
                return low, None
            floors = [machine.floor_ns(r, t_ns) for r in range(table.num_rings) if machine.is_on[r]]
            high = max([force, t_ns, *floors])
            return low, high if high <= frozen else high + priority_ns
        conflict = machine.conflict_ns[ring]
        if table.num_rings > 1 or conflict == UNSET_NS or self._is_remote:
            return low, None
        high = max(low, max(conflict, machine.start_ns[ring]) + table.phases[p].max_ns)
        return low, high + priority_ns
