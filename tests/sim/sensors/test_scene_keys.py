"""From a scene's keys to readings: `[environment]`, `extra`, and the ports that hand out what is due."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protocols import unit_wire
from protocols.errors import ConfigError
from protocols.messages import ActorKind
from protocols.participant import Inbox
from protocols.sensing import FixQuality, Readings, SensorKind
from protocols.simtime import Now
from scenarios.load import load_scene
from scenarios.spec import SceneSpec
from sim.ports import RoadsidePort, VehiclePort
from sim.sensors.surroundings import walls_of
from tests.sim.sensors.scene import Scene
from tests.support.corridor import corridor_net, resolved
from tests.support.crossroads import crossroads

LIDAR = {"kind": "lidar", "name": "roof", "azimuth_steps": 256}
RADAR = {"kind": "radar", "name": "front", "latency_ms": 20, "jitter_ms": 0}


def spec(**environment: Any) -> SceneSpec:
    table = {
        "name": "t", "duration_s": 10.0, "map": {"file": "brt_corridor.xodr"}, "environment": environment,
    }  # fmt: skip
    return SceneSpec.model_validate(table)


def world() -> tuple[Any, Any]:
    """(world, vehicle): a parking lot on a small map, with what a port asks of a world."""
    scene = Scene()
    scene.add(0.0, 0.0)
    for k in range(4):
        scene.add(15.0 + 9.0 * k, 3.0 * k, speed_mps=4.0)
    scene.add(8.0, -3.0, 0.0, 1.0, 0.5, 0.6, 1.7, ActorKind.PEDESTRIAN, 0.25)
    net = crossroads()
    loops = SimpleNamespace(lane=np.zeros(0, np.int32), reading=lambda t_ns, rows: None)
    made = SimpleNamespace(
        net=net, states=scene.states, statics=scene.statics, loops=loops,
        buttons=lambda: np.zeros(len(net.crossings.id), bool),
    )  # fmt: skip
    vehicle = SimpleNamespace(name="a", row=0, params=SimpleNamespace(front_x_m=3.0), cabin=None)
    return made, vehicle


def drive(table: dict[str, Any], ticks: int = 40, scene: SceneSpec | None = None) -> list[Readings]:
    made, vehicle = world()
    port = VehiclePort(made, vehicle, table, scene or spec())
    return [port.sample(tick, tick * 10_000_000) for tick in range(ticks)]


def test_lists_of_single_sensors_arrive_beside_what_was_there_before():
    plain, fitted = drive({}), drive({"extra": [LIDAR, RADAR]})
    assert all(r.detections == () for r in plain)
    got = [item for r in fitted for item in r.detections]
    assert {item.sensor for item in got} == {"lidar/roof", "radar/front"}
    assert {item.source for item in got} == {SensorKind.LIDAR, SensorKind.RADAR}
    assert not any(item.is_world_frame for item in got)
    assert sum(item.sensor == "radar/front" for item in got) == 8  # every 50 ms, 20 ms late
    for a, b in zip(plain, fitted, strict=True):
        assert (a.gnss, a.imu, a.odometry) == (b.gnss, b.imu, b.odometry)
        assert (a.objects is None) == (b.objects is None)
        if a.objects is not None and b.objects is not None:
            assert a.objects.x_m.tobytes() == b.objects.x_m.tobytes()


def test_a_scene_with_a_clear_day_reads_as_one_without_a_section():
    table = {"extra": [LIDAR, RADAR, {"kind": "camera", "name": "front"}]}
    without, clear = drive(table), drive(table, scene=spec(light="day", rain_mmph=0.0))
    for a, b in zip(without, clear, strict=True):
        assert a.gnss == b.gnss
        assert [i.x_m.tobytes() for i in a.detections] == [i.x_m.tobytes() for i in b.detections]


def test_the_scenes_weather_and_corrections_reach_the_sensors():
    storm = spec(fog_visibility_m=20.0, rtcm={"outage": [[0.0, 9.0]]})
    table = {"extra": [LIDAR, {"kind": "camera", "name": "front"}]}
    clear, foul = drive(table), drive(table, scene=storm)

    def seen(readings: list[Readings]) -> int:
        return sum(i.x_m.size for r in readings for i in r.detections)

    assert seen(foul) < seen(clear)
    assert {r.gnss.quality for r in clear if r.gnss} == {FixQuality.RTK_FIX}
    assert {r.gnss.quality for r in foul if r.gnss} == {FixQuality.SINGLE}  # never a correction


def test_a_roadside_unit_gets_world_frame_lists_and_its_loops_as_before():
    made, _ = world()
    table = {"objects": False, "extra": [dict(LIDAR, latency_ms=0, jitter_ms=0), RADAR]}
    port = RoadsidePort(made, "r", table, (-10.0, 0.0), (), spec())
    readings = [port.sample(tick, tick * 10_000_000) for tick in range(21)]
    got = [item for r in readings for item in r.detections]
    assert got and all(item.is_world_frame for item in got)
    lidar = next(item for item in got if item.sensor == "lidar/roof")
    # The car in row 1 stands at (15, 0).
    assert np.hypot(lidar.x_m - 15.0, lidar.y_m).min() < 0.6
    assert all(r.objects is None for r in readings)


def test_lists_of_every_kind_go_over_the_wire_unchanged():
    table = {
        "extra": [
            LIDAR,
            RADAR,
            {"kind": "camera", "name": "c"},
            {"kind": "ultrasonic", "name": "u"},
        ]
    }
    readings = [r for r in drive(table) if r.detections]
    assert {item.source for r in readings for item in r.detections} == set(SensorKind) - {0, 1}
    assert any(item.x_m.size == 0 for r in readings for item in r.detections)
    for given in readings:
        data = unit_wire.encode_tick(Now(0, 0), Inbox((), given))
        frame = unit_wire.parse_to_unit(data).tick
        _, inbox = unit_wire.decode_tick(frame)
        for a, b in zip(given.detections, inbox.readings.detections, strict=True):
            for field in fields(a):
                one, two = getattr(a, field.name), getattr(b, field.name)
                same = np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two
                assert same, field.name


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"extra": 3}, r"^vehicles\.a\.sensors\.extra: found 3; expected a list"),
        ({"extra": [{"kind": "radar"}]}, r"^vehicles\.a\.sensors\.extra\.0\.name"),
        ({"lidar": {}}, r"^vehicles\.a\.sensors\.lidar: unknown sensor; expected one of .*, extra"),
        ({"gnss": {"constellation": 3}}, r"^vehicles\.a\.sensors\.gnss\.constellation = 3"),
        ({"gnss": {"constellation": "x"}}, r"^vehicles\.a: sensors\.gnss\.constellation = 'x', expected one of beidou"),
        ({"gnss": {"period_ms": "x"}}, r"^vehicles\.a\.sensors\.gnss\.period_ms = 'x'"),
    ],
)  # fmt: skip
def test_wrong_sensor_keys_are_named(table: dict[str, Any], words: str):
    made, vehicle = world()
    with pytest.raises(ConfigError, match=words):
        VehiclePort(made, vehicle, table, spec())


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("environment.rain_mmph=-1", "environment.rain_mmph"),
        ('environment.light="noon"', "environment.light"),
        ("environment.rian_mmph=1", "environment.rian_mmph"),
        ("environment.fog_visibility_m=1", "environment.fog_visibility_m"),
        ("environment.rtcm.period_s=0", "environment.rtcm.period_s"),
        ("environment.rtcm.outage=[[1.0]]", "environment.rtcm.outage.0"),
        ('environment.sky=[{ kind = "tunnel" }]', "environment.sky.0"),
        ('environment.sky=[{ kind = "cave", roads = ["1"] }]', "environment.sky.0.kind"),
    ],
)
def test_wrong_environment_keys_are_named(override: str, key: str):
    with pytest.raises(ConfigError) as caught:
        load_scene("brt_corridor", [override])
    assert key in str(caught.value) and "\n" not in str(caught.value)


def test_every_side_of_an_object_with_a_height_is_a_wall():
    objects = corridor_net().objects
    walls = walls_of(objects)
    platforms = [k for k in range(len(objects.id)) if objects.height_m[k] > 0.0]
    assert walls.shape == (5, 4 * len(platforms)) and platforms
    assert set(walls[4].tolist()) == {0.3}
    x = objects.outline_x_m[objects.outline_start[platforms[0]] :][:4]
    assert walls[0, :4].tolist() == x.tolist() and walls[2, :4].tolist() == np.roll(x, -1).tolist()


def test_a_scene_is_checked_against_the_roads_before_anything_runs():
    with pytest.raises(ConfigError, match=r"^environment\.sky\.0\.roads\.0: road 'nowhere'"):
        resolved('environment.sky=[{ kind = "tunnel", roads = ["nowhere"] }]')
