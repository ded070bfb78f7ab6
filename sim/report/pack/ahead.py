"""Who is ahead of an automated vehicle on its path: gap and time to collision over time.

Path: where the vehicle then drove (its own trace, rear axle), straight on beyond its end. A road user is on the path when its
body (each section a rectangle) and the vehicle's width overlap across the path. Gap: from the front bumper to the nearest point of
that body along the path, 0 when they overlap, up to 100 m. Time to collision: gap over closing speed along the path, the smallest
of all on the path, up to 30 s; none while nothing closes in by more than 0.1 m/s. Accelerations are not looked at. None of both for a
path of more than 10,000 km: nobody drove that, and its samples would fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.roads.network import F64
from sim.radio.fates import I64
from sim.report.pack.columns import Array
from sim.report.pack.world import Frames

REACH_M = 100.0
TTC_CAP_S = 30.0
CLOSING_MPS = 0.1
MAX_PATH_M = 1e7
_NEAR_M = REACH_M + 20.0  # origins: bodies reach towards each other
_STEP_M = 1.0
_SLAB = 8192
_KEPT = ("id", "x", "y", "yaw", "speed", "hitch")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Road users around one vehicle in one block."""

    t: I64  # (F,) ms, frames with the vehicle in them
    frame: I64  # (n,) which of them each row belongs to
    rows: dict[str, Array]  # (n,)


def around(frames: Frames, actor: int) -> Neighbours:
    """Who was near the vehicle `actor`, frame by frame."""
    columns = frames.columns
    mine = np.flatnonzero(columns["id"] == actor)
    frame_of = np.repeat(np.arange(frames.t.size), np.diff(frames.start))
    own = np.full(frames.t.size, -1, np.int64)
    own[frame_of[mine]] = mine
    has = own >= 0
    number = np.cumsum(has) - 1
    at = own[frame_of]
    gap = np.hypot(columns["x"] - columns["x"][at], columns["y"] - columns["y"][at])
    near = np.flatnonzero((at >= 0) & (gap < _NEAR_M) & (columns["id"] != actor))
    return Neighbours(
        frames.t[has], number[frame_of[near]], {name: columns[name][near] for name in _KEPT}
    )


