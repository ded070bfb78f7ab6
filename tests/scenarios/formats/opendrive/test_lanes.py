"""Order, direction, links, neighbours, marks, speeds and borders of lanes."""

from pathlib import Path

import numpy as np
import pytest

from protocols.roads.network import LaneType, MarkKind, RoadNetwork
from scenarios.formats.opendrive import read
from tests.support import xodr
from tests.support.xodr import BROKEN, SOLID, lane, section


def keys(net: RoadNetwork) -> dict[str, int]:
    return {net.lane_key(i): i for i in range(net.num_lanes)}


def edges(net: RoadNetwork) -> set[tuple[str, str]]:
    lanes = net.lanes
    return {
        (net.lane_key(a), net.lane_key(int(b)))
        for a in range(net.num_lanes)
        for b in lanes.next[lanes.next_start[a] : lanes.next_start[a + 1]]
    }


def assert_prev_is_the_inverse_of_next(net: RoadNetwork) -> None:
    lanes = net.lanes
    back = {
        (net.lane_key(int(a)), net.lane_key(b))
        for b in range(net.num_lanes)
        for a in lanes.prev[lanes.prev_start[b] : lanes.prev_start[b + 1]]
    }
    assert back == edges(net)


def link(predecessor: int | None = None, successor: int | None = None) -> str:
    inner = "" if predecessor is None else f'<predecessor id="{predecessor}"/>'
    inner += "" if successor is None else f'<successor id="{successor}"/>'
    return f"<link>{inner}</link>"


def test_lanes_are_numbered_by_road_section_and_from_left_to_right(tmp_path: Path) -> None:
    # In the file the lanes come in another order.
    sections = section(lane(1) + lane(2), lane(-2) + lane(-1))
    net = read(xodr.write(tmp_path, xodr.road("b", sections=sections), xodr.road("a")))
    assert list(keys(net)) == ["b/0/2", "b/0/1", "b/0/-1", "b/0/-2", "a/0/1", "a/0/-1"]


def test_right_hand_traffic(tmp_path: Path) -> None:
    sections = section(lane(2) + lane(1), lane(-1) + lane(-2))
    net = read(xodr.write(tmp_path, xodr.road(sections=sections)))
    # Numbers: 0 = lane 2, 1 = lane 1, 2 = lane -1, 3 = lane -2.
    assert net.lanes.direction.tolist() == [-1, -1, 1, 1]
    assert net.lanes.left.tolist() == [1, -1, -1, 2]  # towards the middle of the road
    assert net.lanes.right.tolist() == [-1, 0, 3, -1]
    assert net.lanes.opposite.tolist() == [-1, 2, 1, -1]


def test_left_hand_traffic_mirrors_directions_and_sides(tmp_path: Path) -> None:
    sections = section(lane(2) + lane(1), lane(-1) + lane(-2))
    net = read(xodr.write(tmp_path, xodr.road(sections=sections, rule="LHT")))
    assert net.lanes.direction.tolist() == [1, 1, -1, -1]
    assert net.lanes.left.tolist() == [-1, 0, 3, -1]  # towards the kerb
    assert net.lanes.right.tolist() == [1, -1, -1, 2]
    assert net.lanes.opposite.tolist() == [-1, 2, 1, -1]
    start, end = net.lanes.point_start[2], net.lanes.point_start[3] - 1
    assert (net.points.x_m[start], net.points.x_m[end]) == pytest.approx((100.0, 0.0))


def test_links_within_a_road_and_across_roads_that_meet_tail_to_tail(tmp_path: Path) -> None:
    one = xodr.road(
        "1",
        sections=section(lane(1, link(None, 1)), lane(-1, link(None, -1)))
        + section(lane(1, link(1, -1)), lane(-1, link(-1, 1)), s=60.0),
        link='<successor elementType="road" elementId="2" contactPoint="end"/>',
    )
    two = xodr.road(  # runs the other way and ends where road 1 ends
        "2",
        plan=xodr.line(100.0, x=200.0, hdg=np.pi),
        sections=section(lane(1, link(None, -1)), lane(-1, link(None, 1))),
        link='<successor elementType="road" elementId="1" contactPoint="end"/>',
    )
    net = read(xodr.write(tmp_path, one, two))
    assert edges(net) == {
        ("1/0/-1", "1/1/-1"),
        ("1/1/-1", "2/0/1"),
        ("2/0/-1", "1/1/1"),
        ("1/1/1", "1/0/1"),
    }
    assert_prev_is_the_inverse_of_next(net)
    lanes, points = net.lanes, net.points
    for a in range(net.num_lanes):
        for b in lanes.next[lanes.next_start[a] : lanes.next_start[a + 1]]:
            end, start = lanes.point_start[a + 1] - 1, lanes.point_start[b]
            assert points.x_m[end] == pytest.approx(points.x_m[start])
            assert points.y_m[end] == pytest.approx(points.y_m[start])


