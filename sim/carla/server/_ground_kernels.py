"""Loops of `ground.py`: the height of the ground under a point, and which triangles touch which cell.

All in CARLA's frame. `face` holds of every triangle what a query needs, in one cache line and a half: the two barycentric
coordinates and the height, each as an affine function of x and y.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.jit import array_helper, array_kernel
from sim.carla.server import columns as c

STEP_UP_M = (
    0.6  # a surface this far above an actor's origin still carries it; a higher one is a bridge
)
FAR_M = 1e9  # farther out the ground is not asked: an index would not fit
RIM_M = 1e-6  # by which a cell reaches beyond its edge, so that rounding loses nothing
EDGE = -1e-9  # neighbours share an edge: a point on it belongs to both


@array_helper
def _surfaces(
    x0: float, y0: float, cell: float, nx: int, ny: int,
    terrain: Any, cell_start: Any, cell_tri: Any, face: Any, count: int, p: Any, out: Any, hit: Any,
) -> None:  # fmt: skip
    """Highest surface at p (N, 3) that is not above z + STEP_UP_M: height and slopes into out (N, 3), triangle into hit.

    Where there is none, the terrain (-1): bilinear between cell centres, level beyond them. One loop without calls: each call
    with arrays would cost as much as a point.
    """
    inv = 1.0 / cell
    for k in range(count):
        x, y = p[k, 0], p[k, 1]
        hit[k] = -1
        if not (abs(x) < FAR_M and abs(y) < FAR_M):  # NaN too
            out[k, 0] = 0.0
            out[k, 1] = 0.0
            out[k, 2] = 0.0
            continue
        u, v = (x - x0) * inv, (y - y0) * inv
        top, found = -math.inf, -1
        if 0.0 <= u < nx and 0.0 <= v < ny:
            at = int(v) * nx + int(u)
            limit = p[k, 2] + STEP_UP_M
            for e in range(cell_start[at], cell_start[at + 1]):
                t = cell_tri[e]
                a = face[t, 0] + face[t, 1] * x + face[t, 2] * y
                if a < EDGE:
                    continue
                b = face[t, 3] + face[t, 4] * x + face[t, 5] * y
                if b < EDGE or a + b > 1.0 - EDGE:
                    continue
                h = face[t, 6] + face[t, 7] * x + face[t, 8] * y
                if top < h <= limit:
                    top, found = h, t
        if found >= 0:
            hit[k] = found
            out[k, 0] = top
            out[k, 1] = face[found, 7]
            out[k, 2] = face[found, 8]
            continue
        u = min(max(u - 0.5, 0.0), nx - 1.0)
        v = min(max(v - 0.5, 0.0), ny - 1.0)
        i0, j0 = int(u), int(v)
        i1, j1 = min(i0 + 1, nx - 1), min(j0 + 1, ny - 1)
        u -= i0
        v -= j0
        z00, z10, z01, z11 = terrain[j0, i0], terrain[j0, i1], terrain[j1, i0], terrain[j1, i1]
        low = z00 + u * (z10 - z00)
        high = z01 + u * (z11 - z01)
        out[k, 0] = low + v * (high - low)
        out[k, 1] = ((z10 - z00) * (1.0 - v) + (z11 - z01) * v) * inv
        out[k, 2] = (high - low) * inv


@array_kernel
def sample(
    x0: float, y0: float, cell: float, nx: int, ny: int,
    terrain: Any, cell_start: Any, cell_tri: Any, face: Any, f: Any, i: Any, high: int,
) -> None:  # fmt: skip
    """Write GROUND_Z and the unit normal of every vehicle, walker and prop in rows below `high`."""
    rows, hit = np.empty(high, np.int64), np.empty(high, np.int32)
    p, out = np.empty((high, 3)), np.empty((high, 3))
    count = 0
    for row in range(high):
        kind = i[row, c.KIND]
        if i[row, c.ID] != 0 and kind in (c.VEHICLE, c.WALKER, c.PROP):
            rows[count] = row
            p[count, 0] = f[row, c.X]
            p[count, 1] = f[row, c.Y]
            p[count, 2] = f[row, c.Z]
            count += 1
    _surfaces(x0, y0, cell, nx, ny, terrain, cell_start, cell_tri, face, count, p, out, hit)
    for k in range(count):
        row = rows[k]
        dx, dy = out[k, 1], out[k, 2]
        n = 1.0
        if dx != 0.0 or dy != 0.0:
            n = 1.0 / math.sqrt(1.0 + dx * dx + dy * dy)
        f[row, c.GROUND_Z] = out[k, 0]
        f[row, c.GROUND_NX] = -dx * n
        f[row, c.GROUND_NY] = -dy * n
        f[row, c.GROUND_NZ] = n


@array_kernel
def heights(
    x0: float, y0: float, cell: float, nx: int, ny: int,
    terrain: Any, cell_start: Any, cell_tri: Any, face: Any, p: Any, out: Any, hit: Any,
) -> None:  # fmt: skip
    """`_surfaces` of many points."""
    _surfaces(x0, y0, cell, nx, ny, terrain, cell_start, cell_tri, face, p.shape[0], p, out, hit)


@array_kernel
def fill_cells(
    tri: Any, x0: float, y0: float, cell: float, nx: int, ny: int, fill: bool, most: int, at: Any, entry: Any
) -> Any:  # fmt: skip
    """List every triangle in the cells it touches, in two passes.

    Without `fill`, `at` (cells,) counts; with it, `at` holds where each cell's list begins in `entry` and ends as where it ends.
    A cell is left out when it lies wholly outside one edge of the triangle. Returns how many cells were looked at; stops when
    that is above `most`.
    """
    visits = 0
    for t in range(tri.shape[0]):
        ax, ay = tri[t, 0] - x0, tri[t, 1] - y0
        bx, by = tri[t, 3] - x0, tri[t, 4] - y0
        cx, cy = tri[t, 6] - x0, tri[t, 7] - y0
        side = 1.0 if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0.0 else -1.0
        i0 = max(0, int((min(ax, bx, cx) - RIM_M) / cell))
        i1 = min(nx - 1, int((max(ax, bx, cx) + RIM_M) / cell))
        j0 = max(0, int((min(ay, by, cy) - RIM_M) / cell))
        j1 = min(ny - 1, int((max(ay, by, cy) + RIM_M) / cell))
        visits += (j1 - j0 + 1) * (i1 - i0 + 1)
        if visits > most:
            return visits
        for j in range(j0, j1 + 1):
            y = (j + 0.5) * cell
            for i in range(i0, i1 + 1):
                x = (i + 0.5) * cell
                outside = False
                for edge in range(3):
                    if edge == 0:
                        px, py, qx, qy = ax, ay, bx, by
                    elif edge == 1:
                        px, py, qx, qy = bx, by, cx, cy
                    else:
                        px, py, qx, qy = cx, cy, ax, ay
                    nx_, ny_ = side * (py - qy), side * (qx - px)  # inwards
                    reach = (abs(nx_) + abs(ny_)) * (0.5 * cell + RIM_M)
                    if (x - px) * nx_ + (y - py) * ny_ < -reach:
                        outside = True
                if outside:
                    continue
                k = j * nx + i
                if fill:
                    entry[at[k]] = t
                at[k] += 1
    return visits


@array_kernel
def lowest(
    x0: float, y0: float, cell: float, nx: int, ny: int,
    cell_start: Any, cell_tri: Any, face: Any, out: Any,
) -> None:  # fmt: skip
    """Lowest surface at the centre of each cell that a triangle touches.

    Where none covers the centre, the plane of the triangle that is nearest to doing so.
    """
    for j in range(ny):
        y = y0 + (j + 0.5) * cell
        for i in range(nx):
            x = x0 + (i + 0.5) * cell
            k = j * nx + i
            covered, best, z = False, -math.inf, 0.0
            for e in range(cell_start[k], cell_start[k + 1]):
                t = cell_tri[e]
                p = face[t, 0] + face[t, 1] * x + face[t, 2] * y
                q = face[t, 3] + face[t, 4] * x + face[t, 5] * y
                h = face[t, 6] + face[t, 7] * x + face[t, 8] * y
                inside = min(p, q, 1.0 - p - q)
                if inside >= EDGE:
                    z = min(z, h) if covered else h
                    covered = True
                elif not covered and inside > best:
                    best, z = inside, h
            if cell_start[k + 1] > cell_start[k]:
                out[j, i] = z


@array_kernel
def spread(z: Any, distance: Any) -> None:
    """Give every cell the height of the nearest known one, by two sweeps; `distance` (cells) is 0 where known, else infinite.

    Each row first takes from the row before it, which has no order and fills whole registers, then from cell to cell along itself.
    """
    ny, nx = z.shape
    before = np.empty(nx)
    for j in range(ny):
        before[:] = distance[j]
        if j > 0:
            _from_row(z, distance, j, j - 1, False)
        for i in range(1, nx):
            d = distance[j, i - 1] + 1.0
            if d < before[i] and d <= distance[j, i]:  # as if it had been asked first
                distance[j, i] = d
                z[j, i] = z[j, i - 1]
    for j in range(ny - 1, -1, -1):
        before[:] = distance[j]
        if j < ny - 1:
            _from_row(z, distance, j, j + 1, True)
        for i in range(nx - 2, -1, -1):
            d = distance[j, i + 1] + 1.0
            if d < before[i] and d <= distance[j, i]:
                distance[j, i] = d
                z[j, i] = z[j, i + 1]


@array_helper
def _from_row(z: Any, distance: Any, j: int, b: int, later: bool) -> None:
    """Row j from its neighbour b, straight before slanting."""
    nx = z.shape[1]
    far = math.sqrt(2.0)
    ahead = 1 if later else -1
    for i in range(nx):
        best, height = distance[j, i], z[j, i]
        d = distance[b, i] + 1.0
        height = z[b, i] if d < best else height
        best = min(d, best)
        c = i + ahead
        if 0 <= c < nx:
            d = distance[b, c] + far
            height = z[b, c] if d < best else height
            best = min(d, best)
        c = i - ahead
        if 0 <= c < nx:
            d = distance[b, c] + far
            height = z[b, c] if d < best else height
            best = min(d, best)
        distance[j, i], z[j, i] = best, height


@array_kernel
def smooth(z: Any, distance: Any, out: Any) -> None:
    """Mean of each cell and its eight neighbours, where the height is not known from a road."""
    ny, nx = z.shape
    for j in range(ny):
        up, down = max(j - 1, 0), min(j + 1, ny - 1)
        for i in range(nx):
            if distance[j, i] == 0.0:
                out[j, i] = z[j, i]
                continue
            a, b = max(i - 1, 0), min(i + 1, nx - 1)
            total = z[up, a] + z[up, i] + z[up, b] + z[j, a] + z[j, i] + z[j, b]
            out[j, i] = (total + z[down, a] + z[down, i] + z[down, b]) / 9.0
