"""How long units take, by an injected clock; goes to the timing record only, never into a digest.

Durations land in logarithmic bins, so memory stays flat however long a run is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from protocols.participant import Inbox, Outbox, Participant
from protocols.simtime import Now

Clock = Callable[[], int]  # nanoseconds, monotonic
_BINS_PER_DECADE = 40
_DECADES = 9  # 1 ns .. 1 s


class Durations:
    """Count, mean and quantiles of durations, within 6 % (one bin)."""

    def __init__(self) -> None:
        self._bins = np.zeros(_BINS_PER_DECADE * _DECADES + 1, dtype=np.int64)
        self._total_ns = 0
        self._count = 0

    def add(self, ns: int) -> None:
        """One duration."""
        at = int(math.log10(max(ns, 1)) * _BINS_PER_DECADE)
        self._bins[min(at, self._bins.size - 1)] += 1
        self._total_ns += ns
        self._count += 1

    @property
    def count(self) -> int:
        """How many."""
        return self._count

    @property
    def total_ns(self) -> int:
        """All of them together."""
        return self._total_ns

    @property
    def mean_ms(self) -> float:
        """Mean in milliseconds; 0 when nothing was timed."""
        return self._total_ns / self._count / 1e6 if self._count else 0.0

    def quantile_ms(self, share: float) -> float:
        """Upper edge of the bin that holds the `share` quantile, in milliseconds."""
        if not self._count:
            return 0.0
        at = int(np.searchsorted(np.cumsum(self._bins), share * self._count))
        return float(10.0 ** ((at + 1) / _BINS_PER_DECADE) / 1e6)


class TimedUnit:
    """A participant that times another one: every call, and those calls that planned."""

    def __init__(self, unit: Participant, clock: Clock) -> None:
        self._unit = unit
        self._clock = clock
        self.calls = Durations()
        self.plans = Durations()
        self._lap = {"call": (0, 0), "plan": (0, 0)}  # of which `lap` has told

    def renew(self, unit: Participant) -> TimedUnit:
        """Times `unit` from now on, on top of what was counted: the same unit, started over."""
        self._unit = unit
        return self

    def lap(self) -> dict[str, float]:
        """Mean cost of a call, and of a call that planned, since last asked: `<unit> call_ms`, `<unit> plan_ms`; nothing for none."""
        out = {}
        for what, durations in (("call", self.calls), ("plan", self.plans)):
            count, total_ns = durations.count, durations.total_ns
            before, before_ns = self._lap[what]
            if count > before:
                out[f"{self.name} {what}_ms"] = (total_ns - before_ns) / (count - before) / 1e6
                self._lap[what] = (count, total_ns)
        return out

    @property
    def name(self) -> str:
        """The timed unit's name."""
        return self._unit.name

    @property
    def period_ticks(self) -> int:
        """The timed unit's period."""
        return self._unit.period_ticks

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """Passes the call on."""
        start = self._clock()
        outbox = self._unit.on_tick(now, inbox)
        took = self._clock() - start
        self.calls.add(took)
        if outbox.plan is not None:
            self.plans.add(took)
        return outbox


def laps(units: Sequence[TimedUnit]) -> dict[str, float]:
    """What all of them cost since last asked."""
    return {name: ms for unit in units for name, ms in unit.lap().items()}


def totals(units: Sequence[TimedUnit]) -> dict[str, float]:
    """What they cost over a whole run, ms."""
    out = {}
    for unit in units:
        out[f"{unit.name}_ms_mean"] = unit.calls.mean_ms
        if unit.plans.count:
            out["planner_ms_mean"] = unit.plans.mean_ms
            out["planner_ms_p99"] = unit.plans.quantile_ms(0.99)
    return out
