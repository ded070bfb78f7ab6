"""Where a body is on its own route: nearest point of the sampled centre lines of a few lanes around the last known one.

Arrays as in `protocols.roads.network.Points` and the route's lanes in order. Chord error of the samples is at most 1 cm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.jit import kernel


@kernel
def follow(
    lanes: Any, hint: int, ahead: int, point_start: Any, s: Any, x: Any, y: Any, z: Any, px: float, py: float, out: Any
) -> int:  # fmt: skip
    """Position in `lanes` of the lane nearest to (px, py) among `hint`-1 .. `hint`+`ahead`; -1 for none.

    `out` gets [travel distance, offset to the left, height]. Earlier lanes win ties, so a shared end belongs to the lane behind it.
    """
    best, where = np.inf, -1
    for k in range(max(hint - 1, 0), min(hint + ahead + 1, lanes.size)):
        lane = lanes[k]
        for i in range(point_start[lane], point_start[lane + 1] - 1):
            ex, ey = x[i + 1] - x[i], y[i + 1] - y[i]
            length2 = ex * ex + ey * ey
            if length2 <= 0.0:
                continue
            u = ((px - x[i]) * ex + (py - y[i]) * ey) / length2
            u = min(max(u, 0.0), 1.0)
            dx, dy = px - (x[i] + u * ex), py - (y[i] + u * ey)
            gap = dx * dx + dy * dy
            if gap < best - 1e-12:
                best, where = gap, k
                length = np.sqrt(length2)
                out[0] = s[i] + u * (s[i + 1] - s[i])
                out[1] = (ex * dy - ey * dx) / length
                out[2] = z[i] + u * (z[i + 1] - z[i])
    return where
