"""The small interface between the loop and any unit, wherever it runs.

A unit sees its sensors and what the radio delivered, never the truth. What it sends in tick k is heard in tick k+1 at the
earliest, so the order of units inside a tick cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from protocols import codec
from protocols.messages import Message, Plan, SignalCommand, VehicleCommand
from protocols.sensing import Readings
from protocols.simtime import Now


class Received:
    """One message as it reached this unit. A batch arrives with only the rows that were heard.

    It is made from the message or from its wire bytes; the other form is made when somebody asks for it, once. What a unit
    does not read costs nothing, and what came as bytes goes on as the same bytes.
    """

    __slots__ = ("_data", "_message", "deliver_ns", "sender", "sent_ns", "seq", "topic")

    def __init__(
        self,
        topic: str,
        sender: str,
        seq: int,
        sent_ns: int,
        deliver_ns: int,
        message: Message | None = None,
        data: bytes | None = None,
    ) -> None:
        self.topic = topic
        self.sender = sender
        self.seq = seq
        self.sent_ns = sent_ns
        self.deliver_ns = deliver_ns
        self._message = message
        self._data = data

    @property
    def message(self) -> Message:
        """The message; CodecError when the bytes are none of its topic."""
        if self._message is None:
            assert self._data is not None, "made from a message or from bytes"
            self._message = codec.decode(self.topic, self._data)
        return self._message

    @property
    def data(self) -> bytes:
        """Its wire bytes."""
        if self._data is None:
            self._data = codec.encode(self.message)
        return self._data


@dataclass(frozen=True, slots=True)
class Inbox:
    """What a unit gets at a tick: messages sorted by (deliver_ns, sender, seq), and its own sensors' readings."""

    messages: tuple[Received, ...]
    readings: Readings


@dataclass(frozen=True, slots=True)
class Transmission:
    """A message to put on the air."""

    topic: str
    message: Message


@dataclass(slots=True)
class Outbox:
    """What a unit answers at a tick."""

    transmissions: list[Transmission] = field(default_factory=list)
    vehicle: VehicleCommand | None = None
    signals: SignalCommand | None = None
    plan: Plan | None = None
    notes: list[tuple[str, float]] = field(
        default_factory=list
    )  # named diagnostics for the log, deterministic


class Participant(Protocol):
    """A unit. `on_tick` is called every `period_ticks` base ticks, with what arrived since the last call."""

    @property
    def name(self) -> str:
        """Stable name: `obu/bus1`, `rsu/J1`, `fleet`."""
        ...

    @property
    def period_ticks(self) -> int:
        """Call period in base ticks."""
        ...

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """Fuse, plan, control; track, warn, signal."""
        ...
