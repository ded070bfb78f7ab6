"""What a signal plan file may say: stages, timings, pedestrians and bus priority of one junction.

Times are seconds and whole multiples of 0.1 s, the step of the controller, so that no plan is ever rounded. Defaults and
upper limits come from `limits.toml`, which names their sources. `SignalPlan` checks what it can without a road network;
`roadside.signals.timing.compile_plan` checks the rest against one.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

STEP_NS: Final = 100_000_000
"""The controller is stepped every 100 ms, and every duration is a whole number of steps."""


def _limits() -> dict[str, dict[str, float]]:
    text = resources.files("roadside.signals").joinpath("limits.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


_LIMITS: Final = _limits()


def practice(name: str) -> float:
    """The default of practice called `name` in `limits.toml`."""
    return float(_LIMITS[name]["value"])


def upper_limit(name: str) -> float:
    """The highest value that practice allows for `name` in `limits.toml`."""
    return float(_LIMITS[name]["limit"])


def steps_ns(seconds: float) -> int:
    """Nanoseconds of a duration that has passed validation (whole steps)."""
    return round(seconds * 10) * STEP_NS


def _whole_steps(seconds: float) -> float:
    if abs(seconds * 10 - round(seconds * 10)) > 1e-6:
        raise ValueError(f"{seconds} s is not a whole multiple of 0.1 s; round it to one decimal")
    return seconds


Seconds = Annotated[float, Field(ge=0.0, le=3600.0), AfterValidator(_whole_steps)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StagePlan(_Model):
    """Groups that are green together, and for how long."""

    name: str = Field(min_length=1)
    groups: tuple[str, ...] = Field(min_length=1, description="group names or ids, green here")
    permissive: tuple[str, ...] = Field(
        default=(), description="those of `groups` that are green but give way"
    )
    green_s: Seconds = 20.0
    min_green_s: Seconds = practice("min_green_s")
    max_green_s: Seconds = practice("max_green_s")
    recall: bool = Field(
        default=False, description="actuated: served in every cycle even without demand"
    )

    @model_validator(mode="after")
    def _check(self) -> StagePlan:
        if stray := [name for name in self.permissive if name not in self.groups]:
            raise ValueError(
                f"permissive names {stray[0]!r}, which is not among this stage's groups; "
                f"add it to groups or drop it"
            )
        if len(set(self.groups)) != len(self.groups):
            raise ValueError("groups names the same group twice")
        if not 1.0 <= self.min_green_s <= self.green_s <= self.max_green_s:
            raise ValueError(
                f"expected 1 <= min_green_s <= green_s <= max_green_s, found "
                f"{self.min_green_s} / {self.green_s} / {self.max_green_s}"
            )
        return self


class PedestrianPlan(_Model):
    """Walk and clearance of one pedestrian group; the clearance is shown as YELLOW."""

    group: str
    walk_s: Seconds = practice("walk_s")
    clearance_s: Seconds | None = Field(
        default=None, description="default: crossing length at 1.2 m/s"
    )
    recall: bool = Field(
        default=False, description="actuated: walk in every cycle without the button"
    )


class IntergreenPlan(_Model):
    """Longer clearance between two groups than yellow plus all-red: end of green to start of green."""

    from_group: str
    to_group: str
    intergreen_s: Seconds


class PriorityPlan(_Model):
    """What a bus may get, and what it may never cost."""

    enabled: bool = False
    groups: tuple[str, ...] = Field(
        default=(), description="groups that may be asked for; empty: every vehicle group"
    )
    max_extension_s: Annotated[Seconds, Field(le=upper_limit("max_extension_s"))] = practice(
        "max_extension_s"
    )
    max_early_s: Annotated[Seconds, Field(le=upper_limit("max_early_s"))] = Field(
        default=practice("max_early_s"),
        description="how much each running stage may lose, never below its minimum green",
    )
    one_grant_per_cycles: int = Field(default=int(practice("one_grant_per_cycles")), ge=1, le=10)
    recovery_cycles: int = Field(default=int(practice("recovery_cycles")), ge=1, le=10)
    side_max_red_s: Seconds = Field(
        default=practice("side_max_red_s"), description="no group waits longer because of a grant"
    )
    conditional_lateness_s: float | None = Field(
        default=None, description="grant only vehicles at least this late; none: grant all"
    )
    arrival_margin_s: Seconds = practice("arrival_margin_s")


class SignalPlan(_Model):
    """How one junction's signals run."""

    junction: str = Field(min_length=1, description="OpenDRIVE junction id or name")
    mode: Literal["fixed", "actuated"] = "fixed"
    stages: tuple[StagePlan, ...] = Field(min_length=1, max_length=32)
    yellow_s: Annotated[Seconds, Field(ge=2.0, le=6.0)] = practice("yellow_s")
    all_red_s: Annotated[Seconds, Field(le=20.0)] = practice("all_red_s")
    gap_s: Annotated[Seconds, Field(ge=0.5, le=20.0)] = practice("gap_s")
    offset_s: Seconds = Field(
        default=0.0, description="when the first stage turns green, after the start"
    )
    cycle_s: Seconds | None = Field(
        default=None, description="checked against the stages' sum when given (fixed mode)"
    )
    pedestrians: tuple[PedestrianPlan, ...] = ()
    intergreens: tuple[IntergreenPlan, ...] = ()
    priority: PriorityPlan = PriorityPlan()

    @model_validator(mode="after")
    def _check(self) -> SignalPlan:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages of junction {self.junction!r} share a name: {names}")
        if self.cycle_s is not None and self.mode == "actuated":
            raise ValueError(
                "cycle_s is given for an actuated plan, which has no fixed cycle; drop it"
            )
        return self
