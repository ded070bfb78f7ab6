"""MCAP bytes taken apart and put together again, with nothing of icv: what the hostile logs are made with and counted by.

Source: MCAP specification, records 0x01-0x0F; zstd frames as in RFC 8878. Every record keeps its place in the file, so that cuts and
flips can be aimed at one kind.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import lz4.frame  # type: ignore[import-untyped]
import zstandard

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
ATTACHMENT, STATISTICS, METADATA, SUMMARY_OFFSET, DATA_END = 9, 11, 12, 14, 15
_HEAD = struct.Struct("<BQ")


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `at`: where it begins in what it was read from."""

    opcode: int
    data: bytes
    at: int = -1

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.at + 9 + len(self.data)

    def packed(self) -> bytes:
        """As it lies in a file."""
        return _HEAD.pack(self.opcode, len(self.data)) + self.data


@dataclass(frozen=True, slots=True)
class ChunkParts:
    """A chunk's fields, its records not compressed."""

    start_ns: int
    end_ns: int
    raw: bytes
    size: int
    crc: int
    compression: str = "zstd"

    def packed(self, compressed: bytes | None = None, claimed: int | None = None) -> bytes:
        """The record's content; `compressed` and `claimed` (bytes of it) put lies in."""
        data = squeezed(self.raw, self.compression) if compressed is None else compressed
        name = self.compression.encode("utf-8", "surrogateescape")
        return (
            struct.pack("<QQQI", self.start_ns, self.end_ns, self.size, self.crc)
            + struct.pack("<I", len(name)) + name
            + struct.pack("<Q", len(data) if claimed is None else claimed) + data
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """One message inside a chunk."""

    channel: int
    sequence: int
    log_ns: int
    publish_ns: int
    data: bytes

    def record(self) -> Record:
        """As a record."""
        head = struct.pack("<HIQQ", self.channel, self.sequence, self.log_ns & _M, self.publish_ns & _M)  # fmt: skip
        return Record(MESSAGE, head + self.data)


_M = 2**64 - 1


def records_of(data: bytes, at: int = 8) -> Iterator[Record]:
    """The whole records from `at` on; stops where one is cut off, or at the closing magic."""
    while at + 9 <= len(data):
        opcode, length = _HEAD.unpack_from(data, at)
        if at + 9 + length > len(data):
            return
        yield Record(opcode, data[at + 9 : at + 9 + length], at)
        at += 9 + length
        if opcode == FOOTER:
            return


def joined(records: list[Record], end: bytes = MAGIC) -> bytes:
    """A file of these records."""
    return MAGIC + b"".join(record.packed() for record in records) + end


def chunk_parts(content: bytes) -> ChunkParts:
    """The fields of a whole zstd chunk."""
    start, end, size, crc, name = struct.unpack_from("<QQQII", content)
    at = 32 + name + 8
    return ChunkParts(start, end, unfolded(content[at:]), size, crc)


def unfolded(data: bytes) -> bytes:
    """What zstd data unfolds to, as far as it goes; independent of how the reader does it (push, not pull)."""
    out, stream = [], zstandard.ZstdDecompressor().decompressobj()
    for at in range(0, len(data), 65536):
        if stream.eof:
            break
        out.append(stream.decompress(data[at : at + 65536]))
    return b"".join(out)


def squeezed(raw: bytes, compression: str) -> bytes:
    """`raw` in one of the compressions that MCAP knows."""
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(raw)
    return bytes(lz4.frame.compress(raw)) if compression == "lz4" else raw


def honest_chunk(raw: bytes, start_ns: int, end_ns: int, compression: str = "zstd") -> Record:
    """A chunk that is what it says."""
    return Record(
        CHUNK, ChunkParts(start_ns, end_ns, raw, len(raw), zlib.crc32(raw), compression).packed()
    )


def messages_of(raw: bytes) -> Iterator[Said]:
    """The whole messages among a chunk's records."""
    for record in records_of(raw, 0):
        if record.opcode == MESSAGE and len(record.data) >= 22:
            ident, sequence, log_ns, publish_ns = struct.unpack_from("<HIQQ", record.data)
            yield Said(ident, sequence, log_ns, publish_ns, record.data[22:])


def text(value: str) -> bytes:
    """A string as records hold it."""
    data = value.encode("utf-8", "surrogateescape")
    return struct.pack("<I", len(data)) + data


def channel(ident: int, schema: int, topic: str, sender: str = "sim", metadata: bytes | None = None) -> Record:  # fmt: skip
    """A channel record; `metadata`: its bytes instead of the sender's."""
    entry = text("sender") + text(sender)
    held = struct.pack("<I", len(entry)) + entry if metadata is None else metadata
    return Record(CHANNEL, struct.pack("<HH", ident, schema) + text(topic) + text("protobuf") + held)  # fmt: skip


def channel_names(raw: bytes) -> dict[int, tuple[str, str]]:
    """Channel -> (topic, sender), of the channel records among these."""
    out = {}
    for record in records_of(raw, 0):
        if record.opcode == CHANNEL:
            (ident, _, length) = struct.unpack_from("<HHI", record.data)
            topic = record.data[8 : 8 + length].decode()
            sender = record.data.rpartition(b"sender")[2][4:].decode("utf-8", "replace")
            out[ident] = (topic, sender)
    return out


def zstd_of_zeros(size: int, window_log: int = 20) -> bytes:
    """A zstd frame that unfolds to `size` zeros at 4 bytes for 128 KiB: a bomb, made without ever being that large."""
    frame = bytearray(struct.pack("<IB", 0xFD2FB528, 0) + bytes([(window_log - 10) << 3]))
    while size > 0:
        length = min(size, 128 * 1024)
        size -= length
        frame += struct.pack("<I", length << 3 | 1 << 1 | (size == 0))[:3] + b"\0"
    return bytes(frame)


def with_summary(data_records: list[Record]) -> bytes:
    """A whole file of header and data records, with DataEnd and a footer that names no summary: stock readers take it as a stream."""
    end = [Record(DATA_END, bytes(4)), Record(FOOTER, bytes(20))]
    return joined([*data_records, *end])


@dataclass(slots=True)
class Layout:
    """A whole log as its parts; `built` makes the file, with index and summary as they should be."""

    header: Record
    schemas: list[Record]
    channels: list[Record]
    groups: list[list[Said]]  # messages, chunk by chunk
    compression: str = "zstd"
    extra: list[Record] = field(default_factory=list)  # between the chunks and the summary


def layout_of(data: bytes) -> Layout:
    """A log of ours, taken apart."""
    header: Record | None = None
    schemas: dict[bytes, Record] = {}
    channels: dict[bytes, Record] = {}
    groups: list[list[Said]] = []
    for record in records_of(data):
        if record.opcode == HEADER:
            header = record
        elif record.opcode == CHUNK:
            raw = chunk_parts(record.data).raw
            for inner in records_of(raw, 0):
                if inner.opcode in (SCHEMA, CHANNEL):
                    known = schemas if inner.opcode == SCHEMA else channels
                    known.setdefault(inner.data[:2], inner)
            groups.append(list(messages_of(raw)))
    assert header is not None
    return Layout(header, list(schemas.values()), list(channels.values()), groups)


def regrouped(messages: list[Said], size: int) -> list[list[Said]]:
    """Messages in chunks of about `size` bytes."""
    out: list[list[Said]] = []
    held = size
    for message in messages:
        if held >= size:
            out.append([])
            held = 0
        out[-1].append(message)
        held += len(message.data) + 31
    return out


def built(layout: Layout) -> bytes:
    """The file of a layout: descriptions in the first chunk, an index behind each, a summary with its checksum."""
    out = bytearray(MAGIC + layout.header.packed())
    index = b""
    described = b"".join(record.packed() for record in [*layout.schemas, *layout.channels])
    counts: dict[int, int] = {}
    for number, group in enumerate(layout.groups):
        raw = bytearray(described if number == 0 else b"")
        rows: dict[int, list[int]] = {}
        for message in group:
            rows.setdefault(message.channel, []).extend((message.log_ns & _M, len(raw)))
            raw += message.record().packed()
        stamps = [message.log_ns & _M for message in group] or [0]
        chunk = honest_chunk(bytes(raw), min(stamps), max(stamps), layout.compression)
        at = len(out)
        out += chunk.packed()
        places, begin = b"", len(out)
        for ident, row in rows.items():
            counts[ident] = counts.get(ident, 0) + len(row) // 2
            places += struct.pack("<HQ", ident, len(out))
            out += Record(MESSAGE_INDEX, struct.pack(f"<HI{len(row)}Q", ident, 8 * len(row), *row)).packed()  # fmt: skip
        name = text(layout.compression)
        index += Record(
            CHUNK_INDEX,
            struct.pack("<QQQQ", min(stamps), max(stamps), at, 9 + len(chunk.data))
            + struct.pack("<I", len(places)) + places + struct.pack("<Q", len(out) - begin)
            + name + struct.pack("<QQ", len(chunk.data) - 36 - len(name), len(raw)),
        ).packed()  # fmt: skip
    for record in layout.extra:
        out += record.packed()
    out += Record(DATA_END, bytes(4)).packed()
    start = len(out)
    stamps = [message.log_ns & _M for group in layout.groups for message in group] or [0]
    tally = b"".join(struct.pack("<HQ", *pair) for pair in counts.items())
    statistics = struct.pack(
        "<QHIIIIQQI", sum(counts.values()), len(layout.schemas), len(layout.channels), 0, 0, len(layout.groups),
        min(stamps), max(stamps), len(tally),
    ) + tally  # fmt: skip
    out += described + Record(STATISTICS, statistics).packed() + index
    footer = struct.pack("<BQQQ", FOOTER, 20, start, 0)
    out += footer + struct.pack("<I", zlib.crc32(footer, zlib.crc32(out[start:]))) + MAGIC
    return bytes(out)
