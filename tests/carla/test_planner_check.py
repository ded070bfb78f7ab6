"""Route planner: what would break CARLA's is found, and what the export repairs keeps every way from lane to lane."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from protocols.roads.network import LaneType, RoadNetwork
from scenarios.formats.opendrive import read
from scenarios.formats.opendrive.export import derive
from scenarios.formats.opendrive.repair import SHORT_M
from sim.carla.server.planner_check import check
from tests.support import xodr
from tests.support.xodr import lane, road, section

pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
TOWNS = CORPORA / "carla-opendrive" / "OpenDrive"
needs_corpora = pytest.mark.skipif(not TOWNS.exists(), reason="../shared/corpora is absent")

BOTH = '<link><predecessor id="-1"/><successor id="-1"/></link>'
NEXT = '<link><successor id="-1"/></link>'
BEFORE = '<link><predecessor id="-1"/></link>'


def derived(path: Path) -> tuple[str, dict[str, int]]:
    text, done = derive(path, path.read_bytes())
    return text.decode(), done


def files() -> list[Path]:
    seen: dict[str, Path] = {}
    for path in sorted(CORPORA.rglob("*.xodr")):
        seen.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return sorted(seen.values())


def test_a_section_without_length_is_found_and_taken_out(tmp_path: Path) -> None:
    parts = (
        section("", lane(-1, NEXT))
        + section("", lane(-1, BOTH), s=50.0)
        + section("", lane(-1, BEFORE), s=50.000001)
    )
    path = xodr.write(tmp_path, road(sections=parts))
    before = check(path.read_text())
    assert before.checked
    assert any("one point" in reason for reason in before.reasons)
    text, done = derived(path)
    assert done["short_section_removed"] == 1
    assert check(text).is_fine


def test_lane_numbers_are_followed_through_the_section_that_goes(tmp_path: Path) -> None:
    """Lane -1 becomes -2 in the short section and -3 behind it; the lane offset of the long section holds from the start."""

    def link(before: str = "", after: str = "") -> str:
        return f'<link>{f"<predecessor id={chr(34)}{before}{chr(34)}/>" if before else ""}{f"<successor id={chr(34)}{after}{chr(34)}/>" if after else ""}</link>'  # fmt: skip

    first = section("", lane(-1, kind="none") + lane(-2, link(before="-1", after="-3")))
    second = section("", lane(-1, kind="none") + lane(-2, kind="none") + lane(-3, link(before="-2")), s=0.000001)  # fmt: skip
    offsets = '<laneOffset s="0" a="3" b="0" c="0" d="0"/><laneOffset s="0.000001" a="6" b="0" c="0" d="0"/>'
    into = '<predecessor elementType="road" elementId="1" contactPoint="end"/>'
    onto = '<successor elementType="road" elementId="2" contactPoint="start"/>'
    path = xodr.write(
        tmp_path,
        road("1", 100.0, xodr.line(100.0), section("", lane(-1, link(after="-2"))), link=onto),
        road("2", 100.0, xodr.line(100.0, x=100.0), first + second, link=into, offset=offsets),
    )
    text, done = derived(path)
    assert done["short_section_removed"] == 1
    out = tmp_path / "out.xodr"
    out.write_text(text)
    net = read(out)
    keys = [net.lane_key(k) for k in range(net.num_lanes)]
    start, end = keys.index("1/0/-1"), keys.index("2/0/-3")
    assert net.lanes.next[net.lanes.next_start[start] : net.lanes.next_start[start + 1]].tolist() == [end]  # fmt: skip
    # Both lanes lie 1.5 m right of the reference line: 6 m of offset less two lanes and a half.
    assert net.points.y_m[net.lanes.point_start[end]] == pytest.approx(-1.5)
    assert check(text).is_fine


def test_a_circle_is_found_and_cut(tmp_path: Path) -> None:
    ring = '<arc curvature="0.0628318530717959"/>'  # radius 15.9 m, length 100 m
    own = '<{} elementType="road" elementId="1" contactPoint="{}"/>'
    link = own.format("predecessor", "end") + own.format("successor", "start")
    taper = '<width sOffset="0" a="3" b="0.01" c="0" d="0"/><width sOffset="80" a="3.8" b="-0.04" c="0" d="0"/>'
    path = xodr.write(
        tmp_path,
        road("1", 100.0, xodr.geometry(ring, 100.0), section("", lane(-1, BOTH, width=taper)), link=link),
    )  # fmt: skip
    assert any("one point" in reason for reason in check(path.read_text()).reasons)
    text, done = derived(path)
    assert done["circle_cut"] == 1
    assert check(text).is_fine
    out = tmp_path / "out.xodr"
    out.write_text(text)
    net = read(out)
    first, second = net.points.width_m[net.lanes.point_start[:2]]
    assert (first, second) == (pytest.approx(3.0), pytest.approx(3.5))  # 50 m at 1 cm per metre
    assert net.points.width_m[net.lanes.point_start[2] - 1] == pytest.approx(3.0)


def test_a_road_without_length_gives_its_place_to_the_next(tmp_path: Path) -> None:
    a = '<{} elementType="road" elementId="{}" contactPoint="{}"/>'
    one = section("", lane(-1, BOTH))
    path = xodr.write(
        tmp_path,
        road("1", 50.0, xodr.line(50.0), one, link=a.format("successor", "2", "start")),
        road("2", 1e-6, xodr.line(1e-6, x=50.0), one, link=a.format("predecessor", "1", "end") + a.format("successor", "3", "start")),
        road("3", 50.0, xodr.line(50.0, x=50.0), one, link=a.format("predecessor", "2", "end")),
    )  # fmt: skip
    text, done = derived(path)
    assert done["short_road_removed"] == 1
    out = tmp_path / "out.xodr"
    out.write_text(text)
    net = read(out)
    assert net.roads.id == ("1", "3")
    assert net.lanes.next.tolist() == [1]
    assert check(text).is_fine


def test_a_walk_that_takes_too_long_is_a_finding() -> None:
    text = xodr.document(road())
    report = check(text, limit_s=0.001)
    assert report.checked and not report.is_fine
    assert "did not end" in report.reasons[0]


def test_what_carla_cannot_read_is_a_finding_and_not_a_crash() -> None:
    report = check("<OpenDRIVE><road></OpenDRIVE>")
    assert report.checked and not report.is_fine


def contracted(net: RoadNetwork) -> set[tuple[tuple[str, int, float], tuple[str, int, float]]]:
    """Ways from driving lane to driving lane, lanes shorter than the repair's limit left out: (road, side, middle of section)."""
    lanes, sections = net.lanes, net.sections
    length = (sections.s1_m - sections.s0_m)[lanes.section]
    real = length >= SHORT_M

    def key(k: int) -> tuple[str, int, float]:
        at = 0.5 * (sections.s0_m[lanes.section[k]] + sections.s1_m[lanes.section[k]])
        x, y = net.points.x_m[lanes.point_start[k]], net.points.y_m[lanes.point_start[k]]
        return net.roads.id[lanes.road[k]], int(lanes.direction[k]), round(float(at), 1) + round(float(x + 7.0 * y), 0) * 1e4  # fmt: skip

    def onward(k: int) -> set[int]:
        out: set[int] = set()
        stack = list(lanes.next[lanes.next_start[k] : lanes.next_start[k + 1]])
        while stack:
            j = int(stack.pop())
            if real[j]:
                out.add(j)
            else:
                stack.extend(lanes.next[lanes.next_start[j] : lanes.next_start[j + 1]])
        return out

    driving = np.flatnonzero((lanes.type == LaneType.DRIVING) & real)
    return {
        (key(int(a)), key(b))
        for a in driving
        for b in onward(int(a))
        if lanes.type[b] == LaneType.DRIVING
    }


@needs_corpora
@pytest.mark.parametrize("name", ["Town04", "Town06"])
def test_towns_are_repaired_and_keep_their_ways(name: str, tmp_path: Path) -> None:
    path = TOWNS / f"{name}.xodr"
    assert not check(path.read_text()).is_fine
    text, done = derived(path)
    assert done["short_section_removed"] > 0
    assert check(text).is_fine
    out = tmp_path / "out.xodr"
    out.write_text(text)
    before, after = contracted(read(path)), contracted(read(out))
    assert len(before) > 500
    assert before == after


@needs_corpora
@pytest.mark.long
@pytest.mark.parametrize("path", files(), ids=lambda p: p.name)
def test_the_planner_gets_through_every_derived_map(path: Path) -> None:
    text, _ = derived(path)
    assert check(text).reasons == ()
