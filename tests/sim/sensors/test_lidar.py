"""Lidar objects come from clustered points: separated boxes are found where they are, the map and the road are not objects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols.messages import ActorKind
from protocols.sensing import ObjectList
from sim.sensors.lidar import Lidar
from sim.sensors.surroundings import Place, place_on
from tests.sim.sensors.scene import NO_WALLS, Scene, model

ROOF = Place(0.0, 0.0, 2.2, 0.0)
PEDESTRIAN_M, CAR_M = (
    0.3,
    0.6,
)  # bounds of the centre's error within 40 m, sides that cannot be seen included


def separated(seed: int, count: int) -> tuple[Scene, list[tuple[float, float, bool]]]:
    """Cars and people 8 to 40 m away, none behind another, 3 m or more between them."""
    draw = np.random.default_rng(seed)
    scene = Scene()
    places: list[tuple[float, float, bool]] = []
    for k in range(count):
        azimuth = 2.0 * math.pi * k / count
        is_person = k % 3 == 2
        # A car of 4.5 m spans 2 pi / count only beyond some range.
        r = float(draw.uniform(8.0, 40.0)) if is_person else float(draw.uniform(22.0, 40.0))
        x, y = r * math.cos(azimuth), r * math.sin(azimuth)
        yaw = float(draw.uniform(-3.1, 3.1))
        if is_person:
            scene.add(x, y, yaw, 0.0, 0.5, 0.6, 1.7, ActorKind.PEDESTRIAN, 0.25)
        else:
            scene.add(x, y, yaw)
        places.append((x, y, is_person))
    return scene, places


def measured(sensor: Lidar, scene: Scene, place: Place = ROOF, t_ns: int = 0) -> ObjectList:
    return sensor.measure(t_ns, place, scene.states, scene.statics)


@pytest.mark.parametrize("seed", range(8))
def test_separated_boxes_are_found_one_by_one_near_their_centres(seed: int):
    scene, places = separated(seed, 18)
    found = measured(model("lidar", "roof64"), scene)
    assert found.x_m.size == len(places)
    for x, y, is_person in places:
        gap = np.hypot(found.x_m - x, found.y_m - y)
        nearest = int(gap.argmin())
        assert gap[nearest] <= (PEDESTRIAN_M if is_person else CAR_M)
        assert bool(found.kind[nearest] == ActorKind.PEDESTRIAN) is is_person


def test_cars_of_usual_and_unusual_size_are_within_three_sigma():
    draw = np.random.default_rng(5)
    squared, split = [], 0
    for k in range(300):
        scene = Scene()
        r, azimuth = draw.uniform(10.0, 40.0), draw.uniform(-3.1, 3.1)
        x, y = r * math.cos(azimuth), r * math.sin(azimuth)
        length, width = float(draw.normal(4.6, 0.4)), float(draw.normal(1.8, 0.08))
        scene.add(x, y, float(draw.uniform(-3.1, 3.1)), 0.0, length, width)
        found = measured(model("lidar", "roof64", key=k), scene)
        assert found.x_m.size >= 1 and found.cov_m2 is not None
        split += found.x_m.size > 1
        best = int(np.hypot(found.x_m - x, found.y_m - y).argmin())
        xx, xy, yy = found.cov_m2[best]
        dx, dy = found.x_m[best] - x, found.y_m[best] - y
        squared.append((yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy))
    assert split <= 3  # one column of a grazed side may stand alone
    # Two degrees of freedom: 2 on the average, 9.2 at 99 %. Honest enough: neither far too sure nor far too shy.
    assert 0.3 < np.mean(squared) < 3.0
    assert np.mean(np.array(squared) > 9.2) < 0.04


def test_a_turn_closes_without_a_seam():
    scene = Scene()
    scene.add(-20.0, 0.0, 0.5 * math.pi)  # right behind, where the turn begins and ends
    found = measured(model("lidar", "roof64"), scene)
    assert found.x_m.tolist() == [pytest.approx(-20.0, abs=0.3)]
    assert found.y_m.tolist() == [pytest.approx(0.0, abs=0.3)]


def test_the_road_and_the_walls_of_the_map_are_no_objects_and_a_person_before_a_wall_is():
    wall = np.array([[15.0], [-30.0], [15.0], [30.0], [6.0]])
    scene = Scene()
    assert measured(model("lidar", "roof64", walls=wall), scene).x_m.size == 0
    scene.add(14.0, 3.0, 0.0, 0.0, 0.5, 0.6, 1.7, ActorKind.PEDESTRIAN, 0.25)
    scene.add(17.0, -3.0, 0.0, 0.0, 0.5, 0.6, 1.7, ActorKind.PEDESTRIAN, 0.25)
    found = measured(model("lidar", "roof64", walls=wall), scene)
    assert found.x_m.tolist() == [pytest.approx(14.0, abs=0.3)]


def test_a_car_half_behind_a_bus_is_reported_with_more_doubt():
    doubts = []
    for hides in (False, True):
        scene = Scene()
        scene.add(30.0, 0.0, 0.5 * math.pi)
        if hides:
            scene.bus(14.0, 1.3)
        found = measured(model("lidar", "roof64"), scene)
        car = int(np.hypot(found.x_m - 30.0, found.y_m).argmin())
        doubts.append(float(found.sigma_m[car]))
    assert doubts[1] > 2.0 * doubts[0]


def test_points_lie_on_the_road_the_box_and_nowhere_else():
    scene = Scene()
    scene.add(0.0, 0.0)
    scene.states.x_m[0], scene.states.y_m[0], scene.states.yaw_rad[0] = 50.0, 20.0, 0.7
    c, s = math.cos(0.7), math.sin(0.7)
    scene.add(50.0 + 12.0 * c, 20.0 + 12.0 * s, 0.7)  # 12 m ahead: from 9.75 to 14.25 m
    sensor = model("lidar", "roof64", range_sigma_m=0.0, drop_out=0.0)
    place = place_on(0, scene.states, 1.0, 0.0, 2.2, 0.0)
    sensor.scan(0, place, scene.states, scene.statics)
    points = sensor.points(place)
    assert points.shape[0] == np.isfinite(sensor.measured).sum() and points.shape[1] == 3
    high = points[points[:, 2] > 1e-6]
    assert high.shape[0] > 200
    assert (high[:, 2] <= 1.5 + 1e-6).all()
    assert (np.abs(high[:, 1]) <= 0.9 + 1e-6).all()
    assert (high[:, 0] >= 9.75 - 1e-6).all() and (high[:, 0] <= 14.25 + 1e-6).all()
    # Roof points exist: the sensor looks down on the car.
    assert (np.abs(high[:, 2] - 1.5) < 1e-6).any()


def test_a_sector_lidar_sees_its_sector_only():
    scene = Scene()
    scene.add(20.0, 0.0)
    scene.add(0.0, 20.0)
    sensor = model("lidar", "roof64", field_of_view_rad=1.0)
    assert measured(sensor, scene).x_m.tolist() == [pytest.approx(20.0, abs=0.6)]
    left = Place(0.0, 0.0, 2.2, 0.5 * math.pi)
    assert measured(sensor, scene, left).y_m.tolist() == [pytest.approx(20.0, abs=0.6)]


def test_a_scan_without_anything_is_an_empty_list():
    found = measured(model("lidar", "roof64", walls=NO_WALLS), Scene())
    assert found.x_m.size == 0 and found.cov_m2 is not None and found.cov_m2.shape == (0, 3)
