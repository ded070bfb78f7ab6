"""`tolerances.toml` beside the summaries: which differences do not matter, and why.

    [[tolerance]]
    baseline = "brt_corridor.*"     # glob over the summaries' names; left out: all
    metric = "bus1.travel_time_s"   # one of metric, criterion, topic (globs), or digest = true
    absolute = 0.5                  # in the figure's unit; and / or relative = 0.01
    reason = "arrival times vary with the libm of the build machines"

Without an entry nothing may differ. A metric or criterion within its limit is the same; whether a criterion passed is never
excused, nor is the outcome. `topic` excuses other bytes; `absolute` and `relative` then bound its number of messages and of bytes (left out:
any number). `digest = true` excuses another digest of the run, which any difference in truth, messages or commands brings with it.
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocols.errors import ConfigError

FILE = "tolerances.toml"
MAX_BYTES = 1_000_000
MAX_ENTRIES = 1000
Kind = Literal["metric", "criterion", "topic", "digest"]


class Tolerance(BaseModel):
    """One entry."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reason: str = Field(min_length=10, max_length=2000)
    baseline: str = Field("*", min_length=1, max_length=500)
    metric: str | None = Field(None, min_length=1, max_length=500)
    criterion: str | None = Field(None, min_length=1, max_length=500)
    topic: str | None = Field(None, min_length=1, max_length=500)
    digest: bool | None = None
    absolute: float | None = Field(None, ge=0.0, allow_inf_nan=False)
    relative: float | None = Field(None, ge=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_thing(self) -> Tolerance:
        given = [name for name in ("metric", "criterion", "topic", "digest") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"found {', '.join(given) or 'none'} of metric, criterion, topic and digest = true, expected exactly one"
            )
        has_limit = self.absolute is not None or self.relative is not None
        if given[0] in ("metric", "criterion") and not has_limit:
            raise ValueError(f"{given[0]} = '{self.name}' needs absolute or relative (or both)")
        if given[0] == "digest" and has_limit:
            raise ValueError(
                "digest = true takes no absolute or relative: a digest is the same or not"
            )
        if not self.reason.strip():
            raise ValueError("reason is blank; say why the difference does not matter")
        return self

    @property
    def kind(self) -> Kind:
        """What it is about."""
        if self.metric:
            return "metric"
        return "criterion" if self.criterion else "topic" if self.topic else "digest"

    @property
    def name(self) -> str:
        """Glob over names of that kind."""
        return self.metric or self.criterion or self.topic or "*"

    def is_within(self, old: float, new: float) -> bool:
        """Whether a figure that moved from `old` to `new` is close enough."""
        room = max(self.absolute or 0.0, (self.relative or 0.0) * abs(old))
        return abs(new - old) <= room

    def __str__(self) -> str:
        """How it is named in a sentence."""
        what = "digest = true" if self.kind == "digest" else f"{self.kind} = '{self.name}'"
        return f"{what} for '{self.baseline}'"


class Tolerances:
    """All entries; remembers which were of use."""

    def __init__(self, entries: tuple[Tolerance, ...] = ()) -> None:
        self.entries = entries
        self.used: set[int] = set()

    def find(self, stem: str, kind: Kind, name: str = "") -> list[Tolerance]:
        """Entries about that thing of that baseline."""
        return [
            entry
            for entry in self.entries
            if entry.kind == kind
            and fnmatchcase(stem, entry.baseline)
            and fnmatchcase(name, entry.name)
        ]

    def use(self, entry: Tolerance) -> str:
        """Notes that `entry` excused something; its reason."""
        self.used.add(self.entries.index(entry))
        return entry.reason

    def matching_none(self, stems: list[str]) -> list[Tolerance]:
        """Entries whose `baseline` names none of the summaries there are: a typing mistake, most likely."""
        return [
            entry
            for entry in self.entries
            if not any(fnmatchcase(stem, entry.baseline) for stem in stems)
        ]


def read_tolerances(folder: Path) -> Tolerances:
    """The entries of `tolerances.toml` in `folder`, none when it is not there; ConfigError says what is wrong where."""
    path = folder / FILE
    if not path.exists():
        return Tolerances()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: more than {MAX_BYTES} bytes.")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    unknown = sorted(set(table) - {"tolerance"})
    entries = table.get("tolerance", [])
    if unknown or not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        found = f"key '{unknown[0]}'" if unknown else "'tolerance' that is no list"
        raise ConfigError(
            f"{path}: found {found}, expected at most {MAX_ENTRIES} [[tolerance]] entries only."
        )
    return Tolerances(tuple(_entry(path, k, entry) for k, entry in enumerate(entries)))


def _entry(path: Path, number: int, table: object) -> Tolerance:
    try:
        return Tolerance.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in ("tolerance", number, *first["loc"]))
        if first["loc"] == ("reason",):
            raise ConfigError(
                f"{path}: {where}: every tolerance needs a reason of at least 10 characters that says why the difference does "
                "not matter."
            ) from None
        raise ConfigError(
            f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}."
        ) from None
