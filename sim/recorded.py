"""The scene and road file of an earlier run, from what its log (or a simulation that welcomes a unit) says of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from protocols.errors import LogError
from protocols.sentence import say
from scenarios.load import check_scene, find_map
from scenarios.spec import SceneSpec


def recorded_scene(
    config_json: str, map_digest: str, where: str, beside: Path, road_file: Path | None = None
) -> tuple[SceneSpec, Path]:
    """The scene in a resolved configuration and its road file, which must have the SHA-256 `map_digest`.

    `where` names the source in messages; a road file that is not where it was is looked for in `beside` and the library, or
    is `road_file`. LogError when either is not what was run.
    """
    try:
        table = json.loads(config_json)
        scene, map_path = table["scene"], Path(table["map_path"])
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(
            f"{where}: the configuration cannot be read ({error}); it is damaged."
        ) from error
    spec = check_scene(scene, where)
    if road_file is not None:
        map_path = road_file
    elif not map_path.is_file():
        copy = beside / map_path.name  # whatever folder the scene names it in
        map_path = copy if copy.is_file() else find_map(spec, beside)
    spec = spec.model_copy(update={"map": spec.map.model_copy(update={"file": str(map_path)})})
    digest = hashlib.sha256(map_path.read_bytes()).hexdigest()
    if digest != map_digest:
        raise LogError(
            say(
                "{where}: was run on a road file with SHA-256 {expected}, but {file} has {found}. Put the road file of that run "
                "there, or beside the log.",
                where=where, expected=map_digest[:16], file=map_path, found=digest[:16],
            )
        )  # fmt: skip
    return spec, map_path
