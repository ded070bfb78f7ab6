"""Bodies of vehicles: parameters and motion."""

from vehicle.dynamics.bicycle import BodyParams, step_bodies
from vehicle.dynamics.params import VehicleParams, catalogue, vehicle_params

__all__ = ["BodyParams", "VehicleParams", "catalogue", "step_bodies", "vehicle_params"]
