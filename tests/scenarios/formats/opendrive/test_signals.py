"""Heads, groups and where they hold traffic."""

import math
from pathlib import Path

import pytest

from protocols.roads.network import RightOfWay, RoadNetwork
from scenarios.formats.opendrive import read
from tests.scenarios.formats.opendrive.test_lanes import junction_file
from tests.support import xodr
from tests.support.xodr import lane, section

LIGHT = 'dynamic="yes" type="1000001" country="OpenDRIVE"'


def signal(odr_id: str, s: float, more: str = LIGHT, inner: str = "", t: float = -7.0) -> str:
    orientation = "" if "orientation" in more else 'orientation="+"'
    return f'<signal id="{odr_id}" s="{s}" t="{t}" {orientation} {more}>{inner}</signal>'


def signals(*parts: str) -> str:
    return f"<signals>{''.join(parts)}</signals>"


def rows(net: RoadNetwork) -> list[tuple[str, float, str, str, int]]:
    """(lane, s, to lane, group, kind) as one reads them."""
    lines = net.stop_lines
    return [
        (
            net.lane_key(int(lines.lane[i])),
            round(float(lines.s_m[i]), 3),
            net.lane_key(int(lines.to_lane[i])) if lines.to_lane[i] >= 0 else "",
            net.groups.id[lines.group[i]] if lines.group[i] >= 0 else "",
            int(lines.kind[i]),
        )
        for i in range(lines.lane.size)
    ]


def straight(tmp_path: Path, content: str, *more: str) -> RoadNetwork:
    """A road of four vehicle lanes and a footway."""
    sides = section(lane(2) + lane(1), lane(-1) + lane(-2) + lane(-3, kind="sidewalk"))
    return read(xodr.write(tmp_path, xodr.road(sections=sides, after=content), *more))


def test_a_head_holds_the_vehicle_lanes_of_its_direction(tmp_path: Path) -> None:
    net = straight(tmp_path, signals(signal("7", 90.0)))
    assert rows(net) == [
        ("1/0/-1", 90.0, "", "signal:7", 0),
        ("1/0/-2", 90.0, "", "signal:7", 0),
    ]
    back = straight(tmp_path, signals(signal("7", 10.0, LIGHT + ' orientation="-"')))
    assert rows(back) == [("1/0/2", 90.0, "", "signal:7", 0), ("1/0/1", 90.0, "", "signal:7", 0)]


def test_validity_narrows_a_head_to_its_lanes(tmp_path: Path) -> None:
    only = '<validity fromLane="-2" toLane="-2"/>'
    net = straight(tmp_path, signals(signal("7", 90.0, inner=only)))
    assert rows(net) == [("1/0/-2", 90.0, "", "signal:7", 0)]


def test_pedestrian_lights_hold_no_vehicle(tmp_path: Path) -> None:
    light = 'dynamic="yes" type="1000002" country="OpenDRIVE"'
    net = straight(tmp_path, signals(signal("7", 90.0, light)))
    assert rows(net) == []
    assert net.groups.id == ("signal:7",)


def test_a_marked_stop_line_moves_the_hold(tmp_path: Path) -> None:
    line = 'dynamic="no" type="294" country="OpenDRIVE"'
    net = straight(tmp_path, signals(signal("7", 95.0), signal("8", 88.0, line)))
    assert {row[1] for row in rows(net)} == {88.0}
    drawn = '<objects><object id="5" type="roadMark" name="StopLine" s="86" t="-3"/></objects>'
    net = straight(tmp_path, signals(signal("7", 95.0)) + drawn)
    assert {row[1] for row in rows(net)} == {86.0}
    far = straight(tmp_path, signals(signal("7", 95.0), signal("8", 20.0, line)))
    assert {row[1] for row in rows(far)} == {95.0}


def test_controllers_make_groups(tmp_path: Path) -> None:
    heads = signals(
        signal("7", 90.0, inner='<validity fromLane="-1" toLane="-1"/>'),
        signal("8", 90.0, inner='<validity fromLane="-2" toLane="-2"/>'),
        signal("9", 10.0, LIGHT + ' orientation="-"'),
    )
    controller = (
        '<controller id="A" name="main"><control signalId="7"/><control signalId="8"/></controller>'
    )
    net = straight(tmp_path, heads, controller)
    assert net.groups.id == ("A", "signal:9")
    assert net.groups.name[0] == "main"
    assert net.signals.group.tolist() == [0, 0, 1]
    assert {(row[0], row[3]) for row in rows(net)} == {
        ("1/0/-1", "A"), ("1/0/-2", "A"), ("1/0/1", "signal:9"), ("1/0/2", "signal:9"),
    }  # fmt: skip


def test_stop_and_yield_signs(tmp_path: Path) -> None:
    net = straight(
        tmp_path,
        signals(
            signal("1", 80.0, 'type="206" country="DE" dynamic="no"'),
            signal("2", 10.0, 'type="R1-2" country="US" dynamic="no" orientation="-"'),
            signal("3", 50.0, 'type="306" country="DE" dynamic="no"'),  # priority road: no hold
        ),
    )
    assert sorted((row[0], row[1], row[4]) for row in rows(net)) == [
        ("1/0/-1", 80.0, 1), ("1/0/-2", 80.0, 1), ("1/0/1", 90.0, 2), ("1/0/2", 90.0, 2),
    ]  # fmt: skip
    assert net.signals.group.tolist() == [-1, -1, -1]


