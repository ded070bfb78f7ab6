"""Which of all differences came first, and what it comes from.

Inside a tick things happen in this order: what a fault begins, the state of the world, events, messages, plans, commands, notes, and what
became of the messages. A difference can only follow from one that is earlier in (tick, that order), from the configuration, the road
file, or the code. So the earliest is the first difference; its cause is a key of the configuration that can reach it, else another
road file, else other code where the digests prove that the runs themselves differ, else itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sim.diff import chain, series
from sim.diff.digests import Parting
from sim.diff.model import NOTHING, Difference, FieldRow, Finding, KeyChange, Kind, Link, Point
from sim.diff.table import Table
from sim.diff.windows import Side

_PHASES = {
    "truth/trace": 1, "truth/world": 1, "truth/signal": 1, "truth/actor": 2, "truth/event": 3,
    "log/inbox": 3, "obu/plan": 5, "cmd/signal": 6, "log/note": 7, "log/radio": 8, "log/result": 10,
}  # fmt: skip
_STATES = ("truth/trace", "truth/world", "truth/actor")
_PARTS = ("truth", "message", "command")  # of a digest
_PART_PHASE = {"truth": 1, "message": 4, "command": 6}
_NEAR_NS = 2_000_000_000  # a sample of the world this much later still tells whose state it was

Remark = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to explain."""

    a: Side
    b: Side
    table: Table
    keys: list[KeyChange]
    versions: list[KeyChange]
    parting: Parting


def covers(part: str, found: Finding) -> bool:
    """Whether a finding is about something that goes into this part of the digest."""
    if part == "message":
        return found.topic.startswith("v2x/")
    if part == "command":
        return found.kind is Kind.COMMAND or found.topic == "cmd/signal"
    return found.topic in _STATES and found.kind is not Kind.COMMAND


def phase(found: Finding) -> int:
    """Place of a finding in the order of a tick."""
    if found.topic == "truth/event" and "fault" in found.a + found.b:
        return 0
    if found.field == "seq":
        return 9  # follows from a message that is missing
    if found.kind is Kind.UNRECORDED:
        return _PART_PHASE.get(found.field, 9)
    if found.kind is Kind.COMMAND:
        return 6
    return _PHASES.get(found.topic, 4)


def causal_order(found: Finding) -> tuple[int | str, ...]:
    """Sorts findings so that none can be caused by a later one; no two are alike."""
    return (
        found.t_ns, phase(found), found.topic, found.sender, found.seq,
        found.row, found.entity, found.receiver, found.kind.value, found.field,
    )  # fmt: skip


def explain(case: Case) -> Difference:
    """Cause, chain, table and remarks."""
    table = case.table
    findings = list(table.firsts.values())
    findings += _unrecorded(case.parting, table, findings)
    findings += _lacking(case)
    length = _length(case)
    findings.sort(key=causal_order)
    first = next((f for f in findings if f.kind is not Kind.RESULT), None)
    if length is not None and (
        first is None or first.t_ns >= length.t_ns or length.kind is Kind.LATE_START
    ):
        # What only one log has after its end follows from the end; an earlier start hides nothing that is compared.
        first = length if first is None or length.kind is not Kind.LATE_START else first
    if first is None:
        first = findings[0] if findings else _unread(case)
    points: list[Point] = []
    if first is not None:
        points = series.around(case.a, case.b, first, table.tick_ns)
        first, points = _drift(case, first, points)
    cause, remarks = _root(case, first)
    links: list[Link] = []
    if cause is not None:
        links.append(Link("root", cause))
        if first is not None and first is not cause:
            links.append(Link("first", first))
        if first is not None:
            links += chain.follow(case.a, case.b, table, first, findings)
    remarks += _context(case, first, length)
    return Difference(
        a=case.a.facts, b=case.b.facts, cause=cause, first=first, chain=links, keys=case.keys, versions=case.versions,
        topics=sorted(table.topics.values(), key=lambda row: row.topic),
        fields=sorted(table.fields.values(), key=_row_order),
        firsts=findings, series=points, remarks=remarks, tolerated=Counter(table.tolerated),
        digest_tick=case.parting.digest,
    )  # fmt: skip


def _row_order(row: FieldRow) -> tuple[str, int, str]:
    return row.topic, row.first.tick if row.first is not None else 2**62, row.field


