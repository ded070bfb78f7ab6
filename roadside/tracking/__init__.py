"""Tracking of road users from a roadside unit's object lists."""

from roadside.tracking.config import TrackingConfig
from roadside.tracking.tracker import Tracker, Tracks

__all__ = ["Tracker", "TrackingConfig", "Tracks"]
