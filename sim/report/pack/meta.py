"""`meta` of a pack: what the run was, how it was judged, who took part. Plain JSON, numbers that are not finite are null."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protocols import codec, topics
from protocols.errors import LogError
from protocols.messages import Light
from protocols.sentence import phrase, say
from scenarios.verdict import Outcome
from sim.log.container import file_descriptor_set
from sim.log.header import RunHeader
from sim.log.records import Event
from sim.radio.fates import Fate
from sim.report import wording

MAX_EVENTS = 50_000
NO_END = "incomplete"  # outcome of a log that never came to its end


def result_table(path: Path, text: str | None) -> dict[str, Any]:
    """The run's result as a table, empty without one; LogError when it is not what icv writes."""
    if text is None:
        return {}
    try:
        table = json.loads(text)
    except ValueError as error:
        raise LogError(
            say("{log}: the recorded result is not JSON ({why!s})", log=path, why=error)
        ) from error
    if not isinstance(table, dict) or not isinstance(table.get("criteria", []), list):
        raise LogError(
            say("{log}: the recorded result is not the table that icv run writes", log=path)
        )
    return table


def about(
    header: RunHeader,
    result: Mapping[str, Any],
    lost: str | None,
    timing: Mapping[str, float] | None = None,
    broken: str = "",
) -> dict[str, Any]:
    """What the run was and how it was judged; `broken`: why it broke off, where its log says so."""
    facts = _mapping(result.get("facts"))
    if timing:
        facts["timing"] = dict(timing)
    sentence = result.get("sentence")
    outcome = result.get("outcome", NO_END)
    if not result and broken:
        outcome, sentence = Outcome.INFRASTRUCTURE_ERROR.value, broken
    elif not result:
        sentence = phrase(
            "the log has no result: the run never came to its end, or the end of the log is missing"
        )
    return {
        "scenario": header.scenario,
        "seed": header.seed,
        "digest": str(result.get("digest", "")),
        "commit": header.commit,
        "versions": dict(header.versions),
        "epoch_ns": str(header.epoch_ns),
        "tick_ms": header.tick_ns / 1e6,
        "outcome": str(outcome),
        "sentence": str(sentence or ""),
        "lost": lost,
        "criteria": [_criterion(item) for item in result.get("criteria", [])],
        "numbers": plain(_mapping(result.get("vehicles"))),
        "facts": plain(facts),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _criterion(item: Any) -> dict[str, Any]:
    row = _mapping(item)
    return {
        "name": str(row.get("name", "")),
        "passed": row.get("passed") is True,
        "sentence": str(row.get("sentence", "")),
        "value": _number(row.get("value")),
        "limit": _number(row.get("limit")),
        "unit": str(row.get("unit", "")),
        "t_s": _number(row.get("t_s")),
        "where": str(row.get("where", "")),
    }


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def events(found: Sequence[Event]) -> list[dict[str, Any]]:
    """`meta.events`."""
    return [
        {
            "t_s": event.t_ns / 1e9,
            "kind": event.kind,
            "subject": event.subject,
            "text": event.text,
            "values": {name: _number(value) for name, value in event.values.items()},
        }
        for event in found
    ]


def in_chinese(about: Mapping[str, Any], lost: Sequence[str] = ()) -> dict[str, str]:
    """`meta.zh`: what is recorded in English -> Chinese. `lost`: the sentences that `about["lost"]` consists of."""
    criteria, numbers = about["criteria"], about["numbers"]
    sentences = [about["sentence"]]
    sentences += [row[key] for row in criteria for key in ("name", "sentence")]
    sentences += [event["text"] for event in about["events"] if event["text"]]
    out = wording.dictionary(sentences, sorted({name for row in numbers.values() for name in row}))
    found = [wording.chinese(part) for part in lost]
    if any(found):
        said = [part if zh is None else zh for part, zh in zip(lost, found, strict=True)]
        out[str(about["lost"])] = "".join(f"{part.rstrip('。.')}。" for part in said)
    return out


def all_messages(total: int, held: int) -> dict[str, Any]:
    """`meta.budget` where every message that the log holds can be had; a garbled one it does not hold."""
    en = f"All {total} messages can be unfolded."
    zh = f"全部 {total} 条消息均可展开查看。"
    if held < total:
        en = f"All {held} messages that the log holds can be unfolded; of {total - held} it has only their fates."
        zh = f"日志中的 {held} 条消息均可展开查看；另有 {total - held} 条仅有收发结果。"
    return {"messages": total, "with_bytes": held, "sentence_en": en, "sentence_zh": zh}


def with_events(budget: dict[str, Any], total: int) -> dict[str, Any]:
    """`meta.budget` that also says of a run of very many events that not all are listed."""
    if total <= MAX_EVENTS:
        return budget
    en = f" Of {total} events the first {MAX_EVENTS} are listed."
    zh = f"共有 {total} 个事件，仅列出前 {MAX_EVENTS} 个。"
    return budget | {
        "sentence_en": budget["sentence_en"] + en,
        "sentence_zh": budget["sentence_zh"] + zh,
    }


def vocabulary(used: Sequence[str]) -> dict[str, Any]:
    """Names by number, and how to read the messages of the topics in `used`."""
    files: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name in used:
        row = topics.TOPICS.get(name)
        if row is None or row.message is None:
            continue
        descriptor: Any = codec.PROTO_CLASS[row.message].DESCRIPTOR
        types[name] = descriptor.full_name
        for file in FileDescriptorSet.FromString(file_descriptor_set(descriptor.file)).file:
            files.setdefault(file.name, file)
    whole = FileDescriptorSet(file=list(files.values()))
    return {
        "fates": [fate.name.lower() for fate in Fate],
        "lights": [light.name.lower() for light in Light],
        "descriptor": base64.b64encode(whole.SerializeToString(deterministic=True)).decode(),
        "message_types": types,
    }


def plain(value: Any) -> Any:
    """Values that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_json(manifest: Mapping[str, Any]) -> str:
    """Manifest as JSON text: the same content gives the same text."""
    return json.dumps(manifest, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
