"""A file whole or not at all: written beside its place under another name, and put there when nothing went wrong.

A reader, or a CI server that collects artefacts, never meets half of one, whatever ends us; only SIGKILL can leave the other name behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_SHOWN = 40  # characters of the file's name in the other one, which must not get too long


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` at the end; after an exception `path` is as it was.

    Links are followed. What is no file, such as /dev/stdout, is written to as it stands.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield file
        return
    place = path.resolve()
    half = place.with_name(f".{place.name[:_SHOWN]}.{os.getpid()}.part")
    try:
        with half.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        raise
