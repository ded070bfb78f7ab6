"""Recorder calls through the stock wheel: what was driven is written, told and driven again."""

from __future__ import annotations

START = """
s = world.get_settings()
s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
world.apply_settings(s)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
"""


def test_a_recorded_drive_is_told_and_driven_again(server):
    found = server.client(
        START,
        """
        path = client.start_recorder("drive.log", True)
        hero = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])
        hero.apply_control(carla.VehicleControl(throttle=0.7))
        for _ in range(60):
            world.tick()
        client.stop_recorder()
        end, start = hero.get_location(), points[0].location
        told = client.show_recorder_file_info("drive.log", False)
        hits = client.show_recorder_collisions("drive.log", "a", "a")
        blocked = client.show_recorder_actors_blocked("drive.log", 1.0, 1.0)
        client.reload_world(False)
        world = client.get_world()
        world.tick()
        said = client.replay_file("drive.log", 0.0, 0.0, 0)
        way = []
        for _ in range(58):
            world.tick()
            cars = world.get_actors().filter("vehicle.*")
            way.append(cars[0].get_location().distance(start) if len(cars) else -1.0)
        client.set_replayer_time_factor(1.0)
        client.stop_replayer(False)
        world.tick()
        nothing = client.show_recorder_file_info("missing.log", False)
        refused = ""
        try:
            client.start_recorder("../../out.log")
        except RuntimeError as error:
            refused = str(error)
        result = dict(path=path, far=end.distance(start), way=way, told=told, hits=hits, blocked=blocked, said=said,
                      nothing=nothing, refused=refused, left=len(world.get_actors().filter("vehicle.*")))
        """,
    )
    assert found["path"].endswith("drive.log")
    assert "Frames: 60" in found["told"] and "vehicle.tesla.model3" in found["told"]
    assert found["far"] > 5.0
    assert abs(max(found["way"]) - found["far"]) < 1.0
    assert found["way"][20:] == sorted(found["way"][20:])
    assert "not found" in found["nothing"] and "out.log" in found["refused"]
    assert found["left"] == 0
