"""What the reader says of a log that was cut or changed is true: counted again from the bytes, with none of its code.

A cut: where the file breaks off, in which record, up to when its records are there. A flipped bit, wherever it is: the log is refused, or
everything that is read from it is what was there before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from protocols.errors import LogError
from sim.log.reader import LogReader
from tests.hostile_logs.damage import NAMES
from tests.hostile_logs.parts import (
    CHUNK,
    DATA_END,
    FOOTER,
    MESSAGE_INDEX,
    Layout,
    built,
    channel_names,
    chunk_parts,
    messages_of,
    records_of,
    regrouped,
    unfolded,
)

SIZES = (3_000, 40_000)
Row = tuple[str, str, int, int, bytes]  # topic, sender, log time, sequence, bytes


def test_every_cut_is_told_as_it_is(good: Path, layout: Layout, tmp_path: Path) -> None:
    told = told_of_cuts(logs(good, layout), tmp_path, Random(3), 30)
    assert told > 150


@pytest.mark.long
def test_thousands_of_cuts_are_told_as_they_are(good: Path, layout: Layout, tmp_path: Path) -> None:
    assert told_of_cuts(logs(good, layout), tmp_path, Random(4), 3_000) > 5_000


def test_a_flipped_bit_is_noticed_or_changes_nothing(good: Path, layout: Layout, tmp_path: Path) -> None:  # fmt: skip
    refused, held = flipped(logs(good, layout), tmp_path, Random(5), 100)
    assert refused > 120 and held > 20


@pytest.mark.long
def test_of_thousands_of_flipped_bits_none_changes_what_is_read(
    good: Path, layout: Layout, tmp_path: Path
) -> None:
    refused, held = flipped(logs(good, layout), tmp_path, Random(6), 3_000)
    assert refused > 5_000 and held > 200


def logs(good: Path, layout: Layout) -> list[bytes]:
    """The log as the run wrote it, and in chunks of other sizes."""
    messages = [m for group in layout.groups for m in group]
    return [good.read_bytes()] + [
        built(replace(layout, groups=regrouped(messages, size))) for size in SIZES
    ]


def told_of_cuts(wholes: list[bytes], tmp_path: Path, draw: Random, count: int) -> int:
    """Cuts each log in every kind of record and at random places; how many cuts could be read."""
    told = 0
    path = tmp_path / "run.mcap"
    for whole in wholes:
        all_rows = list(rows_of(whole))
        records = list(records_of(whole))
        data_end = next(r for r in records if r.opcode == DATA_END).end
        places = {draw.randrange(9, len(whole)) for _ in range(count)} | {len(whole) - 1}
        for opcode in NAMES:
            mine = [r for r in records if r.opcode == opcode]
            for record in draw.sample(mine, min(len(mine), 6)):
                places |= {record.at, record.at + 1, record.at + 9, record.end - 1, record.end}
        for place in sorted(places - {len(whole)}):
            data = whole[:place]
            path.write_bytes(data)
            rows = list(rows_of(data))
            with pytest.raises(LogError, match=re.escape(str(path))):
                LogReader.open(path)
            if not any(topic == "log/header" for topic, *_ in rows):
                with pytest.raises(LogError, match=re.escape(str(path))):
                    LogReader.open(path, recover=True)
                continue
            reader = LogReader.open(path, recover=True)
            check_account(reader, whole, place, data_end, all_rows, rows)
            told += 1
    return told


def check_account(
    reader: LogReader, whole: bytes, place: int, data_end: int, all_rows: list[Row], mine: list[Row]
) -> None:
    """`lost` names the record that is cut, the size and the last time; all up to there is there, and is read."""
    lost = reader.lost
    assert lost is not None
    last = [r for r in records_of(whole) if r.at <= place][-1]
    begin = last.end if last.end <= place else last.at
    if last.opcode == FOOTER and last.end <= place:
        assert f"after its footer at byte {last.end} of {place}" in lost
    elif place - begin < 9:
        assert f"the file ends at byte {place} without a footer" in lost
    else:
        assert f"inside the record at byte {begin} of {place}" in lost
    assert sorted(mine) == sorted(all_rows[: len(mine)])
    if place >= data_end:
        assert lost.endswith("all its records are there, the index behind them is not")
        assert len(mine) == len(all_rows)
    else:
        said = re.search(
            r"records up to t=(\d+\.\d\d) s are there, what came after is missing", lost
        )
        assert said, lost
        epoch = reader.header().epoch_ns
        assert abs(float(said[1]) - (max(row[2] for row in mine) - epoch) / 1e9) <= 0.0051
        assert reader.end_ns() == max(row[2] for row in mine) - epoch
        # Nothing earlier is missing: a tick's records may be, and no more.
        missing = all_rows[len(mine) :]
        assert not missing or min(row[2] for row in missing) >= max(row[2] for row in mine)
    check_read(reader, mine)


def check_read(reader: LogReader, mine: list[Row]) -> None:
    """What the reader hands out is these rows, topic by topic."""
    epoch = reader.header().epoch_ns
    worlds = [sample.t_ns for sample in reader.world()]
    assert worlds == [row[2] - epoch for row in mine if row[0] == "truth/world"]
    messages = [(m.topic, m.sender, m.t_ns + epoch, m.seq, m.data) for m in reader.messages()]
    kinds = {row[0] for row in messages}
    assert messages == [row for row in mine if row[0] in kinds]
    assert kinds == {t for t, *_ in mine} - OTHERS
    assert len(reader.events()) == sum(row[0] == "truth/event" for row in mine)
    assert (reader.result() is not None) == any(row[0] == "log/result" for row in mine)
    blocks = sum(row[0] == "log/digest_part" for row in mine)
    assert bool(reader.digests().tick.size) == bool(blocks)


OTHERS = {
    "truth/world", "truth/actor", "truth/trace", "truth/signal", "truth/event", "log/header", "log/digest", "log/digest_part",
    "log/radio", "log/note", "log/result", "log/timing", "log/inbox",
    "foxglove/road", "foxglove/scene", "foxglove/tf", "foxglove/location", "foxglove/location/shuttle1",
}  # fmt: skip


def rows_of(data: bytes) -> Iterator[Row]:
    """The messages in a file, whole or cut, in its order."""
    names: dict[int, tuple[str, str]] = {}
    at = 8
    for record in records_of(data):
        at = record.end
        if record.opcode == CHUNK:
            yield from _rows(chunk_parts(record.data).raw, names)
    if data[at : at + 1] == bytes([CHUNK]) and len(data) - at > 9 + 44:
        yield from _rows(unfolded(data[at + 9 + 44 :]), names)


def _rows(raw: bytes, names: dict[int, tuple[str, str]]) -> Iterator[Row]:
    names |= channel_names(raw)
    for m in messages_of(raw):
        topic, sender = names[m.channel]
        yield topic, sender, m.log_ns, m.sequence, m.data


def flipped(wholes: list[bytes], tmp_path: Path, draw: Random, count: int) -> tuple[int, int]:
    """Flips single bits all over each log; (how many were noticed, how many changed nothing)."""
    path = tmp_path / "run.mcap"
    refused = held = 0
    for whole in wholes:
        path.write_bytes(whole)
        before = everything(path)
        records = list(records_of(whole))
        for k in range(count):
            if k % 3:  # heads of chunks, indexes and the summary take little room, and matter most
                record = draw.choice([r for r in records if k % 3 == 1 or r.opcode in (CHUNK, MESSAGE_INDEX)])  # fmt: skip
                span = range(record.at, min(record.end, record.at + (60 if record.opcode == CHUNK else 10**9)))  # fmt: skip
            else:
                span = range(len(whole))
            data = bytearray(whole)
            data[draw.choice(span)] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
            try:
                found = everything(path)
            except LogError as error:
                assert str(path) in str(error)
                refused += 1
                continue
            assert found == before
            held += 1
    return refused, held


def everything(path: Path) -> list[bytes]:
    """All that a log says, as bytes."""
    reader = LogReader.open(path)
    out = [
        repr(reader.header()).encode(),
        str(reader.result()).encode(),
        repr(reader.events()).encode(),
    ]
    out += [repr(item).encode() for item in reader.messages()]
    for sample in reader.world():
        out.append(
            b"".join(getattr(sample, name).tobytes() for name in ("id", "x_m", "y_m", "yaw_rad"))
        )
    for name in reader.trace_names():
        out.append(
            np.stack([reader.traces(name).x_m, reader.traces(name).command_accel_mps2]).tobytes()
        )
    digests = reader.digests()
    out.append(
        np.stack([digests.digest, digests.truth, digests.message, digests.command]).tobytes()
    )
    out += [repr((fates.t_ns, fates.fate.tobytes())).encode() for fates in reader.fates()]
    out += [repr(item).encode() for item in (*reader.notes(), *reader.timing(), *reader.signals())]
    return out
