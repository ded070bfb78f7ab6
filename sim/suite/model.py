"""What a suite consists of (tasks) and what it leaves behind (task results): plain values that travel between processes as JSON.

A task is one run: a scene with overrides. Its `id` is stable: the same suite gives the same ids in the same order on every machine,
so results merge by id, never by arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scenarios.verdict import Outcome

INTERRUPTED = 130  # exit code after Ctrl-C or SIGTERM


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be made."""

    id: str  # "brt_corridor[seed=3,traffic.demand=0.8]"; "#2" behind it for the second repetition
    scene: str  # path of the scene file, or the name of a library scene
    overrides: tuple[str, ...] = ()  # KEY=VALUE, as `icv run --set`
    repeat: int = 0  # 0, 1, ... with --repeat
    suite: str = ""  # name of the suite it came from
    time_limit_s: float = 600.0  # wall
    memory_limit_mb: int = 4096
    is_memory_set: bool = False  # by the suite or the command line, not by default


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended. `wall_s`, `cpu_s`, `peak_mb`, `worker` are about the machine and never compared."""

    task: Task
    outcome: Outcome
    sentence: str
    digest: str = ""
    map_digest: str = ""
    criteria: Sequence[Mapping[str, Any]] = ()  # as in result.json
    metrics: Mapping[str, float] = field(default_factory=dict)  # "bus1.max_jerk_mps3" -> value
    log: str = ""  # path of the log, relative to the suite's folder; "" when none was kept
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    worker: int = -1
    is_flaky: bool = False  # a repetition of the same task disagreed in outcome or digest
    scene_sha256: str = ""  # of the scene file as it was read; "" when it could not be
    code_sha256: str = ""  # of the code that made it (`sim.suite.code`)
    is_carried: bool = False  # made by an earlier call (--resume, --only-failed), not by this one
    output: str = ""  # path of what the run printed, relative to the suite's folder; "" for nothing


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All results, in the order of the plan. `outcome` is the worst; nothing ran when there was no task."""

    name: str
    outcome: Outcome
    sentence: str
    results: tuple[TaskResult, ...]
    started_utc: str = ""  # given by the command line; about the machine
    wall_s: float = 0.0
    workers: int = 1
    commit: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    not_run: tuple[Task, ...] = ()  # of the plan, when it was interrupted
    is_interrupted: bool = False
    broken: str = (
        ""  # what kept the suite itself from ending, such as a full disk; "" when nothing did
    )

    @property
    def exit_code(self) -> int:
        """What `icv suite` returns."""
        return INTERRUPTED if self.is_interrupted else self.outcome.exit_code
