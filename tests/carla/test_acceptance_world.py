"""What CARLA's users' own tests ask of a world, through the stock wheel: frames in step, every vehicle at every spawn point, several
clients on one stream, ticks of sensors, reloads. Stand-ins for CARLA's public smoke tests; the properties are theirs, the code is ours.
"""

from __future__ import annotations

import math

import pytest

SYNC = """
import random
def synchronous(delta=0.05, **more):
    s = world.get_settings()
    s.synchronous_mode, s.fixed_delta_seconds = True, delta
    for k, v in more.items():
        setattr(s, k, v)
    world.apply_settings(s)
    world.tick()
library = world.get_blueprint_library()
vehicles = library.filter("vehicle.*")
points = world.get_map().get_spawn_points()
c = carla.command
"""


def test_client_and_server_say_the_same_version(server):
    found = server.client("result = [client.get_client_version(), client.get_server_version()]")
    assert found == ["0.9.16", "0.9.16"]


def test_ids_have_three_parts_and_every_family_is_there(server):
    found = server.client(SYNC, "result = [b.id for b in library]")
    assert all(len(i.split(".")) >= 3 and all(i.split(".")) for i in found)
    assert {i.split(".")[0] for i in found} >= {
        "sensor",
        "static",
        "vehicle",
        "walker",
        "controller",
    }


def test_an_asynchronous_world_steps_by_exactly_what_it_was_told(server):
    found = server.client(
        """
        out = []
        s = world.get_settings()
        for wanted in (0.08, 0.05, 0.03, 0.0125):
            s.fixed_delta_seconds = wanted
            world.apply_settings(s)
            out.append([wanted] + [world.wait_for_tick().timestamp.delta_seconds for _ in range(8)])
        result = out
        """
    )
    for wanted, *deltas in found:
        assert deltas == pytest.approx([wanted] * len(deltas), abs=1e-6)


def test_four_reloads_in_a_row_keep_a_synchronous_world_usable(server):
    found = server.client(
        SYNC,
        """
        out = []
        for _ in range(4):
            world = client.reload_world()
            synchronous()
            out.append([world.id, world.tick(), world.get_map().name])
        result = out
        """,
    )
    assert len({i for i, _, _ in found}) == 4
    frames = [frame for _, frame, _ in found]
    assert frames == sorted(set(frames))
    assert len({name for _, _, name in found}) == 1


def test_an_image_has_the_frame_the_time_and_the_place_of_its_tick(server):
    found = server.client(
        SYNC,
        """
        import queue
        synchronous()
        car = world.spawn_actor(library.find("vehicle.lincoln.mkz_2020"), points[0])
        bp = library.find("sensor.camera.depth")
        bp.set_attribute("image_size_x", "64"); bp.set_attribute("image_size_y", "48")
        camera = world.spawn_actor(bp, carla.Transform(carla.Location(x=1.5, z=2.0)), attach_to=car)
        images = queue.Queue()
        camera.listen(images.put)
        car.apply_control(carla.VehicleControl(throttle=1.0, steer=0.2))
        out = []
        for _ in range(60):
            frame = world.tick()
            image, stamp, at = images.get(timeout=10.0), world.get_snapshot().timestamp, camera.get_transform()
            out.append([image.frame - frame, stamp.frame - frame, image.timestamp - stamp.elapsed_seconds,
                        image.transform.location.distance(at.location), image.transform.rotation.yaw - at.rotation.yaw, frame])
        result = dict(rows=out, moved=car.get_location().distance(points[0].location), left=images.qsize())
        """,
    )
    assert found["moved"] > 5.0 and found["left"] == 0
    for number, (image, stamp, late_s, off_m, turned, frame) in enumerate(found["rows"]):
        assert image == stamp == 0 and late_s == 0.0
        assert off_m < 1e-3 and abs(turned) < 1e-3
        assert frame == found["rows"][0][5] + number


