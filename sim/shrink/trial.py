"""Runs candidates, in this process and without a log, and says for which reasons each fails; what was run once is remembered."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from protocols.errors import InputError, NothingRanError
from scenarios.load import check_scene
from scenarios.spec import SceneSpec
from sim.compose import RunOptions, run_scene
from sim.shrink.reason import Reason, reason_of_error, reasons_of


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

    def reasons(self, spec: SceneSpec) -> tuple[Reason, ...]:
        """Why `spec` fails; empty when it passes or cannot be run at all. OutOfRuns when the budget is spent."""
        key = spec.model_dump_json()
        found = self._known.get(key)
        if found is None:
            if self.runs >= self.budget:
                raise OutOfRuns
            self.runs += 1
            found = self._known[key] = self._run(spec)
            if self.tell is not None:
                self.tell()
        return found

    def same(self, spec: SceneSpec, reason: Reason) -> Reason | None:
        """`reason` as it occurs in a run of `spec`, with its moment there; None when it does not."""
        return next((found for found in self.reasons(spec) if found == reason), None)

    def _run(self, spec: SceneSpec) -> tuple[Reason, ...]:
        options = RunOptions(record=False, picture=False, cache_dir=None)
        try:
            checked = check_scene(spec.model_dump(mode="json"), spec.name)
            with tempfile.TemporaryDirectory(prefix="icv-shrink-") as folder:
                outcome = run_scene(
                    checked, self.base, Path(folder), progress=self.progress, options=options
                )
        except (InputError, NothingRanError):  # no scene any more
            return ()
        except Exception as error:
            reason = reason_of_error(error)
            return () if reason is None else (reason,)
        return reasons_of(outcome.verdict, outcome.facts, spec)
