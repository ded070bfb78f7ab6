"""One log, read once from beginning to end: its records by stream, their places in the file, and what of it is damaged.

Records are kept until somebody takes those before some time (`cut`). Damaged chunks are left out, and their span of time is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from protocols.errors import LogError
from protocols.judging import EventKind
from protocols.v1 import log_pb2
from sim.diff.model import LogFacts
from sim.log.reader import LogReader
from sim.log.scan import Chunk, read_chunk, records, scan

Stream = tuple[str, str]
"""topic, sender"""
Item = tuple[int, Hashable, bytes]
"""sent at (ns), sequence number or another name inside its tick, wire bytes"""
Place = tuple[str, str, int, Hashable]
"""topic, sender, sent at, sequence number: one entry of a file's order"""

ABOUT = frozenset({"log/digest", "log/digest_part", "log/result"})  # no data of the run itself
_BROKEN = EventKind.RUN_BROKEN.name.lower()
_UNREAD = frozenset({"log/header", "log/timing"})  # about the machine, or read elsewhere
_VIEWERS = "foxglove/"  # for other viewers, all of it derived from the rest
_THROUGH = ABOUT | {"truth/signal"}  # handed out of equal chunks too: states that last
_BLOCKS = ABOUT | {"truth/trace"}  # written when full, so their place in the file says nothing


@dataclass(slots=True)
class _Taken:
    """Records of one channel in one chunk."""

    topic: str
    sender: str
    is_kept: bool
    is_ordered: bool
    is_event: bool
    items: list[Item] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)


NEVER = 2**80  # later than any stamp
_NEW = _Taken("", "", False, False, False)  # a channel not met yet in a chunk


