"""Shared measuring helpers: rows, spread, the machine, and how fast it is just now.

A row: workload, metric, value (median), unit, runs, lo, hi, peer ("icv" for us), and where it helps `basis` ("cpu": per processor second
of the measuring process, steady on a busy machine; "wall": by the clock, for a quiet one). A figure that cannot be had here has
`skipped` with the reason instead of a value.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

OURS = "icv"
Row = dict[str, Any]


def row(
    workload: str,
    metric: str,
    values: float | Sequence[float],
    unit: str,
    *,
    peer: str = OURS,
    **extra: Any,
) -> Row:
    """One figure from one value or from those of several runs."""
    runs = [float(v) for v in (values if isinstance(values, Sequence) else [values])]
    return {
        "workload": workload, "metric": metric, "peer": peer, "value": _short(statistics.median(runs)), "unit": unit,
        "runs": len(runs), "spread": [_short(min(runs)), _short(max(runs))], **extra,
    }  # fmt: skip


def skipped(workload: str, metric: str, peer: str, reason: str) -> Row:
    """A figure that cannot be had on this machine, and why."""
    return {"workload": workload, "metric": metric, "peer": peer, "skipped": reason, "runs": 0}


def timed(job: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, wall seconds, this process's CPU seconds) of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = job()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def spin_s(count: int = 2_000_000) -> float:
    """CPU seconds of a fixed pure-Python loop: how fast this machine is just now (lower is faster)."""
    start = time.process_time()
    x = 0
    for i in range(count):
        x += i & 7
    return time.process_time() - start


def machine() -> Row:
    """What the figures were taken on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_1min": round(os.getloadavg()[0], 2),
        "spin_s": round(spin_s(), 4),
    }


def rss_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _short(value: float) -> float:
    return float(f"{value:.5g}")
