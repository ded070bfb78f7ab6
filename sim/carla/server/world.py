"""The world behind the ports: one episode's actors, map, lights, physics and sensors, and what a tick does with them.

A tick, in CARLA's order: lights and ground, physics, what is attached, the snapshot on the world stream, then the sensors' messages. The
reply to the client's tick follows when `tick` has returned. One thread owns all of this.
"""

from __future__ import annotations

import struct
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from protocols.errors import IcvError
from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server import columns as c
from sim.carla.server import ground as grounds
from sim.carla.server import sensors as sensor_kinds
from sim.carla.server.actors import Actor, Actors, SpawnRefused, description
from sim.carla.server.episode import Episode
from sim.carla.server.ground import Ground
from sim.carla.server.handover import Handover
from sim.carla.server.lights import Lights
from sim.carla.server.maps import LoadedMap, MapStore
from sim.carla.server.navmesh import nav_name, navmesh
from sim.carla.server.plant import Plant
from sim.carla.server.recorder.desk import Desk
from sim.carla.server.sensors.view import Sensor, View
from sim.carla.server.snapshot import Snapshots
from sim.carla.server.stage import Stage
from sim.carla.server.table import Floats, Table
from sim.carla.wire import structs, tokens
from sim.carla.wire.rpc import Error, Value
from sim.carla.wire.streams import Registry, SimulationState, pack_header

if TYPE_CHECKING:
    from sim.carla.server.scene import LiveScene

VERSION = "0.9.16"
WORLD_STREAM = 1
MAX_MESHES = 4  # walkers' meshes kept, so that going back to a map is quick
NEWS_TICKS = 10  # until a new map is told where nobody joins
SNAPSHOT_FLAGS = struct.Struct("<I")  # the last field of a snapshot's header
TRAFFIC_LIGHT = int(structs.CityObjectLabel.TRAFFIC_LIGHT)
TRAFFIC_SIGNS = int(structs.CityObjectLabel.TRAFFIC_SIGNS)
CLEAR_NOON = structs.WeatherParameters(
    5.0, 0.0, 0.0, 10.0, -1.0, 45.0, 2.0, 0.75, 0.1, 0.0, 1.0, 0.03, 0.0331, 0.0
)  # what the wheel calls WeatherParameters.ClearNoon


class Streams(Protocol):
    """The part of the transport a world needs."""

    def send(self, stream_id: int, chunks: Sequence[bytes]) -> int:
        """A message to everyone who subscribed."""

    def subscribers(self, stream_id: int) -> Sequence[Any]:
        """Who did."""

    def expect(self, stream_id: int) -> None:
        """A client was told where the stream is and will subscribe."""

    def awaited(self) -> float | None:
        """None when no expected subscription is missing."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A Traffic Manager somewhere in a client: where it says it listens, and the connection that said so."""

    host: str
    port: int
    owner: Any


