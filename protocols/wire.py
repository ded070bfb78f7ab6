"""Protobuf's wire form, piece by piece: limits every message keeps, varints, single fields, and range checks.

Source: protobuf encoding specification (wire types, packed fields, zigzag). Used by `protocols.columns` and the log's records.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor import FieldDescriptor

from protocols.errors import CodecError

MAX_ROWS = 10_000  # per column: far above any scene of ours, and 80 kB at most
MAX_TEXT = 256  # characters of a name or reason
MAX_NS = 2**63 - 1

Column = npt.NDArray[Any]


class Kind:
    """How a field travels. Plain numbers: they are compared for every field of every message."""

    NS: Final = 0  # int64, a stamp: >= 0
    UINT32: Final = 1
    SINT32: Final = 2
    DOUBLE: Final = 3
    BOOL: Final = 4
    TEXT: Final = 5
    ENUM: Final = 6
    COLUMN: Final = 10  # elements are their own little-endian bytes
    BYTE_COLUMN: Final = 11  # enumeration < 128 or truth value, one byte per element
    ZIGZAG_COLUMN: Final = 12  # int8 in -64..63, one zigzag byte per element


_SCALARS: dict[int, int] = {
    FieldDescriptor.TYPE_INT64: Kind.NS,
    FieldDescriptor.TYPE_UINT32: Kind.UINT32,
    FieldDescriptor.TYPE_SINT32: Kind.SINT32,
    FieldDescriptor.TYPE_DOUBLE: Kind.DOUBLE,
    FieldDescriptor.TYPE_BOOL: Kind.BOOL,
    FieldDescriptor.TYPE_STRING: Kind.TEXT,
    FieldDescriptor.TYPE_ENUM: Kind.ENUM,
}
_ELEMENTS: dict[int, np.dtype[Any]] = {
    FieldDescriptor.TYPE_DOUBLE: np.dtype("<f8"),
    FieldDescriptor.TYPE_FLOAT: np.dtype("<f4"),
    FieldDescriptor.TYPE_FIXED32: np.dtype("<u4"),
    FieldDescriptor.TYPE_SFIXED32: np.dtype("<i4"),
    FieldDescriptor.TYPE_FIXED64: np.dtype("<u8"),
}


def varint(value: int) -> bytes:
    """Base-128 form of a non-negative integer."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed(number: int, column: Column) -> bytes:
    """Tag, length and raw elements of one packed field; b"" when empty. The dtype must be the wire's own."""
    return (
        varint(number << 3 | 2) + varint(column.nbytes) + column.tobytes() if column.size else b""
    )


def text(number: int, value: str) -> bytes:
    """One element of a (repeated) string field."""
    raw = value.encode()
    return varint(number << 3 | 2) + varint(len(raw)) + raw


class Field:
    """One field of a layout."""

    __slots__ = ("dtype", "is_column", "is_float", "kind", "known", "name", "number", "tag")

    def __init__(self, field: FieldDescriptor) -> None:
        self.number = field.number
        self.name = field.name
        self.known: frozenset[int] = frozenset()
        self.dtype: np.dtype[Any] = np.dtype("u1")
        if field.is_repeated:
            self.tag = varint(field.number << 3 | 2)
            if field.type in _ELEMENTS:
                self.kind, self.dtype = Kind.COLUMN, _ELEMENTS[field.type]
            elif field.type == FieldDescriptor.TYPE_ENUM:
                self.kind = Kind.BYTE_COLUMN
            elif field.type == FieldDescriptor.TYPE_BOOL:
                self.kind, self.known = Kind.BYTE_COLUMN, frozenset((0, 1))
            elif field.type == FieldDescriptor.TYPE_SINT32:
                self.kind = Kind.ZIGZAG_COLUMN
                self.dtype = np.dtype("i1")
            else:
                raise ValueError(f"{field.full_name}: this repeated type has no column form")
        else:
            self.kind = _SCALARS[field.type]
            wire = {Kind.DOUBLE: 1, Kind.TEXT: 2}.get(self.kind, 0)
            self.tag = varint(field.number << 3 | wire)
        self.is_column = self.kind >= Kind.COLUMN
        self.is_float = self.is_column and self.dtype.kind == "f"
        if field.enum_type is not None:
            self.known = frozenset(field.enum_type.values_by_number)


def check_range(message: str, field: str, value: Any, low: int, high: int) -> None:
    """CodecError unless `value` is an integer in low..high."""
    if not (low <= value <= high) or value != int(value):
        raise CodecError(f"{message}.{field} = {value}, expected an integer in {low}..{high}")


def check_finite(message: str, field: str, value: Any) -> float:
    """The value as float; CodecError unless it is a finite number."""
    number = float(value)
    if not math.isfinite(number):
        raise CodecError(f"{message}.{field} = {number}, expected a finite number")
    return number


def check_text(message: str, field: str, value: str) -> None:
    """CodecError unless the text is short enough."""
    if len(value) > MAX_TEXT:
        raise CodecError(
            f"{message}.{field} has {len(value)} characters, expected at most {MAX_TEXT}"
        )


def unknown(message: str, field: Field, value: int) -> str:
    """Sentence about an enumeration value that does not exist."""
    return f"{message}.{field.name} = {value}, expected one of {sorted(field.known)}"


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value modulo 2^64, position after it); IndexError at the end of the data, CodecError when too long."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    shift = 7
    for place in range(at + 1, at + 10):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise CodecError(f"a varint longer than 10 bytes at byte {at}")
