"""Streams through the stock wheel: no first frame is lost, `sensor_tick` is kept, several clients hear one sensor, order and repeats hold."""

from __future__ import annotations

import pytest

START = """
s = world.get_settings()
s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
world.apply_settings(s)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
car = library.find("vehicle.tesla.model3")
def sensor(name, parent, z=2.0, **attributes):
    blueprint = library.find(name)
    for key, value in attributes.items():
        blueprint.set_attribute(key, str(value))
    return world.spawn_actor(blueprint, carla.Transform(carla.Location(z=z)), attach_to=parent)
def until(condition, seconds=5.0):
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.002)
"""


def test_the_first_tick_after_listen_is_heard_and_none_after_it_is_lost(server):
    found = server.client(
        START,
        """
        hero = world.spawn_actor(car, points[0])
        world.tick()
        lost = 0
        for attempt in range(5):
            gnss, frames = sensor("sensor.other.gnss", hero), []
            gnss.listen(lambda d: frames.append(d.frame))
            ticked = [world.tick() for _ in range(20)]
            until(lambda: len(frames) >= 20)
            lost += frames != ticked
            gnss.stop()
            gnss.destroy()
        result = lost
        """,
    )
    assert found == 0


def test_gnss_and_imu_tell_what_the_world_is(server):
    found = server.client(
        START,
        """
        hero = world.spawn_actor(car, points[0])
        for _ in range(40):
            world.tick()
        gnss, imu = sensor("sensor.other.gnss", hero), sensor("sensor.other.imu", hero)
        fixes, moves = [], []
        gnss.listen(fixes.append)
        imu.listen(moves.append)
        for _ in range(5):
            world.tick()
        until(lambda: len(fixes) == 5 and len(moves) == 5)
        geo = world.get_map().transform_to_geolocation(gnss.get_location())
        result = dict(lat=fixes[-1].latitude - geo.latitude, lon=fixes[-1].longitude - geo.longitude,
                      up=moves[-1].accelerometer.z, stamp=fixes[-1].timestamp - world.get_snapshot().timestamp.elapsed_seconds,
                      off=fixes[-1].transform.location.distance(gnss.get_location()))
        """,
    )
    assert abs(found["lat"]) < 1e-6 and abs(found["lon"]) < 1e-6
    assert found["up"] == pytest.approx(9.81, abs=0.05)
    assert abs(found["stamp"]) < 1e-9 and found["off"] < 1e-3


def test_a_sensor_tick_is_kept_and_its_first_event_comes_at_once(server):
    found = server.client(
        START,
        """
        hero = world.spawn_actor(car, points[0])
        world.tick()
        seen, kept = {}, []  # the wheel ends a stream when its object is collected
        for name, every in (("sensor.other.gnss", 0.2), ("sensor.other.imu", 0.1)):
            one = sensor(name, hero, sensor_tick=every)
            seen[name] = []
            kept.append(one)
            one.listen(lambda d, rows=seen[name]: rows.append(d.frame))
        first = world.get_snapshot().frame + 1
        for _ in range(16):
            world.tick()
        until(lambda: len(seen["sensor.other.imu"]) >= 8)
        result = {k: [f - first for f in v] for k, v in seen.items()}
        """,
    )
    assert found["sensor.other.gnss"] == [0, 4, 8, 12]
    assert found["sensor.other.imu"] == [0, 2, 4, 6, 8, 10, 12, 14]


def test_five_clients_hear_one_sensor(server):
    found = server.client(
        START,
        """
        hero = world.spawn_actor(car, points[0])
        gnss = sensor("sensor.other.gnss", hero)
        world.tick()
        heard, clients = [[] for _ in range(5)], []
        for rows in heard:
            one = carla.Client("127.0.0.1", port)
            one.set_timeout(10.0)
            twin = one.get_world().get_actor(gnss.id)
            twin.listen(lambda d, rows=rows: rows.append(d.frame))
            clients.append((one, twin))
        ticked = [world.tick() for _ in range(30)]
        until(lambda: all(len(rows) >= 30 for rows in heard))
        result = [rows == ticked for rows in heard]
        """,
    )
    assert found == [True] * 5


