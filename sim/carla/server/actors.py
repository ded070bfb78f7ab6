"""Who lives in the world: spawning with CARLA's checks, what the wire says of an actor, destroying with all that hangs on it.

Ids begin at 1 with every episode, so that a world that is reloaded behaves as it did the first time, and are never given
twice within one. Streams are numbered for as long as the server runs, because a client's socket may outlive an episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server import blueprints
from sim.carla.server import columns as c
from sim.carla.server.attach import Attachments
from sim.carla.server.blueprints import Blueprint
from sim.carla.server.snapshot import Snapshots
from sim.carla.server.table import Floats, Table
from sim.carla.wire import structs

MAX_ACTORS = 20_000
MAX_EXTENT_M = 1e6
TYRE_FRICTION = 3.5  # CARLA's tyres; a friction trigger names a tyre's friction, the table a factor
INITIAL_LIMIT_KMH = 30.0  # CARLA's, until a lane or a sign says otherwise
COLLISION = "Spawn failed because of collision at spawn position"
INVALID = "Spawn failed because of invalid actor description"


class SpawnRefused(Exception):
    """Why an actor was not made; the text goes to the client."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One living actor. `wire` never changes: clients keep it for ever."""

    id: int
    row: int
    kind: int
    blueprint: Blueprint | None  # None for the spectator
    attributes: dict[str, str]
    wire: structs.Actor
    stream: int  # 0 where there is none


