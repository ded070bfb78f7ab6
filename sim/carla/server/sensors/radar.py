"""sensor.other.radar: random rays in a cone, and how fast what they meet moves along them.

Velocity is that of the target relative to the sensor along the ray: positive where it moves away, negative where it comes closer
(CARLA's documentation calls it "velocity towards the sensor"; its values have this sign). The road and buildings stand still. Rays are
drawn anew each sample: uniform in the share of the cone's radius, not in area, so they crowd in its middle.
"""

from __future__ import annotations

import math

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.sensors import _ray_kernels
from sim.carla.server.sensors._scene_kernels import BVX
from sim.carla.server.sensors.motion import cross, spin
from sim.carla.server.sensors.scene import pose
from sim.carla.server.sensors.view import Sensor, Setup, View

_MOST = 1_000_000  # rays a step


class RadarSensor(Sensor):
    """Rows of velocity, azimuth (right positive), altitude (up positive), distance."""

    stream_type = 9

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._wide = math.tan(math.radians(0.5 * setup.number("horizontal_fov", 30.0, 0.0, 179.0)))
        self._high = math.tan(math.radians(0.5 * setup.number("vertical_fov", 30.0, 0.0, 179.0)))
        self._reach = setup.number("range", 100.0, 0.0, 1e6)
        self._rate = setup.number("points_per_second", 1500.0, 0.0, 1e9)

    def sample(self, view: View) -> list[bytes]:
        count = min(int(self._rate * view.delta_s + 1e-9), _MOST)
        at, rot = pose(view, self.row)
        direction, length = np.empty((count, 3)), np.empty(count)
        angle, depth = np.empty((count, 2)), np.empty(count)
        hit = np.empty(count, dtype=np.int64)
        _ray_kernels.cone(
            self.key, self.turn, rot, self._wide, self._high, self._reach, direction, length, angle
        )
        self.turn += 1
        scene, seen = view.scene(), view.bodies()
        half = math.atan(max(self._wide, self._high)) + 1e-9
        _ray_kernels.cast(
            at, rot[0], half, direction, length, seen.body, seen.count, scene.tri, scene.bound, scene.terrain.x,
            scene.terrain.y, scene.terrain.z, depth, hit,
        )  # fmt: skip
        carrier = view.table.f[view.parent(self.row)]
        own = carrier[c.VX : c.VZ + 1] + cross(spin(carrier), at - carrier[c.X : c.Z + 1])
        target = np.zeros((count, 3))
        met = hit >= 0
        target[met] = seen.body[hit[met], BVX : BVX + 3]
        out = np.empty((count, 4), dtype="<f4")
        out[:, 0] = ((target - own) * direction).sum(axis=1)
        out[:, 1:3] = angle
        out[:, 3] = depth
        return [out[hit != _ray_kernels.NOTHING].tobytes()]
