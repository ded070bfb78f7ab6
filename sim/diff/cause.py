"""Which of all differences came first, and what it comes from.

A difference can only follow from one that is earlier in (tick, the order of `causal`), from the configuration, the road file, or the code. So the earliest is the first difference; its cause is a key of the configuration that can reach it, else another
road file, else other code where the digests prove that the runs themselves differ, else itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from sim.diff import chain, gaps, series
from sim.diff.causal import causal_order
from sim.diff.digests import Parting
from sim.diff.model import NOTHING, Difference, FieldRow, Finding, KeyChange, Kind, Link, Point
from sim.diff.remarks import Remark, absent, context, is_edited
from sim.diff.side import Side
from sim.diff.table import Table


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to explain."""

    a: Side
    b: Side
    table: Table
    keys: list[KeyChange]
    versions: list[KeyChange]
    parting: Parting


def explain(case: Case) -> Difference:
    """Cause, chain, table and remarks."""
    table = case.table
    findings = list(table.firsts.values())
    sides = case.a.facts, case.b.facts
    findings += gaps.unrecorded(case.parting, table, findings)
    findings += gaps.lacking(sides, case.parting, table.tick_ns)
    length = gaps.length(sides, table.tick_ns)
    findings.sort(key=causal_order)
    of_run = [f for f in findings if not f.is_of_file]
    first = next((f for f in of_run if f.kind is not Kind.RESULT), None)
    if length is not None and (
        first is None or first.t_ns >= length.t_ns or length.kind is Kind.LATE_START
    ):
        # What only one log has after its end follows from the end; an earlier start hides nothing that is compared.
        first = length if first is None or length.kind is not Kind.LATE_START else first
    if first is None:
        of_files = (f for f in findings if f.is_of_file)
        first = next(of_files, of_run[0] if of_run else gaps.unread(sides, table.tick_ns))
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
            links += chain.follow(case.a, case.b, table, first, of_run)
    remarks += context(*sides, table, case.versions, case.parting, first, length)
    if first is not None and cause is first:  # no key explains it
        remarks += absent(table)
        if is_edited(case.parting, first):
            remarks.append(("edited", {"tick": str(first.tick)}))
    shuffled = next((f for f in findings if f.is_of_file), None)
    if shuffled is not None and shuffled is not first:
        remarks.append(("order", {"tick": str(shuffled.tick)}))
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
    return bool(case.versions) and NOTHING in (key.a, key.b) and not key.is_known


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
