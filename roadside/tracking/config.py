"""Parameters of the roadside tracker; defaults fit object lists at 10 Hz from cameras and lidars at a junction."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrackingConfig(BaseModel):
    """What a scene may say about the tracker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accel_sigma_mps2: float = Field(
        default=2.0, gt=0, le=20, description="unknown acceleration of road users, 1 sigma"
    )
    velocity_sigma_mps: float = Field(
        default=1.0, gt=0, le=50, description="error of the sensor's velocities, 1 sigma"
    )
    gate: float = Field(
        default=13.8,
        gt=0,
        le=100,
        description="largest squared distance in sigmas; 13.8 keeps 99.9 % of true pairs (chi-square, 2 degrees)",
    )
    kind_penalty: float = Field(
        default=3.0, ge=0, le=100, description="added to the distance where the class disagrees"
    )
    num_confirm: int = Field(default=3, ge=1, le=20, description="hits before a track is reported")
    num_miss_tentative: int = Field(default=2, ge=1, le=50)
    num_miss_confirmed: int = Field(
        default=10, ge=1, le=200, description="misses in a row before a track is dropped"
    )
    num_miss_reported: int = Field(
        default=5, ge=0, le=200, description="misses in a row up to which a track is still reported"
    )
    max_tracks: int = Field(default=256, ge=1, le=4096)
