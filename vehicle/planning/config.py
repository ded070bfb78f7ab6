"""What the planner samples, what it may do, and what it prefers. Defaults fit a bus with standing passengers.

Comfort limits are the project's values for standing passengers (|a_x| 1.2, service braking 1.5, |a_y| 1.0 m/s2, jerk
1.0 m/s3); 5 m/s2 is the service-brake reference of buses in UN R157.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.sentence import say


class LatticeWeights(BaseModel):
    """Cost per second of the squared quantity, unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jerk: float = Field(default=0.6, ge=0)
    accel: float = Field(default=0.15, ge=0)
    lat_accel: float = Field(default=0.3, ge=0)
    progress: float = Field(default=0.5, ge=0)  # per metre not covered
    overspeed: float = Field(default=20.0, ge=0)  # above the allowed speed
    offset: float = Field(default=2.0, ge=0)  # from the lane centre
    heading: float = Field(default=10.0, ge=0)  # slope of the offset
    target_offset: float = Field(default=2.0, ge=0)  # once per candidate, final offset
    change: float = Field(
        default=1.0, ge=0
    )  # once per candidate, final offset against the last plan's
    headway: float = Field(default=0.5, ge=0)  # metres short of the wanted gap


class PlanningConfig(BaseModel):
    """Frenet lattice of one vehicle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon_s: float = Field(default=5.0, gt=0, le=12)
    dt_s: float = Field(default=0.1, gt=0, le=0.5)
    lat_offsets_m: tuple[float, ...] = (0.0, -0.2, 0.2, -0.4, 0.4, -0.6, 0.6, -0.8, 0.8)
    lat_lengths_m: tuple[float, ...] = (15.0, 30.0)  # distance over which an offset is taken up
    speed_scales: tuple[float, ...] = (
        1.0,
        0.85,
        0.7,
        0.5,
        0.3,
    )  # of the allowed speed, envelope followers
    speed_fractions: tuple[float, ...] = (
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
    )  # of the allowed speed, quartics
    durations_s: tuple[float, ...] = (2.5, 4.5)
    stop_durations_s: tuple[float, ...] = (2.5, 4.0, 5.0)  # quintics onto a stop point
    brakes_mps2: tuple[float, ...] = (1.2, 1.5, 2.2, 3.0, 4.0, 5.0)
    max_accel_mps2: float = Field(default=1.0, gt=0)
    decel_mps2: float = Field(default=0.9, gt=0)  # planned approach to stops and lower limits
    jerk_mps3: float = Field(default=0.7, gt=0)  # planned
    end_jerk_mps3: float = Field(default=0.6, gt=0)  # easing off in the last metre of a stop
    lat_accel_mps2: float = Field(default=0.8, gt=0)  # planned in curves
    comfort_decel_mps2: float = Field(default=1.5, gt=0)
    comfort_jerk_mps3: float = Field(default=1.0, gt=0)
    comfort_lat_accel_mps2: float = Field(default=1.0, gt=0)
    emergency_decel_mps2: float = Field(default=5.0, gt=0)
    emergency_lat_accel_mps2: float = Field(default=2.5, gt=0)
    emergency_jerk_mps3: float = Field(default=10.0, gt=0)
    time_gap_s: float = Field(default=1.6, gt=0)  # to the vehicle ahead
    standstill_gap_m: float = Field(default=3.0, gt=0)
    margin_long_m: float = Field(default=0.6, ge=0)
    margin_lat_m: float = Field(default=0.25, ge=0)
    edge_margin_m: float = Field(default=0.1, ge=0)  # body to the edge of the lane
    near_lat_m: float = Field(
        default=8.0, gt=0
    )  # what lies farther from the path on all its way does not widen the lattice
    weights: LatticeWeights = LatticeWeights()

    @model_validator(mode="after")
    def _check(self) -> PlanningConfig:
        # What is planned beyond the bounds of comfort is taken by no vehicle: it would stand for ever.
        for planned, bound in (
            ("decel_mps2", "comfort_decel_mps2"), ("jerk_mps3", "comfort_jerk_mps3"), ("end_jerk_mps3", "comfort_jerk_mps3"),
            ("lat_accel_mps2", "comfort_lat_accel_mps2"),
        ):  # fmt: skip
            value, most = getattr(self, planned), getattr(self, bound)
            if value > most:
                raise ValueError(
                    say("{planned} = {value} exceeds {bound} = {most}", planned=planned, value=value, bound=bound, most=most)
                )  # fmt: skip
        if not self.lat_offsets_m or self.lat_offsets_m[0] != 0.0:
            raise ValueError(say("lat_offsets_m must begin with 0.0, the lane centre"))
        if not self.speed_scales or not self.brakes_mps2:
            raise ValueError(say("speed_scales and brakes_mps2 must not be empty"))
        if self.horizon_s / self.dt_s > 120:
            raise ValueError(say("horizon_s / dt_s exceeds 120 steps"))
        return self
