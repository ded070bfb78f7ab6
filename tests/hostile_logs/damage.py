"""Hostile logs whose container is wrong: cut, flipped, with wild lengths, with chunks that lie, bombs, records nobody knows.

A kind takes the bytes of a good log and a seeded `Random`, and gives the bytes of a bad one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.hostile_logs.parts import (
    ATTACHMENT,
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    METADATA,
    SCHEMA,
    STATISTICS,
    SUMMARY_OFFSET,
    ChunkParts,
    Record,
    chunk_parts,
    honest_chunk,
    joined,
    records_of,
    squeezed,
    text,
    with_summary,
    zstd_of_zeros,
)

Kind = Callable[[bytes, Random], bytes]
NAMES = {
    HEADER: "header", CHUNK: "chunk", MESSAGE_INDEX: "message-index", DATA_END: "data-end", SCHEMA: "schema",
    CHANNEL: "channel", STATISTICS: "statistics", CHUNK_INDEX: "chunk-index", SUMMARY_OFFSET: "summary-offset",
    FOOTER: "footer",
}  # fmt: skip
WILD = (0, 1, 8, 2**31 - 1, 2**32, 10 * 2**30, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 1)


def region(data: bytes, opcode: int, draw: Random) -> Record:
    """One of the records of a kind; any, where there is none such."""
    records = list(records_of(data))
    return draw.choice([record for record in records if record.opcode == opcode] or records)


def cut_in(opcode: int) -> Kind:
    """Cut inside a record of a kind: in its head, at its ends, in its middle."""

    def cut(data: bytes, draw: Random) -> bytes:
        record = region(data, opcode, draw)
        place = draw.choice(
            (record.at, record.at + 1, record.at + draw.randrange(1, 9), record.end - 1, record.end,
             draw.randrange(record.at, record.end + 1))
        )  # fmt: skip
        return data[:place]

    return cut


def cut_anywhere(data: bytes, draw: Random) -> bytes:
    """Cut at a random place, the closing magic too."""
    return data[: draw.choice((draw.randrange(len(data)), len(data) - draw.randrange(1, 9)))]


def flip_in(opcode: int) -> Kind:
    """Some flipped bits in a record of a kind: its head, or its content."""

    def flip(data: bytes, draw: Random) -> bytes:
        record = region(data, opcode, draw)
        out = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 8))):
            span = (record.at, record.at + 9) if draw.random() < 0.3 else (record.at, record.end)
            if opcode == CHUNK and draw.random() < 0.5:
                span = (record.at + 9, record.at + 9 + 48)
            out[draw.randrange(*span)] ^= 1 << draw.randrange(8)
        return bytes(out)

    return flip


def flip_anywhere(data: bytes, draw: Random) -> bytes:
    """Flipped bits, the magics too."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 2, 20))):
        out[draw.choice((draw.randrange(8), draw.randrange(len(out)), -draw.randrange(1, 60)))] ^= 1 << draw.randrange(8)  # fmt: skip
    return bytes(out)


def wild_length(data: bytes, draw: Random) -> bytes:
    """A record that claims another length."""
    record = draw.choice(list(records_of(data)))
    length = draw.choice((*WILD, len(record.data) - 1, len(record.data) + 1, len(data) - record.at))
    out = bytearray(data)
    struct.pack_into("<Q", out, record.at + 1, max(length, 0))
    return bytes(out)


def wild_opcode(data: bytes, draw: Random) -> bytes:
    """A record that claims to be another."""
    record = draw.choice(list(records_of(data)))
    out = bytearray(data)
    out[record.at] = draw.choice((0, *range(1, 17), 0x7F, 0x80, 0xFF))
    return bytes(out)


def wild_number(data: bytes, draw: Random) -> bytes:
    """A number inside a record of the container replaced: counts, offsets, times, ids."""
    record = draw.choice([r for r in records_of(data) if len(r.data) >= 8])
    out = bytearray(data)
    limit = 60 if record.opcode == CHUNK else len(record.data)
    place = record.at + 9 + draw.randrange(max(1, min(limit, len(record.data)) - 7))
    if draw.random() < 0.5:
        struct.pack_into("<Q", out, place, draw.choice(WILD))
    else:
        struct.pack_into("<I", out, place, draw.choice(WILD) & 0xFFFFFFFF)
    return bytes(out)


def inner_length(data: bytes, draw: Random) -> bytes:
    """A record inside a chunk with a wild length; the chunk's checksum is right."""

    def change(raw: bytes) -> bytes:
        record = draw.choice(list(records_of(raw, 0)))
        out = bytearray(raw)
        length = draw.choice((*WILD, len(record.data) - 1, len(record.data) + 1, 21, 22))
        struct.pack_into("<Q", out, record.at + 1, max(length, 0))
        return bytes(out)

    return _with_chunk(data, draw, change)


