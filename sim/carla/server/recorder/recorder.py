"""Writing a recording while the world runs, and asking what is in one.

The server collects what happens between two ticks in an `Events` and hands it over with the table after each tick: one frame. The file
has CARLA's packets in an order in which its own tools read them: collisions before parents, because
`srunner.metrics` looks for them in that order. Times are the simulation's; the header's date is what the caller says it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.recorder import files, report
from sim.carla.server.recorder import packets as p
from sim.carla.server.recorder.packets import Packet
from sim.carla.server.table import Floats, Table
from sim.carla.wire import structs

_TYPES = {
    c.VEHICLE: p.ActorType.VEHICLE,
    c.WALKER: p.ActorType.WALKER,
    c.SENSOR: p.ActorType.SENSOR,
    c.LIGHT: p.ActorType.TRAFFIC_LIGHT,
    c.SIGN: p.ActorType.TRAFFIC_SIGN,
}
_MOVING = (c.SPECTATOR, c.VEHICLE, c.WALKER, c.PROP)


class WorldView(Protocol):
    """What a recorder wants to know of the world."""

    @property
    def map_name(self) -> str: ...

    @property
    def table(self) -> Table: ...

    @property
    def elapsed_s(self) -> float: ...

    def everybody(self) -> Iterable[structs.Actor]:
        """Who lives, in a fixed order, with the wire's description; ids are never given twice."""

    def physics_control(self, actor: int) -> structs.VehiclePhysicsControl | None:
        """A vehicle's physics; None for others."""

    def trigger_box(self, actor: int) -> structs.BoundingBox | None:
        """The stop box of a light or a sign in its own frame; None where it has none."""


@dataclass(slots=True)
class Events:
    """What happened since the last frame. `collisions` are pairs of ids, 0 for what is not an actor."""

    added: list[structs.Actor] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    collisions: list[tuple[int, int]] = field(default_factory=list)


