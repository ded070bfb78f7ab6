"""A comparison as plain values, for programs (`--json`)."""

from __future__ import annotations

import json
import math
from typing import Any

from sim.diff.model import Difference, FieldRow, Finding, KeyChange, LogFacts, TopicRow, ranked
from sim.diff.words import chain_line, link_text, remark_text, summary

SCHEMA_VERSION = 1


def as_json(found: Difference) -> str:
    """The whole comparison; numbers that are not finite become null."""
    return json.dumps(as_table(found), indent=2, ensure_ascii=False, allow_nan=False)


def as_table(found: Difference) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "same": found.is_same,
        "summary": summary(found),
        "a": _log(found.a),
        "b": _log(found.b),
        "cause": _finding(found.cause),
        "first": _finding(found.first),
        "chain": [
            {"relation": link.relation, "unit": link.unit, "text": ": ".join(link_text(link)), "finding": _finding(link.finding)}
            for link in found.chain
        ],
        "chain_text": chain_line(found),
        "firsts": [_finding(item) for item in found.firsts],
        "series": [{"t_s": p.t_ns / 1e9, "a": _point(p.a), "b": _point(p.b)} for p in found.series],
        "remarks": [{"key": remark[0], "text": remark_text(remark)} for remark in found.remarks],
        "configuration": [_key(key) for key in found.keys],
        "versions": [_key(key) for key in found.versions],
        "topics": [_topic(row) for row in found.topics],
        "fields": [_field(row) for row in found.fields],
        "tolerated": dict(sorted(found.tolerated.items())),
        "first_digest_tick": found.digest_tick if found.digest_tick >= 0 else None,
    }  # fmt: skip


def _finding(found: Finding | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "kind": found.kind.value, "tick": found.tick, "t_s": found.t_ns / 1e9, "topic": found.topic, "sender": found.sender,
        "field": found.field, "a": found.a, "b": found.b, "seq": found.seq if found.seq >= 0 else None,
        "row": found.row if found.row >= 0 else None, "entity": found.entity, "by": _number(found.by), "receiver": found.receiver,
    }  # fmt: skip


def _log(facts: LogFacts) -> dict[str, Any]:
    head = facts.header
    return {
        "path": str(facts.path), "scene": head.scenario, "seed": head.seed, "commit": head.commit, "map_digest": head.map_digest,
        "tick_ms": head.tick_ns / 1e6, "start_s": facts.start_ns / 1e9, "end_s": facts.end_ns / 1e9, "outcome": facts.outcome,
        "lost": facts.lost, "damaged_s": [[a / 1e9, b / 1e9] for a, b in facts.damaged], "unread_digests_s": [t / 1e9 for t in facts.unread_ns], "digests_only": facts.is_thin,
    }  # fmt: skip


def _key(key: KeyChange) -> dict[str, Any]:
    return {
        "key": key.key,
        "a": key.a,
        "b": key.b,
        "context": key.is_context,
        "reaches": key.reaches,
    }


def _topic(row: TopicRow) -> dict[str, Any]:
    return {
        "topic": row.topic, "in_a": row.in_a, "in_b": row.in_b, "differing": row.differing, "missing": row.missing,
        "extra": row.extra, "delayed": row.delayed, "order": row.swapped, "renumbered": row.renumbered,
        "tolerated": row.tolerated, "outside": row.outside, "first_tick": row.first_tick if row.first_tick >= 0 else None,
    }  # fmt: skip


def _field(row: FieldRow) -> dict[str, Any]:
    return {
        "topic": row.topic, "field": row.field, "values": row.values, "records": row.records, "tolerated": row.tolerated,
        "first_tick": row.first.tick if row.first is not None else None,
        "first_s": row.first.t_ns / 1e9 if row.first is not None else None,
        "max_abs": _number(row.max_abs) if row.max_tick >= 0 else None,
        "max_rel": _number(row.max_rel) if row.max_tick >= 0 else None, "max_where": row.max_where,
        "senders": dict(ranked(row.senders, 20)), "entities": dict(ranked(row.entities, 20)),
        "reasons": dict(sorted(row.reasons.items())),
    }  # fmt: skip


def _point(value: float | str | None) -> float | str | None:
    return value if isinstance(value, str) else _number(value)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
