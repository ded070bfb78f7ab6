"""What the radio says of a block's messages: fates and latencies, read straight from the records' wire bytes.

Names are parsed once per combination, columns of all records are joined and looked at as one array. Everything is numbered by the run's
directory: topics, units, receivers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from protocols.errors import CodecError, LogError
from protocols.roads.network import U8
from protocols.sentence import say
from protocols.wire import read_varint
from sim.radio.fates import I64, Fate
from sim.report.pack.columns import Array
from sim.report.pack.source import Rows, Source


class Names:
    """Numbers for names, in order of appearance; known ones keep theirs."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        self._numbers = {name: k for k, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        """The number of `name`."""
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = len(self.names)
            self.names.append(name)
        return known


@dataclass(slots=True)
class Directory:
    """The run's numbers for topics, units and receivers."""

    topics: Names = field(default_factory=Names)
    units: Names = field(default_factory=Names)
    receivers: Names = field(default_factory=Names)


@dataclass(frozen=True, slots=True)
class Radio:
    """All transmissions of a block: key (m, 4) t_ns, topic, sender, seq; rows (m,); fates (n, R) and latency."""

    key: I64
    rows: I64
    fate: U8
    latency_us: Array


def read_radio(source: Source, parts: list[Rows], directory: Directory) -> Radio:
    wanted = sorted(source.channels("log/radio"))
    reader = _FateReader(source.path, directory)
    ticks: list[_Tick] = []
    stamps: list[int] = []
    for part in parts:
        at = part.of(wanted)
        stamps += part.t_ns[at].tolist()
        for a, b in zip(part.begin[at].tolist(), part.end[at].tolist(), strict=True):
            ticks.append(reader.read(part.raw, a, b))
    return reader.joined(np.array(stamps, np.int64), ticks)


class _Tick(NamedTuple):
    """One radio record: its names, and its columns' bytes."""

    who: _Who
    seq: bytes
    rows: bytes
    fate: bytes
    latency_us: bytes


@dataclass(frozen=True, slots=True)
class _Who:
    """The names at the head of a radio record, as they stand on the wire."""

    raw: bytes
    names: I64  # (m, 2)
    order: tuple[int, ...]  # directory numbers of the receivers


