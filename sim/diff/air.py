"""Who heard a message, and when, as the radio records of two logs tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.diff.radio import TOPIC, Tick, read_tick
from sim.diff.side import Side
from sim.diff.table import Record
from sim.radio.fates import Fate

_SECOND = 1_000_000_000


@dataclass(slots=True)
class Air:
    """Both logs' radio records, read second by second."""

    a: Side
    b: Side
    _known: dict[int, dict[int, list[bytes]]] = field(default_factory=dict)

    def delivered(self, topic: str, record: Record, unit: str) -> int | None:
        """When `unit` heard a message, in either log."""
        for tick in self._ticks(record.t_ns):
            if unit not in tick.receivers:
                continue
            column = tick.receivers.index(unit)
            for sent in tick.sent:
                if (sent.sender, sent.topic) != (
                    record.sender,
                    topic,
                ) or sent.seq != record.seq >= 0:
                    continue
                heard = sent.latency_us[sent.fate[:, column] == int(Fate.DELIVERED), column]
                if heard.size:
                    return record.t_ns + int(heard.min()) * 1000
        return None

    def _ticks(self, t_ns: int) -> list[Tick]:
        """What became of the messages of one tick, in a and in b. Read second by second: neighbours are asked for next."""
        second = t_ns // _SECOND
        known = self._known.get(second)
        if known is None:
            known = self._known[second] = {}
            for side in (self.a, self.b):
                for item in side.select(TOPIC, "sim", second * _SECOND, (second + 1) * _SECOND):
                    known.setdefault(item[0], []).append(item[2])
        ticks = (read_tick(data) for data in known.get(t_ns, []))
        return [tick for tick in ticks if tick is not None]
