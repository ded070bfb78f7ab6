"""The MCAP container, written lean: pre-encoded bytes in, zstd chunks out, readable by any stock MCAP reader.

The stock Python writer builds several objects per message; at 200 messages per simulated second that is a noticeable share of a
run. Here a message costs one `struct.pack_into` and a copy; everything rare (schemas, channels, indexes, summary) uses the
stock library's record classes. Bytes are copied into one buffer at once: keeping a chunk's thousands of little objects alive instead
costs a run more, since everything else then lives in cold memory. A chunk is closed when it holds `chunk_bytes` or spans `chunk_ns`, and is flushed to the file:
a crash loses the open chunk and nothing else. Memory: the open chunk, plus one index row per chunk.

Source: MCAP specification, records 0x01-0x0F.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zstandard
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Schema,
    Statistics,
    SummaryOffset,
)

MAGIC = b"\x89MCAP0\r\n"
PROFILE = "icv"
LIBRARY = "icv"
CHUNK_BYTES = (
    1024 * 1024
)  # three seconds of a full corridor: what a crash costs, and what a seek reads
SLACK_BYTES = 64 * 1024  # the last message of a chunk goes beyond its size
CHUNK_NS = 30_000_000_000  # a quiet scene still reaches the disk every 30 simulated seconds
LEVEL = 1  # zstd: level 3 costs three times the time for a few per cent on noisy floats

_MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
_CHUNK = struct.Struct("<QQQI")  # start, end, uncompressed size, crc
_INDEX = struct.Struct("<BQHI")


class Container:
    """Writes one MCAP file. Times are absolute nanoseconds; message times must not decrease by more than a chunk."""

    def __init__(
        self,
        path: Path,
        level: int = LEVEL,
        chunk_bytes: int = CHUNK_BYTES,
        chunk_ns: int = CHUNK_NS,
    ) -> None:
        self._file = path.open("wb")
        self._zstd = zstandard.ZstdCompressor(level=level)
        self._chunk_bytes = chunk_bytes
        self._chunk_ns = chunk_ns
        self._schemas: dict[str, Schema] = {}
        self._channels: list[Channel] = []
        self._counts: list[int] = [0]  # messages by channel id; ids start at 1
        self._chunks: list[ChunkIndex] = []
        self._span = (2**64 - 1, 0)
        self._raw = bytearray(chunk_bytes + SLACK_BYTES)  # the open chunk; grows when it must
        self._index: dict[int, list[int]] = {}
        self._size = 0
        self._num = 0
        self._start = 2**64 - 1
        self._end = 0
        header = RecordBuilder()
        Header(PROFILE, LIBRARY).write(header)
        self._file.write(MAGIC + _taken(header))
        self._file.flush()

    def channel(self, topic: str, message: type[Message], metadata: dict[str, str]) -> int:
        """Id of a new channel for one topic and message type; the schema is added once per type."""
        descriptor: Any = message.DESCRIPTOR
        builder = RecordBuilder()
        schema = self._schemas.get(descriptor.full_name)
        if schema is None:
            schema = Schema(
                id=len(self._schemas) + 1,
                data=file_descriptor_set(descriptor.file),
                encoding="protobuf",
                name=descriptor.full_name,
            )
            self._schemas[descriptor.full_name] = schema
            schema.write(builder)
        channel = Channel(len(self._channels) + 1, topic, "protobuf", metadata, schema.id)
        self._channels.append(channel)
        self._counts.append(0)
        channel.write(builder)
        record = _taken(builder)
        self._raw[self._size : self._size + len(record)] = record
        self._size += len(record)
        return channel.id

    def add(
        self, channel: int, log_ns: int, data: bytes, sequence: int = 0, sent_ns: int = 0
    ) -> None:
        """One message; `sent_ns` 0 means sent when logged."""
        if log_ns - self._start > self._chunk_ns and self._num:
            self.flush()
        length = len(data)
        at, size = self._size, self._size + 31 + length
        if size > len(self._raw):
            self._raw.extend(bytes(size + self._chunk_bytes - len(self._raw)))
        _MESSAGE.pack_into(
            self._raw, at, 5, 22 + length, channel, sequence, log_ns, sent_ns or log_ns
        )
        self._raw[at + 31 : size] = data
        rows = self._index.get(channel)
        if rows is None:
            rows = self._index[channel] = []
        rows += (log_ns, at)
        self._size = size
        self._num += 1
        self._start = min(self._start, log_ns)
        self._end = max(self._end, log_ns)
        if self._size >= self._chunk_bytes:
            self.flush()

    def flush(self) -> None:
        """Closes the open chunk and hands it to the operating system. Without messages in it nothing happens."""
        if not self._num:
            return
        raw = memoryview(self._raw)[: self._size]
        compressed = self._zstd.compress(raw)
        name = b"zstd"
        content = (
            _CHUNK.pack(self._start, self._end, len(raw), zlib.crc32(raw))
            + struct.pack("<I", len(name))
            + name
            + struct.pack("<Q", len(compressed))
        )
        length = len(content) + len(compressed)
        at = self._file.tell()
        self._file.write(struct.pack("<BQ", 6, length) + content)
        self._file.write(compressed)
        offsets: dict[int, int] = {}
        indexes = self._file.tell()
        for channel, rows in self._index.items():
            offsets[channel] = self._file.tell()
            count = len(rows) // 2
            self._counts[channel] += count
            self._file.write(_INDEX.pack(7, 6 + 16 * count, channel, 16 * count))
            self._file.write(struct.pack(f"<{2 * count}Q", *rows))
        self._chunks.append(
            ChunkIndex(
                chunk_length=9 + length,
                chunk_start_offset=at,
                compression="zstd",
                compressed_size=len(compressed),
                message_end_time=self._end,
                message_index_length=self._file.tell() - indexes,
                message_index_offsets=offsets,
                message_start_time=self._start,
                uncompressed_size=len(raw),
            )
        )
        self._span = (min(self._span[0], self._start), max(self._span[1], self._end))
        self._file.flush()
        self._reset()

    def close(self) -> None:
        """Last chunk, summary section, footer."""
        if self._file.closed:
            return
        self.flush()
        builder = RecordBuilder()
        DataEnd(0).write(builder)
        self._file.write(_taken(builder))
        start = self._file.tell()
        summary, offsets = self._summary(start)
        for offset in offsets:
            offset.write(summary)
        offset_start = offsets[-1].group_start + offsets[-1].group_length
        data = _taken(summary)
        crc = zlib.crc32(data)
        crc = zlib.crc32(struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start), crc)
        footer = RecordBuilder()
        Footer(summary_start=start, summary_offset_start=offset_start, summary_crc=crc).write(
            footer
        )
        self._file.write(data + _taken(footer) + MAGIC)
        self._file.close()

    def _summary(self, start: int) -> tuple[RecordBuilder, list[SummaryOffset]]:
        total = sum(self._counts)
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts={c.id: self._counts[c.id] for c in self._channels},
            chunk_count=len(self._chunks),
            message_count=total,
            message_end_time=self._span[1] if total else 0,
            message_start_time=self._span[0] if total else 0,
            metadata_count=0,
            schema_count=len(self._schemas),
        )
        groups: list[tuple[Opcode, Iterable[Schema | Channel | Statistics | ChunkIndex]]] = [
            (Opcode.SCHEMA, self._schemas.values()),
            (Opcode.CHANNEL, self._channels),
            (Opcode.STATISTICS, [statistics]),
            (Opcode.CHUNK_INDEX, self._chunks),
        ]
        builder = RecordBuilder()
        offsets = []
        for opcode, records in groups:
            before = builder.count
            for record in records:
                record.write(builder)
            offsets.append(
                SummaryOffset(
                    group_opcode=opcode,
                    group_start=start + before,
                    group_length=builder.count - before,
                )
            )
        return builder, offsets

    def _reset(self) -> None:
        self._index = {}
        self._size = 0
        self._num = 0
        self._start = 2**64 - 1
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _taken(builder: RecordBuilder) -> bytes:
    data: bytes = builder.end()  # type: ignore[no-untyped-call]
    return data


def file_descriptor_set(file: FileDescriptor) -> bytes:
    """Serialised FileDescriptorSet of `file` and everything it imports, imports first: what MCAP calls a protobuf schema."""
    found: dict[str, FileDescriptor] = {}

    def visit(item: FileDescriptor) -> None:
        if item.name not in found:
            for needed in item.dependencies:
                visit(needed)
            found[item.name] = item

    visit(file)
    out = FileDescriptorSet()
    for item in found.values():
        item.CopyToProto(out.file.add())
    return out.SerializeToString(deterministic=True)