def junction_file(tmp_path: Path) -> Path:
    """Road 1 (east) to a junction that forks to road 2 (straight on) and road 3 (also ends there, reversed)."""
    into = '<successor elementType="junction" elementId="9"/>'
    out = '<predecessor elementType="junction" elementId="9"/>'
    ends = (
        '<predecessor elementType="road" elementId="1" contactPoint="end"/>'
        '<successor elementType="road" elementId="{}" contactPoint="{}"/>'
    )
    one = xodr.road("1", sections=section("", lane(-1) + lane(-2)), link=into)
    two = xodr.road("2", plan=xodr.line(100.0, x=120.0), sections=section("", lane(-1)), link=out)
    three = xodr.road(
        "3", plan=xodr.line(100.0, x=220.0, y=-3.0, hdg=np.pi), sections=section(lane(1)), link=into
    )
    straight = xodr.road(
        "10", 20.0, xodr.line(20.0, x=100.0), section("", lane(-1, link(-1, -1))),
        link=ends.format(2, "start"), junction="9",
    )  # fmt: skip
    other = xodr.road(
        "11", 20.0, xodr.line(20.0, x=100.0, y=-3.0), section("", lane(-1, link(-2, 1))),
        link=ends.format(3, "end"), junction="9",
    )  # fmt: skip
    junction = (
        '<junction id="9" name="fork"><connection id="0" incomingRoad="1" connectingRoad="10" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection>'
        '<connection id="1" incomingRoad="1" connectingRoad="11" contactPoint="start">'
        '<laneLink from="-2" to="-1"/></connection></junction>'
    )
    return xodr.write(tmp_path, one, two, three, straight, other, junction)


def test_links_through_a_junction(tmp_path: Path) -> None:
    net = read(junction_file(tmp_path))
    assert edges(net) == {
        ("1/0/-1", "10/0/-1"),
        ("10/0/-1", "2/0/-1"),
        ("1/0/-2", "11/0/-1"),
        ("11/0/-1", "3/0/1"),
    }
    assert_prev_is_the_inverse_of_next(net)
    assert net.junctions.id == ("9",)
    inside = {net.lane_key(int(i)) for i in net.junctions.lane}
    assert inside == {"10/0/-1", "11/0/-1"}
    assert net.lanes.junction[keys(net)["10/0/-1"]] == 0
    assert net.lanes.junction[keys(net)["1/0/-1"]] == -1


@pytest.mark.parametrize(
    ("mark", "outwards", "inwards"),
    [
        (BROKEN, True, True),
        (SOLID, False, False),
        ("", True, True),
        ('<roadMark sOffset="0" type="solid broken"/>', False, True),  # broken outside
        ('<roadMark sOffset="0" type="broken solid"/>', True, False),
        ('<roadMark sOffset="0" type="solid_broken"/>', False, True),
        ('<roadMark sOffset="0" type="solid" laneChange="both"/>', True, True),
        ('<roadMark sOffset="0" type="broken" laneChange="none"/>', False, False),
        ('<roadMark sOffset="0" type="broken" laneChange="increase"/>', False, True),
        ('<roadMark sOffset="0" type="broken"/><roadMark sOffset="80" type="solid"/>', True, True),
        (
            '<roadMark sOffset="0" type="broken"/><roadMark sOffset="20" type="solid"/>',
            False,
            False,
        ),
    ],
)
def test_marks_decide_about_changes(
    tmp_path: Path, mark: str, outwards: bool, inwards: bool
) -> None:
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", lane(-1, mark) + lane(-2)))))
    assert net.lanes.may_change_right.tolist() == [outwards, False]  # from -1 to -2
    assert net.lanes.may_change_left.tolist() == [False, inwards]


def test_lane_change_by_ids_means_the_same_on_the_left_side(tmp_path: Path) -> None:
    mark = '<roadMark sOffset="0" type="broken" laneChange="increase"/>'
    net = read(xodr.write(tmp_path, xodr.road(sections=section(lane(2) + lane(1, mark)))))
    # Towards higher ids is outwards here: from 1 to 2, which is to the driver's right.
    assert net.lanes.may_change_right.tolist() == [False, True]
    assert net.lanes.may_change_left.tolist() == [False, False]


