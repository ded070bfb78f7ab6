"""Calls about the world as a whole: the handshake, settings, ticks, maps, weather, what is where."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.errors import IcvError
from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server import ground as grounds
from sim.carla.server.episode import GENERATED_MAP, complaint, map_key
from sim.carla.server.handlers import Refused, answers
from sim.carla.server.world import VERSION, WORLD_STREAM, World
from sim.carla.wire import rpc, structs

MAX_RAY_M = 10_000.0
RAY_STEP_M = 0.5  # steps of a ray along the ground; a surface between two steps is found by halving
MAX_RAY_STEPS = 4_000
MAX_HITS = 256
MAX_GRAVITY_MPS2 = 1e4
ANY = structs.CityObjectLabel.ANY
TERRAIN = structs.CityObjectLabel.TERRAIN


@answers("version")
def version(world: World, caller: Any) -> str:
    return VERSION


@answers("get_episode_info")
def get_episode_info(world: World, caller: Any) -> structs.EpisodeInfo:
    episode = world.handover.episode_for(caller) or world.episode.id
    return structs.EpisodeInfo(episode, structs.Token(world.token(WORLD_STREAM)))


@answers("get_sensor_token")
def get_sensor_token(world: World, caller: Any, stream_id: int) -> structs.Token:
    """Asked before every subscription: a tick waits until the subscription has come."""
    if stream_id != WORLD_STREAM:
        world.expect(stream_id)
    return structs.Token(world.token(stream_id))


@answers("get_episode_settings")
def get_episode_settings(world: World, caller: Any) -> structs.EpisodeSettings:
    return world.episode.settings


@answers("set_episode_settings")
def set_episode_settings(world: World, caller: Any, settings: structs.EpisodeSettings) -> int:
    """The frame at which they hold: the current one, as the next tick already follows them."""
    problem = complaint(settings)
    if problem:
        raise Refused(f"settings refused: {problem}")
    world.episode.settings = settings
    return world.episode.frame


@answers("get_required_files")
def get_required_files(world: World, caller: Any, folder: str) -> list[str]:
    """The navigation mesh is the one file a client needs; Traffic Manager maps are cooked by the client."""
    name = world.navigation_name()
    return [name] if name and folder.strip("/") == "Nav" else []


@answers("request_file")
def request_file(world: World, caller: Any, name: str) -> bytes:
    if not name or name != world.navigation_name():
        raise Refused(f"request_file: {name[:120]!r} is not a file of this world")
    return world.navigation()


@answers("get_navigation_mesh")
def get_navigation_mesh(world: World, caller: Any) -> bytes:
    return world.navigation()


@answers("get_map_info")
def get_map_info(world: World, caller: Any) -> structs.MapInfo:
    return structs.MapInfo(world.map.name, list(world.map.spawn_points))


@answers("get_map_data")
def get_map_data(world: World, caller: Any) -> str:
    return world.map.xodr


@answers("get_available_maps")
def get_available_maps(world: World, caller: Any) -> list[str]:
    return [f"/Game/Carla/Maps/{name.rpartition('/')[2]}" for name in world.store.names()]


@answers("tick_cue")
def tick_cue(world: World, caller: Any) -> Any:
    """One tick, unless a subscription is on its way: then the answer comes with the tick."""
    if not world.episode.is_synchronous:
        return world.episode.frame + 1
    if world.is_awaiting:
        world.hold(caller)
        return rpc.LATER
    world.tick()
    return world.episode.frame


@answers("load_new_episode")
def load_new_episode(
    world: World, caller: Any, map_name: str, reset_settings: bool, map_layers: int
) -> None:
    key = map_key(map_name)
    try:
        if not key:
            loaded = world.map
        elif key == GENERATED_MAP and world.generated is not None:
            loaded = world.generated
        else:
            loaded = world.store.load(key)
    except (IcvError, LookupError) as error:
        world.say(f"map {key[:120]!r} not loaded: {error}")
        raise Refused(f"map {key[:120]!r} not loaded: {error}") from None
    world.begin(loaded, reset_settings=reset_settings)


@answers("copy_opendrive_to_file")
def copy_opendrive_to_file(
    world: World, caller: Any, opendrive: str, parameters: structs.OpendriveGenerationParameters
) -> None:
    """Read right away, so that a road file that cannot be used is told to the one who sent it."""
    try:
        world.generated = world.store.generate(opendrive, parameters)
    except IcvError as error:
        world.say(f"a road sent by a client was refused: {error}")
        raise Refused(f"opendrive could not be correctly parsed: {error}") from None


@answers("get_weather_parameters")
def get_weather_parameters(world: World, caller: Any) -> structs.WeatherParameters:
    return world.weather


@answers("set_weather_parameters")
def set_weather_parameters(world: World, caller: Any, weather: structs.WeatherParameters) -> None:
    world.weather = weather


@answers("get_imui_gravity")
def get_imui_gravity(world: World, caller: Any) -> float:
    """What an IMU adds to a body at rest; it does not change how things fall."""
    return world.imu_gravity_mps2


@answers("set_imui_gravity")
def set_imui_gravity(world: World, caller: Any, gravity: float) -> None:
    world.imu_gravity_mps2 = min(max(gravity, -MAX_GRAVITY_MPS2), MAX_GRAVITY_MPS2)


def _wanted(label: int, tag: int) -> bool:
    return tag in (ANY, label)


@answers("get_environment_objects")
def get_environment_objects(world: World, caller: Any, tag: int) -> list[structs.EnvironmentObject]:
    return [o for o in world.map.objects if _wanted(int(o.type), tag)]


@answers("get_all_level_BBs")
def get_all_level_bbs(world: World, caller: Any, tag: int) -> list[structs.BoundingBox]:
    """Boxes in the world: the map's things, its lights and signs."""
    boxes = [o.bounding_box for o in world.map.objects if _wanted(int(o.type), tag)]
    f, i = world.table.f, world.table.i
    for actor in world.actors:
        if actor.kind in world.FIXED and _wanted(int(i[actor.row, 4]), tag):
            x, y, z, pitch, yaw, roll = map(float, f[actor.row, :6])
            box = actor.wire.bounding_box
            cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
            centre = structs.Location(
                x + cos * box.location.x - sin * box.location.y,
                y + sin * box.location.x + cos * box.location.y,
                z + box.location.z,
            )
            turn = structs.Rotation(pitch, yaw, roll)
            boxes.append(structs.BoundingBox(centre, box.extent, turn, actor.id))
    return boxes


