"""People on crossings and in shared space: nobody walks on red, vehicles yield, nobody is touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.messages import ActorKind, Light
from sim.collision import Collisions
from sim.state import Control
from sim.traffic import Flow, TrafficConfig, WalkerFlow
from tests.support.naive_traffic import world
from tests.support.roads_small import crosswalk, light, load, road, straight


def signalised(folder: Path):  # type: ignore[no-untyped-def]
    """A crossing at 300 m with its own signal group `walk`, the cars' light `cars` 4 m before it."""
    signals = light("cars", 294.0, 1) + light("walk", 290.0, 0).replace(
        '<validity fromLane="0" toLane="-1"/>', ""
    )
    text = road("1", 0.0, 0.0, 0.0, 600.0, signals=signals, objects=crosswalk("zebra", 300.0, 1, "w"))  # fmt: skip
    text += '<controller id="c" name="cars"><control signalId="cars" type=""/></controller>'
    text += '<controller id="w" name="walk"><control signalId="walk" type=""/></controller>'
    return load(folder, text)


def test_nobody_steps_onto_the_road_at_red_and_all_cross_at_green(tmp_path: Path) -> None:
    net = signalised(tmp_path)
    w = world(net, TrafficConfig(walkers=(WalkerFlow("people", 600.0, (0,)),)))
    group = int(net.crossings.group[0])
    assert group >= 0
    shown = np.full(len(net.groups.id), int(Light.RED), dtype=np.uint8)
    w.run(60.0, shown)
    people = np.flatnonzero(w.states.valid)
    assert people.size >= 5
    # The road lies between y = 0 and y = -3.5, with 1 m of verge; who waits stands outside.
    assert ((w.states.y_m[people] > 1.0) | (w.states.y_m[people] < -4.5)).all()
    assert w.traffic.walkers.pressed()[0]
    shown[group] = Light.GREEN_PROTECTED
    w.run(12.0, shown)
    assert w.traffic.walkers.num_arrived >= people.size
    # Who is on the road when red comes walks on; from then on nobody new.
    shown[group] = Light.RED
    w.run(15.0, shown)
    inside = (w.states.y_m < 0.0) & (w.states.y_m > -3.5) & w.states.valid
    assert not inside.any()


def test_cars_stop_for_people_on_a_zebra_and_nobody_is_touched(tmp_path: Path) -> None:
    net = straight(tmp_path, 600.0, lanes=("driving", "driving"), objects=crosswalk("z", 300.0, 2))
    flow = Flow("cars", (0, 1), ((0, 1.0), (1, 1.0)), 700.0)
    w = world(net, TrafficConfig((flow,), (WalkerFlow("people", 200.0, (0,)),)), seed=3)
    referee = Collisions()
    slowest = 99.0
    for _ in range(6000):
        w.run(0.1)
        walking = w.statics.control == int(Control.WALKER)
        for a, b in referee.find(w.states, w.statics).tolist():
            assert walking[a] and walking[b]  # people may brush each other; no car touches anybody
        near = w.traffic.mine & (w.states.s_m > 285.0) & (w.states.s_m < 300.0)
        if near.any():
            slowest = min(slowest, float(w.states.speed_mps[near].min()))
    assert w.traffic.walkers.num_arrived >= 20
    assert max(w.traffic.walkers.waited_s) < 60.0
    assert slowest < 0.1  # somebody did stop
    assert len(w.traffic.trips) >= 80


def test_a_person_on_the_lane_of_a_shared_street_is_an_obstacle(tmp_path: Path) -> None:
    net = straight(tmp_path, 400.0, speed_mps=8.0)
    # Walks along the lane's middle towards the car.
    path = ((300.0, -1.75), (150.0, -1.75))
    w = world(net, TrafficConfig(walkers=(WalkerFlow("one", 30.0, path=path),)))
    w.run(200.0)  # the first one has come
    assert (w.states.valid & (w.statics.kind == int(ActorKind.PEDESTRIAN))).any()
    car = w.traffic.place("car", 0, 20.0, (0,), 8.0)
    referee = Collisions()
    for _ in range(300):
        w.run(0.1)
        people = np.flatnonzero(w.states.valid & (w.statics.control == int(Control.WALKER)))
        # Who has stepped out of the car's way no longer holds it up.
        beside = np.abs(w.states.y_m[people] - w.states.y_m[car]) > 1.3
        ahead = people[(w.states.x_m[people] > w.states.x_m[car]) & ~beside]
        if ahead.size:
            gap = float((w.states.x_m[ahead] - w.states.x_m[car]).min())
            if gap < 6.0:
                assert w.states.speed_mps[car] < 2.0
        for pair in referee.find(w.states, w.statics).tolist():
            assert car not in pair


def test_a_free_cyclist_keeps_to_the_path_at_a_cyclists_pace(tmp_path: Path) -> None:
    net = straight(tmp_path, 200.0)
    path = ((0.0, 20.0), (60.0, 20.0), (60.0, 80.0))
    flow = WalkerFlow("rider", 120.0, path=path, kind="bicycle", end_s=60.0)
    w = world(net, TrafficConfig(walkers=(flow,)))
    speeds = []
    for _ in range(1500):
        w.run(0.1)
        riders = np.flatnonzero(w.states.valid)
        for r in riders.tolist():
            x, y = float(w.states.x_m[r]), float(w.states.y_m[r])
            # Within the lateral spread of 0.8 m and one step's travel around the corner.
            assert min(abs(y - 20.0) if x < 62 else 99.0, abs(x - 60.0)) < 1.5
            speeds.append(float(w.states.speed_mps[r]))
    assert w.traffic.walkers.num_arrived >= 1
    assert np.median(speeds) == pytest.approx(4.4, abs=1.3)


def test_a_person_walks_round_a_vehicle_that_stands_in_the_way(tmp_path: Path) -> None:
    net = straight(tmp_path, 400.0, speed_mps=8.0)
    path = ((120.0, -6.0), (120.0, 3.0))  # straight across the lane
    w = world(net, TrafficConfig(walkers=(WalkerFlow("one", 60.0, path=path),)))
    # An automated vehicle has broken down across the path: 6 m long, from x = 117 to 123.
    taken = w.traffic.rows.take()
    assert taken is not None
    row, actor = taken
    st, sc = w.states, w.statics
    st.valid[row], st.id[row], st.x_m[row], st.y_m[row] = True, actor, 118.0, -1.75
    sc.control[row], sc.kind[row] = int(Control.UNIT), int(ActorKind.SHUTTLE)
    sc.length_m[row] = sc.total_length_m[row] = 6.0
    sc.width_m[row], sc.wheelbase_m[row], sc.rear_overhang_m[row] = 2.0, 3.5, 1.0
    st.lane[row], st.s_m[row] = 0, 123.0
    referee = Collisions()
    for _ in range(3000):
        w.run(0.1)
        for pair in referee.find(st, sc).tolist():
            assert row not in pair
    # 60 an hour for 300 s: five set out on average; whoever did has passed, but for those still under way.
    assert w.traffic.walkers.num_arrived >= 2
