"""The world through the stock wheel: handshake, ticks, actors, batches, attachments, episodes, settings, several clients."""

from __future__ import annotations

import math

import pytest

from tests.carla.conftest import ring

SYNC = """
def synchronous(dt=0.05):
    s = world.get_settings()
    s.synchronous_mode, s.fixed_delta_seconds = True, dt
    world.apply_settings(s)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
car = library.find("vehicle.tesla.model3")
"""


def test_hello_world(server):
    found = server.client(
        SYNC,
        """
        begun = time.time()
        synchronous()
        settled = time.time() - begun
        hero = world.spawn_actor(car, points[0])
        before = world.get_snapshot()
        frame = world.tick()
        after = world.get_snapshot()
        at = hero.get_transform()
        lone = [a.id for a in world.get_actors().filter("vehicle.*")]
        extent, kind, role, one = hero.bounding_box.extent.x, hero.type_id, hero.attributes["role_name"], hero.id
        seen = after.has_actor(one)
        destroyed = hero.destroy()
        world.tick()
        result = dict(
            version=client.get_server_version(), settled=settled, seen_before=before.has_actor(one),
            frames=[before.frame, frame, after.frame], seen=seen,
            off=at.location.distance(points[0].location), yaw=at.rotation.yaw - points[0].rotation.yaw,
            lone=lone == [hero.id], destroyed=destroyed, gone=not world.get_snapshot().has_actor(one),
            type=kind, role=role, extent=extent,
            dt=after.timestamp.delta_seconds, elapsed=after.timestamp.elapsed_seconds - before.timestamp.elapsed_seconds,
        )
        """,
    )
    assert found["version"] == "0.9.16"
    assert found["settled"] < 2.0  # without an up-to-date snapshot the wheel waits 10 s
    assert not found["seen_before"]
    before, frame, after = found["frames"]
    assert frame == after == before + 1
    assert found["seen"] and found["lone"] and found["destroyed"] and found["gone"]
    assert found["off"] < 0.5 and abs(found["yaw"]) < 0.01
    assert found["type"] == "vehicle.tesla.model3" and found["role"] == "autopilot"
    assert 2.0 < found["extent"] < 3.0
    assert found["dt"] == pytest.approx(0.05) and found["elapsed"] == pytest.approx(0.05)


def test_a_taken_place_refuses_with_carlas_words(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        world.spawn_actor(car, points[0])
        told = []
        for tick in (False, True):
            if tick:
                world.tick()
            try:
                world.spawn_actor(car, points[0])
            except RuntimeError as error:
                told.append(str(error))
        t = points[0]
        beside = carla.Transform(t.location + 6.0 * t.get_forward_vector(), t.rotation)
        result = dict(told=told, none=world.try_spawn_actor(car, t) is None,
                      beside=world.try_spawn_actor(car, beside) is not None)
        """,
    )
    assert found["told"] == ["Spawn failed because of collision at spawn position"] * 2
    assert found["none"] and found["beside"]


def test_a_batch_advances_the_frame_by_one_when_it_ticks_and_not_at_all_when_it_does_not(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        frames = []
        c = carla.command
        for do_tick in (False, True, False, True):
            before = world.get_snapshot().frame
            batch = [c.SpawnActor(car, points[len(frames)]).then(c.SetAutopilot(c.FutureActor, False))
                     .then(c.ApplyTargetVelocity(c.FutureActor, carla.Vector3D(3, 0, 0)))]
            answers = client.apply_batch_sync(batch, do_tick)
            frames.append(world.get_snapshot().frame - before)
            assert not answers[0].error, answers[0].error
        world.tick()
        ids = [a.actor_id for a in answers]
        speed = world.get_actor(ids[0]).get_velocity().x
        answers = client.apply_batch_sync([c.DestroyActor(ids[0]), c.DestroyActor(ids[0]),
                                           c.SpawnActor(car, points[0]), c.ApplyVehicleControl(999999, carla.VehicleControl())])
        result = dict(frames=frames, speed=speed, errors=[a.error for a in answers], ids=[a.actor_id for a in answers], first=ids[0])
        """,
    )
    assert found["frames"] == [0, 1, 0, 1]
    assert found["speed"] == pytest.approx(3.0, abs=0.3)
    done, again, taken, nobody = found["errors"]
    assert done == "" and found["ids"][0] == found["first"]
    assert "not be found" in again
    assert taken == "Spawn failed because of collision at spawn position"
    assert nobody == ""  # the Traffic Manager does not survive an error


