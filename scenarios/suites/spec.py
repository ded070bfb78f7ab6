"""What a suite file (.toml) may say: scenes, what they all change, and sweeps over parameters.

Frozen pydantic models, unknown keys refused. A key of a scene is written as for `icv run --set`: `seed`, `demand.flows.west.vehicles_per_hour`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from protocols.sentence import say
from scenarios.spec import Name, Spec

MAX_RUNS = 100_000  # of one suite: beyond it, a forgotten axis is likelier than a wish
MAX_AXIS = 10_000

Key = Annotated[str, Field(pattern=r"^[^\s=.]+(\.[^\s=.]+)*$", max_length=200)]
Values = Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=MAX_AXIS)]


class Range(Spec):
    """Numbers between two ends. On a grid: `count` evenly spaced ones, both ends among them; otherwise drawn."""

    start: float = Field(alias="from")
    stop: float = Field(alias="to")
    count: int | None = Field(default=None, ge=2, le=MAX_AXIS)  # grid only
    integer: bool = False  # whole numbers, both ends possible
    log: bool = False  # evenly in the logarithm

    @model_validator(mode="after")
    def _ends(self) -> Range:
        if self.stop <= self.start:
            raise ValueError(
                say("`to` = {stop:g} must be above `from` = {start:g}", stop=self.stop, start=self.start)
            )  # fmt: skip
        if self.log and self.start <= 0:
            raise ValueError(say("`log` needs `from` above 0"))
        if self.integer and not (self.start.is_integer() and self.stop.is_integer()):
            raise ValueError(say("`integer` needs whole numbers as `from` and `to`"))
        return self


Axis = Range | Values
Changes = dict[Key, JsonValue]
Axes = Annotated[dict[Key, Axis], Field(min_length=1, max_length=50)]


class GridSweep(Spec):
    """Every combination; the last axis varies fastest."""

    kind: Literal["grid"]
    axes: Axes

    @model_validator(mode="after")
    def _counted(self) -> GridSweep:
        for key, axis in self.axes.items():
            if isinstance(axis, Range) and axis.count is None:
                raise ValueError(say("axes.{key}: a range on a grid needs `count`", key=key))
        return self


class ListSweep(Spec):
    """The rows as they stand."""

    kind: Literal["list"]
    rows: tuple[Annotated[dict[Key, JsonValue], Field(min_length=1)], ...] = Field(
        min_length=1, max_length=MAX_RUNS
    )


class _Drawn(Spec):
    count: int = Field(ge=1, le=MAX_RUNS)
    seed: int | None = Field(default=None, ge=0, lt=2**63)  # default: the suite's
    axes: Axes

    @model_validator(mode="after")
    def _not_counted(self) -> Any:
        for key, axis in self.axes.items():
            if isinstance(axis, Range) and axis.count is not None:
                raise ValueError(
                    say("axes.{key}: `count` belongs to a grid; here the sweep has one", key=key)
                )
        return self


class RandomSweep(_Drawn):
    """`count` independent draws; each axis has its own stream, so another axis changes nobody's values."""

    kind: Literal["random"]


class LatinHypercubeSweep(_Drawn):
    """`count` draws that spread: every axis is cut into `count` equal shares and each share is hit once."""

    kind: Literal["latin_hypercube"]


Sweep = Annotated[
    GridSweep | ListSweep | RandomSweep | LatinHypercubeSweep, Field(discriminator="kind")
]


class EntrySpec(Spec):
    """One scene of a suite, or many by a sweep."""

    scene: str = Field(min_length=1, max_length=1000)  # library scene, or a file beside the suite
    name: Name | None = None  # in ids; default: the scene's, and what `set` changes
    set: Changes = Field(default_factory=dict)
    sweep: Sweep | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=86_400)
    memory_mb: int | None = Field(default=None, ge=64, le=1_000_000)


class SuiteSpec(Spec):
    """One suite file. Limits are per run; `set` holds for every scene, before the scene's own."""

    schema_version: Literal[1] = 1
    name: Name
    title: str = ""
    seed: int = Field(default=1, ge=0, lt=2**63)  # of random sweeps
    repeat: int = Field(default=1, ge=1, le=1000)
    timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    memory_mb: int = Field(default=4096, ge=64, le=1_000_000)
    set: Changes = Field(default_factory=dict)
    scenes: tuple[EntrySpec, ...] = Field(min_length=1, max_length=10_000)
