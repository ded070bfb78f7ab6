"""What the server's calls and its tick talk to: one recorder and one replayer, never both at work.

`record` compares who is there with who was there a tick ago, so nobody has to report spawning and destroying. `step` comes
before physics in a tick and moves who is replayed; `record` comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sim.carla.server.recorder.recorder import Events, Recorder, WorldView
from sim.carla.server.recorder.replay import Replayer, Stage
from sim.carla.wire import structs

MAX_TIME_FACTOR = 1e3


class Desk:
    """Names are those of CARLA's calls, as far as they can be."""

    def __init__(self, directory: Path, world: WorldView, stage: Stage):
        self._world = world
        self._recorder = Recorder(directory)
        self._replayer = Replayer(directory, stage)
        self._known: dict[int, None] = {}  # in the order of coming

    @property
    def is_recording(self) -> bool:
        """Whether `record` writes."""
        return self._recorder.is_recording

    @property
    def is_playing(self) -> bool:
        """Whether `step` moves anybody."""
        return self._replayer.is_playing

    def start(self, name: str, additional_data: bool, *, date_s: int = 0) -> str:
        """start_recorder: the file's path. NameRefused (a ValueError) says why not. A replay ends and takes its actors with it."""
        self._replayer.stop(keep_actors=False)
        path = self._recorder.start(self._world, name, additional_data, date_s=date_s)
        self._known = dict.fromkeys(actor.id for actor in self._world.everybody())
        return path

    def record(self, contacts: Iterable[tuple[int, int]] = ()) -> None:
        """A tick has ended; `contacts` are pairs of ids that touched, 0 for what is not an actor."""
        if not self.is_recording:
            return
        now = {actor.id: actor for actor in self._world.everybody()}
        events = Events(
            added=[actor for number, actor in now.items() if number not in self._known],
            removed=[number for number in self._known if number not in now],
            collisions=list(contacts),
        )
        self._known = dict.fromkeys(now)
        self._recorder.record(self._world.elapsed_s, self._world.table, events)

    def stop(self) -> None:
        """stop_recorder; also when a new episode begins, because ids begin anew."""
        self._recorder.stop()

    def file_info(self, name: str, show_all: bool) -> str:
        """show_recorder_file_info."""
        return self._recorder.file_info(name, show_all)

    def collisions(self, name: str, type1: str, type2: str) -> str:
        """show_recorder_collisions."""
        return self._recorder.collisions(name, type1, type2)

    def blocked(self, name: str, min_time_s: float, min_distance_cm: float) -> str:
        """show_recorder_actors_blocked."""
        return self._recorder.actors_blocked(name, min_time_s, min_distance_cm)

    def map_of(self, name: str) -> str | None:
        """The map a recording needs, to be loaded before `replay`; None where there is no such recording."""
        return self._replayer.map_of(name)

    def replay(
        self,
        name: str,
        start_s: float,
        duration_s: float,
        follow_id: int,
        replay_sensors: bool,
        offset: structs.Transform,
    ) -> str:
        """replay_file. A recording that runs ends."""
        self._recorder.stop()
        return self._replayer.replay(name, start_s, duration_s, follow_id, replay_sensors, offset)

    def step(self, dt_s: float) -> None:
        """A tick begins: move who is replayed."""
        self._replayer.step(dt_s)

    def stop_replay(self, keep_actors: bool) -> None:
        """stop_replayer."""
        self._replayer.stop(keep_actors)

    def set_time_factor(self, factor: float) -> None:
        """set_replayer_time_factor; a recording cannot run backwards."""
        self._replayer.time_factor = min(max(factor, 0.0), MAX_TIME_FACTOR)

    def ignore_hero(self, is_ignored: bool) -> None:
        """set_replayer_ignore_hero."""
        self._replayer.ignore_hero = is_ignored

    def ignore_spectator(self, is_ignored: bool) -> None:
        """set_replayer_ignore_spectator."""
        self._replayer.ignore_spectator = is_ignored