class Actors:
    """The table's owner of names: every row it fills belongs to one `Actor`."""

    def __init__(self, table: Table, snapshots: Snapshots, token: Callable[[], tuple[int, bytes]]):
        self.table = table
        self.attachments = Attachments(table)
        self.by_id: dict[int, Actor] = {}
        self.vehicle_row: dict[int, int] = {}  # of vehicles alone, for the many controls of a batch
        self.lamps: dict[int, int] = {}  # of vehicles, as column LAMPS: asked for with every tick
        self._snapshots = snapshots
        self._token = token  # a fresh stream: its id and the 24 bytes that lead to it
        self._next = 1
        self._friction: dict[int, Floats] = {}
        self.forgetful: list[int] = []  # rows whose control lasts one tick: sticky_control is false
        self.friction_boxes: Floats = np.zeros((0, 8))

    def __iter__(self) -> Iterator[Actor]:
        return iter(self.by_id.values())

    def get(self, actor: int) -> Actor | None:
        """None for an id nobody has."""
        return self.by_id.get(actor)

    def place(self, kind: int, tag: int) -> int:
        """A row for something the server itself puts into the world; the caller fills it and calls `enlist`."""
        actor = self._next
        self._next += 1
        row = self.table.add(actor, kind)
        self.table.i[row, c.TAG] = tag
        return row

    def enlist(
        self,
        row: int,
        blueprint: Blueprint | None,
        description: structs.ActorDescription,
        attributes: dict[str, str],
        *,
        stream: tuple[int, bytes] = (0, b""),
        parent: int = 0,
    ) -> Actor:
        """The row is filled: make it known."""
        f, i = self.table.f, self.table.i
        actor = int(i[row, c.ID])
        tag = int(i[row, c.TAG])
        wire = structs.Actor(
            id=actor,
            parent_id=parent,
            description=description,
            bounding_box=structs.BoundingBox(
                structs.Location(*map(float, f[row, c.BOX_X : c.BOX_Z + 1])),
                structs.Vector3D(*map(float, f[row, c.EXT_X : c.EXT_Z + 1])),
                structs.LEVEL,
                actor,
            ),
            semantic_tags=bytes([tag & 255]),
            stream_token=stream[1],
        )
        one = Actor(actor, row, int(i[row, c.KIND]), blueprint, attributes, wire, stream[0])
        self.by_id[actor] = one
        if one.kind == c.VEHICLE:
            self.vehicle_row[actor] = row
            self.lamps[actor] = 0
            if attributes.get("sticky_control", "true").lower() in ("false", "0"):
                self.forgetful.append(row)
        return one

    def spawn(
        self,
        description: structs.ActorDescription,
        transform: structs.Transform,
        statics: Floats | None,
        *,
        parent: int = 0,
        attachment: int = 0,
    ) -> Actor:
        """A new actor by a client's wish. `transform` is relative to the parent where there is one; without
        `statics` nothing is checked for being in the way."""
        try:
            blueprint, attributes = blueprints.resolve(description)
        except ValueError as error:
            raise SpawnRefused(f"{INVALID}: {error}") from None
        if len(self.by_id) >= MAX_ACTORS:
            raise SpawnRefused(f"Spawn failed because there are {MAX_ACTORS} actors already")
        kind = blueprint.kind
        at = transform.location
        turn = transform.rotation
        pose = (at.x, at.y, at.z, turn.pitch, turn.yaw, turn.roll)
        if max(map(abs, pose)) > MAX_EXTENT_M:
            raise SpawnRefused("Spawn failed because of invalid transform")
        if kind in (c.VEHICLE, c.WALKER) and not parent and statics is not None:
            self._refuse_if_blocked(blueprint, pose, statics)
        row = self.place(kind, blueprint.tag)
        f, i = self.table.f, self.table.i
        f[row, c.X : c.ROLL + 1] = pose
        f[row, c.EXT_X : c.EXT_Z + 1] = blueprint.extent
        f[row, c.BOX_X : c.BOX_Z + 1] = blueprint.centre
        actor = int(i[row, c.ID])
        if kind in (c.VEHICLE, c.WALKER):
            f[row, c.MASS] = blueprint.mass_kg
            i[row, [c.SIMULATE, c.GRAVITY, c.COLLIDES]] = 1
            i[row, c.LIGHT_STATE] = structs.TrafficLightState.GREEN
            f[row, c.SPEED_LIMIT_KMH] = INITIAL_LIMIT_KMH if kind == c.VEHICLE else 0.0
        elif kind == c.PROP:
            i[row, c.COLLIDES] = int(all(blueprint.extent))
        elif kind == c.TRIGGER:
            self._add_friction(actor, pose, attributes)
        stream = self._token() if kind == c.SENSOR else (0, b"")
        known = {a.id: a.type for a in description.attributes}
        wire = structs.ActorDescription(
            description.uid,
            blueprint.id,
            [
                structs.ActorAttributeValue(
                    a, known.get(a, structs.ActorAttributeType.STRING), value
                )
                for a, value in attributes.items()
            ],
        )
        if parent:
            f[row, c.REL_X : c.REL_ROLL + 1] = pose
            i[row, c.PARENT] = parent
            i[row, c.ATTACHMENT] = attachment
            i[row, c.SIMULATE] = 0
            self.attachments.attach(actor, parent)
            self.attachments.follow()
        return self.enlist(row, blueprint, wire, attributes, stream=stream, parent=parent)

    def set_lamps(self, actor: int, mask: int) -> None:
        """VehicleLightState bits of a vehicle; nothing for anything else."""
        row = self.vehicle_row.get(actor)
        if row is not None:
            self.lamps[actor] = mask
            self.table.i[row, c.LAMPS] = mask

    def destroy(self, actor: int, gone: Callable[[Actor], None]) -> bool:
        """It and everything attached to it; `gone` hears of each before its row is freed."""
        one = self.by_id.get(actor)
        if one is None:
            return False
        for child in self.attachments.children(actor):
            self.destroy(child, gone)
        gone(one)
        del self.by_id[actor]
        self.vehicle_row.pop(actor, None)
        self.lamps.pop(actor, None)
        if one.row in self.forgetful:
            self.forgetful.remove(one.row)
        self.attachments.forget(actor)
        if self._friction.pop(actor, None) is not None:
            self._stack_friction()
        self.table.remove(actor)
        return True

    def _refuse_if_blocked(
        self, blueprint: Blueprint, pose: tuple[float, ...], statics: Floats
    ) -> None:
        x, y, z, _, yaw, _ = pose
        cx, cy, cz = blueprint.centre
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        box = np.array(
            (x + cos * cx - sin * cy, y + sin * cx + cos * cy, z + cz, yaw, *blueprint.extent)
        )
        table = self.table
        if kernels.blocked(table.f, table.i, table.high, statics, box) != table.high:
            raise SpawnRefused(COLLISION)

    def _add_friction(
        self, actor: int, pose: tuple[float, ...], attributes: dict[str, str]
    ) -> None:
        """A trigger's extents are centimetres, as in CARLA."""
        x, y, z, _, yaw, _ = pose
        half = [abs(float(attributes.get(f"extent_{a}", 100.0))) * 0.01 for a in "xyz"]
        factor = max(float(attributes.get("friction", TYRE_FRICTION)), 0.0) / TYRE_FRICTION
        self._friction[actor] = np.array((x, y, z, yaw, *half, factor))
        self._stack_friction()

    def _stack_friction(self) -> None:
        self.friction_boxes = (
            np.vstack(list(self._friction.values())) if self._friction else np.zeros((0, 8))
        )
        if not self._friction:
            self.table.f[:, c.FRICTION] = 1.0


def description(blueprint_id: str, attributes: dict[str, str]) -> structs.ActorDescription:
    """What the wire says of an actor the server itself has made."""
    return structs.ActorDescription(
        0,
        blueprint_id,
        [
            structs.ActorAttributeValue(name, structs.ActorAttributeType.STRING, value)
            for name, value in attributes.items()
        ],
    )
