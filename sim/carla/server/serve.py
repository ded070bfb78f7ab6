"""`icv carla-server`: puts a world behind the two ports and keeps time.

A synchronous world moves when a client says so. An asynchronous one moves by itself, one tick per 1 / fixed_delta_seconds (20 a second where
none is fixed), never faster than the clock; a server that is too slow for that drops the lost time instead of catching up.
The clock is read here and nowhere else in the world: to pace, and for the platform time that snapshots carry.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.carla.server import blueprints, sensors
from sim.carla.server import columns as c
from sim.carla.server.actors import SpawnRefused
from sim.carla.server.dispatch import Dispatcher
from sim.carla.server.handover import Handover, Waiting
from sim.carla.server.lull import SPOKEN_BY_MANAGERS, Lull
from sim.carla.server.maps import MapStore
from sim.carla.server.transport import Connection, StreamConnection, Transport
from sim.carla.server.watchdog import Watchdog
from sim.carla.server.world import WORLD_STREAM, World
from sim.carla.wire import structs
from sim.carla.wire.rpc import LATER, Error

WATCH_S = 0.02  # how often to look for a lost wake-up while a Traffic Manager is registered
POKE_S = 0.005  # and while one is being woken
REHEARSED = ("vehicle.tesla.model3", "walker.pedestrian.0001", "static.prop.streetbarrier")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line says. Without map, maps and scene the roads of the library are served."""

    map_file: Path | None = None
    maps_dir: Path | None = None
    scene: str | None = None
    host: str = "127.0.0.1"
    port: int = 2000
    stream_port: int | None = None
    seed: int = 0
    recordings: Path = Path("carla_recordings")  # where start_recorder writes; made when it does
    rule_lights: bool = False  # lights by rule on maps that have none
    check_planner: bool = True  # refuse maps on which CARLA's route planner fails
    is_checking: bool = False  # for tests: compare every answer with its type (slow), say at the end which calls came


