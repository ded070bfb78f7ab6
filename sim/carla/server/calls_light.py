"""Calls about traffic: lights of junctions, and who runs a Traffic Manager where."""

from __future__ import annotations

from typing import Any

from sim.carla.server import columns as c
from sim.carla.server.handlers import actor_of, answers
from sim.carla.server.world import Manager, World
from sim.carla.wire import structs

MAX_MANAGERS = 256
MAX_TIME_S = 1e6


@answers("set_traffic_light_state")
def set_traffic_light_state(world: World, caller: Any, actor: int, state: int) -> None:
    actor_of(world, "set_traffic_light_state", actor, c.LIGHT)
    world.lights.set_state(actor, int(state))


def _light(world: World, call: str, actor: int) -> int:
    return actor_of(world, call, actor, c.LIGHT).id


@answers("set_traffic_light_green_time")
def set_green(world: World, caller: Any, actor: int, seconds: float) -> None:
    light = _light(world, "set_traffic_light_green_time", actor)
    world.lights.set_times(light, green_s=min(max(seconds, 0.0), MAX_TIME_S))


@answers("set_traffic_light_yellow_time")
def set_yellow(world: World, caller: Any, actor: int, seconds: float) -> None:
    light = _light(world, "set_traffic_light_yellow_time", actor)
    world.lights.set_times(light, yellow_s=min(max(seconds, 0.0), MAX_TIME_S))


@answers("set_traffic_light_red_time")
def set_red(world: World, caller: Any, actor: int, seconds: float) -> None:
    light = _light(world, "set_traffic_light_red_time", actor)
    world.lights.set_times(light, red_s=min(max(seconds, 0.0), MAX_TIME_S))


@answers("freeze_traffic_light")
def freeze_traffic_light(world: World, caller: Any, actor: int, is_frozen: bool) -> None:
    actor_of(world, "freeze_traffic_light", actor, c.LIGHT)
    world.lights.freeze(actor, is_frozen)


@answers("freeze_all_traffic_lights")
def freeze_all_traffic_lights(world: World, caller: Any, is_frozen: bool) -> None:
    world.lights.freeze_all(is_frozen)


@answers("reset_traffic_light_group")
def reset_traffic_light_group(world: World, caller: Any, actor: int) -> None:
    actor_of(world, "reset_traffic_light_group", actor, c.LIGHT)
    world.lights.reset_group(actor)


@answers("reset_all_traffic_lights")
def reset_all_traffic_lights(world: World, caller: Any) -> None:
    world.lights.reset_all()


@answers("get_group_traffic_lights")
def get_group_traffic_lights(world: World, caller: Any, actor: int) -> list[int]:
    actor_of(world, "get_group_traffic_lights", actor, c.LIGHT)
    return list(world.lights.group(actor))


@answers("get_light_boxes")
def get_light_boxes(world: World, caller: Any, actor: int) -> list[structs.BoundingBox]:
    actor_of(world, "get_light_boxes", actor, c.LIGHT)
    return list(world.lights.boxes(actor))


@answers("is_traffic_manager_running")
def is_traffic_manager_running(world: World, caller: Any, port: int) -> bool:
    world.asked_port[caller] = port
    return port in world.managers


@answers("get_traffic_manager_running")
def get_traffic_manager_running(world: World, caller: Any, port: int) -> tuple[str, int]:
    manager = world.managers.get(port)
    return (manager.host, manager.port) if manager is not None else ("", 0)


@answers("add_traffic_manager_running")
def add_traffic_manager_running(world: World, caller: Any, address: tuple[str, int]) -> bool:
    """Whoever registers owns the port until its connection closes.

    A client on a machine without a network does not find out its own address and registers "" and port 0. It has just asked whether
    somebody has the port that it takes, and where it is its connection says.
    """
    host, port = address
    if port == 0:
        host, port = caller.peer.rpartition(":")[0], world.asked_port.get(caller, 0)
    if port in world.managers or len(world.managers) >= MAX_MANAGERS:
        return False
    world.managers[port] = Manager(host[:64], port, caller)
    return True


@answers("destroy_traffic_manager")
def destroy_traffic_manager(world: World, caller: Any, port: int) -> None:
    world.managers.pop(port, None)
