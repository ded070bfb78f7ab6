"""Faults as actors of a scene: units, sensors and messages that fail on time and by the seed. docs/faults.md says what each does."""

from sim.faults.build import Faults, make_faults

__all__ = ["Faults", "make_faults"]
