"""The values of CARLA 0.9.16's calls: field names, their order on the wire, and what a field may hold.

Every struct travels as an array of its fields in the order written here, never as a map; enums travel as integers. A struct read
from a socket has exactly these fields with these types: numbers are finite, integers fit the width they have in CARLA, a bool is a bool.
Nothing has a default, because a field with one could be left out by a sender. Frame and units are CARLA's: left-handed, metres, degrees.

An optional value is written `(False,)` or `(True, value)`: `some`, `NOTHING` and `given` make and read it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

_LARGEST = 1.7976931348623157e308  # an ordinary comparison also refuses NaN

Number = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
U8 = Annotated[int, Meta(ge=0, le=255)]
U16 = Annotated[int, Meta(ge=0, le=65535)]
U32 = Annotated[int, Meta(ge=0, le=4294967295)]
U64 = Annotated[int, Meta(ge=0)]  # MessagePack has nothing wider
I32 = Annotated[int, Meta(ge=-2147483648, le=2147483647)]
Char = Annotated[int, Meta(ge=-128, le=127)]

_T = TypeVar("_T")
MaybeNumber = Annotated[tuple[bool | Number, ...], Meta(min_length=1, max_length=2)]
MaybeId = Annotated[tuple[bool | U32, ...], Meta(min_length=1, max_length=2)]
NOTHING: tuple[bool] = (False,)


def some(value: _T) -> tuple[bool, _T]:
    """A value that is there."""
    return (True, value)


def given(pair: tuple[bool | _T, ...]) -> _T | None:
    """The value of an optional, None where it is not there; ValueError where the pair is neither."""
    if len(pair) == 1 and pair[0] is False:
        return None
    if len(pair) == 2 and pair[0] is True and not isinstance(pair[1], bool):
        return pair[1]
    raise ValueError("an optional value is [false] or [true, value]")


class ActorAttributeType(IntEnum):
    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    RGB_COLOR = 5


class AttachmentType(IntEnum):
    RIGID = 0
    SPRING_ARM = 1
    SPRING_ARM_GHOST = 2


class TrafficLightState(IntEnum):
    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


class ActorState(IntEnum):
    INVALID = 0
    ACTIVE = 1
    DORMANT = 2
    PENDING_KILL = 3


class VehicleFailureState(IntEnum):
    NONE = 0
    ROLLOVER = 1
    ENGINE = 2
    TIRE_PUNCTURE = 3


class VehicleDoor(IntEnum):
    FL = 0
    FR = 1
    RL = 2
    RR = 3
    HOOD = 4
    TRUNK = 5
    ALL = 6


class VehicleWheelLocation(IntEnum):
    """FL and FR are also the front and back wheel of a bicycle."""

    FL = 0
    FR = 1
    BL = 2
    BR = 3


class CityObjectLabel(IntEnum):
    """Also the semantic tag of a pixel or a lidar point."""

    NONE = 0
    ROADS = 1
    SIDEWALKS = 2
    BUILDINGS = 3
    WALLS = 4
    FENCES = 5
    POLES = 6
    TRAFFIC_LIGHT = 7
    TRAFFIC_SIGNS = 8
    VEGETATION = 9
    TERRAIN = 10
    SKY = 11
    PEDESTRIANS = 12
    RIDER = 13
    CAR = 14
    TRUCK = 15
    BUS = 16
    TRAIN = 17
    MOTORCYCLE = 18
    BICYCLE = 19
    STATIC = 20
    DYNAMIC = 21
    OTHER = 22
    WATER = 23
    ROAD_LINES = 24
    GROUND = 25
    BRIDGE = 26
    RAIL_TRACK = 27
    GUARD_RAIL = 28
    ANY = 255


class Wire(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """An array of the fields; one field too many or too few is refused."""


class Vector2D(Wire, frozen=True):
    x: Number
    y: Number


class Vector3D(Wire, frozen=True):
    x: Number
    y: Number
    z: Number


class Location(Vector3D, frozen=True):
    """Metres."""


class Rotation(Wire, frozen=True):
    """Degrees; yaw is clockwise seen from above."""

    pitch: Number
    yaw: Number
    roll: Number


class Transform(Wire, frozen=True):
    location: Location
    rotation: Rotation


class BoundingBox(Wire, frozen=True):
    """`location` is the centre in the actor's frame, `extent` the half sizes."""

    location: Location
    extent: Vector3D
    rotation: Rotation
    actor_id: U32


