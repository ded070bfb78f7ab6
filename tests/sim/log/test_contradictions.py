"""A log that contradicts itself is refused, by its name and in a sentence: heads and index, channels, records whose parts do not fit."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import LogError
from protocols.v1 import log_pb2, world_pb2
from sim.log.header import MAX_DEPTH, check_nesting
from sim.log.reader import LogReader
from sim.log.scan import MAX_CHUNK
from tests.hostile_logs.parts import (
    CHUNK,
    MESSAGE,
    MESSAGE_INDEX,
    ChunkParts,
    Layout,
    Record,
    built,
    channel,
    channel_names,
    chunk_parts,
    joined,
    layout_of,
    records_of,
    zstd_of_zeros,
)
from tests.sim.log.run import Run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("log") / "run.mcap"
    Run().write(path, chunk_bytes=6_000).close()
    return path.read_bytes()


def refused(data: bytes | bytearray, tmp_path: Path, says: str, recover: bool = False) -> None:
    """Reading all of it is a LogError that names the file."""
    path = tmp_path / "bad.mcap"
    path.write_bytes(data)
    with pytest.raises(LogError, match=r"bad\.mcap: .*" + says):
        read_all(LogReader.open(path, recover))


def read_all(log: LogReader) -> None:
    for name in log.trace_names():
        log.traces(name)
    log.digests(), log.events(), log.result(), log.actors()
    for rows in (
        log.world(),
        log.messages(),
        log.fates(),
        log.notes(),
        log.timing(),
        log.signals(),
    ):
        list(rows)


def changed(data: bytes, topic: str, kind: Any, change: Callable[[Any], None]) -> bytes:
    """With the first record of a topic changed, and all that goes with it made right."""
    layout = layout_of(data)
    names = channel_names(b"".join(record.packed() for record in layout.channels))
    for group in layout.groups:
        for k, message in enumerate(group):
            if names[message.channel][0] == topic:
                made = kind.FromString(message.data)
                change(made)
                group[k] = replace(message, data=made.SerializeToString())
                return built(layout)
    raise AssertionError(topic)


def chunks(data: bytes) -> list[Record]:
    return [record for record in records_of(data) if record.opcode == CHUNK]


@pytest.mark.parametrize(("place", "by"), [(0, -1), (8, 1)])
def test_a_chunk_that_says_other_times_than_the_index(
    whole: bytes, tmp_path: Path, place: int, by: int
) -> None:
    bad = bytearray(whole)
    at = chunks(whole)[2].at + 9 + place
    struct.pack_into("<Q", bad, at, struct.unpack_from("<Q", bad, at)[0] + by)
    refused(bad, tmp_path, "is not what the index says of it")


def test_without_an_index_its_messages_say_when_it_was(whole: bytes, tmp_path: Path) -> None:
    records = [r for r in records_of(whole) if r.at < chunks(whole)[4].at]
    path = tmp_path / "cut.mcap"
    path.write_bytes(joined(records, b""))
    before = [sample.t_ns for sample in LogReader.open(path, recover=True).world()]
    bad = bytearray(path.read_bytes())
    struct.pack_into("<Q", bad, chunks(whole)[3].at + 9 + 8, 2**62)  # its last time
    path.write_bytes(bad)
    log = LogReader.open(path, recover=True)
    assert [sample.t_ns for sample in log.world()] == before
    assert log.end_ns() < 10**10 and log.lost is not None and "t=4611" not in log.lost


def test_an_index_that_points_elsewhere_hides_nothing(whole: bytes, tmp_path: Path) -> None:
    """A chunk's message index has no checksum; what it says of channels is not believed."""
    index = [r for r in records_of(whole) if r.opcode == MESSAGE_INDEX]
    path = tmp_path / "bad.mcap"
    path.write_bytes(whole)
    before = LogReader.open(path).traces("obu/a").t_ns.tolist()
    bad = bytearray(whole)
    for record in index:
        bad[record.at + 9] ^= 0x40
    path.write_bytes(bad)
    assert LogReader.open(path).traces("obu/a").t_ns.tolist() == before


def test_a_chunk_that_poses_as_something_else_is_missed(whole: bytes, tmp_path: Path) -> None:
    bad = bytearray(whole)
    bad[chunks(whole)[-1].at] = 0x86
    refused(bad, tmp_path, r"the index names \d+ chunks, but the file has \d+")
    path = tmp_path / "bad.mcap"
    lost = LogReader.open(path, recover=True).lost
    assert lost is not None and lost.endswith("what is there is read, what is missing is not known")


