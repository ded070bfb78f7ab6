"""Physics of the CARLA server: how vehicles, walkers and props move, and what happens when they touch."""

from sim.carla.server.plant.plant import CONTACT, Contacts, Plant

__all__ = ["CONTACT", "Contacts", "Plant"]
