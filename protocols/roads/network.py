"""The one road network: OpenDRIVE read once into flat arrays that every room shares.

Planner, traffic, roadside units, the MAP message and the viewer all read these arrays; nobody keeps a second copy of
the road. World frame: local east-north-up metres (the OpenDRIVE inertial frame). Angles are radians counter-clockwise
from east. `-1` in an index column means "none" (indices are not measurements, so this is not a magic value for one).

Conventions that every consumer relies on
-----------------------------------------
* A *lane* here is one OpenDRIVE lane of one lane section, lane id != 0. Lanes are numbered 0..L-1, ordered by road, then
  section (increasing s), then from the leftmost (highest OpenDRIVE id) to the rightmost.
* `lanes.direction` is +1 where traffic runs with increasing road s and -1 where against it. It follows the sign of the
  lane id and the road's `rule` (RHT: negative ids run with s; LHT: positive ids run with s).
* Everything measured *along a lane* is in **travel direction**: `s_m` of a lane point is 0 where traffic enters the lane and
  `lanes.length_m` where it leaves, both measured along the lane's own centre line.
* `left` and `right` are seen by the driver in travel direction.
* CSR tables: `x_start` has one entry more than the owner table; owner i holds rows `x_start[i]:x_start[i+1]`.

Sources: ASAM OpenDRIVE 1.4-1.8 (element names kept in docstrings). The reader is `scenarios.formats.opendrive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]
I8 = npt.NDArray[np.int8]
U32 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


class PlanKind(IntEnum):
    """Kind of one `<planView><geometry>` record."""

    LINE = 0
    ARC = 1
    SPIRAL = 2
    POLY3 = 3
    PARAM_POLY3 = 4


class LaneType(IntEnum):
    """OpenDRIVE lane types, 1.4-1.8 (bus, taxi and HOV are superseded by `<access>` from 1.8, and still read)."""

    NONE = 0
    DRIVING = 1
    STOP = 2
    SHOULDER = 3
    BIKING = 4
    SIDEWALK = 5
    BORDER = 6
    RESTRICTED = 7
    PARKING = 8
    BIDIRECTIONAL = 9
    MEDIAN = 10
    CURB = 11
    ENTRY = 12
    EXIT = 13
    ON_RAMP = 14
    OFF_RAMP = 15
    CONNECTING_RAMP = 16
    SLIP_LANE = 17
    BUS = 18
    TAXI = 19
    HOV = 20
    TRAM = 21
    RAIL = 22
    ROAD_WORKS = 23
    WALKING = 24
    SPECIAL1 = 25
    SPECIAL2 = 26
    SPECIAL3 = 27
    SHARED = 28


class UserClass(IntFlag):
    """Participant classes that a lane may admit; `lanes.permission` is a bit set of these."""

    PASSENGER = 1
    BUS = 2
    TRUCK = 4
    DELIVERY = 8
    EMERGENCY = 16
    TAXI = 32
    MOTORCYCLE = 64
    BICYCLE = 128
    PEDESTRIAN = 256
    SHUTTLE = 512
    TRAM = 1024


MOTOR = (
    UserClass.PASSENGER | UserClass.BUS | UserClass.TRUCK | UserClass.DELIVERY | UserClass.EMERGENCY
    | UserClass.TAXI | UserClass.MOTORCYCLE | UserClass.SHUTTLE
)  # fmt: skip


class MarkKind(IntEnum):
    """What a road mark lets a driver do; the drawn type is kept beside it."""

    NONE = 0
    SOLID = 1
    BROKEN = 2
    SOLID_SOLID = 3
    SOLID_BROKEN = 4  # inner (towards the reference line) solid, outer broken
    BROKEN_SOLID = 5
    BROKEN_BROKEN = 6
    BOTTS_DOTS = 7
    CURB = 8
    GRASS = 9
    EDGE = 10
    CUSTOM = 11


class ConflictKind(IntEnum):
    """How two lanes inside a junction meet."""

    CROSSING = 0
    MERGING = 1
    DIVERGING = 2


class RightOfWay(IntEnum):
    """Who waits, seen from the lane that owns the conflict row (before any signal is looked at)."""

    YIELD = 0  # own lane gives way
    EQUAL = 1  # neither is marked; first come, ties by the right-hand rule
    PRIORITY = 2  # the other lane gives way


@dataclass(frozen=True, slots=True)
class Roads:
    """(R,) one row per `<road>`."""

    id: tuple[str, ...]
    name: tuple[str, ...]
    length_m: F64
    junction: I32  # index into Junctions, -1 outside junctions
    is_left_hand: Bool  # rule="LHT"
    plan_start: I32  # (R+1,) CSR into Plans
    section_start: I32  # (R+1,) CSR into Sections
    elevation_start: I32  # (R+1,) CSR into Cubics `elevation`
    superelevation_start: I32
    lane_offset_start: I32


@dataclass(frozen=True, slots=True)
class Plans:
    """(G,) reference-line geometry records, in order of s within each road."""

    road: I32
    s_m: F64
    x_m: F64
    y_m: F64
    yaw_rad: F64
    length_m: F64
    kind: U8  # PlanKind
    # LINE: unused. ARC: [curvature]. SPIRAL: [curvStart, curvEnd]. POLY3: [0,1,0,0,a,b,c,d]: u = p beside v(p).
    # PARAM_POLY3: [aU,bU,cU,dU,aV,bV,cV,dV] already scaled so that p runs 0..length_m (arcLength).
    param: F64  # (G, 8)
    arc_m: F64  # true arc length of the curve over its parameter range; differs from length_m for PARAM_POLY3 only


@dataclass(frozen=True, slots=True)
class Cubics:
    """(K,) records a + b ds + c ds^2 + d ds^3, ds = s - s_m, s along the owner (road, or section for widths)."""

    s_m: F64
    coef: F64  # (K, 4)


@dataclass(frozen=True, slots=True)
class Sections:
    """(S,) lane sections."""

    road: I32
    s0_m: F64
    s1_m: F64
    lane_start: I32  # (S+1,) CSR into Lanes


@dataclass(frozen=True, slots=True)
class Lanes:
    """(L,) one row per lane of each lane section; lane 0 (the reference line) is not a row."""

    road: I32
    section: I32
    odr_id: I16
    type: U8  # LaneType as written in the file
    direction: I8  # +1 travels with road s, -1 against
    permission: U32  # UserClass bits admitted, after type and every <access> rule
    junction: I32  # index into Junctions for lanes of connecting roads, else -1
    length_m: F64  # along the lane's centre line
    speed_mps: F64  # speed limit where traffic enters the lane; valid where has_speed
    has_speed: Bool
    left: I32  # neighbour in the same direction, driver's left; -1 none
    right: I32
    may_change_left: Bool  # the road mark between allows it (and the neighbour exists)
    may_change_right: Bool
    opposite: I32  # adjacent lane of opposing direction on the driver's left (RHT), -1 none
    width_start: I32  # (L+1,) CSR into `width` Cubics; s_m is measured from the section start, in road direction
    next_start: I32  # (L+1,) CSR into `next`
    next: I32  # successor lanes in travel direction (several at junctions)
    prev_start: I32  # (L+1,)
    prev: I32
    point_start: I32  # (L+1,) CSR into Points
    speed_start: I32  # (L+1,) CSR into SpeedLimits


@dataclass(frozen=True, slots=True)
class Points:
    """(P,) sampled lane centre lines in travel direction; first point s=0, last s=lane length; chord error <= 0.01 m.

    At least two points a lane; consecutive spacing <= 5 m. Joins: the last point of a lane and the first of its successor
    coincide up to the file's own gaps.
    """

    s_m: F64
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64  # travel direction
    curvature_per_m: F64  # positive turns left in travel direction
    width_m: F64
    road_s_m: F64  # the road coordinate of each point (falls along lanes that run against s)


@dataclass(frozen=True, slots=True)
class SpeedLimits:
    """(V,) pieces of speed limit along a lane in travel direction."""

    s_m: F64
    speed_mps: F64


@dataclass(frozen=True, slots=True)
class RoadMarks:
    """(M,) `<roadMark>` pieces: the *outer* mark of lane `lane`, or the centre line of `section` where `lane` is -1."""

    lane: I32
    section: I32
    s0_m: F64  # road s where the piece begins
    s1_m: F64
    kind: U8  # MarkKind
    colour: tuple[str, ...]
    width_m: F64
    lane_change: U8  # 0 none, 1 increase (towards higher lane ids), 2 decrease, 3 both


@dataclass(frozen=True, slots=True)
class Junctions:
    """(J,) junctions."""

    id: tuple[str, ...]
    name: tuple[str, ...]
    lane_start: I32  # (J+1,) CSR into `lane`
    lane: I32  # connecting lanes of this junction
    is_signalised: Bool


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Conflict areas of connecting lanes, found by the overlap of the swept lane bodies (not of centres).

    Row r of owner lane a: between travel distances `s_in_m` and `s_out_m` on a, the body of lane a meets the body of lane
    `other` between `other_in_m` and `other_out_m`. Each pair appears twice, once for either owner.
    """

    start: I32  # (L+1,) CSR by owner lane
    other: I32
    s_in_m: F64
    s_out_m: F64
    other_in_m: F64
    other_out_m: F64
    kind: U8  # ConflictKind
    right_of_way: U8  # RightOfWay