def test_mark_pieces_end_where_the_next_begins(tmp_path: Path) -> None:
    mark = (
        '<roadMark sOffset="0" type="broken" color="yellow"/><roadMark sOffset="80" type="curb"/>'
    )
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", lane(-1, mark), centre=SOLID))))
    marks = net.road_marks
    assert marks.lane.tolist() == [-1, 0, 0]
    assert marks.kind.tolist() == [MarkKind.SOLID, MarkKind.BROKEN, MarkKind.CURB]
    assert marks.s0_m.tolist() == [0.0, 0.0, 80.0]
    assert marks.s1_m.tolist() == [100.0, 80.0, 100.0]
    assert marks.colour == ("standard", "yellow", "standard")


def limits(net: RoadNetwork, i: int) -> list[tuple[float, float]]:
    rows = slice(net.lanes.speed_start[i], net.lanes.speed_start[i + 1])
    return [
        (round(float(s), 6), round(float(v), 6))
        for s, v in zip(net.speed_limits.s_m[rows], net.speed_limits.speed_mps[rows], strict=True)
    ]


@pytest.mark.parametrize(
    ("unit", "value", "mps"),
    [("", 15.0, 15.0), ('unit="km/h"', 54.0, 15.0), ('unit="mph"', 10.0, 4.4704), ('unit="m/s"', 15.0, 15.0)],
)  # fmt: skip
def test_speed_units(tmp_path: Path, unit: str, value: float, mps: float) -> None:
    speed = f'<speed sOffset="0" max="{value}" {unit}/>'
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", lane(-1, speed)))))
    assert net.lanes.speed_mps[0] == pytest.approx(mps)
    assert net.lanes.has_speed[0]


def test_lane_speed_wins_over_the_roads_and_pieces_follow_the_traveller(tmp_path: Path) -> None:
    kind = (
        '<type s="0" type="town"><speed max="10"/></type>'
        '<type s="70" type="town"><speed max="no limit"/></type>'
    )
    own = '<speed sOffset="40" max="5"/>'
    sections = section(lane(1, own), lane(-1, own) + lane(-2))
    net = read(xodr.write(tmp_path, xodr.road(sections=sections, before=kind)))
    one, minus_one, minus_two = range(3)
    assert limits(net, minus_one) == [(0.0, 10.0), (40.0, 5.0), (70.0, 5.0)]
    assert limits(net, one) == [(0.0, 5.0), (30.0, 5.0), (60.0, 10.0)]  # enters at road s = 100
    assert limits(net, minus_two) == [(0.0, 10.0)]
    assert net.lanes.speed_mps.tolist() == [5.0, 10.0, 10.0]


def test_no_speed_anywhere_is_no_limit(tmp_path: Path) -> None:
    net = read(xodr.write(tmp_path, xodr.road()))
    assert not net.lanes.has_speed.any()
    assert net.speed_limits.s_m.size == 0


def test_borders_become_widths(tmp_path: Path) -> None:
    def border(*rows: tuple[float, float, float]) -> str:
        return "".join(f'<border sOffset="{s}" a="{a}" b="{b}" c="0" d="0"/>' for s, a, b in rows)

    right = lane(-1, width=border((0, -3, 0))) + lane(
        -2, width=border((0, -6, -0.01), (50, -6.5, 0))
    )
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", right))))
    rows = slice(net.lanes.point_start[1], net.lanes.point_start[2])
    wide = np.interp([0.0, 25.0, 75.0], net.points.road_s_m[rows], net.points.width_m[rows])
    np.testing.assert_allclose(wide, [3.0, 3.25, 3.5], atol=1e-6)
    assert any("border" in note for note in net.notes)


def test_a_lane_turned_by_its_direction_attribute(tmp_path: Path) -> None:
    turned = '<lane id="-2" type="driving" direction="reversed">' + xodr.WIDTH + "</lane>"
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", lane(-1) + turned))))
    assert net.lanes.direction.tolist() == [1, -1]
    assert net.lanes.right.tolist() == [-1, -1]
    assert net.lanes.opposite.tolist() == [1, 0]


def test_types_of_all_versions_are_known(tmp_path: Path) -> None:
    kinds = [
        "onRamp",
        "offRamp",
        "connectingRamp",
        "HOV",
        "roadWorks",
        "mwyExit",
        "slipLane",
        "shared",
    ]
    right = "".join(lane(-1 - i, kind=k) for i, k in enumerate(kinds))
    net = read(xodr.write(tmp_path, xodr.road(sections=section("", right)), version="1.8"))
    assert [LaneType(int(t)) for t in net.lanes.type] == [
        LaneType.ON_RAMP, LaneType.OFF_RAMP, LaneType.CONNECTING_RAMP, LaneType.HOV,
        LaneType.ROAD_WORKS, LaneType.EXIT, LaneType.SLIP_LANE, LaneType.SHARED,
    ]  # fmt: skip
    assert net.notes == ()
