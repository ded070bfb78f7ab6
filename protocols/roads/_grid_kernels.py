"""The segment grid of `matching.py`: which centre-line segments lie near which cell."""

from __future__ import annotations

from typing import Any

from protocols.jit import kernel


@kernel
def build_grid(
    point_start: Any, x: Any, y: Any, z: Any, yaw: Any, width: Any,
    x0: float, y0: float, nx: int, ny: int, cell: float, reach: float, fill: bool, seg: Any, seg_lane: Any, at: Any, entry: Any,
) -> None:  # fmt: skip
    """Segments (P, 8) and their lanes (P,); every segment within `reach` of a cell is listed there.

    Two passes: without `fill`, `at` (cells,) counts each cell's segments; with it, `at` is where a cell's list begins in
    `entry` and ends as where it ends. Segment columns: x, y, z, dx, dy, dz, 1/length^2, yaw. The last point of a lane begins
    no segment, and where a lane is less than 1 cm wide it is not there: such segments are in no cell.
    """
    far = reach + 0.7072 * cell
    for lane in range(point_start.size - 1):
        for i in range(point_start[lane], point_start[lane + 1] - 1):
            dx, dy = x[i + 1] - x[i], y[i + 1] - y[i]
            w = dx * dx + dy * dy
            inv = 1.0 / w if w > 0.0 else 0.0
            seg[i, 0] = x[i]
            seg[i, 1] = y[i]
            seg[i, 2] = z[i]
            seg[i, 3] = dx
            seg[i, 4] = dy
            seg[i, 5] = z[i + 1] - z[i]
            seg[i, 6] = inv
            seg[i, 7] = yaw[i]
            seg_lane[i] = lane
            if max(width[i], width[i + 1]) < 0.01:
                continue
            i0 = max(0, int((min(x[i], x[i + 1]) - reach - x0) / cell))
            i1 = min(nx - 1, int((max(x[i], x[i + 1]) + reach - x0) / cell))
            j0 = max(0, int((min(y[i], y[i + 1]) - reach - y0) / cell))
            j1 = min(ny - 1, int((max(y[i], y[i + 1]) + reach - y0) / cell))
            for a in range(i0, i1 + 1):
                px = x0 + (a + 0.5) * cell - x[i]
                for b in range(j0, j1 + 1):
                    py = y0 + (b + 0.5) * cell - y[i]
                    u = min(1.0, max(0.0, (px * dx + py * dy) * inv))
                    ex, ey = px - u * dx, py - u * dy
                    if ex * ex + ey * ey <= far * far:
                        c = a * ny + b
                        if fill:
                            entry[at[c]] = i
                        at[c] += 1
