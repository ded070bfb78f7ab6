"""Spawn points: on driving lanes outside junctions by CARLA's own map, apart from each other, always the same."""

import math
from pathlib import Path

import numpy as np
import pytest

from scenarios.formats.opendrive import read
from sim.carla.server.maps import MapStore
from sim.carla.server.spawn import spawn_points
from sim.carla.wire import structs
from tests.support import xodr
from tests.support.xodr import lane, road, section

TOWN01 = Path(__file__).parents[3] / "shared/corpora/carla-opendrive/OpenDrive/Town01.xodr"


HALF_SIZES = ((8.97, 1.275), (5.137, 1.973))  # the longest and the widest vehicle of the library


def corners(p: structs.Transform, half: tuple[float, float]) -> np.ndarray:
    co, si = math.cos(math.radians(p.rotation.yaw)), math.sin(math.radians(p.rotation.yaw))
    box = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half
    return box @ np.array([[co, si], [-si, co]]) + (p.location.x, p.location.y)


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """By clipping: cut polygon a with each edge of b; anything left is common to both."""
    rest = [tuple(p) for p in a]
    for (x0, y0), (x1, y1) in zip(b, np.roll(b, -1, axis=0), strict=True):
        side = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in rest]
        cut: list[tuple[float, float]] = []
        for k, (x, y) in enumerate(rest):
            j = (k + 1) % len(rest)
            if side[k] >= 0:
                cut.append((x, y))
            if (side[k] >= 0) != (side[j] >= 0):
                t = side[k] / (side[k] - side[j])
                cut.append((x + t * (rest[j][0] - x), y + t * (rest[j][1] - y)))
        rest = cut
        if not rest:
            return False
    return True


def assert_apart(points: tuple[structs.Transform, ...]) -> None:
    """One vehicle on every point at once, all the longest or all the widest: none touches another."""
    at = np.array([(p.location.x, p.location.y, p.location.z) for p in points])
    for half in HALF_SIZES:
        shapes = [corners(p, half) for p in points]
        for k in range(len(points)):
            gap = np.hypot(at[k + 1 :, 0] - at[k, 0], at[k + 1 :, 1] - at[k, 1])
            for j in k + 1 + np.flatnonzero(gap < 2 * math.hypot(*half)):
                assert not overlap(shapes[k], shapes[j]) or abs(at[k, 2] - at[j, 2]) > 4.0, (points[k], points[j])  # fmt: skip


@pytest.mark.parametrize("name", ["smart_island", "brt_corridor"])
def test_our_maps_have_points_that_carla_finds_good(name: str) -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    loaded = MapStore(check_planner=False).load(name)
    assert_good(carla.Map(name, loaded.xodr), loaded.spawn_points)


@pytest.mark.skipif(not TOWN01.exists(), reason="../shared/corpora is absent")
def test_town01_has_points_that_carla_finds_good() -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    loaded = MapStore(TOWN01, check_planner=False).load("Town01")
    assert_good(carla.Map("Town01", loaded.xodr), loaded.spawn_points)


def assert_good(world: object, points: tuple[structs.Transform, ...]) -> None:
    import carla

    assert len(points) >= 50
    for p in points:
        at = carla.Location(x=p.location.x, y=p.location.y, z=p.location.z)
        lane_there = world.get_waypoint(at)  # type: ignore[attr-defined]
        there = lane_there.transform
        assert not lane_there.is_junction
        assert lane_there.lane_type == carla.LaneType.Driving
        # CARLA finds the place along a bend by chords of its own, half a metre off; across the lane it is exact.
        dx, dy = at.x - there.location.x, at.y - there.location.y
        yaw = math.radians(there.rotation.yaw)
        assert abs(dy * math.cos(yaw) - dx * math.sin(yaw)) < 0.06
        assert math.hypot(dx, dy) < 0.5
        assert 0.3 <= at.z - there.location.z <= 0.5
        turn = (p.rotation.yaw - there.rotation.yaw + 180.0) % 360.0 - 180.0
        assert abs(turn) < 2.0
        assert -180.0 < p.rotation.yaw <= 180.0
    assert_apart(points)


def test_points_keep_their_distance_along_a_lane(tmp_path: Path) -> None:
    """100 m, clear by 6.5 m at either end, 24 m apart: 93.5, 69.5, 45.5 and 21.5 on the first lane.

    Buses 3.9 m wide do not fit beside each other on lanes of 3 m: the other lane's points lie between.
    """
    net = read(xodr.write(tmp_path, road(sections=section(lane(1), lane(-1)))))
    points = spawn_points(net)
    left = sorted(p.location.x for p in points if p.location.y < 0)
    right = sorted(p.location.x for p in points if p.location.y > 0)
    assert left == pytest.approx([21.5, 45.5, 69.5, 93.5])
    assert len(right) == 4
    assert {round(p.rotation.yaw) for p in points if p.location.y > 0} == {0}
    assert {round(p.rotation.yaw) for p in points if p.location.y < 0} == {180}
    assert_apart(points)
    assert points == spawn_points(net)


def test_two_roads_on_top_of_each_other_share_their_points(tmp_path: Path) -> None:
    one = section("", lane(-1))
    net = read(xodr.write(tmp_path, road("1", sections=one), road("2", sections=one)))
    assert len(spawn_points(net)) == 4


def test_a_wall_on_the_lane_leaves_no_point_where_it_stands(tmp_path: Path) -> None:
    """A wall from 40 to 44 m, 2 m high: no bus of 18 m may reach it; one that hangs 8 m above is no matter."""
    net = read(xodr.write(tmp_path, road(sections=section("", lane(-1)))))
    wall = np.array([[42.0, 1.5, 1.0, 0.0, 2.0, 0.2, 1.0, 4.0, 0.0]])
    for p in spawn_points(net, wall):
        assert abs(p.location.x - 42.0) > 2.0 + 8.97
    wall[0, 2] = 9.0
    assert len(spawn_points(net, wall)) == 4


def test_narrow_lanes_and_walks_get_none(tmp_path: Path) -> None:
    narrow = '<width sOffset="0" a="2" b="0" c="0" d="0"/>'
    parts = section(lane(1, kind="sidewalk"), lane(-1, width=narrow))
    assert spawn_points(read(xodr.write(tmp_path, road(sections=parts)))) == ()
