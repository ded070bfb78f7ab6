"""What two logs do not have, or do not tell: ticks without a digest, digests that differ where nothing recorded does, another length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.diff.causal import causal_order, covers
from sim.diff.digests import PARTS, Parting
from sim.diff.model import NOTHING, Finding, Kind, LogFacts
from sim.diff.table import Table

_REASON = 300  # characters of why a run broke off that one sentence takes
_NEAR_NS = 2_000_000_000  # a sample of the world this much later still tells whose state it was

Sides = tuple[LogFacts, LogFacts]


def first_at(
    tick: int, parts: Sequence[str], table: Table, parting: Parting
) -> Finding | None:  # fmt: skip
    """The first difference at a tick in what `parts` of its digest cover."""
    findings = list(table.firsts.values())
    findings += unrecorded(parting, table, findings)
    fits = [
        f
        for f in findings
        if f.tick == tick
        and any(
            (f.kind is Kind.UNRECORDED and f.field == part) or covers(part, f) for part in parts
        )
    ]
    return min(fits, key=causal_order, default=None)


def lacking(sides: Sides, parting: Parting, tick_ns: int) -> list[Finding]:
    """Ticks without a digest in one of two logs that are whole."""
    if any(facts.lost or facts.damaged or facts.unread_ns for facts in sides):
        return []
    has_one_span = (sides[0].start_ns, sides[0].end_ns) == (sides[1].start_ns, sides[1].end_ns)
    if not has_one_span and not (sides[0].ticks and sides[1].ticks):
        return []
    tick = parting.alone
    if tick < 0 and sides[0].end_ns == sides[1].end_ns:
        tick = parting.beyond  # the recordings end together, the chains do not
    if tick < 0:
        return []
    t_ns = tick * tick_ns
    one, two = ("a digest", NOTHING) if parting.is_only_a else (NOTHING, "a digest")
    return [Finding(Kind.UNRECORDED, tick, t_ns, "log/digest", "", "ticks", one, two)]


def unread(sides: Sides, tick_ns: int) -> Finding | None:
    """Digests that cannot be read."""
    blocks = [facts.unread_ns for facts in sides]
    stamps = blocks[0] + blocks[1]
    if not stamps:
        return None
    t_ns = min(stamps)
    a, b = (_unread_blocks(len(each)) for each in blocks)
    return Finding(Kind.DAMAGED, t_ns // tick_ns, t_ns, "log/digest", "", "block", a, b)


def _unread_blocks(number: int) -> str:
    if not number:
        return "whole"
    return f"{number} damaged block{'s' if number > 1 else ''} of digests"


def unrecorded(parting: Parting, table: Table, findings: list[Finding]) -> list[Finding]:
    """Parts of the digest that differ before anything recorded of them does, tolerated or not."""
    out: list[Finding] = []
    tolerated = list(table.tolerated_firsts.values())
    for part in PARTS:
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
    if parting.digest >= 0 and not any(parting.of(part) >= 0 for part in PARTS) and not tolerated:
        out.append(_apart(parting.digest, parting.digest * table.tick_ns, "chain"))
    return out


def _apart(tick: int, t_ns: int, part: str) -> Finding:
    text = "another digest"
    return Finding(Kind.UNRECORDED, tick, t_ns, "log/digest", "", part, text, text)


def length(sides: Sides, tick_ns: int) -> Finding | None:
    """A log that began late, ended early or broke off; None where both have the same part of time."""
    a, b = sides
    if a.end_ns != b.end_ns:
        t_ns = min(a.end_ns, b.end_ns) + tick_ns
        shorter = b if b.end_ns < a.end_ns else a
        kind = Kind.DAMAGED if shorter.lost else Kind.EARLY_END
        return Finding(
            kind, t_ns // tick_ns, t_ns, "", "", "end", _until(a), _until(b),
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


def _until(facts: LogFacts) -> str:
    end_ns = 0 if facts.end_ns == -facts.header.tick_ns else facts.end_ns  # nothing was recorded
    why = facts.broken
    shown = why if len(why) <= _REASON else f"{why[:_REASON]}..."
    return f"{end_ns / 1e9:.3f} s" + (f" ({shown})" if why else "")


def _whole(lost: str | None, damaged: int) -> str:
    if lost:
        return lost
    return f"{damaged} damaged chunk{'s' if damaged > 1 else ''}" if damaged else "whole"
