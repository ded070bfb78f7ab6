"""What running many scenarios at once gains and costs: speed with two workers, readiness of a worker, overhead of a task.

The work is 100 runs of ten simulated seconds, seeds 1 to 50 of both library scenes. Overhead is the wall time of a task that does
nothing: order, folder, answer, line on disk. Results with one and two workers must be the same, or the bench fails.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from protocols.errors import InfrastructureError
from scenarios.suites import Entry, Expansion
from scenarios.verdict import Outcome
from sim.bench.measure import Row, row
from sim.suite.model import SuiteResult
from sim.suite.plan import make_plan
from sim.suite.pool import Job, Pool, begin
from sim.suite.run import SuiteOptions, run_suite
from sim.suite.store import RESULTS
from sim.suite.wire import Order

_SEEDS = 50
_NOTHINGS = 2000
_SHORT = ("duration_s=10.0", 'criteria=[{ kind = "no_collision" }]')


def rows(runs: int) -> Iterator[Row]:
    """Suite rows."""
    begin()
    ready = [_ready(1)[0] for _ in range(max(runs, 5) + 1)]
    yield row("suite", "first worker ready, with imports and kernels", ready[:1], "s", basis="wall")
    yield row("suite", "worker ready", ready[1:], "s", basis="wall")
    with tempfile.TemporaryDirectory() as folder:
        walls = [_overhead(Path(folder) / str(k)) for k in range(runs)]
    yield row("suite", "overhead of a task", [1e3 * wall for wall in walls], "ms", basis="wall")
    yield from _speed(runs)


def _ready(count: int) -> list[float]:
    """Seconds from asking for workers to their first word."""
    plan = make_plan(_entries("nothing", 1))
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(task, Order(task.scene, (), folder), "") for task in plan.tasks]
        pool = Pool(count, job="sim.bench.suite_nothing:nothing")
        pool.run(jobs, lambda result: None, lambda at: None)
    return pool.ready_s


def _overhead(folder: Path) -> float:
    """Wall seconds a task that does nothing costs, with one worker."""
    plan = make_plan(_entries("nothing", _NOTHINGS))
    start = time.perf_counter()
    run_suite(plan, SuiteOptions(folder, job="sim.bench.suite_nothing:nothing"))
    return (time.perf_counter() - start) / _NOTHINGS


def _speed(runs: int) -> Iterator[Row]:
    walls: dict[int, list[float]] = {1: [], 2: []}
    own: list[float] = []
    contents = set()
    for _ in range(runs):
        for workers, taken in walls.items():
            with tempfile.TemporaryDirectory() as folder:
                cpu, start = time.process_time(), time.perf_counter()
                result = _hundred(Path(folder), workers)
                taken.append(time.perf_counter() - start)
                own.append((time.process_time() - cpu) / sum(r.cpu_s for r in result.results))
                contents.add(_content(Path(folder) / RESULTS))
    if len(contents) != 1:
        raise InfrastructureError("the suite's results depend on the number of workers")
    work = "100 ten-second scenarios"
    for workers, values in walls.items():
        yield row(work, f"wall, -j {workers}", values, "s", basis="wall")
    yield row(work, "faster with 2 workers than with 1",
              [a / b for a, b in zip(walls[1], walls[2], strict=True)], "x",
              basis="wall", cores=os.cpu_count())  # fmt: skip
    yield row(work, "processor time of the suite itself, share of its workers'", own, "")


def _hundred(folder: Path, workers: int) -> SuiteResult:
    plan = make_plan(
        Expansion("hundred", _some("brt_corridor") + _some("smart_island"), 1), overrides=_SHORT
    )
    result = run_suite(plan, SuiteOptions(folder, workers=workers))
    if result.outcome not in (Outcome.PASS, Outcome.FAIL):
        raise InfrastructureError(f"bench suite: {result.sentence}")
    return result


def _some(scene: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(f"{scene}[seed={seed}]", scene, (f"seed={seed}",)) for seed in range(1, _SEEDS + 1)
    )


def _entries(scene: str, count: int) -> Expansion:
    base = Entry(scene, scene)
    return Expansion(scene, tuple(replace(base, id=f"{scene}-{k}") for k in range(count)), 1)


def _content(path: Path) -> str:
    """Results without what is the machine's."""
    tables = [json.loads(line) for line in path.read_text().splitlines()]
    return json.dumps([{k: v for k, v in t.items() if k != "machine"} for t in tables])