def test_every_kind_of_command_reaches_its_actor(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        c = carla.command
        cars = [world.spawn_actor(car, p) for p in points[:3]]
        man = world.spawn_actor(library.filter("walker.pedestrian.*")[0], points[10])
        world.tick()
        a, b, d = (v.id for v in cars)
        far = carla.Transform(carla.Location(2000, 50, 0.5), carla.Rotation(yaw=30))
        answers = client.apply_batch_sync([
            c.ApplyVehicleControl(a, carla.VehicleControl(throttle=0.5, steer=-0.25)),
            c.ApplyVehicleAckermannControl(b, carla.VehicleAckermannControl(speed=5.0)),
            c.ApplyWalkerControl(man.id, carla.WalkerControl(carla.Vector3D(1, 0, 0), 2.0)),
            c.ApplyVehiclePhysicsControl(a, cars[0].get_physics_control()),
            c.SetVehicleLightState(a, carla.VehicleLightState(carla.VehicleLightState.LowBeam)),
            c.SetEnableGravity(b, True), c.SetAutopilot(b, False),
            c.ApplyImpulse(b, carla.Vector3D(0, 0, 0)), c.ApplyForce(b, carla.Vector3D(0, 0, 0)),
            c.ApplyAngularImpulse(b, carla.Vector3D(0, 0, 0)), c.ApplyTorque(b, carla.Vector3D(0, 0, 0)),
            c.SetSimulatePhysics(d, False), c.ApplyTransform(d, far),
            c.ApplyTargetAngularVelocity(b, carla.Vector3D(0, 0, 0)),
        ], True)
        where = cars[2].get_transform()
        cars[2].set_location(carla.Location(2100, 50, 0.5))
        for _ in range(20):
            world.tick()
        result = dict(errors=[r.error for r in answers], control=[cars[0].get_control().throttle, cars[0].get_control().steer],
                      lights=int(cars[0].get_light_state()), far=[where.location.x, where.rotation.yaw],
                      then=cars[2].get_transform().location.x, walk=man.get_velocity().x, asked=man.get_control().speed,
                      acker=math.hypot(cars[1].get_velocity().x, cars[1].get_velocity().y))
        """,
    )
    assert [bool(e) for e in found["errors"]] == [False] * 14
    assert found["control"] == [0.5, -0.25]
    assert found["lights"] == 2
    assert found["far"] == pytest.approx([2000.0, 30.0], abs=1e-3)
    assert found["then"] == pytest.approx(2100.0, abs=1e-3)
    assert found["walk"] == pytest.approx(2.0, abs=0.2) and found["asked"] == 2.0
    assert found["acker"] > 0.5


def test_what_is_attached_follows_and_is_destroyed_with_its_parent(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        hero = world.spawn_actor(car, points[0])
        gnss = world.spawn_actor(library.find("sensor.other.gnss"), carla.Transform(carla.Location(1, -0.5, 2), carla.Rotation(yaw=90)), attach_to=hero)
        prop = world.spawn_actor(library.find("static.prop.constructioncone"), carla.Transform(carla.Location(z=1)), attach_to=gnss)
        hero.apply_control(carla.VehicleControl(throttle=0.8, steer=0.3))
        for _ in range(40):
            world.tick()
        t = hero.get_transform()
        want = t.transform(carla.Location(1, -0.5, 2))
        off = gnss.get_transform().location.distance(want)
        yaw = (gnss.get_transform().rotation.yaw - t.rotation.yaw) % 360
        lift = prop.get_transform().location.z - gnss.get_transform().location.z
        parents = [gnss.parent.id == hero.id, prop.parent.id == gnss.id]
        moved = hero.get_location().distance(points[0].location)
        try:
            world.spawn_actor(library.find("sensor.other.gnss"), carla.Transform(), attach_to=prop)
            hero.destroy()
        finally:
            world.tick()
        left = [a.type_id for a in world.get_actors() if a.id in (hero.id, gnss.id, prop.id)]
        result = dict(off=off, yaw=yaw, lift=lift, parents=parents, moved=moved, left=left,
                      gnss=len(world.get_actors().filter("sensor.*")))
        """,
    )
    assert found["moved"] > 1.0
    assert found["off"] < 0.01
    assert found["yaw"] == pytest.approx(90.0, abs=0.01)
    assert found["lift"] == pytest.approx(1.0, abs=0.1)
    assert found["parents"] == [True, True]
    assert found["left"] == [] and found["gnss"] == 0


