"""A scene that lives in the served world: its signal controllers, its traffic and people, its weather, its automated vehicles' starts."""

from sim.carla.server.scene.live import LiveScene

__all__ = ["LiveScene"]
