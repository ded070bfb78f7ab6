"""Phases, rings, barriers and plans of one junction, compiled to integer nanoseconds for `roadside.signals.rings`.

In: a `SignalPlan` and the road network. Out: `PhaseTable`. A stage plan is one ring with a barrier after every stage; a ring
plan has what it says (NEMA TS 2 section 3: a barrier is crossed by all rings at once). What may be green together is checked
by `compile_plan` against the conflicts of the map; here the plans are checked: splits of all rings add up to the same time
between two barriers, hold minimum greens and pedestrians, and sum to the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from protocols.errors import ConfigError
from protocols.roads.network import RoadNetwork
from protocols.sentence import phrase, say
from roadside.signals.config import SignalPlan, StagePlan, steps_ns
from roadside.signals.durations import practice
from roadside.signals.layout import JunctionLayout
from roadside.signals.operation import FREE, OperationPlan, PatternPlan, PhasePlan
from roadside.signals.timing import (
    PERMISSIVE,
    PROTECTED,
    RED,
    Timing,
    check_conflicts,
    compile_plan,
)


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: `level` is the light of each group (G,) while it is green."""

    name: str
    level: tuple[int, ...]
    groups: frozenset[int]
    vehicles: tuple[int, ...]
    walkers: tuple[int, ...]
    min_ns: int
    max_ns: int
    floor_ns: int  # least green with everybody walking
    passage_ns: int
    recall: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """One plan with a cycle; `split_ns` (P,) is 0 for the inserted phase."""

    name: str
    cycle_ns: int
    offset_ns: int
    split_ns: tuple[int, ...]
    coordinated: frozenset[int]


@dataclass(frozen=True, slots=True)
class PhaseTable:
    """P phases, R rings, B blocks (what lies between two barriers)."""

    plan: SignalPlan
    timing: Timing
    phases: tuple[Phase, ...]
    blocks: tuple[tuple[tuple[int, ...], ...], ...]  # (B, R) phases in order
    dual_entry: bool
    patterns: tuple[Pattern, ...]
    insert: int  # phase that runs on request only, -1: none
    insert_after: frozenset[int]  # blocks it may follow
    insert_ns: int
    operation: OperationPlan
    red_flash: frozenset[int]
    yellow_ns: int
    all_red_ns: int
    walk_recall: tuple[bool, ...]
    min_green_ns: tuple[int, ...]  # (G,) walk for pedestrians
    clearance_ns: tuple[tuple[int, ...], ...]  # (G, G) from red of a to green of b; -1: no conflict
    _pairs: dict[tuple[int, int], int]
    _changes: dict[tuple[frozenset[int], frozenset[int]], int] = field(default_factory=dict)

    @property
    def layout(self) -> JunctionLayout:
        """Groups and conflicts."""
        return self.timing.layout

    @property
    def num_rings(self) -> int:
        """Number of rings R."""
        return len(self.blocks[0])

    def pattern(self, name: str) -> int:
        """Number of the plan called `name`; -1 for running free, which 'base' means where stages have no cycle."""
        return next((n for n, p in enumerate(self.patterns) if p.name == name), -1)

    def with_patterns(self, patterns: tuple[Pattern, ...]) -> PhaseTable:
        """The same phases with other plans."""
        fields = {name: getattr(self, name) for name in PhaseTable.__slots__}
        return PhaseTable(**{**fields, "patterns": patterns})

    def change_ns(self, old: frozenset[int], new: frozenset[int]) -> int:
        """From the end of green of groups `old` to the start of those that `new` adds."""
        key = (old, new)
        found = self._changes.get(key)
        if found is None:
            lost, gained = old - new, new - old
            usual = self.yellow_ns + self.all_red_ns
            walkers = self.layout.is_pedestrian
            times = [self.all_red_ns if walkers[k] else usual for k in lost]
            times += [self._pairs.get((a, b), 0) for a in lost for b in gained]
            found = self._changes[key] = max(times, default=0)
        return found