ZERO = Vector3D(0.0, 0.0, 0.0)
ORIGIN = Location(0.0, 0.0, 0.0)
LEVEL = Rotation(0.0, 0.0, 0.0)
IDENTITY = Transform(ORIGIN, LEVEL)


class GeoLocation(Wire, frozen=True):
    latitude: Number
    longitude: Number
    altitude: Number


class Token(Wire, frozen=True):
    """How to reach a stream; `sim.carla.wire.tokens` reads and writes the 24 bytes."""

    data: Annotated[bytes, Meta(min_length=24, max_length=24)]


class EpisodeInfo(Wire, frozen=True):
    id: U64
    token: Token


class MapInfo(Wire, frozen=True):
    name: str
    spawn_points: list[Transform]


class EpisodeSettings(Wire, frozen=True):
    synchronous_mode: bool
    no_rendering_mode: bool
    fixed_delta_seconds: MaybeNumber
    substepping: bool
    max_substep_delta_time: Number
    max_substeps: I32
    max_culling_distance: Number
    deterministic_ragdolls: bool
    tile_stream_distance: Number
    actor_active_distance: Number
    spectator_as_ego: bool

    def __post_init__(self) -> None:
        given(self.fixed_delta_seconds)

    @property
    def delta_s(self) -> float | None:
        """The fixed step, None where steps follow the clock; a client sends 0 for that as well."""
        return given(self.fixed_delta_seconds) or None


class ActorAttribute(Wire, frozen=True):
    id: str
    type: ActorAttributeType
    value: str
    recommended_values: list[str]
    is_modifiable: bool
    restrict_to_recommended: bool


class ActorDefinition(Wire, frozen=True):
    """A blueprint. `tags` are separated by commas."""

    uid: U32
    id: str
    tags: str
    attributes: list[ActorAttribute]


class ActorAttributeValue(Wire, frozen=True):
    id: str
    type: ActorAttributeType
    value: str


class ActorDescription(Wire, frozen=True):
    uid: U32
    id: str
    attributes: list[ActorAttributeValue]


class Actor(Wire, frozen=True):
    """`parent_id` is 0 where there is none; `stream_token` has 24 bytes for sensors and none for others."""

    id: U32
    parent_id: U32
    description: ActorDescription
    bounding_box: BoundingBox
    semantic_tags: bytes
    stream_token: bytes


class VehicleControl(Wire, frozen=True):
    throttle: Number
    steer: Number
    brake: Number
    hand_brake: bool
    reverse: bool
    manual_gear_shift: bool
    gear: I32


class VehicleAckermannControl(Wire, frozen=True):
    steer: Number
    steer_speed: Number
    speed: Number
    acceleration: Number
    jerk: Number


class AckermannControllerSettings(Wire, frozen=True):
    speed_kp: Number
    speed_ki: Number
    speed_kd: Number
    accel_kp: Number
    accel_ki: Number
    accel_kd: Number


class WalkerControl(Wire, frozen=True):
    direction: Vector3D
    speed: Number
    jump: bool


class GearPhysicsControl(Wire, frozen=True):
    ratio: Number
    down_ratio: Number
    up_ratio: Number


