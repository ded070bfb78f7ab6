"""A stand-in for `sim.compose` in tests of the command line: strict about what it is called with, says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from protocols.judging import RunFacts
from scenarios.spec import SceneSpec
from scenarios.verdict import CriterionResult, Verdict, decide


@dataclass
class Outcome:
    """The fields of `sim.compose.RunOutcome` that the command line reads."""

    verdict: Verdict
    facts: RunFacts
    log_path: Path
    result_path: Path
    digest: str = "ab" * 32
    picture: Any = None
    timing: dict[str, float] = field(
        default_factory=lambda: {"wall_s": 1.0, "planner_ms_mean": 2.0}
    )


@dataclass
class Options:
    """The fields of `sim.compose.RunOptions` that the command line sets."""

    cache_dir: Path | None = None
    carrier: Any = None
    keys: Path | None = None
    tap: str = ""
    realtime: bool = False
    carla: Any = None


@dataclass
class Answer:
    """`sim.rerun.ReplayOutcome`."""

    same: bool
    message: str
    digest_a: str = "aa"
    digest_b: str = "bb"
    outcome: Any = None


class FakeCompose(ModuleType):
    """Put into `sys.modules` as `sim.compose` and `sim.rerun`."""

    def __init__(self) -> None:
        super().__init__("sim.compose")
        self.ran: list[tuple[SceneSpec, Path, Path]] = []
        self.passes = True
        self.same = True
        self.error: BaseException | None = None
        self.options: Options | None = None
        self.RunOptions = Options

    def run_scene(
        self,
        spec: SceneSpec,
        base: Path,
        out: Path,
        *,
        progress: Callable[[float], None] | None = None,
        options: Options | None = None,
    ) -> Outcome:
        """Writes a log, then ends as it was told to."""
        self.options = options
        assert base.is_dir() and out.is_dir()
        self.ran.append((spec, base, out))
        (out / "run.mcap").write_bytes(b"half a log")
        if progress is not None:
            for quarter in range(1, 5):
                progress(spec.duration_s * quarter / 4)
        if self.error is not None:
            raise self.error
        result = CriterionResult("no_collision", self.passes, "judged", 0.0, 0.0)
        return Outcome(
            decide([result]), RunFacts(spec.duration_s), out / "run.mcap", out / "result.json"
        )

    def replay_log(
        self, log: Path, out: Path, *, recover: bool = False, progress: Callable[[float], None] | None = None
    ) -> Answer:  # fmt: skip
        """Same or not, as told."""
        assert out.is_dir()
        if self.error is not None:
            raise self.error
        return Answer(self.same, "as recorded" if self.same else "left the record at tick 412")
