"""What a track lives through besides its motion: hits and votes, beginnings, doubles, hiding behind others, and waiting there.

`meta` (M, 9) int64: id (0: free slot), hits, sources seen (bits), confirmed, first and last hit (ns), hidden, time in the open and
time on the move without being seen (ns). `shape` (M, 4): cos yaw, sin yaw, length, width. `trend` (M, 2): smoothed acceleration along the way, speed
at the last hit. `votes` (M, kinds). `detection` as in `_imm_kernels.correct`.
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

RAYS = 7  # across an object
ECHO_M = 1.0  # how far off a body's edge its echoes lie
KNOWN_HITS = 4  # hits before a track is believed in unseen
ALONE_HITS = 10  # the same where only single sensors have seen it
CLEAR = 6  # of them clear: it should have been seen
SIGHT_M = 40.0  # how far ahead a leader counts
FOLLOW_MPS2 = 1.5  # of who follows a leader out of a queue
TREND_S = 0.7  # over which the acceleration is smoothed
NEW_PART = 0.3  # of a new heading in the mean
HEADINGS = (2.0 - NEW_PART) / NEW_PART  # independent ones that such a mean is worth
ANY_YAW = np.pi / np.sqrt(3.0)  # 1 sigma of a heading that nobody knows
LEAST_YAW = 0.01


@kernel
def note(
    pair: Any, slots: Any, detection: Any, t_ns: int, source: int, weight: float, num_confirm: int,
    xm: Any, meta: Any, votes: Any, best_kind: Any, shape: Any, trend: Any,
) -> None:  # fmt: skip
    """Count hits, confirm, vote on the class, average size and heading. `weight`: of this kind of sensor for class and shape."""
    for i in range(detection.shape[0]):
        if pair[i] < 0:
            continue
        k = slots[pair[i]]
        meta[k, 1] += 1
        meta[k, 2] |= 1 << source
        if t_ns > meta[k, 5]:
            dt = (t_ns - meta[k, 5]) / 1e9
            speed = np.sqrt(xm[k, 2] * xm[k, 2] + xm[k, 3] * xm[k, 3])
            trend[k, 0] += min(dt / TREND_S, 1.0) * ((speed - trend[k, 1]) / dt - trend[k, 0])
            trend[k, 1] = speed
            meta[k, 5] = t_ns
        meta[k, 6] = 0
        meta[k, 7] = 0
        meta[k, 8] = 0
        if meta[k, 1] >= num_confirm:
            meta[k, 3] = 1
        kind = int(detection[i, 10])
        if kind > 0:
            best = 0
            for c in range(votes.shape[1]):
                votes[k, c] *= 0.95
            votes[k, kind] += weight
            for c in range(votes.shape[1]):
                if votes[k, c] > votes[k, best]:
                    best = c
            best_kind[k] = best
        if weight >= 0.5:
            part = max(1.0 / meta[k, 1], 0.05)  # mean of all, then of about the last 20
            shape[k, 2] += part * (detection[i, 5] - shape[k, 2])
            shape[k, 3] += part * (detection[i, 6] - shape[k, 3])
            c = np.cos(detection[i, 4])
            s = np.sin(detection[i, 4])
            # A box looks the same from behind; who moves fast does not move backwards.
            if (
                xm[k, 2] * xm[k, 2] + xm[k, 3] * xm[k, 3] > 4.0
                and c * xm[k, 2] + s * xm[k, 3] < 0.0
            ):
                c = -c
                s = -s
            part = max(part, NEW_PART)
            shape[k, 0] += part * (c - shape[k, 0])
            shape[k, 1] += part * (s - shape[k, 1])


@helper
def is_inside(x: float, y: float, xm: Any, shape: Any, share: float, margin: float) -> bool:
    """Whether a point lies in the middle `share` of a track's box, or within `margin` metres of that part."""
    norm = np.sqrt(shape[0] * shape[0] + shape[1] * shape[1]) + 1e-12
    dx = x - xm[0]
    dy = y - xm[1]
    along = abs(dx * shape[0] + dy * shape[1]) / norm
    across = abs(dy * shape[0] - dx * shape[1]) / norm
    return bool(
        along < 0.5 * share * shape[2] + margin and across < 0.5 * share * shape[3] + margin
    )