def inner_flip(data: bytes, draw: Random) -> bytes:
    """Flipped bits inside a chunk, with the right checksum: somebody meant it."""

    def change(raw: bytes) -> bytes:
        out = bytearray(raw)
        for _ in range(draw.choice((1, 3, 50))):
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
        return bytes(out)

    return _with_chunk(data, draw, change)


def inner_cut(data: bytes, draw: Random) -> bytes:
    """A chunk whose records break off, or are none at all."""
    return _with_chunk(data, draw, lambda raw: raw[: draw.choice((0, 1, draw.randrange(len(raw))))])


def inner_records(data: bytes, draw: Random) -> bytes:
    """Records inside a chunk that have no place there, or a million empty ones."""
    what = draw.choice((
        Record(HEADER, text("icv") + text("icv")).packed(),
        Record(FOOTER, bytes(20)).packed() + MAGIC,
        Record(CHUNK, bytes(40)).packed(),
        Record(0, b"").packed(),
        Record(0x99, bytes(1000)).packed(),
        Record(MESSAGE, b"").packed() * 200_000,
        Record(MESSAGE, bytes(21)).packed(),
        Record(CHANNEL, b"").packed(),
        Record(CHANNEL, struct.pack("<HHI", 1, 1, 2**32 - 1)).packed(),
        Record(SCHEMA, b"\x01\x00" + text("x") * 3).packed(),
    ))  # fmt: skip
    is_first = draw.random() < 0.5
    return _with_chunk(data, draw, lambda raw: what + raw if is_first else raw + what)


def wrong_chunk_head(data: bytes, draw: Random) -> bytes:
    """A chunk whose times, size, checksum or compression are not what it holds."""
    records = list(records_of(data))
    k = draw.choice([k for k, r in enumerate(records) if r.opcode == CHUNK])
    chunk = chunk_parts(records[k].data)
    lie: dict[str, Any] = draw.choice((
        {"start_ns": 0}, {"start_ns": 2**64 - 1}, {"end_ns": 0}, {"end_ns": 2**64 - 1}, {"end_ns": 2**63},
        {"start_ns": chunk.end_ns, "end_ns": chunk.start_ns}, {"start_ns": 2**63, "end_ns": 2**63 - 1},
        {"end_ns": chunk.end_ns + 10**15}, {"end_ns": chunk.end_ns + 5 * 10**9}, {"start_ns": chunk.end_ns},
        {"size": 0}, {"size": 10 * 2**30}, {"size": 2**64 - 1}, {"size": 200 * 2**20}, {"size": chunk.size - 1},
        {"crc": 0}, {"crc": chunk.crc ^ 1},
    ))  # fmt: skip
    changed = replace(chunk, **lie)
    claimed = draw.choice((None, None, None, 0, 1, 2**32, 2**63, 2**64 - 1))
    records[k] = Record(CHUNK, changed.packed(claimed=claimed))
    return joined(records)


def wrong_compression(data: bytes, draw: Random) -> bytes:
    """Chunks that say another compression than their data is in, or one nobody knows."""
    records = list(records_of(data))
    told = draw.choice(("lz4", "", "ZSTD", "zstd\0", "gzip", "../../x", "z" * 100_000, "\udcff"))
    for k, record in enumerate(records):
        if record.opcode == CHUNK:
            chunk = chunk_parts(record.data)
            records[k] = Record(
                CHUNK, replace(chunk, compression=told).packed(squeezed(chunk.raw, "zstd"))
            )
    return joined(records)


def bomb(data: bytes, draw: Random) -> bytes:
    """Chunks that unfold to gigabytes, declared or not; many that unfold to the most that is allowed; a window of a gigabyte."""
    size = draw.choice((2**28, 2**28, 10 * 2**30))
    frame = zstd_of_zeros(size, draw.choice((17, 20, 27, 30)))
    told = draw.choice((size, 1000, 2**28, 2**64 - 1))
    crc = zlib.crc32(bytes(size)) if size == told == 2**28 else 0
    one = Record(CHUNK, ChunkParts(0, 2**63, b"", told, crc).packed(frame))
    head, *rest = records_of(data)
    number = draw.choice((1, 1, 60))
    place = draw.choice((0, 1, len(rest)))
    return joined([head, *rest[:place], *[one] * number, *rest[place:]])