class WheelPhysicsControl(Wire, frozen=True):
    """`position` is in centimetres, in the world; `max_steer_angle` in degrees; `radius` in centimetres."""

    tire_friction: Number
    damping_rate: Number
    max_steer_angle: Number
    radius: Number
    max_brake_torque: Number
    max_handbrake_torque: Number
    lat_stiff_max_load: Number
    lat_stiff_value: Number
    long_stiff_value: Number
    position: Vector3D


class VehiclePhysicsControl(Wire, frozen=True):
    torque_curve: list[Vector2D]
    max_rpm: Number
    moi: Number
    damping_rate_full_throttle: Number
    damping_rate_zero_throttle_clutch_engaged: Number
    damping_rate_zero_throttle_clutch_disengaged: Number
    use_gear_autobox: bool
    gear_switch_time: Number
    clutch_strength: Number
    final_ratio: Number
    forward_gears: list[GearPhysicsControl]
    mass: Number
    drag_coefficient: Number
    center_of_mass: Location
    steering_curve: list[Vector2D]
    wheels: list[WheelPhysicsControl]
    use_sweep_wheel_collision: bool


class WheelTelemetryData(Wire, frozen=True):
    tire_friction: Number
    lat_slip: Number
    long_slip: Number
    omega: Number
    tire_load: Number
    normalized_tire_load: Number
    torque: Number
    long_force: Number
    lat_force: Number
    normalized_long_force: Number
    normalized_lat_force: Number


class VehicleTelemetryData(Wire, frozen=True):
    speed: Number
    steer: Number
    throttle: Number
    brake: Number
    engine_rpm: Number
    gear: I32
    drag: Number
    wheels: list[WheelTelemetryData]


class VehicleLightState(Wire, frozen=True):
    """A mask: Position 1, LowBeam 2, HighBeam 4, Brake 8, RightBlinker 16, LeftBlinker 32, Reverse 64, Fog 128, Interior 256,
    Special1 512, Special2 1024."""

    light_state: U32


class Color(Wire, frozen=True):
    r: U8
    g: U8
    b: U8


class FloatColor(Wire, frozen=True):
    r: Number
    g: Number
    b: Number
    a: Number


class LightState(Wire, frozen=True):
    """A street light."""

    id: U32
    location: Location
    intensity: Number
    group: U8
    color: Color
    active: bool


class WeatherParameters(Wire, frozen=True):
    cloudiness: Number
    precipitation: Number
    precipitation_deposits: Number
    wind_intensity: Number
    sun_azimuth_angle: Number
    sun_altitude_angle: Number
    fog_density: Number
    fog_distance: Number
    fog_falloff: Number
    wetness: Number
    scattering_intensity: Number
    mie_scattering_scale: Number
    rayleigh_scattering_scale: Number
    dust_storm: Number


class OpendriveGenerationParameters(Wire, frozen=True):
    vertex_distance: Number
    max_road_length: Number
    wall_height: Number
    additional_width: Number
    smooth_junctions: bool
    enable_mesh_visibility: bool
    enable_pedestrian_navigation: bool


class EnvironmentObject(Wire, frozen=True):
    transform: Transform
    bounding_box: BoundingBox
    id: U64
    name: str
    type: CityObjectLabel


class LabelledPoint(Wire, frozen=True):
    location: Location
    label: CityObjectLabel


class BoneTransformDataOut(Wire, frozen=True):
    bone_name: str
    world: Transform
    component: Transform
    relative: Transform


class WalkerBoneControlOut(Wire, frozen=True):
    bone_transforms: list[BoneTransformDataOut]


class WalkerBoneControlIn(Wire, frozen=True):
    bone_transforms: list[tuple[str, Transform]]


class DebugShape(Wire, frozen=True):
    """Accepted and not looked into: the index of the shape and its fields.

    0 Point, 1 Line, 2 Arrow, 3 Box, 4 String, 5 HUDPoint, 6 HUDLine, 7 HUDArrow, 8 HUDBox.
    """

    primitive: tuple[U8, list[Any]]
    color: Color
    life_time: float
    persistent_lines: bool
