"""Reports and differences of ten-minute corridor runs: time and memory of `icv report` and `icv diff`, size of the file, speed of the page.

Two runs are made, once: the library's corridor, and the same where messages are lost from its middle on. Commands are measured as
processes, start of Python included; their memory is the peak of the process. Seeking and playing are measured in a browser without a GPU.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import InfrastructureError
from sim.bench import browser
from sim.bench.measure import OURS, Row, row, skipped

_WORKLOAD = "brt_corridor, 600 s"
_SCENE = ("brt_corridor", "--duration", "600", "--no-picture", "-q")
_LOSS = 'faults=[{kind="message_loss",at_s=300.0,share=0.2}]'
_FAIL = 1  # a run that is cut off before the bus arrives fails; two logs that differ


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def rows(runs: int) -> Iterator[Row]:
    """Rows of report, page and diff."""
    with tempfile.TemporaryDirectory() as folder:
        plain, lossy, copy = (Path(folder) / name for name in ("plain", "lossy", "copy"))
        _icv("run", *_SCENE, "--out", str(plain))
        _icv("run", *_SCENE, "--set", _LOSS, "--out", str(lossy))
        copy.mkdir()
        shutil.copy(plain / "run.mcap", copy / "run.mcap")
        report = plain / "report.html"
        wrote = [_icv("report", str(plain), "--out", str(report)) for _ in range(runs)]
        size_mb = (plain / "run.mcap").stat().st_size / 1e6
        yield row(_WORKLOAD, "log size", size_mb, "MB")
        yield from _cost("report written", wrote)
        yield row(_WORKLOAD, "report size", report.stat().st_size / 1e6, "MB")
        yield from _page_rows(report, [cost.wall_s for cost in wrote], runs)
        for other, what in ((copy, "of equal logs"), (lossy, "of logs that part in the middle")):
            pair = [str(folder / "run.mcap") for folder in (plain, other)]
            yield from _cost(f"diff {what}", [_icv("diff", *pair, "-q") for _ in range(runs)])


def _cost(metric: str, costs: Sequence[Cost]) -> Iterator[Row]:
    yield row(_WORKLOAD, metric, [cost.wall_s for cost in costs], "s", basis="wall")
    yield row(_WORKLOAD, f"{metric}, processor", [cost.cpu_s for cost in costs], "s", basis="cpu")
    peaks = [cost.peak_mb for cost in costs]
    yield row(_WORKLOAD, f"{metric}, peak resident memory", peaks, "MB")


def _page_rows(report: Path, written_s: Sequence[float], runs: int) -> Iterator[Row]:
    reason = browser.missing()
    if reason is not None:
        for metric in ("report opened and drawn", "log to open report", "seek", "frame"):
            yield skipped(_WORKLOAD, metric, OURS, reason)
        return
    opened = []
    seek_ms: list[float] = []
    frame_ms: list[float] = []
    script_ms: list[float] = []
    for _ in range(runs):
        with browser.chromium() as page:
            opened.append(browser.open_s(page, report))
            times = browser.times(page)
        seek_ms += times.seek_ms
        frame_ms += times.frame_ms
        script_ms += times.script_ms
    whole = [write + show for write, show in zip(written_s, opened, strict=True)]
    yield row(_WORKLOAD, "report opened and drawn", opened, "s", basis="wall")
    yield row(_WORKLOAD, "log to open report", whole, "s", basis="wall")
    for metric, values in (
        ("seek", seek_ms), ("frame", frame_ms), ("frame, own script", script_ms)
    ):  # fmt: skip
        yield row(_WORKLOAD, f"{metric}, median", values, "ms", basis="wall")
        yield row(_WORKLOAD, f"{metric}, 95th percentile", statistics.quantiles(values, n=20)[-1], "ms", basis="wall")  # fmt: skip


def _icv(*arguments: str) -> Cost:
    """Runs one command; a verdict or a difference is no error."""
    command = Path(sys.executable).with_name("icv")
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen([str(command), *arguments], stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, _FAIL):
            said.seek(0)
            last = (said.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise InfrastructureError(
                f"icv {arguments[0]} ended with code {process.returncode}: {last}"
            )
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