def filled_bomb(data: bytes, draw: Random) -> bytes:
    """A chunk of honest checksum that unfolds a hundredfold and more to whole records."""
    head, first, *rest = records_of(data)
    each = draw.choice((0, 22, 200_000))
    record = draw.choice((Record(0x80, bytes(each)), Record(MESSAGE, bytes(22 + each)))).packed()
    raw = record * (draw.choice((30, 120)) * 2**20 // len(record))
    return joined([head, first, honest_chunk(raw, 0, 2**62), *rest])


def chunk_order(data: bytes, draw: Random) -> bytes:
    """Chunks again and again, backwards, shuffled, or overlapping: the index knows nothing of it."""
    records = list(records_of(data))
    chunks = [k for k, r in enumerate(records) if r.opcode == CHUNK]
    how = draw.randrange(4)
    if how == 0:
        k = draw.choice(chunks)
        return joined(records[:k] + [records[k]] * draw.choice((2, 50, 300)) + records[k + 1 :])
    moved = [records[k] for k in chunks]
    moved = moved[::-1] if how == 1 else draw.sample(moved, len(moved))
    for k, record in zip(chunks, moved, strict=True):
        records[k] = record
    if how == 3:  # all of them claim the whole run
        for k in chunks:
            records[k] = Record(CHUNK, struct.pack("<QQ", 0, 2**63 - 1) + records[k].data[16:])
    return joined(records)


def lost_records(data: bytes, draw: Random) -> bytes:
    """Some records are missing: chunks, indexes, parts of the summary, or all of the summary."""
    records = list(records_of(data))
    if draw.random() < 0.3:
        return with_summary([r for r in records if r.opcode not in (FOOTER, DATA_END)])
    gone = draw.choice(sorted({r.opcode for r in records}))
    return joined([r for r in records if r.opcode != gone or draw.random() < 0.3])


def foreign_records(data: bytes, draw: Random) -> bytes:
    """Attachments with names that climb, metadata with a huge count, records of other vendors: at the top level."""
    name = draw.choice(("../../../tmp/pwned", "/etc/passwd", "a\0b", "x" * 100_000, "\x1b[2J"))
    body = struct.pack("<QQ", 0, 2**63) + text(name) + text("text/plain") + struct.pack("<Q", 4) + b"data"  # fmt: skip
    attachment = body + struct.pack("<I", zlib.crc32(body))
    extra = draw.choice((
        Record(ATTACHMENT, attachment),
        Record(ATTACHMENT, attachment[:20]),
        Record(ATTACHMENT, struct.pack("<QQI", 0, 0, 2**32 - 1)),
        Record(METADATA, text(name) + struct.pack("<I", 2**32 - 1)),
        Record(METADATA, text("m") + struct.pack("<I", 0)),
        Record(0xFE, bytes(100_000)),
        Record(0x20, b""),
        Record(SCHEMA, b"\0\0" + text("none") * 2 + struct.pack("<I", 2**32 - 1)),
        Record(CHANNEL, struct.pack("<HH", 3, 999) + text("v2x/bsm") + text("json") + struct.pack("<I", 2**31)),
        Record(MESSAGE, struct.pack("<HIQQ", 3, 1, 5, 5) + b"loose"),
        Record(MESSAGE_INDEX, struct.pack("<HI", 1, 2**32 - 1)),
        Record(HEADER, text("ros2") + text("x")),
        Record(FOOTER, bytes(20)),
        Record(DATA_END, bytes(4)),
    ))  # fmt: skip
    records = list(records_of(data))
    place = draw.randrange(len(records))
    return joined(records[:place] + [extra] * draw.choice((1, 1, 3000)) + records[place:])


def garbage(data: bytes, draw: Random) -> bytes:
    """Random bytes behind the magic, in the middle, or at the end; zeros as a crashed file system leaves them."""
    noise = draw.choice((draw.randbytes(2000), bytes(70_000)))
    place = draw.choice((8, draw.randrange(len(data)), len(data)))
    if draw.random() < 0.5:
        return data[:place] + noise + data[place:]
    return data[:place] + noise + data[place + len(noise) :]


KINDS: dict[str, Kind] = {
    **{f"cut {name}": cut_in(opcode) for opcode, name in NAMES.items()},
    **{f"flip {name}": flip_in(opcode) for opcode, name in NAMES.items()},
    "cut anywhere": cut_anywhere, "flip anywhere": flip_anywhere, "wild length": wild_length, "wild opcode": wild_opcode,
    "wild number": wild_number, "inner length": inner_length, "inner flip": inner_flip, "inner cut": inner_cut,
    "inner records": inner_records, "wrong chunk head": wrong_chunk_head, "wrong compression": wrong_compression,
    "bomb": bomb, "filled bomb": filled_bomb, "chunk order": chunk_order, "lost records": lost_records,
    "foreign records": foreign_records, "garbage": garbage,
}  # fmt: skip


def _with_chunk(data: bytes, draw: Random, change: Callable[[bytes], bytes]) -> bytes:
    """The file with the content of one chunk changed, its checksum made right; no summary, so nothing contradicts it."""
    records = [r for r in records_of(data) if r.opcode in (HEADER, CHUNK)]
    k = draw.choice([k for k, r in enumerate(records) if r.opcode == CHUNK])
    chunk = chunk_parts(records[k].data)
    records[k] = honest_chunk(change(chunk.raw), chunk.start_ns, chunk.end_ns)
    return with_summary(records)
