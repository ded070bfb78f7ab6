"""Real-time pacing: tick k begins no earlier than k ticks after the first; how late it began is counted, never compared.

Clock and sleep are injected by `sim.compose`. A run that falls behind does not hurry afterwards to make up for what can be
made up: it goes on at full speed until it is on time again.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.timing import Clock, Durations

LATE_NS = 1_000_000  # later than this counts as late


class RealTime:
    """Holds the loop back to wall time."""

    def __init__(self, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._begun: int | None = None
        self._late = Durations()
        self._num_late = 0
        self._most_ns = 0

    def wait(self, t_ns: int) -> None:
        """Returns when wall time has reached `t_ns` since the first call."""
        if self._begun is None:
            self._begun = self._clock() - t_ns
        due = self._begun + t_ns
        early = due - self._clock()
        if early > 0:
            self._sleep(early * 1e-9)
        late = max(self._clock() - due, 0)
        self._late.add(late)
        self._most_ns = max(self._most_ns, late)
        self._num_late += late > LATE_NS

    def figures(self) -> dict[str, float]:
        """Lateness of ticks: mean, 99 %, worst, and the share that was more than 1 ms late."""
        count = max(self._late.count, 1)
        return {
            "lateness_ms_mean": self._late.mean_ms,
            "lateness_ms_p99": self._late.quantile_ms(0.99),
            "lateness_ms_max": self._most_ns / 1e6,
            "late_share": self._num_late / count,
        }