def phase_table(net: RoadNetwork, plan: SignalPlan, where: str = "signal plan") -> PhaseTable:
    """Compile `plan`, of any mode; ConfigError with the key below `where` for what does not fit."""
    timing = compile_plan(net, plan, where)
    layout, size = timing.layout, timing.layout.num_groups
    where = f"{where} of junction '{plan.junction}'"
    is_ring = plan.rings is not None
    recall = list(timing.walk_recall)
    phases: list[Phase] = []
    if plan.rings is not None:
        for n, item in enumerate(plan.rings.phases):
            phases.append(_phase(item, timing, f"{where}: rings.phases[{n}]"))
            for k in phases[-1].walkers:
                recall[k] |= item.recall == "ped"
        number = {phase.name: n for n, phase in enumerate(phases)}
        blocks = tuple(
            tuple(tuple(number[name] for name in ring) for ring in block)
            for block in plan.rings.barriers
        )
    else:
        phases = [_stage_phase(plan, timing, i) for i in range(timing.num_stages)]
        blocks = tuple(((i,),) for i in range(timing.num_stages))
    insert, after = -1, frozenset[int]()
    extra = plan.priority.insert
    if extra is not None:
        least = min(extra.green_s, practice("min_green_s"))
        item = PhasePlan(
            name="insert", groups=extra.groups, min_green_s=least, max_green_s=extra.green_s
        )
        insert = len(phases)
        phases.append(_phase(item, timing, f"{where}: priority.insert"))
        stage = StagePlan(
            name="insert", groups=extra.groups, green_s=extra.green_s, min_green_s=least
        )
        check_conflicts([stage], layout, [phases[insert].level], f"{where}: priority.insert")
        after = _after(extra.after, phases, blocks, f"{where}: priority.insert.after")
    operation = plan.operation or OperationPlan()
    pairs = {
        (layout.local(i.from_group, where), layout.local(i.to_group, where)): steps_ns(
            i.intergreen_s
        )
        for i in plan.intergreens
    }
    yellow, all_red = steps_ns(plan.yellow_s), steps_ns(plan.all_red_s)
    clearance = [
        [
            all_red
            if layout.exclusive[a, b] or layout.must_yield[a, b] or layout.must_yield[b, a]
            else -1
            for b in range(size)
        ]
        for a in range(size)
    ]
    for (a, b), least_ns in pairs.items():
        rest = least_ns - (0 if layout.is_pedestrian[a] else yellow)
        clearance[a][b] = max(clearance[a][b], rest)
    table = PhaseTable(
        plan=plan,
        timing=timing,
        phases=tuple(phases),
        blocks=blocks,
        dual_entry=plan.rings.dual_entry if plan.rings is not None else False,
        patterns=(),
        insert=insert,
        insert_after=after,
        insert_ns=0 if extra is None else steps_ns(extra.green_s),
        operation=operation,
        red_flash=frozenset(
            layout.local(name, f"{where}: operation.red_flash_groups[{n}]")
            for n, name in enumerate(operation.red_flash_groups)
        ),
        yellow_ns=yellow,
        all_red_ns=all_red,
        walk_recall=tuple(recall),
        min_green_ns=tuple(
            timing.walk_ns[k]
            if layout.is_pedestrian[k]
            else min((p.min_ns for p in phases if k in p.groups), default=0)
            for k in range(size)
        ),
        clearance_ns=tuple(tuple(row) for row in clearance),
        _pairs=pairs,
    )
    patterns: list[Pattern] = []
    if plan.mode == "fixed":
        begin = [*timing.begin_ns, timing.cycle_ns]
        splits = [begin[i + 1] - begin[i] for i in range(timing.num_stages)]
        splits += [0] * (len(phases) - len(splits))
        offset = timing.offset_ns % timing.cycle_ns
        patterns.append(Pattern("base", timing.cycle_ns, offset, tuple(splits), frozenset()))
    patterns += [
        _pattern(table, pattern, is_ring, f"{where}: plans[{n}] ('{pattern.name}')")
        for n, pattern in enumerate(plan.plans)
    ]
    _check_schedule(plan, where)
    return table.with_patterns(tuple(patterns))


def changes_after(table: PhaseTable) -> tuple[int, ...]:
    """(P,) change after each phase in the planned order; 0 for the inserted one."""
    out = [0] * len(table.phases)
    for b, block in enumerate(table.blocks):
        following = table.blocks[(b + 1) % len(table.blocks)]
        last = _union(table, [ring[-1] for ring in block if ring])
        first = _union(table, [ring[0] for ring in following if ring])
        for ring in block:
            for p, q in pairwise(ring):
                out[p] = table.change_ns(table.phases[p].groups, table.phases[q].groups)
            if ring:
                out[ring[-1]] = table.change_ns(last, first)
    return tuple(out)


def _union(table: PhaseTable, phases: list[int]) -> frozenset[int]:
    return frozenset().union(*(table.phases[p].groups for p in phases))


def _phase(item: PhasePlan, timing: Timing, where: str) -> Phase:
    layout = timing.layout
    level = [RED] * layout.num_groups
    for n, name in enumerate(item.groups):
        level[layout.local(name, f"{where}.groups[{n}]")] = PROTECTED
    for n, name in enumerate(item.permissive):
        level[layout.local(name, f"{where}.permissive[{n}]")] = PERMISSIVE
    return _make(
        item.name,
        tuple(level),
        timing,
        steps_ns(item.min_green_s),
        steps_ns(item.max_green_s),
        steps_ns(item.passage_s),
        item.recall,
    )


def _stage_phase(plan: SignalPlan, timing: Timing, i: int) -> Phase:
    stage = plan.stages[i]
    return _make(
        stage.name,
        timing.level[i],
        timing,
        timing.min_ns[i],
        timing.max_ns[i],
        steps_ns(plan.gap_s),
        "min" if stage.recall else "none",
    )


