"""What else is to be said of two logs beside their first difference."""

from __future__ import annotations

from sim.diff.causal import STATES, covers
from sim.diff.digests import PARTS, Parting
from sim.diff.model import Finding, KeyChange, Kind, LogFacts
from sim.diff.table import Table

MAX_SPANS = 5  # damaged ones that are told one by one

Remark = tuple[str, dict[str, str]]
"""key of sim.diff.words, values"""


def context(
    a: LogFacts,
    b: LogFacts,
    table: Table,
    versions: list[KeyChange],
    parting: Parting,
    first: Finding | None,
    length: Finding | None,
) -> list[Remark]:
    """What there is to say of the logs and of the comparison."""
    out: list[Remark] = []
    for name, facts in (("A", a), ("B", b)):
        if facts.lost:
            out.append(("lost", {"log": name, "what": facts.lost}))
        spans = _joined(facts.damaged)
        for start, end in spans[:MAX_SPANS]:
            out.append(
                ("damaged", {"log": name, "from": f"{start / 1e9:.2f}", "to": f"{end / 1e9:.2f}"})
            )
        if len(spans) > MAX_SPANS:
            out.append(("damaged_more", {"log": name, "number": str(len(spans) - MAX_SPANS)}))
        if facts.unread_ns:
            out.append(
                ("unread", {"log": name, "number": str(len(facts.unread_ns)), "at": f"{min(facts.unread_ns) / 1e9:.2f}"})
            )  # fmt: skip
        if facts.is_thin:
            out.append(("thin", {"log": name}))
        if not facts.has_result and not facts.lost and not facts.broken:
            out.append(("no_result", {"log": name}))
    if a.header.scenario != b.header.scenario:
        out.append(("scenes", {"a": a.header.scenario, "b": b.header.scenario}))
    if a.header.tick_ns != b.header.tick_ns:
        out.append(
            ("ticks", {"a": f"{a.header.tick_ns / 1e6:g}", "b": f"{b.header.tick_ns / 1e6:g}"})
        )
    if length is not None and length.kind is not Kind.DAMAGED:
        out.append((length.field, {"a": length.a, "b": length.b}))
    if first is not None and first.other > first.t_ns and first.topic in STATES:
        out.append(("between", {"tick": str(first.tick), "later": f"{first.other / 1e9:.2f}"}))
    if versions:
        what = ", ".join(f"{item.key} {item.a} -> {item.b}" for item in versions)
        out.append(("versions", {"what": what}))
    elif a.header.commit.endswith("+") and first is not None and parting.digest >= 0:
        out.append(("dirty", {"commit": a.header.commit}))
    rules = enumerate(table.tolerances.rules, 1)
    unused = [f"rule {k} ({rule.topic} {rule.field})" for k, rule in rules if id(rule) not in table.used]  # fmt: skip
    if unused:
        more = f" (+{len(unused) - 8})" if len(unused) > 8 else ""
        out.append(("unused", {"rules": ", ".join(unused[:8]) + more}))
    shifted = {row.topic: row.renumbered for row in table.topics.values() if row.renumbered}
    if shifted:
        out.append(("renumbered", {"number": str(sum(shifted.values()))}))
    return out


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of time that touch as one, ascending."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((start, end))
    return out


def absent(table: Table) -> list[Remark]:
    """Topics that differ because one log has nothing at all of them."""
    out: dict[str, list[str]] = {}
    for topic, row in sorted(table.topics.items()):
        if not row.is_same and bool(row.in_a) != bool(row.in_b):
            out.setdefault("B" if row.in_a else "A", []).append(topic)
    return [("absent", {"log": log, "topics": ", ".join(out[log])}) for log in sorted(out)]


def is_edited(parting: Parting, first: Finding) -> bool:
    """A difference that the digests cover, at a tick where both digests are the same: the file was changed after the run."""
    for part in PARTS if parting.is_known else ():
        if covers(part, first) and first.kind not in (Kind.UNRECORDED, Kind.ORDER):
            tick = parting.of(part)
            return (tick < 0 or tick > first.tick) and first.tick < parting.common
    return False
