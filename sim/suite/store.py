"""Results on disk while they arrive: `results.jsonl`, one task a line, for resume, `--only-failed` and other programs.

What depends on the machine (times, memory, worker) is under the one key `machine`; without it the finished file is the same byte for
byte however many workers made it. A suite that is killed loses nothing but the line it was writing.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import TypeAdapter, ValidationError

from protocols.errors import ConfigError, InfrastructureError
from protocols.sentence import say
from sim.suite.code import code_sha256
from sim.suite.model import SuiteResult, Task, TaskResult
from sim.suite.spool import Spool
from sim.suite.whole_file import whole_file

RESULTS = "results.jsonl"
SUITE = "suite.json"
_LOCK = ".lock"
_MAX_BYTES = 4_000_000_000
_MAX_LINE = 32_000_000
_MACHINE = ("wall_s", "cpu_s", "peak_mb", "worker")
_FIELDS = tuple(item.name for item in fields(TaskResult))
_TASK_FIELDS = tuple(item.name for item in fields(Task))
_ADAPTER: TypeAdapter[TaskResult] = TypeAdapter(TaskResult)


class Store:
    """The results of one suite's folder. Use as a context manager: it holds the folder against a second suite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / RESULTS
        self._file: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._spool: Spool | None = None

    def __enter__(self) -> Self:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"--out {self.folder}: is no folder; expected one, or a new name.")
        with _sentences(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigError(
                f"{self.folder}: another suite writes here now; wait for it, or give another --out."
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._file, self._lock):
            if file is not None:
                file.close()

    def read(self) -> list[TaskResult]:
        """Earlier results, the last of each task; a torn last line is left out. ConfigError for a file that is not ours."""
        if not self.path.is_file():
            return []
        found: dict[str, TaskResult] = {}
        torn = False
        with _sentences(self.path), self.path.open("rb") as file:
            if self.path.stat().st_size > _MAX_BYTES:
                raise ConfigError(f"{self.path}: larger than {_MAX_BYTES} bytes; not a suite's.")
            number = 0
            while line := file.readline(_MAX_LINE + 1):
                number += 1
                if not line.endswith(b"\n") and len(line) <= _MAX_LINE:
                    torn = True  # what a crash cut off
                    break
                result = self.keep(_parse(self.path, number, line))
                found[result.task.id] = result
        if torn:
            self._write_all(found.values())
        return list(found.values())

    def keep(self, result: TaskResult) -> TaskResult:
        """`result`, with what nobody looks at before the end on disk."""
        if self._spool is None:
            with _sentences(self.folder):
                self._spool = Spool(self.folder)
        return self._spool.keep(result)

    def add(self, result: TaskResult) -> None:
        """One more line, on disk before the next task ends."""
        with _sentences(self.path):
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
            line = to_line(result)
            written = self._file.write(line)
        if written != len(line):
            raise InfrastructureError(
                say("{file}: only {written:d} of {size:d} bytes written.", file=self.path, written=written, size=len(line))
            )  # fmt: skip

    def finish(self, result: SuiteResult) -> None:
        """All lines again in the order of the plan, and the suite's own table."""
        self._write_all(result.results)
        self.describe(
            {
                "name": result.name,
                "outcome": result.outcome.value,
                "exit_code": result.exit_code,
                "sentence": result.sentence,
                "seed": result.seed,
                "runs": len(result.results),
                "not_run": [task.id for task in result.not_run],
                "is_interrupted": result.is_interrupted,
                "commit": result.commit,
                "code_sha256": code_sha256(),
                "versions": dict(result.versions),
                "machine": {
                    "started_utc": result.started_utc,
                    "wall_s": result.wall_s,
                    "workers": result.workers,
                },
            }
        )

    def describe(self, table: Mapping[str, Any]) -> None:
        """Write suite.json."""
        text = json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False)
        _replace(self.folder / SUITE, (text.encode(), b"\n"))

    def description(self) -> dict[str, Any]:
        """suite.json as it was left; empty when there is none."""
        path = self.folder / SUITE
        if not path.is_file():
            return {}
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            table = None
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: not readable as JSON; give another --out.")
        return table

    def _write_all(self, results: Iterable[TaskResult]) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        _replace(self.path, map(to_line, results))


def to_line(result: TaskResult) -> bytes:
    """One result as a line."""
    table = {name: getattr(result, name) for name in _FIELDS}  # asdict would copy every criterion
    table["task"] = {name: getattr(result.task, name) for name in _TASK_FIELDS}
    table["criteria"], table["metrics"] = list(result.criteria), dict(result.metrics.items())
    machine = {name: table.pop(name) for name in _MACHINE}
    table["machine"] = {
        k: round(v, 6) if isinstance(v, float) else v for k, v in machine.items()
    } | {"is_carried": table.pop("is_carried")}
    text = json.dumps(table, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.encode() + b"\n"


def mark_flaky(results: Sequence[TaskResult], groups: Mapping[str, str]) -> list[TaskResult]:
    """`groups`: task id -> what its repetitions share. Those that disagree in outcome or digest are marked, all of them."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for result in results:
        seen.setdefault(groups[result.task.id], set()).add((result.outcome.value, result.digest))
    return [replace(result, is_flaky=len(seen[groups[result.task.id]]) > 1) for result in results]


def _parse(path: Path, number: int, line: bytes) -> TaskResult:
    try:
        if len(line) > _MAX_LINE:
            raise ValueError("too long")
        table = json.loads(line)
        table.update(table.pop("machine"))
        return _ADAPTER.validate_python(table, strict=False)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, ValidationError):
        raise ConfigError(
            f"{path}: line {number} is no result of a suite; expected a file that `icv suite` wrote. "
            f"Give another --out, or leave --resume out."
        ) from None


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    with _sentences(path), whole_file(path) as file:
        file.writelines(parts)


class _sentences:
    """Failures of the disk in words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise InfrastructureError(
                say(
                    "{file}: {why}; the suite's results cannot be kept there. Free space, or give another --out, and go on with --resume.",
                    file=self._path,
                    why=error.strerror,
                )
            ) from error
