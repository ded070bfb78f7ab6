"""Which code makes the results: a digest over every source file of icv and the versions of what it stands on.

The commit does not tell local changes apart, and an installed icv has none. Data that the code reads counts as code (limits, presets,
catalogues); scenes, suites and road files do not, since every result has digests of its own for those.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sim.report.result import versions

ROOMS = ("protocols", "roadside", "scenarios", "sim", "vehicle")
_KINDS = (".py", ".toml")
_APART = ("scenarios/library", "scenarios/suites")
_STRANGE = ("__pycache__", "node_modules")


@cache
def code_sha256() -> str:
    """Of the code as it lies on disk when this is first asked."""
    return digest(Path(__file__).resolve().parents[2], json.dumps(versions(), sort_keys=True))


def digest(root: Path, versions_json: str) -> str:
    """Of the rooms below `root`: names and contents of their files, in the order of names."""
    whole = hashlib.sha256(versions_json.encode())
    for name, path in sorted(_files(root)):
        data = path.read_bytes()
        whole.update(f"{name}\0{len(data)}\0".encode())
        whole.update(data)
    return whole.hexdigest()


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for room in ROOMS:
        for folder, folders, files in os.walk(root / room):
            name = Path(folder).relative_to(root).as_posix()
            folders[:] = [f for f in folders if f not in _STRANGE and f"{name}/{f}" not in _APART]
            for file in files:
                if file.endswith(_KINDS) and not file.startswith("."):  # editors' own
                    yield f"{name}/{file}", Path(folder, file)
