"""One step of everything that moves by itself: vehicles, walkers, props. Contacts come after (`_contact_kernels.py`).

A vehicle is a single track on the plane of its ground: forces act in the horizontal plane, slopes enter as a component of gravity.
Tyre side forces grow with slip and saturate, F = cap w / sqrt(w^2 + (cap U / C)^2) for lateral speed w and rolling speed U, which
is Coulomb friction where U = 0. They are solved implicitly (two impulses, one for each axle), so one formula holds from standstill
to top speed and at any step length. What slows wheels down (brakes, engine, rolling) takes speed away and never turns it round.
"""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, inlined, kernel
from sim.carla.server import columns as c
from sim.carla.server.plant import layout as p

GRAVITY, RAD = 9.81, math.pi / 180.0
# Limits against hostile numbers. Beyond them a value is cut; NaN counts as 0.
MAX_POSITION_M = 2e6
MAX_SPEED_MPS = 200.0
MAX_SPIN_RADPS = 20.0
MAX_FORCE_N = 1e12  # also of torques and impulses, before the speed limit cuts what they do
MAX_WALK_MPS = 20.0
FRICTION_AT_1 = 0.7  # of a tyre with tire_friction 1, PhysX's default surface; less below
# Beyond 1 less than proportional, where PhysX would give 2.45 for 3.5, CARLA's tyres: 1.575. The stock Traffic Manager corners at up to
# 9 m/s2; with a road tyre's 1.05 its cars ran up to 2 m wide, with this they keep their lanes.
FRICTION_PER_UNIT = 0.35
TRIGGER_TYRE = 3.5  # FRICTION is a trigger's tire_friction over this one; it takes the tyre's place
PEDAL_RATE, RELEASE_RATE = 6.0, 10.0  # 1/s, Unreal's input smoothing
STEER_RATE, CENTRE_RATE = 2.5, 5.0
STICK_M = 0.02  # a wheel this far above the ground still touches it, and more with speed
SINK_M = 2.0  # an actor further below the ground than this has none
HOP_MPS = 3.0  # faster away from the ground than this takes off
SETTLE_S, TILT_S = 0.05, 0.08  # in which the height, and pitch and roll, follow the ground
# A driven vehicle never runs perfectly straight: the road's roughness turns its wheels a little, in waves of 20 m, so that it heads up
# to 0.06 degrees and lies up to 7 mm off and comes back. CARLA's agents overlook what is ahead at an angle of exactly 0.
ROUGH_RAD, ROUGH_PER_M = 9e-4, 2.0 * math.pi / 20.0
PROP_FRICTION, WALKER_SLIDE_MPS2, JUMP_MPS = 0.5, 6.0, 4.2

# A vehicle that physics moves sits in a lane of a block while its step is worked out: `lane[COLUMN + j]` of lane j. Loops over the lanes
# of a block hold no calls and no way out, so that the compiler works on several at once; what becomes of a lane is its own matter alone.
LANES = 16  # a power of two
(
    ROW, X, Y, VX, VY, VZ, SPEED2, SPIN, COS, SIN, U, MASS, INERTIA, CD, SD, NX, NY, NZ, GAP, FALLS, LOOSE, TRIGGER,
    CONSTANT, CV_X, CV_Y, CV_SPIN, FORCE_X, FORCE_Y, TWIST, PUSH, SLOW, BRAKE, HAND, ROLLING,
    FRONT, REAR, COM, FRICTION_F, FRICTION_R, STIFF_F, STIFF_R, BRAKE_N, HAND_N, DRAG,  # as in the plant's matrix
    GX, GY, ON_GROUND, STANDS, DRIVE, CAP_F, CAP_R, SOFT_F, SOFT_R, LOST, AIR, PER_MASS, PER_INERTIA, SD_MASS, A11, A12, A22,
    X0, Y0, DYAW, CE, SE, ALONG, ACROSS, K_F, K_R, SIDE_F, SIDE_R, SLIP_F, SLIP_R,
) = range(0, 74 * LANES, LANES)  # fmt: skip
LANE_SIZE = 74 * LANES


@helper
def within(x: float, limit: float) -> float:
    """x cut to +-limit; NaN is 0."""
    if x > limit:
        return limit
    if x < -limit:
        return -limit
    if math.isnan(x):
        return 0.0
    return x


@helper
def toward(x: float, target: float, up: float, down: float) -> float:
    """A pedal or wheel on its way: away from 0 at `up`, back at `down`."""
    if x * target < 0.0:
        target = 0.0
    step = up if abs(target) > abs(x) else down
    return min(max(target, x - step), x + step)


@helper
def curve(q: Any, r: int, first: int, x: float) -> float:
    """A curve of SAMPLES points at x, in points; level beyond its ends."""
    if not x > 0.0:
        return float(q[r, first])
    if x >= p.SAMPLES - 1.0:
        return float(q[r, first + p.SAMPLES - 1])
    k = int(x) & p.SAMPLES - 1  # as the compiler sees, not negative
    low = q[r, first + k]
    return float(low + (x - k) * (q[r, first + k + 1] - low))


