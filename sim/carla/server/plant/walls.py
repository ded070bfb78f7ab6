"""Static boxes as the contact kernel reads them: rows like those of bodies, listed in the cells of a grid they reach into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.carla.server.plant import layout as p

CELL_M = 20.0
MAX_CELLS = 250_000
EDGE_M = 1e-6

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Walls:
    """`box` (S, BOX); `grid` holds x0, y0, cell size, columns, rows; cell v * columns + u lists `entry[start[cell]:start[cell + 1]]`."""

    box: Floats
    grid: Floats
    start: Ints
    entry: Ints


def build(statics: Floats) -> Walls:
    """From (S, 9): centre, yaw in degrees, half sizes, tag, id."""
    num = statics.shape[0]
    box = np.zeros((num, p.BOX))
    if num == 0:
        return Walls(box, np.zeros(5), np.zeros(1, np.int64), np.zeros(0, np.int64))
    yaw = np.radians(statics[:, 3])
    cos, sin = np.cos(yaw), np.sin(yaw)
    box[:, p.CX], box[:, p.CY] = statics[:, 0], statics[:, 1]
    box[:, p.COS], box[:, p.SIN] = cos, sin
    box[:, p.HALF_X], box[:, p.HALF_Y] = np.maximum(statics[:, 4:6], 0.01).T
    box[:, p.LOW] = statics[:, 2] - statics[:, 6]
    box[:, p.HIGH] = statics[:, 2] + statics[:, 6]
    box[:, p.REACH] = np.hypot(box[:, p.HALF_X], box[:, p.HALF_Y])
    wide = np.abs(cos) * box[:, p.HALF_X] + np.abs(sin) * box[:, p.HALF_Y] + EDGE_M
    deep = np.abs(sin) * box[:, p.HALF_X] + np.abs(cos) * box[:, p.HALF_Y] + EDGE_M
    x0, x1 = float(np.min(box[:, 0] - wide)), float(np.max(box[:, 0] + wide))
    y0, y1 = float(np.min(box[:, 1] - deep)), float(np.max(box[:, 1] + deep))
    cell = max(CELL_M, float(np.sqrt((x1 - x0) * (y1 - y0) / MAX_CELLS)), (x1 - x0) / 1e4, (y1 - y0) / 1e4)  # fmt: skip
    columns, rows = int((x1 - x0) / cell) + 1, int((y1 - y0) / cell) + 1
    u0 = ((box[:, 0] - wide - x0) / cell).astype(np.int64)
    u1 = ((box[:, 0] + wide - x0) / cell).astype(np.int64)
    v0 = ((box[:, 1] - deep - y0) / cell).astype(np.int64)
    v1 = ((box[:, 1] + deep - y0) / cell).astype(np.int64)
    across = u1 - u0 + 1
    each = across * (v1 - v0 + 1)
    owner = np.repeat(np.arange(num), each)
    k = np.arange(owner.size) - np.repeat(np.cumsum(each) - each, each)
    at = (v0[owner] + k // across[owner]) * columns + u0[owner] + k % across[owner]
    order = np.argsort(at, kind="stable")
    start = np.searchsorted(at[order], np.arange(columns * rows + 1)).astype(np.int64)
    return Walls(box, np.array((x0, y0, cell, columns, rows)), start, owner[order])
