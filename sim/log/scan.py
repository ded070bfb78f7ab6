"""Finds and opens the chunks of an MCAP file, whole or broken off.

The scan walks the records at the top level and never trusts a length: it is checked against the file's size first. A file that
ends in the middle is either refused with one sentence, or (recover) read up to its last whole message: compressed data that
did arrive is decompressed as far as it goes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, Header, Schema

from protocols.errors import LogError
from protocols.sentence import phrase, say
from sim.log.container import MAGIC, PROFILE

_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _END = 1, 2, 3, 4, 5, 6, 7, 15
_RECORD = struct.Struct("<BQ")
_CHUNK_HEAD = struct.Struct("<QQQI")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
MAX_CHUNK = 256 * 1024 * 1024  # uncompressed; ours are 1 MiB


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a chunk's compressed data lies."""

    start_ns: int
    end_ns: int
    size: int  # uncompressed
    crc: int
    at: int
    length: int  # bytes that are in the file
    is_whole: bool
    channels: set[int] = field(default_factory=set)  # of its messages, where the index says


class Raw(NamedTuple):
    """One message as stored; times are absolute."""

    channel: int
    sequence: int
    log_ns: int
    data: bytes


@dataclass(slots=True)
class Scan:
    """What the file holds. `lost` says in words what is missing; None for a whole log."""

    path: Path
    chunks: list[Chunk] = field(default_factory=list)
    channels: dict[int, Channel] = field(default_factory=dict)
    schemas: dict[int, Schema] = field(default_factory=dict)
    has_summary: bool = False
    lost: str | None = None


