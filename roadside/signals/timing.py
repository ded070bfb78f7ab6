"""A signal plan checked against its junction and compiled to integer nanoseconds.

In: a `SignalPlan` and the road network. Out: `Timing`, tables that the controller, the forecast and the fixed-time bank read.
Stage i is green for some time; then the groups that stage j does not have go yellow and red, and after `change_ns[i][j]` all
groups that j adds turn green together. Groups in both stay green. A pedestrian group walks from the start of the stage, and
its clearance (shown YELLOW) ends with the stage at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from protocols.errors import ConfigError
from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from protocols.sentence import phrase, say
from roadside.signals.config import STEP_NS, SignalPlan, StagePlan, practice, steps_ns
from roadside.signals.layout import JunctionLayout, junction_index, junction_layout

RED = int(Light.RED)
YELLOW = int(Light.YELLOW)
PERMISSIVE = int(Light.GREEN_PERMISSIVE)
PROTECTED = int(Light.GREEN_PROTECTED)


@dataclass(frozen=True, slots=True)
class Timing:
    """Tables of one junction: S stages, G local groups; all times in ns."""

    plan: SignalPlan
    layout: JunctionLayout
    is_fixed: bool
    level: tuple[tuple[int, ...], ...]  # (S, G) light of each group while the stage is green
    green_ns: tuple[int, ...]  # (S,) planned green
    floor_ns: tuple[int, ...]  # (S,) least green: minimum, and walk plus clearance where they run
    min_ns: tuple[int, ...]  # (S,) least green without pedestrians
    max_ns: tuple[int, ...]
    begin_ns: tuple[int, ...]  # (S,) start of green within the cycle (fixed plan)
    change_ns: tuple[tuple[int, ...], ...]  # (S, S)
    cycle_ns: int
    offset_ns: int
    yellow_ns: int
    walk_ns: tuple[int, ...]  # (G,) 0 for vehicles
    clear_ns: tuple[int, ...]
    walk_recall: tuple[bool, ...]
    asked: frozenset[int]  # groups that priority may be asked for

    @property
    def num_stages(self) -> int:
        """Number of stages S."""
        return len(self.green_ns)

    def has(self, stage: int, group: int) -> bool:
        """Whether `group` is green in `stage`."""
        return self.level[stage][group] != RED

    def begin_of(self, run: int) -> int:
        """Planned start of green of the run-th stage since the offset (fixed plan)."""
        cycle, stage = divmod(run, self.num_stages)
        return self.offset_ns + cycle * self.cycle_ns + self.begin_ns[stage]


def compile_plan(net: RoadNetwork, plan: SignalPlan, where: str = "signal plan") -> Timing:
    """Check `plan` against its junction and compile it.

    Raises ConfigError, with the key path below `where`, for unknown groups, groups that no stage serves, conflicting greens,
    greens shorter than their pedestrians need, a cycle that does not add up, and reds above the cap. The stages of a ring
    plan are the pairs of phases that its rings may show together.
    """
    asked_for, is_ring = plan, plan.mode == "ring_barrier"
    if is_ring:
        plan = plan.model_copy(update={"stages": ring_stages(plan)})
    layout = junction_layout(net, junction_index(net, plan.junction))
    where = f"{where} of junction '{plan.junction}'"
    size = layout.num_groups
    if size == 0:
        raise ConfigError(
            say(
                "{where}: junction '{junction}' of road network '{network}' has no signal groups. Remove the plan or add "
                "signals with a controller to the road file.",
                where=where, junction=plan.junction, network=net.name,
            )
        )  # fmt: skip
    walk, clear, recall = _pedestrians(plan, layout, where)
    level = _levels(plan, layout, where)
    check_conflicts(plan.stages, layout, level, where)
    change = _changes(plan, layout, level, where)

    stages = range(len(plan.stages))
    green = tuple(steps_ns(stage.green_s) for stage in plan.stages)
    minimum = tuple(steps_ns(stage.min_green_s) for stage in plan.stages)
    floor = tuple(
        max([minimum[i], *(walk[k] + clear[k] for k in range(size) if level[i][k] != RED)])
        for i in stages
    )
    for i in stages:
        if green[i] < floor[i] and not is_ring:
            raise ConfigError(
                say(
                    "{where}: stages[{i}].green_s = {green_s} s is shorter than walk plus clearance of its pedestrian "
                    "groups, {floor_s:.1f} s. Lengthen the green or shorten pedestrians[].walk_s.",
                    where=where, i=i, green_s=plan.stages[i].green_s, floor_s=floor[i] / 1e9,
                )
            )  # fmt: skip
    begin: list[int] = []
    at = 0
    for i in stages:
        begin.append(at)
        at += green[i] + change[i][(i + 1) % len(stages)]
    if plan.cycle_s is not None and steps_ns(plan.cycle_s) != at:
        raise ConfigError(
            say(
                "{where}: cycle_s = {cycle_s} s, but greens and changes add up to {total_s:.1f} s. Correct the greens or "
                "the cycle.",
                where=where, cycle_s=plan.cycle_s, total_s=at / 1e9,
            )
        )  # fmt: skip
    asked = frozenset(
        layout.local(name, f"{where}: priority.groups[{n}]")
        for n, name in enumerate(plan.priority.groups)
    ) or frozenset(k for k in range(size) if not layout.is_pedestrian[k])
    timing = Timing(
        plan=asked_for,
        layout=layout,
        is_fixed=plan.mode == "fixed",
        level=level,
        green_ns=green,
        floor_ns=floor,
        min_ns=minimum,
        max_ns=tuple(
            max(steps_ns(s.max_green_s), f) for s, f in zip(plan.stages, floor, strict=True)
        ),
        begin_ns=tuple(begin),
        change_ns=change,
        cycle_ns=at,
        offset_ns=steps_ns(plan.offset_s),
        yellow_ns=steps_ns(plan.yellow_s),
        walk_ns=walk,
        clear_ns=clear,
        walk_recall=recall,
        asked=asked,
    )
    if plan.priority.enabled and not is_ring:
        _check_red_cap(timing, where)
    return timing


def ring_stages(plan: SignalPlan) -> tuple[StagePlan, ...]:
    """What the rings of `plan` may show together: one phase of each ring between the same two barriers."""
    assert plan.rings is not None
    phases = {phase.name: phase for phase in plan.rings.phases}
    out: list[StagePlan] = []
    for block in plan.rings.barriers:
        for names in product(*(ring or (None,) for ring in block)):
            together = [phases[name] for name in names if name is not None]
            groups = tuple(dict.fromkeys(g for phase in together for g in phase.groups))
            givers = [{g for g in p.groups if g not in p.permissive} for p in together]
            least = min(phase.min_green_s for phase in together)
            out.append(
                StagePlan(
                    name="+".join(phase.name for phase in together),
                    groups=groups,
                    # Protected where one of the phases protects it.
                    permissive=tuple(g for g in groups if not any(g in kept for kept in givers)),
                    green_s=least,
                    min_green_s=least,
                    max_green_s=max(phase.max_green_s for phase in together),
                )
            )
    return tuple(out)


def worst_red_ns(timing: Timing, group: int) -> int:
    """Longest wait of `group` without priority: all other stages at their longest, every change included."""
    longest = timing.green_ns if timing.is_fixed else timing.max_ns
    count = timing.num_stages
    worst = run = 0
    for i in range(2 * count):
        stage = i % count
        run = 0 if timing.has(stage, group) else run + longest[stage]
        run += timing.change_ns[stage][(stage + 1) % count]
        worst = max(worst, run)
    return worst


def _pedestrians(
    plan: SignalPlan, layout: JunctionLayout, where: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]:
    size = layout.num_groups
    walk, clear, recall = [0] * size, [0] * size, [False] * size
    for k in range(size):
        if layout.is_pedestrian[k]:
            walk[k] = steps_ns(practice("walk_s"))
            clear[k] = _crossing_ns(layout, k)
    for n, item in enumerate(plan.pedestrians):
        k = layout.local(item.group, f"{where}: pedestrians[{n}].group")
        if not layout.is_pedestrian[k]:
            raise ConfigError(
                say(
                    "{where}: pedestrians[{n}].group = '{group}' holds no crossing, or holds vehicles too. Name a group "
                    "whose heads stand at a crossing.",
                    where=where, n=n, group=item.group,
                )
            )  # fmt: skip
        walk[k] = steps_ns(item.walk_s)
        clear[k] = (
            _crossing_ns(layout, k) if item.clearance_s is None else steps_ns(item.clearance_s)
        )
        recall[k] = item.recall
    return tuple(walk), tuple(clear), tuple(recall)


def _crossing_ns(layout: JunctionLayout, k: int) -> int:
    steps = layout.crossing_m[k] / practice("walking_speed_mps") * 1e9 / STEP_NS
    return int(-(-steps // 1)) * STEP_NS


def _levels(plan: SignalPlan, layout: JunctionLayout, where: str) -> tuple[tuple[int, ...], ...]:
    rows: list[tuple[int, ...]] = []
    for i, stage in enumerate(plan.stages):
        row = [RED] * layout.num_groups
        for n, name in enumerate(stage.groups):
            row[layout.local(name, f"{where}: stages[{i}].groups[{n}]")] = PROTECTED
        for n, name in enumerate(stage.permissive):
            row[layout.local(name, f"{where}: stages[{i}].permissive[{n}]")] = PERMISSIVE
        rows.append(tuple(row))
    for k in range(layout.num_groups):
        if all(row[k] == RED for row in rows):
            raise ConfigError(
                say(
                    "{where}: stages never give green to group '{group_id}' ({group_name}). Add it to a stage.",
                    where=where, group_id=layout.group_id[k], group_name=layout.group_name[k],
                )
            )  # fmt: skip
    return tuple(rows)


def check_conflicts(
    stages: Sequence[StagePlan],
    layout: JunctionLayout,
    level: Sequence[tuple[int, ...]],
    where: str,
) -> None:
    """ConfigError where a stage, shown as its row of `level`, lets conflicting groups be green together."""
    for i, row in enumerate(level):
        green = [k for k, light in enumerate(row) if light != RED]
        permissive = frozenset(k for k in green if row[k] == PERMISSIVE)
        for n, a in enumerate(green):
            for b in green[n:]:
                if layout.may_share_green(a, b, permissive):
                    continue
                names = [layout.group_name[k] or layout.group_id[k] for k in (a, b)]
                if layout.exclusive[a, b]:
                    cure = phrase("Put them into different stages.")
                else:
                    waits = a if layout.must_yield[a, b] else b
                    cure = say(
                        "List '{group}' in stages[{i}].permissive or put them into different stages.",
                        group=layout.group_name[waits] or layout.group_id[waits], i=i,
                    )  # fmt: skip
                raise ConfigError(
                    say(
                        "{where}: stages[{i}] ('{name}') gives green to '{one}' and '{other}', whose paths conflict. "
                        "{cure!s}",
                        where=where, i=i, name=stages[i].name, one=names[0], other=names[1], cure=cure,
                    )
                )  # fmt: skip


def _changes(
    plan: SignalPlan, layout: JunctionLayout, level: tuple[tuple[int, ...], ...], where: str
) -> tuple[tuple[int, ...], ...]:
    pair = {
        (
            layout.local(item.from_group, f"{where}: intergreens[{n}].from_group"),
            layout.local(item.to_group, f"{where}: intergreens[{n}].to_group"),
        ): steps_ns(item.intergreen_s)
        for n, item in enumerate(plan.intergreens)
    }
    all_red = steps_ns(plan.all_red_s)
    usual = steps_ns(plan.yellow_s) + all_red
    rows: list[tuple[int, ...]] = []
    for old in level:
        row: list[int] = []
        for new in level:
            lost = [k for k in range(layout.num_groups) if old[k] != RED and new[k] == RED]
            gained = [k for k in range(layout.num_groups) if old[k] == RED and new[k] != RED]
            # Pedestrians have cleared when the stage ends; what is left is the all-red.
            times = [all_red if layout.is_pedestrian[k] else usual for k in lost]
            times += [pair.get((a, b), 0) for a in lost for b in gained]
            row.append(max(times, default=0))
        rows.append(tuple(row))
    return tuple(rows)


def _check_red_cap(timing: Timing, where: str) -> None:
    cap = steps_ns(timing.plan.priority.side_max_red_s)
    for k in range(timing.layout.num_groups):
        worst = worst_red_ns(timing, k)
        if worst > cap:
            raise ConfigError(
                say(
                    "{where}: priority.side_max_red_s = {side_max_red_s} s, but group '{group_id}' ({group_name}) waits up "
                    "to {worst_s:.1f} s without any priority. Raise the cap or shorten the other stages.",
                    where=where, side_max_red_s=timing.plan.priority.side_max_red_s, group_id=timing.layout.group_id[k],
                    group_name=timing.layout.group_name[k], worst_s=worst / 1e9,
                )
            )  # fmt: skip
