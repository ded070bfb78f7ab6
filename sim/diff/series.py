"""One field of one entity in both logs around a tick: what the neighbourhood looks like, and whether a difference grows slowly."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.diff import trace
from sim.diff.fields import fields, shown
from sim.diff.layout import Fields, joined
from sim.diff.model import Finding, Point
from sim.diff.side import Side

BEFORE_NS = 1_500_000_000
AFTER_NS = 6_000_000_000
MAX_POINTS = 240
_RUN = 4  # consecutive growing differences that make a drift
_GROWTH = 2.0  # largest difference of the run over the first


def around(a: Side, b: Side, found: Finding, tick_ns: int) -> list[Point]:
    """Values of `found`'s field from shortly before to some seconds after; empty where it has none to follow."""
    if not found.topic or found.topic in (
        "log/header",
        "log/radio",
        "log/result",
        "log/digest",
        "truth/event",
    ):
        return []
    if found.field in ("record", "order", "sent_at", "rows", "bytes"):
        return []
    t0, t1 = max(found.t_ns - BEFORE_NS, 0), found.t_ns + AFTER_NS
    left, right = (_values(side, found, t0, t1) for side in (a, b))
    stamps = sorted(set(left) | set(right))
    before = [t for t in stamps if t < found.t_ns][-MAX_POINTS // 4 :]
    after = [t for t in stamps if t >= found.t_ns][:MAX_POINTS]
    return [Point(t, left.get(t), right.get(t)) for t in before + after]


def is_growing(points: list[Point], from_ns: int) -> bool:
    """Whether the difference grows over several records in a row, from where it begins."""
    run: list[float] = []
    for point in points:
        if point.t_ns < from_ns:
            continue
        if isinstance(point.a, str) or isinstance(point.b, str):
            return False
        if point.a is None or point.b is None:
            break
        by = abs(point.b - point.a)
        if not run and by == 0.0:
            continue
        if run and by <= run[-1]:
            break
        run.append(by)
    return len(run) >= _RUN and run[-1] >= _GROWTH * run[0]


def _values(side: Side, found: Finding, t0: int, t1: int) -> dict[int, Any]:
    if found.topic == trace.TOPIC:
        return _of_trace(side, found, t0, t1)
    out: dict[int, Any] = {}
    ident = _number(found.entity)
    for t_ns, _, data in side.select(found.topic, found.sender or "sim", t0, t1):
        value = _pick(fields(found.topic, data), found, ident)
        if value is not None:
            out.setdefault(t_ns, value)
    return out


def _number(entity: str) -> int:
    text = entity.rpartition(" ")[2]
    return int(text) if text.isdigit() else -1


def _pick(record: Fields, found: Finding, ident: int) -> Any:
    if found.field in record.values:
        return _plain(found.field, record.values[found.field])
    for prefix, rows in record.tables.items():
        name = found.field.removeprefix(prefix)
        if name not in rows.columns or not found.field.startswith(prefix):
            continue
        column = joined([rows], name)
        if rows.ids is not None and ident >= 0:
            at = np.flatnonzero(joined([rows], "") == ident)
            row = int(at[0]) if at.size else -1
        else:
            row = found.row
        if 0 <= row < column.size:
            return _plain(name, column[row])
    return None


def _of_trace(side: Side, found: Finding, t0: int, t1: int) -> dict[int, Any]:
    out: dict[int, Any] = {}
    if found.field not in trace.COLUMNS:
        return out
    for _, _, data in side.select(trace.TOPIC, found.sender, t0, t1 + 2_000_000_000):
        block = trace.read_block(data)
        if block is None:
            continue
        for t_ns, value in zip(block[0].tolist(), block[1][found.field].tolist(), strict=True):
            if t0 <= t_ns < t1:
                out.setdefault(t_ns, _plain(found.field, value))
    return out


def _plain(name: str, value: Any) -> float | str:
    """A number, or the text of what is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return shown(name, value)
    text = shown(name, value)
    return text if text.isupper() and text.replace("_", "").isalpha() else float(value)
