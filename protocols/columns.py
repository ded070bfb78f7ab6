"""Protobuf wire bytes of columnar messages, straight from and to numpy arrays.

A packed repeated field on the wire is tag, length, then the little-endian elements: for doubles, floats and fixed integers
exactly the bytes of the array. So a message of n vehicles costs one copy per column instead of one Python object per value.
Small enumerations (every value < 128) are one byte per element, so a `uint8` column is its own wire form.

The layout (numbers, types, known enumeration values) is read from the generated descriptor, never written twice. Bytes equal
upb's own serialisation: fields in number order, default scalars and empty columns left out. Reading accepts any order and
skips unknown fields; columns that arrive unpacked or in pieces go through upb once to be normalised.

Source: protobuf encoding specification (wire types, packed fields, zigzag).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message

from protocols.errors import CodecError
from protocols.wire import (
    MAX_NS,
    MAX_ROWS,
    Column,
    Field,
    Kind,
    check_finite,
    check_range,
    check_text,
    read_varint,
    text,
    unknown,
    varint,
)

_WHOLE = -1  # stands for all columns in what was found


class _Places:
    """Where the columns of a message lie when each has `rows` rows, counted from the first column's tag.

    `prefixes`: tag and length of each, start, end. `slices`: elements of each, the widest first; joined, they are the block.
    `blocks`: element type, start in the block, number of columns. `checks`: known values, start and end in the block.
    `names`: in the block's order.
    """

    __slots__ = ("blocks", "checks", "first", "names", "prefixes", "size", "slices")

    def __init__(self, run: tuple[Field, ...], prefixes: tuple[bytes, ...], rows: int) -> None:
        at = 0
        whole: list[tuple[int, Field, int, int]] = []
        self.prefixes: list[tuple[bytes, int, int]] = []
        for k, (field, prefix) in enumerate(zip(run, prefixes, strict=True)):
            start = at + len(prefix)
            self.prefixes.append((prefix, at, start))
            at = start + rows * field.dtype.itemsize
            whole.append((k, field, start, at))
        self.first, self.size = len(prefixes[0]), at
        whole.sort(key=lambda item: (-item[1].dtype.itemsize, item[1].dtype.str, item[0]))
        self.slices = [(start, end) for _, _, start, end in whole]
        self.names = tuple(field.name for _, field, _, _ in whole)
        self.blocks: list[tuple[np.dtype[Any], int, int]] = []
        self.checks: list[tuple[bytes, int, int]] = []
        at = 0
        for _, field, start, end in whole:
            if self.blocks and self.blocks[-1][0] == field.dtype:
                dtype, begin, number = self.blocks[-1]
                self.blocks[-1] = dtype, begin, number + 1
            else:
                self.blocks.append((field.dtype, at, 1))
            if field.kind == Kind.BYTE_COLUMN:
                self.checks.append((bytes(field.known), at, at + end - start))
            at += end - start


class Layout:
    """Reader and writer of one columnar message type. All columns of a message have the same length n <= MAX_ROWS."""

    def __init__(self, message_class: type[Message]) -> None:
        descriptor: Any = message_class.DESCRIPTOR
        self.name: str = descriptor.name
        self._class = message_class
        self.fields = tuple(
            Field(field) for field in sorted(descriptor.fields, key=lambda field: int(field.number))
        )
        self._by_number = {field.number: field for field in self.fields}
        self._by_tag = {read_varint(field.tag, 0)[0]: field for field in self.fields}
        self._get: Callable[[Any], tuple[Any, ...]] = attrgetter(*(f.name for f in self.fields))
        self._prefixes: dict[int, tuple[bytes, ...]] = {}
        heads = [k for k, field in enumerate(self.fields) if field.is_column]
        # Columns without a gap at the end, all of raw elements or single bytes: their places follow from n alone.
        first = heads[0] if heads else len(self.fields)
        self._run = self.fields[first:] if len(heads) == len(self.fields) - first else ()
        self._is_run = bool(self._run) and all(f.kind != Kind.ZIGZAG_COLUMN for f in self._run)
        self._places: dict[int, _Places] = {}

    def pack(self, message: object) -> bytes:
        """Wire bytes of an object with one attribute per field; CodecError names field, value and range."""
        return self.pack_values(self._get(message))

    def pack_values(self, values: tuple[Any, ...]) -> bytes:
        """Wire bytes of the values in field-number order."""
        with _quiet():
            return self._pack(values)

    def _pack(self, values: tuple[Any, ...]) -> bytes:
        parts: list[Any] = []
        rows = -1
        shape: tuple[int, ...] = ()
        prefixes: tuple[bytes, ...] = ()
        squares = 0.0
        for position, (field, value) in enumerate(zip(self.fields, values, strict=True)):
            if not field.is_column:
                parts.append(self._scalar(field, value))
                continue
            if rows < 0:
                rows = len(value)
                shape = (rows,)
                prefixes = self._prefix(rows)
            if value.shape != shape:
                raise CodecError(
                    f"{self.name}.{field.name} has shape {value.shape}, the columns before it have "
                    f"({rows},); all columns of a message are equally long"
                )
            if value.dtype is not field.dtype and value.dtype != field.dtype:
                raise CodecError(
                    f"{self.name}.{field.name} has element type {value.dtype}, "
                    f"expected {field.dtype}"
                )
            if not rows:
                continue
            parts.append(prefixes[position])
            if field.is_float:
                squares += value.dot(value)
            elif field.kind != Kind.COLUMN:
                self._check_column(field, value)
                if field.kind == Kind.ZIGZAG_COLUMN:
                    value = ((value << 1) ^ (value >> 7)).view(np.uint8)
            parts.append(value if value.flags.c_contiguous else np.ascontiguousarray(value))
        # One sum of squares is finite unless an element is not finite or huge; only then look closely.
        if not math.isfinite(squares):
            for field, value in zip(self.fields, values, strict=True):
                if field.is_float:
                    self._check_column(field, value)
        return b"".join(parts)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Field values by name (columns as own, aligned, writable arrays); CodecError on anything malformed."""
        with _quiet():
            try:
                found = self._walk(data)
                if found is None:  # legal but not packed in one piece: let upb bring it into shape
                    found = self._walk(self._class.FromString(data).SerializeToString())
            except (IndexError, struct.error, DecodeError) as error:
                raise CodecError(
                    f"{self.name}: {len(data)} bytes are not a whole protobuf message ({error})"
                ) from error
            if found is None:
                raise CodecError(f"{self.name}: columns are not packed")
            return self._named(found) if _WHOLE in found else self._checked(found)

    def _prefix(self, rows: int) -> tuple[bytes, ...]:
        known = self._prefixes.get(rows)
        if known is None:
            if rows > MAX_ROWS:
                raise CodecError(f"{self.name} has {rows} rows; at most {MAX_ROWS} fit a message")
            known = tuple(field.tag + varint(rows * field.dtype.itemsize) for field in self.fields)
            if len(self._prefixes) < 4096:  # bounded: a hostile mix of sizes cannot grow it
                self._prefixes[rows] = known
        return known

    def _scalar(self, field: Field, value: Any) -> bytes:
        kind = field.kind
        if kind == Kind.TEXT:
            check_text(self.name, field.name, value)
            return text(field.number, value) if value else b""
        if kind == Kind.DOUBLE:
            number = check_finite(self.name, field.name, value)
            raw = _DOUBLE.pack(number)
            return field.tag + raw if raw != _ZERO else b""
        if kind == Kind.NS:
            check_range(self.name, field.name, value, 0, MAX_NS)
        elif kind == Kind.UINT32:
            check_range(self.name, field.name, value, 0, 2**32 - 1)
        elif kind == Kind.SINT32:
            check_range(self.name, field.name, value, -(2**31), 2**31 - 1)
            value = (value << 1) ^ (value >> 31)
        elif kind == Kind.ENUM and value not in field.known:
            raise CodecError(unknown(self.name, field, value))
        return field.tag + varint(int(value)) if value else b""

    def _check_column(self, field: Field, column: Column) -> None:
        if field.dtype.kind == "f":
            if not math.isfinite(column.dot(column)) and not np.isfinite(column).all():
                row = int(np.flatnonzero(~np.isfinite(column))[0])
                raise CodecError(
                    f"{self.name}.{field.name}[{row}] = {column[row]}, expected a finite number"
                )
        elif field.kind == Kind.BYTE_COLUMN:
            strange = column.tobytes().translate(None, bytes(field.known))
            if strange:
                raise CodecError(unknown(self.name, field, strange[0]))
        elif field.kind == Kind.ZIGZAG_COLUMN and (column.min() < -64 or column.max() > 63):
            raise CodecError(f"{self.name}.{field.name} leaves -64..63: {column.tolist()[:8]}")

    def _walk(self, data: bytes) -> dict[int, Any] | None:
        """Raw values by field number; None when a column is not in one packed piece."""
        found: dict[int, Any] = {}
        by_tag = self._by_tag
        end = len(data)
        at = 0
        while at < end:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = read_varint(data, at - 1)
            field = by_tag.get(tag)
            if field is None:
                if self._skip(tag, at):
                    return None
                at = self._after(data, tag, at)
            elif field.is_column:
                length = data[at]
                at += 1
                if length > 0x7F:
                    length, at = read_varint(data, at - 1)
                if field.number in found:
                    return None
                if self._is_run and field is self._run[0]:
                    columns = self._whole_run(data, at, length // field.dtype.itemsize)
                    if columns is not None:
                        found[_WHOLE] = columns
                        return found
                found[field.number] = self._read_column(field, data, at, length)
                at += length
            else:
                start = at
                at = self._after(data, tag, at)
                if at <= end:
                    found[field.number] = self._read_scalar(field, data, start, at)
            if at > end:
                raise CodecError(f"{self.name}: field {tag >> 3} runs past the end of the message")
        return found

    def _whole_run(self, data: bytes, at: int, rows: int) -> list[Column] | None:
        """All columns at once, checked, when the message ends with exactly them, each of `rows` rows; None to read one by one.

        They are views of one block, the widest elements first, so that every column is aligned and writable.
        """
        places = self._places.get(rows)
        if places is None:
            if not 0 < rows <= MAX_ROWS:
                return None
            places = _Places(self._run, self._prefix(rows)[-len(self._run) :], rows)
            if len(self._places) < 4096:
                self._places[rows] = places
        base = at - places.first
        if base + places.size != len(data):
            return None
        for prefix, start, skip in places.prefixes:
            if data[base + start : base + skip] != prefix:
                return None
        block = bytearray().join([data[base + a : base + b] for a, b in places.slices])
        columns: list[Column] = []
        for dtype, start, number in places.blocks:
            values = np.frombuffer(block, dtype, number * rows, start)
            if dtype.kind == "f" and not math.isfinite(values.dot(values)):
                return None  # or only huge: the slow way tells, and says where
            columns.extend(values.reshape(number, rows))
        for known, start, end in places.checks:
            if block[start:end].translate(None, known):
                return None  # the slow way says what is unknown
        return columns

    def _named(self, found: dict[int, Any]) -> dict[str, Any]:
        """Field values by name of a message whose columns came as one run."""
        columns: list[Column] = found[_WHOLE]
        out = {
            field.name: found.get(field.number, _DEFAULTS[field.kind])
            for field in self.fields
            if not field.is_column
        }
        out.update(zip(self._places[columns[0].size].names, columns, strict=True))
        return out

    def _skip(self, tag: int, at: int) -> bool:
        """A tag no field of ours has: False to skip it, True for a column that is not packed; CodecError for a mismatch."""
        number = tag >> 3
        if number == 0:
            raise CodecError(f"{self.name}: field number 0 before byte {at}")
        field = self._by_number.get(number)
        if field is None:
            return False
        if field.is_column:
            return True
        raise CodecError(
            f"{self.name}.{field.name} has wire type {tag & 7}, expected {field.tag[0] & 7}; "
            "the sender uses another schema"
        )

    def _after(self, data: bytes, tag: int, at: int) -> int:
        """Where the value that begins at `at` ends."""
        wire = tag & 7
        if wire == 0:
            return read_varint(data, at)[1]
        if wire == 1:
            return at + 8
        if wire == 2:
            length, at = read_varint(data, at)
            return at + length
        if wire == 5:
            return at + 4
        raise CodecError(f"{self.name}: wire type {wire} before byte {at} is not used by icv.v1")

    def _read_column(self, field: Field, data: bytes, at: int, length: int) -> Column:
        size = field.dtype.itemsize
        if length % size or at + length > len(data):
            raise CodecError(
                f"{self.name}.{field.name}: {length} bytes at {at} do not hold whole elements of {size} bytes"
            )
        count = length // size
        if count > MAX_ROWS:
            raise CodecError(f"{self.name}.{field.name} has {count} rows; at most {MAX_ROWS}")
        # An own copy: aligned and writable like any array, so kernels need no second compilation.
        if field.kind == Kind.ZIGZAG_COLUMN:
            raw = np.frombuffer(data, np.uint8, count, at)
            if count and int(raw.max()) > 0x7F:
                raise CodecError(f"{self.name}.{field.name} leaves -64..63")
            return ((raw >> 1) ^ -(raw & 1)).view(np.int8)
        return np.frombuffer(data, field.dtype, count, at).copy()

    def _read_scalar(self, field: Field, data: bytes, at: int, end: int) -> Any:
        """The value in data[at:end], whose wire type is the field's own."""
        if field.kind == Kind.DOUBLE:
            return check_finite(self.name, field.name, _DOUBLE.unpack_from(data, at)[0])
        if field.kind == Kind.TEXT:
            _, at = read_varint(data, at)
            try:
                value = data[at:end].decode()
            except UnicodeDecodeError as error:
                raise CodecError(f"{self.name}.{field.name} is not UTF-8 text") from error
            check_text(self.name, field.name, value)
            return value
        raw, _ = read_varint(data, at)
        if field.kind == Kind.BOOL:
            return raw != 0
        if field.kind == Kind.NS:
            check_range(self.name, field.name, raw, 0, MAX_NS)
        elif field.kind == Kind.UINT32:
            check_range(self.name, field.name, raw, 0, 2**32 - 1)
        elif field.kind == Kind.SINT32:
            check_range(self.name, field.name, raw, 0, 2**32 - 1)
            return (raw >> 1) ^ -(raw & 1)
        elif raw not in field.known:
            raise CodecError(unknown(self.name, field, raw))
        return raw

    def _checked(self, found: dict[int, Any]) -> dict[str, Any]:
        rows = -1
        squares = 0.0
        out: dict[str, Any] = {}
        for field in self.fields:
            value = found.get(field.number)
            if not field.is_column:
                out[field.name] = _DEFAULTS[field.kind] if value is None else value
                continue
            count = 0 if value is None else value.size
            if rows < 0:
                rows = count
            if count != rows:
                raise CodecError(
                    f"{self.name}.{field.name} has {count} rows, the columns before it have {rows}"
                )
            if value is None:
                value = np.zeros(0, field.dtype)
            elif field.is_float:
                squares += value.dot(value)
            elif count and field.kind != Kind.COLUMN:
                self._check_column(field, value)
            out[field.name] = value
        if not math.isfinite(squares):
            for field in self.fields:
                if field.is_float:
                    self._check_column(field, out[field.name])
        return out


def _quiet() -> np.errstate:
    """The finite check squares huge values; that overflow is expected and looked at, not warned about."""
    return np.errstate(over="ignore", invalid="ignore")


_DOUBLE = struct.Struct("<d")
_ZERO = _DOUBLE.pack(0.0)
_DEFAULTS: dict[int, Any] = {
    Kind.NS: 0,
    Kind.UINT32: 0,
    Kind.SINT32: 0,
    Kind.DOUBLE: 0.0,
    Kind.BOOL: False,
    Kind.TEXT: "",
    Kind.ENUM: 0,
}
