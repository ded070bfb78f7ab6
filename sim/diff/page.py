"""A comparison as one HTML page that opens from disk: no scripts from elsewhere, English and Chinese.

Jinja2 escapes whatever comes out of the logs. The picture of the first difference is inline SVG.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sim.diff.model import Difference, FieldRow, Finding, Kind, LogFacts, Point, TopicRow
from sim.diff.terminal import whom
from sim.diff.units import amount, unit, valued
from sim.diff.words import LANGUAGES, kind_name, link_text, place, remark_text, sentence, summary

WIDTH, HEIGHT, PAD = 880, 150, 8
MAX_FIELDS = 2000
_SETUP = (Kind.CONFIGURATION, Kind.MAP, Kind.VERSION)


@dataclass(frozen=True, slots=True)
class Curve:
    """One panel of the picture: polylines in its own coordinates, and what its axis says."""

    lines: tuple[str, ...]
    low: str
    high: str


def render(found: Difference) -> str:
    """The page."""
    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    fields = [row for row in found.fields if row.values or row.tolerated]
    shown = sorted(fields, key=_first_tick)[:MAX_FIELDS]
    return here.get_template("page.html").render(
        d=found,
        summary={language: summary(found, language) for language in LANGUAGES},
        kind=_pair(kind_name, found.cause.kind) if found.cause is not None else None,
        where=_pair(place, found.cause) if found.cause is not None and found.cause.kind not in _SETUP else None,
        cause=_pair(sentence, found.cause) if found.cause is not None else None,
        links=[_link(link) for link in found.chain],
        remarks=[{language: remark_text(item, language) for language in LANGUAGES} for item in found.remarks],
        logs=[("A", _log(found.a)), ("B", _log(found.b))],
        keys=[key for key in found.keys if not key.is_context],
        context=[key for key in found.keys if key.is_context],
        topics=[_topic(row, found) for row in found.topics],
        fields=[_field(row) for row in shown],
        hidden=len(fields) - len(shown),
        chart=_chart(found),
        points=_near(found),
        unit=_in_unit(found.first) if found.first is not None else "",
        tolerated=sorted(found.tolerated.items()),
        width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip


def _pair(function: Any, value: Any) -> dict[str, str]:
    return {language: function(value, language) for language in LANGUAGES}


def _link(link: Any) -> dict[str, Any]:
    texts = {language: link_text(link, language) for language in LANGUAGES}
    found: Finding = link.finding
    return {
        "head": {language: texts[language][0] for language in LANGUAGES},
        "text": {language: texts[language][1] for language in LANGUAGES},
        "place": None if found.kind in _SETUP else _pair(place, found),
        "relation": link.relation,
    }


def _log(facts: LogFacts) -> dict[str, str]:
    head = facts.header
    return {
        "path": str(facts.path), "scene": head.scenario, "seed": str(head.seed), "commit": head.commit or "-",
        "span": f"{facts.start_ns / 1e9:g} - {(facts.end_ns + head.tick_ns) / 1e9:g} s", "tick": f"{head.tick_ns / 1e6:g} ms",
        "outcome": facts.outcome or "-", "map": head.map_digest[:16] or "-", "size": f"{facts.bytes / 1e6:.1f} MB",
    }  # fmt: skip


def _topic(row: TopicRow, found: Difference) -> dict[str, Any]:
    """A row, and where on the common time line it begins to differ (per cent)."""
    end = max(found.a.end_ns, found.b.end_ns, 1)
    at = (
        row.first_tick * found.a.header.tick_ns / end * 100.0
        if row.first_tick >= 0 and not row.is_same
        else None
    )
    return {"row": row, "at": None if at is None else f"{min(at, 100.0):.2f}"}


def _field(row: FieldRow) -> dict[str, Any]:
    first = row.first
    return {
        "row": row,
        "first": first.tick if first is not None else None,
        "first_s": f"{first.t_ns / 1e9:.2f}" if first is not None else "",
        "a": valued(row.field, first.a) if first is not None else "",
        "b": valued(row.field, first.b) if first is not None else "",
        "largest": amount(row.field, row.max_abs, 4) if row.max_tick >= 0 else "",
        "relative": f"{row.max_rel:.3g}" if row.max_tick >= 0 else "",
        "whom": whom(row),
        "where": row.max_where,
        "reasons": "; ".join(sorted(row.reasons)),
    }


def _first_tick(row: FieldRow) -> tuple[int, str, str]:
    return row.first.tick if row.first is not None else 2**62, row.topic, row.field


# -- the picture ----------------------------------------------------------------------------------------------------


def _chart(found: Difference) -> dict[str, Any] | None:
    """Values of both logs around the first difference, and their difference below."""
    points = [p for p in found.series if isinstance(p.a, float) or isinstance(p.b, float)]
    if (
        found.first is None
        or len(points) < 3
        or any(isinstance(v, str) for p in points for v in (p.a, p.b))
    ):
        return None
    t0, t1 = points[0].t_ns, points[-1].t_ns
    by = [
        Point(p.t_ns, p.b - p.a, None)
        for p in points
        if isinstance(p.a, float) and isinstance(p.b, float)
    ]
    row = f"[{found.first.row}]" if found.first.row >= 0 else ""
    return {
        "values": _curve(points, t0, t1),
        "by": _curve(by, t0, t1) if by else None,
        "at": f"{_x(found.first.t_ns, t0, t1):.1f}",
        "t0": f"{t0 / 1e9:.2f}",
        "t1": f"{t1 / 1e9:.2f}",
        "title": f"{found.first.sender} {found.first.topic}.{found.first.field}{row} {found.first.entity}{_in_unit(found.first)}".strip(),
    }


def _in_unit(found: Finding) -> str:
    """The unit of a field's own numbers, in brackets."""
    of = "ns" if found.field.endswith("_ns") else unit(found.field)
    return f" [{of}]" if of else ""