def _root(case: Case, first: Finding | None) -> tuple[Finding | None, list[Remark]]:
    """The cause of `first`, and what else could be."""
    a, b = case.a.facts.header, case.b.facts.header
    keys = [key for key in case.keys if not key.is_context]
    is_other_map = a.map_digest != b.map_digest
    if first is None:
        if is_other_map:
            return _of_map(case), [("no_effect", {})]
        keys = [key for key in keys if not _is_new_key(case, key)]
        if keys:
            return _of_key(keys[0]), [("no_effect", {})]
        return None, []
    possible = [key for key in keys if _can_reach(key, first, case.table.tick_ns)]
    remarks: list[Remark] = []
    if is_other_map:
        return _of_map(case), [("other_keys", {"keys": _listed(possible)})] if possible else []
    if possible:
        possible.sort(key=lambda key: (_is_new_key(case, key), -_relevance(key, first)))
        if len(possible) > 1:
            remarks.append(("other_keys", {"keys": _listed(possible[1:])}))
        return _of_key(possible[0]), remarks
    if case.versions and _is_run_itself(case, first):
        names = ", ".join(f"{item.key} {item.a} -> {item.b}" for item in case.versions)
        head = case.versions[0]
        return Finding(Kind.VERSION, 0, 0, "log/header", "", head.key, head.a, head.b), [
            ("versions", {"what": names})
        ]
    return first, remarks


def _is_run_itself(case: Case, first: Finding) -> bool:
    """Whether the digests say that the runs, not only the recordings, differ."""
    return 0 <= case.parting.digest <= first.tick + 200 and first.kind is not Kind.EARLY_END


def _is_new_key(case: Case, key: KeyChange) -> bool:
    """A key that only one version of the code knows; left at its default it changes nothing."""
    return (
        bool(case.versions)
        and NOTHING in (key.a, key.b)
        and not key.key.endswith("]")
        and key.key.startswith("scene.")
    )


def _of_map(case: Case) -> Finding:
    a, b = case.a.facts.header, case.b.facts.header
    return Finding(
        Kind.MAP, 0, 0, "log/header", "", "map_digest", a.map_digest[:16], b.map_digest[:16]
    )


def _of_key(key: KeyChange) -> Finding:
    return Finding(Kind.CONFIGURATION, 0, 0, "log/header", "", key.key, key.a, key.b)


def _listed(keys: list[KeyChange]) -> str:
    return ", ".join(key.key for key in keys[:8]) + (
        f" (+{len(keys) - 8})" if len(keys) > 8 else ""
    )


def _can_reach(key: KeyChange, first: Finding, tick_ns: int) -> bool:
    if key.from_s * 1e9 >= first.t_ns + tick_ns:
        return False
    if key.reaches == "length":
        return first.kind is Kind.EARLY_END or first.t_ns == 0
    if key.reaches == "verdict":
        return first.kind is Kind.RESULT
    if key.reaches == "recording":
        return first.kind in (Kind.MISSING, Kind.EXTRA)
    return first.kind is not Kind.EARLY_END


def _relevance(key: KeyChange, first: Finding) -> int:
    """How near a key is to the first difference; larger is nearer."""
    name, score = key.key, 0 if key.reaches == "run" else -1
    unit = (first.receiver or first.sender).rpartition("/")[2]
    if unit and f"[{unit}]" in name:
        score += 5
    if first.sender and f'"{first.sender}"' in key.a + key.b:
        score += 4
    for part, is_near in (
        ("scene.radio", first.topic == "log/radio"),
        ("scene.demand", first.topic in ("truth/world", "truth/actor") or first.sender == "fleet"),
        ("scene.signals", first.topic in ("truth/signal", "cmd/signal", "v2x/spat")),
        ("scene.onboard", first.sender.startswith("obu/")),
        ("scene.vehicles", first.sender.startswith("obu/")),
        ("scene.roadside", first.sender.startswith("rsu/")),
        ("scene.faults", True),
        ("what_if", True),
        ("backend", True),
        ("scene.seed", True),
    ):  # fmt: skip
        score += 2 * (name.startswith(part) and is_near)
    return score


# -- what is not recorded ------------------------------------------------------------------------------------------


def first_at(
    tick: int, parts: Sequence[str], table: Table, parting: Parting
) -> Finding | None:  # fmt: skip
    """The first difference at a tick in what `parts` of its digest cover."""
    findings = list(table.firsts.values())
    findings += _unrecorded(parting, table, findings)
    fits = [
        f
        for f in findings
        if f.tick == tick
        and any(
            (f.kind is Kind.UNRECORDED and f.field == part) or covers(part, f) for part in parts
        )
    ]
    return min(fits, key=causal_order, default=None)


