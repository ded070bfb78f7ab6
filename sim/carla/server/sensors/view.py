"""What sensors are shown of the world each frame, and what every sensor has in common: when it is due and what it was asked for.

A world keeps one `View` for an episode and calls `advance` after every step. Noise is drawn from (run seed, blueprint, the sensor's
own noise_seed, its own number of samples): a repetition in the same server has other actor ids and frame numbers, and still has to
give the same bytes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols import streams
from protocols.roads.network import RoadNetwork
from sim.carla.server import columns as c
from sim.carla.server.ground import Floats, Ground, Ints
from sim.carla.server.sensors import furniture
from sim.carla.server.sensors import scene as scenes
from sim.carla.server.sensors.air import Air
from sim.carla.server.table import Table
from sim.sensors.draws import normal_quantiles

NORMAL = normal_quantiles()


@dataclass(slots=True)
class View:
    """The world as the sensors of one episode see it. `ground`, `net`, lights and signs never change within it."""

    table: Table
    ground: Ground
    statics: Floats  # (S, 9) cx cy cz yaw_deg ext_x ext_y ext_z tag id
    net: RoadNetwork | None
    seed: int
    actor: Callable[[int], Any]  # the wire's Actor struct of an id, encoded as an array
    geo: tuple[float, float] = (0.0, 0.0)  # latitude and longitude of the world's origin
    weather: Any = None  # the wire's WeatherParameters
    frame: int = 0
    elapsed_s: float = 0.0
    delta_s: float = 0.05
    contacts: npt.NDArray[Any] | None = None  # of the last step, see `events.Collision`
    gravity_mps2: float = 9.81  # as set_imui_gravity last said
    air: Air = field(default_factory=Air)
    _scene: scenes.Scene | None = None
    _bodies: scenes.Bodies | None = None
    _furniture: tuple[Floats, Ints] | None = None
    painting: Any = None  # `paint.Painting`, built by the first camera

    def advance(
        self, frame: int, elapsed_s: float, delta_s: float, contacts: npt.NDArray[Any] | None = None
    ) -> None:
        """A step was made; what was seen before is old."""
        self.frame, self.elapsed_s, self.delta_s = frame, elapsed_s, delta_s
        self.contacts = contacts
        self._bodies = None
        if self.air.stations:
            self.air.sent(self)  # stations send whether anybody listens or not

    def scene(self) -> scenes.Scene:
        """What never moves; built when the first sensor looks, its boxes again when `statics` was replaced."""
        if self._scene is None:
            self._scene = scenes.build(self.ground, self.statics)
        elif self._scene.statics is not self.statics:
            self._scene = scenes.with_statics(self._scene, self.statics)
        return self._scene

    def bodies(self) -> scenes.Bodies:
        """Every box of this frame; gathered once."""
        if self._bodies is None:
            if self._furniture is None:
                self._furniture = furniture.build(self.table, self.ground)
            self._bodies = scenes.bodies(self, self.scene(), self._furniture)
        return self._bodies

    def parent(self, row: int) -> int:
        """Row of the actor that carries `row`; `row` itself where none does."""
        carrier = int(self.table.i[row, c.PARENT])
        return self.table.row_of.get(carrier, row) if carrier else row


class Sensor(ABC):
    """One sensor. Subclasses give `stream_type`, the index in CARLA's registry, and `sample`."""

    stream_type: int = -1

    def __init__(self, setup: Setup) -> None:
        self.row, self.actor_id = setup.row, setup.actor_id
        self._tick_s = setup.number("sensor_tick", 0.0, 0.0, 1e6)
        self._first_s = 0.0
        self._next_s = -math.inf
        self.key = np.uint64(
            streams.key(setup.seed, f"carla/{setup.blueprint}/{setup.whole('noise_seed', 0)}")
        )
        self.turn = 0  # samples so far: the counter of its noise

    def due(self, elapsed_s: float) -> bool:
        """Whether to sample now; a yes books the next time. The first time is at once, then every `sensor_tick` from there."""
        if self._tick_s <= 0.0:
            return True
        slack = 1e-6 + 1e-12 * abs(elapsed_s)
        if elapsed_s < self._next_s - slack:
            return False
        if self._next_s == -math.inf:
            self._first_s = elapsed_s
        passed = math.floor((elapsed_s - self._first_s + slack) / self._tick_s)
        self._next_s = self._first_s + (passed + 1) * self._tick_s
        return True

    @abstractmethod
    def sample(self, view: View) -> list[bytes]:
        """Bodies of this frame's events, header excluded."""

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """The actor is gone."""

    def normals(self, count: int) -> Floats:
        """`count` standard normal draws for this sample; counts the sample."""
        word = _mix(np.array([self.key], np.uint64), np.array([self.turn], np.uint64))
        self.turn += 1
        words = _mix(word, np.arange(count, dtype=np.uint64))
        drawn: Floats = NORMAL[words >> np.uint64(52)]
        return drawn


@dataclass(frozen=True, slots=True)
class Setup:
    """What a sensor is made from. Attribute values come from clients; a bad one raises ValueError with a sentence."""

    row: int
    actor_id: int
    blueprint: str
    attributes: Mapping[str, str]
    seed: int

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A finite number within low..high."""
        text = self.attributes.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(
                f"{self.blueprint}: {name} = {text!r}, expected a number from {low:g} to {high:g}"
            )
        return value

    def whole(self, name: str, default: int, low: int = -(2**63), high: int = 2**63) -> int:
        """A whole number within low..high."""
        text = self.attributes.get(name)
        if text is None:
            return default
        try:
            value = int(text) if len(text) <= 20 else low - 1
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(
                f"{self.blueprint}: {name} = {text[:40]!r}, expected a whole number from {low} to {high}"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or False as CARLA writes them."""
        text = self.attributes.get(name)
        return default if text is None else text.strip().lower() in ("true", "1")


_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


def _mix(state: npt.NDArray[np.uint64], word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # SplitMix64 as in `_ray_kernels`, for a handful of draws.
    z = state + word * _GAMMA + _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _M1
    z = (z ^ (z >> np.uint64(27))) * _M2
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed
