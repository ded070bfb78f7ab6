"""Lidar, radar and obstacle detector against geometry that is worked out by hand, and against each other."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import numpy as np
import pytest

from sim.carla.server import columns as c
from sim.carla.server import ground as grounds
from sim.carla.server.sensors import _ray_kernels as kernels
from sim.carla.server.sensors.scene import pose
from tests.carla.test_sensors import Stage, corridor

WALL = [10.5, 0.0, 5.0, 0.0, 0.5, 20.0, 5.0, 3.0, 77.0]  # its near face at x = 10, building
QUIET = {"dropoff_general_rate": 0, "dropoff_intensity_limit": 0, "dropoff_zero_intensity": 0}
TURN = {"rotation_frequency": 20, "range": 100}  # a full turn each 0.05 s


def points(body: bytes, width: int = 4) -> tuple[Any, np.ndarray, float]:
    """Points (n, width), points of each channel, angle of the head."""
    angle, channels = struct.unpack_from("<fI", body)
    counts = np.frombuffer(body, "<u4", channels, 8)
    data = np.frombuffer(body, "<f4", offset=8 + 4 * channels).reshape(-1, width)
    assert counts.sum() == data.shape[0]
    return data, counts, angle


def test_a_wall_at_ten_metres_is_at_ten_metres() -> None:
    stage = Stage(statics=[WALL])
    lidar = stage.eye("sensor.lidar.ray_cast", channels=1, upper_fov=0, lower_fov=0, points_per_second=7200, **TURN, **QUIET)  # fmt: skip
    found, _, _ = points(stage.see(lidar)[0])
    # A degree apart: the wall reaches from -20 m to 20 m, atan(2) = 63.43 degrees either side: 63 + 1 + 63 rays.
    assert found.shape[0] == 127
    assert np.allclose(found[:, 0], 10.0, atol=1e-5)
    assert np.allclose(found[:, 2], 0.0, atol=1e-6)
    assert np.allclose(
        found[:, 3], np.exp(-0.004 * np.linalg.norm(found[:, :3], axis=1)), rtol=1e-5
    )
    assert found[:, 1].min() == pytest.approx(-10.0 * math.tan(math.radians(63.0)), abs=1e-4)


def test_points_lie_in_the_frame_of_a_turned_sensor() -> None:
    stage = Stage(statics=[WALL])
    # Looking right (+y in the world): the wall is to its left, at y = -10.
    lidar = stage.eye("sensor.lidar.ray_cast", yaw=90.0, channels=1, upper_fov=0, lower_fov=0, points_per_second=7200, **TURN, **QUIET)  # fmt: skip
    found, _, _ = points(stage.see(lidar)[0])
    assert np.allclose(found[:, 1], -10.0, atol=1e-5)


def test_channels_are_ordered_from_the_highest_and_the_ground_is_where_it_is() -> None:
    stage = Stage()
    lidar = stage.eye("sensor.lidar.ray_cast", (3.0, 4.0, 2.0), channels=4, upper_fov=10, lower_fov=-45, points_per_second=4 * 20 * 8, **TURN, **QUIET)  # fmt: skip
    found, counts, _ = points(stage.see(lidar)[0])
    # Elevations 10, -8.33, -26.67, -45 degrees; the first meets nothing.
    assert counts.tolist() == [0, 8, 8, 8]
    assert np.allclose(found[:, 2], -2.0, atol=1e-5)
    assert np.allclose(np.hypot(found[16:, 0], found[16:, 1]), 2.0, atol=1e-5)


def test_what_stands_in_front_hides_what_stands_behind() -> None:
    stage = Stage(statics=[WALL])
    stage.put(7, (6.0, 0.0, 0.0), half=(1.0, 1.0, 1.0))
    lidar = stage.eye("sensor.lidar.ray_cast_semantic", (0.0, 0.0, 1.0), channels=1, upper_fov=0, lower_fov=0, points_per_second=7200, **TURN)  # fmt: skip
    found, _, _ = points(stage.see(lidar)[0], 6)
    what = found.copy().view(np.uint32)[:, 4:]
    # The car's near face is 5 m away and reaches 1 m either side: atan(0.2) = 11.3 degrees, 11 + 1 + 11 of the wall's 127 rays.
    car = what[:, 0] == 7
    assert car.sum() == 23
    assert np.allclose(found[car, 0], 5.0, atol=1e-5)
    assert set(what[car, 1]) == {14}
    assert (~car).sum() == 127 - 23
    assert np.allclose(found[~car, 0], 10.0, atol=1e-5)
    assert set(what[~car, 1]) == {3}
    assert set(what[~car, 0]) == {0}  # a wall is no actor


def test_incidence_is_one_head_on_and_the_sine_of_the_slope_on_the_ground() -> None:
    stage = Stage(statics=[WALL])
    lidar = stage.eye("sensor.lidar.ray_cast_semantic", channels=2, upper_fov=0, lower_fov=-30, points_per_second=2 * 20 * 4, **TURN)  # fmt: skip
    found, counts, _ = points(stage.see(lidar)[0], 6)
    tags = found.copy().view(np.uint32)[:, 5]
    # Azimuths -180, -90, 0, 90: one level ray meets the wall, every ray at -30 degrees the ground 2.9 m away.
    assert counts.tolist() == [1, 4]
    assert found[0, 3] == pytest.approx(1.0, abs=1e-6)
    assert tags.tolist() == [3, 25, 25, 25, 25]
    assert np.allclose(found[1:, 3], 0.5, atol=1e-6)


def test_the_head_turns_on_from_step_to_step() -> None:
    stage = Stage()
    lidar = stage.eye("sensor.lidar.ray_cast", channels=1, upper_fov=-45, lower_fov=-45, points_per_second=200, rotation_frequency=5, **QUIET)  # fmt: skip
    angles, first = [], []
    for _ in range(5):
        found, counts, angle = points(stage.see(lidar)[0])
        assert counts[0] == 10  # 200 / s for 0.05 s
        angles.append(angle)
        first.append(math.degrees(math.atan2(found[0, 1], found[0, 0])))
    assert np.allclose(np.degrees(angles), [90, 180, 270, 0, 90], atol=1e-3)
    assert np.allclose(np.mod(first, 360.0), [180, 270, 0, 90, 180], atol=1e-3)


def test_a_narrow_view_stays_within_itself() -> None:
    stage = Stage()
    lidar = stage.eye("sensor.lidar.ray_cast", channels=1, upper_fov=-30, lower_fov=-30, horizontal_fov=60, points_per_second=4000, rotation_frequency=20, **QUIET)  # fmt: skip
    for _ in range(3):
        found, _, _ = points(stage.see(lidar)[0])
        azimuth = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
        assert found.shape[0] == 200
        assert azimuth.min() == pytest.approx(-30.0, abs=1e-3)
        assert azimuth.max() == pytest.approx(29.7, abs=1e-3)


def test_a_sensor_inside_its_carrier_sees_out_and_one_on_the_roof_sees_the_roof() -> None:
    stage = Stage(statics=[WALL])
    stage.put(1, (0.0, 0.0, 0.0), half=(2.0, 1.0, 0.75))
    given: dict[str, Any] = {
        "channels": 2,
        "upper_fov": 0,
        "lower_fov": -60,
        "points_per_second": 160,
        **TURN,
    }
    inside = stage.eye("sensor.lidar.ray_cast_semantic", (0.0, 0.0, 1.0), parent=1, **given)
    above = stage.eye("sensor.lidar.ray_cast_semantic", (0.0, 0.0, 2.0), parent=1, identity=901, **given)  # fmt: skip
    seen = points(stage.see(inside)[0], 6)[0].copy().view(np.uint32)
    assert 1 not in seen[:, 4]
    found, _, _ = points(stage.see(above)[0], 6)
    own = found.copy().view(np.uint32)[:, 4] == 1
    assert own.sum() == 4
    assert np.allclose(found[own, 2], -0.5, atol=1e-6)  # the roof, 0.5 m below


def test_general_dropoff_loses_its_share_of_points() -> None:
    stage = Stage()
    lidar = stage.eye("sensor.lidar.ray_cast", channels=32, upper_fov=-20, lower_fov=-30, points_per_second=32 * 20 * 500, range=100, rotation_frequency=20, dropoff_general_rate=0.45, dropoff_intensity_limit=0, dropoff_zero_intensity=0)  # fmt: skip
    share = points(stage.see(lidar)[0])[0].shape[0] / 16000
    assert share == pytest.approx(0.55, abs=4.0 * math.sqrt(0.55 * 0.45 / 16000))


def test_weak_echoes_are_lost_in_proportion() -> None:
    stage = Stage(statics=[[101.0, 0.0, 0.0, 0.0, 1.0, 2000.0, 50.0, 3.0, 0.0]])
    # Intensity exp(-0.01 * 100) = 0.368 of a limit of 0.8: kept with 1 - 0.4 + 0.4 / 0.8 * 0.368 = 0.784.
    lidar = stage.eye("sensor.lidar.ray_cast", channels=1, upper_fov=0, lower_fov=0, horizontal_fov=1, points_per_second=20 * 20000, range=200, rotation_frequency=20, atmosphere_attenuation_rate=0.01, dropoff_general_rate=0, dropoff_intensity_limit=0.8, dropoff_zero_intensity=0.4)  # fmt: skip
    share = points(stage.see(lidar)[0])[0].shape[0] / 20000
    assert share == pytest.approx(0.784, abs=4.0 * math.sqrt(0.784 * 0.216 / 20000))


def test_range_noise_is_normal_along_the_ray() -> None:
    stage = Stage(statics=[WALL])
    lidar = stage.eye("sensor.lidar.ray_cast", channels=1, upper_fov=0, lower_fov=0, horizontal_fov=0.1, points_per_second=20 * 20000, rotation_frequency=20, range=100, noise_stddev=0.2, **QUIET)  # fmt: skip
    x = points(stage.see(lidar)[0])[0][:, 0].astype(np.float64)
    assert x.mean() == pytest.approx(10.0, abs=4.0 * 0.2 / math.sqrt(x.size))
    assert x.std() == pytest.approx(0.2, rel=4.0 / math.sqrt(2 * x.size))
    assert np.abs(x - 10.0).max() > 0.6  # tails, not a uniform


def test_the_same_run_gives_the_same_bytes_and_another_seed_does_not() -> None:
    def run(seed: int, identity: int, first_frame: int) -> list[bytes]:
        stage = Stage(statics=[WALL], seed=seed)
        stage.frame = first_frame
        lidar = stage.eye("sensor.lidar.ray_cast", identity=identity, channels=8, points_per_second=8000, noise_stddev=0.1)  # fmt: skip
        return [stage.see(lidar)[0] for _ in range(3)]

    one = run(1, 900, 0)
    assert one[0] != one[1]  # fresh noise each time
    assert run(1, 900, 0) == one
    assert run(1, 1234, 500) == one  # a repetition later in the same server
    assert run(2, 900, 0) != one


def test_the_window_search_finds_what_testing_every_ray_finds() -> None:
    _, ground = corridor()
    rng = np.random.default_rng(5)
    stage = Stage(ground)
    x0, y0 = 2576.6, 80.3
    for k in range(50):
        away, angle = rng.uniform(8.0, 90.0), rng.uniform(-math.pi, math.pi)
        x, y = x0 + away * math.cos(angle), y0 + away * math.sin(angle)
        row = stage.put(1 + k, (x, y, grounds.height(ground, x, y, 10.0)), yaw=rng.uniform(-180, 180), half=tuple(rng.uniform(0.3, 2.5, 3)))  # type: ignore[arg-type]  # fmt: skip
        stage.table.f[row, c.PITCH], stage.table.f[row, c.ROLL] = rng.uniform(-8, 8, 2)
    for pitch, roll, view in ((0.0, 0.0, 360.0), (7.0, -9.0, 360.0), (-30.0, 40.0, 250.0)):
        lidar = stage.eye("sensor.lidar.ray_cast_semantic", (x0, y0, grounds.height(ground, x0, y0, 10.0) + 2.4), pitch=pitch, roll=roll, yaw=20.0, identity=1000 + round(view + pitch), channels=40, horizontal_fov=view, points_per_second=40 * 20 * 300, rotation_frequency=30, range=80)  # fmt: skip
        stage.see(lidar)
        stage.see(lidar)  # begins at half a turn, wraps
        depth, _, _ = lidar._hits
        at, rot = pose(stage.view, lidar.row)
        scene, seen = stage.view.scene(), stage.view.bodies()
        p, k = rng.integers(0, 300, 800), rng.integers(0, 40, 800)
        step = view * 1.5 / 300
        azimuth = np.radians(np.mod(view * 1.5 + step * p, view) - 0.5 * view)
        elevation = np.radians(10.0 - 40.0 / 39.0 * k)
        flat = np.cos(elevation)
        direction = (flat * np.cos(azimuth))[:, None] * rot[0] + (flat * np.sin(azimuth))[:, None] * rot[1] + np.sin(elevation)[:, None] * rot[2]  # fmt: skip
        far, what = np.empty(800), np.empty(800, np.int64)
        kernels.cast(at, rot[0], math.pi, direction, np.full(800, 80.0), seen.body, seen.count, scene.tri, scene.bound, scene.terrain.x, scene.terrain.y, scene.terrain.z, far, what)  # fmt: skip
        assert np.allclose(depth[p, k], far, atol=1e-6)
        assert (what >= 0).sum() > 50
        assert (what <= kernels.TRIANGLE).sum() > 50


def test_roads_are_seen_where_they_are_and_terrain_never_covers_them() -> None:
    net, ground = corridor()
    points = net.points
    chosen = np.random.default_rng(9).choice(points.x_m.size, 400, replace=False)
    x, y = points.x_m[chosen], -points.y_m[chosen]
    high = points.z_m[chosen] + 0.5
    want, triangle = grounds.heights(ground, x.copy(), y.copy(), high.copy())
    scene = Stage(ground).view.scene()
    down, far, what = np.array([[0.0, 0.0, -1.0]]), np.empty(1), np.empty(1, np.int64)
    none = np.zeros((0, 22))
    for k in range(chosen.size):
        at = np.array([x[k], y[k], high[k]])
        kernels.cast(at, down[0], 0.01, down, np.array([50.0]), none, 0, scene.tri, scene.bound, scene.terrain.x, scene.terrain.y, scene.terrain.z, far, what)  # fmt: skip
        if triangle[k] >= 0:
            assert what[0] <= kernels.TRIANGLE
            assert high[k] - far[0] == pytest.approx(want[k], abs=1e-6)
    assert (triangle >= 0).sum() > 350


def test_a_road_in_a_cutting_is_not_buried_by_the_terrain() -> None:
    level = grounds.flat()
    cutting = np.array([[-8.0, -2.0, -1.0, 8.0, -2.0, -1.0, 0.0, 3.0, -1.2]])
    ground = level._replace(
        x0_m=-20.0, y0_m=-20.0, cell_m=2.0, nx=20, ny=20, terrain_m=np.zeros((20, 20)), tri=cutting, tri_tag=np.ones(1, np.uint8),
        cell_start=np.zeros(401, np.int32), face=np.zeros((1, 9)),
    )  # fmt: skip
    stage = Stage(ground)
    lidar = stage.eye("sensor.lidar.ray_cast_semantic", (0.0, 0.0, 3.0), channels=1, upper_fov=-89, lower_fov=-89, points_per_second=200, **TURN)  # fmt: skip
    found, _, _ = points(stage.see(lidar)[0], 6)
    assert set(found.copy().view(np.uint32)[:, 5]) == {1}
    assert found[:, 2] == pytest.approx(-4.08, abs=0.01)


def radar_rows(body: bytes) -> np.ndarray:
    """velocity, azimuth, altitude, depth."""
    return np.frombuffer(body, "<f4").reshape(-1, 4)


def test_radar_velocity_is_negative_for_what_comes_closer() -> None:
    stage = Stage(statics=[WALL])
    stage.put(1, (0.0, 0.0, 0.0), half=(0.5, 0.5, 0.2), velocity=(8.0, 0.0, 0.0))
    stage.put(2, (5.2, 0.0, 0.0), half=(0.2, 0.3, 3.0), velocity=(3.0, 0.0, 0.0))
    radar = stage.eye("sensor.other.radar", (0.0, 0.0, 1.5), parent=1, horizontal_fov=10, vertical_fov=10, points_per_second=20000)  # fmt: skip
    rows = radar_rows(stage.see(radar)[0])
    near, far = rows[rows[:, 3] < 6.0], rows[rows[:, 3] > 6.0]
    assert near.shape[0] + far.shape[0] == 1000
    ahead = np.cos(near[:, 1]) * np.cos(near[:, 2])
    # 5 m/s slower ahead: closes at 5 m/s; the wall at 8.
    assert np.allclose(near[:, 0], -5.0 * ahead, atol=1e-4)
    assert np.allclose(near[:, 3] * ahead, 5.0, atol=1e-4)
    ahead = np.cos(far[:, 1]) * np.cos(far[:, 2])
    assert np.allclose(far[:, 0], -8.0 * ahead, atol=1e-4)
    assert np.allclose(far[:, 3] * ahead, 10.0, atol=1e-4)
    stage.table.f[stage.table.row_of[2], c.VX] = 30.0
    assert radar_rows(stage.see(radar)[0])[:, 0].max() > 20.0


def test_radar_azimuth_is_positive_to_the_right_and_stays_in_the_cone() -> None:
    stage = Stage(
        statics=[[20.0, 50.0, 0.0, 0.0, 1.0, 50.0, 100.0, 3.0, 0.0]]
    )  # right of y = 0 only
    radar = stage.eye("sensor.other.radar", (0.0, 0.0, 50.0), horizontal_fov=40, vertical_fov=20, points_per_second=40000)  # fmt: skip
    rows = radar_rows(stage.see(radar)[0])
    assert 800 < rows.shape[0] < 1200  # half of 2000
    assert rows[:, 1].min() >= 0.0
    assert math.degrees(rows[:, 1].max()) == pytest.approx(20.0, abs=0.3)
    assert math.degrees(np.abs(rows[:, 2]).max()) == pytest.approx(10.0, abs=0.3)
    # Uniform in the share of the radius: half of the rays lie within half the cone.
    share = np.hypot(np.tan(rows[:, 1]) / math.tan(math.radians(20)), np.tan(rows[:, 2]) / np.cos(rows[:, 1]) / math.tan(math.radians(10)))  # fmt: skip
    assert (share < 0.5).mean() == pytest.approx(0.5, abs=4.0 * 0.5 / math.sqrt(rows.shape[0]))


def decoded(bodies: list[bytes]) -> Any:
    """Events as lists."""
    return [msgspec.msgpack.decode(b) for b in bodies]


def test_the_obstacle_is_the_first_thing_the_ball_touches() -> None:
    stage = Stage(statics=[WALL])
    stage.put(1, (0.0, 0.0, 0.0))
    stage.put(2, (8.0, 1.4, 0.0), half=(1.0, 1.0, 1.0))  # its side at y = 0.4, its front at x = 7
    given: dict[str, Any] = {"parent": 1, "distance": 30}
    wide = stage.eye("sensor.other.obstacle", (0.0, 0.0, 1.0), hit_radius=0.5, **given)
    thin = stage.eye(
        "sensor.other.obstacle", (0.0, 0.0, 1.0), hit_radius=0.1, identity=901, **given
    )
    ((own, other, distance),) = decoded(stage.see(wide))
    # The ball meets the box's edge 0.4 m aside: its centre is sqrt(0.5^2 - 0.4^2) = 0.3 m before the edge.
    assert (own, other) == ([1], [2])
    assert distance == pytest.approx(6.7, abs=1e-3)
    ((own, other, distance),) = decoded(stage.see(thin))
    assert distance == pytest.approx(9.9, abs=1e-3)
    assert other[0] == 0
    assert other[2][1] == "static.buildings"


def test_only_dynamics_looks_through_walls_and_nothing_in_reach_says_nothing() -> None:
    stage = Stage(statics=[WALL])
    stage.put(3, (15.0, 0.0, 0.0), kind=c.WALKER, tag=12, half=(0.3, 0.3, 0.9))
    both = stage.eye("sensor.other.obstacle", (0.0, 0.0, 1.0), distance=30, hit_radius=0.2, only_dynamics="True")  # fmt: skip
    ((_, other, distance),) = decoded(stage.see(both))
    assert other == [3]
    assert distance == pytest.approx(14.5, abs=1e-3)
    short = stage.eye("sensor.other.obstacle", (0.0, 0.0, 1.0), identity=901, distance=9, hit_radius=0.5)  # fmt: skip
    assert stage.see(short) == []


CONTACT = np.dtype([("a_row", "i8"), ("b_row", "i8"), ("impulse", "f8", (3,)), ("first", "?")])


def test_a_collision_names_both_and_turns_the_impulse_to_the_parent() -> None:
    stage = Stage(statics=[WALL])
    a, b = stage.put(1, (0.0, 0.0, 0.0)), stage.put(2, (3.9, 0.0, 0.0))
    elsewhere = stage.put(3, (50.0, 0.0, 0.0))
    sensor = stage.eye("sensor.other.collision", parent=2)
    contacts = np.array(
        [(a, b, (-400.0, 10.0, 0.0), True), (elsewhere, a, (1.0, 0.0, 0.0), True), (b, -1, (-7.0, 0.0, 0.0), False)],
        dtype=CONTACT,
    )  # fmt: skip
    events = decoded(stage.see(sensor, contacts=contacts))
    assert [(e[0], e[1][0], e[2]) for e in events] == [
        ([2], 1, [400.0, -10.0, 0.0]),
        ([2], 0, [-7.0, 0.0, 0.0]),
    ]
    assert events[1][1][2][1] == "static.buildings"
    assert events[1][1][3][0] == [10.5, 0.0, 5.0]
    assert stage.see(sensor) == []
