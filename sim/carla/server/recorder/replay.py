"""Playing a recording back: which actors to make and to destroy, and where everybody is at each moment.

A `Replayer` knows nothing of the world but a `Stage`. It reads the file frame by frame, one ahead, so that poses between two frames can
be drawn from both. Recorded ids are mapped to the stage's; traffic lights and signs are those of the map that stand where they were
recorded. The caller loads the recording's map first: `map_of` tells which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from sim.carla.server.recorder import files
from sim.carla.server.recorder import packets as p
from sim.carla.server.recorder.packets import Packet
from sim.carla.server.recorder.report import number, read_frame
from sim.carla.wire import structs

LIMIT_M = 1e6  # a place beyond is not believed
AS_GOOD_AS_S = 1e-6  # sums of steps miss the recorded times by rounding


class Stage(Protocol):
    """What a replay moves. Ids are the stage's own, never 0."""

    def spawn(
        self, recorded: int, description: structs.ActorDescription, transform: structs.Transform
    ) -> int:
        """A new actor, or the one with the recorded id if it is of the same blueprint; 0 where it cannot be made."""

    def find_traffic(self, type_id: str, location: structs.Location) -> int:
        """The map's light or sign of that kind at that place; 0 where there is none."""

    def destroy(self, actor: int) -> None: ...

    def attach(self, child: int, parent: int) -> None: ...

    def set_pose(
        self, actor: int, transform: structs.Transform, velocity_mps: tuple[float, float, float]
    ) -> None: ...

    def set_physics(self, actor: int, is_on: bool) -> None:
        """Vehicles are moved by the recording while it plays, by physics before and after."""

    def set_vehicle_control(self, actor: int, control: structs.VehicleControl) -> None: ...

    def set_vehicle_lamps(self, actor: int, lamps: int) -> None: ...

    def set_walker_speed(self, actor: int, speed_mps: float) -> None: ...

    def set_light(self, actor: int, state: int, elapsed_s: float, is_frozen: bool) -> None: ...

    def set_spectator(self, transform: structs.Transform) -> None: ...

    def set_autopilot(self, actor: int) -> None:
        """What CARLA does with its vehicles when a replay has run to its end."""


@dataclass(slots=True)
class _Frame:
    elapsed_s: float
    added: list[p.Added] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    parents: list[tuple[int, int]] = field(default_factory=list)
    records: dict[Packet, list[p.Record]] = field(default_factory=dict)
    poses: dict[int, p.Record] = field(default_factory=dict)


_KEPT = (Packet.LIGHT_STATE, Packet.VEHICLE, Packet.WALKER, Packet.VEHICLE_LAMPS)


