"""Kernel of body motion; see `bicycle.py` for the formulas, units and limits of validity."""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import kernel


@kernel
def step_bodies(
    rows: Any, x: Any, y: Any, yaw: Any, speed: Any, accel: Any, yaw_rate: Any, steer: Any, hitch: Any,
    cmd_accel: Any, cmd_steer: Any, param: Any, dt: float,
) -> None:  # fmt: skip
    # param columns: wheelbase, hitch_x, rear_wheelbase, max_hitch, max_steer, steer_rate, steer_lag, max_accel,
    # max_decel, accel_lag, max_speed
    for k in range(rows.size):
        i = rows[k]
        base, hitch_x, rear_base, max_hitch = param[k, 0], param[k, 1], param[k, 2], param[k, 3]

        # steering: first-order lag whose rate saturates
        wish = min(max(cmd_steer[k], -param[k, 4]), param[k, 4])
        move = (wish - steer[i]) * (1.0 - math.exp(-dt / param[k, 6]))
        room = param[k, 5] * dt
        move = min(max(move, -room), room)
        mean_steer = steer[i] + 0.5 * move
        steer[i] += move

        # drive: first-order lag; the mean over the step is exact for the lag's exponential
        wish = min(max(cmd_accel[k], -param[k, 8]), param[k, 7])
        v0 = speed[i]
        if v0 <= 0.0 and wish <= 0.0:
            accel[i] = 0.0  # brakes hold the standing vehicle; they never push it back
            speed[i] = 0.0
            yaw_rate[i] = 0.0
            continue
        a0 = accel[i]
        if v0 <= 0.0 and a0 < 0.0:
            a0 = 0.0
        lag = param[k, 9]
        decay = math.exp(-dt / lag)
        a1 = wish + (a0 - wish) * decay
        mean_accel = wish + (a0 - wish) * lag / dt * (1.0 - decay)
        v1 = v0 + mean_accel * dt
        if v1 <= 0.0:
            # standstill inside the step: distance at the mean deceleration, then hold
            ds = 0.5 * v0 * v0 / -mean_accel if mean_accel < 0.0 else 0.0
            v1 = 0.0
            a1 = 0.0
        elif v1 > param[k, 10]:
            v1 = param[k, 10]
            a1 = min(a1, 0.0)
            ds = 0.5 * (v0 + v1) * dt
        else:
            ds = 0.5 * (v0 + v1) * dt

        # exact circular arc over ds
        kappa = math.tan(mean_steer) / base
        turn = kappa * ds
        half = 0.5 * turn
        chord = ds * (1.0 - half * half / 6.0) if abs(half) < 1e-3 else ds * math.sin(half) / half
        x[i] += chord * math.cos(yaw[i] + half)
        y[i] += chord * math.sin(yaw[i] + half)
        heading = yaw[i] + turn
        if heading > math.pi:
            heading -= 2.0 * math.pi
        elif heading <= -math.pi:
            heading += 2.0 * math.pi
        yaw[i] = heading
        speed[i] = v1
        accel[i] = a1
        yaw_rate[i] = kappa * v1

        # joint: d(phi)/ds = kappa - (sin phi - a kappa cos phi) / b, RK4 over ds
        if rear_base > 0.0:
            a = -hitch_x
            p = hitch[i]
            k1 = kappa - (math.sin(p) - a * kappa * math.cos(p)) / rear_base
            q = p + 0.5 * ds * k1
            k2 = kappa - (math.sin(q) - a * kappa * math.cos(q)) / rear_base
            q = p + 0.5 * ds * k2
            k3 = kappa - (math.sin(q) - a * kappa * math.cos(q)) / rear_base
            q = p + ds * k3
            k4 = kappa - (math.sin(q) - a * kappa * math.cos(q)) / rear_base
            p += ds * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
            hitch[i] = min(max(p, -max_hitch), max_hitch)
