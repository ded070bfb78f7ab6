"""Object sensors see what stands clear in range and view, and nothing identifies anybody."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.sensing import ObjectList
from protocols.simtime import Now
from sim.sensors.objects import ObjectSensor, RoadsideSensor
from sim.sensors.params import ObjectParams, preset
from tests.sim.sensors.scene import EXACT, NOW, Scene


def seen_from_origin(scene: Scene, params: ObjectParams = EXACT) -> list[tuple[float, float]]:
    """Centres seen by a vehicle sensor whose owner stands at the origin in row 0."""
    sensor = ObjectSensor(params, 1, "test", 10)
    found = sensor.from_vehicle(NOW, 0, scene.states, scene.statics)
    return sorted(
        (round(float(x), 6), round(float(y), 6)) for x, y in zip(found.x_m, found.y_m, strict=True)
    )


def owner(scene: Scene, yaw_rad: float = 0.0) -> int:
    """A car whose origin (rear axle) is the world's origin."""
    row = scene.add(0.0, 0.0, yaw_rad)
    scene.states.x_m[row] = scene.states.y_m[row] = 0.0
    return row


def test_a_clear_object_is_seen_at_its_centre_and_the_owner_is_not() -> None:
    scene = Scene()
    owner(scene)
    scene.add(30.0, 5.0)
    assert seen_from_origin(scene) == [(30.0, 5.0)]


def test_a_car_right_behind_a_bus_is_hidden_and_one_beside_it_is_not() -> None:
    scene = Scene()
    owner(scene)
    scene.bus(20.0, 0.0)  # spans 14..26 m, half width 1.275: shadow half-angle atan(1.275/14)
    scene.add(40.0, 0.0)
    scene.add(40.0, 8.0)  # its lower edge, 7.1 m at 42 m, lies at 9.6 degrees, outside 5.2
    assert seen_from_origin(scene) == [(20.0, 0.0), (40.0, 8.0)]


@pytest.mark.parametrize(
    ("y_m", "is_seen"),
    [
        (2.4, False),  # corners at 1.2 .. 5.0 degrees: all in the shadow
        (3.0, False),  # 2.85 .. 5.90 degrees: 23 % clear
        (3.35, True),  # 3.32 .. 6.42 degrees: 39 % clear
        (4.2, True),  # 4.47 .. 7.69 degrees: 77 % clear
    ],
)
def test_a_partly_hidden_car_is_seen_from_thirty_per_cent_on(y_m: float, is_seen: bool) -> None:
    scene = Scene()
    owner(scene)
    scene.bus(20.0, 0.0)  # hides azimuths below atan(1.275 / 14) = 5.20 degrees
    scene.add(40.0, y_m)  # from 37.75 to 42.25 m, 0.9 m to either side of y
    assert ((40.0, y_m) in seen_from_origin(scene)) is is_seen


def test_the_share_that_must_be_clear_is_the_parameter() -> None:
    scene = Scene()
    owner(scene)
    scene.bus(20.0, 0.0)
    scene.add(40.0, 3.4)  # 40 % clear
    assert (40.0, 3.4) in seen_from_origin(scene)
    assert (40.0, 3.4) not in seen_from_origin(scene, dataclasses.replace(EXACT, min_visible=0.9))


def test_a_low_sensor_does_not_look_over_a_bus_but_over_a_child_in_front() -> None:
    scene = Scene()
    owner(scene)
    scene.bus(15.0, 0.0, math.pi / 2)
    scene.add(25.0, 0.0)
    assert seen_from_origin(scene) == [(15.0, 0.0)]
    scene = Scene()
    owner(scene)
    scene.add(10.0, 0.0, 0.0, 0.0, 0.4, 4.0, 0.5, ActorKind.PEDESTRIAN, 0.2)  # a low wall of 0.5 m
    scene.add(25.0, 0.0)
    assert (25.0, 0.0) in seen_from_origin(scene)  # sensor at 2.2 m: line to 0.75 m clears 0.5 m