def test_reload_load_and_generate_begin_new_episodes(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        world.spawn_actor(car, points[0])
        frames, ids, names, times, modes = [world.tick()], [world.id], [], [], []
        for change in (lambda: client.reload_world(False), lambda: client.load_world("smart_island", False),
                       lambda: client.generate_opendrive_world(world.get_map().to_opendrive(), carla.OpendriveGenerationParameters(), False),
                       lambda: client.load_world("/Game/Carla/Maps/brt_corridor", False), lambda: client.reload_world()):
            begun = time.time()
            world = change()
            times.append(time.time() - begun)
            modes.append(world.get_settings().synchronous_mode)
            if modes[-1]:
                world.tick()
            frames.append(world.get_snapshot().frame)
            ids.append(world.id)
            names.append(world.get_map().name)
            left = len(world.get_actors().filter("vehicle.*"))
        told = ""
        try:
            client.load_world("Town77")
        except RuntimeError as error:
            told = str(error)
        result = dict(frames=frames, ids=ids, names=names, times=times, left=left, told=told, modes=modes,
                      elapsed=client.get_world().get_snapshot().timestamp.elapsed_seconds)
        """,
    )
    assert found["frames"] == sorted(set(found["frames"]))
    assert len(set(found["ids"])) == 6
    assert [n.rpartition("/")[2] for n in found["names"]] == [
        "brt_corridor",
        "smart_island",
        "OpenDriveMap",
        "brt_corridor",
        "brt_corridor",
    ]
    assert found["left"] == 0 and "Town77" in found["told"]
    assert found["modes"] == [True] * 4 + [False]
    assert max(found["times"]) < 5.0


def test_a_client_survives_twenty_reloads_and_another_one_notices_each(server):
    found = server.client(
        """
        other = carla.Client("127.0.0.1", port)
        other.set_timeout(10.0)
        theirs, seen = other.get_world(), []
        for name in ["smart_island", "brt_corridor"] * 10:
            client.load_world(name)
            end = time.time() + 3.0
            while not theirs.get_map().name.endswith(name) and time.time() < end:
                time.sleep(0.02)
            seen.append(theirs.get_map().name.endswith(name))
        result = [sum(seen), len(seen)]
        """,
        timeout_s=90.0,
    )
    assert found == [20, 20]


def test_a_road_file_that_is_none_is_told_to_its_sender_and_the_world_goes_on(server):
    found = server.client(
        """
        told = []
        for text in ("<OpenDRIVE/>", "no xml", ""):
            try:
                client.generate_opendrive_world(text)
            except RuntimeError as error:
                told.append(str(error))
        result = dict(told=told, name=client.get_world().get_map().name)
        """
    )
    assert len(found["told"]) == 3 and all(len(t) > 10 for t in found["told"])
    assert found["name"].endswith("brt_corridor")


def test_settings_come_back_as_they_were_set_and_nonsense_is_refused(server):
    found = server.client(
        """
        s = world.get_settings()
        s.synchronous_mode, s.fixed_delta_seconds, s.max_substeps, s.max_substep_delta_time = True, 0.1, 4, 0.025
        s.no_rendering_mode, s.deterministic_ragdolls = True, True
        world.apply_settings(s)
        back = world.get_settings()
        told = ""
        bad = world.get_settings()
        bad.max_substeps = -3
        try:
            world.apply_settings(bad)
        except RuntimeError as error:
            told = str(error)
        result = dict(same=back == s, dt=back.fixed_delta_seconds, told=told, still=world.get_settings().max_substeps)
        """
    )
    assert found["same"] and found["dt"] == 0.1
    assert "max_substeps" in found["told"] and found["still"] == 4


def test_an_asynchronous_world_moves_by_itself_at_its_pace(server):
    found = server.client(
        """
        def rate(seconds):
            first, begun = world.wait_for_tick(), time.time()
            time.sleep(seconds)
            last = world.wait_for_tick()
            return (last.frame - first.frame) / (time.time() - begun), last.timestamp.delta_seconds
        free = rate(1.0)
        s = world.get_settings()
        s.fixed_delta_seconds = 0.01
        world.apply_settings(s)
        fixed = rate(1.0)
        result = dict(free=free, fixed=fixed)
        """
    )
    assert found["free"] == pytest.approx([20.0, 0.05], rel=0.15)
    assert found["fixed"] == pytest.approx([100.0, 0.01], rel=0.2)


def test_a_client_that_joins_a_synchronous_server_late_does_not_wait(server):
    server.client(SYNC, "synchronous(); world.tick(); result = world.get_snapshot().frame")
    found = server.client(
        """
        begun = time.time()
        again = client.get_world()
        s = again.get_settings()
        again.apply_settings(s)
        first = time.time() - begun
        frame = again.tick()
        result = dict(first=first, sync=s.synchronous_mode, same=again.get_snapshot().frame == frame, twice=client.get_world().id == world.id)
        """
    )
    assert found["sync"] and found["same"] and found["twice"]
    assert found["first"] < 2.0


def test_two_clients_see_one_world(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        other = carla.Client("127.0.0.1", port)
        other.set_timeout(10.0)
        hero = world.spawn_actor(car, points[0])
        theirs = other.get_world()
        frame = world.tick()
        end = time.time() + 5.0
        while theirs.get_snapshot().frame < frame and time.time() < end:
            time.sleep(0.002)
        snapshot = theirs.get_snapshot()
        twin = theirs.get_actor(hero.id)
        twin.set_transform(points[5])
        other.get_server_version()
        world.tick()
        result = dict(same=snapshot.frame == frame, near=hero.get_location().distance(points[5].location), type=twin.type_id)
        """,
    )
    assert found["same"] and found["near"] < 1.0
    assert found["type"] == "vehicle.tesla.model3"


