"""When each signal group changes next, for SPAT: read from the controller's own look ahead.

`likely_end_ns` is what happens if nobody else shows up; for a fixed plan without priority it is exact and equals both bounds.
`min_end_ns` and `max_end_ns` bound what traffic and one further grant can do. None: nobody can say (an actuated stage rests
until somebody asks).
"""

from __future__ import annotations

from dataclasses import dataclass

from roadside.signals.config import STEP_NS
from roadside.signals.controller import Controller, Look, Run
from roadside.signals.timing import RED, YELLOW


@dataclass(frozen=True, slots=True)
class GroupForecast:
    """One signal group; stamps are absolute."""

    light: int
    start_ns: int
    min_end_ns: int | None
    max_end_ns: int | None
    likely_end_ns: int | None
    next_green_start_ns: int | None  # None while green
    next_green_end_ns: int | None


class Forecaster:
    """Keeps the last forecast while nothing has happened that could change it."""

    def __init__(self, controller: Controller) -> None:
        """Forecasts for `controller`, which others step."""
        self._controller = controller
        self._version = -1
        self._stale_ns = 0
        self._last: tuple[GroupForecast, ...] = ()

    def forecast(self) -> tuple[GroupForecast, ...]:
        """(G,) forecasts as of the controller's last step; the same tuple object while nothing has changed."""
        controller = self._controller
        if controller.version == self._version and controller.t_ns < self._stale_ns:
            return self._last
        self._last = _forecast(controller)
        self._version = controller.version
        # A lower bound that time has overtaken is stale; so is any stamp that lies in the past.
        ends = [f.min_end_ns for f in self._last if f.min_end_ns is not None]
        self._stale_ns = max(min(ends, default=1 << 62), controller.t_ns + STEP_NS)
        return self._last


def _forecast(c: Controller) -> tuple[GroupForecast, ...]:
    timing = c.timing
    count = 2 * timing.num_stages
    likely = c.chain(c.t_ns, Look.LIKELY, c.grant, count)
    if timing.is_fixed and not timing.plan.priority.enabled:
        earliest = latest = likely
    else:
        # A running grant may be dropped at any time, so the bounds do not count on it.
        earliest = c.chain(c.t_ns, Look.EARLIEST, None, count)
        latest = c.chain(c.t_ns, Look.LATEST, None, count)
    return tuple(_group(c, k, likely, earliest, latest) for k in range(timing.layout.num_groups))


def _group(
    c: Controller, k: int, likely: list[Run], earliest: list[Run], latest: list[Run]
) -> GroupForecast:
    timing, light = c.timing, c.light[k]
    since = max(0, c.since_ns[k])
    is_pedestrian = bool(timing.layout.is_pedestrian[k])
    clear = timing.clear_ns[k]
    if light not in (RED, YELLOW):
        if is_pedestrian and not timing.is_fixed:
            end = c.walk_since_ns[k] + timing.walk_ns[k]
            return GroupForecast(light, since, end, end, end, None, None)
        ends = [_green_end(c, chain, k, 0)[0] for chain in (likely, earliest, latest)]
        at = [None if end is None else max(c.t_ns, end - clear) for end in ends]
        if c.likely_end_ns is None and not c.is_changing and not timing.is_fixed:
            at[2] = None  # resting: the latest end begins to run when somebody asks
        return GroupForecast(light, since, *_bounds(at), None, None)

    start, stop = _next_green(c, likely, k, is_pedestrian)
    if stop is not None:
        stop = start + timing.walk_ns[k] if is_pedestrian and not timing.is_fixed else stop - clear
    if start < 0 or (
        is_pedestrian and not timing.is_fixed and not c.call[k] and not timing.walk_recall[k]
    ):
        next_start, next_stop = None, None
    else:
        next_start, next_stop = start, stop
    if light == YELLOW:
        end = c.walk_since_ns[k] + clear if is_pedestrian else c.end_ns + timing.yellow_ns
        return GroupForecast(light, since, end, end, end, next_start, next_stop)
    low = _earliest_green(c, earliest, k, is_pedestrian)
    high = _next_green(c, latest, k, is_pedestrian)[0]
    is_open = next_start is None
    bounds = _bounds([next_start, low if low >= 0 else None, None if high < 0 or is_open else high])
    return GroupForecast(light, since, *bounds, next_start, next_stop)


def _bounds(at: list[int | None]) -> tuple[int | None, int | None, int | None]:
    """(min, max, likely) from (likely, earliest, latest), made consistent."""
    likely, low, high = at
    if likely is not None:
        low = likely if low is None else min(low, likely)
        high = high if high is None else max(high, likely)
    return low, high, likely


def _green_end(c: Controller, chain: list[Run], k: int, index: int) -> tuple[int | None, int]:
    """End of the green of `k` that begins at or before run `index`, over stages in a row; and the run after it."""
    end = chain[index].end_ns
    while index + 1 < len(chain) and c.timing.has(chain[index + 1].stage, k):
        index += 1
        end = chain[index].end_ns
    return end, index + 1


def _next_green(
    c: Controller, chain: list[Run], k: int, is_pedestrian: bool
) -> tuple[int, int | None]:
    """Start (-1: none in sight) and end of the next green of `k`, which is not green now."""
    index = 0
    if c.timing.has(chain[0].stage, k):
        # Its green in the running stage is over: it lost it in this change, or its walk has ended.
        index = _green_end(c, chain, k, 0)[1] if is_pedestrian and c.timing.is_fixed else 1
    while index < len(chain) and not c.timing.has(chain[index].stage, k):
        index += 1
    if index >= len(chain):
        return -1, None
    return chain[index].start_ns, _green_end(c, chain, k, index)[0]


def _earliest_green(c: Controller, chain: list[Run], k: int, is_pedestrian: bool) -> int:
    timing = c.timing
    if timing.is_fixed:
        return _next_green(c, chain, k, is_pedestrian)[0]
    now = chain[1] if c.is_changing else chain[0]
    if c.is_changing and timing.has(now.stage, k):
        return now.start_ns
    if now.end_ns is None:
        return -1
    # Any stage between may be skipped.
    return min(
        now.end_ns + timing.change_ns[now.stage][i]
        for i in range(timing.num_stages)
        if timing.has(i, k)
    )
