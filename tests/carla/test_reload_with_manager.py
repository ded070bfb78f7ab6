"""A client that drives traffic loads world after world in one process, as scenario after scenario does, and lives.

The stock wheel's threads share the episode without keeping out of each other's way, so the server's answers have to come in an order that
keeps them apart. A client that dies of it is not tried again here.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.carla.conftest import Server
from tests.support.ports import free_port

LOADS = 6
DRIVE = """
def drive(world, ports, synchronous):
    s = world.get_settings()
    s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
    world.apply_settings(s)
    managers = [client.get_trafficmanager(port) for port in ports]
    for manager in managers:
        manager.set_synchronous_mode(True)
    cars = []
    for port, place in zip(ports, world.get_map().get_spawn_points()):
        cars.append(world.spawn_actor(world.get_blueprint_library().find("vehicle.tesla.model3"), place))
        cars[-1].set_autopilot(True, port)
    for _ in range(20):
        world.tick()
    moved = all(car.get_velocity().length() > 0.1 for car in cars)
    for port, car in zip(ports, cars):
        car.set_autopilot(False, port)
    world.tick()
    time.sleep(0.05)  # a car that is destroyed while a manager looks at it ends the client on any server
    for car in cars:
        car.destroy()
    if not synchronous:
        s.synchronous_mode = False
        world.apply_settings(s)
        for manager in managers:
            manager.set_synchronous_mode(False)
    return moved
world = client.get_world()
town = world.get_map().name
result = []
for _ in range({loads}):
    moved = drive(world, {ports}, {synchronous})
    before = world.id
    world = client.load_world(town)
    actors = [a for a in world.get_actors() if a.type_id.startswith("vehicle.")]
    result.append([moved, world.id != before, len(actors), world.get_map().name == town])
"""


@pytest.mark.parametrize(("synchronous", "num_managers"), [(True, 1), (True, 2), (False, 2)])
def test_worlds_are_loaded_beside_managers(
    server: Server, synchronous: bool, num_managers: int
) -> None:
    ports = [free_port() for _ in range(num_managers)]
    code = DRIVE.format(loads=LOADS, ports=ports, synchronous=synchronous)
    seen: list[list[Any]] = server.client(code)
    assert seen == [[True, True, 0, True]] * LOADS
