"""Stations, crossings and outlines."""

import math
from pathlib import Path

import numpy as np
import pytest

from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from tests.support import xodr
from tests.support.xodr import lane, section


def with_objects(tmp_path: Path, content: str, **road: object) -> RoadNetwork:
    """A road of 100 m: bus lane and car lane on either side, footways outside; all 3 m wide."""
    left = lane(1, kind="bus") + lane(2) + lane(3, kind="sidewalk")
    right = lane(-1, kind="bus") + lane(-2) + lane(-3, kind="sidewalk")
    sections = section(left, right)
    after = f"<objects>{content}</objects>"
    controller = '<controller id="W"><control signalId="1"/></controller>'
    return read(
        xodr.write(
            tmp_path,
            xodr.road(sections=sections, after=after, **road),
            controller,  # type: ignore[arg-type]
        )
    )


def platform(inner: str, t: float = -4.0, s: float = 50.0) -> str:
    return (
        f'<object type="busStop" subtype="platform" id="S1" name="West" s="{s}" t="{t}" length="20" '
        f'width="3" hdg="0" orientation="none" zOffset="0" height="0.3">{inner}</object>'
    )


def test_a_platform_serves_the_lane_of_its_validity(tmp_path: Path) -> None:
    net = with_objects(tmp_path, platform('<validity fromLane="-1" toLane="-1"/>'))
    stations = net.stations
    assert [net.lane_key(int(i)) for i in stations.lane] == ["1/0/-1"]
    assert (stations.id, stations.name) == (("S1",), ("West",))
    assert stations.s0_m[0] == pytest.approx(40.0)
    assert stations.s1_m[0] == pytest.approx(60.0)
    assert stations.stop_s_m[0] == pytest.approx(58.0)  # 2 m before the downstream end
    assert stations.door_side.tolist() == [-1]  # t = -4 lies right of the lane's centre at -1.5
    assert stations.is_island.tolist() == [False]
    assert net.objects.type[stations.object[0]] == "busStop"


def test_an_island_platform_serves_both_directions(tmp_path: Path) -> None:
    inner = (
        '<validity fromLane="-1" toLane="-1"/><validity fromLane="1" toLane="1"/>'
        '<userData code="icv.island" value="1"/>'
    )
    net = with_objects(tmp_path, platform(inner, t=0.0))
    stations = net.stations
    assert [net.lane_key(int(i)) for i in stations.lane] == ["1/0/-1", "1/0/1"]
    # Lane 1 enters at road s = 100: its downstream end is at s = 40, 60 m on its way.
    assert stations.stop_s_m.tolist() == pytest.approx([58.0, 58.0])
    assert stations.door_side.tolist() == [1, 1]  # the island is on everybody's left
    assert stations.is_island.all()


def test_the_stop_point_can_be_stated_for_each_direction(tmp_path: Path) -> None:
    inner = (
        '<validity fromLane="-1" toLane="-1"/><validity fromLane="1" toLane="1"/>'
        '<userData code="icv.stop_s" value="{}"/>'
    )
    net = with_objects(tmp_path, platform(inner.format("55 45"), t=0.0))
    assert net.stations.stop_s_m.tolist() == pytest.approx([55.0, 55.0])
    net = with_objects(tmp_path, platform(inner.format("55"), t=0.0))
    assert net.stations.stop_s_m.tolist() == pytest.approx([55.0, 45.0])


def test_without_validity_the_nearest_bus_lane_is_served(tmp_path: Path) -> None:
    net = with_objects(tmp_path, platform("", t=5.0))
    assert [net.lane_key(int(i)) for i in net.stations.lane] == ["1/0/2"]  # cars' lane admits buses
    assert net.stations.door_side.tolist() == [-1]  # it runs west: north of its centre is right


