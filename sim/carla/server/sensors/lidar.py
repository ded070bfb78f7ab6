"""Ray-cast lidars, plain and semantic: one step's part of the turn, all rays from one pose.

A step of dt seconds turns the head by rotation_frequency x horizontal_fov x dt and shoots points_per_second x dt rays, spread evenly
over the channels (CARLA's rule; sensor_tick makes it skip steps, not shoot more). Channel 0 looks highest. Points are in the sensor's
frame: x forward, y right, z up. Intensity is exp(-attenuation x distance).
"""

from __future__ import annotations

import math

import numpy as np

from sim.carla.server.ground import Floats, Ints
from sim.carla.server.sensors import _ray_kernels
from sim.carla.server.sensors.scene import Bodies, Scene, pose
from sim.carla.server.sensors.view import NORMAL, Sensor, Setup, View

MOST_RAYS = 4_000_000  # a step; a client that asks for more gets an error, not the server's memory


class Lidar(Sensor):
    """What both kinds share: rays and their nearest hits."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._channels = setup.whole("channels", 32, 1, 4096)
        self._reach = setup.number("range", 10.0, 0.0, 1e6)
        self._rate = setup.number("points_per_second", 56000.0, 0.0, 1e9)
        self._turns_hz = setup.number("rotation_frequency", 10.0, 0.0, 1e6)
        self._view = math.radians(setup.number("horizontal_fov", 360.0, 0.01, 360.0))
        upper = math.radians(setup.number("upper_fov", 10.0, -90.0, 90.0))
        lower = math.radians(setup.number("lower_fov", -30.0, -90.0, 90.0))
        self._upper = upper
        self._down = (upper - lower) / (self._channels - 1) if self._channels > 1 else 0.0
        elevation = upper - self._down * np.arange(self._channels)
        self._elevation = np.column_stack([np.cos(elevation), np.sin(elevation)])
        self._current = 0.0  # the head, 0 at the left end of the view
        self._hits: tuple[Floats, Ints, Floats] | None = None
        self.counts = np.zeros(self._channels, dtype=np.uint32)

    def _cast(self, view: View) -> tuple[Scene, Bodies, Floats] | None:
        """Hits of this step into `_hits`; None where there is nothing to shoot."""
        points = math.floor(self._rate * view.delta_s / self._channels + 0.5)
        if points <= 0:
            return None
        if points * self._channels > MOST_RAYS:
            points = MOST_RAYS // self._channels
        if self._hits is None or self._hits[0].shape[0] != points:
            shape = (points, self._channels)
            self._hits = np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape)
        turned = self._turns_hz * self._view * view.delta_s
        step = turned / points
        along = np.fmod(self._current + step * np.arange(points), self._view)
        azimuth = np.column_stack(
            [np.cos(along - 0.5 * self._view), np.sin(along - 0.5 * self._view)]
        )
        grid = np.array([self._current, step, self._view, self._upper, self._down, self._channels])
        at, rot = pose(view, self.row)
        scene, seen = view.scene(), view.bodies()
        _ray_kernels.sweep(
            at, rot, self._reach, grid, azimuth, self._elevation, seen.body, seen.count, scene.tri, scene.bound,
            scene.terrain.x, scene.terrain.y, scene.terrain.z, *self._hits,
        )  # fmt: skip
        self._current = math.fmod(self._current + turned, self._view)
        return scene, seen, azimuth

    def _header(self) -> bytes:
        angle = np.array([self._current], dtype="<f4").tobytes()
        return b"".join((angle, np.array([self._channels], "<u4").tobytes(), self.counts.tobytes()))


class RayCastLidar(Lidar):
    """sensor.lidar.ray_cast."""

    stream_type = 11

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._fade = setup.number("atmosphere_attenuation_rate", 0.004, 0.0, 1e3)
        self._drop = setup.number("dropoff_general_rate", 0.45, 0.0, 1.0)
        self._limit = setup.number("dropoff_intensity_limit", 0.8, 0.0, 1.0)
        self._zero = setup.number("dropoff_zero_intensity", 0.4, 0.0, 1.0)
        self._sigma = setup.number("noise_stddev", 0.0, 0.0, 1e3)
        self._out = np.empty((0, 4), dtype=np.float32)

    def sample(self, view: View) -> list[bytes]:
        made = self._cast(view)
        if made is None or self._hits is None:
            return []
        depth, hit, _ = self._hits
        if self._out.shape[0] != depth.size:
            self._out = np.empty((depth.size, 4), dtype=np.float32)
        count = _ray_kernels.echoes(
            self.key, self.turn, self._drop, self._zero, self._limit, self._fade, self._sigma, NORMAL, made[2],
            self._elevation, depth, hit, self.counts, self._out,
        )  # fmt: skip
        self.turn += 1
        return [self._header() + self._out[:count].tobytes()]


class SemanticLidar(Lidar):
    """sensor.lidar.ray_cast_semantic: no noise, no loss; actor 0 where no actor was hit."""

    stream_type = 10

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._out = np.empty((0, 6), dtype=np.float32)

    def sample(self, view: View) -> list[bytes]:
        made = self._cast(view)
        if made is None or self._hits is None:
            return []
        scene, seen, azimuth = made
        depth, hit, cosine = self._hits
        if self._out.shape[0] != depth.size:
            self._out = np.empty((depth.size, 6), dtype=np.float32)
        count = _ray_kernels.labelled(
            azimuth, self._elevation, depth, hit, cosine, seen.mark, scene.tri_tag, scene.terrain_tag, self.counts,
            self._out, self._out.view(np.uint32),
        )  # fmt: skip
        return [self._header() + self._out[:count].tobytes()]
