"""Lights and signs: they cycle as CARLA documents, hold whom they should, and the stock client finds them on its own map."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import RoadError
from scenarios.formats.opendrive import read
from sim.carla.server import columns as c
from sim.carla.server import lights
from sim.carla.server.maps import MapStore
from sim.carla.server.table import Table
from tests.carla.conftest import Server
from tests.support import xodr
from tests.support.xodr import lane, road, section

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
TOWN01 = CORPORA / "carla-opendrive" / "OpenDrive" / "Town01.xodr"
RED, YELLOW, GREEN = 0, 1, 2
DT = 0.05


def signal(name: str, s: float, inner: str = "", orientation: str = "+", kind: str = "1000001", dynamic: str = "yes", t: float = -4.0, more: str = "") -> str:  # fmt: skip
    return (
        f'<signal s="{s}" t="{t}" id="{name}" name="" dynamic="{dynamic}" orientation="{orientation}" zOffset="0" '
        f'country="OpenDRIVE" type="{kind}" subtype="-1" {more}>{inner}</signal>'
    )


def junction_of_three(tmp_path: Path) -> lights.LightPlan:
    """Three roads end at a junction; controllers 10, 20 and 30 hold one head each, at the ends of roads 1, 2 and 3."""
    ends = [(0.0, 0.0, 0.0), (220.0, 0.0, np.pi), (110.0, -110.0, np.pi / 2)]
    parts = [
        road(
            str(k + 1), 100.0, xodr.line(100.0, x, y, hdg), section("", lane(-1)),
            after=f"<signals>{signal(f's{k + 1}', 99.0)}</signals>",
        )
        for k, (x, y, hdg) in enumerate(ends)
    ]  # fmt: skip
    parts += [f'<controller id="{k}0" name=""><control signalId="s{k}" type="0"/></controller>' for k in (1, 2, 3)]  # fmt: skip
    parts.append('<junction id="9" name="">' + "".join(f'<controller id="{k}0" type="0"/>' for k in (1, 2, 3)) + "</junction>")  # fmt: skip
    return lights.plan(read(xodr.write(tmp_path, *parts)))


def episode(plan: lights.LightPlan) -> tuple[Table, lights.Lights]:
    table, some = Table(), lights.Lights(plan)
    ids = []
    for k, head in enumerate(some.actors()):
        table.add(k + 1, head.kind)
        ids.append(k + 1)
    some.bind(table, ids)
    return table, some


def car(table: Table, actor: int, x: float, y: float, yaw: float = 0.0, v: float = 0.0) -> int:
    row = table.add(actor, c.VEHICLE)
    table.f[row, c.X], table.f[row, c.Y], table.f[row, c.YAW] = x, y, yaw
    table.f[row, c.EXT_X], table.f[row, c.EXT_Y] = 2.4, 1.0
    table.f[row, c.VX] = v
    return row


def held(table: Table, row: int) -> tuple[int, int, int]:
    return tuple(int(v) for v in table.i[row, [c.HAS_LIGHT, c.LIGHT_ID, c.LIGHT_STATE]])  # type: ignore[return-value]


def shown(table: Table) -> list[int]:
    return [int(v) for v in table.i[: table.high, c.LIGHT_STATE]]


def test_approaches_take_turns_green_10_yellow_3_all_red_2_seconds(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    history = [shown(table)]
    for _ in range(900):
        some.step(table, DT)
        history.append(shown(table))
    changes = [k for k in range(1, 901) if history[k] != history[k - 1]]
    assert changes == [200, 260, 300, 500, 560, 600, 800, 860, 900]  # ticks of 0.05 s
    assert [history[k] for k in (0, 200, 260, 300, 500, 560, 600, 900)] == [
        [GREEN, RED, RED], [YELLOW, RED, RED], [RED, RED, RED], [RED, GREEN, RED],
        [RED, YELLOW, RED], [RED, RED, RED], [RED, RED, GREEN], [GREEN, RED, RED],
    ]  # fmt: skip


def test_rows_carry_times_elapsed_seconds_group_and_pole(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    for _ in range(30):
        some.step(table, DT)
    assert table.f[0, [c.GREEN_S, c.YELLOW_S, c.RED_S]].tolist() == [10.0, 3.0, 2.0]
    assert table.f[:3, c.ELAPSED_S] == pytest.approx([1.5] * 3)
    assert table.i[:3, c.POLE].tolist() == [0, 1, 2]
    assert len(set(table.i[:3, c.GROUP].tolist())) == 1
    assert some.group(2) == [1, 2, 3]


def test_a_state_that_is_set_stays_until_the_cycle_moves_on(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    some.set_state(1, RED)
    some.set_state(2, GREEN)
    for _ in range(199):
        some.step(table, DT)
    assert shown(table) == [RED, GREEN, RED]
    some.step(table, DT)  # light 1 enters its yellow; light 2's controller is not on
    assert shown(table) == [YELLOW, GREEN, RED]


def test_times_that_are_set_hold_from_the_next_stage(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    some.set_times(1, green_s=1.0, yellow_s=0.5)
    some.set_times(2, green_s=1.0)
    for _ in range(199):
        some.step(table, DT)
    assert shown(table)[0] == GREEN  # the green that had begun keeps its 10 s
    for _ in range(1 + 10):
        some.step(table, DT)
    assert shown(table) == [RED, RED, RED]
    for _ in range(40 + 20):
        some.step(table, DT)
    assert shown(table) == [RED, YELLOW, RED]


def test_a_frozen_cycle_stands_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    for _ in range(150):
        some.step(table, DT)
    some.freeze(3, True)
    for _ in range(1000):
        some.step(table, DT)
    assert shown(table) == [GREEN, RED, RED]
    assert table.i[:3, c.FROZEN].tolist() == [1, 1, 1]
    some.freeze_all(False)
    for _ in range(49):
        some.step(table, DT)
    assert shown(table) == [GREEN, RED, RED]
    some.step(table, DT)
    assert shown(table) == [YELLOW, RED, RED]


def test_a_reset_begins_the_cycle_anew(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    for _ in range(400):
        some.step(table, DT)
    assert shown(table) == [RED, GREEN, RED]
    some.reset_group(3)
    some.step(table, DT)
    assert shown(table) == [GREEN, RED, RED]
    assert table.f[0, c.ELAPSED_S] == pytest.approx(DT)


def test_who_is_no_light_is_refused(tmp_path: Path) -> None:
    _, some = episode(junction_of_three(tmp_path))
    with pytest.raises(RoadError, match="Actor 99 is not a traffic light"):
        some.set_state(99, RED)


def test_a_car_is_held_at_red_until_green(tmp_path: Path) -> None:
    """Road 2 comes from x = 220 towards the junction; its stop line is at x = 121, its light is actor 2 and red at first."""
    table, some = episode(junction_of_three(tmp_path))
    far = car(table, 50, 140.0, -1.5, 180.0)
    near = car(table, 51, 124.0, -1.5, 180.0)
    oncoming = car(table, 52, 123.0, 1.5, 0.0)
    crossing = car(table, 53, 123.0, -1.5, 90.0)
    some.locate(table)
    assert held(table, far) == (0, 0, GREEN)
    assert held(table, near) == (1, 2, RED)
    assert held(table, oncoming) == (0, 0, GREEN)
    assert held(table, crossing) == (0, 0, GREEN)
    table.f[near, c.X] = 114.0  # too late: it has passed the line and the box
    some.locate(table)
    assert held(table, near) == (1, 2, RED)
    some.set_state(2, YELLOW)
    some.locate(table)
    assert held(table, near) == (1, 2, YELLOW)
    some.set_state(2, GREEN)
    some.locate(table)
    assert held(table, near)[0] == 0
    some.set_state(2, RED)
    some.locate(table)
    assert held(table, near)[0] == 0


def test_who_came_in_on_green_is_not_held_when_it_changes(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    some.set_state(2, GREEN)
    row = car(table, 51, 124.0, -1.5, 180.0)
    some.locate(table)
    assert held(table, row)[0] == 0
    some.set_state(2, YELLOW)
    some.locate(table)
    assert held(table, row)[0] == 0
    table.f[row, c.X] = 80.0  # on through the junction
    some.locate(table)
    assert held(table, row) == (0, 0, GREEN)
    table.f[row, c.X] = 124.0  # and a lap later back at the line
    some.locate(table)
    assert held(table, row) == (1, 2, YELLOW)


def test_a_fast_car_is_held_from_where_it_has_to_brake(tmp_path: Path) -> None:
    """12 m/s, 6 m/s2: 12 m. The box reaches from 121 to 123.7, the car's front is 2.4 m before its middle."""
    table, some = episode(junction_of_three(tmp_path))
    row = car(table, 51, 123.7 + 2.4 + 12.5, -1.5, 180.0, v=-12.0)
    some.locate(table)
    assert held(table, row)[0] == 0
    table.f[row, c.X] -= 1.0
    some.locate(table)
    assert held(table, row) == (1, 2, RED)


