"""Columns of the plant's own matrix: the parameters of every body, and what it remembers from step to step.

`Plant` fills the parameters (params.py), the kernels read them and keep the state. SI units: radians, metres, newtons.
"""

from __future__ import annotations

SAMPLES = 16  # a curve is kept at this many equally spaced points
MAX_GEARS = 8

# Parameters
FRONT_M, REAR_M = 0, 1  # from the centre of mass to the front and to the rear axle, both positive
COM_X = 2  # centre of mass ahead of the actor's origin
FRICTION_F, FRICTION_R = 3, 4  # tire_friction, mean of an axle
STIFF_F, STIFF_R = 5, 6  # lateral force per load and slip, 1/rad
BRAKE_N, HAND_N = 7, 8  # force at full brake and full hand brake
DRAG = 9  # N per (m/s)^2
STEER_RAD = 10  # at full steer and standstill
STEER_PER_KMH = 11  # points of the steering curve per km/h
RADIUS_M = 12
FINAL = 13
GEARS = 14
MAX_RPM = 15
SWITCH_S = 16
DAMP_FULL, DAMP_ZERO = 17, 18  # engine friction, N m s/rad, with and without throttle
IS_AUTOBOX = 19
GYRATION2 = 20  # yaw inertia per mass, m^2
IDLE_RPM = 21
ROLLING = 22  # resistance per load
REVERSE = 23  # ratio of the reverse gear
TORQUE = 24  # SAMPLES points over 0..MAX_RPM
STEERING = TORQUE + SAMPLES  # SAMPLES points, STEER_PER_KMH apart
RATIO = STEERING + SAMPLES  # gears 1..MAX_GEARS
UP = RATIO + MAX_GEARS  # change up above this share of MAX_RPM
DOWN = UP + MAX_GEARS  # and down below this one

# State
THROTTLE = DOWN + MAX_GEARS  # where the pedals and the wheel are; the control asks, they follow
BRAKE = THROTTLE + 1
STEER = THROTTLE + 2
GEAR = THROTTLE + 3
SHIFT_S = THROTTLE + 4  # until the clutch is closed again
RPM = THROTTLE + 5
LONG_N = THROTTLE + 6  # forces of the last step, for telemetry
LAT_F_N = THROTTLE + 7
LAT_R_N = THROTTLE + 8
TORQUE_NM = THROTTLE + 9  # at all wheels together
STEER_ANGLE = THROTTLE + 10
IS_KNOCKED = THROTTLE + 11  # a walker that was hit slides until it stands again
WAS_JUMP = THROTTLE + 12
OLD_VX, OLD_VY, OLD_VZ = THROTTLE + 13, THROTTLE + 14, THROTTLE + 15  # before the step
SLIP_F, SLIP_R = THROTTLE + 16, THROTTLE + 17  # lateral speed of the axles' wheels
OLD_X, OLD_Y = THROTTLE + 18, THROTTLE + 19
YAW_COS, YAW_SIN = THROTTLE + 20, THROTTLE + 21  # of a vehicle, after its step

# Ackermann controller: settings, target, state
ACK_SPEED_P = THROTTLE + 22
ACK_SPEED_I, ACK_SPEED_D = ACK_SPEED_P + 1, ACK_SPEED_P + 2
ACK_ACCEL_P, ACK_ACCEL_I, ACK_ACCEL_D = ACK_SPEED_P + 3, ACK_SPEED_P + 4, ACK_SPEED_P + 5
ACK_STEER, ACK_STEER_RATE, ACK_SPEED, ACK_ACCEL = (
    ACK_SPEED_P + 6,
    ACK_SPEED_P + 7,
    ACK_SPEED_P + 8,
    ACK_SPEED_P + 9,
)
ACK_STATE = ACK_SPEED_P + 10  # first of the eight that a new start clears
ACK_IS_ON = ACK_STATE
ACK_LAST_SPEED, ACK_MEASURED = ACK_STATE + 1, ACK_STATE + 2
ACK_ACCEL_TARGET, ACK_PEDAL = ACK_STATE + 3, ACK_STATE + 4
ACK_SPEED_SUM, ACK_ACCEL_SUM, ACK_LAST_ACCEL = ACK_STATE + 5, ACK_STATE + 6, ACK_STATE + 7
ROLLED_M = ACK_STATE + 8  # way under power, for the road's roughness
WIDTH = ACK_STATE + 9

# Columns of a box, one row for every row of the table, and of the static boxes
CX, CY, COS, SIN, HALF_X, HALF_Y, LOW, HIGH = 0, 1, 2, 3, 4, 5, 6, 7
REACH = 8  # from its centre to anything it touched in this step
INV_MASS, INV_INERTIA = 9, 10  # 0 where it does not move
DX, DY = 11, 12  # its way in this step; later how far contacts push it
BVX, BVY, BSPIN = 13, 14, 15  # m/s and rad/s
BOX = 16