@kernel
def newcomers(pair: Any, slots: Any, detection: Any, share: float, blur: float, t_ns: int, xm: Any, shape: Any, meta: Any, out: Any) -> int:  # fmt: skip
    """Rows of `detection` that begin a track, into `out`; returns their number.

    Not those whose centre lies inside a confirmed object that was seen just now: two bodies cannot share a place, so it is a
    second echo of the same one. `blur`: sigmas around that the same holds for, where the sensor sees no shapes.
    """
    count = 0
    for i in range(detection.shape[0]):
        if pair[i] >= 0:
            continue
        is_double = False
        margin = blur * np.sqrt(max(detection[i, 7], detection[i, 9]))
        for j in range(slots.size):
            k = slots[j]
            if meta[k, 3] == 0 or t_ns - meta[k, 5] > 150_000_000:
                continue
            if is_inside(detection[i, 0], detection[i, 1], xm[k], shape[k], share, margin):
                is_double = True
                break
        if not is_double:
            out[count] = i
            count += 1
    return count


@kernel
def doubles(slots: Any, share: float, shapeless: int, xm: Any, shape: Any, meta: Any) -> None:
    """Free the younger (or, as old, the one of the larger id) of two tracks that lie inside each other and move alike.

    Tracks of sensors without shapes (`shapeless`: bits) only need to come within `ECHO_M` of the older body.
    """
    for b in range(slots.size):
        j = slots[b]
        if meta[j, 3] == 0:
            continue
        reach = 0.5 * share * (shape[j, 2] + shape[j, 3]) + ECHO_M
        for a in range(slots.size):
            i = slots[a]
            if abs(xm[i, 0] - xm[j, 0]) > reach or abs(xm[i, 1] - xm[j, 1]) > reach:
                continue
            if i == j or meta[i, 0] == 0 or meta[j, 0] == 0:
                continue
            if meta[i, 4] < meta[j, 4] or (meta[i, 4] == meta[j, 4] and meta[i, 0] < meta[j, 0]):
                continue
            margin = 0.0 if meta[i, 2] & ~shapeless else ECHO_M
            du = xm[i, 2] - xm[j, 2]
            dv = xm[i, 3] - xm[j, 3]
            if du * du + dv * dv < 9.0 and is_inside(
                xm[i, 0], xm[i, 1], xm[j], shape[j], share, margin
            ):
                meta[i, 0] = 0


@kernel
def drop(
    slots: Any, t_ns: int, dt_ns: int, is_blind: bool, limit: Any, slow: float, xm: Any, meta: Any
) -> int:
    """Free what has not been seen for too long and pack `slots` in place; returns how many are left.

    `is_blind`: the sensor's place is not known. `limit` (4,) ns: tentative unseen, confirmed unseen in the open, hidden, unseen and faster than `slow`.
    """
    left = 0
    for a in range(slots.size):
        k = slots[a]
        unseen = t_ns - meta[k, 5]
        if meta[k, 3] == 0:
            is_gone = unseen >= limit[0]
        elif is_blind:  # nothing is known of who hides whom
            is_gone = unseen >= limit[1]
        else:
            if unseen > 0 and xm[k, 2] * xm[k, 2] + xm[k, 3] * xm[k, 3] >= slow * slow:
                meta[k, 8] += dt_ns
            is_gone = meta[k, 7] >= limit[1] or meta[k, 8] >= limit[3]
            is_gone = is_gone or unseen >= max(limit[2], limit[1])
        if is_gone:
            meta[k, 0] = 0
        if meta[k, 0]:
            slots[left] = k
            left += 1
    return left


@helper
def yaw_sigma(xm: Any, p: Any, shape: Any, hits: int, has_shape: bool, speed: float, slow: float) -> float:  # fmt: skip
    """1 sigma of the reported heading.

    Of a mean of headings, by how much they scatter: |mean of unit vectors|^2 is about exp(-sigma^2 (1 - 1/n)), and the mean is
    sqrt(n) times better than one of them. Of a course, by the velocity across it.
    """
    sigma = ANY_YAW
    if has_shape:
        n = min(float(hits), HEADINGS)
        r2 = shape[0] * shape[0] + shape[1] * shape[1]
        if n > 1.0 and r2 > 1e-6:
            sigma = np.sqrt(max(-np.log(r2), 0.0) / (n - 1.0))
    elif speed > slow:
        vx = xm[2]
        vy = xm[3]
        across = vy * vy * p[2, 2] - 2.0 * vx * vy * p[2, 3] + vx * vx * p[3, 3]
        sigma = np.sqrt(max(across, 0.0)) / (speed * speed)
    return float(min(max(sigma, LEAST_YAW), ANY_YAW))


