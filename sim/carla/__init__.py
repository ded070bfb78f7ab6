"""CARLA 0.9.16 both ways: our world as a CARLA server, and our scenes on a CARLA server."""
