"""Spinning lidar: rays against boxes, walls and the road; points; objects by clustering the points.

What a ray hits is known to the simulator only; points and objects are made from measured ranges. A rectangle around points shows
the sides that face the sensor. Where its depth falls short of what a thing of that face usually has, it is completed away
from the sensor, and the covariance says how far that may be wrong. Kinds go by size (`[lidar_sizes]` of the presets); a bicycle seen from
its side may pass as a car. Rain and fog shorten the reach and lose echoes; light does nothing.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64, I32, Bool
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from sim.sensors import _cluster_kernels, _ray_kernels
from sim.sensors.detection_params import LidarParams, Sizes, sizes
from sim.sensors.draws import normal_quantiles
from sim.sensors.environment import Environment, reach_m
from sim.sensors.reports import Found, ghosts, object_list
from sim.sensors.surroundings import Boxes, Place, Surroundings
from sim.state import ActorStates, ActorStatics

_ANGLES = 45  # of the rectangle: steps of 2 degrees
_PIECES_PER_COLUMN = 8
_BLANK = 0.05  # m: least side of what is reported
_KINDS = np.array([ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK], np.uint8)


class Lidar:
    """One lidar. Its noise belongs to `key`, and in it to each ray."""

    def __init__(
        self, params: LidarParams, key: int, name: str, environment: Environment, walls: F64
    ) -> None:
        p = self._p = params
        self._key, self._name = np.uint64(key), name
        self._surroundings = Surroundings(walls)
        elevation = np.linspace(p.elevation_low_rad, p.elevation_high_rad, p.channels)
        self._slope = np.tan(elevation)
        self._cosine = np.cos(elevation)
        self._secant = 1.0 / self._cosine
        self._is_full = p.field_of_view_rad > 2.0 * math.pi - 1e-6
        self._step = p.field_of_view_rad / (
            p.azimuth_steps if self._is_full else p.azimuth_steps - 1
        )
        shape = (p.azimuth_steps, p.channels)
        self.ground = np.empty(shape)  # of the last scan, for tests and pictures
        self.hit: I32 = np.empty(shape, dtype=np.int32)
        self._background = np.empty(shape)
        self.measured = np.empty(shape)
        pieces = p.azimuth_steps * _PIECES_PER_COLUMN
        self._piece = np.empty((7, pieces))
        self._column: I32 = np.empty(pieces, dtype=np.int32)
        self._normal = normal_quantiles()
        self._sizes = sizes()
        self._reach = reach_m(p.range_m, environment.extinction_per_m("lidar"))
        self._drop_out = 1.0 - (1.0 - p.drop_out) * (1.0 - environment.drop_out("lidar"))

    def scan(self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics) -> Boxes:
        """One turn at one instant: fills `ground`, `hit`, `measured`."""
        p = self._p
        boxes = self._surroundings.look(place, self._reach, states, statics)
        _ray_kernels.cast(
            place.up_m, self._first(place), self._step, self._slope, boxes.box, boxes.span,
            boxes.wall, self.ground, self.hit, self._background,
        )  # fmt: skip
        _ray_kernels.sense(
            self._key, t_ns, p.min_range_m, self._reach, self._drop_out, p.range_sigma_m,
            self._secant, self.ground, self.hit, self._normal, self.measured,
        )  # fmt: skip
        return boxes

    def points(self, place: Place) -> F64:
        """(n, 3) x, y, z of the last scan's echoes in the frame of `place`, height above its ground."""
        a, c = np.nonzero(np.isfinite(self.measured))
        r = self.measured[a, c]
        azimuth = self._first(place) + a * self._step
        x = r * self._cosine[c] * np.cos(azimuth) + (place.x_m - place.frame_x_m)
        y = r * self._cosine[c] * np.sin(azimuth) + (place.y_m - place.frame_y_m)
        cf, sf = math.cos(place.frame_yaw_rad), math.sin(place.frame_yaw_rad)
        z = place.up_m + r * self._cosine[c] * self._slope[c]
        return np.stack([cf * x + sf * y, cf * y - sf * x, z], axis=1)

    def measure(
        self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """Scan and cluster."""
        self.scan(t_ns, place, states, statics)
        return self.objects(t_ns, place)

    def objects(self, t_ns: int, place: Place) -> ObjectList:
        """Things in the last scan, and clutter."""
        p = self._p
        rectangle = self._rectangles(place)
        keep = (rectangle[7] >= p.min_points) & (
            np.maximum(rectangle[3], rectangle[4]) <= self._sizes.longest_m
        )
        found = _completed(rectangle[:, keep], self._sizes, p.range_sigma_m, self._step)
        far, azimuth, draw = ghosts(
            int(self._key), t_ns, p.clutter_per_scan, place, p.field_of_view_rad, p.min_range_m,
            self._reach,
        )  # fmt: skip
        if far.size:
            found = _with_ghosts(found, far, azimuth, draw)
        return object_list(t_ns, place, found, self._name, SensorKind.LIDAR, VelocityKind.NONE)

    def _first(self, place: Place) -> float:
        return place.yaw_rad - 0.5 * self._p.field_of_view_rad

    def _rectangles(self, place: Place) -> F64:
        """(10, T) as in `_cluster_kernels.rectangles`."""
        p = self._p
        tangent = math.tan(p.incidence_rad)
        count = _cluster_kernels.pieces(
            place.up_m, p.join_m, p.roof_m, self._sizes.height_m[1], p.ground_m, p.map_tolerance_m, self._slope,
            self._cosine, self.measured, self._background, self._piece, self._column,
        )  # fmt: skip
        piece, column = np.ascontiguousarray(self._piece[:, :count]), self._column[:count]
        label: I32 = np.empty(count, dtype=np.int32)
        things = _cluster_kernels.join(
            self._step, p.join_m, tangent, p.columns, p.azimuth_steps, self._is_full, piece, column,
            np.empty(count, dtype=np.int32), label,
        )  # fmt: skip
        order = np.argsort(label, kind="stable").astype(np.int32)
        begin = np.searchsorted(label[order], np.arange(things + 1)).astype(np.int32)
        out = np.empty((10, things))
        _cluster_kernels.rectangles(
            self._first(place), self._step, _ANGLES, p.columns + 1, piece, column, label, order, begin,
            out,
        )  # fmt: skip
        return out


def _completed(rectangle: F64, sizes: Sizes, range_sigma_m: float, step_rad: float) -> Found:
    """Rectangles with the sides that the sensor cannot see filled in by what things of that face usually measure."""
    x, y, yaw, u, v, _, high, _, near, cut = rectangle
    # Half an azimuth step is missing at either end of a face, on the average.
    lost = near * step_rad
    yaw = np.where(v > u, yaw + 0.5 * math.pi, yaw)
    long, short = np.maximum(u, v), np.minimum(u, v)
    size = np.searchsorted(np.array(sizes.height_m[:-1]), high)  # 0 car, 1 van, 2 heavy
    person = (long < sizes.person_m) & (size < 2)
    bicycle = ~person & (long < sizes.bicycle_m) & (size < 2)
    vehicle = ~person & ~bicycle
    small = np.where(person, sizes.depth_m, 0.0)
    want_length = np.where(vehicle, np.array(sizes.length_m)[size], small)
    want_width = np.where(vehicle, np.array(sizes.width_m)[size], small)
    # Shorter than any vehicle is long: a front or rear with a part of a side. Its width is what comes nearest to a usual one.
    is_end = (
        vehicle & (long < sizes.wide_m) & (np.abs(long - want_width) < np.abs(short - want_width))
    )
    yaw = np.where(is_end, yaw + 0.5 * math.pi, yaw)
    length, width = np.where(is_end, short, long), np.where(is_end, long, short)
    c, s = np.cos(yaw), np.sin(yaw)
    along, aside = x * c + y * s, y * c - x * s  # the sensor is at -along, -aside
    more = np.where(_hidden(along, length), np.maximum(want_length - length, 0.0), 0.0)
    wide = np.where(_hidden(aside, width), np.maximum(want_width - width, 0.0), 0.0)
    # Depth that cannot be seen: shift the centre away from the sensor by half of it.
    x = x + 0.5 * (more * np.sign(along) * c - wide * np.sign(aside) * s)
    y = y + 0.5 * (more * np.sign(along) * s + wide * np.sign(aside) * c)
    base = np.sqrt(range_sigma_m**2 + (0.5 * lost) ** 2) + 0.05
    # What stands half behind something nearer may reach on there: half of its usual size is in doubt.
    doubt = (
        np.where(more > 0.2, 0.5 * np.array(sizes.length_sigma_m)[size], 0.0)
        + cut * 0.25 * want_length
    )
    sides = np.where(wide > 0.2, 0.15, 0.0) + cut * 0.25 * want_width
    kind = np.where(bicycle, int(ActorKind.BICYCLE), _KINDS[size])
    kind = np.where(person, int(ActorKind.PEDESTRIAN), kind)
    is_bus = vehicle & (size == 2) & (length + more >= sizes.bus_m)
    kind = np.where(is_bus, int(ActorKind.BUS), kind).astype(np.uint8)
    zero = np.zeros(x.size)
    return Found(
        x, y, yaw, np.hypot(base, doubt), np.hypot(base, sides), yaw, zero, zero,
        np.maximum(length + more, _BLANK), np.maximum(width + wide, _BLANK), kind,
    )  # fmt: skip


def _hidden(offset: F64, extent: F64) -> Bool:
    """Whether the sensor lies beyond one end of an axis, so that the other end may be out of sight."""
    hidden: Bool = np.abs(offset) > 0.5 * extent
    return hidden


def _with_ghosts(found: Found, far: F64, azimuth: F64, draw: F64) -> Found:
    count = far.size
    size = 0.3 + 1.2 * draw
    zero, half = np.zeros(count), np.full(count, 0.3)
    values = (
        far * np.cos(azimuth), far * np.sin(azimuth), azimuth, half, half, azimuth, zero, zero,
        size, 0.5 * size, np.zeros(count, np.uint8),
    )  # fmt: skip
    names = Found.__dataclass_fields__
    return Found(
        *(
            np.concatenate([getattr(found, name), extra])
            for name, extra in zip(names, values, strict=True)
        )
    )