def _curve(points: list[Point], t0: int, t1: int) -> Curve:
    values = [v for p in points for v in (p.a, p.b) if isinstance(v, float)]
    low, high = min(values), max(values)
    span = high - low or 1.0
    lines = []
    for side in ("a", "b"):
        path = []
        for p in points:
            value = getattr(p, side)
            if isinstance(value, float):
                y = HEIGHT - PAD - (value - low) / span * (HEIGHT - 2 * PAD)
                path.append(f"{_x(p.t_ns, t0, t1):.1f},{y:.1f}")
        lines.append(" ".join(path))
    digits = next((n for n in range(4, 17) if low == high or f"{low:.{n}g}" != f"{high:.{n}g}"), 17)
    return Curve(tuple(lines), f"{low:.{digits}g}", f"{high:.{digits}g}")


def _x(t_ns: int, t0: int, t1: int) -> float:
    return PAD + (t_ns - t0) / max(t1 - t0, 1) * (WIDTH - 2 * PAD)


def _near(found: Difference) -> list[dict[str, Any]]:
    """Some records before and after the first difference, as a table."""
    if found.first is None:
        return []
    at = next((k for k, p in enumerate(found.series) if p.t_ns >= found.first.t_ns), 0)
    out = []
    for p in found.series[max(at - 4, 0) : at + 12]:
        by = ""
        if isinstance(p.a, float) and isinstance(p.b, float):
            by = f"{p.b - p.a:+.6g}" if p.a != p.b else "0"
        out.append(
            {
                "t": f"{p.t_ns / 1e9:.2f}", "tick": p.t_ns // found.a.header.tick_ns, "a": _text(p.a), "b": _text(p.b), "by": by,
                "is_first": p.t_ns == found.first.t_ns, "differs": p.a != p.b,
            }
        )  # fmt: skip
    return out


def _text(value: float | str | None) -> str:
    return "-" if value is None else repr(value) if isinstance(value, float) else value