def scan(path: Path, recover: bool) -> Scan:
    """Chunks of the log at `path`; LogError unless it is whole, or `recover` and its beginning is."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise LogError(
            say("{log}: cannot be opened ({why})", log=path, why=error.strerror)
        ) from error
    with file:
        size = path.stat().st_size
        if file.read(8) != MAGIC:
            raise LogError(
                say(
                    "{log}: {size:d} bytes that do not begin like an MCAP file; give a log written by icv run (*.mcap)",
                    log=path, size=size,
                )
            )  # fmt: skip
        out = Scan(path)
        try:
            problem = _walk(file, size, out)
        except (McapError, struct.error, UnicodeDecodeError, OverflowError, EOFError) as error:
            problem = say(
                "a record before byte {byte:d} is damaged ({why})", byte=file.tell(), why=error
            )
        if problem is not None and not recover:
            raise LogError(
                f"{path}: {problem}; its beginning can be read with recovery (`icv replay --recover`)"
            )
        out.lost = problem
        if problem is not None and out.chunks:
            # Its index may be cut off: what is in it is then not known.
            out.chunks[-1].channels.clear()
        if not out.chunks:
            raise LogError(
                say(
                    "{log}: {problem!s}; nothing can be recovered", log=path, problem=problem or phrase("no messages")
                )
            )  # fmt: skip
        return out


def _walk(file: BinaryIO, size: int, out: Scan) -> str | None:
    """Fills `out`; a sentence when the file breaks off."""
    at = 8
    while at + 9 <= size:
        file.seek(at)
        opcode, length = _RECORD.unpack(file.read(9))
        end = at + 9 + length
        if opcode == _CHUNK:
            chunk = _chunk(file, at + 9, length, size)
            if chunk is not None:
                out.chunks.append(chunk)
        if end > size:
            return say(
                "the file breaks off inside the record at byte {byte:d} of {size:d}",
                byte=at,
                size=size,
            )
        if opcode == _HEADER:
            header = Header.read(ReadDataStream(file))
            if header.profile != PROFILE:
                raise LogError(
                    say(
                        "{log}: an MCAP file with profile {found!r}, expected {expected!r}; it was not written by icv run",
                        log=out.path, found=header.profile, expected=PROFILE,
                    )
                )  # fmt: skip
        elif opcode == _INDEX and out.chunks and length >= 6:
            channel, records = struct.unpack("<HI", file.read(6))
            if records:
                out.chunks[-1].channels.add(channel)
        elif opcode == _SCHEMA:
            schema = Schema.read(ReadDataStream(file))
            out.schemas[schema.id] = schema
        elif opcode == _CHANNEL:
            found = Channel.read(ReadDataStream(file))
            out.channels[found.id] = found
        elif opcode == _FOOTER:
            file.seek(end)
            if file.read(8) != MAGIC:
                return say(
                    "the file breaks off after its footer at byte {byte:d} of {size:d}", byte=end, size=size
                )  # fmt: skip
            out.has_summary = True
            return None
        elif opcode == 0:
            return say("opcode 0 at byte {byte:d} of {size:d}", byte=at, size=size)
        at = end
    return say("the file ends at byte {size:d} without a footer (the run was cut off)", size=size)


def _chunk(file: BinaryIO, at: int, length: int, size: int) -> Chunk | None:
    head = file.read(32)
    if len(head) < 32:
        return None
    start, end, uncompressed, crc = _CHUNK_HEAD.unpack(head[:28])
    (name,) = struct.unpack("<I", head[28:32])
    compression = file.read(min(name, 16))
    if len(compression) < name:
        return None
    if compression != b"zstd":
        raise LogError(f"chunk at byte {at} is compressed with {compression!r}, expected zstd")
    sizes = file.read(8)
    if len(sizes) < 8:
        return None
    (compressed,) = struct.unpack("<Q", sizes)
    data_at = at + 32 + name + 8
    if uncompressed > MAX_CHUNK or 40 + name + compressed > length:
        raise McapError(f"chunk of {uncompressed} bytes, expected at most {MAX_CHUNK}")
    present = max(0, min(compressed, size - data_at))
    return Chunk(start, end, uncompressed, crc, data_at, present, present == compressed)


def read_chunk(file: BinaryIO, chunk: Chunk, path: Path) -> bytes:
    """Decompressed records of a chunk, as far as they are in the file; LogError when a whole chunk is damaged."""
    file.seek(chunk.at)
    data = file.read(chunk.length)
    try:
        # Never more than the chunk says it holds, whatever the data would unfold to.
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            raw = stream.read(chunk.size + 1)
    except zstandard.ZstdError as error:
        if chunk.is_whole:
            raise LogError(
                say("{log}: the chunk at byte {byte:d} is damaged ({why})", log=path, byte=chunk.at, why=error)
            ) from error  # fmt: skip
        return b""
    if chunk.is_whole and (len(raw) != chunk.size or zlib.crc32(raw) != chunk.crc):
        raise LogError(
            say("{log}: the chunk at byte {byte:d} does not have its checksum", log=path, byte=chunk.at)
        )  # fmt: skip
    return raw


def records(raw: bytes, out: Scan, wanted: frozenset[str] | None = None) -> Iterator[Raw]:
    """Messages of one chunk, of the wanted topics or all; schemas and channels met on the way are added to `out`.

    Stops at the last whole record. A message of a channel that was never described is a LogError.
    """
    at = 0
    size = len(raw)
    unpack, head = _RECORD.unpack_from, _MESSAGE_HEAD.unpack_from
    takes: dict[int, bool] = {}
    while at + 9 <= size:
        opcode, length = unpack(raw, at)
        at += 9
        if at + length > size:
            return
        if opcode == _MESSAGE and length >= 22:
            channel, sequence, log_ns, _ = head(raw, at)
            take = takes.get(channel)
            if take is None:
                known = out.channels.get(channel)
                if known is None:
                    raise LogError(f"{out.path}: a message of unknown channel {channel}")
                take = takes[channel] = wanted is None or known.topic in wanted
            if take:
                yield Raw(channel, sequence, log_ns, raw[at + 22 : at + length])
        elif opcode == _CHANNEL:
            found = _channel(raw[at : at + length])
            out.channels[found.id] = found
        at += length


def _channel(data: bytes) -> Channel:
    """A channel record's fields, by hand: the stock class wants a stream."""
    ident, schema = struct.unpack_from("<HH", data)
    at = 4
    topic, at = _text(data, at)
    encoding, at = _text(data, at)
    (length,) = struct.unpack_from("<I", data, at)
    at += 4
    end = at + length
    metadata = {}
    while at < end:
        key, at = _text(data, at)
        metadata[key], at = _text(data, at)
    return Channel(ident, topic, encoding, metadata, schema)


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, at)
    at += 4
    if at + length > len(data):
        raise LogError("a channel record is damaged")
    return data[at : at + length].decode(), at + length
