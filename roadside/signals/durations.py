"""Durations of signal plans: whole steps of 100 ms, and the numbers of practice they default to.

`limits.toml` holds every default with its source. Everything that a plan file says in seconds is a `Seconds`.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from protocols.sentence import say

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
        raise ValueError(
            say("{seconds} s is not a whole multiple of 0.1 s; round it to one decimal", seconds=seconds)
        )  # fmt: skip
    return seconds


Seconds = Annotated[float, Field(ge=0.0, le=3600.0), AfterValidator(_whole_steps)]
Moment = Annotated[float, Field(ge=0.0, le=7 * 86_400.0), AfterValidator(_whole_steps)]


class SignalModel(BaseModel):
    """Base of every section of a plan file: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
