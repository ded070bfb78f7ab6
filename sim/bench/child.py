"""One run of a scene in a process of its own, so that start-up, memory and caches are measured from nothing.

`python -m sim.bench.child SCENE OUT [no-record] [zmq] [KEY=VALUE ...]` prints one JSON line: wall and CPU seconds of the run and of the whole process, the
real-time factor, resident memory every 10 simulated seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from protocols.errors import InfrastructureError

_SAMPLE_S = 10.0
NO_RECORD = "no-record"  # no log, for measuring what recording costs
ZMQ = "zmq"  # units as processes


def run_child(
    scene: str, overrides: Sequence[str], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run in a fresh process on one thread; adds `process_wall_s`, measured from outside."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sim.bench.child", scene, out, *overrides],
            env={**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **(env or {})},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wall_s = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InfrastructureError(f"bench run of {scene} ended with code {done.returncode}: {last}")
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    report["process_wall_s"] = wall_s
    return report


def main(arguments: Sequence[str]) -> None:
    """The child's side."""
    from scenarios.load import load_scene
    from sim.bench.measure import rss_mb
    from sim.carrier import Carrier
    from sim.compose import RunOptions, run_scene

    scene, out, *overrides = arguments
    keep = [override for override in overrides if override not in (NO_RECORD, ZMQ)]
    loaded = load_scene(Path(scene), keep)
    options = RunOptions(
        record=NO_RECORD not in overrides, carrier=Carrier() if ZMQ in overrides else None
    )
    memory: list[tuple[float, float]] = []

    def sample(t_s: float) -> None:
        if not memory or t_s - memory[-1][0] >= _SAMPLE_S:
            memory.append((t_s, rss_mb()))

    cpu, wall = time.process_time(), time.perf_counter()
    outcome = run_scene(
        loaded.spec, loaded.path.parent, Path(out), progress=sample, options=options
    )
    run_cpu_s, run_wall_s = time.process_time() - cpu, time.perf_counter() - wall
    memory.append((loaded.spec.duration_s, rss_mb()))
    log = outcome.log_path
    log_mb = log.stat().st_size / 1e6 if options.record else 0.0  # the folder may hold an older log
    print(
        json.dumps(
            {
                "duration_s": loaded.spec.duration_s, "run_cpu_s": run_cpu_s, "run_wall_s": run_wall_s,
                "process_cpu_s": time.process_time(), "timing": outcome.timing, "digest": outcome.digest,
                "log_mb": log_mb, "memory_mb": memory,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
