"""GNSS, inertial measurement: against the client's own map projection and motions worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import carla
import msgspec
import numpy as np
import pytest

from sim.carla.server import columns as c
from tests.carla.test_sensors import ROADS, Stage


def read(bodies: list[bytes]) -> Any:
    """The only event."""
    (body,) = bodies
    return msgspec.msgpack.decode(body)


@pytest.mark.parametrize(
    "at", [(0.0, 0.0, 0.0), (1000.0, 500.0, 3.0), (-2000.0, 3000.0, 10.0), (7.5, -12000.0, -2.0)]
)
def test_positions_are_those_of_the_clients_map(at: tuple[float, float, float]) -> None:
    text = (ROADS / "brt_corridor.xodr").read_text(encoding="utf-8")
    want = carla.Map("oracle", text).transform_to_geolocation(carla.Location(*at))
    stage = Stage()  # at the same origin
    latitude, longitude, altitude = read(stage.see(stage.eye("sensor.other.gnss", at)))
    assert latitude == pytest.approx(want.latitude, abs=1e-9)
    assert longitude == pytest.approx(want.longitude, abs=1e-9)
    assert altitude == pytest.approx(want.altitude, abs=1e-6)


def test_gnss_noise_has_its_bias_and_deviation_on_each_axis() -> None:
    stage = Stage()
    sensor = stage.eye("sensor.other.gnss", noise_lat_stddev=1e-5, noise_lon_bias=2e-5, noise_alt_stddev=3.0, noise_alt_bias=-1.0)  # fmt: skip
    rows = np.array([read(stage.see(sensor)) for _ in range(2000)])
    assert (rows[:, 0] - 34.75).mean() == pytest.approx(0.0, abs=4e-5 / math.sqrt(2000))
    assert rows[:, 0].std() == pytest.approx(1e-5, rel=0.07)
    assert np.allclose(rows[:, 1], 113.62 + 2e-5, atol=1e-12)
    assert rows[:, 2].mean() == pytest.approx(-1.0 + 1.7, abs=4 * 3.0 / math.sqrt(2000))
    assert rows[:, 2].std() == pytest.approx(3.0, rel=0.07)
    assert abs(np.corrcoef(rows[:, 0], rows[:, 2])[0, 1]) < 0.1
    assert abs(np.corrcoef(rows[1:, 0], rows[:-1, 0])[0, 1]) < 0.1


def test_noise_follows_its_seed() -> None:
    def first(**given: Any) -> Any:
        stage = Stage()
        return read(stage.see(stage.eye("sensor.other.gnss", noise_lat_stddev=1.0, **given)))

    assert first(noise_seed=3) == first(noise_seed=3)
    assert first(noise_seed=3) != first(noise_seed=4)


def test_at_rest_the_accelerometer_feels_gravity_upwards() -> None:
    stage = Stage()
    accel, gyro, _ = read(stage.see(stage.eye("sensor.other.imu")))
    assert accel == [0.0, 0.0, 9.81]
    assert gyro == [0.0, 0.0, 0.0]


def test_a_nose_up_sensor_feels_gravity_along_its_nose() -> None:
    stage = Stage()
    accel, _, _ = read(stage.see(stage.eye("sensor.other.imu", pitch=30.0, yaw=77.0)))
    assert accel == pytest.approx([9.81 * 0.5, 0.0, 9.81 * math.cos(math.radians(30.0))], abs=1e-9)
    stage.view.gravity_mps2 = 1.62
    accel, _, _ = read(stage.see(stage.eye("sensor.other.imu", identity=901)))
    assert accel[2] == pytest.approx(1.62)


@pytest.mark.parametrize(("yaw", "want"), [(-90, 0.0), (0, 90.0), (90, 180.0), (180, 270.0)])
def test_compass_is_clockwise_from_north(yaw: float, want: float) -> None:
    stage = Stage()
    compass = read(stage.see(stage.eye("sensor.other.imu", yaw=yaw)))[2]
    assert math.degrees(compass) % 360.0 == pytest.approx(want, abs=1e-9)


def test_a_braking_car_that_faces_south_decelerates_along_its_own_axis() -> None:
    stage = Stage()
    row = stage.put(1, (0.0, 0.0, 0.0), yaw=90.0, velocity=(0.0, 20.0, 0.0))
    stage.table.f[row, c.AY] = -4.0
    accel, _, _ = read(stage.see(stage.eye("sensor.other.imu", parent=1, yaw=90.0)))
    assert accel == pytest.approx([-4.0, 0.0, 9.81], abs=1e-9)


def test_on_a_turntable_the_lever_arm_is_felt() -> None:
    stage = Stage()
    row = stage.put(1, (0.0, 0.0, 0.0))
    stage.table.f[row, c.WZ] = 90.0  # deg/s, to the right
    accel, gyro, _ = read(stage.see(stage.eye("sensor.other.imu", (3.0, 0.0, 0.0), parent=1)))
    # 3 m ahead of the axis: pulled back with w^2 r = (pi/2)^2 * 3.
    assert accel == pytest.approx([-7.4022, 0.0, 9.81], abs=1e-3)
    assert gyro == pytest.approx([0.0, 0.0, math.pi / 2])


def test_gyro_bias_and_noise() -> None:
    stage = Stage()
    sensor = stage.eye("sensor.other.imu", noise_gyro_bias_y=0.3, noise_gyro_stddev_x=0.1, noise_accel_stddev_z=0.5)  # fmt: skip
    rows = [read(stage.see(sensor)) for _ in range(2000)]
    gyro, accel = np.array([r[1] for r in rows]), np.array([r[0] for r in rows])
    assert np.allclose(gyro[:, 1], 0.3)
    assert gyro[:, 0].std() == pytest.approx(0.1, rel=0.07)
    assert accel[:, 2].mean() == pytest.approx(9.81, abs=4 * 0.5 / math.sqrt(2000))
    assert accel[:, 2].std() == pytest.approx(0.5, rel=0.07)
