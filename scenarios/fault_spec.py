"""What a scene may say under `[[faults]]`: what breaks, where, from when, until when.

Every fault has `kind` and `at_s`; without `until_s` it lasts to the end of the run. A window holds [at_s, until_s). Faults are part
of the experiment: the run goes on and is judged. Names of units and sensors are checked by `sim.faults`, which knows them.
docs/faults.md says what each kind does. SI units.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.sentence import say

Unit = Annotated[str, Field(min_length=1, max_length=128, description="kind/name: obu/bus1, rsu/J1, fleet")]  # fmt: skip


class Fault(BaseModel):
    """Base: a window of simulation time."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: float = Field(ge=0, le=86_400)
    until_s: float | None = Field(default=None, gt=0, le=86_400)

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Fault:
        if self.until_s is not None and self.until_s <= self.at_s:
            raise ValueError(
                say(
                    "until_s = {until_s:g} is not after at_s = {at_s:g}; a fault begins before it ends",
                    until_s=self.until_s, at_s=self.at_s,
                )
            )  # fmt: skip
        return self


class CrashSpec(Fault):
    """The unit is gone; at `until_s` it starts over as a fresh one, its memory lost."""

    kind: Literal["crash"]
    unit: Unit


class HangSpec(Fault):
    """The unit stands still; at `until_s` it goes on with its memory and hears what its buffer has kept."""

    kind: Literal["hang"]
    unit: Unit


class SlowSpec(Fault):
    """What the unit answers takes effect `delay_s` later."""

    kind: Literal["slow"]
    unit: Unit
    delay_s: float = Field(gt=0, le=10)


class ClockOffsetSpec(Fault):
    """The unit's clock is `offset_s` ahead (positive) or behind."""

    kind: Literal["clock_offset"]
    unit: Unit
    offset_s: float = Field(ge=-3_600, le=3_600)

    @model_validator(mode="after")
    def _is_off(self) -> ClockOffsetSpec:
        if self.offset_s == 0.0:
            raise ValueError(say("offset_s = 0 is a clock that is right; expected one that is off"))
        return self


class GarbageSpec(Fault):
    """What the unit puts on the air is bytes that nobody can decode."""

    kind: Literal["garbage"]
    unit: Unit


class SensorLossSpec(Fault):
    """The sensor delivers nothing."""

    kind: Literal["sensor_loss"]
    unit: Unit
    sensor: str


class SensorFreezeSpec(Fault):
    """The sensor repeats its last reading from before the fault, old stamp included."""

    kind: Literal["sensor_freeze"]
    unit: Unit
    sensor: str


class SensorBiasSpec(Fault):
    """The sensor's readings are off by these, in their own frame."""

    kind: Literal["sensor_bias"]
    unit: Unit
    sensor: str
    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    yaw_rad: float = Field(default=0.0, ge=-6.3, le=6.3)
    speed_mps: float = 0.0
    accel_mps2: float = 0.0
    yaw_rate_radps: float = 0.0

    def offsets(self) -> dict[str, float]:
        """Those that are not zero."""
        values = {name: float(getattr(self, name)) for name in BIASES}
        return {name: value for name, value in values.items() if value}

    @model_validator(mode="after")
    def _is_off(self) -> SensorBiasSpec:
        if not self.offsets():
            raise ValueError(say("a bias needs one of {names}", names=", ".join(BIASES)))
        return self


class _Messages(Fault):
    """Which messages: empty means all."""

    senders: tuple[Unit, ...] = ()
    receivers: tuple[Unit, ...] = ()
    topics: tuple[str, ...] = ()


class MessageLossSpec(_Messages):
    """A share of the receptions is lost, drawn for each message and receiver by itself."""

    kind: Literal["message_loss"]
    share: float = Field(gt=0, le=1)


class MessageDelaySpec(_Messages):
    """Messages arrive `delay_s` later than they would."""

    kind: Literal["message_delay"]
    delay_s: float = Field(gt=0, le=60)


class PartitionSpec(Fault):
    """Units of different groups cannot hear each other; who is in no group hears and is heard as ever."""

    kind: Literal["partition"]
    groups: tuple[tuple[Unit, ...], ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _groups_are_apart(self) -> PartitionSpec:
        names = [name for group in self.groups for name in group]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not all(self.groups):
            raise ValueError(
                f"groups: '{twice[0]}' is named twice; a unit is in one group"
                if twice
                else "groups: an empty group; name its units"
            )
        return self


BIASES = ("x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "yaw_rate_radps")
UnitFaultSpec = CrashSpec | HangSpec | SlowSpec | ClockOffsetSpec | GarbageSpec
SensorFaultSpec = SensorLossSpec | SensorFreezeSpec | SensorBiasSpec
MessageFaultSpec = MessageLossSpec | MessageDelaySpec | PartitionSpec
FaultSpec = Annotated[
    UnitFaultSpec | SensorFaultSpec | MessageFaultSpec, Field(discriminator="kind")
]
FAULT_KINDS: dict[str, type[Fault]] = {
    "crash": CrashSpec,
    "hang": HangSpec,
    "slow": SlowSpec,
    "clock_offset": ClockOffsetSpec,
    "garbage": GarbageSpec,
    "sensor_loss": SensorLossSpec,
    "sensor_freeze": SensorFreezeSpec,
    "sensor_bias": SensorBiasSpec,
    "message_loss": MessageLossSpec,
    "message_delay": MessageDelaySpec,
    "partition": PartitionSpec,
}
