"""Criteria and metrics of results on disk: they are most of a result, and nobody looks at them before the pages are written.

A file without a name in the suite's folder, which goes when the last result that lies in it is gone. What stands for them in a result
reads them again each time it is asked, so the pages hold those of one run at a time. Where the disk refuses (it may be full, which
is what the suite is about to say), a result stays in memory.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from sim.suite.model import TaskResult


class Spool:
    """Keeps parts of results in a file in `folder`."""

    def __init__(self, folder: Path) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:  # on Linux it never has a name
            self._fd = os.dup(file.fileno())
        self._end = 0
        weakref.finalize(self, os.close, self._fd)

    def keep(self, result: TaskResult) -> TaskResult:
        """`result` with its criteria and metrics on disk."""
        if isinstance(result.criteria, _Criteria) or not (result.criteria or result.metrics):
            return result
        text = json.dumps([list(result.criteria), dict(result.metrics)], separators=(",", ":"))
        data = zlib.compress(text.encode(), 1)
        try:
            written = os.pwrite(self._fd, data, self._end)
        except OSError:
            written = 0
        if written != len(data):
            return result
        place = _Place(self, self._end, written)
        self._end += written
        return replace(result, criteria=_Criteria(place, len(result.criteria)), metrics=_Metrics(place))  # fmt: skip

    def read(self, at: int, size: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """What lies there."""
        criteria, metrics = json.loads(zlib.decompress(os.pread(self._fd, size, at)))
        return criteria, metrics


class _Place:
    """Where one result's parts are."""

    __slots__ = ("_at", "_size", "_spool")

    def __init__(self, spool: Spool, at: int, size: int) -> None:
        self._spool, self._at, self._size = spool, at, size

    def load(self) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """Both, anew."""
        return self._spool.read(self._at, self._size)


class _Criteria(Sequence[Mapping[str, Any]]):
    """Reads them when asked; walk through them, since each item costs as much as all."""

    __slots__ = ("_count", "_place")

    def __init__(self, place: _Place, count: int) -> None:
        self._place, self._count = place, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._place.load()[0])

    @overload
    def __getitem__(self, key: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, key: int | slice) -> Any:
        return self._place.load()[0][key]


class _Metrics(Mapping[str, float]):
    """Reads them when asked."""

    __slots__ = ("_place",)

    def __init__(self, place: _Place) -> None:
        self._place = place

    def __len__(self) -> int:
        return len(self._place.load()[1])

    def __iter__(self) -> Iterator[str]:
        return iter(self._place.load()[1])

    def __getitem__(self, key: str) -> float:
        return self._place.load()[1][key]

    def items(self) -> Any:
        """All at once: one look, not one for each."""
        return self._place.load()[1].items()