class Replayer:
    """At most one replay at a time."""

    def __init__(self, directory: Path, stage: Stage):
        self.directory = directory
        self.stage = stage
        self.time_factor = 1.0
        self.ignore_hero = False
        self.ignore_spectator = False
        self._stream: BinaryIO | None = None
        self._frames: Iterator[_Frame] = iter(())
        self._now: _Frame | None = None
        self._next: _Frame | None = None
        self._time_s = 0.0
        self._stop_s = 0.0
        self._follow = 0
        self._offset = structs.IDENTITY
        self._sensors = False
        self._mapped: dict[int, int] = {}
        self._types: dict[int, int] = {}  # stage id -> ActorType
        self._spectator = 0  # recorded id
        self._ignored: set[int] = set()  # recorded ids of heroes that are not moved
        self._reused: set[int] = set()  # stage ids that are the map's own

    @property
    def is_playing(self) -> bool:
        """Whether `step` still has something to do."""
        return self._stream is not None

    @property
    def mapped(self) -> dict[int, int]:
        """Recorded ids and what they are called on the stage."""
        return dict(self._mapped)

    def map_of(self, name: str) -> str | None:
        """The recording's map; None where there is no such recording."""
        _, stream, _ = files.open_existing(self.directory, name)
        if stream is None:
            return None
        with stream:
            try:
                return p.read_header(stream).map_name
            except p.Broken:
                return None

    def replay(
        self,
        name: str,
        start_s: float,
        duration_s: float,
        follow_id: int,
        replay_sensors: bool,
        offset: structs.Transform,
    ) -> str:
        """Begin; what CARLA would say of it. A negative start counts from the end, a duration of 0 goes to the end."""
        self.stop(keep_actors=False)
        path, stream, sentence = files.open_existing(self.directory, name)
        lines = [f"Replaying File: {path}\n"]
        if stream is None:
            return lines[0] + sentence
        try:
            p.read_header(stream)
            begin = stream.tell()
            total = _total_s(stream)
        except p.Broken as error:
            stream.close()
            return lines[0] + f"{error}\n"
        stream.seek(begin)
        start = max(total + start_s, 0.0) if start_s < 0.0 else start_s
        self._stop_s = start + duration_s if duration_s > 0.0 else total
        self._stream = stream
        self._frames = _read_frames(stream)
        self._follow, self._offset = follow_id, offset
        self._sensors = replay_sensors
        self._mapped, self._types = {}, {}
        self._ignored, self._reused = set(), set()
        self._spectator = 0
        self._now = None
        self._next = next(self._frames, None)
        self._time_s = start
        self._advance(start)
        self._pose(0.0)
        lines.append(f"Total time recorded: {number(total)}\n")
        lines.append(
            f"Replaying from {number(start)} s - {number(self._stop_s)} s ({number(total)} s)"
            f" at {self.time_factor:.1f}x\n"
        )
        if self.ignore_hero:
            lines.append("Ignoring Hero vehicle\n")
        if self.ignore_spectator:
            lines.append("Ignoring Spectator camera\n")
        return "".join(lines)

    def step(self, dt_s: float) -> bool:
        """Go on by that much time; whether the replay still runs. At its end the actors stay and vehicles drive on by themselves."""
        if self._stream is None:
            return False
        by_s = dt_s * self.time_factor
        self._time_s += by_s
        self._advance(self._time_s)
        self._pose(by_s)
        if self._time_s >= self._stop_s - AS_GOOD_AS_S or (
            self._next is None and self._past_last()
        ):
            self._finish(keep_actors=True)
        return self._stream is not None

    def stop(self, keep_actors: bool) -> None:
        """End it now; without `keep_actors` everybody it has made goes."""
        if self._stream is not None:
            self._finish(keep_actors)

    def _past_last(self) -> bool:
        return self._now is None or self._time_s > self._now.elapsed_s

    def _finish(self, keep_actors: bool) -> None:
        assert self._stream is not None
        self._stream.close()
        self._stream = None
        self._frames = iter(())
        for recorded, actor in list(self._mapped.items()):
            kind = self._types.get(actor)
            if not keep_actors and actor not in self._reused:
                self.stage.destroy(actor)
            elif kind == p.ActorType.VEHICLE and recorded not in self._ignored:
                self.stage.set_physics(actor, True)
                if keep_actors:
                    self.stage.set_autopilot(actor)
            elif kind == p.ActorType.WALKER:
                self.stage.set_walker_speed(actor, 0.0)

    def _advance(self, to_s: float) -> None:
        """Take over every frame that has begun by then."""
        while self._next is not None and (
            self._now is None or self._next.elapsed_s <= to_s + AS_GOOD_AS_S
        ):
            self._now = self._next
            self._next = next(self._frames, None)
            self._events(self._now)
        if self._now is not None:
            self._state(self._now)

    def _events(self, frame: _Frame) -> None:
        for newcomer in frame.added:
            self._add(newcomer)
        for child, parent in frame.parents:
            if child in self._mapped and parent in self._mapped:
                self.stage.attach(self._mapped[child], self._mapped[parent])
        for gone in frame.removed:
            actor = self._mapped.pop(gone, 0)
            if actor and actor not in self._reused:
                self.stage.destroy(actor)
                self._types.pop(actor, None)

    def _add(self, one: p.Added) -> None:
        if one.id == "spectator":
            self._spectator = one.actor
            return
        transform = _transform((*one.location_cm, *one.rotation))
        if transform is None or (one.id.startswith("sensor.") and not self._sensors):
            return
        if one.id.startswith("traffic."):
            actor = self.stage.find_traffic(one.id, transform.location)
            if actor:
                self._reused.add(actor)
        else:
            if self.ignore_hero and one.is_hero:
                self._ignored.add(one.actor)
            actor = self.stage.spawn(one.actor, _description(one), transform)
        if not actor:
            return
        self._mapped[one.actor] = actor
        self._types[actor] = one.type
        if one.type == p.ActorType.VEHICLE:
            self.stage.set_physics(actor, one.actor in self._ignored)

    def _state(self, frame: _Frame) -> None:
        """What is not interpolated: controls, lamps, speeds, lights."""
        for kind, rows in frame.records.items():
            for row in rows:
                recorded = int(row[0])
                actor = self._mapped.get(recorded, 0)
                if actor and recorded not in self._ignored and all(map(math.isfinite, row)):
                    self._apply(kind, actor, row)

    def _apply(self, kind: Packet, actor: int, row: p.Record) -> None:
        if kind == Packet.LIGHT_STATE:
            self.stage.set_light(actor, min(int(row[3]), 4), row[2], bool(row[1]))
        elif kind == Packet.VEHICLE:
            _, steer, throttle, brake, hand_brake, gear = row
            self.stage.set_vehicle_control(
                actor,
                structs.VehicleControl(
                    throttle=throttle,
                    steer=steer,
                    brake=brake,
                    hand_brake=bool(hand_brake),
                    reverse=gear < 0,
                    manual_gear_shift=False,
                    gear=int(gear),
                ),
            )
        elif kind == Packet.WALKER:
            self.stage.set_walker_speed(actor, row[1])
        elif kind == Packet.VEHICLE_LAMPS:
            self.stage.set_vehicle_lamps(actor, int(row[1]))

    def _pose(self, by_s: float) -> None:
        """Everybody between this frame and the next."""
        now, later = self._now, self._next
        if now is None:
            return
        span = later.elapsed_s - now.elapsed_s if later is not None else 0.0
        part = min(max((self._time_s - now.elapsed_s) / span, 0.0), 1.0) if span > 0.0 else 0.0
        for recorded, row in now.poses.items():
            is_spectator = recorded == self._spectator
            actor = self._mapped.get(recorded, 0)
            if recorded in self._ignored or not (actor or is_spectator):
                continue
            after = later.poses.get(recorded) if later is not None else None
            pose = row[1:] if after is None else _between(row[1:], after[1:], part)
            transform = _transform(pose)
            if transform is None:
                continue
            if is_spectator:
                if not self.ignore_spectator and not self._follow:
                    self.stage.set_spectator(transform)
                continue
            speed = (0.0, 0.0, 0.0)
            if after is not None and span > 0.0 and by_s > 0.0:
                x, y, z = ((after[k] - row[k]) / (p.CM * span) for k in (1, 2, 3))
                speed = (x, y, z)
            self.stage.set_pose(actor, transform, speed)
            if recorded == self._follow:
                self.stage.set_spectator(_seen_from(transform, self._offset))