def test_a_car_that_was_carried_away_is_let_go(tmp_path: Path) -> None:
    table, some = episode(junction_of_three(tmp_path))
    row = car(table, 51, 124.0, -1.5, 180.0)
    some.locate(table)
    assert held(table, row)[0] == 1
    table.f[row, c.X] = 10.0
    some.locate(table)
    assert held(table, row) == (0, 0, GREEN)


def test_speed_limits_are_those_of_the_lane_under_the_car(tmp_path: Path) -> None:
    """36 km/h and, 60 m on, 72 km/h along x; nothing said on road 2, where CARLA's 30 km/h holds; off the road the last one."""
    fast = '<speed sOffset="0" max="10" unit="m/s"/><speed sOffset="60" max="20" unit="m/s"/>'
    net = read(
        xodr.write(
            tmp_path,
            road("1", sections=section("", lane(-1, fast))),
            road("2", 100.0, xodr.line(100.0, y=200.0), section("", lane(-1))),
        )
    )
    table, some = episode(lights.plan(net))
    rows = [car(table, 7, 20.0, 1.5), car(table, 8, 80.0, 1.5), car(table, 9, 20.0, -198.5), car(table, 10, 900.0, 900.0)]  # fmt: skip
    some.locate(table)
    assert table.f[rows, c.SPEED_LIMIT_KMH] == pytest.approx([36.0, 72.0, 30.0, 30.0])
    table.f[rows[0], c.X] = 75.0
    table.f[rows[1], c.Y] = 500.0
    some.locate(table)
    assert table.f[rows, c.SPEED_LIMIT_KMH] == pytest.approx([72.0, 72.0, 30.0, 30.0])


