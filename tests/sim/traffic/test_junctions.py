"""Signals and right of way at one crossing: discharge rate, red lights, give way, blocked exits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.judging import EventKind
from protocols.messages import Light
from protocols.roads.network import U8
from sim.collision import Collisions
from sim.traffic import Flow, TrafficConfig
from sim.traffic.detectors import Loops
from sim.traffic.referee import TrafficReferee
from tests.sim.traffic.test_following import put_unit
from tests.support.naive_traffic import World, world
from tests.support.roads_small import ARM_M, crossing, straight

STOP_M = ARM_M - 2.0


def lights(world_: World, **shown: Light) -> U8:
    """Lights by the name of the approach; the rest is red."""
    out = np.full(len(world_.net.groups.id), int(Light.RED), dtype=np.uint8)
    for name, state in shown.items():
        out[[x.endswith(f"light_{name}") for x in world_.net.groups.name]] = state
    return out


def test_a_standing_queue_discharges_at_a_textbook_saturation_flow(tmp_path: Path) -> None:
    """HCM 2010 base saturation flow: 1900 passenger cars per hour, green and lane; 1700..2100 is the usual range."""
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    for n in range(30):
        w.traffic.place("car", west, STOP_M - 1.0 - 7.4 * n, (east,), 0.0)
    green = lights(w, w=Light.GREEN_PROTECTED)
    passed = []
    before = np.zeros(64, dtype=np.int32)
    for tick in range(900):
        before[:] = w.states.lane
        w.run(0.1, green)
        passed += [tick * 0.1] * int(((before == west) & (w.states.lane != west)).sum())
    assert len(passed) == 30
    # Start-up loss is over after the fourth vehicle (HCM 2010, chapter 31).
    headway_s = (passed[24] - passed[4]) / 20
    assert 1700.0 <= 3600.0 / headway_s <= 2100.0


def test_red_holds_everybody_before_the_stop_line(tmp_path: Path) -> None:
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    cars = [w.traffic.place("car", west, s, (east,), 13.0) for s in (150.0, 120.0, 90.0)]
    w.run(60.0, lights(w))
    assert w.states.speed_mps[cars] == pytest.approx([0.0] * 3, abs=0.01)
    assert STOP_M - 1.5 < w.states.s_m[cars[0]] <= STOP_M


@pytest.mark.parametrize(("s_m", "stops"), [(150.0, True), (228.0, False)])
def test_yellow_stops_whoever_can_and_lets_the_others_pass(
    tmp_path: Path, s_m: float, stops: bool
) -> None:
    # At 13 m/s and 3 m/s2 stopping takes 28 m: 98 m before the line is enough, 20 m is not.
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    car = w.traffic.place("car", west, 100.0, (east,), 13.0)
    while w.states.s_m[car] < s_m:
        w.run(0.1, lights(w, w=Light.GREEN_PROTECTED))
    w.run(3.0, lights(w, w=Light.YELLOW))
    w.run(20.0, lights(w))
    assert (w.states.lane[car] == west) == stops


def test_dark_lights_leave_the_crossing_to_the_right_of_way(tmp_path: Path) -> None:
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    w.traffic.place("car", west, 200.0, (east,), 10.0)
    w.run(60.0)
    assert len(w.traffic.trips) == 1


def test_the_minor_road_takes_only_gaps_that_are_long_enough_and_is_served_in_the_end(
    tmp_path: Path,
) -> None:
    net = crossing(tmp_path)
    w0 = world(net)
    flows = (
        Flow("major", (w0.lane("w/0/-1"),), ((w0.lane("e/0/-1"), 1.0),), 500.0),
        Flow("minor", (w0.lane("s/0/-1"),), ((w0.lane("n/0/-1"), 1.0),), 150.0),
    )
    w = world(net, TrafficConfig(flows), seed=5)
    boxes = {w.lane("we/0/-1"): "major", w.lane("sn/0/-1"): "minor"}
    referee = Collisions()
    # Bodies 2.8 m wide meet between 8.6 m and 11.4 m of either box: front in, rear (4.8 m behind) out.
    first: dict[int, tuple[float, str]] = {}
    last: dict[int, float] = {}
    hardest = 0.0
    for _ in range(12000):
        w.run(0.1)
        assert referee.find(w.states, w.statics).size == 0
        for row in np.flatnonzero(w.states.valid).tolist():
            where = boxes.get(int(w.states.lane[row]))
            actor = int(w.states.id[row])
            if where and w.states.s_m[row] >= 8.6:
                first.setdefault(actor, (w.t_ns / 1e9, where))
                if w.states.s_m[row] <= 16.2:
                    last[actor] = w.t_ns / 1e9
            if where == "major" or w.states.lane[row] == w.lane("w/0/-1"):
                hardest = min(hardest, float(w.states.accel_mps2[row]))
    minor = [trip for trip in w.traffic.trips if trip.flow == 1]
    assert len(minor) >= 35
    assert max(trip.end_s - trip.wanted_s for trip in minor) < 180.0
    gaps = []
    for actor, (t_in, who) in first.items():
        if who == "minor":
            after = [a for a, (t, kind) in first.items() if kind == "major" and t > t_in]
            before = [a for a, (t, kind) in first.items() if kind == "major" and t <= t_in]
            if after and before:
                came, left = min(first[a][0] for a in after), max(last[a] for a in before)
                assert (
                    came - last[actor] >= 0.5
                )  # nobody of the major road had to wait for the minor
                gaps.append(came - left)
    assert len(gaps) >= 20
    # Crossing takes 7.6 m at the speed of somebody who just started, about 1.2 s, with a second to spare at either side.
    assert min(gaps) >= 2.5
    assert hardest > -4.0


def test_nobody_enters_the_box_without_room_behind_it(tmp_path: Path) -> None:
    w = world(crossing(tmp_path, is_signalised=True))
    west, east, box = w.lane("w/0/-1"), w.lane("e/0/-1"), w.lane("we/0/-1")
    put_unit(w, east, 20.0)  # a bus that stands 2 m behind the box
    cars = [w.traffic.place("car", west, s, (east,), 10.0) for s in (180.0, 150.0)]
    for _ in range(400):
        w.run(0.1, lights(w, w=Light.GREEN_PROTECTED))
        assert not (w.states.lane[cars] == box).any()
    assert w.states.speed_mps[cars] == pytest.approx([0.0, 0.0], abs=0.01)


def test_an_automated_bus_on_the_box_is_waited_for_whatever_the_right_of_way(
    tmp_path: Path,
) -> None:
    w = world(crossing(tmp_path))
    west, east, box = w.lane("w/0/-1"), w.lane("e/0/-1"), w.lane("sn/0/-1")
    unit = put_unit(w, box, 14.0)  # comes from the minor road and stands across the major one
    car = w.traffic.place("car", west, 100.0, (east,), 13.0)
    w.run(40.0)
    assert w.states.speed_mps[car] == pytest.approx(0.0, abs=0.01)
    assert w.states.s_m[car] > 200.0 or w.states.lane[car] != west
    assert w.states.lane[car] != east
    w.states.valid[unit] = False
    w.run(40.0)
    assert len(w.traffic.trips) == 1


def test_the_referee_sees_a_planted_red_light_run_and_a_planted_bus_lane_intrusion(
    tmp_path: Path,
) -> None:
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    car = w.traffic.place("car", west, 200.0, (east,), 10.0)
    referee = TrafficReferee(w.net, w.states, w.statics)
    red = lights(w)
    kinds = [e.kind for e in referee.observe(0, red)]
    assert kinds == [EventKind.SPAWNED]
    w.states.s_m[car] = STOP_M + 1.0  # moved across the line by hand
    kinds = [e.kind for e in referee.observe(100_000_000, red)]
    assert kinds == [EventKind.RED_LIGHT]

    bus_net = straight(tmp_path, 300.0, lanes=("bus", "driving"))
    b = world(bus_net)
    row = b.traffic.place("car", b.lane("1/0/-2"), 50.0, (b.lane("1/0/-2"),), 5.0)
    referee = TrafficReferee(b.net, b.states, b.statics)
    referee.observe(0, red)
    b.states.lane[row] = b.lane("1/0/-1")
    assert [e.kind for e in referee.observe(100_000_000, red)] == [EventKind.BUS_LANE]


def test_loops_count_every_car_once_and_show_who_stands_on_them(tmp_path: Path) -> None:
    w = world(crossing(tmp_path, is_signalised=True))
    west, east = w.lane("w/0/-1"), w.lane("e/0/-1")
    for n in range(5):
        w.traffic.place("car", west, 200.0 - 15.0 * n, (east,), 8.0)
    loops = Loops(w.net, w.states, w.statics)
    at = loops.lane.tolist().index(west)
    for _ in range(150):
        w.run(0.1, lights(w))
        loops.observe()
    # The first car has crossed the loop's end, 2 m before the line, and stands on it with the others behind.
    assert loops.is_occupied[at]
    for _ in range(400):
        w.run(0.1, lights(w, w=Light.GREEN_PROTECTED))
        loops.observe()
    reading = loops.reading(w.t_ns)
    assert reading.count[at] == 5
    assert not reading.is_occupied.any()
