"""Gains of path and speed control."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ControlConfig(BaseModel):
    """Defaults hold for actuator lags up to 0.3 s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_length_m: float = Field(
        default=3.5, gt=0
    )  # lateral errors die out over this distance at low speed
    length_time_s: float = Field(default=0.8, gt=0)  # and over this time at higher speed
    preview_s: float = Field(
        default=0.15, ge=0
    )  # steering feed-forward looks ahead by the steering's lag
    feedback_lat_accel_mps2: float = Field(
        default=1.0, gt=0
    )  # bound on what feedback may add in a curve
    position_gain_per_s2: float = Field(default=0.15, ge=0)
    speed_gain_per_s: float = Field(default=0.6, ge=0)
    jerk_mps3: float = Field(
        default=1.2, gt=0
    )  # slope of the command; the drive's lag smooths it further
    urgent_jerk_mps3: float = Field(default=20.0, gt=0)
    hold_mps2: float = Field(default=-1.0, lt=0)  # brake command at standstill
