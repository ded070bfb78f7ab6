"""One OpenDRIVE file to a `RoadNetwork`, through the binary cache when there is one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from protocols.errors import RoadError
from protocols.roads import cache
from protocols.roads.network import RoadNetwork
from protocols.sentence import say
from scenarios.formats.opendrive.build import build
from scenarios.formats.opendrive.parse import MAX_BYTES, parse

READER_VERSION = 2
"""Raise it whenever the same file would give other arrays; cached networks of older readers are then rebuilt."""


def file_bytes(path: Path) -> bytes:
    """Contents of a road file. Raises RoadError when it cannot be opened or is too large."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RoadError(
                say("{file}: {size} bytes, at most {allowed} are read. Split the map into parts.", file=path, size=size, allowed=MAX_BYTES)
            )  # fmt: skip
        return path.read_bytes()
    except OSError as error:
        raise RoadError(
            say("{file}: cannot be read ({why!s}). Give the path of an OpenDRIVE (.xodr) file.", file=path, why=error.strerror)
        ) from error  # fmt: skip


def cache_path(cache_dir: Path, digest: str) -> Path:
    """Where the network of a file with this SHA-256 is kept."""
    return cache_dir / f"{digest}-{READER_VERSION}.roads"


def read(path: Path, *, cache_dir: Path | None = None) -> RoadNetwork:
    """Network of `path`; with `cache_dir`, from the binary cache when the same bytes were read before.

    A damaged cache file is rebuilt, with a note; a cache folder that cannot be written is not used. Raises RoadError (exit 2)
    for a file that is missing, broken or not OpenDRIVE.
    """
    path = Path(path)
    data = file_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if cache_dir is None:
        return build(parse(path, data), path.stem, digest)
    stored = cache_path(Path(cache_dir), digest)
    key = f"{digest} reader {READER_VERSION}"
    was_there = stored.exists()
    found = cache.load(stored, key)
    if found is not None:
        return replace(found, name=path.stem)  # the same bytes may lie under several names
    net = build(parse(path, data), path.stem, digest)
    try:
        cache.save(net, stored, key)
    except OSError:
        return net
    if was_there:
        return replace(
            net, notes=(*net.notes, f"The cache file {stored.name} was damaged and rebuilt.")
        )
    return net
