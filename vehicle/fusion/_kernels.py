"""Kernels of localisation and tracking; see `localisation.py` and `tracking.py`."""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, kernel


@helper
def scalar_update(
    state: Any, cov: Any, index: int, residual: float, variance: float, line: Any
) -> None:
    """Measurement of one state component; `line` is scratch. The covariance stays exactly symmetric."""
    n = state.size
    total = cov[index, index] + variance
    for i in range(n):
        line[i] = cov[index, i]
    for i in range(n):
        state[i] += line[i] / total * residual
        for j in range(n):
            cov[i, j] -= line[i] * line[j] / total


@kernel
def localise(state: Any, cov: Any, z: Any, noise: Any, must_believe: bool, f: Any, p: Any) -> bool:
    """Predict over z[0] seconds, then update; True when a position fix was refused.

    z: dt, has imu, has odometry, speed, fix sigma (0 none), acceleration, yaw rate, yaw, fix x, fix y.
    noise: acceleration, gyro, bias walk, odometry, yaw, gate. f (identity) and p: (5, 5) scratch.
    """
    dt = z[0]
    if dt > 0.0:
        v, yaw = state[3], state[2]
        rate = z[6] - state[4]
        ds = v * dt + 0.5 * z[5] * dt * dt
        mid = yaw + 0.5 * rate * dt
        c, s = math.cos(mid), math.sin(mid)
        state[0] += ds * c
        state[1] += ds * s
        state[2] = yaw + rate * dt
        state[3] = v + z[5] * dt
        # F = I + these entries
        f[0, 2], f[1, 2] = -ds * s, ds * c
        f[0, 3], f[1, 3] = dt * c, dt * s
        f[0, 4], f[1, 4] = 0.5 * dt * ds * s, -0.5 * dt * ds * c
        f[2, 4] = -dt
        for i in range(5):
            for j in range(5):
                total = 0.0
                for k in range(5):
                    total += f[i, k] * cov[k, j]
                p[i, j] = total
        for i in range(5):
            for j in range(5):
                total = 0.0
                for k in range(5):
                    total += p[i, k] * f[j, k]
                cov[i, j] = total
        qa = (noise[0] * dt) ** 2
        qg = (noise[1] * dt) ** 2
        cov[3, 3] += qa
        cov[2, 2] += qg
        cov[4, 4] += noise[2] * noise[2] * dt
        half = 0.25 * dt * dt * qa + 1e-9 * dt
        cov[0, 0] += half
        cov[1, 1] += half
    if z[2] > 0.0:
        scalar_update(state, cov, 3, z[3] - state[3], noise[3] ** 2, p[0])
    if z[1] > 0.0:
        turn = (z[7] - state[2] + math.pi) % (2.0 * math.pi) - math.pi
        scalar_update(state, cov, 2, turn, noise[4] ** 2, p[0])
    refused = False
    if z[4] > 0.0:
        var = z[4] * z[4]
        dx, dy = z[8] - state[0], z[9] - state[1]
        gate = noise[5] ** 2
        refused = dx * dx / (cov[0, 0] + var) + dy * dy / (cov[1, 1] + var) > gate
        if must_believe:
            refused = False
            cov[0, 0] += dx * dx
            cov[1, 1] += dy * dy
        if not refused:
            scalar_update(state, cov, 0, dx, var, p[0])
            scalar_update(state, cov, 1, z[9] - state[1], var, p[0])
    state[2] = math.pi - (math.pi - state[2]) % (2.0 * math.pi)
    return refused


# float columns of a track: x, y, vx, vy, yaw, length, width, then the covariance shared by both axes: pp, pv, vv
# integer columns: valid, id, kind, sources ever, station, hits, last seen ns, sources this cycle
# float columns of a detection: x, y, vx, vy, yaw, length, width, sigma; integer: kind, source bit, station
# cfg: accel sigma, velocity sigma, gate sigma, gate min, merge, coast ns, young coast ns, range
# own: x, y, yaw, joint, front x, rear x, half width, hitch a, rear length
VULNERABLE = 8  # ActorKind from here on walks or pedals


@helper
def fits(kind_a: int, kind_b: int) -> bool:
    """Whether two classes may be the same thing."""
    return kind_a == 0 or kind_b == 0 or (kind_a >= VULNERABLE) == (kind_b >= VULNERABLE)


