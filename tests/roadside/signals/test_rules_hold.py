"""Whatever traffic, push buttons and buses do, no phase rule is broken; the referee knows the rules from this file alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.signals import PhaseMonitor, PhaseRules, PriorityRequest, phase_rules
from tests.roadside.signals.crossroads_plans import (
    STEP_NS,
    controller,
    group,
    network,
    plan,
    priority,
)

LEGS = "ENWS"
# Movements that cross or merge on the four-leg junction, drawn by hand: left of X against left and through of the next legs
# and the oncoming through; through against both crossing throughs; pedestrians against what uses their leg on green.
HAND = [
    ("E.through", "N.through"), ("E.through", "S.through"), ("W.through", "N.through"),
    ("W.through", "S.through"), ("E.left", "W.through"), ("W.left", "E.through"),
    ("N.left", "S.through"), ("S.left", "N.through"), ("E.left", "S.through"),
    ("N.left", "E.through"), ("W.left", "N.through"), ("S.left", "W.through"),
    ("E.left", "N.left"), ("N.left", "W.left"), ("W.left", "S.left"), ("S.left", "E.left"),
    ("E.ped", "E.through"), ("E.ped", "E.left"), ("E.ped", "W.through"),
    ("W.ped", "W.through"), ("W.ped", "W.left"), ("W.ped", "E.through"),
    ("N.ped", "N.through"), ("N.ped", "N.left"), ("N.ped", "S.through"),
    ("S.ped", "S.through"), ("S.ped", "S.left"), ("S.ped", "N.through"),
]  # fmt: skip
CAP_S = 110.0


def hand_rules(max_red_s: float | None) -> PhaseRules:
    """The rules of the test plan in plain numbers."""
    names = [f"{leg}.{kind}" for leg in LEGS for kind in ("left", "through", "ped")]
    names.sort(key=group)
    never = {(group(a), group(b)) for a, b in HAND} | {(group(b), group(a)) for a, b in HAND}
    return PhaseRules(
        min_green_ns=tuple(5_000_000_000 if "ped" in n else 7_000_000_000 for n in names),
        yellow_ns=tuple(11_700_000_000 if "ped" in n else 3_000_000_000 for n in names),
        max_red_ns=None if max_red_s is None else round(max_red_s * 1e9),
        never_together=frozenset(never),
        gives_way=frozenset(),
        clearance_ns=dict.fromkeys(never, 2_000_000_000),
    )


def test_conflicts_found_in_the_map_are_those_drawn_by_hand():
    found = phase_rules(network(), plan()).never_together
    # The oncoming left turn may share a green if it is permissive, which the hand list does not allow for.
    oncoming = {(group(a), group(b)) for a, b in HAND[4:8]}
    assert found | oncoming | {(b, a) for a, b in oncoming} == hand_rules(None).never_together


@st.composite
def worlds(draw: st.DrawFn) -> tuple[int, float, float, float, int]:
    """Seed, traffic density, push rate, bus rate, cycles between grants."""
    return (
        draw(st.integers(0, 2**32 - 1)),
        draw(st.sampled_from([0.0, 0.02, 0.2, 0.9])),
        draw(st.sampled_from([0.0, 0.002, 0.05])),
        draw(st.sampled_from([0.0, 0.01, 0.1])),
        draw(st.integers(1, 3)),
    )


def run(mode: str, world: tuple[int, float, float, float, int], seconds: int = 400) -> PhaseMonitor:
    """Random demand and a flood of bus requests for every vehicle group; the monitor that watched."""
    seed, density, push, buses, cycles = world
    rng = np.random.default_rng(seed)
    signal_plan = plan(
        mode,
        priority={
            "enabled": True,
            "max_extension_s": 15.0,
            "max_early_s": 10.0,
            "one_grant_per_cycles": cycles,
            "recovery_cycles": 1 + seed % 3,
            "side_max_red_s": CAP_S if mode == "fixed" else 200.0,
        },
    )
    machine = controller(signal_plan)
    layout = machine.timing.layout
    vehicles = np.flatnonzero(~layout.is_pedestrian)
    size = layout.num_groups
    has_detector = (~layout.is_pedestrian).tolist()
    monitor = PhaseMonitor(hand_rules(CAP_S if mode == "fixed" else 200.0))
    waiting = [False] * size
    open_requests: dict[int, PriorityRequest] = {}
    for step in range(seconds * 10):
        t_ns = step * STEP_NS
        occupied = (rng.random(size) < density).tolist()
        pressed = (rng.random(size) < push).tolist()
        requests = []
        if rng.random() < buses:
            station = int(rng.integers(1, 6))
            eta = t_ns + int(rng.integers(-20, 400)) * STEP_NS
            request = PriorityRequest(station, step, int(rng.choice(vehicles)), eta, 0.0)
            requests.append(request)
            open_requests[station] = request
        for station, old in sorted(open_requests.items()):
            if rng.random() < 0.1:
                moved = old.eta_ns + int(rng.integers(-30, 31)) * STEP_NS
                is_cancel = bool(rng.random() < 0.1)
                requests.append(
                    PriorityRequest(station, old.request_id, old.group, moved, 0.0, is_cancel)
                )
        light = machine.step(t_ns, occupied, pressed, requests, has_detector).tolist()
        machine.take_answers()
        for k in range(size):
            asks = occupied[k] if has_detector[k] else pressed[k]
            waiting[k] = light[k] == 2 and (waiting[k] or asks)
        monitor.step(t_ns, light, None if mode == "fixed" else waiting)
    return monitor


@given(worlds())
@settings(max_examples=8)
def test_fixed_plan_with_a_flood_of_requests_breaks_no_rule(world):
    assert run("fixed", world).violations == []


@given(worlds())
@settings(max_examples=8)
def test_actuated_plan_with_a_flood_of_requests_breaks_no_rule(world):
    assert run("actuated", world).violations == []


def test_priority_flood_of_the_main_road_changes_the_plan_and_keeps_every_rule():
    machine = controller(plan(priority=priority(one_grant_per_cycles=1, side_max_red_s=CAP_S)))
    size = machine.timing.layout.num_groups
    monitor = PhaseMonitor(hand_rules(CAP_S))
    late = 0
    for step in range(12_000):
        t_ns = step * STEP_NS
        bus = PriorityRequest(1 + step // 100, 1, group("E.through"), t_ns + 8_000_000_000)
        light = machine.step(t_ns, [False] * size, [False] * size, [bus] if step % 10 == 0 else [])
        monitor.step(t_ns, light.tolist())
        late = max(late, machine.lateness_ns)
    assert monitor.violations == []
    assert machine.desk.num_grants >= 12  # 1,200 s are 14 cycles, one grant in each
    assert late > 0
