"""Driving: the mission on the road, and what the rules, the signals and the timetable ask for."""

from vehicle.driving.behaviour import Directive, Driver
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import Corridor, build_corridor
from vehicle.driving.mission import Mission, StopTask

__all__ = [
    "Corridor",
    "Directive",
    "Driver",
    "DrivingConfig",
    "Mission",
    "StopTask",
    "build_corridor",
]
