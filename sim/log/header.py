"""The run's header: everything needed to run it again, and to refuse a log that is not ours.

Epoch: `log_time` in the file is `epoch_ns + t_ns`, so that stock tools show a date; simulation time stays in the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from protocols.errors import LogError
from protocols.sentence import say
from protocols.v1 import log_pb2

FORMAT = 1
DEFAULT_EPOCH_NS = (
    1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z: fixed, so that two runs give the same bytes
)
MAX_CONFIG = 16 * 1024 * 1024
MAX_DEPTH = 100  # of JSON in a log; ours has a dozen
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1


@dataclass(frozen=True, slots=True)
class RunHeader:
    """First record of a log."""

    scenario: str
    config_json: str  # the resolved configuration
    seed: int
    map_digest: str  # hex
    tick_ns: int
    commit: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)  # package -> version
    epoch_ns: int = DEFAULT_EPOCH_NS


def to_bytes(header: RunHeader) -> bytes:
    """Wire bytes, map entries sorted."""
    return log_pb2.RunHeader(
        format=FORMAT,
        scenario=header.scenario,
        config_json=header.config_json,
        version=dict(header.versions),
        commit=header.commit,
        seed=header.seed,
        map_digest=header.map_digest,
        epoch_ns=header.epoch_ns,
        tick_ns=header.tick_ns,
    ).SerializeToString(deterministic=True)


def from_bytes(data: bytes, where: str) -> RunHeader:
    """The header in `data`; LogError names the file and what is wrong."""
    proto = log_pb2.RunHeader.FromString(data)
    if proto.format != FORMAT:
        raise LogError(
            say(
                "{where}: log format {format}, this version reads format {expected}; use the version of icv that wrote the "
                "log",
                where=where, format=proto.format, expected=FORMAT,
            )
        )  # fmt: skip
    if proto.tick_ns <= 0 or proto.epoch_ns < 0 or len(proto.config_json) > MAX_CONFIG:
        raise LogError(
            say(
                "{where}: header holds tick_ns = {tick_ns}, epoch_ns = {epoch_ns} and {count} characters of configuration; "
                "the file is damaged",
                where=where, tick_ns=proto.tick_ns, epoch_ns=proto.epoch_ns, count=len(proto.config_json),
            )
        )  # fmt: skip
    check_nesting(proto.config_json, where, "the configuration")
    return RunHeader(
        scenario=proto.scenario,
        config_json=proto.config_json,
        seed=proto.seed,
        map_digest=proto.map_digest,
        tick_ns=proto.tick_ns,
        commit=proto.commit,
        versions=dict(sorted(proto.version.items())),
        epoch_ns=proto.epoch_ns,
    )


def check_nesting(text: str, where: str, what: str) -> None:
    """LogError for JSON so deep that parsing it would run out of stack. Brackets within texts count too, so many unclosed ones are refused."""
    steps = _STEPS[np.frombuffer(text.encode("utf-8", "replace"), np.uint8)]
    if steps.size and int(np.cumsum(steps, dtype=np.int64).max()) > MAX_DEPTH:
        raise LogError(
            say(
                "{where}: {what} is nested more than {allowed:d} deep; it was not written by icv run",
                where=where, what=what, allowed=MAX_DEPTH,
            )
        )  # fmt: skip