@helper
def lies_in_own_body(x: float, y: float, own: Any) -> bool:
    """Inside either own section, a metre longer and 0.7 m wider each side."""
    c, s = math.cos(own[2]), math.sin(own[2])
    dx, dy = x - own[0], y - own[1]
    u, w = c * dx + s * dy, c * dy - s * dx
    if -own[5] - 1.0 < u < own[4] + 1.0 and abs(w) < own[6] + 0.7:
        return True
    if own[8] <= 0.0:
        return False
    jx, jy = own[0] - own[7] * c, own[1] - own[7] * s
    c, s = math.cos(own[2] - own[3]), math.sin(own[2] - own[3])
    dx, dy = x - jx, y - jy
    u, w = c * dx + s * dy, c * dy - s * dx
    return bool(-own[8] - 1.0 < u < 1.0 and abs(w) < own[6] + 0.7)


@helper
def absorb(f: Any, g: Any, i: int, det: Any, deti: Any, k: int, vel_sigma: float, now: int) -> None:
    """Kalman update of track i by detection k: both axes share one 2x2 covariance, because R is the same for both."""
    pp, pv, vv = f[i, 7], f[i, 8], f[i, 9]
    r = det[k, 7] ** 2
    g0, g1 = pp / (pp + r), pv / (pp + r)
    for axis in range(2):
        e = det[k, axis] - f[i, axis]
        f[i, axis] += g0 * e
        f[i, 2 + axis] += g1 * e
    pp, pv, vv = pp * (1.0 - g0), pv * (1.0 - g0), vv - g1 * pv
    r = vel_sigma * vel_sigma
    g0, g1 = pv / (vv + r), vv / (vv + r)
    for axis in range(2):
        e = det[k, 2 + axis] - f[i, 2 + axis]
        f[i, axis] += g0 * e
        f[i, 2 + axis] += g1 * e
    f[i, 7], f[i, 8], f[i, 9] = pp - g0 * pv, pv * (1.0 - g1), vv * (1.0 - g1)
    turn = (det[k, 4] - f[i, 4] + math.pi) % (2.0 * math.pi) - math.pi
    f[i, 4] = math.pi - (math.pi - f[i, 4] - 0.5 * turn) % (2.0 * math.pi)
    f[i, 5] += 0.3 * (det[k, 5] - f[i, 5])
    f[i, 6] += 0.3 * (det[k, 6] - f[i, 6])
    if g[i, 2] == 0 or deti[k, 1] == 2:
        g[i, 2] = deti[k, 0]
    g[i, 3] |= deti[k, 1]
    g[i, 7] |= deti[k, 1]
    if deti[k, 2] != 0:
        g[i, 4] = deti[k, 2]
    g[i, 5] += 1
    g[i, 6] = now


