"""Slow, obvious twins of the road code, and small lane tables made by hand.

`flat_lanes` builds `Lanes` and `Points` from polylines; nothing here shares code with the modules
under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.roads.network import Junctions, Lanes, LaneType, Points, UserClass

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Strip:
    """One lane drawn by hand: its centre line, and lane numbers before and after it."""

    xy: Sequence[tuple[float, float]]
    width_m: float = 3.5
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    road: int | None = None  # default: a road of its own
    odr_id: int = -1
    direction: int = 1
    junction: int = 0
    permission: int = int(UserClass.PASSENGER)
    speed_mps: float = 10.0
    left: int = -1
    right: int = -1
    may_change: bool = True
    section: int | None = None


def _csr(rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    start = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int32)
    flat = np.asarray([value for row in rows for value in row], dtype=np.int32)
    return start, flat


def flat_lanes(strips: Sequence[Strip]) -> tuple[Lanes, Points, Junctions]:
    """Lanes, samples and one junction (index 0) holding every strip whose `junction` is 0."""
    columns: list[list[float]] = [[], [], [], [], []]
    lengths: list[float] = []
    counts: list[int] = []
    for strip in strips:
        xy = np.asarray(strip.xy, dtype=np.float64)
        step = np.hypot(np.diff(xy[:, 0]), np.diff(xy[:, 1]))
        s = np.concatenate(([0.0], np.cumsum(step)))
        chord = np.unwrap(np.arctan2(np.diff(xy[:, 1]), np.diff(xy[:, 0])))
        # Yaw at a sample: half-way between its chords; at the ends extrapolated, as on an arc.
        middle = (chord[1:] + chord[:-1]) / 2
        first = chord[0] - (middle[0] - chord[0] if middle.size else 0.0)
        last = chord[-1] + (chord[-1] - middle[-1] if middle.size else 0.0)
        yaw = np.concatenate(([first], middle, [last]))
        for column, values in zip(
            columns, (s, xy[:, 0], xy[:, 1], yaw, np.full(s.size, strip.width_m)), strict=True
        ):
            column.extend(values.tolist())
        lengths.append(float(s[-1]))
        counts.append(s.size)
    num = len(strips)
    point_start = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    prev_start, prev = _csr([strip.before for strip in strips])
    next_start, after = _csr([strip.after for strip in strips])

    def i32(values: Sequence[int]) -> npt.NDArray[np.int32]:
        return np.asarray(values, dtype=np.int32)

    none = np.full(num, -1, dtype=np.int32)
    lanes = Lanes(
        road=i32([k if strip.road is None else strip.road for k, strip in enumerate(strips)]),
        section=i32(
            [k if strip.section is None else strip.section for k, strip in enumerate(strips)]
        ),
        odr_id=np.asarray([strip.odr_id for strip in strips], dtype=np.int16),
        type=np.full(num, LaneType.DRIVING, dtype=np.uint8),
        direction=np.asarray([strip.direction for strip in strips], dtype=np.int8),
        permission=np.asarray([strip.permission for strip in strips], dtype=np.uint32),
        junction=i32([strip.junction for strip in strips]),
        length_m=np.asarray(lengths),
        speed_mps=np.asarray([strip.speed_mps for strip in strips]),
        has_speed=np.ones(num, dtype=np.bool_),
        left=i32([strip.left for strip in strips]),
        right=i32([strip.right for strip in strips]),
        may_change_left=np.asarray([strip.may_change for strip in strips]),
        may_change_right=np.asarray([strip.may_change for strip in strips]),
        opposite=none,
        width_start=np.zeros(num + 1, dtype=np.int32),
        next_start=next_start,
        next=after,
        prev_start=prev_start,
        prev=prev,
        point_start=point_start,
        speed_start=np.zeros(num + 1, dtype=np.int32),
    )
    s, x, y, yaw, width = (np.asarray(column) for column in columns)
    points = Points(s, x, y, np.zeros(s.size), yaw, np.zeros(s.size), width, s)
    inside = [k for k, strip in enumerate(strips) if strip.junction == 0]
    junctions = Junctions(
        ("1",), ("",), i32([0, len(inside)]), i32(inside), np.zeros(1, dtype=np.bool_)
    )
    return lanes, points, junctions


def line(
    from_xy: tuple[float, float], to_xy: tuple[float, float], step_m: float = 5.0
) -> list[tuple[float, float]]:
    """Samples along a straight line."""
    reach = float(np.hypot(to_xy[0] - from_xy[0], to_xy[1] - from_xy[1]))
    num = max(2, int(np.ceil(reach / step_m)) + 1)
    x, y = np.linspace(from_xy[0], to_xy[0], num), np.linspace(from_xy[1], to_xy[1], num)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def arc(
    centre: tuple[float, float], radius_m: float, from_deg: float, to_deg: float, num: int = 24
) -> list[tuple[float, float]]:
    """Samples along an arc, from one bearing of the centre to another."""
    angle = np.deg2rad(np.linspace(from_deg, to_deg, num))
    x, y = centre[0] + radius_m * np.cos(angle), centre[1] + radius_m * np.sin(angle)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def body_overlap(
    a_xy: Sequence[tuple[float, float]],
    b_xy: Sequence[tuple[float, float]],
    half_a_m: float,
    half_b_m: float,
    grain_m: float = 0.04,
) -> tuple[float, float] | None:
    """Hull of the travel distances on a whose body holds a point of body b; a cloud of points.

    Body a is filled with points across its normals; a point is in b when its nearest place on b's
    centre line is nearer than `half_b_m` and not an end.
    """
    cloud, along = _cloud(np.asarray(a_xy), half_a_m, grain_m)
    b = np.asarray(b_xy)
    nearest_m = np.full(along.size, np.inf)
    is_beyond = np.zeros(along.size, dtype=np.bool_)  # the nearest place is one of b's two ends
    for k in range(b.shape[0] - 1):
        direction = b[k + 1] - b[k]
        w = (cloud - b[k]) @ direction / float(direction @ direction)
        away_m = np.hypot(*(cloud - b[k] - np.clip(w, 0, 1)[:, None] * direction).T)
        closer = away_m < nearest_m
        nearest_m[closer] = away_m[closer]
        ends = (w <= 0 if k == 0 else False) | (w >= 1 if k == b.shape[0] - 2 else False)
        is_beyond[closer] = np.broadcast_to(ends, along.shape)[closer]
    hit = (nearest_m < half_b_m) & ~is_beyond
    if not hit.any():
        return None
    return float(along[hit].min()), float(along[hit].max())


def _cloud(xy: F64, half_m: float, grain_m: float) -> tuple[F64, F64]:
    places, along = [], []
    s0 = 0.0
    for k in range(xy.shape[0] - 1):
        step = xy[k + 1] - xy[k]
        reach = float(np.hypot(*step))
        normal = np.asarray([-step[1], step[0]]) / reach
        u = np.linspace(0.0, 1.0, max(2, int(reach / grain_m)))
        v = np.linspace(-half_m, half_m, max(3, int(2 * half_m / grain_m)))
        grid = xy[k] + u[:, None, None] * step + v[None, :, None] * normal
        places.append(grid.reshape(-1, 2))
        along.append(np.repeat(s0 + u * reach, v.size))
        s0 += reach
    return np.concatenate(places), np.concatenate(along)


def bellman_ford(num: int, edges: Sequence[tuple[int, int, float]], targets: set[int]) -> F64:
    """Cost to the nearest target of every node, by relaxing all edges until nothing moves."""
    cost = np.full(num, np.inf)
    for target in targets:
        cost[target] = 0.0
    moved = True
    while moved:
        moved = False
        for a, b, price in edges:
            if cost[b] + price < cost[a] - 1e-12:
                cost[a] = cost[b] + price
                moved = True
    return cost