@dataclass(frozen=True, slots=True)
class Signals:
    """(Q,) `<signal>` elements (static signs and dynamic heads)."""

    id: tuple[str, ...]
    name: tuple[str, ...]
    type: tuple[str, ...]
    subtype: tuple[str, ...]
    country: tuple[str, ...]
    is_dynamic: Bool
    road: I32
    s_m: F64
    t_m: F64
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64  # direction the face looks towards
    value: F64  # numeric value of a sign (speed in m/s where type says so); valid where has_value
    has_value: Bool
    group: I32  # index into SignalGroups for dynamic heads, -1 for static signs


@dataclass(frozen=True, slots=True)
class SignalGroups:
    """(H,) heads that always show the same: one row per `<controller>`, or per dynamic signal without a controller."""

    id: tuple[str, ...]  # controller id, or "signal:<id>" for a head without one
    name: tuple[str, ...]
    junction: I32  # -1 when none can be told


@dataclass(frozen=True, slots=True)
class StopLines:
    """(K,) where a signal group or a stop/yield sign holds traffic.

    A vehicle on `lane` bound for connecting lane `to_lane` (-1: any) must not pass travel distance `s_m` unless group `group`
    shows green (group >= 0), or must give way / stop first (kind). Sorted by (lane, s_m, to_lane).
    """

    lane: I32
    s_m: F64
    to_lane: I32
    group: I32  # -1 for signs
    kind: U8  # 0 signal, 1 stop sign, 2 yield sign
    start: I32  # (L+1,) CSR by lane


