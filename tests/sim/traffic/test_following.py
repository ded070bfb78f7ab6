"""Car following on an open road: analytic gap, free travel time, leaders that do not belong to traffic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.roads.network import UserClass
from sim.state import Control
from sim.traffic import Flow, TrafficConfig
from tests.support.naive_traffic import World, world
from tests.support.roads_small import bus_stop, straight


def put_unit(w: World, lane: int, s_m: float, length_m: float = 18.0, d_m: float = 0.0) -> int:
    """An automated vehicle that stands where it is put."""
    taken = w.traffic.rows.take()
    assert taken is not None
    row, actor = taken
    st, sc = w.states, w.statics
    st.valid[row], st.id[row], st.lane[row], st.s_m[row], st.d_m[row] = True, actor, lane, s_m, d_m
    sc.control[row], sc.user_class[row] = int(Control.UNIT), int(UserClass.BUS)
    sc.length_m[row] = sc.total_length_m[row] = length_m
    sc.width_m[row] = 2.55
    return row


def test_a_platoon_keeps_the_gap_that_the_idm_formula_gives(tmp_path: Path) -> None:
    w = world(straight(tmp_path, 6000.0, speed_mps=20.0))
    lane = w.lane("1/0/-1")
    lead = w.traffic.place("car", lane, 400.0, (lane,), 10.0, 0.5)  # wants 0.5 x 20 = 10 m/s
    rows = [w.traffic.place("car", lane, 400.0 - 30.0 * n, (lane,), 10.0, 1.0) for n in (1, 2, 3)]
    w.run(240.0)
    s = [float(w.states.s_m[r]) for r in (lead, *rows)]
    assert w.states.speed_mps[rows] == pytest.approx([10.0] * 3, abs=0.02)
    # IDM at rest relative to the leader: gap = (s0 + v T) / sqrt(1 - (v/v0)^4)
    # = (2 + 10 x 1) / sqrt(1 - (10/20)^4) = 12 / 0.96825 = 12.394 m; fronts are a car's 4.8 m further apart.
    assert np.diff(s) == pytest.approx([-(12.394 + 4.8)] * 3, abs=0.05)


def test_alone_on_the_road_a_journey_takes_length_over_desired_speed(tmp_path: Path) -> None:
    net = straight(tmp_path, 1500.0, speed_mps=15.0)
    flow = Flow("one", (0,), ((0, 1.0),), 1.0, process="even", start_s=-1800.0)  # leaves at t = 0
    w = world(net, TrafficConfig((flow,)))
    w.run(150.0)
    (trip,) = w.traffic.trips
    speed = 15.0 * float(trip.free_s and 1500.0 / 15.0 / trip.free_s)  # its own desired speed
    assert 15.0 * 0.75 < speed < 15.0 * 1.25
    # It appears at 5.3 m at its desired speed, so the way left is 1494.7 m; IDM nears v0 from below: up to 3 % slower.
    ideal_s = (1500.0 - 5.3) / speed
    assert ideal_s - 0.2 <= trip.end_s - trip.start_s <= 1.03 * ideal_s + 0.2


def test_nobody_drives_into_an_automated_bus_that_stands_on_the_lane(tmp_path: Path) -> None:
    w = world(straight(tmp_path, 600.0))
    lane = w.lane("1/0/-1")
    put_unit(w, lane, 400.0)
    car = w.traffic.place("car", lane, 100.0, (lane,), 15.0)
    w.run(60.0)
    assert w.states.speed_mps[car] == pytest.approx(0.0, abs=0.01)
    # The bus covers 382..400 m; IDM stops 2 m behind it.
    assert w.states.s_m[car] == pytest.approx(380.0, abs=0.5)


def test_a_body_that_reaches_over_the_lane_edge_is_seen_on_the_neighbour_lane(
    tmp_path: Path,
) -> None:
    net = straight(tmp_path, 600.0, lanes=("driving", "driving"))
    for d_m, passes in ((0.0, True), (1.2, False)):  # 1.2 + 2.55/2 = 2.475 m > half a lane
        w = world(net)
        left, right = w.lane("1/0/-1"), w.lane("1/0/-2")
        put_unit(w, right, 400.0, d_m=d_m)
        car = w.traffic.place("car", left, 100.0, (left,), 15.0)
        w.run(28.0)
        assert (float(w.states.s_m[car]) > 405.0) == passes


def test_a_faster_car_overtakes_on_the_free_lane_and_moves_over_smoothly(tmp_path: Path) -> None:
    w = world(straight(tmp_path, 3000.0, lanes=("driving", "driving"), speed_mps=20.0))
    left, right = w.lane("1/0/-1"), w.lane("1/0/-2")
    slow = w.traffic.place("truck", right, 120.0, (left, right), 8.0, 0.4)
    fast = w.traffic.place("car", right, 60.0, (left, right), 16.0, 1.0)
    y, seen = [], []
    for _ in range(900):
        w.run(0.1)
        if not w.states.valid[fast]:
            break
        y.append(float(w.states.y_m[fast]))
        seen.append(int(w.states.lane[fast]))
    assert left in seen
    assert w.states.s_m[fast] > w.states.s_m[slow] or not w.states.valid[fast]
    # Centres are 3.5 m apart; a cubic over 3 s peaks at 1.5 x 3.5 / 3 = 1.75 m/s.
    assert max(y) - min(y) == pytest.approx(3.5, abs=0.05)
    assert np.abs(np.diff(y)).max() <= 0.1 * 1.75 * 1.1


def test_a_lane_change_needed_for_the_route_happens_before_the_lane_is_left(tmp_path: Path) -> None:
    w = world(straight(tmp_path, 800.0, lanes=("driving", "driving", "driving")))
    far_left, far_right = w.lane("1/0/-1"), w.lane("1/0/-3")
    car = w.traffic.place("car", far_right, 50.0, (far_left,), 10.0)
    w.run(35.0)
    assert w.states.lane[car] == far_left
    assert w.states.d_m[car] == pytest.approx(0.0, abs=1e-9)


def test_a_car_never_uses_the_bus_lane_and_a_bus_may(tmp_path: Path) -> None:
    net = straight(tmp_path, 900.0, lanes=("bus", "driving"))
    w = world(net)
    bus_lane, lane = w.lane("1/0/-1"), w.lane("1/0/-2")
    w.traffic.place("truck", lane, 150.0, (lane,), 4.0, 0.3)
    car = w.traffic.place("car", lane, 100.0, (lane,), 10.0)
    bus = w.traffic.place("bus", bus_lane, 60.0, (bus_lane,), 10.0)
    for _ in range(300):
        w.run(0.1)
        assert w.states.lane[car] == lane
    assert w.states.s_m[bus] > w.states.s_m[car] + 50.0


def test_a_bus_serves_its_stop_for_the_dwell_time_and_drives_on(tmp_path: Path) -> None:
    net = straight(tmp_path, 600.0, lanes=("driving",), objects=bus_stop("halt", 300.0, -1))
    flow = Flow("line", (0,), ((0, 1.0),), 1.0, (("bus", 1.0),), process="even",
                start_s=-1800.0, stops=(0,), dwell_s=12.0)  # fmt: skip
    w = world(net, TrafficConfig((flow,)))
    stood = []
    for _ in range(1200):
        w.run(0.1)
        if w.traffic.mine.any() and w.states.speed_mps[0] < 0.05:
            stood.append(float(w.states.s_m[0]))
    assert stood and stood == pytest.approx([300.0] * len(stood), abs=1.5)
    assert 11.0 <= len(stood) / 10 <= 15.0
    assert len(w.traffic.trips) == 1