def _total_s(stream: BinaryIO) -> float:
    """The last frame's time; a broken file ends where it breaks."""
    total = 0.0
    try:
        for kind, payload in p.read_packets(stream):
            if kind == Packet.FRAME_START:
                total = read_frame(payload)[2]
    except p.Broken:
        pass
    return total


def _read_frames(stream: BinaryIO) -> Iterator[_Frame]:
    """Whole frames up to the end or to where the file breaks; times never go back."""
    frame: _Frame | None = None
    last_s = 0.0
    try:
        for kind, payload in p.read_packets(stream):
            if kind == Packet.FRAME_START:
                last_s = max(last_s, read_frame(payload)[2])
                frame = _Frame(last_s)
            elif frame is None:
                continue
            elif kind == Packet.FRAME_END:
                yield frame
                frame = None
            elif kind == Packet.ADDED:
                frame.added += p.read_added(payload)
            elif kind == Packet.REMOVED:
                frame.removed += [int(row[0]) for row in p.read_records(Packet.REMOVED, payload)]
            elif kind == Packet.PARENT:
                rows = p.read_records(Packet.PARENT, payload)
                frame.parents += [(int(child), int(parent)) for child, parent in rows]
            elif kind == Packet.POSITION:
                rows = p.read_records(Packet.POSITION, payload)
                frame.poses = {int(row[0]): row for row in rows}
            elif kind in _KEPT:
                frame.records[Packet(kind)] = p.read_records(Packet(kind), payload)
    except p.Broken:
        return


def _description(one: p.Added) -> structs.ActorDescription:
    kinds = {int(kind) for kind in structs.ActorAttributeType}
    return structs.ActorDescription(
        one.uid,
        one.id,
        [
            structs.ActorAttributeValue(name, structs.ActorAttributeType(kind), value)
            for kind, name, value in one.attributes
            if kind in kinds
        ],
    )


def _transform(pose: tuple[float, ...]) -> structs.Transform | None:
    """Centimetres and roll, pitch, yaw to the wire's; None for what cannot be a place."""
    if not all(map(math.isfinite, pose)) or max(map(abs, pose)) > LIMIT_M * p.CM:
        return None
    x, y, z, roll, pitch, yaw = pose
    return structs.Transform(
        structs.Location(x / p.CM, y / p.CM, z / p.CM), structs.Rotation(pitch, yaw, roll)
    )


def _between(a: tuple[float, ...], b: tuple[float, ...], part: float) -> tuple[float, ...]:
    """Places in a straight line, angles the short way round."""
    place = tuple(u + (v - u) * part for u, v in zip(a[:3], b[:3], strict=True))
    turn = tuple(
        u + ((v - u + 180.0) % 360.0 - 180.0) * part for u, v in zip(a[3:], b[3:], strict=True)
    )
    return place + turn


def _seen_from(actor: structs.Transform, offset: structs.Transform) -> structs.Transform:
    """The follower's view: the offset turned by the actor's yaw, angles added."""
    yaw = math.radians(actor.rotation.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    at, by = actor.location, offset.location
    return structs.Transform(
        structs.Location(
            at.x + cos * by.x - sin * by.y, at.y + sin * by.x + cos * by.y, at.z + by.z
        ),
        structs.Rotation(
            offset.rotation.pitch,
            actor.rotation.yaw + offset.rotation.yaw,
            offset.rotation.roll,
        ),
    )