def test_every_vehicle_of_the_library_fits_at_every_spawn_point_at_once(server):
    found = server.client(
        SYNC,
        """
        bad, number = [], 0
        for name in client.get_available_maps():
            world = client.load_world(name)
            synchronous()
            town = world.get_map()
            points = town.get_spawn_points()
            lost = sum(town.get_waypoint(p.location, project_to_road=False) is None for p in points)
            if lost or not points:
                bad.append([name, "points beside the road", lost])
            for bp in vehicles:
                answers = client.apply_batch_sync([c.SpawnActor(bp, p) for p in points], True)
                frame = world.tick()
                snapshot = world.get_snapshot()
                number += len(answers)
                if any(a.error for a in answers) or snapshot.frame != frame:
                    bad.append([name, bp.id, [a.error for a in answers if a.error][:2]])
                    continue
                for a, p in zip(answers, points):
                    t = snapshot.find(a.actor_id).get_transform()
                    off = max(abs(t.location.x - p.location.x), abs(t.location.y - p.location.y),
                              abs(t.rotation.yaw - p.rotation.yaw), abs(t.rotation.roll - p.rotation.roll))
                    if off > 0.005:
                        bad.append([name, bp.id, "moved", off])
                client.apply_batch_sync([c.DestroyActor(a.actor_id) for a in answers], True)
        result = dict(bad=bad[:10], number=number, kinds=len(vehicles))
        """,
        timeout_s=120.0,
    )
    assert found["bad"] == []
    assert found["kinds"] >= 40 and found["number"] >= 40 * found["kinds"] / 2


def test_maps_can_be_walked_by_their_waypoints(server):
    found = server.client(
        SYNC,
        """
        out = []
        rng = random.Random(5)
        for name in client.get_available_maps():
            town = client.load_world(name).get_map()
            steps, narrow = 0, 0
            waypoints = town.generate_waypoints(4.0)
            for w in rng.sample(waypoints, min(80, len(waypoints))):
                for _ in range(12):
                    narrow += w.lane_width < 0.0
                    w.get_left_lane(), w.get_right_lane()
                    after = w.next(5.0)
                    if not after:
                        break
                    steps += 1
                    w = rng.choice(after)
            place = town.transform_to_geolocation(carla.Location())
            out.append([name.split("/")[-1] == town.name.split("/")[-1], len(town.get_topology()), steps, narrow, place.latitude])
        result = out
        """,
    )
    assert len(found) >= 2
    for same, segments, steps, narrow, latitude in found:
        assert same and segments > 0 and steps > 100 and narrow == 0
        assert math.isfinite(latitude)


def test_five_threads_with_clients_of_their_own_hear_the_same_of_one_sensor(server):
    found = server.client(
        SYNC,
        """
        import threading
        bp = library.find("sensor.other.gnss")
        bp.set_attribute("sensor_tick", "0.25")
        place = carla.Transform(carla.Location(30.0, 20.0, 3.0))
        gnss = world.spawn_actor(bp, place)
        first = {}
        gnss.listen(lambda e: first.__setitem__(e.frame, (e.latitude, e.longitude, e.altitude)))
        world.wait_for_tick()
        heard = [dict() for _ in range(5)]
        def hear(mine):
            own = carla.Client("127.0.0.1", port)
            own.set_timeout(10.0)
            actor = own.get_world().get_actor(gnss.id)
            actor.listen(lambda e: mine.__setitem__(e.frame, (e.latitude, e.longitude, e.altitude)))
            time.sleep(2.0)
            actor.stop()
        threads = [threading.Thread(target=hear, args=(mine,), daemon=True) for mine in heard]
        [t.start() for t in threads]
        [t.join(20.0) for t in threads]
        gnss.stop()
        same = [sum(first.get(f) == v for f, v in mine.items()) for mine in heard]
        result = dict(counts=[len(mine) for mine in heard], same=same, gaps=sorted({b - a for a, b in zip(sorted(first), sorted(first)[1:])}))
        """,
    )
    assert min(found["counts"]) >= 5
    assert found["same"] == found["counts"]
    assert found["gaps"] == [5]  # 0.25 s of 20 ticks a second


def test_every_prop_of_the_library_can_stand_somewhere(server):
    found = server.client(
        SYNC,
        """
        props = library.filter("static.prop.*")
        batch = []
        for k, prop in enumerate(props):
            p = points[k % len(points)]
            batch.append(c.SpawnActor(prop, carla.Transform(carla.Location(p.location.x, p.location.y, 50.0 * k), p.rotation)))
        answers = client.apply_batch_sync(batch)
        synchronous()
        names = sorted(a.type_id for a in world.get_actors().filter("static.prop.*"))
        boxes = [a.bounding_box.extent for a in world.get_actors().filter("static.prop.*")]
        result = dict(errors=[a.error for a in answers if a.error], names=names == sorted(p.id for p in props), number=len(props),
                      flat=sum(min(b.x, b.y, b.z) < 0 for b in boxes))
        """,
    )
    assert found["errors"] == [] and found["names"] and found["flat"] == 0
    assert found["number"] >= 90
