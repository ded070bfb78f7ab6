"""Default limits, read from `scenarios/limits.toml`: every number there names its source and how sure we are of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the file."""

    value: float
    source: str
    confidence: str  # verified, reported, default


@cache
def table() -> dict[str, Limit]:
    """All rows, keyed `group.name`."""
    text = files("scenarios").joinpath("limits.toml").read_text(encoding="utf-8")
    return {
        f"{group}.{name}": Limit(float(row["value"]), row["source"], row["confidence"])
        for group, rows in tomllib.loads(text).items()
        for name, row in rows.items()
    }


def limit(key: str) -> float:
    """The default value of `key`; KeyError is our own mistake."""
    return table()[key].value
