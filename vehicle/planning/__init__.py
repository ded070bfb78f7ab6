"""Planning: the reference path, its speed envelope, and the Frenet lattice on it."""

from vehicle.planning.config import LatticeWeights, PlanningConfig
from vehicle.planning.planner import Planner, Pose, Trajectory
from vehicle.planning.reference import ReferencePath, resample, speed_envelope

__all__ = [
    "LatticeWeights",
    "Planner",
    "PlanningConfig",
    "Pose",
    "ReferencePath",
    "Trajectory",
    "resample",
    "speed_envelope",
]
