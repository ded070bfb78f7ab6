"""Finds the chunks of an MCAP file, whole or broken off.

The scan walks the records at the top level and never trusts a length: it is checked against the file's size first. What it finds is held
against the log's index at the end, which has a checksum. A file that ends in the middle is either refused with one sentence, or (recover)
read up to its last whole message: compressed data that did arrive is decompressed as far as it goes.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from protocols.errors import LogError
from protocols.sentence import phrase, say
from sim.log import fields
from sim.log.chunks import (
    MAX_CHUNK,
    MAX_NS,
    Chunk,
    Loss,
    Raw,
    Scan,
    chunk_bytes,
    describe,
    first_with,
    learn,
    read_chunk,
    records,
)
from sim.log.container import MAGIC, PROFILE
from sim.log.unpacking import KINDS

__all__ = [
    "MAX_CHUNK", "MAX_NS", "Chunk", "Loss", "Raw", "Scan", "chunk_bytes", "first_with", "learn", "read_chunk", "records", "scan",
]  # fmt: skip

_HEADER, _FOOTER, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX, _END = 1, 2, 4, 5, 6, 7, 8, 15
_RECORD = struct.Struct("<BQ")
_CHUNK_HEAD = struct.Struct("<QQQI")
_FOOT = struct.Struct("<QQI")
MAX_RATIO, FREE_CHUNK = (
    256,
    2 * 1024 * 1024,
)  # of size over compressed size, beyond this size: more is a bomb
MAX_SUMMARY = 64 * 1024 * 1024


def scan(path: Path, recover: bool) -> Scan:
    """Chunks of the log at `path`; LogError unless it is whole, or `recover` and its beginning is."""
    try:
        with _opened(path) as file:
            return _scanned(file, path, recover)
    except OSError as error:
        raise LogError(
            say(
                "{log}: cannot be opened ({why}); give a log written by icv run (*.mcap)", log=path, why=error.strerror
            )
        ) from error  # fmt: skip


def _opened(path: Path) -> BinaryIO:
    """A file and nothing else: a pipe would wait for somebody, and none of the others can be read twice."""
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise LogError(
            say("{log}: is a pipe or a device; give a log written by icv run (*.mcap)", log=path)
        )
    return path.open("rb")


def _scanned(file: BinaryIO, path: Path, recover: bool) -> Scan:
    size = os.fstat(file.fileno()).st_size
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
    except ValueError as error:
        problem = say(
            "a record before byte {byte:d} is damaged ({why})", byte=file.tell(), why=error
        )
    if problem is not None and not recover:
        raise LogError(
            say("{log}: {problem!s}; its beginning can be read with recovery (`icv replay --recover`)", log=path, problem=problem)
        )  # fmt: skip
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
    """Fills `out`; a sentence when the file breaks off, or is not what it says of itself."""
    at, places = 8, []
    while at + 9 <= size:
        file.seek(at)
        opcode, length = _RECORD.unpack(file.read(9))
        end = at + 9 + length
        if opcode == _CHUNK:
            chunk = _chunk(file, at + 9, length, size, out.path)
            if chunk is not None:
                out.loss = Loss.END
                out.chunks.append(chunk)
                places.append((at, 9 + length))
        if end > size:
            return say(
                "the file breaks off inside the record at byte {byte:d} of {size:d}",
                byte=at,
                size=size,
            )
        if at == 8:
            _check_profile(file.read(length) if opcode == _HEADER and length < 10_000 else b"", out)
        elif opcode == _INDEX and out.chunks and length >= 6:
            channel, records = struct.unpack("<HI", file.read(6))
            if records:
                out.chunks[-1].channels.add(channel)
        elif opcode == _END:
            out.loss = Loss.INDEX
        elif opcode == _FOOTER:
            foot = file.read(length)
            if file.read(8) != MAGIC:
                return say(
                    "the file breaks off after its footer at byte {byte:d} of {size:d}", byte=end, size=size
                )  # fmt: skip
            return _read_summary(file, at, foot, places, out)
        elif opcode in (
            0,
            _MESSAGE,
        ):  # zeros of a file that never got its content; ours are all in chunks
            return say("opcode {opcode:d} at byte {byte:d} of {size:d}", opcode=opcode, byte=at, size=size)  # fmt: skip
        at = end
    return say("the file ends at byte {size:d} without a footer (the run was cut off)", size=size)


def _check_profile(head: bytes, out: Scan) -> None:
    profile = fields.text(head, 0)[0] if head else ""
    if profile != PROFILE:
        raise LogError(
            say(
                "{log}: an MCAP file with profile {found!r}, expected {expected!r}; it was not written by icv run",
                log=out.path, found=profile, expected=PROFILE,
            )
        )  # fmt: skip


def _chunk(file: BinaryIO, at: int, length: int, size: int, path: Path) -> Chunk | None:
    head = file.read(32)
    if len(head) < 32:
        return None
    start, end, uncompressed, crc = _CHUNK_HEAD.unpack(head[:28])
    (name,) = struct.unpack("<I", head[28:32])
    compression = file.read(min(name, 16))
    if len(compression) < name and at + 32 + name > size:
        return None
    kind = compression.decode("ascii", "replace")
    if kind not in KINDS:
        raise LogError(
            say(
                "{log}: the chunk at byte {byte:d} is compressed as {found!r}, expected 'zstd', 'lz4' or nothing; write the file anew with one of them",
                log=path, byte=at - 9, found=kind,
            )
        )  # fmt: skip
    sizes = file.read(8)
    if len(sizes) < 8:
        return None
    (compressed,) = struct.unpack("<Q", sizes)
    data_at = at + 32 + name + 8
    if 40 + name + compressed > length:
        raise ValueError(f"a chunk with {compressed} bytes of data, {length} in all")
    if uncompressed > MAX_CHUNK or uncompressed > max(FREE_CHUNK, MAX_RATIO * compressed):
        raise ValueError(f"a chunk of {compressed} bytes that claims to unfold to {uncompressed}")
    if end > MAX_NS or (start > end and end):
        raise ValueError(f"a chunk from {start} to {end} ns")
    present = max(0, min(compressed, size - data_at))
    return Chunk(start, end, uncompressed, crc, data_at, present, present == compressed, kind)


def _read_summary(
    file: BinaryIO, at: int, foot: bytes, places: list[tuple[int, int]], out: Scan
) -> str | None:
    """Channels and chunks as the summary before the footer at byte `at` has them; a sentence when it contradicts the file."""
    if len(foot) < _FOOT.size:
        return say("the footer at byte {byte:d} is damaged", byte=at)
    start, offsets, crc = _FOOT.unpack_from(foot)
    if start == 0:
        return None  # there is none, which is allowed
    if not 8 < start <= at or at - start > MAX_SUMMARY:
        return say("the footer at byte {byte:d} is damaged", byte=at)
    file.seek(start)
    data = file.read(at - start)
    known = zlib.crc32(_RECORD.pack(_FOOTER, 20) + struct.pack("<QQ", start, offsets), zlib.crc32(data))  # fmt: skip
    if crc and crc != known:
        return say("the index at byte {byte:d} does not have its checksum", byte=start)
    entries = []
    for opcode, record in _split(data):
        if opcode == _CHANNEL:
            describe(record, out)
        elif opcode == _CHUNK_INDEX:
            entries.append(fields.index_entry(record))
    if not entries:
        return None
    entries.sort(key=lambda entry: entry.at)
    for place, entry, chunk in zip(places, entries, out.chunks, strict=False):
        head = (entry.start_ns, entry.end_ns, entry.size, entry.compressed)
        if (entry.at, entry.length) != place or head != (
            chunk.start_ns, chunk.end_ns, chunk.size, chunk.length,
        ):  # fmt: skip
            return say("the chunk at byte {byte:d} is not what the index says of it", byte=place[0])
    if len(entries) != len(places):
        out.loss = Loss.UNKNOWN
        return say(
            "the index names {named:d} chunks, but the file has {found:d}", named=len(entries), found=len(places)
        )  # fmt: skip
    for entry, chunk in zip(entries, out.chunks, strict=True):
        chunk.channels.clear()
        if crc:  # else nobody vouches for it, and all chunks are looked into
            chunk.channels.update(entry.channels)
    out.has_summary = all(entry.channels <= out.channels.keys() for entry in entries)
    return None


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 9 <= len(data):
        opcode, length = _RECORD.unpack_from(data, at)
        at += 9 + length
        if at > len(data):
            raise ValueError(f"a record of {length} bytes in a summary of {len(data)}")
        yield opcode, data[at - length : at]
