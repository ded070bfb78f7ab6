"""Sensors of the CARLA server: from the actor table, the ground and static boxes to the bytes of a stream."""