class _FateReader:
    """Reads radio records straight from their wire bytes: names are parsed once per combination, columns are joined."""

    def __init__(self, path: Path, directory: Directory) -> None:
        self._path = path
        self._directory = directory
        self._known: list[_Who] = []  # most recent first; a scene has a few dozen

    def read(self, raw: bytes, begin: int, end: int) -> _Tick:
        """The record in raw[begin:end]; LogError when it is damaged."""
        try:
            at = begin
            if at < end and raw[at] == 0x08:
                _, at = read_varint(raw, at + 1)
            who = self._who(raw, at, end)
            at += len(who.raw)
            columns = [b"", b"", b"", b""]  # fields 5 to 8
            while at < end:
                k = (raw[at] >> 3) - 5
                length, at = read_varint(raw, at + 1)
                if not 0 <= k < 4 or columns[k]:
                    raise CodecError(f"field {k + 5} is not expected")
                columns[k] = raw[at : at + length]
                at += length
            if at > end:
                raise CodecError("it is not whole")
            return _Tick(who, *columns)
        except (CodecError, IndexError, ValueError) as error:
            raise LogError(
                say("{log}: a radio record is damaged ({why!s})", log=self._path, why=error)
            ) from error

    def joined(self, t_ns: I64, ticks: list[_Tick]) -> Radio:
        """All records of a block; LogError when their columns do not fit together."""
        try:
            return self._joined(t_ns, ticks)
        except (CodecError, ValueError) as error:
            raise LogError(
                say("{log}: a radio record is damaged ({why!s})", log=self._path, why=error)
            ) from error

    def _joined(self, t_ns: I64, ticks: list[_Tick]) -> Radio:
        width = len(self._directory.receivers.names)
        number = np.array([tick.who.names.shape[0] for tick in ticks], np.int64)
        if any(
            len(tick.seq) != 4 * n or len(tick.rows) != 4 * n
            for tick, n in zip(ticks, number.tolist(), strict=True)
        ):
            raise CodecError("another number of sequence numbers than of names")
        seq = np.frombuffer(b"".join([tick.seq for tick in ticks]), "<u4").astype(np.int64)
        rows = np.frombuffer(b"".join([tick.rows for tick in ticks]), "<u4").astype(np.int64)
        total = np.concatenate(([0], np.cumsum(rows)))
        ends = np.cumsum(number)
        per_tick = total[ends] - total[ends - number]
        wide = np.array([len(tick.who.order) for tick in ticks], np.int64)
        sizes = np.array([len(tick.fate) for tick in ticks], np.int64)
        if not np.array_equal(sizes, per_tick * wide):
            raise CodecError("another number of fates than of rows and receivers")
        fate = np.frombuffer(b"".join([tick.fate for tick in ticks]), np.uint8)
        late = np.frombuffer(b"".join([tick.latency_us for tick in ticks]), "<u4")
        heard = fate == Fate.DELIVERED
        if int(np.count_nonzero(heard)) != late.size or (fate.size and fate.max() > max(Fate)):
            raise CodecError("its fates and latencies do not fit together")
        latency = np.zeros(fate.size, np.uint32)
        latency[heard] = late
        plain = tuple(range(width))
        if not fate.size:
            table, table_us = (np.zeros((0, width), kind) for kind in (np.uint8, np.uint32))
        elif all(tick.who.order == plain for tick in ticks):
            table, table_us = fate.reshape(-1, width), latency.reshape(-1, width)
        else:
            table, table_us = self._placed(ticks, per_tick, fate, latency, width)
        key = np.empty((seq.size, 4), np.int64)
        key[:, 0] = np.repeat(t_ns, number)
        key[:, 1:3] = np.concatenate([np.zeros((0, 2), np.int64), *(t.who.names for t in ticks)])
        key[:, 3] = seq
        return Radio(key, rows, table, table_us)

    def _placed(
        self, ticks: list[_Tick], per_tick: I64, fate: U8, latency: Array, width: int
    ) -> tuple[U8, Array]:
        """Fates of records with other receivers or another order: each in its receiver's column."""
        table = np.zeros((int(per_tick.sum()), width), np.uint8)
        table_us = np.zeros(table.shape, np.uint32)
        row, at = 0, 0
        for tick, count in zip(ticks, per_tick.tolist(), strict=True):
            order = list(tick.who.order)
            size = count * len(order)
            shape = (count, len(order))
            table[row : row + count, order] = fate[at : at + size].reshape(shape)
            table_us[row : row + count, order] = latency[at : at + size].reshape(shape)
            row, at = row + count, at + size
        return table, table_us

    def _who(self, raw: bytes, at: int, end: int) -> _Who:
        for k, known in enumerate(self._known):
            size = len(known.raw)
            # What follows the names is field 5, or nothing; otherwise the names go on.
            if raw.startswith(known.raw, at) and (at + size == end or raw[at + size] == 0x2A):
                if k:
                    self._known.insert(0, self._known.pop(k))
                return known
        fresh = self._parsed(raw, at, end)
        self._known.insert(0, fresh)
        del self._known[1000:]
        return fresh

    def _parsed(self, raw: bytes, begin: int, end: int) -> _Who:
        texts: dict[int, list[str]] = {2: [], 3: [], 4: []}
        at = begin
        while at < end and raw[at] in (0x12, 0x1A, 0x22):
            number = raw[at] >> 3
            length, at = read_varint(raw, at + 1)
            texts[number].append(raw[at : at + length].decode())
            at += length
        if at > end or len(texts[3]) != len(texts[4]):
            raise CodecError(f"{len(texts[3])} senders and {len(texts[4])} topics")
        names = [
            (self._directory.topics.number(topic), self._directory.units.number(sender))
            for sender, topic in zip(texts[3], texts[4], strict=True)
        ]
        order = [self._directory.receivers.number(name) for name in texts[2]]
        return _Who(
            raw[begin:at],
            np.array(names, np.int64).reshape(-1, 2),
            tuple(order),
        )
