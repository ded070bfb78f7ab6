"""Columns of many columnar messages at once: one array per field over all messages of a block.

Each message is walked field by field, without looking at elements; the pieces of a column are joined and become one array. What is
unusual (a column not packed in one piece, other fields) goes through `protocols.columns`, which also words every complaint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError, LogError
from protocols.sentence import say
from protocols.wire import MAX_ROWS, Field, Kind, read_varint
from sim.radio.fates import I64
from sim.report.pack.columns import Array


class Stack:
    """Reads messages of one layout; `names` are the columns wanted."""

    def __init__(self, layout: Layout, names: Sequence[str]) -> None:
        self._layout = layout
        self._names = tuple(names)
        self._fields: dict[str, Field] = {field.name: field for field in layout.fields}
        self._lengths: dict[int, list[int]] = {}  # bytes of each column by number of rows
        self._all = [field for field in layout.fields if field.is_column]
        self._by_tag = {read_varint(field.tag, 0)[0]: k for k, field in enumerate(self._all)}

    def read(self, path: Path, messages: Sequence[bytes]) -> tuple[I64, dict[str, Array]]:
        """(rows of each message, columns over all); LogError names the file."""
        sizes = np.zeros(len(messages), np.int64)
        pieces: list[list[bytes]] = [[] for _ in self._all]
        itemsizes = [field.dtype.itemsize for field in self._all]
        for number, data in enumerate(messages):
            found = self._walk(data)
            if found is None:
                found = self._slowly(path, data)
            rows = len(found[0]) // itemsizes[0]
            lengths = self._lengths.get(rows)
            if lengths is None:
                lengths = [rows * size for size in itemsizes]
                if len(self._lengths) < MAX_ROWS:
                    self._lengths[rows] = lengths
            if rows > MAX_ROWS or list(map(len, found)) != lengths:
                found = self._slowly(path, data)
                rows = len(found[0]) // itemsizes[0]
            sizes[number] = rows
            for column, piece in zip(pieces, found, strict=True):
                column.append(piece)
        out: dict[str, Array] = {}
        for k, field in enumerate(self._all):
            if field.name in self._names:
                out[field.name] = _column(field, b"".join(pieces[k]))
        if not all(_is_sound(self._fields[name], column) for name, column in out.items()):
            for data in messages:
                self._slowly(path, data)  # says which message, field and value
        return sizes, out

    def _walk(self, data: bytes) -> list[bytes] | None:
        """The bytes of each column; None when something is unusual."""
        found = [b""] * len(self._all)
        by_tag = self._by_tag
        at, end = 0, len(data)
        try:
            while at < end:
                tag = data[at]
                at += 1
                if tag > 0x7F:
                    tag, at = read_varint(data, at - 1)
                kind = tag & 7
                if kind == 2:
                    length = data[at]
                    at += 1
                    if length > 0x7F:
                        length, at = read_varint(data, at - 1)
                    k = by_tag.get(tag)
                    if k is not None:
                        if found[k]:
                            return None
                        found[k] = data[at : at + length]
                    at += length
                elif kind == 0:
                    _, at = read_varint(data, at)
                elif kind == 1:
                    at += 8
                else:
                    return None
        except (IndexError, CodecError):
            return None
        return found if at == end else None

    def _slowly(self, path: Path, data: bytes) -> list[bytes]:
        try:
            values: dict[str, Any] = self._layout.unpack(data)
        except CodecError as error:
            raise LogError(say("{scene}: {what!s}", scene=path, what=error)) from error
        out = []
        for field in self._all:
            column = values[field.name]
            if field.kind == Kind.ZIGZAG_COLUMN:
                column = ((column << 1) ^ (column >> 7)).view(np.uint8)
            out.append(column.tobytes())
        return out


def _column(field: Field, raw: bytes) -> Array:
    if field.kind == Kind.ZIGZAG_COLUMN:
        codes = np.frombuffer(raw, np.uint8)
        return ((codes >> 1) ^ -(codes & 1)).view(np.int8)
    return np.frombuffer(raw, field.dtype)


def _is_sound(field: Field, column: Array) -> bool:
    """Whether every element is what the layout allows."""
    if field.is_float:
        return bool(np.isfinite(column).all())
    if field.kind == Kind.BYTE_COLUMN:
        return not column.size or bool(np.isin(column, list(field.known)).all())
    if field.kind == Kind.ZIGZAG_COLUMN:
        return not column.size or (int(column.min()) >= -64 and int(column.max()) <= 63)
    return True
