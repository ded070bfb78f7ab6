"""Planted faults are found, and a clean road has none."""

from pathlib import Path

import pytest

from scenarios.formats.opendrive import check, info, read
from tests.scenarios.formats.opendrive.test_lanes import junction_file, link
from tests.support import xodr
from tests.support.xodr import geometry, lane, line, road, section

SPEED = '<type s="0" type="town"><speed max="10"/></type>'


def rules(path: Path) -> set[str]:
    return {f.rule for f in check(path)}


def test_a_clean_road_has_no_finding(tmp_path: Path) -> None:
    assert check(xodr.write(tmp_path, road(before=SPEED))) == []


def negative() -> str:
    return '<width sOffset="0" a="3" b="-0.05" c="0" d="0"/>'


FAULTS: dict[str, str] = {
    "reference_line_gap": road(plan=line(50.0) + line(50.0, x=50.2, s=50.0), before=SPEED),
    "reference_line_kink": road(plan=line(50.0) + line(50.0, x=50.0, hdg=0.2, s=50.0), before=SPEED),
    "reference_line_s": road(plan=line(50.0) + line(50.0, x=50.0, s=51.0), before=SPEED),
    "road_length": road(length=90.0, plan=line(100.0), before=SPEED),
    "section_without_length": road(sections=section(lane(1)) + section(lane(1), s=100.0), before=SPEED),
    "road_without_lanes": road(sections=section(lane(1), s=5.0), before=SPEED),
    "width_negative": road(sections=section(lane(1, width=negative())), before=SPEED),
    "width_missing": road(sections=section(lane(1, width="")), before=SPEED),
    "speed_missing": road(),
    "signal_without_lane": road(
        before=SPEED,
        after='<signals><signal id="7" s="50" t="0" dynamic="yes" type="1000001" orientation="+">'
        '<validity fromLane="0" toLane="0"/></signal></signals>',
    ),
    "junction_without_lanes": road(before=SPEED) + '<junction id="5" name=""/>',
    "read_with_note": road(
        sections=section("", lane(-1, link(None, -4))) + section("", lane(-1), s=50.0), before=SPEED
    ),
    "lane_joint": road(
        sections=section("", lane(-1, link(None, -2)) + lane(-2))
        + section("", lane(-1) + lane(-2, link(-1)), s=50.0),
        before=SPEED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", FAULTS)
def test_a_planted_fault_is_found(rule: str, tmp_path: Path) -> None:
    path = xodr.write(tmp_path, FAULTS[rule])
    found = [f for f in check(path) if f.rule == rule]
    assert found
    assert all(f.where and f.sentence.endswith(".") for f in found)


def test_a_connecting_lane_that_nobody_enters_is_found(tmp_path: Path) -> None:
    path = junction_file(tmp_path)
    assert "connecting_lane_unreachable" not in rules(path)
    text = path.read_text(encoding="utf-8")
    text = text.replace('<laneLink from="-2" to="-1"/>', "").replace('<predecessor id="-2"/>', "")
    path.write_text(text, encoding="utf-8")
    (finding,) = [f for f in check(path) if f.rule == "connecting_lane_unreachable"]
    assert finding.where == "11/0/-1"


def test_findings_come_worst_first(tmp_path: Path) -> None:
    path = xodr.write(tmp_path, road(plan=line(50.0) + line(50.0, x=55.0, s=50.0)))
    severities = [f.severity for f in check(path)]
    assert severities[0] == "error"
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_info_counts_what_the_file_holds(tmp_path: Path) -> None:
    arc = geometry('<arc curvature="0.01"/>', 100.0)
    sections = section(lane(1), lane(-1, kind="bus"))
    net = read(xodr.write(tmp_path, road(plan=arc, sections=sections, before=SPEED)))
    found = info(net)
    assert found["roads"] == 1
    assert found["road_km"] == pytest.approx(0.1)
    assert found["lane_types"]["bus"] == {"lanes": 1, "km": pytest.approx(0.102, abs=0.001)}
    assert found["km_open_to"]["bus"] == pytest.approx(0.2, abs=0.001)
    assert found["km_open_to"]["passenger"] == pytest.approx(0.098, abs=0.001)
    assert found["speed_limits_mps"] == [10.0]
