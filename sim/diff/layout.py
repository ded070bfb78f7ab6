"""Records of columns as raw bytes: read without unpacking where they lie as our writers put them.

The readable form is `protocols.columns.Layout.unpack`, which is also what reads anything that lies otherwise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import Message

from protocols.columns import Layout
from protocols.wire import MAX_ROWS, Column, Kind, read_varint, varint

ZIGZAG = np.dtype([("zigzag", np.uint8)])  # stands for int8 in zigzag bytes


@dataclass(slots=True)
class Rows:
    """One table as raw little-endian columns of equal length. `ids` None: a row is its number."""

    ids: bytes | None
    columns: dict[str, bytes]
    types: dict[str, np.dtype[Any]]  # of `columns`; of `ids` under ""
    size: int

    @classmethod
    def of(cls, ids: Column | None, columns: dict[str, Column]) -> Rows:
        """From arrays."""
        types = {name: column.dtype for name, column in columns.items()}
        size = max((column.size for column in columns.values()), default=0)
        if ids is not None:
            types[""] = ids.dtype
            size = int(ids.size)
        raw = {name: column.tobytes() for name, column in columns.items()}
        return cls(None if ids is None else ids.tobytes(), raw, types, int(size))


def joined(tables: list[Rows], name: str) -> Column:
    """One column ("": the ids) of many tables below each other."""
    dtype = tables[0].types[name]
    if name == "":
        raw = b"".join([rows.ids or b"" for rows in tables])
    else:
        raw = b"".join([rows.columns[name] for rows in tables])
    if dtype == ZIGZAG:
        packed = np.frombuffer(raw, np.uint8)
        signed: Column = ((packed >> 1) ^ -(packed & 1)).view(np.int8)
        return signed
    column: Column = np.frombuffer(raw, dtype)
    return column


@dataclass(slots=True)
class Fields:
    """One record. Names of a table's columns get its prefix."""

    values: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Rows] = field(default_factory=dict)


_DOUBLE = struct.Struct("<d")
_IS_DOUBLE, _IS_TEXT, _IS_SINT32, _IS_BOOL = int(Kind.DOUBLE), int(Kind.TEXT), int(Kind.SINT32), int(Kind.BOOL)  # fmt: skip
_DEFAULTS: dict[int, Any] = {
    Kind.NS: 0, Kind.UINT32: 0, Kind.SINT32: 0, Kind.DOUBLE: 0.0, Kind.BOOL: False, Kind.TEXT: "", Kind.ENUM: 0,
}  # fmt: skip


class ColumnLayout:
    """A message of columns: how to read it fast, and how to read it whatever it looks like."""

    def __init__(self, kind: type[Message], ids: str | None = None) -> None:
        self.layout = Layout(kind)
        self.ids = ids
        self.run = [f for f in self.layout.fields if f.is_column]
        self.names = [f.name for f in self.run]
        scalars = [f for f in self.layout.fields if not f.is_column and len(f.tag) == 1]
        self.scalars = {f.tag[0]: (f.name, int(f.kind)) for f in scalars}
        self.is_quick = len(self.scalars) + len(self.run) == len(self.layout.fields)
        self.types: dict[str, np.dtype[Any]] = {}
        for f in self.run:
            self.types[f.name] = ZIGZAG if f.kind == Kind.ZIGZAG_COLUMN else f.dtype
        if ids is not None:
            self.types[""] = self.types.pop(ids)
        self._values: dict[str, Any] = {f.name: _DEFAULTS[f.kind] for f in scalars}
        self._places: dict[int, tuple[struct.Struct, tuple[bytes, ...]]] = {}

    def read(self, data: bytes) -> Fields:
        """By the wire's own bytes where the columns lie as our writers put them, else by the careful reader."""
        try:
            found = self.quick(data)
        except IndexError:  # it ends inside a number; the careful reader says so
            found = None
        if found is not None:
            return found
        values = self.layout.unpack(data)
        if not self.run:
            return Fields(values)
        columns: dict[str, bytes] = {}
        size = 0
        for f in self.run:  # as they would lie in the record
            column = values.pop(f.name)
            size = max(size, int(column.size))
            if f.kind == Kind.ZIGZAG_COLUMN:
                wide = column.astype(np.int16)
                columns[f.name] = ((wide << 1) ^ (wide >> 15)).astype(np.uint8).tobytes()
            else:
                columns[f.name] = column.astype(f.dtype, copy=False).tobytes()
        ids = columns.pop(self.ids) if self.ids else None
        return Fields(values, {"": Rows(ids, columns, self.types, size)})

    def quick(self, data: bytes) -> Fields | None:
        """None when anything is not as our writers put it."""
        if not self.is_quick:
            return None
        values = dict(self._values)
        rows: Rows | None = None
        first = self.run[0].tag[0] if self.run else -1
        at, size = 0, len(data)
        while at < size:
            tag = data[at]
            scalar = self.scalars.get(tag)
            if scalar is None:
                if tag != first or rows is not None:
                    return None
                length, start = read_varint(data, at + 1)
                found = self._columns(data, at, length // self.run[0].dtype.itemsize)
                if found is None or start + length > size:
                    return None
                rows, at = found
                continue
            at += 1
            name, kind = scalar
            if kind == _IS_DOUBLE:
                if at + 8 > size:
                    return None
                values[name] = _DOUBLE.unpack_from(data, at)[0]
                at += 8
                continue
            number = data[at]
            if number < 0x80:  # most are one byte
                at += 1
            else:
                number, at = read_varint(data, at)
            if kind == _IS_TEXT:
                if at + number > size:
                    return None
                values[name] = data[at : at + number].decode()
                at += number
            elif kind == _IS_SINT32:
                values[name] = (number >> 1) ^ -(number & 1)
            else:
                values[name] = number != 0 if kind == _IS_BOOL else number
        if rows is None and self.run:
            rows = self._empty()
        return Fields(values, {} if rows is None else {"": rows})

    def _empty(self) -> Rows:
        columns = {name: b"" for name in self.names if name != self.ids}
        return Rows(None if self.ids is None else b"", columns, self.types, 0)

    def _columns(self, data: bytes, at: int, rows: int) -> tuple[Rows, int] | None:
        places = self._places.get(rows)
        if places is None:
            if not 0 < rows <= MAX_ROWS:
                return None
            places = self._places[rows] = self._lay(rows)
        form, prefixes = places
        if at + form.size > len(data):
            return None
        parts = form.unpack_from(data, at)
        if parts[::2] != prefixes:
            return None
        columns: dict[str, bytes] = dict(zip(self.names, parts[1::2], strict=True))
        ids = columns.pop(self.ids) if self.ids is not None else None
        return Rows(ids, columns, self.types, rows), at + form.size

    def _lay(self, rows: int) -> tuple[struct.Struct, tuple[bytes, ...]]:
        """How columns of that many rows lie: in turn the bytes before a column and the column."""
        widths = [rows * f.dtype.itemsize for f in self.run]
        prefixes = tuple(f.tag + varint(w) for f, w in zip(self.run, widths, strict=True))
        pairs = zip(prefixes, widths, strict=True)
        return struct.Struct("=" + "".join(f"{len(p)}s{w}s" for p, w in pairs)), prefixes
