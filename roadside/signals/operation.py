"""What a signal plan file may say beyond stages: rings and barriers, further plans, schedule, modes, remote control.

Terms follow NEMA TS 2 and NTCIP 1202 (phase, ring, barrier, split, force-off, yield point) and GB/T 20999 (plan, run mode).
A *plan* here gives every stage or phase its split: its green and the change that follows. A plan with `coordinated` phases is
actuated-coordinated: those phases hold until their yield point, the others may end early. Without, it is fixed-time.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from protocols.sentence import say
from roadside.signals.durations import Moment, Seconds, SignalModel, practice


class Mode(IntEnum):
    """What the lights of a junction do."""

    NORMAL = 0
    FLASH_YELLOW = 1
    FLASH_RED = 2
    DARK = 3
    ALL_RED = 4


MODES: Final = {
    "normal": Mode.NORMAL,
    "flash_yellow": Mode.FLASH_YELLOW,
    "flash_red": Mode.FLASH_RED,
    "dark": Mode.DARK,
    "all_red": Mode.ALL_RED,
}
FREE: Final = "free"
"""Name of running without any plan: fully actuated, no cycle."""


def is_mode(name: str) -> bool:
    """Whether `name` says what to run without naming a plan."""
    return name in MODES or name == FREE


class PhasePlan(SignalModel):
    """One phase of a ring."""

    name: str = Field(min_length=1)
    groups: tuple[str, ...] = Field(min_length=1, description="group names or ids, green here")
    permissive: tuple[str, ...] = Field(
        default=(), description="those of `groups` that are green but give way"
    )
    min_green_s: Seconds = practice("min_green_s")
    max_green_s: Seconds = practice("max_green_s")
    passage_s: Annotated[Seconds, Field(ge=0.5, le=20.0)] = practice("gap_s")
    recall: Literal["none", "min", "max", "ped"] = Field(
        default="none", description="call without traffic: for the minimum, the maximum, the walk"
    )

    @model_validator(mode="after")
    def _check(self) -> PhasePlan:
        if stray := [name for name in self.permissive if name not in self.groups]:
            raise ValueError(
                say("permissive names {group!r}, which is not among this phase's groups", group=stray[0])
            )  # fmt: skip
        if not 1.0 <= self.min_green_s <= self.max_green_s:
            raise ValueError(
                say(
                    "expected 1 <= min_green_s <= max_green_s, found {min_green_s} / {max_green_s}",
                    min_green_s=self.min_green_s, max_green_s=self.max_green_s,
                )
            )  # fmt: skip
        return self


class RingPlan(SignalModel):
    """Phases and their order. `barriers[b][r]` lists the phases of ring r between barriers b and b + 1."""

    phases: tuple[PhasePlan, ...] = Field(min_length=1, max_length=16)
    barriers: tuple[tuple[tuple[str, ...], ...], ...] = Field(min_length=1, max_length=8)
    dual_entry: bool = Field(
        default=True, description="a ring without a call turns green beside the other's phase"
    )

    @model_validator(mode="after")
    def _check(self) -> RingPlan:
        names = [phase.name for phase in self.phases]
        placed = [name for block in self.barriers for ring in block for name in ring]
        if len(set(names)) != len(names):
            raise ValueError(say("two phases share a name: {names}", names=names))
        if sorted(placed) != sorted(names):
            odd = sorted(set(placed) ^ set(names)) or [n for n in names if placed.count(n) > 1]
            raise ValueError(
                say("barriers have to hold every phase once; found {phase!r} missing, unknown or twice", phase=odd[0])
            )  # fmt: skip
        if len({len(block) for block in self.barriers}) != 1 or not self.barriers[0]:
            raise ValueError(
                say("every part of barriers needs one list for each ring; write [] for a ring that rests there")
            )  # fmt: skip
        if any(not any(block) for block in self.barriers):
            raise ValueError(say("a part of barriers holds no phase at all; remove it"))
        return self


class PatternPlan(SignalModel):
    """One further plan: cycle, offset, and a split for each stage or phase."""

    name: str = Field(min_length=1)
    cycle_s: Seconds
    offset_s: Seconds = Field(
        default=0.0, description="start of the first part's green, after the start of the run"
    )
    split_s: dict[str, Seconds] = Field(description="green and following change, by stage or phase")
    coordinated: tuple[str, ...] = Field(
        default=(), description="hold until their yield point; none: every phase runs its split"
    )

    @model_validator(mode="after")
    def _check(self) -> PatternPlan:
        if is_mode(self.name) or self.name == "base":
            raise ValueError(
                say("name {name!r} is taken by a mode; choose another", name=self.name)
            )
        if self.offset_s >= self.cycle_s:
            raise ValueError(
                say("offset_s = {offset_s} is not below cycle_s = {cycle_s}", offset_s=self.offset_s, cycle_s=self.cycle_s)
            )  # fmt: skip
        return self


class ScheduleEntry(SignalModel):
    """From `at_s` on, run a plan, 'free', 'normal', 'flash_yellow', 'flash_red', 'dark' or 'all_red'."""

    at_s: Moment = Field(description="since the start, or since midnight where the day is known")
    run: str


class TransitionPlan(SignalModel):
    """How a plan comes into step with its offset."""

    method: Literal["shortway", "dwell"] = "shortway"
    max_add_share: float = Field(
        default=practice("max_add_share"), gt=0.0, le=1.0, description="of the cycle, each cycle"
    )
    max_subtract_share: float = Field(default=practice("max_subtract_share"), gt=0.0, le=0.5)


class OperationPlan(SignalModel):
    """Start-up, change of modes, remote control, supervision of detectors."""

    start_up: tuple[Literal["flash", "all_red"], ...] = Field(
        default=(), description="shown before the first stage; empty: as if it had always run"
    )
    start_flash_s: Seconds = practice("start_flash_s")
    start_all_red_s: Annotated[Seconds, Field(ge=1.0)] = practice("start_all_red_s")
    red_flash_groups: tuple[str, ...] = Field(
        default=(), description="in flash_red: these flash red, the others yellow; empty: all red"
    )
    remote: bool = Field(default=False, description="takes commands at run time")
    commit_s: Annotated[Seconds, Field(ge=3.0, le=30.0)] = Field(
        default=practice("commit_s"), description="no command changes what happens before"
    )
    day_start_s: Annotated[Moment, Field(lt=86_400.0)] = Field(
        default=0.0, description="time of day at the start of the run"
    )
    is_daily: bool = Field(default=False, description="the schedule repeats every 24 h")
    stuck_on_s: Seconds = Field(
        default=practice("stuck_on_s"), description="a loop occupied so long has failed; 0: never"
    )
    silent_s: Seconds = Field(
        default=0.0, description="a loop without traffic for so long has failed; 0: never"
    )


class InsertPlan(SignalModel):
    """A stage that runs only for a bus."""

    groups: tuple[str, ...] = Field(min_length=1)
    after: tuple[str, ...] = Field(
        default=(), description="stages, or last phases before a barrier, it may follow; empty: any"
    )
    green_s: Annotated[Seconds, Field(ge=4.0, le=20.0)] = practice("insert_green_s")