@kernel
def track(f: Any, g: Any, det: Any, deti: Any, group: Any, now: int, dt: float, cfg: Any, own: Any, next_id: int,
          done: Any, used: Any, pair_cost: Any, pair: Any) -> int:  # fmt: skip
    """One cycle over detection groups group[n]:group[n+1] (one source each); returns the next free id.

    Scratch: done (N,), used (C,), pair_cost (Q,), pair (Q, 2).
    """
    cap = f.shape[0]
    q = cfg[0] ** 2
    for i in range(cap):
        if g[i, 0] == 0:
            continue
        g[i, 7] = 0
        f[i, 0] += f[i, 2] * dt
        f[i, 1] += f[i, 3] * dt
        f[i, 7] += dt * (2.0 * f[i, 8] + dt * f[i, 9]) + 0.25 * dt**4 * q
        f[i, 8] += dt * f[i, 9] + 0.5 * dt**3 * q
        f[i, 9] += dt * dt * q
    for n in range(group.size - 1):
        a, b = group[n], group[n + 1]
        for i in range(cap):
            used[i] = False
        for k in range(a, b):
            far = (det[k, 0] - own[0]) ** 2 + (det[k, 1] - own[1]) ** 2 > cfg[7] ** 2
            mine = (
                deti[k, 1] == 4
                and deti[k, 0] < VULNERABLE
                and lies_in_own_body(det[k, 0], det[k, 1], own)
            )
            done[k] = far or mine
        # vehicles that say who they are
        for k in range(a, b):
            if done[k] or deti[k, 2] == 0:
                continue
            for i in range(cap):
                if g[i, 0] != 0 and g[i, 4] == deti[k, 2]:
                    gap = (det[k, 0] - f[i, 0]) ** 2 + (det[k, 1] - f[i, 1]) ** 2
                    if gap < 100.0:
                        absorb(f, g, i, det, deti, k, cfg[1], now)
                        used[i] = True
                        done[k] = True
                    else:
                        g[i, 4] = 0  # the name has moved on
                    break
        # the rest: nearest pairs first, one to one
        pairs = 0
        for k in range(a, b):
            if done[k]:
                continue
            for i in range(cap):
                if g[i, 0] == 0 or used[i] or not fits(g[i, 2], deti[k, 0]):
                    continue
                if deti[k, 2] != 0 and g[i, 4] != 0:
                    continue
                dx, dy = det[k, 0] - f[i, 0], det[k, 1] - f[i, 1]
                gap = dx * dx + dy * dy
                var = f[i, 7] + det[k, 7] ** 2
                if gap < max(cfg[2] ** 2 * var, cfg[3] ** 2) and pairs < pair_cost.size:
                    pair_cost[pairs] = gap / var + math.log(var)
                    pair[pairs, 0], pair[pairs, 1] = k, i
                    pairs += 1
        while True:
            best = -1
            least = 1e300
            for m in range(pairs):
                if pair_cost[m] < least and not done[pair[m, 0]] and not used[pair[m, 1]]:
                    least, best = pair_cost[m], m
            if best < 0:
                break
            k, i = pair[best, 0], pair[best, 1]
            absorb(f, g, i, det, deti, k, cfg[1], now)
            done[k] = True
            used[i] = True
        free = 0
        for k in range(a, b):
            if done[k]:
                continue
            while free < cap and g[free, 0] != 0:
                free += 1
            if free == cap:
                break
            for c in range(7):
                f[free, c] = det[k, c]
            f[free, 7], f[free, 8], f[free, 9] = det[k, 7] ** 2, 0.0, cfg[1] ** 2
            g[free, 0], g[free, 1], g[free, 2], g[free, 3] = 1, next_id, deti[k, 0], deti[k, 1]
            g[free, 4], g[free, 5], g[free, 6], g[free, 7] = deti[k, 2], 1, now, deti[k, 1]
            next_id += 1
    # forget
    for i in range(cap):
        if g[i, 0] != 0:
            limit = cfg[5] if g[i, 5] >= 5 else cfg[6]
            gone = (f[i, 0] - own[0]) ** 2 + (f[i, 1] - own[1]) ** 2 > (1.1 * cfg[7]) ** 2
            if now - g[i, 6] > limit or gone:
                g[i, 0] = 0
    # one thing, one track
    for i in range(cap):
        if g[i, 0] == 0:
            continue
        for j in range(i + 1, cap):
            if g[j, 0] == 0 or not fits(g[i, 2], g[j, 2]):
                continue
            if (g[i, 7] & g[j, 7]) != 0 or (g[i, 4] != 0 and g[j, 4] != 0):
                continue  # one source saw both, or both have names: two things
            near = cfg[4] if g[i, 2] < VULNERABLE else 0.6 * cfg[4]
            if g[i, 2] < VULNERABLE:
                near = max(near, 0.35 * min(f[i, 5], f[j, 5]))
            if (f[i, 0] - f[j, 0]) ** 2 + (f[i, 1] - f[j, 1]) ** 2 > near * near:
                continue
            keep = i if f[i, 7] <= f[j, 7] else j
            g[i, 1] = min(g[i, 1], g[j, 1])
            if keep != i:
                for c in range(10):
                    f[i, c] = f[keep, c]
                g[i, 2] = g[keep, 2]
            g[i, 3] |= g[j, 3]
            g[i, 7] |= g[j, 7]
            g[i, 4] = max(g[i, 4], g[j, 4])
            g[i, 5] = max(g[i, 5], g[j, 5])
            g[i, 6] = max(g[i, 6], g[j, 6])
            g[j, 0] = 0
    return next_id
