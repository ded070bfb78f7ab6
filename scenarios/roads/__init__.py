"""Our own road maps, written by `python -m scenarios.roads`; the .xodr files beside are its output."""

from scenarios.roads.catalogue import MAPS, path_of, write_all

__all__ = ["MAPS", "path_of", "write_all"]
