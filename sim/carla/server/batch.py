"""`apply_batch`: 22 kinds of commands, carried out in order, and what each of them answers.

A command answers the id of its actor, or an error that concerns it alone. In the chain that follows a spawn, actor 0 is the one just
spawned. Commands that the Traffic Manager sends about actors that have vanished succeed: its thread does not survive an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sim.carla.server import calls_actor, calls_light, calls_vehicle
from sim.carla.server import columns as c
from sim.carla.server.actors import SpawnRefused
from sim.carla.server.handlers import Refused, answers, not_found
from sim.carla.server.world import World
from sim.carla.wire import commands as w
from sim.carla.wire import rpc, structs

MAX_DEPTH = 8  # of `then` chains inside `then` chains
Command = tuple[int, Any]  # index and payload
Outcome = int | rpc.Error  # the actor's id, or why not
CONTROL = w.ApplyVehicleControl.INDEX
# What has nothing to do with a control given before it in the same batch.
BESIDE = (w.SetVehicleLightState.INDEX, w.ApplyTransform.INDEX, w.ApplyWalkerState.INDEX)


def _row(world: World, actor: int, call: str, kind: int = -1) -> int:
    row = world.table.row_of.get(actor)
    if row is None:
        raise not_found(call, actor)
    if kind >= 0 and world.table.i[row, c.KIND] != kind:
        raise Refused(f"{call}: actor {actor} is of another kind")
    return row


def _spawn(world: World, payload: w.SpawnActorPayload, depth: int) -> Outcome:
    parent = int(structs.given(payload.parent) or 0)
    kind = min(int(payload.attachment), int(structs.AttachmentType.SPRING_ARM_GHOST))
    try:
        one = world.spawn(payload.description, payload.transform, parent, kind)
    except SpawnRefused as error:
        return rpc.Error(str(error))
    if depth >= MAX_DEPTH:
        return rpc.Error(f"a then chain is deeper than {MAX_DEPTH}")
    for command in w.unfold(payload.do_after):
        carry_out(world, command, one.id, depth + 1)
    return one.id


def _destroy(world: World, actor: int) -> None:
    if actor not in world.actors.by_id:
        raise not_found("destroy_actor", actor)
    why_not = world.destroy(actor)
    if why_not:
        raise Refused(why_not)


def _walker_state(world: World, actor: int, transform: structs.Transform, speed: float) -> None:
    """Where a client's crowd simulation has put a walker: feet at the transform, walking on with that speed."""
    row = _row(world, actor, "set_walker_state", c.WALKER)
    at, turn = transform.location, transform.rotation
    feet = world.table.f[row, c.EXT_Z] - world.table.f[row, c.BOX_Z]
    lifted = structs.Location(at.x, at.y, at.z + float(feet))
    calls_actor.move(world, row, structs.Transform(lifted, turn))
    yaw = math.radians(turn.yaw)
    ahead = structs.Vector3D(math.cos(yaw), math.sin(yaw), 0.0)
    calls_vehicle.walk(world, row, structs.WalkerControl(ahead, speed, False))


def _transform(world: World, actor: int, transform: structs.Transform) -> None:
    row = world.table.row_of.get(actor)  # the Traffic Manager teleports, too
    if row is not None:
        calls_actor.move(world, row, transform)


def _simulate(world: World, actor: int, is_on: bool) -> None:
    calls_actor.set_actor_simulate_physics(world, None, actor, is_on)


def _lamps(world: World, actor: int, mask: int) -> None:
    calls_vehicle.set_vehicle_light_state(world, None, actor, structs.VehicleLightState(mask))


def _via(handler: Callable[..., Any]) -> Callable[..., None]:
    def apply(world: World, actor: int, *rest: Any) -> None:
        handler(world, None, actor, *rest)

    return apply


def _control(world: World, actor: int, control: structs.VehicleControl) -> None:
    row = world.actors.vehicle_row.get(actor)
    if row is not None:
        calls_vehicle.drive_one(world, row, control)


# The rest of the kinds: what to do with (world, actor, further payload).
_KINDS: dict[int, Callable[..., None]] = {
    w.DestroyActor.INDEX: _destroy,
    w.ApplyVehicleControl.INDEX: _control,
    w.ApplyVehicleAckermannControl.INDEX: _via(calls_vehicle.apply_ackermann_control_to_vehicle),
    w.ApplyWalkerControl.INDEX: _via(calls_vehicle.apply_control_to_walker),
    w.ApplyVehiclePhysicsControl.INDEX: _via(calls_vehicle.apply_physics_control),
    w.ApplyTransform.INDEX: _transform,
    w.ApplyWalkerState.INDEX: _walker_state,
    w.ApplyTargetVelocity.INDEX: _via(calls_actor.set_actor_target_velocity),
    w.ApplyTargetAngularVelocity.INDEX: _via(calls_actor.set_actor_target_angular_velocity),
    w.ApplyImpulse.INDEX: _via(calls_actor.add_actor_impulse),
    w.ApplyForce.INDEX: _via(calls_actor.add_actor_force),
    w.ApplyAngularImpulse.INDEX: _via(calls_actor.add_actor_angular_impulse),
    w.ApplyTorque.INDEX: _via(calls_actor.add_actor_torque),
    w.SetSimulatePhysics.INDEX: _simulate,
    w.SetEnableGravity.INDEX: _via(calls_actor.set_actor_enable_gravity),
    w.SetAutopilot.INDEX: _via(calls_actor.set_actor_autopilot),
    w.ShowDebugTelemetry.INDEX: _via(calls_vehicle.show_debug_telemetry),
    w.SetVehicleLightState.INDEX: _lamps,
    w.ApplyLocation.INDEX: _via(calls_actor.set_actor_location),
    w.SetTrafficLightState.INDEX: _via(calls_light.set_traffic_light_state),
}


def carry_out(world: World, command: Command, spawned: int, depth: int) -> Outcome:
    """One command; `spawned` replaces actor 0 inside a `then` chain."""
    index, payload = command
    if index == w.SpawnActor.INDEX:
        return _spawn(world, payload, depth)
    if index == w.ConsoleCommand.INDEX:
        return rpc.Error("console commands are not available: there is no engine here")
    if index == rpc.MALFORMED:
        return rpc.Error(str(payload))
    actor, *rest = payload
    if actor == 0 and spawned:
        actor = spawned
    try:
        _KINDS[index](world, actor, *rest)
    except Refused as error:
        return rpc.Error(str(error))
    return int(actor)


def carry_out_all(world: World, batch: list[Command]) -> list[Outcome]:
    """Every command of a batch. Vehicle controls, the bulk of a Traffic Manager's batch, are written together."""
    outcomes: list[Outcome] = []
    rows: list[int] = []
    controls: list[structs.VehicleControl] = []
    answer, row_of = outcomes.append, world.actors.vehicle_row
    for command in batch:
        if command[0] == CONTROL:
            actor, wanted = command[1]
            row = row_of.get(actor)
            if row is not None:
                rows.append(row)
                controls.append(wanted)
            answer(actor)
            continue
        if rows and command[0] not in BESIDE:
            calls_vehicle.drive(world, rows, controls)
            rows, controls = [], []
        answer(carry_out(world, command, 0, 0))
    if rows:
        calls_vehicle.drive(world, rows, controls)
    return outcomes


@answers("apply_batch")
def apply_batch(world: World, caller: Any, commands: Any, do_tick: bool) -> rpc.Batch:
    outcomes = carry_out_all(world, rpc.decode_batch(commands))
    if do_tick and world.episode.is_synchronous:
        world.tick()
    return rpc.Batch(outcomes)
