"""What the CARLA server knows of every actor, as two matrices: the names of their columns.

`Table.f` is (N, FLOATS) float64 and `Table.i` is (N, INTS) int64; one row per actor, rows never move while the actor lives. Everything is
in CARLA's own frame and units, so that what a client sets it reads back: left-handed, x forward, y right, z up, metres, degrees
(yaw clockwise from above), m/s in the world, degrees per second. Kernels index with these constants.
"""

# Pose of the actor's origin. CARLA's origin of a vehicle: on the ground, in the middle between bumpers and sides.
X, Y, Z, PITCH, YAW, ROLL = 0, 1, 2, 3, 4, 5
VX, VY, VZ = 6, 7, 8  # m/s, world
WX, WY, WZ = 9, 10, 11  # deg/s about world axes, CARLA's signs
AX, AY, AZ = 12, 13, 14  # m/s2, world
EXT_X, EXT_Y, EXT_Z = 15, 16, 17  # half sizes of the bounding box
BOX_X, BOX_Y, BOX_Z = 18, 19, 20  # its centre in the actor's frame
MASS = 21  # kg; 0 does not move when hit
THROTTLE, STEER, BRAKE = 22, 23, 24  # the control last applied, as the client reads it back
SPEED_LIMIT_KMH = 25
WALK_X, WALK_Y, WALK_Z, WALK_SPEED = 26, 27, 28, 29  # walker control
CV_X, CV_Y, CV_Z = 30, 31, 32  # constant velocity, actor frame; where CV_ON
TV_X, TV_Y, TV_Z = 33, 34, 35  # target velocity, world; taken over by the next step where TV_ON
TW_X, TW_Y, TW_Z = 36, 37, 38  # target angular velocity, deg/s; where TW_ON
FORCE_X, FORCE_Y, FORCE_Z = 39, 40, 41  # N, world, for the next step
IMPULSE_X, IMPULSE_Y, IMPULSE_Z = 42, 43, 44  # N s, world, for the next step
TORQUE_X, TORQUE_Y, TORQUE_Z = 45, 46, 47  # N m, for the next step
SPIN_X, SPIN_Y, SPIN_Z = 48, 49, 50  # angular impulse, kg m2 rad/s, for the next step
REL_X, REL_Y, REL_Z, REL_PITCH, REL_YAW, REL_ROLL = 51, 52, 53, 54, 55, 56  # to the parent
GROUND_Z = 57  # height of the surface under the origin, written before each step
GROUND_NX, GROUND_NY, GROUND_NZ = 58, 59, 60  # and its unit normal
GREEN_S, YELLOW_S, RED_S, ELAPSED_S = 61, 62, 63, 64  # traffic lights
FRICTION = 65  # factor on tyre friction from friction triggers, 1 where there is none
FLOATS = 66

ID, KIND, STATE, PARENT, TAG = 0, 1, 2, 3, 4  # STATE as CARLA's ActorState; TAG a CityObjectLabel
HAND_BRAKE, REVERSE, MANUAL_GEAR, GEAR = 5, 6, 7, 8
LIGHT_STATE, HAS_LIGHT, LIGHT_ID, FAILURE = 9, 10, 11, 12
JUMP = 13
SIMULATE, GRAVITY, COLLIDES = 14, 15, 16  # 1 where physics moves it / it falls / it can be hit
CV_ON, TV_ON, TW_ON = 17, 18, 19
LAMPS = 20  # VehicleLightState bits
ATTACHMENT = 21
POLE, FROZEN = 22, 23  # traffic lights
ACKERMANN = 24  # 1 while the Ackermann controller drives
AUTOPILOT = 25
DEAD = 26
GROUP = 27  # traffic lights: index of the group that switches together
INTS = 28

# KIND
SPECTATOR, VEHICLE, WALKER, SENSOR, LIGHT, SIGN, PROP, CONTROLLER, TRIGGER = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)
