"""What a scene may ask a judge: one pydantic model a `kind`, told apart by that key.

::

    [[criteria]]
    kind = "comfort"
    vehicles = ["bus1"]
    jerk_mps3 = 0.9

Defaults come from `scenarios/limits.toml`. `vehicles` empty means every automated vehicle of the scene. `who` chooses between the
vehicles under test, the background traffic, and both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from scenarios.criteria.limits import limit, table
from scenarios.spec import Spec

Who = Literal["under_test", "background", "any"]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def _default(key: str) -> Any:
    """A field whose default is the row `key` of limits.toml."""
    return Field(default_factory=lambda: limit(key), description=f"default: {key} of limits.toml")


class _PerVehicle(Spec):
    vehicles: tuple[str, ...] = ()


class NoCollision(Spec):
    """Nobody touches anybody."""

    kind: Literal["no_collision"]
    who: Who = "under_test"
    max_count: int = Field(default=0, ge=0)


class NoRedLight(Spec):
    """Nobody passes a stop line at red."""

    kind: Literal["no_red_light"]
    who: Who = "under_test"
    grace_s: Amount = _default("red_light.grace_s")  # red younger than this is forgiven
    max_count: int = Field(default=0, ge=0)


class LaneRules(Spec):
    """Nobody on a lane without permission, nobody off the road."""

    kind: Literal["lane_rules"]
    who: Who = "under_test"
    max_count: int = Field(default=0, ge=0)


class SpeedLimit(_PerVehicle):
    """The posted limit, plus a tolerance."""

    kind: Literal["speed_limit"]
    tolerance_mps: Amount = _default("speed_limit.tolerance_mps")


class StationStops(_PerVehicle):
    """Every station served, inside the window, doors only at standstill."""

    kind: Literal["station_stops"]
    along_m: Positive = _default("stop.along_m")
    gap_m: Positive = _default("stop.gap_m")
    standstill_mps: Amount = _default("stop.standstill_mps")
    min_served: int | None = Field(default=None, ge=0)  # default: all stops that are not on call


class Comfort(_PerVehicle):
    """Accelerations and jerk, at the front and at the rear section."""

    kind: Literal["comfort"]
    accel_mps2: Positive = _default("comfort.accel_mps2")
    lateral_mps2: Positive = _default("comfort.lateral_mps2")
    jerk_mps3: Positive = _default("comfort.jerk_mps3")
    share_above: Annotated[float, Field(ge=0, le=1)] = _default("comfort.share_above")
    cap_accel_mps2: Positive = _default("comfort.cap_accel_mps2")
    cap_lateral_mps2: Positive = _default("comfort.cap_lateral_mps2")
    cap_jerk_mps3: Positive = _default("comfort.cap_jerk_mps3")
    emergency_mps2: Positive = _default("comfort.emergency_mps2")
    max_emergencies: int = Field(default=0, ge=0)


class Arrival(_PerVehicle):
    """At the destination, and in time."""

    kind: Literal["arrival"]
    by_s: Positive | None = None  # default: the vehicle's arrive_by_s, else the end of the run


class Timetable(_PerVehicle):
    """Departures neither early nor late."""

    kind: Literal["timetable"]
    early_s: Amount = _default("timetable.early_s")
    late_s: Amount = _default("timetable.late_s")


class PriorityGranted(Spec):
    """Requests for signal priority were granted."""

    kind: Literal["priority_granted"]
    min_granted: int = Field(default=1, ge=1)


class SideStreetDelay(Spec):
    """Priority does not starve the side streets."""

    kind: Literal["side_street_delay"]
    mean_s: Positive = _default("side_street.mean_delay_s")
    max_wait_s: Positive = _default("side_street.max_wait_s")


class MessagePeriods(Spec):
    """Nobody falls silent: the longest gap between two sendings of a topic."""

    kind: Literal["message_periods"]
    max_gap_ms: dict[str, Positive] = Field(
        default_factory=lambda: {"spat": limit("period_ms.spat"), "map": limit("period_ms.map")},
        description="topic (its last word) -> longest allowed gap; known defaults: "
        + ", ".join(key.removeprefix("period_ms.") for key in table() if "period_ms." in key),
    )


class BackgroundClean(Spec):
    """Background traffic keeps the rules: no collision, no red light run, no bus lane entered."""

    kind: Literal["background_clean"]
    max_count: int = Field(default=0, ge=0)


class SignalRules(Spec):
    """Every phase keeps its minimum, yellow and clearance."""

    kind: Literal["signal_rules"]


class TrafficFlow(Spec):
    """Traffic moves as asked."""

    kind: Literal["traffic_flow"]
    min_arrived: int = Field(default=1, ge=0)
    min_peak: int = Field(default=0, ge=0)  # most vehicles at once
    min_mean_speed_mps: Amount = 0.0


class NoGridlock(Spec):
    """Somebody leaves the network, again and again, while there is traffic inside."""

    kind: Literal["no_gridlock"]
    quiet_s: Positive = _default("gridlock.quiet_s")
    min_inside: int = Field(default_factory=lambda: int(limit("gridlock.min_inside")), ge=1)


Criterion = Annotated[
    NoCollision | NoRedLight | LaneRules | SpeedLimit | StationStops | Comfort | Arrival | Timetable
    | PriorityGranted | SideStreetDelay | MessagePeriods | BackgroundClean | SignalRules | TrafficFlow | NoGridlock,
    Field(discriminator="kind"),
]  # fmt: skip

ADAPTER: TypeAdapter[Any] = TypeAdapter(tuple[Criterion, ...])


def parse(tables: Sequence[Any]) -> tuple[Any, ...]:
    """Criteria of a scene, checked; pydantic.ValidationError with (index, kind, key) as its location."""
    criteria: tuple[Any, ...] = ADAPTER.validate_python(tuple(tables))
    return criteria


def kinds() -> dict[str, type[Spec]]:
    """kind -> model, for messages and docs."""
    models: list[type[Spec]] = [
        NoCollision, NoRedLight, LaneRules, SpeedLimit, StationStops, Comfort, Arrival, Timetable, PriorityGranted,
        SideStreetDelay, MessagePeriods, BackgroundClean, SignalRules, TrafficFlow, NoGridlock,
    ]  # fmt: skip
    return {model.model_fields["kind"].annotation.__args__[0]: model for model in models}  # type: ignore[union-attr]
