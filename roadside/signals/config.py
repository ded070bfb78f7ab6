"""What a signal plan file may say: stages, timings, pedestrians and bus priority of one junction.

Times are seconds and whole multiples of 0.1 s, the step of the controller, so that no plan is ever rounded. Defaults and
upper limits come from `limits.toml`, which names their sources. `SignalPlan` checks what it can without a road network;
`roadside.signals.timing.compile_plan` checks the rest against one. Rings, further plans and operating modes are in
`roadside.signals.operation`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from protocols.sentence import say
from roadside.signals.durations import (
    STEP_NS,
    Seconds,
    SignalModel,
    practice,
    steps_ns,
    upper_limit,
)
from roadside.signals.operation import (
    InsertPlan,
    OperationPlan,
    PatternPlan,
    RingPlan,
    ScheduleEntry,
    TransitionPlan,
    is_mode,
)

__all__ = [
    "STEP_NS",
    "IntergreenPlan",
    "PedestrianPlan",
    "PriorityPlan",
    "Seconds",
    "SignalPlan",
    "StagePlan",
    "practice",
    "steps_ns",
    "upper_limit",
]


class StagePlan(SignalModel):
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
                say("permissive names {group!r}, which is not among this stage's groups; add it to groups or drop it", group=stray[0])
            )  # fmt: skip
        if len(set(self.groups)) != len(self.groups):
            raise ValueError(say("groups names the same group twice"))
        if not 1.0 <= self.min_green_s <= self.green_s <= self.max_green_s:
            raise ValueError(
                say(
                    "expected 1 <= min_green_s <= green_s <= max_green_s, found {min_green_s} / {green_s} / {max_green_s}",
                    min_green_s=self.min_green_s, green_s=self.green_s, max_green_s=self.max_green_s,
                )
            )  # fmt: skip
        return self


class PedestrianPlan(SignalModel):
    """Walk and clearance of one pedestrian group; the clearance is shown as YELLOW."""

    group: str
    walk_s: Seconds = practice("walk_s")
    clearance_s: Seconds | None = Field(
        default=None, description="default: crossing length at 1.2 m/s"
    )
    recall: bool = Field(
        default=False, description="actuated: walk in every cycle without the button"
    )


class IntergreenPlan(SignalModel):
    """Longer clearance between two groups than yellow plus all-red: end of green to start of green."""

    from_group: str
    to_group: str
    intergreen_s: Seconds


class PriorityPlan(SignalModel):
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
    insert: InsertPlan | None = Field(
        default=None,
        description="an extra stage between two others, for a bus no other grant helps",
    )


class SignalPlan(SignalModel):
    """How one junction's signals run."""

    junction: str = Field(min_length=1, description="OpenDRIVE junction id or name")
    mode: Literal["fixed", "actuated", "ring_barrier"] = "fixed"
    stages: tuple[StagePlan, ...] = Field(default=(), max_length=32, validate_default=True)
    rings: RingPlan | None = Field(default=None, description="mode ring_barrier only")
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
    plans: tuple[PatternPlan, ...] = Field(
        default=(), max_length=64, description="further plans of the same stages or phases"
    )
    schedule: tuple[ScheduleEntry, ...] = Field(
        default=(), description="which plan or mode from when on"
    )
    transition: TransitionPlan = TransitionPlan()
    operation: OperationPlan | None = Field(
        default=None, description="start-up, modes, remote control, supervision of detectors"
    )

    @property
    def is_plain(self) -> bool:
        """Whether the plan only runs stages: nothing that changes at run time beyond demand and priority."""
        return (
            self.mode != "ring_barrier"
            and not self.plans
            and not self.schedule
            and self.operation is None
            and self.priority.insert is None
        )

    @property
    def is_clockwork(self) -> bool:
        """Whether the lights are a function of time alone, as `FixedTimeBank` needs."""
        return self.is_plain and self.mode == "fixed" and not self.priority.enabled

    @field_validator("stages")
    @classmethod
    def _check_stages(
        cls, stages: tuple[StagePlan, ...], info: ValidationInfo
    ) -> tuple[StagePlan, ...]:
        if info.data.get("mode") == "ring_barrier":
            if stages:
                raise ValueError(
                    say("stages belong to fixed and actuated plans; a ring plan has rings")
                )
        elif not stages:
            raise ValueError(say("found no stage; name at least one"))
        return stages

    @model_validator(mode="after")
    def _check(self) -> SignalPlan:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(
                say("two stages of junction {junction!r} share a name: {names}", junction=self.junction, names=names)
            )  # fmt: skip
        if self.cycle_s is not None and self.mode != "fixed":
            raise ValueError(
                say("cycle_s is given for a plan of mode {mode!r}, which has no fixed cycle; drop it", mode=self.mode)
            )  # fmt: skip
        if (self.rings is not None) != (self.mode == "ring_barrier"):
            raise ValueError(say("mode 'ring_barrier' and the section rings go together"))
        known = {"base"} | {pattern.name for pattern in self.plans}
        if len(known) != len(self.plans) + 1:
            raise ValueError(
                say("two plans share a name; 'base' is the one of the stages themselves")
            )
        for n, entry in enumerate(self.schedule):
            if entry.run not in known and not is_mode(entry.run):
                raise ValueError(
                    say(
                        "schedule[{n}].run = {run!r} is neither a plan nor a mode; plans: {names}",
                        n=n, run=entry.run, names=", ".join(sorted(known)),
                    )
                )  # fmt: skip
        if list(self.schedule) != sorted(self.schedule, key=lambda e: e.at_s):
            raise ValueError(say("schedule entries are not in order of at_s; sort them"))
        return self
