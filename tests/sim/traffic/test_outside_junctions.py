"""Outside junctions: lights in the middle of a lane, two roads into one, and roads drawn across each other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from protocols.judging import EventKind
from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from sim.collision import Collisions
from sim.traffic import Flow, TrafficConfig
from sim.traffic.meetings import meetings
from sim.traffic.referee import TrafficReferee
from tests.sim.traffic.test_following import put_unit
from tests.support.naive_traffic import World, world
from tests.support.roads_small import load, road

MERGE_M = 200.0


def two_way(folder: Path) -> RoadNetwork:
    """450 m, one lane each way; a light for the eastbound at 180 m and for the westbound at 260 m of the road."""

    def lane(n: int) -> str:
        return (
            f'<lane id="{n}" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/>'
            '<speed sOffset="0" max="14"/></lane>'
        )

    def lamp(name: str, s: float, n: int) -> str:
        return (
            f'<signal s="{s}" t="{4 * n}" id="{name}" name="{name}" dynamic="yes" '
            f'orientation="{"+" if n < 0 else "-"}" zOffset="5" country="OpenDRIVE" type="1000001" '
            f'subtype="-1" value="-1" height="0.9" width="0.3">'
            f'<validity fromLane="{n}" toLane="{n}"/></signal>'
        )

    return load(
        folder,
        '<road name="1" length="450" id="1" junction="-1" rule="RHT"><link/>'
        '<planView><geometry s="0" x="0" y="0" hdg="0" length="450"><line/></geometry></planView>'
        f'<lanes><laneSection s="0"><left>{lane(1)}</left><center><lane id="0" type="none" level="false"/>'
        f"</center><right>{lane(-1)}</right></laneSection></lanes><objects/>"
        f"<signals>{lamp('east', 180.0, -1)}{lamp('west', 260.0, 1)}</signals></road>",
    )


def into_one(folder: Path, lanes: int = 1) -> RoadNetwork:
    """Two roads, 20 degrees apart, both linked into the start of a third without a junction."""
    after = '<successor elementType="road" elementId="c" contactPoint="start"/>'
    kinds = ("driving",) * lanes
    text = road("a", -MERGE_M, 0.0, 0.0, MERGE_M, after=after, lanes=kinds)
    yaw = math.radians(20)
    text += road("b", -MERGE_M * math.cos(yaw), -MERGE_M * math.sin(yaw), yaw, MERGE_M, after=after, lanes=kinds)  # fmt: skip
    before = '<predecessor elementType="road" elementId="a" contactPoint="end"/>'
    return load(folder, text + road("c", 0.0, 0.0, 0.0, 400.0, before=before, lanes=kinds))


def crossed(folder: Path, height_m: float = 0.0) -> RoadNetwork:
    """Two roads that cross in the middle of either, with no junction; the second `height_m` above."""
    second = road("n", 0.0, -150.0, math.pi / 2, 300.0).replace(
        "<lanes>",
        f'<elevationProfile><elevation s="0" a="{height_m}" b="0" c="0" d="0"/></elevationProfile><lanes>',
    )
    return load(folder, road("e", -150.0, 0.0, 0.0, 300.0) + second)


def contacts(w: World, seconds: float) -> set[tuple[int, int]]:
    """Pairs of actors that touched."""
    found: set[tuple[int, int]] = set()
    referee = Collisions()
    for _ in range(round(seconds * 10)):
        w.run(0.1)
        for a, b in referee.find(w.states, w.statics).tolist():
            found.add((int(w.states.id[a]), int(w.states.id[b])))
    return found


@pytest.mark.parametrize(("key", "line_m"), [("1/0/-1", 180.0), ("1/0/1", 190.0)])
def test_a_red_light_in_the_middle_of_a_lane_stops_and_its_green_lets_go(
    tmp_path: Path, key: str, line_m: float
) -> None:
    w = world(two_way(tmp_path))
    lane = w.lane(key)
    lines = w.net.stop_lines.s_m[w.net.stop_lines.lane == lane]
    assert lines.size == 1
    assert lines[0] == pytest.approx(line_m, abs=1e-6)
    cars = [w.traffic.place("car", lane, s, (lane,), 13.0) for s in (90.0, 50.0)]
    referee = TrafficReferee(w.net, w.states, w.statics)
    red = np.full(len(w.net.groups.id), int(Light.RED), dtype=np.uint8)
    green = np.full(len(w.net.groups.id), int(Light.GREEN_PROTECTED), dtype=np.uint8)
    events = []
    for _ in range(400):
        w.run(0.1, red)
        events += [e.kind for e in referee.observe(w.t_ns, red)]
    assert EventKind.RED_LIGHT not in events
    assert w.states.speed_mps[cars] == pytest.approx([0.0, 0.0], abs=0.05)
    assert lines[0] - 3.0 < w.states.s_m[cars[0]] <= lines[0]
    w.run(60.0, green)
    assert len(w.traffic.trips) == 2


@pytest.mark.parametrize("lanes", [1, 2])
def test_two_full_roads_into_one_mix_without_contact_and_neither_waits_for_ever(
    tmp_path: Path, lanes: int
) -> None:
    net = into_one(tmp_path, lanes)
    w0 = world(net)
    out = tuple((w0.lane(f"c/0/-{n}"), 1.0) for n in range(1, lanes + 1))
    flows = tuple(
        Flow(name, tuple(w0.lane(f"{name}/0/-{n}") for n in range(1, lanes + 1)), out, 600.0 * lanes)
        for name in ("a", "b")
    )  # fmt: skip
    w = world(net, TrafficConfig(flows), seed=3, capacity=256)
    assert contacts(w, 600.0) == set()
    served = [sum(t.flow == f for t in w.traffic.trips) for f in (0, 1)]
    # Demand is 100 a lane in the ten minutes on either road; two lanes also cross each other, and take less each.
    assert min(served) >= (75 if lanes == 1 else 100)
    assert max(t.end_s - t.start_s for t in w.traffic.trips) < 300.0


def test_roads_across_each_other_without_a_junction_are_crossed_one_by_one(tmp_path: Path) -> None:
    net = crossed(tmp_path)
    w0 = world(net)
    flows = tuple(
        Flow(name, (w0.lane(f"{name}/0/-1"),), ((w0.lane(f"{name}/0/-1"), 1.0),), 400.0)
        for name in ("e", "n")
    )
    w = world(net, TrafficConfig(flows), seed=4, capacity=256)
    assert contacts(w, 600.0) == set()
    assert min(sum(t.flow == f for t in w.traffic.trips) for f in (0, 1)) >= 50


def test_an_automated_vehicle_in_the_way_of_a_crossing_road_is_waited_for(tmp_path: Path) -> None:
    w = world(crossed(tmp_path))
    unit = put_unit(w, w.lane("n/0/-1"), 150.0)
    lane = w.lane("e/0/-1")
    car = w.traffic.place("car", lane, 30.0, (lane,), 13.0)
    assert contacts(w, 40.0) == set()
    assert w.states.speed_mps[car] == pytest.approx(0.0, abs=0.05)
    assert 100.0 < w.states.s_m[car] < 150.0
    w.states.valid[unit] = False
    w.run(40.0)
    assert len(w.traffic.trips) == 1


def test_a_bridge_and_a_road_under_it_do_not_meet(tmp_path: Path) -> None:
    assert meetings(crossed(tmp_path)).other.size == 2
    assert meetings(crossed(tmp_path, height_m=6.0)).other.size == 0
