"""The air: takes what units send, asks the channel who hears it, and keeps it until its delivery time.

    seq = air.send(...)            for each transmission of tick k, in (sender, order of sending)
    fates = air.propagate(...)     once per tick, with everybody's positions at tick k
    air.collect(name, now)         at any later tick: what has arrived since the last call

What is sent in tick k is heard in tick k+1 at the earliest. A batch reaches each receiver as one message with only the rows that
were heard (one per delivery time). The queue holds what has not been collected yet, nothing more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from protocols import topics
from protocols.messages import BasicSafetyBatch, Message
from protocols.participant import Received
from protocols.roads.network import U8, U32
from protocols.simtime import Now
from sim.radio.channel import Channel, SentRows, Stations
from sim.radio.fates import I64, Fate, TickFates

_columns = attrgetter(
    *(field.name for field in dataclasses.fields(BasicSafetyBatch) if field.name != "t_ns")
)
_DELIVERED = int(Fate.DELIVERED)
Strike = Callable[[int, str, str, int, U32, tuple[str, ...], U8, I64], None]
"""(t_ns, sender, topic, seq, station id of each row, receivers, fate, deliver_ns): changes the last two, (n, R), in place."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One transmission; `origin` has a row for each row of a batch."""

    topic: str
    sender: str
    seq: int
    message: Message
    data: bytes
    origin: Stations


Edit = Callable[[int, Sent, Sequence[str], U8, I64], list[tuple[Sent, U8]]]
"""(t_ns, what was sent, receivers, fate, deliver_ns) -> what receivers get in its place, each with its own fate (n, R)."""


