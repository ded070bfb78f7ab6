"""What stands in the world for rays and cameras: per map once, per frame the moving boxes.

The terrain is drawn as a coarse mesh between cell centres, pushed below the road triangles that lie over it, and continued level
far beyond the map. What is off the road is therefore seen up to some centimetres too low near its edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.ground import Bytes, Floats, Ground, Ints
from sim.carla.server.sensors import _scene_kernels as kernels

if TYPE_CHECKING:
    from sim.carla.server.sensors.view import View

ROADS, TERRAIN_TAG, GROUND_TAG = 1, 10, 25
_SPACING_M = 4.0  # of the terrain mesh: road edges hide what is finer
_BEYOND_M = 20_000.0  # the terrain goes on, so that cameras see a horizon


@dataclass(frozen=True, slots=True)
class Terrain:
    """Vertices of a rectangular mesh: x (mx,), y (my,), height (my, mx)."""

    x: Floats
    y: Floats
    z: Floats


@dataclass(frozen=True, slots=True)
class Scene:
    """One map: triangles with the spheres around them, terrain, boxes that never move."""

    tri: Floats  # (T, 9)
    tri_tag: Bytes
    bound: Floats  # (T, 4) centre and radius
    terrain: Terrain
    terrain_tag: int
    statics: Floats  # (S, 9) as the map gives them
    still: Floats  # (S, BODY) the same
    still_mark: Ints  # (S, MARKS)


@dataclass(frozen=True, slots=True)
class Bodies:
    """Every box of one frame."""

    body: Floats
    mark: Ints
    count: int


def build(ground: Ground, statics: Floats) -> Scene:
    """The scene of a map; takes as long as reading its triangles once."""
    corners = ground.tri.reshape(-1, 3, 3)
    middle = 0.5 * (corners.min(axis=1) + corners.max(axis=1))
    radius = np.sqrt(((corners - middle[:, None]) ** 2).sum(axis=2).max(axis=1, initial=0.0))
    still, mark = _still(statics)
    return Scene(
        ground.tri, ground.tri_tag, np.column_stack([middle, radius]), _terrain(ground),
        TERRAIN_TAG if ground.tri.size else GROUND_TAG, statics, still, mark,
    )  # fmt: skip


def with_statics(scene: Scene, statics: Floats) -> Scene:
    """The same map with other static boxes."""
    still, mark = _still(statics)
    return replace(scene, statics=statics, still=still, still_mark=mark)


def bodies(view: View, scene: Scene, furniture: tuple[Floats, Ints]) -> Bodies:
    """Boxes of the actors as the table has them now, then lights and signs, then the static ones."""
    table = view.table
    fixed = (furniture, (scene.still, scene.still_mark))
    room = table.high + sum(b.shape[0] for b, _ in fixed)
    body = np.empty((room, kernels.BODY))
    mark: Ints = np.empty((room, kernels.MARKS), dtype=np.int64)
    count = kernels.gather(table.f, table.i, table.high, body, mark)
    for boxes, marks in fixed:
        body[count : count + boxes.shape[0]] = boxes
        mark[count : count + boxes.shape[0]] = marks
        count += boxes.shape[0]
    return Bodies(body, mark, count)


def axes(pitch_deg: float, yaw_deg: float, roll_deg: float) -> Floats:
    """(3, 3): forward, right and up of a CARLA rotation in the world."""
    out = np.empty((3, 3))
    kernels.axes(pitch_deg, yaw_deg, roll_deg, out)
    return out


def pose(view: View, row: int) -> tuple[Floats, Floats]:
    """Origin (3,) and axes (3, 3) of an actor."""
    f = view.table.f[row]
    return f[c.X : c.Z + 1].copy(), axes(f[c.PITCH], f[c.YAW], f[c.ROLL])


def _still(statics: Floats) -> tuple[Floats, Ints]:
    count = statics.shape[0]
    body = np.zeros((count, kernels.BODY))
    mark: Ints = np.zeros((count, kernels.MARKS), dtype=np.int64)
    body[:, kernels.CX : kernels.CZ + 1] = statics[:, :3]
    cos, sin = np.cos(np.radians(statics[:, 3])), np.sin(np.radians(statics[:, 3]))
    body[:, kernels.FX], body[:, kernels.FY] = cos, sin
    body[:, kernels.RX], body[:, kernels.RY] = -sin, cos
    body[:, kernels.UZ] = 1.0
    body[:, kernels.EX : kernels.EZ + 1] = statics[:, 4:7]
    body[:, kernels.RADIUS] = np.sqrt((statics[:, 4:7] ** 2).sum(axis=1))
    mark[:, kernels.MID] = statics[:, 8].astype(np.int64)
    mark[:, kernels.MTAG] = statics[:, 7].astype(np.int64)
    mark[:, kernels.MROW] = -1 - np.arange(count)
    return body, mark


def _terrain(ground: Ground) -> Terrain:
    ny, nx = ground.terrain_m.shape
    stride = max(1, round(_SPACING_M / ground.cell_m)) if nx > 1 or ny > 1 else 1
    columns, rows = _picked(nx, stride), _picked(ny, stride)
    x0, y0 = ground.x0_m + 0.5 * ground.cell_m, ground.y0_m + 0.5 * ground.cell_m
    z = ground.terrain_m[np.ix_(np.minimum(rows, ny - 1), np.minimum(columns, nx - 1))].copy()
    if ground.tri.size:
        kernels.lower(x0, y0, ground.cell_m, stride, ground.tri, z)
    return Terrain(
        _beyond(x0 + columns.astype(np.float64) * ground.cell_m),
        _beyond(y0 + rows.astype(np.float64) * ground.cell_m),
        np.pad(z, 1, mode="edge"),
    )


def _picked(number: int, stride: int) -> Ints:
    """Every `stride`-th cell, the last one beyond or at the end."""
    count = (number - 1 + stride - 1) // stride + 1
    picked: Ints = np.arange(count, dtype=np.int64) * stride
    return picked


def _beyond(at: Floats) -> Floats:
    extended: Floats = np.concatenate([[at[0] - _BEYOND_M], at, [at[-1] + _BEYOND_M]])
    return extended
