"""Where a failing scene comes from (a log's header, or a scene file) and how the small one is written and tried again."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from protocols.errors import LogError
from scenarios.load import apply_overrides, find_map, load_scene
from scenarios.spec import SceneSpec
from sim.compose import BACKEND, CARLA
from sim.log.reader import LogReader
from sim.recorded import recorded_scene
from sim.shrink.reason import Reason
from sim.shrink.run import Recorded, Shrunk
from sim.shrink.text import map_file, write_scene
from sim.shrink.trial import Trials
from sim.versions import commit
from sim.whatif.apply import MARK


def failing_scene(source: str, overrides: list[str]) -> tuple[SceneSpec, Path]:
    """The scene of a log (one that broke off too) or of a file, and its road file. LogError, ConfigError."""
    path = Path(source)
    if path.suffix != ".mcap":
        loaded = load_scene(path, overrides)
        return loaded.spec, find_map(loaded.spec, loaded.path.resolve().parent)
    header = LogReader.open(path, recover=True).header()
    if header.versions.get(BACKEND) == CARLA:
        raise LogError(
            f"{path} was driven by a CARLA server's physics, which its header cannot bring back, so it cannot be shrunk here."
        )
    if MARK in header.versions:
        raise LogError(
            f"{path} was recorded with edited messages (`icv what-if`), which a scene file cannot say. Shrink the original run."
        )
    spec, map_path = recorded_scene(
        header.config_json, header.map_digest, f"{path} (header)", path.resolve().parent
    )
    if overrides:
        file = spec.map.file
        spec = apply_overrides(spec, overrides, str(path))
        if spec.map.file != file:
            map_path = find_map(spec, path.resolve().parent)
    return spec, map_path


def recorded_failures(source: str) -> Recorded | None:
    """What the run in the log `source` failed for; None for a scene file, or where the run never came to a verdict.

    LogError when it passed.
    """
    path = Path(source)
    if path.suffix != ".mcap":
        return None
    reader = LogReader.open(path, recover=True)
    text = reader.result()
    if text is None:
        return None
    try:
        criteria = json.loads(text)["criteria"]
        failed = tuple(str(row["name"]) for row in criteria if not row["passed"])
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(
            f"{path}: its result cannot be read ({error!r}); the log is damaged."
        ) from None
    if not failed:
        raise LogError(
            f"{path}: the run passed, so there is nothing to shrink; expected the log of a run that failed."
        )
    return Recorded(failed, reader.header().commit, commit())


def written(path: Path, found: Shrunk, original: SceneSpec, map_path: Path, source: str) -> None:
    """Writes the small scene to `path`, with a comment that says where it comes from and why it fails."""
    roads = Path(str(files("scenarios"))) / "roads"
    spec = found.spec.model_copy(
        update={
            "name": path.stem
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", path.stem)
            else original.name,
            "title": "",
            "title_zh": "",
            "description": f"Smallest scene that fails for {found.reason}.",
            "map": found.spec.map.model_copy(
                update={"file": map_file(map_path, roads, path.parent)}
            ),
        }
    )
    minimal = "with any single actor less it does not" if found.is_minimal else "the search was cut short"  # fmt: skip
    comment = (
        f"Smallest scene that fails for: {found.reason}\n"
        f"  {found.reason.sentence}\n"
        f"From {Path(source).name} ({original.name}, seed {original.seed}, {original.duration_s:g} s) by `icv shrink`: "
        f"{found.after[0]} of {found.before[0]} actors; {minimal}."
    )
    write_scene(path, spec, comment)


def is_reproduced(path: Path, reason: Reason) -> bool:
    """Whether the written file loads and fails for `reason`."""
    loaded = load_scene(path)
    return Trials(loaded.path.resolve().parent, 1).same(loaded.spec, reason) is not None