def gap_and_ttc(
    actor: int,
    parts: Sequence[Neighbours],
    trace: Mapping[str, Array],
    actors: Mapping[int, Mapping[str, Any]],
) -> tuple[I64, F64, F64]:
    """(t ms, gap m, time to collision s), (F,) over all blocks in `parts`; NaN where there is none."""
    t = np.concatenate([np.zeros(0, np.int64), *(part.t for part in parts)])
    none = np.full(t.size, np.nan)
    own = actors.get(actor)
    if own is None or trace["t"].size < 2 or not t.size:
        return t, none, none.copy()
    before = np.concatenate(([0], np.cumsum([part.t.size for part in parts])))
    frame = np.concatenate([part.frame + k for part, k in zip(parts, before[:-1], strict=True)])
    rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in _KEPT}
    bodies = _bodies(frame, rows, actors)
    if _driven(trace)[-1] > MAX_PATH_M:
        return t, none, none.copy()
    path = _Path(trace)
    along = np.interp(t, trace["t"], path.driven)
    speed = np.interp(t, trace["t"], trace["speed"])
    front = float(own["length"]) - float(own["rear_overhang"])
    gap, closing = _gaps(bodies, path, along, speed, front, float(own["width"]) / 2)
    nearest, soonest = np.full(t.size, np.inf), np.full(t.size, np.inf)
    np.minimum.at(nearest, bodies.frame, gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        ttc = np.where(closing > CLOSING_MPS, gap / closing, np.inf)
    np.minimum.at(soonest, bodies.frame, ttc)
    return (
        t,
        np.where(nearest <= REACH_M, nearest, np.nan),
        np.where(soonest <= TTC_CAP_S, soonest, np.nan),
    )


@dataclass(frozen=True, slots=True)
class _Bodies:
    """Rectangles of road users, one row per section; `x` and `y` are centres."""

    frame: I64
    x: F64
    y: F64
    yaw: F64
    speed: F64
    length: F64
    width: F64


def _bodies(
    frame: I64, rows: Mapping[str, Array], actors: Mapping[int, Mapping[str, Any]]
) -> _Bodies:
    ids, inverse = np.unique(rows["id"], return_inverse=True)
    nobody: dict[str, float] = {}
    size = {
        key: np.array([float(actors.get(int(k), nobody).get(key, 0.0)) for k in ids])[inverse]
        for key in ("length", "width", "rear_overhang", "hitch_x", "rear_length")
    }
    x, y, yaw = (np.asarray(rows[name], np.float64) for name in ("x", "y", "yaw"))
    c, s = np.cos(yaw), np.sin(yaw)
    middle = size["length"] / 2 - size["rear_overhang"]
    rear = np.flatnonzero(size["rear_length"] > 0)
    rear_yaw = (yaw - rows["hitch"])[rear]
    back = size["rear_length"][rear] / 2
    joint_x = (x + c * size["hitch_x"])[rear]
    joint_y = (y + s * size["hitch_x"])[rear]
    speed = np.asarray(rows["speed"], np.float64)
    return _Bodies(
        np.concatenate((frame, frame[rear])),
        np.concatenate((x + c * middle, joint_x - np.cos(rear_yaw) * back)),
        np.concatenate((y + s * middle, joint_y - np.sin(rear_yaw) * back)),
        np.concatenate((yaw, rear_yaw)),
        np.concatenate((speed, speed[rear])),
        np.concatenate((size["length"], size["rear_length"][rear])),
        np.concatenate((size["width"], size["width"][rear])),
    )


def _driven(trace: Mapping[str, Array]) -> F64:
    """(T,) metres driven up to each row."""
    x, y = np.asarray(trace["x"], np.float64), np.asarray(trace["y"], np.float64)
    out: F64 = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    return out


class _Path:
    """The driven path, sampled every metre: distance, place and direction."""

    def __init__(self, trace: Mapping[str, Array]) -> None:
        x, y = np.asarray(trace["x"], np.float64), np.asarray(trace["y"], np.float64)
        self.driven = _driven(trace)
        moved = np.concatenate(([True], np.diff(self.driven) > 1e-6))
        s, px, py = self.driven[moved], x[moved], y[moved]
        yaw = float(trace["yaw"][-1])
        beyond = _NEAR_M + REACH_M
        s = np.append(s, s[-1] + beyond)
        px = np.append(px, px[-1] + np.cos(yaw) * beyond)
        py = np.append(py, py[-1] + np.sin(yaw) * beyond)
        at = np.arange(0.0, s[-1], _STEP_M)
        self.x: F64 = np.interp(at, s, px)
        self.y: F64 = np.interp(at, s, py)
        self.yaw: F64 = np.arctan2(np.gradient(self.y), np.gradient(self.x))


def _gaps(
    bodies: _Bodies, path: _Path, along: F64, speed: F64, front: float, half: float
) -> tuple[F64, F64]:
    """(n,) gap to each body on the path (inf for those beside it), and closing speed."""
    window = np.arange(0.0, REACH_M + 40.0, _STEP_M).astype(np.int64)
    first = along[bodies.frame].astype(np.int64)
    gap, closing = np.full(bodies.x.size, np.inf), np.zeros(bodies.x.size)
    for low in range(0, bodies.x.size, _SLAB):
        part = slice(low, low + _SLAB)
        at = np.minimum(first[part, None] + window, path.x.size - 1)
        away2 = (path.x[at] - bodies.x[part, None]) ** 2
        away2 += (path.y[at] - bodies.y[part, None]) ** 2
        best = at[np.arange(at.shape[0]), np.argmin(away2, axis=1)]
        yaw = path.yaw[best]
        c, s = np.cos(yaw), np.sin(yaw)
        dx, dy = bodies.x[part] - path.x[best], bodies.y[part] - path.y[best]
        ahead, left = dx * c + dy * s, dy * c - dx * s
        turn = bodies.yaw[part] - yaw
        turn_c, turn_s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
        length, width = bodies.length[part] / 2, bodies.width[part] / 2
        reach = length * turn_c + width * turn_s
        is_on = np.abs(left) < half + length * turn_s + width * turn_c
        place = best * _STEP_M + ahead - along[bodies.frame[part]]
        is_ahead = place + reach > front
        gap[part] = np.where(is_on & is_ahead, np.maximum(place - reach - front, 0.0), np.inf)
        closing[part] = speed[bodies.frame[part]] - bodies.speed[part] * np.cos(turn)
    return gap, closing
