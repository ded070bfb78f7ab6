"""What the history answers with: plain values."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Below these an unchanged figure is not flagged. Simulation is exact, so only rounding in the ninth digit is forgiven; what the
# machine adds (wall clock, processor time, memory) moves by a tenth from run to run without meaning anything.
EXACT_SHARE = 1e-8
MACHINE_SHARE = 0.10
MACHINE = ("cpu_s", "peak_mb", "wall_s")
_SPREADS = (
    3.0  # median absolute deviations, scaled to a normal's sigma, beyond which a change is no noise
)
_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class RunRef:
    """One suite run, for pointing at it."""

    run: int
    started_utc: str
    commit: str
    suite: str


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One value of a figure; `value` None: the run had it, but it is not a number."""

    at: RunRef
    outcome: str
    digest: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure over the last runs, oldest first."""

    scenario: str
    metric: str
    unit: str
    points: tuple[TrendPoint, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """What there is to draw."""
        return tuple(point.value for point in self.points if point.value is not None)

    @property
    def last(self) -> float | None:
        """The newest value; None when the newest run has none."""
        return self.points[-1].value if self.points else None

    @property
    def median(self) -> float | None:
        """Of the runs before the last; None when there were none."""
        before = self._before()
        return statistics.median(before) if before else None

    @property
    def change(self) -> float | None:
        """The last value less that median."""
        last, median = self.last, self.median
        return None if last is None or median is None else last - median

    @property
    def is_changed(self) -> bool:
        """Whether the last run stands out: more than three (robust) standard deviations from the runs before it."""
        change, median = self.change, self.median
        if not self.points or median is None:
            return False
        if change is None:
            return True  # it had a value before and has none now
        spread = statistics.median(abs(value - median) for value in self._before())
        share = MACHINE_SHARE if self.metric in MACHINE else EXACT_SHARE
        return abs(change) > max(_SPREADS * _SIGMA * spread, share * abs(median), 1e-12)

    def _before(self) -> Sequence[float]:
        return [point.value for point in self.points[:-1] if point.value is not None]


@dataclass(frozen=True, slots=True)
class ScenarioSummary:
    """A scenario over its last runs, oldest first."""

    name: str
    outcomes: tuple[str, ...]  # one a suite run: the worst of its repetitions
    last: RunRef
    last_wall_s: float | None
    flaky_runs: int
    digest: str  # of the last run

    @property
    def passed(self) -> int:
        """Runs that passed."""
        return sum(outcome == "pass" for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that did not pass."""

    at: RunRef
    task: str
    outcome: str
    sentence: str
    is_flaky: bool
    log: str


@dataclass(frozen=True, slots=True)
class FlakyRate:
    """How often a scenario disagreed with itself: inside a suite (`--repeat`), or between suites of one commit."""

    scenario: str
    runs: int  # suite runs looked at
    flaky: int  # of these, with repetitions that disagreed
    commits: int  # clean commits that ran it at least twice
    split_commits: tuple[str, ...]  # of these, with more than one outcome or digest

    @property
    def rate(self) -> float:
        """Share of suite runs in which it was flaky."""
        return self.flaky / self.runs if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class DigestChange:
    """Two runs in a row with other digests: what changed lies after `before` and not after `after`."""

    scenario: str
    before: RunRef
    after: RunRef
    digest_before: str
    digest_after: str
    outcome_before: str
    outcome_after: str
    is_map_changed: bool

    @property
    def commits(self) -> str:
        """For `git log`: `old..new`; one commit when both are the same."""
        old, new = self.before.commit or "unknown", self.after.commit or "unknown"
        return old if old == new else f"{old}..{new}"
