"""GNSS and inertial measurement: where the sensor is on the globe, and what its own motion feels like.

GNSS maps metres to degrees as the 0.9.16 client's `transform_to_geolocation` does, so that the two agree: transverse Mercator on a
sphere (Snyder, Map Projections, 1987, 8-6 and 8-7), and, unlike the compass, with latitude growing along +y. The
accelerometer reads the parent's acceleration and the centripetal part of the lever arm, plus the reaction to gravity; angular
acceleration is left out. The compass is clockwise from north (decreasing y).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.ground import Floats
from sim.carla.server.sensors.scene import pose
from sim.carla.server.sensors.view import Sensor, Setup, View

_ENCODE = msgspec.msgpack.Encoder().encode
_RADIUS_M = 6378137.0 * 0.9996  # equator, times the scale at the central meridian


def geolocation(
    geo: tuple[float, float], x_m: float, y_m: float, z_m: float
) -> tuple[float, float, float]:
    """Latitude, longitude, altitude of a point of a world whose origin is at `geo`."""
    east, north = x_m / _RADIUS_M, y_m / _RADIUS_M + math.radians(geo[0])
    latitude = math.asin(math.sin(north) / math.cosh(east))
    longitude = math.atan2(math.sinh(east), math.cos(north))
    return math.degrees(latitude), geo[1] + math.degrees(longitude), z_m


class GnssSensor(Sensor):
    """sensor.other.gnss. Bias and deviation of latitude and longitude are in degrees, of the altitude in metres."""

    stream_type = 4

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        axes = ("lat", "lon", "alt")
        self._bias = [setup.number(f"noise_{a}_bias", 0.0, -1e6, 1e6) for a in axes]
        self._sigma = [setup.number(f"noise_{a}_stddev", 0.0, 0.0, 1e6) for a in axes]
        self._is_noisy = any(self._sigma)

    def sample(self, view: View) -> list[bytes]:
        f = view.table.f[self.row]
        fix = geolocation(view.geo, float(f[c.X]), float(f[c.Y]), float(f[c.Z]))
        noise = self.normals(3).tolist() if self._is_noisy else (0.0, 0.0, 0.0)
        columns = zip(fix, self._bias, self._sigma, noise, strict=True)
        return [_ENCODE([v + b + s * n for v, b, s, n in columns])]


def spin(row: Floats) -> Floats:
    """(3,) angular velocity of an actor about the world's axes, rad/s."""
    turning: Floats = np.radians(row[c.WX : c.WZ + 1])
    return turning


def cross(a: Floats, b: Floats) -> Floats:
    """Vector product of two (3,); numpy's takes ten times as long for one pair."""
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


class ImuSensor(Sensor):
    """sensor.other.imu."""

    stream_type = 5

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)

        def three(name: str, low: float) -> Floats:
            return np.array([setup.number(f"{name}_{a}", 0.0, low, 1e6) for a in "xyz"])

        self._accel_sigma = three("noise_accel_stddev", 0.0)
        self._gyro_bias = three("noise_gyro_bias", -1e6)
        self._gyro_sigma = three("noise_gyro_stddev", 0.0)
        self._is_noisy = bool(self._accel_sigma.any() or self._gyro_sigma.any())

    def sample(self, view: View) -> list[bytes]:
        at, rot = pose(view, self.row)
        carrier = view.table.f[view.parent(self.row)]
        w = spin(carrier)
        felt = carrier[c.AX : c.AZ + 1].copy()
        if w.any():
            felt += cross(w, cross(w, at - carrier[c.X : c.Z + 1]))
        felt[2] += view.gravity_mps2
        accel, gyro = rot @ felt, rot @ w + self._gyro_bias
        if self._is_noisy:
            noise = self.normals(6)
            accel = accel + self._accel_sigma * noise[:3]
            gyro = gyro + self._gyro_sigma * noise[3:]
        compass = math.atan2(rot[0, 1], rot[0, 0]) + 0.5 * math.pi
        compass = compass % (2.0 * math.pi)
        body: Any = [accel.tolist(), gyro.tolist(), compass]
        return [_ENCODE(body)]