def test_signs_become_actors_beside_their_lane(tmp_path: Path) -> None:
    marks = (
        signal("stop", 98.0, kind="206", dynamic="no")
        + signal("give way", 2.0, kind="205", dynamic="no", orientation="-", t=4.0)
        + signal("fifty", 50.0, kind="274", dynamic="no", more='value="50" unit="km/h"')
        + signal("parking", 60.0, kind="314", dynamic="no")
    )
    parts = road(sections=section(lane(1), lane(-1)), after=f"<signals>{marks}</signals>")
    plan = lights.plan(read(xodr.write(tmp_path, parts)))
    assert [(h.blueprint_id, h.sign_id) for h in plan.signs] == [
        ("traffic.stop", "stop"), ("traffic.yield", "give way"), ("traffic.speed_limit.50", "fifty"),
    ]  # fmt: skip
    stop = plan.signs[0]
    # It faces traffic that runs along x: its own x axis points right, to +y; the box lies left of it, on the lane.
    assert stop.transform.rotation.yaw == pytest.approx(90.0)
    assert (stop.transform.location.x, stop.transform.location.y) == pytest.approx((98.0, 4.0))
    assert stop.box_centre[0] == pytest.approx(-2.5)
    assert stop.box_extent[0] == pytest.approx(1.35)  # 0.9 of half of 3 m


def test_cycle_tracks_and_walkers_have_no_vehicle_light(tmp_path: Path) -> None:
    bike = lane(-1) + lane(-2, kind="biking")
    marks = (
        signal("car", 99.0, '<validity fromLane="-1" toLane="-1"/>')
        + signal("bike", 99.0, '<validity fromLane="-2" toLane="-2"/>')
        + signal("walker", 99.0, kind="1000002")
    )
    parts = road(sections=section("", bike), after=f"<signals>{marks}</signals>")
    plan = lights.plan(read(xodr.write(tmp_path, parts)))
    assert [h.sign_id for h in plan.heads] == ["car"]


CLIENT = """
lights = list(world.get_actors().filter("traffic.traffic_light"))
marks = world.get_map().get_all_landmarks_of_type("1000001")
result = {
    "ids": sorted(tl.get_opendrive_id() for tl in lights),
    "marks": sorted(m.id for m in marks),
    "found": [world.get_traffic_light(m) is not None for m in marks],
    "stops": [sorted({(w.road_id, w.lane_id) for w in tl.get_stop_waypoints()}) for tl in lights],
    "lanes": [sorted({(w.road_id, w.lane_id) for w in tl.get_affected_lane_waypoints()}) for tl in lights],
    "ends": [min(len(w.next_until_lane_end(0.5)) for w in tl.get_stop_waypoints()) for tl in lights],
    "groups": sorted({tuple(sorted(a.id for a in tl.get_group_traffic_lights())) for tl in lights}),
    "green": [sum(a.state == carla.TrafficLightState.Green for a in tl.get_group_traffic_lights()) for tl in lights],
}
"""


