"""Where a recording lies: names come from clients, so they are taken apart before a file is touched.

Everything lies in one directory. A name may have folders and may be the whole path of a file in there, as scripts write it
(`./records/run.log`); it may not lead out, by `..`, by an absolute path or by a link.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_NAME_CHARS = 512
MAX_FILE_BYTES = 2 << 30


class NameRefused(ValueError):
    """The name leads somewhere it must not; the sentence is for the client."""


def locate(directory: Path, name: str) -> Path:
    """The path of that name, which need not exist."""
    shown = repr(name[:80])
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise NameRefused(
            f"{shown} cannot be a recording's name: it must be printable, 1 to {MAX_NAME_CHARS} characters"
        )
    given = Path(name.replace("\\", "/"))
    if ".." in given.parts or not given.name:
        raise NameRefused(
            f"{shown} cannot be a recording's name: it must name a file, without '..'"
        )
    root = directory.resolve()
    path = (root / given).resolve()
    if not path.is_relative_to(root) or path == root:
        raise NameRefused(f"{shown} lies outside of the recordings' directory {root}")
    return path


def create(directory: Path, name: str) -> tuple[Path, BinaryIO]:
    """A new file of that name, in place of an old one."""
    path = locate(directory, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise NameRefused(f"{path} is not a file")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return path, os.fdopen(os.open(path, flags, 0o644), "wb")
    except OSError as error:
        raise NameRefused(f"{path} cannot be written: {error.strerror}") from None


def open_existing(directory: Path, name: str) -> tuple[Path, BinaryIO | None, str]:
    """The path, the file open for reading or None, and then CARLA's sentence or ours saying why."""
    try:
        path = locate(directory, name)
    except NameRefused as refusal:
        return Path(), None, f"{refusal}\n"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return path, None, f"File {path} not found on server\n"
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
        os.close(handle)
        return path, None, f"File {path} is not a file of at most {MAX_FILE_BYTES} bytes\n"
    return path, os.fdopen(handle, "rb"), ""