@kernel
def report(slots: Any, t_ns: int, reported_ns: int, slow: float, shapeless: int, xm: Any, pm: Any, shape: Any, meta: Any, best_kind: Any, votes: Any, out: Any, whole: Any) -> int:  # fmt: skip
    """Confirmed tracks that were seen lately or are hidden; returns their number.

    `out` (16, M): x, y, yaw, vx, vy, speed, length, width, sigma, cov xx, xy, yy, sigma v, age, share of the votes for the class, sigma yaw.
    `whole` (3, M) int64: id, kind, sources.
    """
    n = 0
    for a in range(slots.size):
        k = slots[a]
        if meta[k, 3] == 0 or (t_ns - meta[k, 5] > reported_ns and meta[k, 6] == 0):
            continue
        vx = xm[k, 2]
        vy = xm[k, 3]
        speed = np.sqrt(vx * vx + vy * vy)
        if (meta[k, 2] & ~shapeless) == 0 and speed > slow:  # only radars: heading from motion
            out[2, n] = np.arctan2(vy, vx)
        else:
            out[2, n] = np.arctan2(shape[k, 1], shape[k, 0])
        p = pm[k]
        out[0, n] = xm[k, 0]
        out[1, n] = xm[k, 1]
        out[3, n] = vx
        out[4, n] = vy
        out[5, n] = speed
        out[6, n] = shape[k, 2]
        out[7, n] = shape[k, 3]
        out[8, n] = np.sqrt(0.5 * (p[0, 0] + p[1, 1]))
        out[9, n] = p[0, 0]
        out[10, n] = p[0, 1]
        out[11, n] = p[1, 1]
        out[12, n] = np.sqrt(0.5 * (p[2, 2] + p[3, 3]))
        out[13, n] = (t_ns - meta[k, 4]) / 1e9
        total = 0.0
        for c in range(votes.shape[1]):
            total += votes[k, c]
        out[14, n] = votes[k, best_kind[k]] / total if total > 0.0 else 0.0
        has_shape = (meta[k, 2] & ~shapeless) != 0
        out[15, n] = yaw_sigma(xm[k], p, shape[k], meta[k, 1], has_shape, speed, slow)
        whole[0, n] = meta[k, 0]
        whole[1, n] = best_kind[k]
        whole[2, n] = meta[k, 2]
        n += 1
    return n


@helper
def span(ux: float, uy: float, cx: float, cy: float, shape: Any, cut: Any) -> None:
    """Where the ray from the origin along (ux, uy) enters and leaves a box around (cx, cy): cut[0], cut[1]; enter > leave: never."""
    norm = np.sqrt(shape[0] * shape[0] + shape[1] * shape[1]) + 1e-12
    c = shape[0] / norm
    s = shape[1] / norm
    ox = -(cx * c + cy * s)
    oy = cx * s - cy * c
    vx = ux * c + uy * s
    vy = uy * c - ux * s
    if abs(vx) < 1e-9:
        vx = 1e-9
    if abs(vy) < 1e-9:
        vy = 1e-9
    a0 = (-0.5 * shape[2] - ox) / vx
    a1 = (0.5 * shape[2] - ox) / vx
    b0 = (-0.5 * shape[3] - oy) / vy
    b1 = (0.5 * shape[3] - oy) / vy
    cut[0] = max(min(a0, a1), min(b0, b1))
    cut[1] = min(max(a0, a1), max(b0, b1))


@kernel
def hide(
    slots: Any, t_ns: int, dt_ns: int, shapeless: int, whole_set: int, place_x: float, place_y: float, mount: float, height: Any,
    xm: Any, shape: Any, meta: Any, best_kind: Any, cut: Any,
) -> None:  # fmt: skip
    """Mark confirmed tracks that were not seen last time and that stand in the shadow of others, seen from the sensor's place.

    The same geometry as seeing: a ray reaches an object if the middle of its height stands above the shadow line of every nearer
    box. Hidden: fewer than `CLEAR` of `RAYS` rays across it reach it. Time in the open counts up, time behind others down.
    Only a track of some hits, not all by sensors without shapes, is believed in unseen (`whole_set`: bit of sensor sets). `height` (kinds,) metres by class. `cut` (2,) scratch.
    """
    for a in range(slots.size):
        i = slots[a]
        meta[i, 6] = 0
        if meta[i, 3] == 0 or meta[i, 5] >= t_ns:
            continue
        cx = xm[i, 0] - place_x
        cy = xm[i, 1] - place_y
        away = np.sqrt(cx * cx + cy * cy)
        if away < 1.0:
            continue
        middle = (0.5 * height[best_kind[i]] - mount) / max(away - 0.5 * shape[i, 3], 0.1)
        # Half the extent across the line of sight.
        along = abs(cx * shape[i, 0] + cy * shape[i, 1]) / away
        half = 0.5 * (shape[i, 2] * np.sqrt(max(1.0 - along * along, 0.0)) + shape[i, 3] * along)
        reached = 0
        for ray in range(RAYS):
            off = half * (2.0 * (ray + 0.5) / RAYS - 1.0)
            tx = cx - off * cy / away
            ty = cy + off * cx / away
            far = np.sqrt(tx * tx + ty * ty)
            is_clear = True
            for b in range(slots.size):
                j = slots[b]
                if j == i or meta[j, 3] == 0:
                    continue
                ox = xm[j, 0] - place_x
                oy = xm[j, 1] - place_y
                if ox * ox + oy * oy > cx * cx + cy * cy:
                    continue
                span(tx / far, ty / far, ox, oy, shape[j], cut)
                if cut[0] > cut[1] or cut[1] <= 0.1:
                    continue
                top = height[best_kind[j]] - mount
                shade = top / cut[1] if top < 0.0 else top / max(cut[0], 0.1)
                if middle <= shade:
                    is_clear = False
                    break
            if is_clear:
                reached += 1
        needed = KNOWN_HITS if meta[i, 2] & whole_set else ALONE_HITS
        is_known = meta[i, 1] >= needed and (meta[i, 2] & ~shapeless) != 0
        if is_known and reached < CLEAR:
            meta[i, 6] = 1
            meta[i, 7] = max(meta[i, 7] - dt_ns, 0)
        else:
            meta[i, 7] += dt_ns


