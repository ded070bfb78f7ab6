"""Calls about driving and walking: controls, physics, lamps, doors, wheels, telemetry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.handlers import actor_of, answers
from sim.carla.server.world import World
from sim.carla.wire import structs

MAX_WALK_MPS = 100.0
_LEAST, _MOST = np.array((0.0, -1.0, 0.0)), np.ones(3)


def drive(world: World, rows: list[int], controls: list[structs.VehicleControl]) -> None:
    """What vehicles do from the next step on. Of several controls for one vehicle the last one counts."""
    wanted = np.array(
        [
            (w.throttle, w.steer, w.brake, w.hand_brake, w.reverse, w.manual_gear_shift, w.gear)
            for w in controls
        ]
    )
    f, i = world.table.f, world.table.i
    f[rows, c.THROTTLE : c.BRAKE + 1] = wanted[:, :3].clip(_LEAST, _MOST)
    i[rows, c.HAND_BRAKE : c.GEAR + 1] = wanted[:, 3:]
    i[rows, c.ACKERMANN] = 0


def drive_one(world: World, row: int, control: structs.VehicleControl) -> None:
    """The same for one, without the detour over arrays."""
    f, i = world.table.f[row], world.table.i[row]
    f[c.THROTTLE] = min(max(control.throttle, 0.0), 1.0)
    f[c.STEER] = min(max(control.steer, -1.0), 1.0)
    f[c.BRAKE] = min(max(control.brake, 0.0), 1.0)
    i[c.HAND_BRAKE] = control.hand_brake
    i[c.REVERSE] = control.reverse
    i[c.MANUAL_GEAR] = control.manual_gear_shift
    i[c.GEAR] = control.gear
    i[c.ACKERMANN] = 0


def walk(world: World, row: int, control: structs.WalkerControl) -> None:
    """Direction and speed of a walker from the next step on."""
    d = control.direction
    f = world.table.f[row]
    f[c.WALK_X : c.WALK_SPEED + 1] = (
        d.x,
        d.y,
        d.z,
        min(max(control.speed, 0.0), MAX_WALK_MPS),
    )
    world.table.i[row, c.JUMP] = control.jump


@answers("apply_control_to_vehicle")
def apply_control_to_vehicle(
    world: World, caller: Any, actor: int, control: structs.VehicleControl
) -> None:
    row = actor_of(world, "apply_control_to_vehicle", actor, c.VEHICLE).row
    drive_one(world, row, control)


@answers("apply_ackermann_control_to_vehicle")
def apply_ackermann_control_to_vehicle(
    world: World, caller: Any, actor: int, control: structs.VehicleAckermannControl
) -> None:
    row = actor_of(world, "apply_ackermann_control_to_vehicle", actor, c.VEHICLE).row
    world.plant.set_ackermann(row, control)


@answers("get_ackermann_controller_settings")
def get_ackermann_controller_settings(
    world: World, caller: Any, actor: int
) -> structs.AckermannControllerSettings:
    row = actor_of(world, "get_ackermann_controller_settings", actor, c.VEHICLE).row
    return world.plant.ackermann_settings(row)


@answers("apply_ackermann_controller_settings")
def apply_ackermann_controller_settings(
    world: World, caller: Any, actor: int, settings: structs.AckermannControllerSettings
) -> None:
    row = actor_of(world, "apply_ackermann_controller_settings", actor, c.VEHICLE).row
    world.plant.set_ackermann_settings(row, settings)


@answers("get_physics_control")
def get_physics_control(world: World, caller: Any, actor: int) -> structs.VehiclePhysicsControl:
    return world.plant.physics_control(actor_of(world, "get_physics_control", actor, c.VEHICLE).row)


@answers("apply_physics_control")
def apply_physics_control(
    world: World, caller: Any, actor: int, control: structs.VehiclePhysicsControl
) -> None:
    row = actor_of(world, "apply_physics_control", actor, c.VEHICLE).row
    world.plant.set_physics_control(row, control)


@answers("get_telemetry_data")
def get_telemetry_data(world: World, caller: Any, actor: int) -> structs.VehicleTelemetryData:
    return world.plant.telemetry(actor_of(world, "get_telemetry_data", actor, c.VEHICLE).row)


@answers("get_vehicle_light_state")
def get_vehicle_light_state(world: World, caller: Any, actor: int) -> structs.VehicleLightState:
    """Asked by the Traffic Manager, so an id that has gone is dark, not an error."""
    return structs.VehicleLightState(world.actors.lamps.get(actor, 0))


@answers("set_vehicle_light_state")
def set_vehicle_light_state(
    world: World, caller: Any, actor: int, lights: structs.VehicleLightState
) -> None:
    world.actors.set_lamps(actor, lights.light_state)


@answers("get_vehicle_light_states")
def get_vehicle_light_states(world: World, caller: Any) -> list[tuple[int, int]]:
    return list(world.actors.lamps.items())


def accepting(call: str, kind: int) -> Callable[..., None]:
    """There is nothing to see: numbers on a screen, doors and poses of a box."""

    def answer(world: World, caller: Any, actor: int, *_: Any) -> None:
        actor_of(world, call, actor, kind)

    return answer


show_debug_telemetry = answers("show_vehicle_debug_telemetry")(
    accepting("show_vehicle_debug_telemetry", c.VEHICLE)
)
for _name, _kind in (
    ("open_vehicle_door", c.VEHICLE),
    ("close_vehicle_door", c.VEHICLE),
    ("set_bones_transform", c.WALKER),
    ("blend_pose", c.WALKER),
    ("get_pose_from_animation", c.WALKER),
):
    answers(_name)(accepting(_name, _kind))


@answers("set_wheel_steer_direction")
def set_wheel_steer_direction(
    world: World, caller: Any, actor: int, wheel: int, degrees: float
) -> None:
    """CARLA turns the wheel's picture and leaves physics alone; kept to be read back."""
    actor_of(world, "set_wheel_steer_direction", actor, c.VEHICLE)
    world.shown_steer[actor, int(wheel)] = degrees


