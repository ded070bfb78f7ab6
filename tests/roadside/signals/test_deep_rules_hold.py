"""Random plans, demand, buses, commands, modes and failing loops: no phase rule is broken, and what SPAT says comes true.

`PhaseMonitor` watches the lights alone. `make test` drives some junction-hours; the `long` one drives 200.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.signals import Forecaster, PriorityRequest
from roadside.signals.lamps import Lamps
from roadside.signals.operation import Mode
from roadside.signals.phasetable import phase_table
from tests.roadside.signals.crossroads_plans import STEP_NS, network, plan, priority
from tests.roadside.signals.crossroads_plans import Drive as PlainDrive
from tests.roadside.signals.deep_plans import Drive, ring_plan, spat_errors
from tests.roadside.signals.random_worlds import KINDS, random_hour, random_plan, run_world
from tests.roadside.signals.test_rules_hold import HAND, group

VEHICLES = tuple(f"{leg}.{kind}" for leg in "ENWS" for kind in ("left", "through"))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3, deadline=None)
def test_whatever_happens_no_phase_rule_is_broken(kind, seed):
    drive = random_hour(kind, seed, seconds=900)
    assert drive.monitor.violations == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_forty_random_hours_of_each_kind_break_no_rule(kind):
    for seed in range(1000, 1040):
        assert random_hour(kind, seed).monitor.violations == [], f"seed {seed}"


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_who_waits_is_served(kind):
    """No standstill: with steady demand everywhere and buses on top, no light stays what it is for three cycles."""
    rng = np.random.default_rng(3)
    drive = Drive(random_plan(kind, rng))
    seen = [0] * drive.size
    for step in range(8_000):
        light = drive.raw([True] * drive.size, [step % 50 == 0] * drive.size)
        for k in range(drive.size):
            if light[k] in (4, 5):
                seen[k] = drive.t_ns
            assert drive.t_ns - seen[k] < 360 * 10**9, f"group {k} waits"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_announced_as_certain_is_true_and_likely_ends_hold_in_95_of_100(kind):
    """With buses, commands and plan changes. Certain: min_end == max_end, at any time before; never more than 0.5 s off.

    Likely: in the last three seconds before a change, as for the plain controllers.
    """
    rng = np.random.default_rng(17)
    drive = Drive(random_plan(kind, rng), with_forecast=True)
    run_world(drive, rng, 400, command_every=0.005, bus_rate=0.1)
    likely, certain, outside, count = spat_errors(drive)
    assert drive.monitor.violations == []
    assert count > 3_000
    assert certain.size > 300
    assert certain.max() <= 0.5
    assert np.percentile(likely, 95) <= 0.5
    assert outside == 0  # neither bound is ever broken


def test_lamps_show_nothing_forbidden_whatever_they_are_asked():
    """Wishes at random, every step: the interlock alone keeps every rule."""
    table = phase_table(network(), ring_plan())
    rng = np.random.default_rng(9)
    lamps, size = Lamps(table, 0), table.layout.num_groups
    monitor = Drive(ring_plan()).monitor
    never = {(group(a), group(b)) for a, b in HAND[:4] + HAND[8:]}
    greens = 0
    wish = [2] * size
    for step in range(20_000):
        if rng.random() < 0.05:
            wish = rng.choice([2, 4, 5], size).tolist()
            for k in range(size):
                wish[k] = 5 if table.layout.is_pedestrian[k] and wish[k] != 2 else wish[k]
        lamps.expire(step * STEP_NS)
        lamps.drive(step * STEP_NS, wish)
        monitor.step(step * STEP_NS, lamps.light)
        on = {k for k in range(size) if lamps.is_green(k)}
        greens += len(on)
        assert not any(a in on and b in on for a, b in never)
    assert monitor.violations == []
    assert greens > 10_000


def test_lamps_refuse_to_flash_beside_a_green():
    table = phase_table(network(), ring_plan())
    lamps = Lamps(table, 0)
    lamps.drive(0, [5 if k == group("E.through") else 2 for k in range(12)])
    with pytest.raises(AssertionError):
        lamps.show(Mode.FLASH_YELLOW, STEP_NS)


@pytest.mark.parametrize("mode", ["fixed", "actuated"])
def test_plain_controllers_keep_what_they_announce_as_certain_while_buses_come_and_go(mode):
    """Requests that move, are cancelled and fall silent: an announcement is certain only where no grant can change it."""
    rng = np.random.default_rng(2)
    signal_plan = plan(mode, priority=priority(side_max_red_s=250.0, one_grant_per_cycles=1))
    drive = PlainDrive(signal_plan)
    outlook = Forecaster(drive.controller)
    buses: dict[int, PriorityRequest] = {}
    for step in range(6_000):
        t_ns, requests = step * STEP_NS, []
        if step % 10 == 0:
            if rng.random() < 0.03:
                eta = t_ns + int(rng.integers(0, 400)) * STEP_NS
                buses[int(rng.integers(1, 4))] = PriorityRequest(1, step, group("E.through"), eta)
            for station, bus in sorted(buses.items()):
                is_gone = t_ns > bus.eta_ns + 20 * STEP_NS or rng.random() < 0.03
                moved = bus.eta_ns + int(rng.integers(-5, 6)) * STEP_NS
                requests.append(
                    PriorityRequest(station, bus.request_id, bus.group, moved, 0.0, is_gone)
                )
                if is_gone:
                    del buses[station]
        busy = tuple(name for name in VEHICLES if rng.random() < 0.05)
        drive.step(t_ns, busy, (), tuple(requests))
        drive.said.append(outlook.forecast())
    likely, certain, outside, _ = spat_errors(drive)
    assert drive.controller.desk.num_grants >= 2
    assert certain.size > 1000
    assert certain.max() <= 0.5
    assert outside == 0
    assert np.percentile(likely, 95) <= 0.5
