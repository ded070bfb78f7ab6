"""Tracking of road users from the object lists of a roadside unit's sensors."""

from roadside.tracking.config import TrackingConfig
from roadside.tracking.tracker import Tracker, Tracks

__all__ = ["Tracker", "TrackingConfig", "Tracks"]
