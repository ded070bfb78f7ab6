"""What units say to each other: plain dataclasses in SI units, world frame; the wire form is `icv.v1` protobuf.

Names are the standards' (BSM, SPAT, MAP, RSM, SSM, VIR, RSC). Positions are local east-north-up metres; the over-the-air encoding
(UPER, 1e-7 degrees) belongs to `protocols.air`. `t_ns` is simulation time of the *measurement*, not of sending. Many moving
things travel as columns (one array per field), because one Python object per vehicle is what makes simulators slow.
Codecs: `protocols.codec` (`encode(message) -> bytes`, `decode(topic, bytes) -> message`), with range checks both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from protocols.roads.network import F64, I32, U8, U32


class ActorKind(IntEnum):
    """What moves. Numbers are on the wire; never renumber."""

    UNSPECIFIED = 0
    CAR = 1
    VAN = 2
    TRUCK = 3
    BUS = 4
    ARTICULATED_BUS = 5
    SHUTTLE = 6
    MOTORCYCLE = 7
    BICYCLE = 8
    PEDESTRIAN = 9


class Light(IntEnum):
    """State of a signal group, after the Chinese SPAT's light states."""

    UNSPECIFIED = 0
    DARK = 1
    RED = 2
    FLASHING_RED = 3
    GREEN_PERMISSIVE = 4  # go, but give way to conflicting priority movements
    GREEN_PROTECTED = 5
    YELLOW = 6
    FLASHING_YELLOW = 7


class Maneuver(IntEnum):
    """Movement of a connection through a junction."""

    UNSPECIFIED = 0
    STRAIGHT = 1
    LEFT = 2
    RIGHT = 3
    U_TURN = 4


class Equipment(IntEnum):
    """Who shares what its sensors see; numbers of the Chinese set."""

    UNSPECIFIED = 0
    RSU = 1
    OBU = 2
    VRU = 3


class SharedSource(IntEnum):
    """What saw a shared thing; numbers of the Chinese set."""

    UNSPECIFIED = 0
    SELF = 1
    V2X = 2
    VIDEO = 3
    RADAR = 4
    LOOP = 5
    LIDAR = 6
    INTEGRATED = 7  # several, or a set of sensors fused by its maker


class ObstacleType(IntEnum):
    """What lies on the road; numbers of the Chinese set."""

    UNSPECIFIED = 0
    ROCKFALL = 1
    LANDSLIDE = 2
    ANIMAL_INTRUSION = 3
    LIQUID_SPILL = 4
    GOODS_SCATTERED = 5
    TRAFFIC_CONE = 6
    SAFETY_TRIANGLE = 7
    ROADBLOCK = 8
    OPEN_SHAFT = 9
    UNKNOWN_FRAGMENTS = 10
    UNKNOWN_HARD = 11
    UNKNOWN_SOFT = 12


class RequestStatus(IntEnum):
    """What a roadside unit answers to a priority request."""

    UNSPECIFIED = 0
    RECEIVED = 1  # nothing needed: the vehicle passes on the running plan
    GRANTED_EXTENSION = 2
    GRANTED_EARLY_GREEN = 3
    REJECTED = 4  # see `reason`
    CLEARED = 5


@dataclass(frozen=True, slots=True)
class BasicSafetyBatch:
    """BSM of n vehicles measured at the same instant; a single vehicle's BSM is a batch of one. Columns (n,)."""

    t_ns: int
    station_id: U32
    kind: U8  # ActorKind
    x_m: F64  # origin: ground under the rear axle, world frame
    y_m: F64
    z_m: F64
    yaw_rad: F64
    speed_mps: F64
    accel_mps2: F64
    yaw_rate_radps: F64
    length_m: F64
    width_m: F64
    rear_overhang_m: F64  # from the origin back to the rear bumper of the front section
    flags: U32  # BsmFlag bits


class BsmFlag(IntEnum):
    """Bits of `BasicSafetyBatch.flags`."""

    BRAKE = 1
    HARD_BRAKE = 2  # event flag, deceleration >= 0.4 g
    LEFT_INDICATOR = 4
    RIGHT_INDICATOR = 8
    HAZARD = 16
    DOORS_OPEN = 32
    AUTOMATED = 64


@dataclass(frozen=True, slots=True)
class PhaseState:
    """One signal group in SPAT. Stamps are absolute simulation time; None where the controller cannot say."""

    phase_id: int  # ties to MapMovement.phase_id; unique within the node
    light: Light
    start_ns: int  # when this light began
    min_end_ns: int | None
    max_end_ns: int | None
    likely_end_ns: int | None
    next_green_start_ns: int | None  # for a group that is not green now
    next_green_end_ns: int | None


@dataclass(frozen=True, slots=True)
class Spat:
    """Signal phase and timing of one junction."""

    t_ns: int
    node_id: int
    name: str
    phases: tuple[PhaseState, ...]
    is_priority_active: bool


@dataclass(frozen=True, slots=True)
class MapMovement:
    """One connection from a lane through the junction."""

    to_lane: str  # key of the connecting lane, road/section/lane
    maneuver: Maneuver
    phase_id: int  # 0: not signalised


