"""Points to lanes and back."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.roads import _kernels
from protocols.roads.geometry import lane_pose
from protocols.roads.matching import build_index, match
from protocols.roads.network import LaneType, RoadNetwork, UserClass
from scenarios.formats.opendrive import read
from tests.support import xodr

CURVED = xodr.line(40.0) + xodr.geometry(
    '<spiral curvStart="0" curvEnd="0.03"/>', 30.0, x=40.0, s=40.0
)


@pytest.fixture(scope="module")
def winding(tmp_path_factory: pytest.TempPathFactory) -> RoadNetwork:
    """70 m: straight, then a tightening left bend; a bus lane outside, a footway beyond."""
    right = xodr.lane(-1) + xodr.lane(-2, kind="bus") + xodr.lane(-3, kind="sidewalk")
    sections = xodr.section(xodr.lane(1), right)
    path = xodr.write(
        tmp_path_factory.mktemp("winding"), xodr.road(length=70.0, plan=CURVED, sections=sections)
    )
    return read(path)


def lane(net: RoadNetwork, odr_id: int) -> int:
    return int(np.flatnonzero(net.lanes.odr_id == odr_id)[0])


def test_points_beside_a_straight_have_the_coordinates_one_reads_off(winding: RoadNetwork) -> None:
    found = match(build_index(winding), [10.0, 10.0, 25.0], [-1.0, 2.5, -4.0])
    assert winding.lanes.odr_id[found.lane].tolist() == [-1, 1, -2]
    np.testing.assert_allclose(found.road_s_m, [10.0, 10.0, 25.0], atol=1e-9)
    length = winding.lanes.length_m[lane(winding, 1)]
    np.testing.assert_allclose(found.s_m, [10.0, length - 10.0, 25.0], atol=1e-9)
    # Centres lie at y = -1.5, 1.5 and -4.5; left of lane 1, which runs west, is south.
    np.testing.assert_allclose(found.d_m, [0.5, -1.0, 0.5], atol=1e-9)


@given(
    odr_id=st.sampled_from([1, -1, -2, -3]),
    share=st.floats(0.001, 0.999),
    side=st.floats(-0.49, 0.49),
)
def test_a_lane_coordinate_survives_the_way_to_the_world_and_back(
    winding: RoadNetwork, odr_id: int, share: float, side: float
) -> None:
    i = lane(winding, odr_id)
    s, d = share * winding.lanes.length_m[i], side * 3.0
    world = lane_pose(winding, i, s, d)
    found = match(build_index(winding), world.x_m, world.y_m)
    assert found.lane[0] == i
    assert found.s_m[0] == pytest.approx(s, abs=1e-6)
    assert found.d_m[0] == pytest.approx(d, abs=1e-6)
    again = lane_pose(winding, found.lane, found.s_m, found.d_m)
    assert (again.x_m[0], again.y_m[0]) == pytest.approx((world.x_m[0], world.y_m[0]), abs=1e-6)
    assert math.cos(again.yaw_rad[0] - world.yaw_rad[0]) == pytest.approx(1.0, abs=1e-9)


def test_the_grid_finds_what_a_search_over_all_points_finds(winding: RoadNetwork) -> None:
    draw = np.random.default_rng(3)
    x, y = draw.uniform(-20, 90, 2000), draw.uniform(-25, 40, 2000)
    found = match(build_index(winding), x, y, max_distance_m=200.0)
    assert found.valid.all()
    fine = [lane_pose(winding, i, np.linspace(0, n, 2000), 0.0) for i, n in enumerate(winding.lanes.length_m)]  # fmt: skip
    apart = np.array(
        [np.hypot(p.x_m[:, None] - x, p.y_m[:, None] - y).min(axis=0) for p in fine]
    )  # (lanes, points)
    chosen = apart[found.lane, np.arange(x.size)]
    # 2000 samples a lane are 4 cm apart, the sampled centre lines are within 1 cm.
    assert (chosen <= apart.min(axis=0) + 0.02).all()


def test_permission_and_type_restrict_the_answer(winding: RoadNetwork) -> None:
    index = build_index(winding)
    here = ([20.0], [-7.5])  # centre of the footway
    assert winding.lanes.odr_id[match(index, *here).lane[0]] == -3
    bus = match(index, *here, permission=UserClass.BUS)
    assert winding.lanes.odr_id[bus.lane[0]] == -2
    car = match(index, *here, permission=UserClass.PASSENGER)
    assert winding.lanes.odr_id[car.lane[0]] == -1
    driving = match(index, *here, types=(LaneType.DRIVING,))
    assert winding.lanes.odr_id[driving.lane[0]] == -1


def test_heading_decides_between_lanes_of_both_directions(winding: RoadNetwork) -> None:
    index = build_index(winding)
    on_the_line = ([20.0, 20.0], [0.1, 0.1])  # nearer to lane 1, which runs west
    found = match(index, *on_the_line, yaw_rad=[0.0, math.pi])
    assert winding.lanes.odr_id[found.lane].tolist() == [-1, 1]


def test_far_points_and_nonsense_find_nothing(winding: RoadNetwork) -> None:
    found = match(
        build_index(winding), [1e9, np.nan, 20.0, np.inf, 500.0], [0.0, 0.0, -60.0, 0.0, 0.0]
    )
    assert found.valid.tolist() == [False] * 5
    assert found.lane.tolist() == [-1] * 5
    assert match(build_index(winding), [20.0], [-60.0], max_distance_m=80.0).valid.all()


def test_height_tells_a_bridge_from_the_road_below(tmp_path: Path) -> None:
    high = '<elevationProfile><elevation s="0" a="6" b="0" c="0" d="0"/></elevationProfile>'
    below = xodr.road("1", plan=xodr.line(100.0))
    above = xodr.road("2", plan=xodr.line(100.0, x=50.0, y=-50.0, hdg=math.pi / 2), before=high)
    net = read(xodr.write(tmp_path, below, above))
    found = match(build_index(net), [51.0, 51.0], [-1.5, -1.5], z_m=[0.0, 6.0])
    assert [net.roads.id[net.lanes.road[i]] for i in found.lane] == ["1", "2"]


def test_a_lane_of_no_width_is_not_matched(tmp_path: Path) -> None:
    grows = (
        '<width sOffset="0" a="0" b="0" c="0" d="0"/><width sOffset="50" a="3" b="0" c="0" d="0"/>'
    )
    right = xodr.lane(-1) + xodr.lane(-2, width=grows)
    net = read(xodr.write(tmp_path, xodr.road(sections=xodr.section("", right))))
    found = match(build_index(net), [20.0, 80.0], [-4.0, -4.0])
    assert net.lanes.odr_id[found.lane].tolist() == [-1, -2]


def test_compiled_and_interpreted_matching_agree_to_the_bit(
    winding: RoadNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(6)
    x, y = draw.uniform(-5, 80, 100), draw.uniform(-10, 20, 100)
    index = build_index(winding)
    compiled = match(index, x, y)
    monkeypatch.setattr(_kernels, "match", _kernels.match.py_func)
    interpreted = match(index, x, y)
    np.testing.assert_array_equal(compiled.lane, interpreted.lane)
    np.testing.assert_array_equal(compiled.s_m, interpreted.s_m)
    np.testing.assert_array_equal(compiled.d_m, interpreted.d_m)


def test_answers_do_not_depend_on_the_company_of_a_point(winding: RoadNetwork) -> None:
    draw = np.random.default_rng(5)
    x, y = draw.uniform(-5, 80, 300), draw.uniform(-10, 20, 300)
    index = build_index(winding)
    together = match(index, x, y)
    for i in (0, 7, 299):
        alone = match(index, x[i], y[i])
        assert alone.lane[0] == together.lane[i]
        assert alone.s_m[0] == together.s_m[i]
        assert alone.d_m[0] == together.d_m[i]