def _lacking(case: Case) -> list[Finding]:
    """Ticks without a digest in one of two logs that are whole."""
    sides = [side.facts for side in (case.a, case.b)]
    if any(facts.lost or facts.damaged or facts.unread_ns for facts in sides):
        return []
    tick = case.parting.alone
    if tick < 0 and sides[0].end_ns == sides[1].end_ns:
        tick = case.parting.beyond  # the recordings end together, the chains do not
    if tick < 0:
        return []
    t_ns = tick * case.table.tick_ns
    one, two = ("a digest", NOTHING) if case.parting.is_only_a else (NOTHING, "a digest")
    return [Finding(Kind.UNRECORDED, tick, t_ns, "log/digest", "", "ticks", one, two)]


def _unread(case: Case) -> Finding | None:
    """Digests that cannot be read."""
    unread = [side.facts.unread_ns for side in (case.a, case.b)]
    stamps = unread[0] + unread[1]
    if not stamps:
        return None
    t_ns = min(stamps)
    a, b = (_unread_blocks(len(each)) for each in unread)
    return Finding(Kind.DAMAGED, t_ns // case.table.tick_ns, t_ns, "log/digest", "", "block", a, b)


def _unread_blocks(number: int) -> str:
    if not number:
        return "whole"
    return f"{number} damaged block{'s' if number > 1 else ''} of digests"


def _unrecorded(parting: Parting, table: Table, findings: list[Finding]) -> list[Finding]:
    """Parts of the digest that differ before anything recorded of them does, tolerated or not."""
    out: list[Finding] = []
    tolerated = list(table.tolerated_firsts.values())
    for part in _PARTS:
        tick = parting.of(part)
        if tick < 0:
            continue
        covered = [f for f in findings if covers(part, f)]
        allowed = [f for f in tolerated if covers(part, f)]
        if min((f.tick for f in covered + allowed), default=2**62) <= tick:
            continue
        t_ns = tick * table.tick_ns
        near = [f for f in covered + allowed if f.t_ns - t_ns <= _NEAR_NS and f.kind is Kind.STATE]
        if part != "truth" or not near:
            out.append(_apart(tick, t_ns, part))
            continue
        shown = min(near, key=causal_order)
        if not shown.is_tolerated:
            out.append(replace(shown, tick=tick, t_ns=t_ns, other=shown.t_ns))
    if parting.digest >= 0 and not any(parting.of(part) >= 0 for part in _PARTS) and not tolerated:
        out.append(_apart(parting.digest, parting.digest * table.tick_ns, "chain"))
    return out


def _apart(tick: int, t_ns: int, part: str) -> Finding:
    text = "another digest"
    return Finding(Kind.UNRECORDED, tick, t_ns, "log/digest", "", part, text, text)


def _length(case: Case) -> Finding | None:
    """A log that began late, ended early or broke off; None where both have the same part of time."""
    a, b, tick_ns = case.a.facts, case.b.facts, case.table.tick_ns
    if a.end_ns != b.end_ns:
        t_ns = min(a.end_ns, b.end_ns) + tick_ns
        shorter = b if b.end_ns < a.end_ns else a
        kind = Kind.DAMAGED if shorter.lost else Kind.EARLY_END
        return Finding(
            kind, t_ns // tick_ns, t_ns, "", "", "end", f"{a.end_ns / 1e9:.3f} s", f"{b.end_ns / 1e9:.3f} s",
            by=(b.end_ns - a.end_ns) / 1e9,
        )  # fmt: skip
    if a.lost or b.lost or a.damaged or b.damaged:
        spans = a.damaged + b.damaged
        t_ns = min((start for start, _ in spans), default=a.end_ns)
        return Finding(
            Kind.DAMAGED, t_ns // tick_ns, t_ns, "", "", "file", _whole(a.lost, len(a.damaged)), _whole(b.lost, len(b.damaged)),
        )  # fmt: skip
    if a.start_ns != b.start_ns:
        t_ns = min(a.start_ns, b.start_ns)
        return Finding(
            Kind.LATE_START, t_ns // tick_ns, t_ns, "", "", "start", f"{a.start_ns / 1e9:.3f} s", f"{b.start_ns / 1e9:.3f} s",
            by=(b.start_ns - a.start_ns) / 1e9,
        )  # fmt: skip
    return None


def _whole(lost: str | None, damaged: int) -> str:
    if lost:
        return lost
    return f"{damaged} damaged chunk{'s' if damaged > 1 else ''}" if damaged else "whole"


# -- slow departures -----------------------------------------------------------------------------------------------


def _drift(case: Case, first: Finding, points: list[Point]) -> tuple[Finding, list[Point]]:
    """`first` as a drift where its number leaves slowly; it then begins where the difference was still tolerated."""
    if (
        first.by is None
        or first.kind not in (Kind.MESSAGE, Kind.STATE, Kind.COMMAND, Kind.PLAN)
        or first.field == "seq"
    ):
        return first, points
    key = (first.topic, first.sender, f"{first.field}/{first.entity}")
    start = case.table.tolerated_firsts.get(key)
    if start is not None and start.t_ns < first.t_ns:
        earlier = series.around(case.a, case.b, start, case.table.tick_ns)
        if series.is_growing(earlier, start.t_ns) or series.is_growing(points, first.t_ns):
            return replace(start, kind=Kind.DRIFT), earlier
    if series.is_growing(points, first.t_ns):
        return replace(first, kind=Kind.DRIFT), points
    return first, points


# -- what else to say ----------------------------------------------------------------------------------------------


def _context(case: Case, first: Finding | None, length: Finding | None) -> list[Remark]:
    a, b = case.a.facts, case.b.facts
    out: list[Remark] = []
    for name, facts in (("A", a), ("B", b)):
        if facts.lost:
            out.append(("lost", {"log": name, "what": facts.lost}))
        for start, end in facts.damaged:
            out.append(
                ("damaged", {"log": name, "from": f"{start / 1e9:.2f}", "to": f"{end / 1e9:.2f}"})
            )
        if facts.unread_ns:
            out.append(
                ("unread", {"log": name, "number": str(len(facts.unread_ns)), "at": f"{min(facts.unread_ns) / 1e9:.2f}"})
            )  # fmt: skip
        if facts.is_thin:
            out.append(("thin", {"log": name}))
        if not facts.has_result and not facts.lost:
            out.append(("no_result", {"log": name}))
    if a.header.scenario != b.header.scenario:
        out.append(("scenes", {"a": a.header.scenario, "b": b.header.scenario}))
    if a.header.tick_ns != b.header.tick_ns:
        out.append(
            ("ticks", {"a": f"{a.header.tick_ns / 1e6:g}", "b": f"{b.header.tick_ns / 1e6:g}"})
        )
    if length is not None and length.kind is not Kind.DAMAGED:
        out.append((length.field, {"a": length.a, "b": length.b}))
    if first is not None and first.other > first.t_ns and first.topic in _STATES:
        out.append(("between", {"tick": str(first.tick), "later": f"{first.other / 1e9:.2f}"}))
    if first is not None and case.parting.is_known and _is_edited(case, first):
        out.append(("edited", {"tick": str(first.tick)}))
    if case.versions:
        what = ", ".join(f"{item.key} {item.a} -> {item.b}" for item in case.versions)
        out.append(("versions", {"what": what}))
    elif a.header.commit.endswith("+") and first is not None and case.parting.digest >= 0:
        out.append(("dirty", {"commit": a.header.commit}))
    rules = enumerate(case.table.tolerances.rules, 1)
    unused = [f"rule {k} ({rule.topic} {rule.field})" for k, rule in rules if id(rule) not in case.table.used]  # fmt: skip
    if unused:
        more = f" (+{len(unused) - 8})" if len(unused) > 8 else ""
        out.append(("unused", {"rules": ", ".join(unused[:8]) + more}))
    shifted = {row.topic: row.renumbered for row in case.table.topics.values() if row.renumbered}
    if shifted:
        out.append(("renumbered", {"number": str(sum(shifted.values()))}))
    return out


def _is_edited(case: Case, first: Finding) -> bool:
    """A difference that the digests cover, at a tick where both digests are the same: the file was changed after the run."""
    for part in _PARTS:
        if covers(part, first) and first.kind not in (Kind.UNRECORDED, Kind.ORDER):
            tick = case.parting.of(part)
            return (tick < 0 or tick > first.tick) and first.tick < case.parting.common
    return False
