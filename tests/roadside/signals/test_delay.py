"""Delay under fixed time against Webster and the HCM, at degrees of saturation from 0.3 to 0.8."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.messages import Light
from roadside.signals import SignalPlan, signal_machine
from tests.roadside.signals.crossroads_plans import STEP_NS, group, network, plan
from tests.roadside.signals.deep_plans import coordinated, ring_plan
from tests.roadside.signals.delay_formulas import hcm_s, point_queue_s, webster_s

GREENS = (int(Light.GREEN_PERMISSIVE), int(Light.GREEN_PROTECTED))
SATURATION = 0.5  # veh/s: 1800 veh/h, headway 2 s
START_LOSS_S = END_GAIN_S = (
    2.0  # HCM: start-up lost time and use of the yellow; the effective green is the shown one
)
FIXED = plan()
RINGS = ring_plan(
    plans=[{**coordinated(), "coordinated": ()}], schedule=[{"at_s": 0.0, "run": "am"}]
)


def greens_of_a_cycle(
    signal_plan: SignalPlan, name: str, cycle_s: float
) -> list[tuple[float, float]]:
    """Effective greens within one cycle, from the controller's own lights; every cycle has to show the same."""
    machine = signal_machine(network(), signal_plan)
    k, quiet, seen = group(name), [False] * 12, []
    count = round(cycle_s * 10)
    for step in range(10 * count):
        light = machine.step(step * STEP_NS, quiet, quiet)
        seen.append(int(light[k]) in GREENS)
    assert seen == seen[:count] * 10
    edges = np.flatnonzero(np.diff(np.array([False, *seen[:count], False]).astype(int))) / 10
    return [
        (float(b) + START_LOSS_S, float(e) + END_GAIN_S)
        for b, e in zip(edges[::2], edges[1::2], strict=True)
    ]


@pytest.mark.parametrize(
    ("signal_plan", "name", "cycle_s", "green_s"),
    [(FIXED, "E.through", 84.0, 26.0), (FIXED, "N.through", 84.0, 20.0), (RINGS, "E.through", 80.0, 22.0)],
    ids=["stages-main", "stages-side", "rings-main"],
)  # fmt: skip
def test_delay_agrees_with_webster_and_the_hcm(signal_plan, name, cycle_s, green_s):
    """Random arrivals, 200 h each.

    Webster's correction was fitted to such simulations and is good for some 5 %: we ask for 4 %. The HCM has no correction;
    its random term is known to be long for departures as regular as these, and more so as x grows: we ask for
    2 % + 18 % x, and that it is never short by more than 2 %.
    """
    windows = greens_of_a_cycle(signal_plan, name, cycle_s)
    rng = np.random.default_rng(4)
    for x in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        q = x * SATURATION * green_s / cycle_s
        arrivals = np.cumsum(rng.exponential(1 / q, round(200 * 3600 * q)))
        delay = point_queue_s(windows, cycle_s, arrivals, 1 / SATURATION)
        assert delay == pytest.approx(webster_s(cycle_s, green_s, q, SATURATION), rel=0.04)
        book = hcm_s(cycle_s, green_s, q, SATURATION)
        assert book * (1 - 0.02 - 0.18 * x) <= delay <= book * 1.02


def test_the_formulas_give_the_numbers_worked_out_by_hand():
    # C 60 s, g 30 s, s 0.5/s, q 0.125/s: x 0.5; 60 x 0.25 / (2 x 0.75) + 0.25 / (2 x 0.125 x 0.5) - 0.65 x 3840^(1/3) x 0.5^4.5
    assert webster_s(60.0, 30.0, 0.125, 0.5) == pytest.approx(10.0 + 2.0 - 0.450, abs=0.01)
    # d1 the same; d2 = 225 (-0.5 + sqrt(0.25 + 2 / 225)) = 1.98 s
    assert hcm_s(60.0, 30.0, 0.125, 0.5) == pytest.approx(10.0 + 1.98, abs=0.02)


@pytest.mark.long
def test_delay_of_real_traffic_agrees_with_both():
    """Background traffic (IDM) on the crossroads, 6 h for each degree of saturation, one approach.

    Its saturation flow is measured first, from greens that are never long enough. What is compared is the whole time lost:
    braking and starting included, as in the HCM. 15 %: some 2,000 vehicles leave 3 % of chance, and drivers differ in desired
    speed, so that who follows a slow one loses time without any signal.
    """
    from protocols.roads.routing import find_lane
    from sim.traffic import Flow, TrafficConfig
    from tests.support.naive_traffic import world

    net = network()
    start, goal = find_lane(net, "1/0/2"), find_lane(net, "3/0/-2")

    def trips(per_hour: float, hours: float) -> list[float]:
        flow = Flow("e", (start,), ((goal, 1.0),), per_hour)
        w = world(net, TrafficConfig((flow,)), capacity=200)
        machine = signal_machine(net, FIXED)
        light = np.zeros(len(net.groups.id), np.uint8)
        for _ in range(round(hours * 36_000)):
            light[machine.timing.layout.group] = machine.step(w.t_ns, [False] * 12, [False] * 12)
            w.traffic.step(w.t_ns, light)
            w.t_ns += STEP_NS
        return [trip.delay_s for trip in w.traffic.trips if trip.start_s > 300.0]

    saturation = len(trips(850.0, 1.0)) / (3300.0 / 84.0) / 26.0
    assert 0.4 <= saturation <= 0.6  # 1,440 to 2,160 veh/h
    for x in (0.4, 0.55, 0.7):
        q = x * saturation * 26.0 / 84.0
        delay = float(np.mean(trips(3600.0 * q, 6.0)))
        assert delay == pytest.approx(webster_s(84.0, 26.0, q, saturation), rel=0.15)
        assert delay == pytest.approx(hcm_s(84.0, 26.0, q, saturation), rel=0.15)
