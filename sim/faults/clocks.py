"""What a unit sees of the time when its clock is off: everything that its own box stamps is off alike.

Dated by the unit's clock: `Now`, the stamps of its own readings, and when its own radio took a message in (`deliver_ns`). Not touched:
the tick number, which only the machinery uses, and what others wrote (payload, `sent_ns`). Inside the box all is consistent;
only what crosses the air is misdated, as with a receiver that has lost its time source.

A clock steps forward at once. It never runs backwards: where it would, it runs at half speed until it shows what it should, as
time daemons slew. So stamps keep their order, and none lies before the start of the scenario.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from protocols.participant import Inbox, Received
from protocols.sensing import Readings
from protocols.simtime import NS_PER_S
from scenarios.fault_spec import ClockOffsetSpec
from sim.faults.windows import FOREVER_NS, Window, first

_SINGLE = tuple(field.name for field in fields(Readings) if field.name != "detections")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From `begin_ns` on the clock should be `offset_ns` ahead; it came with `shown_ns`."""

    begin_ns: int
    shown_ns: int
    offset_ns: int

    def show(self, t_ns: int) -> int:
        return max(t_ns + self.offset_ns, self.shown_ns + (t_ns - self.begin_ns) // 2)


class UnitClock:
    """The clock of one unit; of several faults at once the one written first counts."""

    def __init__(self, windows: Sequence[Window[ClockOffsetSpec]]) -> None:
        changes = {t_ns for item in windows for t_ns in (item.from_ns, item.to_ns)}
        self._stretches = [_Stretch(0, 0, _offset_ns(windows, 0))]
        for t_ns in sorted(changes - {0, FOREVER_NS}):
            shown_ns = self._stretches[-1].show(t_ns)
            self._stretches.append(_Stretch(t_ns, shown_ns, _offset_ns(windows, t_ns)))
        self._begins = [item.begin_ns for item in self._stretches]

    def show(self, t_ns: int) -> int:
        """What the clock showed, or will show, at true time `t_ns`; never decreases."""
        return self._stretches[bisect_right(self._begins, t_ns) - 1].show(t_ns)

    def dated(self, inbox: Inbox) -> Inbox:
        """The inbox with the unit's own stamps."""
        messages = tuple(
            Received(
                item.topic, item.sender, item.seq, item.sent_ns, self.show(item.deliver_ns), data=item.data
            )
            for item in inbox.messages
        )  # fmt: skip
        return Inbox(messages, self._readings(inbox.readings))

    def _readings(self, given: Readings) -> Readings:
        changes: dict[str, Any] = {}
        for name in _SINGLE:
            reading = getattr(given, name)
            if reading is not None:
                changes[name] = replace(reading, t_ns=self.show(reading.t_ns))
        if given.detections:
            changes["detections"] = tuple(
                replace(item, t_ns=self.show(item.t_ns)) for item in given.detections
            )
        return replace(given, **changes) if changes else given


def _offset_ns(windows: Sequence[Window[ClockOffsetSpec]], t_ns: int) -> int:
    spec = first(windows, t_ns)
    return 0 if spec is None else round(spec.offset_s * NS_PER_S)
