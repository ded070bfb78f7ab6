"""Truth of an automated vehicle, made by hand: columns from a few functions of time, and cut into blocks at will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from protocols.judging import TraceBlock
from protocols.roads.network import F64

DT_S = 0.01


def trace(
    duration_s: float,
    *,
    name: str = "bus1",
    actor: int = 1,
    start_s: float = 0.0,
    speed_mps: npt.ArrayLike = 10.0,
    accel_mps2: npt.ArrayLike = 0.0,
    yaw_rate_radps: npt.ArrayLike = 0.0,
    hitch_rad: npt.ArrayLike = 0.0,
    limit_mps: npt.ArrayLike = 20.0,
    doors: npt.ArrayLike = 0,
    lane: int = 3,
) -> TraceBlock:
    """`duration_s` at 10 ms from `start_s`; each column a constant or an array of its length."""
    n = round(duration_s / DT_S)

    def column(value: npt.ArrayLike) -> F64:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()

    speed = column(speed_mps)
    travelled = np.cumsum(speed) * DT_S
    zero = np.zeros(n)
    return TraceBlock(
        name=name, actor=actor, t_ns=np.round((start_s + np.arange(n) * DT_S) * 1e9), x_m=travelled, y_m=zero, z_m=zero, yaw_rad=zero,
        speed_mps=speed, accel_mps2=column(accel_mps2), yaw_rate_radps=column(yaw_rate_radps), hitch_rad=column(hitch_rad),
        steer_rad=zero, lane=np.full(n, lane, dtype=np.int32), s_m=travelled, d_m=zero, speed_limit_mps=column(limit_mps),
        doors=np.broadcast_to(np.asarray(doors, dtype=np.int32), (n,)).copy(), route_s_m=travelled,
    )  # fmt: skip


def cut(block: TraceBlock, sizes: list[int]) -> Iterator[TraceBlock]:
    """The same rows in blocks of `sizes`, over and over until the rows are used up."""
    at, turn, n = 0, 0, block.t_ns.size
    columns = [f.name for f in fields(TraceBlock) if f.name not in ("name", "actor")]
    while at < n:
        end = min(n, at + sizes[turn % len(sizes)])
        yield TraceBlock(
            name=block.name, actor=block.actor, **{c: getattr(block, c)[at:end] for c in columns}
        )
        at, turn = end, turn + 1


def seconds_of(duration_s: float) -> F64:
    """Time column of a trace that starts at 0."""
    return np.arange(round(duration_s / DT_S)) * DT_S
