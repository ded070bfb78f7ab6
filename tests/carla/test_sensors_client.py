"""Every sensor through the stock wheel: that it arrives, once a tick, and that the client reads what was measured."""

from __future__ import annotations

from typing import Any

import pytest

SCENE = """
import numpy as np
s = world.get_settings()
s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
world.apply_settings(s)
library = world.get_blueprint_library()
point = world.get_map().get_spawn_points()[0]
forward = point.get_forward_vector()
ego = world.spawn_actor(library.find("vehicle.tesla.model3"), point)
ahead = carla.Location(
    point.location.x + 12.0 * forward.x, point.location.y + 12.0 * forward.y, point.location.z + 0.3)
other = world.spawn_actor(library.find("vehicle.audi.tt"), carla.Transform(ahead, point.rotation))
got, kept = {}, []  # a sensor that is forgotten hears nothing
def fit(blueprint, at, parent, **attributes):
    found = library.find(blueprint)
    for name, value in attributes.items():
        found.set_attribute(name, str(value))
    sensor = world.spawn_actor(found, at, attach_to=parent)
    got[blueprint] = []
    sensor.listen(got[blueprint].append)
    kept.append(sensor)
def wait(names, count):
    until = time.time() + 20.0
    while time.time() < until and any(len(got[n]) < count for n in names):
        time.sleep(0.01)
"""


def test_every_measuring_sensor_sends_once_a_tick(server: Any) -> None:
    found = server.client(
        SCENE,
        """
        nose = carla.Transform(carla.Location(x=2.6, z=1.0))
        names = []
        for blueprint in library.filter("sensor.*"):
            n = blueprint.id
            if n.split(".")[-1] in ("collision", "lane_invasion", "rss", "dvs", "v2x", "v2x_custom"):
                continue
            small = {"image_size_x": 64, "image_size_y": 48} if "camera" in n else {}
            if n == "sensor.other.obstacle":
                small = {"distance": 30}
            fit(n, nose, ego, **small)
            names.append(n)
        for _ in range(10):
            world.tick()
        wait(names, 10)
        lidar, semantic = got["sensor.lidar.ray_cast"][-1], got["sensor.lidar.ray_cast_semantic"][-1]
        gnss, obstacle = got["sensor.other.gnss"][-1], got["sensor.other.obstacle"][-1]
        where = world.get_map().transform_to_geolocation(gnss.transform.location)
        depth = np.frombuffer(got["sensor.camera.depth"][-1].raw_data, np.uint8).reshape(48, 64, 4).astype(float)
        tag = np.frombuffer(got["sensor.camera.semantic_segmentation"][-1].raw_data, np.uint8).reshape(48, 64, 4)
        one = np.frombuffer(got["sensor.camera.instance_segmentation"][-1].raw_data, np.uint8).reshape(48, 64, 4)[24, 32]
        metres = (depth[:, :, 2] + 256 * depth[:, :, 1] + 65536 * depth[:, :, 0]) / (256 ** 3 - 1) * 1000
        radar = min(got["sensor.other.radar"][-1], key=lambda d: abs(d.azimuth) + abs(d.altitude - 0.0))
        result = dict(
            counts={n: len(got[n]) for n in names},
            frames=[[e.frame - got[n][0].frame for e in got[n]] == list(range(10)) for n in names],
            lidar=[len(lidar), sum(lidar.get_point_count(k) for k in range(lidar.channels)), lidar.channels],
            seen=sorted({p.object_idx for p in semantic} - {0, ego.id}), other=other.id,
            geo=[gnss.latitude - where.latitude, gnss.longitude - where.longitude],
            accel=got["sensor.other.imu"][-1].accelerometer.z,
            obstacle=[obstacle.actor.id == ego.id, obstacle.other_actor.id == other.id, obstacle.distance],
            depth=metres[24, 32], tag=int(tag[24, 32, 2]), one=[int(v) for v in one], radar=radar.depth,
            gap=ego.get_location().distance(other.get_location()) - 2.6 - other.bounding_box.extent.x,
        )
        """,
    )  # fmt: skip
    assert len(found["counts"]) == 13
    assert set(found["counts"].values()) == {10}
    assert all(found["frames"])
    assert found["lidar"][0] == found["lidar"][1] > 100
    assert found["lidar"][2] == 32
    assert found["other"] in found["seen"]
    assert found["geo"] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert found["accel"] == pytest.approx(9.81, abs=0.2)
    # Depth, radar and a rolling ball measure the same gap, each in its way.
    assert found["depth"] == pytest.approx(found["gap"], abs=0.1)
    assert found["radar"] == pytest.approx(found["gap"], abs=0.2)
    assert found["obstacle"][:2] == [True, True]
    assert found["obstacle"][2] == pytest.approx(found["gap"] - 0.5, abs=0.1)
    assert found["tag"] == 14
    assert found["one"] == [found["other"] >> 8, found["other"] & 255, 14, 255]


