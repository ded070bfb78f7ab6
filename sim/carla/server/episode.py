"""One episode after another: ids, frame numbers, the clock of the simulation, settings, the map on the table.

Frame numbers grow for as long as the server runs. Elapsed seconds are counted from the beginning of an episode, as CARLA documents them:
a world that is reloaded gives the same numbers, to the last bit, as it gave the first time.
"""

from __future__ import annotations

from sim.carla.wire import structs

DEFAULT_SETTINGS = structs.EpisodeSettings(
    synchronous_mode=False,
    no_rendering_mode=False,
    fixed_delta_seconds=structs.NOTHING,
    substepping=True,
    max_substep_delta_time=0.01,
    max_substeps=10,
    max_culling_distance=0.0,
    deterministic_ragdolls=False,
    tile_stream_distance=3000.0,
    actor_active_distance=2000.0,
    spectator_as_ego=True,
)
FREE_DELTA_S = (
    0.05  # the step where none is fixed: 20 a second, whatever the clock of this machine does
)
MAX_DELTA_S = 10.0
GENERATED_MAP = "OpenDriveMap"  # the name a client asks for after it has sent a road file


class Episode:
    """Where the simulation stands."""

    def __init__(self, settings: structs.EpisodeSettings = DEFAULT_SETTINGS) -> None:
        self.id = 0
        self.frame = 0
        self.elapsed_s = 0.0
        self.settings = settings

    @property
    def settings(self) -> structs.EpisodeSettings:
        """As a client gave them. With them, ready for every tick: `delta_s`, what one tick adds; `substep_s`, the longest step physics may
        take, None where it takes the tick's; `is_synchronous`, whether a client's tick is waited for.
        """
        return self._settings

    @settings.setter
    def settings(self, s: structs.EpisodeSettings) -> None:
        self._settings = s
        self.is_synchronous = s.synchronous_mode
        self.delta_s = s.delta_s or FREE_DELTA_S
        longest_s = (
            max(s.max_substep_delta_time, self.delta_s / s.max_substeps) if s.substepping else None
        )
        self.substep_s: float | None = longest_s

    def begin(self, *, reset_settings: bool) -> None:
        """A new episode; the frame goes on counting."""
        self.id += 1
        self.frame += 1
        self.elapsed_s = 0.0
        if reset_settings:
            self.settings = DEFAULT_SETTINGS

    def advance(self) -> None:
        """One tick has been made."""
        self.frame += 1
        self.elapsed_s += self.delta_s


def complaint(settings: structs.EpisodeSettings) -> str:
    """Why settings cannot be used; empty where they can."""
    delta_s = settings.delta_s
    if delta_s is not None and not 0.0 < delta_s <= MAX_DELTA_S:
        return f"fixed_delta_seconds is {delta_s}; it has to be above 0 and at most {MAX_DELTA_S} s"
    if settings.substepping and not 1 <= settings.max_substeps <= 16:
        return f"max_substeps is {settings.max_substeps}; it has to be 1 to 16"
    if settings.substepping and not 0.0 < settings.max_substep_delta_time <= MAX_DELTA_S:
        return (
            f"max_substep_delta_time is {settings.max_substep_delta_time}; it has to be above 0 and "
            f"at most {MAX_DELTA_S} s"
        )
    return ""


def map_key(name: str) -> str:
    """What a client means by a map's name: the last part of a path."""
    return name.rstrip("/").rpartition("/")[2]
