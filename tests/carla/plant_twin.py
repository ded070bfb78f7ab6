"""One vehicle's step from beginning to end, as it reads best: the twin of the blocks of lanes in `_plant_kernels.py`.

Plain Python on the same columns, with the same small helpers; `test_plant_bits.py` holds both against each other bit by bit.
"""

from __future__ import annotations

import math
from typing import Any

from sim.carla.server import columns as c
from sim.carla.server.plant import _plant_kernels as k
from sim.carla.server.plant import layout as p


def drive(f: Any, i: Any, q: Any, r: int, dt: float, parts: int) -> None:
    """One step of the vehicle in row r."""
    mass = f[r, c.MASS] if f[r, c.MASS] > 1.0 else 1.0
    inertia = mass * q[r, p.GYRATION2]
    pushed = k.kick(f, i, r, mass, inertia, dt)
    yaw = f[r, c.YAW] * k.RAD
    cos, sin = math.cos(yaw), math.sin(yaw)
    q[r, p.YAW_COS], q[r, p.YAW_SIN] = cos, sin
    vx, vy, spin = f[r, c.VX], f[r, c.VY], f[r, c.WZ] * k.RAD
    nx, ny, nz = f[r, c.GROUND_NX], f[r, c.GROUND_NY], f[r, c.GROUND_NZ]
    if not nz > 0.2:
        nx, ny, nz = 0.0, 0.0, 1.0
    gx, gy = -nx / nz, -ny / nz
    constant = i[r, c.CV_ON] != 0
    cvx, cvy = k.within(f[r, c.CV_X], k.MAX_SPEED_MPS), k.within(f[r, c.CV_Y], k.MAX_SPEED_MPS)
    if constant:
        vx, vy = cvx * cos - cvy * sin, cvx * sin + cvy * cos
        if f[r, c.CV_Z] != 0.0:
            f[r, c.VZ] = k.within(f[r, c.CV_Z], k.MAX_SPEED_MPS)
    gap = f[r, c.Z] - f[r, c.GROUND_Z]
    speed2 = f[r, c.VX] * f[r, c.VX] + f[r, c.VY] * f[r, c.VY]
    carried = k.is_carried(gap, speed2, f[r, c.VZ] - (gx * vx + gy * vy), i[r, c.GRAVITY])
    u = vx * cos + vy * sin
    if i[r, c.ACKERMANN] != 0:
        k.ackermann(f, i, q, r, u, dt)
    else:
        q[r, p.ACK_IS_ON] = 0.0
    ask = min(max(k.within(f[r, c.THROTTLE], 1.0), 0.0), 1.0)
    q[r, p.THROTTLE] = k.toward(q[r, p.THROTTLE], ask, k.PEDAL_RATE * dt, k.RELEASE_RATE * dt)
    ask = min(max(k.within(f[r, c.BRAKE], 1.0), 0.0), 1.0)
    q[r, p.BRAKE] = k.toward(q[r, p.BRAKE], ask, k.PEDAL_RATE * dt, k.RELEASE_RATE * dt)
    q[r, p.STEER] = k.toward(
        q[r, p.STEER], k.within(f[r, c.STEER], 1.0), k.STEER_RATE * dt, k.CENTRE_RATE * dt
    )
    push, slow = k.engine(f, i, q, r, u, dt)
    angle = q[r, p.STEER] * q[r, p.STEER_RAD]
    angle *= k.curve(q, r, p.STEERING, abs(u) * 3.6 * q[r, p.STEER_PER_KMH])
    q[r, p.STEER_ANGLE] = angle
    if q[r, p.THROTTLE] > 0.0:
        angle += k.ROUGH_RAD * math.cos(k.ROUGH_PER_M * q[r, p.ROLLED_M])
        q[r, p.ROLLED_M] += abs(u) * dt
    a, b, com = q[r, p.FRONT_M], q[r, p.REAR_M], q[r, p.COM_X]

    cap_f = cap_r = 0.0
    soft_f = soft_r = 1.0  # slip at which a tyre has 0.7 of its k.grip
    gravity_x = gravity_y = 0.0
    if carried:
        load = mass * k.GRAVITY * nz
        mu_f = k.grip(q[r, p.FRICTION_F], f[r, c.FRICTION])
        mu_r = k.grip(q[r, p.FRICTION_R], f[r, c.FRICTION])
        full_f, full_r = mu_f * load * b / (a + b), mu_r * load * a / (a + b)
        full = full_f + full_r
        push = min(max(push, -0.95 * full), 0.95 * full)
        slow = min(slow + min(q[r, p.ROLLING], mu_r) * load, 0.95 * full)
        brake = min(q[r, p.BRAKE] * q[r, p.BRAKE_N], full)
        hand = min(q[r, p.HAND_N], full_r) if i[r, c.HAND_BRAKE] != 0 else 0.0
        slow = min(slow + brake + hand, full)
        used = min((abs(push) + brake) / max(full, 1e-9), 0.95)
        rear = min(used + hand / max(full_r, 1e-9), 0.97)
        cap_f = full_f * math.sqrt(1.0 - used * used)
        cap_r = full_r * math.sqrt(1.0 - rear * rear)
        soft_f, soft_r = mu_f / q[r, p.STIFF_F], mu_r / q[r, p.STIFF_R]
        gravity_x, gravity_y = -k.GRAVITY * gx * nz * nz, -k.GRAVITY * gy * nz * nz
    else:
        push = slow = 0.0
    q[r, p.TORQUE_NM] = (push - (slow if u > 0.0 else -slow)) * q[r, p.RADIUS_M]

    if (
        carried
        and not pushed
        and not constant
        and push == 0.0
        and vx * vx + vy * vy < 4e-4
        and abs(spin) < 0.01
        and mass * abs(gravity_x * cos + gravity_y * sin) <= slow
        and mass * abs(gravity_y * cos - gravity_x * sin) <= 0.9 * (cap_f + cap_r)
    ):  # it stands, and nothing can move it
        f[r, c.VX] = f[r, c.VY] = f[r, c.WZ] = 0.0
        q[r, p.LAT_F_N] = q[r, p.LAT_R_N] = q[r, p.LONG_N] = 0.0
        q[r, p.SLIP_F] = q[r, p.SLIP_R] = 0.0
        if f[r, c.Z] != f[r, c.GROUND_Z]:
            k.rise(f, i, r, 0.0, True, 0.0, 0.0, dt)
        f[r, c.VZ] = 0.0
        k.tilt(f, r, cos, sin, nx, ny, nz, dt)
        return

    h = dt / parts
    force_x = force_y = twist = 0.0
    if pushed:
        force_x, force_y = f[r, c.FORCE_X] / mass, f[r, c.FORCE_Y] / mass
        twist = f[r, c.TORQUE_Z] / inertia
        f[r, c.VZ] += f[r, c.FORCE_Z] / mass * dt
        k.clear(f, i, r)
    force_x += gravity_x
    force_y += gravity_y
    push /= mass
    lost = h * slow / mass
    air = 1.0 / (1.0 + h * q[r, p.DRAG] / mass * math.sqrt(vx * vx + vy * vy))
    sd, cd = math.sin(angle), math.cos(angle)
    per_mass, per_inertia = 1.0 / mass, 1.0 / inertia
    sd_mass = sd * per_mass
    a11 = per_mass + a * a * cd * cd * per_inertia
    a12 = cd * (per_mass - a * b * per_inertia)
    a22 = per_mass + b * b * per_inertia
    x0, y0 = f[r, c.X] + com * cos, f[r, c.Y] + com * sin
    x, y, dyaw = x0, y0, 0.0
    u0 = u
    side_f = side_r = wf = wr = k_f = k_r = 0.0
    for part in range(parts):
        if spin != 0.0:
            e = spin * h
            dyaw += e
            e2 = e * e
            if e2 < 0.25:
                ce = 1.0 - e2 * (0.5 - e2 * (1.0 / 24.0 - e2 * (1.0 / 720.0)))
                se = e * (1.0 - e2 * (1.0 / 6.0 - e2 * (1.0 / 120.0 - e2 * (1.0 / 5040.0))))
            else:  # steps of seconds: the series would not end at a k.turn
                ce, se = math.cos(e), math.sin(e)
            cos, sin = cos * ce - sin * se, sin * ce + cos * se
        ox, oy = vx, vy
        u, v = vx * cos + vy * sin, vy * cos - vx * sin
        u1 = (u + h * (push + force_x * cos + force_y * sin)) * air
        v1 = (v + h * (force_y * cos - force_x * sin)) * air
        spin += h * twist
        if carried:
            if (
                part % 2 == 0
            ):  # how stiff the tyres are; exact in a steady bend, so every second part will do
                vf = v + spin * (a + u * h)  # before this part's k.turn
                wf, wr = cd * vf - sd * u, vf - (a + b) * spin
                roll_f = soft_f * abs(cd * u + sd * vf)
                roll_r = soft_r * u
                k_f = h * cap_f / math.sqrt(wf * wf + roll_f * roll_f + 1e-6)
                k_r = h * cap_r / math.sqrt(wr * wr + roll_r * roll_r + 1e-6)
            u1 = u1 - lost if u1 > lost else (u1 + lost if u1 < -lost else 0.0)
            wf, wr = cd * (v1 + a * spin) - sd * u1, v1 - b * spin
            m11, m22 = 1.0 + k_f * a11, 1.0 + k_r * a22
            less = 1.0 / (m11 * m22 - k_f * k_r * a12 * a12)
            side_f = k_f * (k_r * a12 * wr - m22 * wf) * less
            side_r = k_r * (k_f * a12 * wf - m11 * wr) * less
            side_f = min(max(side_f, -cap_f * h), cap_f * h)
            side_r = min(max(side_r, -cap_r * h), cap_r * h)
            u1 -= side_f * sd_mass
            v1 += (side_f * cd + side_r) * per_mass
            spin += (a * cd * side_f - b * side_r) * per_inertia
        if constant:
            u1, v1 = cvx, cvy
            spin = cvx * sd / max(cd, 0.1) / (a + b) if carried else spin
        spin = min(max(spin, -k.MAX_SPIN_RADPS), k.MAX_SPIN_RADPS)
        vx, vy = u1 * cos - v1 * sin, u1 * sin + v1 * cos
        x += 0.5 * h * (ox + vx)
        y += 0.5 * h * (oy + vy)
    vx, vy = k.within(vx, k.MAX_SPEED_MPS), k.within(vy, k.MAX_SPEED_MPS)
    q[r, p.LAT_F_N], q[r, p.LAT_R_N] = side_f / h, side_r / h
    q[r, p.LONG_N] = mass * (vx * cos + vy * sin - u0) / dt
    q[r, p.SLIP_F], q[r, p.SLIP_R] = wf, wr
    q[r, p.YAW_COS], q[r, p.YAW_SIN] = cos, sin
    k.turn(f, r, dyaw)
    f[r, c.X] = k.within(x - com * cos, k.MAX_POSITION_M)
    f[r, c.Y] = k.within(y - com * sin, k.MAX_POSITION_M)
    f[r, c.VX], f[r, c.VY], f[r, c.WZ] = vx, vy, spin / k.RAD
    k.rise(f, i, r, 0.0, carried, gx * (x - x0) + gy * (y - y0), gx * vx + gy * vy, dt)
    if carried:
        k.tilt(f, r, cos, sin, nx, ny, nz, dt)
    else:
        f[r, c.WX] = f[r, c.WY] = 0.0
