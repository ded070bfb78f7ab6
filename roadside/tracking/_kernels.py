"""One update of all tracks: predict, pair detections with tracks at least total cost, correct, drop, begin.

Track columns (M, 11): x, y, vx, vy, p11, p12, p22, cos yaw, sin yaw, length, width. The covariance of one axis (position,
velocity) serves both axes, because noise is the same along either. Meta columns (M, 5): id (0: free slot), hits, misses in
a row, age in updates, confirmed. Detection columns (n, 9): x, y, vx, vy, yaw, length, width, sigma, kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

FAR = 1e9


@helper
def assign(cost: Any, alone: float) -> Any:
    """(n,) column for each row of (n, m) `cost` at least total cost, -1 where staying alone (at cost `alone`) is cheaper.

    Entries of FAR are pairs that cannot be.
    Shortest augmenting paths with potentials (Jonker and Volgenant 1987, as in Kuhn's method): columns m..m+n-1 are "row i
    stays alone".
    """
    n, m = cost.shape
    width = m + n
    near = np.empty(
        (n, m + 1), dtype=np.int64
    )  # columns that each row may take, its own "alone" last
    num_near = np.empty(n, dtype=np.int64)
    for i in range(n):
        count = 0
        for j in range(m):
            if cost[i, j] < FAR:
                near[i, count] = j
                count += 1
        near[i, count] = m + i
        num_near[i] = count + 1

    row_of = np.full(width + 1, -1)  # last entry: the row being placed
    u = np.zeros(n)
    v = np.zeros(width + 1)
    way = np.full(width + 1, width)
    least = np.full(width + 1, np.inf)
    state = np.full(width + 1, 0)  # 1 seen, 2 in the tree
    seen = np.empty(width + 1, dtype=np.int64)
    for row in range(n):
        row_of[width] = row
        seen[0] = width
        num_seen = 1
        at = width
        while row_of[at] >= 0:
            state[at] = 2
            i = row_of[at]
            for c in range(num_near[i]):
                j = near[i, c]
                if state[j] == 2:
                    continue
                reduced = (cost[i, j] if j < m else alone) - u[i] - v[j]
                if state[j] == 0:
                    state[j] = 1
                    seen[num_seen] = j
                    num_seen += 1
                if reduced < least[j]:
                    least[j] = reduced
                    way[j] = at
            delta = np.inf
            following = width
            for c in range(num_seen):
                j = seen[c]
                if state[j] == 1 and least[j] < delta:
                    delta = least[j]
                    following = j
            for c in range(num_seen):
                j = seen[c]
                if state[j] == 2:
                    u[row_of[j]] += delta
                    v[j] -= delta
                else:
                    least[j] -= delta
            at = following
        while at != width:
            before = way[at]
            row_of[at] = row_of[before]
            at = before
        for c in range(num_seen):
            state[seen[c]] = 0
            least[seen[c]] = np.inf
    out = np.full(n, -1)
    for j in range(m):
        if row_of[j] >= 0:
            out[row_of[j]] = j
    return out


@kernel
def update(
    track: Any, meta: Any, votes: Any, detection: Any, dt: float, next_id: int, setting: Any
) -> int:
    """Carry all tracks over `dt` seconds and take in `detection`; returns the next free id.

    `setting`: accel sigma, velocity sigma, gate, kind penalty, hits to confirm, misses tentative, misses confirmed.
    """
    accel2 = setting[0] * setting[0]
    velocity2 = setting[1] * setting[1]
    gate = setting[2]
    slots = np.empty(meta.shape[0], dtype=np.int64)
    m = 0
    for k in range(meta.shape[0]):
        if meta[k, 0] == 0:
            continue
        slots[m] = k
        m += 1
        track[k, 0] += dt * track[k, 2]
        track[k, 1] += dt * track[k, 3]
        # White acceleration held over the step (Bar-Shalom, Li, Kirubarajan 2001, 6.3.2).
        track[k, 4] += 2.0 * dt * track[k, 5] + dt * dt * track[k, 6] + 0.25 * dt**4 * accel2
        track[k, 5] += dt * track[k, 6] + 0.5 * dt**3 * accel2
        track[k, 6] += dt * dt * accel2

    n = detection.shape[0]
    cost = np.full((n, m), FAR)
    for i in range(n):
        noise = detection[i, 7] * detection[i, 7]
        for j in range(m):
            k = slots[j]
            dx = detection[i, 0] - track[k, 0]
            dy = detection[i, 1] - track[k, 1]
            spread = track[k, 4] + noise
            distance2 = (dx * dx + dy * dy) / spread
            if distance2 > gate:
                continue
            ex = detection[i, 2] - track[k, 2]
            ey = detection[i, 3] - track[k, 3]
            distance2 += (ex * ex + ey * ey) / (track[k, 6] + velocity2)
            best = 0
            for c in range(votes.shape[1]):
                if votes[k, c] > votes[k, best]:
                    best = c
            if best != int(detection[i, 8]):
                distance2 += setting[3]
            if distance2 < 2.0 * gate:
                # The spread term keeps a vague track from stealing what a sharp one explains better.
                cost[i, j] = distance2 + 2.0 * np.log(spread)
    pair = assign(cost, 3.0 * gate)

    is_hit = np.zeros(m, dtype=np.bool_)
    for i in range(n):
        if pair[i] < 0:
            continue
        is_hit[pair[i]] = True
        k = slots[pair[i]]
        # Position, then velocity: their errors are independent, so one after the other is exact.
        for step in range(2):
            if step == 0:
                scale = track[k, 4] + detection[i, 7] * detection[i, 7]
                gain_p, gain_v = track[k, 4] / scale, track[k, 5] / scale
                ex = detection[i, 0] - track[k, 0]
                ey = detection[i, 1] - track[k, 1]
                p11, p12 = track[k, 4], track[k, 5]
                track[k, 4] -= gain_p * p11
                track[k, 5] -= gain_p * p12
                track[k, 6] -= gain_v * p12
            else:
                scale = track[k, 6] + velocity2
                gain_p, gain_v = track[k, 5] / scale, track[k, 6] / scale
                ex = detection[i, 2] - track[k, 2]
                ey = detection[i, 3] - track[k, 3]
                p12, p22 = track[k, 5], track[k, 6]
                track[k, 4] -= gain_p * p12
                track[k, 5] -= gain_p * p22
                track[k, 6] -= gain_v * p22
            track[k, 0] += gain_p * ex
            track[k, 1] += gain_p * ey
            track[k, 2] += gain_v * ex
            track[k, 3] += gain_v * ey
        meta[k, 1] += 1
        meta[k, 2] = 0
        if meta[k, 1] >= setting[4]:
            meta[k, 4] = 1
        weight = max(1.0 / meta[k, 1], 0.05)  # mean of all, then of about the last 20
        track[k, 9] += weight * (detection[i, 5] - track[k, 9])
        track[k, 10] += weight * (detection[i, 6] - track[k, 10])
        turn = max(weight, 0.3)
        track[k, 7] += turn * (np.cos(detection[i, 4]) - track[k, 7])
        track[k, 8] += turn * (np.sin(detection[i, 4]) - track[k, 8])
        for c in range(votes.shape[1]):
            votes[k, c] *= 0.95
        votes[k, int(detection[i, 8])] += 1.0

    for j in range(m):
        k = slots[j]
        meta[k, 3] += 1
        if not is_hit[j]:
            meta[k, 2] += 1
            if meta[k, 2] >= (setting[6] if meta[k, 4] else setting[5]):
                meta[k, 0] = 0
    k = 0
    for i in range(n):
        if pair[i] >= 0:
            continue
        while k < meta.shape[0] and meta[k, 0] != 0:
            k += 1
        if k == meta.shape[0]:
            break  # full: what is not tracked yet waits
        for c in range(4):
            track[k, c] = detection[i, c]
        track[k, 4] = detection[i, 7] * detection[i, 7]
        track[k, 5] = 0.0
        track[k, 6] = velocity2
        track[k, 7] = np.cos(detection[i, 4])
        track[k, 8] = np.sin(detection[i, 4])
        track[k, 9] = detection[i, 5]
        track[k, 10] = detection[i, 6]
        for c in range(votes.shape[1]):
            votes[k, c] = 0.0
        votes[k, int(detection[i, 8])] = 1.0
        meta[k, 0] = next_id
        meta[k, 1] = 1
        meta[k, 2] = 0
        meta[k, 3] = 0
        meta[k, 4] = 1 if setting[4] <= 1 else 0
        next_id += 1
    return next_id
