"""Readings from a CARLA server's own sensors: the same places and turns as the truth, things where they stand, the same bytes twice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import carla
import numpy as np
import pytest

from protocols.errors import ConfigError
from scenarios.load import load_scene
from sim.carla.backend import _scan_kernels
from sim.carla.backend.sensors import Feed, Globe, ServedSensors, _Imu
from sim.sensors.params import GnssParams, ImuParams
from tests.carla.conftest import ROOT, Server
from tests.carla.test_backend import run

ALL = 'carla.sensors=["gnss","imu","lidar"]'

# `watch(port, readings)` is called with what the vehicle's port hands out, `finish` with what run_scene raises.
SCENE = """
import tempfile
from pathlib import Path
import numpy as np
import sim.ports as ports
from scenarios.load import load_scene
from sim.carla.backend import sensors
from sim.carla.backend.session import CarlaTarget
from sim.compose import RunOptions, run_scene

def ride(watch, scene, *changes, answer_s=20.0):
    sample = ports.VehiclePort.sample
    def watched(self, tick, t_ns):
        readings = sample(self, tick, t_ns)
        watch(self, t_ns * 1e-9, readings)
        return readings
    ports.VehiclePort.sample = watched
    loaded = load_scene(Path(scene), list(changes))
    options = RunOptions(picture=False, carla=CarlaTarget("127.0.0.1", port, answer_s))
    with tempfile.TemporaryDirectory() as out:
        return run_scene(loaded.spec, loaded.path.parent, Path(out), options=options)
