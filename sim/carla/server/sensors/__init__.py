"""Sensors of the CARLA server: from the actor table, the ground and static boxes to the bytes of a stream.

`View` is the world as sensors see it, `make` turns a spawned blueprint into its sensor.
"""

from sim.carla.server.sensors.factory import SILENT, make, warm
from sim.carla.server.sensors.view import Sensor, View

__all__ = ["SILENT", "Sensor", "View", "make", "warm"]
