"""The file for CARLA: only what CARLA cannot take is rewritten."""

from pathlib import Path

import numpy as np
from lxml import etree

from protocols.roads.network import LaneType, RoadNetwork
from scenarios.formats.opendrive import export_carla, read
from tests.support import xodr
from tests.support.xodr import geometry, lane, road, section


def exported(tmp_path: Path, *parts: str) -> tuple[etree._Element, RoadNetwork, dict[str, int]]:
    out = tmp_path / "out" / "carla.xodr"
    done = export_carla(xodr.write(tmp_path, *parts), out)
    return etree.parse(out).getroot(), read(out), done


def test_every_lane_gets_a_road_mark_and_a_width(tmp_path: Path) -> None:
    bare = '<lane id="-2" type="driving"/>'
    root, _, done = exported(tmp_path, road(sections=section(lane(1, xodr.SOLID), lane(-1) + bare)))
    lanes = root.findall(".//lane")
    assert len(lanes) == 4
    assert all(item.find("roadMark") is not None for item in lanes)
    assert all(item.find("width") is not None for item in lanes if item.get("id") != "0")
    assert done["road_mark_added"] == 3  # lanes 0, -1 and -2
    assert done["width_added"] == 1
    assert root.find("header/geoReference") is not None


def test_lanes_of_motor_vehicles_become_driving_and_others_stay_visible(tmp_path: Path) -> None:
    kinds = ["bus", "taxi", "HOV", "entry", "mwyExit", "slipLane", "walking", "curb", "sidewalk", "parking", "median"]  # fmt: skip
    open_shared = '<access rule="allow" restriction="autonomousTraffic"/>'
    right = "".join(lane(-1 - i, kind=k) for i, k in enumerate(kinds))
    right += lane(-12, open_shared, kind="shared")
    _, net, _ = exported(tmp_path, road(sections=section("", right)))
    assert [LaneType(int(t)).name for t in net.lanes.type] == (
        ["DRIVING"] * 6 + ["SIDEWALK", "BORDER", "SIDEWALK", "PARKING", "MEDIAN", "DRIVING"]
    )


def test_borders_are_written_as_widths_that_give_the_same_lanes(tmp_path: Path) -> None:
    edge = '<border sOffset="0" a="-3" b="-0.01" c="0" d="0"/>'
    part = road(sections=section("", lane(-1, width=edge)))
    before = read(xodr.write(tmp_path, part))
    root, after, _ = exported(tmp_path, part)
    assert root.find(".//border") is None
    np.testing.assert_allclose(after.points.y_m, before.points.y_m, atol=1e-12)


def test_curves_that_carla_cannot_follow_are_replaced(tmp_path: Path) -> None:
    plan = (
        geometry('<spiral curvStart="0.05" curvEnd="0.05"/>', 10.0)
        + geometry('<arc curvature="0"/>', 10.0, x=9.6, y=2.45, hdg=0.5, s=10.0)
        + geometry('<spiral curvStart="0" curvEnd="0.05"/>', 10.0, x=18.4, y=7.2, hdg=0.5, s=20.0)
    )
    root, _, done = exported(tmp_path, road(length=30.0, plan=plan))
    shapes = [record[0].tag for record in root.findall(".//geometry")]
    assert shapes == ["arc", "line", "spiral"]
    assert done["spiral_to_arc"] == 1
    assert done["arc_to_line"] == 1


def test_ids_become_distinct_integers_everywhere(tmp_path: Path) -> None:
    into = '<successor elementType="junction" elementId="1"/>'
    both = (
        '<predecessor elementType="road" elementId="main street" contactPoint="end"/>'
        '<successor elementType="road" elementId="1" contactPoint="start"/>'
    )
    ids = '<link><predecessor id="-1"/><successor id="-1"/></link>'
    parts = [
        road("main street", sections=section("", lane(-1)), link=into),
        road("1", plan=xodr.line(100.0, x=120.0), sections=section("", lane(-1))),
        road("7", 20.0, xodr.line(20.0, x=100.0), section("", lane(-1, ids)), link=both, junction="1"),
        '<junction id="1" name=""><connection id="0" incomingRoad="main street" connectingRoad="7" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection></junction>',
    ]  # fmt: skip
    before = read(xodr.write(tmp_path, *parts))
    _, after, done = exported(tmp_path, *parts)
    assert all(i.isdecimal() for i in (*after.roads.id, *after.junctions.id))
    assert not set(after.roads.id) & set(after.junctions.id)
    assert done["road_renumbered"] == 1
    assert done["junction_renumbered"] == 1  # a road is called 1 as well
    np.testing.assert_array_equal(after.lanes.next, before.lanes.next)
    assert after.lanes.next.size == 2


def test_a_file_that_needs_nothing_keeps_its_lanes(tmp_path: Path) -> None:
    marks = xodr.SOLID
    part = road(sections=section(lane(1, marks), lane(-1, marks), centre=marks))
    path = xodr.write(tmp_path, part, header="<geoReference>+proj=utm</geoReference>")
    assert export_carla(path, tmp_path / "out.xodr") == {}
    a, b = read(path), read(tmp_path / "out.xodr")
    assert a.geo_reference == b.geo_reference
    np.testing.assert_array_equal(a.points.x_m, b.points.x_m)