@helper
def grip(friction: float, trigger: float) -> float:
    """Friction coefficient of a tyre."""
    if trigger != 1.0:
        friction = trigger * TRIGGER_TYRE
    if friction <= 1.0:
        return max(FRICTION_AT_1 * friction, 0.0)
    return FRICTION_AT_1 + FRICTION_PER_UNIT * (min(friction, 10.0) - 1.0)


@helper
def clear(f: Any, i: Any, r: int) -> None:
    """What was asked of this step only."""
    for k in range(c.FORCE_X, c.SPIN_Z + 1):
        f[r, k] = 0.0
    i[r, c.TV_ON] = 0
    i[r, c.TW_ON] = 0


@helper
def halt(f: Any, i: Any, r: int) -> None:
    for k in range(c.VX, c.AZ + 1):
        f[r, k] = 0.0
    clear(f, i, r)


@helper
def kick(f: Any, i: Any, r: int, mass: float, inertia: float, dt: float) -> bool:
    """Takes over target velocities and impulses; True where anything pushes. NaN and limits are dealt with here."""
    calm = i[r, c.TV_ON] | i[r, c.TW_ON] == 0
    for k in range(3):
        calm &= abs(f[r, c.X + k]) <= MAX_POSITION_M
        calm &= abs(f[r, c.PITCH + k]) <= 1e6
        calm &= abs(f[r, c.VX + k]) <= MAX_SPEED_MPS
    calm &= abs(f[r, c.WZ]) <= MAX_SPIN_RADPS / RAD
    for k in range(c.FORCE_X, c.SPIN_Z + 1):
        calm &= f[r, k] == 0.0
    if calm:  # as nearly always: nothing of what follows would change anything
        return False
    pushed = False
    for k in range(6):  # VX.. and WX.. follow each other, so do their targets
        if i[r, c.TV_ON + k // 3] != 0:
            f[r, c.VX + k] = f[r, c.TV_X + k]
            pushed = True
    for k in range(c.FORCE_X, c.SPIN_Z + 1):
        if f[r, k] != 0.0:
            f[r, k] = within(f[r, k], MAX_FORCE_N)
            pushed = True
    for k in range(3):
        f[r, c.X + k] = within(f[r, c.X + k], MAX_POSITION_M)
        f[r, c.PITCH + k] = within(f[r, c.PITCH + k], 1e6)
        v = f[r, c.VX + k]
        if pushed:
            v += f[r, c.IMPULSE_X + k] / mass
        f[r, c.VX + k] = within(v, MAX_SPEED_MPS)
    spin = f[r, c.WZ]
    if pushed:
        spin += f[r, c.SPIN_Z] / inertia / RAD
    f[r, c.WZ] = within(spin, MAX_SPIN_RADPS / RAD)
    return pushed


@helper
def pid(q: Any, r: int, gains: int, total: int, last: int, error: float, at: float, dt: float) -> float:  # fmt: skip
    """A PID step with the derivative on the measurement; output and sum within +-1."""
    q[r, total] = min(max(q[r, total] + q[r, gains + 1] * error * dt, -1.0), 1.0)
    slope = (at - q[r, last]) / dt
    q[r, last] = at
    return float(min(max(q[r, gains] * error + q[r, total] - q[r, gains + 2] * slope, -1.0), 1.0))


@helper
def ackermann(f: Any, i: Any, q: Any, r: int, u: float, dt: float) -> None:
    """Steering angle, speed and acceleration wanted become STEER, THROTTLE, BRAKE and REVERSE.

    As CARLA's controller: the speed error raises or lowers the acceleration wanted, its error raises or lowers the pedal.
    """
    if q[r, p.ACK_IS_ON] == 0.0:
        for k in range(p.ACK_STATE, p.ACK_STATE + 8):
            q[r, k] = 0.0
        q[r, p.ACK_IS_ON] = 1.0
        q[r, p.ACK_LAST_SPEED] = u
    measured = (4.0 * q[r, p.ACK_MEASURED] + (u - q[r, p.ACK_LAST_SPEED]) / dt) / 5.0
    q[r, p.ACK_MEASURED] = measured
    largest = max(q[r, p.STEER_RAD], 1e-3)
    want = min(max(q[r, p.ACK_STEER], -largest), largest)
    rate = abs(q[r, p.ACK_STEER_RATE]) * dt
    if rate >= 1e-3 * dt:
        now = within(f[r, c.STEER], 1.0) * largest
        want = min(max(want, now - rate), now + rate)
    f[r, c.STEER] = want / largest
    goal = q[r, p.ACK_SPEED]
    if abs(u) < 0.1 and abs(goal) < 0.1:
        f[r, c.THROTTLE] = 0.0
        f[r, c.BRAKE] = 1.0
        q[r, p.ACK_LAST_SPEED] = u
        return
    if abs(u) < 0.1:
        i[r, c.REVERSE] = 1 if goal < 0.0 else 0
    elif u * goal < 0.0:
        goal = 0.0
    low, high = -8.0, 3.0  # m/s2, where no acceleration is named
    if abs(q[r, p.ACK_ACCEL]) >= 1e-4:
        high = abs(q[r, p.ACK_ACCEL])
        low = -high
    change = pid(q, r, p.ACK_SPEED_P, p.ACK_SPEED_SUM, p.ACK_LAST_SPEED, goal - u, u, dt)
    wanted = min(max(q[r, p.ACK_ACCEL_TARGET] + change, low), high)
    q[r, p.ACK_ACCEL_TARGET] = wanted
    less = wanted - measured
    change = pid(q, r, p.ACK_ACCEL_P, p.ACK_ACCEL_SUM, p.ACK_LAST_ACCEL, less, measured, dt)
    pedal = min(max(q[r, p.ACK_PEDAL] + change, -1.0), 1.0)
    q[r, p.ACK_PEDAL] = pedal
    if i[r, c.REVERSE] != 0:
        pedal = -pedal
    f[r, c.THROTTLE] = max(pedal, 0.0)
    f[r, c.BRAKE] = max(-pedal, 0.0)


@helper
def gearbox(f: Any, i: Any, q: Any, r: int, rpm_per_ratio: float, dt: float) -> int:
    """The gear of this step: -1, 0 or a forward gear; GEAR says it to clients."""
    top = int(q[r, p.GEARS])
    gear = int(q[r, p.GEAR])
    q[r, p.SHIFT_S] = max(q[r, p.SHIFT_S] - dt, 0.0)
    if i[r, c.MANUAL_GEAR] != 0:
        want = int(min(max(i[r, c.GEAR], -1), top))
        if gear not in (want, 0) and want != 0:
            q[r, p.SHIFT_S] = q[r, p.SWITCH_S]
        gear = want
    elif i[r, c.REVERSE] != 0:
        gear = -1
    elif gear < 1:
        gear = 1
    elif q[r, p.IS_AUTOBOX] != 0.0 and q[r, p.SHIFT_S] == 0.0:
        limit = q[r, p.MAX_RPM]
        rpm = rpm_per_ratio * q[r, p.RATIO + gear - 1]
        if gear < top and rpm > q[r, p.UP + gear - 1] * limit:
            gear += 1
            q[r, p.SHIFT_S] = q[r, p.SWITCH_S]
        elif gear > 1 and rpm < q[r, p.DOWN + gear - 1] * limit:
            # not into a gear that would change up again at once
            below = rpm_per_ratio * q[r, p.RATIO + gear - 2]
            if below < 0.9 * q[r, p.UP + gear - 2] * limit:
                gear -= 1
                q[r, p.SHIFT_S] = q[r, p.SWITCH_S]
    gear = min(gear, top)
    q[r, p.GEAR] = gear
    i[r, c.GEAR] = gear
    return gear


@helper
def engine(f: Any, i: Any, q: Any, r: int, u: float, dt: float) -> Any:
    """Force that drives and force that only slows, both at the wheels in newtons."""
    radius = q[r, p.RADIUS_M]
    wheel_rpm = abs(u) / radius * (30.0 / math.pi) * q[r, p.FINAL]
    gear = gearbox(f, i, q, r, wheel_rpm, dt)
    limit, idle = q[r, p.MAX_RPM], q[r, p.IDLE_RPM]
    pedal = q[r, p.THROTTLE]
    if gear == 0 or q[r, p.SHIFT_S] > 0.0:
        q[r, p.RPM] = idle + pedal * (limit - idle) if gear == 0 else max(q[r, p.RPM], idle)
        return 0.0, 0.0
    ratio = q[r, p.REVERSE] if gear < 0 else q[r, p.RATIO + gear - 1]
    rpm = wheel_rpm * ratio
    q[r, p.RPM] = min(max(rpm, idle), limit)
    torque = curve(q, r, p.TORQUE, q[r, p.RPM] / limit * (p.SAMPLES - 1.0))
    # the limiter closes over the last 3 %
    torque *= pedal * min(max((1.0 - rpm / limit) / 0.03, 0.0), 1.0)
    damping = q[r, p.DAMP_FULL] * pedal + q[r, p.DAMP_ZERO] * (1.0 - pedal)
    drag = damping * max(min(rpm, limit) - idle, 0.0) * (math.pi / 30.0)
    lever = ratio * q[r, p.FINAL] / radius
    return (-torque * lever if gear < 0 else torque * lever), drag * lever


@helper
def tilt(f: Any, r: int, cos: float, sin: float, nx: float, ny: float, nz: float, dt: float) -> None:  # fmt: skip
    """Pitch and roll follow the ground; WX and WY say how fast."""
    pitch, roll = f[r, c.PITCH], f[r, c.ROLL]
    if pitch == 0.0 and roll == 0.0 and nx == 0.0 and ny == 0.0:
        f[r, c.WX] = 0.0
        f[r, c.WY] = 0.0
        return
    share = dt / (dt + TILT_S)
    up = 0.0
    side = 0.0
    if nx != 0.0 or ny != 0.0:
        up = math.atan(-(nx * cos + ny * sin) / nz) / RAD
        side = math.asin(min(max(ny * cos - nx * sin, -1.0), 1.0)) / RAD
    dp, dr = share * (up - pitch), share * (side - roll)
    if abs(dp) + abs(dr) < 1e-6:
        dp, dr = up - pitch, side - roll
    f[r, c.PITCH] = pitch + dp
    f[r, c.ROLL] = roll + dr
    dp, dr = dp / dt, dr / dt
    f[r, c.WX] = within(-dr * cos + dp * sin, MAX_SPIN_RADPS / RAD)
    f[r, c.WY] = within(-dr * sin - dp * cos, MAX_SPIN_RADPS / RAD)


@helper
def is_carried(gap: float, speed2: float, climb: float, falls: float) -> bool:
    """Whether it stands on the ground: near it, not leaving it at `climb` m/s, and gravity on. `speed2`: its speed squared."""
    near = STICK_M + 0.15 * min(math.sqrt(speed2) * 0.2, 1.0)
    return bool((falls != 0.0) & (gap > -SINK_M) & (gap < near) & (climb < HOP_MPS))


@helper
def rise(f: Any, i: Any, r: int, foot: float, carried: bool, climb: float, slope: float, dt: float) -> None:  # fmt: skip
    """The new height: on the ground, or a free fall that ends there. `climb`: the ground's rise on the way, `slope` per second."""
    ground = f[r, c.GROUND_Z] - foot
    z, vz = f[r, c.Z], f[r, c.VZ]
    if carried:
        f[r, c.Z] = ground + climb + (z - ground) * (SETTLE_S / (SETTLE_S + dt))
        f[r, c.VZ] = slope
        return
    fall = GRAVITY * dt if i[r, c.GRAVITY] != 0 else 0.0
    new = z + (vz - 0.5 * fall) * dt
    vz -= fall
    if new < ground + climb and z > ground - SINK_M:
        new, vz = ground + climb, slope
    f[r, c.Z] = within(new, MAX_POSITION_M)
    f[r, c.VZ] = within(vz, MAX_SPEED_MPS)


@helper
def turn(f: Any, r: int, dyaw: float) -> None:
    """A yaw that did not change stays as it was sent, even outside (-180, 180]."""
    if dyaw != 0.0:
        yaw = f[r, c.YAW] + dyaw / RAD
        if yaw > 180.0 or yaw <= -180.0:
            yaw -= 360.0 * math.ceil((yaw - 180.0) / 360.0)
        f[r, c.YAW] = yaw


@inlined
def enter(f: Any, i: Any, q: Any, r: int, dt: float, lane: Any, j: int) -> None:
    """Row r's vehicle takes lane j: what pushes it, its pedals, wheel and engine."""
    mass = f[r, c.MASS] if f[r, c.MASS] > 1.0 else 1.0
    inertia = mass * q[r, p.GYRATION2]
    pushed = kick(f, i, r, mass, inertia, dt)
    yaw = f[r, c.YAW] * RAD
    cos, sin = math.cos(yaw), math.sin(yaw)
    q[r, p.YAW_COS], q[r, p.YAW_SIN] = cos, sin
    vx, vy = f[r, c.VX], f[r, c.VY]
    lane[SPEED2 + j] = vx * vx + vy * vy
    constant = i[r, c.CV_ON] != 0
    if constant:
        cvx, cvy = within(f[r, c.CV_X], MAX_SPEED_MPS), within(f[r, c.CV_Y], MAX_SPEED_MPS)
        lane[CV_X + j], lane[CV_Y + j] = cvx, cvy
        vx, vy = cvx * cos - cvy * sin, cvx * sin + cvy * cos
        if f[r, c.CV_Z] != 0.0:
            f[r, c.VZ] = within(f[r, c.CV_Z], MAX_SPEED_MPS)
    u = vx * cos + vy * sin
    if i[r, c.ACKERMANN] != 0:
        ackermann(f, i, q, r, u, dt)
    else:
        q[r, p.ACK_IS_ON] = 0.0
    ask = min(max(within(f[r, c.THROTTLE], 1.0), 0.0), 1.0)
    q[r, p.THROTTLE] = toward(q[r, p.THROTTLE], ask, PEDAL_RATE * dt, RELEASE_RATE * dt)
    ask = min(max(within(f[r, c.BRAKE], 1.0), 0.0), 1.0)
    q[r, p.BRAKE] = toward(q[r, p.BRAKE], ask, PEDAL_RATE * dt, RELEASE_RATE * dt)
    ask = within(f[r, c.STEER], 1.0)
    q[r, p.STEER] = toward(q[r, p.STEER], ask, STEER_RATE * dt, CENTRE_RATE * dt)
    lane[PUSH + j], lane[SLOW + j] = engine(f, i, q, r, u, dt)
    angle = q[r, p.STEER] * q[r, p.STEER_RAD]
    angle *= curve(q, r, p.STEERING, abs(u) * 3.6 * q[r, p.STEER_PER_KMH])
    q[r, p.STEER_ANGLE] = angle
    if q[r, p.THROTTLE] > 0.0:
        angle += ROUGH_RAD * math.cos(ROUGH_PER_M * q[r, p.ROLLED_M])
        q[r, p.ROLLED_M] += abs(u) * dt
    lane[CD + j], lane[SD + j] = math.cos(angle), math.sin(angle)
    lane[COS + j], lane[SIN + j], lane[U + j], lane[ROW + j] = cos, sin, u, r
    lane[X + j], lane[Y + j], lane[VX + j], lane[VY + j] = f[r, c.X], f[r, c.Y], vx, vy
    lane[VZ + j], lane[SPIN + j], lane[MASS + j] = f[r, c.VZ], f[r, c.WZ] * RAD, mass
    lane[GAP + j], lane[FALLS + j] = f[r, c.Z] - f[r, c.GROUND_Z], i[r, c.GRAVITY]
    lane[INERTIA + j], lane[TRIGGER + j] = inertia, f[r, c.FRICTION]
    lane[BRAKE + j], lane[HAND + j] = q[r, p.BRAKE], i[r, c.HAND_BRAKE]
    lane[CONSTANT + j], lane[LOOSE + j] = i[r, c.CV_ON], 1.0 if pushed or constant else 0.0
    lane[ROLLING + j] = q[r, p.ROLLING]
    for k in range(3):
        lane[NX + k * LANES + j] = f[r, c.GROUND_NX + k]
    for k in range(10):
        lane[FRONT + k * LANES + j] = q[r, p.FRONT_M + k]
    lane[FORCE_X + j] = lane[FORCE_Y + j] = lane[TWIST + j] = 0.0
    if pushed:
        lane[FORCE_X + j], lane[FORCE_Y + j] = f[r, c.FORCE_X] / mass, f[r, c.FORCE_Y] / mass
        lane[TWIST + j] = f[r, c.TORQUE_Z] / inertia
        f[r, c.VZ] += f[r, c.FORCE_Z] / mass * dt
        clear(f, i, r)


@helper
def ready(lane: Any, h: float) -> None:
    """What ground, tyres and air make of it, and which lanes stand, so that nothing can move them."""
    for j in range(LANES):
        cos, sin, vx, vy, u = lane[COS + j], lane[SIN + j], lane[VX + j], lane[VY + j], lane[U + j]
        a, b, mass = lane[FRONT + j], lane[REAR + j], lane[MASS + j]
        nx, ny, nz = lane[NX + j], lane[NY + j], lane[NZ + j]
        wall = not nz > 0.2
        nx, ny, nz = 0.0 if wall else nx, 0.0 if wall else ny, 1.0 if wall else nz
        gx, gy = -nx / nz, -ny / nz
        climb = lane[VZ + j] - (gx * vx + gy * vy)
        carried = is_carried(lane[GAP + j], lane[SPEED2 + j], climb, lane[FALLS + j])
        lane[NX + j], lane[NY + j], lane[NZ + j], lane[GX + j], lane[GY + j] = nx, ny, nz, gx, gy
        load = mass * GRAVITY * nz
        mu_f = grip(lane[FRICTION_F + j], lane[TRIGGER + j])
        mu_r = grip(lane[FRICTION_R + j], lane[TRIGGER + j])
        full_f, full_r = mu_f * load * b / (a + b), mu_r * load * a / (a + b)
        full = full_f + full_r
        push = min(max(lane[PUSH + j], -0.95 * full), 0.95 * full)
        slow = min(lane[SLOW + j] + min(lane[ROLLING + j], mu_r) * load, 0.95 * full)
        brake, hand = min(lane[BRAKE + j] * lane[BRAKE_N + j], full), lane[HAND_N + j]
        hand = min(hand, full_r) if lane[HAND + j] != 0.0 else 0.0
        slow = min(slow + brake + hand, full)
        used = min((abs(push) + brake) / max(full, 1e-9), 0.95)
        rear = min(used + hand / max(full_r, 1e-9), 0.97)
        cap_f = full_f * math.sqrt(1.0 - used * used) if carried else 0.0
        cap_r = full_r * math.sqrt(1.0 - rear * rear) if carried else 0.0
        # slip at which a tyre has 0.7 of its grip
        lane[SOFT_F + j] = mu_f / lane[STIFF_F + j] if carried else 1.0
        lane[SOFT_R + j] = mu_r / lane[STIFF_R + j] if carried else 1.0
        push, slow = push if carried else 0.0, slow if carried else 0.0
        gravity_x = -GRAVITY * gx * nz * nz if carried else 0.0
        gravity_y = -GRAVITY * gy * nz * nz if carried else 0.0
        still = carried & (lane[LOOSE + j] == 0.0) & (push == 0.0) & (vx * vx + vy * vy < 4e-4)
        still &= abs(lane[SPIN + j]) < 0.01
        still &= mass * abs(gravity_x * cos + gravity_y * sin) <= slow
        still &= mass * abs(gravity_y * cos - gravity_x * sin) <= 0.9 * (cap_f + cap_r)
        lane[STANDS + j], lane[ON_GROUND + j] = 1.0 if still else 0.0, 1.0 if carried else 0.0
        lane[DRIVE + j] = push - (slow if u > 0.0 else -slow)
        lane[CAP_F + j], lane[CAP_R + j] = cap_f, cap_r
        lane[FORCE_X + j] += gravity_x
        lane[FORCE_Y + j] += gravity_y
        lane[PUSH + j], lane[LOST + j] = push / mass, h * slow / mass
        lane[AIR + j] = 1.0 / (1.0 + h * lane[DRAG + j] / mass * math.sqrt(vx * vx + vy * vy))
    for j in range(LANES):
        a, b, cd, sd = lane[FRONT + j], lane[REAR + j], lane[CD + j], lane[SD + j]
        per_mass, per_inertia = 1.0 / lane[MASS + j], 1.0 / lane[INERTIA + j]
        lane[PER_MASS + j], lane[PER_INERTIA + j] = per_mass, per_inertia
        lane[SD_MASS + j] = sd * per_mass
        lane[A11 + j] = per_mass + a * a * cd * cd * per_inertia
        lane[A12 + j] = cd * (per_mass - a * b * per_inertia)
        lane[A22 + j] = per_mass + b * b * per_inertia
        lane[CV_SPIN + j] = lane[CV_X + j] * sd / max(cd, 0.1) / (a + b)
        lane[TWIST + j] *= h
        lane[X + j] += lane[COM + j] * lane[COS + j]
        lane[Y + j] += lane[COM + j] * lane[SIN + j]
        lane[X0 + j], lane[Y0 + j], lane[DYAW + j] = lane[X + j], lane[Y + j], 0.0


@helper
def roll(lane: Any, num: int, h: float, parts: int) -> None:
    """The parts of a step."""
    for part in range(parts):
        for j in range(LANES):
            e = lane[SPIN + j] * h
            e2 = e * e
            lane[CE + j] = 1.0 - e2 * (0.5 - e2 * (1.0 / 24.0 - e2 * (1.0 / 720.0)))
            lane[SE + j] = e * (1.0 - e2 * (1.0 / 6.0 - e2 * (1.0 / 120.0 - e2 * (1.0 / 5040.0))))
        if not h * 1.01 * MAX_SPIN_RADPS < 0.5:  # the series would not end at a turn
            for j in range(num):
                e = lane[SPIN + j] * h
                if not e * e < 0.25:
                    lane[CE + j], lane[SE + j] = math.cos(e), math.sin(e)
        for j in range(LANES):
            cos, sin, ce, se = lane[COS + j], lane[SIN + j], lane[CE + j], lane[SE + j]
            spin, dyaw, vx, vy = lane[SPIN + j], lane[DYAW + j], lane[VX + j], lane[VY + j]
            turns = spin != 0.0
            lane[DYAW + j] = dyaw + spin * h if turns else dyaw
            to_cos, to_sin = cos * ce - sin * se, sin * ce + cos * se
            cos, sin = to_cos if turns else cos, to_sin if turns else sin
            lane[COS + j], lane[SIN + j] = cos, sin
            lane[ALONG + j], lane[ACROSS + j] = vx * cos + vy * sin, vy * cos - vx * sin
            lane[SPIN + j] = spin + lane[TWIST + j]
        if part % 2 == 0:  # stiffness of the tyres; exact in a steady bend, so every second will do
            for j in range(LANES):
                u, v, spin = lane[ALONG + j], lane[ACROSS + j], lane[SPIN + j]
                a, b, cd, sd = lane[FRONT + j], lane[REAR + j], lane[CD + j], lane[SD + j]
                vf = v + spin * (a + u * h)  # before this part's turn
                wf, wr = cd * vf - sd * u, vf - (a + b) * spin
                roll_f = lane[SOFT_F + j] * abs(cd * u + sd * vf)
                roll_r = lane[SOFT_R + j] * u
                lane[K_F + j] = h * lane[CAP_F + j] / math.sqrt(wf * wf + roll_f * roll_f + 1e-6)
                lane[K_R + j] = h * lane[CAP_R + j] / math.sqrt(wr * wr + roll_r * roll_r + 1e-6)
        for j in range(LANES):
            cos, sin, vx, vy = lane[COS + j], lane[SIN + j], lane[VX + j], lane[VY + j]
            u, v, spin = lane[ALONG + j], lane[ACROSS + j], lane[SPIN + j]
            fx, fy, air = lane[FORCE_X + j], lane[FORCE_Y + j], lane[AIR + j]
            a, b, cd, sd = lane[FRONT + j], lane[REAR + j], lane[CD + j], lane[SD + j]
            k_f, k_r, a12 = lane[K_F + j], lane[K_R + j], lane[A12 + j]
            cap_f, cap_r, lost = lane[CAP_F + j], lane[CAP_R + j], lane[LOST + j]
            u = (u + h * (lane[PUSH + j] + fx * cos + fy * sin)) * air
            v = (v + h * (fy * cos - fx * sin)) * air
            u1 = u - lost if u > lost else (u + lost if u < -lost else 0.0)
            wf, wr = cd * (v + a * spin) - sd * u1, v - b * spin
            m11, m22 = 1.0 + k_f * lane[A11 + j], 1.0 + k_r * lane[A22 + j]
            less = 1.0 / (m11 * m22 - k_f * k_r * a12 * a12)
            side_f = k_f * (k_r * a12 * wr - m22 * wf) * less
            side_r = k_r * (k_f * a12 * wf - m11 * wr) * less
            side_f = min(max(side_f, -cap_f * h), cap_f * h)
            side_r = min(max(side_r, -cap_r * h), cap_r * h)
            u1 -= side_f * lane[SD_MASS + j]
            v1 = v + (side_f * cd + side_r) * lane[PER_MASS + j]
            spin1 = spin + (a * cd * side_f - b * side_r) * lane[PER_INERTIA + j]
            carried, constant = lane[ON_GROUND + j] != 0.0, lane[CONSTANT + j] != 0.0
            cvx, cvy, cv_spin = lane[CV_X + j], lane[CV_Y + j], lane[CV_SPIN + j]
            u, v = u1 if carried else u, v1 if carried else v
            u, v = cvx if constant else u, cvy if constant else v
            spin1 = cv_spin if constant else spin1
            spin = spin1 if carried else spin
            lane[SPIN + j] = min(max(spin, -MAX_SPIN_RADPS), MAX_SPIN_RADPS)
            lane[SIDE_F + j] = side_f if carried else 0.0
            lane[SIDE_R + j] = side_r if carried else 0.0
            lane[SLIP_F + j], lane[SLIP_R + j] = wf if carried else 0.0, wr if carried else 0.0
            to_x, to_y = u * cos - v * sin, u * sin + v * cos
            lane[X + j] += 0.5 * h * (vx + to_x)
            lane[Y + j] += 0.5 * h * (vy + to_y)
            lane[VX + j], lane[VY + j] = to_x, to_y


@inlined
def leave(f: Any, i: Any, q: Any, r: int, dt: float, h: float, lane: Any, j: int) -> None:
    """Row r takes over what lane j came to."""
    nx, ny, nz, gx, gy = lane[NX + j], lane[NY + j], lane[NZ + j], lane[GX + j], lane[GY + j]
    q[r, p.TORQUE_NM] = lane[DRIVE + j] * q[r, p.RADIUS_M]
    if lane[STANDS + j] != 0.0:
        f[r, c.VX] = f[r, c.VY] = f[r, c.WZ] = 0.0
        q[r, p.LAT_F_N] = q[r, p.LAT_R_N] = q[r, p.LONG_N] = 0.0
        q[r, p.SLIP_F] = q[r, p.SLIP_R] = 0.0
        if f[r, c.Z] != f[r, c.GROUND_Z]:
            rise(f, i, r, 0.0, True, 0.0, 0.0, dt)
        f[r, c.VZ] = 0.0
        tilt(f, r, q[r, p.YAW_COS], q[r, p.YAW_SIN], nx, ny, nz, dt)
        return
    cos, sin, com = lane[COS + j], lane[SIN + j], lane[COM + j]
    vx, vy = within(lane[VX + j], MAX_SPEED_MPS), within(lane[VY + j], MAX_SPEED_MPS)
    q[r, p.LAT_F_N], q[r, p.LAT_R_N] = lane[SIDE_F + j] / h, lane[SIDE_R + j] / h
    q[r, p.LONG_N] = lane[MASS + j] * (vx * cos + vy * sin - lane[U + j]) / dt
    q[r, p.SLIP_F], q[r, p.SLIP_R] = lane[SLIP_F + j], lane[SLIP_R + j]
    q[r, p.YAW_COS], q[r, p.YAW_SIN] = cos, sin
    turn(f, r, lane[DYAW + j])
    x, y = lane[X + j], lane[Y + j]
    f[r, c.X] = within(x - com * cos, MAX_POSITION_M)
    f[r, c.Y] = within(y - com * sin, MAX_POSITION_M)
    f[r, c.VX], f[r, c.VY], f[r, c.WZ] = vx, vy, lane[SPIN + j] / RAD
    climb = gx * (x - lane[X0 + j]) + gy * (y - lane[Y0 + j])
    carried = lane[ON_GROUND + j] != 0.0
    rise(f, i, r, 0.0, carried, climb, gx * vx + gy * vy, dt)
    if carried:
        tilt(f, r, cos, sin, nx, ny, nz, dt)
    else:
        f[r, c.WX] = f[r, c.WY] = 0.0


@helper
def glide(f: Any, i: Any, q: Any, r: int, dt: float) -> None:
    """One step of a walker or a prop: its box stands, walks, slides or falls."""
    walker = i[r, c.KIND] == c.WALKER
    mass = f[r, c.MASS] if f[r, c.MASS] > 0.1 else 0.1
    inertia = mass * q[r, p.GYRATION2]
    if kick(f, i, r, mass, inertia, dt):
        for k in range(3):
            f[r, c.VX + k] = within(f[r, c.VX + k] + f[r, c.FORCE_X + k] / mass * dt, MAX_SPEED_MPS)
        spin = f[r, c.WZ] + f[r, c.TORQUE_Z] / inertia / RAD * dt
        f[r, c.WZ] = within(spin, MAX_SPIN_RADPS / RAD)
        q[r, p.IS_KNOCKED] = 1.0
        clear(f, i, r)
    nx, ny, nz = f[r, c.GROUND_NX], f[r, c.GROUND_NY], f[r, c.GROUND_NZ]
    if not nz > 0.2:
        nx, ny, nz = 0.0, 0.0, 1.0
    gx, gy = -nx / nz, -ny / nz
    foot = f[r, c.BOX_Z] - within(f[r, c.EXT_Z], 200.0)
    vx, vy = f[r, c.VX], f[r, c.VY]
    climb = f[r, c.VZ] - (gx * vx + gy * vy)
    gap = f[r, c.Z] + foot - f[r, c.GROUND_Z]
    carried = is_carried(gap, vx * vx + vy * vy, climb, i[r, c.GRAVITY])
    tx = ty = 0.0
    if walker:
        wx, wy = within(f[r, c.WALK_X], 1e6), within(f[r, c.WALK_Y], 1e6)
        size = math.sqrt(wx * wx + wy * wy)
        speed = within(f[r, c.WALK_SPEED], MAX_WALK_MPS)
        if size > 1e-6 and speed > 0.0:
            tx, ty = wx / size * speed, wy / size * speed
        if i[r, c.JUMP] == 0:
            q[r, p.WAS_JUMP] = 0.0
        elif q[r, p.WAS_JUMP] == 0.0 and carried:  # once, however long the control stays
            q[r, p.WAS_JUMP] = 1.0
            f[r, c.VZ] = JUMP_MPS
            carried = False
    ox, oy = vx, vy
    slide = 0.0
    if not walker or q[r, p.IS_KNOCKED] != 0.0:
        # A loose box: friction takes speed away relative to what it wants, nothing in the air does.
        rate = WALKER_SLIDE_MPS2 if walker else PROP_FRICTION * GRAVITY * nz
        dx, dy = tx - vx, ty - vy
        gap = math.sqrt(dx * dx + dy * dy)
        slide = rate * dt if carried else 0.0
        if gap <= slide:
            vx, vy = tx, ty
            q[r, p.IS_KNOCKED] = 0.0
        elif gap > 0.0:
            vx, vy = vx + dx * slide / gap, vy + dy * slide / gap
    elif carried or tx != 0.0 or ty != 0.0:
        vx, vy = tx, ty
    if i[r, c.CV_ON] != 0:
        yaw = f[r, c.YAW] * RAD
        cvx, cvy = within(f[r, c.CV_X], MAX_SPEED_MPS), within(f[r, c.CV_Y], MAX_SPEED_MPS)
        cos, sin = math.cos(yaw), math.sin(yaw)
        vx, vy = cvx * cos - cvy * sin, cvx * sin + cvy * cos
        ox, oy = vx, vy
    elif q[r, p.IS_KNOCKED] == 0.0:
        ox, oy = vx, vy  # a step of a walk is at one speed
    mx, my = 0.5 * (ox + vx) * dt, 0.5 * (oy + vy) * dt
    f[r, c.X] = within(f[r, c.X] + mx, MAX_POSITION_M)
    f[r, c.Y] = within(f[r, c.Y] + my, MAX_POSITION_M)
    f[r, c.VX], f[r, c.VY] = vx, vy
    if walker:
        f[r, c.WX] = f[r, c.WY] = f[r, c.WZ] = 0.0
        if (tx != 0.0 or ty != 0.0) and q[r, p.IS_KNOCKED] == 0.0:
            f[r, c.YAW] = math.atan2(ty, tx) / RAD
    else:
        rate = f[r, c.WZ]
        if rate != 0.0:
            turn(f, r, rate * RAD * dt)
            less = PROP_FRICTION * GRAVITY / math.sqrt(q[r, p.GYRATION2]) / RAD * dt
            if carried:
                f[r, c.WZ] = max(rate - less, 0.0) if rate > 0.0 else min(rate + less, 0.0)
        f[r, c.WX] = f[r, c.WY] = 0.0
    rise(f, i, r, foot, carried, gx * mx + gy * my, gx * vx + gy * vy, dt)


@kernel
def advance(f: Any, i: Any, q: Any, high: int, dt: float, parts: int, lane: Any) -> None:
    """Move every row below `high` that physics moves; the others stand still. Each depends on itself alone."""
    h = dt / parts
    following = 0
    while following < high:
        num = 0
        while following < high and num < LANES:
            r = following
            following += 1
            kind = i[r, c.KIND]
            if i[r, c.ID] == 0 or not (kind == c.VEHICLE or kind == c.WALKER or kind == c.PROP):  # noqa: PLR1714
                continue
            q[r, p.OLD_X], q[r, p.OLD_Y] = f[r, c.X], f[r, c.Y]
            if i[r, c.PARENT] != 0:
                continue  # goes where its parent goes
            if i[r, c.SIMULATE] == 0:
                halt(f, i, r)
            for k in range(3):
                q[r, p.OLD_VX + k] = f[r, c.VX + k]
            if i[r, c.SIMULATE] != 0 and kind == c.VEHICLE:
                enter(f, i, q, r, dt, lane, num & LANES - 1)  # as the compiler sees, not negative
                num += 1
            elif i[r, c.SIMULATE] != 0:
                glide(f, i, q, r, dt)
        if num > 0:
            ready(lane, h)
            moves = False
            for j in range(num):
                moves = moves or lane[STANDS + j] == 0.0
            if moves:
                roll(lane, num, h, parts)
            for j in range(num):
                leave(f, i, q, int(lane[ROW + j]), dt, h, lane, j)
