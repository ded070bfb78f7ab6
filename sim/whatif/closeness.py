"""How close a driven vehicle came to others: the smallest gap between bodies, and the smallest time to collision.

From a log's world samples (truth), so at the period they were recorded with. Bodies are boxes on the ground, two for an
articulated vehicle. Time to collision: both keep velocity and heading as they are, no matter where lanes lead; so what it
says of vehicles in curves is pessimistic. Bodies farther than `NEAR_M` apart are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from protocols.roads.network import F64
from sim.log.reader import LogReader
from sim.log.records import Actors, WorldSample

NEAR_M = 80.0
MAX_TTC_S = 30.0  # later ones are none


@dataclass(frozen=True, slots=True)
class Closest:
    """Extremes of one vehicle over a run; `inf` where it was never near anybody. Times in s, `other` an actor id."""

    gap_m: float = inf
    gap_at_s: float = 0.0
    gap_to: int = 0
    ttc_s: float = inf
    ttc_at_s: float = 0.0
    ttc_to: int = 0


def closest(reader: LogReader) -> dict[str, Closest]:
    """By driven vehicle."""
    actors = reader.actors()
    where = {int(actor): row for row, actor in enumerate(actors.id.tolist())}
    vehicles = {name: reader.traces(name).id for name in reader.trace_names()}
    out = {name: Closest() for name in vehicles}
    for sample in reader.world():
        known = np.array([where.get(actor, -1) for actor in sample.id.tolist()], np.int64)
        keep = known >= 0
        box, velocity, owner = _boxes(sample, actors, known, keep)
        for name, actor in vehicles.items():
            own = np.flatnonzero(owner == actor)
            if own.size:
                out[name] = _nearer(out[name], sample.t_ns / 1e9, box, velocity, owner, own)
    return out


def _boxes(
    sample: WorldSample, actors: Actors, known: np.typing.NDArray[np.int64], keep: np.typing.NDArray[np.bool_],
) -> tuple[F64, F64, np.typing.NDArray[np.int64]]:  # fmt: skip
    """(B, 6) centre x, y, cos, sin, half length, half width; (B, 2) velocity; (B,) actor id."""
    row = known[keep]
    x, y = sample.x_m[keep], sample.y_m[keep]
    yaw = sample.yaw_rad[keep].astype(np.float64)
    speed = sample.speed_mps[keep].astype(np.float64)
    length = actors.length_m[row].astype(np.float64)
    width = actors.width_m[row].astype(np.float64)
    middle = 0.5 * length - actors.rear_overhang_m[row]
    c, s = np.cos(yaw), np.sin(yaw)
    front = np.column_stack((x + middle * c, y + middle * s, c, s, 0.5 * length, 0.5 * width))
    velocity = np.column_stack((speed * c, speed * s))
    owner = sample.id[keep].astype(np.int64)
    rear_length = actors.rear_length_m[row].astype(np.float64)
    is_long = rear_length > 0.0
    if not is_long.any():
        return front, velocity, owner
    back = (yaw - sample.hitch_rad[keep])[is_long]
    cb, sb, half = np.cos(back), np.sin(back), 0.5 * rear_length[is_long]
    hitch = actors.hitch_x_m[row][is_long]
    jx, jy = x[is_long] + hitch * c[is_long], y[is_long] + hitch * s[is_long]
    rear = np.column_stack((jx - half * cb, jy - half * sb, cb, sb, half, 0.5 * width[is_long]))
    return (
        np.concatenate((front, rear)),
        np.concatenate((velocity, velocity[is_long])),
        np.concatenate((owner, owner[is_long])),
    )


def _nearer(
    so_far: Closest, t_s: float, box: F64, velocity: F64, owner: np.typing.NDArray[np.int64], own: np.typing.NDArray[np.int64],
) -> Closest:  # fmt: skip
    best = so_far
    for k in own.tolist():
        others = (owner != owner[k]) & (np.hypot(box[:, 0] - box[k, 0], box[:, 1] - box[k, 1]) < NEAR_M)  # fmt: skip
        rows = np.flatnonzero(others)
        if not rows.size:
            continue
        gaps = gap_m(box[k], box[rows])
        times = ttc_s(box[k], box[rows], velocity[rows] - velocity[k])
        g, t = int(np.argmin(gaps)), int(np.argmin(times))
        if gaps[g] < best.gap_m:
            best = Closest(float(gaps[g]), t_s, int(owner[rows[g]]), best.ttc_s, best.ttc_at_s, best.ttc_to)  # fmt: skip
        if times[t] < best.ttc_s and times[t] <= MAX_TTC_S:
            best = Closest(best.gap_m, best.gap_at_s, best.gap_to, float(times[t]), t_s, int(owner[rows[t]]))  # fmt: skip
    return best


def gap_m(one: F64, others: F64) -> F64:
    """(n,) distance between the box `one` (6,) and each of `others` (n, 6); 0 where they overlap."""
    # Two boxes apart are nearest at a corner of one of them.
    nearest = np.full(others.shape[0], inf)
    for su, sv in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x = others[:, 0] + su * others[:, 4] * others[:, 2] - sv * others[:, 5] * others[:, 3]
        y = others[:, 1] + su * others[:, 4] * others[:, 3] + sv * others[:, 5] * others[:, 2]
        nearest = np.minimum(nearest, _outside(x - one[0], y - one[1], one[2], one[3], one[4], one[5]))  # fmt: skip
        x0 = one[0] + su * one[4] * one[2] - sv * one[5] * one[3]
        y0 = one[1] + su * one[4] * one[3] + sv * one[5] * one[2]
        o = others
        nearest = np.minimum(nearest, _outside(x0 - o[:, 0], y0 - o[:, 1], o[:, 2], o[:, 3], o[:, 4], o[:, 5]))  # fmt: skip
    nearest[ttc_s(one, others, np.zeros((others.shape[0], 2))) == 0.0] = 0.0
    return nearest


def _outside(dx: F64, dy: F64, c: F64, s: F64, half_length: F64, half_width: F64) -> F64:
    """Distance of points from a box, in whose axes they lie at (u, v)."""
    u, v = np.abs(dx * c + dy * s) - half_length, np.abs(dy * c - dx * s) - half_width
    return np.asarray(np.hypot(np.maximum(u, 0.0), np.maximum(v, 0.0)))


def ttc_s(one: F64, others: F64, velocity: F64) -> F64:
    """(n,) seconds until box `one` (6,) and each of `others` (n, 6) overlap, the latter moving with `velocity` (n, 2).

    0 where they overlap now, inf where they never do. By separating axes: on each of the four, the times in which shadows overlap.
    """
    dx, dy = others[:, 0] - one[0], others[:, 1] - one[1]
    cos = np.abs(one[2] * others[:, 2] + one[3] * others[:, 3])
    sin = np.abs(one[2] * others[:, 3] - one[3] * others[:, 2])
    enter, leave = np.zeros(others.shape[0]), np.full(others.shape[0], inf)
    reach = (
        one[4] + others[:, 4] * cos + others[:, 5] * sin,
        one[5] + others[:, 4] * sin + others[:, 5] * cos,
        others[:, 4] + one[4] * cos + one[5] * sin,
        others[:, 5] + one[4] * sin + one[5] * cos,
    )
    axes = (
        (one[2], one[3]),
        (-one[3], one[2]),
        (others[:, 2], others[:, 3]),
        (-others[:, 3], others[:, 2]),
    )
    for (ax, ay), r in zip(axes, reach, strict=True):
        p, v = dx * ax + dy * ay, velocity[:, 0] * ax + velocity[:, 1] * ay
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (-r - p) / v, (r - p) / v
        still = v == 0.0
        first = np.where(still, np.where(np.abs(p) < r, -inf, inf), np.minimum(a, b))
        last = np.where(still, np.where(np.abs(p) < r, inf, -inf), np.maximum(a, b))
        enter, leave = np.maximum(enter, first), np.minimum(leave, last)
    return np.asarray(np.where(enter < leave, enter, inf))