def roadside(scene: Scene, height_m: float) -> list[tuple[float, float]]:
    params = dataclasses.replace(EXACT, height_m=height_m, range_m=150.0)
    found = RoadsideSensor(params, 1, "rsu/1", 10, 0.0, 0.0).sample(
        NOW, scene.states, scene.statics
    )
    assert found is not None
    assert found.is_world_frame
    return sorted(
        (round(float(x), 6), round(float(y), 6)) for x, y in zip(found.x_m, found.y_m, strict=True)
    )


def test_a_pole_looks_over_cars_where_a_low_sensor_cannot() -> None:
    # Line from H to 0.75 m at 57.75 m passes the far end of the first car (42.25 m) at
    # 6 - 5.25 * 42.25 / 57.75 = 2.16 m > 1.5 m for H = 6, and at 1.6 - 0.85 * 0.7316 = 0.98 m for H = 1.6.
    scene = Scene()
    scene.add(40.0, 0.0)
    scene.add(60.0, 0.0)
    assert roadside(scene, 6.0) == [(40.0, 0.0), (60.0, 0.0)]
    assert roadside(scene, 1.6) == [(40.0, 0.0)]


def test_a_bus_hides_a_car_even_from_a_pole() -> None:
    # 6 - 5.25 * 46 / 57.75 = 1.82 m is below the bus roof of 3.2 m.
    scene = Scene()
    scene.bus(40.0, 0.0)
    scene.add(60.0, 0.0)
    assert roadside(scene, 6.0) == [(40.0, 0.0)]


def test_range_and_view_end_where_the_parameters_say() -> None:
    scene = Scene()
    owner(scene)
    scene.add(99.0, 0.0)
    scene.add(0.0, 101.0)
    scene.add(-30.0, 0.0)
    assert seen_from_origin(scene) == [(-30.0, 0.0), (99.0, 0.0)]
    front = dataclasses.replace(EXACT, field_of_view_rad=math.radians(120.0))
    assert seen_from_origin(scene, front) == [(99.0, 0.0)]
    behind = dataclasses.replace(front, bore_sight_rad=math.pi)
    assert seen_from_origin(scene, behind) == [(-30.0, 0.0)]


def test_the_body_frame_turns_with_the_owner() -> None:
    scene = Scene()
    owner(scene, math.pi / 2)
    scene.add(
        0.0, 30.0, yaw_rad=math.pi, speed_mps=10.0
    )  # north of a north-facing owner, driving west
    found = ObjectSensor(EXACT, 1, "t", 10).from_vehicle(NOW, 0, scene.states, scene.statics)
    assert (found.x_m[0], found.y_m[0]) == (pytest.approx(30.0), pytest.approx(0.0, abs=1e-9))
    assert found.yaw_rad[0] == pytest.approx(math.pi / 2)
    assert (found.vx_mps[0], found.vy_mps[0]) == (pytest.approx(0.0, abs=1e-9), pytest.approx(10.0))
    assert not found.is_world_frame


def test_an_articulated_bus_is_two_boxes_and_its_rear_hides_too() -> None:
    scene = Scene()
    row = scene.bus(-10.0, 60.0)
    scene.states.x_m[row] = 0.0
    scene.states.y_m[row] = 40.0
    scene.statics.hitch_x_m[row] = -2.0
    scene.statics.rear_length_m[row] = 8.0
    scene.states.hitch_rad[row] = math.pi / 2  # front looks east, rear section points north
    scene.add(-2.0, 60.0)  # behind the rear section, which hangs south of the joint: y 32..40
    found = roadside(scene, 1.6)
    # Rear section: yaw = 0 - 90 deg, from the joint (-2, 40) backwards, that is north: centre (-2, 44).
    assert (-2.0, 44.0) in found
    assert (5.0, 40.0) in found  # 12 m front section: centre 5 m ahead of the rear axle
    assert (-2.0, 60.0) not in found