"""


def test_positions_turns_and_accelerations_are_the_truths_standing_and_driving(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(scene="smart_island")
    rows = server.client(
        SCENE,
        """
        fixes, rates = [], []
        def watch(port, t, r):
            s, row = port._world.states, port._vehicle.row
            speed = float(s.speed_mps[row])
            if r.gnss is not None:
                fixes.append([speed, r.gnss.x_m - s.x_m[row], r.gnss.y_m - s.y_m[row], r.gnss.z_m - s.z_m[row],
                              float(s.x_m[row]), float(s.y_m[row]), r.gnss.t_ns * 1e-9 - t, float(r.gnss.quality)])
            if r.imu is not None:
                rates.append([speed, r.imu.accel_mps2, float(s.accel_mps2[row]), r.imu.yaw_rate_radps,
                              float(s.yaw_rate_radps[row]), math.remainder(r.imu.yaw_rad - s.yaw_rad[row], 2 * math.pi),
                              float(s.yaw_rad[row])])
        ride(watch, "smart_island", "duration_s=45", "vehicles.shuttle1.depart_s=8", 'carla.sensors=["gnss", "imu"]')
        result = [fixes, rates]
        """,
        timeout_s=200.0,
        with_world=False,
    )  # fmt: skip
    fix, rate = np.array(rows[0], dtype=float), np.array(rows[1], dtype=float)
    p, q = GnssParams(), ImuParams()
    assert fix.shape[0] == 450 and rate.shape[0] == 2250, (
        "10 Hz and, as often as the unit asks, 50 Hz"
    )
    assert np.ptp(fix[:, 4]) > 60.0 and np.ptp(fix[:, 5]) > 60.0, "it drove along both axes"
    assert np.abs(rate[:, 4]).max() > 0.1 and np.abs(rate[:, 2]).max() > 0.8, "turned and pulled"
    assert (fix[:, 6] == 0.0).all() and (fix[:, 7] == 4.0).all()
    for still in (True, False):
        some = fix[(fix[:, 0] < 0.01) == still]
        assert some.shape[0] > 60
        for axis, factor in ((1, 1.0), (2, 1.0), (3, p.height_factor)):
            error = some[:, axis]
            assert error.std() == pytest.approx(factor * p.white_sigma_m, rel=0.25)
            assert abs(error.mean()) < 3.0 * factor * p.bias_sigma_m
        some = rate[(rate[:, 0] < 0.01) == still]
        accel, turn, yaw = some[:, 1] - some[:, 2], some[:, 3] - some[:, 4], some[:, 5]
        assert accel.std() == pytest.approx(q.accel_sigma_mps2, rel=0.15)
        assert turn.std() == pytest.approx(q.yaw_rate_sigma_radps, rel=0.15)
        assert yaw.std() == pytest.approx(q.yaw_sigma_rad, rel=0.15)
        assert abs(accel.mean()) < 3.5 * q.accel_bias_sigma_mps2
        assert abs(turn.mean()) < 3.5 * q.yaw_rate_bias_sigma_radps
        assert abs(yaw.mean()) < 5.0 * q.yaw_sigma_rad / math.sqrt(some.shape[0])
    # The slow error is one of the run: standing or driving, the same.
    still, moving = fix[fix[:, 0] < 0.01, 1:3].mean(axis=0), fix[fix[:, 0] > 1.0, 1:3].mean(axis=0)
    assert np.abs(still - moving).max() < 0.01


def test_a_car_to_the_left_is_left_and_one_to_the_right_is_right(
    start_server: Callable[..., Server],
) -> None:
    """Placed on the server only, so that our world knows nothing of them; where they are is asked of the server."""
    server = start_server(scene="smart_island")
    found = server.client(
        SCENE,
        """
        seen = []
        def place(ego, ahead, left):
            at, f, r = ego.get_transform(), ego.get_transform().get_forward_vector(), ego.get_transform().get_right_vector()
            where = carla.Location(at.location.x + ahead * f.x - left * r.x, at.location.y + ahead * f.y - left * r.y, at.location.z + 0.3)
            car = there.get_blueprint_library().find("vehicle.tesla.model3")
            return there.spawn_actor(car, carla.Transform(where, at.rotation))
        def watch(port, t, r):
            global there, ego, cars
            if t == 0.0:
                there, driven = port._world.bodies.session.world, port._world.bodies._driven[0]
                ego = there.get_actor(driven.actor)
                cars = [place(ego, 20.0, 5.0), place(ego, 28.0, -6.0), place(ego, -15.0, 4.0)]
            if 2.95 < t < 3.01 and r.objects is not None:
                o, p = r.objects, port._vehicle.params
                seen.append([o.x_m.tolist(), o.y_m.tolist(), o.yaw_rad.tolist(), np.hypot(o.vx_mps, o.vy_mps).tolist(), o.kind.tolist(),
                             o.length_m.tolist(), o.t_ns * 1e-9 - t, o.is_world_frame, sorted(o.__dataclass_fields__)])
                at = ego.get_transform()
                f, right, rear = at.get_forward_vector(), at.get_right_vector(), p.front_x_m - 0.5 * p.length_m
                seen.append([])
                for car in cars:
                    d = car.get_location() - at.location
                    seen[1].append([d.x * f.x + d.y * f.y + rear, -(d.x * right.x + d.y * right.y)])
        ride(watch, "smart_island", "duration_s=3.2", "vehicles.shuttle1.depart_s=30", 'carla.sensors=["lidar"]', "demand.walkers=[]", "demand.flows=[]")
        result = seen
        """,
        timeout_s=120.0,
        with_world=False,
    )  # fmt: skip
    (x, y, yaw, speed, kind, length, late, is_world, names), places = found
    assert late == 0.0 and is_world is False
    assert not {"id", "actor", "track_id"} & set(names)
    assert len(x) == 3, "nothing else stands there, and nothing twice"
    assert sorted((a > 0, b > 0) for a, b in places) == [(False, True), (True, False), (True, True)]
    for ahead, left in places:
        away = np.hypot(np.array(x) - ahead, np.array(y) - left)
        k = int(away.argmin())
        assert away[k] < 0.35, (ahead, left, x, y)
        assert abs(math.remainder(yaw[k], math.pi)) < 0.1
        assert speed[k] < 0.3 and kind[k] == 1
        assert length[k] == pytest.approx(4.75, abs=0.5)


def test_a_ride_by_carlas_sensors_alone_is_calm_and_the_same_twice(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(scene="smart_island")
    digests = []
    for name in ("one", "two"):
        done = run(
            "smart_island", tmp_path / name, "--backend", "carla", "--carla", f":{server.port}", "--duration", "40", "--set", ALL,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr  # 40 s are too short for its stations
        result = json.loads((tmp_path / name / "result.json").read_text())
        passed = {c["name"]: c["passed"] for c in result["criteria"]}
        assert passed["no_collision"] and passed["comfort/shuttle1 emergencies"]
        assert passed["lane_rules"] and passed["comfort/shuttle1 jerk"]
        assert sorted(k for k, ok in passed.items() if not ok) == [
            "arrival/shuttle1", "station_stops/shuttle1 served",
        ]  # fmt: skip
        digests.append(result["digest"])
    assert digests[0] == digests[1]
    left = server.client("result = [a.type_id for a in world.get_actors().filter('sensor.*')]")
    assert left == [], "they are taken away at the end"


def test_a_sensor_that_somebody_destroys_ends_the_run_with_its_name_and_tick(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(scene="smart_island")
    rival = server.start_client(
        """
        victim, until = None, time.time() + 120.0
        while victim is None and time.time() < until:
            time.sleep(0.2)
            world = client.get_world()
            imus = world.get_actors().filter("sensor.other.imu")
            if len(imus) and world.get_snapshot().timestamp.elapsed_seconds > 3.0:
                victim = imus[0]
        result = victim.destroy()
        """
    )
    done = run("smart_island", tmp_path, "--backend", "carla", "--carla", f":{server.port}", "--set", ALL)  # fmt: skip
    rival.communicate(timeout=30)
    assert done.returncode == 3, done.stdout + done.stderr
    said = " ".join(done.stderr.split())
    assert "sensor.other.imu of shuttle1 is gone at tick " in said and "(t=" in said


def test_a_sensor_that_falls_silent_ends_the_run_after_the_servers_time(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(scene="smart_island")
    said = server.client(
        SCENE,
        """
        arrived, heard = sensors.Feed._arrived, [0]
        def deaf(self, data):
            heard[0] += "lidar" in self.name
            if not ("lidar" in self.name and heard[0] > 200):
                arrived(self, data)
        sensors.Feed._arrived = deaf
        try:
            ride(lambda *_: None, "smart_island", "duration_s=10", 'carla.sensors=["imu", "lidar"]', answer_s=2.0)
        except Exception as error:
            result = [type(error).__name__, error.exit_code, str(error)]
        """,
        timeout_s=120.0,
        with_world=False,
    )  # fmt: skip
    assert said[:2] == ["InfrastructureError", 3]
    # 20 ticks before the run, so its tick 180 is the first without a measurement.
    assert (
        "sensor.lidar.ray_cast of shuttle1 sent nothing within 2 s at tick 180 (t=1.80 s)"
        in said[2]
    )


class Silent:
    """A sensor that says what the test says."""

    id = 7

    def listen(self, hear: Callable[[Any], None]) -> None:
        """Keeps who listens."""
        self.hear = hear


def test_measurements_are_taken_by_frame_and_a_lost_one_is_missed() -> None:
    sensor = Silent()
    feed = Feed("imu of bus1", sensor, 4)
    for frame in (8, 9, 10, 12):
        sensor.hear(SimpleNamespace(frame=frame))
    assert feed.of(10, 0.01).frame == 10, "older ones are thrown away"
    assert feed.of(11, 0.01) is None, "12 came instead"
    assert feed.of(13, 0.01) is None


def test_a_flood_is_bounded() -> None:
    sensor = Silent()
    feed = Feed("imu of bus1", sensor, 4)
    for frame in range(100):
        sensor.hear(SimpleNamespace(frame=frame))
    assert isinstance(feed._waiting, Queue) and feed._waiting.qsize() == 4


@pytest.mark.parametrize("road", ["smart_island", "brt_corridor"])
def test_degrees_become_our_metres_with_north_up(road: str) -> None:
    there = carla.Map("oracle", (ROOT / f"scenarios/roads/{road}.xodr").read_text(encoding="utf-8"))
    globe = Globe(carla, there)
    for x, y in ((0.0, 0.0), (800.0, 300.0), (-1500.0, 40.0), (10.0, -2200.0)):
        at = there.transform_to_geolocation(carla.Location(x, -y, 2.0))  # the client's y is south
        assert globe.ours(at.latitude, at.longitude, at.altitude) == pytest.approx((x, y, 2.0), abs=0.002)  # fmt: skip
    # A minute of latitude is a nautical mile, by the old definition.
    assert globe.metres_per_degree[0] / 60.0 == pytest.approx(1852.0, rel=0.01)
    assert globe.metres_per_degree[1] / globe.metres_per_degree[0] == pytest.approx(math.cos(math.radians(34.75)), rel=0.01)  # fmt: skip


def reading(compass: float, accel: float, gyro: float, pitch: float) -> Any:
    """As the client hands it out."""
    rotation = SimpleNamespace(pitch=pitch)
    return SimpleNamespace(
        compass=compass, accelerometer=SimpleNamespace(x=accel), gyroscope=SimpleNamespace(z=gyro),
        transform=SimpleNamespace(rotation=rotation),
    )  # fmt: skip


def test_compass_gyroscope_and_gravity_in_our_frame() -> None:
    exact = ImuParams(accel_sigma_mps2=0.0, accel_bias_sigma_mps2=0.0, yaw_rate_sigma_radps=0.0, yaw_rate_bias_sigma_radps=0.0, yaw_sigma_rad=0.0)  # fmt: skip
    imu = _Imu(exact, "vehicles.bus1", 1, "bus1", 10, 9.81)
    north, east, south = (imu.read(0, reading(c, 0.0, 0.0, 0.0)).yaw_rad for c in (0.0, 0.5 * math.pi, math.pi))  # fmt: skip
    assert (north, east, south) == pytest.approx((0.5 * math.pi, 0.0, -0.5 * math.pi))
    assert imu.read(0, reading(0.0, 0.0, 0.2, 0.0)).yaw_rate_radps == -0.2, "to the right"
    # At rest, nose up by 5 degrees, the seat pushes from behind with g sin 5.
    uphill = imu.read(0, reading(0.0, 9.81 * math.sin(math.radians(5.0)), 0.0, 5.0))
    assert uphill.accel_mps2 == pytest.approx(0.0, abs=1e-9)


def test_a_sky_that_carlas_receiver_does_not_know_is_refused() -> None:
    loaded = load_scene(Path("smart_island"), ['carla.sensors=["gnss"]', "environment.rtcm.outage=[[1.0, 2.0]]"])  # fmt: skip
    with pytest.raises(ConfigError, match=r"carla\.sensors has 'gnss'"):
        ServedSensors(Any, loaded.spec, Any, Any, ())  # type: ignore[arg-type]


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"carla\.sensors"):
        load_scene(Path("smart_island"), ['carla.sensors=["radar"]'])


CHANNELS, COLUMNS, LOW, HIGH = 32, 90, -0.6, 0.04
UP = 3.0
ROOM = (0.1, 0.03, 0.5, 4.0)  # as in sensors.toml


def look(surface: Callable[[float, float], float], pose: tuple[float, float, float] = (0.0, 0.0, 0.0), own: Any = None, known: Any = None, nose: float = 0.0, low: float = LOW, top: float = HIGH) -> Any:  # fmt: skip
    """Ground range (A, C) of what is left of one turn over a road of height `surface(azimuth, distance)`, in small steps along each ray."""
    rise = (top - low) / (CHANNELS - 1)
    step = 2.0 * math.pi / COLUMNS
    points: list[tuple[float, float, float, float]] = []
    count = np.zeros((1, CHANNELS), np.int64)
    for k in range(CHANNELS):
        slope = math.tan(top - k * rise)
        for a in range(COLUMNS):
            azimuth = -math.pi + a * step
            for d in np.arange(1.0, 60.0, 0.02).tolist():
                if UP + slope * d <= surface(azimuth, d):
                    points.append((d * math.cos(azimuth), -d * math.sin(azimuth), slope * d, 1.0))
                    count[0, k] += 1
                    break
    far, high, measured = (np.empty((COLUMNS, CHANNELS)) for _ in range(3))
    piece = np.zeros(COLUMNS, np.int64)
    _scan_kernels.gather(
        np.array(points, np.float32), count, np.array([pose]), np.zeros((0, 6)) if own is None else own, UP, -math.pi, step, True, 0.5,
        far, high, piece,
    )  # fmt: skip
    cosine = np.cos(low + rise * np.arange(CHANNELS))
    _scan_kernels.level(
        far, high, UP, rise, cosine, *ROOM, -math.pi, step, nose, 0.0, np.zeros((0, 7)) if known is None else known, measured,
    )  # fmt: skip
    return measured * cosine


AHEAD = COLUMNS // 2


def block(azimuth: float, d: float) -> float:
    """A thing 1.5 m high from 12 to 16 m, straight ahead."""
    return 1.5 if abs(azimuth) < 0.15 and 12.0 < d < 16.0 else 0.0


@pytest.mark.parametrize("grade", [-0.05, -0.02, 0.0, 0.02, 0.05])
def test_a_road_is_no_obstacle_however_it_leans_and_what_stands_on_it_is(grade: float) -> None:
    assert np.isnan(look(lambda a, d: grade * d * math.cos(a))).all()
    left = look(lambda a, d: grade * d * math.cos(a) + block(a, d))
    things = np.isfinite(left).any(axis=1)
    assert set(np.flatnonzero(things).tolist()) == {AHEAD + k for k in (-2, -1, 0, 1, 2)}
    assert np.nanmin(left) == pytest.approx(12.0, abs=0.05)


def test_a_face_is_not_climbed_row_by_row() -> None:
    """Near by, the rows on a face lie closer than what a road may rise."""
    left = look(lambda a, d: 1.5 if abs(a) < 0.15 and 3.5 < d < 5.0 else 0.0, low=-0.9, top=-0.5)
    face = left[AHEAD - 2 : AHEAD + 3]
    assert (np.abs(face - 3.5) < 0.05).sum(axis=1).min() >= 8
    assert np.isfinite(left).any(axis=1).sum() == 5


def test_a_kerb_is_road_and_the_map_knows_its_own_things() -> None:
    assert np.isnan(look(lambda a, d: 0.15 if d > 8.0 else 0.0)).all()
    known = np.array([[14.0, 0.0, 1.0, 0.0, 2.5, 3.0, 1.8]])
    assert np.isnan(look(block, known=known)).all()
    # Nose up on a hill, what seems 1.5 m high 12 m ahead is 2.1 m above the level through the vehicle, and more than the map has there.
    assert np.isfinite(look(block, known=known, nose=0.05)).any()
    assert np.isnan(look(block, known=known, nose=-0.05)).all()
    known[0, 1] = 7.0  # somewhere else
    assert np.isfinite(look(block, known=known)).any()


def test_what_was_seen_on_the_way_is_where_it_is_from_the_end_of_the_way() -> None:
    """Half a metre behind and a quarter turn to the right of where the sensor is now: a thing ahead then is to the right now."""
    left = look(block, pose=(-0.5, 0.0, -0.5 * math.pi))
    things = np.flatnonzero(np.isfinite(left).any(axis=1))
    assert set(things.tolist()) <= set(range(AHEAD - COLUMNS // 4 - 3, AHEAD - COLUMNS // 4 + 4))
    assert np.nanmin(left) == pytest.approx(math.hypot(12.0, 0.5), abs=0.4)


def test_the_own_body_is_left_out() -> None:
    own = np.array([[14.0, 0.0, 1.0, 0.0, 3.0, 3.0]])
    assert np.isnan(look(block, own=own)).all()
