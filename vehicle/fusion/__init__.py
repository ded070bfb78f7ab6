"""Fusion: where the vehicle is, and what is around it."""

from vehicle.fusion.config import FusionConfig
from vehicle.fusion.localisation import Estimate, Localiser
from vehicle.fusion.tracking import Tracker, Tracks

__all__ = ["Estimate", "FusionConfig", "Localiser", "Tracker", "Tracks"]
