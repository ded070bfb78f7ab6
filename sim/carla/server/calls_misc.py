"""The rest: recorder, street lights, V2X, and everything that would need a picture.

What only changes a picture is accepted; what asks for one says that there is none.
"""

from __future__ import annotations

from typing import Any

from sim.carla.server import columns as c
from sim.carla.server.episode import map_key
from sim.carla.server.handlers import Refused, actor_of, answers, row_of
from sim.carla.server.world import World
from sim.carla.wire import structs

MAX_SHAPES = 100_000
NO_RENDERING = "not available without rendering"


@answers("draw_debug_shape")
def draw_debug_shape(world: World, caller: Any, shape: structs.DebugShape) -> None:
    """Nobody will see it; how many were drawn is counted."""
    world.num_shapes = min(world.num_shapes + 1, MAX_SHAPES)


@answers("query_lights_state")
def query_lights_state(world: World, caller: Any, client: str) -> list[structs.LightState]:
    """No street lights in a world without pictures."""
    return []


@answers(
    "update_lights_state",
    "update_day_night_cycle",
    "set_annotations_traverse_translucency",
    "enable_sensor_for_ros",
    "disable_sensor_for_ros",
    "load_map_layer",
    "unload_map_layer",
)
def accept(world: World, caller: Any, *_: Any) -> None:
    """Pictures, layers of pictures and ROS: nothing changes in this world."""


@answers("enable_gbuffers")
def enable_gbuffers(world: World, caller: Any, actor: int, is_on: bool) -> None:
    row_of(world, "enable_gbuffers", actor)


@answers("is_sensor_enabled_for_ros")
def is_sensor_enabled_for_ros(world: World, caller: Any, stream_id: int) -> bool:
    return False


@answers("are_gbuffers_enabled")
def are_gbuffers_enabled(world: World, caller: Any, actor: int) -> bool:
    return False


@answers("get_gbuffer_token")
def get_gbuffer_token(world: World, caller: Any, actor: int, gbuffer: int) -> bytes:
    raise Refused(f"get_gbuffer_token: {NO_RENDERING}")


@answers("apply_color_texture_to_objects", "apply_float_color_texture_to_objects")
def apply_texture(world: World, caller: Any, *_: Any) -> None:
    raise Refused(f"textures are {NO_RENDERING}")


@answers("enable_carsim", "use_carsim_road", "enable_chrono_physics")
def other_physics(world: World, caller: Any, actor: int, *_: Any) -> None:
    raise Refused(
        "CarSim and Chrono are not part of this server; the vehicle keeps its own physics"
    )


@answers("restore_physx_physics")
def restore_physx_physics(world: World, caller: Any, actor: int) -> None:
    """It never left."""
    actor_of(world, "restore_physx_physics", actor, c.VEHICLE)


@answers("send")
def send(world: World, caller: Any, actor: int, message: str) -> None:
    """What a custom V2X sensor broadcasts with its next sample."""
    actor_of(world, "send", actor, c.SENSOR)
    sensor = world.sensors.get(actor)
    if sensor is None or not hasattr(sensor, "send"):
        raise Refused(f"actor {actor} is not a V2X sensor")
    sensor.send(message)


@answers("set_ignored_vehicles")
def set_ignored_vehicles(world: World, caller: Any, actor: int, ids: list[int]) -> None:
    actor_of(world, "set_ignored_vehicles", actor, c.SENSOR)
    sensor = world.sensors.get(actor)
    if sensor is not None and hasattr(sensor, "set_ignored"):
        sensor.set_ignored(ids)


@answers("clear_debug_shape", "clear_debug_string")
def clear_debug(world: World, caller: Any) -> None:
    world.num_shapes = 0


@answers("start_recorder")
def start_recorder(world: World, caller: Any, name: str, additional_data: bool) -> str:
    try:
        return world.desk.start(name, additional_data)
    except (ValueError, OSError) as error:
        raise Refused(f"start_recorder: {error}") from None


@answers("stop_recorder")
def stop_recorder(world: World, caller: Any) -> None:
    world.desk.stop()


@answers("show_recorder_file_info")
def show_recorder_file_info(world: World, caller: Any, name: str, show_all: bool) -> str:
    try:
        return world.desk.file_info(name, show_all)
    except (ValueError, OSError) as error:
        raise Refused(f"recorder: {error}") from None


@answers("show_recorder_collisions")
def show_recorder_collisions(world: World, caller: Any, name: str, type_1: int, type_2: int) -> str:
    try:
        return world.desk.collisions(name, chr(type_1 & 127), chr(type_2 & 127))
    except (ValueError, OSError) as error:
        raise Refused(f"recorder: {error}") from None


@answers("show_recorder_actors_blocked")
def show_recorder_actors_blocked(
    world: World, caller: Any, name: str, min_time: float, min_distance: float
) -> str:
    try:
        return world.desk.blocked(name, min_time, min_distance)
    except (ValueError, OSError) as error:
        raise Refused(f"recorder: {error}") from None


@answers("replay_file")
def replay_file(
    world: World,
    caller: Any,
    name: str,
    start: float,
    duration: float,
    follow_id: int,
    replay_sensors: bool,
    offset: structs.Transform,
) -> str:
    """On the map that was recorded: another one is loaded first, with the settings kept."""
    try:
        wanted = world.desk.map_of(name)
        if wanted is not None and map_key(wanted) != map_key(world.map.name):
            desk = world.desk  # with the time factor and what to ignore
            world.begin(world.store.load(map_key(wanted)), reset_settings=False)
            world.desk = desk
        return world.desk.replay(name, start, duration, follow_id, replay_sensors, offset)
    except (ValueError, OSError) as error:
        raise Refused(f"replay_file: {error}") from None


@answers("stop_replayer")
def stop_replayer(world: World, caller: Any, keep_actors: bool) -> None:
    world.desk.stop_replay(keep_actors)


@answers("set_replayer_time_factor")
def set_replayer_time_factor(world: World, caller: Any, factor: float) -> None:
    world.desk.set_time_factor(factor)


@answers("set_replayer_ignore_hero")
def set_replayer_ignore_hero(world: World, caller: Any, is_ignored: bool) -> None:
    world.desk.ignore_hero(is_ignored)


@answers("set_replayer_ignore_spectator")
def set_replayer_ignore_spectator(world: World, caller: Any, is_ignored: bool) -> None:
    world.desk.ignore_spectator(is_ignored)
