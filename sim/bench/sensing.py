"""Sensing: one turn of a 64-channel lidar with 1,024 azimuth steps against 100 boxes, and what is made of it.

Rows of `icv bench sensing`. Times are CPU time of this process, medians of `runs`, each over 20 turns. The boxes are cars of
4.5 x 1.8 x 1.5 m at random places 6 to 80 m away that do not touch, seen from 2.2 m above the road; a second scene adds 40 walls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64
from sim.bench import tracking
from sim.bench.measure import Row, row
from sim.sensors.detection_params import LidarParams, detection_params
from sim.sensors.environment import Environment
from sim.sensors.lidar import Lidar
from sim.sensors.surroundings import Place
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics

BOXES, WALLS, TURNS = 100, 40, 20
PLACE = Place(0.0, 0.0, 2.2, 0.0)


def rows(runs: int = 5) -> Iterator[Row]:
    """Every row of the sensing benchmark."""
    states, statics = car_park(BOXES)
    workload = f"lidar 64 x 1024 rays, {BOXES} boxes"
    yield from _lidar_rows(workload, np.zeros((5, 0)), states, statics, runs)
    yield from _lidar_rows(f"{workload}, {WALLS} walls", walls(WALLS), states, statics, runs)
    yield from tracking.rows(runs)


def car_park(count: int) -> tuple[ActorStates, ActorStatics]:
    """`count` standing cars around the origin."""
    draw = np.random.default_rng(0)
    states, statics = empty_states(count), empty_statics(count)
    placed = np.zeros((0, 2))
    while len(placed) < count:
        at = draw.uniform(-80.0, 80.0, 2)
        if not 6.0 < math.hypot(*at) < 80.0 or (np.hypot(*(placed - at).T) < 6.0).any():
            continue
        placed = np.vstack([placed, at])
    states.valid[:] = True
    states.id[:] = np.arange(1, count + 1)
    states.x_m[:], states.y_m[:] = placed.T
    states.yaw_rad[:] = draw.uniform(-math.pi, math.pi, count)
    statics.kind[:] = int(ActorKind.CAR)
    statics.length_m[:], statics.width_m[:], statics.height_m[:] = 4.5, 1.8, 1.5
    statics.rear_overhang_m[:] = 2.25
    return states, statics


def walls(count: int) -> F64:
    """`count` walls of 20 m, 8 m high, 90 m away, all around."""
    azimuth = np.arange(count) * 2.0 * math.pi / count
    x, y = 90.0 * np.cos(azimuth), 90.0 * np.sin(azimuth)
    dx, dy = -10.0 * np.sin(azimuth), 10.0 * np.cos(azimuth)
    return np.stack([x - dx, y - dy, x + dx, y + dy, np.full(count, 8.0)])


def _lidar_rows(
    workload: str, wall: F64, states: ActorStates, statics: ActorStatics, runs: int
) -> Iterator[Row]:
    params = detection_params("lidar", "roof64", {})
    assert isinstance(params, LidarParams)
    lidar = Lidar(params, 1, "lidar/bench", Environment(), wall)

    def turn(k: int) -> None:
        lidar.scan(k, PLACE, states, statics)

    def points(_: int) -> None:
        lidar.points(PLACE)

    def objects(k: int) -> None:
        lidar.objects(k, PLACE)

    def both(k: int) -> None:
        lidar.measure(k, PLACE, states, statics)

    for metric, job in (
        ("scan, CPU", turn),
        ("points, CPU", points),
        ("clustering, CPU", objects),
        ("scan and objects, CPU", both),
    ):
        yield row(workload, metric, _cpu_ms(job, runs), "ms", basis="cpu")


def _cpu_ms(job: Callable[[int], None], runs: int) -> list[float]:
    job(0)
    out = []
    for run in range(runs):
        start = time.process_time()
        for k in range(TURNS):
            job(run * TURNS + k)
        out.append((time.process_time() - start) / TURNS * 1e3)
    return out
