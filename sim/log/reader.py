"""Reads a log: header, digests, messages, truth, events, result.

`LogReader.open(path)` refuses a log that is not whole; `open(path, recover=True)` reads what is there and says in `lost` what is not.
Everything else is lazy and holds one chunk at a time. A damaged, foreign or newer log is a LogError with one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols import topics
from protocols.columns import Layout
from protocols.errors import CodecError, LogError
from protocols.roads.network import U8
from protocols.sentence import say
from protocols.v1 import log_pb2, world_pb2
from sim.log import header as header_module
from sim.log.header import RunHeader
from sim.log.records import (
    Actors,
    Digests,
    Event,
    LoggedMessage,
    Note,
    Trace,
    WorldSample,
)
from sim.log.scan import (
    MAX_NS,
    Chunk,
    Loss,
    Raw,
    Scan,
    chunk_bytes,
    first_with,
    learn,
    records,
    scan,
)
from sim.radio.fates import Fate, TickFates

_WORLD = Layout(world_pb2.WorldState)
_ACTORS = Layout(world_pb2.ActorDescriptions)
_TRACE = Layout(world_pb2.VehicleTrace)
_SIGNALS = Layout(world_pb2.SignalStates)
_DIGESTS = Layout(log_pb2.Digests)
_PARTS = Layout(log_pb2.DigestParts)
_MAX_T = MAX_NS


class LogReader:
    """One log file. `lost` is None for a whole log, else a sentence."""

    def __init__(self, found: Scan, head: RunHeader) -> None:
        self._scan = found
        self._header = head

    @classmethod
    def open(cls, path: Path, recover: bool = False) -> LogReader:
        """The log at `path`; LogError says what is wrong with it."""
        found = scan(path, recover)
        if not found.has_summary:
            learn(found)
        for raw in _chunk_messages(found, first_with(found, "log/header")):
            if found.channels[raw.channel].topic == "log/header":
                try:
                    return cls(found, header_module.from_bytes(raw.data, str(path)))
                except DecodeError as error:
                    raise LogError(
                        say("{log}: the header cannot be read ({why!s})", log=path, why=error)
                    ) from error
        raise LogError(
            say(
                "{log}: holds no header where its index says; it was not written by icv run, or a tool has left that out",
                log=path,
            )
        )

    @property
    def path(self) -> Path:
        """Where the log lies."""
        return self._scan.path

    @property
    def lost(self) -> str | None:
        """What is missing from a log that broke off: where the file ends, and the time up to which there are records."""
        if self._scan.lost is None:
            return None
        lost = self._scan.lost
        if self._scan.loss is Loss.INDEX:
            return say(
                "{lost!s}; all its records are there, the index behind them is not", lost=lost
            )
        if self._scan.loss is Loss.UNKNOWN:
            return say("{lost!s}; what is there is read, what is missing is not known", lost=lost)
        return say(
            "{lost!s}; its records up to t={end_s:.2f} s are there, what came after is missing",
            lost=lost, end_s=self.end_ns() / 1e9,
        )  # fmt: skip

    def header(self) -> RunHeader:
        """The run's header."""
        return self._header

    def end_ns(self) -> int:
        """Simulation time of the last record."""
        return max(chunk.end_ns for chunk in self._scan.chunks) - self._header.epoch_ns

    # -- messages ------------------------------------------------------------------------------------------------

    def messages(
        self, topic: str | None = None, t0_ns: int = 0, t1_ns: int = _MAX_T
    ) -> Iterator[LoggedMessage]:
        """Messages sent in t0_ns <= t < t1_ns, of one topic or all, in the order of sending."""
        wanted = {name for name, row in topics.TOPICS.items() if row.message is not None}
        if topic is not None:
            if topic not in wanted:
                raise LogError(
                    say("topic {topic!r} carries no messages; those that do: {names}", topic=topic, names=", ".join(sorted(wanted)))
                )  # fmt: skip
            wanted = {topic}
        for name, sender, raw in self._select(wanted, t0_ns, t1_ns):
            yield LoggedMessage(
                name, sender, raw.sequence, raw.log_ns - self._header.epoch_ns, raw.data
            )

    def fates(self, t0_ns: int = 0, t1_ns: int = _MAX_T) -> Iterator[TickFates]:
        """What became of the messages of each tick."""
        for _, _, raw in self._select({"log/radio"}, t0_ns, t1_ns):
            proto = self._parse(log_pb2.RadioFates, raw)
            width = len(proto.receiver)
            fate = np.array(proto.fate, np.int32)
            rows = sum(proto.num_rows)
            heard = fate == Fate.DELIVERED
            is_sound = (
                len(proto.sender) == len(proto.topic) == len(proto.seq) == len(proto.num_rows)
            )
            is_sound &= 0 <= proto.t_ns <= _MAX_T - 2**42  # and the longest latency
            is_sound &= not fate.size or (int(fate.min()) >= 0 and int(fate.max()) <= max(Fate))
            if (
                not is_sound
                or fate.size != rows * width
                or int(heard.sum()) != len(proto.latency_us)
            ):
                raise LogError(
                    say("{log}: radio record at t={t_ns} ns is damaged", log=self.path, t_ns=proto.t_ns)
                )  # fmt: skip
            deliver = np.zeros(fate.size, np.int64)
            deliver[heard] = proto.t_ns + np.array(proto.latency_us, np.int64) * 1000
            yield TickFates(
                proto.t_ns,
                tuple(proto.receiver),
                tuple(proto.sender),
                tuple(proto.topic),
                np.array(proto.seq, np.uint32),
                np.array(proto.num_rows, np.uint32),
                fate.astype(np.uint8).reshape(rows, width),
                deliver.reshape(rows, width),
            )

    # -- truth ---------------------------------------------------------------------------------------------------

    def world(self, t0_ns: int = 0, t1_ns: int = _MAX_T) -> Iterator[WorldSample]:
        """World samples in t0_ns <= t < t1_ns."""
        for _, _, raw in self._select({"truth/world"}, t0_ns, t1_ns):
            yield WorldSample(**self._unpack(_WORLD, raw))

    def actors(self) -> Actors:
        """All actors that appear anywhere in the log."""
        parts = [
            self._unpack(_ACTORS, raw) for _, _, raw in self._select({"truth/actor"}, 0, _MAX_T)
        ]
        if not parts:
            parts = [_ACTORS.unpack(b"")]
        names = Actors.__slots__
        return Actors(**{name: np.concatenate([part[name] for part in parts]) for name in names})

    def trace_names(self) -> tuple[str, ...]:
        """Units whose vehicles have traces, sorted."""
        return tuple(sorted({sender for _, sender, _ in self._select({"truth/trace"}, 0, _MAX_T)}))

    def traces(self, name: str) -> Trace:
        """The vehicle of unit `name` at every tick; LogError lists the names that exist."""
        parts: list[dict[str, Any]] = []
        stamps = []
        for _, sender, raw in self._select({"truth/trace"}, 0, _MAX_T):
            if sender == name:
                part = self._unpack(_TRACE, raw)
                parts.append(part)
                steps = np.arange(part["x_m"].size, dtype=np.int64)
                if part["start_ns"] + part["step_ns"] * steps.size > _MAX_T:
                    raise self._damaged(f"trace of {name!r}")
                stamps.append(part["start_ns"] + part["step_ns"] * steps)
        if not parts:
            raise LogError(
                say(
                    "{log}: no trace of {name!r}; there are traces of {names}",
                    log=self.path, name=name, names=", ".join(self.trace_names()) or "nobody",
                )
            )  # fmt: skip
        columns = [field for field in Trace.__slots__ if field not in ("name", "id", "t_ns")]
        return Trace(
            name=name,
            id=parts[-1]["id"],
            t_ns=np.concatenate(stamps),
            **{field: np.concatenate([part[field] for part in parts]) for field in columns},
        )

    def signals(self) -> Iterator[tuple[int, U8]]:
        """(t_ns, lights of all groups) at every change."""
        for _, _, raw in self._select({"truth/signal"}, 0, _MAX_T):
            values = self._unpack(_SIGNALS, raw)
            yield values["t_ns"], values["light"]

    def events(self) -> list[Event]:
        """All events, in time order."""
        out = []
        for _, _, raw in self._select({"truth/event"}, 0, _MAX_T):
            proto = self._parse(log_pb2.Event, raw)
            values = dict(sorted(proto.value.items()))
            out.append(Event(proto.t_ns, proto.kind, proto.subject, proto.text, values))
        return out

    def notes(self, t0_ns: int = 0, t1_ns: int = _MAX_T) -> Iterator[Note]:
        """Diagnostics of units."""
        for _, sender, raw in self._select({"log/note"}, t0_ns, t1_ns):
            proto = self._parse(log_pb2.Note, raw)
            if len(proto.name) != len(proto.value):
                raise self._damaged(f"note of {sender!r}")
            yield Note(proto.t_ns, sender, tuple(zip(proto.name, proto.value, strict=True)))

    def inboxes(self) -> Iterator[tuple[str, bytes]]:
        """(unit, Tick frame) of every call of the units whose inboxes were recorded."""
        for _, sender, raw in self._select({"log/inbox"}, 0, _MAX_T):
            yield sender, raw.data

    # -- about the run -------------------------------------------------------------------------------------------

    def digests(self) -> Digests:
        """The chain and its parts, one row per tick."""
        chain = [
            self._unpack(_DIGESTS, raw) for _, _, raw in self._select({"log/digest"}, 0, _MAX_T)
        ]
        parts = [
            self._unpack(_PARTS, raw) for _, _, raw in self._select({"log/digest_part"}, 0, _MAX_T)
        ]
        parts = parts[: len(chain)]
        chain = chain[: len(parts)]  # a recovered log may hold one block without its parts
        for one, two in zip(chain, parts, strict=True):
            start = one["start_tick"]
            is_sound = (start, one["digest"].size) == (two["start_tick"], two["truth"].size)
            if not is_sound or start + one["digest"].size > _MAX_T:
                raise self._damaged("block of digests")
        empty = np.zeros(0, np.uint64)
        ticks = [b["start_tick"] + np.arange(b["digest"].size, dtype=np.int64) for b in chain]
        return Digests(
            np.concatenate(ticks) if ticks else np.zeros(0, np.int64),
            np.concatenate([empty, *(block["digest"] for block in chain)]),
            np.concatenate([empty, *(block["truth"] for block in parts)]),
            np.concatenate([empty, *(block["message"] for block in parts)]),
            np.concatenate([empty, *(block["command"] for block in parts)]),
        )

    def result(self) -> str | None:
        """The run's result as JSON text; None when the run never came to its end."""
        last = None
        for _, _, raw in self._select({"log/result"}, 0, _MAX_T):
            last = self._parse(log_pb2.RunResult, raw).result_json
        if last is not None:
            header_module.check_nesting(last, str(self.path), "the result")
        return last

    def timing(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Wall-clock cost by part; not comparable between runs."""
        for _, _, raw in self._select({"log/timing"}, 0, _MAX_T):
            proto = self._parse(log_pb2.Timing, raw)
            if len(proto.name) != len(proto.cpu_s):
                raise self._damaged("timing")
            yield proto.t_ns, dict(zip(proto.name, proto.cpu_s, strict=True))

    # -- inside --------------------------------------------------------------------------------------------------

    def _select(self, wanted: set[str], t0_ns: int, t1_ns: int) -> Iterator[tuple[str, str, Raw]]:
        """(topic, sender, message) in file order."""
        found, epoch = self._scan, self._header.epoch_ns
        low, high = epoch + t0_ns, epoch + t1_ns
        names = frozenset(wanted)
        for chunk in found.chunks:
            if chunk.end_ns < low or chunk.start_ns >= high:
                continue
            if chunk.channels and not any(
                c in found.channels and found.channels[c].topic in names for c in chunk.channels
            ):
                continue
            for raw in _chunk_messages(found, chunk, names):
                if not chunk.start_ns <= raw.log_ns <= chunk.end_ns:
                    raise self._damaged(f"time of a {found.channels[raw.channel].topic}")
                if low <= raw.log_ns < high:
                    channel = found.channels[raw.channel]
                    yield channel.topic, channel.metadata.get("sender", ""), raw

    def _damaged(self, what: str) -> LogError:
        return LogError(
            say("{log}: a {what} is damaged; get the file again, or run the scene again", log=self.path, what=what)
        )  # fmt: skip

    def _unpack(self, layout: Layout, raw: Raw) -> dict[str, Any]:
        try:
            return layout.unpack(raw.data)
        except CodecError as error:
            raise LogError(say("{scene}: {what!s}", scene=self.path, what=error)) from error

    def _parse(self, kind: Any, raw: Raw) -> Any:
        try:
            return kind.FromString(raw.data)
        except DecodeError as error:
            raise LogError(
                say(
                    "{log}: a {record:s} cannot be read ({why!s})",
                    log=self.path,
                    record=kind.__name__,
                    why=error,
                )
            ) from error


def _chunk_messages(
    found: Scan, chunk: Chunk, wanted: frozenset[str] | None = None
) -> Iterator[Raw]:
    yield from records(chunk_bytes(found.path, chunk), found, wanted)
