"""Bus priority at a cabinet: extension, early green, an inserted stage, who gets it, what it may cost, the way back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from protocols.messages import Light, RequestStatus
from roadside.signals import PriorityRequest, SignalPlan
from roadside.signals.requests import GrantKind
from tests.roadside.signals.crossroads_plans import STEP_NS, group, plan, priority
from tests.roadside.signals.deep_plans import Drive, coordinated, ring_plan

R, Y, G = int(Light.RED), int(Light.YELLOW), int(Light.GREEN_PROTECTED)
NS = 1_000_000_000
INSERT = {"groups": ("E.through", "W.through"), "green_s": 8.0}


def deep(**changes) -> SignalPlan:
    """The fixed plan of 84 s on a cabinet, with priority."""
    return plan(operation={}, priority=priority(**changes))


def bus(eta_s: float, station: int = 1, **more) -> PriorityRequest:
    """A request for E.through, arriving at `eta_s`."""
    return PriorityRequest(station, 1, group("E.through"), round(eta_s * NS), **more)


def served(signal_plan: SignalPlan, arrival_s: float, lead_s: float = 20.0) -> tuple[float, Drive]:
    """Wait at the stop line of one bus that asks every second; and the drive, five cycles long."""
    drive, passed = Drive(signal_plan), None
    while drive.t_ns < 4.6 * 84 * NS:
        t_s = drive.t_ns / NS
        requests: tuple[PriorityRequest, ...] = ()
        if passed is None and arrival_s - lead_s <= t_s and drive.t_ns % NS == 0:
            requests = (bus(max(arrival_s, t_s)),)
        elif passed is not None and drive.t_ns == passed + STEP_NS:
            requests = (bus(arrival_s, is_cancel=True),)
        light = drive.step(requests=requests)
        if passed is None and t_s >= arrival_s and light[group("E.through")] == G:
            passed = drive.t_ns - STEP_NS
    assert passed is not None
    return passed / NS - arrival_s, drive


def ask(drive: Drive, request: PriorityRequest, until_s: float) -> None:
    """Repeat a request every second."""
    while drive.t_ns < until_s * NS:
        drive.step(requests=(request,) if drive.t_ns % NS == 0 else ())


def test_a_green_is_extended_for_a_bus_just_behind_it():
    wait, drive = served(deep(), 168.0 + 30.0)
    assert wait == 0.0
    # 30 s and 2 s of margin instead of 26 s.
    greens = [t for t, light in drive.changes("E.through") if light == Y]
    assert greens[2] == pytest.approx(200.0)


def test_early_green_shortens_the_stages_before_it_to_their_floors():
    # Asked 30 s ahead: people who walk across NS need 11.7 s of clearance beyond the 4 s that are certain.
    wait, drive = served(deep(), 168.0 + 70.0, lead_s=30.0)
    # NS loses 20 - 16.7 s, NS left 8 - 7 s: green 4.3 s earlier than 252 s.
    assert wait == pytest.approx(252.0 - 4.3 - 238.0)
    assert drive.cabinet.lateness_ns == 0


def test_an_extra_stage_is_inserted_where_nothing_else_helps_as_much():
    # Arrival at 38 s of the cycle, in the left-turn stage (31-41 s): the next green would be 46 s away.
    plain, _ = served(deep(), 168.0 + 38.0)
    helped, drive = served(deep(insert=INSERT), 168.0 + 38.0)
    assert plain > 35.0
    # After the left turns: 41 s and 5 s of change.
    assert helped == pytest.approx(8.0)
    begins = [t - 168.0 for t, light in drive.changes("E.through") if light == G and t > 190.0]
    assert begins[0] == pytest.approx(46.0)
    ends = [t - 168.0 for t, light in drive.changes("E.through") if light == Y and t > 210.0]
    assert ends[0] == pytest.approx(54.0)
    assert drive.monitor.violations == []
    # 13 s were inserted; what the later stages cannot give back is made up in the next cycle, and then all is in step.
    assert begins[-1] == 168.0


def test_the_insertion_is_announced_with_its_time():
    drive = Drive(deep(insert=INSERT))
    drive.seconds(186.0)
    drive.step(requests=(bus(206.0),))
    (answer,) = drive.cabinet.take_answers()
    assert drive.cabinet.grant is not None
    assert drive.cabinet.grant.kind == GrantKind.INSERTION
    assert answer.reason == "extra stage inserted"
    assert answer.until_ns == 214 * NS
    assert RequestStatus.GRANTED_EXTENSION <= answer.status <= RequestStatus.GRANTED_EARLY_GREEN


def test_waits_are_shorter_at_no_second_of_the_cycle_longer():
    without, with_it, inserted = [], [], []
    for second in range(2, 84, 12):
        without.append(served(plan(operation={}), 168.0 + second)[0])
        with_it.append(served(deep(), 168.0 + second)[0])
        inserted.append(served(deep(insert=INSERT), 168.0 + second)[0])
        assert inserted[-1] <= with_it[-1] + 0.05
        assert with_it[-1] <= without[-1] + 0.05
    assert sum(with_it) < 0.75 * sum(without)
    assert sum(inserted) < 0.5 * sum(without)


def test_buses_on_time_get_nothing_where_lateness_is_a_condition():
    for late_s, status in ((59.0, "REJECTED"), (61.0, "GRANTED_EXTENSION")):
        drive = Drive(deep(conditional_lateness_s=60.0))
        drive.seconds(10.0)
        drive.step(requests=(bus(30.0, lateness_s=late_s),))
        assert drive.cabinet.take_answers()[0].status.name == status


def test_the_cap_on_the_side_streets_refuses_what_would_make_them_wait():
    # N.left is red for 73 s in the plan. Held for 10 s, the stages before it give back 6.3 s: 76.7 s.
    for cap_s, is_granted in ((76.0, False), (110.0, True)):
        drive = Drive(deep(side_max_red_s=cap_s))
        drive.seconds(98.0)
        drive.step(requests=(bus(84.0 + 34.0),))
        assert (drive.cabinet.grant is not None) == is_granted


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_grants_keep_their_distance_in_cycles(cycles):
    drive = Drive(deep(one_grant_per_cycles=cycles))
    given: list[int] = []
    while drive.t_ns < 20 * 84 * NS:
        second = drive.t_ns // NS
        eta = (second // 84) * 84 + 30
        drive.step(requests=(bus(float(eta), 1 + eta // 84),) if eta - 20 <= second <= eta else ())
        if len(given) < drive.cabinet.desk.num_grants:
            given.append(int(drive.t_ns // (84 * NS)))
    assert len(given) >= 18 // cycles
    assert min(b - a for a, b in pairwise(given)) >= cycles
    assert drive.monitor.violations == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_buses_the_earlier_wins_and_ties_go_to_the_lower_station(order):
    for first, second, winner in ((28.0, 29.0, 7), (29.0, 28.0, 9), (29.0, 29.0, 7)):
        drive = Drive(deep())
        drive.seconds(12.0)
        asked = [bus(first, 7), bus(second, 9)]
        drive.step(requests=tuple(asked[n] for n in order))
        assert drive.cabinet.grant is not None
        assert drive.cabinet.grant.station_id == winner
        answers = {a.station_id: a for a in drive.cabinet.take_answers()}
        loser = answers[16 - winner]
        assert loser.status in (RequestStatus.REJECTED, RequestStatus.RECEIVED)


def test_a_cancelled_extension_ends_at_the_commit_time():
    drive = Drive(deep())
    drive.seconds(15.0)
    ask(drive, bus(33.0), 27.0)
    drive.step(requests=(bus(33.0, is_cancel=True),))
    drive.seconds(60.0)
    # Heard at 27 s; what is due within 4 s stays.
    assert drive.changes("E.through")[1] == (31.0, Y)


def test_rings_in_coordination_hold_for_a_bus_and_are_back_in_step_in_the_next_cycle():
    deep_rings = ring_plan(
        plans=[coordinated()],
        schedule=[{"at_s": 0.0, "run": "am"}],
        priority=priority(),
        recalls={"3": "max", "7": "max", "4": "max", "8": "max"},
    )
    drive = Drive(deep_rings)
    drive.seconds(105.0)
    ask(drive, bus(80.0 + 41.0), 122.0)
    drive.seconds(400.0)
    ends = [t for t, light in drive.changes("E.through") if light == Y]
    assert ends[:4] == [37.0, 80.0 + 43.0, 160.0 + 37.0, 240.0 + 37.0]
    # The other ring crosses the barrier at the same moment.
    assert [t for t, light in drive.changes("W.through") if light == Y][1] == 123.0
    assert drive.monitor.violations == []


def test_in_free_run_a_bus_is_demand_and_shortens_what_runs_before_it():
    def first_green(signal_plan: SignalPlan) -> float:
        drive = Drive(signal_plan)
        busy = ("N.through", "S.through", "N.left")
        while drive.t_ns < 200 * NS:
            second = drive.t_ns / NS
            ask = 20 <= second <= 60 and drive.t_ns % NS == 0
            light = drive.step(busy if second > 1 else (*busy, "E.left"), (), (bus(60.0),) * ask)
            if second > 40 and light[group("E.through")] == G:
                return second
        return 200.0

    rested = first_green(ring_plan())
    helped = first_green(ring_plan(priority=priority(side_max_red_s=250.0)))
    assert rested == 200.0  # nobody on E: never
    # Its stage has to reach the arrival, so the others end when a green from then on lasts that long.
    assert helped <= 70.0


def test_no_group_waits_longer_than_the_cap_because_of_buses():
    """A flood of requests on the fixed plan; its own longest red is 76 s, the cap 95 s."""
    rng = np.random.default_rng(5)
    drive = Drive(deep(insert=INSERT, one_grant_per_cycles=1, side_max_red_s=95.0))
    red_since, longest = np.zeros(drive.size), 0.0
    for step in range(10_000):
        eta = drive.t_ns / NS + rng.uniform(5, 30)
        ask = (bus(eta, int(rng.integers(1, 9))),) if step % 40 == 0 else ()
        light = drive.step(requests=ask)
        for k in range(drive.size):
            if light[k] in (4, 5):
                red_since[k] = drive.t_ns
            elif light[k] == R:
                longest = max(longest, (drive.t_ns - red_since[k]) / NS)
            else:
                red_since[k] = drive.t_ns
    assert drive.cabinet.desk.num_grants >= 8
    assert 73.0 <= longest <= 95.0
    assert drive.monitor.violations == []
