"""The world as recordings see it: who is there, for writing one; whom to move where, for playing one back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.actors import MAX_EXTENT_M, SpawnRefused
from sim.carla.server.attach import relative
from sim.carla.server.plant import Contacts
from sim.carla.server.table import Table
from sim.carla.wire import structs

if TYPE_CHECKING:
    from sim.carla.server.world import World

SAME_PLACE_M = 1.0  # a light of the map stands where the recording saw it


class Stage:
    """Both protocols of `recorder`: its WorldView and its Stage."""

    def __init__(self, world: World) -> None:
        self._world = world

    # ---- for writing

    @property
    def map_name(self) -> str:
        """As `get_map_info` tells it."""
        return self._world.map.name

    @property
    def table(self) -> Table:
        """The episode's."""
        return self._world.table

    @property
    def elapsed_s(self) -> float:
        """Since the episode began."""
        return self._world.episode.elapsed_s

    def everybody(self) -> Iterable[structs.Actor]:
        """All actors, in the order they came."""
        return [one.wire for one in self._world.actors]

    def physics_control(self, actor: int) -> structs.VehiclePhysicsControl | None:
        """A vehicle's physics."""
        one = self._world.actors.get(actor)
        if one is None or one.kind != c.VEHICLE:
            return None
        return self._world.plant.physics_control(one.row)

    def trigger_box(self, actor: int) -> structs.BoundingBox | None:
        """The box of a light or a sign is where it holds vehicles."""
        one = self._world.actors.get(actor)
        return one.wire.bounding_box if one is not None and one.kind in self._world.FIXED else None

    def touched(self, contacts: Contacts) -> list[tuple[int, int]]:
        """Contacts as pairs of ids, 0 for what is not an actor."""
        ids = self._world.table.i[:, c.ID]
        b = contacts["b_row"]
        others = np.where(b >= 0, ids[np.maximum(b, 0)], 0)
        return list(zip(ids[contacts["a_row"]].tolist(), others.tolist(), strict=True))

    # ---- for playing back

    def spawn(
        self, recorded: int, description: structs.ActorDescription, transform: structs.Transform
    ) -> int:
        """A new actor, or the one that already has the recorded id and kind."""
        there = self._world.actors.get(recorded)
        if there is not None and there.wire.description.id == description.id:
            return recorded
        try:
            return self._world.spawn(description, transform, is_checked=False).id
        except SpawnRefused:
            return 0

    def find_traffic(self, type_id: str, location: structs.Location) -> int:
        """The map's own light or sign at that place."""
        best, found = SAME_PLACE_M, 0
        for one in self._world.actors:
            if one.kind in self._world.FIXED and one.wire.description.id == type_id:
                x, y, z = map(float, self.table.f[one.row, c.X : c.Z + 1])
                gap = math.dist((x, y, z), (location.x, location.y, location.z))
                if gap < best:
                    best, found = gap, one.id
        return found

    def destroy(self, actor: int) -> None:
        """It leaves the stage; what belongs to the map stays."""
        self._world.destroy(actor)

    def attach(self, child: int, parent: int) -> None:
        """Hang one on the other, as far apart as they are."""
        actors = self._world.actors
        one, other = actors.get(child), actors.get(parent)
        if one is None or other is None or child <= parent or actors.attachments.parent(child):
            return
        actors.attachments.attach(child, parent)
        self.table.i[one.row, [c.PARENT, c.SIMULATE]] = parent, 0
        relative(self.table, one.row, other.row)
        wire = msgspec.structs.replace(one.wire, parent_id=parent)
        actors.by_id[child] = dataclasses.replace(one, wire=wire)
        self._world.relisten()

    def set_pose(
        self, actor: int, transform: structs.Transform, velocity_mps: tuple[float, float, float]
    ) -> None:
        """Where it is now and how fast it goes."""
        row = self.table.row_of.get(actor)
        if row is None:
            return
        at, turn = transform.location, transform.rotation
        pose = np.array((at.x, at.y, at.z, turn.pitch, turn.yaw, turn.roll))
        self.table.f[row, c.X : c.ROLL + 1] = pose.clip(-MAX_EXTENT_M, MAX_EXTENT_M)
        self.table.f[row, c.VX : c.VZ + 1] = velocity_mps

    def set_physics(self, actor: int, is_on: bool) -> None:
        """Whether physics moves it, or the recording."""
        row = self.table.row_of.get(actor)
        if row is not None:
            self.table.i[row, c.SIMULATE] = is_on

    def set_vehicle_control(self, actor: int, control: structs.VehicleControl) -> None:
        """What its driver did, to be read back."""
        row = self.table.row_of.get(actor)
        if row is not None:
            f, i = self.table.f, self.table.i
            f[row, c.THROTTLE : c.BRAKE + 1] = control.throttle, control.steer, control.brake
            i[row, c.HAND_BRAKE : c.GEAR + 1] = (
                control.hand_brake,
                control.reverse,
                control.manual_gear_shift,
                control.gear,
            )

    def set_vehicle_lamps(self, actor: int, lamps: int) -> None:
        """A mask, as `set_vehicle_light_state` has it."""
        self._world.actors.set_lamps(actor, lamps & 0xFFFFFFFF)

    def set_walker_speed(self, actor: int, speed_mps: float) -> None:
        """To be read back; where it walks is the recording's."""
        row = self.table.row_of.get(actor)
        if row is not None:
            self.table.f[row, c.WALK_SPEED] = min(max(speed_mps, 0.0), 100.0)

    def set_light(self, actor: int, state: int, elapsed_s: float, is_frozen: bool) -> None:
        """What a light of the map shows."""
        one = self._world.actors.get(actor)
        if one is not None and one.kind == c.LIGHT:
            self._world.lights.set_state(actor, state)
            self._world.lights.freeze(actor, is_frozen)

    def set_spectator(self, transform: structs.Transform) -> None:
        """Where the viewer stands."""
        self.set_pose(self._world.spectator.id, transform, (0.0, 0.0, 0.0))

    def set_autopilot(self, actor: int) -> None:
        """Remembered only: who drives it is in a client."""
        row = self.table.row_of.get(actor)
        if row is not None:
            self.table.i[row, c.AUTOPILOT] = 1
