"""The chunks of a log: what is known of each, what is in it, and what it has to be held against.

What a chunk's head says of it has no checksum of its own; where no index vouches for it, the messages in it do: `learn`. No length and no
size is believed, and every chunk unfolds to a bounded size.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mcap.records import Channel

from protocols.errors import LogError
from protocols.sentence import say
from sim.log import fields
from sim.log.unpacking import ZSTD, UnpackError, unpacked

_CHANNEL, _MESSAGE = 4, 5
_RECORD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
MAX_CHUNK = 128 * 1024 * 1024  # uncompressed; ours are 1 MiB and one message
MAX_RECORDS = 1_000_000  # in a chunk; ours have some thousands
MAX_MESSAGE = (
    16 * 1024 * 1024
)  # that is unfolded here; what is drawn for other viewers may be larger
MAX_NS = 2**63 - 1
_FOREIGN = "foxglove/"


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
    kind: str = ZSTD  # of its compression
    channels: set[int] = field(default_factory=set)  # of its messages, where the index says


class Raw(NamedTuple):
    """One message as stored; times are absolute."""

    channel: int
    sequence: int
    log_ns: int
    data: bytes


class Loss(Enum):
    """Where the part lies that a log has lost."""

    END = "end"  # all from some place on
    INDEX = "index"  # behind the last message
    UNKNOWN = "unknown"  # in between


@dataclass(slots=True)
class Scan:
    """What the file holds. `lost` says in words what is missing; None for a whole log."""

    path: Path
    chunks: list[Chunk] = field(default_factory=list)
    channels: dict[int, Channel] = field(default_factory=dict)
    has_summary: bool = False  # and it describes every channel, and every chunk as it is
    lost: str | None = None
    loss: Loss = Loss.END


def describe(record: bytes, out: Scan) -> None:
    """Takes in a channel record; LogError when its number is another channel's."""
    found = fields.channel(record)
    known = out.channels.setdefault(found.id, found)
    if known is not found and known != found:
        raise LogError(
            say(
                "{log}: channel {number:d} is described twice, as {one!r} and as {other!r}; the file is damaged",
                log=out.path, number=found.id, one=known.topic[:80], other=found.topic[:80],
            )
        )  # fmt: skip


def learn(found: Scan, first: int = 0) -> None:
    """Reads the chunks from number `first` on for what no index vouches for: channels, and the times of the messages in them.

    In a log that is known to be broken, chunks that say other times than they hold are put right; else that is a LogError.
    """
    for k, chunk in enumerate(found.chunks[first:], first):
        low, high, channels = MAX_NS, 0, set()
        for raw in records(chunk_bytes(found.path, chunk), found):
            low, high = min(low, raw.log_ns), max(high, raw.log_ns)
            channels.add(raw.channel)
        if not channels:
            low = 0
        elif found.lost is None and (low, high) != (chunk.start_ns, chunk.end_ns):
            raise LogError(
                say(
                    "{log}: the chunk at byte {byte:d} holds other times than it says; the file is damaged",
                    log=found.path, byte=chunk.at,
                )
            )  # fmt: skip
        found.chunks[k] = replace(chunk, start_ns=low, end_ns=high, channels=channels)


def first_with(found: Scan, topic: str) -> Chunk:
    """The first chunk that has records of a topic, as far as the index tells; the first of all when it tells of none."""
    ids = {ident for ident, channel in found.channels.items() if channel.topic == topic}
    return next((c for c in found.chunks if not c.channels or c.channels & ids), found.chunks[0])


def chunk_bytes(path: Path, chunk: Chunk) -> bytes:
    """As `read_chunk`, of a file that is opened for it."""
    try:
        with path.open("rb") as file:
            return read_chunk(file, chunk, path)
    except OSError as error:
        raise LogError(
            say("{log}: cannot be read any more ({why}); give a log that stays where it is", log=path, why=error.strerror)
        ) from error  # fmt: skip


def read_chunk(file: BinaryIO, chunk: Chunk, path: Path) -> bytes:
    """Decompressed records of a chunk, as far as they are in the file; LogError when a whole chunk is damaged."""
    file.seek(chunk.at)
    data = file.read(chunk.length)
    try:
        raw = unpacked(data, chunk.kind, chunk.size + 1)
    except UnpackError as error:
        if chunk.is_whole:
            raise LogError(
                say("{log}: the chunk at byte {byte:d} is damaged ({why}); get the file again, or run the scene again", log=path, byte=chunk.at, why=error)
            ) from error  # fmt: skip
        return b""
    # A checksum of 0 says that there is none; ours have one, copies by other tools may not.
    is_other = bool(chunk.crc) and zlib.crc32(raw) != chunk.crc
    if chunk.is_whole and (len(raw) != chunk.size or is_other):
        raise LogError(
            say("{log}: the chunk at byte {byte:d} does not have its checksum; get the file again, or run the scene again", log=path, byte=chunk.at)
        )  # fmt: skip
    return raw


def records(raw: bytes, out: Scan, wanted: frozenset[str] | None = None) -> Iterator[Raw]:
    """Messages of one chunk, of the wanted topics or all; channels met on the way are added to `out`.

    Stops at the last whole record. A message of a channel that was never described is a LogError.
    """
    at = count = 0
    size = len(raw)
    unpack, head = _RECORD.unpack_from, _MESSAGE_HEAD.unpack_from
    takes: dict[int, int] = {}  # channel -> how long a message may be, -1: not wanted
    while at + 9 <= size:
        opcode, length = unpack(raw, at)
        at += 9
        count += 1
        if at + length > size:
            return
        if opcode == _MESSAGE and length >= 22:
            channel, sequence, log_ns, _ = head(raw, at)
            longest = takes.get(channel)
            if longest is None:
                longest = takes[channel] = _longest(channel, out, wanted)
            if longest >= length:
                yield Raw(channel, sequence, log_ns, raw[at + 22 : at + length])
            elif longest > 0:
                raise LogError(
                    say(
                        "{log}: a record of {topic!r} with {found:d} bytes, expected at most {allowed:d}; it was not written by icv run",
                        log=out.path, topic=out.channels[channel].topic[:80], found=length, allowed=longest,
                    )
                )  # fmt: skip
        elif opcode == _CHANNEL:
            try:
                describe(raw[at : at + length], out)
            except ValueError as error:
                raise LogError(
                    say(
                        "{log}: the record of a channel is damaged ({why})", log=out.path, why=error
                    )
                ) from error
        if count > MAX_RECORDS:
            raise LogError(
                say("{log}: a chunk of more than {allowed:d} records; it was not written by icv run", log=out.path, allowed=MAX_RECORDS)
            )  # fmt: skip
        at += length


def _longest(channel: int, out: Scan, wanted: frozenset[str] | None) -> int:
    known = out.channels.get(channel)
    if known is None:
        raise LogError(
            say("{log}: a message of unknown channel {channel:d}; the file is damaged", log=out.path, channel=channel)
        )  # fmt: skip
    if wanted is not None and known.topic not in wanted:
        return -1
    return MAX_CHUNK if known.topic.startswith(_FOREIGN) else MAX_MESSAGE
