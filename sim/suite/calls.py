"""One function called many times in supervised workers: for work beside suites, such as the candidates of a ranking.

The function is named `module:function`, takes an order (`more` is the text given for this call, `folder` an empty folder of its own) and
a progress callback, and answers with a table for JSON. An error that icv raises on purpose is raised again here, as what it was; a worker
that dies in whatever way, also with code 0, is an InfrastructureError. Workers stay between calls and end with the context manager.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from protocols import errors
from protocols.errors import IcvError, InfrastructureError
from scenarios.verdict import Outcome
from sim.suite.model import Task
from sim.suite.pool import Job, Supervised, begin
from sim.suite.wire import OUTPUT, Order

NO_LIMIT_MB = 1 << 30
_ERROR = "error"  # in an answer: class of what was raised


def answering(body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `body` gives, or its error, as an answer; for the function that is called."""
    try:
        return {"outcome": Outcome.PASS.value, "answer": body()}
    except IcvError as error:
        kind = type(error).__name__
        if type(error) is not getattr(errors, kind, None):  # of some module's own
            kind = "InputError" if error.exit_code == 2 else "InfrastructureError"
        return {"outcome": Outcome.BAD_INPUT.value, _ERROR: kind, "sentence": str(error)}


class Calls(Supervised[tuple[int, dict[str, Any]]]):
    """`folder`: what the function writes lies below it, and what it prints in `<number>/output.txt`."""

    def __init__(self, function: str, count: int, folder: Path) -> None:
        super().__init__(count, job=function, is_kept=True)
        self._folder = folder.resolve()
        self._number = 0  # of the next call

    def __enter__(self) -> Self:
        begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def map(self, texts: Sequence[str], done: Callable[[], None]) -> list[dict[str, Any]]:
        """One answer for each of `texts`, in their order; `done` is called as they arrive."""
        first = self._number
        self._number += len(texts)
        jobs = [self._job(first + k, text) for k, text in enumerate(texts)]
        answers: dict[int, dict[str, Any]] = {}

        def finished(item: tuple[int, dict[str, Any]]) -> None:
            answers[item[0]] = item[1]
            done()

        self.run(jobs, finished, lambda at: None)
        return [answers[first + k] for k in range(len(texts))]

    def made(self, job: Job, message: dict[str, Any], number: int) -> tuple[int, dict[str, Any]]:
        """Its answer, or its error."""
        if _ERROR in message:
            raise getattr(errors, message[_ERROR])(message["sentence"])
        return int(job.task.id), message["answer"]

    def failed(
        self, job: Job, why: str, number: int, wall_s: float, peak_mb: float
    ) -> tuple[int, dict[str, Any]]:
        """Nobody can do without one of the answers."""
        output = Path(job.order.folder) / OUTPUT
        lines = output.read_text(errors="replace").strip().splitlines() if output.is_file() else []
        last = f" Its last words: {lines[-1][:300]}" if lines else ""
        raise InfrastructureError(f"a call could not be made: {why}; try with fewer workers (-j).{last}")  # fmt: skip

    def _job(self, number: int, text: str) -> Job:
        folder = str(self._folder / str(number))
        order = Order("", (), folder, memory_mb=NO_LIMIT_MB, more=text)
        task = Task(str(number), "", time_limit_s=math.inf, memory_limit_mb=NO_LIMIT_MB)
        return Job(task, order, str(number))
