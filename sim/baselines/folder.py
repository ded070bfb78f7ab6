"""A folder of golden summaries: which there are, which a SCENARIO means, how each is run again, where its log is kept."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import ConfigError, NothingRanError
from scenarios.load import LoadedScene, library, load_scene
from sim.baselines.model import ANEW, Summary, read_summary


@dataclass(frozen=True, slots=True)
class Job:
    """One scene to run: what its summary says of itself, and the checked scene."""

    scene: str  # as the summary keeps it
    overrides: tuple[str, ...]  # as the summary keeps them
    loaded: LoadedScene

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.loaded.spec.name}, seed {self.loaded.spec.seed}"


def read_folder(folder: Path, *, must_exist: bool = True) -> dict[str, Summary]:
    """Summaries by stem, sorted. ConfigError for a broken one, or one under another's name."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"{folder}: is a file; expected the folder where golden summaries are kept."
        )
    if not folder.is_dir():
        if must_exist:
            raise ConfigError(
                f"{folder}: no such folder; make baselines with `icv baseline update {folder} SCENARIO`."
            )
        return {}
    out = {}
    for path in sorted(folder.glob("*.json")):
        summary = read_summary(path)
        if summary.stem != path.stem:
            raise ConfigError(
                f"{path}: holds the summary of {summary.stem}; rename it to {summary.stem}.json, or {ANEW}."
            )
        out[path.stem] = summary
    return out


def select(folder: Path, known: dict[str, Summary], wanted: Sequence[str]) -> list[Summary]:
    """Summaries that `wanted` names (a summary's name, a scene's name, a scene file), or all; ConfigError lists close ones."""
    if not known:
        raise NothingRanError(
            f"{folder}: holds no baseline, so there is nothing to compare with; make one with "
            f"`icv baseline update {folder} SCENARIO`."
        )
    if not wanted:
        return list(known.values())
    out: dict[str, Summary] = {}
    for name in wanted:
        found = matching(folder, known, name)
        if not found:
            names = sorted(set(known) | {item.scenario for item in known.values()})
            close = difflib.get_close_matches(name, names, 3, 0.4) or names[:5]
            raise ConfigError(
                f"{folder}: no baseline of '{name}'. Nearest: {', '.join(close)}. Make one with "
                f"`icv baseline update {folder} {name}`."
            )
        out |= found
    return [out[stem] for stem in sorted(out)]


def matching(folder: Path, known: dict[str, Summary], name: str) -> dict[str, Summary]:
    """Baselines that `name` means: by their own name, else by scene."""
    stem = name.removesuffix(".json")
    if stem in known:
        return {stem: known[stem]}
    kept = _kept_as(folder, Path(name))
    return {
        stem: item for stem, item in known.items() if name == item.scenario or kept == item.scene
    }


def job_of(folder: Path, summary: Summary) -> Job:
    """How a summary's run is made again; ConfigError when its scene is gone or the overrides no longer fit."""
    scene = summary.scene
    # `..` counts from where the folder really lies; as the user wrote it where that is the same.
    here = (
        folder
        if folder.resolve() == Path(os.path.normpath(folder.absolute()))
        else folder.resolve()
    )
    given = Path(scene if scene in library() else os.path.normpath(here / scene))
    # The seed is part of the summary's identity, whatever the scene file says today.
    overrides = (*summary.overrides, f"seed={summary.seed}")
    try:
        loaded = load_scene(given, overrides)
    except ConfigError as error:
        raise ConfigError(f"baseline {summary.stem}: {error}") from None
    if loaded.spec.name != summary.scenario:
        raise ConfigError(
            f"baseline {summary.stem}: {loaded.path} is called {loaded.spec.name} now; a baseline keeps its scene's name. Remove "
            f"{summary.stem}.json and make a new one with `icv baseline update {folder} {loaded.path}`, or name the scene as it was."
        )
    return Job(scene, summary.overrides, loaded)


def new_job(folder: Path, scenario: str, seed: int | None, overrides: Sequence[str]) -> Job:
    """A run that shall become a baseline."""
    whole = (*overrides, *([] if seed is None else [f"seed={seed}"]))
    loaded = load_scene(Path(scenario), whole)
    kept = tuple(item for item in overrides if item.partition("=")[0].strip() != "seed")
    return Job(_kept_as(folder, loaded.path), kept, loaded)


def log_of(logs: Path, stem: str, *, is_new: bool = False) -> Path:
    """Where the full log of a baseline lies, or that of a run that differs from it."""
    return logs / f"{stem}{'.new' if is_new else ''}.mcap"


def check_logs_folder(folder: Path, logs: Path | None) -> None:
    """ConfigError when full logs could not be kept in `logs`, or would end up beside the summaries in git."""
    if logs is None:
        return
    if logs.exists() and not logs.is_dir():
        raise ConfigError(f"--logs {logs}: is a file; expected a folder for full logs.")
    if logs.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"--logs {logs}: lies in {folder}, whose summaries are kept in git; full logs are large, keep them elsewhere, "
            "such as runs/golden."
        )


def _kept_as(folder: Path, path: Path) -> str:
    """How a summary names a scene: a library scene by name, a file by its way from the summaries' folder."""
    scenes = library()
    if path.is_file():
        for name, file in scenes.items():
            if path.resolve() == file.resolve():
                return name
        return os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/")
    return path.stem if path.stem in scenes else str(path)
