"""Who is who: pairs inside the gate, then the pairing of least total cost.

Candidates are kept row by row (`start`, `column`, `cost`), so nothing is ever spent on pairs that cannot be, and connected
components need no search: an augmenting path never leaves its own.
"""

from typing import Any

import numpy as np

from protocols.jit import kernel


@kernel
def gate(
    slots: Any, xm: Any, pm: Any, best_kind: Any, detection: Any, velocity_kind: int, back: float, sigma_v: float,
    limit: float, kind_penalty: float, view: Any, start: Any, column: Any, cost: Any,
) -> None:  # fmt: skip
    """Candidates of every detection among the tracks in `slots` (m,).

    Position: squared Mahalanobis distance at most `limit`; cost adds what the velocity says, `kind_penalty` where the voted
    class `best_kind` (M,) differs (0: no opinion), and log det S, which keeps a vague track from taking what a sharp one explains better
    (the terms of the assignment's log likelihood; Blackman and Popoli 1999, section 6.3). Pairs costing 2 * `limit`
    or more before the last term are left out. `back`: age of the detections against the tracks, in seconds.
    Scratch `view` (5, M). Out: start (n+1,), column and cost (n*m,).
    """
    m = slots.size
    for j in range(m):
        k = slots[j]
        view[0, j] = xm[k, 0] - back * xm[k, 2]
        view[1, j] = xm[k, 1] - back * xm[k, 3]
        p = pm[k]
        view[2, j] = p[0, 0] - 2.0 * back * p[0, 2] + back * back * p[2, 2]
        view[3, j] = p[0, 1] - back * (p[0, 3] + p[2, 1]) + back * back * p[2, 3]
        view[4, j] = p[1, 1] - 2.0 * back * p[1, 3] + back * back * p[3, 3]
    noise = sigma_v * sigma_v
    count = 0
    for i in range(detection.shape[0]):
        start[i] = count
        d = detection[i]
        speed = np.sqrt(d[2] * d[2] + d[3] * d[3])
        for j in range(m):
            dx = d[0] - view[0, j]
            s00 = view[2, j] + d[7]
            if dx * dx > limit * s00:  # one axis alone is never nearer than both
                continue
            dy = d[1] - view[1, j]
            s11 = view[4, j] + d[9]
            if dy * dy > limit * s11:
                continue
            s01 = view[3, j] + d[8]
            det = s00 * s11 - s01 * s01
            distance2 = (dx * dx * s11 - 2.0 * dx * dy * s01 + dy * dy * s00) / det
            if distance2 > limit:
                continue
            k = slots[j]
            p = pm[k]
            if velocity_kind == 3:
                ex = d[2] - xm[k, 2]
                ey = d[3] - xm[k, 3]
                a = p[2, 2] + noise
                b = p[2, 3]
                c = p[3, 3] + noise
                distance2 += (ex * ex * c - 2.0 * ex * ey * b + ey * ey * a) / (a * c - b * b)
            elif velocity_kind == 2 and speed > 1e-9:
                ux = d[2] / speed
                uy = d[3] / speed
                e = speed - ux * xm[k, 2] - uy * xm[k, 3]
                a = ux * ux * p[2, 2] + 2.0 * ux * uy * p[2, 3] + uy * uy * p[3, 3]
                distance2 += e * e / (a + noise)
            if d[10] != 0.0 and best_kind[k] != 0 and best_kind[k] != int(d[10]):
                distance2 += kind_penalty
            if distance2 < 2.0 * limit:
                column[count] = j
                cost[count] = distance2 + np.log(det)
                count += 1
    start[detection.shape[0]] = count


@kernel
def assign(start: Any, column: Any, cost: Any, alone: float, m: int, ints: Any, floats: Any, pair: Any) -> None:  # fmt: skip
    """pair (n,): column of each row at least total cost, -1 where staying alone (at cost `alone`) is cheaper.

    Candidates of row i: column and cost [start[i]:start[i+1]]. Shortest augmenting paths with potentials (Jonker and Volgenant
    1987, as in Kuhn's method): columns m..m+n-1 are "row i stays alone". Scratch: ints (4, m+n+1), floats (3, m+n+1).
    """
    n = pair.size
    width = m + n
    row_of = ints[0]  # of each column; last entry: the row being placed
    way = ints[1]
    seen = ints[2]
    state = ints[3]  # 1 seen, 2 in the tree
    u = floats[0]
    v = floats[1]
    least = floats[2]
    for j in range(width + 1):
        row_of[j] = -1
        way[j] = width
        state[j] = 0
        u[j] = 0.0
        v[j] = 0.0
        least[j] = np.inf
    for row in range(n):
        row_of[width] = row
        seen[0] = width
        num_seen = 1
        at = width
        while row_of[at] >= 0:
            state[at] = 2
            i = row_of[at]
            for c in range(start[i], start[i + 1] + 1):  # one more: "alone"
                j = m + i if c == start[i + 1] else column[c]
                if state[j] == 2:
                    continue
                reduced = (alone if j >= m else cost[c]) - u[i] - v[j]
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
    for i in range(n):
        pair[i] = -1
    for j in range(m):
        if row_of[j] >= 0:
            pair[row_of[j]] = j
