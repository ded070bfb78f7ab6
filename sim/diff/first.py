"""`first_difference(a, b)`: the place where two runs part, quickly. For everybody who asks once and wants one sentence.

The digests decide whether and at which tick the runs part, read in lock-step and no further than that tick. Then only the next seconds of
both logs are compared, with what `icv diff` compares with, and the first difference in what that tick's digest covers is the answer.
What no digest covers (notes, fates, timings, events) is not looked at: two logs with the same digests are the same here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from protocols.errors import LogError
from sim.diff import digests, gaps
from sim.diff.align import HOLD_NS
from sim.diff.columns import Unequal, compare_records
from sim.diff.compare import Comparison
from sim.diff.model import NOTHING, Finding, Kind, unit_of
from sim.diff.side import Side
from sim.diff.table import Record, Table
from sim.diff.tolerance import Tolerances

_SPAN_NS = HOLD_NS  # read after the tick: the block of a vehicle's trace that holds it, the next samples of the world

_BLOCKS = ("log/digest", "log/digest_part")


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """Where run b leaves run a. Values are texts; "-" where one side has nothing."""

    tick: int
    t_ns: int
    topic: str
    sender: str
    field: str
    a: str
    b: str
    note: str = ""

    def __str__(self) -> str:
        """One sentence."""
        who = f" of {self.sender}" if self.sender else ""
        one, two = ("nothing" if value == NOTHING else value for value in (self.a, self.b))
        return (
            f"runs differ first at tick {self.tick} (t={self.t_ns / 1e9:.2f} s): "
            f"{self.topic}.{self.field}{who} = {two}, expected {one}{self.note}"
        )


def first_difference(a: Path, b: Path) -> FirstDifference | None:
    """The first difference of run `b` from run `a`, or None when every tick has the same digest.

    Logs that broke off are compared as far as they go. LogError when one cannot be read at all, or has other ticks.
    """
    left = Side(a)
    try:
        right = Side(b)
    except BaseException:
        left.close()
        raise
    try:
        return _first(left, right)
    finally:
        left.close()
        right.close()


def first_field(topic: str, a: bytes, b: bytes) -> tuple[str, str, str]:
    """The first field in which two records of a topic differ, and both values; `a` and `b` are not the same bytes."""
    table = Table(1, Tolerances())
    compare_records(topic, [Unequal(Record("", 0, -1), a, b)], table)
    for row in table.fields.values():
        if row.first is not None:
            return _field(row.first), row.first.a, row.first.b
    return "bytes", "the recorded ones", "others, with the same meaning"


def _first(a: Side, b: Side) -> FirstDifference | None:
    tick_ns, other_ns = a.facts.header.tick_ns, b.facts.header.tick_ns
    if tick_ns != other_ns:
        raise LogError(
            f"{a.facts.path} has ticks of {tick_ns} ns and {b.facts.path} of {other_ns} ns; only runs with the same tick can be "
            "held against each other tick by tick. `icv diff` compares them as far as they go."
        )
    one, two, parting = _part(a, b)
    tick = parting.digest
    if tick < 0:
        _refuse_unread((a, one), (b, two))
        if one.tick.size == two.tick.size:
            return None
        alone = set(one.tick.tolist()) ^ set(two.tick.tolist())
        tick = min(alone, default=0)
        counts = str(one.tick.size), str(two.tick.size)
        return FirstDifference(tick, tick * tick_ns, "log/digest", "", "number of ticks", *counts)
    t_ns = tick * tick_ns
    for side in (a, b):
        side.only(t_ns, t_ns + _SPAN_NS)
    comparison = Comparison(a, b, Tolerances())
    comparison.read()
    parts = [part for part in digests.PARTS if parting.of(part) == tick]
    found = gaps.first_at(tick, parts, comparison.table, parting)
    if found is None or found.kind is Kind.UNRECORDED:
        part = f"digest of {parts[0]}" if parts else "digest"
        note = "" if parts else ", in what no part of it covers"
        lacks = ", and nothing that is recorded of it differs at that tick" if parts else note
        return FirstDifference(tick, t_ns, "log/digest", "", part, "the recorded one", "another", lacks)  # fmt: skip
    later = f", as first seen at t={found.other / 1e9:.2f} s" if _is_sampled(found) else ""
    return FirstDifference(
        tick, t_ns, _topic(found), unit_of(found), _field(found), found.a, found.b, later
    )  # fmt: skip


def _refuse_unread(*sides: tuple[Side, digests.Chain]) -> None:
    for side, chain in sides:
        number = len(chain.unread[0]) + len(chain.unread[1])
        if number:
            raise LogError(
                f"{side.facts.path}: {number} blocks of its digests cannot be read, so nobody can say that two runs are the same; "
                "`icv diff` compares what else there is."
            )


def _part(a: Side, b: Side) -> tuple[digests.Chain, digests.Chain, digests.Parting]:
    """Chains of both logs up to the block in which they part."""
    blocks: list[dict[str, list[bytes]]] = [{topic: [] for topic in _BLOCKS} for _ in range(2)]
    for pair in zip_longest(a.blocks(_BLOCKS), b.blocks(_BLOCKS)):
        for kept, block in zip(blocks, pair, strict=True):
            if block is not None:
                kept[block[0]].append(block[1])
        if pair[0] != pair[1] and None not in pair:
            one, two, parting = _compared(blocks)
            ends = [chain.part_tick.max(initial=-1) for chain in (one, two)]
            if 0 <= parting.digest <= min(ends):  # what parts is known too
                return one, two, parting
    return _compared(blocks)


def _compared(
    blocks: list[dict[str, list[bytes]]],
) -> tuple[digests.Chain, digests.Chain, digests.Parting]:
    one, two = (digests.collect(kept[_BLOCKS[0]], kept[_BLOCKS[1]]) for kept in blocks)
    return one, two, digests.compare(one, two, True)


def _is_sampled(found: Finding) -> bool:
    """Whether the difference shows only in a later sample of the world."""
    return found.kind is Kind.STATE and found.other > found.t_ns


def _topic(found: Finding) -> str:
    """A vehicle's commands are kept beside its states."""
    is_command = found.kind is Kind.COMMAND and found.topic == "truth/trace"
    return "cmd/vehicle" if is_command else found.topic


def _field(found: Finding) -> str:
    """Field and row in one word."""
    if found.field == "record":
        return f"message {found.seq}" if found.seq >= 0 else "record"
    if found.entity:
        return f"{found.field}[{found.entity}]"
    return f"{found.field}[{found.row}]" if found.row >= 0 else found.field
