"""What a unit said at each tick, as its log has it, and the first difference from what it says now.

A log has a unit's transmissions, plans, light commands and notes as bytes, and of vehicle commands acceleration, steering and doors at
every tick. Their flags and stamps are only in the digest, together with everybody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols import codec, topics
from protocols.participant import Outbox
from protocols.simtime import Now
from sim.diff.first import FirstDifference, first_field
from sim.log.reader import LogReader

Sent = tuple[str, bytes]  # topic, wire bytes
NONE = "-"


@dataclass(slots=True)
class Said:
    """One unit, one tick."""

    sent: list[Sent] = field(default_factory=list)  # on the air, in order
    wired: dict[str, bytes] = field(default_factory=dict)  # obu/plan, cmd/signal
    notes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a log has of one unit."""

    name: str
    said: dict[int, Said]  # by t_ns
    commands: dict[int, tuple[float, float, int]]  # by t_ns: acceleration, steering, doors

    def at(self, t_ns: int) -> Said:
        """What it said then."""
        return self.said.get(t_ns, _NOTHING)


_NOTHING = Said()


def read_record(log: LogReader, name: str) -> Record:
    """The record of unit `name`."""
    said: dict[int, Said] = {}
    for message in log.messages():
        if message.sender == name:
            now = said.setdefault(message.t_ns, Said())
            if topics.topic(message.topic).is_on_air:
                now.sent.append((message.topic, message.data))
            else:
                now.wired[message.topic] = message.data
    for note in log.notes():
        kept = tuple(item for item in note.values if not item[0].startswith("garbled/"))
        if note.sender == name and kept:
            said.setdefault(note.t_ns, Said()).notes += kept
    return Record(name, said, _commands(log, name))


def _commands(log: LogReader, name: str) -> dict[int, tuple[float, float, int]]:
    kind, _, vehicle = name.partition("/")
    if kind != "obu" or vehicle not in log.trace_names():
        return {}
    trace = log.traces(vehicle)
    rows = zip(
        trace.t_ns.tolist(), trace.command_accel_mps2.tolist(), trace.command_steer_rad.tolist(),
        trace.command_doors.tolist(), strict=True,
    )  # fmt: skip
    return {t_ns: (accel, steer, doors) for t_ns, accel, steer, doors in rows}


def difference(
    record: Record, now: Now, outbox: Outbox, is_garbled: bool
) -> FirstDifference | None:
    """Where `outbox` is not what the unit said at `now`; None when the log has the same."""
    known, at = record.at(now.t_ns), (now.tick, now.t_ns)
    if not is_garbled:  # garbled messages are not in the log as messages
        sent = [(item.topic, codec.encode(item.message)) for item in outbox.transmissions]
        found = _sent(record.name, at, known.sent, sent)
        if found is not None:
            return found
    wired: dict[str, bytes] = {}
    if outbox.signals is not None:
        wired["cmd/signal"] = codec.encode(outbox.signals)
    if outbox.plan is not None:
        wired["obu/plan"] = codec.encode(outbox.plan)
    for topic in sorted(known.wired.keys() | wired.keys()):
        one, two = known.wired.get(topic), wired.get(topic)
        if one != two:
            return _message(record.name, at, topic, one, two)
    command = record.commands.get(now.t_ns)
    if outbox.vehicle is not None and command is not None:
        said = (outbox.vehicle.accel_mps2, outbox.vehicle.steer_rad, outbox.vehicle.open_doors)
        for name, one_value, two_value in zip(("accel_mps2", "steer_rad", "open_doors"), command, said, strict=True):  # fmt: skip
            if np.float64(one_value).tobytes() != np.float64(two_value).tobytes():
                return FirstDifference(*at, "cmd/vehicle", record.name, name, repr(one_value), repr(two_value))  # fmt: skip
    return _notes(record.name, at, known.notes, tuple(outbox.notes))


def _sent(name: str, at: tuple[int, int], known: Sequence[Sent], now: Sequence[Sent]) -> FirstDifference | None:  # fmt: skip
    for k in range(max(len(known), len(now))):
        one = known[k] if k < len(known) else None
        two = now[k] if k < len(now) else None
        if one == two:
            continue
        if one is not None and two is not None and one[0] == two[0]:
            return _message(name, at, one[0], one[1], two[1])
        topic = (one or two or ("", b""))[0]
        words = [
            NONE if side is None else f"{side[0]}, {len(side[1])} bytes" for side in (one, two)
        ]
        return FirstDifference(*at, topic, name, f"message {k} of the tick", *words)
    return None


def _message(name: str, at: tuple[int, int], topic: str, one: bytes | None, two: bytes | None) -> FirstDifference:  # fmt: skip
    if one is None or two is None:
        words = [NONE if side is None else f"{len(side)} bytes" for side in (one, two)]
        return FirstDifference(*at, topic, name, "message", *words)
    return FirstDifference(*at, topic, name, *first_field(topic, one, two))


def _notes(
    name: str, at: tuple[int, int], known: tuple[tuple[str, float], ...], now: tuple[tuple[str, float], ...]
) -> FirstDifference | None:  # fmt: skip
    if known == now:
        return None
    for (key, a), (other, b) in zip(known, now, strict=False):
        if (key, a) != (other, b):
            return FirstDifference(*at, "log/note", name, key, repr(a), repr(b) if key == other else f"{other} = {b!r}")  # fmt: skip
    return FirstDifference(*at, "log/note", name, "number of notes", str(len(known)), str(len(now)))
