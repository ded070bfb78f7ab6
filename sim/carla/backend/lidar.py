"""What a lidar on a CARLA server says of the things around it: turns of points in, an `ObjectList` in the vehicle's frame out.

A turn is put together from as many ticks as it takes, clustered as our own lidar's scans are (`sim.sensors.lidar`), and tracked, so that
the list has velocities as the list of a fused set has. The lidar's own motion is the server's word for it: it stands for a perfect
odometry. Of others nothing is known but their echoes; numbers of tracks stay here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from protocols.errors import InfrastructureError
from protocols.roads.network import F64, RoadNetwork
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from protocols.sentence import say
from roadside.tracking import Tracker, TrackingConfig
from sim.carla.backend import _scan_kernels
from sim.carla.frames import flip_y, yaw_to_ours
from sim.carla.server.objects import boxes
from sim.sensors.detection_params import LidarParams, detection_params
from sim.sensors.environment import Environment, reach_m
from sim.sensors.lidar import Lidar
from sim.sensors.params import ObjectParams
from sim.sensors.reports import Found, object_list
from sim.sensors.surroundings import Place
from sim.state import empty_states, empty_statics

NAME = "lidar/carla"


def lidar_params(objects: ObjectParams, table: Mapping[str, Any], up_m: float, turn: int) -> LidarParams:  # fmt: skip
    """The lidar that stands for the fused set `objects`, a turn in `turn` ticks; `table`: sensors.toml's [lidar]."""
    changes = {k: table[k] for k in ("channels", "azimuth_steps", "elevation_low_rad")}
    found = detection_params("lidar", str(table["preset"]), changes)
    assert isinstance(found, LidarParams)
    columns = max(round(found.azimuth_steps / turn), 1)
    return replace(
        found, azimuth_steps=columns * turn, x_m=objects.mount_x_m, z_m=up_m, yaw_rad=objects.bore_sight_rad,
        period_ms=objects.period_ms, latency_ms=0.0, jitter_ms=0.0, range_m=objects.range_m,
        field_of_view_rad=objects.field_of_view_rad, clutter_per_scan=0.0,
    )  # fmt: skip


