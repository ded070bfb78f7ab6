"""Parameters of single sensors (frozen) and their presets, from `presets.toml` with source and confidence.

Mounts: on vehicles in the body frame, on roadside units relative to the unit, axes of the world. Time: a measurement of t is handed
out at t + latency + jitter * uniform(0, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.roads.network import F64
from protocols.sentence import say
from sim.sensors.params import table_of

_SIGNED = ("x_m", "y_m", "yaw_rad", "elevation_low_rad", "elevation_high_rad")
_SHARES = (
    "min_visible", "miss_probability", "drop_out", "reference_detection", "false_alarm_probability",
    "min_contrast", "confusion", "max_confusion", "glare_detection",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionParams:
    """What every sensor has."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float  # above ground
    yaw_rad: float = 0.0  # bore-sight from the x axis of the frame it is mounted in
    period_ms: int
    latency_ms: float
    jitter_ms: float
    range_m: float
    field_of_view_rad: float  # horizontal, centred on the bore-sight
    clutter_per_scan: float  # mean number of objects that are not there

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in _SIGNED and value < 0.0:
                raise ConfigError(
                    say("{name} = {value}, expected a number >= 0", name=item.name, value=value)
                )
            if item.name in _SHARES and value > 1.0:
                raise ConfigError(
                    say("{name} = {value}, expected 0..1", name=item.name, value=value)
                )
        if self.period_ms < 1 or self.period_ms != int(self.period_ms):
            raise ConfigError(
                say("period_ms = {period_ms}, expected a whole number >= 1", period_ms=self.period_ms)
            )  # fmt: skip
        if not 0.0 < self.field_of_view_rad <= 2.0 * math.pi + 1e-9:
            raise ConfigError(
                say("field_of_view_rad = {field_of_view_rad}, expected 0..2 pi", field_of_view_rad=self.field_of_view_rad)
            )  # fmt: skip
        if self.range_m <= 0.0 or self.z_m <= 0.0:
            raise ConfigError(
                say("range_m = {range_m}, z_m = {z_m}, expected both > 0", range_m=self.range_m, z_m=self.z_m)
            )  # fmt: skip
        if self.clutter_per_scan > 20.0:
            raise ConfigError(
                say("clutter_per_scan = {clutter_per_scan}, expected at most 20", clutter_per_scan=self.clutter_per_scan)
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarParams(DetectionParams):
    """Spinning lidar: channels at equal elevation steps, azimuth steps over the field of view, and how its points are clustered."""

    channels: int
    azimuth_steps: int
    elevation_low_rad: float
    elevation_high_rad: float
    min_range_m: float
    range_sigma_m: float
    drop_out: float  # share of echoes lost
    ground_m: float  # points below this height are road
    map_tolerance_m: float  # points within this of what the map predicts are map
    join_m: float  # points closer than this are one thing ...
    roof_m: float  # level points this far behind a face may be its roof
    incidence_rad: float  # ... and so are those that a face seen at this angle would give
    columns: int  # azimuth steps that may be missing inside one thing
    min_points: int

    def __post_init__(self) -> None:
        super(LidarParams, self).__post_init__()
        for name, least, most in (("channels", 1, 256), ("azimuth_steps", 8, 8192)):
            value = getattr(self, name)
            if not least <= value <= most or value != int(value):
                raise ConfigError(
                    say("{name} = {value}, expected a whole number {least}..{most}", name=name, value=value, least=least, most=most)
                )  # fmt: skip
        if not -1.5 < self.elevation_low_rad <= self.elevation_high_rad < 1.5:
            raise ConfigError(
                say(
                    "elevation_low_rad = {elevation_low_rad}, elevation_high_rad = {elevation_high_rad}, expected -1.5 < "
                    "low <= high < 1.5",
                    elevation_low_rad=self.elevation_low_rad, elevation_high_rad=self.elevation_high_rad,
                )
            )  # fmt: skip
        if self.columns < 1 or self.min_points < 1 or not 0.0 < self.incidence_rad < 1.5:
            raise ConfigError(
                say(
                    "columns = {columns}, min_points = {min_points}, incidence_rad = {incidence_rad}, expected columns and "
                    "min_points >= 1 and incidence between 0 and 1.5",
                    columns=self.columns, min_points=self.min_points, incidence_rad=self.incidence_rad,
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarParams(DetectionParams):
    """Millimetre-wave radar with a target list."""

    min_visible: float  # share of a body that must be in sight
    range_sigma_m: float
    azimuth_sigma_rad: float
    speed_sigma_mps: float  # radial
    reference_range_m: float  # here a target of
    reference_rcs_m2: float  # this cross-section
    reference_detection: float  # is found with this probability
    false_alarm_probability: float  # of one resolution cell: sets the threshold
    drop_out: float  # share of targets lost between detection and list

    def __post_init__(self) -> None:
        super(RadarParams, self).__post_init__()
        if not 0.0 < self.false_alarm_probability < self.reference_detection < 1.0:
            raise ConfigError(
                say(
                    "false_alarm_probability = {false_alarm_probability}, reference_detection = {reference_detection}, "
                    "expected 0 < false alarm < detection < 1",
                    false_alarm_probability=self.false_alarm_probability, reference_detection=self.reference_detection,
                )
            )  # fmt: skip
        if self.reference_range_m <= 0.0 or self.reference_rcs_m2 <= 0.0:
            raise ConfigError(
                say(
                    "reference_range_m = {reference_range_m}, reference_rcs_m2 = {reference_rcs_m2}, expected both > 0",
                    reference_range_m=self.reference_range_m, reference_rcs_m2=self.reference_rcs_m2,
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraParams(DetectionParams):
    """Camera with an object detector."""

    min_visible: float
    image_width_px: float  # over the field of view (pinhole)
    min_height_px: float
    min_width_px: float
    min_contrast: float  # what haze must leave of an object's contrast
    miss_probability: float
    range_sigma_per_m: float  # sigma of range = this * range^2
    bearing_sigma_rad: float
    yaw_sigma_rad: float
    size_sigma_m: float
    confusion: float  # probability of a wrong class close by ...
    confusion_per_m: float  # ... more for each metre ...
    max_confusion: float  # ... up to this
    glare_rad: float  # half-angle around the sun in which it blinds
    glare_detection: float  # share still found right in front of the sun

    def __post_init__(self) -> None:
        super(CameraParams, self).__post_init__()
        if self.field_of_view_rad >= math.pi:
            raise ConfigError(
                say("field_of_view_rad = {field_of_view_rad}, expected below pi for a camera", field_of_view_rad=self.field_of_view_rad)
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasonicParams(DetectionParams):
    """Ultrasonic range finder: the nearest thing in a cone."""

    min_range_m: float  # nearer things read as this
    range_sigma_m: float
    miss_probability: float


KINDS: dict[str, type[DetectionParams]] = {
    "lidar": LidarParams,
    "radar": RadarParams,
    "camera": CameraParams,
    "ultrasonic": UltrasonicParams,
}


def detection_params(kind: str, preset: str, changes: dict[str, Any]) -> DetectionParams:
    """A preset with `changes` on top; ConfigError says what is wrong. `changes` are numbers under known names."""
    row = {**table_of(kind, preset), **changes}
    for item in fields(KINDS[kind]):
        value = row.get(item.name)
        if item.type == "int" and value is not None:
            if value != int(value):
                raise ConfigError(
                    say("{name} = {value}, expected a whole number", name=item.name, value=value)
                )
            row[item.name] = int(value)
    return KINDS[kind](**row)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What things usually measure, by which a lidar tells them apart and completes what it cannot see. Lists: car, van, heavy."""

    person_m: float
    bicycle_m: float
    depth_m: float
    wide_m: float
    longest_m: float
    height_m: list[float]
    length_m: list[float]
    width_m: list[float]
    length_sigma_m: list[float]
    bus_m: float


def sizes() -> Sizes:
    """The one table there is."""
    return Sizes(**table_of("lidar_sizes", "default"))


def cross_sections() -> F64:
    """(K,) radar cross-section in m2 by ActorKind."""
    row = table_of("radar_cross_section", "default")
    return np.array([float(row[kind.name.lower()]) for kind in ActorKind])


def mistaken_for() -> dict[int, tuple[int, ...]]:
    """ActorKind -> the kinds that a camera may take it for, equally likely."""
    row = table_of("camera_confusion", "default")
    return {
        int(ActorKind[name.upper()]): tuple(int(ActorKind[other.upper()]) for other in others)
        for name, others in row.items()
    }
