"""Runs candidates, in this process, and says for which reasons each fails; what was run once is remembered.

Each run keeps a small log, from which it is told how the run ended, and which goes with the run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from protocols.errors import InputError, NothingRanError
from scenarios.load import check_scene
from scenarios.spec import RecordSpec, SceneSpec
from sim.compose import RunOptions, run_scene
from sim.shrink.ending import endings
from sim.shrink.reason import Reason, reason_of_error, reasons_of

STEP_S = (
    1.0  # between two words of progress: an exception without a tick came at most so much later
)
_WORLD_TICKS = 100  # between two samples of the world in the log, which nobody reads here


class OutOfRuns(Exception):
    """The budget is spent; what was found so far stands."""


@dataclass(slots=True)
class Trials:
    """`base`: folder that the scene's paths start from; `budget`: most runs."""

    base: Path
    budget: int
    runs: int = 0
    tell: Callable[[], None] | None = None  # called after every run
    progress: Callable[[float], None] | None = (
        None  # called in each of them, with its simulated seconds
    )
    _known: dict[str, tuple[Reason, ...]] = field(default_factory=dict)
    _t_s: float | None = None  # how far the present run is

    def must_run(self, spec: SceneSpec) -> tuple[Reason, ...]:
        """As `reasons`, and InputError or NothingRanError as it is where the scene cannot be run at all."""
        return self._known_or(spec, lambda: self._run(spec))

    def reasons(self, spec: SceneSpec) -> tuple[Reason, ...]:
        """Why `spec` fails; empty when it passes or cannot be run at all. OutOfRuns when the budget is spent."""

        def run() -> tuple[Reason, ...]:
            try:
                return self._run(spec)
            except (InputError, NothingRanError):  # no scene any more
                return ()

        return self._known_or(spec, run)

    def same(self, spec: SceneSpec, reason: Reason) -> Reason | None:
        """`reason` as it occurs in a run of `spec`, with its moment there; None when it does not."""
        return next((found for found in self.reasons(spec) if found == reason), None)

    def _known_or(
        self, spec: SceneSpec, run: Callable[[], tuple[Reason, ...]]
    ) -> tuple[Reason, ...]:
        key = spec.model_dump_json()
        found = self._known.get(key)
        if found is None:
            if self.runs >= self.budget:
                raise OutOfRuns
            self.runs += 1
            found = self._known[key] = run()
            if self.tell is not None:
                self.tell()
        return found

    def _run(self, spec: SceneSpec) -> tuple[Reason, ...]:
        options = RunOptions(cache_dir=None)
        checked = check_scene(spec.model_dump(mode="json"), spec.name)
        little = RecordSpec(truth_period_ms=_WORLD_TICKS * spec.tick_ms, foxglove_period_ms=0)
        checked = checked.model_copy(update={"record": little})
        self._t_s = None
        with tempfile.TemporaryDirectory(prefix="icv-shrink-") as folder:
            try:
                outcome = run_scene(
                    checked, self.base, Path(folder), progress=self._progress, options=options
                )
            except (InputError, NothingRanError, OSError):  # no scene; no disk
                raise
            except Exception as error:
                reason = reason_of_error(error)
                if reason is None:
                    return ()
                if reason.moment_s is None and self._t_s is not None:
                    reason = replace(reason, moment_s=self._t_s + STEP_S)
                return (reason,)
            ended = endings(outcome.picture, outcome.log_path, outcome.facts, checked)
        return reasons_of(outcome.verdict, outcome.facts, spec, ended)

    def _progress(self, t_s: float) -> None:
        self._t_s = t_s
        if self.progress is not None:
            self.progress(t_s)
