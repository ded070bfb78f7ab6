"""What a sensor can see, as arrays: boxes of the actors with their axes, and a terrain that never pokes through the roads.

A body is one row of `body` (BODY columns, float64) and one of `mark` (MARKS columns, int64); see the constants. World frame of
`sim.carla.server.columns`.
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel
from sim.carla.server import columns as c

# body: centre, axes (forward, right, up), half sizes, velocity, spin (rad/s), radius of the sphere around it
CX, CY, CZ, FX, FY, FZ, RX, RY, RZ, UX, UY, UZ = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
EX, EY, EZ, BVX, BVY, BVZ, BWX, BWY, BWZ, RADIUS = 12, 13, 14, 15, 16, 17, 18, 19, 20, 21
BODY = 22
# mark: what it is. MROW is its row in the table, -1 - k for static box k; MOVES is 1 for what drives, walks or may be pushed
MID, MTAG, MROW, MOVES = 0, 1, 2, 3
MARKS = 4


@helper
def _axes(pitch_deg: Any, yaw_deg: Any, roll_deg: Any) -> Any:
    """Forward, right and up of CARLA's rotation, nine numbers: yaw about up, then pitch (nose up), then roll (right side down)."""
    cp, sp = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    cy, sy = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    cr, sr = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    return (
        cp * cy, cp * sy, sp,
        cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr,
        -cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr,
    )  # fmt: skip


@kernel
def axes(pitch_deg: float, yaw_deg: float, roll_deg: float, out: Any) -> None:
    """`_axes` into `out` (3, 3), one axis a row."""
    a = _axes(pitch_deg, yaw_deg, roll_deg)
    for k in range(9):
        out[k // 3, k % 3] = a[k]


@kernel
def gather(f: Any, i: Any, high: int, body: Any, mark: Any) -> int:
    """Boxes of vehicles, walkers and props among rows below `high` into `body` and `mark`; returns their number."""
    n = 0
    for row in range(high):
        kind = i[row, c.KIND]
        is_solid = kind == c.VEHICLE or kind == c.WALKER or kind == c.PROP  # noqa: PLR1714 (numba)
        if i[row, c.ID] == 0 or not is_solid:
            continue
        ex, ey, ez = f[row, c.EXT_X], f[row, c.EXT_Y], f[row, c.EXT_Z]
        if not (ex > 0.0 and ey > 0.0 and ez > 0.0):
            continue
        x, y, z = f[row, c.X], f[row, c.Y], f[row, c.Z]
        if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(z)):
            continue
        a = _axes(f[row, c.PITCH], f[row, c.YAW], f[row, c.ROLL])
        bx, by, bz = f[row, c.BOX_X], f[row, c.BOX_Y], f[row, c.BOX_Z]
        body[n, CX] = x + a[0] * bx + a[3] * by + a[6] * bz
        body[n, CY] = y + a[1] * bx + a[4] * by + a[7] * bz
        body[n, CZ] = z + a[2] * bx + a[5] * by + a[8] * bz
        for k in range(9):
            body[n, FX + k] = a[k]
        body[n, EX] = ex
        body[n, EY] = ey
        body[n, EZ] = ez
        for k in range(3):
            body[n, BVX + k] = f[row, c.VX + k]
            body[n, BWX + k] = np.radians(f[row, c.WX + k])
        body[n, RADIUS] = np.sqrt(ex * ex + ey * ey + ez * ez)
        mark[n, MID] = i[row, c.ID]
        mark[n, MTAG] = i[row, c.TAG]
        mark[n, MROW] = row
        mark[n, MOVES] = 1 if kind != c.PROP or i[row, c.SIMULATE] != 0 else 0
        n += 1
    return n


@kernel
def lower(x0: float, y0: float, cell: float, stride: int, tri: Any, z: Any) -> None:
    """Push the vertices `z` (my, mx) of a terrain mesh below every triangle near them.

    Vertex (b, a) stands at x0 + a stride cell, y0 + b stride cell. Between vertices the mesh is flat, so a triangle pulls down all
    vertices of the quads its outline touches to its own lowest point there.
    """
    my, mx = z.shape
    pitch = stride * cell
    for t in range(tri.shape[0]):
        low = min(tri[t, 2], tri[t, 5], tri[t, 8]) - 0.03
        a0 = int(np.floor((min(tri[t, 0], tri[t, 3], tri[t, 6]) - x0) / pitch))
        a1 = int(np.floor((max(tri[t, 0], tri[t, 3], tri[t, 6]) - x0) / pitch)) + 1
        b0 = int(np.floor((min(tri[t, 1], tri[t, 4], tri[t, 7]) - y0) / pitch))
        b1 = int(np.floor((max(tri[t, 1], tri[t, 4], tri[t, 7]) - y0) / pitch)) + 1
        for b in range(max(b0, 0), min(b1, my - 1) + 1):
            for a in range(max(a0, 0), min(a1, mx - 1) + 1):
                # A bridge high above does not pull the ground up or down.
                z[b, a] = min(z[b, a], low)
