"""Background traffic of the headless world: vehicles, cyclists and people who follow simple, known models."""

from sim.traffic.config import Flow, TrafficConfig, WalkerFlow
from sim.traffic.engine import Traffic, Trip

__all__ = ["Flow", "Traffic", "TrafficConfig", "Trip", "WalkerFlow"]