class Side:
    """One log, read once from beginning to end."""

    def __init__(self, path: Path) -> None:
        reader = LogReader.open(path, recover=True)
        self.scan = scan(path, recover=True)
        self._file: BinaryIO = path.open("rb")
        if not self.scan.has_summary:  # channels are then known only from inside the chunks
            for chunk in self.scan.chunks:
                for _ in records(read_chunk(self._file, chunk, path), self.scan):
                    pass
        self.facts = LogFacts(path, reader.header(), path.stat().st_size, reader.lost)
        self.epoch = self.facts.header.epoch_ns
        self.chunks = self.scan.chunks
        self.at = 0
        self.counts: Counter[str] = Counter()
        self.buffer: dict[Stream, list[Item]] = {}
        self.order: list[Place] = []
        self.known_same: tuple[int, bool] = (-1, False)  # number of a chunk, what was found
        self.first_ns = NEVER  # of the run's own data, which may begin before the epoch
        self.last_ns = -NEVER
        self.last_trace: dict[str, int] = {}  # vehicle -> newest stamp of its blocks
        self._span = (-NEVER, NEVER)  # records outside are left out, ns
        self._least = self._starts()

    def _starts(self) -> list[int]:
        """By chunk: the earliest start of it and of all later ones."""
        least = NEVER
        out = [least]
        for chunk in reversed(self.chunks):
            least = min(least, chunk.start_ns - self.epoch)
            out.append(least)
        out.reverse()
        return out

    def only(self, t0_ns: int, t1_ns: int) -> None:
        """Before anything is read: nothing but records with t0_ns <= t < t1_ns is to be."""
        self._span = t0_ns, t1_ns
        low, high = t0_ns + self.epoch, t1_ns + self.epoch
        self.chunks = [c for c in self.chunks if c.end_ns >= low and c.start_ns < high]
        self._least = self._starts()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def topics(self) -> set[str]:
        """Topics that the file has channels for."""
        return {channel.topic for channel in self.scan.channels.values()}

    def select(self, topic: str, sender: str, t0_ns: int, t1_ns: int) -> Iterator[Item]:
        """Records of one stream in t0_ns <= t < t1_ns, in file order, without touching what `read` has still to read."""
        wanted = frozenset({topic})
        low, high = t0_ns + self.epoch, t1_ns + self.epoch
        for chunk in self.chunks:
            if chunk.end_ns < low or chunk.start_ns >= high or not self._may_hold(chunk, wanted):
                continue
            try:
                raw = read_chunk(self._file, chunk, self.facts.path)
            except LogError:
                continue
            for record in records(raw, self.scan, wanted):
                if low <= record.log_ns < high:
                    channel = self.scan.channels[record.channel]
                    if channel.metadata.get("sender", "") == sender:
                        t_ns = record.log_ns - self.epoch
                        yield t_ns, _name(topic, record.sequence, record.data), record.data

    def blocks(self, topics: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(topic, bytes) of all records of some topics in file order, without touching what `read` has still to read."""
        wanted = frozenset(topics)
        for chunk in self.chunks:
            if self._may_hold(chunk, wanted):
                try:
                    raw = read_chunk(self._file, chunk, self.facts.path)
                except LogError:
                    continue
                for record in records(raw, self.scan, wanted):
                    yield self.scan.channels[record.channel].topic, record.data

    def _may_hold(self, chunk: Chunk, topics: frozenset[str]) -> bool:
        """False where the file's index says that a chunk has nothing of these topics."""
        channels = self.scan.channels
        return not chunk.channels or any(
            number not in channels or channels[number].topic in topics for number in chunk.channels
        )

    @property
    def next_ns(self) -> int:
        """Nothing earlier than this is still in the file."""
        return self._least[self.at]

    @property
    def has_data(self) -> bool:
        """Whether anything of the run itself was read."""
        return self.first_ns != NEVER

    @property
    def is_done(self) -> bool:
        """Every chunk was read."""
        return self.at >= len(self.chunks)

    def lacks(self, t_ns: int) -> bool:
        """Whether this log has nothing at that time, or lost it."""
        if t_ns < self.first_ns or any(x <= t_ns <= y for x, y in self.facts.damaged):
            return True
        if not self.is_done:
            return False
        return t_ns >= self.last_ns if self.facts.lost else t_ns > self.last_ns

    def compressed(self, chunk: Chunk) -> bytes:
        """A chunk as it lies in the file."""
        self._file.seek(chunk.at)
        return self._file.read(chunk.length)

    def is_final(self, t_ns: int) -> bool:
        """Whether nothing that is still to be read can change what `lacks` says of a time before the end of the window."""
        return self.is_done or t_ns < self.last_ns

    def read(self, twin: Side | None = None) -> None:
        """The next chunk; with `twin` it is the same bytes there, and only what lasts is handed out, to both."""
        chunk = self.chunks[self.at]
        self.at += 1
        if twin is not None:
            twin.at += 1
        sides = (self,) if twin is None else (self, twin)
        try:
            raw = read_chunk(self._file, chunk, self.facts.path)
        except LogError:
            for side in sides:
                side._lose(chunk)
            return
        known: dict[int, _Taken | None] = {}  # by channel
        order: list[Place] = []
        mark: tuple[_Taken, int, Hashable] | None = None
        low, high = self._span
        for number, sequence, log_ns, data in records(raw, self.scan):
            taken = known.get(number, _NEW)
            if taken is _NEW:
                taken = known[number] = self._taken(number, twin is not None)
            if taken is None:
                continue
            t_ns = log_ns - self.epoch
            if not low <= t_ns < high:
                continue
            name = _name(taken.topic, sequence, data) if taken.is_event else sequence
            taken.stamps.append(t_ns)
            if taken.is_kept:
                taken.items.append((t_ns, name, data))
                if taken.is_ordered:
                    order.append((taken.topic, taken.sender, t_ns, name))
            elif taken.is_ordered:
                mark = (taken, t_ns, name)
        stamps = [taken.stamps for taken in known.values() if taken is not None and taken.stamps]
        if stamps and not (
            chunk.start_ns - self.epoch <= min(map(min, stamps))
            and max(map(max, stamps)) <= chunk.end_ns - self.epoch
        ):  # it is not what its head says, so nobody knows what else is not
            for side in sides:
                side._lose(chunk)
            return
        if mark is not None:  # stands for all of them
            order.append((mark[0].topic, mark[0].sender, mark[1], mark[2]))
        for side in sides:
            side.order += order
            for taken in known.values():
                if taken is not None and taken is not _NEW:
                    side._take(taken)

    def _lose(self, chunk: Chunk) -> None:
        self.facts.damaged.append((chunk.start_ns - self.epoch, chunk.end_ns - self.epoch))

    def _taken(self, number: int, is_same: bool) -> _Taken | None:
        """Where the records of a channel go; None for what nobody compares."""
        channel = self.scan.channels[number]
        topic = channel.topic
        if topic in _UNREAD or topic.startswith(_VIEWERS):
            return None
        return _Taken(
            topic, channel.metadata.get("sender", ""), not is_same or topic in _THROUGH,
            topic not in _BLOCKS, topic == "truth/event",
        )  # fmt: skip

    def _take(self, taken: _Taken) -> None:
        """The records of one channel in one chunk."""
        self.counts[taken.topic] += len(taken.stamps)
        if not taken.stamps:
            return
        if taken.topic not in ABOUT:
            stamps = self._without_end(taken) if taken.is_event and taken.is_kept else taken.stamps
            self.first_ns = min(self.first_ns, min(stamps, default=NEVER))
            self.last_ns = max(self.last_ns, last := max(stamps, default=-NEVER))
            if taken.topic == "truth/trace":
                self.last_trace[taken.sender] = max(last, self.last_trace.get(taken.sender, 0))
        if taken.is_kept:
            self.buffer.setdefault((taken.topic, taken.sender), []).extend(taken.items)

    def _without_end(self, taken: _Taken) -> list[int]:
        """Stamps of events but of the one that ends a broken run: that it broke off is all the log has of that tick."""
        stamps = []
        for t_ns, name, data in taken.items:
            if isinstance(name, tuple) and name[0] == _BROKEN:
                self.facts.broken = log_pb2.Event.FromString(data).text
            else:
                stamps.append(t_ns)
        return stamps

    def cut(self, end_ns: int) -> dict[Stream, list[Item]]:
        """Takes what is earlier than `end_ns` out of the buffer."""
        out: dict[Stream, list[Item]] = {}
        for stream, items in list(self.buffer.items()):
            early = [item for item in items if item[0] < end_ns]
            if len(early) == len(items):
                del self.buffer[stream]
            elif early:
                self.buffer[stream] = [item for item in items if item[0] >= end_ns]
            if early:
                out[stream] = early
        return out

    def take_order(self) -> list[Place]:
        """The places of what was read since the last call, in the order of the file."""
        out, self.order = self.order, []
        return out

    def least_ns(self) -> int:
        """The earliest that is still to come, buffered or in the file."""
        buffered = (item[0] for items in self.buffer.values() for item in items)
        return min(self.next_ns, min(buffered, default=NEVER))


def _name(topic: str, sequence: int, data: bytes) -> Hashable:
    """What tells records of one stream and tick apart."""
    if topic != "truth/event":
        return sequence
    try:
        event = log_pb2.Event.FromString(data)
    except Exception:  # google's DecodeError; what it holds is compared as bytes
        return sequence
    return event.kind, event.subject
