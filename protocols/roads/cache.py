"""Binary cache of a `RoadNetwork`: one file, flat arrays as they lie in memory, no code inside.

Layout, little-endian: 8 bytes magic, uint32 length of the header, header (JSON, UTF-8: key, texts, and dtype, shape and offset of
every array), zero padding to 64, arrays each padded to 64, then SHA-256 over everything before. What an array is called comes
from the dataclasses in `network.py`, never from the file. A file that is damaged, foreign or of another version is a miss.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from protocols.roads import network
from protocols.roads.network import RoadNetwork

MAGIC = b"ICVROAD\x01"  # the last byte is the layout's version
MAX_BYTES = 4 * 1024**3
_ALIGN = 64
_DTYPES = frozenset(("<f8", "<i4", "<i2", "|i1", "<u4", "|u1", "|b1"))


def save(net: RoadNetwork, path: Path, key: str) -> None:
    """Write `net` under `key` (digest and reader version), whole or not at all. Raises OSError when the folder is not writable."""
    texts: dict[str, Any] = {}
    arrays: dict[str, tuple[str, list[int], int]] = {}
    chunks: list[np.ndarray[Any, Any]] = []
    offset = 0
    for name, value in _flatten(net, ""):
        if isinstance(value, np.ndarray):
            data = np.ascontiguousarray(value)
            arrays[name] = (data.dtype.newbyteorder("<").str, list(data.shape), offset)
            chunks.append(data.astype(data.dtype.newbyteorder("<"), copy=False))
            offset += -(-data.nbytes // _ALIGN) * _ALIGN
        else:
            texts[name] = value
    header = json.dumps({"key": key, "texts": texts, "arrays": arrays}).encode()
    head = MAGIC + len(header).to_bytes(4, "little") + header
    parts = [head + bytes(-len(head) % _ALIGN)]
    for chunk in chunks:
        parts.append(chunk.tobytes())
        parts.append(bytes(-chunk.nbytes % _ALIGN))
    body = b"".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.write(hashlib.sha256(body).digest())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def load(path: Path, key: str) -> RoadNetwork | None:
    """The network stored under `key`, or None when the file is absent, damaged or not ours."""
    try:
        size = path.stat().st_size
        if not 64 <= size <= MAX_BYTES:
            return None
        data = bytearray(
            size
        )  # not bytes: arrays over it must be writable, or kernels compile twice
        with path.open("rb") as file:
            if file.readinto(data) != size:
                return None
    except OSError:
        return None
    view = memoryview(data)
    if view[:8] != MAGIC or hashlib.sha256(view[:-32]).digest() != view[-32:]:
        return None
    try:
        end = 12 + int.from_bytes(view[8:12], "little")
        header = json.loads(bytes(view[12:end]))
        if header["key"] != key:
            return None
        base = -(-end // _ALIGN) * _ALIGN
        values: dict[str, Any] = dict(header["texts"])
        for name, (dtype, shape, offset) in header["arrays"].items():
            values[name] = _array(data, dtype, shape, base + offset)
        built = _build(RoadNetwork, values, "")
    except (KeyError, ValueError, TypeError, UnicodeDecodeError):
        return None
    return built if isinstance(built, RoadNetwork) else None


def _flatten(value: Any, prefix: str) -> list[tuple[str, Any]]:
    """(dotted name, array or JSON value) of every leaf."""
    out: list[tuple[str, Any]] = []
    for entry in fields(value):
        item = getattr(value, entry.name)
        name = prefix + entry.name
        if is_dataclass(item):
            out.extend(_flatten(item, name + "."))
        else:
            out.append((name, item))
    return out


def _build(cls: type, values: dict[str, Any], prefix: str) -> Any:
    """A dataclass from dotted names. Raises KeyError when a field is missing."""
    hints = _hints(cls)
    arguments: dict[str, Any] = {}
    for entry in fields(cls):
        kind, name = hints[entry.name], prefix + entry.name
        if is_dataclass(kind):
            assert isinstance(kind, type)
            arguments[entry.name] = _build(kind, values, name + ".")
        else:
            item = values[name]
            arguments[entry.name] = tuple(item) if isinstance(item, list) else item
    return cls(**arguments)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, vars(network))


def _array(data: bytearray, dtype: str, shape: list[int], offset: int) -> np.ndarray[Any, Any]:
    if dtype not in _DTYPES or any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(f"array of {dtype} {shape}")
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, np.dtype(dtype), count, offset).reshape(shape)
