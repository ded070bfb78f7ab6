"""Suites: which scenes are run together, with which parameters varied. `load.expand` turns paths into a list of runs."""

from scenarios.suites.load import Entry, Expansion, Problem, expand, library

__all__ = ["Entry", "Expansion", "Problem", "expand", "library"]