@dataclass(frozen=True, slots=True)
class MapLane:
    """An approach lane that ends at the junction."""

    lane: str  # key road/section/lane
    width_m: float
    speed_limit_mps: float | None
    permission: int  # UserClass bits
    stop_x_m: float
    stop_y_m: float
    stop_yaw_rad: float
    point_x_m: tuple[float, ...]  # centre line, upstream to the stop line, chord error <= 0.5 m
    point_y_m: tuple[float, ...]
    movements: tuple[MapMovement, ...]


@dataclass(frozen=True, slots=True)
class Map:
    """Geometry and movements of one junction."""

    t_ns: int
    node_id: int
    name: str
    x_m: float
    y_m: float
    lanes: tuple[MapLane, ...]


@dataclass(frozen=True, slots=True)
class RoadsideSafety:
    """RSM: participants that a roadside unit perceives. Columns (n,). `track_id` is unique among units, not an actor id."""

    t_ns: int
    node_id: int
    track_id: U32
    kind: U8
    x_m: F64  # centre of the object, world frame
    y_m: F64
    yaw_rad: F64
    speed_mps: F64
    length_m: F64
    width_m: F64
    sigma_m: F64  # 1-sigma position uncertainty of one axis
    cov_xx_m2: F64  # covariance of the position, world frame
    cov_xy_m2: F64
    cov_yy_m2: F64
    sigma_v_mps: F64  # 1-sigma uncertainty of one axis of the velocity
    age_s: F64  # since the first detection under this id, by whichever unit


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed line in the world frame, counter-clockwise; the last point is joined to the first. Columns (n,)."""

    x_m: F64
    y_m: F64


@dataclass(frozen=True, slots=True)
class Participants:
    """Road users that a sender of SSM sees. Columns (n,)."""

    track_id: U32  # as in RSM; of a vehicle: unique within that vehicle
    kind: U8
    kind_confidence: F64  # 0..1; 0: not stated
    source: U8  # SharedSource
    x_m: F64  # centre of the object, world frame
    y_m: F64
    yaw_rad: F64
    speed_mps: F64
    length_m: F64
    width_m: F64
    cov_xx_m2: F64  # covariance of the position, world frame
    cov_xy_m2: F64
    cov_yy_m2: F64
    sigma_v_mps: F64  # 1-sigma uncertainty of one axis of the velocity
    sigma_yaw_rad: F64  # 1-sigma uncertainty of yaw_rad
    age_s: F64  # since the first detection under this id, by whichever unit


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Things that belong to no class of road user; columns (n,) as those of `Participants`."""

    track_id: U32
    type: U8  # ObstacleType
    type_confidence: F64
    source: U8
    x_m: F64
    y_m: F64
    yaw_rad: F64
    speed_mps: F64
    length_m: F64
    width_m: F64
    cov_xx_m2: F64
    cov_xy_m2: F64
    cov_yy_m2: F64
    sigma_v_mps: F64
    sigma_yaw_rad: F64
    age_s: F64


@dataclass(frozen=True, slots=True)
class SensorSharing:
    """SSM: what the sensors of a roadside unit or a vehicle see, and where they look."""

    t_ns: int
    equipment: Equipment
    sender_id: int  # node of a roadside unit, station of a vehicle
    x_m: float  # where the sender stands
    y_m: float
    z_m: float
    region: tuple[Polygon, ...]  # field of view of each sensor; hidden parts are not taken out
    participants: Participants
    obstacles: Obstacles


@dataclass(frozen=True, slots=True)
class VehicleIntention:
    """VIR: a vehicle asks a junction for passage (signal priority)."""

    t_ns: int
    station_id: int
    request_id: int  # counts up per station; the same id refreshes a running request
    node_id: int
    from_lane: str  # MapLane.lane
    to_lane: str  # MapMovement.to_lane
    phase_id: int
    distance_m: float  # front bumper to stop line
    eta_ns: int  # expected arrival at the stop line if not held
    lateness_s: float  # behind timetable positive
    is_cancel: bool  # the vehicle has passed or gives up


@dataclass(frozen=True, slots=True)
class RoadsideCoordination:
    """RSC: a junction's answer to a VIR."""

    t_ns: int
    node_id: int
    station_id: int
    request_id: int
    status: RequestStatus
    phase_id: int
    until_ns: int  # GRANTED_EXTENSION: green held until; GRANTED_EARLY_GREEN: green expected at
    reason: str


@dataclass(frozen=True, slots=True)
class VehicleCommand:
    """What a driver asks of its vehicle for the next tick."""

    t_ns: int
    accel_mps2: float
    steer_rad: float  # road-wheel angle of the front axle, positive left
    open_doors: int  # 0 closed, +1 left side, -1 right side
    flags: int  # BsmFlag bits for lights


@dataclass(frozen=True, slots=True)
class SignalCommand:
    """States of all groups that one controller owns. `group` indexes `RoadNetwork.groups`."""

    t_ns: int
    group: I32
    light: U8


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned trajectory, for the log and the viewer; columns (T,), from now on at equal steps."""

    t_ns: int
    dt_s: float
    x_m: F64
    y_m: F64
    yaw_rad: F64
    speed_mps: F64
    mode: str  # driving mode, e.g. "cruise", "stop_line", "dock", "dwell", "emergency"
    num_candidates: int
    cost: float
    reason: str  # what limits the speed, one short phrase


Message = (
    BasicSafetyBatch | Spat | Map | RoadsideSafety | SensorSharing | VehicleIntention | RoadsideCoordination
    | VehicleCommand | SignalCommand | Plan
)  # fmt: skip
