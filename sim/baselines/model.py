"""A golden summary: the file's content, read with checks and written with sorted keys, one file a scene, seed and overrides.

Figures have 9 significant digits. A topic's digest is the sum modulo 2^64 of BLAKE2b-8 over (sender, t_ns, sequence, bytes) of each
record, so it does not depend on the order in which a log holds what happened at the same time; `marks` are the sums up to the end
of each sixteenth of the run, cut to 32 bits, and tell when a topic began to differ. Digests tell drift from sameness; they are no defence
against forgery.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocols.errors import ConfigError
from sim.report.result import write_result

SCHEMA_VERSION: Literal[1] = 1
ANEW = "take it back from git, or remove it and make it anew with `icv baseline update`"
NUM_MARKS = 16
MAX_BYTES = 4_000_000
_NAME_LENGTH = 100  # of a file's name before its hash

Count = Annotated[int, Field(ge=0, le=2**63)]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TopicSum(_Frozen):
    """All records of one topic."""

    messages: Count
    bytes: Count
    digest: Hex64
    marks: Annotated[str, Field(pattern=r"^[0-9a-f]{8}( [0-9a-f]{8}){15}$")]


class Criterion(_Frozen):
    """A judged criterion, as in result.json."""

    passed: bool
    value: float | None = None
    limit: float | None = None
    unit: str = ""


class Summary(_Frozen):
    """What one run gave."""

    schema_version: Literal[1] = SCHEMA_VERSION
    scene: Annotated[
        str, Field(min_length=1, max_length=4096)
    ]  # name of a library scene, or a file's path from the folder of the baselines
    scenario: str  # the scene's name
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    overrides: tuple[str, ...] = ()
    duration_s: Annotated[float, Field(gt=0, le=86_400)]
    outcome: Literal["pass", "fail", "nothing_ran"]
    sentence: str
    digest: str
    map_digest: str
    criteria: dict[str, Criterion]
    metrics: dict[str, float | None]
    topics: dict[str, TopicSum]
    sections: dict[str, str]  # part of the resolved scene -> 8 digits of its BLAKE2b
    commit: str
    versions: dict[str, str]

    @property
    def stem(self) -> str:
        """Name of the file without its suffix: `brt_corridor.seed1`, overrides behind it."""
        wanted = ".".join([self.scenario, f"seed{self.seed}", *self.overrides])
        name = re.sub(r"[^\w=.,+-]", "_", wanted, flags=re.ASCII).lstrip(".")
        if name == wanted and len(name) <= _NAME_LENGTH:
            return name
        mark = hashlib.blake2b(wanted.encode("utf-8", "replace"), digest_size=4).hexdigest()
        return f"{name[:_NAME_LENGTH]}.{mark}"


def write_summary(folder: Path, summary: Summary) -> Path:
    """The file `<stem>.json` in `folder`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_result(folder / f"{summary.stem}.json", summary.model_dump(mode="json"))


def read_summary(path: Path) -> Summary:
    """The summary in `path`; ConfigError says what is wrong with it."""
    text = _text(path)
    version = re.search(r'"schema_version":\s*(\d{1,9})', text)
    if version is not None and int(version[1]) > SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: layout {version[1]}, this version of icv knows layout {SCHEMA_VERSION}; it was written by a newer icv. "
            f"Upgrade icv, or {ANEW}."
        )
    if re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE):
        raise ConfigError(
            f"{path}: holds both sides of a merge; expected one of them. Take either (`git checkout --ours` or `--theirs`), then "
            "look at what `icv baseline check` says."
        )
    try:
        summary = Summary.model_validate_json(text)
        json.loads(text, object_pairs_hook=_once)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(
            f"{path}: {where}: {first['msg'][:200]}. Expected a summary as `icv baseline update` writes it; {ANEW}."
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"{path}: {error}. Expected a summary as `icv baseline update` writes it; {ANEW}."
        ) from None
    return summary


def _text(path: Path) -> str:
    """What is in the file; ConfigError for anything that is no text file of a summary's size."""
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode)):
            raise ConfigError(f"{path}: is no file; expected a summary, or nothing of that name.")
        if found.st_size > MAX_BYTES:
            raise ConfigError(
                f"{path}: {found.st_size} bytes; a golden summary has at most {MAX_BYTES}. Is it a log?"
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not UTF-8 text (byte {error.start}); expected a summary written by `icv baseline update`."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two sides of a merge that were both kept: which one counts is nobody's guess."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key '{twice[:100]}' is there twice")
    return table


def section_digests(scene: Mapping[str, Any], canonical: Any) -> dict[str, str]:
    """A digest of each part of a resolved scene that can change a run; `canonical` turns a value into bytes."""
    return {
        name: hashlib.blake2b(canonical(value), digest_size=4).hexdigest()
        for name, value in sorted(scene.items())
        if name not in _NO_SECTION
    }


# What says who somebody is, where units live, or is kept elsewhere in the summary.
_NO_SECTION = frozenset(
    {"bus", "carla", "description", "duration_s", "map", "name", "schema_version", "seed", "title", "title_zh"}
)  # fmt: skip
