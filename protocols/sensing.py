"""What sensors hand to units: readings, never the truth. No actor ids appear here; whoever wants identity must track.

All columns are (n,). Vehicle sensors report in the vehicle's body frame (x forward, y left, origin under the rear axle); roadside
sensors are surveyed and report in the world frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from protocols.roads.network import F64, I32, U8, U32, Bool


class FixQuality(IntEnum):
    """What a receiver says of its own fix, worst first (NMEA GGA field 6 orders them otherwise)."""

    UNSPECIFIED = 0
    SINGLE = 1  # code only
    DGNSS = 2
    RTK_FLOAT = 3
    RTK_FIX = 4


class SensorKind(IntEnum):
    """What made an object list."""

    UNSPECIFIED = 0
    SET = 1  # a whole set of sensors, fused by its maker
    LIDAR = 2
    RADAR = 3
    CAMERA = 4
    ULTRASONIC = 5


class VelocityKind(IntEnum):
    """What the velocity columns of an object list hold."""

    UNSPECIFIED = 0
    NONE = 1  # not measured: columns are zero
    RADIAL = 2  # only the part along the line of sight is measured, as a vector along it
    FULL = 3


@dataclass(frozen=True, slots=True)
class Gnss:
    """Position fix. `sigma_m` is the receiver's own 1-sigma claim."""

    t_ns: int
    x_m: float
    y_m: float
    z_m: float
    sigma_m: float
    quality: FixQuality = FixQuality.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Imu:
    """Inertial reading in the body frame, plus the heading of the dual-antenna receiver that sits with it."""

    t_ns: int
    accel_mps2: float
    yaw_rate_radps: float
    yaw_rad: float


@dataclass(frozen=True, slots=True)
class Odometry:
    """Wheel speed, steering and articulation encoders."""

    t_ns: int
    speed_mps: float
    steer_rad: float
    hitch_rad: float


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Objects found by one sensor set at one instant; order carries no identity.

    (x_m, y_m) is the centre of the object. Vehicle sensors: body frame, velocity relative to ground but in body axes.
    Roadside sensors: world frame.
    """

    t_ns: int
    is_world_frame: bool
    x_m: F64
    y_m: F64
    yaw_rad: F64
    vx_mps: F64
    vy_mps: F64
    length_m: F64
    width_m: F64
    kind: U8
    sigma_m: F64
    sensor: str = ""  # stable within its unit, e.g. "lidar/front"
    source: SensorKind = SensorKind.SET
    velocity: VelocityKind = VelocityKind.FULL
    sigma_v_mps: float = 0.0  # 1-sigma of what the velocity columns hold; 0: not stated
    cov_m2: F64 | None = (
        None  # (n, 3) xx, xy, yy of the position, same frame; None: sigma_m in every direction
    )


@dataclass(frozen=True, slots=True)
class Detectors:
    """Presence and passage of the loops a roadside unit or controller is wired to."""

    t_ns: int
    lane: I32  # lane the loop lies in
    is_occupied: Bool
    count: U32  # vehicles that have passed since start


@dataclass(frozen=True, slots=True)
class CrossingDemand:
    """Push buttons of signalised crossings, by `RoadNetwork.crossings` index."""

    t_ns: int
    crossing: I32
    is_pressed: Bool


@dataclass(frozen=True, slots=True)
class CabinReading:
    """Door and passenger counters of the own vehicle."""

    t_ns: int
    doors: int  # 0 closed, +1 left open, -1 right open (fully open)
    is_boarding_done: bool  # nobody at the open door wants to get on or off
    num_passengers: int
    is_stop_requested: bool  # somebody on board wants to get off at the next on-call stop
    waiting_stations: tuple[
        int, ...
    ]  # on-call stations (index into RoadNetwork.stations) with somebody waiting


@dataclass(frozen=True, slots=True)
class FleetReading:
    """GNSS and odometry of all background vehicles that carry an on-board unit, as columns."""

    t_ns: int
    station_id: U32
    kind: U8
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    speed_mps: F64
    accel_mps2: F64
    yaw_rate_radps: F64
    length_m: F64
    width_m: F64
    rear_overhang_m: F64
    flags: U32


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything due for one unit at one tick; None where a sensor is not fitted or not due."""

    gnss: Gnss | None = None
    imu: Imu | None = None
    odometry: Odometry | None = None
    objects: ObjectList | None = None
    detectors: Detectors | None = None
    crossings: CrossingDemand | None = None
    cabin: CabinReading | None = None
    fleet: FleetReading | None = None
    detections: tuple[ObjectList, ...] = ()  # one list for each single sensor that delivers now
