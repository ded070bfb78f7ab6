"""Walkers through the stock wheel: by control, by the client's own crowd simulation on our mesh, by state."""

from __future__ import annotations

import pytest

START = """
s = world.get_settings()
s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
world.apply_settings(s)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
"""


def test_a_walker_walks_where_and_as_fast_as_it_is_told(server):
    found = server.client(
        START,
        """
        man = world.spawn_actor(library.find("walker.pedestrian.0001"), points[3])
        for _ in range(20):
            world.tick()
        a = man.get_location()
        man.apply_control(carla.WalkerControl(carla.Vector3D(0, 1, 0), 1.5))
        for _ in range(41):
            world.tick()
        b = man.get_location()
        result = dict(dx=b.x - a.x, dy=b.y - a.y, dz=b.z - a.z, speed=man.get_velocity().length(), yaw=man.get_transform().rotation.yaw)
        """,
    )
    assert found["dy"] == pytest.approx(1.5 * 2.05, abs=0.15) and abs(found["dx"]) < 0.05
    assert abs(found["dz"]) < 0.1
    assert found["speed"] == pytest.approx(1.5, abs=0.01)
    assert found["yaw"] == pytest.approx(90.0, abs=1.0)


def test_walkers_of_the_clients_own_crowd_reach_for_their_goals(server):
    found = server.client(
        START,
        """
        made, places = [], []
        while len(made) < 5 and len(places) < 60:
            place = world.get_random_location_from_navigation()
            places.append(place)
            if place is None:
                break
            one = world.try_spawn_actor(library.find("walker.pedestrian.0002"), carla.Transform(place + carla.Location(z=1)))
            if one is not None:
                made.append(one)
        world.tick()
        minds = [world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), attach_to=one) for one in made]
        world.tick()
        goals = []
        for mind in minds:
            mind.start()
            goal = world.get_random_location_from_navigation()
            goals.append(goal)
            mind.go_to_location(goal)
            mind.set_max_speed(1.4)
        before = [one.get_location() for one in made]
        gap = [a.distance(g) for a, g in zip(before, goals)]
        for _ in range(200):
            world.tick()
        after = [one.get_location() for one in made]
        result = dict(number=len(made), moved=[a.distance(b) for a, b in zip(before, after)], gap=gap,
                      left=[a.distance(g) for a, g in zip(after, goals)], z=[b.z - a.z for a, b in zip(before, after)],
                      speed=[one.get_velocity().length() for one in made])
        for mind in minds:
            mind.stop()
        """,
        timeout_s=90.0,
    )
    assert found["number"] == 5
    assert sum(m > 5.0 for m in found["moved"]) >= 3  # 10 s at 1.4 m/s
    assert max(found["moved"]) < 25.0
    assert max(map(abs, found["z"])) < 1.0
