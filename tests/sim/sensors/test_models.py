"""What all single sensors hold to: nobody is seen without a line of sight, weather only takes away, noise belongs to its body."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from protocols.messages import ActorKind
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from protocols.simtime import Now
from sim.sensors.environment import Environment, Light
from sim.sensors.objects import ObjectSensor
from sim.sensors.surroundings import Place, place_on
from tests.sim.sensors.naive_rays import Prism, Wall, is_any_part_in_sight
from tests.sim.sensors.scene import EXACT, NO_WALLS, NOW, Scene, at, model

MODELS = {
    "lidar": ("roof64", 0.02),
    "radar": ("front77", 0.25),
    "camera": ("front", 0.5),
    "ultrasonic": ("bumper", 0.02),
}
SURE: dict[str, dict[str, float]] = {  # nothing is lost by chance: what is left is geometry
    "lidar": {"drop_out": 0.0},
    "radar": {"drop_out": 0.0, "min_visible": 0.0},
    "camera": {"miss_probability": 0.0, "min_visible": 0.0},
    "ultrasonic": {"miss_probability": 0.0},
}
PEDESTRIAN: dict[str, Any] = {
    "length_m": 0.5, "width_m": 0.6, "height_m": 1.7, "kind": ActorKind.PEDESTRIAN, "rear_overhang_m": 0.25,
}  # fmt: skip


def is_seen(found: ObjectList, x_m: float, y_m: float, within_m: float) -> bool:
    return bool((np.hypot(found.x_m - x_m, found.y_m - y_m) < within_m).any())


@pytest.mark.parametrize("screen", ["bus", "wall"])
@pytest.mark.parametrize("kind", MODELS)
def test_an_occluded_pedestrian_is_never_seen_before_a_line_of_sight_exists(kind: str, screen: str):
    near = kind == "ultrasonic"  # a few metres is all it has
    screen_x, person_x = (1.5, 3.5) if near else (12.0, 20.0)
    name, noise = MODELS[kind]
    up = 0.5 if near else 1.5
    # A range finder hears the screen first, so its cone ends at the screen's edge.
    place = Place(0.0, 0.0, up, -0.55 if near else 0.0)
    length = 2.0 if near else 8.0
    walls: list[Wall] = []
    if screen == "wall":
        walls = [(screen_x, 0.0, screen_x, length, 3.0)]
    sensor = model(kind, name, walls=np.array(walls).T if walls else NO_WALLS, **SURE[kind])
    hidden = seen_early = seen = 0
    first_seen = first_line = None
    for k in range(45):
        # From behind the screen to the right of its edge (y = 0), 0.1 to 0.2 m a step.
        y = (2.0 - 0.08 * k) * (1.0 if near else 2.0)
        scene = Scene()
        if screen == "bus":
            scene.add(screen_x, 0.5 * length, 0.5 * math.pi, 0.0, length, 0.3, 3.0, ActorKind.BUS)
        scene.add(person_x, y, **PEDESTRIAN)
        person: Prism = (person_x, y, 0.0, 0.25, 0.3, 1.7)
        bus: list[Prism] = [(screen_x, 0.5 * length, 0.5 * math.pi, 0.5 * length, 0.15, 3.0)]
        others = bus if screen == "bus" else []
        line = is_any_part_in_sight((0.0, 0.0, up), person, others, walls)
        found = sensor.measure(at(k), place, scene.states, scene.statics)
        if near:  # it says no direction: anything beyond the screen is the person
            is_there = bool((np.hypot(found.x_m, found.y_m) > screen_x + 0.6).any())
        else:
            is_there = is_seen(found, person_x, y, 1.0 + 4.0 * noise)
        hidden += not line
        seen_early += is_there and not line
        seen += is_there
        if line and first_line is None:
            first_line = k
        if is_there and first_seen is None:
            first_seen = k
    assert hidden >= 10
    assert seen_early == 0
    assert first_line is not None and first_seen is not None
    assert seen >= 3
    # Once the body stands clear (0.6 m wide: at most 9 steps) it is found.
    assert first_line <= first_seen <= first_line + 12


@pytest.mark.parametrize("screen", ["bus", "wall"])
def test_the_set_does_not_see_an_occluded_pedestrian_either(screen: str):
    wall = [(12.0, 0.0, 12.0, 8.0, 3.0)] if screen == "wall" else []
    bus: list[Prism] = [(12.0, 4.0, 0.5 * math.pi, 4.0, 0.15, 3.0)] if screen == "bus" else []
    walls = np.array(wall).T if wall else NO_WALLS
    early = seen = 0
    for k in range(40):
        scene = Scene()
        scene.bus(0.0, 0.0)
        scene.states.x_m[0] = scene.states.y_m[0] = 0.0
        if bus:
            scene.add(12.0, 4.0, 0.5 * math.pi, 0.0, 8.0, 0.3, 3.0, ActorKind.BUS)
        y = 2.0 - 0.1 * k
        scene.add(20.0, y, **PEDESTRIAN)
        line = is_any_part_in_sight((0.0, 0.0, 2.2), (20.0, y, 0.0, 0.25, 0.3, 1.7), bus, wall)
        sensor = ObjectSensor(EXACT, 1, "t", 10, walls=walls)
        is_there = is_seen(sensor.from_vehicle(NOW, 0, scene.states, scene.statics), 20.0, y, 1.0)
        early += is_there and not line
        seen += is_there
    assert early == 0 and 10 <= seen <= 25


def test_weather_takes_from_the_set_and_a_clear_day_does_not():
    scene = crowd()
    counts = []
    for env in (None, Environment(), *FOG[2:]):
        sensor = ObjectSensor(replace(EXACT, miss_probability=0.02), 1, "t", 10, env)
        counts.append([sensor.from_pole(Now(k, at(k)), 0.0, 0.0, scene.states, scene.statics).x_m.tolist() for k in range(10)])  # fmt: skip
    assert counts[0] == counts[1]
    sizes = [sum(map(len, some)) for some in counts]
    assert sizes[0] > sizes[2] > sizes[-1]


def crowd() -> Scene:
    """People and cars in front at 5 to 150 m, none behind another."""
    scene = Scene()
    for k in range(24):
        azimuth = math.radians(-25.0 + 50.0 * k / 23.0)
        r = 5.0 + 6.0 * ((k * 7) % 24)
        body = PEDESTRIAN if k % 2 else {}
        scene.add(r * math.cos(azimuth), r * math.sin(azimuth), azimuth, **body)
    return scene


RAIN = [Environment(rain_mmph=r) for r in (0.0, 2.0, 10.0, 25.0, 60.0, 150.0)]
FOG = [Environment(fog_visibility_m=v) for v in (math.inf, 1000.0, 300.0, 150.0, 60.0, 30.0)]
LIGHT = [Environment(light=light) for light in (Light.DAY, Light.DUSK, Light.NIGHT)]


@pytest.mark.parametrize("kind", ["lidar", "radar", "camera"])
@pytest.mark.parametrize("weathers", [RAIN, FOG, LIGHT], ids=["rain", "fog", "light"])
def test_more_weather_never_sees_farther(kind: str, weathers: list[Environment]):
    scene, place = crowd(), Place(0.0, 0.0, 1.8, 0.0)
    sensors = [model(kind, MODELS[kind][0], env=weather) for weather in weathers]
    farthest, seen = [], []
    for sensor in sensors:
        lists = [sensor.measure(at(k), place, scene.states, scene.statics) for k in range(20)]
        farthest.append(
            max((np.hypot(f.x_m, f.y_m).max() for f in lists if f.x_m.size), default=0.0)
        )
        seen.append(sum(f.x_m.size for f in lists))
        if kind == "lidar":
            seen[-1] = int(np.isfinite(sensor.measured).sum())
    # The same draws decide in any weather, so who is seen in worse weather is seen in better weather too. A lidar's rectangle
    # round fewer points may lie a little differently.
    slack = 1.0 if kind == "lidar" else 1e-9
    assert all(b <= a + slack for a, b in pairwise(farthest))
    assert all(b <= a for a, b in pairwise(seen))
    strong = {"lidar": weathers is not LIGHT, "radar": weathers is RAIN, "camera": True}[kind]
    assert (seen[-1] < seen[0]) is strong, "weather that does nothing, or does what it should not"


def test_glare_blinds_towards_the_sun_only():
    scene, place = Scene(), Place(0.0, 0.0, 1.5, 0.0)
    scene.add(30.0, 0.0)
    scene.add(30.0 * math.cos(0.4), 30.0 * math.sin(0.4))

    def counts(sun_azimuth_rad: float, sun_elevation_rad: float) -> list[int]:
        sun = Environment(sun_azimuth_rad=sun_azimuth_rad, sun_elevation_rad=sun_elevation_rad)
        sensor = model("camera", "front", env=sun, miss_probability=0.0)
        ahead = side = 0
        for k in range(400):
            found = sensor.measure(at(k), place, scene.states, scene.statics)
            bearing = np.arctan2(found.y_m, found.x_m)
            ahead += int((bearing < 0.2).sum())
            side += int((bearing >= 0.2).sum())
        return [ahead, side]

    assert counts(0.0, 1.0) == [400, 400]  # high sun
    ahead, side = counts(0.0, 0.02)  # low sun straight ahead, half-angle 0.17 rad
    assert 100 < ahead < 220 and side == 400
    assert counts(math.pi, 0.02) == [400, 400]  # in the back


@pytest.mark.parametrize("kind", MODELS)
def test_same_seed_same_bytes_and_other_seeds_differ(kind: str):
    scene = crowd()
    scene.add(3.0, 0.0)

    def run(key: int) -> bytes:
        sensor = model(kind, MODELS[kind][0], key=key, clutter_per_scan=0.5)
        lists = [
            sensor.measure(at(k), Place(0.0, 0.0, 1.0, 0.0), scene.states, scene.statics)
            for k in range(5)
        ]
        return b"".join(
            getattr(f, n).tobytes()
            for f in lists
            for n in ("x_m", "y_m", "vx_mps", "kind", "cov_m2")
        )

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("kind", MODELS)
def test_somebody_far_away_changes_nobody_elses_noise(kind: str):
    sensor, place = model(kind, MODELS[kind][0], clutter_per_scan=0.5), Place(0.0, 0.0, 1.0, 0.0)
    lists = []
    for extra in (False, True):
        scene = Scene()
        scene.states.id[:] = 0
        if extra:  # in a row before everybody else's
            scene.add(-60.0, 70.0)
            scene.states.id[0] = 999
        for k in range(8):
            row = scene.add(4.0 + 9.0 * k, 1.5 * k * (-1) ** k)
            scene.states.id[row] = k + 1
        lists.append([sensor.measure(at(k), place, scene.states, scene.statics) for k in range(10)])
    for before, after in zip(*lists, strict=True):
        assert set(zip(before.x_m.tolist(), before.y_m.tolist(), strict=True)) <= set(
            zip(after.x_m.tolist(), after.y_m.tolist(), strict=True)
        )


@pytest.mark.parametrize("kind", MODELS)
def test_lists_say_what_they_are(kind: str):
    scene = Scene()
    scene.add(3.5, 0.0, speed_mps=5.0)
    found = model(kind, MODELS[kind][0]).measure(
        NOW.t_ns, Place(0.0, 0.0, 1.0, 0.0), scene.states, scene.statics
    )
    assert found.x_m.size == 1
    assert found.sensor == f"{kind}/test" and found.source is SensorKind[kind.upper()]
    assert found.is_world_frame
    assert found.cov_m2 is not None and found.cov_m2.shape == (1, 3)
    xx, xy, yy = found.cov_m2[0]
    assert xx > 0.0 and yy > 0.0 and xx * yy > xy * xy
    assert found.sigma_m[0] == pytest.approx(math.sqrt(0.5 * (xx + yy)))
    if kind == "radar":
        assert found.velocity is VelocityKind.RADIAL and found.sigma_v_mps == 0.1
        assert abs(found.vx_mps[0] - 5.0) < 0.6
    else:
        assert found.velocity is VelocityKind.NONE and found.vx_mps[0] == found.vy_mps[0] == 0.0


@pytest.mark.parametrize("kind", ["radar", "camera", "lidar"])
def test_turning_and_moving_the_owner_turns_the_report(kind: str):
    quiet = {
        "radar": {"range_sigma_m": 0.0, "azimuth_sigma_rad": 0.0, "speed_sigma_mps": 0.0},
        "camera": {"range_sigma_per_m": 0.0, "bearing_sigma_rad": 0.0, "yaw_sigma_rad": 0.0},
        "lidar": {"range_sigma_m": 0.0, "drop_out": 0.0},
    }[kind]
    reports = []
    for x, y, yaw in ((0.0, 0.0, 0.0), (100.0, -40.0, 2.0)):
        scene = Scene()
        scene.add(0.0, 0.0)
        scene.states.x_m[0], scene.states.y_m[0], scene.states.yaw_rad[0] = x, y, yaw
        c, s = math.cos(yaw), math.sin(yaw)
        ahead, left = 25.0, 3.0
        scene.add(x + c * ahead - s * left, y + s * ahead + c * left, yaw + 0.3, 8.0)
        sensor = model(kind, MODELS[kind][0], **quiet)
        place = place_on(0, scene.states, 2.0, 0.0, 1.5, 0.0)
        assert not place.is_world_frame
        reports.append(sensor.measure(0, place, scene.states, scene.statics))
    one, two = reports
    loose = 0.08 if kind == "lidar" else 1e-6  # rectangles turn in steps of two degrees
    for name in ("x_m", "y_m", "vx_mps", "vy_mps", "cov_m2"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=loose), name
    assert one.x_m[0] == pytest.approx(25.0, abs=0.2) and one.y_m[0] == pytest.approx(3.0, abs=0.2)


def test_a_pixel_limit_ends_the_cameras_sight():
    # f = 960 / tan(30 degrees) = 1662.8 px: 1.7 m fall below 50 px at 56.5 m.
    for r, is_found in ((55.0, True), (58.0, False)):
        scene = Scene()
        scene.add(r, 0.0, **PEDESTRIAN)
        sensor = model("camera", "front", miss_probability=0.0, min_height_px=50.0)
        found = sensor.measure(0, Place(0.0, 0.0, 1.5, 0.0), scene.states, scene.statics)
        assert (found.x_m.size == 1) is is_found


def test_an_ultrasonic_sensor_hears_the_nearest_thing_body_or_wall():
    wall = np.array([[2.5], [-3.0], [2.5], [3.0], [2.0]])
    sensor = model("ultrasonic", "bumper", walls=wall, range_sigma_m=0.0, miss_probability=0.0)
    place, scene = Place(0.0, 0.0, 0.5, 0.0), Scene()
    alone = sensor.measure(0, place, scene.states, scene.statics)
    assert alone.x_m.tolist() == [pytest.approx(2.5)]
    scene.add(1.8, 0.3, **PEDESTRIAN)  # its face is at 1.55 m, from y = 0 to 0.6
    nearer = sensor.measure(0, place, scene.states, scene.statics)
    assert nearer.x_m.tolist() == [pytest.approx(1.55, abs=0.02)]
    scene.states.x_m[0] = -1.8  # behind
    assert sensor.measure(0, place, scene.states, scene.statics).x_m.tolist() == [
        pytest.approx(2.5)
    ]
    far = replace(place, yaw_rad=math.pi / 2)
    assert sensor.measure(0, far, scene.states, scene.statics).x_m.size == 0
