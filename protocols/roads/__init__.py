"""The road network as shared data: flat arrays, geometry kernels, matching, routing, conflict areas."""

from protocols.roads.network import RoadNetwork

__all__ = ["RoadNetwork"]
