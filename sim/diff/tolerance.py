"""What may differ: zero by default; every exception stands in a file with its reason.

    [[tolerance]]
    topic = "truth/*"          # pattern over topics
    field = "x_m"              # pattern over fields; default "*"
    entity = "obu/*"           # pattern over the sender or vehicle, or a row such as "actor 17"; default "*"
    abs = 1e-9                 # largest absolute difference, and/or
    rel = 1e-6                 # largest difference relative to the larger value
    any = false                # or true: whatever it is, texts and missing records too
    reason = "two compilers round the last digit otherwise"

Two numbers pass when either bound holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocols.errors import ConfigError

MAX_BYTES = 1024 * 1024


class Rule(BaseModel):
    """One exception."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_strip_whitespace=True
    )

    topic: str = Field(min_length=1, max_length=200)
    field: str = Field(default="*", min_length=1, max_length=200)
    entity: str = Field(default="*", min_length=1, max_length=200)
    abs: float | None = Field(default=None, ge=0)
    rel: float | None = Field(default=None, ge=0)
    any: bool = False
    reason: str = Field(min_length=8, max_length=500)

    @model_validator(mode="after")
    def _has_a_bound(self) -> Rule:
        if self.any == (self.abs is not None or self.rel is not None):
            raise ValueError("give `abs` and/or `rel`, or `any = true` alone")
        return self

    def takes(self, a: float, b: float) -> bool:
        """Whether two numbers are near enough."""
        by = abs(b - a)
        if not self.any and not isfinite(by):
            return False
        if self.any or (self.abs is not None and by <= self.abs):
            return True
        return self.rel is not None and by <= self.rel * max(abs(a), abs(b))


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: tuple[Rule, ...] = Field(max_length=1000)


@dataclass(slots=True)
class Tolerances:
    """All rules, found by topic and field."""

    rules: tuple[Rule, ...] = ()
    _known: dict[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)

    def of(self, topic: str, name: str) -> tuple[Rule, ...]:
        """Rules for one field of one topic."""
        if not self.rules:
            return ()
        key = (topic, name)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(
                rule
                for rule in self.rules
                if fnmatchcase(topic, rule.topic) and fnmatchcase(name, rule.field)
            )
        return found


def concerns(rule: Rule, sender: str, entity: str) -> bool:
    """Whether a rule is about this sender or row."""
    return fnmatchcase(sender, rule.entity) or fnmatchcase(entity, rule.entity)


def read(path: Path) -> Tolerances:
    """The rules in a TOML file; ConfigError names the rule and what is wrong with it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(raw)} bytes, expected at most {MAX_BYTES}.")
    try:
        table = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error}).") from error
    try:
        return Tolerances(_File.model_validate(table).tolerance)
    except ValidationError as error:
        first = error.errors()[0]
        loc = first["loc"]
        is_rule = len(loc) > 1 and isinstance(loc[1], int)
        where = f"tolerance, rule {int(loc[1]) + 1}" if is_rule else "tolerance"
        rest = ".".join(str(part) for part in loc[2 if is_rule else 1 :])
        raise ConfigError(
            f"{path}: {where}{': ' + rest if rest else ''}: {first['msg']}. A rule has topic, field, entity, abs and/or rel (or any = true), and a reason."
        ) from None
