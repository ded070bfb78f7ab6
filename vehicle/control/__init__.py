"""Control: trajectories to acceleration and steering."""

from vehicle.control.config import ControlConfig
from vehicle.control.controller import Command, Controller

__all__ = ["Command", "ControlConfig", "Controller"]
