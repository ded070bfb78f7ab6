"""Resident memory of a corridor run: its peak over ten minutes, and its growth over two hours.

Growth is the difference between the mean of the last tenth and the mean of the second tenth of the two-hour run: caches and buffers have
settled by then, so a flat run shows about zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from sim.bench.child import run_child
from sim.bench.measure import Row, row

_SCENE = "brt_corridor"
_LONG_S = 7200.0


def growth_mb(memory: Sequence[Sequence[float]]) -> float:
    """Growth between the second and the last tenth of samples (t_s, MB)."""
    tenth = max(1, len(memory) // 10)
    values = [mb for _, mb in memory]
    return fmean(values[-tenth:]) - fmean(values[tenth : 2 * tenth] or values[:tenth])


def rows(runs: int) -> Iterator[Row]:
    """Memory rows; the two-hour run is done once."""
    short = [run_child(_SCENE, ("duration_s=600",)) for _ in range(runs)]
    peaks = [max(mb for _, mb in r["memory_mb"]) for r in short]
    yield row("brt_corridor, 600 s", "peak resident memory", peaks, "MB")
    long = run_child(_SCENE, (f"duration_s={_LONG_S:g}",))
    peak = max(mb for _, mb in long["memory_mb"])
    yield row("brt_corridor, 2 h", "peak resident memory", peak, "MB")
    yield row("brt_corridor, 2 h", "growth of resident memory", growth_mb(long["memory_mb"]), "MB")
