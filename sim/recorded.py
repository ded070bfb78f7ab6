"""The scene and road file of an earlier run, from what its log (or a simulation that welcomes a unit) says of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from protocols.errors import ConfigError, LogError, RoadError
from protocols.sentence import say
from scenarios.load import check_scene, find_map
from scenarios.spec import SceneSpec

MAX_ROAD_BYTES = 500_000_000  # of a road file; the largest cities take some tens of millions
MAX_PATH = 1_000  # characters


def recorded_scene(
    config_json: str, map_digest: str, where: str, beside: Path, road_file: Path | None = None
) -> tuple[SceneSpec, Path]:
    """The scene in a resolved configuration and its road file, which must have the SHA-256 `map_digest`.

    `where` names the source in messages; a road file that is not where it was is looked for in `beside` and the library, or
    is `road_file`. LogError when either is not what was run.
    """
    try:
        table = json.loads(config_json)
        scene, place = table["scene"], table["map_path"]
        if not isinstance(scene, dict) or not isinstance(place, str):
            raise TypeError("scene and map_path are no table and text")
        if max(len(place), len(str(scene.get("map")))) > MAX_PATH:
            raise ValueError(f"the path of its road file has more than {MAX_PATH} characters")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(
            say("{where}: the configuration cannot be read ({why}); it is damaged.", where=where, why=error)
        ) from error  # fmt: skip
    spec = check_scene(scene, where)
    try:
        map_path = road_file or _road_file(spec, Path(place), beside)
        spec = spec.model_copy(update={"map": spec.map.model_copy(update={"file": str(map_path)})})
        digest = _sha256(map_path)
    except ConfigError as error:
        raise ConfigError(say("{where}: {what!s}", where=where, what=error)) from None
    except OSError as error:
        raise RoadError(
            say("{where}: its road file cannot be read ({why}). Put the road file of that run beside the log.", where=where, why=error.strerror)
        ) from error  # fmt: skip
    if digest != map_digest:
        raise LogError(
            say(
                "{where}: was run on a road file with SHA-256 {expected}, but {file} has {found}. Put the road file of that run "
                "there, or beside the log.",
                where=where, expected=map_digest[:16], file=map_path, found=digest[:16],
            )
        )  # fmt: skip
    return spec, map_path


def _road_file(spec: SceneSpec, place: Path, beside: Path) -> Path:
    """Where it was, or beside the log whatever folder the scene names it in, or where a scene's road file is looked for."""
    if place.is_file():
        return place
    copy = beside / place.name
    return copy if copy.is_file() else find_map(spec, beside)


def _sha256(path: Path) -> str:
    if path.stat().st_size > MAX_ROAD_BYTES:
        raise ConfigError(
            say("{file}: {size:d} bytes; a road file has at most {allowed:d}.", file=path, size=path.stat().st_size, allowed=MAX_ROAD_BYTES)
        )  # fmt: skip
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_own_units(spec: SceneSpec) -> tuple[SceneSpec, str]:
    """The scene without units from outside, for a re-run without them: ours take their places. And a phrase that says so, or "".

    A unit in another process or language that does what ours does gives the same digest; one that does not leaves the recording.
    """
    outside = spec.bus.external
    if not outside:
        return spec, ""
    alone = spec.model_copy(update={"bus": spec.bus.model_copy(update={"external": ()})})
    return alone, f"with icv's own {', '.join(sorted(outside))} for those from outside"
