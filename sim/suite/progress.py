"""What a suite says while it runs and at its end: a bar with time left on a terminal, a few plain lines elsewhere, on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from scenarios.verdict import Outcome
from sim.suite.model import SuiteResult, TaskResult
from sim.timing import Clock

_LINE_EVERY_S = 10.0
_MAX_ROWS = 30  # of the closing table
_WORDS = {
    Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.BAD_INPUT: "bad input",
    Outcome.INFRASTRUCTURE_ERROR: "infrastructure error", Outcome.NOTHING_RAN: "nothing ran",
}  # fmt: skip


class Progress:
    """Told what happens; never decides anything. `quiet` says nothing but what went wrong."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: IO[str] | None = None,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet, self._clock = quiet, clock
        self._bar: Bar | None = None
        self._row: TaskID | None = None
        self._counts: Counter[Outcome] = Counter()
        self._total = self._carried = self._workers = 0
        self._name = ""
        self._said_ns = 0
        self._wall_s = 0.0  # of all that are done
        self._since_ns: dict[str, int] = {}  # task id -> when it was first seen running

    def begin(self, name: str, total: int, carried: int, workers: int) -> None:
        """`carried` of `total` tasks have a result already."""
        self._name, self._total, self._carried, self._workers = name, total, carried, workers
        self._said_ns = self._clock()
        if self._quiet:
            return
        if self._stream.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[where]}"),
                console=Console(file=self._stream), transient=True, auto_refresh=False,
            )  # fmt: skip
            self._row = self._bar.add_task(
                escape(name), total=total, completed=carried, where="warming up"
            )
            self._bar.start()
            self._bar.refresh()
        else:
            kept = f", {carried} of them known already" if carried else ""
            self._say(
                f"{name}: {counted(total, 'run')}{kept}, {counted(workers, 'worker')}, warming up"
            )

    def note(self, line: str) -> None:
        """Something that is worth knowing, before anything runs."""
        if not self._quiet:
            self._say(line)

    def finished(self, result: TaskResult) -> None:
        """One more result."""
        self._counts[result.outcome] += 1
        self._wall_s += result.wall_s
        self._since_ns.pop(result.task.id, None)
        if result.outcome is not Outcome.PASS:
            id_, why = result.task.id, result.sentence
            self._say(f"{_WORDS[result.outcome]}: {'' if why.startswith(id_) else f'{id_}: '}{why}")
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, advance=1, where=self._where())

    def running(self, at: Mapping[str, float]) -> None:
        """Called a few times a second, with the simulated time of what runs."""
        now = self._clock()
        self._since_ns = {id_: self._since_ns.get(id_, now) for id_ in at}
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, where=self._where())
            self._bar.refresh()
        elif not self._quiet and (self._clock() - self._said_ns) / 1e9 >= _LINE_EVERY_S:
            self._said_ns = self._clock()
            inside = ", ".join(f"{id_} at {t_s:.0f} s" for id_, t_s in list(at.items())[:3])
            done = self._carried + self._counts.total()
            self._say(f"{self._name}: {done} of {self._total}, {self._where()}; now {inside}")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def left_s(self) -> float | None:
        """Wall seconds to go if the rest take as long as those done so far; None before the first."""
        done = self._counts.total()
        if not done:
            return None
        todo, mean_s, now = self._total - self._carried - done, self._wall_s / done, self._clock()
        spent_s = sum(min(mean_s, (now - since) / 1e9) for since in self._since_ns.values())
        return max(0.0, mean_s * todo - spent_s) / max(1, min(self._workers, todo))

    def _where(self) -> str:
        bad = self._counts.total() - self._counts[Outcome.PASS]
        left = self.left_s()
        parts = [f"{bad} not passed" if bad else "all passed so far" if self._counts else ""]
        if left is not None:
            parts.append(f"{duration(left)} left")
        return ", ".join(filter(None, parts)) or "warm, running"

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more
            if self._bar is not None:
                self._bar.console.print(Text(line), soft_wrap=True)
            else:
                print(line, file=self._stream, flush=True)


def counted(number: int, noun: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def print_suite(result: SuiteResult, folder: Path, *, quiet: bool = False) -> None:
    """The verdict, and what to look at. Fits any width: 80 columns where standard output has none."""
    if not quiet and result.results:
        console = Console(highlight=False)
        shown = [r for r in result.results if r.outcome is not Outcome.PASS or r.is_flaky]
        if len(result.results) <= _MAX_ROWS:
            shown = list(result.results)
        if shown:
            console.print(_runs(shown[:_MAX_ROWS]))
        if len(shown) > _MAX_ROWS:
            console.print(f"... and {len(shown) - _MAX_ROWS} more")
        console.print(f"results  {folder}/results.jsonl", soft_wrap=True, markup=False)
    print(f"{'interrupted' if result.is_interrupted else result.outcome.value}: {result.sentence}")


def _runs(shown: Sequence[TaskResult]) -> Table:
    """What is short in columns; names, which may be as long as they like, and why they did not pass, folded beside them."""
    table = Table(box=None, pad_edge=False)
    table.add_column("outcome", max_width=14)
    table.add_column("wall", justify="right", no_wrap=True)
    table.add_column("peak", justify="right", no_wrap=True)
    table.add_column("run", overflow="fold")
    for item in shown:
        flaky = ", flaky" if item.is_flaky else ""
        about = Text(item.task.id)
        if item.outcome is not Outcome.PASS:
            about.append(f"\n{item.sentence}", "dim")
        table.add_row(
            Text(_WORDS[item.outcome] + flaky),
            "earlier" if item.is_carried else f"{item.wall_s:.1f} s",
            f"{item.peak_mb:.0f} MB", about,
        )  # fmt: skip
    return table
