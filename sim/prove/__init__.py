"""Determinism certificates: the same scene in other surroundings, tick by tick the same, signed; or where it parted."""
