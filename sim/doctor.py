"""What this machine lacks for running icv, and how to get it. Needed things decide the exit code, optional ones only inform."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path

ROOMS = ("protocols", "vehicle", "roadside", "scenarios", "sim")
MIN_DISK_GB = 1.0
MIN_MEMORY_GB = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    is_fit: bool
    sentence: str
    is_needed: bool = True


def report() -> tuple[bool, list[str]]:
    """Whether everything needed is there, and one line a check."""
    checks = list(_checks())
    words = {
        (True, True): "ok     ",
        (True, False): "ok     ",
        (False, True): "MISSING",
        (False, False): "absent ",
    }
    lines = [f"{words[c.is_fit, c.is_needed]} {c.name:<12} {c.sentence}" for c in checks]
    missing = [c for c in checks if c.is_needed and not c.is_fit]
    lines.append(
        "icv can run here." if not missing else f"{len(missing)} needed things are missing."
    )
    return not missing, lines


def _checks() -> Iterator[Check]:
    yield _python()
    yield from _packages()
    yield _kernels()
    yield _font()
    yield _scenes()
    yield _disk()
    yield _memory()
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    yield Check("cores", True, f"{cores}; a run uses one, the checks use two")
    yield from _optional()


def _python() -> Check:
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    sentence = f"{platform.python_version()} at {sys.executable}"
    return Check(
        "python",
        fits,
        sentence
        if fits
        else f"{sentence}; icv needs 3.11 or 3.12: make PYTHON=/path/to/python3.12 run",
    )


def requirements(extra: str = "") -> list[str]:
    """Names of the packages that the distribution `icv` asks for: always, or with `extra`."""
    names = []
    for line in metadata.requires("icv") or []:
        match = re.match(r"[A-Za-z0-9_.\-]+", line)
        marker = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if match and (marker.group(1) if marker else "") == extra:
            names.append(match.group())
    return names


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _packages() -> Iterator[Check]:
    try:
        names = requirements()
    except metadata.PackageNotFoundError:
        yield Check(
            "packages",
            False,
            "icv itself is not installed; `make run` does it, or `pip install -e .`",
        )
        return
    missing = [name for name in names if not _has(name)]
    if missing:
        yield Check(
            "packages",
            False,
            f"{', '.join(missing)}; `make run` installs them, or `pip install -r requirements.lock`",
        )
    else:
        yield Check(
            "packages", True, ", ".join(f"{name} {metadata.version(name)}" for name in names)
        )


def _kernels() -> Check:
    """Compiled kernels are kept beside their source, or where NUMBA_CACHE_DIR says."""
    asked = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(asked)] if asked else [Path(str(files(room))) for room in ROOMS]
    number = sum(1 for folder in folders for _ in folder.rglob("*.nbi"))
    if not all(_can_write(folder) for folder in folders):
        return Check(
            "kernels", True,
            f"{folders[0]} cannot be written, so numba keeps compiled kernels in your cache folder (or nowhere: set NUMBA_CACHE_DIR)",
        )  # fmt: skip
    state = (
        f"{number} compiled kernels in the cache"
        if number
        else "cache empty: the first run compiles for about half a minute"
    )
    return Check("kernels", True, state)


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _font() -> Check:
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return Check("font", False, "matplotlib is missing, so no picture; `make run` installs it")
    font = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return Check(
        "font",
        font.is_file(),
        "DejaVu Sans, for run.png" if font.is_file() else f"{font} is gone; reinstall matplotlib",
    )


def _scenes() -> Check:
    folder = Path(str(files("scenarios")))
    scenes = sorted(path.stem for path in (folder / "library").glob("*.toml"))
    maps = list((folder / "roads").glob("*.xodr"))
    if scenes and maps:
        return Check("scenes", True, f"{', '.join(scenes)}; {len(maps)} road files")
    return Check("scenes", False, f"no scenes or no road files under {folder}; install icv again")


def _disk() -> Check:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    sentence = f"{free_gb:.1f} GB free in {Path.cwd()}"
    return Check(
        "disk",
        free_gb >= MIN_DISK_GB,
        f"{sentence}; logs go here (`icv run --out` puts them elsewhere)",
    )


def _memory() -> Check:
    try:
        free_gb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (ValueError, OSError, AttributeError):
        return Check("memory", True, "cannot be told on this system")
    return Check(
        "memory",
        free_gb >= MIN_MEMORY_GB,
        f"{free_gb:.1f} GB unused; a ten-minute corridor needs about 0.6 GB",
    )


def _optional() -> Iterator[Check]:
    for extra, use, how in (
        (
            "carla",
            "`icv run --backend carla`, and the oracle of many tests",
            "pip install carla==0.9.16",
        ),
        ("peers", "what `icv bench` measures against", "pip install -r requirements-peers.lock"),
        ("dev", "what `make test` runs", "pip install -r requirements-dev.lock"),
    ):
        missing = [name for name in requirements(extra) if not _has(name)]
        sentence = f"{use}; without {', '.join(missing)}: `{how}`" if missing else use
        yield Check(f"[{extra}]", not missing, sentence, is_needed=False)
