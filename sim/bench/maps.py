"""Road maps against their peers: load from XML, load from the cache, batch matching.

Rows of `icv bench maps`. All figures are CPU time of this process (`time.process_time`), medians of `runs`; the peer runs in turn
with us (A B A B), so that a busy machine slows both. Points: the peer's own waypoints every 2 m, moved by a normal(0, 1 m) offset,
in random order with a fixed seed; both answer lane, s and pose for the same points among driving lanes.

esmini is not on the package registry and is not run here: its row is a reference figure with its source, not a measurement.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from protocols.roads.matching import build_index, lanes_allowed, match
from protocols.roads.network import F64, LaneType
from scenarios.formats.opendrive import read

QUERIES = 20_000
SMALL = Path(__file__).parents[3] / "shared/corpora/esmini/resources/xodr/fabriksgatan.xodr"
ESMINI_LOAD_S = 2.08  # 3.2 MB grid; shared/facts/performance.md, RoadManager through ctypes
ESMINI_SOURCE = "reference, not run here: esmini RoadManager, shared/facts/performance.md"

Row = dict[str, object]


def rows(runs: int = 5) -> Iterator[Row]:
    """Every row of the map benchmark; a missing peer or file gives a row that says so."""
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid10.xodr"
        missing = _make_grid(grid)
        if SMALL.exists():
            yield from _file_rows(SMALL, "fabriksgatan 63 kB", Path(folder), runs)
        else:
            yield _skipped("fabriksgatan 63 kB", f"{SMALL} is absent")
        if missing:
            yield _skipped("grid 10x10 3.3 MB", missing)
            return
        yield from _file_rows(grid, "grid 10x10 3.3 MB", Path(folder), runs)
        yield {
            "workload": "grid 10x10 3.2 MB", "metric": "load from XML, CPU", "value": ESMINI_LOAD_S, "unit": "s",
            "runs": 0, "spread": [ESMINI_LOAD_S, ESMINI_LOAD_S], "peer": ESMINI_SOURCE,
        }  # fmt: skip


def _file_rows(path: Path, workload: str, folder: Path, runs: int) -> Iterator[Row]:
    cache = folder / "cache"
    net = read(path, cache_dir=cache)  # compiles, and fills the cache
    index = build_index(net)
    text = path.read_text(errors="replace")
    try:
        import carla
    except ImportError:
        yield _skipped(workload, "carla is not installed: no peer")
        carla = None
    load_peer = (lambda: carla.Map("m", text)) if carla else None
    ours, theirs = _pairs(lambda: read(path), load_peer, runs)
    yield _row(workload, "load from XML, CPU", ours, "s", "icv")
    if theirs:
        yield _row(workload, "load from XML, CPU", theirs, "s", "carla.Map 0.9.16")
        yield _ratio(workload, "load from XML, peer time / ours", ours, theirs)
    cached, _ = _pairs(lambda: read(path, cache_dir=cache), None, runs)
    yield _row(workload, "load from cache, CPU", cached, "s", "icv")
    built, _ = _pairs(lambda: build_index(net), None, runs)
    yield _row(workload, "build match index, CPU", built, "s", "icv")
    if carla is None:
        return
    world = carla.Map("m", text)
    x, y = _points(world)
    allowed = lanes_allowed(index, types=(LaneType.DRIVING,))
    places = [carla.Location(x=float(a), y=float(-b), z=0.0) for a, b in zip(x, y, strict=True)]

    def ask_peer() -> None:
        for place in places:
            world.get_waypoint(place)

    match(index, x, y, allowed=allowed)
    ours, theirs = _pairs(lambda: match(index, x, y, allowed=allowed), ask_peer, runs)
    ours, theirs = [QUERIES / t for t in ours], [QUERIES / t for t in theirs]
    yield _row(workload, "match queries", ours, "1/s", "icv")
    yield _row(workload, "match queries", theirs, "1/s", "carla.Map 0.9.16 get_waypoint")
    yield _ratio(workload, "match queries, ours / peer", theirs, ours)


def _points(world: Any) -> tuple[F64, F64]:
    draw = np.random.default_rng(0)
    on_lane = np.array(
        [(w.transform.location.x, -w.transform.location.y) for w in world.generate_waypoints(2.0)]
    )
    on_lane += draw.normal(0.0, 1.0, on_lane.shape)
    chosen = on_lane[draw.integers(0, len(on_lane), QUERIES)]
    return np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1])


def _pairs(
    ours: Callable[[], object], peer: Callable[[], object] | None, runs: int
) -> tuple[list[float], list[float]]:
    """CPU seconds of alternating calls."""
    mine: list[float] = []
    other: list[float] = []
    for _ in range(runs):
        mine.append(_cpu_s(ours))
        if peer is not None:
            other.append(_cpu_s(peer))
    return mine, other


def _cpu_s(call: Callable[[], object]) -> float:
    """CPU seconds of one call; very short calls are repeated, because the clock ticks in microseconds."""
    start = time.process_time()
    call()
    spent = time.process_time() - start
    if spent > 0.005:
        return spent
    repeats = 20
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def _row(workload: str, metric: str, values: list[float], unit: str, peer: str) -> Row:
    return {
        "workload": workload, "metric": metric, "value": statistics.median(values), "unit": unit,
        "runs": len(values), "spread": [min(values), max(values)], "peer": peer,
    }  # fmt: skip


def _ratio(workload: str, metric: str, below: list[float], above: list[float]) -> Row:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return _row(workload, metric, ratios, "ratio", "carla.Map 0.9.16")


def _skipped(workload: str, reason: str) -> Row:
    return {
        "workload": workload, "metric": "skipped", "value": None, "unit": "", "runs": 0,
        "spread": [], "peer": reason,
    }  # fmt: skip


def _make_grid(path: Path) -> str:
    """Write SUMO's 10 x 10 grid as OpenDRIVE; returns why not, or an empty string."""
    try:
        import sumo
    except ImportError:
        return "eclipse-sumo is not installed: no generated grid"
    home = Path(sumo.SUMO_HOME)
    environment = {**os.environ, "SUMO_HOME": str(home)}
    net = path.with_suffix(".net.xml")
    make = [
        str(home / "bin/netgenerate"), "--grid", "--grid.number", "10", "--grid.length", "200",
        "--default.lanenumber", "2", "-o", str(net),
    ]  # fmt: skip
    convert = [str(home / "bin/netconvert"), "-s", str(net), "--opendrive-output", str(path)]
    for command in (make, convert):
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode:
            return f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace')[:200]}"
    return ""
