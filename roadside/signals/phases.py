"""A working fixed-time plan for any signalised junction, from nothing but its geometry.

Stages come from colouring the graph of groups that must not be green together with as few stages as can be found; groups
are tried in a fixed order, so the same map always gets the same plan. Left turns with a group of their own are protected; groups that mix movements share
a green with the oncoming ones and are shown permissive. Pedestrians join the first stage that is free of them, or get one of
their own. Greens follow Webster's cycle (Webster 1958), C = (1.5 L + 5) / (1 - Y), from given flows or from typical ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil
from typing import Final

import numpy as np

from protocols.roads.network import Bool, RoadNetwork
from roadside.signals.config import PedestrianPlan, SignalPlan, StagePlan, practice
from roadside.signals.layout import (
    JunctionLayout,
    group_junctions,
    junction_layout,
)
from roadside.signals.timing import compile_plan

THROUGH_VPH_PER_LANE: Final = 300.0  # typical urban flows, used where none are given
FAR_TURN_VPH_PER_LANE: Final = 120.0
MIN_CYCLE_S: Final = 40.0
MAX_CYCLE_S: Final = (
    120.0  # longer cycles only lengthen queues and tempt pedestrians to cross on red
)
SEARCH_NODES: Final = 5000  # effort per number of stages; a four-leg junction needs some dozens
MAX_FLOW_RATIO: Final = 0.9  # above it Webster's formula diverges


def default_plans(net: RoadNetwork, skip: Collection[str] = ()) -> tuple[SignalPlan, ...]:
    """A plan for every junction with signal groups whose id and name are not in `skip`."""
    plans = []
    signalised = set(group_junctions(net).tolist())
    for j, (junction, name) in enumerate(zip(net.junctions.id, net.junctions.name, strict=True)):
        if junction in skip or name in skip or j not in signalised:
            continue
        plan = default_plan(net, j)
        if plan is not None:
            plans.append(plan)
    return tuple(plans)


def default_plan(
    net: RoadNetwork, junction: int, flow_vph: Mapping[str, float] | None = None
) -> SignalPlan | None:
    """A fixed plan of junction index `junction`; None where it has no signal groups.

    `flow_vph`: flow per group id or name, typical where missing; ConfigError for a flow of an unknown group.
    """
    layout = junction_layout(net, junction)
    if layout.num_groups == 0:
        return None
    stages = stage_groups(layout)
    flows = {
        layout.local(name, "default plan: flow_vph"): flow
        for name, flow in sorted((flow_vph or {}).items())
    }
    change_s = practice("yellow_s") + practice("all_red_s")
    greens = _webster(layout, stages, flows, change_s * len(stages) if len(stages) > 1 else 0.0)
    plan = SignalPlan(
        junction=layout.id,
        mode="fixed",
        stages=tuple(
            StagePlan(
                name=f"stage{i + 1}",
                groups=tuple(layout.group_id[k] for k in members),
                permissive=tuple(layout.group_id[k] for k in permissive_in(layout, members)),
                green_s=green,
                min_green_s=practice("min_green_s"),
                max_green_s=max(practice("max_green_s"), green),
            )
            for i, (members, green) in enumerate(zip(stages, greens, strict=True))
        ),
        pedestrians=tuple(
            PedestrianPlan(group=layout.group_id[k], recall=True)
            for k in range(layout.num_groups)
            if layout.is_pedestrian[k]
        ),
    )
    compile_plan(net, plan, "default plan")  # our own invariant: a derived plan passes every check
    return plan


def stage_groups(layout: JunctionLayout) -> list[list[int]]:
    """Local groups of each stage; every group is in one at least, and no stage holds groups that need separating."""
    apart = layout.exclusive.copy()
    for a in range(layout.num_groups):
        if layout.only_far_turns[a]:
            apart[a] |= layout.must_yield[a]  # a left-turn arrow deserves protection
    apart |= apart.T
    vehicles = [k for k in range(layout.num_groups) if not layout.is_pedestrian[k]]
    # Through movements first: they pair with the oncoming ones, and left turns then pair among themselves.
    vehicles.sort(key=lambda k: (bool(layout.only_far_turns[k]), k))
    stages = _fewest(vehicles, apart)
    # Pedestrians walk in the longest stage that is free of them: through traffic before left turns.
    stages.sort(key=lambda members: -_flow_ratio(layout, members, {}))
    for k in range(layout.num_groups):
        if layout.is_pedestrian[k]:
            _place(stages, k, apart)
    # A vehicle group may also run where it meets nobody at all, such as a right turn beside a left-turn stage.
    for members in stages:
        for k in vehicles:
            if k not in members and layout.num_lanes[k] and not _meets_any(layout, k, members):
                members.append(k)
        members.sort()
    return stages


def _fewest(order: Sequence[int], apart: Bool) -> list[list[int]]:
    """The first colouring in `order` that needs fewest stages; large junctions take the first that fits."""
    plain: list[list[int]] = []
    for k in order:
        _place(plain, k, apart)
    for count in range(1, len(plain)):
        budget = [SEARCH_NODES]
        found = _search(order, 0, [], count, apart, budget)
        if found is not None:
            return found
        if budget[0] <= 0:
            break
    return plain


def _search(
    order: Sequence[int],
    at: int,
    stages: list[list[int]],
    count: int,
    apart: Bool,
    budget: list[int],
) -> list[list[int]] | None:
    budget[0] -= 1
    if at == len(order) or budget[0] <= 0:
        return [list(members) for members in stages] if at == len(order) else None
    k = order[at]
    for members in stages:
        if not apart[k, members].any():
            members.append(k)
            found = _search(order, at + 1, stages, count, apart, budget)
            members.pop()
            if found is not None:
                return found
    if len(stages) == count:
        return None
    stages.append([k])
    found = _search(order, at + 1, stages, count, apart, budget)
    stages.pop()
    return found


def _meets_any(layout: JunctionLayout, k: int, members: Sequence[int]) -> bool:
    either = layout.exclusive[k] | layout.must_yield[k] | layout.must_yield[:, k]
    return bool(either[list(members)].any())


def _place(stages: list[list[int]], k: int, apart: Bool) -> None:
    for members in stages:
        if not apart[k, members].any():
            members.append(k)
            return
    stages.append([k])


def permissive_in(layout: JunctionLayout, members: Sequence[int]) -> list[int]:
    """Groups of one stage that give way to another of it (or to themselves)."""
    inside = np.asarray(members, dtype=np.int64)
    return [k for k in members if layout.must_yield[k, inside].any()]


def _webster(
    layout: JunctionLayout, stages: list[list[int]], flows: Mapping[int, float], lost_s: float
) -> list[float]:
    """Greens in whole seconds."""
    ratios = [_flow_ratio(layout, members, flows) for members in stages]
    floors = []
    for members in stages:
        clears = [layout.crossing_m[k] for k in members if layout.is_pedestrian[k]]
        walks = [
            practice("walk_s") + ceil(clear_m / practice("walking_speed_mps")) for clear_m in clears
        ]
        floors.append(max([practice("min_green_s"), *walks]))
    total = min(sum(ratios), MAX_FLOW_RATIO)
    cycle_s = min(MAX_CYCLE_S, max(MIN_CYCLE_S, (1.5 * lost_s + 5.0) / (1.0 - total)))
    webster = max(0.0, cycle_s - lost_s) / sum(ratios)
    # Where a pedestrian green outgrows its share, the others grow with it as far as the longest cycle allows.
    scale = max([webster, *(f / r for f, r in zip(floors, ratios, strict=True))])
    while scale > webster:
        if (
            sum(max(f, r * scale) for f, r in zip(floors, ratios, strict=True))
            <= MAX_CYCLE_S - lost_s
        ):
            break
        scale = max(webster, 0.97 * scale)
    return [float(round(max(f, r * scale))) for f, r in zip(floors, ratios, strict=True)]


def _flow_ratio(
    layout: JunctionLayout, members: Sequence[int], flows: Mapping[int, float]
) -> float:
    """Critical flow ratio of a stage: the largest flow over saturation flow of its vehicle groups."""
    ratio = 0.02  # a stage for pedestrians alone still has its share
    for k in members:
        if layout.is_pedestrian[k]:
            continue
        lanes = max(1, int(layout.num_lanes[k]))
        usual = FAR_TURN_VPH_PER_LANE if layout.only_far_turns[k] else THROUGH_VPH_PER_LANE
        ratio = max(ratio, flows.get(k, usual * lanes) / (lanes * practice("saturation_flow_vph")))
    return ratio
