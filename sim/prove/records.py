"""Every record of a log as one number, and the first record in which two logs differ: byte for byte, not only by digest.

Left out: wall-clock timings, which differ by nature. Everything else has to be the same: topic, sender, stamp, number and bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from sim.diff.first import FirstDifference
from sim.log.scan import read_chunk, records, scan

_HEAD = struct.Struct("<QIQ")
_LEFT_OUT = frozenset({"log/timing"})
Record = tuple[str, str, int, int, bytes]  # topic, sender, log_ns, sequence, bytes


def each_record(path: Path) -> Iterator[Record]:
    """All compared records in the order of the file; LogError as `sim.log.scan.scan`."""
    found = scan(path, recover=False)
    with path.open("rb") as file:
        for chunk in found.chunks:
            for raw in records(read_chunk(file, chunk, path), found):
                channel = found.channels[raw.channel]
                if channel.topic not in _LEFT_OUT:
                    yield (
                        channel.topic,
                        channel.metadata.get("sender", ""),
                        raw.log_ns,
                        raw.sequence,
                        raw.data,
                    )


def records_sha256(path: Path) -> str:
    """SHA-256 over all compared records."""
    out = hashlib.sha256()
    for topic, sender, log_ns, sequence, data in each_record(path):
        out.update(f"{topic}\0{sender}\0".encode() + _HEAD.pack(log_ns, sequence, len(data)))
        out.update(data)
    return out.hexdigest()


def first_other_record(a: Path, b: Path, epoch_ns: int, tick_ns: int) -> FirstDifference | None:
    """Where log `b` leaves log `a`, record by record; None when all are the same."""
    for one, two in zip_longest(each_record(a), each_record(b)):
        if one == two:
            continue
        known = one or two
        assert known is not None
        topic, sender, log_ns = known[:3]
        t_ns = log_ns - epoch_ns
        at = (t_ns // tick_ns, t_ns, topic, sender)
        if one is None or two is None:
            return FirstDifference(*at, "record", _words(one), _words(two))
        if one[:4] != two[:4]:
            return FirstDifference(*at, "record", _words(one), _words(two))
        at_byte = next(
            (k for k, (x, y) in enumerate(zip(one[4], two[4], strict=False)) if x != y),
            min(len(one[4]), len(two[4])),
        )
        return FirstDifference(
            *at, f"byte {at_byte} of the record", _byte(one[4], at_byte), _byte(two[4], at_byte)
        )
    return None


def _words(record: Record | None) -> str:
    return (
        "-"
        if record is None
        else f"{record[0]} of {record[1]}, number {record[3]}, {len(record[4])} bytes"
    )


def _byte(data: bytes, at: int) -> str:
    return f"0x{data[at]:02x}" if at < len(data) else f"the end after {len(data)} bytes"
