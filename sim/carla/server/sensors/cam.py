"""The cooperative awareness message as the client's C struct, and when a station sends one.

Layout: 456 bytes, 57 words of eight (read from the debug information of the 0.9.16 wheel). The words that hold vectors of the client's
process are sent as zeros: empty vectors. Values follow ETSI EN 302 637-2 and TS 102 894-2: left and up are positive, acceleration
without gravity. `generationDeltaTime` counts simulated milliseconds.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.ground import Floats
from sim.carla.server.sensors.motion import geolocation, spin
from sim.carla.server.sensors.scene import axes
from sim.carla.server.sensors.view import Setup, View

_WORDS = struct.Struct("<57q")
_STATION = {14: 5, 15: 7, 16: 6, 17: 11, 18: 4, 19: 2, 12: 1}  # CityObjectLabel -> station type
ROAD_SIDE_UNIT = 15
_PUBLIC_TRANSPORT = 1
_SPEED_LIMIT, _ACCEL_LIMIT, _YAW_RATE_LIMIT = 16382, 160, 32766
_UNAVAILABLE_ACCEL, _UNAVAILABLE_YAW_RATE = 161, 32767
_LOW_FREQUENCY_S = 0.5
_ROAD_SIDE_S = 0.5
_HEADING_DEG, _MOVED_M, _FASTER_MPS = 4.0, 4.0, 0.5
_SLACK_S = 1e-6
# VehicleLightState bit -> bit of ExteriorLights, most significant first in the standard.
_LAMPS = ((2, 7), (4, 6), (32, 5), (16, 4), (64, 2), (128, 1), (1, 0))
NOISE = 9  # normal draws a message


@dataclass(frozen=True, slots=True)
class CamParams:
    """Times between messages and noise of what they say."""

    shortest_s: float
    longest_s: float
    every_tick: bool
    bias: tuple[
        float, float, float, float, float
    ]  # latitude, longitude, altitude, heading, yaw rate
    sigma: tuple[float, ...]  # the same, then speed and acceleration x y z

    @classmethod
    def of(cls, setup: Setup) -> CamParams:
        """From a blueprint's attributes."""
        fields = ("lat", "lon", "alt", "head", "yawrate")
        return cls(
            setup.number("gen_cam_min", 0.1, 0.0, 1e6),
            setup.number("gen_cam_max", 1.0, 0.0, 1e6),
            setup.flag("fixed_rate", False),
            tuple(setup.number(f"noise_{n}_bias", 0.0, -1e6, 1e6) for n in fields),  # type: ignore[arg-type]
            tuple(
                setup.number(f"noise_{n}_stddev", 0.0, 0.0, 1e6) for n in fields
            ) + tuple(
                setup.number(f"noise_{n}", 0.0, 0.0, 1e6)
                for n in ("vel_stddev_x", "accel_stddev_x", "accel_stddev_y", "accel_stddev_z")
            ),
        )  # fmt: skip


