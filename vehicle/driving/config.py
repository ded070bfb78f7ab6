"""How the driver behaves. Times in seconds, distances in metres from the front bumper."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DrivingConfig(BaseModel):
    """Defaults fit a city bus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look_ahead_m: float = Field(default=220.0, gt=0)
    # signals
    spat_max_age_s: float = Field(default=0.5, gt=0)  # older SPAT counts as none
    stop_gap_m: float = Field(default=0.8, ge=0)  # bumper to stop line
    yellow_decel_mps2: float = Field(default=1.5, gt=0)  # stop at yellow if this suffices
    hard_decel_mps2: float = Field(default=3.5, gt=0)  # stop at a late red if this suffices
    yellow_s: float = Field(default=3.0, gt=0)  # assumed where SPAT does not say
    glosa_min_mps: float = Field(default=4.0, gt=0)  # never advised slower
    glosa_margin_s: float = Field(default=1.0, ge=0)
    # giving way
    gap_s: float = Field(
        default=2.0, gt=0
    )  # between own occupation of a conflict area and another's
    yield_cap_mps: float = Field(default=6.0, gt=0)  # at a yield line, until it is passed
    trust_decel_mps2: float = Field(
        default=4.0, gt=0
    )  # who has to wait for us and can stop with this is expected to
    approach_m: float = Field(default=90.0, gt=0)  # others are watched this far before the conflict
    impatience_s: float = Field(
        default=6.0, gt=0
    )  # equal rights: go after everybody has stood so long
    # pedestrians
    crossing_gap_s: float = Field(default=1.5, gt=0)
    walker_cap_mps: float = Field(default=2.5, gt=0)  # right beside a pedestrian
    walker_cap_per_m: float = Field(default=2.5, ge=0)  # faster by so much per metre of clearance
    walker_clearance_m: float = Field(default=2.0, gt=0)  # beyond it pedestrians do not slow us
    standstill_s: float = Field(
        default=0.5, ge=0
    )  # doors open, and a stop sign is obeyed, after standing so long
    # stations
    stop_window_m: float = Field(default=0.5, gt=0)  # doors open within
    on_call_margin_m: float = Field(default=25.0, ge=0)
    door_timeout_s: float = Field(default=120.0, gt=0)  # leave at last, whoever still boards
    # priority
    priority: bool = True
    priority_eta_s: float = Field(default=25.0, gt=0)
    priority_distance_m: float = Field(default=350.0, gt=0)
    priority_period_s: float = Field(default=1.0, gt=0)
    # rough speed profile behind every estimate of time
    accel_mps2: float = Field(default=0.9, gt=0)
    decel_mps2: float = Field(default=0.9, gt=0)
