"""Calls about any actor: making and unmaking, moving, pushing, and the parts of a picture that are not there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sim.carla.server import blueprints
from sim.carla.server import columns as c
from sim.carla.server.actors import MAX_EXTENT_M, SpawnRefused
from sim.carla.server.attach import relative
from sim.carla.server.handlers import Refused, actor_of, answers, row_of
from sim.carla.server.world import World
from sim.carla.wire import structs

MAX_PUSH = 1e9  # N, N s, N m: beyond anything that moves on a road, so that sums stay finite
MAX_SPEED_MPS = 1e4


def triple(vector: structs.Vector3D, limit: float) -> tuple[float, float, float]:
    """A vector whose components are within +-limit."""
    return (
        min(max(vector.x, -limit), limit),
        min(max(vector.y, -limit), limit),
        min(max(vector.z, -limit), limit),
    )


@answers("get_actor_definitions")
def get_actor_definitions(world: World, caller: Any) -> list[structs.ActorDefinition]:
    return blueprints.definitions()


@answers("get_actors_by_id")
def get_actors_by_id(world: World, caller: Any, ids: list[int]) -> list[structs.Actor]:
    by_id = world.actors.by_id
    return [by_id[one].wire for one in ids if one in by_id]


@answers("get_spectator")
def get_spectator(world: World, caller: Any) -> structs.Actor:
    return world.spectator.wire


@answers("spawn_actor")
def spawn_actor(
    world: World, caller: Any, description: structs.ActorDescription, transform: structs.Transform
) -> structs.Actor:
    try:
        return world.spawn(description, transform).wire
    except SpawnRefused as error:
        raise Refused(str(error)) from None


@answers("spawn_actor_with_parent")
def spawn_actor_with_parent(
    world: World,
    caller: Any,
    description: structs.ActorDescription,
    transform: structs.Transform,
    parent: int,
    attachment: int,
    socket: str,
) -> structs.Actor:
    try:
        return world.spawn(description, transform, parent, int(attachment)).wire
    except SpawnRefused as error:
        raise Refused(str(error)) from None


@answers("destroy_actor")
def destroy_actor(world: World, caller: Any, actor: int) -> bool:
    why_not = world.destroy(actor)
    if why_not:
        raise Refused(why_not)
    return True


NO_BOX = structs.BoundingBox(structs.ORIGIN, structs.ZERO, structs.LEVEL, 0)


@answers("get_actor_bounding_box")
def get_actor_bounding_box(world: World, caller: Any, actor: int) -> structs.BoundingBox:
    """Asked by the Traffic Manager, which does not survive an error: an id nobody has gets an empty box."""
    one = world.actors.by_id.get(actor)
    return one.wire.bounding_box if one is not None else NO_BOX


def move(world: World, row: int, transform: structs.Transform) -> None:
    """Teleport. What hangs on a parent hangs on it differently from now on."""
    at, turn = transform.location, transform.rotation
    world.table.f[row, c.X : c.ROLL + 1] = (
        *triple(at, MAX_EXTENT_M),
        math.remainder(turn.pitch, 360.0),
        turn.yaw if -180.0 <= turn.yaw <= 180.0 else math.remainder(turn.yaw, 360.0),
        math.remainder(turn.roll, 360.0),
    )
    if world.table.i[row, c.PARENT]:
        parent = world.table.row_of[int(world.table.i[row, c.PARENT])]
        relative(world.table, row, parent)


@answers("set_actor_transform")
def set_actor_transform(
    world: World, caller: Any, actor: int, transform: structs.Transform
) -> None:
    move(world, row_of(world, "set_actor_transform", actor), transform)


@answers("set_actor_location")
def set_actor_location(world: World, caller: Any, actor: int, location: structs.Location) -> None:
    relocate(world, row_of(world, "set_actor_location", actor), location)


def relocate(world: World, row: int, location: structs.Location) -> None:
    """Elsewhere, turned as before."""
    pitch, yaw, roll = map(float, world.table.f[row, c.PITCH : c.ROLL + 1])
    move(world, row, structs.Transform(location, structs.Rotation(pitch, yaw, roll)))


def aim(world: World, row: int, velocity: structs.Vector3D) -> None:
    """The next step takes this velocity over."""
    world.table.f[row, c.TV_X : c.TV_Z + 1] = triple(velocity, MAX_SPEED_MPS)
    world.table.i[row, c.TV_ON] = 1


def aim_turning(world: World, row: int, velocity: structs.Vector3D) -> None:
    """The same for turning, degrees per second."""
    world.table.f[row, c.TW_X : c.TW_Z + 1] = triple(velocity, MAX_SPEED_MPS)
    world.table.i[row, c.TW_ON] = 1


@answers("set_actor_target_velocity")
def set_actor_target_velocity(
    world: World, caller: Any, actor: int, velocity: structs.Vector3D
) -> None:
    aim(world, row_of(world, "set_actor_target_velocity", actor), velocity)


@answers("set_actor_target_angular_velocity")
def set_actor_target_angular_velocity(
    world: World, caller: Any, actor: int, velocity: structs.Vector3D
) -> None:
    aim_turning(world, row_of(world, "set_actor_target_angular_velocity", actor), velocity)


@answers("enable_actor_constant_velocity")
def enable_actor_constant_velocity(
    world: World, caller: Any, actor: int, velocity: structs.Vector3D
) -> None:
    row = row_of(world, "enable_actor_constant_velocity", actor)
    world.table.f[row, c.CV_X : c.CV_Z + 1] = triple(velocity, MAX_SPEED_MPS)
    world.table.i[row, c.CV_ON] = 1


@answers("disable_actor_constant_velocity")
def disable_actor_constant_velocity(world: World, caller: Any, actor: int) -> None:
    world.table.i[row_of(world, "disable_actor_constant_velocity", actor), c.CV_ON] = 0


def simulate(world: World, row: int, is_on: bool) -> None:
    """Whether physics moves it; what physics no longer moves stands still. The fixed things of the world stay fixed."""
    if world.table.i[row, c.KIND] not in (c.VEHICLE, c.WALKER, c.PROP):
        return
    if world.table.i[row, c.PARENT]:
        is_on = False
    world.table.i[row, c.SIMULATE] = is_on
    if not is_on:
        world.table.f[row, c.VX : c.AZ + 1] = 0.0


@answers("set_actor_simulate_physics")
def set_actor_simulate_physics(world: World, caller: Any, actor: int, is_on: bool) -> None:
    """Asked by the Traffic Manager: an id nobody has is let pass."""
    row = world.table.row_of.get(actor)
    if row is not None:
        simulate(world, row, is_on)


@answers("set_actor_collisions")
def set_actor_collisions(world: World, caller: Any, actor: int, is_on: bool) -> None:
    row = row_of(world, "set_actor_collisions", actor)
    if world.table.i[row, c.KIND] in (c.VEHICLE, c.WALKER, c.PROP):
        world.table.i[row, c.COLLIDES] = is_on


@answers("set_actor_enable_gravity")
def set_actor_enable_gravity(world: World, caller: Any, actor: int, is_on: bool) -> None:
    world.table.i[row_of(world, "set_actor_enable_gravity", actor), c.GRAVITY] = is_on


@answers("set_actor_autopilot")
def set_actor_autopilot(world: World, caller: Any, actor: int, is_on: bool) -> None:
    """The Traffic Manager in the client drives; the server only remembers."""
    row = actor_of(world, "set_actor_autopilot", actor, c.VEHICLE).row
    world.table.i[row, c.AUTOPILOT] = is_on


@answers("set_actor_dead")
def set_actor_dead(world: World, caller: Any, actor: int) -> None:
    """It stays where it is and stops acting."""
    row = row_of(world, "set_actor_dead", actor)
    world.table.i[row, c.DEAD] = 1
    world.table.f[row, [c.THROTTLE, c.STEER, c.WALK_SPEED]] = 0.0
    if world.table.i[row, c.KIND] == c.VEHICLE:
        world.table.f[row, c.BRAKE] = 1.0


def push(world: World, row: int, column: int, vector: structs.Vector3D) -> None:
    """Add to a sum of forces, impulses, torques or spins that the next step uses up."""
    total = world.table.f[row, column : column + 3] + triple(vector, MAX_PUSH)
    world.table.f[row, column : column + 3] = total.clip(-MAX_PUSH, MAX_PUSH)


def push_at(
    world: World,
    row: int,
    column: int,
    turning: int,
    vector: structs.Vector3D,
    location: structs.Vector3D,
) -> None:
    """A push at a place of the world also turns: place minus centre, times the push."""
    x, y, z = triple(location, MAX_EXTENT_M)
    vx, vy, vz = triple(vector, MAX_PUSH)
    f = world.table.f[row]
    rx, ry, rz = x - float(f[c.X]), y - float(f[c.Y]), z - float(f[c.Z])
    push(world, row, column, vector)
    turn = structs.Vector3D(ry * vz - rz * vy, rz * vx - rx * vz, rx * vy - ry * vx)
    push(world, row, turning, turn)


@answers("add_actor_impulse")
def add_actor_impulse(world: World, caller: Any, actor: int, impulse: structs.Vector3D) -> None:
    push(world, row_of(world, "add_actor_impulse", actor), c.IMPULSE_X, impulse)


@answers("add_actor_force")
def add_actor_force(world: World, caller: Any, actor: int, force: structs.Vector3D) -> None:
    push(world, row_of(world, "add_actor_force", actor), c.FORCE_X, force)


@answers("add_actor_angular_impulse")
def add_actor_angular_impulse(
    world: World, caller: Any, actor: int, impulse: structs.Vector3D
) -> None:
    push(world, row_of(world, "add_actor_angular_impulse", actor), c.SPIN_X, impulse)


@answers("add_actor_torque")
def add_actor_torque(world: World, caller: Any, actor: int, torque: structs.Vector3D) -> None:
    push(world, row_of(world, "add_actor_torque", actor), c.TORQUE_X, torque)


@answers("add_actor_impulse_at_location")
def add_actor_impulse_at_location(
    world: World, caller: Any, actor: int, impulse: structs.Vector3D, location: structs.Vector3D
) -> None:
    row = row_of(world, "add_actor_impulse_at_location", actor)
    push_at(world, row, c.IMPULSE_X, c.SPIN_X, impulse, location)


@answers("add_actor_force_at_location")
def add_actor_force_at_location(
    world: World, caller: Any, actor: int, force: structs.Vector3D, location: structs.Vector3D
) -> None:
    row = row_of(world, "add_actor_force_at_location", actor)
    push_at(world, row, c.FORCE_X, c.TORQUE_X, force, location)


def _nothing(call: str) -> Callable[[World, Any, int], list[Any]]:
    """A box has no components, bones or sockets, and so no transforms of them."""

    def answer(world: World, caller: Any, actor: int) -> list[Any]:
        row_of(world, call, actor)
        return []

    return answer


for _name in (
    "get_actor_component_names",
    "get_actor_bone_names",
    "get_actor_socket_names",
    "get_actor_bone_world_transforms",
    "get_actor_bone_relative_transforms",
    "get_actor_socket_world_transforms",
    "get_actor_socket_relative_transforms",
    "get_vehicle_bone_world_transforms",
):
    answers(_name)(_nothing(_name))


@answers("get_actor_component_world_transform", "get_actor_component_relative_transform")
def no_component(world: World, caller: Any, actor: int, component: str) -> structs.Transform:
    row_of(world, "get_actor_component_world_transform", actor)
    raise Refused(
        f"component {component[:60]!r} of actor {actor} not found: without rendering an actor is a "
        "box and has no components"
    )