def test_a_client_that_vanishes_in_the_middle_leaves_a_server_that_goes_on(server):
    child = server.start_client(
        SYNC, "synchronous()\nwhile True: world.tick(); world.get_weather()", rpc_timeout_s=5.0
    )
    server.client("time.sleep(1.0); result = 1")
    child.kill()
    child.communicate()
    found = server.client(
        SYNC, "synchronous()\nworld.spawn_actor(car, points[0])\nresult = world.tick()"
    )
    assert found > 0 and server.is_alive


def test_ids_are_never_given_twice_within_an_episode(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        seen = []
        for _ in range(5):
            one = world.spawn_actor(car, points[0])
            seen.append(one.id)
            one.destroy()
            world.tick()
        result = seen
        """,
    )
    assert len(set(found)) == 5


def test_velocity_teleport_and_physics_switches_take_effect_in_the_next_snapshot(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        hero = world.spawn_actor(car, points[0])
        for _ in range(10):
            world.tick()
        out = {}
        hero.enable_constant_velocity(carla.Vector3D(7, 0, 0))
        before = hero.get_location()
        for _ in range(20):
            world.tick()
        out["constant"] = hero.get_location().distance(before)
        hero.disable_constant_velocity()
        hero.set_simulate_physics(False)
        world.tick()
        before = hero.get_location()
        world.tick()
        out["still"] = hero.get_location().distance(before)
        place = carla.Transform(carla.Location(2000, 10, 30), carla.Rotation(10, -170, 5))
        hero.set_transform(place)
        world.tick()
        t = hero.get_transform()
        out["place"] = [t.location.x, t.location.y, t.location.z, t.rotation.pitch, t.rotation.yaw, t.rotation.roll]
        hero.set_location(carla.Location(2001, 11, 31))
        world.tick()
        out["yaw"] = hero.get_transform().rotation.yaw
        spectator = world.get_spectator()
        spectator.set_transform(place)
        world.tick()
        out["spectator"] = [spectator.get_location().x, spectator.id == world.get_spectator().id]
        result = out
        """,
    )
    assert found["constant"] == pytest.approx(7.0, abs=0.05)
    assert found["still"] == 0.0
    assert found["place"] == pytest.approx([2000, 10, 30, 10, -170, 5], abs=1e-3)
    assert found["yaw"] == pytest.approx(-170.0, abs=1e-3)
    assert found["spectator"] == [2000.0, True]