def noisy(seed: int, name: str, scene: Scene, tick: int = 0) -> ObjectList:
    sensor = ObjectSensor(ObjectParams(miss_probability=0.3, mount_x_m=0.0), seed, name, 10)
    return sensor.from_vehicle(Now(tick, tick * 10_000_000), 0, scene.states, scene.statics)


def ring(count: int) -> Scene:
    scene = Scene()
    owner(scene)
    for k in range(count):
        angle = 2.0 * math.pi * k / count
        scene.add((30.0 + 3.0 * k) * math.cos(angle), (30.0 + 3.0 * k) * math.sin(angle))
    return scene


def test_noise_is_seeded_by_run_and_sensor_and_changes_with_time() -> None:
    scene = ring(12)
    base = noisy(1, "a", scene)
    again = noisy(1, "a", scene)
    assert base.x_m.tolist() == again.x_m.tolist()
    for other in (noisy(2, "a", scene), noisy(1, "b", scene), noisy(1, "a", scene, 10)):
        assert base.x_m.tolist() != other.x_m.tolist()


def test_adding_an_actor_changes_nobody_elses_noise() -> None:
    scene = ring(12)
    before = set(noisy(1, "a", scene).x_m.tolist())
    scene.add(-90.0, -1.0)
    after = set(noisy(1, "a", scene).x_m.tolist())
    assert before <= after


def test_order_follows_distance_whatever_the_rows() -> None:
    scene = ring(12)
    found = noisy(1, "a", scene)
    turned = Scene()
    owner(turned)
    for k in reversed(range(12)):
        angle = 2.0 * math.pi * k / 12
        row = turned.add((30.0 + 3.0 * k) * math.cos(angle), (30.0 + 3.0 * k) * math.sin(angle))
        turned.states.id[row] = k + 2
    assert noisy(1, "a", turned).x_m.tolist() == pytest.approx(found.x_m.tolist())
    assert np.hypot(found.x_m, found.y_m).tolist() == sorted(
        np.hypot(found.x_m, found.y_m).tolist()
    )


def test_misses_and_errors_have_the_size_that_was_asked_for() -> None:
    scene = Scene()
    owner(scene)
    scene.add(50.0, 0.0)
    params = dataclasses.replace(ObjectParams(), miss_probability=0.1, mount_x_m=0.0)
    sensor = ObjectSensor(params, 3, "t", 10)
    errors = []
    for tick in range(0, 40_000, 10):
        found = sensor.from_vehicle(Now(tick, tick * 10_000_000), 0, scene.states, scene.statics)
        errors += (found.x_m - 50.0).tolist()
    assert len(errors) / 4000 == pytest.approx(0.9, abs=0.015)  # three sigma of 4000 draws: 0.0142
    # Sensor at the origin, object at 50 m: sigma = 0.1 + 0.002 * 50 = 0.2 m; 3 sigma of the estimate is 3.5 %.
    assert np.std(errors) == pytest.approx(0.2, rel=0.04)
    assert np.mean(errors) == pytest.approx(0.0, abs=0.01)


def test_samples_come_at_the_period_and_not_between() -> None:
    scene = ring(3)
    sensor = RoadsideSensor(preset(ObjectParams, "roadside"), 1, "rsu/1", 10, 0.0, 0.0)
    due = [
        tick
        for tick in range(25)
        if sensor.sample(Now(tick, tick * 10_000_000), scene.states, scene.statics) is not None
    ]
    assert due == [0, 10, 20]


def test_wrong_parameters_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"sensors\.objects\.range_m = -1\.0"):
        ObjectParams(range_m=-1.0)
    with pytest.raises(ConfigError, match=r"min_visible = 0\.0"):
        ObjectParams(min_visible=0.0)
    with pytest.raises(ConfigError, match="presets are roadside, shuttle, vehicle"):
        preset(ObjectParams, "x")
    assert preset(ObjectParams, "vehicle") == ObjectParams()
    with pytest.raises(ValueError, match="15 ms is not a whole number of 10 ms ticks"):
        ObjectSensor(ObjectParams(period_ms=15), 1, "t", 10)