@pytest.mark.skipif(not TOWN01.exists(), reason="../shared/corpora is absent")
def test_the_stock_client_finds_a_towns_lights_on_the_lanes_they_hold(
    tmp_path: Path, start_server: Callable[..., Server]
) -> None:
    """Town01 has 12 junctions of three roads each, and no signal in its file."""
    pytest.importorskip("carla", reason="the stock client")
    (tmp_path / "Town01.xodr").write_bytes(TOWN01.read_bytes())
    (tmp_path / "Town01.lights.toml").write_text("rule = true\n")
    found = start_server(maps_dir=tmp_path).client(CLIENT)
    assert len(found["ids"]) == 36
    assert found["ids"] == found["marks"]
    assert all(found["found"])
    assert found["stops"] == found["lanes"]
    assert max(found["ends"]) <= 8  # within 4 m of the end of the road: box and stop line
    assert [len(g) for g in found["groups"]] == [3] * 12
    assert found["green"] == [1] * 36


MOVES = """
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
tl = next(a for a in world.get_actors().filter("traffic.traffic_light") if a.state == carla.TrafficLightState.Red)
tl.freeze(True)
at = tl.get_stop_waypoints()[0].previous(1.0)[0].transform
at.location.z += 0.3
car = world.spawn_actor(world.get_blueprint_library().find("vehicle.tesla.model3"), at)
world.tick()
red = [car.is_at_traffic_light(), car.get_traffic_light().id == tl.id, str(car.get_traffic_light_state())]
tl.set_state(carla.TrafficLightState.Green)
world.tick()
green = [car.is_at_traffic_light(), str(car.get_traffic_light_state()), tl.is_frozen()]
result = [red, green, len(tl.get_light_boxes())]
"""


def test_the_stock_client_sees_a_car_held_and_let_go(server: Server) -> None:
    pytest.importorskip("carla", reason="the stock client")
    red, green, boxes = server.client(MOVES)
    assert red == [True, True, "Red"]
    assert green == [False, "Green", True]
    assert boxes == 1


def test_a_sidecar_gives_a_junction_the_times_it_says(tmp_path: Path) -> None:
    """Roads 1 and 2 end at junction 9, connecting roads lead through it; only road 1 is to have a light."""
    ids = '<link><predecessor id="-1"/><successor id="-1"/></link>'
    link = '<{} elementType="{}" elementId="{}"{}/>'
    into = link.format("successor", "junction", "9", "")
    parts = [
        road("1", 100.0, xodr.line(100.0), section("", lane(-1)), link=into),
        road("2", 100.0, xodr.line(100.0, 160.0, -100.0, np.pi / 2), section("", lane(-1)), link=into),
        road("3", 100.0, xodr.line(100.0, 120.0), section("", lane(-1)), link=link.format("predecessor", "junction", "9", "")),
        road("4", 20.0, xodr.line(20.0, 100.0), section("", lane(-1, ids)), junction="9",
             link=link.format("predecessor", "road", "1", ' contactPoint="end"') + link.format("successor", "road", "3", ' contactPoint="start"')),
        '<junction id="9" name=""><connection id="0" incomingRoad="1" connectingRoad="4" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection></junction>',
    ]  # fmt: skip
    (tmp_path / "A.xodr").write_text(xodr.document(*parts))
    (tmp_path / "A.lights.toml").write_text(
        '[[junction]]\nid = "9"\ngreen_s = 20.0\n[[junction.approach]]\nroad = "1"\n'
    )
    loaded = MapStore(tmp_path, check_planner=False).load("A")
    (head,) = loaded.lights.heads
    assert loaded.lights.times.tolist() == [[20.0, 3.0, 2.0]]
    # Stop line 1 m before the end of road 1, pole 1 m right of its lane of 3 m.
    assert (head.transform.location.x, head.transform.location.y) == pytest.approx((99.0, 4.0))
    assert head.transform.rotation.yaw == pytest.approx(90.0)
    assert f'id="{head.sign_id}"' in loaded.xodr
