"""From a suite's result to rows of the tables: text and figures that every database takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.engine import Connection

from sim.history.model import criterion, metric, suite_run, task_run
from sim.suite.model import SuiteResult, TaskResult

MAX_TEXT = 20_000  # characters of a sentence or name that are kept


def add_suite(connection: Connection, result: SuiteResult, started_utc: str) -> int:
    """Insert a suite with the tasks that it ran itself; the suite run's number.

    Results carried over from an earlier call are that call's: here they would stand beside the wrong commit.
    """
    run = _insert(
        connection,
        suite_run,
        name=_text(result.name),
        started_utc=_text(started_utc),
        outcome=result.outcome.value,
        sentence=_text(result.sentence),
        wall_s=_finite(result.wall_s),
        workers=result.workers,
        icv_commit=_text(result.commit),
        versions=_text(json.dumps(dict(result.versions), sort_keys=True)),
        seed=result.seed,
    )
    for position, one in enumerate(result.results):
        if not one.is_carried:
            _add_task(connection, run, position, one)
    return run


def _add_task(connection: Connection, run: int, position: int, one: TaskResult) -> None:
    task = one.task
    key = _insert(
        connection,
        task_run,
        run_id=run,
        position=position,
        task_id=_text(task.id),
        scenario=_text(scenario_of(task.id, task.repeat)),
        repetition=task.repeat,
        scene=_text(task.scene),
        overrides=_text(json.dumps(list(task.overrides))),
        suite=_text(task.suite),
        outcome=one.outcome.value,
        sentence=_text(one.sentence),
        digest=_text(one.digest),
        map_digest=_text(one.map_digest),
        log=_text(one.log),
        is_flaky=one.is_flaky,
        wall_s=_finite(one.wall_s),
        cpu_s=_finite(one.cpu_s),
        peak_mb=_finite(one.peak_mb),
    )
    figures = {_text(name): _finite(value) for name, value in one.metrics.items()}
    if figures:
        rows = [{"task": key, "name": name, "value": value} for name, value in figures.items()]
        connection.execute(insert(metric), rows)
    if one.criteria:
        rows = [_criterion(key, k, table) for k, table in enumerate(one.criteria)]
        connection.execute(insert(criterion), rows)


def scenario_of(task_id: str, repeat: int) -> str:
    """A task's id without the mark of its repetition."""
    head, mark, number = task_id.rpartition("#")
    return head if repeat > 0 and mark and number.isdecimal() else task_id


def _criterion(task: int, position: int, table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": task,
        "position": position,
        "name": _text(str(table.get("name", ""))),
        "passed": bool(table.get("passed", False)),
        "value": _finite(table.get("value")),
        "limit_value": _finite(table.get("limit")),
        "unit": _text(str(table.get("unit") or "")),
        "t_s": _finite(table.get("t_s")),
        "sentence": _text(str(table.get("sentence", ""))),
    }


def _insert(connection: Connection, table: Table, **values: Any) -> int:
    done = connection.execute(insert(table).values(**values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def _text(text: str) -> str:
    """Text that every database takes: no NUL, no half of a surrogate pair, no novel."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")[:MAX_TEXT]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
