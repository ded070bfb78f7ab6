"""One cycle of a plan laid out in time: when each phase begins and is forced off, how offsets are met, what a bus may move.

All stamps are absolute. A cycle starts with the first block's green (`zero_ns`). To come into step with its offset, a cycle is
lengthened (the coordinated phases, else the first ones, hold longer) or shortened (all phases lose in proportion to what they
have above their floor); `TransitionPlan` limits both to a share of the cycle, as NTCIP 1202 transition methods do. A grant to a
bus moves times within the running cycle only, so that the next one starts as planned: what one phase gains, others lose above
their floor. Nothing that was to happen before `fixed_until_ns` is moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from roadside.signals.durations import STEP_NS
from roadside.signals.operation import TransitionPlan
from roadside.signals.phasetable import Pattern, PhaseTable, changes_after


@dataclass(frozen=True, slots=True)
class Layout:
    """(P,) planned start of green and force-off (planned end, yield point of coordinated phases)."""

    zero_ns: int
    length_ns: int
    begin_ns: tuple[int, ...]
    force_ns: tuple[int, ...]

    @property
    def next_zero_ns(self) -> int:
        """When the next cycle starts."""
        return self.zero_ns + self.length_ns


def shift_ns(pattern: Pattern, method: TransitionPlan, slack_ns: int, zero_ns: int) -> int:
    """By how much a cycle that starts at `zero_ns` should differ from its nominal length."""
    cycle = pattern.cycle_ns
    late = (zero_ns - pattern.offset_ns) % cycle  # behind the offset; as well cycle - late ahead
    if late == 0:
        return 0
    add = round(method.max_add_share * cycle) // STEP_NS * STEP_NS
    subtract = min(slack_ns, round(method.max_subtract_share * cycle) // STEP_NS * STEP_NS)
    # The way that takes fewer cycles; dwelling only ever waits.
    if method.method == "dwell" or subtract <= 0 or (cycle - late) * subtract < late * add:
        return min(cycle - late, max(add, STEP_NS))
    return -min(late, subtract)


def block_slack_ns(table: PhaseTable, pattern: Pattern) -> list[int]:
    """(B,) what every block could lose in all rings at once."""
    change = changes_after(table)
    return [
        min(
            sum(pattern.split_ns[p] - change[p] - table.phases[p].floor_ns for p in ring)
            for ring in block
            if ring
        )
        for block in table.blocks
    ]


def share(total: int, weights: list[int]) -> list[int]:
    """Split `total` in whole steps in proportion to `weights` and never above them."""
    sum_weights = sum(weights)
    out = [
        min(w, total * w // sum_weights // STEP_NS * STEP_NS) if sum_weights else 0 for w in weights
    ]
    for n, w in enumerate(weights):
        out[n] += min(w - out[n], total - sum(out)) // STEP_NS * STEP_NS
    return out


def lay_out(table: PhaseTable, pattern: Pattern, method: TransitionPlan, zero_ns: int) -> Layout:
    """The cycle that starts at `zero_ns`, on its way into step with the offset."""
    slack = block_slack_ns(table, pattern)
    shift = shift_ns(pattern, method, sum(slack), zero_ns)
    split = list(pattern.split_ns)
    change = changes_after(table)
    if shift > 0:
        for ring in table.blocks[0]:
            held = [p for p in ring if p in pattern.coordinated] or list(ring[:1])
            for p in held[:1]:
                split[p] += shift
    elif shift < 0:
        for block, loss in zip(table.blocks, share(-shift, slack), strict=True):
            for ring in block:
                spare = [split[p] - change[p] - table.phases[p].floor_ns for p in ring]
                for p, lost in zip(ring, share(loss, spare), strict=True):
                    split[p] -= lost
    begin, force = [0] * len(split), [0] * len(split)
    at = zero_ns
    for block in table.blocks:
        length = 0
        for ring in block:
            start = at
            for p in ring:
                begin[p], force[p] = start, start + split[p] - change[p]
                start += split[p]
            length = max(length, start - at)
        at += length
    return Layout(zero_ns, at - zero_ns, tuple(begin), tuple(force))


def longer(
    table: PhaseTable, layout: Layout, block: int, phase: int, by_ns: int, fixed_until_ns: int
) -> Layout | None:
    """`layout` with `phase` of `block` held `by_ns` longer and what follows it later; None where it is too late.

    Phase -1: the time is put between `block` and the next one, for an inserted phase. The blocks that follow in this cycle
    give the time back in proportion to their slack; what they lack is made up by the next cycle, whose force-offs stand.
    """
    begin, force = list(layout.begin_ns), list(layout.force_ns)
    if phase >= 0:
        for ring in table.blocks[block]:
            if not ring:
                continue
            moved = ring[ring.index(phase) :] if phase in ring else ring[-1:]
            for n, p in enumerate(moved):
                if force[p] <= fixed_until_ns:
                    return None
                begin[p] += by_ns if n else 0
                force[p] += by_ns
    rest = range(block + 1, len(table.blocks))
    spare = [_slack_ns(table, begin, force, b) for b in rest]
    loss = share(min(by_ns, sum(spare)), spare)
    late = by_ns
    for b, lost in zip(rest, loss, strict=True):
        for ring in table.blocks[b]:
            own = [max(0, force[p] - begin[p] - table.phases[p].floor_ns) for p in ring]
            moved_by = late
            for p, gives in zip(ring, share(lost, own), strict=True):
                begin[p] += moved_by
                moved_by -= gives
                force[p] += moved_by
        late -= lost
    return Layout(layout.zero_ns, layout.length_ns, tuple(begin), tuple(force))


def sooner(
    table: PhaseTable,
    layout: Layout,
    first: int,
    last: int,
    need_ns: int,
    most_ns: int,
    fixed_until_ns: int,
) -> tuple[Layout, int]:
    """`layout` with the blocks `first` to `last` shortened by `need_ns` in all; and by how much they really are.

    Each phase loses `most_ns` at most and nothing below its floor; the block after `last` begins earlier and ends as planned.
    """
    begin, force = list(layout.begin_ns), list(layout.force_ns)
    early = 0
    for b in range(first, last + 1):
        rings = [ring for ring in table.blocks[b] if ring]
        room = []
        for ring in rings:
            gives = [_cut_ns(table, begin, force, p, most_ns, fixed_until_ns) for p in ring]
            room.append(gives)
        cut = max(0, min([need_ns - early, *(sum(gives) for gives in room)]))
        for ring, gives in zip(rings, room, strict=True):
            moved_by, rest = early, cut
            for p, most in zip(ring, gives, strict=True):
                begin[p] -= moved_by
                taken = min(rest, most)
                moved_by, rest = moved_by + taken, rest - taken
                force[p] -= moved_by
        early += cut
    return Layout(layout.zero_ns, layout.length_ns, tuple(begin), tuple(force)), early


def _slack_ns(table: PhaseTable, begin: list[int], force: list[int], block: int) -> int:
    return min(
        max(0, sum(force[p] - begin[p] - table.phases[p].floor_ns for p in ring))
        for ring in table.blocks[block]
        if ring
    )


def _cut_ns(
    table: PhaseTable, begin: list[int], force: list[int], p: int, most_ns: int, fixed_ns: int
) -> int:
    # People who may be walking need their clearance after the end of their walk, which may have been announced.
    clear = max((table.timing.clear_ns[k] for k in table.phases[p].walkers), default=0)
    lowest = max(begin[p] + table.phases[p].floor_ns, fixed_ns + clear)
    return max(0, min(most_ns, force[p] - lowest)) if force[p] - clear > fixed_ns else 0
