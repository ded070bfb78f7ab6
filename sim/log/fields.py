"""Fields of MCAP records, read from bytes that nobody vouches for: every length is held against what is there.

Source: MCAP specification, "Serialization" and records 0x01, 0x04, 0x06, 0x08. ValueError, of which UnicodeDecodeError is one, says what does
not fit; who calls knows the file and the place.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mcap.records import Channel

MAX_TEXT = 16 * 1024 * 1024  # a header's configuration is the longest text of ours
_NUMBERS = {"H": struct.Struct("<H"), "I": struct.Struct("<I"), "Q": struct.Struct("<Q")}
_INDEX = struct.Struct("<QQQQI")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What a log's index says of one chunk. Times are absolute."""

    start_ns: int
    end_ns: int
    at: int  # where its record begins
    length: int  # of its record, head included
    channels: frozenset[int]  # of its messages; empty where it does not say
    compressed: int
    size: int  # uncompressed


def number(data: bytes, at: int, code: str) -> tuple[int, int]:
    """An unsigned number, and where the next field begins."""
    form = _NUMBERS[code]
    if at + form.size > len(data):
        raise ValueError(f"it ends after {len(data)} bytes, in the middle of a number")
    return int(form.unpack_from(data, at)[0]), at + form.size


def text(data: bytes, at: int) -> tuple[str, int]:
    """A string, and where the next field begins."""
    length, at = number(data, at, "I")
    if at + length > len(data) or length > MAX_TEXT:
        raise ValueError(f"a text of {length} bytes, expected at most {len(data) - at}")
    return data[at : at + length].decode(), at + length


def channel(data: bytes) -> Channel:
    """A channel record."""
    ident, at = number(data, 0, "H")
    schema, at = number(data, at, "H")
    topic, at = text(data, at)
    encoding, at = text(data, at)
    length, at = number(data, at, "I")
    end = at + length
    if end > len(data):
        raise ValueError(f"metadata of {length} bytes, expected at most {len(data) - at}")
    metadata: dict[str, str] = {}
    while at < end:
        key, at = text(data, at)
        metadata[key], at = text(data, at)
    return Channel(ident, topic, encoding, metadata, schema)


def index_entry(data: bytes) -> IndexEntry:
    """A chunk index record."""
    if len(data) < _INDEX.size:
        raise ValueError(f"a chunk index of {len(data)} bytes")
    start_ns, end_ns, place, length, offsets = _INDEX.unpack_from(data)
    at = _INDEX.size
    if offsets % 10 or at + offsets > len(data):
        raise ValueError(f"a chunk index whose offsets take {offsets} bytes")
    channels = frozenset(ident for ident, _ in struct.iter_unpack("<HQ", data[at : at + offsets]))
    _, at = number(data, at + offsets, "Q")  # how long the message indexes are
    _, at = text(data, at)
    compressed, at = number(data, at, "Q")
    size, _ = number(data, at, "Q")
    return IndexEntry(start_ns, end_ns, place, length, channels, compressed, size)
