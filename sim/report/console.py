"""What a run says on the terminal: a progress bar where there is a terminal, a few plain lines where there is none."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from protocols.errors import IcvError
from protocols.sentence import one_line
from scenarios.spec import SceneSpec
from scenarios.verdict import Outcome, Verdict, from_error
from sim.report.result import as_table, write_result
from sim.report.tables import verdict_table
from sim.stopping import interrupt, stoppable

if TYPE_CHECKING:
    from sim.compose import RunOutcome


class Progress:
    """A context manager that is called with the simulated seconds so far. Writes to stderr, so stdout stays clean.

    It also remembers Ctrl-C: an interrupt that falls into a compiler callback is swallowed there, so the next call raises it again.
    SIGTERM, as a CI server sends it at its time limit, is the same, so that nobody's temporary folder or worker is left behind.
    """

    def __init__(self, title: str, duration_s: float | None, quiet: bool) -> None:
        self._title, self._duration_s, self._quiet = title, duration_s, quiet
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._told = 0
        self._stopped_by: KeyboardInterrupt | None = None
        self._signals = stoppable(self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped_by = self._stopped_by or interrupt(number)
        raise self._stopped_by

    def __enter__(self) -> Progress:
        self._signals.__enter__()
        if self._quiet:
            return self
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[where]}"), TimeElapsedColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(self._title, total=self._duration_s, where="setting up")
            self._bar.start()
        else:
            print(f"{one_line(self._title)}: setting up", file=sys.stderr, flush=True)
        return self

    def __call__(self, t_s: float) -> None:
        """Simulated time `t_s` is done; KeyboardInterrupt when Ctrl-C was pressed and got lost."""
        if self._stopped_by is not None:
            raise self._stopped_by
        if self._bar is not None and self._task is not None:
            of = f" of {self._duration_s:.0f}" if self._duration_s else ""
            self._bar.update(self._task, completed=t_s, where=f"{t_s:.0f}{of} s simulated")
        elif not self._quiet and self._duration_s:
            quarter = int(4 * t_s / self._duration_s)
            if quarter > self._told:
                self._told = quarter
                print(
                    f"{self._title}: {t_s:.0f} of {self._duration_s:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signals.__exit__(None, None, None)
        if self._bar is not None:
            self._bar.stop()


def print_run(
    spec: SceneSpec,
    outcome: RunOutcome,
    picture: Path | None,
    quiet: bool,
    *,
    is_ours: bool = True,
) -> None:
    """Verdict, numbers, and where everything lies. `is_ours`: our physics drove, so the log can be run again."""
    verdict = outcome.verdict
    if quiet:
        print(f"{verdict.outcome.value}: {verdict.sentence}")
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(verdict_table(spec, verdict, outcome.facts, outcome.timing))
    console.print()
    rows = [
        ("log", outcome.log_path),
        ("result", outcome.result_path),
        ("picture", picture),
        ("digest", outcome.digest),
    ]
    for label, value in rows:
        if value is not None:
            console.print(f"{label:<8} {value}", soft_wrap=True, highlight=False)
    if is_ours:
        console.print(f"again    icv replay {outcome.log_path}", soft_wrap=True, highlight=False)


def write_failure(folder: Path, spec: SceneSpec, error: Exception) -> None:
    """result.json of a run that an error ended, so that a program that waits for one finds out."""
    if isinstance(error, IcvError):
        verdict = from_error(error)
    else:
        verdict = Verdict(Outcome.INFRASTRUCTURE_ERROR, f"{type(error).__name__}: {error}")
    write_result(folder / "result.json", as_table(spec, verdict))