def _make(
    name: str,
    level: tuple[int, ...],
    timing: Timing,
    min_ns: int,
    max_ns: int,
    passage_ns: int,
    recall: str,
) -> Phase:
    green = [k for k, light in enumerate(level) if light != RED]
    walkers = tuple(k for k in green if timing.layout.is_pedestrian[k])
    floor = max([min_ns, *(timing.walk_ns[k] + timing.clear_ns[k] for k in walkers)])
    return Phase(
        name=name,
        level=level,
        groups=frozenset(green),
        vehicles=tuple(k for k in green if k not in walkers),
        walkers=walkers,
        min_ns=min_ns,
        max_ns=max(max_ns, floor),
        floor_ns=floor,
        passage_ns=passage_ns,
        recall=recall,
    )


def _after(
    names: tuple[str, ...],
    phases: list[Phase],
    blocks: tuple[tuple[tuple[int, ...], ...], ...],
    where: str,
) -> frozenset[int]:
    if not names:
        return frozenset(range(len(blocks)))
    last = {phases[ring[-1]].name: b for b, block in enumerate(blocks) for ring in block if ring}
    for n, name in enumerate(names):
        if name not in last:
            raise ConfigError(
                say(
                    "{where}[{n}]: '{name}' is not the last phase before a barrier. Use one of {names}.",
                    where=where, n=n, name=name, names=", ".join(last),
                )
            )  # fmt: skip
    return frozenset(last[name] for name in names)


def _pattern(table: PhaseTable, pattern: PatternPlan, is_ring: bool, where: str) -> Pattern:
    names = [phase.name for n, phase in enumerate(table.phases) if n != table.insert]
    kind = phrase("phase") if is_ring else phrase("stage")
    if sorted(pattern.split_s) != sorted(names):
        odd = sorted(set(pattern.split_s) ^ set(names))[0]
        raise ConfigError(
            say(
                "{where}.split_s: found {found}; expected one split for every {kind!s}: {names} ('{odd}' differs).",
                where=where, found=sorted(pattern.split_s), kind=kind, names=sorted(names), odd=odd,
            )
        )  # fmt: skip
    change = changes_after(table)
    split = [0] * len(table.phases)
    for p, phase in enumerate(table.phases):
        if p == table.insert:
            continue
        split[p] = steps_ns(pattern.split_s[phase.name])
        if split[p] < phase.floor_ns + change[p]:
            raise ConfigError(
                say(
                    "{where}.split_s: {kind!s} '{name}' has {split_s:.1f} s, but needs {floor_s:.1f} s of green for minimum "
                    "and pedestrians and {change_s:.1f} s of change. Lengthen the split.",
                    where=where, kind=kind, name=phase.name, split_s=split[p] / 1e9, floor_s=phase.floor_ns / 1e9,
                    change_s=change[p] / 1e9,
                )
            )  # fmt: skip
    total = 0
    for b, block in enumerate(table.blocks):
        sums = [sum(split[p] for p in ring) for ring in block if ring]
        if len(set(sums)) > 1:
            raise ConfigError(
                say(
                    "{where}.split_s: between barriers {first} and {second} the rings last {names}; all rings have to cross "
                    "a barrier at the same time.",
                    where=where, first=b, second=b + 1, names=" and ".join(f"{s / 1e9:.1f} s" for s in sums),
                )
            )  # fmt: skip
        total += sums[0]
    if total != steps_ns(pattern.cycle_s):
        raise ConfigError(
            say(
                "{where}: cycle_s = {cycle_s} s, but the splits add up to {total_s:.1f} s. Correct one of them.",
                where=where, cycle_s=pattern.cycle_s, total_s=total / 1e9,
            )
        )  # fmt: skip
    first = {phase for ring in table.blocks[0] for phase in ring}
    chosen: set[int] = set()
    for n, name in enumerate(pattern.coordinated):
        if name not in names or names.index(name) not in first:
            raise ConfigError(
                say(
                    "{where}.coordinated[{n}]: '{name}' is no {kind!s} of the first part; coordinated ones have to be "
                    "there: {names}.",
                    where=where, n=n, name=name, kind=kind, names=", ".join(table.phases[p].name for p in sorted(first)),
                )
            )  # fmt: skip
        chosen.add(names.index(name))
    if chosen and table.plan.mode == "fixed":
        raise ConfigError(
            say("{where}.coordinated: a fixed plan runs every stage to its end; use mode 'actuated' or 'ring_barrier'.", where=where)
        )  # fmt: skip
    offset = steps_ns(pattern.offset_s)
    return Pattern(pattern.name, total, offset, tuple(split), frozenset(chosen))


def _check_schedule(plan: SignalPlan, where: str) -> None:
    if plan.mode == "fixed" and any(entry.run == FREE for entry in plan.schedule):
        raise ConfigError(
            say("{where}: schedule runs 'free', but a fixed plan has no detectors to run by; use mode 'actuated'.", where=where)
        )  # fmt: skip
