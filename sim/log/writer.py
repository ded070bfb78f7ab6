"""Writes the log of a run: truth, every message once, its fates, commands, digests, events, result.

Channels: one per (topic, sender) for messages, so that the data is the message itself and stock tools decode it; the sender is
in the channel's metadata, the sequence number and the sending time are MCAP's own fields. Records of the simulation are in
`icv.v1` world.proto and log.proto. Blocks (traces, digests, timings) are packed and written when full or on close.

A crash loses the open chunk and the open blocks (at most a second); everything else is on disk. Memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from google.protobuf.message import Message

from protocols import codec, topics
from protocols.columns import Layout
from protocols.errors import CodecError, InfrastructureError
from protocols.judging import TraceBlock
from protocols.messages import VehicleCommand
from protocols.roads.network import U8, U32
from protocols.sentence import say
from protocols.v1 import log_pb2, unit_pb2, world_pb2
from protocols.wire import packed, text, varint
from sim.log import header
from sim.log.blocks import TraceRows, WorldBlock
from sim.log.container import CHUNK_BYTES, Container
from sim.log.digest import TickDigest
from sim.log.header import RunHeader
from sim.radio.fates import TickFates
from sim.state import ActorStates, ActorStatics

if TYPE_CHECKING:
    from sim.log.foxglove import PublicScene  # takes 0.1 s to import, and not every log has it

DIGEST_TICKS = 100  # rows of one Digests record
MAX_NAMES = 1000  # combinations of senders and topics whose bytes are kept; a scene has a few dozen

RECORDS: dict[str, type[Message]] = {
    "truth/world": world_pb2.WorldState,
    "truth/actor": world_pb2.ActorDescriptions,
    "truth/trace": world_pb2.VehicleTrace,
    "truth/signal": world_pb2.SignalStates,
    "truth/event": log_pb2.Event,
    "log/header": log_pb2.RunHeader,
    "log/digest": log_pb2.Digests,
    "log/digest_part": log_pb2.DigestParts,
    "log/radio": log_pb2.RadioFates,
    "log/note": log_pb2.Note,
    "log/result": log_pb2.RunResult,
    "log/timing": log_pb2.Timing,
    "log/inbox": unit_pb2.ToUnit,
}
_SIGNALS = Layout(world_pb2.SignalStates)
_ACTORS = Layout(world_pb2.ActorDescriptions)
_ACTOR_FIELDS = (
    "length_m",
    "width_m",
    "height_m",
    "wheelbase_m",
    "rear_overhang_m",
    "hitch_x_m",
    "rear_length_m",
)


Publish = Callable[[str, str, int, bytes], None]
"""topic, sender, t_ns, the record's bytes"""


