"""The corridor with everything on: real-time factor on one core, what recording costs, and the planner's share.

Recording on and off run in turn (A B A B) in fresh processes with warm caches. "Off" writes no log;
the digest covers everything in both.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.bench.child import NO_RECORD, run_child
from sim.bench.measure import Row, row

_SCENE = "brt_corridor"


def rows(runs: int) -> Iterator[Row]:
    """Corridor rows."""
    run_child(_SCENE, ("duration_s=5",))  # compiles what is not compiled yet
    on, off = [], []
    for _ in range(runs):
        on.append(run_child(_SCENE, ()))
        off.append(run_child(_SCENE, (NO_RECORD,)))
    duration_s = on[0]["duration_s"]
    workload = f"brt_corridor, {duration_s:.0f} s, one core"
    yield row(
        workload,
        "real-time factor, cpu",
        [r["duration_s"] / r["run_cpu_s"] for r in on],
        "x",
        basis="cpu",
    )
    yield row(
        workload,
        "real-time factor, wall",
        [r["duration_s"] / r["run_wall_s"] for r in on],
        "x",
        basis="wall",
    )
    yield row(workload, "cpu with recording", [r["run_cpu_s"] for r in on], "s", basis="cpu")
    yield row(workload, "cpu without recording", [r["run_cpu_s"] for r in off], "s", basis="cpu")
    shares = [100.0 * (a["run_cpu_s"] / b["run_cpu_s"] - 1.0) for a, b in zip(on, off, strict=True)]
    yield row(workload, "cost of recording, cpu", shares, "%", basis="cpu")
    yield row(workload, "log size", [r["log_mb"] for r in on], "MB")
    for key, unit in (("planner_ms_mean", "ms"), ("planner_ms_p99", "ms")):
        values = [r["timing"][key] for r in on if key in r["timing"]]
        if values:
            yield row(
                workload, key.removesuffix("_ms").replace("_ms_", " "), values, unit, basis="wall"
            )
