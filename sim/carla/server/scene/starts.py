"""The maps of a server that runs a scene: one road, whose first spawn points are where the scene's automated vehicles begin."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from protocols.roads.geometry import lane_pose
from sim.carla import frames
from sim.carla.server.maps import LoadedMap, MapStore
from sim.carla.server.spawn import ABOVE_M
from sim.carla.wire import structs
from sim.config import Resolved
from sim.route_line import build_route_line

CLEAR_M = 20.0  # along the lane, from the middle of an automated vehicle to the next spawn point
BESIDE_M = 2.5


def starts(resolved: Resolved) -> tuple[structs.Transform, ...]:
    """Middle of each automated vehicle at its start, in the order of the scene's `[[vehicles]]`."""
    net, out = resolved.net, []
    for k, item in enumerate(resolved.vehicles):
        line = build_route_line(net, item.spec, item.params.user_class, f"vehicles.{k}")
        s_m = max(item.spec.start_s_m - 0.5 * item.params.total_length_m, 0.0)
        pose = lane_pose(net, np.array([line.lanes[0]], np.int32), np.array([s_m]), np.zeros(1))
        place = structs.Location(
            float(pose.x_m[0]), frames.flip_y(float(pose.y_m[0])), float(pose.z_m[0]) + ABOVE_M
        )
        yaw = frames.yaw_to_carla(float(pose.yaw_rad[0]))
        out.append(structs.Transform(place, structs.Rotation(0.0, yaw, 0.0)))
    return tuple(out)


class SceneMaps(MapStore):
    """The scene's map, with the starts before the map's own spawn points; those that a start takes the room of are left out."""

    def __init__(self, resolved: Resolved, *, rule_lights: bool, check_planner: bool) -> None:
        super().__init__(
            Path(resolved.map_path), rule_lights=rule_lights, check_planner=check_planner
        )
        self._starts = starts(resolved)
        self._dressed: dict[str, tuple[LoadedMap, LoadedMap]] = {}  # name -> plain, with starts

    def load(self, name: str) -> LoadedMap:
        """As `MapStore.load`; the same map is always the same object."""
        plain = super().load(name)
        known = self._dressed.get(plain.name)
        if known is None or known[0] is not plain:
            rest = [p for p in plain.spawn_points if not any(_meet(p, s) for s in self._starts)]
            points = (*self._starts, *rest)
            known = plain, dataclasses.replace(plain, spawn_points=points)
            self._dressed[plain.name] = known
        return known[1]

    def is_mine(self, loaded: LoadedMap) -> bool:
        """Whether it is the scene's road, not one that a client sent."""
        return any(loaded is dressed for _, dressed in self._dressed.values())


def _meet(point: structs.Transform, start: structs.Transform) -> bool:
    turn = math.radians(start.rotation.yaw)
    dx = point.location.x - start.location.x
    dy = point.location.y - start.location.y
    along = dx * math.cos(turn) + dy * math.sin(turn)
    across = dy * math.cos(turn) - dx * math.sin(turn)
    return abs(along) < CLEAR_M and abs(across) < BESIDE_M