@helper
def bound(p: Any, c: float, s: float, widest: Any) -> None:
    """Keep a covariance (5, 5) inside `widest` (4,): 1 sigma of position and of velocity, along and across the way (c, s).

    A body in its lane does not become vague sideways. Where a bound is passed, the parts along and across become independent.
    """
    for first in range(0, 4, 2):
        xx = p[first, first]
        xy = p[first, first + 1]
        yy = p[first + 1, first + 1]
        along = c * c * xx + 2.0 * c * s * xy + s * s * yy
        across = s * s * xx - 2.0 * c * s * xy + c * c * yy
        most_along = widest[first] * widest[first]
        most_across = widest[first + 1] * widest[first + 1]
        if along <= most_along and across <= most_across:
            continue
        along = min(along, most_along)
        across = min(across, most_across)
        for r in range(2):
            for k in range(5):
                p[first + r, k] = 0.0
                p[k, first + r] = 0.0
        p[first, first] = c * c * along + s * s * across
        p[first, first + 1] = c * s * (along - across)
        p[first + 1, first] = p[first, first + 1]
        p[first + 1, first + 1] = s * s * along + c * c * across


@kernel
def wait(slots: Any, t_ns: int, dt: float, brake: float, gap0: float, widest: Any, xm: Any, shape: Any, meta: Any, trend: Any, x: Any, p: Any, pm: Any) -> None:  # fmt: skip
    """Tracks that are not seen do not drive through what stands before them, and do not become vaguer than `widest` (see `bound`).

    Speed at most that from which braking at `brake` still keeps `gap0` metres to the next body in the own path; who braked when last
    seen goes on braking; whose leader drives off follows.
    """
    for a in range(slots.size):
        i = slots[a]
        if meta[i, 5] >= t_ns:
            continue
        speed = np.sqrt(xm[i, 2] * xm[i, 2] + xm[i, 3] * xm[i, 3])
        if speed > 0.5:
            c = xm[i, 2] / speed
            s = xm[i, 3] / speed
        else:
            norm = np.sqrt(shape[i, 0] * shape[i, 0] + shape[i, 1] * shape[i, 1]) + 1e-12
            c = shape[i, 0] / norm
            s = shape[i, 1] / norm
            trend[i, 0] = 0.0
        bound(p[i, 0], c, s, widest)
        bound(p[i, 1], c, s, widest)
        bound(pm[i], c, s, widest)
        wanted = speed
        if trend[i, 0] < -0.5:
            wanted = max(speed + trend[i, 0] * dt, 0.0)
        nearest = SIGHT_M
        leader = 0.0
        for b in range(slots.size):
            j = slots[b]
            if j == i or meta[j, 3] == 0:
                continue
            dx = xm[j, 0] - xm[i, 0]
            dy = xm[j, 1] - xm[i, 1]
            ahead = dx * c + dy * s
            if ahead <= 0.0 or abs(dy * c - dx * s) > 0.4 * (shape[i, 3] + shape[j, 3]):
                continue
            gap = ahead - 0.5 * (shape[i, 2] + shape[j, 2]) - gap0
            if gap < nearest:
                nearest = gap
                leader = max(xm[j, 2] * c + xm[j, 3] * s, 0.0)
        if nearest < SIGHT_M:
            if trend[i, 0] >= -0.5 and nearest > 1.0 and leader > 1.0 and leader > wanted:
                wanted = min(speed + FOLLOW_MPS2 * dt, leader)
            room = 2.0 * brake * max(nearest, 0.0)
            wanted = min(wanted, np.sqrt(leader * leader + room))
        if wanted != speed:
            for k in range(2):
                part = wanted * (c if k == 0 else s)
                for model in range(2):
                    x[i, model, k + 2] = part
                xm[i, k + 2] = part