def test_a_car_that_runs_into_another_is_told_of_it_with_both_names(server):
    found = server.client(
        START,
        """
        hero = world.spawn_actor(car, points[0])
        t = points[0]
        other = world.spawn_actor(car, carla.Transform(t.location + 9.0 * t.get_forward_vector(), t.rotation))
        hits = []
        bumper = sensor("sensor.other.collision", hero)
        bumper.listen(lambda e: hits.append((e.frame, e.actor.id == hero.id, e.other_actor.id == other.id, e.normal_impulse.length())))
        hero.apply_control(carla.VehicleControl(throttle=1.0))
        gap = []
        for _ in range(80):
            world.tick()
            gap.append(hero.get_location().distance(other.get_location()))
        until(lambda: hits, 2.0)
        result = dict(hits=hits[:3], number=len(hits), gap=min(gap), moved=other.get_location().distance(t.location))
        """,
    )
    assert found["number"] > 0
    assert found["hits"][0][1:3] == [True, True] and found["hits"][0][3] > 0.0
    assert found["gap"] > 3.0  # it pushes and does not pass through


def test_the_same_drive_after_a_reload_gives_the_same_sensor_bytes(server):
    code = """
    hero = world.spawn_actor(car, points[0])
    world.spawn_actor(car, points[1])
    lidar = sensor("sensor.lidar.ray_cast", hero, channels=8, points_per_second=20000, rotation_frequency=20)
    import hashlib
    digest, count = hashlib.sha256(), []
    def keep(d):
        digest.update(bytes(d.raw_data)); count.append(len(d))
    lidar.listen(keep)
    hero.apply_control(carla.VehicleControl(throttle=0.6, steer=0.1))
    for _ in range(40):
        world.tick()
    until(lambda: len(count) >= 40)
    result = [sum(count), digest.hexdigest()]
    """
    first = server.client(START, code)
    server.client("client.reload_world(); result = 0")
    second = server.client(START, code)
    assert first[0] > 1000
    assert first == second


def test_every_sensor_of_the_library_can_be_listened_to_and_ended(server):
    always = (
        "sensor.camera.rgb", "sensor.camera.depth", "sensor.camera.semantic_segmentation", "sensor.lidar.ray_cast",
        "sensor.lidar.ray_cast_semantic", "sensor.other.gnss", "sensor.other.imu", "sensor.other.radar",
    )  # fmt: skip
    found = server.client(
        f"always = {always!r}",
        START,
        """
        hero = world.spawn_actor(car, points[0])
        world.spawn_actor(car, points[1])
        world.tick()
        seen, made = {}, []
        for blueprint in library.filter("sensor.*"):
            if blueprint.has_attribute("image_size_x"):
                blueprint.set_attribute("image_size_x", "32"); blueprint.set_attribute("image_size_y", "24")
            if blueprint.id == "sensor.other.rss":
                continue
            one = world.spawn_actor(blueprint, carla.Transform(carla.Location(z=2.5)), attach_to=hero)
            seen[blueprint.id] = 0
            def count(d, name=blueprint.id):
                seen[name] += 1
            one.listen(count)
            made.append(one)
        for _ in range(10):
            world.tick()
        until(lambda: all(seen[name] >= 10 for name in always), 30.0)
        for one in made:
            one.stop()
        time.sleep(0.2)
        for one in made:
            one.destroy()
        world.tick()
        result = dict(seen=seen, left=len(world.get_actors().filter("sensor.*")))
        """,
        timeout_s=120.0,
    )
    assert {name: found["seen"][name] for name in always} == dict.fromkeys(always, 10)
    assert found["left"] == 0