@answers("set_wheel_pitch_angle")
def set_wheel_pitch_angle(
    world: World, caller: Any, actor: int, wheel: int, degrees: float
) -> None:
    actor_of(world, "set_wheel_pitch_angle", actor, c.VEHICLE)
    world.shown_pitch[actor, int(wheel)] = degrees


@answers("get_wheel_steer_angle")
def get_wheel_steer_angle(world: World, caller: Any, actor: int, wheel: int) -> float:
    """What was set for the picture, else where physics has the wheel: the front ones turn."""
    row = actor_of(world, "get_wheel_steer_angle", actor, c.VEHICLE).row
    shown = world.shown_steer.get((actor, int(wheel)))
    if shown is not None:
        return shown
    is_front = wheel in (structs.VehicleWheelLocation.FL, structs.VehicleWheelLocation.FR)
    return world.plant.wheel_steer_deg(row) if is_front else 0.0


@answers("get_wheel_pitch_angle")
def get_wheel_pitch_angle(world: World, caller: Any, actor: int, wheel: int) -> float:
    actor_of(world, "get_wheel_pitch_angle", actor, c.VEHICLE)
    return world.shown_pitch.get((actor, int(wheel)), 0.0)


@answers("apply_control_to_walker")
def apply_control_to_walker(
    world: World, caller: Any, actor: int, control: structs.WalkerControl
) -> None:
    walk(world, actor_of(world, "apply_control_to_walker", actor, c.WALKER).row, control)


@answers("get_bones_transform")
def get_bones_transform(world: World, caller: Any, actor: int) -> structs.WalkerBoneControlOut:
    """A walker here is a box: it has no bones to show."""
    actor_of(world, "get_bones_transform", actor, c.WALKER)
    return structs.WalkerBoneControlOut([])
