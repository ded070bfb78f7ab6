"""The run's header: everything needed to run it again, and to refuse a log that is not ours.

Epoch: `log_time` in the file is `epoch_ns + t_ns`, so that stock tools show a date; simulation time stays in the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.errors import LogError
from protocols.v1 import log_pb2

FORMAT = 1
DEFAULT_EPOCH_NS = (
    1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z: fixed, so that two runs give the same bytes
)
MAX_CONFIG = 16 * 1024 * 1024


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
            f"{where}: log format {proto.format}, this version reads format {FORMAT}; "
            "use the version of icv that wrote the log"
        )
    if proto.tick_ns <= 0 or proto.epoch_ns < 0 or len(proto.config_json) > MAX_CONFIG:
        raise LogError(
            f"{where}: header holds tick_ns = {proto.tick_ns}, epoch_ns = {proto.epoch_ns} and "
            f"{len(proto.config_json)} characters of configuration; the file is damaged"
        )
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
