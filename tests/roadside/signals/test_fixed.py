"""Fixed plans: the lights of a whole cycle by hand, the bank against the controller, and SPAT that is exactly right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.messages import Light
from protocols.participant import Inbox
from protocols.sensing import Readings
from protocols.simtime import Now
from roadside.signals import Controller, FixedTimeBank, Forecaster
from tests.roadside.signals.crossroads_plans import (
    CYCLE_S,
    STAGES,
    STEP_NS,
    Drive,
    controller,
    group,
    network,
    plan,
)

R, Y, G = int(Light.RED), int(Light.YELLOW), int(Light.GREEN_PROTECTED)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_one_cycle_runs_as_drawn_by_hand():
    drive = Drive(plan())
    for step in range(840):
        drive.step(step * STEP_NS)
    assert drive.changes("E.through") == [(0.0, G), (26.0, Y), (29.0, R)]
    assert drive.changes("W.left") == [(0.0, R), (31.0, G), (41.0, Y), (44.0, R)]
    assert drive.changes("N.through") == [(0.0, R), (46.0, G), (66.0, Y), (69.0, R)]
    assert drive.changes("S.left") == [(0.0, R), (71.0, G), (79.0, Y), (82.0, R)]
    # Pedestrians over the N leg walk beside E and W; their 11.7 s of clearance end with that green.
    assert drive.changes("N.ped") == [(0.0, G), (14.3, Y), (26.0, R)]
    assert drive.changes("E.ped") == [(0.0, R), (46.0, G), (54.3, Y), (66.0, R)]


def test_offset_shifts_the_whole_plan_and_the_past_is_as_if_it_had_always_run():
    drive = Drive(plan(offset_s=10.0))
    for step in range(300):
        drive.step(step * STEP_NS)
    # At t = 0 the plan is at second 74 of its cycle: N and S turn left since 3 s.
    assert drive.changes("S.left") == [(0.0, G), (5.0, Y), (8.0, R)]
    assert drive.changes("E.through") == [(0.0, R), (10.0, G)]
    fresh = controller(plan(offset_s=10.0))
    fresh.step(0, [False] * 12, [False] * 12)
    assert fresh.since_ns[group("S.left")] == -3_000_000_000


@pytest.mark.parametrize("offset_s", [0.0, 17.3, 83.9, 400.0])
def test_bank_shows_what_the_controller_shows_tick_by_tick(offset_s):
    signal_plan = plan(offset_s=offset_s)
    machine, bank = controller(signal_plan), FixedTimeBank(network(), [signal_plan], tick_ms=100)
    shown = np.zeros(12, dtype=np.uint8)
    num_commands = 0
    for step in range(2 * 840):
        t_ns = step * STEP_NS
        light = machine.step(t_ns, [False] * 12, [False] * 12)
        out = bank.on_tick(Now(step, t_ns), Inbox((), Readings()))
        if out.signals is not None:
            num_commands += 1
            shown[out.signals.group] = out.signals.light
        assert shown.tolist() == light.tolist(), f"at {t_ns / 1e9} s"
    # Per cycle: 4 stages begin, turn yellow and red (12), and two walks turn to clearance; once more at the start.
    assert 28 <= num_commands <= 29


def test_bank_refuses_what_it_cannot_run():
    with pytest.raises(ValueError, match="fixed plans only"):
        FixedTimeBank(network(), [plan("actuated")], tick_ms=10)
    with pytest.raises(ValueError, match="same junction"):
        FixedTimeBank(network(), [plan(), plan()], tick_ms=10)


def test_bank_of_no_junctions_says_nothing():
    bank = FixedTimeBank(network(), [], tick_ms=10)
    assert bank.on_tick(Now(0, 0), Inbox((), Readings())).signals is None


def test_spat_of_a_fixed_plan_is_exact_in_every_step():
    machine = controller(plan(offset_s=5.0))
    forecaster = Forecaster(machine)
    steps = [step * STEP_NS for step in range(3 * 840)]
    light, said = [], []
    for t_ns in steps:
        light.append(machine.step(t_ns, [False] * 12, [False] * 12).tolist())
        said.append(forecaster.forecast())
    table = np.array(light)
    green = (table == G) | (table == int(Light.GREEN_PERMISSIVE))
    for n in range(840 * 2):
        for k in range(12):
            row = said[n][k]
            later = np.flatnonzero(table[n:, k] != table[n, k])[0] + n
            assert row.likely_end_ns == row.min_end_ns == row.max_end_ns == steps[later]
            assert row.light == table[n, k]
            if green[n, k]:
                assert row.next_green_start_ns is None
                continue
            start = np.flatnonzero(green[n:, k])[0] + n
            assert row.next_green_start_ns == steps[start]
            if n < 840:
                end = np.flatnonzero(~green[start:, k])[0] + start
                assert row.next_green_end_ns == steps[end]


def test_spat_start_is_when_the_light_began_and_never_before_the_run():
    machine = controller(plan(offset_s=10.0))
    forecaster = Forecaster(machine)
    machine.step(0, [False] * 12, [False] * 12)
    assert forecaster.forecast()[group("S.left")].start_ns == 0
    for step in range(1, 200):
        machine.step(step * STEP_NS, [False] * 12, [False] * 12)
    assert forecaster.forecast()[group("E.through")].start_ns == 10_000_000_000


def test_cycle_is_the_sum_of_greens_and_changes():
    assert controller(plan(cycle_s=CYCLE_S)).timing.cycle_ns == 84_000_000_000


@settings(max_examples=60, deadline=None)
@given(
    greens=st.lists(st.integers(170, 400), min_size=4, max_size=4),
    yellow_s=st.sampled_from([3.0, 3.5, 5.0]),
    all_red_s=st.sampled_from([0.0, 1.0, 2.5]),
    offset=st.integers(0, 2000),
    t0=st.integers(-50, 5000),
    pairs=st.booleans(),
)
def test_the_run_up_leaves_out_only_steps_at_which_nothing_happens(
    monkeypatch_module, greens, yellow_s, all_red_s, offset, t0, pairs
):
    stages = [
        {"name": n, "groups": g, "green_s": s / 10.0}
        for (n, g, _), s in zip(STAGES, greens, strict=True)
    ]
    if pairs:  # a walk that goes on through the next stage
        stages[1]["groups"] = ("E.left", "W.left", "N.ped", "S.ped")
    drawn = plan(stages=stages, yellow_s=yellow_s, all_red_s=all_red_s, offset_s=offset / 10.0)
    quick = controller(drawn, t0 * STEP_NS)
    with monkeypatch_module.context() as patched:
        patched.setattr(Controller, "_next_change_ns", lambda self: self.t_ns + STEP_NS)
        slow = controller(drawn, t0 * STEP_NS)
    for _ in range(2):
        assert _state(quick) == _state(slow)
        nobody = [False] * quick.timing.layout.num_groups
        for step in range(700):
            now_ns = (t0 + step) * STEP_NS
            assert (
                quick.step(now_ns, nobody, nobody).tolist()
                == slow.step(now_ns, nobody, nobody).tolist()
            )


def _state(machine):
    """All that a controller knows, apart from the count of its versions."""
    return {
        name: value if not isinstance(value, np.ndarray) else value.tolist()
        for name, value in vars(machine).items()
        if name not in ("version", "timing", "desk")
    }
