"""How long until something happens: `icv --help`, and the first world step with warm and with cold kernel caches.

The first step is a corridor run of a single tick in a fresh process: reading the map, composing the world
and stepping it once. "process" counts from the start of Python, "run" from the call of `run_scene`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sim.bench.child import run_child
from sim.bench.measure import Row, row, timed

_ONE_TICK = ("duration_s=0.01", "tick_ms=10")


def rows(runs: int) -> Iterator[Row]:
    """Start-up rows."""
    yield from _help(runs)
    for state in ("cold", "warm"):
        reports = []
        with tempfile.TemporaryDirectory() as shared:
            if state == "warm":
                run_child("brt_corridor", _ONE_TICK, {"NUMBA_CACHE_DIR": shared})  # fills the cache
            for _ in range(runs):
                with tempfile.TemporaryDirectory() as fresh:
                    cache = shared if state == "warm" else fresh
                    reports.append(run_child("brt_corridor", _ONE_TICK, {"NUMBA_CACHE_DIR": cache}))
        workload = f"first step of brt_corridor, {state} kernel cache"
        for key, metric in (
            ("process_wall_s", "whole process, wall"), ("process_cpu_s", "whole process, cpu"),
            ("run_wall_s", "run, wall"), ("run_cpu_s", "run, cpu"),
        ):  # fmt: skip
            yield row(
                workload, metric, [r[key] for r in reports], "s", basis=metric.rpartition(" ")[2]
            )


def _help(runs: int) -> Iterator[Row]:
    command = Path(sys.executable).with_name("icv")

    def ask() -> None:
        subprocess.run([str(command), "--help"], check=True, stdout=subprocess.DEVNULL)

    ask()
    walls = [timed(ask)[1] for _ in range(max(10, 3 * runs))]
    yield row("icv --help", "wall", walls, "s", basis="wall")