def with_signals(path: Path, road: str, content: str, extra: str = "") -> RoadNetwork:
    """The fork of `test_lanes` with signals on one of its roads."""
    text = path.read_text(encoding="utf-8")
    at = text.index("</road>", text.index('<road name="" length', text.index(f'id="{road}"') - 40))
    text = text[:at] + content + text[at:]
    path.write_text(text.replace("</OpenDRIVE>", extra + "</OpenDRIVE>"), encoding="utf-8")
    return read(path)


def test_a_head_on_a_connecting_road_holds_its_approach_for_that_movement_only(
    tmp_path: Path,
) -> None:
    net = with_signals(junction_file(tmp_path), "11", signals(signal("7", 1.0)))
    assert rows(net) == [("1/0/-2", 100.0, "11/0/-1", "signal:7", 0)]
    assert net.groups.junction.tolist() == [0]
    assert net.junctions.is_signalised.tolist() == [True]


def test_a_reference_repeats_a_head_on_another_road(tmp_path: Path) -> None:
    head = signals(signal("7", 95.0, inner='<validity fromLane="-1" toLane="-1"/>'))
    path = junction_file(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</lanes></road>", f"</lanes>{head}</road>", 1), encoding="utf-8")
    reference = '<signals><signalReference id="7" s="1" t="-4" orientation="+"/></signals>'
    net = with_signals(path, "11", reference)
    assert rows(net) == [
        ("1/0/-1", 95.0, "", "signal:7", 0),
        ("1/0/-2", 100.0, "11/0/-1", "signal:7", 0),
    ]


def test_the_junction_of_a_group_is_the_named_or_the_next_one(tmp_path: Path) -> None:
    path = junction_file(tmp_path)
    controller = '<controller id="A"><control signalId="7"/></controller>'
    net = with_signals(path, "1", signals(signal("7", 95.0)), controller)
    assert net.groups.id == ("A",)
    assert net.groups.junction.tolist() == [0]


def test_a_sign_on_one_approach_makes_it_wait(tmp_path: Path) -> None:
    # Two roads merge into one lane; only the second has a yield sign.
    path = merge_file(tmp_path)
    plain = read(path)
    net = with_signals(path, "2", signals(signal("1", 95.0, 'type="205" dynamic="no"')))
    first = next(i for i in range(net.num_lanes) if net.lane_key(i) == "11/0/-1")
    rows_of = slice(net.conflicts.start[first], net.conflicts.start[first + 1])
    assert net.conflicts.right_of_way[rows_of].tolist() == [RightOfWay.YIELD]
    assert RightOfWay.YIELD not in plain.conflicts.right_of_way[rows_of]


def test_priority_records_decide_who_waits(tmp_path: Path) -> None:
    path = merge_file(tmp_path, '<priority high="11" low="10"/>')
    net = read(path)
    first = next(i for i in range(net.num_lanes) if net.lane_key(i) == "11/0/-1")
    rows_of = slice(net.conflicts.start[first], net.conflicts.start[first + 1])
    assert net.conflicts.right_of_way[rows_of].tolist() == [RightOfWay.PRIORITY]


def merge_file(tmp_path: Path, priority: str = "") -> Path:
    """Roads 1 and 2 side by side lead into road 3 by connecting roads 10 and 11 that lie on each other."""
    into = '<successor elementType="junction" elementId="9"/>'
    out = '<predecessor elementType="junction" elementId="9"/>'
    both = (
        '<predecessor elementType="road" elementId="{}" contactPoint="end"/>'
        '<successor elementType="road" elementId="3" contactPoint="start"/>'
    )
    right = section("", lane(-1, '<link><predecessor id="-1"/><successor id="-1"/></link>'))
    parts = [
        xodr.road("1", sections=section("", lane(-1)), link=into),
        xodr.road("2", plan=xodr.line(100.0, y=-3.0), sections=section("", lane(-1)), link=into),
        xodr.road("3", plan=xodr.line(100.0, x=120.0), sections=section("", lane(-1)), link=out),
        xodr.road("10", 20.0, xodr.line(20.0, x=100.0), right, link=both.format(1), junction="9"),
        xodr.road("11", 20.0, xodr.line(20.0, x=100.0, y=-0.5), right, link=both.format(2), junction="9"),
        '<junction id="9" name="">'
        '<connection id="0" incomingRoad="1" connectingRoad="10" contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
        '<connection id="1" incomingRoad="2" connectingRoad="11" contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
        f"{priority}</junction>",
    ]  # fmt: skip
    return xodr.write(tmp_path, *parts)


def test_speed_signs_carry_metres_per_second(tmp_path: Path) -> None:
    sign = 'type="274" country="OpenDRIVE" dynamic="no" value="{}" {}'
    net = straight(
        tmp_path,
        signals(
            signal("1", 10.0, sign.format(60, 'unit="km/h"')),
            signal("2", 20.0, sign.format(13.9, "")),
            signal("3", 30.0, 'type="101" dynamic="no"'),
        ),
    )
    assert net.signals.value[:2].tolist() == pytest.approx([60 / 3.6, 13.9])
    assert net.signals.has_value.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("orientation", "offset", "yaw"),
    [("+", 0.0, math.pi), ("-", 0.0, 0.0), ("-", math.pi, 0.0), ("+", 0.2, -math.pi + 0.2)],
)
def test_faces_look_towards_their_traffic(
    tmp_path: Path, orientation: str, offset: float, yaw: float
) -> None:
    more = LIGHT + f' orientation="{orientation}" hOffset="{offset}" zOffset="3.5"'
    net = straight(tmp_path, signals(signal("7", 90.0, more)))
    assert math.cos(net.signals.yaw_rad[0] - yaw) == pytest.approx(1.0)
    assert (net.signals.x_m[0], net.signals.y_m[0], net.signals.z_m[0]) == pytest.approx(
        (90.0, -7.0, 3.5)
    )
