"""Noise levels and gates of localisation and tracking."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FusionConfig(BaseModel):
    """Standard deviations of the sensors as the filter believes them, and the tracker's gates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accel_sigma_mps2: float = Field(default=0.15, gt=0)
    gyro_sigma_radps: float = Field(default=0.004, gt=0)
    gyro_bias_walk: float = Field(default=2e-5, gt=0)  # rad/s per sqrt(s)
    odometry_sigma_mps: float = Field(default=0.05, gt=0)
    yaw_sigma_rad: float = Field(default=0.004, gt=0)
    gnss_gate_sigma: float = Field(
        default=5.0, gt=0
    )  # fixes farther off are refused, ten in a row are believed
    track_accel_sigma_mps2: float = Field(default=1.5, gt=0)
    track_velocity_sigma_mps: float = Field(default=0.5, gt=0)
    bsm_sigma_m: float = Field(default=0.5, gt=0)
    gate_sigma: float = Field(default=3.5, gt=0)
    gate_min_m: float = Field(default=1.0, gt=0)
    merge_m: float = Field(default=1.2, gt=0)
    coast_s: float = Field(default=1.5, gt=0)  # established tracks live on unseen
    young_coast_s: float = Field(default=0.45, gt=0)
    range_m: float = Field(default=160.0, gt=0)
    capacity: int = Field(default=128, ge=8, le=1024)