class LogWriter:
    """One log file. Calls must come in time order; every `t_ns` is simulation time.

    With `is_full` False only header, digests, events, timings and the result are kept: enough to replay and to judge sameness.
    """

    def __init__(
        self,
        path: Path,
        run: RunHeader,
        is_full: bool = True,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_full = is_full
        self._epoch = run.epoch_ns
        self._tick_ns = run.tick_ns
        self._out = Container(path, chunk_bytes=chunk_bytes)
        self._channels: dict[tuple[str, str], int] = {}
        self._traces: dict[str, TraceRows] = {}
        self._digests: list[TickDigest] = []
        self._ids: U32 = np.zeros(0, np.uint32)
        self._lights: U8 | None = None
        self._names: dict[tuple[tuple[str, ...], tuple[str, ...]], bytes] = {}
        self._receivers: tuple[tuple[str, ...], bytes] = ((), b"")
        self._world = WorldBlock(0)
        self._last_ns = 0
        self.tap: Publish | None = None  # gets every record as well, but for those of `public`
        self.public: PublicScene | None = None  # draws the world for public viewers
        self._has_road = False
        self._header = header.to_bytes(run)
        self._record("log/header", 0, self._header)
        self._out.flush()  # a log that broke off in its first second still says what it was

    def publish_to(self, tap: Publish) -> None:
        """Every record from now on goes to `tap` too; the header first."""
        self.tap = tap
        tap("log/header", "sim", 0, self._header)

    # -- truth ---------------------------------------------------------------------------------------------------

    def world(self, t_ns: int, states: ActorStates, statics: ActorStatics) -> None:
        """WorldState of all valid rows, preceded by descriptions of actors not seen before."""
        if not self._is_full:
            return
        buffer = self._world
        if buffer.capacity != states.valid.size:
            buffer = self._world = WorldBlock(states.valid.size)
        rows = buffer.gather(states)
        if rows < 0:
            row = -1 - rows
            raise InfrastructureError(
                say(
                    "the world's state is not finite at t={t_s:.2f} s: actor {actor:d} has x_m = {x_m}, speed_mps = {speed_mps}",
                    t_s=t_ns / 1e9, actor=states.id[row], x_m=states.x_m[row], speed_mps=states.speed_mps[row],
                )
            )  # fmt: skip
        ids = buffer.u32[0, :rows]
        if not np.array_equal(ids, self._ids):
            self._describe(t_ns, states, statics, ids)
            self._ids = ids.copy()
        self._record("truth/world", t_ns, buffer.wire(t_ns, rows))
        if self.public is not None and t_ns % self.public.period_ns == 0:
            self._publish(self.public, t_ns, states, statics)

    def _publish(
        self, public: PublicScene, t_ns: int, states: ActorStates, statics: ActorStatics
    ) -> None:
        if not self._has_road:
            self._has_road = True
            self._foreign("foxglove/road", public, t_ns, public.road())
        for topic, data in public.sample(t_ns, states, statics):
            self._foreign(topic, public, t_ns, data)

    def _foreign(self, topic: str, public: PublicScene, t_ns: int, data: bytes) -> None:
        channel = self._channels.get((topic, "sim"))
        if channel is None:
            kind = public.kind(topic)
            channel = self._out.channel(topic, kind, {"sender": "sim"})
            self._channels[topic, "sim"] = channel
        self._out.add(channel, self._epoch + t_ns, data)

    def _describe(self, t_ns: int, states: ActorStates, statics: ActorStatics, ids: U32) -> None:
        rows = np.flatnonzero(states.valid)
        rows = rows[~np.isin(ids, self._ids)]
        if rows.size:
            columns = (getattr(statics, name)[rows].astype(np.float32) for name in _ACTOR_FIELDS)
            values = (t_ns, states.id[rows], statics.kind[rows], *columns)
            self._record("truth/actor", t_ns, _ACTORS.pack_values(values))

    def command(self, name: str, command: VehicleCommand | None) -> None:
        """What driven vehicle `name` was told at this tick; call at every base tick."""
        if self._is_full and self._trace_of(name).command(command):
            self._write_trace(name)

    def trace(self, block: TraceBlock) -> None:
        """Consecutive ticks of a driven vehicle; written with the commands of the same ticks as soon as those are known."""
        if self._is_full and self._trace_of(block.name).block(block):
            self._write_trace(block.name)

    def _trace_of(self, name: str) -> TraceRows:
        trace = self._traces.get(name)
        if trace is None:
            trace = self._traces[name] = TraceRows()
        return trace

    def signals(self, t_ns: int, light: U8) -> None:
        """Lights of all groups (G,); written only when one differs from the last call."""
        if self._is_full and (self._lights is None or not np.array_equal(self._lights, light)):
            self._lights = light.copy()
            self._record("truth/signal", t_ns, _SIGNALS.pack_values((t_ns, light)))

    def event(
        self,
        t_ns: int,
        kind: str,
        subject: str,
        what: str = "",
        values: Mapping[str, float] | None = None,
    ) -> None:
        """Something worth a line in the report: `kind` such as "collision", `subject` such as "obu/bus1"."""
        proto = log_pb2.Event(
            t_ns=t_ns, kind=kind, subject=subject, text=what, value=dict(values or {})
        )
        self._record("truth/event", t_ns, proto.SerializeToString(deterministic=True))

    # -- messages ------------------------------------------------------------------------------------------------

    def message(self, topic: str, sender: str, seq: int, t_ns: int, data: bytes) -> None:
        """One message as its wire bytes, sent at `t_ns`; also for cmd/signal and obu/plan (seq of their own)."""
        if not self._is_full:
            return
        key = (topic, sender)
        channel = self._channels.get(key)
        if channel is None:
            row = topics.topic(topic)
            if row.message is None:
                raise CodecError(f"topic {topic!r} is a record of the log, not a message")
            channel = self._channels[key] = self._out.channel(
                topic, codec.PROTO_CLASS[row.message], {"sender": sender}
            )
        stamp = self._epoch + t_ns
        self._last_ns = max(self._last_ns, t_ns)
        self._out.add(channel, stamp, data, seq & 0xFFFFFFFF, stamp)
        if self.tap is not None:
            self.tap(topic, sender, t_ns, bytes(data))

    def fates(self, fates: TickFates) -> None:
        """What became of the messages sent at one tick."""
        if not self._is_full:
            return
        if self._receivers[0] != fates.receivers:
            self._receivers = (fates.receivers, b"".join(text(2, name) for name in fates.receivers))
        who = (fates.senders, fates.topics)
        names = self._names.get(who)
        if names is None:
            names = b"".join(
                [text(3, sender) for sender in fates.senders]
                + [text(4, topic) for topic in fates.topics]
            )
            if len(self._names) < MAX_NAMES:
                self._names[who] = names
        parts = [
            b"\x08" + varint(fates.t_ns) if fates.t_ns else b"",
            self._receivers[1],
            names,
            packed(5, fates.seq),
            packed(6, fates.num_rows),
            packed(7, fates.fate),
            packed(8, fates.latency_us()),
        ]
        self._record("log/radio", fates.t_ns, b"".join(parts))

    def notes(self, sender: str, t_ns: int, notes: Sequence[tuple[str, float]]) -> None:
        """Diagnostics of one unit at one tick; nothing for none."""
        if notes and self._is_full:
            proto = log_pb2.Note(
                t_ns=t_ns, name=[n for n, _ in notes], value=[float(v) for _, v in notes]
            )
            self._record("log/note", t_ns, proto.SerializeToString(), sender)

    def inbox(self, name: str, t_ns: int, frame: bytes) -> None:
        """What unit `name` is called with at a tick, as a Tick frame (`protocols.unit_wire`); where the scene asks for it."""
        if self._is_full:
            self._record("log/inbox", t_ns, frame, name)

    # -- about the run -------------------------------------------------------------------------------------------

    def digest(self, digest: TickDigest) -> None:
        """The chain's value of one tick; ticks must be consecutive within a block."""
        if self._digests and digest.tick != self._digests[-1].tick + 1:
            self._flush_digests()
        self._digests.append(digest)
        if len(self._digests) == DIGEST_TICKS:
            self._flush_digests()

    def timing(self, t_ns: int, cpu_s: Mapping[str, float]) -> None:
        """Wall-clock cost by part; never compared."""
        proto = log_pb2.Timing(t_ns=t_ns, name=list(cpu_s), cpu_s=list(cpu_s.values()))
        self._record("log/timing", t_ns, proto.SerializeToString())

    def result(self, t_ns: int, result_json: str) -> None:
        """Verdict and summary, once, at the end."""
        proto = log_pb2.RunResult(t_ns=t_ns, result_json=result_json)
        self._record("log/result", t_ns, proto.SerializeToString())

    def flush(self) -> None:
        """Everything so far reaches the file; for the end of a run that failed."""
        for name in self._traces:
            self._write_trace(name)
        self._flush_digests()
        self._out.flush()

    def close(self) -> None:
        """Blocks, last chunk, summary."""
        self.flush()
        self._out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _record(self, topic: str, t_ns: int, data: bytes, sender: str = "sim") -> None:
        key = (topic, sender)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = self._out.channel(
                topic, RECORDS[topic], {"sender": sender}
            )
        self._last_ns = max(self._last_ns, t_ns)
        self._out.add(channel, self._epoch + t_ns, data)
        if self.tap is not None:
            self.tap(topic, sender, t_ns, bytes(data))

    def _write_trace(self, name: str) -> None:
        taken = self._traces[name].take(self._tick_ns)
        if taken is not None:
            self._record("truth/trace", *taken, name)

    def _flush_digests(self) -> None:
        block = self._digests
        if not block:
            return
        head = b"\x08" + varint(block[0].tick) if block[0].tick else b""
        t_ns = self._last_ns
        column = np.array([item.digest for item in block], np.uint64)
        self._record("log/digest", t_ns, head + packed(2, column))
        parts = head
        for number, name in ((2, "truth"), (3, "message"), (4, "command")):
            parts += packed(number, np.array([getattr(item, name) for item in block], np.uint64))
        self._record("log/digest_part", t_ns, parts)
        block.clear()
