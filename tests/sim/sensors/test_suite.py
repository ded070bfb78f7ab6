"""GNSS, IMU, odometry and the fleet's readings: right size of error, right rhythm, streams of their own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.simtime import Now
from sim.sensors.navigation import GnssSensor
from sim.sensors.params import (
    FleetParams,
    GnssParams,
    ImuParams,
    OdometryParams,
    VehicleSensorParams,
    preset,
)
from sim.sensors.suite import FleetSensor, SensorSuite
from tests.sim.sensors.scene import Scene


def now(tick: int) -> Now:
    return Now(tick, tick * 10_000_000)


def lone_car() -> Scene:
    scene = Scene()
    scene.add(100.0, 50.0, yaw_rad=3.1415, speed_mps=10.0)
    return scene


def test_defaults_in_code_are_the_named_presets() -> None:
    assert preset(GnssParams, "rtk") == GnssParams()
    assert preset(ImuParams, "default") == ImuParams()
    assert preset(OdometryParams, "default") == OdometryParams()
    assert preset(FleetParams, "default") == FleetParams()


def test_each_sensor_answers_in_its_own_rhythm() -> None:
    scene = lone_car()
    suite = SensorSuite(VehicleSensorParams(), 1, "obu/a", 10)
    got = [suite.sample(now(k), 0, scene.states, scene.statics) for k in range(11)]
    assert [r.gnss is not None for r in got] == [k in (0, 10) for k in range(11)]
    assert [r.objects is not None for r in got] == [k in (0, 10) for k in range(11)]
    assert all(r.imu is not None and r.odometry is not None for r in got)


def test_a_sensor_that_is_not_fitted_gives_nothing_and_changes_no_other() -> None:
    scene = lone_car()
    full = SensorSuite(VehicleSensorParams(), 1, "obu/a", 10)
    bare = SensorSuite(VehicleSensorParams(imu=None, objects=None), 1, "obu/a", 10)
    for k in range(30):
        a = full.sample(now(k), 0, scene.states, scene.statics)
        b = bare.sample(now(k), 0, scene.states, scene.statics)
        assert b.imu is None
        assert b.objects is None
        assert a.gnss == b.gnss
        assert a.odometry == b.odometry


def test_the_slow_gnss_error_has_its_size_and_its_time_constant() -> None:
    scene = lone_car()
    params = GnssParams(white_sigma_m=0.0, bias_sigma_m=0.5, bias_time_s=5.0)
    errors = []
    for name in range(40):  # forty receivers, 50 s each
        sensor = GnssSensor(params, 7, f"car{name}", 10)
        track = [sensor.sample(now(10 * k), 0, scene.states) for k in range(500)]
        errors.append([fix.x_m - scene.states.x_m[0] for fix in track if fix is not None])
    e = np.array(errors)
    assert e.shape == (40, 500)
    assert e[:, 0].std() == pytest.approx(0.5, rel=0.35)  # stationary from the first sample
    assert e.std() == pytest.approx(0.5, rel=0.15)
    lag = np.mean(e[:, :-50] * e[:, 50:]) / np.mean(e * e)  # 5 s apart: exp(-1)
    assert lag == pytest.approx(np.exp(-1.0), abs=0.15)


def test_white_errors_have_their_sizes() -> None:
    scene = lone_car()
    params = VehicleSensorParams(
        gnss=GnssParams(period_ms=10, white_sigma_m=0.3, bias_sigma_m=0.0),
        imu=dataclasses.replace(ImuParams(), accel_bias_sigma_mps2=0.0),
        odometry=OdometryParams(speed_scale_sigma=0.0),
        objects=None,
    )
    suite = SensorSuite(params, 1, "obu/a", 10)
    fixes, accel, speed, heading = [], [], [], []
    for k in range(4000):
        got = suite.sample(now(k), 0, scene.states, scene.statics)
        assert got.gnss is not None
        assert got.imu is not None
        assert got.odometry is not None
        fixes.append(got.gnss.y_m - scene.states.y_m[0])
        accel.append(got.imu.accel_mps2)
        speed.append(got.odometry.speed_mps - 10.0)
        heading.append(got.imu.yaw_rad)
    assert np.std(fixes) == pytest.approx(0.3, rel=0.04)  # 3.4 % is three sigma of 4000 draws
    assert np.std(accel) == pytest.approx(0.05, rel=0.04)
    assert np.std(speed) == pytest.approx(0.02, rel=0.04)
    assert max(heading) <= np.pi
    assert min(heading) < -3.13  # wraps: the true yaw is just below pi


def test_a_standing_vehicle_reads_exactly_zero_speed() -> None:
    scene = lone_car()
    scene.states.speed_mps[0] = 0.0
    got = SensorSuite(VehicleSensorParams(), 1, "obu/a", 10).sample(
        now(0), 0, scene.states, scene.statics
    )
    assert got.odometry is not None
    assert got.odometry.speed_mps == 0.0


def fleet_of(count: int) -> tuple[Scene, np.ndarray]:
    scene = Scene(capacity=512)
    for k in range(count):
        scene.add(10.0 * k, 3.5 * (k % 3), speed_mps=8.0)
    return scene, np.arange(count, dtype=np.int32)


def test_fleet_readings_are_keyed_by_actor_not_by_row_or_company() -> None:
    scene, rows = fleet_of(20)
    sensor = FleetSensor(FleetParams(), 5, 10)
    full = sensor.sample(now(30), rows, scene.states, scene.statics)
    part = sensor.sample(now(30), rows[[7, 3]], scene.states, scene.statics)
    assert full is not None
    assert part is not None
    assert part.station_id.tolist() == [8, 4]
    assert part.x_m.tolist() == full.x_m[[7, 3]].tolist()
    assert part.speed_mps.tolist() == full.speed_mps[[7, 3]].tolist()
    assert sensor.sample(now(31), rows, scene.states, scene.statics) is None


def test_fleet_errors_have_their_sizes_and_the_slow_part_stays() -> None:
    scene, rows = fleet_of(400)
    sensor = FleetSensor(FleetParams(white_sigma_m=0.0, bias_sigma_m=0.7), 5, 10)
    early, soon, late = (
        sensor.sample(now(tick), rows, scene.states, scene.statics) for tick in (0, 100, 60_000)
    )
    assert early is not None
    assert soon is not None
    assert late is not None
    truth = scene.states.x_m[rows]
    a, b, c = early.x_m - truth, soon.x_m - truth, late.x_m - truth
    for error in (a, b, c):
        assert error.std() == pytest.approx(0.7, rel=0.11)  # three sigma of 400 draws
    assert np.corrcoef(a, b)[0, 1] > 0.99
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.16
    assert (early.speed_mps - 8.0).std() == pytest.approx(0.1, rel=0.11)


def test_an_empty_fleet_is_an_empty_reading() -> None:
    scene, _ = fleet_of(1)
    got = FleetSensor(FleetParams(), 5, 10).sample(
        now(0), np.zeros(0, np.int32), scene.states, scene.statics
    )
    assert got is not None
    assert got.x_m.size == 0
