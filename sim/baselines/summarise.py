"""From a log to its golden summary: one pass over all records, one chunk in memory."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from protocols.errors import LogError
from protocols.simtime import NS_PER_S
from protocols.topics import TOPICS
from sim.baselines.model import NUM_MARKS, Summary, section_digests
from sim.compose import BACKEND
from sim.log.reader import LogReader
from sim.log.scan import read_chunk, records, scan
from sim.report.result import plain
from sim.suite.job import figures

_HEAD = struct.Struct("<qI")  # t_ns, sequence
_MASK = 2**64 - 1
_COMPARED = frozenset(name for name, row in TOPICS.items() if row.is_compared)


@dataclass(slots=True)
class _Sum:
    messages: int = 0
    bytes: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * NUM_MARKS)  # of each part of the run

    def table(self) -> dict[str, Any]:
        total, marks = 0, []
        for part in self.sums:
            total = (total + part) & _MASK
            marks.append(f"{total & 0xFFFFFFFF:08x}")
        return {
            "messages": self.messages,
            "bytes": self.bytes,
            "digest": f"{total:016x}",
            "marks": " ".join(marks),
        }


def summarise(log: Path, scene: str = "", overrides: tuple[str, ...] = ()) -> Summary:
    """The summary of the run in `log`; `scene` and `overrides` say how to run it again.

    LogError when the log is damaged, did not come to its end, or was driven by physics that are not ours.
    """
    reader = LogReader.open(log)
    header = reader.header()
    if BACKEND in header.versions:
        raise LogError(
            f"{log}: was driven by the physics of a {header.versions[BACKEND]} server, which give other bytes every time; "
            "a baseline needs a run without --backend."
        )
    text = reader.result()
    if text is None:
        raise LogError(
            f"{log}: the run never came to its end, so there is nothing to keep; run it again with `icv run`."
        )
    try:
        result = json.loads(text)
        config = json.loads(header.config_json)["scene"]
        duration_s = float(config["duration_s"])
        table = {
            "scene": scene or header.scenario,
            "scenario": header.scenario,
            "seed": header.seed,
            "overrides": list(overrides),
            "duration_s": duration_s,
            "outcome": result["outcome"],
            "sentence": result["sentence"],
            "digest": result["digest"],
            "map_digest": header.map_digest,
            "criteria": {
                item["name"]: {key: item[key] for key in ("passed", "value", "limit", "unit")}
                for item in result["criteria"]
            },
            "metrics": figures(result) | _network(result["facts"]),
            "sections": section_digests(config, _canonical),
            "commit": header.commit,
            "versions": dict(header.versions),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(
            f"{log}: its result or configuration cannot be read ({error!r}); the log is damaged, or another version wrote it."
        ) from None
    topics = _topics(log, header.epoch_ns, max(1, round(duration_s * NS_PER_S)))
    try:
        return Summary.model_validate(plain(table | {"topics": topics}), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise LogError(
            f"{log}: its result or header cannot be kept ({'.'.join(map(str, first['loc']))}: {first['msg']}); the log is damaged, or "
            "another version wrote it."
        ) from None


def _topics(log: Path, epoch_ns: int, duration_ns: int) -> dict[str, Any]:
    found = scan(log, recover=False)
    senders: dict[int, tuple[_Sum, bytes] | None] = {}  # channel -> where it counts; None: nowhere
    sums: dict[str, _Sum] = {}
    with log.open("rb") as file:
        for chunk in found.chunks:
            for raw in records(read_chunk(file, chunk, log), found, _COMPARED):
                known = senders.get(raw.channel)
                if known is None:
                    channel = found.channels[raw.channel]
                    sender = channel.metadata.get("sender", "").encode() + b"\0"
                    known = senders[raw.channel] = (
                        sums.setdefault(channel.topic, _Sum()), sender
                    )  # fmt: skip
                total, sender = known
                t_ns = raw.log_ns - epoch_ns
                item = hashlib.blake2b(
                    sender + _HEAD.pack(t_ns, raw.sequence) + raw.data, digest_size=8
                )
                part = min(max(t_ns, 0) * NUM_MARKS // duration_ns, NUM_MARKS - 1)
                total.sums[part] += int.from_bytes(item.digest(), "little")
                total.messages += 1
                total.bytes += len(raw.data)
    return {name: total.table() for name, total in sorted(sums.items())}


def _network(facts: Mapping[str, Any]) -> dict[str, float]:
    """Figures about messages and signals, by name."""
    out = {f"sent.{topic}": float(count) for topic, count in facts["messages_sent"].items()}
    out |= {f"heard.{topic}": float(count) for topic, count in facts["messages_heard"].items()}
    for name in ("priority_requests", "priority_granted"):
        out[name] = float(facts[name])
    return out


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True).encode()
