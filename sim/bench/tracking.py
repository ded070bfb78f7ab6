"""The roadside tracker against its peers: frames per second and identity switches at 100 objects.

Rows of `icv bench sensing`. Workload: 100 objects on 400 x 400 m, constant velocity, 0.3 m noise, 5 % misses, 5 clutter points,
60 frames at 10 Hz in random order: positions only, as the peers take them. All times are CPU time of this process
(`time.process_time`), medians of `runs`, ours and the peers' in turn. The filterpy peer is the usual script: one `KalmanFilter`
per track, SciPy's exact assignment of Euclidean distances, gate 5 m. norfair runs with its own defaults for points, gate 5 m.

Identity switches: at each frame, true objects and tracks are paired at least total distance inside 2 m; a switch is a true
object whose track is another one than when it was last paired (CLEAR MOT; Bernardin and Stiefelhagen 2008), over all frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from protocols.roads.network import F64, U8
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from roadside.tracking import Tracker, TrackingConfig
from sim.bench.measure import OURS, Row, row, skipped

OBJECTS = 100
FRAMES = 60
WORKLOAD = "100 objects + 5 clutter, 5 % misses, 60 frames"
DT_S = 0.1
GATE_M = 5.0

Frames = list[tuple[F64, F64]]  # true positions (100, 2), detections (n, 2)
Result = list[tuple[list[int], F64]]  # ids, positions (k, 2) by frame


def rows(runs: int) -> Iterator[Row]:
    """Every row of the tracker; a missing peer gives a row that says so."""
    frames = workload()
    lists = [object_list(k, z) for k, (_, z) in enumerate(frames)]
    ours(lists)  # compiles
    peers: list[tuple[str, Callable[[Frames], Result]]] = []
    for name, load in (("filterpy + scipy", _filterpy), ("norfair", _norfair)):
        try:
            peers.append((name, load()))
        except ImportError as error:
            yield skipped(WORKLOAD, "frames", name, f"{error.name} is not installed")
    rate: dict[str, list[float]] = {OURS: [], **{name: [] for name, _ in peers}}
    for _ in range(runs):
        rate[OURS].append(FRAMES / _cpu_s(lambda: ours(lists), 5))
        for name, call in peers:
            rate[name].append(FRAMES / _cpu_s(lambda call=call: call(frames), 1))  # type: ignore[misc]
    found = {OURS: ours(lists), **{name: call(frames) for name, call in peers}}
    for name, values in rate.items():
        yield row(WORKLOAD, "frames", values, "1/s", peer=name, basis="cpu")
        yield row(WORKLOAD, "identity switches", switches(frames, found[name]), "1", peer=name)


def workload(seed: int = 3) -> Frames:
    """True positions and detections by frame."""
    rng = np.random.default_rng(seed)
    position = rng.uniform(0, 400, (OBJECTS, 2))
    velocity = rng.normal(0, 6, (OBJECTS, 2))
    frames = []
    for _ in range(FRAMES):
        position = position + velocity * DT_S
        keep = rng.random(OBJECTS) > 0.05
        seen = (position + rng.normal(0, 0.3, position.shape))[keep]
        seen = np.concatenate([seen, rng.uniform(0, 400, (5, 2))])
        frames.append((position.copy(), seen[rng.permutation(len(seen))]))
    return frames


def object_list(frame: int, seen: F64) -> ObjectList:
    """Detections (n, 2) of one frame as a sensor that measures no velocity hands them over."""
    zero = np.zeros(len(seen))
    kind: U8 = np.zeros(len(seen), dtype=np.uint8)
    return ObjectList(
        t_ns=round(frame * DT_S * 1e9),
        is_world_frame=True,
        x_m=np.ascontiguousarray(seen[:, 0]),
        y_m=np.ascontiguousarray(seen[:, 1]),
        yaw_rad=zero,
        vx_mps=zero,
        vy_mps=zero,
        length_m=zero,
        width_m=zero,
        kind=kind,
        sigma_m=zero + 0.3,
        source=SensorKind.CAMERA,
        velocity=VelocityKind.NONE,
    )


def ours(lists: list[ObjectList]) -> Result:
    """The roadside tracker, reports included."""
    tracker = Tracker(TrackingConfig())
    out = []
    for objects in lists:
        tracks = tracker.update((objects,), objects.t_ns)
        out.append((tracks.track_id.tolist(), np.column_stack((tracks.x_m, tracks.y_m))))
    return out


def _filterpy() -> Callable[[Frames], Result]:
    kalman: Any = import_module("filterpy.kalman")

    def run(frames: Frames) -> Result:
        tracks: list[Any] = []
        out = []
        next_id = 1
        for _, seen in frames:
            for track in tracks:
                track.predict()
            used: set[int] = set()
            if tracks:
                distance = cdist(np.array([track.x[:2, 0] for track in tracks]), seen)
                row, column = linear_sum_assignment(distance)
                near = distance[row, column] < GATE_M
                used = set(column[near].tolist())
                for a, b in zip(row[near], column[near], strict=True):
                    tracks[a].update(seen[b].reshape(2, 1))
                    tracks[a].miss = 0
                hit = set(row[near].tolist())
                for a, track in enumerate(tracks):
                    track.miss += a not in hit
                tracks = [track for track in tracks if track.miss < 4]
            for b in range(len(seen)):
                if b in used:
                    continue
                track = kalman.KalmanFilter(4, 2)
                track.F = np.array([[1, 0, DT_S, 0], [0, 1, 0, DT_S], [0, 0, 1, 0], [0, 0, 0, 1.0]])
                track.H = np.eye(2, 4)
                track.P *= 10
                track.R *= 0.1
                track.Q *= 0.05
                track.x[:2, 0] = seen[b]
                track.miss = 0
                track.ident = next_id
                next_id += 1
                tracks.append(track)
            out.append(([t.ident for t in tracks], np.array([t.x[:2, 0] for t in tracks])))
        return out

    return run


def _norfair() -> Callable[[Frames], Result]:
    norfair: Any = import_module("norfair")

    def run(frames: Frames) -> Result:
        tracker = norfair.Tracker(
            distance_function="mean_euclidean", distance_threshold=GATE_M, hit_counter_max=4, initialization_delay=1,
        )  # fmt: skip
        out = []
        for _, seen in frames:
            found = tracker.update([norfair.Detection(points=point[None]) for point in seen])
            place = np.array([t.estimate[0] for t in found]).reshape(-1, 2)
            out.append(([int(t.id) for t in found], place))
        return out

    return run


def switches(frames: Frames, result: Result) -> int:
    """Identity switches of all true objects."""
    last: dict[int, int] = {}
    total = 0
    for (true, _), (ids, place) in zip(frames, result, strict=True):
        if not ids:
            continue
        distance = cdist(true, place)
        row, column = linear_sum_assignment(np.where(distance < 2.0, distance, 1e6))
        for a, b in zip(row.tolist(), column.tolist(), strict=True):
            if distance[a, b] < 2.0:
                total += last.get(a, ids[b]) != ids[b]
                last[a] = ids[b]
    return total


def _cpu_s(call: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times