class Air:
    """Messages in flight. `tick_ns` is the base tick; `strike` is asked about every message after the channel (message faults).

    `edit` comes after that and may give receivers another message (`sim.whatif`).
    """

    def __init__(
        self, channel: Channel, tick_ns: int, strike: Strike | None = None, edit: Edit | None = None
    ) -> None:
        self._channel = channel
        self._strike = strike
        self._edit = edit
        self._tick_ns = tick_ns
        self._next_seq: dict[str, int] = {}
        self._sent: list[Sent] = []
        self._waiting: dict[str, list[Received]] = {}

    def send(
        self, sender: str, topic: str, message: Message, data: bytes, origin: Stations, seq: int | None = None,
    ) -> int:  # fmt: skip
        """Puts a message on the air; returns its sequence number, which counts up per sender from 0.

        `data` is the message as bytes (topic overhead is added to its size); `origin` has one row, or one per row of a batch. ValueError
        when a batch and its origins differ in length. `seq`: a number outside that count, for what the sender has not made.
        """
        rows = message.station_id.size if isinstance(message, BasicSafetyBatch) else 1
        if origin.id.size != rows:
            raise ValueError(f"{sender} {topic}: {rows} rows sent from {origin.id.size} places")
        if seq is None:
            seq = self._next_seq.get(sender, 0)
            self._next_seq[sender] = seq + 1
        self._sent.append(Sent(topic, sender, seq, message, data, origin))
        return seq

    def propagate(self, now: Now, names: Sequence[str], stations: Stations) -> TickFates | None:
        """Fates of everything sent since the last call for the receivers `names` at `stations` (R,); None for nothing.

        Deliveries are queued. A receiver that sent a message under its own name does not hear it.
        """
        sent = self._sent
        if not sent:
            return None
        self._sent = []
        counts = np.array([item.origin.id.size for item in sent], np.uint32)
        rows = SentRows(
            Stations(
                _joined([item.origin.id for item in sent]),
                _joined([item.origin.x_m for item in sent]),
                _joined([item.origin.y_m for item in sent]),
                _joined([item.origin.height_m for item in sent]),
            ),
            np.repeat(np.array([item.seq & 0xFFFFFFFF for item in sent], np.uint32), counts),
            np.repeat(
                np.array(
                    [_air_bytes(item, n) for item, n in zip(sent, counts, strict=True)], np.uint32
                ),
                counts,
            ),
            np.repeat(
                np.array([topics.topic(item.topic).radio_priority for item in sent], np.uint8),
                counts,
            ),
        )
        fate, deliver_ns = self._channel.fates(rows, stations, now.t_ns)
        np.maximum(deliver_ns, now.t_ns + self._tick_ns, out=deliver_ns)
        receivers = tuple(names)
        columns = {name: column for column, name in enumerate(receivers)}
        end = 0
        for item in sent:
            start, end = end, end + item.origin.id.size
            own = columns.get(item.sender)
            if own is not None:
                fate[start:end, own] = 0  # UNSPECIFIED: nobody hears himself
            if self._strike is not None:
                self._strike(
                    now.t_ns, item.sender, item.topic, item.seq, item.origin.id, receivers,
                    fate[start:end], deliver_ns[start:end],
                )  # fmt: skip
            if self._edit is not None:
                parts = self._edit(
                    now.t_ns, item, receivers, fate[start:end], deliver_ns[start:end]
                )
                for part, heard in parts:
                    self._queue(part, now.t_ns, receivers, heard, deliver_ns[start:end])
                continue
            self._queue(item, now.t_ns, receivers, fate[start:end], deliver_ns[start:end])
        return TickFates(
            now.t_ns,
            receivers,
            tuple(item.sender for item in sent),
            tuple(item.topic for item in sent),
            np.array([item.seq & 0xFFFFFFFF for item in sent], np.uint32),
            counts,
            fate,
            deliver_ns,
        )

    def collect(self, name: str, now: Now) -> tuple[Received, ...]:
        """What has reached `name` by now, sorted by (deliver_ns, sender, seq), and not been collected before."""
        waiting = self._waiting.get(name)
        if not waiting:
            return ()
        due = [item for item in waiting if item.deliver_ns <= now.t_ns]
        if due:
            self._waiting[name] = [item for item in waiting if item.deliver_ns > now.t_ns]
            due.sort(key=_order)
        return tuple(due)

    def _queue(
        self, item: Sent, sent_ns: int, receivers: tuple[str, ...], fate: U8, deliver_ns: I64
    ) -> None:
        """All receivers: fate and deliver_ns (n, R)."""
        if fate.shape[0] == 1:
            self._queue_one(item, sent_ns, receivers, fate[0], deliver_ns[0])
        else:
            self._queue_rows(item, sent_ns, receivers, fate, deliver_ns)

    def _queue_one(
        self, item: Sent, sent_ns: int, receivers: tuple[str, ...], fate: U8, deliver_ns: I64
    ) -> None:
        """One row, all receivers: fate and deliver_ns (R,)."""
        stamps = deliver_ns.tolist()
        for column, code in enumerate(fate.tolist()):
            if code == _DELIVERED:
                self._line(receivers[column]).append(
                    Received(
                        item.topic,
                        item.sender,
                        item.seq,
                        sent_ns,
                        stamps[column],
                        item.message,
                        item.data,
                    )
                )

    def _queue_rows(
        self, item: Sent, sent_ns: int, receivers: tuple[str, ...], fate: U8, deliver_ns: I64
    ) -> None:
        """A batch, all receivers: fate and deliver_ns (n, R). One message per receiver and delivery time."""
        heard = fate == _DELIVERED
        counts = heard.sum(axis=0).tolist()
        for column, count in enumerate(counts):
            if not count:
                continue
            line = self._line(receivers[column])
            rows = heard[:, column].nonzero()[0]
            stamps = deliver_ns[rows, column]
            first, last = int(stamps.min()), int(stamps.max())
            for stamp in (first,) if first == last else np.unique(stamps).tolist():
                mine = rows if first == last else rows[stamps == stamp]
                message: Message = item.message
                data: bytes | None = item.data
                if isinstance(message, BasicSafetyBatch) and mine.size < fate.shape[0]:
                    message, data = take_rows(message, mine), None
                line.append(Received(item.topic, item.sender, item.seq, sent_ns, stamp, message, data))  # fmt: skip

    def _line(self, name: str) -> list[Received]:
        line = self._waiting.get(name)
        if line is None:
            line = self._waiting[name] = []
        return line


def take_rows(batch: BasicSafetyBatch, rows: I64) -> BasicSafetyBatch:
    """The batch with only these rows."""
    return BasicSafetyBatch(batch.t_ns, *[column.take(rows) for column in _columns(batch)])


def _order(item: Received) -> tuple[int, str, int]:
    return item.deliver_ns, item.sender, item.seq


def _air_bytes(item: Sent, rows: int) -> int:
    """Bytes on the air of each row: its share of the payload, and the topic's headers."""
    return len(item.data) // max(int(rows), 1) + topics.topic(item.topic).overhead_bytes


def _joined(columns: list[Any]) -> Any:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