@dataclass(frozen=True, slots=True)
class Stations:
    """(B,) places where buses or shuttles stop, one row per served lane."""

    id: tuple[str, ...]
    name: tuple[str, ...]
    lane: I32
    stop_s_m: F64  # where the vehicle's front should stand, travel distance on `lane`
    s0_m: F64  # platform extent, travel distance on `lane`
    s1_m: F64
    door_side: I8  # +1 platform on the left, -1 on the right
    is_island: Bool
    object: I32  # index into Objects


@dataclass(frozen=True, slots=True)
class Crossings:
    """(X,) pedestrian and cycle crossings; the walking axis runs from (x0, y0) to (x1, y1)."""

    id: tuple[str, ...]
    x0_m: F64
    y0_m: F64
    x1_m: F64
    y1_m: F64
    width_m: F64
    group: I32  # pedestrian signal group, -1 unsignalised
    object: I32
    lane_start: I32  # (X+1,) CSR: lanes crossed
    lane: I32
    lane_in_m: F64  # travel distance on the lane where the crossing begins and ends
    lane_out_m: F64


@dataclass(frozen=True, slots=True)
class Objects:
    """(O,) `<object>` elements; outlines are world polygons."""

    id: tuple[str, ...]
    name: tuple[str, ...]
    type: tuple[str, ...]
    subtype: tuple[str, ...]
    road: I32
    s_m: F64
    t_m: F64
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    length_m: F64
    width_m: F64
    height_m: F64
    outline_start: I32  # (O+1,) CSR
    outline_x_m: F64
    outline_y_m: F64


@dataclass(frozen=True, slots=True)
class RoadNetwork:
    """Everything above for one file. Immutable; built by `scenarios.formats.opendrive.read`, cached by digest."""

    name: str
    digest: str  # SHA-256 of the file's bytes, hex
    version: str  # "1.6"
    geo_reference: str  # PROJ string, "" when absent
    roads: Roads
    plans: Plans
    elevation: Cubics
    superelevation: Cubics
    lane_offset: Cubics
    sections: Sections
    lanes: Lanes
    width: Cubics
    points: Points
    speed_limits: SpeedLimits
    road_marks: RoadMarks
    junctions: Junctions
    conflicts: Conflicts
    signals: Signals
    groups: SignalGroups
    stop_lines: StopLines
    stations: Stations
    crossings: Crossings
    objects: Objects
    notes: tuple[str, ...]  # what the reader repaired or left out, one sentence each

    @property
    def num_lanes(self) -> int:
        """Number of lanes L."""
        return int(self.lanes.road.size)

    def lane_key(self, lane: int) -> str:
        """`road/section/lane` as written in the file, for messages: `12/0/-1`."""
        road = int(self.lanes.road[lane])
        section = int(self.lanes.section[lane]) - int(self.roads.section_start[road])
        return f"{self.roads.id[road]}/{section}/{int(self.lanes.odr_id[lane])}"
