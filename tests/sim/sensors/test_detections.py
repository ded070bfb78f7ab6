"""Single sensors as a scene writes them, their latency, and faults as data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.sensing import ObjectList
from protocols.simtime import NS_PER_MS, Now
from sim.sensors.detection_params import LidarParams, RadarParams
from sim.sensors.detections import ON_POLE, ON_VEHICLE, DetectionSet, Fitted, fitted
from sim.sensors.environment import Environment
from tests.sim.sensors.scene import NO_WALLS, Scene

RADAR = {"kind": "radar", "name": "front"}


def sensors(*rows: dict[str, Any], presets: dict[str, str] = ON_VEHICLE) -> tuple[Fitted, ...]:
    return fitted(list(rows), "vehicles.a.sensors.extra", presets)


def parking() -> Scene:
    scene = Scene()
    scene.add(0.0, 0.0)
    scene.states.x_m[0] = 0.0
    for k in range(6):
        scene.add(20.0 + 8.0 * k, -6.0 + 3.0 * k)
    return scene


def delivered(
    rows: tuple[Fitted, ...], ticks: int = 100, every: int = 1, seed: int = 1
) -> list[tuple[int, ObjectList]]:
    """(time of delivery, list) of a vehicle asked every `every` ticks of 10 ms."""
    scene = parking()
    port = DetectionSet(rows, seed, "a", 10, Environment(), NO_WALLS)
    out = []
    for tick in range(0, ticks, every):
        now = Now(tick, tick * 10 * NS_PER_MS)
        out += [(now.t_ns, item) for item in port.from_vehicle(now, 0, scene.states, scene.statics)]
    return out


def test_a_measurement_is_handed_out_after_its_latency_and_keeps_its_time():
    row = sensors(dict(RADAR, period_ms=50, latency_ms=30, jitter_ms=0))
    got = delivered(row)
    assert [item.t_ns // NS_PER_MS for _, item in got] == list(range(0, 970, 50))
    assert all(t - item.t_ns == 30 * NS_PER_MS for t, item in got)


def test_latency_that_is_no_whole_tick_waits_for_the_next():
    got = delivered(sensors(dict(RADAR, latency_ms=33, jitter_ms=0)))
    assert {t - item.t_ns for t, item in got} == {40 * NS_PER_MS}


def test_jitter_spreads_delivery_evenly_and_order_stays():
    got = delivered(sensors(dict(RADAR, latency_ms=20, jitter_ms=150)), ticks=3000)
    late = np.array([(t - item.t_ns) / NS_PER_MS for t, item in got])
    assert late.min() >= 20.0 and 150.0 <= late.max() <= 180.0
    times = [item.t_ns for _, item in got]
    assert times == sorted(times) and len(set(times)) == len(times)
    again = delivered(sensors(dict(RADAR, latency_ms=20, jitter_ms=150)), ticks=3000)
    assert [t for t, _ in got] == [t for t, _ in again]


def test_a_unit_that_asks_rarely_gets_what_has_become_ready_meanwhile():
    got = delivered(sensors(dict(RADAR, period_ms=100, latency_ms=30, jitter_ms=0)), every=10)
    assert [t // NS_PER_MS for t, _ in got] == list(range(100, 1000, 100))
    assert all(t - item.t_ns == 100 * NS_PER_MS for t, item in got)


def test_another_sensor_changes_nothing():
    alone = delivered(sensors(RADAR))
    both = delivered(sensors({"kind": "camera", "name": "front"}, RADAR))
    mine = [(t, i) for t, i in both if i.sensor == "radar/front"]
    assert [(t, i.x_m.tobytes()) for t, i in alone] == [(t, i.x_m.tobytes()) for t, i in mine]
    assert {i.sensor for _, i in both} == {"radar/front", "camera/front"}
    named = delivered(sensors(dict(RADAR, name="rear")))
    assert [i.x_m.tobytes() for _, i in named] != [i.x_m.tobytes() for _, i in alone]
    other = delivered(sensors(RADAR), seed=2)
    assert [i.x_m.tobytes() for _, i in other] != [i.x_m.tobytes() for _, i in alone]


def test_presets_differ_by_mount_and_overrides_go_on_top():
    on_car, on_pole = sensors(RADAR)[0], sensors(RADAR, presets=ON_POLE)[0]
    assert isinstance(on_car.params, RadarParams) and on_car.params.z_m == 0.6
    assert on_pole.params.z_m == 6.0
    lidar = sensors(
        {"kind": "lidar", "name": "top", "preset": "roof64", "channels": 32, "x_m": 2, "yaw_rad": -1.0}
    )[0]  # fmt: skip
    assert lidar.sensor == "lidar/top"
    assert isinstance(lidar.params, LidarParams)
    assert (lidar.params.channels, lidar.params.x_m, lidar.params.yaw_rad) == (32, 2, -1.0)


WRONG = [
    ([{"name": "a"}], r"extra\.0\.kind: found None; expected one of lidar, radar, camera, ultrasonic"),
    ([{"kind": "sonar", "name": "a"}], r"extra\.0\.kind: found 'sonar'"),
    ([{"kind": "radar"}], r"extra\.0\.name: found None"),
    ([{"kind": "radar", "name": "a/b"}], r"extra\.0\.name: found 'a/b'"),
    ([RADAR, RADAR], r"extra\.1\.name: 'radar/front' is used twice"),
    ([dict(RADAR, rnage_m=5)], r"extra\.0\.rnage_m: unknown key of a radar; expected kind, name"),
    ([dict(RADAR, range_m="far")], r"extra\.0\.range_m: found 'far'; expected a number"),
    ([dict(RADAR, range_m=True)], r"extra\.0\.range_m: found True"),
    ([dict(RADAR, range_m=-1)], r"extra\.0: range_m = -1, expected a number >= 0"),
    ([dict(RADAR, drop_out=1.5)], r"extra\.0: drop_out = 1\.5, expected 0\.\.1"),
    ([dict(RADAR, preset="x")], r"extra\.0: sensor preset radar\.'x' does not exist; presets are front77, pole77"),
    ([dict(RADAR, reference_detection=0.0)], r"extra\.0: false_alarm_probability"),
    ([{"kind": "lidar", "name": "a", "channels": 0}], r"extra\.0: channels = 0, expected a whole number 1\.\.256"),
    ([{"kind": "lidar", "name": "a", "channels": 2.5}], r"extra\.0: channels = 2\.5"),
    ([{"kind": "camera", "name": "a", "field_of_view_rad": 3.2}], r"extra\.0: field_of_view_rad = 3\.2"),
    (["radar"], r"extra\.0: found 'radar'; expected a table"),
    ({"kind": "radar"}, r"extra: found .*; expected a list"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "words"), WRONG)
def test_a_mistake_names_its_key(rows: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        fitted(rows, "vehicles.a.sensors.extra", ON_VEHICLE)


def test_a_period_must_be_whole_ticks():
    with pytest.raises(ValueError, match="period_ms of radar/front of a = 15 ms is not a whole"):
        DetectionSet(sensors(dict(RADAR, period_ms=15)), 1, "a", 10, Environment(), NO_WALLS)
