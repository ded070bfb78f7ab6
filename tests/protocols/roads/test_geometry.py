"""Reference lines against values known without the code under test."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import fresnel

from protocols.errors import RoadError
from protocols.roads import _kernels
from protocols.roads.geometry import (
    geo_of,
    lane_pose,
    road_pose,
    sample_lanes,
)
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from tests.support import xodr


def network(tmp_path: Path, shape: str, length: float, **place: float) -> RoadNetwork:
    plan = xodr.geometry(shape, length, **place)
    return read(xodr.write(tmp_path, xodr.road(length=length, plan=plan)))


def test_line_runs_along_its_heading(tmp_path: Path) -> None:
    net = network(tmp_path, "<line/>", 10.0, x=5.0, y=-2.0, hdg=math.pi / 2)
    pose = road_pose(net, 0, [0.0, 4.0], [0.0, 1.5])
    np.testing.assert_allclose(pose.x_m, [5.0, 3.5], atol=1e-12)  # left of north is west
    np.testing.assert_allclose(pose.y_m, [-2.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(pose.yaw_rad, math.pi / 2)


def test_quarter_circle_ends_at_its_radius(tmp_path: Path) -> None:
    length = 50.0 * math.pi / 2
    net = network(tmp_path, '<arc curvature="0.02"/>', length)
    pose = road_pose(net, 0, length, [0.0, 10.0, -10.0])
    # Left turn of radius 50 about (0, 50): the end is (50, 50), heading north.
    np.testing.assert_allclose(pose.x_m, [50.0, 40.0, 60.0], atol=1e-9)
    np.testing.assert_allclose(pose.y_m, [50.0, 50.0, 50.0], atol=1e-9)
    np.testing.assert_allclose(pose.yaw_rad, math.pi / 2, atol=1e-12)
    np.testing.assert_allclose(pose.curvature_per_m, [1 / 50, 1 / 40, 1 / 60], rtol=1e-9)


def test_clothoid_from_zero_is_the_fresnel_integral(tmp_path: Path) -> None:
    length, end = 500.0, 0.02
    net = network(tmp_path, f'<spiral curvStart="0" curvEnd="{end}"/>', length)
    s = np.linspace(0.0, length, 101)
    pose = road_pose(net, 0, s, 0.0)
    scale = math.sqrt(math.pi * length / end)  # s = scale * w turns the angle into pi w^2 / 2
    sine, cosine = fresnel(s / scale)
    np.testing.assert_allclose(pose.x_m, scale * cosine, atol=1e-6)
    np.testing.assert_allclose(pose.y_m, scale * sine, atol=1e-6)
    np.testing.assert_allclose(pose.curvature_per_m, end * s / length, atol=1e-12)


def test_clothoid_between_two_curvatures_is_a_piece_of_the_longer_one(tmp_path: Path) -> None:
    # Curvature falls from 0.05 to -0.05 over 100 m: backwards from its middle it is odd, so that the curve is symmetric
    # about the middle point, and both ends have the same heading.
    net = network(tmp_path, '<spiral curvStart="0.05" curvEnd="-0.05"/>', 100.0)
    pose = road_pose(net, 0, [0.0, 30.0, 50.0, 70.0, 100.0], 0.0)
    for a, b in ((0, 4), (1, 3)):
        assert pose.x_m[a] + pose.x_m[b] == pytest.approx(2 * pose.x_m[2], abs=1e-9)
        assert pose.y_m[a] + pose.y_m[b] == pytest.approx(2 * pose.y_m[2], abs=1e-9)
    assert pose.yaw_rad[4] == pytest.approx(0.0, abs=1e-12)
    assert pose.yaw_rad[2] == pytest.approx(0.05 * 25.0)


def test_clothoid_with_equal_curvatures_is_an_arc(tmp_path: Path) -> None:
    net = network(tmp_path, '<spiral curvStart="0.02" curvEnd="0.02"/>', 50.0 * math.pi)
    pose = road_pose(net, 0, 50.0 * math.pi, 0.0)  # half a circle of radius 50
    assert (pose.x_m[0], pose.y_m[0]) == pytest.approx((0.0, 100.0), abs=1e-9)


def test_poly3_is_measured_along_the_curve(tmp_path: Path) -> None:
    # v = u / 2: a line of slope one half, so that s = 10 sqrt(5) / 2 lies at u = 10.
    net = network(tmp_path, '<poly3 a="0" b="0.5" c="0" d="0"/>', 30.0, hdg=math.pi / 2)
    pose = road_pose(net, 0, 5.0 * math.sqrt(5.0), 0.0)
    assert (pose.x_m[0], pose.y_m[0]) == pytest.approx((-5.0, 10.0), abs=1e-8)


def test_parabola_by_poly3_has_its_textbook_length(tmp_path: Path) -> None:
    # v = u^2 / 20 from 0 to u = 10: length = (sqrt 2 + asinh 1) * 5.
    s = 5.0 * (math.sqrt(2.0) + math.asinh(1.0))
    net = network(tmp_path, '<poly3 a="0" b="0" c="0.05" d="0"/>', 20.0)
    pose = road_pose(net, 0, s, 0.0)
    assert (pose.x_m[0], pose.y_m[0]) == pytest.approx((10.0, 5.0), abs=1e-6)
    assert pose.yaw_rad[0] == pytest.approx(math.pi / 4, abs=1e-6)
    assert pose.curvature_per_m[0] == pytest.approx(0.1 / 2**1.5, rel=1e-5)


@pytest.mark.parametrize("kind", ["normalized", "arcLength"])
def test_parampoly3_ranges_describe_the_same_parabola(tmp_path: Path, kind: str) -> None:
    length = 5.0 * (math.sqrt(2.0) + math.asinh(1.0))
    k = 1.0 if kind == "normalized" else 1.0 / length
    shape = (
        f'<paramPoly3 pRange="{kind}" aU="0" bU="{10 * k}" cU="0" dU="0" '
        f'aV="0" bV="0" cV="{5 * k * k}" dV="0"/>'
    )
    net = network(tmp_path, shape, length)
    pose = road_pose(net, 0, [length, length / 2], 0.0)
    assert (pose.x_m[0], pose.y_m[0]) == pytest.approx((10.0, 5.0), abs=1e-6)
    # Half the way, not half the parameter: u solves (w sqrt(1 + w^2) + asinh w) * 5 = length / 2 with w = u / 10.
    w = pose.x_m[1] / 10.0
    assert 5.0 * (w * math.hypot(1.0, w) + math.asinh(w)) == pytest.approx(length / 2, abs=1e-6)


def test_elevation_lifts_and_superelevation_tilts_about_the_reference_line(tmp_path: Path) -> None:
    before = (
        '<elevationProfile><elevation s="0" a="2" b="0.1" c="0" d="0"/></elevationProfile>'
        '<lateralProfile><superelevation s="0" a="0.1" b="0" c="0" d="0"/></lateralProfile>'
    )
    net = read(xodr.write(tmp_path, xodr.road(before=before)))
    pose = road_pose(net, 0, 50.0, [0.0, 4.0, -4.0])
    np.testing.assert_allclose(pose.z_m, 7.0 + np.array([0.0, 4.0, -4.0]) * math.sin(0.1))
    np.testing.assert_allclose(pose.y_m, np.array([0.0, 4.0, -4.0]) * math.cos(0.1), atol=1e-12)


def test_lane_centres_follow_offset_and_widths_of_the_lanes_inside(tmp_path: Path) -> None:
    right = xodr.lane(-1) + xodr.lane(-2, width='<width sOffset="0" a="2" b="0.02" c="0" d="0"/>')
    net = read(
        xodr.write(
            tmp_path,
            xodr.road(
                sections=xodr.section(xodr.lane(1), right),
                offset='<laneOffset s="0" a="0.5" b="0" c="0" d="0"/>',
            ),
        )
    )
    pose = lane_pose(net, [0, 1, 2], 50.0, 0.0)
    # Reference line shifted left by 0.5; lanes of 3 m; lane -2 is 3 m wide at s = 50.
    np.testing.assert_allclose(pose.y_m, [2.0, -1.0, -4.0], atol=1e-3)
    assert pose.yaw_rad[2] == pytest.approx(-math.atan(0.01), abs=1e-9)  # half of the widening
    assert abs(pose.yaw_rad[0]) == pytest.approx(math.pi)  # left lane runs backwards


def test_samples_stay_within_a_centimetre_and_five_metres_of_the_exact_lane(tmp_path: Path) -> None:
    net = network(tmp_path, '<spiral curvStart="0.001" curvEnd="0.1"/>', 60.0)
    for i in range(net.num_lanes):
        rows = slice(net.lanes.point_start[i], net.lanes.point_start[i + 1])
        s, x, y = (c[rows] for c in (net.points.s_m, net.points.x_m, net.points.y_m))
        assert s[0] == 0.0
        assert s[-1] == pytest.approx(net.lanes.length_m[i])
        assert np.diff(s).max() <= 5.0
        middle = lane_pose(net, i, (s[1:] + s[:-1]) / 2, 0.0)
        dx, dy = np.diff(x), np.diff(y)
        off = (middle.x_m - x[:-1]) * dy - (middle.y_m - y[:-1]) * dx
        assert np.abs(off / np.hypot(dx, dy)).max() <= 0.01


def test_compiled_and_interpreted_sampling_agree_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(tmp_path, '<spiral curvStart="0.001" curvEnd="0.1"/>', 60.0)
    monkeypatch.setattr(_kernels, "sample_lanes", _kernels.sample_lanes.py_func)
    start, rows, length = sample_lanes(geo_of(net), 1000)
    np.testing.assert_array_equal(start, net.lanes.point_start)
    np.testing.assert_array_equal(length, net.lanes.length_m)
    np.testing.assert_array_equal(rows[:, 1], net.points.x_m)
    np.testing.assert_array_equal(rows[:, 7], net.points.road_s_m)


def test_lane_length_is_that_of_the_offset_arc(tmp_path: Path) -> None:
    net = network(tmp_path, '<arc curvature="0.02"/>', 50.0 * math.pi / 2)
    outer, inner = 51.5, 48.5  # lane -1 runs outside of the left turn, lane 1 inside
    by_id = dict(zip(net.lanes.odr_id.tolist(), net.lanes.length_m.tolist(), strict=True))
    assert by_id[-1] == pytest.approx(outer * math.pi / 2, rel=1e-9)
    assert by_id[1] == pytest.approx(inner * math.pi / 2, rel=1e-9)


def test_lane_number_outside_the_network_is_refused(tmp_path: Path) -> None:
    net = network(tmp_path, "<line/>", 10.0)
    with pytest.raises(RoadError, match="lane number 7 is not on this network"):
        lane_pose(net, 7, 0.0, 0.0)


@given(start=st.floats(-0.2, 0.2), end=st.floats(-0.2, 0.2), length=st.floats(1.0, 120.0))
def test_any_clothoid_turns_by_its_mean_curvature(
    tmp_path_factory: pytest.TempPathFactory, start: float, end: float, length: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    net = network(folder, f'<spiral curvStart="{start}" curvEnd="{end}"/>', length)
    pose = road_pose(net, 0, [0.0, length], 0.0)
    turn = pose.yaw_rad[1] - (start + end) / 2 * length
    assert math.cos(turn) == pytest.approx(1.0, abs=1e-9)
    # A curve is never shorter than its chord.
    assert math.hypot(pose.x_m[1], pose.y_m[1]) <= length + 1e-9