class World:
    """See the module. `clock` gives seconds for `platform_timestamp` and for nothing else."""

    FIXED = (c.LIGHT, c.SIGN)

    def __init__(
        self,
        store: MapStore,
        first: LoadedMap,
        *,
        seed: int,
        stream_port: int,
        clock: Callable[[], float],
        recordings: Path = Path("carla_recordings"),
        say: Callable[[str], None] = print,
        scene: LiveScene | None = None,
    ) -> None:
        self.say = say
        self.scene = scene  # whose traffic and signals are in the world
        self.store = store
        self.seed = seed
        self.streams: Streams | None = None
        self.held: deque[Any] = deque()
        self.managers: dict[int, Manager] = {}
        self.asked_port: dict[Any, int] = {}  # by connection: for whose manager it asked last
        self.handover = Handover(lambda *_: None)
        self.is_hushed = False  # nothing goes out on the world stream
        self.generated: LoadedMap | None = None
        self.stage = Stage(self)
        self._recordings = recordings
        self.desk = Desk(recordings, self.stage, self.stage)
        self.weather = CLEAR_NOON
        self.num_shapes = 0
        self.latest: tuple[bytes, ...] = ()
        self._news = 0  # ticks until clients are told that the map has changed
        self.episode = Episode()
        self.sensors: dict[int, Sensor] = {}
        self._clock = clock
        self._stream_port = stream_port
        self._next_stream = WORLD_STREAM + 1
        self._stream_of: dict[int, int] = {}  # stream -> actor
        self._navigation: list[tuple[LoadedMap, bytes]] = []
        self.begin(first, reset_settings=True)

    # ---- episodes

    def begin(self, loaded: LoadedMap, *, reset_settings: bool) -> None:
        """A new episode on a map; its first snapshot goes out at once, as clients wait for it."""
        if self.episode.id:
            self.desk.stop()
            self.desk.stop_replay(True)
            self.desk = Desk(self._recordings, self.stage, self.stage)
        self.map = loaded
        self.table = Table()
        self.snapshots = Snapshots(self.table)
        self.actors = Actors(self.table, self.snapshots, self._new_stream)
        self.plant = Plant(self.table)
        self.ground: Ground = loaded.ground
        self.statics: Floats = loaded.statics
        self._switched_off: set[int] = set()
        self.shown_steer: dict[tuple[int, int], float] = {}
        self.shown_pitch: dict[tuple[int, int], float] = {}
        for sensor in self.sensors.values():
            sensor.close()
        self.sensors.clear()
        self._listened: list[tuple[Actor, Sensor]] = []
        self._stream_of.clear()
        self.weather = CLEAR_NOON
        self.imu_gravity_mps2 = 9.81
        self.num_shapes = 0
        self.view = View(
            self.table,
            self.ground,
            self.statics,
            loaded.net,
            self.seed,
            self._wire,
            geo=loaded.geo,
            weather=self.weather,
        )
        self.spectator = self._place_spectator()
        self.lights = Lights(loaded.lights) if self.scene is None else self.scene.begin(self)
        self._place_fixed()
        self.lights.locate(self.table)
        self.episode.begin(reset_settings=reset_settings)
        self._publish(0.0)
        self._news = NEWS_TICKS

    def joined(self) -> None:
        """Someone subscribed to the world: a new map is told with the next tick."""
        self._news = min(self._news, 1)

    def hush(self, wanted: bool) -> None:
        """Whether the world stream is silent; it stays so while a client is on its way. The end tells everybody what they missed."""
        was_hushed, self.is_hushed = self.is_hushed, wanted or bool(self.handover)
        if was_hushed and not self.is_hushed and self.streams is not None:
            self.streams.send(WORLD_STREAM, self.latest)

    def _place_spectator(self) -> Actor:
        row = self.actors.place(c.SPECTATOR, 0)
        if self.map.spawn_points:
            at = self.map.spawn_points[0]
            self.table.f[row, c.X : c.ROLL + 1] = (
                at.location.x, at.location.y, at.location.z + 2.0, 0.0, at.rotation.yaw, 0.0,
            )  # fmt: skip
        return self.actors.enlist(row, None, description("spectator", {}), {})

    def _place_fixed(self) -> None:
        """Lights and signs of the map become actors, in the map's order."""
        ids: list[int] = []
        for head in self.lights.actors():
            tag = TRAFFIC_LIGHT if head.kind == c.LIGHT else TRAFFIC_SIGNS
            row = self.actors.place(head.kind, tag)
            f = self.table.f
            at, turn = head.transform.location, head.transform.rotation
            f[row, c.X : c.ROLL + 1] = (at.x, at.y, at.z, turn.pitch, turn.yaw, turn.roll)
            f[row, c.EXT_X : c.EXT_Z + 1] = head.box_extent
            f[row, c.BOX_X : c.BOX_Z + 1] = head.box_centre
            self.snapshots.label(row, head.sign_id)
            one = self.actors.enlist(row, None, description(head.blueprint_id, {}), {})
            ids.append(one.id)
        self.lights.bind(self.table, ids)

    # ---- actors

    def spawn(
        self,
        wanted: structs.ActorDescription,
        transform: structs.Transform,
        parent: int = 0,
        attachment: int = 0,
        *,
        is_checked: bool = True,
    ) -> Actor:
        """A new actor; SpawnRefused says why not. Unchecked, it may stand where another one does."""
        if parent and parent not in self.actors.by_id:
            raise SpawnRefused("unable to attach actor: parent actor not found")
        statics = self.statics if is_checked else None
        one = self.actors.spawn(wanted, transform, statics, parent=parent, attachment=attachment)
        try:
            self._equip(one)
        except ValueError as error:
            self.destroy(one.id)
            raise SpawnRefused(
                f"Spawn failed because of invalid actor description: {error}"
            ) from None
        return one

    def _equip(self, one: Actor) -> None:
        if one.blueprint is not None and one.kind in (c.VEHICLE, c.WALKER, c.PROP):
            self.plant.add(one.row, one.blueprint)
        elif one.kind == c.SENSOR:
            self._stream_of[one.stream] = one.id
            sensor = sensor_kinds.make(
                one.row, one.id, one.wire.description.id, one.attributes, self.view
            )
            if sensor is not None:
                self.sensors[one.id] = sensor

    def destroy(self, actor: int) -> str:
        """It and what hangs on it; why not, where it stays."""
        one = self.actors.get(actor)
        if one is None:
            return "unable to destroy actor: not found"
        if one.kind in self.FIXED or one.kind == c.SPECTATOR:
            return "unable to destroy actor: lights, signs and the spectator belong to the map"
        self.actors.destroy(actor, self._gone)
        return ""

    def _gone(self, one: Actor) -> None:
        if one.kind in (c.VEHICLE, c.WALKER, c.PROP):
            self.plant.remove(one.row)
        sensor = self.sensors.pop(one.id, None)
        if sensor is not None:
            sensor.close()
        if one.stream:
            self._stream_of.pop(one.stream, None)
            self.relisten()

    def _wire(self, actor: int) -> Any:
        one = self.actors.by_id.get(actor)
        return one.wire if one is not None else NOBODY

    def switch_objects(self, ids: list[int], is_enabled: bool) -> None:
        """Things of the map that are or are not there."""
        known = set(ids)
        if is_enabled:
            self._switched_off -= known
        else:
            self._switched_off |= known & {int(o.id) for o in self.map.objects}
        keep = ~np.isin(self.map.statics[:, 8], np.array(sorted(self._switched_off), dtype=float))
        self.statics = np.ascontiguousarray(self.map.statics[keep])
        self.view.statics = self.statics

    def navigation_name(self) -> str:
        """Under which name clients ask for the walkers' mesh of this map; "" on a map without lanes."""
        return nav_name(self.map.net, self.map.name) if self.map.net.num_lanes else ""

    def navigation(self) -> bytes:
        """The walkers' mesh of this map, made when the first client asks for it; empty where none can be made."""
        for loaded, mesh in self._navigation:
            if loaded is self.map:
                return mesh
        try:
            mesh = navmesh(self.map.net)
        except IcvError as error:
            self.say(f"no mesh for AI walkers: {error}")
            mesh = b""
        self._navigation = [(self.map, mesh), *self._navigation[: MAX_MESHES - 1]]
        return mesh

    # ---- streams

    def _new_stream(self) -> tuple[int, bytes]:
        stream = self._next_stream
        self._next_stream += 1
        return stream, self.token(stream)

    def token(self, stream: int) -> bytes:
        """The 24 bytes that lead to a stream."""
        return tokens.pack(stream, self._stream_port)

    def relisten(self) -> None:
        """Subscriptions changed: which sensors have a listener, in the order of their ids."""
        streams = self.streams
        if streams is None:
            return
        self._listened = [
            (self.actors.by_id[actor], sensor)
            for actor, sensor in sorted(self.sensors.items())
            if streams.subscribers(self.actors.by_id[actor].stream)
        ]

    def expect(self, stream: int) -> None:
        """A client was told where a sensor's stream is: ticks wait for its subscription."""
        if self.streams is not None and stream in self._stream_of:
            self.streams.expect(stream)

    def knows(self, stream: int) -> bool:
        """Whether the stream is, or was, one of this server's."""
        return 0 < stream < self._next_stream

    # ---- ticks

    def tick(self) -> None:
        """One step of everything."""
        table, episode = self.table, self.episode
        dt_s = episode.delta_s
        if self.desk.is_playing:
            self.desk.step(dt_s)
        if self.scene is not None:
            self.scene.step(dt_s)
        self.lights.step(table, dt_s)
        grounds.sample(self.ground, table.f, table.i, table.high)
        if self.actors.friction_boxes.shape[0]:
            kernels.friction(table.f, table.i, table.high, self.actors.friction_boxes)
        contacts = self.plant.step(table, self.statics, dt_s, episode.substep_s)
        self.actors.attachments.follow()
        self.lights.locate(table)
        episode.advance()
        self._publish(dt_s)
        if self.actors.forgetful:
            table.f[self.actors.forgetful, c.THROTTLE : c.BRAKE + 1] = 0.0
        if self.desk.is_recording:
            self.desk.record(self.stage.touched(contacts))
        view = self.view
        view.weather, view.gravity_mps2 = self.weather, self.imu_gravity_mps2
        view.advance(episode.frame, episode.elapsed_s, dt_s, contacts)
        if self._listened:
            self._sense()

    def _publish(self, dt_s: float) -> None:
        """The snapshot, for the world stream and for who joins later.

        MAP_CHANGE makes clients that stay read the map anew. It does not come with an episode's first snapshot but once the one who asked
        for the episode has joined it: the wheel answers the flag with a call from within the stream's callback, and where that was
        the stream it was about to leave, one reload in a hundred ended in a crash of the client.
        """
        episode = self.episode
        head = pack_header(Registry.WORLD, episode.frame, episode.elapsed_s)
        header, records = self.snapshots.pack(
            episode.id, self._clock(), dt_s, int(SimulationState.NONE)
        )
        self.latest = chunks = (head, header, records)
        if self._news and dt_s > 0.0:
            self._news -= 1
            if not self._news:
                flagged = SNAPSHOT_FLAGS.pack(int(SimulationState.MAP_CHANGE))
                chunks = (head, header[: -SNAPSHOT_FLAGS.size] + flagged, records)
        if self.streams is not None and not self.is_hushed:
            self.streams.send(WORLD_STREAM, chunks)

    def _sense(self) -> None:
        """Every sensor that is due and has a listener: its messages."""
        streams, view = self.streams, self.view
        assert streams is not None
        f = self.table.f
        for one, sensor in self._listened:
            if not sensor.due(view.elapsed_s):
                continue
            try:
                bodies = sensor.sample(view)
            except Exception as error:
                # One sensor's fault must not take the world along; it falls silent and says why.
                name = one.wire.description.id
                self.say(f"{name} {one.id} stopped: {type(error).__name__}: {error}")
                del self.sensors[one.id]
                self.relisten()
                continue
            if not bodies:
                continue
            x, y, z, pitch, yaw, roll = f[one.row, : c.ROLL + 1].tolist()
            head = pack_header(
                sensor.stream_type, view.frame, view.elapsed_s, (x, y, z, pitch, yaw, roll)
            )
            for body in bodies:
                streams.send(one.stream, (head, body))

    # ---- clients that wait or leave

    @property
    def is_awaiting(self) -> bool:
        """Whether ticks have to wait: for a subscription, or for a tick that already does."""
        if self.held or self.is_hushed:
            return True
        return self.streams is not None and self.streams.awaited() is not None

    def hold(self, caller: Any) -> None:
        """A tick that has to wait for a subscription."""
        self.held.append((caller, caller.number))

    def release(self) -> None:
        """The ticks whose wait is over, in the order they came; each is answered before the next is made."""
        while self.held and not self.is_hushed and self.streams is not None:
            if self.streams.awaited() is not None:
                return
            caller, number = self.held.popleft()
            try:
                if self.episode.is_synchronous:
                    self.tick()
            except Exception as error:
                self.say(f"a tick failed: {''.join(traceback.format_exception(error)[-4:])}")
                caller.answer(number, Error(f"tick_cue failed inside the server: {error}"))
                continue
            caller.answer(number, Value(self.episode.frame))

    def closed(self, caller: Any) -> None:
        """A client's connection is gone: its Traffic Managers and its waiting ticks go with it."""
        self.asked_port.pop(caller, None)
        for port in [p for p, m in self.managers.items() if m.owner is caller]:
            del self.managers[port]
        self.held = deque(h for h in self.held if h[0] is not caller)
        self.handover.end(caller, is_gone=True)


NOBODY = structs.Actor(
    0,
    0,
    description("", {}),
    structs.BoundingBox(structs.ORIGIN, structs.ZERO, structs.LEVEL, 0),
    b"",
    b"",
)
