"""From the points of one turn of a CARLA lidar to the grid that our clustering reads.

A turn comes in as many pieces as ticks, each measured from where the sensor was then. Points are moved to where it is at the end
(the own motion is known, that of others is not), sorted into columns of azimuth and rows of channel, and levelled: a point's row
becomes that which would see its height above the road at its distance from a level road. So a pitching vehicle, a slope or a kerb
looks like a flat road to what comes after.
"""

from typing import Any

import numpy as np

from protocols.jit import kernel

FARTHEST_M = 1e5
BESIDE_M = 15.0  # of what is nearer, a lidar on a roof sees the roof in rows
AHEAD_M = 0.3
NEAR_M = 5.0  # the rise of a shorter piece of road says little


@kernel
def gather(
    point: Any,
    count: Any,
    pose: Any,
    own: Any,
    up: float,
    first: float,
    step: float,
    is_full: bool,
    near: float,
    far: Any,
    high: Any,
    piece: Any,
) -> None:
    """Points into `far` (A, C), ground distance, and `high` (A, C), height over the vehicle's ground; nan where there is none.

    `point` (M, 4) as CARLA sends them (x forward, y right, z up), piece after piece, in each channel after channel from the highest;
    `count` (N, C) how many of each. `pose` (N, 3): x, y, yaw of the sensor at each piece, in its own frame at the last one, y left.
    `own` (B, 6): boxes of the own body around the sensor: cx, cy, cos, sin, half length, half width; points in them are left out.
    `piece` (A,): which piece a column was measured in. Column a looks to first + a step, left positive. Nearest first.
    """
    pieces, channels = count.shape
    columns = far.shape[0]
    far[:] = np.nan
    high[:] = np.nan
    at = 0
    for n in range(pieces):
        cos = np.cos(pose[n, 2])
        sin = np.sin(pose[n, 2])
        for k in range(channels):
            c = channels - 1 - k
            for _ in range(count[n, k]):
                x = float(point[at, 0])
                y = -float(point[at, 1])
                z = float(point[at, 2]) + up
                at += 1
                if (
                    not near * near <= x * x + y * y < FARTHEST_M * FARTHEST_M
                ):  # nor what is no number
                    continue
                is_own = False
                for b in range(own.shape[0]):
                    dx = x - own[b, 0]
                    dy = y - own[b, 1]
                    along = dx * own[b, 2] + dy * own[b, 3]
                    aside = dy * own[b, 2] - dx * own[b, 3]
                    if abs(along) < own[b, 4] and abs(aside) < own[b, 5]:
                        is_own = True
                if is_own:
                    continue
                u = pose[n, 0] + cos * x - sin * y
                v = pose[n, 1] + sin * x + cos * y
                turn = np.arctan2(v, u) - first
                a = int(np.floor(turn / step + 0.5))
                if is_full:
                    a = a % columns
                elif a < 0 or a >= columns:
                    continue
                d = np.sqrt(u * u + v * v)
                piece[a] = n
                if np.isnan(far[a, c]) or d < far[a, c]:
                    far[a, c] = d
                    high[a, c] = z


@kernel
def level(
    far: Any,
    high: Any,
    up: float,
    rise: float,
    cosine: Any,
    start: float,
    per_m: float,
    most: float,
    top: float,
    first: float,
    step: float,
    nose: float,
    left: float,
    known: Any,
    measured: Any,
) -> None:
    """What stands on the road, into `measured` (A, C): range along the ray, nan elsewhere.

    In each column, from the lowest channel outwards, an echo is road when it is hardly higher or lower than the road would be if it
    went on from the last one as it has risen up to there; how much may differ grows with the distance between them. `rise`: elevation from one channel
    to the next.
    `known` (K, 7): upright boxes that the map has, as in `gather`, and up to which height over the vehicle's ground; what is in them, or
    above `top` over the road, is left out. These stand level while the vehicle may lean: `nose`, `left`: how much it rises a metre ahead and
    to the left.
    """
    columns, channels = far.shape
    measured[:] = np.nan
    for a in range(columns):
        cos = np.cos(first + a * step)
        sin = np.sin(first + a * step)
        road_far = 0.0
        road_high = 0.0
        for c in range(channels):
            d = far[a, c]
            if np.isnan(d):
                continue
            room = min(start + per_m * max(d - road_far, 0.0), most)
            road = road_high + road_high / max(road_far, NEAR_M) * (d - road_far)
            height = high[a, c] - road
            if abs(height) <= room:
                if d > road_far + AHEAD_M:  # a face would be climbed row by row
                    road_far = d
                    road_high = high[a, c]
                continue
            if height < 0.0 or height > top:
                continue
            u = d * cos
            v = d * sin
            upright = high[a, c] + nose * u + left * v
            is_known = False
            for k in range(known.shape[0]):
                dx = u - known[k, 0]
                dy = v - known[k, 1]
                along = dx * known[k, 2] + dy * known[k, 3]
                aside = dy * known[k, 2] - dx * known[k, 3]
                if abs(along) < known[k, 4] and abs(aside) < known[k, 5] and upright < known[k, 6]:
                    is_known = True
            if is_known:
                continue
            # Whole rows, and near by none for less than one: rows of one thing have to stay beside each other.
            turn = (np.arctan2(height - up, d) - np.arctan2(high[a, c] - up, d)) / rise
            q = c + (int(turn) if d < BESIDE_M else int(np.floor(turn + 0.5)))
            if q < 0 or q >= channels:
                continue
            r = d / cosine[q]
            if np.isnan(measured[a, q]) or r < measured[a, q]:
                measured[a, q] = r
