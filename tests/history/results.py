"""Suite results made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenarios.verdict import Outcome, worst
from sim.suite.model import SuiteResult, Task, TaskResult


def task_result(
    name: str = "corridor",
    *,
    repeat: int = 0,
    outcome: Outcome = Outcome.PASS,
    digest: str = "aa",
    metrics: Mapping[str, float] | None = None,
    criteria: tuple[Mapping[str, Any], ...] = (),
    **more: Any,
) -> TaskResult:
    ident = f"{name}#{repeat + 1}" if repeat else name
    task = Task(ident, name.partition("[")[0], repeat=repeat, suite="nightly")
    return TaskResult(
        task, outcome, more.pop("sentence", outcome.value), digest, more.pop("map_digest", "m"), criteria, metrics or {}, **more,
    )  # fmt: skip


def suite(*results: TaskResult, commit: str = "c0ffee", **more: Any) -> SuiteResult:
    outcome = worst(result.outcome for result in results)
    return SuiteResult("nightly", outcome, "", results, commit=commit, **more)


def jerk(value: float | None, *, passed: bool = True) -> dict[str, Any]:
    return {
        "name": "comfort/bus1 jerk", "passed": passed, "value": value, "limit": 3.0, "unit": "m/s3",
        "sentence": "bus1: |jerk| peak", "t_s": 4.5, "where": "",
    }  # fmt: skip