def test_a_crash_is_told_with_both_actors_and_lane_sensors_stay_silent(server: Any) -> None:
    found = server.client(
        SCENE,
        """
        fit("sensor.other.collision", carla.Transform(), ego)
        world.tick()
        for _ in range(120):
            ego.apply_control(carla.VehicleControl(throttle=1.0))
            world.tick()
        wait(["sensor.other.collision"], 1)
        events = got["sensor.other.collision"]
        hit = [e for e in events if e.other_actor.id == other.id]
        result = dict(
            own={e.actor.id for e in events} == {ego.id}, hits=len(hit), kind=hit[0].other_actor.type_id,
            push=max(e.normal_impulse.length() for e in hit),
            back=hit[0].normal_impulse.x * forward.x + hit[0].normal_impulse.y * forward.y,
        )
        """,
    )  # fmt: skip
    assert found["own"]
    assert found["hits"] >= 1
    assert found["kind"] == "vehicle.audi.tt"
    assert found["push"] > 500.0  # N s
    assert found["back"] < 0.0  # against the way the parent drives


def test_v2x_messages_reach_the_client_as_dictionaries(server: Any) -> None:
    found = server.client(
        SCENE,
        """
        sure = dict(use_etsi_fading=False, custom_fading_stddev=0.0)
        for blueprint in ("sensor.other.v2x", "sensor.other.v2x_custom"):
            fit(blueprint, carla.Transform(carla.Location(z=2.0)), ego, **sure)
        for blueprint in ("sensor.other.v2x", "sensor.other.v2x_custom"):
            bp = library.find(blueprint)
            for name, value in sure.items():
                bp.set_attribute(name, str(value))
            kept.append(world.spawn_actor(bp, carla.Transform(carla.Location(z=2.0)), attach_to=other))
        world.tick()
        kept[-1].send("give way")
        for _ in range(30):
            world.tick()
        wait(["sensor.other.v2x", "sensor.other.v2x_custom"], 1)
        cams, texts = got["sensor.other.v2x"], got["sensor.other.v2x_custom"]
        message = cams[-1][0].get()["Message"]
        basic = message["Message"]["CAM Parameters"]["Basic Container"]
        result = dict(
            cams=len(cams), station=message["Header"]["Station ID"], other=other.id, kind=basic["Station Type"],
            latitude=basic["Reference Position"]["Latitude"] * 1e-7, power=cams[-1][0].power,
            texts=len(texts), text=texts[0][0].get()["Message"]["Message"],
            want=world.get_map().transform_to_geolocation(other.get_location()).latitude,
        )
        """,
    )  # fmt: skip
    assert 1 <= found["cams"] <= 4
    assert found["station"] == found["other"]
    assert found["kind"] == "Passenger Car"
    assert found["latitude"] == pytest.approx(found["want"], abs=1e-6)
    assert -60.0 < found["power"] < -20.0
    assert (found["texts"], found["text"]) == (1, "give way")


def test_a_second_run_after_reload_gives_the_same_lidar(server: Any) -> None:
    code = """
        fit("sensor.lidar.ray_cast", carla.Transform(carla.Location(z=2.4)), ego, noise_stddev=0.1, range=50)
        world.tick()
        for _ in range(8):
            ego.apply_control(carla.VehicleControl(throttle=0.5))
            world.tick()
        wait(["sensor.lidar.ray_cast"], 9)
        import hashlib
        result = [hashlib.sha256(bytes(e.raw_data)).hexdigest() for e in got["sensor.lidar.ray_cast"]]
    """
    first = server.client(SCENE, code)
    server.client("client.reload_world()\nresult = 1")
    assert server.client(SCENE, code) == first
    assert len(set(first)) == len(first) == 9


def test_every_sensor_with_a_tick_of_a_second_sends_thrice_in_fifty_steps(server: Any) -> None:
    found = server.client(
        SCENE,
        """
        names = []
        for blueprint in library.filter("sensor.*"):
            n = blueprint.id
            if not blueprint.has_attribute("sensor_tick") or n in ("sensor.other.obstacle", "sensor.camera.dvs"):
                continue  # events of their own
            small = {"image_size_x": 64, "image_size_y": 48} if "camera" in n else {}
            fit(n, carla.Transform(), None, sensor_tick=1.0, **small)
            names.append(n)
        for _ in range(50):
            world.tick()
        wait(names, 3)
        time.sleep(0.2)
        result = {n: len(got[n]) for n in names}
        """,
    )
    assert len(found) == 14
    assert set(found.values()) == {3}
