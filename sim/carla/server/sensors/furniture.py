"""Housings of traffic lights and plates of signs, as boxes that sensors see.

The table's own boxes of these actors are the zones in which they hold, not what stands there. A housing hangs where the road file puts
the signal; where that is the foot of a pole, at the height of a lamp. It faces along its actor's right axis, as CARLA's do. Poles are
not drawn: the file does not say where they stand.
"""

from __future__ import annotations

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.ground import Floats, Ground, Ints, heights
from sim.carla.server.sensors import _scene_kernels as kernels
from sim.carla.server.table import Table

LAMP_FACE = 2  # of a body's six faces: right
_LIGHT_TAG, _SIGN_TAG = 7, 8
_LIGHT_HALF_M, _SIGN_HALF_M = (0.2, 0.2, 0.5), (0.35, 0.03, 0.35)
_LIGHT_UP_M, _SIGN_UP_M = 5.0, 2.2  # where the file puts the signal on the ground
_HANGS_M = 1.0  # above the ground: the file gives the housing itself


def build(table: Table, ground: Ground) -> tuple[Floats, Ints]:
    """Bodies and marks of every light and sign in the table."""
    kind = table.i[: table.high, c.KIND]
    rows = np.flatnonzero(
        ((kind == c.LIGHT) | (kind == c.SIGN)) & (table.i[: table.high, c.ID] != 0)
    )
    body = np.zeros((rows.size, kernels.BODY))
    mark: Ints = np.zeros((rows.size, kernels.MARKS), dtype=np.int64)
    if not rows.size:
        return body, mark
    f, is_light = table.f[rows], kind[rows] == c.LIGHT
    z = f[:, c.Z]
    below, _ = heights(
        ground, np.ascontiguousarray(f[:, c.X]), np.ascontiguousarray(f[:, c.Y]), z.copy()
    )
    up = np.where(z - below > _HANGS_M, z, z + np.where(is_light, _LIGHT_UP_M, _SIGN_UP_M))
    body[:, kernels.CX], body[:, kernels.CY], body[:, kernels.CZ] = f[:, c.X], f[:, c.Y], up
    yaw = np.radians(f[:, c.YAW])
    body[:, kernels.FX], body[:, kernels.FY] = np.cos(yaw), np.sin(yaw)
    body[:, kernels.RX], body[:, kernels.RY] = -np.sin(yaw), np.cos(yaw)
    body[:, kernels.UZ] = 1.0
    half = np.where(is_light[:, None], np.array(_LIGHT_HALF_M), np.array(_SIGN_HALF_M))
    body[:, kernels.EX : kernels.EZ + 1] = half
    body[:, kernels.RADIUS] = np.sqrt((half**2).sum(axis=1))
    mark[:, kernels.MID], mark[:, kernels.MROW] = table.i[rows, c.ID], rows
    mark[:, kernels.MTAG] = np.where(is_light, _LIGHT_TAG, _SIGN_TAG)
    return body, mark