def test_a_station_for_nobody_is_noted(tmp_path: Path) -> None:
    net = with_objects(tmp_path, platform('<validity fromLane="-3" toLane="-3"/>'))
    assert net.stations.lane.size == 0
    assert any("serves no lane" in note for note in net.notes)


CROSSWALK = (
    '<object type="crosswalk" id="X" s="50" t="0" hdg="0" zOffset="0" orientation="none" length="4" width="18">'
    "{}</object>"
)
CORNERS = "<outline>{}</outline>".format(
    "".join(
        f'<cornerRoad s="{s}" t="{t}" dz="0" height="0"/>'
        for s, t in ((48, -9), (52, -9), (52, 9), (48, 9), (48, -9))
    )
)
LOCAL = "<outline>{}</outline>".format(
    "".join(
        f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>'
        for u, v in ((-2, -9), (2, -9), (2, 9), (-2, 9))
    )
)


@pytest.mark.parametrize("outline", [CORNERS, LOCAL, "", f"<outlines>{LOCAL}</outlines>"])
def test_a_crosswalk_crosses_the_vehicle_lanes(tmp_path: Path, outline: str) -> None:
    net = with_objects(tmp_path, CROSSWALK.format(outline))
    crossings = net.crossings
    assert crossings.id == ("X",)
    ends = sorted([(crossings.x0_m[0], crossings.y0_m[0]), (crossings.x1_m[0], crossings.y1_m[0])])
    np.testing.assert_allclose(ends, [(50, -9), (50, 9)], atol=1e-9)
    assert crossings.width_m[0] == pytest.approx(4.0)
    assert [net.lane_key(int(i)) for i in crossings.lane] == ["1/0/2", "1/0/1", "1/0/-1", "1/0/-2"]
    np.testing.assert_allclose(crossings.lane_in_m, 48.0, atol=0.11)
    np.testing.assert_allclose(crossings.lane_out_m, 52.0, atol=0.11)
    assert crossings.group.tolist() == [-1]


def test_a_crosswalk_can_name_its_signal_group(tmp_path: Path) -> None:
    named = '<userData code="icv.signal_group" value="{}"/>'
    net = with_objects(tmp_path, CROSSWALK.format(CORNERS + named.format("W")))
    assert [net.groups.id[g] for g in net.crossings.group] == ["W"]
    net = with_objects(tmp_path, CROSSWALK.format(CORNERS + named.format("nobody")))
    assert net.crossings.group.tolist() == [-1]
    assert any("icv.signal_group" in note for note in net.notes)


def test_a_crosswalk_reaches_lanes_of_other_roads(tmp_path: Path) -> None:
    other = xodr.road("2", plan=xodr.line(100.0, y=12.0), sections=section("", lane(-1)))
    wide = CROSSWALK.format(CORNERS.replace('t="9"', 't="13"'))
    one = xodr.road("1", after=f"<objects>{wide}</objects>")
    net = read(xodr.write(tmp_path, one, other))
    assert {net.lane_key(int(i)) for i in net.crossings.lane} == {"1/0/1", "1/0/-1", "2/0/-1"}


def test_outlines_turn_with_road_and_object(tmp_path: Path) -> None:
    plan = xodr.line(100.0, x=10.0, y=20.0, hdg=math.pi / 2)
    box = '<object type="building" id="B" s="30" t="-10" hdg="0" zOffset="1" length="8" width="2" height="5"/>'
    net = with_objects(tmp_path, box, plan=plan)
    objects = net.objects
    assert (objects.x_m[0], objects.y_m[0], objects.z_m[0]) == pytest.approx((20.0, 50.0, 1.0))
    assert objects.yaw_rad[0] == pytest.approx(math.pi / 2)
    assert (objects.outline_x_m.min(), objects.outline_x_m.max()) == pytest.approx((19.0, 21.0))
    assert (objects.outline_y_m.min(), objects.outline_y_m.max()) == pytest.approx((46.0, 54.0))
    assert objects.outline_start.tolist() == [0, 4]
