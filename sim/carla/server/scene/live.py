"""A scene in a CARLA world: begins anew with every episode on the scene's road, moves with every tick.

What a client sees of it: traffic and people are actors (role_name "traffic"), lights follow the scene's plans, the weather is the
scene's, and the first spawn points are where the scene's automated vehicles begin. Driving those is the client's part. Roadside units
send nothing. On a road that a client has sent itself nothing of the scene is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from protocols.errors import ConfigError
from protocols.roads.matching import build_index
from scenarios.formats.opendrive import read
from scenarios.load import find_map, load_scene
from sim.carla.server.lights import Lights
from sim.carla.server.scene.bodies import Bodies
from sim.carla.server.scene.lights import SceneLights
from sim.carla.server.scene.run import Run
from sim.carla.server.scene.starts import SceneMaps
from sim.carla.server.scene.weather import weather_of
from sim.config import resolve

if TYPE_CHECKING:
    from sim.carla.server.world import World

REHEARSAL_S, REHEARSAL_STEP_S = 60.0, 1.0
REHEARSED = 2  # vehicles: then every kernel has been used


class LiveScene:
    """What `World` asks of a scene. `seed` 0: the scene's own."""

    def __init__(self, name: str, seed: int = 0, *, check_planner: bool = True) -> None:
        loaded = load_scene(Path(name), [])
        base = loaded.path.resolve().parent
        net = read(find_map(loaded.spec, base))
        self.resolved = resolve(loaded.spec, base, net)
        self.seed = seed or loaded.spec.seed
        self.maps = SceneMaps(self.resolved, rule_lights=False, check_planner=check_planner)
        self._index = build_index(net)
        self._run: Run | None = None
        self._bodies: Bodies | None = None
        self._world: World | None = None
        try:
            self._rehearse()
        except ValueError as error:  # a period that is no whole number of ticks
            raise ConfigError(
                f"{loaded.spec.name}, tick_ms = {loaded.spec.tick_ms}: {error}"
            ) from error

    def _rehearse(self) -> None:
        """Drives a copy until there is somebody, so that the first client does not wait for kernels."""
        run = Run(self.resolved, self._index, self.seed)
        while run.traffic.num_spawned < REHEARSED and run.t_ns < REHEARSAL_S * 1e9:
            run.step(REHEARSAL_STEP_S, lambda: None)

    def begin(self, world: World) -> Lights:
        """A new episode has a table, a plant and a map: the scene starts at 0. The lights that go with it."""
        self._run = self._bodies = None
        if not self.maps.is_mine(world.map):
            return Lights(world.map.lights)
        run = self._run = Run(self.resolved, self._index, self.seed)
        self._world = world
        self._bodies = Bodies(world, run.states, run.statics, run.guests.is_guest)
        world.weather = weather_of(self.resolved.spec.environment)
        world.plant.between = self._bodies.place
        return SceneLights(world.map.lights, self.resolved.net, run.signals)

    def step(self, dt_s: float) -> None:
        """Traffic and controllers up to the end of this tick; who came and went."""
        run, bodies = self._run, self._bodies
        if run is None or bodies is None:
            return
        assert self._world is not None
        if self._world.desk.is_playing:  # a recording moves everybody, and leaves them to physics
            self._world.plant.between = None
            return
        if self._world.plant.between is None:
            self._world.plant.between = bodies.place
            bodies.take_back()
        run.step(dt_s, self._look)
        for row in bodies.update(run.rows.high):
            run.remove(row)

    def _look(self) -> None:
        assert self._run is not None and self._bodies is not None and self._world is not None
        self._run.guests.sync(self._world, self._bodies.owner())

    def describe(self) -> list[str]:
        """Sentences for the one who starts the server."""
        spec = self.resolved.spec
        flows = self.resolved.traffic
        out = [
            f"{spec.name}: {len(self.resolved.plans)} signal plans, {len(flows.flows)} flows of vehicles and "
            f"{len(flows.walkers)} of people, seed {self.seed}; roadside units send nothing"
        ]
        for k, item in enumerate(self.resolved.vehicles):
            size = item.params
            out.append(
                f"spawn point {k}: {item.spec.name} ({item.spec.type}, {size.total_length_m:g} m x {size.width_m:g} m)"
            )
        return out
