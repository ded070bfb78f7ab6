"""What a judge needs to hear about a run: facts per tick and events, the same live or from a log.

`sim` produces these (live, or while reading a log); `scenarios.criteria` consumes them. So a log can be judged again years
later, and both ways give the same verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from protocols.roads.network import F64, I32, U8


class EventKind(IntEnum):
    """What can happen. Numbers are on the wire; never renumber."""

    UNSPECIFIED = 0
    COLLISION = 1  # actor, other; value = relative speed
    RED_LIGHT = 2  # actor crossed a stop line at red; lane; value = seconds since red began
    BUS_LANE = 3  # actor without permission on a lane; lane
    SPAWNED = 4
    ARRIVED = 5  # actor at its destination; value = travel time in s (background), run time in s (automated)
    STOPPED_AT_STATION = (
        6  # actor; other = station index; value = signed distance past the stop point in m
    )
    DOORS_OPENED = (
        7  # actor; other = station index; value = lateral gap to the nominal docking line in m
    )
    DOORS_CLOSED = 8  # actor; other = station index; value = dwell in s
    SIGNAL_RULE = 9  # a phase rule was broken; other = group; value = rule number
    OFF_ROAD = 10  # actor left every lane it may use
    PRIORITY_GRANTED = 11  # actor; other = node id; value = 1 extension, 2 early green
    HARD_BRAKING = 12  # actor; value = deceleration in m/s2
    LEFT_STATION = 13  # actor; other = station index; value = departure minus timetable in s
    DOOR_FAULT = 15  # doors opened while moving or away from the platform side; other = station
    MISSED_STATION = 14  # actor passed a station it had to serve; other = station index
    FAULT_STARTED = 16  # a fault of the scene; actor = its vehicle, else 0; value = its number
    FAULT_ENDED = 17  # likewise
    WATCHDOG = 18  # silent unit: its vehicle (actor) brakes or its lights flash; value = silence, s
    RUN_BROKEN = 19  # machinery failed and the run ended here without a verdict; text says why


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; fields not used by a kind are 0 (-1 for `lane` and `other`)."""

    t_ns: int
    kind: EventKind
    actor: int = 0
    other: int = -1
    lane: int = -1
    value: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class TraceBlock:
    """Consecutive ticks of one automated vehicle; columns (T,), one row a tick. Truth, for the judge and the log."""

    name: str
    actor: int
    t_ns: F64  # exact integers up to 2^53 ns = 104 days
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    speed_mps: F64
    accel_mps2: F64
    yaw_rate_radps: F64
    hitch_rad: F64
    steer_rad: F64
    lane: I32
    s_m: F64
    d_m: F64
    speed_limit_mps: F64  # of the lane under the front; inf where none is posted
    doors: I32  # 0 closed, +1 left, -1 right
    route_s_m: F64  # progress along the planned route


@dataclass(slots=True)
class RunFacts:
    """Numbers known at the end of a run; all deterministic, so the verdict of a replay is the same."""

    duration_s: float
    vehicles: dict[str, int] = field(default_factory=dict)  # automated vehicle name -> actor id
    arrived_s: dict[str, float] = field(default_factory=dict)  # name -> time at destination
    messages_sent: dict[str, int] = field(
        default_factory=dict
    )  # topic -> transmissions (rows for batches)
    messages_heard: dict[str, int] = field(default_factory=dict)  # topic -> deliveries
    max_gap_ms: dict[str, float] = field(
        default_factory=dict
    )  # "<sender> <topic>" -> longest gap between sendings
    priority_requests: int = 0
    priority_granted: int = 0
    signal_delay_s: dict[str, float] = field(default_factory=dict)  # vehicle -> delay at signals
    side_street_delay_s: float = 0.0  # mean control delay of vehicles on non-priority approaches
    side_street_max_wait_s: float = 0.0
    traffic: dict[str, float] = field(
        default_factory=dict
    )  # spawned, arrived, mean_speed_mps, peak, waiting
    group_lights: U8 | None = None
