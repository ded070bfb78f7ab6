"""One OpenDRIVE file to a `RoadNetwork`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from protocols.errors import RoadError
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive.build import build
from scenarios.formats.opendrive.parse import MAX_BYTES, parse

READER_VERSION = 1
"""Raise it whenever the same file would give other arrays; cached networks of older readers are then rebuilt."""


def file_bytes(path: Path) -> bytes:
    """Contents of a road file. Raises RoadError when it cannot be opened or is too large."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RoadError(
                f"{path}: {size} bytes, at most {MAX_BYTES} are read. Split the map into parts."
            )
        return path.read_bytes()
    except OSError as error:
        raise RoadError(
            f"{path}: cannot be read ({error.strerror}). Give the path of an OpenDRIVE (.xodr) file."
        ) from error


def read(path: Path, *, cache_dir: Path | None = None) -> RoadNetwork:
    """Network of `path`; with `cache_dir`, from the binary cache when the same bytes were read before.

    Raises RoadError (exit 2) for a file that is missing, broken or not OpenDRIVE.
    """
    path = Path(path)
    data = file_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    return build(parse(path, data), path.stem, digest)
