"""OpenDRIVE 1.4-1.8: read into `RoadNetwork`, described, checked, and rewritten for CARLA."""

from scenarios.formats.opendrive.check import Finding, check
from scenarios.formats.opendrive.export import export_carla
from scenarios.formats.opendrive.info import info
from scenarios.formats.opendrive.read import READER_VERSION, read

__all__ = ["READER_VERSION", "Finding", "check", "export_carla", "info", "read"]
