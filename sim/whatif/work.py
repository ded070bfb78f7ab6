"""Runs candidates: each a run of the recorded scene without a group of messages, here or in worker processes.

What a run gives depends on its edits alone, so neither the number of workers nor their order can be seen in the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from sim.log.reader import LogReader
from sim.log.records import Trace
from sim.suite.calls import Calls, answering
from sim.suite.wire import Order
from sim.whatif.again import Source, open_source, run_again
from sim.whatif.edit import Edit, parse
from sim.whatif.outcome import (
    Summary,
    changed_criteria,
    criterion_words,
    farthest_m,
    summary,
    traces,
)


@dataclass(frozen=True, slots=True)
class Mattered:
    """What became of the run without the messages."""

    outcome: str
    is_verdict_changed: bool
    flipped: tuple[str, ...]  # criteria that pass in one run and fail in the other
    changes: tuple[str, ...]  # all that changed, in words
    margin: float  # their changes as shares of their limits, added up
    apart_m: float  # farthest that a driven vehicle is from where it was
    parted_ns: int | None  # None: the run is the same in every tick
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What candidates are compared with."""

    source: Source
    before: Summary
    traces: Mapping[str, Trace]
    folder: Path  # logs of candidates live here while they are looked at


def make_bench(log: Path, folder: Path) -> Bench:
    """The recording, read once; LogError when it cannot be run again."""
    source = open_source(log)
    reader = LogReader.open(log)
    return Bench(source, summary(reader), traces(reader), folder)


def weigh(bench: Bench, edits: Sequence[Edit]) -> Mattered:
    """One run with `edits`."""
    with TemporaryDirectory(prefix="run-", dir=bench.folder) as folder:
        again = run_again(bench.source, edits, Path(folder))
        reader = LogReader.open(again.log, recover=bool(again.failure))
        after = summary(reader, again.failure)
        changes = changed_criteria(bench.before, after) if not again.failure else ()
        parted = again.departure
        return Mattered(
            after.outcome,
            after.outcome != bench.before.outcome,
            tuple(change.name for change in changes if change.is_flipped),
            tuple(criterion_words(change) for change in changes),
            sum(change.margin for change in changes),
            farthest_m(bench.traces, reader) if parted is not None else 0.0,
            None if parted is None else parted.tick * bench.source.header.tick_ns,
            again.failure,
        )


class Crew:
    """`jobs` workers for the candidates of one recording; with one, they run here."""

    def __init__(self, bench: Bench, jobs: int) -> None:
        self._bench = bench
        self._calls: Calls | None = None
        if jobs > 1:
            self._calls = Calls(f"{__name__}:weigh_order", jobs, bench.folder)

    def __enter__(self) -> Self:
        if self._calls is not None:
            self._calls.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._calls is not None:
            self._calls.__exit__(kind, error, trace)

    def weigh(
        self, candidates: Sequence[Sequence[Edit]], done: Callable[[], None]
    ) -> list[Mattered]:
        """One answer for each, in their order; `done` is called as they come. InfrastructureError when a worker dies."""
        if self._calls is None:
            out = []
            for edits in candidates:
                out.append(weigh(self._bench, edits))
                done()
            return out
        log = str(self._bench.source.log.resolve())
        texts = [
            json.dumps({"log": log, "edits": [(edit.kind, str(edit)) for edit in edits]})
            for edits in candidates
        ]
        return [_mattered(answer) for answer in self._calls.map(texts, done)]


def weigh_order(order: Order, progress: Callable[[float], None]) -> dict[str, Any]:
    """One candidate, in a worker; the recording is read once in each."""

    def body() -> dict[str, Any]:
        table = json.loads(order.more)
        edits = [parse(kind, text, may_read_files=False) for kind, text in table["edits"]]
        bench = _bench(table["log"])
        return asdict(weigh(replace(bench, folder=Path(order.folder)), edits))

    return answering(body)


@cache
def _bench(log: str) -> Bench:
    return make_bench(Path(log), Path())


def _mattered(answer: dict[str, Any]) -> Mattered:
    lists = {key: tuple(answer[key]) for key in ("flipped", "changes")}
    return Mattered(**{**answer, **lists})