class Recorder:
    """At most one recording at a time, in one directory."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._file: BinaryIO | None = None
        self._world: WorldView | None = None
        self._additional = False
        self._written = 0
        self._frame = 0
        self._started_s = 0.0
        self._last_s = 0.0
        self._held: tuple[int, float, bytes] | None = (
            None  # the frame to be written: number, elapsed, body
        )
        self._waiting = Events()
        self._collisions = 0
        self._heroes: set[int] = set()

    @property
    def is_recording(self) -> bool:
        """Whether frames are being written."""
        return self._file is not None

    def start(
        self, world: WorldView, name: str, additional_data: bool = False, *, date_s: int = 0
    ) -> str:
        """Begin a file; its path. The first frame lists everybody who is there. NameRefused where the name is no good."""
        self.stop()
        path, self._file = files.create(self.directory, name)
        self._world = world
        self._additional = additional_data
        self._frame = 0
        self._last_s = 0.0
        self._held = None
        self._collisions = 0
        self._heroes = set()
        head = p.header(p.Header(p.VERSION, date_s, world.map_name))
        self._file.write(head)
        self._written = len(head)
        self._waiting = Events(added=list(world.everybody()))
        return str(path)

    def record(self, elapsed_s: float, table: Table, events: Events) -> None:
        """One frame. Nothing happens while no recording runs."""
        if self._file is None:
            return
        if self._frame == 0:
            self._started_s = elapsed_s
            known = {actor.id for actor in self._waiting.added}
            events = Events(
                self._waiting.added + [a for a in events.added if a.id not in known],
                events.removed,
                events.collisions,
            )
        self._frame += 1
        elapsed = elapsed_s - self._started_s
        self._flush(elapsed - self._last_s)
        self._held = (self._frame, elapsed, self._body(table, events, elapsed))
        self._last_s = elapsed
        if self._written > files.MAX_FILE_BYTES - p.MAX_PACKET_BYTES:
            self.stop()

    def stop(self) -> None:
        """End the recording, if there is one."""
        if self._file is None:
            return
        self._flush(-1.0)
        self._file.close()
        self._file = None
        self._world = None

    def file_info(self, name: str, show_all: bool) -> str:
        """CARLA's text on a recording."""
        return report.file_info(self.directory, self._fresh(name), show_all)

    def collisions(self, name: str, type1: str, type2: str) -> str:
        """Who hit whom; types are `o`ther, `v`ehicle, `w`alker, `t`raffic light, `h`ero, `a`ny."""
        return report.collisions(self.directory, self._fresh(name), type1, type2)

    def actors_blocked(self, name: str, min_time: float, min_distance: float) -> str:
        """Who moved less than `min_distance` centimetres for `min_time` seconds."""
        return report.blocked(self.directory, self._fresh(name), min_time, min_distance)

    def _fresh(self, name: str) -> str:
        """The name; what is still in memory of a running recording is written first."""
        if self._file is not None:
            self._file.flush()
        return name

    def _flush(self, duration_s: float) -> None:
        """Write the frame that was held back until its duration was known."""
        if self._held is None or self._file is None:
            return
        number, elapsed, body = self._held
        data = p.packet(Packet.FRAME_START, p.FRAME.pack(number, duration_s, elapsed)) + body
        self._file.write(data)
        self._written += len(data)
        self._held = None

    def _body(self, table: Table, events: Events, elapsed: float) -> bytes:
        f, i = table.f[: table.high], table.i[: table.high]
        ids, kinds = i[:, c.ID], i[:, c.KIND]
        alive = ids > 0
        newcomers = [self._newcomer(actor, table) for actor in events.added]
        self._heroes |= {one.actor for one in newcomers if one.is_hero}
        moving = np.flatnonzero(alive & np.isin(kinds, _MOVING))
        vehicles = np.flatnonzero(alive & (kinds == c.VEHICLE))
        walkers = np.flatnonzero(alive & (kinds == c.WALKER))
        lights = np.flatnonzero(alive & (kinds == c.LIGHT))
        parents = [(a.id, a.parent_id) for a in events.added if a.parent_id]
        out = [
            p.added(newcomers),
            p.records(Packet.REMOVED, [(actor,) for actor in events.removed]),
            p.records(Packet.COLLISION, self._hits(events.collisions)),
            p.records(Packet.PARENT, parents),
            p.table(Packet.POSITION, ids[moving], _placed(f[moving, c.X : c.ROLL + 1])),
            p.table(
                Packet.LIGHT_STATE,
                ids[lights],
                i[lights, c.FROZEN],
                f[lights, c.ELAPSED_S],
                i[lights, c.LIGHT_STATE],
            ),
            p.table(
                Packet.VEHICLE,
                ids[vehicles],
                f[vehicles][:, [c.STEER, c.THROTTLE, c.BRAKE]],
                i[vehicles, c.HAND_BRAKE],
                i[vehicles, c.GEAR],
            ),
            p.table(Packet.WALKER, ids[walkers], f[walkers, c.WALK_SPEED]),
            p.table(Packet.VEHICLE_LAMPS, ids[vehicles], i[vehicles, c.LAMPS] & 0xFFFFFFFF),
            p.records(Packet.SCENE_LAMP, []),
        ]
        if self._additional:
            dynamic = np.flatnonzero(alive & np.isin(kinds, (c.VEHICLE, c.WALKER)))
            out.append(p.table(Packet.KINEMATICS, ids[dynamic], f[dynamic, c.VX : c.WZ + 1]))
            out += self._details(events.added, table, elapsed)
        out.append(p.packet(Packet.FRAME_END, b""))
        return b"".join(out)

    def _newcomer(self, actor: structs.Actor, table: Table) -> p.Added:
        row = table.row_of.get(actor.id)
        pose = table.f[row, c.X : c.ROLL + 1] if row is not None else np.zeros(6)
        kind = int(table.i[row, c.KIND]) if row is not None else c.PROP
        x, y, z, roll, pitch, yaw = map(float, _placed(pose[None])[0])
        described = actor.description
        return p.Added(
            actor.id,
            _TYPES.get(kind, p.ActorType.OTHER),
            (x, y, z),
            (roll, pitch, yaw),
            described.uid,
            described.id,
            tuple((int(a.type), a.id, a.value) for a in described.attributes),
        )

    def _hits(self, pairs: list[tuple[int, int]]) -> list[p.Record]:
        """One pair once a frame, as in CARLA; a hero comes first, because readers of the text stumble over one at a line's end."""
        found: list[p.Record] = []
        heroes = self._heroes
        ordered = [(b, a) if b in heroes and a not in heroes else (a, b) for a, b in pairs]
        for one, other in dict.fromkeys(ordered):
            ids = (one or p.NO_ACTOR, other or p.NO_ACTOR)
            found.append((self._collisions, *ids, one in heroes, other in heroes))
            self._collisions += 1
        return found

    def _details(self, newcomers: list[structs.Actor], table: Table, elapsed: float) -> list[bytes]:
        """What is told once of everybody: boxes, stop boxes, physics, times of lights; and the time, which readers expect among them."""
        assert self._world is not None
        boxes: list[p.Record] = []
        triggers: list[p.Record] = []
        times: list[p.Record] = []
        physics = []
        for actor in newcomers:
            row = table.row_of.get(actor.id)
            kind = int(table.i[row, c.KIND]) if row is not None else c.PROP
            if kind in (c.LIGHT, c.SIGN) and row is not None:
                box = self._world.trigger_box(actor.id)
                if box is not None:
                    triggers.append((actor.id, *_in_world(box, table.f[row]), *_size(box)))
                if kind == c.LIGHT:
                    times.append(
                        (actor.id, *map(float, table.f[row, [c.GREEN_S, c.YELLOW_S, c.RED_S]]))
                    )
                continue
            centre = actor.bounding_box.location
            boxes.append(
                (
                    actor.id,
                    centre.x * p.CM,
                    centre.y * p.CM,
                    centre.z * p.CM,
                    *_size(actor.bounding_box),
                )
            )
            control = self._world.physics_control(actor.id) if kind == c.VEHICLE else None
            if control is not None:
                physics.append((actor.id, control))
        out = []
        if boxes:
            out.append(p.records(Packet.BOX, boxes))
        if triggers:
            out.append(p.records(Packet.TRIGGER, triggers))
        out.append(p.packet(Packet.PLATFORM_TIME, p.SECONDS.pack(elapsed)))
        if physics:
            out.append(p.physics(physics))
        if times:
            out.append(p.records(Packet.LIGHT_TIMES, times))
        return out


def _placed(poses: Floats) -> Floats:
    """x y z pitch yaw roll in metres and degrees to centimetres and roll, pitch, yaw."""
    out = poses[:, [0, 1, 2, 5, 3, 4]].copy()
    out[:, :3] *= p.CM
    return out


def _size(box: structs.BoundingBox) -> p.Triple:
    return box.extent.x * p.CM, box.extent.y * p.CM, box.extent.z * p.CM


def _in_world(box: structs.BoundingBox, row: Floats) -> p.Triple:
    """The middle of a box of an upright actor, centimetres in the world."""
    cos, sin = np.cos(np.radians(row[c.YAW])), np.sin(np.radians(row[c.YAW]))
    x, y, z = box.location.x, box.location.y, box.location.z
    return (
        float(row[c.X] + cos * x - sin * y) * p.CM,
        float(row[c.Y] + sin * x + cos * y) * p.CM,
        float(row[c.Z] + z) * p.CM,
    )
