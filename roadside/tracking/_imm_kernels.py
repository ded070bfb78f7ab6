"""Interacting multiple models: two motion models for each track, mixed, predicted and corrected (Bar-Shalom, Li and
Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, section 11.6.6).

State (5): x, y, vx, vy in the world frame, turn rate w. Model 0: nearly constant velocity, no turn. Model 1: coordinated
turn (section 11.7.2), an extended Kalman filter in w, with noise for braking and starting; w forgets exponentially, so that
it cannot drift where nothing shows it. Arrays: `x` (M, 2, 5), `p` (M, 2, 5, 5) by model, `mu` (M, 2) probabilities, `xm` (M, 5)
and `pm` (M, 5, 5) moment-matched mixture. Settings: see `ImmSetting` in `tracker.py` for the order.

A measurement that is `back` seconds older than the state is compared with the state led back along its own velocity
(one-step retrodiction without process noise: Bar-Shalom, Chen and Mallick 2004; below 0.2 s the noise left out is centimetres).
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

CV_TURN_VAR = 1e-4  # (rad/s)^2: what "no turn" leaves


@helper
def move(x: Any, p: Any, t: Any, dt: float, w: float, jacobian: float, keep: float) -> None:
    """State (5,) and covariance (5, 5) over `dt` at turn rate `w`; `jacobian` 1 with, 0 without the derivatives in w.

    `t` (5, 5) scratch. `keep`: factor of the turn rate.
    """
    s = np.sin(w * dt)
    c = np.cos(w * dt)
    if abs(w) > 1e-4:
        a = s / w
        b = (1.0 - c) / w
        da = (dt * c - a) / w
        db = (dt * s - b) / w
    else:
        a = dt
        b = 0.5 * w * dt * dt
        da = 0.0
        db = 0.5 * dt * dt
    vx = x[2]
    vy = x[3]
    f0 = jacobian * (da * vx - db * vy)
    f1 = jacobian * (db * vx + da * vy)
    f2 = -jacobian * dt * (s * vx + c * vy)
    f3 = jacobian * dt * (c * vx - s * vy)
    x[0] += a * vx - b * vy
    x[1] += b * vx + a * vy
    x[2] = c * vx - s * vy
    x[3] = s * vx + c * vy
    x[4] *= keep
    for k in range(5):
        t[0, k] = p[0, k] + a * p[2, k] - b * p[3, k] + f0 * p[4, k]
        t[1, k] = p[1, k] + b * p[2, k] + a * p[3, k] + f1 * p[4, k]
        t[2, k] = c * p[2, k] - s * p[3, k] + f2 * p[4, k]
        t[3, k] = s * p[2, k] + c * p[3, k] + f3 * p[4, k]
        t[4, k] = keep * p[4, k]
    for k in range(5):
        p[k, 0] = t[k, 0] + a * t[k, 2] - b * t[k, 3] + f0 * t[k, 4]
        p[k, 1] = t[k, 1] + b * t[k, 2] + a * t[k, 3] + f1 * t[k, 4]
        p[k, 2] = c * t[k, 2] - s * t[k, 3] + f2 * t[k, 4]
        p[k, 3] = s * t[k, 2] + c * t[k, 3] + f3 * t[k, 4]
        p[k, 4] = keep * t[k, 4]


@helper
def combine(x: Any, p: Any, mu: Any, xm: Any, pm: Any) -> None:
    """Mean and covariance of the mixture of both models."""
    a = mu[0]
    b = mu[1]
    for i in range(5):
        xm[i] = a * x[0, i] + b * x[1, i]
    for i in range(5):
        for j in range(i + 1):
            apart = (x[0, i] - x[1, i]) * (x[0, j] - x[1, j])
            pm[i, j] = a * p[0, i, j] + b * p[1, i, j] + a * b * apart
            pm[j, i] = pm[i, j]


@kernel
def predict(
    slots: Any, x: Any, p: Any, mu: Any, xm: Any, pm: Any, dt: float, setting: Any, scratch: Any
) -> None:
    """Mix and move the tracks in `slots` over `dt` seconds. `scratch` (5, 5)."""
    spectral0 = setting[0] * setting[0] * setting[2]
    spectral1 = setting[1] * setting[1] * setting[2]
    turn_var = setting[3] * setting[3]
    keep = np.exp(-dt / setting[4])
    rate0 = 1.0 / setting[5]  # of leaving the quiet model
    rate1 = 1.0 / setting[6]
    share = (1.0 - np.exp(-(rate0 + rate1) * dt)) / (rate0 + rate1)
    leave0 = rate0 * share
    leave1 = rate1 * share
    for at in range(slots.size):
        k = slots[at]
        m0 = mu[k, 0]
        m1 = mu[k, 1]
        into0 = (1.0 - leave0) * m0 + leave1 * m1
        into1 = leave0 * m0 + (1.0 - leave1) * m1
        w0 = leave1 * m1 / into0  # share of model 1 in what enters model 0
        w1 = leave0 * m0 / into1  # share of model 0 in what enters model 1
        for i in range(5):
            for j in range(i + 1):
                apart = (x[k, 0, i] - x[k, 1, i]) * (x[k, 0, j] - x[k, 1, j])
                p0 = p[k, 0, i, j]
                p1 = p[k, 1, i, j]
                p[k, 0, i, j] = (1.0 - w0) * p0 + w0 * p1 + w0 * (1.0 - w0) * apart
                p[k, 1, i, j] = (1.0 - w1) * p1 + w1 * p0 + w1 * (1.0 - w1) * apart
                p[k, 0, j, i] = p[k, 0, i, j]
                p[k, 1, j, i] = p[k, 1, i, j]
        for i in range(5):
            x0 = x[k, 0, i]
            x1 = x[k, 1, i]
            x[k, 0, i] = x0 + w0 * (x1 - x0)
            x[k, 1, i] = x1 + w1 * (x0 - x1)
        mu[k, 0] = into0
        mu[k, 1] = into1
        move(x[k, 0], p[k, 0], scratch, dt, 0.0, 0.0, 0.0)
        p[k, 0, 4, 4] = CV_TURN_VAR
        move(x[k, 1], p[k, 1], scratch, dt, x[k, 1, 4], 1.0, keep)
        p[k, 1, 4, 4] += turn_var * (1.0 - keep * keep)
        for model in range(2):
            q = spectral0 if model == 0 else spectral1
            # White acceleration (section 6.2.2): the same whatever steps the time is cut into.
            for axis in range(2):
                p[k, model, axis, axis] += q * dt * dt * dt / 3.0
                p[k, model, axis, axis + 2] += q * dt * dt / 2.0
                p[k, model, axis + 2, axis] += q * dt * dt / 2.0
                p[k, model, axis + 2, axis + 2] += q * dt
        combine(x[k], p[k], mu[k], xm[k], pm[k])


@helper
def correct_pair(
    x: Any, p: Any, first: int, back: float, z0: float, z1: float, r00: float, r01: float, r11: float, t: Any
) -> Any:  # fmt: skip
    """Correct by two components that start at row `first` (0 position, 2 velocity); returns the log likelihood.

    With `back`, position is measured that long ago: h = position - back * velocity. `t` (5, 5) scratch: its first two
    columns hold P h'.
    """
    e0 = z0 - x[first]
    e1 = z1 - x[first + 1]
    for i in range(5):
        t[i, 0] = p[i, first]
        t[i, 1] = p[i, first + 1]
    if back != 0.0:
        e0 += back * x[2]
        e1 += back * x[3]
        for i in range(5):
            t[i, 0] -= back * p[i, 2]
            t[i, 1] -= back * p[i, 3]
    s00 = t[first, 0] + r00
    s01 = t[first, 1] + r01
    s11 = t[first + 1, 1] + r11
    if back != 0.0:
        s00 -= back * t[2, 0]
        s01 -= back * t[2, 1]
        s11 -= back * t[3, 1]
    det = s00 * s11 - s01 * s01
    i00 = s11 / det
    i01 = -s01 / det
    i11 = s00 / det
    for i in range(5):
        t[i, 2] = t[i, 0] * i00 + t[i, 1] * i01
        t[i, 3] = t[i, 0] * i01 + t[i, 1] * i11
    for i in range(5):
        x[i] += t[i, 2] * e0 + t[i, 3] * e1
        for j in range(i + 1):
            p[i, j] -= t[i, 2] * t[j, 0] + t[i, 3] * t[j, 1]
            p[j, i] = p[i, j]
    return -0.5 * (e0 * e0 * i00 + 2.0 * e0 * e1 * i01 + e1 * e1 * i11 + np.log(det))


@helper
def correct_along(x: Any, p: Any, ux: float, uy: float, z: float, r: float, t: Any) -> Any:
    """Correct by the part `z` of the velocity along the unit vector (ux, uy); returns the log likelihood. `t` (5, 5) scratch."""
    error = z - ux * x[2] - uy * x[3]
    for i in range(5):
        t[i, 0] = ux * p[i, 2] + uy * p[i, 3]
    s = ux * t[2, 0] + uy * t[3, 0] + r
    for i in range(5):
        gain = t[i, 0] / s
        x[i] += gain * error
        for j in range(5):
            p[i, j] -= gain * t[j, 0]
    return -0.5 * (error * error / s + np.log(s))


@kernel
def correct(
    pair: Any, slots: Any, detection: Any, velocity_kind: int, back: float, sigma_v: float,
    x: Any, p: Any, mu: Any, xm: Any, pm: Any, scratch: Any,
) -> None:  # fmt: skip
    """Correct each paired track by its detection: position with its covariance, then what is known of the velocity.

    `pair` (n,): index into `slots` or -1. `detection` (n, 11): x, y, vx, vy, yaw, length, width, xx, xy, yy, kind.
    `velocity_kind`: 1 none, 2 radial, 3 full (`VelocityKind`). `scratch` (5, 5).
    """
    noise = sigma_v * sigma_v
    for i in range(detection.shape[0]):
        if pair[i] < 0:
            continue
        k = slots[pair[i]]
        d = detection[i]
        speed = np.sqrt(d[2] * d[2] + d[3] * d[3])
        score0 = 0.0
        score1 = 0.0
        for model in range(2):
            own = x[k, model]
            cov = p[k, model]
            score = correct_pair(own, cov, 0, back, d[0], d[1], d[7], d[8], d[9], scratch)
            if velocity_kind == 3:
                score += correct_pair(own, cov, 2, 0.0, d[2], d[3], noise, 0.0, noise, scratch)
            elif velocity_kind == 2 and speed > 1e-9:  # the vector itself gives the line of sight
                score += correct_along(own, cov, d[2] / speed, d[3] / speed, speed, noise, scratch)
            if model == 0:
                score0 = score
            else:
                score1 = score
        top = max(score0, score1)
        a = mu[k, 0] * np.exp(score0 - top)
        b = mu[k, 1] * np.exp(score1 - top)
        mu[k, 0] = max(a / (a + b), 1e-6)
        mu[k, 1] = 1.0 - mu[k, 0]
        combine(x[k], p[k], mu[k], xm[k], pm[k])


@kernel
def begin(
    slots: Any, rows: Any, detection: Any, velocity_kind: int, sigma_v: float, speed_sigma: float,
    turn_sigma: float, x: Any, p: Any, mu: Any, xm: Any, pm: Any,
) -> None:  # fmt: skip
    """Start a track in slots[i] from detection rows[i]; what of the velocity is not measured has `speed_sigma`."""
    noise = sigma_v * sigma_v
    wide = speed_sigma * speed_sigma
    for at in range(slots.size):
        k = slots[at]
        d = detection[rows[at]]
        vxx = noise if velocity_kind == 3 else wide
        vyy = vxx
        vxy = 0.0
        speed2 = d[2] * d[2] + d[3] * d[3]
        if velocity_kind == 2 and speed2 > 1e-18:  # sharp along the line of sight, wide across
            vxx = wide + (noise - wide) * d[2] * d[2] / speed2
            vxy = (noise - wide) * d[2] * d[3] / speed2
            vyy = wide + (noise - wide) * d[3] * d[3] / speed2
        for model in range(2):
            for i in range(5):
                x[k, model, i] = d[i] if i < 4 else 0.0
                for j in range(5):
                    p[k, model, i, j] = 0.0
            p[k, model, 0, 0] = d[7]
            p[k, model, 0, 1] = d[8]
            p[k, model, 1, 0] = d[8]
            p[k, model, 1, 1] = d[9]
            p[k, model, 2, 2] = vxx
            p[k, model, 2, 3] = vxy
            p[k, model, 3, 2] = vxy
            p[k, model, 3, 3] = vyy
            p[k, model, 4, 4] = turn_sigma * turn_sigma
        p[k, 0, 4, 4] = CV_TURN_VAR
        mu[k, 0] = 0.5
        mu[k, 1] = 0.5
        combine(x[k], p[k], mu[k], xm[k], pm[k])
