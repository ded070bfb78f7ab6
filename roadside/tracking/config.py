"""Parameters of the roadside tracker; defaults fit object lists at 10 Hz from cameras, lidars and radars at a junction."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrackingConfig(BaseModel):
    """What a scene may say about the tracker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quiet_accel_mps2: float = Field(
        default=1.0, gt=0, le=20, description="unknown acceleration while nothing happens, 1 sigma"
    )
    accel_sigma_mps2: float = Field(
        default=4.0, gt=0, le=40, description="unknown acceleration in manoeuvres, 1 sigma"
    )
    turn_sigma_radps: float = Field(
        default=0.3, gt=0, le=3, description="turn rate in manoeuvres, 1 sigma"
    )
    turn_memory_s: float = Field(default=2.0, gt=0, le=60, description="a turn rate fades in")
    quiet_s: float = Field(default=4.0, gt=0, le=600, description="mean time between manoeuvres")
    manoeuvre_s: float = Field(default=2.0, gt=0, le=600, description="mean time of a manoeuvre")
    velocity_sigma_mps: float = Field(
        default=0.5,
        gt=0,
        le=50,
        description="error of one axis of the velocity for sensors that do not state theirs, 1 sigma",
    )
    start_speed_mps: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="velocity that is not measured, 1 sigma at the start",
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
    tentative_ms: int = Field(
        default=200, ge=1, le=5000, description="unseen that long, an unconfirmed track is dropped"
    )
    reported_ms: int = Field(
        default=500, ge=0, le=20_000, description="unseen that long, a track is still reported"
    )
    confirmed_ms: int = Field(
        default=1000,
        ge=1,
        le=20_000,
        description="unseen that long, a track in the open is dropped",
    )
    hidden_ms: int = Field(
        default=120_000,
        ge=0,
        le=600_000,
        description="a track behind others is kept and reported; about a signal cycle",
    )
    hidden_moving_ms: int = Field(
        default=5000, ge=0, le=600_000, description="the part of it that it may be on the move"
    )
    mount_height_m: float = Field(default=6.0, gt=0, le=100, description="sensor above the road")
    max_age_ms: int = Field(
        default=250, ge=0, le=2000, description="older lists are refused; on-time ones take 200 ms"
    )
    max_tracks: int = Field(default=256, ge=1, le=4096)
