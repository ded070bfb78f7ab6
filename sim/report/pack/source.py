"""Opens a log for packing: its chunks walked once into arrays, its messages by time block.

A chunk becomes `Rows`: where each message lies in the chunk's bytes, of which channel, when. A block is what was logged in
`block_ns` of simulation time; the chunks that overlap it are read, the last few stay in memory, so that block after block reads each chunk
once. A log that broke off is read as far as it goes; `lost` says what is missing.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols.errors import LogError
from protocols.judging import EventKind
from protocols.roads.network import I32, Bool
from protocols.sentence import say
from protocols.v1 import log_pb2
from sim.log import header as header_module
from sim.log.header import RunHeader
from sim.log.scan import Chunk, Scan, first_with, learn, read_chunk, scan
from sim.radio.fates import I64

BLOCK_NS = 30_000_000_000
KEPT_BYTES = 24 * 1024 * 1024  # of walked chunks; two blocks of a full corridor
WHOLE_RUN = "wall_s"  # a timing that holds this is that of the whole run
MAX_BLOCKS = 20_000  # a week of simulated time; more is a damaged stamp
MAX_SPREAD = 16  # blocks that a chunk reaches into, on average; ours are closed after 30 s
FREE_SPREAD = 100_000.0  # on top of that: a short log may do as it likes
COST_BYTES = 64 * 1024  # this much of a chunk costs as much again as to touch it
MAX_RECORDS = 1_000_000  # in a chunk; ours have some thousands, and empty ones would cost a hundred times their size
_LENGTH = struct.Struct("<Q")
_IS_MESSAGE, _RECORD, _HEAD = 5, 9, 9 + 22
_DTYPE = np.dtype(
    [("opcode", "u1"), ("length", "<u8"), ("channel", "<u2"), ("seq", "<u4"), ("log_ns", "<u8")]
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Messages of one chunk; columns (n,) in file order. `begin` and `end` are places in `raw`."""

    raw: bytes
    channel: I32
    seq: I64
    t_ns: I64
    begin: I64
    end: I64
    _index: dict[int, I64] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.channel.size:
            return
        order = np.argsort(self.channel, kind="stable")
        ids, first = np.unique(self.channel[order], return_index=True)
        for ident, rows in zip(ids.tolist(), np.split(order, first[1:]), strict=True):
            self._index[ident] = rows

    def of(self, channels: Sequence[int]) -> I64:
        """Rows of some channels, in file order."""
        found = [self._index[channel] for channel in channels if channel in self._index]
        if len(found) == 1:
            return found[0]
        rows: I64 = np.sort(np.concatenate([np.zeros(0, np.int64), *found]))
        return rows

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels with rows here, rising."""
        return tuple(self._index)

    def take(self, keep: Bool) -> Rows:
        """Some of them."""
        return Rows(
            self.raw,
            self.channel[keep],
            self.seq[keep],
            self.t_ns[keep],
            self.begin[keep],
            self.end[keep],
        )


@dataclass(frozen=True, slots=True)
class Name:
    """What a channel carries."""

    topic: str
    sender: str


class Source:
    """One log. Not for several threads at once."""

    def __init__(self, found: Scan, known: int = 0) -> None:
        """`known`: chunks whose channels are in `found` already."""
        self._scan = found
        self._kept: OrderedDict[int, Rows] = OrderedDict()
        self._kept_bytes = 0
        self._names: dict[int, Name] = {}
        if not found.has_summary:  # channels are described inside the chunks only
            learn(found, known)
        self.header = self._header()
        self.end_ns = max(chunk.end_ns for chunk in found.chunks) - self.header.epoch_ns
        begin_ns = self._begin_ns()
        if begin_ns < 0:
            raise LogError(
                say(
                    "{log}: a chunk claims to begin {begin_s:.1f} s after the start, expected 0 s or later; the file is "
                    "damaged, or its messages are stamped by another clock than its header",
                    log=found.path, begin_s=begin_ns / 1e9,
                )
            )  # fmt: skip
        self.num_blocks = self.end_ns // BLOCK_NS + 1
        if self.num_blocks > MAX_BLOCKS:
            raise LogError(
                say(
                    "{log}: a chunk claims to end {end_s:.0f} s after the start, expected at most {allowed_s:.0f} s; the "
                    "file is damaged",
                    log=found.path, end_s=self.end_ns / 1e9, allowed_s=MAX_BLOCKS * BLOCK_NS / 1e9,
                )
            )  # fmt: skip
        self._chunks_of = self._by_block()

    @classmethod
    def open(cls, path: Path) -> Source:
        """The log at `path`, whole or not; LogError when it is none of ours or holds no messages."""
        return cls(scan(path, recover=True))

    def reopened(self) -> Source | None:
        """The same log as it is now, when it was still being written; None when it has not grown."""
        found = scan(self.path, recover=True)
        before = self._scan.chunks
        if found.lost is not None and [(c.at, c.length) for c in found.chunks] == [(c.at, c.length) for c in before]:  # fmt: skip
            return None
        settled = max(0, len(before) - 1)
        found.chunks[:settled] = before[:settled]  # as `learn` left them
        for ident, channel in self._scan.channels.items():
            found.channels.setdefault(ident, channel)  # described in chunks that are not read again
        return Source(found, settled)

    @property
    def path(self) -> Path:
        """Where the log lies."""
        return self._scan.path

    @property
    def lost(self) -> str | None:
        """What is missing of a log that broke off."""
        return self._scan.lost

    @property
    def settled_ns(self) -> int:
        """Up to when everything is here, should the log go on growing: where its last chunk begins."""
        return max(self._scan.chunks[-1].start_ns - self.header.epoch_ns, 0)

    def name(self, channel: int) -> Name:
        """Topic and sender of a channel."""
        known = self._names.get(channel)
        if known is None:
            record = self._scan.channels[channel]
            known = self._names[channel] = Name(record.topic, record.metadata.get("sender", ""))
        return known

    def channels(self, topic: str) -> dict[int, str]:
        """Channels of a topic met so far, with their senders."""
        return {
            ident: item.metadata.get("sender", "")
            for ident, item in sorted(self._scan.channels.items())
            if item.topic == topic
        }

    def block_bytes(self) -> list[int]:
        """About how much of the file each block takes: chunks are shared out evenly over their time."""
        change = [0] * (self.num_blocks + 1)  # from a block to the next
        for chunk in self._scan.chunks:
            low, high = self._blocks_of(chunk)
            if low <= high:
                share = chunk.length // (high - low + 1)
                change[low] += share
                change[high + 1] -= share
        return list(accumulate(change[:-1]))

    def block(self, number: int) -> list[Rows]:
        """What was logged in block `number`, chunk by chunk."""
        low = number * BLOCK_NS
        parts = []
        for k in self._chunks_of.get(number, ()):
            rows = self._chunk(k, self._scan.chunks[k])
            inside = (rows.t_ns >= low) & (rows.t_ns < low + BLOCK_NS)
            if inside.all():
                parts.append(rows)
            elif inside.any():
                parts.append(rows.take(inside))
        return parts

    def last(self, topic: str) -> bytes | None:
        """The last record of a topic, looked for from the end; chunks whose index lacks it are not read."""
        ids = self.channels(topic)
        for k in range(len(self._scan.chunks) - 1, -1, -1):
            chunk = self._scan.chunks[k]
            if ids and (not chunk.channels or chunk.channels & ids.keys()):
                rows = self._chunk(k, chunk)
                wanted = rows.of(list(ids))
                if wanted.size:
                    at = int(wanted[-1])
                    return rows.raw[rows.begin[at] : rows.end[at]]
        return None

    def result_json(self) -> str | None:
        """The run's result; None when it never came to its end."""
        data = self.last("log/result")
        if data is None:
            return None
        try:
            text = log_pb2.RunResult.FromString(data).result_json
        except DecodeError as error:
            raise LogError(
                say("{log}: the result cannot be read ({why!s})", log=self.path, why=error)
            ) from error
        header_module.check_nesting(text, str(self.path), "the result")
        return text

    def broken(self) -> str:
        """Why the run broke off, as it said itself with its last event; "" when it did not say."""
        data = self.last("truth/event")
        if data is None:
            return ""
        try:
            event = log_pb2.Event.FromString(data)
        except DecodeError:  # told with all other events
            return ""
        return event.text if event.kind == EventKind.RUN_BROKEN.name.lower() else ""

    def timing(self) -> dict[str, float]:
        """What the run cost, by part (ms, s); empty when the log does not say."""
        data = self.last("log/timing")
        if data is None:
            return {}
        try:
            proto = log_pb2.Timing.FromString(data)
        except DecodeError as error:
            raise LogError(
                say("{log}: a timing cannot be read ({why!s})", log=self.path, why=error)
            ) from error
        table = dict(zip(proto.name, proto.cpu_s, strict=False))
        return table if WHOLE_RUN in table else {}  # a run that broke off has those of its seconds

    # -- inside --------------------------------------------------------------------------------------------------

    def _begin_ns(self) -> int:
        """When the first message was logged; chunks without messages do not say."""
        times = [chunk.start_ns for chunk in self._scan.chunks if chunk.end_ns]
        return min(times, default=self.header.epoch_ns) - self.header.epoch_ns

    def _blocks_of(self, chunk: Chunk) -> tuple[int, int]:
        """First and last block that a chunk says it has messages in; none when the first is behind the last."""
        epoch = self.header.epoch_ns
        low = max(0, (chunk.start_ns - epoch) // BLOCK_NS)
        return low, min(self.num_blocks - 1, (chunk.end_ns - epoch) // BLOCK_NS)

    def _by_block(self) -> dict[int, list[int]]:
        """Block -> its chunks, in file order. LogError when chunks overlap so many blocks that each would be read over and over."""
        spans = [self._blocks_of(chunk) for chunk in self._scan.chunks]
        costs = [1.0 + chunk.size / COST_BYTES for chunk in self._scan.chunks]
        spread = sum(cost * max(0, high - low + 1) for cost, (low, high) in zip(costs, spans, strict=True))  # fmt: skip
        if spread > MAX_SPREAD * sum(costs) + FREE_SPREAD:
            raise LogError(
                say(
                    "{log}: its {count} chunks claim to reach over {blocks:.0f} blocks of {block_s:.0f} s each, expected "
                    "one or two; the file is damaged",
                    log=self.path, count=len(spans), blocks=spread / sum(costs), block_s=BLOCK_NS / 1e9,
                )
            )  # fmt: skip
        out: dict[int, list[int]] = {}
        for k, (low, high) in enumerate(spans):
            for number in range(low, high + 1):
                out.setdefault(number, []).append(k)
        return out

    def _header(self) -> RunHeader:
        rows = self._walk(first_with(self._scan, "log/header"), 0)
        for at in rows.of(list(self.channels("log/header")))[:1]:
            try:
                return header_module.from_bytes(
                    rows.raw[rows.begin[at] : rows.end[at]], str(self.path)
                )
            except DecodeError as error:
                raise LogError(
                    say("{log}: the header cannot be read ({why!s})", log=self.path, why=error)
                ) from error
        raise LogError(
            say(
                "{log}: holds no header where its index says; it was not written by icv run, or a tool has left that out",
                log=self.path,
            )
        )

    def _raw(self, chunk: Chunk) -> bytes:
        try:
            with self.path.open("rb") as file:
                return read_chunk(file, chunk, self.path)
        except OSError as error:
            raise LogError(
                say("{log}: cannot be read any more ({why!s})", log=self.path, why=error.strerror)
            ) from error

    def _chunk(self, number: int, chunk: Chunk) -> Rows:
        known = self._kept.get(number)
        if known is not None:
            self._kept.move_to_end(number)
            return known
        rows = self._walk(chunk, self.header.epoch_ns)
        self._kept[number] = rows
        self._kept_bytes += len(rows.raw)
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= len(old.raw)
        return rows

    def _walk(self, chunk: Chunk, epoch_ns: int) -> Rows:
        raw = self._raw(chunk)
        places: list[int] = []
        at, size, length_of = 0, len(raw), _LENGTH.unpack_from
        while at + _RECORD <= size:
            places.append(at)
            if len(places) > MAX_RECORDS:
                raise LogError(
                    say("{log}: a chunk of more than {allowed} records; it was not written by icv run", log=self.path, allowed=MAX_RECORDS)
                )  # fmt: skip
            at += _RECORD + length_of(raw, at + 1)[0]
        if at > size:
            places.pop()  # the last record is not whole
        heads = _heads(raw, np.array(places, np.int64))
        is_message = (heads["opcode"] == _IS_MESSAGE) & (heads["length"] >= _HEAD - _RECORD)
        heads = heads[is_message]
        begin = np.array(places, np.int64)[is_message] + _HEAD
        channel = heads["channel"].astype(np.int32)
        strange = set(np.unique(channel).tolist()) - self._scan.channels.keys()
        if strange:
            raise LogError(
                say("{log}: a message of unknown channel {channel}", log=self.path, channel=min(strange))
            )  # fmt: skip
        return Rows(
            raw,
            channel,
            heads["seq"].astype(np.int64),
            heads["log_ns"].astype(np.int64) - epoch_ns,
            begin,
            begin + heads["length"].astype(np.int64) - (_HEAD - _RECORD),
        )


def _heads(raw: bytes, places: I64) -> Any:
    """The first bytes of the records at `places`, as message heads; garbage where a record is none."""
    padded = np.frombuffer(raw + bytes(_DTYPE.itemsize), np.uint8)
    return padded[places[:, None] + np.arange(_DTYPE.itemsize)].view(_DTYPE).reshape(-1)
