"""Which maps are ours, where their files lie, and how they are written again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocols.errors import RoadError
from scenarios.roads import brt_corridor, smart_island
from scenarios.roads.model import Map
from scenarios.roads.write import to_bytes

MAPS: Final[dict[str, Callable[[], Map]]] = {
    "brt_corridor": brt_corridor.build,
    "smart_island": smart_island.build,
}
_FOLDER: Final = Path(__file__).parent


def path_of(name: str) -> Path:
    """The committed .xodr file of one of our maps."""
    if name not in MAPS:
        raise RoadError(f"Map '{name}' is not one of ours; we have {', '.join(sorted(MAPS))}.")
    return _FOLDER / f"{name}.xodr"


def write_all(folder: Path = _FOLDER) -> list[Path]:
    """Write every map into `folder`; the files' paths."""
    out: list[Path] = []
    for name, build in MAPS.items():
        path = folder / f"{name}.xodr"
        path.write_bytes(to_bytes(build()))
        out.append(path)
    return out