class Server:
    """A world, its ports, and what has to happen between requests."""

    def __init__(self, options: ServeOptions, say: Callable[[str], None]) -> None:
        check = options.check_planner
        scene = None
        if options.scene is not None:
            from sim.carla.server.scene import LiveScene  # traffic and signals: not for everybody

            scene = LiveScene(options.scene, options.seed, check_planner=check)
            store: MapStore = scene.maps
        else:
            source = options.map_file or options.maps_dir
            store = MapStore(source, rule_lights=options.rule_lights, check_planner=check)
        first = store.load(store.names()[0])
        self.watchdog = Watchdog()
        self.lull = Lull()
        self.seen: set[str] = set()  # names of calls, where they are checked
        self._is_checking = options.is_checking
        self.transport = Transport(
            self._answer,
            host=options.host,
            port=options.port,
            stream_port=options.stream_port,
            on_subscribe=self._subscribed,
            on_closed=self._closed,
            say=say,
            is_checking=options.is_checking,
        )
        self.world = World(
            store,
            first,
            seed=options.seed,
            stream_port=self.transport.stream_port,
            clock=time.time,
            recordings=options.recordings,
            say=say,
            scene=scene,
        )
        rehearse(self.world)
        self.world.begin(first, reset_settings=True)
        self.world.streams = self.transport
        self.world.handover = Handover(self._carry_out)
        self._dispatcher = Dispatcher(self.world)
        self._next_tick_s = 0.0

    def _answer(self, caller: Any, call: str, arguments: tuple[Any, ...]) -> Any:
        now_s = time.monotonic()
        self.watchdog.saw(caller, call, now_s)
        if self._is_checking:
            self.seen.add(call)
        if self.world.handover:
            if self.world.handover.keeps(caller, call, arguments):
                return LATER
            self.world.hush(False)
        if call == "load_new_episode":
            return self._load(caller, arguments)
        if self.world.managers:
            if call in SPOKEN_BY_MANAGERS:
                self.lull.heard(caller, now_s)
            elif call == "spawn_actor" and self._must_wait(caller, now_s):
                self._put_off(caller, (caller.number, call, arguments), now_s)
                return LATER
        return self._dispatcher.answer(caller, call, arguments)

    def _load(self, caller: Any, arguments: tuple[Any, ...]) -> Any:
        world = self.world
        old_episode = world.episode.id
        world.hush(True)
        try:
            result = self._dispatcher.answer(caller, "load_new_episode", arguments)
            if not isinstance(result, Error):
                num_managers = sum(m.owner is caller for m in world.managers.values())
                now_s = time.monotonic()
                if not world.handover.begin(caller, old_episode, num_managers, now_s):
                    return LATER
        finally:
            world.hush(False)
        return result

    def _must_wait(self, caller: Any, now_s: float) -> bool:
        is_heard = self.lull.next_s(caller, now_s, now_s) is not None
        return is_heard and self.world.episode.is_synchronous

    def _put_off(self, caller: Any, waiting: Waiting, since_s: float) -> None:
        """Carry the spawn out once the manager is silent. The one who asked waits for the answer and asks for nothing else."""
        due_s = self.lull.next_s(caller, since_s, time.monotonic())
        if due_s is not None:
            self.transport.call_at(due_s, lambda: self._put_off(caller, waiting, since_s))
        elif not caller.is_closed:
            self._carry_out(caller, waiting)

    def _carry_out(self, caller: Any, waiting: Waiting) -> None:
        """A call that had to wait. Its connection counts as serving it, for who answers later still."""
        number, call, arguments = waiting
        caller.number = number
        try:
            result = self._dispatcher.answer(caller, call, arguments)
        except Exception as error:
            trace = "".join(traceback.format_exception(error)[-4:])
            self.transport.report(f"{call} failed inside the server:\n{trace}")
            result = Error(f"{call} failed inside the server: {error}")
        if result is not LATER:
            caller.answer(number, result)

    def _subscribed(self, stream: int, connection: StreamConnection) -> bool:
        if stream == WORLD_STREAM:
            self.transport.send_to(connection, self.world.latest)
            self.world.joined()
            return True
        self.world.relisten()
        return self.world.knows(stream)

    def _closed(self, connection: Connection) -> None:
        self.watchdog.gone(connection)
        self.lull.gone(connection)
        if isinstance(connection, StreamConnection):
            self.world.relisten()
        else:
            self.world.closed(connection)
            self.world.hush(False)

    def between(self) -> float | None:
        """What is due, and when to look again; monotonic seconds, None: when a request comes."""
        world = self.world
        if world.handover:
            world.handover.hurry(time.monotonic())
            world.hush(False)
        if world.held:
            world.release()
        due_s = self.transport.awaited() if world.held else None
        if not world.episode.is_synchronous and not world.is_hushed:
            now_s = time.monotonic()
            if now_s >= self._next_tick_s:
                delta_s = world.episode.delta_s
                self._tick()
                self._next_tick_s = max(self._next_tick_s + delta_s, now_s)
            due_s = self._next_tick_s
        look_s = world.handover.due_s() if world.handover else None
        if look_s is not None:
            due_s = look_s if due_s is None else min(due_s, look_s)
        if world.managers or self.watchdog.is_busy:
            now_s = time.monotonic()
            if self.watchdog.is_due(now_s) and self.watchdog.watch(self._managers(), now_s):
                self.transport.report("woke a Traffic Manager that had missed a tick")
            look_s = now_s + (POKE_S if self.watchdog.is_busy else WATCH_S)
            due_s = look_s if due_s is None else min(due_s, look_s)
        return due_s

    def _tick(self) -> None:
        """Nobody waits for the answer, so nobody else would say what went wrong."""
        try:
            self.world.tick()
        except Exception as error:
            trace = "".join(traceback.format_exception(error)[-4:])
            self.transport.report(f"a tick failed inside the server:\n{trace}")

    def _managers(self) -> list[tuple[str, int]]:
        """Where managers can be reached: at the host their connection came from, whatever they say of themselves."""
        return [(m.owner.peer.rpartition(":")[0], m.port) for m in self.world.managers.values()]

    def run(self) -> None:
        """Until `transport.stop`."""
        try:
            self.transport.run(self.between)
        finally:
            self.watchdog.close()
            self.transport.close()


def rehearse(world: World) -> None:
    """One of each kind, three ticks: the kernels are compiled, or read from the cache, before the first client waits for them."""
    at = world.map.spawn_points[0] if world.map.spawn_points else structs.IDENTITY
    for number, name in enumerate(REHEARSED):
        blueprint = blueprints.find(name)
        if blueprint is None:
            continue
        place = structs.Location(at.location.x + 8.0 * number, at.location.y, at.location.z)
        wanted = structs.ActorDescription(0, name, [])
        with suppress(SpawnRefused):
            carrier = world.spawn(wanted, structs.Transform(place, at.rotation))
            if carrier.kind == c.VEHICLE:
                sensor = structs.ActorDescription(0, "sensor.other.gnss", [])
                world.spawn(sensor, structs.IDENTITY, carrier.id, 0)
    sensors.warm()
    for _ in range(3):
        world.tick()


def serve(options: ServeOptions, say: Callable[[str], None] = print) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    server = Server(options, say)
    world, transport = server.world, server.transport
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: transport.stop())
    if world.scene is not None:
        for sentence in world.scene.describe():
            say(sentence)
    gc.collect()
    gc.freeze()  # what is there now stays: collections need not look at it again
    say(
        f"CARLA 0.9.16 server ready on {transport.host}:{transport.port} (streams on "
        f"{transport.stream_port}), map {world.map.name}, seed {options.seed}"
    )
    server.run()
    if options.is_checking:
        say(f"calls made: {' '.join(sorted(server.seen))}")
    return 0
