"""OpenDRIVE 1.4-1.8: read, checked, and rewritten for CARLA."""

from scenarios.formats.opendrive.read import read

__all__ = ["read"]
