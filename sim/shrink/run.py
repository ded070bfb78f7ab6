"""Makes a failing scene smaller, step by step, as long as it fails for the same reason; the order of steps is fixed.

Each round: less time, fewer actors (whole flows first, then one by one), simpler parameters. The last round changes nothing, so that no
single actor can be taken away and no single parameter be put back. Time is cut only behind the moment that decided: where
something never happened, the end of the run stays where it was, because less time would be a reason of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError, NothingRanError
from scenarios.spec import SceneSpec
from sim.shrink.actors import Actor, actors, groups, scene_of
from sim.shrink.ddmin import smallest
from sim.shrink.reason import Reason
from sim.shrink.simpler import candidates
from sim.shrink.trial import OutOfRuns, Trials

ROUNDS = 10
MARGIN_S = 0.1  # behind the moment that decided
_OF_VEHICLES = ("speed_limit", "station_stops", "comfort", "arrival", "timetable")
_NEUTRAL = {"kind": "signal_rules"}  # so that a run without the error has something to pass


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the run in a log failed for, by name, and with which code: `commit` then and `commit_now`."""

    failed: tuple[str, ...]
    commit: str
    commit_now: str

    def sentence(self, fails_now: bool) -> str:
        """Why the log is no help."""
        code = f" (commit {self.commit or 'unknown'}, now {self.commit_now or 'unknown'})"
        what = f"The run in the log failed for {', '.join(self.failed[:3])}, and does not with this code{code}"
        if fails_now:
            return f"{what}; name one of those that it does fail for with --reason."
        return f"{what}; shrink it with the code that recorded it."


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest scene found. `is_minimal`: nothing single can be taken away; else the budget, or `stopped_by`, ended the search."""

    spec: SceneSpec
    reason: Reason
    before: tuple[int, float]  # actors, seconds
    after: tuple[int, float]
    runs: int
    is_minimal: bool
    stopped_by: KeyboardInterrupt | OSError | None = None


def shrink(
    spec: SceneSpec,
    base: Path,
    *,
    wanted: str = "",
    recorded: Recorded | None = None,
    budget: int = 500,
    tell: Callable[[str], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Shrunk:
    """The smallest scene that fails as `spec` does. `wanted`: part of the reason's name; default: the first reason.

    `recorded`: what an earlier run of it failed for; the first reason among these then. `progress` is called as each run goes on; a
    KeyboardInterrupt that it raises ends the search, and what was found so far stands.

    ConfigError when `spec` does not fail, or not for that reason; InputError when it cannot be run.
    """
    trials = Trials(base, budget, progress=progress)
    try:
        found = trials.must_run(spec)
    except OutOfRuns:
        raise ConfigError(f"--runs {budget}: expected at least 1.") from None
    reason = _chosen(spec, found, wanted, recorded)
    search = _Search(trials, reason, spec, tell)
    before = (len(actors(spec)), spec.duration_s)
    is_minimal = search.run()
    after = (len(actors(search.spec)), search.spec.duration_s)
    if search.stopped_by is not None and search.spec == spec:
        raise search.stopped_by  # nothing to keep
    return Shrunk(
        search.spec, search.reason, before, after, trials.runs, is_minimal, search.stopped_by
    )


def _chosen(
    spec: SceneSpec, found: Sequence[Reason], wanted: str, recorded: Recorded | None
) -> Reason:
    """Which of the reasons `found` is asked about."""
    before = "" if recorded is None else recorded.sentence(bool(found))
    if not found and not spec.criteria:
        raise NothingRanError(
            f"{spec.name}: has no [[criteria]], so it can neither pass nor fail; expected at least one."
        )
    if not found:
        raise ConfigError(
            f"{spec.name}: does not fail (seed {spec.seed}, {spec.duration_s:g} s), so there is nothing to shrink. "
            + (before or "Give the log or the overrides of the run that failed.")
        )
    names = ", ".join(str(r) for r in found)
    if wanted:
        reason = next((r for r in found if wanted.lower() in str(r).lower()), None)
        if reason is None:
            raise ConfigError(f"{spec.name}: does not fail for '{wanted}'; it fails for {names}.")
        return reason
    if recorded is None:
        return found[0]
    reason = next((r for r in found if r.name in recorded.failed), None)
    if reason is None:
        raise ConfigError(f"{spec.name}: fails for {names}. {before}")
    return reason


def narrowed(table: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
    """The criterion `table` for `subject` alone, where it names vehicles or topics: whoever it names cannot be taken away."""
    if table.get("kind") == "message_periods":
        gaps = {
            topic: ms
            for topic, ms in table.get("max_gap_ms", {}).items()
            if topic.lower() == subject
        }
        return {**table, "max_gap_ms": gaps} if gaps else table
    return {**table, "vehicles": [subject]} if table.get("kind") in _OF_VEHICLES else table


@dataclass(slots=True)
class _Search:
    trials: Trials
    reason: Reason
    spec: SceneSpec
    tell: Callable[[str], None] | None
    stopped_by: KeyboardInterrupt | OSError | None = None

    def run(self) -> bool:
        """All steps; whether they came to an end."""
        try:
            self._criteria()
            for _ in range(ROUNDS):
                before = self.spec
                self._time()
                self._actors()
                self._parameters()
                if self.spec == before:
                    return True
        except OutOfRuns:
            pass
        except (KeyboardInterrupt, OSError) as error:  # Ctrl-C; a full disk
            self.stopped_by = error
        return False

    def _take(self, spec: SceneSpec, what: str) -> bool:
        """`spec` in place of what there was, if it fails for the same reason."""
        if spec == self.spec:
            return True
        found = self.trials.same(spec, self.reason)
        if found is None:
            return False
        self.spec, self.reason = spec, found
        if self.tell is not None:
            self.tell(
                f"{self.trials.runs:>4} runs: {len(actors(spec))} actors, {spec.duration_s:g} s; {what}"
            )
        return True

    def _criteria(self) -> None:
        """Only what tells, about nobody else; for an error one that always can be judged."""
        asked, subject = self.reason.criterion, self.reason.subject
        table: tuple[Any, ...] = tuple(t for t in self.spec.criteria if t.get("kind") == asked)
        table = table or (_NEUTRAL,)
        narrow = tuple(narrowed(t, subject) for t in table)
        if narrow != table and self._take(
            self.spec.model_copy(update={"criteria": narrow}), f"only {subject} judged"
        ):
            table = narrow
        self._take(self.spec.model_copy(update={"criteria": table}), "one criterion")
        for k in range(len(self.spec.criteria) - 1, -1, -1):
            rest = (*self.spec.criteria[:k], *self.spec.criteria[k + 1 :])
            if rest:
                self._take(self.spec.model_copy(update={"criteria": rest}), "one criterion less")

    def _time(self) -> None:
        """Nothing behind the moment that decided."""
        while self.reason.moment_s is not None:
            tick_s = self.spec.tick_ms / 1e3
            for end_s in (self.reason.moment_s + tick_s, self.reason.moment_s + MARGIN_S, self.reason.moment_s + 1.0):  # fmt: skip
                duration_s = round(math.ceil(end_s / tick_s - 1e-6) * tick_s, 6)
                if duration_s >= self.spec.duration_s:
                    return
                if self._take(self.spec.model_copy(update={"duration_s": duration_s}), "less time"):
                    break
            else:
                return

    def _actors(self) -> None:
        """Whole flows, then everybody by themselves."""
        base = self.spec

        def without(kept: tuple[Actor, ...]) -> bool:
            return self._take(scene_of(base, kept), "fewer actors")

        everybody = actors(base)
        if scene_of(base, everybody) != base:  # flows by number from here on
            self._take(scene_of(base, everybody), "background traffic by number")
        pieces = smallest(
            groups(everybody), lambda kept: without(tuple(a for g in kept for a in g))
        )
        left = tuple(actor for group in pieces for actor in group)
        if any(len(group) > 1 for group in pieces):
            smallest(left, without)

    def _parameters(self) -> None:
        """One after the other, and again from the start of the list where one could go."""
        done: set[str] = set()
        while True:
            for what, spec in candidates(self.spec):
                key = f"{what} {spec.model_dump_json()}"
                if key not in done and spec != self.spec:
                    done.add(key)
                    if self._take(spec, what):
                        break
            else:
                return