@answers("enable_environment_objects")
def enable_environment_objects(
    world: World, caller: Any, object_ids: list[int], is_enabled: bool
) -> None:
    """What is switched off neither stops a car nor returns a ray."""
    world.switch_objects(object_ids, is_enabled)


@answers("get_names_of_all_objects")
def get_names_of_all_objects(world: World, caller: Any) -> list[str]:
    return [o.name for o in world.map.objects]


def _ground_hit(
    world: World, start: np.ndarray[Any, Any], step: np.ndarray[Any, Any]
) -> tuple[float, int] | None:
    """Where start + t step first goes below the ground, and the label there."""
    length = float(np.linalg.norm(step))
    count = min(max(int(length / RAY_STEP_M), 1), MAX_RAY_STEPS)
    t = np.linspace(0.0, 1.0, count + 1)
    x, y, z = (start[k] + t * step[k] for k in range(3))
    heights, _ = grounds.heights(world.ground, x, y, z)
    above = z >= heights
    falls = np.flatnonzero(above[:-1] & ~above[1:])
    if falls.size == 0:
        return None
    low, high = float(t[falls[0]]), float(t[falls[0] + 1])
    for _ in range(40):
        middle = 0.5 * (low + high)
        px, py, pz = (float(start[k] + middle * step[k]) for k in range(3))
        if pz >= grounds.height(world.ground, px, py, pz):
            low = middle
        else:
            high = middle
    at = (start + low * step).reshape(3, 1)
    _, triangle = grounds.heights(world.ground, at[0], at[1], at[2])
    label = int(world.ground.tri_tag[triangle[0]]) if triangle[0] >= 0 else int(TERRAIN)
    return low, label


def cast(
    world: World, start: tuple[float, float, float], end: tuple[float, float, float]
) -> list[structs.LabelledPoint]:
    """Everything a segment goes into, nearest first: boxes of actors and of the map, and the ground once."""
    a = np.clip(np.array(start), -1e6, 1e6)
    step = np.clip(np.array(end), -1e6, 1e6) - a
    length = float(np.linalg.norm(step))
    if length == 0.0:
        return []
    if length > MAX_RAY_M:
        step *= MAX_RAY_M / length
    t = np.empty(MAX_HITS)
    tags = np.empty(MAX_HITS, dtype=np.int64)
    table = world.table
    count = kernels.rays(table.f, table.i, table.high, world.statics, a, step, MAX_HITS, t, tags)
    hits = list(zip(t[:count].tolist(), tags[:count].tolist(), strict=True))
    ground = _ground_hit(world, a, step)
    if ground is not None:
        hits.append(ground)
    hits.sort()
    return [
        structs.LabelledPoint(
            structs.Location(*(float(a[k] + at * step[k]) for k in range(3))),
            structs.CityObjectLabel(tag)
            if tag in structs.CityObjectLabel._value2member_map_
            else structs.CityObjectLabel.OTHER,
        )
        for at, tag in hits
    ]


@answers("project_point")
def project_point(
    world: World,
    caller: Any,
    location: structs.Location,
    direction: structs.Vector3D,
    search_distance: float,
) -> tuple[bool, structs.LabelledPoint]:
    """The nearest thing in that direction."""
    d = (direction.x, direction.y, direction.z)
    norm = max(abs(d[0]), abs(d[1]), abs(d[2]))
    if norm > 0.0:
        d = (d[0] / norm, d[1] / norm, d[2] / norm)
        norm = (d[0] ** 2 + d[1] ** 2 + d[2] ** 2) ** 0.5
        far = min(max(search_distance, 0.0), MAX_RAY_M) / norm
        start = (location.x, location.y, location.z)
        end = (start[0] + far * d[0], start[1] + far * d[1], start[2] + far * d[2])
        hits = cast(world, start, end)
        if hits:
            return True, hits[0]
    return False, structs.LabelledPoint(structs.ORIGIN, structs.CityObjectLabel.NONE)


@answers("cast_ray")
def cast_ray(
    world: World, caller: Any, start: structs.Location, end: structs.Location
) -> list[structs.LabelledPoint]:
    return cast(world, (start.x, start.y, start.z), (end.x, end.y, end.z))
