"""Kernels of `collision.py`: boxes of all bodies, a uniform grid over their circles, and the separating-axis test."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.jit import helper, kernel


@kernel
def bodies(
    valid: Any, x: Any, y: Any, z: Any, yaw: Any, hitch: Any, length: Any, width: Any, overhang: Any,
    hitch_x: Any, rear_length: Any, box: Any, owner: Any,
) -> int:  # fmt: skip
    """Writes (centre x, y, cos, sin, half length, half width, z) of every section; number of boxes."""
    n = 0
    for i in range(valid.size):
        if not valid[i]:
            continue
        c, s = np.cos(yaw[i]), np.sin(yaw[i])
        mid = 0.5 * length[i] - overhang[i]
        box[n, 0], box[n, 1] = x[i] + mid * c, y[i] + mid * s
        box[n, 2], box[n, 3] = c, s
        box[n, 4], box[n, 5], box[n, 6] = 0.5 * length[i], 0.5 * width[i], z[i]
        owner[n] = i
        n += 1
        if rear_length[i] > 0.0:
            back = yaw[i] - hitch[i]
            cr, sr = np.cos(back), np.sin(back)
            jx, jy = x[i] + hitch_x[i] * c, y[i] + hitch_x[i] * s
            box[n, 0], box[n, 1] = jx - 0.5 * rear_length[i] * cr, jy - 0.5 * rear_length[i] * sr
            box[n, 2], box[n, 3] = cr, sr
            box[n, 4], box[n, 5], box[n, 6] = 0.5 * rear_length[i], 0.5 * width[i], z[i]
            owner[n] = i
            n += 1
    return n


@helper
def overlap(box: Any, a: int, b: int) -> bool:
    """Separating-axis test of two oriented boxes (Gottschalk 1996); touching counts as apart."""
    dx, dy = box[b, 0] - box[a, 0], box[b, 1] - box[a, 1]
    ca, sa, la, wa = box[a, 2], box[a, 3], box[a, 4], box[a, 5]
    cb, sb, lb, wb = box[b, 2], box[b, 3], box[b, 4], box[b, 5]
    cc = abs(ca * cb + sa * sb)
    ss = abs(ca * sb - sa * cb)
    if abs(dx * ca + dy * sa) >= la + lb * cc + wb * ss:
        return False
    if abs(dy * ca - dx * sa) >= wa + lb * ss + wb * cc:
        return False
    if abs(dx * cb + dy * sb) >= lb + la * cc + wa * ss:
        return False
    return bool(abs(dy * cb - dx * sb) < wb + la * ss + wa * cc)


@kernel
def find(
    valid: Any, x: Any, y: Any, z: Any, yaw: Any, hitch: Any, length: Any, width: Any, overhang: Any,
    hitch_x: Any, rear_length: Any, box: Any, owner: Any, cell_of: Any, head: Any, chain: Any,
    height: float, pairs: Any,
) -> int:  # fmt: skip
    """Rows (a < b) whose bodies overlap into `pairs`; the number found, which may exceed its size.

    Boxes are hashed by the cell of their centre; cells are as wide as the two largest circumscribed radii, so overlapping
    boxes lie in the same or neighbouring cells. `head` (power of two) and `chain` are the hash table.
    """
    n = bodies(
        valid, x, y, z, yaw, hitch, length, width, overhang, hitch_x, rear_length, box, owner
    )
    reach = 0.0
    for k in range(n):
        reach = max(reach, box[k, 4] * box[k, 4] + box[k, 5] * box[k, 5])
    inv = 1.0 / max(2.0 * np.sqrt(reach), 0.1)
    mask = head.size - 1
    head[:] = -1
    for k in range(n):
        cx, cy = int(np.floor(box[k, 0] * inv)), int(np.floor(box[k, 1] * inv))
        cell_of[k, 0], cell_of[k, 1] = cx, cy
        slot = (cx * 73856093 ^ cy * 19349663) & mask
        chain[k] = head[slot]
        head[slot] = k
    count = 0
    for k in range(n):
        cx, cy = cell_of[k, 0], cell_of[k, 1]
        radius = box[k, 4] + box[k, 5]
        for ix in range(cx - 1, cx + 2):
            for iy in range(cy - 1, cy + 2):
                m = head[(ix * 73856093 ^ iy * 19349663) & mask]
                while m > k:  # chains run from the latest box down
                    if cell_of[m, 0] == ix and cell_of[m, 1] == iy and owner[m] != owner[k]:
                        both = radius + box[m, 4] + box[m, 5]
                        if (
                            abs(box[k, 0] - box[m, 0]) < both
                            and abs(box[k, 1] - box[m, 1]) < both
                            and abs(box[k, 6] - box[m, 6]) < height
                            and overlap(box, k, m)
                        ):
                            a, b = owner[k], owner[m]
                            is_new = True
                            for p in range(min(count, pairs.shape[0]) - 1, -1, -1):
                                if pairs[p, 0] != a:
                                    if pairs[p, 0] < a:
                                        break
                                elif pairs[p, 1] == b:
                                    is_new = False
                                    break
                            if is_new:
                                if count < pairs.shape[0]:
                                    pairs[count, 0], pairs[count, 1] = a, b
                                count += 1
                    m = chain[m]
    return count