def attributes(p: LidarParams, environment: Environment, turn: int, tick_s: float) -> dict[str, float]:  # fmt: skip
    """Of sensor.lidar.ray_cast. Every tick brings its part of the turn: `sensor_tick` would slip where 0.01 does not add up to 0.1."""
    lost = environment.drop_out("lidar")
    return {
        "channels": p.channels,
        "range": reach_m(p.range_m, environment.extinction_per_m("lidar")),
        "points_per_second": round(p.azimuth_steps // turn * p.channels / tick_s),
        "rotation_frequency": 1.0 / (turn * tick_s),
        "upper_fov": math.degrees(p.elevation_high_rad),
        "lower_fov": math.degrees(p.elevation_low_rad),
        "horizontal_fov": math.degrees(p.field_of_view_rad),
        "noise_stddev": p.range_sigma_m,
        "dropoff_general_rate": 1.0 - (1.0 - p.drop_out) * (1.0 - lost),
        "dropoff_intensity_limit": 0.8,
        "dropoff_zero_intensity": 0.0,  # range alone loses nothing; reach has the weather in it
        "atmosphere_attenuation_rate": 0.0,
    }


class ScannedObjects:
    """Objects of one vehicle's lidar. `body` (B, 6): own sections in the body frame, see `_scan_kernels.gather`."""

    def __init__(
        self, params: LidarParams, environment: Environment, walls: F64, known: F64, tick_s: float, table: Mapping[str, Any]
    ) -> None:  # fmt: skip
        p = self._p = params
        self._tick_s = tick_s
        self._lidar = Lidar(p, 0, NAME, environment, walls)
        self._nobody = (empty_states(1), empty_statics(1))
        self._rise = (p.elevation_high_rad - p.elevation_low_rad) / max(p.channels - 1, 1)
        elevation = p.elevation_low_rad + self._rise * np.arange(p.channels)
        self._cosine = np.cos(elevation)
        self._is_full = p.field_of_view_rad > 2.0 * math.pi - 1e-6
        self._step = p.field_of_view_rad / (p.azimuth_steps if self._is_full else p.azimuth_steps - 1)  # fmt: skip
        shape = (p.azimuth_steps, p.channels)
        self._far, self._high = np.empty(shape), np.empty(shape)
        self._piece = np.zeros(p.azimuth_steps, dtype=np.int64)
        ground = table["ground"]
        self._ground = (float(ground["start_m"]), float(ground["per_m"]), float(ground["most_m"]))
        self._sure_mps, self._top_m = float(table["sure_mps"]), float(table["known"]["top_m"])
        self._known = known
        self._tracker = Tracker(
            TrackingConfig(num_confirm=table["num_confirm"], reported_ms=table["reported_ms"])
        )

    def objects(self, t_ns: int, turn: Sequence[Any], body: F64) -> ObjectList:
        """`turn`: the LidarMeasurements of the last ticks, oldest first; the newest is of `t_ns`."""
        p = self._p
        place = self._read(turn, body)
        lidar = self._lidar
        lidar.scan(t_ns, place, *self._nobody)  # what the map predicts from here
        _scan_kernels.level(
            self._far, self._high, p.z_m, self._rise, self._cosine, *self._ground, self._top_m,
            -0.5 * p.field_of_view_rad, self._step, *self._lean(turn[-1].transform), self._near_known(place, turn[-1].transform),
            lidar.measured,
        )  # fmt: skip
        seen = lidar.objects(t_ns, place)
        tracks = self._tracker.update([seen], t_ns)
        # A track is where it was when the beam passed it; on the average of its columns, that is known.
        ahead = np.arctan2(tracks.y_m - place.y_m, tracks.x_m - place.x_m) - place.yaw_rad
        column = np.rint((ahead + 0.5 * p.field_of_view_rad) / self._step).astype(np.int64)
        last = len(turn) - 1
        age = (last - self._piece[column % p.azimuth_steps]) * self._tick_s
        sure = np.flatnonzero(tracks.sigma_v_mps <= self._sure_mps)
        x, y = tracks.x_m + tracks.vx_mps * age - place.x_m, tracks.y_m + tracks.vy_mps * age - place.y_m  # fmt: skip
        sigma, vx, vy, yaw = tracks.sigma_m[sure], tracks.vx_mps[sure], tracks.vy_mps[sure], tracks.yaw_rad[sure]  # fmt: skip
        found = Found(
            x[sure], y[sure], np.zeros(sure.size), sigma, sigma, yaw, vx, vy, tracks.length_m[sure], tracks.width_m[sure],
            tracks.kind[sure],
        )  # fmt: skip
        cos, sin = math.cos(place.yaw_rad - p.yaw_rad), math.sin(place.yaw_rad - p.yaw_rad)
        mine = replace(
            place, frame_x_m=place.x_m - cos * p.x_m + sin * p.y_m, frame_y_m=place.y_m - sin * p.x_m - cos * p.y_m,
            frame_yaw_rad=place.yaw_rad - p.yaw_rad, own=0,
        )  # fmt: skip
        spread = float(tracks.sigma_v_mps[sure].mean()) if sure.size else 0.0
        return object_list(t_ns, mine, found, NAME, SensorKind.LIDAR, VelocityKind.FULL, spread)

    def _read(self, turn: Sequence[Any], body: F64) -> Place:
        """Points into `_far` and `_high`; where the sensor is at the end, in the world."""
        p = self._p
        points = [np.frombuffer(data.raw_data, np.float32).reshape(-1, 4) for data in turn]
        count = np.array(
            [[data.get_point_count(c) for c in range(p.channels)] for data in turn], dtype=np.int64
        )
        if count.sum() != sum(q.shape[0] for q in points):
            raise InfrastructureError(
                say(
                    "the CARLA server's lidar at frame {frame} says {said} points in its channels and sent {sent}",
                    frame=turn[-1].frame, said=count.sum(), sent=sum(q.shape[0] for q in points),
                )
            )  # fmt: skip
        place = np.array([[t.location.x, -t.location.y, yaw_to_ours(float(t.rotation.yaw))] for t in (d.transform for d in turn)])  # fmt: skip
        x, y, yaw = place[-1].tolist()
        cos, sin = math.cos(yaw), math.sin(yaw)
        dx, dy = place[:, 0] - x, place[:, 1] - y
        pose = np.stack([cos * dx + sin * dy, cos * dy - sin * dx, place[:, 2] - yaw], axis=1)
        _scan_kernels.gather(
            np.concatenate(points), count, pose, self._around_sensor(body), p.z_m, -0.5 * p.field_of_view_rad, self._step,
            self._is_full, p.min_range_m, self._far, self._high, self._piece,
        )  # fmt: skip
        return Place(x, y, p.z_m, yaw)

    def _around_sensor(self, body: F64) -> F64:
        p = self._p
        return seen_from(body, p.x_m, p.y_m, p.yaw_rad)

    def _near_known(self, place: Place, at: Any) -> F64:
        known = self._known
        away = np.hypot(known[:, 0] - place.x_m, known[:, 1] - place.y_m)
        near = known[away < self._p.range_m + known[:, 4] + known[:, 5]]
        out = seen_from(near, place.x_m, place.y_m, place.yaw_rad)
        out[:, 6] -= at.location.z - self._p.z_m
        return out

    @staticmethod
    def _lean(at: Any) -> tuple[float, float]:
        """How much the sensor's frame rises per metre ahead and to its left."""
        return float(at.get_forward_vector().z), -float(at.get_right_vector().z)


def seen_from(box: F64, x_m: float, y_m: float, yaw_rad: float) -> F64:
    """(B, 4 or more) boxes cx, cy, cos, sin, ... in the frame that stands at (x_m, y_m) and looks to `yaw_rad`."""
    out = box.copy()
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    dx, dy = box[:, 0] - x_m, box[:, 1] - y_m
    out[:, 0], out[:, 1] = cos * dx + sin * dy, cos * dy - sin * dx
    out[:, 2] = cos * box[:, 2] + sin * box[:, 3]
    out[:, 3] = cos * box[:, 3] - sin * box[:, 2]
    return out


def known_things(net: RoadNetwork, table: Mapping[str, float]) -> F64:
    """(K, 7) what the map has that is no road user: cx, cy, cos, sin, half length, half width, top; our world."""
    margin, rows = table["margin_m"], []
    for x, y, z, yaw_deg, half_x, half_y, half_z, *_ in boxes(net).tolist():
        yaw = yaw_to_ours(yaw_deg)
        rows.append(
            (x, flip_y(y), math.cos(yaw), math.sin(yaw), half_x + margin, half_y + margin, z + half_z + margin)
        )  # fmt: skip
    s, pole = net.signals, table["pole_m"]
    for x, y in zip(s.x_m.tolist(), s.y_m.tolist(), strict=True):
        rows.append((x, y, 1.0, 0.0, pole, pole, math.inf))
    return np.array(rows, np.float64).reshape(-1, 7)
