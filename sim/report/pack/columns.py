"""Columns of a pack as bytes: scaled integers, deltas, shuffled bytes, deflated.

An encoding is text: `dtype[:scale][:d][:s]`. dtype i8 u8 i16 u16 i32 u32 f32 f64, little endian; with a scale, value = integer *
scale; `d` stores the first value and then differences, wrapping in the integer type; `s` stores all first bytes, then all second
bytes, and so on. A section is the zlib stream of its columns, back to back in the table's order. Values outside a type's range
are clipped to it, NaN becomes 0 in integers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_DTYPES = {
    name: np.dtype("<" + kind)
    for name, kind in (
        ("i8", "i1"), ("u8", "u1"), ("i16", "i2"), ("u16", "u2"), ("i32", "i4"), ("u32", "u4"),
        ("f32", "f4"), ("f64", "f8"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoding:
    """One column's encoding, parsed."""

    dtype: np.dtype[Any]
    scale: float  # 0: the stored number is the value
    is_delta: bool
    is_shuffled: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Names and encodings of a table's columns; `per` is "run" or "block"."""

    per: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table's columns as bytes before deflating, and what the manifest says of them."""

    raw: bytes
    entry: dict[str, Any]

    def deflated(self, level: int) -> bytes:
        """The bytes that travel."""
        return zlib.compress(self.raw, level)


@cache
def parse(text: str) -> Encoding:
    """The encoding written as `text`; ValueError when it is none."""
    name, *rest = text.split(":")
    dtype = _DTYPES.get(name)
    if dtype is None:
        raise ValueError(f"encoding {text!r}: unknown type {name!r}, known: {', '.join(_DTYPES)}")
    flags = [part for part in rest if part in ("d", "s")]
    numbers = [part for part in rest if part not in ("d", "s")]
    if len(numbers) > 1:
        raise ValueError(f"encoding {text!r} has {len(numbers)} scales, expected at most one")
    scale = float(numbers[0]) if numbers else 0.0
    if dtype.kind == "f" and (scale or "d" in flags):
        raise ValueError(f"encoding {text!r}: floats have neither scale nor deltas")
    return Encoding(dtype, scale, "d" in flags, "s" in flags)


def encode(values: Array, text: str) -> bytes:
    """The bytes of one column."""
    code = parse(text)
    column = _stored(np.asarray(values), code)
    if code.is_delta and column.size:
        steps = np.empty_like(column)
        steps[0] = column[0]
        np.subtract(column[1:], column[:-1], out=steps[1:])  # wraps in the integer type
        column = steps
    if code.is_shuffled and column.itemsize > 1:
        return column.view(np.uint8).reshape(-1, column.itemsize).T.tobytes()
    return column.tobytes()


def _stored(values: Array, code: Encoding) -> Array:
    """The numbers as they are stored, contiguous and in the column's type."""
    dtype = code.dtype
    if dtype.kind == "f" or (not code.scale and values.dtype == dtype):
        return np.ascontiguousarray(values, dtype)
    info = np.iinfo(dtype)
    if code.scale:
        scaled = np.asarray(values, np.float64) * (1.0 / code.scale)
        np.rint(scaled, out=scaled)
        if scaled.size and not np.isfinite(scaled).all():
            scaled = np.nan_to_num(scaled, nan=0.0, posinf=info.max, neginf=info.min)
        values = scaled
    if values.size and (values.min() < info.min or values.max() > info.max):
        values = np.clip(values, info.min, info.max)
    return np.ascontiguousarray(values.astype(dtype))


def decode(data: bytes, text: str, count: int) -> Array:
    """The column of `count` values in `data`: float64 where scaled, else the stored type."""
    code = parse(text)
    if code.is_shuffled and code.dtype.itemsize > 1:
        planes = np.frombuffer(data, np.uint8).reshape(code.dtype.itemsize, count)
        column = np.ascontiguousarray(planes.T).view(code.dtype).reshape(count)
    else:
        column = np.frombuffer(data, code.dtype, count).copy()
    if code.is_delta:
        column = np.cumsum(column, dtype=code.dtype)
    return column * code.scale if code.scale else column


def entry(table: Table, columns: Mapping[str, Array]) -> dict[str, Any]:
    """What the manifest says of a table's section: bytes, rows (of the last column), columns of another length."""
    sizes = {name: int(np.asarray(columns[name]).size) for name, _ in table.columns}
    rows = sizes[table.columns[-1][0]]
    raw = sum(sizes[name] * parse(text).dtype.itemsize for name, text in table.columns)
    out: dict[str, Any] = {"raw": raw, "rows": rows}
    counts = {name: size for name, size in sizes.items() if size != rows}
    if counts:
        out["counts"] = counts
    return out


def section(table: Table, columns: Mapping[str, Array]) -> Section:
    """Section of one table."""
    raw = b"".join([encode(columns[name], text) for name, text in table.columns])
    return Section(raw, entry(table, columns))


def unpack(
    deflated: bytes, columns: Sequence[Sequence[str]], entry: Mapping[str, Any]
) -> dict[str, Array]:
    """Columns of a section: the manifest's `columns` of its table, and its own `entry` there."""
    raw = zlib.decompress(deflated)
    if len(raw) != entry["raw"]:
        raise ValueError(f"section of {len(raw)} bytes, the manifest says {entry['raw']}")
    out: dict[str, Array] = {}
    at = 0
    counts = entry.get("counts", {})
    for name, text in columns:
        count = int(counts.get(name, entry["rows"]))
        size = count * parse(text).dtype.itemsize
        out[name] = decode(raw[at : at + size], text, count)
        at += size
    if at != len(raw):
        raise ValueError(f"section of {len(raw)} bytes, its columns take {at}")
    return out