class CamService:
    """When one station sends, after the standard's triggering conditions, and what."""

    def __init__(self, params: CamParams, row: int) -> None:
        self._p, self._row = params, row
        self._last_s = -math.inf
        self._last_low_s = -math.inf
        self._interval_s = params.longest_s
        self._repeats = 0
        self._at, self._heading, self._speed = np.zeros(3), 0.0, 0.0

    def is_due(self, view: View) -> bool:
        """Whether a message goes out now; a yes books it."""
        p, passed = self._p, view.elapsed_s - self._last_s
        f, kind = view.table.f[self._row], int(view.table.i[self._row, c.KIND])
        if kind not in (c.VEHICLE, c.WALKER):
            if passed < _ROAD_SIDE_S - _SLACK_S:
                return False
            self._last_s = view.elapsed_s
            return True
        if passed < p.shortest_s - _SLACK_S:
            return False
        at, heading, speed = f[c.X : c.Z + 1].copy(), float(f[c.YAW]), _ahead(f)
        turned = abs(math.remainder(heading - self._heading, 360.0))
        has_changed = (
            turned > _HEADING_DEG
            or float(np.linalg.norm(at - self._at)) > _MOVED_M
            or abs(speed - self._speed) > _FASTER_MPS
        )
        if not (p.every_tick or has_changed or passed >= self._interval_s - _SLACK_S):
            return False
        # A change shortens the interval for three messages, then it is the longest again.
        if has_changed:
            self._interval_s, self._repeats = min(passed, p.longest_s), 0
        else:
            self._repeats += 1
            if self._repeats >= 3:
                self._interval_s = p.longest_s
        self._last_s, self._at, self._heading, self._speed = view.elapsed_s, at, heading, speed
        return True

    def message(self, view: View, station: int, noise: Floats) -> bytes:
        """The struct; `noise` holds NOISE normal draws."""
        f, i, p = view.table.f[self._row], view.table.i[self._row], self._p
        kind, tag = int(i[c.KIND]), int(i[c.TAG])
        moves = kind in (c.VEHICLE, c.WALKER)
        error = np.array(p.sigma) * noise
        latitude, longitude, altitude = geolocation(
            view.geo, float(f[c.X]), float(f[c.Y]), float(f[c.Z])
        )
        w = [0] * 57
        w[0], w[1], w[2] = 1, 2, station
        w[3] = round(view.elapsed_s * 1000.0) % 65536
        w[4] = _STATION.get(tag, 0) if moves else ROAD_SIDE_UNIT
        w[5] = round((latitude + p.bias[0] + error[0]) * 1e7)
        w[6] = round((longitude + p.bias[1] + error[1]) * 1e7)
        w[7], w[8], w[9] = 4095, 4095, 3601  # confidence ellipse unavailable
        w[10], w[11] = round((altitude + p.bias[2] + error[2]) * 100.0), 15
        if not moves:
            w[12] = 2
            return _WORDS.pack(*w)
        rot = axes(f[c.PITCH], f[c.YAW], f[c.ROLL])
        accel = rot @ f[c.AX : c.AZ + 1] + error[6:9]
        heading = (float(f[c.YAW]) + 90.0 + p.bias[3] + error[3]) % 360.0
        speed = _ahead(f)
        yaw_rate = float(rot[2] @ np.degrees(spin(f))) + p.bias[4] + error[4]
        w[12] = 1
        w[13], w[14] = round(heading * 10.0) % 3600, 10
        w[15], w[16] = min(round(max(abs(speed) + error[5], 0.0) * 100.0), _SPEED_LIMIT), 3
        w[17] = 0 if speed >= 0.0 else 1
        w[18], w[19] = min(round(float(f[c.EXT_X]) * 20.0), 1022), 4
        w[20] = min(round(float(f[c.EXT_Y]) * 20.0), 61)
        w[21], w[22] = _tenths(float(accel[0])), 102
        w[23], w[24], w[25] = 30001, 7, 2  # curvature unavailable
        rate = round(-yaw_rate * 100.0)
        w[26] = rate if abs(rate) <= _YAW_RATE_LIMIT else _UNAVAILABLE_YAW_RATE
        w[27] = 8
        w[33], w[34], w[35] = 1, _tenths(-float(accel[1])), 102
        w[36], w[37], w[38] = 1, _tenths(float(accel[2])), 102
        if view.elapsed_s - self._last_low_s >= _LOW_FREQUENCY_S - _SLACK_S:
            self._last_low_s = view.elapsed_s
            w[50] = 1
            w[51] = _PUBLIC_TRANSPORT if w[4] in (6, 11) else 0
            lamps = int(i[c.LAMPS])
            w[52] = sum(1 << bit for state, bit in _LAMPS if lamps & state)
        return _WORDS.pack(*w)


def _ahead(f: Floats) -> float:
    """Speed along the actor's own forward axis."""
    return float(axes(f[c.PITCH], f[c.YAW], f[c.ROLL])[0] @ f[c.VX : c.VZ + 1])


def _tenths(accel_mps2: float) -> int:
    value = round(accel_mps2 * 10.0)
    return value if abs(value) <= _ACCEL_LIMIT else _UNAVAILABLE_ACCEL