def test_an_index_with_a_flipped_bit(whole: bytes, tmp_path: Path) -> None:
    bad = bytearray(whole)
    bad[-100] ^= 1
    refused(bad, tmp_path, "the index at byte .* does not have its checksum")


def test_one_channel_under_two_names(whole: bytes, tmp_path: Path) -> None:
    layout = layout_of(whole)
    layout.channels.append(channel(1, 1, "v2x/bsm"))
    refused(
        built(layout), tmp_path, "channel 1 is described twice, as 'log/header' and as 'v2x/bsm'"
    )


def test_messages_outside_of_chunks_are_not_passed_over(whole: bytes, tmp_path: Path) -> None:
    records = list(records_of(whole))
    loose = Record(MESSAGE, struct.pack("<HIQQ", 1, 1, 5, 5) + b"x")
    refused(joined([*records[:2], loose, *records[2:]]), tmp_path, "opcode 5 at byte")


def test_chunks_in_another_compression_or_of_another_size(whole: bytes, tmp_path: Path) -> None:
    def lied(**lie: Any) -> bytes:
        records = list(records_of(whole))
        at = records.index(chunks(whole)[1])
        records[at] = Record(CHUNK, replace(chunk_parts(records[at].data), **lie).packed())
        return joined(records)

    refused(
        lied(compression="br"), tmp_path, "compressed as 'br', expected 'zstd', 'lz4' or nothing"
    )
    for other in ("lz4", ""):
        path = tmp_path / "lie.mcap"
        path.write_bytes(lied(compression=other))
        with pytest.raises(LogError, match=r"is damaged|does not have its checksum"):
            list(LogReader.open(path).world())
    refused(lied(size=MAX_CHUNK), tmp_path, "claims to unfold to")
    bomb = Record(CHUNK, ChunkParts(0, 1, b"", 100 * 2**20, 0).packed(zstd_of_zeros(10 * 2**30)[:100_000]))  # fmt: skip
    refused(
        joined([*list(records_of(whole))[:1], bomb]), tmp_path, "claims to unfold to", recover=True
    )


RECORDS: list[tuple[str, Any, Callable[[Any], None], str]] = [
    ("log/radio", log_pb2.RadioFates, lambda m: m.fate.__setitem__(0, 200), "radio record"),
    ("log/radio", log_pb2.RadioFates, lambda m: m.fate.__setitem__(0, -1), "radio record"),
    ("log/radio", log_pb2.RadioFates, lambda m: m.topic.append("x"), "radio record"),
    ("log/radio", log_pb2.RadioFates, lambda m: setattr(m, "t_ns", 2**63 - 1), "radio record"),
    ("log/note", log_pb2.Note, lambda m: m.value.append(1.0), "note of"),
    ("log/timing", log_pb2.Timing, lambda m: m.name.append("x"), "timing"),
    ("log/digest_part", log_pb2.DigestParts, lambda m: setattr(m, "start_tick", 7), "block of digests"),
    ("log/digest", log_pb2.Digests, lambda m: m.digest.append(7), "block of digests"),
    ("truth/trace", world_pb2.VehicleTrace, lambda m: setattr(m, "start_ns", 2**63 - 1), "trace of"),
]  # fmt: skip


@pytest.mark.parametrize(("topic", "kind", "change", "says"), RECORDS)
def test_records_whose_parts_do_not_fit(
    whole: bytes, tmp_path: Path, topic: str, kind: Any, change: Callable[[Any], None], says: str
) -> None:
    refused(changed(whole, topic, kind, change), tmp_path, says + ".* damaged")


def test_a_log_made_anew_from_its_parts_is_read_as_before(whole: bytes, tmp_path: Path) -> None:
    layout: Layout = layout_of(whole)
    path = tmp_path / "again.mcap"
    path.write_bytes(built(layout))
    read_all(LogReader.open(path))


def test_json_that_no_parser_gets_through(tmp_path: Path) -> None:
    check_nesting("[" * MAX_DEPTH + "]" * MAX_DEPTH, "log", "the result")
    check_nesting("[]" * 10_000, "log", "the result")
    with pytest.raises(LogError, match="log: the result is nested more than"):
        check_nesting('{"a":' * 5000, "log", "the result")
