"""From a spawned blueprint to its sensor: `make`, and why some blueprints have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server import ground as grounds
from sim.carla.server.sensors.camera import (
    ColourCamera,
    DepthCamera,
    EventCamera,
    FlowCamera,
    InstanceCamera,
    LayoutCamera,
    NormalsCamera,
    SemanticCamera,
)
from sim.carla.server.sensors.events import CollisionSensor, ObstacleSensor
from sim.carla.server.sensors.lidar import RayCastLidar, SemanticLidar
from sim.carla.server.sensors.motion import GnssSensor, ImuSensor
from sim.carla.server.sensors.radar import RadarSensor
from sim.carla.server.sensors.v2x import CamSensor, CustomV2xSensor
from sim.carla.server.sensors.view import Sensor, Setup, View
from sim.carla.server.table import Table

_PLAIN: dict[str, Callable[[Setup], Sensor]] = {
    "sensor.camera.cosmos_visualization": LayoutCamera,
    "sensor.camera.depth": DepthCamera,
    "sensor.camera.dvs": EventCamera,
    "sensor.camera.instance_segmentation": InstanceCamera,
    "sensor.camera.normals": NormalsCamera,
    "sensor.camera.optical_flow": FlowCamera,
    "sensor.camera.rgb": ColourCamera,
    "sensor.camera.semantic_segmentation": SemanticCamera,
    "sensor.lidar.ray_cast": RayCastLidar,
    "sensor.lidar.ray_cast_semantic": SemanticLidar,
    "sensor.other.collision": CollisionSensor,
    "sensor.other.gnss": GnssSensor,
    "sensor.other.imu": ImuSensor,
    "sensor.other.obstacle": ObstacleSensor,
    "sensor.other.radar": RadarSensor,
}
_RADIO: dict[str, Callable[[Setup, View], Sensor]] = {
    "sensor.other.v2x": CamSensor,
    "sensor.other.v2x_custom": CustomV2xSensor,
}
SILENT = {
    "sensor.other.lane_invasion": "computed by the client from its own map; nothing is streamed",
    "sensor.other.rss": "computed by the client; nothing is streamed",
}
"""Blueprints that spawn and never send, with the reason."""


def make(
    row: int, actor_id: int, blueprint_id: str, attributes: Mapping[str, str], view: View
) -> Sensor | None:
    """The sensor of an actor; None for those in SILENT and for what is no sensor of ours.

    Raises ValueError, a sentence for the client, for attribute values that cannot be used.
    """
    setup = Setup(row, actor_id, blueprint_id, attributes, view.seed)
    if blueprint_id in _PLAIN:
        return _PLAIN[blueprint_id](setup)
    if blueprint_id in _RADIO:
        return _RADIO[blueprint_id](setup, view)
    return None


def warm() -> None:
    """Compile every kernel (or fetch it from numba's cache), so that no client waits for it: a world of one car, seen once by each."""
    table = Table()
    car = table.add(1, c.VEHICLE)
    table.f[car, c.X] = 10.0
    table.f[car, c.EXT_X : c.EXT_Z + 1] = 1.0
    eye = table.add(2, c.SENSOR)
    table.f[eye, c.Z] = 2.0
    statics = np.array([[30.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 3.0, 0.0]])
    corner = np.array([[5.0, -5.0, 0.1, 25.0, -5.0, 0.1, 25.0, 5.0, 0.1]])
    ground = grounds.flat()._replace(tri=corner, tri_tag=np.ones(1, np.uint8))
    view = View(table, ground, statics, None, 0, lambda actor: [actor])
    small = {"image_size_x": "8", "image_size_y": "8"}
    made = [(name, make(eye, 2, name, small, view)) for name in (*_PLAIN, *_RADIO)]
    for frame in (1, 2):
        view.advance(frame, 0.05 * frame, 0.05)
        table.f[car, c.Y] += 0.5
        for _, sensor in made:
            if sensor is not None:
                sensor.sample(view)