def test_weather_lights_and_things_of_the_map_are_answered(server):
    found = server.client(
        SYNC,
        """
        synchronous()
        w = world.get_weather()
        w.cloudiness, w.precipitation = 30.0, 40.0
        world.set_weather(w)
        out = dict(rain=world.get_weather().precipitation)
        lights = world.get_actors().filter("traffic.traffic_light*")
        world.tick()
        out["lights"] = len(lights)
        one = lights[0]
        one.set_state(carla.TrafficLightState.Green)
        one.set_green_time(7.0)
        one.freeze(True)
        world.tick()
        out["state"] = str(one.state)
        out["frozen"] = one.is_frozen()
        out["green"] = one.get_green_time()
        out["group"] = one.id in [l.id for l in one.get_group_traffic_lights()]
        out["boxes"] = len(one.get_light_boxes())
        out["opendrive"] = one.get_opendrive_id()
        out["stops"] = min(len(l.get_stop_waypoints()) for l in lights)
        landmark = [m for m in world.get_map().get_all_landmarks() if m.id == out["opendrive"]]
        out["back"] = world.get_traffic_light(landmark[0]).id == one.id
        out["opposite"] = world.get_traffic_light_from_opendrive_id(out["opendrive"]).id == one.id
        out["destroyed"] = one.destroy()
        world.reset_all_traffic_lights()
        world.freeze_all_traffic_lights(False)
        out["bbs"] = len(world.get_level_bbs(carla.CityObjectLabel.TrafficLight))
        out["objects"] = len(world.get_environment_objects())
        out["names"] = len(world.get_names_of_all_objects())
        down = world.ground_projection(points[0].location + carla.Location(z=5), 100.0)
        out["down"] = [down.location.x - points[0].location.x, down.location.z, str(down.label)]
        hits = world.cast_ray(points[0].location + carla.Location(z=5), points[0].location - carla.Location(z=5))
        out["ray"] = [str(h.label) for h in hits]
        out["miss"] = world.ground_projection(points[0].location + carla.Location(z=50), 10.0) is None
        result = out
        """,
    )
    assert found["rain"] == 40.0
    assert found["lights"] > 0 and found["bbs"] >= found["lights"]
    assert found["state"] == "Green" and found["frozen"] and found["green"] == 7.0
    assert found["group"] and found["boxes"] >= 1 and found["opendrive"]
    assert found["stops"] >= 1 and found["back"] and found["opposite"]
    assert not found["destroyed"]  # it belongs to the map
    assert math.isclose(found["down"][0], 0.0, abs_tol=1e-3) and abs(found["down"][1]) < 1.0
    assert found["down"][2] == "Roads" and found["ray"] == ["Roads"]
    assert found["miss"]


def test_a_thing_of_the_map_stops_a_ray_until_it_is_switched_off(start_server, tmp_path):
    road = tmp_path / "ring.xodr"
    wall = (
        '<objects><object id="7" type="building" name="house" s="100" t="12" zOffset="0" hdg="0" '
        'length="10" width="4" height="6" orientation="none"/></objects></road>'
    )
    road.write_text(ring().replace("</road>", wall, 1))
    found = start_server(map_file=road).client(
        SYNC,
        """
        synchronous()
        things = world.get_environment_objects(carla.CityObjectLabel.Any)
        here, there = carla.Location(100, -25, 2), carla.Location(100, -5, 2)
        def labels():
            return [str(h.label) for h in world.cast_ray(here, there)]
        out = dict(names=[t.name for t in things], before=labels(), bbs=len(world.get_level_bbs(carla.CityObjectLabel.Buildings)))
        spot = carla.Transform(carla.Location(100, -12, 0.5))
        out["blocked"] = world.try_spawn_actor(car, spot) is None
        world.enable_environment_objects({things[0].id}, False)
        world.get_weather()
        out["after"] = labels()
        world.enable_environment_objects({things[0].id}, True)
        world.get_weather()
        out["again"] = labels()
        result = out
        """,
    )
    assert len(found["names"]) == 1 and found["bbs"] == 1
    assert found["before"] == found["again"] == ["Buildings"]
    assert found["after"] == [] and found["blocked"]
