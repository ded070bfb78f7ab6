"""What a command may do with a hostile log, and the process that puts logs to all of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from tests.hostile_logs import damage, lies
from tests.hostile_logs.commands import CPU_S, GROWTH_MB, Outcome, arguments
from tests.hostile_logs.parts import Layout, built, regrouped

ROOT = Path(__file__).parents[2]
KINDS = (*damage.KINDS, *lies.LIES)
NAMES = list(arguments(Path(), Path(), Path()))
RUNNING = ("what-if", "rank", "replay", "recover", "unit", "shrink")  # run the scene again
READING = [name for name in NAMES if name not in RUNNING]
SIZES = (4_000, 30_000, 10**9)
_TOLD = re.compile(
    r"(.*: setting up|note: .*|run \d+ of .*|\s*\d+ runs: .*)"
)  # progress, not the answer


class Bench:
    """A warm process that serves one log after another; see `tests.hostile_logs.commands`."""

    def __init__(self, good: Path, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile_logs.commands", str(good), str(folder / "warm")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self.warm = self._answer()

    def put(self, log: Path, only: Sequence[str] = ()) -> list[Outcome]:
        """What each command does with a log."""
        assert self._process.stdin is not None
        place = self.folder / "out"
        request = {"log": str(log), "folder": str(place), "only": list(only)}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        found = self._answer()
        shutil.rmtree(place, ignore_errors=True)
        return found

    def _answer(self) -> list[Outcome]:
        assert self._process.stdout is not None
        return [Outcome(**item) for item in json.loads(self._process.stdout.readline())]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def hostile(layout: Layout, number: int) -> tuple[str, bytes]:
    """Kind and bytes of hostile log number so and so: kinds take turns, what they do is drawn."""
    kind = KINDS[number % len(KINDS)]
    draw = Random(f"hostile {number}")
    messages = [message for group in layout.groups for message in group]
    parts = replace(layout, groups=regrouped(messages, draw.choice(SIZES)))
    if kind in lies.LIES:
        parts.compression = draw.choice(("zstd",) * 18 + ("lz4", ""))
        return kind, lies.told(parts, kind, draw)
    return kind, damage.KINDS[kind](built(parts), draw)


def faults(outcome: Outcome, log: Path) -> list[str]:
    """What a command must not have done."""
    said = outcome.out + outcome.err
    found = []
    if outcome.code < 0:
        found.append(f"ended by signal {-outcome.code}")
    elif outcome.code not in (0, 1, 2, 3, 4):
        found.append(f"exit code {outcome.code}")
    if "Traceback" in said or "fault of icv" in said:
        found.append("a fault of ours")
    if outcome.wrote:
        found.append(f"wrote outside its folder: {outcome.wrote[:3]}")
    if outcome.cpu_s > CPU_S or outcome.grown_mb > GROWTH_MB:
        found.append(f"took {outcome.cpu_s:.1f} s and {outcome.grown_mb:.0f} MB")
    if not all(c.isprintable() or c == "\n" for c in said):
        found.append("control characters")
    is_unknown = outcome.command == "unit" and outcome.out.startswith(
        "UNKNOWN: "
    )  # an answer, exit code 3
    if outcome.code in (2, 3) and not is_unknown:
        lines = [line for line in said.splitlines() if line.strip() and not _TOLD.fullmatch(line)]
        if len(lines) != 1:
            found.append(f"{len(lines)} lines")
        name = "".join(c if c.isprintable() else " " for c in str(log))
        if name not in said or len(said) > 4_000:
            found.append("does not name the log, or goes on and on")
    return [
        f"{outcome.command}: {what}: {outcome.err[-400:]}{outcome.out[-200:]}" for what in found
    ]
