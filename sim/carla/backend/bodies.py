"""Automated vehicles driven by CARLA's physics: commands become pedals, a step of the server moves them, its snapshot is our state.

The rest of the world stays ours: traffic, walkers, signals, sensors, radio, referees. They are shown on the server (`shown`,
`lights`), so that its own sensors and other clients see the same scene. The second section of an articulated vehicle follows by our
kinematics and is moved, not driven: CARLA has no joint.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocols.errors import InfrastructureError
from protocols.messages import ActorKind
from protocols.roads.network import F64, U8
from protocols.sentence import say
from sim.carla.backend.drive import Drive
from sim.carla.backend.lights import ShownLights
from sim.carla.backend.sensors import Carrier, ServedSensors
from sim.carla.backend.session import CarlaTarget, Session
from sim.carla.backend.shown import Background, transform
from sim.carla.frames import yaw_rate_to_ours, yaw_to_ours
from sim.config import Resolved
from sim.state import ActorStates, ActorStatics
from sim.world import UnitVehicle

SETTLE_STEPS = 100  # the server lets a spawned vehicle down onto its wheels
LIFT_M = 0.1  # a spawn that touches the road is refused
FRONTAL_SHARE = 0.85  # of width times height


@dataclass(slots=True)
class _Driven:
    vehicle: UnitVehicle
    actor: int
    ahead_m: float  # from our origin (rear axle) to the middle of the front section
    drive: Drive
    rear: int  # actor of the second section, 0 for none
    rear_ahead_m: float = 0.0  # from the joint to the middle of the second section, negative


class CarlaBodies:
    """See `sim.bodies.Bodies`."""

    def __init__(
        self,
        target: CarlaTarget,
        resolved: Resolved,
        states: ActorStates,
        statics: ActorStatics,
        vehicles: Sequence[UnitVehicle],
        light: U8,
    ) -> None:
        self._states = states
        step_s = resolved.spec.tick_ms / 1000.0
        self.session = Session(target, Path(resolved.map_path), step_s)
        try:
            table = tomllib.loads((Path(__file__).parent / "stand_ins.toml").read_text())
            library = {b.id: b for b in self.session.world.get_blueprint_library()}
            kinds = {
                ActorKind[kind]: first(library, wanted)
                for kind, wanted in table["background"].items()
            }
            self.background = Background(self.session, states, statics, {k: b for k, b in kinds.items() if b is not None})  # fmt: skip
            self.lights = ShownLights(self.session, resolved.net, light)
            self._carriers: list[Carrier] = []
            self._driven = [self._spawn(vehicle, table, library) for vehicle in vehicles]
            self.sensors = ServedSensors(self.session, resolved.spec, resolved.net, states, self._carriers)  # fmt: skip
            try:
                self._settle(step_s)
            except BaseException:
                self.close()
                raise
        except BaseException:
            self.session.close()
            raise

    @property
    def stand_ins(self) -> dict[str, str]:
        """Vehicle name -> blueprint that drives for it."""
        return self._names

    def step(self, t_ns: int, dt_s: float, accel_mps2: F64, steer_rad: F64) -> None:
        """See `Bodies.step`."""
        carla, states, session = self.session.carla, self._states, self.session
        self.background.spawn(t_ns)
        commands = self.background.commands()
        for k, driven in enumerate(self._driven):
            row = driven.vehicle.row
            throttle, brake, steer = driven.drive.control(
                float(accel_mps2[k]), float(steer_rad[k]), states.speed_mps.item(row), dt_s
            )
            control = carla.VehicleControl(
                throttle=throttle, brake=brake, steer=steer, manual_gear_shift=True, gear=1
            )
            commands.append(carla.command.ApplyVehicleControl(driven.actor, control))
            if driven.rear:
                commands.append(self._rear(driven))
        self.lights.show()
        session.batch(commands, t_ns)
        snapshot = session.tick(t_ns)
        for driven in self._driven:
            self._read(driven, snapshot, dt_s, t_ns)
        self.sensors.collect(snapshot, round(t_ns / (dt_s * 1e9)), t_ns)

    def close(self) -> None:
        """Takes our actors away and gives the server back as it was."""
        carla = self.session.carla
        try:
            self.sensors.close()
            self.background.close()
            ours = [d.actor for d in self._driven] + [d.rear for d in self._driven if d.rear]
            self.session.batch([carla.command.DestroyActor(actor) for actor in ours])
        except InfrastructureError:
            return  # it is gone already, and the run's own error says so
        finally:
            self.session.close()

    # inside -----------------------------------------------------------------------------------------------------------

    _names: dict[str, str]

    def _spawn(self, vehicle: UnitVehicle, table: Any, library: dict[str, Any]) -> _Driven:
        carla, states, p = self.session.carla, self._states, vehicle.params
        wanted = table["vehicles"].get(p.name, table["vehicles"]["other"])
        blueprint = first(library, wanted)
        if blueprint is None:
            raise InfrastructureError(
                say("the CARLA server has none of the blueprints {names} for vehicle {name}", names=", ".join(wanted), name=vehicle.name)
            )  # fmt: skip
        if blueprint.has_attribute("role_name"):
            blueprint.set_attribute("role_name", vehicle.name)
        row, ahead = vehicle.row, p.front_x_m - 0.5 * p.length_m
        place = transform(
            carla, states.x_m.item(row), states.y_m.item(row), states.z_m.item(row),
            states.yaw_rad.item(row), ahead, LIFT_M,
        )  # fmt: skip
        try:
            actor = self.session.world.spawn_actor(blueprint, place)
            control = actor.get_physics_control()
        except RuntimeError as error:
            raise InfrastructureError(
                say(
                    "the CARLA server did not spawn {id} for vehicle {name} at {location}: {why!s}",
                    id=blueprint.id, name=vehicle.name, location=place.location, why=error,
                )
            ) from error  # fmt: skip
        size = actor.bounding_box.extent
        wheel = control.wheels[0]
        drive = Drive(
            p, float(control.mass), wheel.radius / 100.0, 0.3, FRONTAL_SHARE * 4.0 * size.y * size.z,
            max(p.max_steer_rad, 0.1) * 1.05,
        )  # fmt: skip
        actor.apply_physics_control(drive.physics(carla, control))
        drive.start(states.speed_mps.item(row))
        self._names = {**getattr(self, "_names", {}), vehicle.name: blueprint.id}
        top = actor.bounding_box.location.z + size.z
        self._carriers.append(Carrier(vehicle, actor.id, ahead, top, 2.0 * size.x, 2.0 * size.y))
        driven = _Driven(vehicle, actor.id, ahead, drive, 0)
        self._spawn_rear(driven, table, library)
        return driven

    def _spawn_rear(self, driven: _Driven, table: Any, library: dict[str, Any]) -> None:
        p = driven.vehicle.params
        blueprint = first(library, table["sections"].get(p.name, ()))
        if not p.is_articulated or blueprint is None:
            return
        carla = self.session.carla
        driven.rear_ahead_m = -0.5 * p.rear_length_m
        spawn = carla.command.SpawnActor(blueprint, self._rear_transform(driven, LIFT_M))
        still = carla.command.SetSimulatePhysics(carla.command.FutureActor, False)
        (answer,) = self.session.batch([spawn.then(still)])
        driven.rear = 0 if answer.has_error() else answer.actor_id

    def _rear(self, driven: _Driven) -> Any:
        place = self._rear_transform(driven, 0.0)
        return self.session.carla.command.ApplyTransform(driven.rear, place)

    def _rear_transform(self, driven: _Driven, lift_m: float) -> Any:
        states, row, p = self._states, driven.vehicle.row, driven.vehicle.params
        yaw = states.yaw_rad.item(row)
        x = states.x_m.item(row) + p.hitch_x_m * math.cos(yaw)
        y = states.y_m.item(row) + p.hitch_x_m * math.sin(yaw)
        behind = yaw - states.hitch_rad.item(row)
        return transform(
            self.session.carla, x, y, states.z_m.item(row), behind, driven.rear_ahead_m, lift_m
        )

    def _settle(self, step_s: float) -> None:
        """Vehicles come to rest on the road before the run's first tick; one that starts rolling gets its speed then."""
        carla = self.session.carla
        hold = carla.VehicleControl(brake=1.0, hand_brake=True, manual_gear_shift=True, gear=1)
        self.session.batch([carla.command.ApplyVehicleControl(d.actor, hold) for d in self._driven])
        warm = self.sensors.warm_ticks
        for _ in range(max(SETTLE_STEPS - warm, 0)):
            self.session.tick(0)
        self.sensors.attach()
        for k in range(warm):
            is_new = k < self.sensors.grace_ticks
            self.sensors.collect(self.session.tick(0), 0, 0, is_new)
        moving = []
        for driven in self._driven:
            row = driven.vehicle.row
            speed, yaw = self._states.speed_mps.item(row), self._states.yaw_rad.item(row)
            if speed > 0.0:
                velocity = carla.Vector3D(speed * math.cos(yaw), -speed * math.sin(yaw), 0.0)
                moving.append(carla.command.ApplyTargetVelocity(driven.actor, velocity))
        if moving:
            self.session.batch(moving)

    def _read(self, driven: _Driven, snapshot: Any, dt_s: float, t_ns: int) -> None:
        states, vehicle = self._states, driven.vehicle
        row, p = vehicle.row, vehicle.params
        seen = snapshot.find(driven.actor)
        if seen is None:
            raise InfrastructureError(
                say("the CARLA server lost vehicle {name} at t={t_s:.2f} s; somebody destroyed it", name=vehicle.name, t_s=t_ns / 1e9)
            )  # fmt: skip
        pose, velocity = seen.get_transform(), seen.get_velocity()
        yaw = yaw_to_ours(float(pose.rotation.yaw))
        cos, sin = math.cos(yaw), math.sin(yaw)
        speed = velocity.x * cos - velocity.y * sin
        before = states.speed_mps.item(row)
        states.x_m[row] = pose.location.x - driven.ahead_m * cos
        states.y_m[row] = -pose.location.y - driven.ahead_m * sin
        states.yaw_rad[row] = yaw
        states.speed_mps[row] = speed
        states.accel_mps2[row] = (speed - before) / dt_s
        rate = yaw_rate_to_ours(float(seen.get_angular_velocity().z))
        states.yaw_rate_radps[row] = rate
        states.steer_rad[row] = driven.drive.angle_rad
        if p.is_articulated:
            hitch = states.hitch_rad.item(row)
            turn = rate - (speed * math.sin(hitch) + p.hitch_x_m * rate * math.cos(hitch)) / p.rear_wheelbase_m  # fmt: skip
            limit = p.max_hitch_rad
            states.hitch_rad[row] = np.clip(hitch + turn * dt_s, -limit, limit)


def first(library: dict[str, Any], wanted: Sequence[str]) -> Any:
    """The first blueprint of `wanted` that the server has, or None."""
    return next((library[name] for name in wanted if name in library), None)
